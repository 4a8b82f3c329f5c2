"""Choosing from what was opened: the tensors that --module, --select, --exclude, --all and --aliases mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import prefixed
from paraminspect.cli.output import Output
from paraminspect.errors import ChangedError, ParamInspectError
from paraminspect.files.seen import settle
from paraminspect.models.open import Opened
from paraminspect.names.listing import Listing, make_listing, name_hidden
from paraminspect.names.missed import explain_miss
from paraminspect.names.selector import make_filter, parse_selector
from paraminspect.records import TensorRecord
from paraminspect.text import join_words
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.conversion.plan import Wanted

NOTHING_MATCHED = 1
"""Exit status when selectors leave nothing of any source, as grep has it."""


class Choice(NamedTuple):
    """What of a source is meant: the values of --module, --select, --exclude, --all and --aliases."""

    module: str = ""
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    everything: bool = False
    aliases: bool = False


def choose_from(
    models: Iterable[Opened], sources: Sequence[str], choice: Choice, output: Output
) -> Iterator[tuple[Opened, Listing]]:
    """Choose from each model as it is opened; sets `output.status` to NOTHING_MATCHED if selectors leave nothing of all."""
    keep = make_filter(choice.select, choice.exclude) if choice.select or choice.exclude else None
    matched = keep is None
    module = choice.module.rstrip(".")
    for model in models:
        checkpoint = model.checkpoint
        records = checkpoint.tensors
        try:
            listing = make_listing(
                records, module=module, keep=keep, everything=choice.everything, aliases=choice.aliases
            )
        except ParamInspectError as error:
            if not model.is_live or all(path != module for path, _ in model.outline.named()):
                output.error(with_source(error, checkpoint.source or sources[0]))
                continue
            listing = make_listing([])
            output.note(prefixed(f"{module} has no tensors", checkpoint.source, sources))
        matched = matched or bool(listing.records)
        if keep is not None and not listing.records:
            output.note(prefixed(describe_no_match(choice, listing.candidates, records), checkpoint.source, sources))
        if hidden := describe_hidden(listing.hidden):
            output.note(prefixed(hidden, checkpoint.source, sources))
        yield model, listing
        try:
            settle()
        except ChangedError as error:
            output.error(error)
    if not matched:
        output.status = max(output.status, NOTHING_MATCHED)


def describe_hidden(hidden: Mapping[str, int], done: str = "shown", does: str = "shows") -> str:
    """What was left out, such as "12 buffers and 248 tensors of optimizer state not shown (--all shows them)"."""
    parts = name_hidden(hidden)
    if not parts:
        return ""
    return f"{parts} not {done} (--all {does} {'it' if sum(hidden.values()) == 1 else 'them'})"


def describe_no_match(choice: Choice | Wanted, candidates: int, records: Sequence[TensorRecord]) -> str:
    """Why selectors left nothing, and what may have been meant."""
    if not candidates:
        return "there is nothing to select from"
    prefix = f"{choice.module.rstrip('.')}." if choice.module else ""
    inside = [
        (record.name.removeprefix(prefix), record.classes) for record in records if record.name.startswith(prefix)
    ]
    for pattern in choice.select:
        if why := explain_miss(parse_selector(pattern), inside):
            return f"nothing matches {pattern!r}: {why}"
    if choice.select:
        return f"nothing matches {join_words([repr(pattern) for pattern in choice.select])}"
    return f"nothing is left without {join_words([repr(pattern) for pattern in choice.exclude])}"
