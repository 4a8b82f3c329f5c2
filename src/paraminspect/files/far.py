"""What all servers have in common, as places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from paraminspect.errors import FarError
from paraminspect.files.door import File, Given, Listing, Look, Made, place_of
from paraminspect.files.faults import fault
from paraminspect.files.paths import join, split_query
from paraminspect.files.threads import side_by_side

MAX_LISTED: Final = 20_000
"""Entries of a far folder."""


ABSENT: Final = ("missing", "not-in-snapshot")
"""Faults that say that there is no such file."""


class FarFile(File, Protocol):
    """A file of a server; see `ranged.FarFile`.

    Attributes:
        note: What the user should know of how it was read; "" for nothing.
    """

    note: str

    def drop(self) -> None:
        """Nobody reads it any more."""

    def raise_broken(self) -> None:
        """Raise why a range of it could not be had, if there is such a reason."""


opened: dict[str, FarFile] = {}
"""Files by URL: what was learnt of one while its header was read holds for its values too."""


def versions_of(paths: Iterable[str]) -> dict[str, str]:
    """What tells each of these files, as far as they are open and it is known, from another version of it."""
    return {path: version for path in paths if (version := getattr(opened.get(path), "version", ""))}


def expect(versions: Mapping[str, str]) -> None:
    """Open files that somebody has opened elsewhere.

    Raises:
        FarError: One is not the version that it was there.
    """
    for path, version in versions.items():
        place_of(path).open(path)
        if versions_of([path]).get(path, version) != version:
            raise fault("changed")


class FarPlace(ABC):
    """See `door.Place`."""

    is_writable = False
    has_code = False

    @abstractmethod
    def look(self, path: str) -> Look:
        """What a URL leads to."""

    @abstractmethod
    def list_folder(self, path: str) -> Listing:
        """What is in a folder."""

    @abstractmethod
    def presence(self, paths: Sequence[str]) -> Sequence[Look | None] | None:
        """What each URL leads to, None for nothing; None for all where that would take a request for each."""

    @abstractmethod
    def fetch(self, url: str) -> FarFile:
        """A file, opened anew."""

    def open(self, path: str | None) -> FarFile:
        """A file; one that is open already stays the same version of it."""
        assert path is not None
        found = opened.get(path)
        if found is None:
            found = opened.setdefault(path, self.fetch(path))
        return found

    def is_there(self, path: str) -> bool:
        """Whether the server has it."""
        try:
            self.look(path)
        except FarError as error:
            if error.fault not in (*ABSENT, "gone", "denied"):  # S3 denies what is not there
                raise
            return False
        return True

    def is_folder(self, path: str) -> bool:
        """Whether there are files below it."""
        return self.look(path).kind == "folder"

    def find_in_folder(self, folder: str, names: Iterable[str]) -> list[str]:
        """From the list of the folder; where there is none, each is asked for."""
        due = sorted(frozenset(names))
        try:
            return sorted(frozenset(due).intersection(self.list_folder(folder).files))
        except FarError as error:
            if error.fault != "no-listing":
                raise
        found = side_by_side(lambda name: self.is_there(join(folder, name)), due)
        return [name for name, there in zip(due, found, strict=True) if there]

    def is_inside(self, path: str, folders: Sequence[str]) -> bool:
        """A server follows no links of ours."""
        return True

    def each(
        self, work: Callable[[Given], Made], items: Sequence[Given], patience_s: float = float("inf")
    ) -> list[Made]:
        """Side by side: each is mostly waiting."""
        return side_by_side(work, items)

    def forget(self, path: str) -> None:
        """Files that are open may be other ones by now."""
        inside = split_query(path)[0].rstrip("/") + "/"
        for known in [known for known in opened if known == path or known.startswith(inside)]:
            opened.pop(known).drop()

    def raise_broken(self, path: str) -> None:
        """What a server did not give."""
        if path in opened:
            opened[path].raise_broken()

    def notes(self, paths: Iterable[str]) -> list[str]:
        """Of each open file its own."""
        notes = (opened[path].note for path in paths if path in opened)
        return [note for note in dict.fromkeys(notes) if note]


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
            if error.fault not in ABSENT:
                raise
            found.append(None)
    return found
