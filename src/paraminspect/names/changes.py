"""What has changed between two checkpoints as far as their headers tell: names, shapes, types, ties; renamed names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from paraminspect.errors import SelectionError
from paraminspect.names.listing import without_parts
from paraminspect.records import TensorRecord
from paraminspect.text import shape_text
from paraminspect.tied.shared_bytes import find_canonical
from paraminspect.tuples import NamedTuple

ChangeKind = Literal["added", "removed", "shape", "dtype", "values", "tie"]

MAX_MAP: Final = 400
"""Characters of one `--map`."""

MAX_SUGGESTED_MAPS: Final = 3
"""Pairs of prefixes that are suggested."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two checkpoints.

    Attributes:
        name: Of the tensor, as `maps` make it.
        change: What is different. A tensor may have several changes.
        before: What it was: shape, type, or whose alias; of values, their norm and how many are not finite.
        after: What it is.
        max_abs: Largest absolute difference, NaN where a value became NaN or was; None where values were not compared.
        relative: Norm of the difference, relative to the norm before; NaN as `max_abs`, None where that norm is 0.
        cosine: Of the angle between before and after; NaN as `max_abs`, None where one of them is 0.
        nan_changed: Values that are NaN on one side only; None where values were not compared.
    """

    name: str
    change: ChangeKind
    before: str = ""
    after: str = ""
    max_abs: float | None = None
    relative: float | None = None
    cosine: float | None = None
    nan_changed: int | None = None


class Pair(NamedTuple):
    """The same tensor on both sides."""

    name: str
    before: TensorRecord
    after: TensorRecord


class Comparison(NamedTuple):
    """Two checkpoints, name by name.

    Attributes:
        changes: Of names, shapes, types and ties, in the order of the first one, then of the second.
        pairs: Tensors of both that have one shape, in the order of the first; without other names of them on both sides.
        removed: Only in the first, by name.
        added: Only in the second.
    """

    changes: list[Change]
    pairs: list[Pair]
    removed: dict[str, TensorRecord]
    added: dict[str, TensorRecord]


def parse_map(text: str, option: str = "--map") -> tuple[re.Pattern[str], str]:
    """`FROM=TO`: a glob, and what its names become; each `*` of TO stands for what that of FROM matched.

    Args:
        option: What errors call it.

    Raises:
        SelectionError: No `=`, or more `*` in TO than in FROM.

    Example:
        >>> pattern, template = parse_map("module.*=*")
        >>> pattern.sub(template, "module.fc.weight")
        'fc.weight'
    """
    old, equals, new = text.partition("=")
    if not equals or not old or len(text) > MAX_MAP:
        raise SelectionError(f"{option} {text[:MAX_MAP]!r}; expected FROM=TO", hint=f"{option} 'module.*=*'")
    stars = new.count("*")
    if stars > old.count("*"):
        raise SelectionError(f"{option} {text!r} has more * behind the = than before it", hint=f"{option} 'module.*=*'")
    # all but the last * match as little as they can, so that the time stays small
    parts = [re.escape(part) for part in re.split(r"\*+", old)]
    pattern = re.compile(r"\A" + "(.*?)".join(parts) + r"\Z", re.DOTALL)
    pieces = iter(range(1, stars + 1))
    template = "".join(
        rf"\g<{next(pieces)}>" if part == "*" else part.replace("\\", r"\\") for part in re.split(r"(\*)", new)
    )
    return pattern, template


def rename_records(records: Sequence[TensorRecord], maps: Sequence[str], option: str = "--map") -> list[str]:
    """For each record the name that the first map that matches gives it.

    Args:
        records: In any order.
        maps: `FROM=TO`.
        option: What errors call them.

    Raises:
        SelectionError: A map cannot be parsed, or makes one name of two.
    """
    parsed = [parse_map(text, option) for text in maps]
    old_names: dict[str, str] = {}
    names = []
    for record in records:
        name = record.name
        for pattern, template in parsed:
            if pattern.match(name):
                name = pattern.sub(template, name)
                break
        if old_names.setdefault(name, record.name) != record.name:
            raise SelectionError(
                f"{option} makes {name!r} of both {old_names[name]!r} and {record.name!r}",
                hint="name more of the prefix on the left of the =",
            )
        names.append(name)
    return names


def rename(records: Sequence[TensorRecord], maps: Sequence[str]) -> dict[str, TensorRecord]:
    """Records by the names that `--map` gives them; of two equal names in a file the last one.

    Quantised weights are the tensors that they stand for, without the parts that these are made of.

    Raises:
        SelectionError: As `rename_records`.
    """
    meant = [_as_compared(each) for each in without_parts(records, records)]
    return dict(zip(rename_records(meant, maps), meant, strict=True))


def both_stored(
    before: Sequence[TensorRecord], after: Sequence[TensorRecord]
) -> tuple[list[TensorRecord], list[TensorRecord]]:
    """Both sides, with a quantised weight as it is stored where the other side has the same and is not told what it is.

    A copy may lack the configuration that tells it.
    """
    return _stored_as_in(after, before), _stored_as_in(before, after)


def _stored_as_in(others: Sequence[TensorRecord], records: Sequence[TensorRecord]) -> list[TensorRecord]:
    if all(record.logical is None for record in records):
        return list(records)
    there = {each.name: (each.dtype, each.shape) for each in others if each.logical is None and each.role != "part"}
    stored = {
        part.name
        for record in records
        if record.logical is not None
        and all(there.get(part.name) == (part.dtype, part.shape) for _, part in record.logical.parts)
        for _, part in record.logical.parts
    }
    return [record.as_stored._replace(role="model") if record.name in stored else record for record in records]


def _as_compared(record: TensorRecord) -> TensorRecord:
    """What a quantised weight stands for; its type is how it is packed, which is a difference too."""
    return record if record.logical is None else record.as_meant._replace(dtype=record.logical.label)


def compare_headers(
    before: Mapping[str, TensorRecord], after: Mapping[str, TensorRecord], *, names_only: bool = False
) -> Comparison:
    """What headers say of two checkpoints.

    Args:
        before: By name.
        after: The same.
        names_only: Only what was added and removed.
    """
    changes: list[Change] = []
    pairs: list[Pair] = []
    common = [name for name in before if name in after]
    old_aliases, new_aliases = ({} if names_only else _aliases(side, common) for side in (before, after))
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            changes.append(Change(name, "removed", before=describe(old)))
            continue
        whose = old_aliases.get(name, ""), new_aliases.get(name, "")
        if whose[0] and whose[0] == whose[1] and old.dtype == new.dtype:
            continue
        if old.shape == new.shape and old.numel == new.numel:
            pairs.append(Pair(name, old, new))
        elif not names_only:
            changes.append(Change(name, "shape", _shape_of(old), _shape_of(new)))
        if old.dtype != new.dtype and not names_only:
            changes.append(Change(name, "dtype", old.dtype, new.dtype))
        if whose[0] != whose[1]:
            changes.append(Change(name, "tie", *whose))
    changes += [Change(name, "added", after=describe(new)) for name, new in after.items() if name not in before]
    removed = {name: record for name, record in before.items() if name not in after}
    added = {name: record for name, record in after.items() if name not in before}
    return Comparison(changes, pairs, removed, added)


def describe(record: TensorRecord) -> str:
    """Type and shape: "float32 [3,4]"."""
    return f"{record.dtype} {_shape_of(record)}"


def _shape_of(record: TensorRecord) -> str:
    """As tables have it: "[3,4]"."""
    return "ragged" if record.shape is None else shape_text(record.shape)


def find_renamed(
    removed: Mapping[str, TensorRecord],
    added: Mapping[str, TensorRecord],
    digest: Callable[[Literal["removed", "added"], TensorRecord], bytes | None],
) -> list[tuple[str, str]]:
    """Pairs of a removed and an added name that hold the same bytes.

    Args:
        removed: By name.
        added: The same.
        digest: Of the values of a tensor; None where they cannot be read. Asked only where type and shape occur on
            both sides.
    """
    shapes = {describe(record) for record in removed.values()} & {describe(record) for record in added.values()}
    by_digest: dict[tuple[str, bytes], list[str]] = {}
    for name, record in removed.items():
        if describe(record) in shapes and record.numel and (found := digest("removed", record)) is not None:
            by_digest.setdefault((describe(record), found), []).append(name)
    pairs = []
    for name, record in added.items():
        if describe(record) in shapes and record.numel and (found := digest("added", record)) is not None:
            names = by_digest.get((describe(record), found))
            if names:
                likeliest = max(names, key=lambda old: _common_ending(old, name))
                names.remove(likeliest)
                pairs.append((likeliest, name))
    return pairs


def suggest_maps(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What `--map` would make the first name of each pair the second, the most frequent first."""
    counts: dict[str, int] = {}
    for old, new in pairs:
        common = _common_ending(old, new)
        if common:
            head, tail = old[: len(old) - common], new[: len(new) - common]
            counts[f"{head}*={tail}*"] = counts.get(f"{head}*={tail}*", 0) + 1
        else:
            counts[f"{old}={new}"] = 1
    return sorted(counts, key=lambda text: -counts[text])[:MAX_SUGGESTED_MAPS]


def _common_ending(one: str, other: str) -> int:
    """Characters of the longest common ending that is made of whole components."""
    mine, others = one.split("."), other.split(".")
    count = 0
    while count < min(len(mine), len(others)) and mine[-1 - count] == others[-1 - count]:
        count += 1
    return len(".".join(mine[len(mine) - count :])) if count else 0


def _aliases(side: Mapping[str, TensorRecord], names: Sequence[str]) -> dict[str, str]:
    """Of names that have another one among `names`: the first of these."""
    found = find_canonical([side[name] for name in names])
    return {names[place]: names[first] for place, first in enumerate(found) if first is not None}
