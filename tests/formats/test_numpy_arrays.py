"""The npy and npz readers, held against numpy."""

from __future__ import annotations

import io
import math
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.files.local import LocalFile
from paraminspect.formats import numpy_arrays
from paraminspect.formats.numpy_arrays import MAX_NPY_HEADER, MAX_TYPE_TEXT, read_npy, read_npz
from paraminspect.formats.shapes import MAX_NUMEL
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.records import Checkpoint, TensorRecord
from tests.making.numpy_files import npy_bytes, npy_header, npz_bytes, raw_npy
from tests.making.zips import zip_bytes

TORCH_DTYPES = {
    "?": "bool",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "u8": "uint64",
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "c8": "complex64",
    "c16": "complex128",
}
NUMPY_DTYPES = ["<U3", ">U2", "|S5", "<M8[ns]", ">m8[25s]", "<m8", "|V7", "|V0"]
STRUCTURED = [
    np.dtype([("a", "<f4"), ("b", ">i8", (2, 3))]),
    np.dtype([("n", [("x", "<f4"), ("y", "<U2")])]),
    np.dtype([(("title", "name"), "<u2")]),
    np.dtype([('it\'s "é"\n\\', "<f4")]),
    np.dtype([("日本", "<f4")]),
    np.dtype([]),
]
HEADERS = st.lists(
    st.sampled_from([*"{}[]()'\",:\\ uLxOfi<>|-0123456789", "'<f4'", "True", "'shape'"]), max_size=60
).map("".join)
SHAPES = st.lists(st.integers(0, 4), max_size=5).map(tuple)


def read_one(data: bytes) -> TensorRecord:
    (record,) = read_npy(Blob.from_bytes(data)).tensors
    return record


def read_archive(data: bytes) -> Checkpoint:
    return read_npz(read_zip_directory(Blob.from_bytes(data)))


def bytes_of(record: TensorRecord, data: bytes) -> bytes:
    _, begin, end = record.byte_range
    return data[begin:end]


