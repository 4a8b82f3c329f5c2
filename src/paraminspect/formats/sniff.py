"""Which reader a file needs, from its bytes alone; and, where there is none, what the file is instead.

Extensions lie: `.pth.tar` is mostly a zip, `.pt` may be an error page of a web server. So no name is looked at.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

from paraminspect.errors import ParamInspectError, TruncatedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.safetensors import is_safetensors, read_safetensors
from paraminspect.formats.shapes import MAX_NUMEL
from paraminspect.records import Checkpoint

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
    read = _choose_reader(head, blob.size)
    if read is None:
        raise _explain(blob, head)
    return read(blob)


def check_head(head: bytes) -> None:
    """Whether a stream that begins so may be a model at all, so that it is worth to be copied.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.

    Raises:
        UnknownFormatError: The bytes are something else, or nothing we know.
    """
    if head and _choose_reader(head, MAX_NUMEL) is None:
        raise _explain(Blob.from_bytes(head), head)


def _choose_reader(head: bytes, size: int) -> Callable[[Blob], Checkpoint] | None:
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _read_zip
    if head[:4] == b"GGUF":
        from paraminspect.formats.gguf import read_gguf

        return read_gguf
    if head[:6] == b"\x93NUMPY":
        from paraminspect.formats.numpy_arrays import read_npy

        return read_npy
    if is_safetensors(head, size):
        return read_safetensors
    if head[:1] == b"\x08":
        from paraminspect.formats.onnx.read import is_onnx, read_onnx

        return read_onnx if is_onnx(head) else None
    from paraminspect.formats.pickles.plain import is_pickle
    from paraminspect.formats.pytorch.tar import is_tar, read_torch_tar

    if is_pickle(head):
        return _read_pickle
    return read_torch_tar if is_tar(head) else None


def _read_pickle(blob: Blob) -> Checkpoint:
    from paraminspect.formats.pickles.plain import read_pickle

    try:
        return read_pickle(blob)
    except ParamInspectError:
        from paraminspect.formats.foreign import JOBLIB, is_joblib

        if not is_joblib(blob):
            raise
        raise UnknownFormatError(f"the file is {JOBLIB.what}", hint=JOBLIB.hint) from None


def _read_zip(blob: Blob) -> Checkpoint:
    from paraminspect.formats.zip_file import read_zip_directory

    directory = read_zip_directory(blob)
    names = directory.entries
    from paraminspect.formats.pytorch.archive import is_torch_zip, read_torch_zip

    if is_torch_zip(directory):
        from paraminspect.formats.pytorch.script import is_torchscript, read_torchscript

        return read_torchscript(directory) if is_torchscript(directory) else read_torch_zip(directory)
    from paraminspect.formats.pytorch.export import is_torch_export, read_torch_export

    if is_torch_export(directory):
        return read_torch_export(directory)
    if any(name.endswith(".npy") for name in names):
        from paraminspect.formats.numpy_arrays import read_npz

        return read_npz(directory)
    from paraminspect.formats.foreign import recognise_members

    foreign = recognise_members(names)
    if foreign is not None:
        raise UnknownFormatError(f"the file is {foreign.what}", hint=foreign.hint)
    inside = [name for name in names if name.endswith((".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".gguf"))]
    if inside:
        raise UnknownFormatError(
            f"a zip that packs {inside[0]!r}"[:120], hint="unpack it first and name one of its files"
        )
    raise UnknownFormatError("a zip archive without the data.pkl that torch.save writes")


def _explain(blob: Blob, head: bytes) -> UnknownFormatError:
    """Say what the file is, since it is no model."""
    from paraminspect.formats.foreign import recognise_bytes

    foreign = recognise_bytes(blob, head)
    if foreign is not None:
        return UnknownFormatError(f"the file is {foreign.what}", hint=foreign.hint)
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
    length = int.from_bytes(head[:8], "little")
    if blob.size > 8 and length >= blob.size and head[8:9] == b"{":
        read_safetensors(blob)  # says how long the header claims to be
    return UnknownFormatError(
        "no format of PyTorch model files that we know",
        hint="known are safetensors, torch.save (zip, legacy, tar), TorchScript, torch.export, GGUF, ONNX, npz and npy",
    )


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end inside a character
    except UnicodeDecodeError:
        return False
    return all(byte >= 32 or byte in b"\t\r\n" for byte in head)
