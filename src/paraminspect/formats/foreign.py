"""Files that are no model of PyTorch: how they are known, what they are, and what reads them.

All of it is data: first bytes, patterns of first bytes, last bytes, names in a zip, names in a folder. A file that is
named here is out of scope, not broken, and the hint says where to turn.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from paraminspect.files.blob import Blob
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.formats.zip_file import ZipDirectory


class Foreign(NamedTuple):
    """A kind of file.

    Attributes:
        what: Behind "the file is".
        hint: What reads it, or what to do; None where there is nothing to say. FILE stands for the file, UNPACKED for
            what comes out of it.
    """

    what: str
    hint: str | None = None

    def hint_for(self, path: str | None) -> str | None:
        """The hint as it can be typed of a file of this machine: with its name."""
        if self.hint is None or path is None:
            return self.hint
        name, ending = os.path.splitext(path)
        unpacked = name if ending.lower() in _ENDINGS else f"{path}.unpacked"
        words = {"FILE": shlex.quote(path), "UNPACKED": shlex.quote(unpacked)}
        return re.sub(r"\b(FILE|UNPACKED)\b", lambda found: words[found[0]], self.hint)


_GGML: Final = "convert it with llama.cpp's convert_llama_ggml_to_gguf.py"
_SAVED_MODEL: Final = "tf.saved_model.load reads it; tf2onnx makes an .onnx of it, which can be read"
_TENSORFLOW: Final = "tf2onnx makes an .onnx of it, which can be read"
_CHECKPOINT: Final = "tf.train.load_checkpoint reads it"
_CORE_ML: Final = "coremltools reads it; name the PyTorch model that it was made from"
_ORBAX: Final = "orbax.checkpoint restores it; safetensors.flax.save_file makes a file that can be read"

_ENDINGS: Final = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".z")
"""What the names of files end in that are compressed as a whole."""

_COMPRESSED: Final = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_LZMA: Final = re.compile(rb"\x5d\0\0..\xff{8}", re.DOTALL)
_ZLIB: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda].{0,60}?[\0-\x08\x0e-\x1f]", re.DOTALL)

MAGICS: Final[tuple[tuple[int, bytes, Foreign], ...]] = (
    (0, b"version https://git-lfs.github.com/spec/",
     Foreign("a Git LFS pointer, not the file it stands for", "git lfs pull")),
    (0, b"\x7fELF", Foreign("a program (ELF), not a model")),
    (0, b"MZ", Foreign("a program (Windows), not a model")),
    (0, b"\x1f\x8b", Foreign("compressed with gzip", "unpack it first: gzip -dc FILE > UNPACKED")),
    (0, b"BZh", Foreign("compressed with bzip2", "unpack it first: bzip2 -dc FILE > UNPACKED")),
    (0, b"\xfd7zXZ", Foreign("compressed with xz", "unpack it first: xz -dc FILE > UNPACKED")),
    (0, b"\x28\xb5\x2f\xfd", Foreign("compressed with zstd", "unpack it first: zstd -dc FILE > UNPACKED")),
    (0, b"\x04\x22\x4d\x18", Foreign("compressed with lz4", "unpack it first: lz4 -dc FILE > UNPACKED")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", "unpack it first")),
    (0, b"Rar!", Foreign("a rar archive", "unpack it first")),
    (0, b"\x89HDF", Foreign("HDF5: a Keras or old TensorFlow model, not one of PyTorch", "h5dump -H FILE lists it")),
    (4, b"TFL3", Foreign("a TensorFlow Lite model, not one of PyTorch", "ai-edge-litert runs it, netron shows it")),
    (4, b"ORTM", Foreign("a model in ONNX Runtime's own format", "name the .onnx that it was made from")),
    (4, b"ET12", Foreign("a program of ExecuTorch (.pte)", "name the .pt2 that it was made from")),
    (0, b"\x12\x01\0\0\0\0\0\0", Foreign("parameters of MXNet, not of PyTorch", "mxnet.nd.load reads it")),
    (0, b"binf", Foreign("a model of XGBoost, not of PyTorch", "xgboost.Booster(model_file=..) reads it")),
    (0, b"{L\0\0\0\0\0\0\0", Foreign("a model of XGBoost (UBJSON), not of PyTorch",
                                    "xgboost.Booster(model_file=..) reads it")),
    (0, b"tree\nversion=", Foreign("a model of LightGBM, not of PyTorch", "lightgbm.Booster(model_file=..) reads it")),
    (0, b"ggml", Foreign("a GGML file from before GGUF", _GGML)),
    (0, b"lmgg", Foreign("a GGML file from before GGUF", _GGML)),
    (0, b"fmgg", Foreign("a GGML file from before GGUF", _GGML)),
    (0, b"tjgg", Foreign("a GGML file from before GGUF", _GGML)),
    (0, b"algg", Foreign("a GGML adapter from before GGUF")),
    (0, b"\x89PNG", Foreign("a picture (PNG), not a model")),
    (0, b"%PDF", Foreign("a PDF, not a model")),
    (0, b"ARROW1", Foreign("an Arrow table, not a model")),
    (0, b"PAR1", Foreign("a Parquet table, not a model")),
)  # fmt: skip
"""Where in a file which bytes stand."""

PATTERNS: Final[tuple[tuple[re.Pattern[bytes], Foreign], ...]] = (
    # a fixmap or map16 of msgpack whose first key is text; 0x80, an empty one, is how pickles begin
    (re.compile(rb"(?:[\x81-\x8f]|\xde..)(?:[\xa1-\xbf]|\xd9.)[\w ./:-]{1,31}", re.DOTALL),
     Foreign("msgpack: a Flax (JAX) model, not one of PyTorch",
             "flax.serialization.msgpack_restore reads it; safetensors.flax.save_file makes a file that can be read")),
    (_LZMA, Foreign("compressed with lzma", "unpack it first: xz -dc FILE > UNPACKED")),
    (_ZLIB,
     Foreign("compressed with zlib, as joblib does it", "unpack it first: pigz -dc FILE > UNPACKED")),
    (re.compile(rb"\x08\x01\x12(?:[\x80-\xff]{1,4})?[\x00-\x7f]\x0a"),
     Foreign("a SavedModel of TensorFlow (or a Core ML model), not one of PyTorch", _SAVED_MODEL)),
    (re.compile(rb"\x08[\x02-\x20]\x12(?:[\x80-\xff]{1,4})?[\x00-\x7f][\x0a\x52\xa2]"),
     Foreign("a Core ML model, not one of PyTorch", _CORE_ML)),
    (re.compile(rb"\x0a[\x04-\xff][\x01-\x7f]{0,3}\x0a[\x01-\x7f][\w./-]{1,127}\x12[\x01-\x40][A-Z]\w"),
     Foreign("a frozen graph of TensorFlow, not a model of PyTorch", _TENSORFLOW)),
    (re.compile(rb"\x0a[\x01-\x7f][\w ./-]{1,127}(?:\xa2\x06|\x12|\x1a)"),
     Foreign("a model of Caffe, not of PyTorch", "netron shows it")),
)  # fmt: skip
"""How a file begins that has no magic."""

TAILS: Final[tuple[tuple[bytes, Foreign], ...]] = (
    (b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", Foreign("the index of a TensorFlow checkpoint, not a PyTorch model", _CHECKPOINT)),
)  # fmt: skip
"""Last bytes of a file."""

ZIPS: Final[tuple[tuple[frozenset[str], Foreign], ...]] = (
    (frozenset({"config.json", "model.weights.h5"}),
     Foreign("a Keras model, not one of PyTorch", "keras.saving.load_model reads it")),
    (frozenset({"schema.json"}), Foreign("a scikit-learn model (skops), not one of PyTorch", "skops.io.load reads it")),
)  # fmt: skip
"""Members that a zip has."""

FOLDERS: Final[tuple[tuple[re.Pattern[str], Foreign], ...]] = (
    (re.compile(r"saved_model\.pb(txt)?"), Foreign("a SavedModel of TensorFlow, not a model of PyTorch", _SAVED_MODEL)),
    (re.compile(r"_CHECKPOINT_METADATA|manifest\.ocdbt|_sharding"),
     Foreign("an Orbax (JAX) checkpoint, not one of PyTorch", _ORBAX)),
    (re.compile(r"flax_model.*\.msgpack"),
     Foreign("a Flax (JAX) model, not one of PyTorch", "AutoModel.from_pretrained(.., from_flax=True) converts it")),
    (re.compile(r"tf_model.*\.h5"),
     Foreign("a TensorFlow model, not one of PyTorch", "AutoModel.from_pretrained(.., from_tf=True) converts it")),
    (re.compile(r".*\.(weights\.h5|keras|h5)"), Foreign("a Keras model, not one of PyTorch", "h5dump -H FILE lists it")),
    (re.compile(r"(.*ckpt.*|variables)\.index"), Foreign("a TensorFlow checkpoint, not one of PyTorch", _CHECKPOINT)),
    (re.compile(r".*\.tflite"), Foreign("a TensorFlow Lite model, not one of PyTorch", "netron shows it")),
    (re.compile(r".*\.(mlmodel|mlpackage|mlmodelc)"), Foreign("a Core ML model, not one of PyTorch", _CORE_ML)),
)  # fmt: skip
"""Names in a folder, each by the whole name, the surest first."""

MODEL_ARCHIVE_MARK: Final = "MAR-INF/MANIFEST.json"
JOBLIB_MARK: Final = b"NumpyArrayWrapper"
JOBLIB_HEAD: Final = 1 << 20
"""Bytes that are searched for the mark."""


def recognise_bytes(blob: Blob, head: bytes) -> Foreign | None:
    """What a file is by its first and last bytes; None if it is nothing of that."""
    for offset, magic, kind in MAGICS:
        if head.startswith(magic, offset):
            return kind
    for pattern, kind in PATTERNS:
        if pattern.match(head):
            return kind
    tail = blob.read_up_to(max(0, blob.size - 8), 8)
    return next((kind for ending, kind in TAILS if tail == ending), None)


def is_compressed(head: bytes, _size: int) -> bool:
    """Whether a file is compressed as a whole."""
    return head.startswith(_COMPRESSED) or bool(_ZLIB.match(head) or _LZMA.match(head))


def recognise_members(names: Iterable[str]) -> Foreign | None:
    """What a zip is by the names of its members."""
    there = set(names)
    return next((kind for needed, kind in ZIPS if needed <= there), None)


def recognise_folder(names: Iterable[str]) -> Foreign | None:
    """What a folder without a model of PyTorch is by the names in it."""
    every = list(names)
    return next((kind for pattern, kind in FOLDERS if any(map(pattern.fullmatch, every))), None)


def is_joblib(blob: Blob) -> bool:
    """Whether a pickle that cannot be read is one of joblib."""
    return JOBLIB_MARK in blob.read_up_to(0, JOBLIB_HEAD)


def is_model_archive(directory: ZipDirectory) -> bool:
    """Whether a zip is what torch-model-archiver writes."""
    return MODEL_ARCHIVE_MARK in directory.entries
