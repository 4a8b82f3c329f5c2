"""The temporary file or folder that becomes the target at the end.

It lies beside the target under a name that depends on the target's only, `.NAME.paraminspect-partial`, and is locked
while it is written (or, where the system has no locks, cannot be removed while it is open). So a run that finds one
knows whether another run is alive (it is locked) or was killed (it is not: it is removed), and there is never more than
one. On a file system that does not lock there is no telling: what is found stays, is said, and the new one gets a number.
The target stays as it was until the rename.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from paraminspect.errors import TargetError
from paraminspect.files.paths import shown
from paraminspect.files.storing import (
    HAS_LOCKS,
    create,
    kept_mode,
    lock,
    open_folder,
    open_found,
    set_mode,
    sync_folder,
)

SUFFIX: Final = ".paraminspect-partial"
OLD_SUFFIX: Final = ".paraminspect-old"
"""What a folder is called between the two renames that replace it."""

MAX_NAME_BYTES: Final = 255
"""Of a file name, on all common file systems."""

MAX_ATTEMPTS: Final = 10
"""How often another run may take the name away between two steps of ours."""


def sibling(target: str, suffix: str) -> str:
    """The hidden name beside a target."""
    folder, name = os.path.split(target)
    hidden = f".{name}{suffix}"
    if len(os.fsencode(hidden)) > MAX_NAME_BYTES:
        from hashlib import sha256  # which loads OpenSSL

        hidden = f".{sha256(os.fsencode(name)).hexdigest()[:32]}{suffix}"
    return os.path.join(folder, hidden)


class Partial:
    """A new, empty, locked temporary file or folder, once it is made.

    Whoever holds one discards it in the end, made or not: an interrupt may come between any two steps.

    Args:
        target: Absolute path without symbolic links in its last part; its folder exists.
        replaced: Of the file that is replaced, whose permissions it gets; None where there is none.

    Attributes:
        path: Of the temporary file or folder.
        fd: Its descriptor, which holds the lock; None before it is made and once it is given up, and for a folder
            that cannot be opened.
        left: What stays of other runs, of which nobody knows whether they are alive.
    """

    def __init__(self, target: str, *, is_folder: bool = False, replaced: os.stat_result | None = None) -> None:
        self.target = target
        self.path = sibling(target, SUFFIX)
        self.left: list[str] = []
        self._is_folder = is_folder
        self._replaced = replaced
        self.fd: int | None = None
        self._status: os.stat_result | None = None
        self._begun = False

    def make(self) -> None:
        """Make it.

        Raises:
            TargetError: Another run is writing the same target, or its folder is gone, or none that holds files.
            OSError: It cannot be made.
        """
        is_refused = False
        for _ in range(MAX_ATTEMPTS):
            if not remove_left(self.path):
                self.left.append(self.path)
                self.path = sibling(self.target, f".{len(self.left) + 1}{SUFFIX}")
                continue
            self._begun = True
            try:
                self.fd = self._create()
            except (FileExistsError, FileNotFoundError) as error:
                self._begun = False
                is_refused = isinstance(error, FileNotFoundError)
                continue
            status = os.lstat(self.path) if self.fd is None else os.fstat(self.fd)
            if self.fd is None or (lock(self.fd) != "theirs" and _is_at(status, self.path)):
                self._status = status
                return
            self._begun = False
            self.close()
        if self.left:
            raise TargetError(
                f"{len(self.left)} files of other runs lie beside it, and the file system has no locks, which would tell "
                "whether they are alive",
                hint=f"if none is, remove {shown(self.left[0])} and those like it",
            )
        raise TargetError("no file can be made there", hint="choose another folder") if is_refused else _busy()

    def _create(self) -> int | None:
        if self._is_folder:
            os.mkdir(self.path)
            return open_folder(self.path)
        # readable by its owner until the end, or a later run could not see whether it is locked
        mode = 0o666 if self._replaced is None else stat.S_IMODE(self._replaced.st_mode) & 0o777 | 0o600
        return create(self.path, mode)

    @property
    def file(self) -> int:
        """The descriptor of the file that is written."""
        assert self.fd is not None
        return self.fd

    @property
    def folder(self) -> str:
        """Where it lies, and the target with it."""
        return os.path.dirname(self.target)

    def sync(self) -> None:
        """Its bytes are on the disk, and its permissions are the final ones."""
        if self._replaced is not None:
            set_mode(self.file, self.path, kept_mode(self._replaced, self.file))
        os.fsync(self.file)

    def commit(self, *, replace: bool) -> None:
        """It becomes the target.

        Args:
            replace: Whether a target may be there; else one that has appeared meanwhile is an error.
        """
        if not HAS_LOCKS:
            self.close()
        if self._is_folder:
            self._commit_folder()
        elif replace or not self._link():
            os.replace(self.path, self.target)
        sync_folder(self.folder)

    def _link(self) -> bool:
        """Take the name only if it is free; False on a file system without links."""
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            raise TargetError("it was written by somebody else meanwhile", hint="--force replaces it") from None
        except OSError:
            return False
        os.unlink(self.path)
        return True

    def _commit_folder(self) -> None:
        old = sibling(self.target, OLD_SUFFIX)
        try:
            os.rename(self.path, self.target)  # nothing is there, or an empty folder
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        os.rename(self.target, old)
        try:
            os.rename(self.path, self.target)
        except BaseException:
            os.rename(old, self.target)
            raise
        sync_folder(self.folder)
        os.rename(old, self.path)  # or, half removed, it might be taken for what is to be put back
        shutil.rmtree(self.path)

    def discard(self) -> None:
        """Remove it, if it is still where it was made."""
        if not HAS_LOCKS or self._status is None:
            self.close()
        if self._status is None:
            if self._begun:  # and interrupted
                with suppress(TargetError):
                    remove_left(self.path)
        elif _is_at(self._status, self.path):
            _remove(self.path)

    def close(self) -> None:
        """Give the lock up, if it is still held."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)


