"""What the command line feeds a model: `--input 2,4`, `--input batch.ids='{shape: [1, 16], dtype: int64, high: 99}'`.

    given = [PATH "="] (SIZE {"," SIZE} | LIST | MAPPING | "!" VALUE | FILE)
    PATH  = NAME {"." (NAME | NUMBER)}

A list is a shape, a mapping has the keys of an input in a spec, VALUE is YAML that is passed as it is (`!3`, `!true`,
`!null`, `!some text`, `![1, 2]`); anything else is the path of a file. Without a path it is the next positional
argument of forward; NAME is an argument by its name, what comes behind a dot lies in it: in a dictionary under a name,
in a list under a number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from paraminspect.architecture.fields import MAX_NAME_LENGTH
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.architecture.tensors import parse_tensor
from paraminspect.architecture.values import Scope, parse_value
from paraminspect.architecture.yaml_marks import parse_yaml
from paraminspect.errors import ParamInspectError, SourceError, SpecError
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple

INPUT_OPTION: Final = "--input"
FILE_OPTION: Final = "--input-file"

_PART = rf"[A-Za-z_]\w{{0,{MAX_NAME_LENGTH}}}"
_PATH = re.compile(rf"({_PART}(?:\.(?:{_PART}|[0-9]{{1,6}}))*)=(.*)", re.DOTALL)
_SIZES = re.compile(r"\s*[0-9]+(\s*,\s*[0-9]+)*\s*")
_CODE = re.compile(r".+\.py:[^\W\d][\w.]*", re.IGNORECASE)

Path = tuple[str | int, ...]
"""Where something goes: an argument of forward, then names and numbers inside it; () is the next positional one."""


@dataclass(frozen=True, slots=True)
class Given:
    """One thing that the command line gives, not yet made.

    Attributes:
        path: Where it goes.
        kind: A `tensor` is described; a `file` holds tensors; a `value` is passed as it is.
        text: YAML of the shape or mapping; path of the file; "" for a value.
        value: Of a value.
        option: With which it was given, for error messages.
    """

    path: Path
    kind: Literal["tensor", "file", "value"]
    text: str
    option: str
    value: object = None


class InputPlan(NamedTuple):
    """All that a command line says of what a model is called with.

    Attributes:
        given: In the order of `--input`.
        code: `FILE.py:NAME` or `MODULE:NAME` of a batch, or of what makes one; "" without.
    """

    given: tuple[Given, ...] = ()
    code: str = ""


def plan_inputs(texts: Sequence[str], code: str = "") -> InputPlan:
    """Parse `--input`, several times, and `--input-file`.

    Raises:
        ParamInspectError: One describes nothing; a file is not there; two go to one place.
    """
    given = tuple(parse_given(text, INPUT_OPTION) for text in texts)
    if code:
        if any(not each.path for each in given):
            raise ParamInspectError(
                f"{INPUT_OPTION} without a name beside {FILE_OPTION}, which says the positional arguments",
                hint=f"{INPUT_OPTION} NAME=.. adds to them, or takes the place of one",
            )
        _check_code(code)
    arrange([(each.path, each) for each in given])
    return InputPlan(given, code)


def parse_given(text: str, option: str) -> Given:
    """What the value of an option names.

    Raises:
        ParamInspectError: It is empty, too long, no value, or a file that is not there.

    Example:
        >>> parse_given("batch.ids=1,16", "--input")
        Given(path=('batch', 'ids'), kind='tensor', text='[1,16]', option='--input', value=None)
    """
    if len(text) > MAX_SPEC_BYTES:
        raise ParamInspectError(f"{option} of more than {MAX_SPEC_BYTES:,} characters")
    match = _PATH.fullmatch(text)
    path, what = (parse_path(match[1]), match[2]) if match else ((), text)
    if not what.strip():
        raise ParamInspectError(f"{option} {text!r} describes nothing", hint=f"{option} 2,4, or a file")
    if _SIZES.fullmatch(what):
        return Given(path, "tensor", f"[{what}]", option)
    first = what.lstrip()[0]
    if first in "[{":
        return Given(path, "tensor", what, option)
    if first == "!":
        return Given(path, "value", "", option, _value(what.lstrip()[1:], text, option))
    _check_file(what, text, option)
    return Given(path, "file", what, option)


def parse_path(text: str) -> Path:
    """`batch.ids`, `images.0`: numbers are places in a list."""
    return tuple(int(part) if part.isdecimal() else part for part in text.split("."))


def path_text(path: Path) -> str:
    """As it is typed."""
    return ".".join(map(str, path))


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


def arrange(placed: Iterable[tuple[Path, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments, of what goes where: dictionaries and lists are made as the paths say.

    Raises:
        ParamInspectError: Two go to one place, one goes into another, or a list has gaps.

    Example:
        >>> arrange([((), 1), (("images", 0), 2), (("batch", "ids"), 3)])
        ([1], {'images': [2], 'batch': {'ids': 3}})
    """
    positional: list[Any] = []
    root = _Node({})
    for path, what in placed:
        if path:
            root.put(path, what)
        else:
            positional.append(what)
    named = {str(name): _built(part, (name,)) for name, part in root.parts.items()}
    return positional, named


