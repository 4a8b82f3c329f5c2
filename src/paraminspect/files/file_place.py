"""`file://` URLs: files of this machine by their URL, as browsers and other tools give them.

What they mean is decided in `paths.plain_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paraminspect.files.door import Listing, Look
from paraminspect.files.local import Local, LocalFile
from paraminspect.files.paths import plain_path


class FilePlace(Local):
    """See `door.Place`."""

    is_writable = False

    def look(self, path: str) -> Look:
        """What the system says."""
        return super().look(plain_path(path))

    def is_there(self, path: str) -> bool:
        """Whether the name is taken."""
        return super().is_there(plain_path(path))

    def is_folder(self, path: str) -> bool:
        """False too where that cannot be known."""
        return super().is_folder(plain_path(path))

    def list_folder(self, path: str) -> Listing:
        """Files and folders."""
        return super().list_folder(plain_path(path))

    def find_in_folder(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those that the list of the folder has."""
        return super().find_in_folder(plain_path(folder), names)

    def open(self, path: str | None) -> LocalFile:
        """A regular file."""
        return super().open(None if path is None else plain_path(path))

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None]:
        """One look at each."""
        return super().presence([plain_path(path) for path in paths])

    def is_inside(self, path: str, folders: Sequence[str]) -> bool:
        """By the real paths of all."""
        return super().is_inside(plain_path(path), [plain_path(folder) for folder in folders])


PLACE = FilePlace()
