from __future__ import annotations

import re

import pytest

from paraminspect import errors
from paraminspect.errors import NOT_WHOLE, LimitExceededError, ParamInspectError, TruncatedError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ParamInspectError)]


def drawn_tree() -> dict[str, str]:
    """Class and base class as the docstring draws them."""
    bases: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([ │├└─]+)(\w+Error)\b", line):
            depth, name = len(match[1]), match[2]
            while above and above[-1][0] >= depth:
                above.pop()
            bases[name] = above[-1][1] if above else "Exception"
            above.append((depth, name))
    return bases


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawn_tree() == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


def test_message_alone() -> None:
    error = ParamInspectError("it is empty", hint="fetch it again")
    assert (str(error), error.message, error.hint, error.source) == (
        "it is empty",
        "it is empty",
        "fetch it again",
        None,
    )


def test_source_comes_first_once_it_is_known() -> None:
    error = ParamInspectError("it is empty")
    error.source = "model.pt"
    assert str(error) == "model.pt: it is empty"


def test_a_changed_message_is_the_one_that_is_said() -> None:
    error = LimitExceededError("dimensions", limit=64, actual=65)
    error.message += " (tensor 'a')"
    assert str(error) == "65 dimensions; the limit is 64 (tensor 'a')"


@pytest.mark.parametrize(
    ("actual", "text"),
    [
        (1_000_001, "1,000,001 bytes of header; the limit is 1,000"),
        (None, "more than 1,000 bytes of header; the limit is 1,000"),
        (2**64 - 1, "18,446,744,073,709,551,615 bytes of header; the limit is 1,000"),
        (10**5000, "more than 1,000 bytes of header; the limit is 1,000"),
    ],
    ids=["some", "not_counted", "64_bits", "thousands_of_digits"],
)
def test_limit_and_actual(actual: int | None, text: str) -> None:
    error = LimitExceededError("bytes of header", limit=1000, actual=actual)
    assert str(error) == text
    assert (error.limit, error.actual) == (1000, actual)


def test_callers_can_catch_all_of_them() -> None:
    for cls in CLASSES:
        with pytest.raises(ParamInspectError):
            raise cls("x", limit=1, actual=2) if cls is LimitExceededError else cls("x")


@pytest.mark.parametrize(
    ("source", "message", "said"),
    [
        ("m.pt", "the file is empty", "m.pt: the file is empty"),
        ("the", "the file is empty", "the: the file is empty"),
        ("build.py", "build.py is Python", "build.py is Python"),
        ("build.py:net", "build.py: no such file", "build.py: no such file"),
        ("a/build.py:net", "a/build.py has no net", "a/build.py has no net"),
        ("build.py:net", "build.pyc: no such file", "build.py:net: build.pyc: no such file"),
    ],
)
def test_a_message_names_its_source_once(source: str, message: str, said: str) -> None:
    assert str(ParamInspectError(message, source=source)) == said


def test_a_file_that_was_cut_is_to_be_fetched_again() -> None:
    assert TruncatedError("the file is empty").hint == NOT_WHOLE
    assert TruncatedError("it became shorter", hint="try again").hint == "try again"
