"""A rule as it was written, and the functions that rules may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from paraminspect.names.selector import Selector
from paraminspect.tuples import NamedTuple

Scalar = int | float | bool | str
"""A value of an argument, once it is known."""

ArgumentKind = Literal["number", "integer", "gain", "mode", "nonlinearity", "any"]
"""What an argument takes: a number or an expression; one that is whole; a gain or the name of a nonlinearity;
`fan_in` or `fan_out`; the name of a nonlinearity; of a user's own function, any of these, text or true and false."""

InitializerKind = Literal["initializer", "edit", "function", "keep"]


class Parameter(NamedTuple):
    """One argument that an initializer takes.

    Attributes:
        name: As torch.nn.init has it.
        default: What it is where a rule leaves it out; None where that is no number or text.
        required: Whether a rule must give it.
    """

    name: str
    kind: ArgumentKind = "number"
    default: Scalar | None = None
    required: bool = False


class Fans(NamedTuple):
    """Connections into and out of one unit.

    Attributes:
        fan_in: Second dimension times those behind it.
        fan_out: First dimension times those behind the second.
    """

    fan_in: int
    fan_out: int


class Bound(NamedTuple):
    """What an initializer asks of its arguments.

    Attributes:
        name: Of the argument that is at fault where they do not meet it.
        is_met: Whether they do, all of them by name.
        expected: "0 or more".
    """

    name: str
    is_met: Callable[[Mapping[str, Scalar]], bool]
    expected: str


class Initializer(NamedTuple):
    """A function that a rule may name.

    Attributes:
        name: Without its underscore: "normal".
        summary: What it does, in one line.
        parameters: In the order of positional arguments.
        kind: "initializer": of torch.nn.init; "edit": changes the values that are there; "function": of the user's own;
            "keep": leaves the tensor as it is.
        random: Whether it draws random numbers.
        dimensions: (least, most) that a tensor may have, None for any.
        derive: What follows from fans and arguments: `std` of a normal, `bound` of a uniform distribution. None where it
            divides by no fan of its own accord.
        by_element: Whether each element is drawn like every other one, so that any run of them can be drawn alone.
        by_matrix: Whether two matrices in one tensor want to be told apart.
        remark: On its arguments, "" where there is none.
        copies: How many times its own size a tensor takes while it is drawn, at most (torch 2.13).
        global_generator: Whether it draws from torch's global generator too, whatever generator it is given (torch 2.13).
        takes_complex: Whether it takes complex numbers (torch 2.13).
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    kind: InitializerKind = "initializer"
    random: bool = False
    dimensions: tuple[int, int] | None = None
    bounds: tuple[Bound, ...] = ()
    derive: Callable[[Fans, Mapping[str, Scalar]], Mapping[str, float]] | None = None
    by_element: bool = False
    by_matrix: bool = False
    remark: Callable[[Mapping[str, Scalar]], str] = lambda _: ""
    copies: int = 1
    global_generator: bool = False
    takes_complex: bool = True


class Argument(NamedTuple):
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


class Part(NamedTuple):
    """One of several equal parts of the first dimension.

    Attributes:
        which: From 0.
        of: How many there are.
    """

    which: int
    of: int

    def rows(self, size: int) -> slice:
        """Where it is in a first dimension of that size, which `of` divides."""
        step = size // self.of
        return slice(self.which * step, (self.which + 1) * step)

    def __str__(self) -> str:
        return f"{self.which}/{self.of}"


class WrittenPart(NamedTuple):
    """The `part=` argument of a rule: as a whole, and what stands before and behind its slash."""

    whole: Argument
    which: Argument
    of: Argument


class Origin(NamedTuple):
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

    def column_of(self, at: int | None) -> int | None:
        """Column in the file of what stands `at` in the rule; None of a rule that is in no file."""
        return self.column + (at or 0) * self.verbatim if self.line else None

    def place(self, at: int | None) -> str:
        """The same for people: "net.yaml:12:5", "--rule"; "" for a rule that a program made."""
        parts = (self.source, self.line or None, self.column_of(at))
        return ":".join(str(part) for part in parts if part)


class Rule(NamedTuple):
    """One rule, parsed.

    Attributes:
        text: As it was written.
        selector: Which names it means.
        initializer: What it does to them.
        arguments: As they were written, in that order.
        chunks: The `chunks=` argument; None for a tensor that is drawn as a whole.
        part: The `part=` argument; None for a rule on whole tensors.
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
    part: WrittenPart | None = None

    @property
    def written(self) -> list[Argument]:
        """Everything between its parentheses."""
        chunks = [] if self.chunks is None else [self.chunks]
        return [*self.arguments, *chunks, *([] if self.part is None else [self.part.whole])]


def format_value(value: Scalar) -> str:
    """A resolved argument as people read it: four digits, words and integers as they are."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
