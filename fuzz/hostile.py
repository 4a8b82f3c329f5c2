"""Files under 1 MB that ask for as much work as they can, of every format: `python -m fuzz.hostile FOLDER [NAME ..]` writes them.

Each is valid, or nearly: what it costs is what it declares. A deflated byte stands for a thousand, so many of them are small.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.making.tars import packed_bytes

MOST: Final = 1_000_000
"""Bytes of each."""

Made = bytes | dict[str, bytes]
"""A file, or the files of a folder."""


# --- safetensors ---------------------------------------------------------------------------------------------------


def safetensors(header: str | bytes, data: bytes = b"") -> bytes:
    """A file of this header, whatever it says."""
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + data


def named(names: Iterable[str], *, shape: str = "[0]") -> bytes:
    """Empty tensors of these names, as many as fit."""
    parts: list[str] = []
    size = 0
    for name in names:
        part = f'{json.dumps(name, ensure_ascii=False)}:{{"dtype":"U8","shape":{shape},"data_offsets":[0,0]}}'
        size += len(part.encode()) + 1
        if size > MOST - 100:
            break
        parts.append(part)
    return safetensors("{" + ",".join(parts) + "}")


def _singles() -> bytes:
    """Tensors of one byte each."""
    parts = [f'"{i:x}":{{"dtype":"U8","shape":[],"data_offsets":[{i},{i + 1}]}}' for i in range(16_000)]
    return safetensors("{" + ",".join(parts) + "}", bytes(16_000))


def _declared() -> bytes:
    """Each name is tied to the next."""
    pairs = ",".join(f'"{i:x}":"{i + 1:x}"' for i in range(58_000))
    return safetensors('{"__metadata__":{' + pairs + '},"0":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')


SAFETENSORS: Final[dict[str, Callable[[], Made]]] = {
    "many.safetensors": lambda: named(f"{i:x}" for i in range(1 << 20)),
    "singles.safetensors": _singles,
    "dims.safetensors": lambda: named((f"{i:x}" for i in range(1 << 20)), shape="[" + "0," * 63 + "0]"),
    "dotted.safetensors": lambda: named(f"{i:x}" + ".x" * 4000 for i in range(1 << 20)),
    "dots.safetensors": lambda: named([".".join(["x"] * 400_000)]),
    "modules.safetensors": lambda: named(".".join(f"{i * 40 + j:x}" for j in range(40)) for i in range(1 << 20)),
    "numbered.safetensors": lambda: named(f"a.{i}.b.{i % 7}.w" for i in range(1 << 20)),
    "long_name.safetensors": lambda: named(["x" * 900_000]),
    "one_long.safetensors": lambda: named([*(f"{i:x}" for i in range(9000)), "x" * 400_000]),
    "one_dotted.safetensors": lambda: named([*(f"{i:x}.w" for i in range(9000)), "x." * 200_000]),
    "long_names.safetensors": lambda: named(f"{i}" + "x" * 9000 for i in range(1 << 20)),
    "wide.safetensors": lambda: named(f"{i:x}" + "字👩‍👩‍👧é̂" * 20 for i in range(1 << 20)),
    "controls.safetensors": lambda: named(f"{i:x}\x1b[2J\n\u202e\x00" * 4 for i in range(1 << 20)),
    "declared.safetensors": _declared,
    "brackets.safetensors": lambda: safetensors("[" * 900_000),
    "braces.safetensors": lambda: safetensors('{"a":' * 180_000),
    "digits.safetensors": lambda: safetensors('{"a":' + "9" * 900_000 + "}"),
    "lists.safetensors": lambda: safetensors('{"__metadata__":{},"a":[' + "[]," * 300_000 + "[]]}"),
    "deep_entry.safetensors": lambda: safetensors(
        '{"a":{"dtype":"U8","shape":' + "[" * 900 + "]" * 900 + ',"data_offsets":[0,0]}}'
    ),
    "deep_entries.safetensors": lambda: safetensors(
        "{" + ",".join(f'"{i:x}":' + "[" * 400 + "]" * 400 for i in range(1200)) + "}"
    ),
    "huge_sizes.safetensors": lambda: named((f"{i:x}" for i in range(1 << 20)), shape="[0," + "9" * 4000 + "]"),
    "huge_offsets.safetensors": lambda: safetensors(
        "{"
        + ",".join(
            f'"{i:x}":{{"dtype":"U8","shape":[],"data_offsets":[{"9" * 4000},{"9" * 4000}]}}' for i in range(110)
        )
        + "}"
    ),
    "fractions.safetensors": lambda: safetensors('{"a":[' + "1e9," * 230_000 + "1]}"),
    "same_names.safetensors": lambda: named(["a"] * 20_000),
    "metadata.safetensors": lambda: safetensors(
        '{"__metadata__":{' + ",".join(f'"{i:x}":""' for i in range(90_000)) + "}}"
    ),
    "backslashes.safetensors": lambda: safetensors('{"' + "\\\\" * 450_000 + '":{}}'),
}


# --- pickles -------------------------------------------------------------------------------------------------------


def word(text: str) -> bytes:
    """BINUNICODE or SHORT_BINUNICODE."""
    data = text.encode()
    return b"\x8c" + bytes([len(data)]) + data if len(data) < 256 else b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    """The shortest opcode of an integer of at most 64 bits."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def sizes(values: Iterable[int]) -> bytes:
    """A tuple."""
    return b"(" + b"".join(number(each) for each in values) + b"t"


HEAD: Final = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00ctorch\nFloatStorage\nq\x010"
"""The function that rebuilds is memo entry 0, the class of storage 1."""


def view(numel: int, offset: int, shape: Iterable[int], stride: Iterable[int], key: str = "0") -> bytes:
    """A tensor of a storage."""
    pid = b"(" + word("storage") + b"h\x01" + word(key) + word("cpu") + number(numel) + b"tQ"
    return b"h\x00(" + pid + number(offset) + sizes(shape) + sizes(stride) + b"\x89NtR"


def archive(root: bytes, storages: Mapping[str, bytes] = {}, *, deflated: bool = True) -> bytes:
    """A zip as torch writes it, and as it reads it: deflated."""
    members = {"m/data.pkl": root, **{f"m/data/{key}": data for key, data in storages.items()}, "m/version": b"3\n"}
    return zipped(members.items(), deflated=deflated)


