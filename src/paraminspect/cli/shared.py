"""`paraminspect shared`: ties of each source, contents across all of them, and whether what is expected holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from paraminspect.cli.chosen import describe_hidden
from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import open_each, prefixed
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.errors import ParamInspectError
from paraminspect.files.door import raise_broken
from paraminspect.models.asked import Asked
from paraminspect.names.listing import count_hidden, is_shown
from paraminspect.records import Checkpoint, TieGroup
from paraminspect.render.columns import GROUPS
from paraminspect.render.rows import Rows, merge_rows
from paraminspect.sharing.expect import STDIN, Names, find_broken, read_expected
from paraminspect.sharing.find import (
    Found,
    Source,
    choose,
    distinct,
    find_equal_in,
    find_in,
    group_names,
    is_stored_apart,
    note_ties,
    open_stored,
)
from paraminspect.text import format_bytes

UNMET = 1
"""Exit status when an expectation does not hold."""

MAX_NOTED = 5
"""Places and broken expectations that are said one by one."""


MAX_ALIASES = 20
"""Lines of a table that one group may take."""


class SharedOptions(NamedTuple):
    """What is asked for: the values of --equal, --expect, --expect-file, --expect-none, --all and --columns."""

    equal: bool = False
    expect: tuple[str, ...] = ()
    expect_file: str = ""
    expect_none: bool = False
    everything: bool = False
    columns: tuple[str, ...] = ()


class _Opened(NamedTuple):
    checkpoint: Checkpoint
    source: Source
    found: Found


def show_shared(sources: Sequence[str], asked: Asked, how: SharedOptions, output: Output) -> int:
    """Show the groups of all sources; returns the exit status.

    Raises:
        ParamInspectError: Options that exclude each other, or a file of expectations that cannot be read.
    """
    if how.expect_none and (how.expect or how.expect_file):
        raise ParamInspectError("--expect-none and --expect exclude each other")
    if how.expect_file == STDIN and STDIN in sources:
        raise ParamInspectError("standard input cannot be both a source and --expect-file")
    expected = read_expected(how.expect, how.expect_file)
    opened = _open_all(sources, asked, how, output)
    equal = _compare(opened, output) if how.equal and opened else []
    parts = []
    for number, each in enumerate(opened):
        first = [group for group in equal if number == (group.sources or (0,))[0]]
        shown = sorted([*each.found.groups, *first], key=lambda group: group.indices[0])
        broken = _find_broken(each, [*each.found.groups, *_within(equal, number)], expected)
        if how.expect_none and shown:
            broken.append(f"no ties were expected, but there {'are' if len(shown) > 1 else 'is'} {len(shown):,}")
        _complain([prefixed(text, each.checkpoint.source, sources) for text in broken], output)
        parts.append(_rows(each, shown, opened))
    _write(parts, sources, how.columns, output)
    output.finish()
    return output.status


def _open_all(sources: Sequence[str], asked: Asked, how: SharedOptions, output: Output) -> list[_Opened]:
    opened = []
    for model in open_each(sources, asked, output):
        checkpoint, live = model.checkpoint, model.live
        try:
            if live is None:
                source = open_stored(checkpoint, everything=how.everything)
            else:
                source = Source(choose(checkpoint.tensors, everything=how.everything))
                if how.equal:
                    from paraminspect.live.build.arrays import LiveContents

                    source = source._replace(contents=LiveContents(model.tensor))
            found = find_in(source)
        except ParamInspectError as error:
            output.error(with_source(error, checkpoint.source))
            continue
        notes = [*found.notes, note_ties(checkpoint)]
        if len(source.records) < len(checkpoint.tensors):
            notes.append(describe_hidden(count_hidden(checkpoint.tensors)))
        if not found.groups and not how.equal and is_stored_apart(checkpoint):
            notes.append(f"{checkpoint.format} stores every tensor apart; --equal compares contents")
        if live is not None and live.plan is not None and not found.groups:
            notes += [
                f"{checkpoint.source}:{mark.line}:{mark.column}: a YAML alias is a copy of its layer, not the layer "
                "itself; define it once under shared: and write {use: NAME}"
                for mark in live.plan.aliases[:MAX_NOTED]
            ]
        for note in filter(None, notes):
            output.note(prefixed(note, checkpoint.source, sources))
        opened.append(_Opened(checkpoint, source, found))
    return opened


def _compare(opened: Sequence[_Opened], output: Output) -> list[TieGroup]:
    """Groups of equal content, and what is to be said of each further source as a whole."""
    with Progress(output, "comparing") as progress:
        found = find_equal_in([each.source for each in opened], [each.found for each in opened], progress)
    for note in found.notes:
        output.note(note)
    for each in opened:
        try:
            raise_broken(each.checkpoint.files)
        except ParamInspectError as error:  # what it kept from being read was said as a note
            output.error(with_source(error, each.checkpoint.source))
    for number, each in enumerate(opened[1:], 1):
        same = [
            record
            for group in found.groups
            if group.sources and group.sources[0] == 0
            for place, index in zip(group.sources, group.indices, strict=True)
            if place == number and (record := each.source.records[index])
        ]
        output.note(
            f"{len(same):,} of {len(distinct(each.source, each.found)):,} tensors of {each.checkpoint.source} are byte-identical to "
            f"tensors of {opened[0].checkpoint.source} ({format_bytes(sum(record.nbytes or 0 for record in same))})"
        )
    return found.groups


def _within(equal: Sequence[TieGroup], number: int) -> list[TieGroup]:
    """The groups as far as they lie in one source."""
    parts = []
    for group in equal:
        sources = group.sources or (number,) * len(group.indices)
        indices = tuple(index for place, index in zip(sources, group.indices, strict=True) if place == number)
        parts.append(group._replace(indices=indices))
    return [part for part in parts if len(part.indices) > 1]


def _find_broken(each: _Opened, groups: Sequence[TieGroup], expected: Sequence[Names]) -> list[str]:
    names = {record.name for record in each.source.records}
    hidden = {record.name for record in each.checkpoint.tensors if not is_shown(record)}
    return find_broken(expected, names, group_names(each.source.records, groups), hidden)


def _complain(broken: Sequence[str], output: Output) -> None:
    if not broken:
        return
    output.status = max(output.status, UNMET)
    for text in broken[:MAX_NOTED]:
        output.note(text)
    if len(broken) > MAX_NOTED:
        output.note(f"{len(broken) - MAX_NOTED:,} more expectations do not hold")


def _rows(each: _Opened, groups: Sequence[TieGroup], opened: Sequence[_Opened]) -> Rows:
    values = [_row(group, opened) for group in groups]
    totals = {
        "groups": len(groups),
        "aliases": sum(len(group.names) - 1 for group in groups),
        "saved": _add(group.saved for group in groups),
    }
    head = {"source": each.checkpoint.source, "format": each.checkpoint.format}
    return Rows("groups", GROUPS, values, head, {"totals": totals}, _describe(totals))


def _row(group: TieGroup, opened: Sequence[_Opened]) -> tuple[Any, ...]:
    """A group's columns; a name in another source than the first one's says which."""
    name, *aliases = group.names
    if group.sources:
        aliases = [
            alias if number == group.sources[0] else f"{opened[number].checkpoint.source}:{alias}"
            for alias, number in zip(aliases, group.sources[1:], strict=True)
        ]
    return group.kind, name, tuple(aliases), group.shape, group.dtype, group.nbytes, group.saved


def _one_alias_a_line(rows: Rows) -> Rows:
    """The rows of a table in which each alias has a line, since they rarely fit on one."""
    at = next((index for index, column in enumerate(rows.columns) if column.name == "aliases"), None)
    if at is None:
        return rows
    nothing = (None,) * len(rows.columns)
    values = []
    for row in rows.values:
        more = len(row[at]) - MAX_ALIASES
        aliases = [*row[at][:MAX_ALIASES], f"and {more:,} more"] if more > 1 else row[at]
        for number, alias in enumerate(aliases):
            line = nothing if number else row
            values.append((*line[:at], (alias,), *line[at + 1 :]))
    return rows._replace(values=values)


def _add(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)


def _describe(totals: Mapping[str, int | None]) -> str:
    """The closing line: "1 group, 1 alias, 147 MiB saved"."""
    groups, aliases, saved = totals["groups"] or 0, totals["aliases"] or 0, totals["saved"]
    if not groups:
        return "no ties"
    size = "size not known" if saved is None else f"{format_bytes(saved)} saved"
    return f"{groups:,} group{'s' * (groups > 1)}, {aliases:,} alias{'es' * (aliases > 1)}, {size}"


def _write(parts: Sequence[Rows], sources: Sequence[str], columns: Sequence[str], output: Output) -> None:
    if not parts:
        return
    several = len(sources) > 1
    if several or "source" in columns:
        parts = [part.with_source(str(part.head["source"])) for part in parts]
    rows = parts[0]
    if several:
        totals = {key: _add(part.tail["totals"][key] for part in parts) for key in rows.tail["totals"]}
        rows = merge_rows(parts, {"totals": totals}, _describe(totals))
    rows = output.pick(rows, columns)
    output.write_rows(_one_alias_a_line(rows) if output.format == "table" else rows)
