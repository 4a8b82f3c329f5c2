"""How a built-in layer type is declared: what it takes and what it computes."""

from __future__ import annotations

from typing import Literal

from paraminspect.tuples import NamedTuple

ArgumentKind = Literal["int", "float", "bool", "text", "ints", "shape", "op"]
Default = int | float | bool | str | tuple[int, ...] | None


class Argument(NamedTuple):
    """One argument of a built-in.

    Attributes:
        name: As it is written; its place in the table is its position.
        kind: What is accepted: "float" takes integers too; "ints" is a list of integers, or one; "shape" is a list of
            sizes; "op" one of `PARAM_OPS`. Where the first argument is a list, plain numbers in its place are that list.
        default: Value where it is left out; None where it must be given, unless `optional`.
        minimum: Least value, of each one in a list; None where any will do.
        optional: It may be left out, or null, and is None then.
    """

    name: str
    kind: ArgumentKind
    meaning: str
    default: Default = None
    minimum: int | float | None = None
    optional: bool = False

    @property
    def is_list(self) -> bool:
        return self.kind in ("ints", "shape")

    @property
    def is_required(self) -> bool:
        return self.default is None and not self.optional


class Builtin(NamedTuple):
    """One built-in type.

    Attributes:
        computes: Its contract: output in terms of its inputs x, or a, b, ...
        arguments: In order of position.
        inputs: The numbers of inputs it accepts; () means two or more, or one tuple of them.
        gives: "one" tensor, or a tuple of "several".
        torch: What torch and numpy call it, for who writes that.
        says: What it prints, as `layer_rows` says how; None for the arguments that are not their defaults.
    """

    name: str
    computes: str
    arguments: tuple[Argument, ...] = ()
    inputs: tuple[int, ...] = (1,)
    gives: Literal["one", "several"] = "one"
    torch: tuple[str, ...] = ()
    says: str | None = None
