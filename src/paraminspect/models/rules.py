"""The rules of a run: --rule, --config and --rules-file, and the spec's own, each file of them read and parsed once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.files.reasons import reason_of
from paraminspect.models.asked import Asked, Definitions, parse_definitions
from paraminspect.models.recognise import STDIN
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:  # what a command that reads a file does not wait for
    from paraminspect.architecture.model import Spec
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.rules.rule import Rule
    from paraminspect.rules.sets import Config
    from paraminspect.rules.steps import InitPlan, PlannedStep

_NO_CONFIG = "rule sets are named in YAML or JSON; a checkpoint or a factory has none"


class ChosenRules(NamedTuple):
    """The rules of a run.

    Attributes:
        rules: In the order in which they apply.
        implied: How many of them, from the first on, apply without being asked for.
        configs: Where rule sets may come from: that of --config, then the spec.
        own: The functions of --rules-file; None without one.
        notes: Remarks on these functions.
    """

    rules: tuple[Rule, ...] = ()
    implied: int = 0
    configs: tuple[Config, ...] = ()
    own: OwnFunctions | None = None
    notes: tuple[str, ...] = ()


def choose_for(asked: Asked, config: Config | None, spec: Spec | None) -> ChosenRules:
    """Parse everything that says how to initialise; torch is imported only for a --rules-file.

    Args:
        asked: Has the rules and names of sets.
        config: Of --config.
        spec: Whose own sets are taken in.

    Raises:
        RuleError: A rule that cannot be parsed, a set that is not there.
        SourceError: A file that cannot be read, or whose code fails.
    """
    from paraminspect.rules.sets import Config, choose_rules

    configs = [] if config is None else [config]
    if spec is not None:
        configs.append(Config(spec.source, spec.rule_sets, spec.vars))
    own = None
    notes: list[str] = []
    if asked.rules_file:
        from paraminspect.live.init.functions import load_functions

        own = load_functions(asked.rules_file, notes=notes)
    described = own.described if own is not None else None
    rules, implied = choose_rules(asked.rules, configs, described, applies=not asked.no_init)
    return ChosenRules(tuple(rules), implied, tuple(configs), own, tuple(notes))


def read_config(path: str, definitions: Mapping[str, str | int | float | bool] | None = None) -> Config:
    """The rule sets of a file.

    Args:
        path: As the user typed it.
        definitions: Of variables, its own and others.

    Raises:
        SourceError: It cannot be read.
        SpecError: It is no config.
    """
    from paraminspect.architecture.parse import parse_rule_sets
    from paraminspect.rules.sets import Config

    variables, sets = parse_rule_sets(_read(path), source=path, overrides=definitions)
    return Config(path, sets, variables)


def read_spec(text: bytes, source: str, definitions: Definitions, config: Config | None) -> Spec:
    """A spec, with each -D where such a variable is: in the config, the spec, or both.

    Raises:
        SpecError: It cannot be read, or a variable is in neither.
    """
    from paraminspect.architecture.parse import parse_spec

    elsewhere: Collection[str] = () if config is None else config.variables
    return parse_spec(text, source=source, overrides=definitions, elsewhere=elsewhere)


def check_definitions(asked: Asked, config: Config | None) -> None:
    """Refuse a -D that means nothing to a config, of a source that has no variables.

    Raises:
        ParamInspectError: There is such a one.
    """
    if config is None:
        return
    for name in parse_definitions(asked.define):
        if name not in config.variables:
            from paraminspect.names.suggestions import suggest

            hint = suggest(name, list(config.variables)) or f"{config.source} has no vars"
            raise ParamInspectError(f"-D {name}: unknown variable", hint=hint)


def keep_loaded(plan: InitPlan, loaded: Collection[str], implied: int) -> InitPlan:
    """A plan in which rules that nobody asked for leave tensors alone that were loaded."""
    steps = tuple(_asked_for(step, implied) if step.target.name in loaded else step for step in plan.steps)
    return plan._replace(steps=steps)


def _asked_for(step: PlannedStep, implied: int) -> PlannedStep:
    """Without what the first rules do."""
    parts = tuple(part for part in step.parts if part.number is None or part.number > implied)
    if step.number is not None and step.number <= implied:
        return step._replace(rule=None, number=None, resolved=None, note="", parts=parts)
    return step._replace(parts=parts)


def _read(path: str) -> bytes:
    """The text of a config."""
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES

    if path == STDIN:
        from paraminspect.models.standard_input import read_config_text

        data = read_config_text()
    else:
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_SPEC_BYTES + 1)
        except OSError as error:
            from paraminspect.live.build.factory_name import parse_factory

            hint = _NO_CONFIG if parse_factory(path) else None
            raise SourceError(reason_of(error), hint=hint, source=path) from None
    if b"\0" in data or path.lower().endswith(".py"):
        raise SourceError("neither a spec nor a config", hint=_NO_CONFIG, source=path)
    return data
