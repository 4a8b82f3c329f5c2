"""The selector of the rule grammar: which names are meant.

    selector = [TYPE ":"] GLOB | "/" REGEX "/"

GLOB matches the whole name and `*` crosses dots; REGEX is searched for. TYPE is a glob over the class name of the
owning module ("Linear", "Conv*") and, where they are known, of the classes it derives from ("_ConvNd").
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from paraminspect.errors import SelectionError
from paraminspect.limits import MATCHES, ONE_MATCH, effort

if TYPE_CHECKING:
    from paraminspect.names.expressions import Expression


class Selector(NamedTuple):
    """One parsed selector.

    Attributes:
        text: As it was typed.
        name: Decides a whole dotted name.
        module_type: Decides the class name of the owning module; None where every module is meant.
    """

    text: str
    name: re.Pattern[str] | Expression
    module_type: re.Pattern[str] | None = None

    def matches(self, name: str, *module_types: str) -> bool:
        """Whether the selector means this name.

        Args:
            name: Dotted parameter name.
            module_types: Dotted class of the owning module, and those it derives from; none where that is not known.
        """
        if self.module_type is not None and not any(
            self.module_type.match(each.rpartition(".")[2]) for each in module_types
        ):
            return False
        if isinstance(self.name, re.Pattern):
            effort().spend(MATCHES, len(name) + ONE_MATCH)
            return self.name.match(name) is not None
        return self.name.search(name)


def parse_selector(text: str) -> Selector:
    """Parse `[TYPE ":"] GLOB` or `/REGEX/`.

    Raises:
        SelectionError: Empty, not a regular expression, or one that could take for ever.
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
    module_type, colon, glob = text.partition(":")
    if not colon:
        module_type, glob = "", text
    if not glob:
        raise SelectionError(
            f"empty selector {text!r}", hint="name what is meant: '*.weight', 'Linear:*', '/h\\.[0-9]+/'"
        )
    return Selector(text, _glob(glob), _glob(module_type) if module_type else None)


def make_filter(select: Sequence[str], exclude: Sequence[str]) -> Callable[[str, Sequence[str]], bool]:
    """One predicate over (name, module_types): selected by any of `select` (all, if empty) and by none of `exclude`."""
    wanted = [parse_selector(text) for text in select]
    unwanted = [parse_selector(text) for text in exclude]

    def keep(name: str, module_types: Sequence[str]) -> bool:
        return (not wanted or any(s.matches(name, *module_types) for s in wanted)) and not any(
            s.matches(name, *module_types) for s in unwanted
        )

    return keep


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(rf"\A{fnmatch.translate(text)}")
