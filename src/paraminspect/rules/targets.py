"""The tensors that rules can mean, and those that they cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from paraminspect.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor that rules can mean.

    Attributes:
        name: Canonical dotted name.
        shape: (d0, ..., dn).
        dtype: torch's name.
        module_types: Dotted class of its module and of those it derives from; empty where that is not known.
        aliases: Its further names.
        padding_idx: Row of an embedding that stays zero; None where there is none.
        problem: Why no rule can change it ("quantised (q4_k)"); "" where one can.
        alias_types: The classes of each alias, as `module_types`; empty where they are those of the tensor itself.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    module_types: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    padding_idx: int | None = None
    problem: str = ""
    alias_types: tuple[tuple[str, ...], ...] = ()

    def is_meant(self, rule: Rule) -> bool:
        """Whether a rule matches it by its canonical name."""
        return rule.selector.matches(self.name, *self.module_types)

    def meant_aliases(self, rule: Rule) -> list[str]:
        """Those of its further names that a rule matches."""
        types = self.alias_types or (self.module_types,) * len(self.aliases)
        pairs = zip(self.aliases, types, strict=True)
        return [alias for alias, classes in pairs if rule.selector.matches(alias, *classes)]


class Other(NamedTuple):
    """A tensor that no rule can mean.

    Attributes:
        name: Dotted.
        what: What it is, in the plural: "buffers".
        module_types: As of `Target`.
    """

    name: str
    what: str
    module_types: tuple[str, ...] = ()
