"""A rule as it was written, and the functions that rules may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from paraminspect.names.select import Selector

Scalar = int | float | bool | str
"""A value of an argument, once it is known."""

ArgumentKind = Literal["number", "integer", "gain", "mode", "nonlinearity", "any"]
"""What an argument takes: a number or an expression; one that is whole; a gain or the name of a nonlinearity;
`fan_in` or `fan_out`; the name of a nonlinearity; of a user's own function, any of these, text or true and false."""

InitializerKind = Literal["initializer", "edit", "function", "keep"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument that an initializer takes.

    Attributes:
        name: As torch.nn.init has it.
        kind: What it takes.
        default: What it is where a rule leaves it out; None where that is no number or text.
        required: Whether a rule must give it.
    """

    name: str
    kind: ArgumentKind = "number"
    default: Scalar | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Initializer:
    """A function that a rule may name.

    Attributes:
        name: Without its underscore: "normal".
        summary: What it does, in one line.
        parameters: In the order of positional arguments.
        kind: "initializer": of torch.nn.init; "edit": changes the values that are there; "function": of the user's own;
            "keep": leaves the tensor as it is.
        random: Whether it draws random numbers.
        dimensions: (least, most) that a tensor may have, None for any.
        needs_fans: Whether it divides by fan_in or fan_out of its own accord.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    kind: InitializerKind = "initializer"
    random: bool = False
    dimensions: tuple[int, int] | None = None
    needs_fans: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """What was written for one argument.

    Attributes:
        parameter: Which it is.
        text: An expression or a word, as written.
        column: Of its first character in the text of the rule, from 0.
        word: The text itself, where it is a word, true or false, and not an expression; else None.
    """

    parameter: Parameter
    text: str
    column: int
    word: str | bool | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a rule comes from.

    Attributes:
        source: A file, or "--rule"; "" for a rule that a program made.
        set_name: Name of its rule set, "" for none.
        line: From 1, of a rule in a file; 0 elsewhere.
        column: Of its first character there, from 1; 0 elsewhere.
        verbatim: Whether a place in the rule is as far from there in the file.
    """

    source: str = ""
    set_name: str = ""
    line: int = 0
    column: int = 0
    verbatim: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, parsed.

    Attributes:
        text: As it was written.
        selector: Which names it means.
        initializer: What it does to them.
        arguments: As they were written, in that order.
        chunks: The `chunks=` argument; None for a tensor that is drawn as a whole.
        origin: Where it comes from.
        variables: What the names in its expressions stand for, besides fan_in and fan_out.
    """

    text: str
    selector: Selector
    initializer: Initializer
    arguments: tuple[Argument, ...] = ()
    chunks: Argument | None = None
    origin: Origin = Origin()
    variables: Mapping[str, object] | None = None
