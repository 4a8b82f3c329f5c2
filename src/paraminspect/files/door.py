"""Opening, measuring and listing, wherever a path leads."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from paraminspect.errors import FarError
from paraminspect.files.paths import is_far, scheme_of

if TYPE_CHECKING:
    from paraminspect.files.ranged import FarFile


class Look(NamedTuple):
    """What a path leads to.

    Attributes:
        kind: A "pipe" is a named pipe or a socket, "other" a device.
        size: Of a file, in bytes.
    """

    kind: Literal["file", "folder", "pipe", "other"]
    size: int = 0


class Listing(NamedTuple):
    """Names in a folder, sorted.

    Attributes:
        files: A dangling symlink is one too.
        folders: Folders in it.
    """

    files: list[str]
    folders: list[str]


class Place(Protocol):
    """What knows the files of one scheme. All raise `FarError`."""

    def look(self, url: str) -> Look:
        """What a URL leads to."""

    def list_folder(self, url: str) -> Listing:
        """What is in a folder."""

    def open(self, url: str) -> FarFile:
        """A file."""

    def presence(self, urls: Sequence[str]) -> Sequence[Look | None] | None:
        """What each URL leads to, None for nothing; None for all where that would take a request for each."""

    def forget(self, url: str) -> None:
        """What is known of a source from an earlier time it was opened."""


_PLACES: Final = {
    "http": "web_place",
    "https": "web_place",
    "hf": "hub",
    "s3": "buckets",
    "gs": "buckets",
    "gcs": "buckets",
}
"""Module that has the place of a scheme."""

_opened: dict[str, FarFile] = {}
"""Far files by URL: what was learnt of one while its header was read holds for its values too."""


def look(path: str) -> Look:
    """What a path leads to.

    Raises:
        OSError: As `os.stat`.
        FarError: The same of a URL.
    """
    if is_far(path):
        return _place(path).look(path)
    status = os.stat(path)
    if stat.S_ISREG(status.st_mode):
        return Look("file", status.st_size)
    if stat.S_ISDIR(status.st_mode):
        return Look("folder")
    return Look("pipe" if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) else "other")


def is_there(path: str) -> bool:
    """Whether a path leads anywhere, if only to a symbolic link.

    Raises:
        FarError: A server does not say.
    """
    if not is_far(path):
        return os.path.lexists(path)
    try:
        _place(path).look(path)
    except FarError as error:
        if error.fault not in ("missing", "gone", "denied"):  # S3 denies what is not there
            raise
        return False
    return True


def look_at_all(paths: Sequence[str]) -> Sequence[Look | None] | None:
    """What each far path leads to, None for nothing; None for all where it shows only when they are opened."""
    return _place(paths[0]).presence(paths) if paths else []


def find_in_lists(find: Callable[[str], Look | None], urls: Sequence[str]) -> list[Look | None]:
    """What each URL leads to by the list of its folder; None for nothing, a folder that is not there among it.

    Args:
        find: Looks into the list.
        urls: Of one kind of place.

    Raises:
        FarError: A list cannot be had.
    """
    found: list[Look | None] = []
    for url in urls:
        try:
            found.append(find(url))
        except FarError as error:
            if error.fault != "missing":
                raise
            found.append(None)
    return found


def list_folder(path: str) -> Listing:
    """What is in a folder.

    Raises:
        OSError: As `os.scandir`.
        FarError: The same of a URL.
    """
    if is_far(path):
        return _place(path).list_folder(path)
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                is_folder = entry.is_dir()
            except OSError:
                is_folder = False
            (folders if is_folder else files).append(entry.name)
    return Listing(sorted(files), sorted(folders))


def open_far(url: str) -> FarFile:
    """A file by its URL; one that is open already stays the same version of it.

    Raises:
        FarError: It cannot be opened.
    """
    found = _opened.get(url)
    if found is None:
        found = _place(url).open(url)
        found = _opened.setdefault(url, found)
    return found


def begin_anew(url: str) -> None:
    """Forget what is known of a URL and what lies below it: a source is opened, and may be another one by now."""
    from paraminspect.files.paths import split_query

    inside = split_query(url)[0].rstrip("/") + "/"
    for known in [known for known in _opened if known == url or known.startswith(inside)]:
        _opened.pop(known).drop()
    _place(url).forget(url)


def raise_broken(paths: Sequence[str | None]) -> None:
    """Raise what kept one of these files from being read, though the reading went on.

    Raises:
        FarError: A server did not give bytes that were asked for.
    """
    for path in paths:
        if path is not None and path in _opened:
            _opened[path].raise_broken()


def take_notes(urls: Sequence[str]) -> list[str]:
    """What the user should know of how these files were read, each remark once."""
    notes = (_opened[url].note for url in urls if url in _opened)
    return [note for note in dict.fromkeys(notes) if note]


def _place(url: str) -> Place:
    from importlib import import_module

    from paraminspect.files.faults import fault

    scheme = scheme_of(url)
    if scheme not in _PLACES:
        raise fault("no-scheme", scheme=scheme)
    place: Place = import_module(f"paraminspect.files.{_PLACES[scheme]}").PLACE
    return place
