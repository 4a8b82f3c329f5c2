"""A zip archive that is found in the middle of a file: whether a longer archive around it was cut, which ends in its directory.

A file that torch.export writes packs archives as they are, so the end record of one of them may be the last of what is left.
The data of a member begin behind its local header: 30 bytes, `PK 3 4`, then name and extra field.
"""

from __future__ import annotations

import struct
from typing import Final

from paraminspect.errors import CheckpointError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob

_LOCAL: Final = struct.Struct("<4s4xH16x2H")
_SIGNATURE: Final = b"PK\3\4"
_STORED: Final = 0
_MAX_HEADER: Final = _LOCAL.size + 2 * 0xFFFF


def no_directory() -> TruncatedError:
    """The file ends before the end record of its archive."""
    return TruncatedError("the file ends before its zip directory")


def explain_displaced(blob: Blob, begin: int) -> CheckpointError:
    """What is wrong with a file whose last archive begins at another byte than 0; a negative one is before the file."""
    if is_member(blob, begin):
        return no_directory()
    return MalformedError(
        f"the zip archive begins {abs(begin):,} bytes {'after' if begin > 0 else 'before'} the begin of the file",
        hint="fetch or save it again; of a checkpoint in several files, such as .distcp, name the folder",
    )


def is_member(blob: Blob, begin: int) -> bool:
    """Whether a file is an archive from its begin on, in which the data of a member, as they are, begin at a byte."""
    if begin <= 0 or blob.read_up_to(0, len(_SIGNATURE)) != _SIGNATURE:
        return False
    window = min(begin, _MAX_HEADER)
    data = blob.read(begin - window, window)
    at = len(data)
    while (at := data.rfind(_SIGNATURE, 0, at)) >= 0:
        if at + _LOCAL.size <= len(data):
            _, method, name, extra = _LOCAL.unpack_from(data, at)
            if method == _STORED and at + _LOCAL.size + name + extra == len(data):
                return True
    return False
