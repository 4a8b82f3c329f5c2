"""Rules from the command line: --rule, --config and --rules-file, and the spec's own, to one list of parsed rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from paraminspect.cli.chosen import Build
from paraminspect.cli.live import parse_definitions
from paraminspect.cli.output import Output
from paraminspect.cli.stdin import STDIN, read_config_text
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.files.reasons import reason_of
from paraminspect.live.build.recognise import parse_factory, recognise_live

if TYPE_CHECKING:  # what a command that reads a file does not wait for
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.rules.rule import Rule
    from paraminspect.rules.sets import Config

_NO_CONFIG = "rule sets are named in YAML or JSON; a checkpoint or a factory has none"


class RuleOptions(NamedTuple):
    """The values of --rule, --config, --rules-file and --seed."""

    rules: tuple[str, ...] = ()
    config: str = ""
    rules_file: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ChosenRules:
    """The rules of a run.

    Attributes:
        rules: In the order in which they apply.
        configs: Where rule sets may come from: that of --config, then the spec.
        own: The functions of --rules-file; None without one.
        build: For the model: without the variables that only --config has.
    """

    rules: list[Rule]
    configs: list[Config]
    own: OwnFunctions | None
    build: Build


def collect_rules(source: str, build: Build, options: RuleOptions, output: Output) -> ChosenRules:
    """Read and parse everything that says how to initialise; torch is imported only for a --rules-file.

    Args:
        source: A spec, whose own sets are taken in; or a factory or checkpoint.
        build: Has the variables of -D.
        options: What was typed.
        output: Takes remarks on the functions of --rules-file.

    Raises:
        RuleError: A rule that cannot be parsed, a set that is not there.
        SpecError: A spec or config that cannot be read.
        SourceError: A file that cannot be read, or whose code fails.
    """
    from paraminspect.rules.sets import choose_rules

    configs = [read_config(options.config, build)] if options.config else []
    build = _for_the_model(source, build, configs)
    if (own_config := spec_config(source, build)) is not None:
        configs.append(own_config)
    own = None
    if options.rules_file:
        from paraminspect.live.init.functions import load_functions

        notes: list[str] = []
        own = load_functions(options.rules_file, notes=notes)
        for note in notes:
            output.note(note)
    rules = choose_rules(options.rules, configs, own.described if own is not None else None)
    return ChosenRules(rules, configs, own, build)


def read_config(path: str, build: Build) -> Config:
    """The rule sets of a file.

    Raises:
        SourceError: It cannot be read.
        SpecError: It is no config.
    """
    from paraminspect.architecture.parse import parse_rule_sets
    from paraminspect.rules.sets import Config

    variables, sets = parse_rule_sets(_read(path), source=path, overrides=parse_definitions(build.define))
    return Config(path, sets, variables)


def spec_config(source: str, build: Build) -> Config | None:
    """The rule sets of a spec; None for anything that is none.

    Raises:
        SpecError: The spec cannot be read.
    """
    if not _is_spec(source):
        return None
    from paraminspect.architecture.parse import parse_spec
    from paraminspect.rules.sets import Config

    spec = parse_spec(_read(source), source=source, overrides=parse_definitions(build.define))
    return Config(source, spec.rule_sets, spec.vars)


def _for_the_model(source: str, build: Build, configs: Sequence[Config]) -> Build:
    """Each -D goes where such a variable is: to the config, the spec, or both.

    Raises:
        ParamInspectError: A variable that neither a config nor, as this source is no spec, a model can have.
    """
    if not configs or not build.define:
        return build
    from paraminspect.architecture.parse import find_variables
    from paraminspect.architecture.suggestions import closest

    in_spec = frozenset(find_variables(_read(source), source=source)) if _is_spec(source) else None
    in_configs = dict.fromkeys(name for config in configs for name in config.variables)
    kept = []
    for text in build.define:
        name = text.partition("=")[0].strip()
        if in_spec is None and name not in in_configs:
            known = f"known are {', '.join(in_configs)}" if in_configs else f"{configs[0].source} has no vars"
            raise ParamInspectError(f"-D {name}: unknown variable", hint=closest(name, in_configs) or known)
        if in_spec is not None and (name in in_spec or name not in in_configs):
            kept.append(text)
    return build._replace(define=tuple(kept))


def _is_spec(source: str) -> bool:
    from paraminspect.cli.chosen import is_live

    return is_live(source) and (source == STDIN or recognise_live(source) == "spec")


def _read(path: str) -> bytes:
    """The text of a spec or config."""
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES

    if path == STDIN:
        data = read_config_text()
    else:
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_SPEC_BYTES + 1)
        except OSError as error:
            hint = _NO_CONFIG if parse_factory(path) else None
            raise SourceError(reason_of(error), hint=hint, source=path) from None
    if b"\0" in data or path.lower().endswith(".py"):
        raise SourceError("neither a spec nor a config", hint=_NO_CONFIG, source=path)
    return data
