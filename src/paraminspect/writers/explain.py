"""What the operating system says about an output, in one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from paraminspect.errors import TargetError

_REASONS: Final = {
    errno.ENOSPC: ("no space left on the device", "the file was not written; make room, or write elsewhere"),
    errno.EDQUOT: ("the disk quota is used up", "the file was not written; make room, or write elsewhere"),
    errno.EFBIG: ("the file would be larger than is allowed here", "ulimit -f tells the limit of this shell"),
    errno.EACCES: ("no permission to write there", None),
    errno.EPERM: ("no permission to write there", None),
    errno.EROFS: ("the file system is read-only", None),
    errno.ENAMETOOLONG: ("the name is too long", None),
    errno.ELOOP: ("a symbolic link that leads to itself", None),
    errno.EMFILE: ("too many files are open", "ulimit -n raises the limit"),
}


def target_error(error: OSError, path: str) -> TargetError:
    """The error of the user for one of the system."""
    reason, hint = _REASONS.get(error.errno or 0, (None, None))
    if reason is None:
        text = error.strerror or str(error)
        reason = f"cannot be written: {text[:1].lower()}{text[1:]}"
    return TargetError(reason, hint=hint, source=path)


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of the system become errors of the output; that a reader of a pipe has gone stays what it is.

    Args:
        path: As the user typed it.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise target_error(error, path) from None
    except TargetError as error:
        error.source = error.source or path
        raise