def zipped(members: Iterable[tuple[str, bytes]], *, deflated: bool = False) -> bytes:
    """Members in this order; the same name may stand twice."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as made:
        warnings.simplefilter("ignore")
        for name, data in members:
            made.writestr(name, data, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)
    return stream.getvalue()


def state(views: Iterable[tuple[str, bytes]], head: bytes = HEAD) -> bytes:
    """A dictionary of tensors."""
    return head + b"}(" + b"".join(word(name) + each for name, each in views) + b"u."


def _views(count: int, numel: int, shape: Callable[[int], tuple[int, ...]], stride: Callable[[int], tuple[int, ...]],
           offset: Callable[[int], int] = lambda _: 0) -> bytes:  # fmt: skip
    """Views of one storage of zeros."""
    pairs = ((f"{i:x}", view(numel, offset(i), shape(i), stride(i))) for i in range(count))
    return archive(state(pairs), {"0": bytes(4 * numel)})


def _nested(depth: int, inner: bytes, around: Callable[[bytes], bytes]) -> bytes:
    for _ in range(depth):
        inner = around(inner)
    return inner


def _doubled(levels: int, leaf: bytes) -> bytes:
    """A dictionary of twice the same dictionary, of twice ..."""
    made = leaf + b"q\x020"
    for level in range(levels):
        get = b"h" + bytes([level + 2])
        made += b"}(" + word("a") + get + word("b") + get + b"uq" + bytes([level + 3]) + b"0"
    return HEAD + made + b"h" + bytes([levels + 2]) + b"."


def _in_strings(depth: int, copies: int) -> bytes:
    """Pickles of byte strings that are pickles."""
    data = b"\x80\x02cos\nsystem\n."
    for _ in range(depth):
        data = b"\x80\x03]" + (b"(" + (b"B" + struct.pack("<I", len(data)) + data) * copies + b"e") + b"."
    return data


def _strings(count: int) -> bytes:
    """Byte strings that begin as pickles do, each another."""
    return b"\x80\x03](" + b"".join(b"C\x08\x80\x03N." + struct.pack("<I", i) for i in range(count)) + b"e."


PICKLES: Final[dict[str, Callable[[], Made]]] = {
    "zero_stride.pt": lambda: _views(1, 1, lambda _: (1 << 40,), lambda _: (0,)),
    "zero_strides.pt": lambda: _views(9000, 1, lambda i: ((1 << 24) + i,), lambda _: (0,)),
    "zero_stride_dims.pt": lambda: _views(1000, 1, lambda i: (2 + i,) + (2,) * 20, lambda _: (0,) * 21),
    "windows.pt": lambda: _views(1, 1 << 20, lambda _: (1 << 19, 1 << 19), lambda _: (1, 1)),
    "prefixes.pt": lambda: _views(9000, 1 << 22, lambda i: ((1 << 22) - i,), lambda _: (1,)),
    "rows.pt": lambda: _views(60_000, 1 << 17, lambda i: (i + 1,), lambda _: (1,), lambda i: i),
    "combs.pt": lambda: _views(20_000, 1 << 20, lambda i: (2, 3 + i % 97, 5), lambda i: (1 + i % 89, 3 + i % 101, 7)),
    "lattices.pt": lambda: _views(9000, 1 << 20, lambda i: (7, 5, 3, 2 + i % 5), lambda i: (1 + i % 13, 17 + i % 29, 1009 + i, 31_337 % (i + 2))),
    "scalars.pt": lambda: _views(100_000, 1 << 17, lambda _: (), lambda _: (), lambda i: i),
    "dims.pt": lambda: _views(3000, 1, lambda _: (1,) * 64, lambda i: (i,) * 64),
    "empty.pt": lambda: archive(state((f"{i:x}", view(0, 0, (0,), (1,))) for i in range(100_000))),
    "storages.pt": lambda: archive(state((f"{i:x}", view(1, 0, (1,), (1,), f"{i:x}")) for i in range(4000)), {f"{i:x}": bytes(4) for i in range(4000)}),
    "inflated.pt": lambda: archive(state([("a", view(1 << 27, 0, (1 << 27,), (1,)))]), {"0": bytes(1 << 29)}),
    "lists.pt": lambda: archive(HEAD + b"](" + b"]" * 6_000_000 + b"e."),
    "dicts.pt": lambda: archive(HEAD + b"](" + b"}" * 6_000_000 + b"e."),
    "letters.pt": lambda: archive(HEAD + b"](" + b"\x8c\x01a" * 3_000_000 + b"e."),
    "keys.pt": lambda: archive(HEAD + b"}(" + b"".join(word(f"{i:x}") + b"N" for i in range(450_000)) + b"u."),
    "integers.pt": lambda: archive(HEAD + b"](" + b"J\xff\xff\xff\x7f" * 6_000_000 + b"e."),
    "floats.pt": lambda: archive(HEAD + b"](" + (b"G" + bytes(8)) * 6_000_000 + b"e."),
    "nones.pt": lambda: archive(HEAD + b"N0" * 7_000_000 + b"N."),
    "marks.pt": lambda: archive(HEAD + b"(" * 7_000_000),
    "longs.pt": lambda: archive(HEAD + (b"\x8b\x00\x04\x00\x00" + b"\x7f" * 1024 + b"0") * 4000 + b"N."),
    "decimals.pt": lambda: archive(b"L" + b"9" * 60_000 + b"L\n0" + b"I" + b"7" * 60_000 + b"\n."),
    "memo.pt": lambda: archive(HEAD + b"N" + b"".join(b"r" + struct.pack("<I", i) for i in range(600_000)) + b"."),
    "globals.pt": lambda: archive(HEAD + b"](" + b"".join(b"ca%x\nb\n" % i for i in range(300_000)) + b"e."),
    "calls.pt": lambda: archive(HEAD + b"](" + b"ca\nb\n)R" * 900_000 + b"e."),
    "states.pt": lambda: archive(HEAD + b"ca\nb\n)\x81" + b"}(" + word("a") + b"Nub" + b"}Nb" * 900_000 + b"."),
    "growing.pt": lambda: archive(HEAD + b"ca\nb\n)\x81" + b"".join(b"}" + word(f"{i:x}") + b"Nsb" for i in range(300_000)) + b"."),
    "deep.pt": lambda: archive(HEAD + b"}" + word("a") + (b"}" + word("a")) * 900_000 + b"N" + b"s" * 900_001 + b"."),
    "deep_lists.pt": lambda: archive(HEAD + b"]" * 900_000 + b"a" * 899_999 + b"."),
    "deep_tuples.pt": lambda: archive(HEAD + b"N" + b"\x85" * 3_000_000 + b"."),
    "tuple_keys.pt": lambda: archive(HEAD + b"}(" + b"".join(b"N" + b"\x85" * 100 + b"N" for _ in range(60_000)) + b"u."),
    "doubled.pt": lambda: archive(_doubled(200, view(0, 0, (0,), (1,)))),
    "doubled_some.pt": lambda: archive(_doubled(18, view(0, 0, (0,), (1,)))),
    "in_strings.pt": lambda: archive(_in_strings(6, 8)),
    "in_strings.pkl": lambda: _in_strings(5, 8),
    "strings.pt": lambda: archive(_strings(550_000)),
    "strings.pkl": lambda: _strings(60_000),
    "row.pkl": lambda: b"\x80\x02N." * 190_000,
    "row_lists.pkl": lambda: b"\x80\x02](NNe." * 100_000,
    "mixed_row.pkl": lambda: b"\x80\x02K\x01.PK\x03\x04\x93NUMPY" * 45_000,
    "proto0.pkl": lambda: b"(dp0\n" + b"".join(b"S'%x'\np%d\nI1\ns" % (i, i) for i in range(45_000)) + b".",
    "names.pkl": lambda: b"\x80\x02](" + b"".join(b"ca%x\nb\n" % i for i in range(75_000)) + b"e.",
    "stack_globals.pkl": lambda: b"\x80\x04](" + b"\x8c\x01a\x8c\x01b\x93" * 120_000 + b"e.",
    "reduces.pkl": lambda: b"\x80\x02](" + b"".join(b"cos\nsystem\n(X\x01\x00\x00\x00%ctR" % (65 + i % 26) for i in range(40_000)) + b"e.",
    "sets.pkl": lambda: b"\x80\x04\x8f(" + b"K\x01" * 400_000 + b"\x90.",
    "frames.pkl": lambda: b"\x80\x04" + b"\x95\x01\x00\x00\x00\x00\x00\x00\x00N0" * 80_000 + b"N.",
    "joblib.pkl": lambda: _joblib(5000),
    "joblib.joblib": lambda: zlib.compress(_joblib(60_000)),
    "numpy_arrays.pkl": lambda: _numpy_arrays(8000),
    "legacy.pt": lambda: _legacy(12_000),
}  # fmt: skip


def _joblib(count: int) -> bytes:
    """Arrays as joblib leaves them: their numbers lie between the opcodes."""
    wrapper = (
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(" + word("subclass") + b"cnumpy\nndarray\n" + word("shape")
        + b"K\x01\x85" + word("order") + word("C") + word("dtype") + b"cnumpy\ndtype\n(" + word("f8") + b"\x89\x88tR"
        + word("allow_mmap") + b"\x88ub" + bytes(8)
    )  # fmt: skip
    return b"\x80\x03](" + wrapper * count + b"e."


def _numpy_arrays(count: int) -> bytes:
    make = (
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x01\x85cnumpy\ndtype\n("
        + word("f8") + b"\x89\x88tR\x89C\x08" + bytes(8) + b"tb"
    )  # fmt: skip
    return b"\x80\x03}(" + b"".join(word(f"{i:x}") + make for i in range(count)) + b"u."


def _legacy(count: int) -> bytes:
    """As `torch.save` wrote before 1.6, of views of one storage."""
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    system = b"\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\r\x00\x00\x00little_endian\x88u."
    numel = 20_000
    pairs = []
    for i in range(count):
        pid = b"(" + word("storage") + b"h\x01" + word("0") + word("cpu") + number(numel) + b"NtQ"
        pairs.append((f"{i:x}", b"h\x00(" + pid + number(0) + sizes([numel - i]) + sizes([1]) + b"\x89NtR"))
    keys = b"\x80\x02]" + word("0") + b"a."
    return magic + b"\x80\x02M\xe9\x03." + system + state(pairs) + keys + struct.pack("<q", numel) + bytes(4 * numel)


# --- archives and arrays -------------------------------------------------------------------------------------------


def npy(descr: str, shape: str, data: bytes = b"", version: int = 1) -> bytes:
    """An array of this header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + b"\n" + data


