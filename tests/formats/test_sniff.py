"""Which reader a file gets, and what is said of files that get none."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import (
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    TruncatedError,
    UnknownFormatError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats import open_source
from paraminspect.formats.sniff import HEAD_BYTES, check_head, read_blob
from tests.making.gguf_files import gguf_bytes
from tests.making.numpy_files import npy_bytes, npz_bytes
from tests.making.tars import packed_bytes
from tests.making.torch_files import legacy_bytes, script_bytes, torch_bytes
from tests.making.zips import zip_bytes

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
STATE = {"weight": torch.from_numpy(WEIGHT)}


class Owner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(STATE["weight"])


FORMATS: dict[str, Callable[[Path], bytes]] = {
    "safetensors": lambda _: safetensors.numpy.save({"weight": WEIGHT}),
    "torch zip": lambda _: torch_bytes(STATE),
    "torch legacy": lambda _: legacy_bytes(STATE),
    "torchscript": lambda _: script_bytes(Owner()),
    "gguf": lambda folder: gguf_bytes(folder, weight=WEIGHT),
    "npy": lambda _: npy_bytes(WEIGHT),
    "npz": lambda _: npz_bytes(weight=WEIGHT),
    "pickle": lambda _: pickle.dumps({"weight": WEIGHT}, 4),
    "pickle of protocol 0": lambda _: pickle.dumps({"weight": WEIGHT}, 0),
    "pickle of protocol 1": lambda _: pickle.dumps({"weight": WEIGHT}, 1),
}
EXTENSIONS = [".safetensors", ".pt", ".pth.tar", ".gguf", ".npz", ".npy", ".pkl", ".json", ".html", ""]


@pytest.mark.parametrize("name", FORMATS)
def test_extension_never_matters(name: str, tmp_path: Path) -> None:
    data = FORMATS[name](tmp_path)
    seen = set()
    for extension in EXTENSIONS:
        path = tmp_path / f"model{extension}"
        path.write_bytes(data)
        checkpoint = open_source(path)
        (record,) = checkpoint.tensors
        assert (record.shape, record.dtype) == ((2, 3), "float32")
        assert record.name == ("" if name == "npy" else "weight")
        seen.add(checkpoint.format)
    assert len(seen) == 1
    assert seen.pop().lower().partition(" ")[0] in name


@pytest.mark.parametrize("name", FORMATS)
def test_stream_of_a_model_is_let_through(name: str, tmp_path: Path) -> None:
    data = FORMATS[name](tmp_path)
    check_head(data[:HEAD_BYTES])
    check_head(data[: 9 if "protocol" not in name else HEAD_BYTES])


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize(
    "value", [{f"epoch {i}": i * 1.5 for i in range(50)}, [{"name": "x" * 5000}], OrderedDict(a=1)]
)
def test_an_old_pickle_is_known_however_long_its_first_object(protocol: int, value: object) -> None:
    data = pickle.dumps([OrderedDict(), value], protocol)
    with pytest.raises(UnknownFormatError, match="a pickle without tensors"):
        read_blob(Blob.from_bytes(data))


@pytest.mark.parametrize(
    "text", [b"(c) 2020 Foo\nand others\n", b"cat\ndog\nelephant\n", b"(.", b"I am\n", b"lines\nof\nwords\n" * 90, b"c" * 900,
             b"(1)\n(2)\n", b"count\nname\n", b"]", b"N/A\n" * 200, b"Vectors\n" * 9, b"Variables\nin\n" * 80]
)  # fmt: skip
def test_text_is_no_old_pickle(text: bytes) -> None:
    with pytest.raises(UnknownFormatError, match="the file is text"):
        read_blob(Blob.from_bytes(text))


def test_stream_with_a_long_header_is_let_through() -> None:
    data = safetensors.numpy.save({f"layers.{i}.weight": WEIGHT for i in range(100)})
    assert int.from_bytes(data[:8], "little") > HEAD_BYTES
    check_head(data[:HEAD_BYTES])


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off_it_is_still_told_what_it_is(name: str, tmp_path: Path) -> None:
    data = FORMATS[name](tmp_path)
    with pytest.raises((TruncatedError, MalformedError)):
        read_blob(Blob.from_bytes(data[: len(data) * 2 // 3]))


# What is no model.

FOREIGN = {
    "lfs_pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer, not the file it stands for", "git lfs pull",
    ),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page", "fetch the file itself"),
    "html_upper_case": (b"\r\n  <HTML>", "a web page", "fetch the file itself"),
    "html_behind_a_comment": (b"<!-- login --><html>", "a web page", "fetch the file itself"),
    "html_with_bom": (b"\xef\xbb\xbf<html>", "a web page", "fetch the file itself"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page", "fetch the file itself"),
    "json_object": (b'{"error": "Repository not found"}', "the file is JSON", "weight_map"),
    "json_array": (b"[1, 2, 3]", "the file is JSON", "weight_map"),
    "gzip": (gzip.compress(bytes(100)), "compressed with gzip", "gzip -dc FILE > UNPACKED"),
    "bzip2": (bz2.compress(bytes(100)), "compressed with bzip2", "bzip2 -dc FILE > UNPACKED"),
    "xz": (lzma.compress(bytes(100)), "compressed with xz", "xz -dc FILE > UNPACKED"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed with zstd", "zstd -dc FILE > UNPACKED"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "a 7z archive", "unpack it first"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "a rar archive", "unpack it first"),
    "zeros": (bytes(4096), "the file holds zeros", "fetch it again"),
    "one_zero": (bytes(1), "the file holds zeros", "fetch it again"),
    "text": (b"Thank you for using our service.\n", "the file is text", None),
    "text_cut_inside_a_character": (("x" + "ж" * 600).encode(), "the file is text", None),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(50), "a program (ELF)", None),
    "exe": (b"MZ\x90\x00" + bytes(50), "a program (Windows)", None),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5: a Keras", "h5dump -H FILE lists it"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF", None),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a picture", None),
    "ggml": (b"lmgg" + bytes(20), "a GGML file from before GGUF", "convert_llama_ggml_to_gguf"),
    "parquet": (b"PAR1" + bytes(20), "a Parquet table", None),
    "bytes": (bytes(range(200, 256)), "no format of PyTorch model files that we know", "known are safetensors"),
    "one_byte": (b"\xff", "no format of PyTorch model files that we know", "known are safetensors"),
    "latin_1": ("Gr\xfc\xdfe".encode("latin-1"), "no format of PyTorch model files that we know", "known are"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("extension", [".pt", ".safetensors", ".gguf", ".bin"])
def test_what_is_no_model_is_named(name: str, extension: str, tmp_path: Path) -> None:
    data, words, hint = FOREIGN[name]
    path = tmp_path / f"model{extension}"
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError) as caught:
        open_source(path)
    assert words in caught.value.message
    assert (hint is None) == (caught.value.hint is None)
    if hint is not None:
        typed = hint.replace("FILE", str(path)).replace("UNPACKED", f"{path}.unpacked")
        assert typed in str(caught.value.hint)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_stream_of_it_is_refused_in_the_same_words(name: str) -> None:
    data = FOREIGN[name][0]
    with pytest.raises(UnknownFormatError) as caught:
        check_head(data[:HEAD_BYTES])
    with pytest.raises(UnknownFormatError) as of_file:
        read_blob(Blob.from_bytes(data))
    assert (caught.value.message, caught.value.hint) == (of_file.value.message, of_file.value.hint)


def test_empty() -> None:
    with pytest.raises(TruncatedError, match="the file is empty"):
        read_blob(Blob.from_bytes(b""))
    check_head(b"")  # a stream is known to be empty only when it is read


def test_a_header_longer_than_the_file_is_safetensors_cut_off() -> None:
    with pytest.raises(TruncatedError, match="the safetensors header claims 5,000 bytes"):
        read_blob(Blob.from_bytes((5000).to_bytes(8, "little") + b'{"a":'))


def test_a_header_longer_than_any_is_safetensors_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((100_000_001).to_bytes(8, "little") + b'{"a":')
    os.truncate(path, 100_000_009)
    with pytest.raises(LimitExceededError, match="100,000,001 bytes of safetensors header; the limit is 100,000,000"):
        open_source(path)
    os.truncate(path, 100_000_008)
    with pytest.raises(TruncatedError, match="claims 100,000,001 bytes, the file has 100,000,000 after the length"):
        open_source(path)


def test_a_stream_has_any_size_and_no_header_has_any_length() -> None:
    with pytest.raises(LimitExceededError, match="100,000,001 bytes of safetensors header"):
        check_head((100_000_001).to_bytes(8, "little") + b'{"a":')
    check_head((100_000_000).to_bytes(8, "little") + b'{"a":')


@pytest.mark.parametrize("begin", [b"{1", b"{{", b"}"])
def test_what_begins_like_no_list_of_tensors_has_no_header(begin: bytes) -> None:
    with pytest.raises(UnknownFormatError, match="no format of PyTorch model files"):
        read_blob(Blob.from_bytes((1 << 40).to_bytes(8, "little") + begin + b"\0\xff"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "a zip archive without the data.pkl that torch.save writes"),
        (("[Content_Types].xml", "word/document.xml"), "a zip archive without the data.pkl"),
        (("README.md",), "a zip archive without the data.pkl"),
        (("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
        (("model/weights.pt", "model/README"), "a zip that packs 'model/weights.pt'"),
        (("model.safetensors",), "a zip that packs 'model.safetensors'"),
        (("\x1b[31m\n.pt",), r"a zip that packs '\x1b[31m\n.pt'"),
    ],
    ids=["empty", "docx", "readme", "keras", "packed_pt", "packed_safetensors", "escape"],
)
def test_zip_that_is_no_model(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(UnknownFormatError) as caught:
        read_blob(Blob.from_bytes(zip_bytes(dict.fromkeys(names, b""))))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_tar_that_torch_did_not_write() -> None:
    data = packed_bytes({"model.pt": b""})
    check_head(data[:HEAD_BYTES])
    with pytest.raises(UnknownFormatError, match="a tar archive that packs no model file"):
        read_blob(Blob.from_bytes(data))


def test_configuration_of_a_model_is_no_index(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UnknownFormatError, match="the file is JSON"):
        open_source(path)


# Properties.

MAGICS = st.sampled_from(
    [b"", b"PK\x03\x04", b"PK\x05\x06", b"GGUF", b"\x93NUMPY", b"\x80\x02", b"\x80\x04", b"\x02" + bytes(7) + b"{", b"{",
     b"<", b"MZ", *(data[:12] for data, *_ in FOREIGN.values())]
)  # fmt: skip


@given(MAGICS, st.binary(max_size=600))
def test_any_bytes_give_records_or_an_error(magic: bytes, rest: bytes) -> None:
    data = magic + rest
    try:
        read_blob(Blob.from_bytes(data))
    except ParamInspectError:
        return
    check_head(data[:HEAD_BYTES])  # a stream of it is let through
