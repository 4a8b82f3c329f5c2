r"""The selector of the grammar of rules: which names are meant.

    selector = [TYPE [">"] ":"] (GLOB | NAME) | "/" REGEX "/"

GLOB matches the whole name and `*` crosses dots; NAME is one name in double quotes, written as JSON writes it, in which
no letter means anything else; REGEX is searched for. TYPE is a glob over class names ("Linear", "Conv*"), those of base
classes among them: with a colon behind it, of any module on the way from the model to the tensor; with `>:`, of the module
that owns it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from paraminspect.errors import SelectionError
from paraminspect.limits import MATCHES, ONE_MATCH, effort
from paraminspect.records import Classes
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.names.expressions import Expression

MAX_REMEMBERED: Final = 2_000
"""Different lists of classes of which a selector remembers whether it means them."""

UNKNOWN: Final = Classes()

_WILD: Final = frozenset("*?[")
_APART: Final = r"[*?[:=]|^[/\"]|^\s|\s$|^$"
"""What a name has that cannot stand for itself."""

_QUOTED: Final = r'\s*([^":=]*:)?"(?:[^"\\]|\\.)*"'


class TypeGlob:
    """A pattern of class names.

    Args:
        text: As it was typed.
        of_owner: Whether only the module that owns a tensor counts.
    """

    def __init__(self, text: str, *, of_owner: bool) -> None:
        self.text = text
        self.of_owner = of_owner
        self._pattern = _glob(text)
        self._known: dict[Classes, bool] = {}

    def means(self, classes: Classes) -> bool:
        """Whether it means what is inside of such modules."""
        known = self._known.get(classes)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            asked = classes.own if self.of_owner else (*classes.own, *classes.around)
            known = self._known[classes] = any(self.names(class_name(each)) for each in asked)
        return known

    def names(self, name: str) -> bool:
        """Whether a class of this name is meant."""
        effort().spend(MATCHES, len(name) + ONE_MATCH)
        return self._pattern.match(name) is not None


class Selector(NamedTuple):
    """One parsed selector.

    Attributes:
        text: As it was typed.
        name: Decides a whole dotted name.
        module_type: Decides the classes of its modules; None where every module is meant.
        literal: The one name that `name` means; None where it is a pattern.
    """

    text: str
    name: re.Pattern[str] | Expression
    module_type: TypeGlob | None = None
    literal: str | None = None

    def matches(self, name: str, classes: Classes = UNKNOWN) -> bool:
        """Whether the selector means the tensor of this name.

        Args:
            name: Dotted.
            classes: Of its modules.
        """
        return self.means_name(name) and (self.module_type is None or self.module_type.means(classes))

    def means_name(self, name: str) -> bool:
        """The same, whatever module it is in."""
        if isinstance(self.name, re.Pattern):
            effort().spend(MATCHES, len(name) + ONE_MATCH)
            return self.name.match(name) is not None
        return self.name.search(name)


def parse_selector(text: str) -> Selector:
    """Parse a selector.

    Raises:
        SelectionError: Empty, not a regular expression, or one that could take for ever; a quote that does not end.
    """
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        from paraminspect.names.expressions import Expression

        try:
            return Selector(text, Expression(text[1:-1]))
        except (re.error, OverflowError, RecursionError) as error:
            raise SelectionError(
                f"/{text[1:-1]}/ is not a regular expression: {error}",
                hint="a plain name or a glob needs no slashes: 'h.0.*'",
            ) from None
    module_type, colon, glob = ("", "", text) if text.startswith('"') else text.partition(":")
    if not colon:
        module_type, glob = "", text
    if not glob or module_type == ">":
        raise SelectionError(
            f"empty selector {text!r}", hint="name what is meant: '*.weight', 'Linear:*', '/h\\.[0-9]+/'"
        )
    types = TypeGlob(module_type.removesuffix(">"), of_owner=module_type.endswith(">")) if module_type else None
    if glob.startswith('"'):
        literal = _unquote(glob)
        return Selector(text, re.compile(rf"\A{re.escape(literal)}\Z"), types, literal)
    return Selector(text, _glob(glob), types, glob if _WILD.isdisjoint(glob) else None)


def quote_name(name: str) -> str:
    """A selector that means the tensor of this name and no other: the name itself where it can be."""
    if name.isprintable() and not re.search(_APART, name):
        return name
    import json

    return json.dumps(name, ensure_ascii=not name.isprintable())


def match_quoted(text: str) -> int:
    """Where a selector with a quoted name ends, that stands at the begin of a text; 0 where there is none."""
    found = re.match(_QUOTED, text) if '"' in text else None
    return found.end() if found is not None else 0


def class_name(dotted: str) -> str:
    """What selectors call a class."""
    return dotted.rpartition(".")[2]


def make_filter(select: Sequence[str], exclude: Sequence[str]) -> Callable[[str, Classes], bool]:
    """One predicate over (name, classes): selected by any of `select` (all, if empty) and by none of `exclude`."""
    wanted = [parse_selector(text) for text in select]
    unwanted = [parse_selector(text) for text in exclude]

    def keep(name: str, classes: Classes) -> bool:
        return (not wanted or any(each.matches(name, classes) for each in wanted)) and not any(
            each.matches(name, classes) for each in unwanted
        )

    return keep


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(rf"\A{fnmatch.translate(text)}")


def _unquote(text: str) -> str:
    try:
        import json

        name = json.loads(text)
    except (ValueError, RecursionError):
        name = None
    if not isinstance(name, str):
        raise SelectionError(
            f"{text} is no name in double quotes", hint=r'written as JSON writes it: "a:b", with \" for a quote inside'
        )
    return name
