"""What was asked of a source, as data; and which of it has a meaning for what kind of source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.architecture.given import InputPlan

Kind = Literal["spec", "factory", "module", "checkpoint"]
"""A `module` is an `nn.Module` in memory; a `checkpoint` is all that holds tensors: files, folders, URLs."""

Want = Literal["names", "pass", "plan", "values", "memory"]
"""Names and shapes; these, of a model that will run without values; these, and what rules would do; the values of one
tensor after the other; a model that can run."""


class Asked(NamedTuple):
    """How a source is to be opened.

    Attributes:
        want: What it is opened for.
        edits: Whether rules may change a checkpoint too, and tensors that --weights has loaded.
        define: -D, `name=value` each.
        modules_file: --modules-file.
        arguments: --arg, `key=value` each.
        weights: --weights.
        strip_prefix: --strip-prefix.
        add_prefix: --add-prefix.
        allow_mismatch: --allow-mismatch.
        rules: --rule.
        config: --config.
        rules_file: --rules-file.
        seed: --seed.
        no_init: --no-init: no rule applies that is not asked for.
        allow_unmatched: Whether to go on where a rule matches nothing.
        inputs: --input and --input-file; None without.
    """

    want: Want = "names"
    edits: bool = False
    define: tuple[str, ...] = ()
    modules_file: str = ""
    arguments: tuple[str, ...] = ()
    weights: str = ""
    strip_prefix: str = ""
    add_prefix: str = ""
    allow_mismatch: bool = False
    rules: tuple[str, ...] = ()
    config: str = ""
    rules_file: str = ""
    seed: int = 0
    no_init: bool = False
    allow_unmatched: bool = False
    inputs: InputPlan | None = None

    def refuse(self, kind: Kind) -> None:
        """Refuse options that have no meaning for a kind of source, or none for what is asked of it.

        Raises:
            ParamInspectError: One is set.
        """
        for name in self._without_meaning(kind):
            article = {"module": "a model in memory"}.get(kind, f"a {kind}")
            option = _OPTIONS[name]
            raise SourceError(f"{option.text} has no meaning for {article}", hint=option.hints.get(kind, _HINT))
        for name, option in _OPTIONS.items():
            if getattr(self, name) and self.want in option.idle and not (self.edits and option.initialises):
                raise ParamInspectError(f"{option.text} has no meaning where no values are asked for", hint=_VALUES)
        for name in ("strip_prefix", "add_prefix", "allow_mismatch"):
            if getattr(self, name) and not self.weights:
                raise ParamInspectError(f"{_OPTIONS[name].text} without --weights", hint="--weights CHECKPOINT")

    def kept_for(self, kind: Kind, kinds: Iterable[Kind]) -> Asked:
        """The same without what has no meaning for one source of a run, but has for another.

        Args:
            kind: Of the source.
            kinds: Of all of them.
        """
        plain = Asked()
        others = [name for name in self._without_meaning(kind) if not _OPTIONS[name].kinds.isdisjoint(kinds)]
        if not others:
            return self
        kept = self._replace(**{name: getattr(plain, name) for name in others})
        return kept.kept_for(kind, kinds)  # a -D may have been that of a config

    def _without_meaning(self, kind: Kind) -> list[str]:
        """Fields that are set and mean nothing."""
        return [
            name
            for name, option in _OPTIONS.items()
            if getattr(self, name)
            and kind not in option.kinds
            and not (self.edits and option.initialises)
            and not (name == "define" and self.config)  # which has variables too, and says which
        ]


class _Option(NamedTuple):
    """An option.

    Attributes:
        kinds: Of source that take it.
        hints: What to do instead for others.
        initialises: Whether every kind takes it where rules may change what is there.
        idle: What may be asked for without its having an effect.
    """

    text: str
    kinds: frozenset[Kind]
    hints: Mapping[Kind, str] = {}
    initialises: bool = False
    idle: frozenset[Want] = frozenset()


_HINT: Final = "it belongs to a spec or a factory"
_SPEC: Final[frozenset[Kind]] = frozenset({"spec"})
_BUILT: Final[frozenset[Kind]] = frozenset({"spec", "factory"})
_LIVE: Final[frozenset[Kind]] = frozenset({"spec", "factory", "module"})
_VALUES: Final = "values are read by check --deep, shared --equal, and diff without --only"
_NO_VALUES: Final[frozenset[Want]] = frozenset({"names", "pass", "plan"})
_NAMES: Final[frozenset[Want]] = frozenset({"names", "pass"})
_EDITED: Final[Mapping[Kind, str]] = {"checkpoint": "paraminspect init -o FILE writes one"}
_NO_FORWARD: Final[Mapping[Kind, str]] = {"checkpoint": "it has tensors and no forward: name a spec or a factory"}

_OPTIONS: Final[Mapping[str, _Option]] = {
    "define": _Option("-D", _SPEC, {"factory": "--arg key=value"}),
    "modules_file": _Option("--modules-file", _SPEC, {"factory": "its own code imports what it needs"}),
    "arguments": _Option("--arg", frozenset({"factory"}), {"spec": "-D name=value"}),
    "weights": _Option("--weights", _BUILT),
    "strip_prefix": _Option("--strip-prefix", _BUILT),
    "add_prefix": _Option("--add-prefix", _BUILT),
    "allow_mismatch": _Option("--allow-mismatch", _BUILT),
    "rules": _Option("--rule", _LIVE, _EDITED, initialises=True, idle=_NO_VALUES),
    "config": _Option("--config", _LIVE, _EDITED, initialises=True, idle=_NO_VALUES),
    "rules_file": _Option("--rules-file", _LIVE, _EDITED, initialises=True, idle=_NO_VALUES),
    "seed": _Option("--seed", _LIVE, initialises=True, idle=_NO_VALUES),
    "inputs": _Option("--input", _BUILT, _NO_FORWARD),
    "no_init": _Option("--no-init", _LIVE, idle=_NAMES),  # without values, rules are still planned
}
"""Field -> the option that sets it, the kinds of source that take it, and what to do instead for others."""

Definitions = dict[str, str | int | float | bool]


def parse_definitions(texts: Sequence[str]) -> Definitions:
    """`name=value` texts.

    Raises:
        ParamInspectError: No `=`, or a name twice.
    """
    variables: Definitions = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ParamInspectError(f"-D {text!r}; expected name=value", hint="-D dim=128")
        if name.strip() in variables:
            raise ParamInspectError(f"-D {name.strip()} is given twice")
        variables[name.strip()] = value
    return variables
