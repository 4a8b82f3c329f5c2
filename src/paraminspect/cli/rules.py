"""Rules from the command line: --rule, --config and --rules-file, and the spec's own, to one list of parsed rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from paraminspect.cli.live import parse_definitions
from paraminspect.cli.output import Output
from paraminspect.cli.sources import Build
from paraminspect.cli.stdin import STDIN, read_spec_text
from paraminspect.errors import SourceError
from paraminspect.live.recognise import recognise_live
from paraminspect.rules.model import Rule
from paraminspect.rules.sets import Config, choose_rules

if TYPE_CHECKING:
    from paraminspect.live.init.functions import OwnFunctions


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
    """

    rules: list[Rule]
    configs: list[Config]
    own: OwnFunctions | None


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
    configs = [read_config(options.config, build)] if options.config else []
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
    return ChosenRules(rules, configs, own)


def read_config(path: str, build: Build) -> Config:
    """The rule sets of a file.

    Raises:
        SourceError: It cannot be read.
        SpecError: It is no config.
    """
    from paraminspect.spec.parse import parse_rule_sets

    variables, sets = parse_rule_sets(_read(path), source=path, overrides=parse_definitions(build.define))
    return Config(path, sets, variables)


def spec_config(source: str, build: Build) -> Config | None:
    """The rule sets of a spec; None for anything that is none.

    Raises:
        SpecError: The spec cannot be read.
    """
    from paraminspect.cli.sources import is_live

    if not is_live(source) or (source != STDIN and recognise_live(source) != "spec"):
        return None
    from paraminspect.spec.parse import parse_spec

    text = read_spec_text() if source == STDIN else _read(source)
    spec = parse_spec(text, source=source, overrides=parse_definitions(build.define))
    return Config(source, spec.rule_sets, spec.vars)


def _read(path: str) -> bytes:
    from paraminspect.spec.limits import MAX_SPEC_BYTES

    try:
        with open(path, "rb") as file:
            return file.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}") from None
