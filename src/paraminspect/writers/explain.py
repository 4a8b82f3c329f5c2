"""What the operating system says about an output, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from paraminspect.errors import TargetError
from paraminspect.files.reasons import hint_for, with_reason


def target_error(error: OSError, path: str) -> TargetError:
    """The error of the user for one of the system."""
    return TargetError(with_reason("cannot be written", error, "write there"), hint=hint_for(error), source=path)


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