def recover_folder(target: str) -> None:
    """Finish what a run left that was killed while it replaced a folder."""
    old = sibling(target, OLD_SUFFIX)
    if os.path.lexists(old):
        if os.path.lexists(target):
            _remove(old)
        else:
            os.rename(old, target)


def remove_left(path: str) -> bool:
    """Remove what a killed run left; False, and nothing is done, where nobody knows whether it was killed.

    Raises:
        TargetError: It is locked: that run is alive.
    """
    if not HAS_LOCKS:
        try:
            _remove(path)
        except PermissionError:  # that run has it open
            raise _busy() from None
        return True
    try:
        fd = open_found(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EACCES):
            raise
        _remove(path)  # a link, a socket: no file of ours, and nothing is written through it
        return True
    try:
        holder = lock(fd)
        if holder == "theirs":
            raise _busy()
        if holder == "ours" and _is_at(os.fstat(fd), path):
            _remove(path)
    finally:
        os.close(fd)
    return holder == "ours"


def remove_left_for(targets: Iterable[str]) -> list[str]:
    """Remove what killed runs left for these files, but for what is in use; gives what stays as nobody knows whether it is."""
    left = []
    for path in (sibling(target, SUFFIX) for target in targets):
        with suppress(TargetError, OSError):
            if not remove_left(path):
                left.append(path)
    return left


def remove_left_in(folder: str) -> None:
    """The same of all files of a folder that will be replaced.

    Raises:
        TargetError: One is in use.
    """
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.startswith(".") and name.endswith(SUFFIX):
            remove_left(os.path.join(folder, name))


def describe_left(left: Iterable[str]) -> list[str]:
    """What is to be said of what stays."""
    return [
        f"{shown(path)} is left from another run and stays: the file system has no locks, which would tell whether that "
        "run is alive"
        for path in left
    ]


def _remove(path: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if is_folder:
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _is_at(status: os.stat_result, path: str) -> bool:
    """Whether a path still leads to what had this status."""
    try:
        return os.path.samestat(status, os.lstat(path))
    except FileNotFoundError:
        return False


def _busy() -> TargetError:
    return TargetError("another run is writing it", hint="wait for it to end, or choose another name")
