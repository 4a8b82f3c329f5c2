"""`paraminspect shared`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.explain import with_source
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.render.columns import GROUPS
from paraminspect.render.rows import SOURCE

if TYPE_CHECKING:
    from paraminspect.models.asked import Asked
    from paraminspect.records import TieGroup
    from paraminspect.sharing.search import Searched

UNMET: Final = 1
"""Exit status when an expectation does not hold."""

MAX_NOTED: Final = 5
"""Expectations that do not hold and are said one by one."""

Equal = Annotated[bool, Option("--equal", help="Compare contents too: tensors that are stored apart but identical.")]
Expect = Annotated[
    tuple[str, ...],
    Option("--expect", metavar="A,B,..", help="Exit 1 unless these names are one tensor. Repeatable."),
    Is("names"),
]
ExpectFile = Annotated[
    str,
    Option(
        "--expect-file",
        metavar="FILE",
        help="The same, one group a line, or the JSON of this command; - is standard input.",
    ),
    Is("file"),
]
ExpectNone = Annotated[bool, Option("--expect-none", help="Exit 1 if there is any group.")]


@declare(
    Table(GROUPS),
    examples="""
paraminspect shared model.pt --expect wte.weight,lm_head.weight
paraminspect shared a.pt -f json | paraminspect shared b.pt --expect-file -
""",
    often="expect expect_none equal everything columns format",
    status="0, 1 if an expectation fails or --weights do not fit, 2 after an error.",
    names="parameters",
)
def command(
    source: options.Sources,
    *,
    equal: Equal = False,
    expect: Expect = (),
    expect_file: ExpectFile = "",
    expect_none: ExpectNone = False,
    everything: options.All = False,
    engine: options.EngineName = "local",
    rows: options.Rows,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Show which names are one tensor.

    The kind says how: module (one module under several paths), parameter (one Parameter of several modules), alias
    (the same bytes, shape and stride), view (the same bytes in another shape or stride), overlap (some bytes),
    declared (the file says so: metadata of safetensors, config.json), equal (only with --equal: stored apart, the same
    content; constants are left out). With --equal, several sources are compared with each other.
    """
    from paraminspect.cli.opened import prefixed
    from paraminspect.sharing.expect import STDIN, read_expected
    from paraminspect.sharing.search import find_unmet, within
    from paraminspect.sharing.tabled import group_rows, merge_groups, one_alias_a_line

    columns = rows.choose((*GROUPS, SOURCE))
    out = output.open(rows.header)
    if expect_none and (expect or expect_file):
        raise ParamInspectError("--expect-none and --expect exclude each other")
    if engine != "local" and not equal:
        raise ParamInspectError(
            "--engine has nothing to read: ties are in the headers", hint="--equal compares contents"
        )
    if expect_file == STDIN and STDIN in source:
        raise ParamInspectError("standard input cannot be both a source and --expect-file")
    expected = read_expected(expect, expect_file)
    asked = options.asked("values" if equal else "names", build, rules)
    searched = _search_all(source, asked, out, everything=everything, equal=equal)
    same = _compare(searched, engine, out) if equal and searched else []
    parts = []
    for number, each in enumerate(searched):
        first = [group for group in same if number == (group.sources or (0,))[0]]
        shown = sorted([*each.found.groups, *first], key=lambda group: group.indices[0])
        unmet = find_unmet(each, [*each.found.groups, *within(same, number)], expected)
        if expect_none and shown:
            unmet.append(f"no ties were expected, but there {'are' if len(shown) > 1 else 'is'} {len(shown):,}")
        if unmet:
            out.status = max(out.status, UNMET)
        out.notes(prefixed(text, each.checkpoint.source, source) for text in unmet[:MAX_NOTED])
        out.notes([f"{len(unmet) - MAX_NOTED:,} more expectations do not hold"] if len(unmet) > MAX_NOTED else [])
        parts.append(group_rows(each, shown, searched))
    if parts:
        merged = out.pick(merge_groups(parts, several=len(source) > 1, named="source" in columns), columns)
        out.write_rows(one_alias_a_line(merged) if out.format == "table" else merged)
    out.finish()
    return out.status


def _search_all(
    sources: Sequence[str], asked: Asked, output: Output, *, everything: bool, equal: bool
) -> list[Searched]:
    from paraminspect.cli.chosen import describe_hidden
    from paraminspect.cli.opened import open_each, prefixed
    from paraminspect.names.listing import count_hidden
    from paraminspect.sharing.search import search

    searched = []
    for model in open_each(sources, asked, output):
        records = model.checkpoint.tensors
        try:
            found, notes = search(model, everything=everything, equal=equal)
        except ParamInspectError as error:
            output.error(with_source(error, model.checkpoint.source))
            continue
        if len(found.source.records) < len(records):
            notes.append(describe_hidden(count_hidden(records)))
        output.notes(prefixed(note, model.checkpoint.source, sources) for note in notes)
        searched.append(found)
    return searched


def _compare(searched: Sequence[Searched], engine: str, output: Output) -> list[TieGroup]:
    from paraminspect.cli.progress import Progress
    from paraminspect.engines import open_engine
    from paraminspect.files.door import raise_broken
    from paraminspect.sharing.search import compare

    with Progress(output, "comparing") as progress, open_engine(engine) as readers:
        found = compare(searched, progress, readers)
    output.notes(found.notes)
    for each in searched:
        try:
            raise_broken(each.checkpoint.files)
        except ParamInspectError as error:  # what it kept from being read was said as a note
            output.error(with_source(error, each.checkpoint.source))
    return found.groups
