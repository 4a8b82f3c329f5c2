"""What the operating system has against a file, in the same words everywhere."""

from __future__ import annotations

import errno
from typing import Final

_REASONS: Final = {
    errno.ENOENT: "no such file or folder",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EISDIR: "a folder, not a file",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ELOOP: "a symbolic link that leads to itself",
    errno.EMFILE: "too many files are open",
}
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM)
_ROOM: Final = "the file was not written; make room, or write elsewhere"
_HINTS: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "ulimit -f tells the limit of this shell",
    errno.EMFILE: "ulimit -n raises the limit",
}


def reason_of(error: OSError | ValueError, to: str = "read it") -> str:
    """What went wrong, to stand behind what could not be done.

    Args:
        error: Of the system; a `ValueError` is one of a name that no file can have.
        to: What there may be no permission to do.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in _FORBIDDEN:
        return f"no permission to {to}"
    if number in _REASONS:
        return _REASONS[number]
    if isinstance(error, ValueError) and "embedded null" in str(error):  # of which each Python has words of its own
        return "the name holds a zero byte"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text[:1].lower() + text[1:]


def hint_for(error: OSError) -> str | None:
    """What to do about it, where something was to be written; None where there is no next step to name."""
    from paraminspect.files.storing import HAS_LOCKS

    if error.errno == errno.EACCES and not HAS_LOCKS:
        return "this system replaces no file that is open: choose another name"
    return _HINTS.get(error.errno or 0)


def with_reason(failed: str, error: OSError | ValueError, to: str = "read it") -> str:
    """What could not be done and what went wrong; the latter alone where it needs no words before it."""
    is_known = isinstance(error, OSError) and (error.errno in _REASONS or error.errno in _FORBIDDEN)
    return reason_of(error, to) if is_known else f"{failed}: {reason_of(error, to)}"
