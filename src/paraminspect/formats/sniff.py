"""Which reader a file needs, from its bytes alone; and, where there is none, what the file is instead.

Extensions lie: `.pth.tar` is mostly a zip, `.pt` may be an error page of a web server. So no name is looked at.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from paraminspect.errors import FarError, ParamInspectError, TruncatedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.shapes import MAX_NUMEL
from paraminspect.formats.table import (
    DISTRIBUTED_PART,
    FORMATS,
    Container,
    Format,
    endings_of,
    find_containers,
    formats_in,
    is_named_piece,
    resolve,
)
from paraminspect.records import Checkpoint
from paraminspect.text import join_words

if TYPE_CHECKING:
    from paraminspect.formats.brief import Brief
    from paraminspect.formats.zip_file import ZipDirectory

HEAD_BYTES: Final = 512

_DOWNLOAD: Final = "fetch the file itself: this is what the server or the repository answered instead"


def read_blob(blob: Blob) -> Checkpoint:
    """Tensors of one file of any format.

    Raises:
        UnknownFormatError: The bytes are something else, or nothing we know.
        ParamInspectError: Whatever the reader of the format finds.
    """
    head = blob.read_near(0, HEAD_BYTES)
    if not head:
        raise TruncatedError("the file is empty")
    container = _find_container(head, blob.size)
    if container is None:
        raise _explain(blob, head, blob.size)
    opened = _open(container, blob)
    rows = formats_in(container.name)
    row = _reader_among(rows, opened)
    try:
        if row is None:
            raise _explain_zip(opened)
        return resolve(row.reader)(opened)  # type: ignore[no-any-return]
    except FarError:
        raise
    except ParamInspectError:
        known = next((row for row in rows if not row.reader and resolve(row.inside)(opened)), None)
        if known is None:
            raise
        raise _not_read(known) from None


def find_reader(blob: Blob) -> Format | None:
    """The format of one file; None of what has no reader.

    Raises:
        ParamInspectError: It is broken.
    """
    container = _find_container(blob.read_near(0, HEAD_BYTES), blob.size)
    return None if container is None else _reader_among(formats_in(container.name), _open(container, blob))


def find_brief(blob: Blob) -> Brief | None:
    """The names of one file; None where its format has no brief, or the file none, which costs a look at its first bytes.

    Raises:
        ParamInspectError: It is broken.
    """
    container = _find_container(blob.read_near(0, HEAD_BYTES), blob.size)
    rows = () if container is None else formats_in(container.name)
    if container is None or not any(row.brief for row in rows):
        return None
    opened = _open(container, blob)
    row = _reader_among(rows, opened)
    return resolve(row.brief)(opened) if row is not None and row.brief else None


def _reader_among(rows: Sequence[Format], opened: Any) -> Format | None:
    return next((row for row in rows if row.reader and (not row.inside or resolve(row.inside)(opened))), None)


def _open(container: Container, blob: Blob) -> Any:
    """What readers of the container take."""
    if container.pieces and is_named_piece(blob.path) and resolve(container.pieces)(blob):
        raise _not_read(DISTRIBUTED_PART)
    return resolve(container.opener)(blob) if container.opener else blob


def _not_read(row: Format) -> UnknownFormatError:
    return UnknownFormatError(f"the file is {row.what}", hint=row.hint, fault="not-read")


def check_head(head: bytes) -> None:
    """Whether a stream that begins so may be a model at all, so that it is worth to be copied.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.

    Raises:
        UnknownFormatError: The bytes are something else, or nothing we know.
    """
    if head and _find_container(head, MAX_NUMEL) is None:
        raise _explain(Blob.from_bytes(head), head, None)


def _find_container(head: bytes, size: int) -> Container | None:
    """What a file is by its first bytes; None if it is nothing that has a reader."""
    container = next(find_containers(head, size), None)
    return container if container is not None and formats_in(container.name) else None


def _explain_zip(directory: ZipDirectory) -> UnknownFormatError:
    """What a zip is that no reader knows."""
    from paraminspect.formats.foreign import recognise_members

    foreign = recognise_members(directory.entries)
    if foreign is not None:
        return UnknownFormatError(f"the file is {foreign.what}", hint=foreign.hint)
    endings = endings_of(lambda row: row.is_model)
    inside = next((name for name in directory.entries if name.endswith(endings)), None)
    if inside is not None:
        return UnknownFormatError(
            f"a zip that packs {inside!r}"[:120], hint="unpack it first and name one of its files"
        )
    return UnknownFormatError("a zip archive without the data.pkl that torch.save writes")


def _explain(blob: Blob, head: bytes, size: int | None) -> UnknownFormatError:
    """Say what the file is, since it is no model; `size` is None of a stream.

    Raises:
        TruncatedError, LimitExceededError: It is one of safetensors, but for the length of its header.
    """
    from paraminspect.formats.foreign import is_compressed, recognise_bytes
    from paraminspect.formats.pointers import MAX_BYTES, read_pointer

    path = None if blob.is_far else blob.path
    if b"\0" not in head and (pointer := read_pointer(blob.read_up_to(0, MAX_BYTES))) is not None:
        return UnknownFormatError(f"the file is {pointer.what}", hint=pointer.how_to_fetch(path))
    foreign = recognise_bytes(blob, head)
    if foreign is not None:
        fault = "not-read" if is_compressed(head, blob.size) else "unknown-format"
        return UnknownFormatError(f"the file is {foreign.what}", hint=foreign.hint_for(path), fault=fault)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body", b"<!--")):
        return UnknownFormatError("the file is a web page (HTML or XML), not a model", hint=_DOWNLOAD)
    if text[:1] in (b"{", b"["):
        return UnknownFormatError("the file is JSON, not a model", hint="an index is recognised by its weight_map")
    if not head.strip(b"\0"):
        return UnknownFormatError(
            "the file holds zeros", hint="a download that was reserved but never written? fetch it again"
        )
    if b"\0" not in head and _is_text(head):
        return UnknownFormatError("the file is text, not a model")
    from paraminspect.formats.safetensors import refuse_length

    refuse_length(head, size)
    known = [row.known_as for row in FORMATS if row.known_as]
    return UnknownFormatError(
        "no format of PyTorch model files that we know",
        hint=f"known are {join_words(known)}",
    )


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end inside a character
    except UnicodeDecodeError:
        return False
    return all(byte >= 32 or byte in b"\t\r\n" for byte in head)
