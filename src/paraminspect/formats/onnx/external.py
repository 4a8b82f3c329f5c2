"""External data of ONNX: tensors in files beside the model, by location, offset and length.

A location is a relative path that must lie in the folder of the model: neither absolute nor with `..`, and no symbolic
link that leads out. Where the model is a link itself, as in the Hugging Face cache, links may lead to the folder of
what it links to.

Source: docs/ExternalData.md of onnx 1.23.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from paraminspect.errors import CheckpointError, FarError, LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.door import look, place_of
from paraminspect.files.paths import folder_of, join, stays_inside
from paraminspect.files.system import is_nameless
from paraminspect.formats.shapes import MAX_NUMEL
from paraminspect.records import Storage, TensorRecord
from paraminspect.text import quote

FETCH_HINT: Final = "it belongs into the folder of the model: fetch it too"

MAX_FILES: Final = 20_000
"""Beside one model."""

_NUMBER: Final = re.compile(r"[0-9]{1,20}")


MAX_PADDING: Final = 64 << 10
"""Bytes between two tensors of external data that alignment may take."""


class ExternalData:
    """The files of one model, each looked at once.

    Args:
        path: Of the model; None where it is in no folder (standard input).

    Attributes:
        files: Paths of those that were asked for.
        unknown: Tensors whose bytes are in a file that cannot be named.
    """

    def __init__(self, path: str | None) -> None:
        self.files: list[str] = []
        self.nbytes = 0
        self.unknown = 0
        self._storages: dict[str, Storage] = {}
        known = path is not None and not is_nameless(path)
        self._folder = folder_of(path) if known and path is not None else None
        self._place = place_of(path)
        self._roots = [self._folder or "", os.path.dirname(os.path.realpath(path))] if path else []

    def place(self, name: str, entries: Mapping[str, str], nbytes: int) -> tuple[Storage | None, int]:
        """Where the bytes of a tensor are: one storage for each file, and the offset in it.

        Args:
            entries: What the model says: "location", "offset", "length".
            nbytes: What shape and type need.

        Raises:
            MalformedError: No location, one outside the folder, numbers that are none, another length than is needed.
            CheckpointError: The file is missing.
            TruncatedError: It ends before the tensor does.
        """
        location = entries.get("location", "")
        offset, length = (self._number(name, entries, key) for key in ("offset", "length"))
        if length is not None and length != nbytes:
            raise MalformedError(
                f"{quote(name)} has {length:,} bytes of external data, its shape and type need {nbytes:,}"
            )
        _check_location(location)
        if self._folder is None:
            self.unknown += 1
            return None, 0
        storage = self._storages.get(location)
        if storage is None:
            storage = self._storages[location] = self._find(location)
        begin = offset or 0
        if begin + nbytes > storage.nbytes:
            raise TruncatedError(
                f"{quote(name)} ends at byte {begin + nbytes:,} of {quote(location)}, which has {storage.nbytes:,}",
                hint="it was not written or copied to its end: fetch it again",
            )
        return storage, begin

    def count_unused(self, tensors: Sequence[TensorRecord]) -> int:
        """Bytes of all files that none of the tensors has."""
        sizes = {storage.path: storage.nbytes for storage in self._storages.values()}
        ranges = find_ranges(self.files, tensors) if self.files else {}
        return sum(count_unused(spans, sizes[path]) for path, spans in ranges.items())

    def _number(self, name: str, entries: Mapping[str, str], key: str) -> int | None:
        text = entries.get(key, "")
        if not text:
            return None
        if not _NUMBER.fullmatch(text) or int(text) > MAX_NUMEL:
            raise MalformedError(f"the {key} of the external data of {quote(name)} is {quote(text, 40)}")
        return int(text)

    def _find(self, location: str) -> Storage:
        assert self._folder is not None
        if len(self.files) == MAX_FILES:
            raise LimitExceededError("files of external data", limit=MAX_FILES, actual=None)
        path = join(self._folder, os.path.normpath(location))
        try:
            found = look(path)
        except FarError as error:
            if error.fault != "missing":
                raise
            found = None
        except (OSError, ValueError):
            found = None
        if found is None:
            raise CheckpointError(
                f"the file {quote(location)} with external data is missing", hint=FETCH_HINT, fault="missing-file"
            )
        if not self._place.is_inside(path, self._roots):
            raise _outside(location)
        if found.kind != "file":
            raise MalformedError(f"{quote(location)} with external data is not a regular file")
        self.files.append(path)
        self.nbytes += found.size
        return Storage(location, found.size, path, 0)


def find_ranges(
    checkpoint_files: Sequence[str], tensors: Iterable[TensorRecord]
) -> dict[str, list[tuple[int, int, str]]]:
    """Begin, end and name of each tensor in files of external data, by path, sorted; each range once a name."""
    ranges: dict[str, set[tuple[int, int, str]]] = {path: set() for path in checkpoint_files}
    for record in tensors:
        place = record.byte_range
        if place is None and record.storage is not None and record.storage.begin == 0 and record.nbytes:
            place = record.storage.path, record.offset, record.offset + record.nbytes
        if place is not None and place[0] in ranges and place[1] < place[2]:
            ranges[place[0]].add((place[1], place[2], record.name))
    return {path: sorted(spans) for path, spans in ranges.items()}


def count_unused(spans: Iterable[tuple[int, int, str]], size: int) -> int:
    """Bytes of one file that no tensor has, without what alignment takes."""
    end = unused = 0
    for begin, until, _ in (*spans, (size, size, "")):
        unused += begin - end if begin - end > MAX_PADDING else 0
        end = max(end, until)
    return unused


def _check_location(location: str) -> None:
    if not stays_inside(location):
        raise _outside(location)


def _outside(location: str) -> MalformedError:
    return MalformedError(
        f"external data are said to be outside of the model's folder: {quote(location)}",
        hint="no exporter writes that: do not load it",
        fault="path-escape",
    )