class _Node(NamedTuple):
    """A dictionary or list in the making."""

    parts: dict[str | int, Any]

    def put(self, path: Path, what: Any) -> None:
        node = self
        for depth, part in enumerate(path[:-1], start=1):
            node = node.parts.setdefault(part, _Node({}))
            if not isinstance(node, _Node):
                raise ParamInspectError(f"{INPUT_OPTION} {path_text(path)} lies in {path_text(path[:depth])}, which is given")  # fmt: skip
        if path[-1] in node.parts:
            inside = isinstance(node.parts[path[-1]], _Node)
            how = "beside what lies in it" if inside else "twice"
            raise ParamInspectError(f"{INPUT_OPTION} {path_text(path)} is given {how}")
        node.parts[path[-1]] = what


def _built(node: Any, path: Path) -> Any:
    """What a node stands for."""
    if not isinstance(node, _Node):
        return node
    numbers = sorted(key for key in node.parts if isinstance(key, int))
    if not numbers:
        return {name: _built(part, (*path, name)) for name, part in node.parts.items()}
    where = path_text(path)
    if len(numbers) < len(node.parts):
        raise ParamInspectError(f"{INPUT_OPTION} {where} has parts by name and by number", hint="a list has numbers, a dictionary names")  # fmt: skip
    for due, number in enumerate(numbers):
        if due != number:
            raise ParamInspectError(f"{INPUT_OPTION} {where}.{number} without {where}.{due}", hint="a list counts from 0")  # fmt: skip
    return [_built(node.parts[number], (*path, number)) for number in numbers]


def _value(text: str, whole: str, option: str) -> object:
    if not text.strip():
        raise ParamInspectError(f"{option} {whole!r} describes nothing", hint=f"{option} mode='!loss', x='!null'")
    try:
        return parse_value(text)
    except SpecError as error:
        raise ParamInspectError(f"{option} {shorten(whole)}: {error.message}", hint=error.hint) from None


def _check_file(file: str, text: str, option: str) -> None:
    if os.path.exists(file) or "://" in file:
        return
    if (named := _name_value(file)) is not None:
        where = text.removesuffix(file)
        hint = f"{option} '{where}!{file}' passes it as it is, '{where}{{shape: [], fill: {file}}}' as a tensor"
        raise ParamInspectError(f"{option} {text!r} is {named}; expected a shape or a file", hint=hint)
    if _CODE.fullmatch(file):
        raise ParamInspectError(f"{option} {text!r} names code", hint=f"{FILE_OPTION} {file}")
    if file.isidentifier() or not os.path.splitext(file)[1]:
        raise ParamInspectError(
            f"{option} {text!r} is neither a shape nor a file",
            hint=f"{option} 2,4, or '{{shape: [2, 4], dtype: int64, high: 10}}', or a .npy file, or '!text' for a value",
        )
    raise SourceError(f"{option}: no such file", source=file)


def _name_value(text: str) -> str | None:
    """What a word is that names no file; None of any other."""
    try:
        value = parse_value(text)
    except SpecError:
        return None
    kinds = {bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return kinds.get(type(value))


def _check_code(code: str) -> None:
    file, colon, name = code.rpartition(":")
    if not colon or not name or not file:
        hint = f"{FILE_OPTION} {code if code.lower().endswith('.py') else 'my.py'}:batch, a value or a function"
        raise ParamInspectError(f"{FILE_OPTION} {code!r}; expected FILE.py:NAME", hint=hint)
