"""Zip archives as different readers see them: the directory, the local headers, and the bytes between.

Loaders search the directory from the end of the file; others walk over the local headers. Where the two disagree, or an
archive has several entries of one name, what one reader checks is not what another one loads.

Source: APPNOTE.TXT 6.3.10 of PKWARE; `miniz` as torch uses it; `zipfile` of CPython.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import ZIP_MEMBER, Place, as_finding, scan_part, scan_rest
from paraminspect.checks.pickles import scan_pickle
from paraminspect.checks.tars import find_members
from paraminspect.checks.twins import Twins
from paraminspect.engines.pool import Here, Pool, kept
from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.once import once
from paraminspect.formats.pickles.inert import LongBytes, StorageRef
from paraminspect.formats.pickles.nested import may_be_file
from paraminspect.formats.pickles.plain import BARE_STARTS, is_pickle
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.formats.pytorch.export import find_pickled, is_raw_member, is_torch_export
from paraminspect.formats.table import TAR_MAGIC, endings_of, is_named_piece
from paraminspect.formats.zip_cut import is_member, no_directory
from paraminspect.formats.zip_file import (
    STORED,
    ZIP_END,
    LocalHeader,
    ZipDirectory,
    ZipEntry,
    read_tail,
    read_zip_directory,
)
from paraminspect.formats.zip_pieces import split_archives
from paraminspect.limits import effort
from paraminspect.summaries import Finding
from paraminspect.text import counted, format_bytes, quote
from paraminspect.tuples import NamedTuple
from paraminspect.values.stored_bytes import open_again

MAX_TOLD: Final = 20
"""Entries of one archive that one kind of finding names."""

MAX_GAP: Final = 24
"""Bytes between two members that a data descriptor may take."""

MAX_PICKLE: Final = 256 << 20
"""Bytes of a compressed pickle."""

PICKLE_NAMES: Final = (".debug_pkl", *endings_of(lambda row: row.is_pickle))
STORAGES: Final = re.compile(r"[^/]+/(data|constants|xl_model_weights|tensors)/[^/]+\Z")
"""Raw bytes of tensors, whose first bytes may be anything."""

NATIVE: Final = (".so", ".dll", ".dylib", ".pyd", ".cubin")
"""Compiled code, which AOTInductor packs into a `.pt2` and its loader runs."""

SNIFFED: Final = 512
"""Bytes of numbers or of source text in which a pickle without a header must name its first global to be taken for one."""

_BARE: Final = frozenset(bytes([code]) for code in BARE_STARTS)
_SUSPECT: Final = _BARE | {b"P", b"\x93"}
"""The same, and of an archive or array."""

_BARE_GLOBAL: Final = re.compile(rb"[ci][A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")
"""GLOBAL or INST."""

_WIDE: Final = 0xFFFFFFFF

_NOTHING: Final = (0, b"")
"""In place of what is behind a header that is not there."""


def scan_zip(blob: Blob, place: Place) -> Iterator[Finding]:
    """Findings of an archive that begins where the blob begins."""
    archives, prefix = split_archives(blob)
    if archives and not prefix and len(archives) > 1 and not is_named_piece(blob.path):
        message = f"{len(archives):,} zip archives one after another: readers see the last one"
        yield find("polyglot", place.name, message, severity="info", path=place.path)
    if is_member(blob, prefix):
        yield as_finding(no_directory(), place)
    elif archives and prefix:
        message = f"the zip archive begins at byte {prefix:,}, and the file begins like another one"
        yield find("polyglot", place.name, message, path=place.path)
    if not archives:
        archives = [(0, blob)]
    twins = _twins() if is_named_piece(blob.path) else None
    for begin, part in archives:
        if twins is not None and twins.has(part, _is_harmless):
            continue
        base = place.offset(begin)
        inner = place if begin == 0 else Place(place.path, place.name, place.depth, base)
        directory = read_zip_directory(part)
        is_quiet = True
        for each in _scan_archive(directory, inner):
            is_quiet = False
            yield each
        if is_quiet and twins is not None and not effort().is_spent:
            twins.add(directory, lambda name: bool(STORAGES.match(name)), SNIFFED)


def _twins() -> Twins:
    """Those of the run."""
    run = once()
    return Twins() if run is None else run.only(Twins)


def _is_harmless(begin: bytes, is_numbers: bool) -> bool:
    """Whether a member, of numbers or source text or of something else, is no pickle or archive by its first bytes."""
    if not is_numbers:
        return not _kind_of(begin[:8], named=False)
    is_bare = begin[:1] in _BARE and _BARE_GLOBAL.search(begin)
    return not is_bare and not may_be_file(begin[:4].ljust(4, b"\0"))


def scan_zip_behind(blob: Blob, place: Place) -> Iterator[Finding]:
    """A zip archive that ends a file of another format: `zipfile` would read that."""
    inside = _spans_inside(blob)
    for begin, part in split_archives(blob)[0]:
        tail_begin, tail = read_tail(part)
        last_record = begin + tail_begin + tail.rfind(ZIP_END)
        if any(first <= begin and last_record < last for first, last in inside):
            continue  # a member or string, which is looked at as such
        message = f"a zip archive begins at byte {begin:,}, behind what the first bytes announce"
        yield find("polyglot", place.name, message, path=place.path, offset=place.offset(begin))
        yield from scan_zip(part, place.behind(begin))


def _spans_inside(blob: Blob) -> list[tuple[int, int]]:
    """Where the members of a tar archive are, or the strings of a pickle: a zip archive may be one of them as a whole."""
    head = blob.read_up_to(0, 512)
    if head.startswith(TAR_MAGIC[1], TAR_MAGIC[0]):
        return list(find_members(blob))
    if not is_pickle(head):
        return []
    return [
        (value.begin, value.begin + value.length) if isinstance(value, LongBytes) else (at, at + 9 + len(value))
        for at, value in trace_pickle(blob).nested
    ]


def _scan_archive(directory: ZipDirectory, place: Place) -> Iterator[Finding]:
    everything = [*directory.entries.values(), *directory.shadowed]
    yield from _check_names(directory, place)
    heads: dict[int, tuple[int, bytes]] = {}
    yield from _check_layout(directory, everything, place, heads)
    yield from _scan_members(directory, everything, place, heads)
    if any(entry.name.endswith("/constants.pkl") for entry in everything):
        from paraminspect.checks.script import scan_code

        yield from scan_code(directory, place)
    compiled = [entry.name for entry in everything if entry.name.endswith(NATIVE)]
    if compiled:
        listed = ", ".join(map(quote, compiled[:3]))
        message = f"{counted(len(compiled), 'file')} of compiled code: {listed}"
        yield find("native-code", place.name, message, path=place.path)


def _check_names(directory: ZipDirectory, place: Place) -> Iterator[Finding]:
    names = list(directory.entries)
    for name in directory.duplicates[:MAX_TOLD]:
        yield find("zip-duplicate", name, "the archive holds this name more than once", path=place.path)
    pickles = [name for name in names if name.lower().endswith(".pkl")]
    lowered = Counter(name.lower() for name in pickles)
    twins = [name for name in pickles if lowered[name.lower()] > 1]
    for name in twins[:MAX_TOLD]:
        message = "the archive holds this name in several spellings, and torch looks without regard to case"
        yield find("zip-duplicate", name, message, path=place.path)
    roots = [name[: -len("data.pkl")] for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) > 1:
        listed = ", ".join(quote(root) for root in roots[:MAX_TOLD])
        yield find("zip-roots", "", f"models below {len(roots):,} folders: {listed}", path=place.path)
    for name in [name for name in names if _escapes(name)][:MAX_TOLD]:
        yield find("path-escape", name, "the name of a zip entry leads outside of the archive", path=place.path)


def _escapes(name: str) -> bool:
    if not name or name[0] in "/\\" or name[1:2] == ":" or "\0" in name:
        return True
    return ".." in name and ".." in re.split(r"[/\\]", name)


def _check_layout(
    directory: ZipDirectory, entries: Sequence[ZipEntry], place: Place, heads: dict[int, tuple[int, bytes]]
) -> Iterator[Finding]:
    """Local headers against the directory; holes and overlaps between members.

    The first bytes behind each header come along with it: `heads` takes where they are and what, by the header's offset.
    """
    spans: list[tuple[int, int, str]] = []
    differing = 0
    for entry in entries:
        try:
            header = directory.local_header(entry)
            data = directory.data_offset(entry, header)
        except ParamInspectError as error:
            yield find("malformed", entry.name, error.message, path=place.path)
            continue
        spans.append((entry.header_offset, data + entry.compressed_size, entry.name))
        difference = _compare_headers(directory.blob, entry, header, data)
        heads[entry.header_offset] = data, directory.blob.read_near(data, 4)
        if difference and (differing := differing + 1) <= MAX_TOLD:
            at = place.offset(entry.header_offset)
            yield find("zip-mismatch", entry.name, difference, path=place.path, offset=at)
    spans.sort()
    position, before = 0, ""
    overlaps = holes = 0
    for begin, end, name in [*spans, (directory.directory_offset, directory.directory_offset, "")]:
        if begin < position and (overlaps := overlaps + 1) <= MAX_TOLD:
            message = f"shares {position - begin:,} bytes with {quote(before)}"
            yield find("overlap", name, message, path=place.path, offset=place.offset(begin))
        elif begin > position + (MAX_GAP if position else 0) and (holes := holes + 1) <= MAX_TOLD:
            yield from _tell_hole(directory.blob, position, begin, place)
        if end >= position:
            position, before = end, name


def _tell_hole(blob: Blob, begin: int, end: int, place: Place) -> Iterator[Finding]:
    """Bytes between members: padding of zeros is common, a pickle is not."""
    part = blob.part(begin, end - begin)
    head = part.read_up_to(0, 4096)
    if not head.strip(b"\0") and len(head) == part.size:
        return
    message = f"{end - begin:,} bytes at byte {begin:,} of the archive belong to no entry"
    yield find("hole", place.name, message, severity="warning", path=place.path, offset=place.offset(begin))
    inner = place.behind(begin)
    yield from (each for each in scan_part(part, inner) if each.severity == "danger")


def _compare_headers(blob: Blob, entry: ZipEntry, header: LocalHeader, data: int) -> str:
    """In what the local header contradicts the directory, "" if in nothing."""
    _, flags, method, crc, compressed, size, name_length, extra_length = header
    begin = data - name_length - extra_length
    raw = blob.read_near(begin, name_length)
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    if name != entry.name:
        return f"its local header calls it {quote(name)}"
    if method != entry.method:
        return f"compressed by method {entry.method} in the directory, {method} in its local header"
    if bool(flags & 0x2041) != entry.encrypted:
        return "encrypted in only one of directory and local header"
    if flags & 8 or not compressed or _WIDE in (compressed, size):
        return ""  # the sizes follow the data, or stand in an extra field
    if (compressed, size) != (entry.compressed_size, entry.size):
        return f"{entry.size:,} bytes in the directory, {size:,} in its local header"
    return f"CRC {entry.crc:08x} in the directory, {crc:08x} in its local header" if crc and crc != entry.crc else ""


def _scan_members(
    directory: ZipDirectory, entries: Sequence[ZipEntry], place: Place, heads: dict[int, tuple[int, bytes]]
) -> Iterator[Finding]:
    """Whatever is a pickle, an archive or an array of objects among the entries; storages that none of them uses."""
    broken = 0
    run = effort()
    seen: set[tuple[object, ...]] = set()
    declared: dict[str, StorageRef] = {}
    pickled = find_pickled(directory) if is_torch_export(directory) else frozenset()
    is_each_once = len({entry.header_offset for entry in entries}) == len(entries)
    for entry in entries:
        name = entry.name
        if name.endswith("/") or not entry.size:
            continue
        if run.is_spent:
            return
        named = name.lower().endswith(PICKLE_NAMES) or name in pickled
        raw = bool(STORAGES.match(name) or is_raw_member(name) or name.endswith(".py"))
        if not is_each_once:
            member = entry[1:5], entry.encrypted, named, raw
            if member in seen:
                continue  # the directory gives the same bytes another name
            seen.add(member)
        is_numbers = raw and not named
        if is_numbers and heads.get(entry.header_offset, _NOTHING)[1][:1] not in _SUSPECT and _is_stored(entry):
            continue  # as nearly all are
        try:
            if is_numbers:
                yield from _scan_raw(directory, entry, place, heads)
                continue
            kind = _kind_of(directory.read_prefix(entry, 8), named=named)
            if kind:
                yield from _scan_member(directory, entry, kind, place, declared)
        except ParamInspectError as error:
            broken += 1
            if named or broken <= MAX_TOLD:
                yield as_finding(error, Place(place.path, entry.name))
    unused = [entry for entry in entries if _key(entry) not in declared and STORAGES.match(entry.name)]
    if declared and unused:
        size = sum(entry.size for entry in unused)
        listed = ", ".join(quote(entry.name) for entry in unused[:3])
        message = f"{counted(len(unused), 'storage')} of {format_bytes(size)} that no tensor uses: {listed}"
        yield find("unused-storage", place.name, message, path=place.path)


def _is_stored(entry: ZipEntry) -> bool:
    """Whether its bytes are in the file as they are."""
    return entry.method == STORED and not entry.encrypted


def _scan_raw(
    directory: ZipDirectory, entry: ZipEntry, place: Place, heads: dict[int, tuple[int, bytes]]
) -> Iterator[Finding]:
    """A member that should be numbers or source text, either of which may look like a pickle: only dangers count."""
    stored = _is_stored(entry)
    at, head = heads.get(entry.header_offset, _NOTHING)
    if not stored:
        head = directory.read_prefix(entry, 4)
    if head[:1] not in _SUSPECT:
        return
    begin = directory.blob.read_up_to(at, min(entry.size, SNIFFED)) if stored else directory.read_prefix(entry, SNIFFED)
    if _is_harmless(begin, is_numbers=True):
        return
    blob = directory.blob.part(at, entry.size) if stored else Blob.from_bytes(_inflate(directory, entry))
    found = scan_part(blob, place.inside(entry.name, place.offset(at) if stored else None))
    yield from (each for each in found if each.severity == "danger")


def _key(entry: ZipEntry) -> str:
    return entry.name.rpartition("/")[2]


def _inflate(directory: ZipDirectory, entry: ZipEntry) -> bytes:
    """The bytes of a member, of a wrong checksum too: loaders differ in whether they look at it."""
    if entry.size > MAX_PICKLE:
        raise LimitExceededError(f"bytes in {quote(entry.name)}", limit=MAX_PICKLE, actual=entry.size)
    return directory.read_prefix(entry, entry.size)


def check_sum(
    directory: ZipDirectory, entry: ZipEntry, place: Place, advance: Callable[[int], None] = lambda _: None
) -> Iterator[Finding]:
    """Whether the bytes of a member are those that were written; they are read a piece at a time."""
    try:
        for piece in directory.stream(entry):
            advance(len(piece))
    except ParamInspectError as error:
        yield as_finding(error, Place(place.path, entry.name))


class Members(NamedTuple):
    """Members of one archive.

    Attributes:
        path: The file; None for standard input.
        archive: Which of those in it.
    """

    path: str | None
    archive: int
    entries: tuple[ZipEntry, ...]


def check_sums(
    blob: Blob, place: Place, advance: Callable[[int], None] = lambda _: None, pool: Pool | None = None
) -> Iterator[Finding]:
    """Members whose bytes are not those that were written; nothing for a file of another format.

    Args:
        pool: Who reads them; None for this thread.
    """
    pool = pool or Here()
    directories = list(_directories(blob))
    tasks = [
        Members(place.path, number, entries)
        for number, directory in enumerate(directories)
        for entries in _lots(_each_once(directory), pool.lot)
    ]
    work = partial(sum_members, directories=directories) if pool.is_here else sum_members
    found: dict[int, list[Finding]] = {}
    for at, its in pool.run(work, tasks, lambda task: sum(entry.size for entry in task.entries), advance):
        found[at] = its
        if pool.is_here and effort().is_spent:
            break
    for at in sorted(found):
        yield from found[at]


def sum_members(
    task: Members, advance: Callable[[int], None], directories: Sequence[ZipDirectory] | None = None
) -> list[Finding]:
    """Findings of some members.

    Args:
        directories: Of the archives in the file; None where they are still to be read.
    """
    if directories is None:
        known: dict[str | None, Sequence[ZipDirectory]] = kept(dict)
        if task.path not in known:
            known[task.path] = list(_directories(open_again(task.path)))
        directories = known[task.path]
    place = Place(task.path)
    return [found for entry in task.entries for found in check_sum(directories[task.archive], entry, place, advance)]


def _lots(entries: Iterable[ZipEntry], most: int) -> Iterator[tuple[ZipEntry, ...]]:
    """Small members together."""
    lot: list[ZipEntry] = []
    for entry in entries:
        if lot and sum(each.size for each in lot) + entry.size > most:
            yield tuple(lot)
            lot = []
        lot.append(entry)
    if lot:
        yield tuple(lot)


def count_summed(blob: Blob) -> int:
    """Bytes that `check_sums` reads, inflated."""
    return sum(entry.size for directory in _directories(blob) for entry in _each_once(directory))


def _each_once(directory: ZipDirectory) -> Iterator[ZipEntry]:
    """Of entries that differ only in their names, the last one."""
    yield from {entry[1:]: entry for entry in directory.entries.values()}.values()


def _directories(blob: Blob) -> Iterator[ZipDirectory]:
    if blob.read_up_to(0, 4) == ZIP_MEMBER:
        for _, part in split_archives(blob)[0]:
            yield read_zip_directory(part)


def _kind_of(head: bytes, *, named: bool) -> str:
    if head[:4] == ZIP_MEMBER or head[:6] == b"\x93NUMPY":
        return "file"
    if named or is_pickle(head):
        return "pickle"
    if head.isdigit():  # an identifier; as a pickle it would end at once, for 0 takes from a stack that is empty
        return ""
    return "file" if head and head[0] in BARE_STARTS else ""


def _scan_member(
    directory: ZipDirectory, entry: ZipEntry, kind: str, place: Place, declared: dict[str, StorageRef]
) -> Iterator[Finding]:
    stored = _is_stored(entry)
    if stored:
        at = directory.data_offset(entry)
        blob, base = directory.blob.part(at, entry.size), place.offset(at)
    else:
        blob, base = Blob.from_bytes(_inflate(directory, entry)), None
    yield from check_sum(directory, entry, place)
    inner = place.inside(entry.name, base)
    if kind == "file" or not entry.name.lower().endswith((".pkl", ".debug_pkl")):
        yield from scan_part(blob, inner)
        return
    trace, found = scan_pickle(blob, 0, inner, declared)
    yield from found
    if trace.error is None:
        yield from scan_rest(blob, trace.end, inner, "the pickle")
