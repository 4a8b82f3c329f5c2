"""The lines of `info`: aligned, escaped, cut on a terminal."""

from __future__ import annotations

import pytest

from paraminspect.names.listing import make_listing, make_tree
from paraminspect.records import TensorRecord
from paraminspect.render.description import MAX_ENTRIES, MAX_ROWS, render_info
from paraminspect.render.style import Style
from paraminspect.summaries import Info, Training
from paraminspect.text import display_width
from tests.making.inks import INKS, without_inks

NOTHING = Info("x", "safetensors", None, ("x",), 10, 1, 4, None, 0, ("float32",), None, {}, "", {}, {}, ())
TREE = make_tree(make_listing([TensorRecord("a.w", (4,), "float32", 4, 16)]))


def draw(info: Info, width: int | None = 80, **style: bool) -> list[str]:
    return "".join(render_info(info, TREE, "x", Style(width=width, **style))).splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    arguments = {f"argument_{index}": "value" * index for index in range(40)}
    metadata = {f"key {index} 漢字": "漢字" * index for index in range(40)}
    info = NOTHING._replace(
        training=Training("Lightning 2", 3, 1200, 1e-3, (1e-3,), {"args": arguments}, arguments),
        metadata=metadata,
        model={"architecture": "A" * 300, "layers": 3, "rules": ["*=zeros"] * 30},
        safety="pickle: calls posix.system('id') — run paraminspect check",
        dtypes=("float32",) * 30,
    )
    assert max(map(display_width, draw(info, width))) <= max(width, 40)


def test_keys_are_aligned() -> None:
    lines = draw(NOTHING._replace(training=Training(epoch=3, arguments={"hyper_parameters": {"lr": 0.1}})))
    starts = {
        line.index(value) for line, value in zip(lines[1:5], ("safetensors", "10 B", "4 in", "float32"), strict=True)
    }
    assert starts == {len("hyper_parameters") + 2}


def test_text_of_others_is_escaped() -> None:
    evil = "\x1b[2J\u202egnp.exe\nsafety      fine"
    info = NOTHING._replace(
        source=evil,
        metadata={evil: evil},
        model={"architecture": evil, "rules": [evil]},
        training=Training(evil, None, None, None, (), {evil: {evil: evil}}, {evil: [evil, {evil: evil}]}),
        version=evil,
    )
    for width in (60, None):
        text = "\n".join(draw(info, width))
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nsafety" not in text


def test_what_is_cut_is_said() -> None:
    short = {f"k{index}": "v" for index in range(MAX_ENTRIES)}
    assert not any("shows all" in line for line in draw(NOTHING._replace(metadata=short)))
    lines = draw(NOTHING._replace(metadata={**short, "one": "more"}))
    assert "(1 more; -f json shows all)" in lines[4 + MAX_ENTRIES + 1]
    assert any("(-f json shows all)" in line for line in draw(NOTHING._replace(metadata={"long": "x" * 100})))
    assert not any("shows all" in line for line in draw(NOTHING._replace(metadata={"long": "x" * 100}), None))


def test_arguments_take_a_few_lines() -> None:
    arguments = {f"argument_{index}": index for index in range(100)}
    lines = draw(NOTHING._replace(training=Training(arguments={"args": arguments})))
    (cut,) = [line for line in lines if "shows all" in line]
    shown = sum(line.count("argument_") for line in lines)
    assert cut.strip() == f"({100 - shown} more; -f json shows all)"


def test_the_tree_has_a_last_line() -> None:
    many = make_tree(
        make_listing([TensorRecord(f"{chr(97 + i % 26)}{i}x.w", (i + 1,), "int8", i + 1, 1) for i in range(99)])
    )
    on_terminal = "".join(render_info(NOTHING, many, "x", Style(width=80))).splitlines()
    piped = "".join(render_info(NOTHING, many, "x", Style())).splitlines()
    assert on_terminal[-1] == "…"
    assert len(on_terminal) == 5 + 1 + 1 + MAX_ROWS + 1
    assert len(piped) == 5 + 1 + 1 + 99


def test_colour_repeats_what_words_say() -> None:
    plain, coloured = draw(NOTHING), draw(NOTHING, inks=INKS)
    assert plain == [without_inks(line) for line in coloured]
    assert coloured[0].startswith("<heading>")


def test_what_is_stored_for_quantised_ones() -> None:
    info = NOTHING._replace(parameters=4160, logical_parameters=4160, stored=712, encodings=("gptq 4-bit",), tied=1)
    assert "parameters  4,160 in 1 tensor (1 tied), 712 stored elements, gptq 4-bit" in draw(info)