def _same_member(count: int) -> bytes:
    """A directory that names one member again and again."""
    pickle = HEAD + b"N0" * 400_000 + b"N."
    made = zipped([("m/data.pkl", pickle)], deflated=True)
    at = made.index(b"PK\1\2")
    entry, end = made[at : made.index(b"PK\5\6")], made[made.index(b"PK\5\6") :]
    names = [b"m/%07x.pk" % i for i in range(count)]
    entries = b"".join(entry[:46].replace(b"m/data.pkl", b"") + name + entry[46 + 10 :] for name in names)
    places = struct.pack("<HHLL", count & 0xFFFF, count & 0xFFFF, len(entries), at)
    return made[:at] + entries + end[:8] + places + end[20:]


def _zips(depth: int, copies: int, leaf: bytes) -> bytes:
    """Archives in archives."""
    for _ in range(depth):
        leaf = zipped([(f"{i}.zip", leaf) for i in range(copies)], deflated=True)
    return leaf


def _tar(count: int, *, named: bytes = b"x") -> bytes:
    return packed_bytes(((f"{i:x}.pkl", named) for i in range(count)), tarfile.USTAR_FORMAT)


def _fields(count: int) -> str:
    return "[" + ", ".join(f"('{i:x}', '<f4')" for i in range(count)) + "]"


