"""Regular expressions, held against Python's; what would take minutes is counted, not timed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.limits import MATCHES, Effort, EffortError, one_effort
from paraminspect.names.expressions import Expression
from paraminspect.names.selector import parse_selector

FOLLOWED = [
    r"^(a+)+$", r"(a|aa)*b", r"h\.(\d+\.)*w.*t$", r"^a.*b.*c$", r"(?:ab|a)+b?$", r"[^.]+\.[^.]+\.\w+", r"(a{1,3}b{2})*$",
    r"(x?y*)*z", r".*.*.*c", r"(a|b|)*$", r"(^a|b$)*.*.*c", r"\Aa*b*\Z", r"[\w.]+[^a]+", r"(?i)A*B*[A-C]", r"(a*)*?b",
    r"(a+?b*){2,3}$", r"\.*\S+\D$",
]  # fmt: skip
"""Several repeats, or one inside another."""

LEFT = [r"h\.[0-9]+\.attn", r"weight$", r"^(?!.*bias).*weight$", r"(q|k|v)_proj\b", r"layers\.(0|1|2[0-3])\.", r"a{2,}"]
"""As people write them: Python's own way is quick."""

NAMES = st.text(alphabet="abc.w1\nxyzA", max_size=10)


@given(st.sampled_from(FOLLOWED), NAMES)
def test_all_ways_at_once_find_what_python_finds(text: str, name: str) -> None:
    assert Expression(text)._places is not None
    assert Expression(text).search(name) == (re.search(text, name) is not None)


@pytest.mark.parametrize("text", LEFT)
def test_what_is_quick_is_left_to_python(text: str) -> None:
    assert Expression(text)._places is None


@pytest.mark.parametrize("text", [r"^(a+)+$", r"(a|aa)*b", r".*.*.*.*.*x", "a?" * 30 + "a{30}x", r"(a|a)+(a|a)+x"])
def test_work_grows_with_the_name(text: str) -> None:
    found = []
    for length in (1000, 2000):
        expression = Expression(text)
        with one_effort() as run:
            assert not expression.search("a" * length + "c")
            found.append(run.spent(MATCHES))
    assert found[1] < 3 * found[0] < 3_000_000


@pytest.mark.parametrize("text", [r"(a)\1", r".*(?=a).*b", r"(?=(a+)+$)c", r"(a*b*)++x", r"(a{0,99}){99}"])
def test_what_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="could take for ever"):
        parse_selector(f"/{text}/")


@pytest.mark.parametrize("text", ["/a+b/", "/a+b+/", "*a*"])
def test_names_and_rules_count_together(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 1000)
    selector = parse_selector(text)
    with one_effort():
        for _ in range(5):
            selector.matches("c" * 20)
        with pytest.raises(EffortError, match="letters matched against selectors"):
            [selector.matches("c" * 20) for _ in range(200)]
