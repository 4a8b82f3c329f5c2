from __future__ import annotations

import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.architecture.expand import MAX_MODULES, plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.recognise import looks_like_spec
from paraminspect.errors import SpecError

CONFIGS = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))]
PIECES = st.sampled_from(
    [
        *("model", "blocks", "shared", "vars", "tie", "input", "loss", "init", "use", "name", "repeat", "from", "take"),
        *(
            "ReLU",
            "Linear",
            "Sequential",
            "Residual",
            "Param",
            "Add",
            "Concat",
            "args",
            "layers",
            "body",
            "shape",
            "op",
        ),
        *(
            ": ",
            ":\n",
            ",",
            "[",
            "]",
            "{",
            "}",
            "- ",
            "\n",
            "\n  ",
            "\n- ",
            "\t",
            "'",
            '"',
            "|",
            ">",
            "?",
            "---\n",
            "#",
        ),
        *(
            "&a ",
            "*a",
            "<<: *a",
            "!!int ",
            "!x ",
            "%",
            "@",
            "$n",
            "$(n+1)",
            "$(min(1,2))",
            "$(9**9**9)",
            "$i",
            "*.w=zeros",
        ),
        *(
            "0",
            "1",
            "1e-3",
            "017",
            "12:30",
            "yes",
            "no",
            "~",
            "true",
            ".inf",
            "1000000000",
            "-1",
            "input",
            "x",
            "é",
            "\x85",
        ),
    ]
)


def check(text: str | bytes) -> None:
    """A plan or an error of one line; anything else is raised."""
    try:
        plan = plan_model(parse_spec(text, source="m.yaml"))
    except SpecError as error:
        failure = error
    else:
        assert plan.size <= MAX_MODULES
        return
    assert str(failure).startswith("m.yaml:")
    assert len(str(failure).splitlines()) == 1
    assert failure.hint is None or len(failure.hint.splitlines()) == 1


@given(st.text() | st.text(st.sampled_from(string.printable)))
def test_any_text_gives_a_plan_or_an_error(text: str) -> None:
    check(text)
    check("model: [" + text)


@given(st.binary())
def test_any_bytes_give_a_plan_or_an_error(data: bytes) -> None:
    check(data)
    assert looks_like_spec(data) in (True, False)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_pieces_of_a_spec_give_a_plan_or_an_error(text: str) -> None:
    check(text)
    check("model: [ReLU]\n" + text)


@given(
    st.sampled_from(CONFIGS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), PIECES | st.text(max_size=3)), min_size=1, max_size=4),
)
def test_a_config_with_changes_gives_a_plan_or_an_error(text: str, changes: list[tuple[float, int, str]]) -> None:
    for place, length, piece in changes:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + length :]
    check(text)
