"""What was asked of a source, as data; and which of it has a meaning for what kind of source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from paraminspect.errors import ParamInspectError, SourceError

Kind = Literal["spec", "factory", "module", "checkpoint"]
"""A `module` is an `nn.Module` in memory; a `checkpoint` is all that holds tensors: files, folders, URLs."""

Want = Literal["names", "plan", "values", "memory"]
"""Names and shapes; these, and what rules would do; the values of one tensor after the other; a model that can run."""


@dataclass(frozen=True, slots=True)
class Asked:
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

    def refuse(self, *kinds: Kind) -> None:
        """Refuse options that have no meaning for any of these kinds.

        Raises:
            SourceError: One is set.
        """
        for name, option in _OPTIONS.items():
            takes = option.kinds | {"checkpoint"} if self.edits and option.initialises else option.kinds
            if name == "define" and self.config:
                continue  # a config has variables too, and says which
            if getattr(self, name) and takes.isdisjoint(kinds):
                article = {"module": "a model in memory"}.get(kinds[0], f"a {kinds[0]}")
                hint = option.hints.get(kinds[0], _HINT)
                raise SourceError(f"{option.text} has no meaning for {article}", hint=hint)
        for name in ("strip_prefix", "add_prefix", "allow_mismatch"):
            if getattr(self, name) and not self.weights:
                raise ParamInspectError(f"{_OPTIONS[name].text} without --weights", hint="--weights CHECKPOINT")

    def kept_for(self, kind: Kind) -> Asked:
        """The same without the options that have no meaning for this kind, where another source takes them."""
        from dataclasses import replace

        plain = Asked()
        others = {name: getattr(plain, name) for name, option in _OPTIONS.items() if kind not in option.kinds}
        return replace(self, **others)


class _Option(NamedTuple):
    text: str
    kinds: frozenset[Kind]
    hints: Mapping[Kind, str] = {}
    initialises: bool = False


_HINT: Final = "it belongs to a spec or a factory"
_SPEC: Final[frozenset[Kind]] = frozenset({"spec"})
_BUILT: Final[frozenset[Kind]] = frozenset({"spec", "factory"})
_LIVE: Final[frozenset[Kind]] = frozenset({"spec", "factory", "module"})
_EDITED: Final[Mapping[Kind, str]] = {"checkpoint": "paraminspect init -o FILE writes one"}

_OPTIONS: Final[Mapping[str, _Option]] = {
    "define": _Option("-D", _SPEC, {"factory": "--arg key=value"}),
    "modules_file": _Option("--modules-file", _SPEC, {"factory": "its own code imports what it needs"}),
    "arguments": _Option("--arg", frozenset({"factory"}), {"spec": "-D name=value"}),
    "weights": _Option("--weights", _BUILT),
    "strip_prefix": _Option("--strip-prefix", _BUILT),
    "add_prefix": _Option("--add-prefix", _BUILT),
    "allow_mismatch": _Option("--allow-mismatch", _BUILT),
    "rules": _Option("--rule", _LIVE, _EDITED, initialises=True),
    "config": _Option("--config", _LIVE, _EDITED, initialises=True),
    "rules_file": _Option("--rules-file", _LIVE, _EDITED, initialises=True),
    "seed": _Option("--seed", _LIVE, initialises=True),
    "no_init": _Option("--no-init", _LIVE, initialises=True),
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
