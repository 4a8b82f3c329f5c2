"""Opening, measuring and listing, wherever a path leads: one interface, which this machine has like any server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, Literal, Protocol, TypeVar

from paraminspect.files.paths import scheme_of
from paraminspect.files.seen import Version
from paraminspect.tuples import NamedTuple

Given = TypeVar("Given")
Made = TypeVar("Made")


class Look(NamedTuple):
    """What a path leads to.

    Attributes:
        kind: A "pipe" is a named pipe or a socket, "other" a device, "denied" what may not be looked at.
        size: Of a file, in bytes.
        version: Of a file of this machine.
    """

    kind: Literal["file", "folder", "pipe", "other", "denied"]
    size: int = 0
    version: Version | None = None


class Listing(NamedTuple):
    """Names in a folder, sorted.

    Attributes:
        files: A dangling symlink is one too.
        folders: Folders in it.
    """

    files: list[str]
    folders: list[str]


class File(Protocol):
    """An open file, whose bytes are read at an offset. May be used by several threads.

    Attributes:
        size: In bytes, when it was opened.
        is_far: Whether each read may be a request to a server.
        fd: A descriptor for the kernel; None where there is none.
        identity: The same for each name of one file of this machine; None of others.
    """

    size: int
    is_far: bool
    fd: int | None
    identity: object

    def read(self, begin: int, length: int, end: int, *, is_new: bool = False) -> bytes:
        """As many of `length` bytes from `begin` as there are.

        Args:
            begin: In the file.
            length: How many.
            end: Of what may be asked for next: nothing behind it is fetched in advance, unless
            is_new: a part of the file begins here, and it follows on the last one that was read.
        """

    def read_ahead(self, begin: int, need: int, most: int, end: int) -> bytes:
        """At least `need` bytes from `begin` if there are, and up to `most` where that costs little."""

    def read_into(self, view: memoryview, begin: int, end: int) -> int:
        """Fill memory from `begin` on; bytes that were filled, less only where the file ends."""

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Have these ranges (begin, end) at hand, where a read of each would be a request."""

    def close(self) -> None:
        """Give up what the system holds; not read any more."""


class Place(Protocol):
    """What knows the files of one scheme, this machine's among them.

    Attributes:
        is_writable: Whether outputs can be put there.
        has_code: Whether specs and factories are looked for there.

    Raises:
        OSError: What a method asks for cannot be had on this machine.
        FarError: The same of a server.
    """

    is_writable: bool
    has_code: bool

    def look(self, path: str) -> Look:
        """What a path leads to."""

    def is_there(self, path: str) -> bool:
        """Whether a path leads anywhere, if only to a symbolic link."""

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a folder."""

    def list_folder(self, path: str) -> Listing:
        """What is in a folder."""

    def find_in_folder(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those of the names that are files of a folder, sorted."""

    def open(self, path: str | None) -> File:
        """A file; None is standard input."""

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None] | None:
        """What each path leads to, None for nothing; None for all where that would take a request for each."""

    def is_inside(self, path: str, folders: Sequence[str]) -> bool:
        """Whether a path leads, through all links, into one of these folders."""

    def each(
        self, work: Callable[[Given], Made], items: Sequence[Given], patience_s: float = float("inf")
    ) -> list[Made]:
        """What `work`, which reads, makes of each item, in their order.

        Args:
            work: Raises what is raised here, of several items that of the first.
            items: All of one place.
            patience_s: From the first item on that takes longer, those that are left are done side by side.
        """

    def forget(self, path: str) -> None:
        """Forget what is known of a path and what lies below it: a source is opened, and may be another one by now."""

    def raise_broken(self, path: str) -> None:
        """Raise what kept a file from being read, though the reading went on."""

    def notes(self, paths: Iterable[str]) -> list[str]:
        """What the user should know of how these files were read, each remark once."""


_PLACES: Final = {
    "": "local",
    "http": "web_place",
    "https": "web_place",
    "hf": "hub",
    "s3": "buckets",
    "gs": "buckets",
    "gcs": "buckets",
    "file": "file_place",
    "ollama": "ollama",
}
"""Module that has the place of a scheme."""


def place_of(path: str | None) -> Place:
    """What knows the files at a path; None is standard input.

    Raises:
        FarError: A scheme that cannot be read.
    """
    place: Place = _module_of(scheme_of(path)).PLACE
    return place


@cache
def _module_of(scheme: str) -> Any:
    from importlib import import_module

    if scheme not in _PLACES:
        from paraminspect.files.faults import fault

        raise fault("no-scheme", scheme=scheme)
    return import_module(f"paraminspect.files.{_PLACES[scheme]}")


def look(path: str) -> Look:
    """What a path leads to.

    Raises:
        OSError: As `os.stat`.
        FarError: The same of a URL.
    """
    return place_of(path).look(path)


def is_there(path: str) -> bool:
    """Whether a path leads anywhere, if only to a symbolic link.

    Raises:
        FarError: A server does not say.
    """
    return place_of(path).is_there(path)


def list_folder(path: str) -> Listing:
    """What is in a folder.

    Raises:
        OSError: As `os.scandir`.
        FarError: The same of a URL.
    """
    return place_of(path).list_folder(path)


def raise_broken(paths: Sequence[str | None]) -> None:
    """Raise what kept one of these files from being read, though the reading went on.

    Raises:
        FarError: A server did not give bytes that were asked for.
    """
    for path in paths:
        if path is not None:
            place_of(path).raise_broken(path)
