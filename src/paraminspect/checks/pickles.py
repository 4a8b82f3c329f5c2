"""What is found in one pickle, and in those that it holds as byte strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, scan_part, scan_rest
from paraminspect.checks.traces import trace_once
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import LongBytes, StorageRef
from paraminspect.formats.pickles.nested import may_be_file
from paraminspect.formats.pickles.plain import is_pickle
from paraminspect.formats.pickles.preview import printable
from paraminspect.formats.pickles.traced import Trace, Use
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.formats.pytorch.legacy import is_legacy_magic, itemsize
from paraminspect.limits import EffortError
from paraminspect.summaries import Finding

MAX_TOLD: Final = 50
"""Findings of one kind and one pickle that are told one by one."""

SHOWN_NAME: Final = 120
"""Characters of the name of a class or function."""

MAX_SEQUENCE: Final = 1_000
"""Pickles one after another in one file."""

MAX_INSIDE: Final = 6
"""Pickles inside pickles that are followed."""

MAX_INSIDE_BYTES: Final = 64 << 20
"""Of a pickle inside a pickle."""

_LEGACY_PARTS: Final = 5


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


def doubt_pickle(blob: Blob, place: Place) -> Iterator[Finding]:
    """A pickle in what begins like one and is most often something else: only what it would run for certain counts."""
    trace, found = scan_pickle(blob, 0, place)
    runs = any(_runs_something(each) for each in (trace, *trace.parts))
    runs = runs or any(each.severity == "danger" and each.name != place.name for each in found)  # of a string in it
    if runs or (trace.error is None and not is_quiet(trace)):
        yield from (each for each in found if each.code != "pickle-broken")


def _runs_something(trace: Trace) -> bool:
    called = any(use.called is not None and is_danger(use) for use in trace.uses)
    return called or bool(trace.computed or trace.patched or trace.loaded)


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


def describe(trace: Trace, place: Place) -> Iterator[Finding]:
    """Findings of one pickle that was traced."""
    told: dict[str, int] = {}
    for use in trace.uses:
        code = _code_of(use)
        told[code] = told.get(code, 0) + 1
        if told[code] <= MAX_TOLD:
            at = use.offset if use.called is None else use.called
            yield find(code, place.name, _tell(use), path=place.path, offset=place.offset(at))
    for code, count in told.items():
        more = count - MAX_TOLD + (trace.untold if code == "pickle-unknown" else 0)
        if more > 0:
            yield find(code, place.name, f"{more:,} more of this kind", path=place.path)
    for at, text in trace.computed[:MAX_TOLD]:
        yield find(
            "pickle-computed-call", place.name, f"calls {text} at byte {at:,}", path=place.path, offset=place.offset(at)
        )
    for at, text in trace.patched[:MAX_TOLD]:
        message = f"sets attributes of {text} at byte {at:,}"
        yield find("pickle-patch", place.name, message, path=place.path, offset=place.offset(at))
    if trace.error is not None:
        code = "limit" if isinstance(trace.error, EffortError) else "pickle-broken"
        yield find(code, place.name, trace.error.message, path=place.path, offset=place.offset(trace.end))


def scan_pickle(
    blob: Blob, begin: int, place: Place, declared: dict[str, StorageRef] | None = None
) -> tuple[Trace, list[Finding]]:
    """Trace one pickle, and those in its byte strings.

    Args:
        blob: The part of the file that holds it.
        begin: Offset of the pickle in that part.
        declared: Takes the storages it refers to, by their keys.
    """
    known = {} if declared is None else declared

    def declare(reference: StorageRef) -> None:
        known.setdefault(reference.key, reference)

    trace = trace_once(blob, begin, declare)
    found = _describe_all(trace, blob, place)
    if trace.wraps_arrays:
        other, trace = trace, trace_pickle(blob, begin, declare, joblib=True)
        hidden = found if _names_more(other, trace) else []
        found = _describe_all(trace, blob, place)
        if hidden:
            trace.parts.append(other)
            found = list(dict.fromkeys([*found, *(each for each in hidden if each.code != "pickle-broken")]))
    return trace, found


def _names_more(plain: Trace, joblib: Trace) -> bool:
    """Whether `pickle.load`, to which the numbers of arrays are opcodes, would find a name that `joblib.load` does not.

    Numbers that happen to be opcodes call whatever stands on the stack, and end in an error; they spell no names.
    """
    known = joblib.names.union(*(part.names for part in joblib.parts))
    hidden = {name for name in plain.names - known if not name[1].startswith("extension_")}
    return bool(hidden) or any(name == "getattr" for _, name in plain.names)


def _describe_all(trace: Trace, blob: Blob, place: Place) -> list[Finding]:
    """Findings of a pickle, of those between its opcodes and of those in its strings."""
    found: list[Finding] = []
    for each in (trace, *trace.parts):
        found += describe(each, place)
        if place.depth < MAX_INSIDE:
            found += _scan_inside(each, blob, place)
    return found


def is_quiet(trace: Trace) -> bool:
    """Whether a pickle was read to its end and names nothing that is worth a word."""
    return trace.error is None and not (trace.uses or trace.computed or trace.patched)


def _scan_inside(trace: Trace, blob: Blob, place: Place) -> list[Finding]:
    """Findings of byte strings that are, or are loaded as, files of their own."""
    found: list[Finding] = []
    loaded = {id(value) for value in trace.loaded}
    known = {(value.begin, value.length) for value in trace.loaded if isinstance(value, LongBytes)}
    short = {value for value in trace.loaded if isinstance(value, bytes)}
    for value in trace.loaded:
        part = _part_of(value, blob)
        if part is not None and id(value) in loaded:
            loaded.discard(id(value))
            found += [each for each in scan_part(part, place.inside("bytes")) if each.code != "extra-bytes"]
    for at, value in trace.nested:
        where = (value.begin, value.length) if isinstance(value, LongBytes) else None
        if where not in known and (where is not None or value not in short):
            found += _scan_string(blob, at, value, place)
    if trace.unread:
        message = f"{trace.unread:,} more strings that may be pickles are not looked at"
        found.append(find("limit", place.name, message, path=place.path))
    return found


def _scan_string(blob: Blob, at: int, value: bytes | LongBytes, place: Place) -> list[Finding]:
    """Findings of a string that may be a pickle, or an archive or array that holds some."""
    part = _part_of(value, blob)
    if part is None or part.size > MAX_INSIDE_BYTES:
        return []
    base = value.begin if isinstance(value, LongBytes) and not value.text else None
    inner = place.inside(f"bytes at {at:,}", None if base is None else place.offset(base))
    head = part.read_up_to(0, 4)
    if may_be_file(head) and head[0] != 0x80:
        return [each for each in scan_part(part, inner) if each.severity == "danger"]
    nested, found = scan_pickle(part, 0, inner)
    if head[0] == 0x80 and nested.error is None and not is_quiet(nested):
        message = "holds another pickle in a byte string"
        found.append(find("pickle-hidden", place.name, message, path=place.path, offset=place.offset(at)))
        return found
    if head[0] != 0x80 and nested.error is not None and not _runs_something(nested):
        return []  # numbers
    return [each for each in found if each.severity == "danger"]


def _part_of(value: object, blob: Blob) -> Blob | None:
    """The bytes of an argument; None if it is no byte string, or too long for one that came as text."""
    if isinstance(value, bytes):
        return Blob.from_bytes(value)
    if not isinstance(value, LongBytes):
        return None
    try:
        if not value.text:
            return blob.part(value.begin, value.length)
        if value.length > MAX_INSIDE_BYTES:
            return None
        return Blob.from_bytes(value.unfold(blob.read(value.begin, value.length)))
    except ParamInspectError:
        return None


def is_danger(use: Use) -> bool:
    """Whether a name, or what is done with it, can do harm."""
    return use.verdict.level == "danger" or bool(use.suspicion)


def _code_of(use: Use) -> str:
    if use.verdict.level == "danger":
        return "pickle-danger"
    if use.suspicion:
        return "pickle-memory" if use.suspicion.startswith("allocates") else "pickle-danger"
    return "pickle-calls-unknown" if use.calls and use.verdict.expected != "called" else "pickle-unknown"


def _tell(use: Use) -> str:
    """What a use is about: "calls posix.system('id') at byte 67: runs commands and touches files".

    A class whose instances are made without a call is rebuilt: whether a function is called or a class, bytes do not tell.
    """
    identity = printable(use.verdict.identity, SHOWN_NAME)
    written = printable(f"{use.module}.{use.name}", SHOWN_NAME)
    if use.called is None:
        text = f"names {identity} at byte {use.offset:,}"
    else:
        count = use.calls or use.rebuilt
        times = f", and {count - 1:,} times more" if count > 1 else ""
        verb = "calls" if use.calls else "rebuilds"
        text = f"{verb} {identity}{use.preview} at byte {use.called:,}{times}"
    if written != identity:
        text += f", written as {written!r}"
    reason = use.verdict.reason or use.suspicion
    return f"{text}: {reason}" if reason else text
