"""Everything in a file that a loader could take for a pickle, whatever the file calls itself.

A file is looked at as each loader would: by its first bytes, as `torch.load` does; by the zip directory at its end, as
`zipfile` does; and bytes that belong to neither are tried as a pickle, which is how a payload is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.pickles import Place, is_danger, is_quiet, scan_pickle
from paraminspect.errors import CheckpointError, FarError, LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.plain import is_pickle
from paraminspect.formats.pytorch.legacy import is_legacy_magic, itemsize
from paraminspect.formats.sniff import HEAD_BYTES
from paraminspect.formats.table import find_containers, resolve
from paraminspect.records import Finding

MAX_SEQUENCE: Final = 1_000
"""Pickles one after another in one file."""

MAX_DEPTH: Final = 6
"""Archives and byte strings around what is looked at."""

END_OF_ZIP: Final = b"PK\5\6"
MAX_COMMENT: Final = 65_535
"""Bytes behind the end record of a zip."""

_LEGACY_PARTS: Final = 5


def scan_part(blob: Blob, place: Place) -> list[Finding]:
    """Findings of a file, or of a part of one that may be a file of its own.

    Args:
        blob: Its bytes.
        place: Where they are.
    """
    if place.depth > MAX_DEPTH:
        return [find("limit", place.name, f"archives and byte strings more than {MAX_DEPTH} deep in each other")]
    try:
        return list(_scan(blob, place))
    except FarError:
        raise  # what a server does is no fault of the file
    except ParamInspectError as error:
        return [as_finding(error, place)]


def as_finding(error: ParamInspectError, place: Place) -> Finding:
    """What a reader's error is as a finding."""
    code = error.fault if isinstance(error, CheckpointError) else "unreadable"
    if isinstance(error, LimitExceededError):
        code = "limit"
    return find(code, place.name, error.message, hint=error.hint, path=place.path)


def _scan(blob: Blob, place: Place) -> Iterator[Finding]:
    """What it is by its first bytes, and what else a loader may take it for."""
    containers = list(find_containers(blob.read_up_to(0, HEAD_BYTES), blob.size))
    for number, container in enumerate(containers):
        scanner = container.doubter if number else container.scanner
        if scanner:
            yield from resolve(scanner)(blob, place)
    if not any(container.opener for container in containers):
        yield from _scan_zip_behind(blob, place)


def scan_pickles(blob: Blob, place: Place) -> Iterator[Finding]:
    """A legacy torch file, or pickles one after another."""
    trace, found = scan_pickle(blob, 0, place)
    yield from found
    if is_legacy_magic(trace.value):
        yield from _scan_legacy(blob, trace.end, place)
        return
    end = trace.end
    for _ in range(MAX_SEQUENCE):
        if trace.error is not None or end >= blob.size:
            return
        if not is_pickle(blob.read_up_to(end, 2)):
            break
        trace, found = scan_pickle(blob, end, place)
        yield from found
        if trace.error is None and is_quiet(trace):
            yield find("pickle-hidden", place.name, f"another pickle at byte {end:,}", severity="info", path=place.path)
        end = trace.end
    yield from scan_rest(blob, end, place)


def _scan_legacy(blob: Blob, begin: int, place: Place) -> Iterator[Finding]:
    """The four pickles behind the magic number, and what is behind the storages."""
    declared: dict[str, StorageRef] = {}
    keys: object = None
    for _ in range(_LEGACY_PARTS - 1):
        trace, found = scan_pickle(blob, begin, place, declared)
        yield from found
        if trace.error is not None:
            return
        begin, keys = trace.end, trace.value
    for key in keys if isinstance(keys, list | tuple) else ():
        reference = declared.get(str(key))
        if reference is None or begin + 8 > blob.size:
            return  # the reader says so
        count = int.from_bytes(blob.read(begin, 8), "little", signed=True)
        if count < 0:
            return
        begin += 8 + count * itemsize(reference)
    yield from scan_rest(blob, begin, place)


def scan_rest(blob: Blob, begin: int, place: Place, what: str = "the model") -> Iterator[Finding]:
    """Bytes that belong to nothing: they may be a pickle or an archive."""
    if begin >= blob.size:
        return
    rest = blob.size - begin
    inner = Place(place.path, place.name, place.depth + 1, place.offset(begin))
    part = blob.part(begin, rest)
    found = scan_part(part, inner) if place.depth < MAX_DEPTH else []
    if part.read_up_to(0, 4) == b"PK\3\4":
        return  # a polyglot, which is said elsewhere
    yield from (each for each in found if each.code not in {"pickle-broken", "extra-bytes"})
    message = f"{rest:,} bytes behind {what}, from byte {begin:,} on"
    yield find("extra-bytes", place.name, message, path=place.path, offset=place.offset(begin))


def doubt_pickle(blob: Blob, place: Place) -> Iterator[Finding]:
    """A pickle in what begins like one and is most often something else: only what it would run for certain counts."""
    trace, found = scan_pickle(blob, 0, place)
    runs = trace.computed or trace.patched or trace.loaded
    if (
        runs
        or any(use.called is not None and is_danger(use) for use in trace.uses)
        or (trace.error is None and not is_quiet(trace))
    ):
        yield from (each for each in found if each.code != "pickle-broken")


def scan_npy(blob: Blob, place: Place) -> Iterator[Finding]:
    """An array of Python objects is a pickle behind its header."""
    head = blob.read_up_to(0, 1 << 16)
    wide = head[6:7] >= b"\2"
    begin = (12 + int.from_bytes(head[8:12], "little")) if wide else (10 + int.from_bytes(head[8:10], "little"))
    if begin < blob.size and (b"'O'" in head[:begin] or b"|O" in head[:begin] or is_pickle(blob.read_up_to(begin, 2))):
        trace, found = scan_pickle(blob, begin, place)
        objects = b"O" in head[:begin].partition(b"descr")[2][:40]
        if objects or trace.error is None:
            yield from found
        if objects:
            yield find("pickle-hidden", place.name, "an array of Python objects, which is a pickle", path=place.path)


def _scan_zip_behind(blob: Blob, place: Place) -> Iterator[Finding]:
    """A zip archive that ends a file of another format: `zipfile` would read that."""
    tail_begin = max(0, blob.size - MAX_COMMENT - 22)
    tail = blob.read_up_to(tail_begin, blob.size - tail_begin)
    at = tail.rfind(END_OF_ZIP)
    if at < 0:
        return
    from paraminspect.checks.zips import split_archives

    archives, _ = split_archives(blob)
    for begin, part in archives:
        from paraminspect.checks.zips import scan_zip

        message = f"a zip archive begins at byte {begin:,}, behind what the first bytes announce"
        yield find("polyglot", place.name, message, path=place.path, offset=place.offset(begin))
        yield from scan_zip(part, Place(place.path, place.name, place.depth + 1, place.offset(begin)))
