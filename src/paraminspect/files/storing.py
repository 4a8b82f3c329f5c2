"""What writers want of the operating system: locks, permissions, bytes that are on the disk, copies by the kernel.

Where a system lacks one of them (Windows lacks most), its absence is made up for here, or does no harm and is said.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from functools import cache
from typing import Final, Literal

from paraminspect.files.seen import note_read
from paraminspect.files.system import BINARY

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS: Final = fcntl is not None
"""Whether open files can be locked. Where they cannot, they can be neither renamed nor removed while they are open."""

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_DIRECT: Final = getattr(os, "O_DIRECT", 0)

_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""What file systems answer that do not lock."""

_NO_KERNEL_COPY: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.ETXTBSY}
)
"""What the kernel answers where it does not copy between these two; others are true errors."""

_PAUSE_S: Final = 0.01


def create(path: str, mode: int) -> int:
    """A new file, for reading and writing.

    Raises:
        FileExistsError: Something has that name, if only a link.
        OSError: It cannot be made.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | BINARY, mode)


def open_found(path: str) -> int:
    """A file or folder of which nothing is known, to be locked: no link is followed, no pipe waited for."""
    return os.open(path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK | BINARY)


def open_folder(path: str) -> int | None:
    """A folder, through no link in the last part of its path; None where folders cannot be opened."""
    return os.open(path, os.O_RDONLY | _DIRECTORY | _NOFOLLOW) if _DIRECTORY else None


def open_inside(folder: int | None, path: str, name: str) -> int:
    """A file of a folder, for reading and writing.

    Args:
        folder: As `open_folder` gave it: then no other folder that has taken its name.
        path: The name.
        name: Of the file.
    """
    if folder is None:
        return os.open(os.path.join(path, name), os.O_RDWR | BINARY)
    return os.open(name, os.O_RDWR, dir_fd=folder)


def open_device(path: str) -> int:
    """What is written into without being replaced."""
    return os.open(path, os.O_WRONLY | BINARY)


Lock = Literal["ours", "theirs", "none"]
"""Who has the lock on an open file; "none" where there is no telling, since its file system does not lock."""


def lock(fd: int) -> Lock:
    """Lock an open file, or find out who has."""
    if not HAS_LOCKS:
        return "none"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "theirs"
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return "none"
    return "ours"


def kept_mode(replaced: os.stat_result, fd: int) -> int:
    """Permissions of a file that takes the place of another one: the same, as far as its owner or group gave them.

    A bit that lets others run it as its owner, or as its group, does not pass to another owner, or group.
    """
    mode, now = stat.S_IMODE(replaced.st_mode), os.fstat(fd)
    if now.st_uid != replaced.st_uid:
        mode &= ~stat.S_ISUID
    if now.st_gid != replaced.st_gid:
        mode &= ~stat.S_ISGID
    return mode


def set_mode(fd: int, path: str, mode: int) -> None:
    """The permissions of a file that is open."""
    if hasattr(os, "fchmod"):
        os.fchmod(fd, mode)
    else:
        os.chmod(path, mode)


def sync_folder(path: str) -> None:
    """The names in a folder are on the disk; where folders cannot be opened, the system sees to that itself."""
    if not _DIRECTORY:
        return
    fd = os.open(path or ".", os.O_RDONLY | _DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that have nothing to do
            raise
    finally:
        os.close(fd)


def free_space(fd: int | None, folder: str) -> int | None:
    """Bytes that can still be written; None where the file system does not say.

    Args:
        fd: Of a file or folder on it, if there is one.
        folder: On it.
    """
    if not hasattr(os, "statvfs"):
        return shutil.disk_usage(folder or ".").free
    status = os.statvfs(folder if fd is None else fd)
    return status.f_bavail * status.f_frsize if status.f_blocks else None


def lies_in_memory(fd: int) -> bool:
    """Whether an open file takes memory and no disk (tmpfs, as in /dev/shm): then the system looks for each page of it."""
    return _is_in_memory(os.fstat(fd).st_dev)


@cache
def _is_in_memory(device: int) -> bool:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            found = [line.split() for line in mounts]
    except OSError:  # no Linux
        return False
    where = f"{os.major(device)}:{os.minor(device)}"
    return any(fields[2] == where and fields[fields.index("-") + 1] == "tmpfs" for fields in found)


def allocate(fd: int, begin: int, nbytes: int) -> None:
    """Have the system find room for bytes of an open file now, whatever it holds there.

    Raises:
        OSError: There is none.
    """
    os.posix_fallocate(fd, begin, nbytes)


def copy_in_kernel(source: int, target: int, count: int, begin: int, offset: int) -> int | None:
    """Bytes copied from file to file; None where the kernel does not do it.

    Args:
        source: The file to copy from.
        target: The file to copy to.
        count: Bytes at most.
        begin: In the source.
        offset: In the target.
    """
    if not hasattr(os, "copy_file_range"):
        return None
    try:
        done = os.copy_file_range(source, target, count, begin, offset)
    except OSError as error:
        if error.errno in _NO_KERNEL_COPY:
            return None
        raise
    note_read()
    return done


def open_direct(fd: int) -> int | None:
    """A second descriptor of an open file, whose writes go past the page cache; None where there is no such thing.

    Only whole blocks from aligned memory can be written.
    """
    if not _DIRECT:
        return None
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | _DIRECT)
    except OSError:  # a file system that does not have it
        return None


def forget(path: str) -> None:
    """Let the system drop what it keeps in memory of a file that is on the disk already."""
    if not hasattr(os, "posix_fadvise"):
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """All of the bytes to wherever a descriptor stands, waiting if it is one that does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            _wait_until_writable(fd)


def _wait_until_writable(fd: int) -> None:
    """Wait for a pipe that does not block to take more."""
    import select

    if not hasattr(select, "poll"):
        import time

        time.sleep(_PAUSE_S)
        return
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    poller.poll()