def steps_of(array: np.ndarray) -> tuple[int, ...]:
    return tuple(step // array.itemsize for step in array.strides)


@given(
    st.sampled_from(sorted(TORCH_DTYPES)),
    SHAPES,
    st.sampled_from("CF"),
    st.sampled_from([(1, 0), (2, 0), (3, 0), None]),
)
def test_what_numpy_writes_we_read(code, shape, order, version):
    array = np.asarray(np.arange(math.prod(shape)).reshape(shape), dtype=code, order=order)
    data = npy_bytes(array, version)
    record = read_one(data)
    assert (record.name, record.shape, record.dtype) == ("", array.shape, TORCH_DTYPES[code])
    assert (record.numel, record.nbytes, record.storage.nbytes) == (array.size, array.nbytes, array.nbytes)
    if array.size:
        assert record.stride == steps_of(np.load(io.BytesIO(data)))
        assert bytes_of(record, data) == array.tobytes(order="A")


@pytest.mark.parametrize("descr", NUMPY_DTYPES)
def test_dtypes_that_torch_lacks_keep_their_numpy_name(descr):
    array = np.zeros((2, 3), descr)
    data = npy_bytes(array)
    record = read_one(data)
    assert (record.dtype, record.nbytes, record.numel) == (np.dtype(descr).str, array.nbytes, 6)
    assert record.storage.begin == len(data) - array.nbytes


@pytest.mark.skipif(np.dtype("g").itemsize == 8, reason="long double is float64 here")
@pytest.mark.parametrize("code", ["g", "G"])
def test_long_double(code):
    array = np.zeros(2, code)
    record = read_one(npy_bytes(array))
    assert (record.dtype, record.nbytes) == (array.dtype.str, array.nbytes)


@pytest.mark.parametrize("dtype", STRUCTURED, ids=str)
def test_structured_types(dtype):
    array = np.zeros((3,), dtype)
    record = read_one(npy_bytes(array))
    assert (record.dtype, record.nbytes) == (str(dtype), 3 * dtype.itemsize)


def test_padding_of_a_structured_type_counts():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    assert read_one(npy_bytes(np.zeros(3, dtype))).nbytes == 48


def test_long_structured_type_is_cut():
    dtype = np.dtype([(f"field{index}", "<f4") for index in range(200)])
    record = read_one(npy_bytes(np.zeros(3, dtype)))
    assert record.dtype.startswith("[('field0', '<f4'), ")
    assert len(record.dtype) == MAX_TYPE_TEXT
    assert record.nbytes == 2400


@pytest.mark.parametrize("code", [code for code in TORCH_DTYPES if np.dtype(code).itemsize > 1])
def test_big_endian_is_named_but_cannot_be_mapped(code):
    record = read_one(npy_bytes(np.zeros(3, np.dtype(code).newbyteorder(">"))))
    assert record.dtype == TORCH_DTYPES[code]
    assert record.byte_range is None


def test_header_of_python_2():
    record = read_one(raw_npy("{'descr': u'<f4', 'fortran_order': True, 'shape': (2L, 3L)}   \n", bytes(24)))
    assert (record.shape, record.dtype, record.stride) == ((2, 3), "float32", (1, 2))


def test_bytes_after_the_array_are_noted():
    data = npy_bytes(np.zeros(3, "f4"))
    assert read_npy(Blob.from_bytes(data)).notes == ()
    assert read_npy(Blob.from_bytes(data + b"12345")).notes == ("5 bytes after the array are not part of it",)


def test_stride_without_elements_is_as_torch_has_it():
    assert read_one(npy_bytes(np.zeros((2, 0, 3)))).stride == (3, 3, 1)


def test_file_on_disk(tmp_path: Path):
    array = np.arange(6, dtype="i4").reshape(2, 3)
    path = tmp_path / "a.npy"
    np.save(path, array)
    size = path.stat().st_size
    checkpoint = read_npy(Blob(LocalFile(size, os.open(path, os.O_RDONLY)), path=str(path)))
    assert (checkpoint.format, checkpoint.nbytes, checkpoint.files) == ("npy", size, (str(path),))
    where, begin, end = checkpoint.tensors[0].byte_range
    assert where == str(path)
    assert path.read_bytes()[begin:end] == array.tobytes()


def test_array_inside_another_file():
    data = npy_bytes(np.arange(6, dtype="i4"))
    record = read_npy(Blob.from_bytes(b"before" + data).part(6, len(data))).tensors[0]
    assert bytes_of(record, b"before" + data) == np.arange(6, dtype="i4").tobytes()


def test_cut_anywhere_is_an_error():
    data = npy_bytes(np.arange(3))
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            read_one(data[:size])


def test_objects_are_not_unpickled(tmp_path: Path):
    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    for array in (np.array([Payload()]), np.array([(Payload(), 1)], dtype=[("a", "O"), ("b", "i4")])):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        with pytest.raises(MalformedError, match=r"^the array holds Python objects") as caught:
            read_one(buffer.getvalue())
        assert "not run" in caught.value.hint
        with pytest.raises(MalformedError, match=r"^member 'evil.npy': the array holds Python objects"):
            read_archive(npz_bytes(evil=array))
        found = read_archive(npz_bytes(first=np.zeros(3), evil=array, good=np.ones(2)))
        assert [each.name for each in found.tensors] == ["first", "good"]
        assert found.notes == ("1 array of Python objects is left out, each a pickle that was not run: 'evil'",)
    assert not list(tmp_path.iterdir())


MALFORMED = {
    "empty": ("", "ends inside its value"),
    "not a literal": ("{'descr': __import__('os')}", 'not a Python literal at "__import__'),
    "an expression": (npy_header(shape="(1+1,)"), "not a Python literal at '\\+1"),
    "a float": (npy_header(shape="(1.5,)"), "not a Python literal"),
    "cut": (npy_header()[:-6], "ends inside its value"),
    "open string": ("{'descr", "not a Python literal"),
    "no comma": ("{'descr': 1 'shape': 2}", "where ',' or '}' was expected"),
    "no value": ("{'descr', 'shape'}", "no value for the key 'descr'"),
    "key is a number": ("{1: 2}", "has the key 1, which is not text"),
    "bare mark": ("{'descr': :}", "has ':' where a value"),
    "two values": (npy_header() + "1", "goes on after its value"),
    "a list": ("['descr', 'fortran_order', 'shape']", "not a dictionary of"),
    "a field is missing": ("{'descr': '<f4', 'shape': (2,)}", "not a dictionary of"),
    "a field too many": (npy_header()[:-2] + "'x': 1}", "not a dictionary of"),
    "fortran_order": (npy_header(fortran="1"), "fortran_order is 1, not True or False"),
    "shape is a list": (npy_header(shape="[2]"), r"the shape is \[2\], not a tuple"),
    "shape is a number": (npy_header(shape="(2)"), "the shape is 2, not a tuple"),
    "negative": (npy_header(shape="(-2,)"), "holds -2, not a size"),
    "bool": (npy_header(shape="(True,)"), "holds True, not a size"),
    "nested shape": (npy_header(shape="((2,),)"), "not a size"),
    "unknown type": (npy_header("'<q4'"), "the element type '<q4' is not one of numpy's"),
    "size of float": (npy_header("'<f3'"), "'<f3' is not one of numpy's"),
    "no size": (npy_header("'<f'"), "'<f' is not one of numpy's"),
    "unit of float": (npy_header("'<f4[ns]'"), "is not one of numpy's"),
    "type is a dictionary": (npy_header("{'names': ()}"), "is not one of numpy's"),
    "type is a number": (npy_header("4"), "the element type 4 is not"),
    "field is text": (npy_header("['<f4']"), "the field '<f4' of the element type"),
    "negative subarray": (npy_header("[('a', '<f4', (-1,))]"), "holds -1, not a size"),
    "newline and escapes": (npy_header(r"'\x1b[31m\n'"), r"'\\x1b\[31m\\n'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_header(case):
    header, message = MALFORMED[case]
    with pytest.raises(MalformedError, match=message) as caught:
        read_one(raw_npy(header, bytes(8)))
    assert str(caught.value).isprintable()


LIMITS = {
    "dimensions": (npy_header(shape="(1," + "1," * 64 + ")"), 65),
    "bytes": (npy_header("'|u1'", shape=f"({2**62}, 2)"), MAX_NUMEL + 1),
    "bytes of elements": (npy_header("'<f8'", shape=f"({2**60},)"), MAX_NUMEL + 1),
    "bytes, no elements": (npy_header("'|u1'", shape=f"(0, {2**62}, 2)"), MAX_NUMEL + 1),
    "bytes of one element": (npy_header("'|S9223372036854775808'", shape="()"), MAX_NUMEL + 1),
    "bytes of a subarray": (npy_header(f"[('a', '|u1', ({2**62}, 2))]"), MAX_NUMEL + 1),
    "digits": (npy_header(shape="(" + "1" * 5000 + ",)"), 5000),
    "nesting": (npy_header("[" * 40), None),
    "nested types": (npy_header("[('a', " * 20 + "'|u1'" + ")]" * 20), None),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits(case):
    header, actual = LIMITS[case]
    with pytest.raises(LimitExceededError) as caught:
        read_one(raw_npy(header, bytes(8)))
    assert caught.value.actual == actual


def test_largest_size_is_within_the_limit():
    with pytest.raises(TruncatedError, match="declares 9,223,372,036,854,775,807 bytes of elements, 8 are there"):
        read_one(raw_npy(npy_header("'|u1'", shape=f"({2**63 - 1},)"), bytes(8)))


def test_header_length_past_the_limit():
    with pytest.raises(LimitExceededError, match="bytes of npy header") as caught:
        read_one(raw_npy(" " * (MAX_NPY_HEADER + 1), version=2))
    assert caught.value.actual == MAX_NPY_HEADER + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda data: read_npy(Blob.from_bytes(data)),
        lambda data: read_npz(read_zip_directory(Blob.from_bytes(zip_bytes({"a.npy": data})))),
    ],
)
def test_header_length_past_the_limit_and_past_the_end(make):
    data = raw_npy("", version=2)[:8] + (MAX_NPY_HEADER + 1).to_bytes(4, "little")
    with pytest.raises(TruncatedError, match="the npy header ends at byte 65,549, 12 are there"):
        make(data)


@pytest.mark.parametrize(("major", "minor"), [(0, 0), (4, 0), (1, 1)])
def test_unknown_version(major, minor):
    data = bytearray(npy_bytes(np.zeros(3)))
    data[6:8] = major, minor
    with pytest.raises(MalformedError, match=f"npy version {major}.{minor}; 1.0, 2.0 and 3.0 are known"):
        read_one(bytes(data))


def test_not_an_array():
    with pytest.raises(MalformedError, match="starts with b'<html>'"):
        read_one(b"<html><body>")


def test_header_that_is_not_utf8():
    data = bytearray(npy_bytes(np.zeros(3), (3, 0)))
    data[14] = 0xFF
    with pytest.raises(MalformedError, match="not UTF-8"):
        read_one(bytes(data))


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x93NUMPY\1\0", b"\x93NUMPY\3\0"]))
def test_any_bytes_give_a_record_or_an_error(data, start):
    read_anything(start + data)


@given(HEADERS)
@example("{'descr': '\\ud800'}")
def test_any_header_gives_a_record_or_an_error(header):
    read_anything(raw_npy(header, bytes(16), version=3))
    read_anything(raw_npy(npy_header(header or "''"), bytes(16), version=3))
    read_anything(raw_npy(npy_header(shape=header), bytes(16), version=3))


def read_anything(data: bytes) -> None:
    message = ""
    try:
        record = read_one(data)
    except ParamInspectError as error:
        message = str(error)
    else:
        assert record.nbytes <= len(data)
        assert record.dtype.isprintable()
    assert "\n" not in message


@given(
    st.dictionaries(
        st.text("abw./ ", min_size=1, max_size=8),
        st.tuples(st.sampled_from(["f4", "i8", "<U3", ">f8", "M8[s]"]), SHAPES, st.sampled_from("CF")),
        max_size=5,
    ),
    st.booleans(),
)
def test_what_savez_writes_we_read(arrays, compressed):
    arrays = {name: np.zeros(shape, code, order=order) for name, (code, shape, order) in arrays.items()}
    data = npz_bytes(compressed, **arrays)
    checkpoint = read_archive(data)
    assert (checkpoint.format, checkpoint.nbytes, checkpoint.notes) == ("npz", len(data), ())
    with np.load(io.BytesIO(data)) as wanted:
        assert [record.name for record in checkpoint.tensors] == wanted.files
        for record in checkpoint.tensors:
            array = wanted[record.name]
            assert (record.shape, record.nbytes) == (array.shape, array.nbytes)
            if array.size:
                assert record.stride == steps_of(array)
            if compressed or array.dtype.str == ">f8":
                assert record.byte_range is None
            else:
                assert bytes_of(record, data) == array.tobytes(order="A")


def test_known_archive():
    arrays = {
        "w": np.zeros((2, 3), "f4"),
        "b": np.zeros(4, "f2"),
        "f": np.zeros((2, 3), "f8", order="F"),
        "c": np.zeros(2, "c8"),
        "s": np.array(["a", "abc"]),
        "z": np.array(7),
    }
    assert [(record.name, record.shape, record.dtype) for record in read_archive(npz_bytes(**arrays)).tensors] == [
        ("w", (2, 3), "float32"),
        ("b", (4,), "float16"),
        ("f", (2, 3), "float64"),
        ("c", (2,), "complex64"),
        ("s", (2,), "<U3"),
        ("z", (), "int64"),
    ]


def test_archive_inside_another_file():
    data = npz_bytes(a=np.arange(6), b=np.arange(3))
    directory = read_zip_directory(Blob.from_bytes(b"before" + data).part(6, len(data)))
    for record, wanted in zip(read_npz(directory).tensors, (6, 3), strict=True):
        assert bytes_of(record, b"before" + data) == np.arange(wanted).tobytes()


def test_members_that_are_not_arrays_are_counted():
    array = npy_bytes(np.zeros(3))
    checkpoint = read_archive(zip_bytes([("readme.txt", b"hi"), ("a/b.npy", array), ("a/", b"")]))
    assert [record.name for record in checkpoint.tensors] == ["a/b"]
    assert checkpoint.notes == ("members left out because they are not arrays: 2",)


def test_more_arrays_than_the_limit(monkeypatch):
    monkeypatch.setattr(numpy_arrays, "MAX_TENSORS", 2)
    assert len(read_archive(npz_bytes(a=np.zeros(1), b=np.zeros(1))).tensors) == 2
    with pytest.raises(LimitExceededError, match="more than 2 arrays in one archive"):
        read_archive(npz_bytes(a=np.zeros(1), b=np.zeros(1), c=np.zeros(1)))


def test_two_members_of_one_name():
    checkpoint = read_archive(zip_bytes([("a.npy", npy_bytes(np.zeros(3))), ("a.npy", npy_bytes(np.zeros(4)))]))
    assert [record.shape for record in checkpoint.tensors] == [(4,)]
    assert checkpoint.notes == ("names that stand more than once, of which the last member is listed: 1",)


def test_member_longer_than_its_array():
    checkpoint = read_archive(zip_bytes([("a.npy", npy_bytes(np.zeros(3)) + b"more")]))
    assert checkpoint.tensors[0].nbytes == 24
    assert checkpoint.notes == ("members with bytes after their array: 1",)


@pytest.mark.parametrize("size", [0, 5, 11, 20, 128, 151])
def test_member_shorter_than_its_array(size):
    with pytest.raises(TruncatedError, match=r"^member 'a.npy': "):
        read_archive(zip_bytes([("a.npy", npy_bytes(np.zeros(3))[:size])]))


def test_member_that_is_no_array():
    with pytest.raises(MalformedError, match=r"^member 'a.npy': no npy array"):
        read_archive(zip_bytes([("a.npy", b"some text that is long enough")]))


def test_long_header_in_an_archive():
    dtype = np.dtype([(f"field{index}", "<f4") for index in range(200)])
    for compressed in (False, True):
        (record,) = read_archive(npz_bytes(compressed, a=np.zeros(3, dtype))).tensors
        assert record.nbytes == 2400


def test_only_headers_are_inflated():
    data = npz_bytes(True, **{f"a{index}": np.zeros(1 << 20) for index in range(4)})
    tracemalloc.start()
    assert sum(record.nbytes for record in read_archive(data).tensors) == 4 << 23
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
