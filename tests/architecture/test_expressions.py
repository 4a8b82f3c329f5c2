from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.architecture.expressions import MAX_EXPRESSION_LENGTH, MAX_INTEGER, evaluate, parse_expression
from paraminspect.errors import SpecError

NAMES: dict[str, object] = {"dim": 64, "rate": 0.5, "act": "relu", "flag": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4*dim", 256),
        (" 4 * ( dim + 1 ) ", 260),
        ("-dim // 3", -22),
        ("dim % 5", 4),
        ("dim / 8", 8),
        ("dim / 128", 0.5),
        ("2**10", 1024),
        ("2**-2", 0.25),
        ("(-1)**99999999999", -1),
        ("(-1)**99999999998", 1),
        ("0**5", 0),
        ("2**62", 2**62),
        ("sqrt(dim)", 8),
        ("sqrt(2)", math.sqrt(2)),
        ("log(dim)", math.log(64)),
        ("min(dim, 3, 5)", 3),
        ("max(rate, 0.25)", 0.5),
        ("min(7)", 7),
        ("1e-3", 1e-3),
        ("0.02/sqrt(2*dim)", 0.02 / math.sqrt(128)),
        ("+dim", 64),
    ],
)
def test_value(text: str, value: float) -> None:
    found = evaluate(text, NAMES)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9**9**9", "past 9,223,372,036,854,775,807"),
        ("2**63", "past"),
        ("10.0**400", "past"),
        ("9**99**99**99", "past"),
        ("1e308*10", "not a finite number"),
        ("1e999", "not finite"),
        ("9999999999999999999", "an integer past"),
        ("1/0", "division by zero"),
        ("dim % 0", "division by zero"),
        ("0**-1", "division by zero"),
        ("(-8)**0.5", "not a real number"),
        ("sqrt(-1)", "not a real number"),
        ("log(0)", "not a real number"),
        ("dmi", "unknown variable dmi"),
        ("i", "only inside a repeat"),
        ("act*2", "'relu'; an expression needs a number"),
        ("flag+1", "True; an expression needs a number"),
        ("exp(3)", "unknown function exp"),
        ("__import__('os')", "unknown function __import__"),
        ("dim.real", "not allowed"),
        ("dim[0]", "not allowed"),
        ("[dim]", "not allowed"),
        ("(1, 2)", "not allowed"),
        ("'a'*9", "not allowed"),
        ("True", "not allowed"),
        ("1j", "not allowed"),
        ("~dim", "not allowed"),
        ("dim @ dim", "not allowed"),
        ("1 << 99", "not allowed"),
        ("dim if dim else 1", "not allowed"),
        ("lambda: 0", "not allowed"),
        ("(x := 3)", "not allowed"),
        ("min(*dim)", "not allowed"),
        ("min(3, key=4)", "not allowed"),
        ("f'{dim}'", "not allowed"),
        ("min()", "min of 0 arguments"),
        ("sqrt(1, 2)", "sqrt of 2 arguments"),
        ("sqrt", "sqrt without its arguments"),
        ("$dim", "$ inside the expression"),
        ("", "not an expression"),
        ("dim dim", "not an expression"),
        ("007", "not an expression"),
        ("1; 2", "not an expression"),
        ("dim = 3", "not an expression"),
        ("\0", "not an expression"),
        ("(" * 150, "not an expression"),
        ("1" + "+1" * MAX_EXPRESSION_LENGTH, "the limit is 200"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate(text, NAMES)
    assert message in caught.value.message


def test_unknown_names_say_what_was_meant() -> None:
    with pytest.raises(SpecError) as caught:
        evaluate("dmi", NAMES)
    assert caught.value.hint == "did you mean dim?"
    with pytest.raises(SpecError) as caught:
        evaluate("sqr(3)", NAMES)
    assert caught.value.hint == "did you mean sqrt?"


def test_python_warnings_stay_silent() -> None:
    with pytest.raises(SpecError):
        parse_expression("1if 1else 2")


ATOMS = st.sampled_from(["dim", "rate", "0", "1", "2", "3", "63", "1e300", "0.5", "9"])
TREES = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(lambda t: f"({''.join(t)})")
        | st.tuples(st.sampled_from(["sqrt", "log", "min", "max", "-"]), inner).map(lambda t: f"{t[0]}({t[1]})")
    ),
    max_leaves=20,
)


@given(TREES)
def test_any_arithmetic_gives_a_bounded_number_or_an_error(text: str) -> None:
    try:
        value = evaluate(text, NAMES)
    except SpecError:
        return
    assert math.isfinite(value)
    assert isinstance(value, float) or abs(value) <= MAX_INTEGER


@given(st.text(st.sampled_from(string.printable + "é√²"), max_size=40))
def test_any_text_gives_a_number_or_an_error(text: str) -> None:
    try:
        outcome: object = evaluate(text, NAMES)
    except SpecError as error:
        outcome = error.message
    assert isinstance(outcome, (int, float)) or (isinstance(outcome, str) and "\n" not in outcome)
