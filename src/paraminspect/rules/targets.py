"""The tensors that rules can mean, and those that they cannot."""

from __future__ import annotations

from paraminspect.names.selector import UNKNOWN
from paraminspect.records import Classes
from paraminspect.rules.rule import Rule
from paraminspect.tuples import NamedTuple


class Target(NamedTuple):
    """A tensor that rules can mean.

    Attributes:
        name: Canonical dotted name.
        shape: (d0, ..., dn).
        dtype: torch's name.
        classes: Of its modules.
        aliases: Its further names.
        padding_idx: Row of an embedding that stays zero; None where there is none.
        problem: Why no rule can change it ("quantised (q4_k)"); "" where one can.
        alias_classes: Of the modules of each alias; empty where they are those of the tensor itself.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    classes: Classes = UNKNOWN
    aliases: tuple[str, ...] = ()
    padding_idx: int | None = None
    problem: str = ""
    alias_classes: tuple[Classes, ...] = ()

    def is_meant(self, rule: Rule) -> bool:
        """Whether a rule matches it by its canonical name."""
        return rule.selector.matches(self.name, self.classes)

    def meant_aliases(self, rule: Rule) -> list[str]:
        """Those of its further names that a rule matches."""
        if not self.aliases:
            return []
        pairs = zip(self.aliases, self.alias_classes or (self.classes,) * len(self.aliases), strict=True)
        return [alias for alias, classes in pairs if rule.selector.matches(alias, classes)]


class Other(NamedTuple):
    """A tensor that no rule can mean.

    Attributes:
        name: Dotted.
        what: What it is, in the plural: "buffers".
        classes: Of its modules.
    """

    name: str
    what: str
    classes: Classes = UNKNOWN
