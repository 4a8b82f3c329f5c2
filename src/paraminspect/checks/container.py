"""Everything in a file that a loader could take for a pickle, whatever the file calls itself.

A file is looked at as each loader would: by its first bytes, as `torch.load` does; by the zip directory at its end, as
`zipfile` does; and bytes that belong to neither are tried as a pickle, which is how a payload is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.errors import CheckpointError, FarError, LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.sniff import HEAD_BYTES
from paraminspect.formats.table import find_containers, resolve
from paraminspect.limits import FINDINGS, EffortError, effort
from paraminspect.summaries import Finding
from paraminspect.tuples import NamedTuple

MAX_DEPTH: Final = 6
"""Archives and byte strings around what is looked at."""

ZIP_MEMBER: Final = b"PK\3\4"


class Place(NamedTuple):
    """Where a pickle was found.

    Attributes:
        path: Of the file; None for standard input.
        name: Of the part of the file: a zip entry, a tar member, "" for the file itself.
        depth: Pickles, archives and byte strings around it.
        base: Offset of the part in the file; None where it is compressed, so that offsets count from the part's begin.
    """

    path: str | None = None
    name: str = ""
    depth: int = 0
    base: int | None = 0

    def inside(self, name: str, base: int | None = None) -> Place:
        """The place of something in here."""
        return Place(self.path, f"{self.name}!{name}" if self.name else name, self.depth + 1, base)

    def behind(self, begin: int) -> Place:
        """The place of bytes in here that belong to no part with a name."""
        return Place(self.path, self.name, self.depth + 1, self.offset(begin))

    def offset(self, at: int) -> int | None:
        """Offset in the file of a byte of the part."""
        return None if self.base is None else self.base + at


def scan_part(blob: Blob, place: Place) -> list[Finding]:
    """Findings of a file, or of a part of one that may be a file of its own."""
    if place.depth > MAX_DEPTH:
        return [find("limit", place.name, f"archives and byte strings more than {MAX_DEPTH} deep in each other")]
    found: list[Finding] = []
    run = effort()
    if run.is_spent:
        return found
    try:
        for each in _scan(blob, place):
            run.spend(FINDINGS, 1)
            found.append(each)
    except FarError:
        raise  # what a server does is no fault of the file
    except ParamInspectError as error:
        found.append(as_finding(error, place))
    return found


def as_finding(error: ParamInspectError, place: Place) -> Finding:
    """What stops a reader or scanner; after too much work, nothing more is looked into."""
    if isinstance(error, EffortError):
        effort().is_spent = True
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
    if not any(container.opener for container in containers) and _has_zip_end(blob):
        yield from resolve("paraminspect.checks.zips:scan_zip_behind")(blob, place)


def _has_zip_end(blob: Blob) -> bool:
    from paraminspect.formats.zip_file import ZIP_END, read_tail  # other files do without

    return ZIP_END in read_tail(blob)[1]


def scan_rest(blob: Blob, begin: int, place: Place, what: str = "the model") -> Iterator[Finding]:
    """Bytes that belong to nothing: they may be a pickle or an archive."""
    if begin >= blob.size:
        return
    rest = blob.size - begin
    inner = place.behind(begin)
    part = blob.part(begin, rest)
    found = scan_part(part, inner) if place.depth < MAX_DEPTH else []
    if part.read_up_to(0, 4) == ZIP_MEMBER:
        return  # a polyglot, which is said elsewhere
    yield from (each for each in found if each.code not in {"pickle-broken", "extra-bytes"})
    message = f"{rest:,} bytes behind {what}, from byte {begin:,} on"
    yield find("extra-bytes", place.name, message, path=place.path, offset=place.offset(begin))
