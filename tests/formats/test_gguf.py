"""The GGUF reader, held against the gguf package; hostile files are made by hand."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any

import pytest
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
from paraminspect.files.local import LocalFile
from paraminspect.formats import gguf as reader
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.gguf import GGML_TYPES, MIN_INFO_BYTES, MIN_KEY_BYTES, describe_split, read_gguf
from paraminspect.formats.shapes import MAX_NAME_BYTES
from paraminspect.records import Checkpoint
from tests.making.gguf_files import (
    ARRAY,
    F32,
    FLOAT32,
    Q4_K,
    Q8_0,
    STRING,
    UINT8,
    UINT32,
    array,
    info,
    key_value,
    make_gguf,
    text,
    write_with_package,
)


def read(data: bytes) -> Checkpoint:
    return read_gguf(Blob.from_bytes(data))


def read_path(path: Path) -> Checkpoint:
    size = path.stat().st_size
    return read_gguf(Blob(LocalFile(size, os.open(path, os.O_RDONLY)), path=str(path)))


class CountingBlob(Blob):
    """Adds up the bytes that are asked for and there."""

    fetched = 0

    def read_up_to(self, offset: int, length: int) -> bytes:
        data = super().read_up_to(offset, length)
        self.fetched += len(data)
        return data


# Against the reference.


def test_type_table_is_that_of_the_gguf_package() -> None:
    import gguf

    torch_names = {
        "f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64",
        "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    }  # fmt: skip
    wanted = {}
    for kind in gguf.GGMLQuantizationType:
        name = kind.name.lower()
        wanted[int(kind)] = (torch_names.get(name, name), *gguf.GGML_QUANT_SIZES[kind])
    # The package still counts the two scales of Q8_1 as float32; ggml made them float16.
    wanted[9] = ("q8_1", 32, 2 + 2 + 32)
    assert {type_id: GGML_TYPES[type_id] for type_id in wanted} == wanted


def test_plain_types_have_the_width_that_torch_gives_them() -> None:
    plain = {name: nbytes for name, block, nbytes in GGML_TYPES.values() if block == 1}
    assert plain == {name: BITS[name] // 8 for name in plain}
    assert len(plain) == 8


@pytest.mark.parametrize("alignment", [None, 64])
@pytest.mark.parametrize("version", [2, 3])
def test_every_type_is_read_as_the_gguf_package_reads_it(tmp_path: Path, version: int, alignment: int | None) -> None:
    import gguf

    path = tmp_path / "all.gguf"
    kinds = {f"blk.{kind.name}.weight": (kind, (3, 5, 512)) for kind in gguf.GGMLQuantizationType}
    write_with_package(path, kinds, alignment=alignment)
    data = bytearray(path.read_bytes())
    data[4] = version
    path.write_bytes(data)

    checkpoint = read_path(path)

    oracle = gguf.GGUFReader(path)
    assert [t.name for t in checkpoint.tensors] == [t.name for t in oracle.tensors]
    for ours, theirs in zip(checkpoint.tensors, oracle.tensors, strict=True):
        assert ours.shape == tuple(int(size) for size in reversed(theirs.shape)) == (3, 5, 512)
        assert ours.numel == theirs.n_elements
        assert ours.storage is not None
        assert ours.storage.begin == theirs.data_offset
        assert ours.storage.path == str(path)
        if theirs.tensor_type != gguf.GGMLQuantizationType.Q8_1:
            assert ours.nbytes == ours.storage.nbytes == theirs.n_bytes
        plain = GGML_TYPES[int(theirs.tensor_type)][1] == 1
        assert (ours.layout, ours.stride) == (("strided", (2560, 512, 1)) if plain else ("gguf", None))
    assert checkpoint.format == "gguf"
    assert checkpoint.files == (str(path),)
    assert checkpoint.nbytes == len(data)
    assert checkpoint.notes == ()


def test_values_lie_where_the_record_says(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    wanted = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.int16)}
    for name, values in wanted.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    data = path.read_bytes()
    for tensor in read_path(path).tensors:
        assert tensor.byte_range is not None
        assert tensor.shape is not None
        _, begin, end = tensor.byte_range
        found = np.frombuffer(data[begin:end], tensor.dtype).reshape(tensor.shape)
        np.testing.assert_array_equal(found, wanted[tensor.name])


def test_big_endian_file_gives_the_same_tensors_without_a_place(tmp_path: Path) -> None:
    import gguf

    tensors = {
        "a": (gguf.GGMLQuantizationType.F16, (2, 8)),
        "b": (gguf.GGMLQuantizationType.Q4_K, (2, 256)),
    }
    write_with_package(tmp_path / "little.gguf", tensors)
    write_with_package(tmp_path / "big.gguf", tensors, endianess=gguf.GGUFEndian.BIG)
    little, big = read_path(tmp_path / "little.gguf"), read_path(tmp_path / "big.gguf")

    def facts(checkpoint: Checkpoint) -> list[tuple[Any, ...]]:
        return [(t.name, t.shape, t.dtype, t.nbytes, t.stride) for t in checkpoint.tensors]

    assert facts(big) == facts(little)
    assert big.metadata == little.metadata
    assert all(t.byte_range is None for t in big.tensors)
    assert big.notes == ("a big-endian file",)


def test_metadata_is_text_and_arrays_are_summed_up(tmp_path: Path) -> None:
    write_with_package(tmp_path / "m.gguf", {})
    assert read_path(tmp_path / "m.gguf").metadata == {
        "general.architecture": "llama",
        "llama.rope.freq_base": "1e-05",
        "llama.tied": "true",
        "llama.negative": "-7",
        "general.name": "Ünï",
        "tokenizer.ggml.tokens": "[string x 3]",
        "tokenizer.ggml.scores": "[float32 x 2]",
    }


# What a header may hold.


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1, "0.1"),
        (10000.0, "10000.0"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (3.4028234663852886e38, "3.4028235e+38"),
    ],
)
def test_float32_is_shown_by_its_shortest_decimal(value: float, shown: str) -> None:
    data = make_gguf((key_value("k", FLOAT32, struct.pack("<f", value)),))
    assert read(data).metadata == {"k": shown}


@given(st.floats(width=32))
def test_float32_text_gives_the_float_back(value: float) -> None:
    shown = float(reader._shortest_float32(value))
    assert struct.pack("f", shown) == struct.pack("f", value) or math.isnan(value)


def test_nested_arrays_are_stepped_over() -> None:
    inner = array(UINT8, 3, b"abc") + array(STRING, 2, text("x") + text("")) + array(ARRAY, 0)
    keys = (key_value("k", ARRAY, array(ARRAY, 3, inner)), key_value("last", UINT32, struct.pack("<I", 5)))
    assert read(make_gguf(keys)).metadata == {"k": "[array x 3]", "last": "5"}


@pytest.mark.parametrize("window", [16, 17, 23, 64, 1 << 18])
def test_strings_of_an_array_may_lie_across_windows(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr(reader, "WINDOW_BYTES", window)
    strings = [b"x" * length for length in (0, 1, 40, 3, 0, 0, 200, 7)]
    keys = (
        key_value("k", ARRAY, array(STRING, len(strings), b"".join(map(text, strings)))),
        key_value("last", STRING, text("end")),
    )
    assert read(make_gguf(keys)).metadata == {"k": "[string x 8]", "last": "end"}


def test_fixed_size_array_is_not_read() -> None:
    data = make_gguf((key_value("k", ARRAY, array(FLOAT32, 2_000_000, bytes(8_000_000))),))
    blob = CountingBlob.from_bytes(data)
    assert read_gguf(blob).metadata == {"k": "[float32 x 2000000]"}
    assert blob.fetched < 1_000_000


def test_long_string_is_not_kept() -> None:
    length = reader.MAX_KEPT_TEXT + 1
    data = make_gguf((key_value("k", STRING, text(b"x" * length)), key_value("last", STRING, text("end"))))
    assert read(data).metadata == {"k": f"[string of {length} bytes]", "last": "end"}


def test_name_that_is_not_utf8_is_escaped() -> None:
    data = make_gguf((), (info(b"\xff\xfe", (2,)),), bytes(8))
    assert [t.name for t in read(data).tensors] == [r"\xff\xfe"]


def test_tensors_of_the_same_bytes_share_a_storage_and_others_do_not() -> None:
    infos = (info("a", (4, 2)), info("b", (8,)), info("c", (4,)), info("d", (8,), offset=32))
    a, b, c, d = read(make_gguf((), infos, bytes(64))).tensors
    assert a.storage is b.storage
    assert a.storage is not None
    assert a.storage.key == "a"
    assert c.storage is not a.storage
    assert d.storage is not a.storage


def test_empty_tensors_share_no_storage() -> None:
    a, b = read(make_gguf((), (info("a", (0, 2)), info("b", (0,))))).tensors
    assert (a.shape, a.numel, a.nbytes) == ((2, 0), 0, 0)
    assert a.storage is not b.storage


def test_scalar_and_five_dimensions() -> None:
    infos = (info("s", ()), info("v", (1, 2, 1, 1, 1), offset=32))
    s, v = read(make_gguf((), infos, bytes(64))).tensors
    assert (s.shape, s.numel, s.nbytes, s.stride) == ((), 1, 4, ())
    assert v.shape == (1, 1, 1, 2, 1)


def test_unknown_type_is_listed_without_a_size() -> None:
    data = make_gguf((), (info("a", (32, 2), 199), info("b", (2,), F32, 64)), bytes(96))
    a, b = read(data).tensors
    assert (a.dtype, a.shape, a.numel, a.nbytes, a.storage) == ("unknown(199)", (2, 32), 64, None, None)
    assert b.nbytes == 8
    assert read(data).notes == ("type ids that are not known (199): no sizes for 1 tensor",)


def test_offset_off_the_alignment_is_noted() -> None:
    data = make_gguf((), (info("a", (2,), offset=3),), bytes(32))
    assert read(data).notes == ("no multiple of 32 bytes as offset of 1 tensor: 'a'",)


def test_file_without_data_needs_no_padding() -> None:
    data = make_gguf((key_value("k", UINT8, b"1"),), (info("a", (0,)),))
    assert read(make_gguf()[:24]).tensors == []
    header_bytes = 24 + len(key_value("k", UINT8, b"1")) + len(info("a", (0,)))
    assert header_bytes % 32
    assert [t.nbytes for t in read(data[:header_bytes]).tensors] == [0]


def test_records_of_a_part_know_its_place_in_the_file() -> None:
    data = make_gguf((), (info("a", (2,)),), bytes(8))
    whole = Blob.from_bytes(b"x" * 100 + data, path="p")
    (tensor,) = read_gguf(whole.part(100, len(data))).tensors
    assert tensor.byte_range == ("p", 100 + len(data) - 8, 100 + len(data))


def test_part_of_a_split_says_so() -> None:
    keys = (
        key_value("split.no", 2, struct.pack("<H", 1)),
        key_value("split.count", 2, struct.pack("<H", 3)),
    )
    assert read(make_gguf(keys)).notes == ("part 2 of 3: the other tensors are in other files",)


@pytest.mark.parametrize("count", ["", "0", "1", "9" * 5000, "[uint8 x 2]", "²"])
def test_split_count_that_says_nothing(count: str) -> None:
    assert describe_split({"split.no": "0", "split.count": count}) is None


# What is refused.


@pytest.mark.parametrize("length", range(8))
def test_start_of_a_file_is_truncated(length: int) -> None:
    with pytest.raises(TruncatedError, match=f"a GGUF file of {length} bytes"):
        read(make_gguf()[:length])


def test_every_cut_is_an_error_that_is_explained() -> None:
    keys = (
        key_value("k", ARRAY, array(STRING, 2, text("ab") + text("c"))),
        key_value("n", STRING, text("name")),
        key_value("f", ARRAY, array(FLOAT32, 3, bytes(12))),
    )
    data = make_gguf(keys, (info("a", (2, 2)), info("b", (32,), Q8_0, 32)), bytes(32 + 34))
    assert len(read(data).tensors) == 2
    for length in range(len(data)):
        with pytest.raises(TruncatedError) as caught:
            read(data[:length])
        assert caught.value.hint


def test_missing_data_is_counted() -> None:
    data = make_gguf((), (info("a", (4,)), info("b", (4,), offset=32)), bytes(48))
    with pytest.raises(
        TruncatedError, match=r"tensor 'b' ends at byte 144, the file at byte 134: 10 bytes are missing"
    ):
        read(data[:-10])


def test_offset_beyond_the_file() -> None:
    with pytest.raises(TruncatedError, match=r"1,099,511,627,744 bytes are missing"):
        read(make_gguf((), (info("a", (0,), offset=1 << 40),), bytes(32)))


def test_other_magic() -> None:
    with pytest.raises(UnknownFormatError, match=r"starts with b'lmgg'"):
        read(b"lmgg" + make_gguf()[4:])


@pytest.mark.parametrize(("version", "shown"), [(1, "GGUF version 1;"), (4, "GGUF version 4;"), (0, "GGUF version 0;")])
def test_version_that_is_not_read(version: int, shown: str) -> None:
    with pytest.raises(UnknownFormatError, match=shown):
        read(make_gguf(version=version))


def test_array_of_lying_length() -> None:
    for kind in (UINT8, FLOAT32, STRING, ARRAY):
        with pytest.raises(TruncatedError, match=r"2,305,843,009,213,693,952 elements"):
            read(make_gguf((key_value("k", ARRAY, array(kind, 1 << 61)),)))


@pytest.mark.parametrize("length", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_string_of_lying_length(length: int) -> None:
    lying = struct.pack("<Q", length)
    with pytest.raises(TruncatedError):
        read(make_gguf((key_value("k", STRING, lying),)))
    for after in (b"", text("fine"), bytes(64)):
        with pytest.raises(TruncatedError):
            read(make_gguf((key_value("k", ARRAY, array(STRING, 1 + bool(after), lying + after)),)))


@pytest.mark.parametrize(("length", "error"), [(1 << 62, TruncatedError), (MAX_NAME_BYTES + 1, LimitExceededError)])
def test_name_of_lying_length(length: int, error: type[Exception]) -> None:
    name = struct.pack("<Q", length) + bytes(MAX_NAME_BYTES + 32)
    with pytest.raises(error, match="a tensor's name"):
        read(make_gguf((), (name,)))
    with pytest.raises(error, match="a key"):
        read(make_gguf((name,)))


def test_counts_are_held_against_their_bounds_and_the_bytes_left() -> None:
    with pytest.raises(LimitExceededError, match="200,001 tensors; the limit is 200,000"):
        read(make_gguf(tensor_count=200_001) + bytes(200_001 * MIN_INFO_BYTES))
    with pytest.raises(TruncatedError, match="tensor infos would end"):
        read(make_gguf(tensor_count=1 << 60))
    with pytest.raises(TruncatedError, match="1,000 tensor infos"):
        read(make_gguf(tensor_count=1000))
    with pytest.raises(LimitExceededError, match="65,537 key-values; the limit is 65,536"):
        read(make_gguf(key_count=65_537) + bytes(65_537 * MIN_KEY_BYTES))
    with pytest.raises(TruncatedError, match="key-values would end"):
        read(make_gguf(key_count=1 << 60))
    with pytest.raises(TruncatedError, match="1,000 key-values"):
        read(make_gguf(key_count=1000))


def test_arrays_nested_too_deep() -> None:
    with pytest.raises(LimitExceededError, match="levels of arrays; the limit is 400"):
        read(make_gguf((key_value("k", ARRAY, array(ARRAY, 1) * 20_000),)))


@pytest.mark.parametrize(
    ("constant", "bound", "value", "what"),
    [
        ("MAX_INNER_ARRAYS", 10, array(ARRAY, 11, array(UINT8, 0) * 11), "arrays inside arrays"),
        ("MAX_WALKED_STRINGS", 10, array(STRING, 11, text("") * 11), "strings in arrays"),
        ("MAX_GGUF_TEXT", 1000, array(STRING, 400_000, text("") * 400_000), "bytes of one array of strings"),
        ("MAX_HEADER_BYTES", 1000, array(STRING, 400, text("") * 400), "bytes of GGUF header"),
    ],
)
def test_work_on_arrays_is_bounded(
    monkeypatch: pytest.MonkeyPatch, constant: str, bound: int, value: bytes, what: str
) -> None:
    data = make_gguf((key_value("k", ARRAY, value),))
    read(data)
    monkeypatch.setattr(reader, constant, bound)
    with pytest.raises(LimitExceededError, match=what) as caught:
        read(data)
    assert caught.value.limit == bound


def test_value_of_unknown_type() -> None:
    with pytest.raises(MalformedError, match="a value of type 77; types 0 to 12 are known"):
        read(make_gguf((key_value("k", 77, bytes(64)),)))
    with pytest.raises(MalformedError, match="a value of type 77"):
        read(make_gguf((key_value("k", ARRAY, array(77, 0)),)))
    with pytest.raises(MalformedError, match="a value of type 77"):
        read(make_gguf((key_value("k", ARRAY, array(ARRAY, 1, array(77, 0))),)))


@pytest.mark.parametrize("alignment", [0, 3, 48])
def test_alignment_that_is_no_power_of_two(alignment: int) -> None:
    with pytest.raises(MalformedError, match=f"general.alignment is {alignment}, not a power of two"):
        read(make_gguf((key_value("general.alignment", UINT32, struct.pack("<I", alignment)),)))


def test_alignment_of_another_type() -> None:
    with pytest.raises(MalformedError, match=r"general\.alignment is of type string, not uint32"):
        read(make_gguf((key_value("general.alignment", STRING, text("32")),)))


def test_duplicate_tensor_name() -> None:
    with pytest.raises(MalformedError, match="two tensors of the name 'a'"):
        read(make_gguf((), (info("a", (1,)), info("a", (1,))), bytes(4)))


def test_duplicate_key() -> None:
    with pytest.raises(MalformedError, match="two values for the key 'k'"):
        read(make_gguf((key_value("k", UINT8, b"1"), key_value("k", UINT8, b"2"))))


def test_one_tensor_too_many_is_read_from_the_padding() -> None:
    data = make_gguf((), (info("a", (1,)), bytes(24)), bytes(64))
    with pytest.raises(MalformedError, match="tensor 2 of 2 has no name"):
        read(data)


@pytest.mark.parametrize(("dimensions", "shown"), [((33, 8), "33"), ((), "1"), ((31, 32), "31")])
def test_row_that_is_no_whole_number_of_blocks(dimensions: tuple[int, ...], shown: str) -> None:
    with pytest.raises(
        MalformedError, match=f"a row of tensor 'a' has {shown} elements, no multiple of the 32 of a q8_0"
    ):
        read(make_gguf((), (info("a", dimensions, Q8_0),), bytes(4096)))


def test_too_many_dimensions() -> None:
    claim = text("a") + struct.pack("<I", 0xFFFFFFFF) + bytes(64)
    with pytest.raises(LimitExceededError, match="4,294,967,295 dimensions of tensor 'a'"):
        read(make_gguf((), (claim,)))


@pytest.mark.parametrize("dimensions", [(1 << 62, 4), (1 << 63,), (0, 1 << 63), (0, 1 << 32, 1 << 32)])
def test_elements_past_what_torch_can_address(dimensions: tuple[int, ...]) -> None:
    with pytest.raises(LimitExceededError, match="elements of tensor 'a'"):
        read(make_gguf((), (info("a", dimensions),), bytes(64)))


def test_names_in_messages_are_escaped_and_short() -> None:
    name = "\x1b[31m\n" + "x" * 10_000
    with pytest.raises(MalformedError) as caught:
        read(make_gguf((), (info(name, (1,)), info(name, (1,))), bytes(4)))
    assert "\\x1b" in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


# Any bytes.

HEADER = make_gguf(
    (
        key_value("general.alignment", UINT32, struct.pack("<I", 32)),
        key_value("k", ARRAY, array(STRING, 2, text("ab") + text("c"))),
        key_value("n", ARRAY, array(ARRAY, 2, array(UINT8, 1, b"x") + array(FLOAT32, 1, bytes(4)))),
    ),
    (info("a", (2, 2)), info("b", (256,), Q4_K, 32)),
    bytes(256),
)


def accept(data: bytes) -> None:
    try:
        checkpoint = read(data)
    except ParamInspectError:
        return
    for tensor in checkpoint.tensors:
        assert tensor.byte_range is None or tensor.byte_range[2] <= len(data)


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([2, 3]))
def test_any_bytes_give_records_or_an_explained_error(tail: bytes, big: bool, version: int) -> None:
    accept(tail)
    accept(b"GGUF" + struct.pack(">I" if big else "<I", version) + tail)
    counts = struct.pack(">QQ" if big else "<QQ", 2, 2)
    accept(b"GGUF" + struct.pack(">I" if big else "<I", version) + counts + tail)


@given(st.lists(st.tuples(st.integers(0, len(HEADER) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes_give_records_or_an_explained_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(HEADER)
    for position, value in changes:
        data[position] = value
    accept(bytes(data))
