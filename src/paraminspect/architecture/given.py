"""Tensors described on the command line: `--input 2,4`, `--input ids='{shape: [1, 16], dtype: int64, high: 99}'`.

    given = [NAME "="] (SIZE {"," SIZE} | LIST | MAPPING | FILE)

A list is a shape, a mapping has the keys of an input in a spec; anything else is the path of a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from paraminspect.architecture.layers import MAX_NAME_LENGTH
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.architecture.tensors import parse_tensor
from paraminspect.architecture.values import Scope
from paraminspect.architecture.yaml_marks import parse_yaml
from paraminspect.errors import ParamInspectError, SpecError
from paraminspect.text import shorten

_NAMED = re.compile(rf"([A-Za-z_]\w{{0,{MAX_NAME_LENGTH}}})=(.*)", re.DOTALL)
_SIZES = re.compile(r"\s*[0-9]+(\s*,\s*[0-9]+)*\s*")


@dataclass(frozen=True, slots=True)
class Given:
    """One tensor that the command line describes, not yet evaluated.

    Attributes:
        name: Of the input; None where it has none.
        text: YAML of a shape or mapping; "" for a file.
        file: Path; "" for a description.
        option: With which it was given, for error messages.
    """

    name: str | None
    text: str
    file: str
    option: str


def parse_given(text: str, option: str) -> Given:
    """What the value of an option names.

    Raises:
        ParamInspectError: It is empty, or too long.

    Example:
        >>> parse_given("ids=1,16", "--input")
        Given(name='ids', text='[1,16]', file='', option='--input')
    """
    if len(text) > MAX_SPEC_BYTES:
        raise ParamInspectError(f"{option} of more than {MAX_SPEC_BYTES:,} characters")
    match = _NAMED.fullmatch(text)
    name, value = (match[1], match[2]) if match else (None, text)
    if not value.strip():
        raise ParamInspectError(f"{option} {text!r} describes nothing", hint=f"{option} 2,4, or a file")
    if _SIZES.fullmatch(value):
        return Given(name, f"[{value}]", "", option)
    if value.lstrip()[0] in "[{":
        return Given(name, value, "", option)
    return Given(name, "", value, option)


def evaluate_given(given: Given, name: str, variables: Mapping[str, Value]) -> TensorInput:
    """The tensor that a description means.

    Args:
        name: What the input is called.
        variables: What `$name` stands for, those of the spec.

    Raises:
        ParamInspectError: It is not as an input in a spec must be.
    """
    try:
        return parse_tensor(parse_yaml(given.text).root, name, Scope(variables))
    except SpecError as error:
        place = f" at column {error.column}" if error.column is not None and error.line == 1 else ""
        message = f"{given.option} {shorten(given.text)}{place}: {error.message}"
        raise ParamInspectError(message, hint=error.hint) from None