ARCHIVES: Final[dict[str, Callable[[], Made]]] = {
    "many.npz": lambda: zipped((f"{i:x}.npy", npy("'<f4'", "(0,)")) for i in range(4600)),
    "many_deflated.npz": lambda: zipped(((f"{i:x}.npy", npy("'<f4'", "(0,)")) for i in range(4600)), deflated=True),
    "inflated.npz": lambda: zipped([("a.npy", npy("'<f4'", f"({1 << 27},)") + bytes(1 << 29))], deflated=True),
    "inflated_ints.npz": lambda: zipped([(f"{i}.npy", npy("'|i1'", f"({1 << 24},)") + bytes(1 << 24)) for i in range(28)], deflated=True),
    "declared.npz": lambda: zipped([(f"{i:x}.npy", npy("'<f4'", f"({1 << 40},)")) for i in range(2000)], deflated=True),
    "texts.npz": lambda: zipped([("a.npy", npy("'<U1000000'", "(60,)") + bytes(240_000_000))], deflated=True),
    "same_member.pt": lambda: _same_member(15_000),
    "zips.zip": lambda: _zips(6, 5, zipped([("a.pkl", b"\x80\x02N.")])),
    "zips_wide.zip": lambda: _zips(3, 40, zipped([("a.pkl", b"\x80\x02" + b"N0" * 1000 + b"N.")], deflated=True)),
    "zips_row.zip": lambda: zipped([("a.pkl", b"\x80\x02N.")]) * 6000,
    "pickles.zip": lambda: zipped((f"{i:x}.pkl", b"\x80\x02N.") for i in range(8000)),
    "bombs.zip": lambda: zipped([(f"{i}.pkl", b"\x80\x02" + b"N0" * (8 << 20) + b"N.") for i in range(40)], deflated=True),
    "big_strings.zip": lambda: zipped([("m/data.pkl", b"\x80\x03B" + struct.pack("<I", 250 << 20) + b"\x80\x03" + bytes((250 << 20) - 2) + b".")], deflated=True),
    "zeros.zip": lambda: zipped([(f"{i}.bin", bytes(100 << 20)) for i in range(8)], deflated=True),
    "comments.zip": lambda: b"PK\3\4" + b"PK\5\6" * 240_000,
    "script.pt": lambda: _script(6_000_000),
    "script_lines.pt": lambda: _script_lines(500_000),
    "export.pt2": lambda: _export(30_000),
    "export_deep.pt2": lambda: zipped([("m/archive_format", b"pt2"), ("m/models/model.json", b"[" * 6_000_000)], deflated=True),
    "tar.tar": lambda: _tar(900, named=b"\x80\x02N."),
    "tar.tar.gz": lambda: gzip.compress(_tar(60_000, named=b"\x80\x02N.")),
    "torch.tar": lambda: _torch_tar(7000),
    "gzip.gz": lambda: gzip.compress(b"\x80\x02" + b"N0" * (60 << 20) + b"N."),
    "bzip.bz2": lambda: bz2.compress(b"\x80\x02" + b"N0" * (60 << 20) + b"N."),
    "xz.xz": lambda: lzma.compress(b"\x80\x02" + b"N0" * (60 << 20) + b"N.", preset=0),
    "frames.lz4": lambda: (bytes.fromhex("04224d186050fb") + bytes(4)) * 80_000,
    "gzips.gz": lambda: gzip.compress(b"") * 45_000,
    "deep.npy": lambda: npy("[" * 60_000, "(1,)"),
    "fields.npy": lambda: npy(_fields(3000), "(1,)", bytes(12_000)),
    "fields_wide.npy": lambda: npy(_fields(45_000), "(1,)", bytes(180_000), 2),
    "nothing.npy": lambda: npy("'|V0'", f"({1 << 60},)"),
    "nothing_text.npy": lambda: npy("'<U0'", f"({1 << 40},)"),
    "dims.npy": lambda: npy("'<f4'", "(" + "0," * 30_000 + ")"),
    "digits.npy": lambda: npy("'<f4'", "(" + "9" * 60_000 + ",)"),
    "objects.npy": lambda: npy("'|O'", "(100000,)", b"\x80\x02](" + b"N" * 900_000 + b"e."),
}  # fmt: skip


