"""Opening what the user named, and saying what there is to say of it: one bad source does not keep others from being shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from paraminspect.cli.explain import with_source
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Waiting
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import base_name, shown
from paraminspect.models.asked import Asked, Kind
from paraminspect.models.open import MisfitError, Opened, RefusedError, UnmatchedError, open_model
from paraminspect.models.recognise import recognise
from paraminspect.records import Checkpoint
from paraminspect.render.rows import Column, Rows

REFUSED = 1
"""Exit status when weights do not fit the model, or a rule matches nothing."""

MAX_MISMATCHES = 60
"""Rows of the table of what does not fit."""

MISMATCHES = (
    Column("name", "name"),
    Column("problem"),
    Column("expected", "shape"),
    Column("found", "shape"),
    Column("note", dull=""),
)


def open_one(source: str, asked: Asked, output: Output, kinds: Collection[Kind] = ()) -> Opened | None:
    """Open a source; None if that was refused, which has then been said.

    Args:
        source: As the user typed it.
        asked: What for, and how.
        output: Takes what is to be said, but for the notes of the checkpoint.
        kinds: Of all sources of the run, of which one at least takes each option.

    Raises:
        ParamInspectError: It cannot be read or built.
    """
    found = recognise(source)
    what = "reading headers" if found.kind == "checkpoint" else "building the model"
    try:
        with Waiting(output, what):
            model = open_model(source, asked.kept_for(found.kind, kinds), found)
    except RefusedError as error:
        _tell(error, output)
        return None
    for note in model.notes:
        output.note(note)
    return model


def open_each(sources: Sequence[str], asked: Asked, output: Output) -> Iterator[Opened]:
    """Open one source after the other. Errors go to `output`; notes of a checkpoint are said at the end.

    Args:
        sources: What the user typed.
        asked: What for, and how.
        output: Takes errors and notes.
    """
    kinds = find_kinds(sources, asked)
    for source in sources:
        try:
            model = open_one(source, asked, output, kinds)
        except Exception as error:
            output.error(with_source(error, source))
            continue
        if model is not None:
            _note(model, source, sources, asked, output)
            yield model


Given = tuple[str | Checkpoint, str]
"""A source, or what is known of one already, and what messages call it."""


def open_pair(given: tuple[Given, Given], asked: Asked, output: Output) -> tuple[Opened, Opened] | None:
    """Open two sources; None if one was refused, which has then been said.

    Args:
        given: What the user typed, mostly.
        asked: What for, and how.
        output: Takes notes.

    Raises:
        ParamInspectError: One cannot be read or built.
    """
    models: list[Opened] = []
    kinds = find_kinds([source for source, _ in given if isinstance(source, str)], asked)
    titles = [title for _, title in given]
    for source, title in given:
        try:
            if isinstance(source, Checkpoint):
                models.append(open_model(source))
                continue
            model = open_one(source, asked, output, kinds)
        except Exception as error:
            raise with_source(error, title) from None
        if model is None:
            return None
        _note(model, title, titles, asked, output)
        models.append(model)
    return models[0], models[1]


def find_kinds(sources: Sequence[str], asked: Asked) -> frozenset[Kind]:
    """What the sources of a run are, as far as that can matter to an option and can be told."""
    kinds = set()
    for source in sources if len(sources) > 1 and asked != Asked(asked.want) else ():
        with suppress(ParamInspectError):
            kinds.add(recognise(source).kind)
    return frozenset(kinds)


def _note(model: Opened, source: str, sources: Sequence[str], asked: Asked, output: Output) -> None:
    note_unloaded(model, asked, output)
    for note in model.checkpoint.notes:
        output.note(prefixed(note, source, sources))


def note_unloaded(model: Opened, asked: Asked, output: Output) -> None:
    """A remark on values that are not those of --weights."""
    if asked.want not in ("names", "pass") and model.unloaded:
        count = len(model.unloaded)
        output.note(f"{count:,} tensors are not loaded from {model.weights}: they have their initial values")


def prefixed(text: str, source: str, sources: Sequence[str]) -> str:
    """A remark on one source, which it names where there are several."""
    return f"{source}: {text}" if len(sources) > 1 else text


def _tell(error: RefusedError, output: Output) -> None:
    output.status = max(output.status, REFUSED)
    for note in error.notes:
        output.note(note)
    if isinstance(error, UnmatchedError):
        for note in error.plan.complaints():
            output.note(note)
    if isinstance(error, MisfitError):
        report = error.report
        values = [(each.name, each.problem, each.expected, each.found, each.note or None) for each in report.mismatches]
        more = len(values) - MAX_MISMATCHES
        closing = f"and {more:,} more" if more > 0 else ""
        output.report(Rows("mismatches", MISMATCHES, values[:MAX_MISMATCHES], closing=closing))
        output.note(f"{error.weights} does not fit: {report.describe()}; --allow-mismatch goes on with what does")
        if error.hint:
            output.note(error.hint)


def title(source: str) -> str:
    """What the first line of a screen calls a source: the last part of a path."""
    return "standard input" if source == "-" else base_name(source.rstrip("/")) or shown(source)
