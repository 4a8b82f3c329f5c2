"""Opening what the user named and choosing from it: one bad source does not keep the others from being shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from paraminspect.cli.explain import with_source
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.files.door import place_of
from paraminspect.names.listing import Listing, make_listing, suggest_names
from paraminspect.names.selector import make_filter
from paraminspect.records import Checkpoint, TensorRecord

if TYPE_CHECKING:
    from paraminspect.live.build.live_model import LiveModel

NOTHING_MATCHED = 1
"""Exit status when selectors leave nothing of any source, as grep has it."""

_GLOB = frozenset("*?[/:")
_HIDDEN = {
    "buffer": ("buffer", "buffers"),
    "attribute": ("plain tensor attribute", "plain tensor attributes"),
    "optimizer": ("tensor of optimizer state", "tensors of optimizer state"),
    "state": ("tensor of other training state", "tensors of other training state"),
}


class Choice(NamedTuple):
    """What of a source is meant: the values of --module, --select, --exclude, --all and --aliases."""

    module: str = ""
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    everything: bool = False
    aliases: bool = False


class Build(NamedTuple):
    """How a spec or factory is built: the values of -D, --modules-file, --arg, --weights and what belongs to it."""

    define: tuple[str, ...] = ()
    modules_file: str = ""
    arguments: tuple[str, ...] = ()
    weights: str = ""
    strip_prefix: str = ""
    add_prefix: str = ""
    allow_mismatch: bool = False

    def refuse(self) -> None:
        """Refuse all of it, for a checkpoint.

        Raises:
            ParamInspectError: Something is set.
        """
        for option, value in zip(_BUILD_OPTIONS, self, strict=True):
            if value:
                raise ParamInspectError(
                    f"{option} has no meaning for a checkpoint", hint="it belongs to a spec or a factory"
                )


_BUILD_OPTIONS = (
    "-D", "--modules-file", "--arg", "--weights", "--strip-prefix", "--add-prefix", "--allow-mismatch",
)  # fmt: skip

_HEAD_BYTES = 512


def is_live(source: str) -> bool:
    """Whether a source is a spec or a factory, decided without torch.

    A file with a zero byte near its beginning, as all binary formats have, is neither, and nothing is imported to find
    that out.

    Raises:
        UnknownFormatError: Standard input, which is neither these nor a checkpoint.
    """
    if not place_of(source).has_code:
        return False
    if source == "-":
        from paraminspect.cli.stdin import is_spec_on_stdin

        try:
            return is_spec_on_stdin()
        except ParamInspectError as error:
            error.source = source
            raise
    try:
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):
            return False
        with open(source, "rb", buffering=0) as file:
            if b"\0" in (file.read(_HEAD_BYTES) or b""):
                return False
    except (OSError, ValueError):
        if ":" not in source and not source.endswith(".py"):
            return False
    from paraminspect.live.build.recognise import recognise_live

    return recognise_live(source) is not None


def open_each(
    sources: Sequence[str],
    output: Output,
    build: Build = Build(),  # noqa: B008 - a named tuple cannot change
    *,
    values: bool = False,
) -> Iterator[tuple[Checkpoint, LiveModel | None]]:
    """Open one source after the other. Errors go to `output`; notes of a checkpoint are said at the end.

    Args:
        sources: What the user typed.
        output: Takes errors and notes.
        build: How specs and factories are built.
        values: Whether values of specs and factories are asked for.

    Yields:
        The checkpoint, and the model of a spec or factory.
    """
    from paraminspect.formats import open_source

    for source in sources:
        live = None
        try:
            if is_live(source):
                from paraminspect.cli.live import open_model

                live = open_model(source, build, output, values=values)
                if live is None:
                    continue
                checkpoint = live.checkpoint
            else:
                build.refuse()
                checkpoint = open_source(source)
        except Exception as error:
            output.error(with_source(error, source))
            continue
        for note in checkpoint.notes:
            output.note(prefixed(note, source, sources))
        yield checkpoint, live


def choose_each(
    sources: Sequence[str],
    choice: Choice,
    output: Output,
    build: Build = Build(),  # noqa: B008 - as above
) -> Iterator[tuple[Checkpoint, Listing]]:
    """Open each source and choose from it; sets `output.status` to NOTHING_MATCHED if selectors leave nothing of all."""
    current: list[LiveModel | None] = [None]

    def each() -> Iterator[Checkpoint]:
        for checkpoint, current[0] in open_each(sources, output, build):
            yield checkpoint

    return choose_from(each(), sources, choice, output, lambda path: _is_module(current[0], path))


def choose_from(
    checkpoints: Iterable[Checkpoint],
    sources: Sequence[str],
    choice: Choice,
    output: Output,
    is_module: Callable[[str], bool] = lambda path: False,
) -> Iterator[tuple[Checkpoint, Listing]]:
    """The same from checkpoints as they are opened.

    Args:
        checkpoints: One after the other.
        sources: What the user typed.
        choice: What is meant.
        output: Takes errors and notes.
        is_module: Whether the last one is of a model that has this module, be it one without tensors.
    """
    keep = make_filter(choice.select, choice.exclude) if choice.select or choice.exclude else None
    matched = keep is None
    for checkpoint in checkpoints:
        records = checkpoint.tensors
        try:
            listing = make_listing(
                records,
                module=choice.module.rstrip("."),
                keep=keep,
                everything=choice.everything,
                aliases=choice.aliases,
            )
        except ParamInspectError as error:
            if not is_module(choice.module.rstrip(".")):
                output.error(with_source(error, checkpoint.source or sources[0]))
                continue
            listing = make_listing([])
            output.note(prefixed(f"{choice.module.rstrip('.')} has no tensors", checkpoint.source, sources))
        matched = matched or bool(listing.records)
        if keep is not None and not listing.records:
            output.note(prefixed(describe_no_match(choice, listing, records), checkpoint.source, sources))
        if hidden := describe_hidden(listing.hidden):
            output.note(prefixed(hidden, checkpoint.source, sources))
        yield checkpoint, listing
    if not matched:
        output.status = max(output.status, NOTHING_MATCHED)


def _is_module(live: LiveModel | None, path: str) -> bool:
    return live is not None and any(name == path for name, _ in live.model.named_modules(remove_duplicate=False))


def describe_hidden(hidden: Mapping[str, int], done: str = "shown", does: str = "shows") -> str:
    """What was left out, such as "12 buffers and 248 tensors of optimizer state not shown (--all shows them)"."""
    parts = [f"{hidden[reason]:,} {_HIDDEN[reason][hidden[reason] != 1]}" for reason in _HIDDEN if hidden.get(reason)]
    if not parts:
        return ""
    return f"{_join(parts)} not {done} (--all {does} {'it' if sum(hidden.values()) == 1 else 'them'})"


def describe_no_match(choice: Choice, listing: Listing, records: Sequence[TensorRecord]) -> str:
    """Why selectors left nothing, and what may have been meant."""
    if not listing.candidates:
        return "there is nothing to select from"
    prefix = f"{choice.module.rstrip('.')}." if choice.module else ""
    names = [record.name.removeprefix(prefix) for record in records if record.name.startswith(prefix)]
    for pattern in choice.select:
        if not _GLOB.isdisjoint(pattern):
            continue
        if inside := sum(pattern in name for name in names):
            return f"nothing matches {pattern!r}, which stands for a whole name; '*{pattern}*' matches {inside:,}"
        if close := suggest_names(names, pattern):
            return f"nothing matches {pattern!r}; did you mean {close[0]!r}?"
    if choice.select:
        return f"nothing matches {_join([repr(pattern) for pattern in choice.select])}"
    return f"nothing is left without {_join([repr(pattern) for pattern in choice.exclude])}"


def prefixed(text: str, source: str, sources: Sequence[str]) -> str:
    """A remark on one source, which it names where there are several."""
    return f"{source}: {text}" if len(sources) > 1 else text


def _join(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
