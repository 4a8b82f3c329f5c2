"""Opening what the user named, and saying what there is to say of it: one bad source does not keep others from being shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paraminspect.cli.explain import with_source
from paraminspect.cli.output import Output
from paraminspect.models.asked import Asked
from paraminspect.models.open import MisfitError, Model, RefusedError, UnmatchedError, open_model
from paraminspect.models.recognise import Recognised, recognise
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


def open_one(source: str, asked: Asked, output: Output, found: Recognised | None = None) -> Model | None:
    """Open a source; None if that was refused, which has then been said.

    Args:
        source: As the user typed it.
        asked: What for, and how.
        output: Takes what is to be said, but for the notes of the checkpoint.
        found: What it is, if that is known already.

    Raises:
        ParamInspectError: It cannot be read or built.
    """
    try:
        model = open_model(source, asked, found)
    except RefusedError as error:
        _tell(error, output)
        return None
    for note in model.notes:
        output.note(note)
    return model


def open_each(sources: Sequence[str], asked: Asked, output: Output) -> Iterator[Model]:
    """Open one source after the other. Errors go to `output`; notes of a checkpoint are said at the end.

    Args:
        sources: What the user typed.
        asked: What for, and how.
        output: Takes errors and notes.
    """
    for source in sources:
        try:
            model = open_one(source, asked, output)
        except Exception as error:
            output.error(with_source(error, source))
            continue
        if model is None:
            continue
        note_unloaded(model, asked, output)
        for note in model.checkpoint.notes:
            output.note(prefixed(note, source, sources))
        yield model


def open_pair(sources: tuple[str, str], asked: Asked, output: Output) -> tuple[Model, Model] | None:
    """Open two sources, of which one at least takes each option; None if one was refused, which has then been said.

    Args:
        sources: What the user typed.
        asked: What for, and how.
        output: Takes notes.

    Raises:
        ParamInspectError: One cannot be read or built.
    """
    models: list[Model] = []
    source = sources[0]
    try:
        found = [recognise(source) for source in sources]
        source = sources[0]
        asked.refuse(*[each.kind for each in found])
        for source, each in zip(sources, found, strict=True):
            model = open_one(source, asked.kept_for(each.kind), output, each)
            if model is None:
                return None
            note_unloaded(model, asked, output)
            for note in model.checkpoint.notes:
                output.note(prefixed(note, source, sources))
            models.append(model)
    except Exception as error:
        raise with_source(error, source) from None
    return models[0], models[1]


def note_unloaded(model: Model, asked: Asked, output: Output) -> None:
    """A remark on values that are not those of --weights."""
    if asked.want != "names" and model.unloaded:
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
