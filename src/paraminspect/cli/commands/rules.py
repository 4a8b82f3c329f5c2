"""`paraminspect rules`."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.output import Output
from paraminspect.render.columns import INITIALIZERS, RULES
from paraminspect.render.rows import Rows
from paraminspect.rules import initializers
from paraminspect.rules.rule import Initializer, Parameter, Rule

ConfigSource = Annotated[
    str, Argument(metavar="[SOURCE]", help="A spec or config, whose rule sets are listed."), Is("source")
]


@declare(
    Table(INITIALIZERS),
    Table(RULES, "of a config"),
    examples="""
paraminspect rules configs/mlp.yaml
paraminspect rules | grep kaiming
""",
    status="0, 2 after an error.",
)
def command(
    source: ConfigSource = "",
    *,
    rules_file: options.RulesFile = "",
    rows: options.Rows,
    output: options.Output,
) -> int:
    """List what rules can do; of a config, its rule sets.

    An argument with = has a default. All but keep take chunks=N besides: N equal parts of the first dimension, each
    with its own fan_in and fan_out, which expressions may use: normal(std=1/sqrt(fan_in)); or part=1/4, which is for
    part 1 of 4 alone, counted from 0. Of named sets, the one called default applies without --rule NAME.
    """
    out = output.open(rows.header)
    chosen = rows.choose(RULES if source else INITIALIZERS)
    own = _own(rules_file, out)
    if source:
        found = Rows("rules", RULES, _rule_values(source, own), {"source": source})
    else:
        known = [*own.values(), *initializers.INITIALIZERS.values()]
        found = Rows("initializers", INITIALIZERS, [_known_values(each) for each in known])
    out.write_rows(out.pick(found, chosen))
    out.finish()
    return out.status


def _own(rules_file: str, output: Output) -> dict[str, Initializer]:
    if not rules_file:
        return {}
    from paraminspect.live.init.functions import load_functions

    notes: list[str] = []
    own = load_functions(rules_file, notes=notes)
    for note in notes:
        output.note(note)
    return dict(own.described)


def _known_values(each: Initializer) -> tuple[Any, ...]:
    return each.name, tuple(_usage(parameter) for parameter in each.parameters), each.summary


def _usage(parameter: Parameter) -> str:
    if parameter.required or parameter.default is None:
        return parameter.name
    default = parameter.default
    return f"{parameter.name}={f'{default:g}' if isinstance(default, float) else default}"


def _rule_values(source: str, own: dict[str, Initializer]) -> list[tuple[Any, ...]]:
    from paraminspect.models.rules import read_config
    from paraminspect.rules.parse import RuleParser
    from paraminspect.rules.sets import parse_set

    config = read_config(source)
    parser = RuleParser(own, lenient=True)
    return [
        _values(rule, number)
        for chosen in config.sets
        for number, rule in enumerate(parse_set(config, chosen, parser, {}), 1)
    ]


def _values(rule: Rule, number: int) -> tuple[Any, ...]:
    arguments = [f"{each.parameter.name}={each.text}" for each in rule.written]
    origin = rule.origin
    name = rule.initializer.name
    return origin.set_name or None, number, rule.selector.text, name, tuple(arguments), origin.line or None
