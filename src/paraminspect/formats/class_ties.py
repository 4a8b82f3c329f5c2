"""Ties that a Hugging Face `config.json` declares: by the class of its model and its `tie_word_embeddings`.

The config names no tensors. Which names a class ties is in `tied_names`, made of transformers itself, and so is whether it
does where the config says nothing, which is mostly so: defaults are left out of the file. The class is the first of
`architectures`; of a class that is not in the table nothing is said.

Versions of transformers differ. A name that is not stored is tied if any of them ties it, since only a model of such a version
was saved without it. Of two that are stored, the one is declared to be the other only if all versions say so.

Source: `PreTrainedModel.tie_weights` and `_tied_weights_keys` of transformers 4 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Final

from paraminspect.formats.tied_names import TIES
from paraminspect.records import Declaration
from paraminspect.tuples import NamedTuple

TIE_KEY: Final = "tie_word_embeddings"
TOP: Final = "."
"""In a rule, the config itself, not a part of it."""

OLD: Final = "old"
"""Behind the rules of a pair that the last version does not tie."""

ORIGIN: Final = "config.json"


class Rule(NamedTuple):
    """What one version of transformers does.

    Attributes:
        by_default: Whether it ties where the config does not say.
        parts: Dotted paths in the config whose TIE_KEY changes that, each set of them together; none if nothing does.
    """

    by_default: bool
    parts: tuple[tuple[str, ...], ...]


class Pair(NamedTuple):
    """Two names of a class.

    Attributes:
        alias: The name that is given up.
        source: The name that is kept, mostly of the input embedding.
        rules: Of the versions that tie them, under some config.
        is_old: Whether the last version that has the class does not: then it may not have both names.
    """

    alias: str
    source: str
    rules: tuple[Rule, ...]
    is_old: bool = False


def find_pairs(name: str) -> tuple[str, list[Pair]]:
    """What a class ties, as the table has it: the name of its base model, and the pairs.

    Args:
        name: Of the class.
    """
    if not re.fullmatch(r"\w+", name):
        return "", []
    for row, classes in TIES.items():
        if name in classes and name in classes.split():
            return _parse(row)
    return "", []


def _parse(row: str) -> tuple[str, list[Pair]]:
    prefix, _, rest = row.removeprefix("[").partition("] ")
    pairs = []
    for each in rest.split(", "):
        names, *rules = each.split(" ")
        alias, _, source = names.partition("=")
        is_old = rules[-1] == OLD
        parsed = tuple(_parse_rule(rule) for rule in (rules[:-1] if is_old else rules))
        pairs.append(Pair(alias, source, parsed, is_old))
    return prefix, pairs


def _parse_rule(text: str) -> Rule:
    return Rule(text[0] == "+", tuple(tuple(part.split("&")) for part in text[1:].split(",") if part))


def declared_by_config(config: Mapping[str, object], names: Set[str]) -> list[Declaration]:
    """Ties that a config declares between the names of its model, stored or not.

    Args:
        names: That are stored.
    """
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    prefix, pairs = find_pairs(first.removeprefix("FSDP")) if isinstance(first, str) else ("", [])
    if not pairs:
        return []
    pairs = [_without_prefix(pair, prefix, names) for pair in pairs]
    with_source = {pair.alias for pair in pairs if pair.source in names}
    declared: dict[tuple[str, str], Declaration] = {}
    for pair in pairs:
        if pair.source in names or pair.alias not in with_source:
            found = _declare(pair, pairs, config, names)
            if found is not None and (found.name, found.alias) not in declared:
                declared.setdefault((found.alias, found.name), found)
    return list(declared.values())


def _without_prefix(pair: Pair, prefix: str, names: Set[str]) -> Pair:
    """The pair as a file of the base model has it, if that is what this is: `wte.weight` for `transformer.wte.weight`."""
    inside = pair.source.removeprefix(f"{prefix}.")
    if not prefix or inside == pair.source or pair.source in names or inside not in names:
        return pair
    return pair._replace(alias=pair.alias.removeprefix(f"{prefix}."), source=inside)


def _declare(pair: Pair, pairs: Sequence[Pair], config: Mapping[str, object], names: Set[str]) -> Declaration | None:
    held = [holds(rule, config) for rule in pair.rules]
    always = all(held) and not pair.is_old
    if pair.source in names and pair.alias in names:
        if always:
            return Declaration(pair.alias, pair.source, ORIGIN)
        says_no = any(_said(part, config) is False for rule in pair.rules for parts in rule.parts for part in parts)
        return Declaration(pair.alias, pair.source, ORIGIN, tied=False) if says_no and not any(held) else None
    if not any(held):
        return None
    if pair.source in names:
        return Declaration(pair.alias, pair.source, ORIGIN)
    return _declare_without_source(pair, pairs, names) if always else None


def _declare_without_source(pair: Pair, pairs: Sequence[Pair], names: Set[str]) -> Declaration | None:
    """Of names whose source is not stored, one that is stands for it, unless the source may have another name."""
    alike = [each for each in pairs if each.source == pair.source]
    stored = [each.alias for each in alike if each.alias in names]
    if not stored or any(each.source != pair.source for each in pairs if each.alias == stored[0]):
        return None
    alias = pair.source if pair.alias == stored[0] else pair.alias
    return Declaration(alias, stored[0], ORIGIN) if alias not in names else None


def holds(rule: Rule, config: Mapping[str, object]) -> bool:
    """Whether a version ties, told by the config: any part of it may say the contrary of the default."""
    contrary = not rule.by_default
    return rule.by_default ^ any(all(_said(part, config) is contrary for part in parts) for parts in rule.parts)


def _said(part: str, config: Mapping[str, object]) -> bool | None:
    """What a part of the config says; None if nothing."""
    inner: object = config
    for step in part.split(".") if part != TOP else ():
        inner = inner.get(step) if isinstance(inner, Mapping) else None
    value = inner.get(TIE_KEY) if isinstance(inner, Mapping) else None
    return value if isinstance(value, bool) else None
