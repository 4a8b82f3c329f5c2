"""The layers of torch.nn as a table: what each takes, prints and holds, so that a spec can be told without torch.

    takes = {NAME ":" KIND ["?"] ["=" DEFAULT]}, in order of position; those behind "*" by name only; "..." for anything
    says  = {"{NAME}" the value alone | NAME "NAME=value" | NAME "?" the same unless it is the default | NAME "!" in quotes
             | NAME "|" NAME the first of the two that is not null}
    holds = {NAME "[" {SIZE ","} "]" [":" DTYPE] ["?" NAME]}, SIZE an expression or "*" NAME of several; "?" only if that is true

KINDs: `size` an integer from 1, `whole` from 0, `int` any; `float`, `number` (an integer too), `share` (0 to 1), `above0`; `flag`;
`tuple` as many sizes as the class has dimensions, or one for all, `tuple0` from 0, `pads` twice as many of any sign; `sizes`,
`wholes` and `gaps` (with null among them) a list of any length, or one, kept as written; `ints` a list; `shape` a list of sizes,
or one; `a|b` one of these words or kinds; `null` nothing; `dtype`; with "?", null too.
What a constructor makes of its arguments beyond that is said by a function (`settle`), which raises `DoubtError` at what is
better left to torch. Whatever a row does not admit is built by torch, which says what is wrong with it.

`python -m scripts.check_layers` holds the table against the torch that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from paraminspect.tuples import NamedTuple

Values = dict[str, Any]


class DoubtError(Exception):
    """The table does not know; torch is to be asked."""


class LayerRow(NamedTuple):
    """What is known of one class.

    Attributes:
        derives: Dotted classes behind `torch.nn.modules.`, its own first, without `module.Module`.
        takes: Its arguments.
        says: What `extra_repr` gives.
        holds: Its parameters.
        keeps: Its buffers.
        settle: What the constructor makes of its arguments, in place.
        parts: (name, class, arguments) of the modules inside, in order.
    """

    derives: tuple[str, ...]
    takes: str = ""
    says: str = ""
    holds: str = ""
    keeps: str = ""
    settle: Callable[[Values], None] | None = None
    parts: Callable[[Values], list[tuple[str, str, Values]]] | None = None


def doubt(wrong: bool) -> None:
    if wrong:
        raise DoubtError


def spatial(names: str, derives: str, *rest: Any, **named: Any) -> dict[str, LayerRow]:
    """Rows of classes that differ in the number of their dimensions: `{n}` in `derives`."""
    module = derives.partition(".")[0]
    return {
        name: LayerRow((f"{module}.{name}", *derives.format(n=name[-2]).split()), *rest, **named)
        for name in names.split()
    }


def plain(module: str, rows: Mapping[str, tuple[str, str]], *bases: str) -> dict[str, LayerRow]:
    """Rows of classes without tensors."""
    return {name: LayerRow((f"{module}.{name}", *bases), takes, says) for name, (takes, says) in rows.items()}


HELD: Final = "parameters"
"""Under this name `settle` puts parameters that depend on numbers of layers, as `holds` is written."""


def says(text: str, values: Mapping[str, Any], defaults: Mapping[str, Any], show: Callable[[Any], str] = str) -> str:
    """What a layer prints in its parentheses.

    Args:
        text: As of `LayerRow.says`.
        values: Its arguments, as it keeps them.
        show: Makes text of a value.
    """
    shown = []
    for word in text.split():
        if word[0] == "{":
            shown.append(show(values[word[1:-1]]))
        elif word[-1] == "!":
            shown.append(f"{word[:-1]}={values[word[:-1]]!r}")
        elif word[-1] == "?":
            name = word[:-1]
            if not _is_default(values[name], defaults[name]):
                shown.append(f"{name}={show(values[name])}")
        else:
            first, _, second = word.partition("|")
            name = second if second and values[first] is None else first
            shown.append(f"{name}={show(values[name])}")
    return ", ".join(shown)


def _is_default(value: Any, default: Any) -> bool:
    return value == default or (isinstance(value, tuple) and all(each == default for each in value))