def _script(size: int) -> bytes:
    code = b"class A(Module):\n  __parameters__ = []\n" + b"  a : int\n" * (size // 10)
    root = b"\x80\x02c__torch__\nA\n)\x81}b."
    return zipped([("m/data.pkl", root), ("m/constants.pkl", b"\x80\x02)."), ("m/code/__torch__.py", code)], deflated=True)  # fmt: skip


def _script_lines(count: int) -> bytes:
    code = b"class A(Module):\n  __parameters__ = [" + b'"a", ' * count + b"]\n" + b"  a : Tensor\n" * 100
    root = b"\x80\x02c__torch__\nA\n)\x81}b."
    return zipped([("m/data.pkl", root), ("m/constants.pkl", b"\x80\x02)."), ("m/code/__torch__.py", code)], deflated=True)  # fmt: skip


def _export(count: int) -> bytes:
    meta = {"dtype": 7, "sizes": [{"as_int": 1}], "requires_grad": True, "strides": [{"as_int": 1}],
            "storage_offset": {"as_int": 0}, "layout": 7}  # fmt: skip
    config = {
        f"{i:x}": {"path_name": "w", "is_param": True, "use_pickle": False, "tensor_meta": meta} for i in range(count)
    }
    members = {
        "m/archive_format": b"pt2",
        "m/models/model.json": json.dumps(
            {"graph_module": {"graph": {"nodes": []}, "signature": {"input_specs": []}}}
        ).encode(),
        "m/data/weights/model_weights_config.json": json.dumps({"config": config}).encode(),
        "m/data/weights/w": bytes(4),
    }
    return zipped(members.items(), deflated=True)


def _torch_tar(count: int) -> bytes:
    """The format of torch before 0.1.10: storages and tensors one by one, each of a few pickles."""
    number_of = b"\x80\x02" + number(count) + b"."
    tensor = b"".join(
        b"\x80\x02(" + word(f"{i:x}") + word("0") + b"ctorch\nFloatTensor\nt." + struct.pack("<iqqq", 1, 1, 1, 0)
        for i in range(count)
    )
    storage = (
        b"\x80\x02K\x01."
        + b"\x80\x02("
        + word("0")
        + word("cpu")
        + b"ctorch\nFloatStorage\nt."
        + struct.pack("<q", 1)
        + bytes(4)
    )
    members = {"storages": storage + b"\x80\x02].", "tensors": number_of + tensor, "pickle": b"\x80\x02}."}
    return packed_bytes(members, tarfile.USTAR_FORMAT)


# --- GGUF, ONNX ----------------------------------------------------------------------------------------------------


def gguf(keys: list[bytes], infos: list[bytes], data: bytes = b"") -> bytes:
    """A file of these parts."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + data


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _info(name: str, dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return _text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def _array(kind: int, count: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + data


GGUFS: Final[dict[str, Callable[[], Made]]] = {
    "many.gguf": lambda: gguf([], [_info(f"{i:x}", (0,)) for i in range(26_000)]),
    "same.gguf": lambda: gguf([], [_info(f"{i:x}", (100_000 - i,)) for i in range(13_000)], bytes(400_000)),
    "same_q2.gguf": lambda: gguf([], [_info(f"{i:x}", (256 * (1200 - i % 1000),), 10, 32 * (i // 1000)) for i in range(13_000)], bytes(102_000)),
    "same_q6.gguf": lambda: gguf([], [_info(f"{i:x}", (256 * (1200 - i % 1000),), 14, 32 * (i // 1000)) for i in range(13_000)], bytes(254_000)),
    "keys.gguf": lambda: gguf([_text(f"{i:x}") + struct.pack("<IB", 0, 1) for i in range(55_000)], []),
    "floats.gguf": lambda: gguf([_text(f"{i:x}") + struct.pack("<If", 6, 0.1) for i in range(48_000)], []),
    "arrays.gguf": lambda: gguf([_text("a") + struct.pack("<I", 9) + _array(9, 80_000, _array(0, 0) * 80_000)], []),
    "deep.gguf": lambda: gguf([_text("a") + struct.pack("<I", 9) + _array(9, 1) * 80_000], []),
    "texts.gguf": lambda: gguf([_text("a") + struct.pack("<I", 9) + _array(8, 120_000, bytes(8) * 120_000)], []),
    "texts_many.gguf": lambda: gguf([_text(f"{i:x}") + struct.pack("<I", 8) + _text("a") for i in range(36_000)], []),
    "arrays_many.gguf": lambda: gguf([_text(f"{i:x}") + struct.pack("<I", 9) + _array(8, 2, bytes(16)) for i in range(22_000)], []),
    "arrays_nested.gguf": lambda: gguf([_text(f"{i:x}") + struct.pack("<I", 9) + _array(9, 1) * 300 + _array(0, 0) for i in range(250)], []),
    "infos_dims.gguf": lambda: gguf([], [_info(f"{i:x}", (1,) * 4, 0, 0) for i in range(16_000)], bytes(32)),
    "infos_names.gguf": lambda: gguf([], [_info("x." * 250 + f"{i:x}", (1,)) for i in range(1800)], bytes(32)),
    "big_end.gguf": lambda: struct.pack(">4sIQQ", b"GGUF", 3, 0, 40_000) + b"".join(struct.pack(">Q", 4) + b"%04x" % i + struct.pack(">If", 6, 0.1) for i in range(40_000)),
    "long_text.gguf": lambda: gguf([_text("a") + struct.pack("<I", 8) + _text("\x1b" * 900_000)], []),
}  # fmt: skip


def message(number_of: int, data: bytes) -> bytes:
    """A field of bytes."""
    return varint(number_of << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Seven bits a byte."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def onnx(graph: bytes) -> bytes:
    """A model of this graph."""
    return b"\x08\x08" + message(8, b"\x0a\x01a") + message(7, graph)


def _onnx_tensor(name: str, dims: bytes, data: bytes) -> bytes:
    return message(5, dims + b"\x10\x01" + data + message(8, name.encode()))


def _inner_graphs(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = message(1, message(5, message(1, b"g") + message(6, graph)))
    return graph


ONNXES: Final[dict[str, Callable[[], Made]]] = {
    "many.onnx": lambda: onnx(b"".join(_onnx_tensor(f"{i:x}", b"\x08\x00", b"") for i in range(70_000))),
    "singles.onnx": lambda: onnx(b"".join(_onnx_tensor(f"{i:x}", b"\x08\x01", message(9, bytes(4))) for i in range(45_000))),
    "typed.onnx": lambda: onnx(b"".join(_onnx_tensor(f"{i:x}", b"\x08\x01", b"\x25" + bytes(4)) for i in range(45_000))),
    "typed_varints.onnx": lambda: onnx(b"".join(message(5, b"\x08\x01\x10\x07" + message(7, b"\x05") + message(8, b"%x" % i)) for i in range(45_000))),
    "typed_doubles.onnx": lambda: onnx(b"".join(message(5, b"\x08\x02\x10\x0b" + (b"\x51" + bytes(8)) * 2 + message(8, b"%x" % i)) for i in range(26_000))),
    "typed_lists.onnx": lambda: onnx(message(1, message(2, b"c") + message(4, b"Constant") + message(5, message(1, b"value_ints") + b"\x40\x01" * 9)) * 18_000),
    "typed_bits.onnx": lambda: onnx(b"".join(message(5, b"\x08\x09\x10\x16" + message(5, b"\x01" * 5) + message(8, b"%x" % i)) for i in range(38_000))),
    "dims.onnx": lambda: onnx(b"".join(message(5, b"\x08\x01" * 60 + b"\x10\x01" + b"\x25" + bytes(4) + message(8, b"%x" % i)) for i in range(6500))),
    "properties_of_data.onnx": lambda: onnx(message(5, b"\x08\x01\x10\x01" + message(13, b"\x0a\x01a\x12\x01b") * 120_000 + message(8, b"a") + b"\x70\x01")),
    "pieces.onnx": lambda: onnx(_onnx_tensor("a", b"\x08" + varint(190_000), (b"\x25" + bytes(4)) * 190_000)),
    "varints.onnx": lambda: onnx(message(5, b"\x08" + varint(480_000) + b"\x10\x07" + b"\x38\x01" * 480_000 + message(8, b"a"))),
    "nodes.onnx": lambda: onnx(b"\x0a\x00" * 490_000),
    "constants.onnx": lambda: onnx(message(1, message(2, b"c") + message(4, b"Constant") + message(5, message(1, b"value_float") + b"\x15\x00\x00\x80\x3f")) * 25_000),
    "attributes.onnx": lambda: onnx(message(1, message(4, b"Constant") + b"\x2a\x00" * 480_000)),
    "graphs.onnx": lambda: onnx(_inner_graphs(60_000 // 10)),
    "graphs_wide.onnx": lambda: onnx(message(1, b"".join(message(5, message(6, b"")) for _ in range(190_000)))),
    "repeated.onnx": lambda: onnx(b"\x0a\x00") + message(7, b"") * 300_000,
    "properties.onnx": lambda: onnx(b"") + message(14, b"\x0a\x01a\x12\x01b") * 120_000,
    "functions.onnx": lambda: onnx(b"") + message(25, b"") * 300_000,
    "external.onnx": lambda: onnx(b"".join(message(5, b"\x08" + varint(1000 + i % 99) + b"\x10\x01" + message(8, b"%x" % i) + message(13, b"\x0a\x08location\x12\x0dexternal.onnx") + b"\x70\x01") for i in range(18_000))),
    "sparse.onnx": lambda: onnx(message(15, message(1, b"\x08\x01\x10\x01" + message(9, bytes(4))) + b"\x18\x80\x80\x80\x80\x20") * 40_000),
}  # fmt: skip


# --- folders -------------------------------------------------------------------------------------------------------


def _index(count: int) -> dict[str, bytes]:
    names = ",".join(f'"{i:x}":"a.safetensors"' for i in range(count))
    index = b'{"metadata":{},"weight_map":{' + names.encode() + b"}}"
    return {"model.safetensors.index.json": index, "a.safetensors": named([])}


def _index_wide(count: int) -> dict[str, bytes]:
    names = ",".join(f'"{i:x}":"{i:x}.safetensors"' for i in range(count))
    return {"model.safetensors.index.json": b'{"metadata":{},"weight_map":{' + names.encode() + b"}}"}


def _named_shards(count: int, tensors: int) -> dict[str, bytes]:
    """Many small files, of all of which an index tells."""
    names = [f"{i:x}.safetensors" for i in range(count)]
    entries = ",".join(f'"{i:x}.{j:x}":"{name}"' for i, name in enumerate(names) for j in range(tensors))
    shards = {name: named(f"{i:x}.{j:x}" for j in range(tensors)) for i, name in enumerate(names)}
    return {"model.safetensors.index.json": b'{"metadata":{},"weight_map":{' + entries.encode() + b"}}", **shards}


DCP: Final = "torch.distributed.checkpoint.metadata"
PROPERTIES: Final = f"c{DCP}\nTensorProperties\n)\x81(ctorch\nfloat32\ntb".encode("latin-1")


def _dcp(
    entries: bytes, storage: bytes = b"}", *, files: Mapping[str, bytes] = {"a.distcp": b""}, head: bytes = b""
) -> dict[str, bytes]:
    """A folder of `torch.distributed.checkpoint`, of these pairs of names and entries, and of pieces and places."""
    state = (
        word("state_dict_metadata")
        + b"}("
        + entries
        + b"u"
        + word("planner_data")
        + b"}"
        + word("storage_data")
        + storage
    )
    return {
        ".metadata": b"\x80\x04" + head + f"c{DCP}\nMetadata\n)\x81".encode("latin-1") + b"}(" + state + b"ub.",
        **files,
    }


def _dcp_object(name: str, **state: bytes) -> bytes:
    """One of torch's dataclasses, rebuilt with its attributes, which are pickled already."""
    attributes = b"".join(word(key) + value for key, value in state.items())
    return f"c{DCP}\n{name}\n)\x81".encode("latin-1") + b"}(" + attributes + b"ub"


def _dcp_entry(size: bytes, chunks: bytes) -> bytes:
    """The metadata of one tensor."""
    return _dcp_object("TensorStorageMetadata", properties=PROPERTIES, size=size, chunks=chunks)


def _dcp_size(*dims: int) -> bytes:
    return b"ctorch\nSize\n(" + sizes(dims) + b"tR"


def _dcp_chunk(offsets: bytes, lengths: bytes) -> bytes:
    return _dcp_object("ChunkStorageMetadata", offsets=offsets, sizes=lengths)


def _dcp_many(count: int) -> dict[str, bytes]:
    """Tensors, each an object of its own."""
    return _dcp(b"".join(word(f"{i:x}") + _dcp_entry(_dcp_size(1), b"]") for i in range(count)))


def _dcp_shared(count: int, chunks: int, dims: int = 1) -> dict[str, bytes]:
    """Many names of one tensor of many pieces."""
    zeros, ones = _dcp_size(*[0] * dims), _dcp_size(*[1] * dims)
    one = _dcp_chunk(zeros, ones) + b"r\x02\0\0\x000"
    head = one + _dcp_entry(_dcp_size(*[chunks] * dims), b"](" + b"h\x02" * chunks + b"e") + b"r\x01\0\0\x000"
    return _dcp(b"".join(word(f"{i:x}") + b"h\x01" for i in range(count)), head=head)


def _dcp_pieces(count: int, dims: int) -> dict[str, bytes]:
    """One tensor of many pieces, divided in every dimension."""
    chunks = b"".join(_dcp_chunk(_dcp_size(*[i] * dims), _dcp_size(*[1] * dims)) for i in range(count))
    return _dcp(word("a") + _dcp_entry(_dcp_size(*[count] * dims), b"](" + chunks + b"e"))


def _dcp_storage(count: int, *, named: bool) -> dict[str, bytes]:
    """Where pieces lie, each in a file of its own or all in one."""
    index, info = (
        f"c{DCP}\nMetadataIndex\n)\x81".encode("latin-1"),
        b"ctorch.distributed.checkpoint.filesystem\n_StorageInfo\n)\x81",
    )
    pairs = b"".join(
        index + b"}(" + word("fqn") + word("a") + word("offset") + _dcp_size(i) + b"ub" + info + b"}(" + word("relative_path")
        + word(f"{i:x}" if named else "a.distcp") + word("offset") + number(i) + word("length") + number(0) + b"ub"
        for i in range(count)
    )  # fmt: skip
    return _dcp(word("a") + _dcp_entry(_dcp_size(4), b"]"), b"}(" + pairs + b"u")


def _dcp_values(count: int) -> dict[str, bytes]:
    """A file of many archives, each of another size."""
    pieces = [zipped([("a/data.pkl", b"\x80\x02" + b"N0" * i + b"N.")]) for i in range(count)]
    return _dcp(word("a") + _dcp_entry(_dcp_size(4), b"]"), files={"a.distcp": b"".join(pieces)})


FOLDERS: Final[dict[str, Callable[[], Made]]] = {
    "index": lambda: _index(38_000),
    "index_wide": lambda: _index_wide(20_000),
    "shards": lambda: _named_shards(1500, 5),
    "dcp_many": lambda: _dcp_many(3300),
    "dcp_shared": lambda: _dcp_shared(100_000, 8),
    "dcp_shared_pieces": lambda: _dcp_shared(40_000, 200_000),
    "dcp_shared_dims": lambda: _dcp_shared(40_000, 100_000, 9),
    "dcp_pieces": lambda: _dcp_pieces(3500, 1),
    "dcp_pieces_dims": lambda: _dcp_pieces(2700, 8),
    "dcp_pieces_many_dims": lambda: _dcp_pieces(1400, 40),
    "dcp_nested": lambda: _dcp(word("a") + b"N" + b"\x85" * 900_000),
    "dcp_nested_size": lambda: _dcp(word("a") + _dcp_entry(b"N" + b"\x85" * 900_000, b"]")),
    "dcp_huge": lambda: _dcp(b"".join(word(f"{i:x}") + _dcp_entry(_dcp_size((1 << 62) + i, 1 << 62), b"]") for i in range(3000))),
    "dcp_places": lambda: _dcp_storage(4000, named=False),
    "dcp_files": lambda: _dcp_storage(4000, named=True),
    "dcp_values": lambda: _dcp_values(750),
    "config": lambda: {"model.safetensors": named(["a"]), "config.json": b"[" * 900_000},
    "config_digits": lambda: {"model.safetensors": named(["a"]), "config.json": b'{"a":' + b"9" * 900_000 + b"}"},
}  # fmt: skip

# --- specs ---------------------------------------------------------------------------------------------------------


def _aliases(levels: int, width: int) -> bytes:
    """Lists of lists of lists, each level several times the one before."""
    lines = ["vars:", "  a0: &a0 [1, 1]"]
    lines += [f"  a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * width)}]" for i in range(levels)]
    return "\n".join([*lines, "model: [ReLU]"]).encode()


def _blocks(levels: int, repeat: int) -> bytes:
    """Blocks that hold the block before, several times."""
    lines = ["blocks:", "  B0: {layers: [ReLU]}"]
    lines += [f"  B{i + 1}: {{layers: [{{B{i}, repeat: {repeat}}}]}}" for i in range(levels)]
    return "\n".join([*lines, f"model: [B{levels}]"]).encode()


def _spec(*layers: str, more: str = "") -> bytes:
    return ("model:\n" + "".join(f"  - {layer}\n" for layer in layers) + more).encode()


def _many(layer: str, count: int, more: str = "") -> bytes:
    return _spec(*[layer] * count, more=more)


def _shared(levels: int) -> bytes:
    """Modules that hold one module twice, and that another: two to the power of the levels names."""
    lines = ["shared:", "  s0: {Linear: [1, 1]}"]
    lines += [f"  s{i + 1}: {{Sequential: [{{use: s{i}}}, {{use: s{i}}}]}}" for i in range(levels)]
    return "\n".join([*lines, f"model: [{{use: s{levels}}}]"]).encode()


def _rules(count: int, modules: int, rule: str) -> bytes:
    rules = "".join(f'  - "{rule.format(i)}"\n' for i in range(count))
    return f"model:\n  - {{Linear: [1, 1], repeat: {modules}, name: h}}\ninit:\n{rules}".encode()


SPECS: Final[dict[str, Callable[[], Made]]] = {
    "aliases.yaml": lambda: _aliases(60, 10),
    "alias_layers.yaml": lambda: b"model:\n  - &a {Sequential: [ReLU, ReLU]}\n" + b"".join(b"  - &%s {Sequential: [*%s, *%s]}\n" % (b"a" * (i + 2), b"a" * (i + 1), b"a" * (i + 1)) for i in range(30)),
    "blocks.yaml": lambda: _blocks(20, 10_000),
    "repeats.yaml": lambda: _spec("{Linear: [1, 1], repeat: 10000, name: h}", "{Linear: [1, 1], repeat: 10000, name: g}", "{Sequential: [{Linear: [1, 1], repeat: 1000}], repeat: 70, name: k}"),
    "repeats_torch.yaml": lambda: _spec("{GroupNorm: [1, 1], repeat: 10000, name: h}", "{Sequential: [{MultiheadAttention: [2, 1], repeat: 1000}], repeat: 9, name: k}"),
    "transformers.yaml": lambda: _spec("{Transformer: [8, 2, 300, 300], repeat: 30, name: h}"),
    "lstm.yaml": lambda: _spec("{LSTM: [1, 1, 4000], repeat: 900, name: h}"),
    "shared.yaml": lambda: _shared(40),
    "shared_some.yaml": lambda: _shared(16),
    "layers.yaml": lambda: _many("ReLU", 24_000),
    "linears.yaml": lambda: _many("{Linear: [1, 1]}", 16_000),
    "named.yaml": lambda: _spec(*[f"{{Linear: [1, 1], name: {'x' * 190}{i}}}" for i in range(4000)]),
    "from.yaml": lambda: _spec(*["{ReLU, name: a}", *[f"{{Add: {{}}, from: [{', '.join(['a'] * 20)}]}}" for _ in range(4000)]]),
    "from_wide.yaml": lambda: _spec("{ReLU, name: a}", f"{{Add: {{}}, from: [{', '.join(['a'] * 90_000)}]}}"),
    "vars.yaml": lambda: b"vars: {" + b", ".join(b"a%x: %d" % (i, i) for i in range(45_000)) + b"}\nmodel: [ReLU]\n",
    "expressions.yaml": lambda: b"vars: {a: 3}\nmodel:\n" + b"  - {Linear: [1, $(1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1)]}\n" * 8000,
    "expression.yaml": lambda: _spec("{Linear: [1, $(" + "(" * 90 + "1" + ")" * 90 + ")]}", "{Linear: [1, $(" + "-" * 190 + "1)]}", "{Linear: [$(9**9**9**9), 1]}"),
    "in_repeat.yaml": lambda: _spec("{Linear: [" + "$(i*0+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1)" + ", 1], repeat: 9999, name: h}"),
    "arguments.yaml": lambda: _spec("{Unflatten: [1, [" + "1, " * 90_000 + "1]], repeat: 9999}"),
    "depth.yaml": lambda: b"model: " + b"[" * 400_000,
    "depth_layers.yaml": lambda: b"model: [" + b"{Sequential: [" * 60 + b"ReLU" + b"]}" * 60 + b"]",
    "text.yaml": lambda: b"model: [ReLU] # " + b"x" * 900_000,
    "quotes.yaml": lambda: b'model: ["' + b"\\x41" * 220_000 + b'"]',
    "folded.yaml": lambda: b"model: >\n" + b"  a\n\n" * 180_000,
    "keys.yaml": lambda: b"? " * 300_000,
    "anchors.yaml": lambda: b"model: [" + b", ".join(b"&a%x ReLU" % i for i in range(60_000)) + b"]",
    "digits.yaml": lambda: b"model: [{Linear: [" + b"9" * 900_000 + b", 1]}]",
    "ties.yaml": lambda: _spec("{Linear: [1, 1], repeat: 9000, name: h}", more="tie:\n" + "".join(f"  h.{i}.weight: h.{i + 1}.weight\n" for i in range(8999))),
    "ties_one.yaml": lambda: _spec("{Linear: [1, 1], repeat: 9000, name: h}", more="tie:\n" + "".join(f"  h.{i + 1}.weight: h.0.weight\n" for i in range(8999))),
    "rules.yaml": lambda: _rules(9000, 9999, "*.{}.*.weight=zeros"),
    "rules_regex.yaml": lambda: _rules(9000, 9999, "/(a|aa)+{}$/=zeros"),
    "rules_stars.yaml": lambda: _rules(3000, 9999, "*h*.*{}*w*e*i*g*h*t*=zeros"),
    "rules_typed.yaml": lambda: _rules(9000, 9999, "L*:*.{}.weight=normal(std=$(sqrt(1/fan_in)))"),
    "json.json": lambda: b'{"model": [' + b'{"Linear": [1, 1]}, ' * 40_000 + b'"ReLU"]}',
    "json_deep.json": lambda: b'{"model": ' + b"[" * 900_000,
    "inputs.yaml": lambda: b"model: [{Concat: {dim: 0}, from: [" + b", ".join(b"i%x" % i for i in range(9000)) + b"]}]\ninput: {" + b", ".join(b"i%x: [1]" % i for i in range(9000)) + b"}\n",
    "big.yaml": lambda: _spec("{Linear: [60000, 60000]}", more="input: [60000, 60000]\n"),
    "bigger.yaml": lambda: _spec("{Linear: [100000, 100000]}", more="input: [1, 100000]\n"),
    "big_repeat.yaml": lambda: _spec("{Linear: [8192, 8192], repeat: 10000, name: h}", more="input: [1, 8192]\n"),
    "big_input.yaml": lambda: _spec("{Linear: [1, 1]}", more="input: [1000000000, 1]\n"),
    "big_output.yaml": lambda: _spec("{Linear: [1, 100000]}", more="input: [1000000, 1]\n"),
    "conv.yaml": lambda: _spec("{Conv2d: [1, 64, 3, {padding: 100}]}", *["{Conv2d: [64, 64, 3, {padding: 1}]}"] * 50, more="input: [1, 1, 4000, 4000]\n"),
    "doubling.yaml": lambda: _spec(*[f"{{Concat: {{dim: 0}}, from: [{'input' if not i else i - 1}, {'input' if not i else i - 1}]}}" for i in range(60)], "{Linear: [1, 1]}", more="input: [1, 1]\n"),
    "upsample.yaml": lambda: _spec(*["{Upsample: {scale_factor: 2}}"] * 40, more="input: [1, 1, 2, 2]\n"),
    "zero_pad.yaml": lambda: _spec("{ZeroPad2d: 2000000}", more="input: [1, 1, 2, 2]\n"),
    "orthogonal.yaml": lambda: _spec("{Linear: [40000, 40000]}", more='init: ["*.weight=orthogonal"]\n'),
    "sparse.yaml": lambda: _spec("{Linear: [3, 30000000]}", more='init: ["*.weight=sparse(sparsity=0.9)"]\n'),
    "dirac.yaml": lambda: _spec("{Conv1d: [10000, 10000, 1]}", more='init: ["*.weight=dirac"]\n'),
    "lstm_long.yaml": lambda: _spec("{LSTM: [1, 64]}", more="input: [3000000, 1, 1]\n"),
    "attention.yaml": lambda: _spec("{TransformerEncoderLayer: [8, 8]}", more="input: [60000, 1, 8]\n"),
    "lazies.yaml": lambda: _spec("{LazyLinear: 1, repeat: 9999}", more="input: [1, 1]\n"),
    "lazy_wide.yaml": lambda: _spec("{Upsample: {scale_factor: 1000000}}", "{Flatten: {}}", "{LazyLinear: 60000}", more="input: [1, 1, 2, 2]\n"),
}  # fmt: skip

FILES: Final[dict[str, Callable[[], Made]]] = {**SAFETENSORS, **PICKLES, **ARCHIVES, **GGUFS, **ONNXES, **FOLDERS}


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {**FILES, **SPECS}.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        made = make()
        files = made if isinstance(made, dict) else {"": made}
        for part, data in files.items():
            if len(data) > MOST:
                sys.exit(f"{name} has {len(data):,} bytes")
            path = folder / name / part if part else folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)


if __name__ == "__main__":
    main()
