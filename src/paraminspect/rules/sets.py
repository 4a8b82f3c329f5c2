"""Which rules a run applies: those of a spec or config, and those of the command line, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.architecture.model import RuleSet
from paraminspect.errors import LimitExceededError, RuleError
from paraminspect.names.suggestions import suggest
from paraminspect.rules.parse import RuleParser
from paraminspect.rules.rule import Initializer, Origin, Rule
from paraminspect.tuples import NamedTuple

MAX_RULES: Final = 10_000
"""Rules of one run."""

DEFAULT = "default"
"""Name of the set that is applied when none is asked for."""


class Config(NamedTuple):
    """What a file says of initialisation.

    Attributes:
        source: What the user typed; "" where there is no such file.
        sets: One unnamed set, or named ones; none where the file has no `init`.
        variables: Its `vars`, for the expressions of its rules.
    """

    source: str = ""
    sets: tuple[RuleSet, ...] = ()
    variables: Mapping[str, object] = {}

    def find(self, name: str | None) -> RuleSet | None:
        """The set of that name; None is the unnamed one."""
        return next((each for each in self.sets if each.name == name), None)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.sets if each.name is not None]


def choose_rules(
    wanted: Sequence[str],
    configs: Sequence[Config],
    own: Mapping[str, Initializer] | None = None,
    *,
    applies: bool = True,
) -> tuple[list[Rule], int]:
    """The rules of a run, parsed, in the order in which they apply.

    Args:
        wanted: Rules (with `=`) and names of sets (without), as `--rule` gave them, in order.
        configs: Where sets are looked for; the first one that has a name wins. Without a name in `wanted`, the unnamed
            list or the set `default` of the first config that has either comes before all of `wanted`.
        applies: Whether that list or set does.

    Returns:
        The rules, and how many of them, from the first on, `wanted` does not name.

    Raises:
        RuleError: A rule that cannot be parsed, a set that no config has.
        LimitExceededError: More than MAX_RULES.
    """
    parser = RuleParser(own or {})
    rules: list[Rule] = []
    variables = {name: value for config in reversed(configs) for name, value in config.variables.items()}
    if applies and all("=" in text for text in wanted) and (base := _base(configs)) is not None:
        rules += parse_set(*base, parser, variables)
    implied = len(rules)
    for text in wanted:
        if "=" in text:
            rules.append(parser.parse(text, Origin("--rule"), variables))
        else:
            rules += parse_set(*_named(text.strip(), configs), parser, variables)
    if len(rules) > MAX_RULES:
        raise LimitExceededError("rules", limit=MAX_RULES, actual=len(rules))
    return rules, implied


def parse_set(config: Config, chosen: RuleSet, parser: RuleParser, variables: Mapping[str, object]) -> list[Rule]:
    """The rules of one set.

    Args:
        config: Whose set it is; its own variables hide equal ones.
        parser: Knows the user's own initializers.

    Raises:
        RuleError: One cannot be parsed.
    """
    names = {**variables, **config.variables}
    origins = (
        Origin(config.source, chosen.name or "", rule.mark.line, rule.mark.column, rule.verbatim)
        for rule in chosen.rules
    )
    return [parser.parse(rule.text, origin, names) for rule, origin in zip(chosen.rules, origins, strict=True)]


def _base(configs: Sequence[Config]) -> tuple[Config, RuleSet] | None:
    for config in configs:
        for name in (None, DEFAULT):
            if (found := config.find(name)) is not None:
                return config, found
    return None


def _named(name: str, configs: Sequence[Config]) -> tuple[Config, RuleSet]:
    for config in configs:
        if (found := config.find(name)) is not None:
            return config, found
    known = [each for config in configs for each in config.names]
    if known:
        hint = suggest(name, known, "the sets are")
    elif any(config.sets for config in configs):
        hint = "its rules are one list without a name, which applies by itself"
    else:
        hint = "a rule is selector=action: '*.weight=normal(std=0.02)'; sets are named in a config's init"
    raise RuleError(f"there is no rule set {name!r}", hint=hint, source="--rule")
