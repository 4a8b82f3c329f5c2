"""A command is declared once: its options in groups, its columns, its examples.

A group is a named tuple whose fields are annotated as Typer has it. A command's function has a parameter of each group
it wants, and parameters of its own:

    @declare(Table(TENSORS), examples="paraminspect list model.pt")
    def command(source: options.Sources, choose: options.Choose, *, total: Total = False) -> int: ...

Typer sees one function of all the options, in this order. Help, `--columns`, completion, the manual and README.md read
what is declared. An option that can be repeated is a `tuple[str, ...]` here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from paraminspect.errors import ParamInspectError
from paraminspect.render.rows import Column
from paraminspect.tuples import NamedTuple

Kind = Literal[
    "source",
    "sources",
    "file",
    "name",
    "names",
    "pattern",
    "module",
    "rename",
    "rule",
    "variable",
    "column",
    "code",
    "loss",
    "engine",
]
"""What a value names, for completion: a `source` is one word, `sources` are several; `names` have commas between."""


class Is(NamedTuple):
    """In an annotation: what the value names."""

    kind: Kind


class OneOf(NamedTuple):
    """In an annotation: the value is one of these words, as with a Literal."""

    words: Sequence[str]


class Listed(NamedTuple):
    """In the annotation of a `tuple[str, ...]`: the value has some of these words, with commas between.

    Attributes:
        words: To choose from.
        what: One of them is called.
    """

    words: Sequence[str]
    what: str

    def read(self, text: str, option: str) -> tuple[str, ...]:
        """What was typed.

        Raises:
            ParamInspectError: A word that is none of these.
        """
        typed = [stripped for word in text.split(",") if (stripped := word.strip())]
        for word in typed:
            if word not in self.words:
                hint = f"the {self.what}s are {', '.join(self.words)}"
                raise ParamInspectError(f"{option} {word!r} is no {self.what}", hint=hint)
        return tuple(typed)


Mark = Is | OneOf | Listed


class Table(NamedTuple):
    """Rows that a command prints.

    Attributes:
        columns: In the order of tsv.
        when: Says when, if that is not always: "with --depth".
        option: Name of the parameter that brings these rows in place of the first; "" if none does.
        is_added: Whether that brings these columns behind those of the first, not in place of them.
    """

    columns: tuple[Column, ...]
    when: str = ""
    option: str = ""
    is_added: bool = False


class Declared(NamedTuple):
    """All there is to know of a command.

    Attributes:
        function: With all options, as Typer wants it.
        about: What the command does, in paragraphs; the first one is its summary.
        status: What its exit status says; "" if that stands in `about`.
        tables: What it prints; none for text.
        examples: Command lines.
        marks: Name of a parameter -> what its values are, where Typer does not know.
        names: Tensors that its options may name, without --all.
        often: Names of the parameters that people use most, in the order of -h.
    """

    function: Callable[..., int]
    about: str
    status: str
    tables: tuple[Table, ...]
    examples: tuple[str, ...]
    marks: Mapping[str, Mark]
    names: Literal["parameters", "model", "all"]
    often: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """What -h says before the options."""
        summary, _, rest = self.about.partition("\n\n")
        status = f" Exit status: {self.status}" if self.status else ""
        return "\n\n".join(part for part in (summary, _describe(self.tables), f"{rest}{status}".lstrip()) if part)


def declare(
    *tables: Table,
    examples: str,
    often: str = "",
    status: str = "",
    names: Literal["parameters", "model", "all"] = "model",
) -> Callable[[Callable[..., int]], Declared]:
    """Make a command of a function, whose docstring says what it does.

    Args:
        tables: What it prints, the ordinary rows first.
        examples: Command lines, one a line.
        often: Names of the parameters that people use most, between spaces, in the order of -h.
        status: What its exit status says.
        names: Tensors that its options may name, without --all.
    """

    def decorate(function: Callable[..., int]) -> Declared:
        spread, marks = _spread(function)
        about = inspect.cleandoc(function.__doc__ or "")
        return Declared(
            spread, about, status, tables, tuple(examples.strip().splitlines()), marks, names, tuple(often.split())
        )

    return decorate


def _describe(tables: Sequence[Table]) -> str:
    """The columns in a sentence, but those of tables that an option brings."""
    parts = []
    for table in tables:
        if not table.option:
            names = [f"{each.name} ({', '.join(each.words)})" if each.words else each.name for each in table.columns]
            parts.append(f"{' ' * bool(table.when)}{table.when}: {', '.join(names)}")
    return f"Columns{';'.join(parts)}." if parts else ""


class _Option(NamedTuple):
    """A parameter as Typer sees it, and what it does not see."""

    parameter: inspect.Parameter
    mark: Mark | None
    is_repeated: bool


def _spread(function: Callable[..., int]) -> tuple[Callable[..., int], dict[str, Mark]]:
    """The function with each field of its groups as a parameter, and the marks of all of them."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hasattr(hint, "_fields")}
    options: list[_Option] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            fields = get_type_hints(groups[name], include_extras=True).items()
            defaults = groups[name]._field_defaults
            options += [_option(field, hint, defaults.get(field, _REQUIRED)) for field, hint in fields]
        else:
            options.append(_option(name, hints[name], parameter.default))
    repeated = [each.parameter.name for each in options if each.is_repeated]
    listed = {each.parameter.name: each.mark for each in options if isinstance(each.mark, Listed)}

    def command(**given: Any) -> int:
        given.update({name: tuple(given[name] or ()) for name in repeated})
        given.update({name: each.read(given[name], f"--{name.replace('_', '-')}") for name, each in listed.items()})
        for name, group in groups.items():
            given[name] = group(*[given.pop(field) for field in group._fields])
        return function(**given)

    parameters = [each.parameter for each in options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command, {each.parameter.name: each.mark for each in options if each.mark is not None}


_REQUIRED: Final = inspect.Parameter.empty
_ANNOTATED: Final[Any] = Annotated
"""Made of what is known only when a command runs."""


def _option(name: str, hint: Any, default: Any) -> _Option:
    kind, *extras = get_args(hint)
    mark = next((each for each in extras if isinstance(each, Is | OneOf | Listed)), None)
    is_repeated = get_origin(kind) is tuple and not isinstance(mark, Listed)
    if isinstance(mark, Listed):
        kind, default = str, ""
    elif is_repeated and default is _REQUIRED:
        kind = list[str]
    elif is_repeated:
        kind, default = list[str] | None, None
    if isinstance(mark, OneOf):
        kind = Literal[tuple(mark.words)] | None
    elif literal := next((each for each in (kind, *get_args(kind)) if get_origin(each) is Literal), None):
        mark = OneOf(get_args(literal))
    seen = _ANNOTATED[(kind, *[each for each in extras if each is not mark])]
    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=seen)
    return _Option(parameter, mark, is_repeated)
