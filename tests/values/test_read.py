"""Values of stored tensors as torch, safetensors, numpy and gguf load them."""

from __future__ import annotations

import os
import threading
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.formats.source import open_source
from paraminspect.records import Storage, TensorRecord
from paraminspect.values import decode as numbers_module
from paraminspect.values.read import open_numbers, read_tensor
from paraminspect.values.stored_bytes import MAX_RESTARTS, Files
from tests.making.newer_torch import since
from tests.making.stored import tensor_stats
from tests.making.torch_files import not_dense

Array = np.ndarray[Any, Any]
CORPUS = Path(os.environ.get("PARAMINSPECT_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool", "complex64",
]  # fmt: skip


def read_all(path: Path) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    checkpoint = open_source(path)
    return {record.name: read_tensor(record) for record in checkpoint.tensors}


def as_read(record: TensorRecord) -> list[Array]:
    """The values as a whole, run by run, and in the order of the file, sorted, all of one dimension."""
    whole = read_tensor(record).reshape(-1)
    numbers = open_numbers(record, Files())
    assert numbers.numel == whole.size
    step = max(1, whole.size // 3)
    runs = [numbers.read(begin, min(begin + step, whole.size)) for begin in range(0, whole.size, step)]
    parts = [np.repeat(chunk.reshape(-1), numbers.repeats) for chunk in numbers.chunks()]
    joined = [np.concatenate([*each, np.empty(0, whole.dtype)]) for each in (runs, parts)]
    return [whole, joined[0], *(np.sort(_bits(array)) for array in (whole, joined[1]))]


def _bits(array: Array) -> Array:
    size = array.dtype.itemsize
    return np.ascontiguousarray(array).view("u8,u8" if size == 16 else f"u{size}")


def check_consistent(record: TensorRecord) -> Array:
    whole, runs, sorted_whole, sorted_parts = as_read(record)
    assert whole.tobytes() == runs.tobytes(), record.name
    assert sorted_whole.tobytes() == sorted_parts.tobytes(), record.name
    return whole


def same(found: Array, tensor: torch.Tensor) -> bool:
    plain = torch.empty(tensor.numel(), dtype=tensor.dtype)
    plain.copy_(tensor.reshape(-1))
    return found.shape == tuple(tensor.shape) and found.tobytes() == plain.view(torch.uint8).numpy().tobytes()


def tensors() -> dict[str, torch.Tensor]:
    base = torch.arange(24).reshape(2, 3, 4) % 2
    return {name: base.to(getattr(torch, name)) for name in DTYPES} | {
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.5),
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_file(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    due = {**tensors(), "transposed": base.t(), "part": base[1:, ::2], "expanded": torch.ones(1).expand(5)}
    torch.save(due, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    found = read_all(tmp_path / "m.pt")
    assert [name for name in due if not same(found[name], due[name])] == []


def test_safetensors_file(tmp_path: Path) -> None:
    due = tensors()
    safetensors.torch.save_file(due, tmp_path / "m.safetensors")
    found = read_all(tmp_path / "m.safetensors")
    assert [name for name in due if not same(found[name], due[name])] == []


def test_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", a=np.arange(6.0).reshape(2, 3), f=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = read_all(tmp_path / "m.npz")
    assert found["a"].tolist() == found["f"].tolist() == [[0, 1, 2], [3, 4, 5]]


# --- layouts, types, formats --------------------------------------------------------------------------------------


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_module, "CHUNK", 7)
    monkeypatch.setattr(numbers_module, "WINDOW", 11)


def save(folder: Path, values: object) -> dict[str, TensorRecord]:
    torch.save(values, folder / "m.pt")
    return {record.name: record for record in open_source(folder / "m.pt").tensors}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_view_is_read_as_torch_reads_it(tmp_path: Path, small_chunks: None, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["float32", "bfloat16", "int16", "bool", "complex64", "float8_e5m2"]))
    base = (torch.arange(120) % 11).to(getattr(torch, dtype))
    ndim = data.draw(st.integers(0, 4))
    shape = data.draw(st.tuples(*[st.integers(0, 4)] * ndim))
    stride = data.draw(st.tuples(*[st.integers(0, 9)] * ndim))
    tensor = base.as_strided(shape, stride, data.draw(st.integers(0, 4)))
    array = check_consistent(save(tmp_path, {"t": tensor})["t"])
    assert same(array.reshape(shape), tensor)


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_flags_of_views(tmp_path: Path) -> None:
    values = torch.tensor([[1 + 2j, 3 - 1j], [0.5j, -2]])
    due = {"c": values.conj().t(), "n": values.clone().conj().imag, "h": values.clone().to(torch.complex32)[:, 1]}
    for name, record in save(tmp_path, due).items():
        found = check_consistent(record).reshape(due[name].shape)
        expected = due[name].to(torch.complex64) if name == "h" else due[name].resolve_conj().resolve_neg()
        assert np.array_equal(found, expected.numpy()), name


@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_quantised_tensors(tmp_path: Path) -> None:
    values = torch.arange(-12.0, 12).reshape(4, 6) / 3
    scales, zeros = torch.tensor([0.1, 0.2, 0.3, 0.7]), torch.tensor([0, 3, -2, 1])
    due = {
        "qint8": torch.quantize_per_tensor(values, 0.05, 3, torch.qint8),
        "quint8": torch.quantize_per_tensor(values, 0.1, 130, torch.quint8).t(),
        "qint32": torch.quantize_per_tensor(values, 1e-4, 0, torch.qint32),
        "channel": torch.quantize_per_channel(values, scales, zeros, 0, torch.qint8),
        "axis": torch.quantize_per_channel(values.t().contiguous(), scales, zeros, 1, torch.qint8),
        "quint4x2": torch.quantize_per_channel(values, scales, zeros.float(), 0, torch.quint4x2),
    }
    for name, record in save(tmp_path, due).items():
        if name == "quint4x2":  # torch cannot take it apart
            codes = record.storage is not None and (tmp_path / "m.pt").read_bytes()[record.storage.begin :][:12]
            integers = np.array([[byte & 15, byte >> 4] for byte in codes or b""], float).reshape(4, 6)
            expected = ((integers - zeros.numpy()[:, None]) * scales.numpy()[:, None]).astype(np.float32)
        else:
            expected = due[name].dequantize().numpy()
        assert np.allclose(check_consistent(record).reshape(expected.shape), expected, rtol=2e-7, atol=0), name


@since("2.8")
def test_pairs_of_four_bits(tmp_path: Path) -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(16, 16)
    record = save(tmp_path, {"t": every.view(torch.float4_e2m1fn_x2)})["t"]
    expected = np.stack([every.numpy() & 15, every.numpy() >> 4], -1).reshape(16, 32).view(ml_dtypes.float4_e2m1fn)
    check_consistent(record)
    assert np.array_equal(read_tensor(record), expected.astype(np.float32))


def test_compressed_members_are_inflated(tmp_path: Path, small_chunks: None) -> None:
    base = torch.arange(600_000).reshape(600, 1000).float()
    due = {"a": base, "part": base[5:9, ::3], "turned": base[:50, :40].t(), "twin": base}
    torch.save(due, tmp_path / "stored.pt")
    with zipfile.ZipFile(tmp_path / "stored.pt") as old, zipfile.ZipFile(tmp_path / "m.pt", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for record in open_source(tmp_path / "m.pt").tensors:
        assert np.array_equal(read_tensor(record), due[record.name].numpy())
    numbers_module.CHUNK = 100_000  # the fixture puts it back
    assert sum(chunk.sum(dtype=np.float64) for chunk in open_numbers(record, Files()).chunks()) == float(
        base.double().sum()
    )
    np.savez_compressed(tmp_path / "m.npz", a=np.arange(9.0).reshape(3, 3).T, b=np.ones((2, 2), ">f4"))
    found = read_all(tmp_path / "m.npz")
    assert found["a"].tolist() == np.arange(9.0).reshape(3, 3).T.tolist()
    assert found["b"].tolist() == [[1, 1], [1, 1]]


def test_a_damaged_member_is_found(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "m.npz", a=np.random.default_rng(0).normal(size=1000))
    data = bytearray((tmp_path / "m.npz").read_bytes())
    data[4000] ^= 1
    (tmp_path / "m.npz").write_bytes(data)
    with pytest.raises(MalformedError, match=r"CRC|deflated"):
        read_all(tmp_path / "m.npz")


def test_a_member_is_not_inflated_over_and_over(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "m.npz", a=np.arange(300_000))
    numbers = open_numbers(open_source(tmp_path / "m.npz").tensors[0], Files())
    for _ in range(MAX_RESTARTS + 1):
        assert numbers.read(0, 2).tolist() == [0, 1]
        assert numbers.read(290_000, 290_002).tolist() == [290_000, 290_001]
    with pytest.raises(LimitExceededError, match=f"the limit is {MAX_RESTARTS}"):
        numbers.read(0, 2)


@pytest.mark.parametrize("order", ["<", ">"])
def test_other_byte_order(tmp_path: Path, order: str) -> None:
    due = {"a": np.arange(6, dtype=f"{order}f4").reshape(2, 3), "c": np.array([1 + 2j, 3 - 4j], f"{order}c8")}
    np.savez(tmp_path / "m.npz", **due)
    assert {name: array.tolist() for name, array in read_all(tmp_path / "m.npz").items()} == {
        name: array.tolist() for name, array in due.items()
    }
    np.save(tmp_path / "m.npy", due["a"].T)
    assert read_all(tmp_path / "m.npy")[""].tolist() == due["a"].T.tolist()


def test_a_torch_file_of_a_big_endian_machine(tmp_path: Path) -> None:
    due = {"b": torch.tensor([1.5, -3]).bfloat16(), "f": torch.arange(4.0), "e": torch.ones(2).to(torch.float8_e5m2)}
    torch.save(due, tmp_path / "little.pt")
    with zipfile.ZipFile(tmp_path / "little.pt") as old, zipfile.ZipFile(tmp_path / "m.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"big" if name.endswith("byteorder") else old.read(name))
    expected = torch.load(tmp_path / "m.pt")
    found = read_all(tmp_path / "m.pt")
    assert [name for name in due if not same(found[name], expected[name])] == []


def test_gguf_tensors(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    numbers = np.random.default_rng(0).normal(size=(6, 512)).astype(np.float32)
    due = {}
    for kind in ("F16", "BF16", "F32", "Q4_0", "Q5_1", "Q8_0", "TQ2_0"):
        packed = gguf.quantize(numbers, gguf.GGMLQuantizationType[kind])
        writer.add_tensor(kind, packed, raw_dtype=gguf.GGMLQuantizationType[kind])
        due[kind] = gguf.dequantize(packed, gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for record in open_source(tmp_path / "m.gguf").tensors:
        found = check_consistent(record).astype(np.float32).reshape(6, 512)
        assert np.array_equal(found, due[record.name]), record.name


def test_pieces_of_a_distributed_checkpoint() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no corpus: set PARAMINSPECT_CORPUS")
    one, two = (
        {record.name: check_consistent(record) for record in open_source(CORPUS / "edge/dcp" / name).tensors}
        for name in ("ws1", "ws2")
    )
    assert one.keys() == two.keys()
    assert [name for name in one if one[name].tobytes() != two[name].tobytes()] == []


# --- real and odd files, held against torch ------------------------------------------------------------------------


def flatten(value: object, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value.detach()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from flatten(item, f"{name}.{index}" if name else str(index))


def loadable() -> list[Path]:
    """Files of the corpus that are no attack."""
    folders = [CORPUS / "real", CORPUS / "edge/torch", CORPUS / "edge/safetensors", CORPUS / "edge/np"]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def load(path: Path) -> dict[str, torch.Tensor] | None:
    """What torch and safetensors read, None if they refuse."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return safetensors.torch.load_file(path)
    except Exception:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):
            return dict(flatten(torch.load(path, weights_only=True, map_location="cpu")))
    except Exception:
        return None


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set PARAMINSPECT_CORPUS")
def test_every_file_of_the_corpus_that_torch_reads(check_stats: Any) -> None:
    compared = 0
    for path in loadable():
        due = load(path)
        if not due:
            continue
        records = open_source(path).tensors
        names = Counter(record.name for record in records)
        for record in records[:300]:  # one file has ten thousand that are alike
            tensor = due.get(record.name)
            if (
                tensor is None
                or names[record.name] > 1
                or tensor.layout != torch.strided
                or tensor.is_meta
                or tensor.is_nested
            ):
                continue
            if str(tensor.dtype).startswith("torch.bits"):
                with pytest.raises(CheckpointError, match="has no arithmetic"):
                    open_numbers(record, Files())
                continue
            found = check_consistent(record)
            compared += 1
            if str(tensor.dtype) == "torch.complex32":
                with warnings.catch_warnings(action="ignore"):
                    tensor = tensor.to(torch.complex64)
            if str(tensor.dtype) != "torch.float4_e2m1fn_x2":
                plain = tensor.resolve_conj().resolve_neg()
                assert same(found.reshape(tensor.shape), plain), (path, record.name)
                foreign = "float8" in str(plain.dtype)  # torch cannot tell which of these are finite
                check_stats(tensor_stats(record), plain.float() if foreign else plain)
    assert compared > 500


def test_values_of_a_named_pipe(tmp_path: Path) -> None:
    """Standard input, which may be another file, is not mistaken for it."""
    due = safetensors.torch.save({"a": torch.arange(5.0)})
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(due,))
    writer.start()
    checkpoint = open_source(tmp_path / "pipe")
    writer.join()
    (record,) = checkpoint.tensors
    assert read_tensor(record).tolist() == [0, 1, 2, 3, 4]
    assert open_numbers(record, Files()).read(1, 3).tolist() == [1, 2]
    path = record.storage.path if record.storage else None
    del checkpoint
    with pytest.raises(CheckpointError, match="cannot be"):
        read_tensor(record._replace(storage=record.storage._replace(path=path)))  # type: ignore[union-attr]


# --- what bad input gets ---------------------------------------------------------------------------------------------


def test_what_is_not_dense_is_named(tmp_path: Path) -> None:
    torch.save({"s": not_dense()}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="s: it is sparse_csr, not dense"):
        read_all(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("dtype", "layout", "message"),
    [
        ("q2_0", "gguf", "values of q2_0 cannot be decoded yet"),
        ("unknown(99)", "gguf", "cannot be decoded yet"),
        ("bits8", "strided", "bits8 has no arithmetic"),
        ("<U3", "strided", "<U3 has no arithmetic"),
        ("qint8", "strided", "does not say what the integers"),
        ("float32", "chunked", "where its pieces are is not known"),
    ],
)  # fmt: skip
def test_types_without_values_are_named(tmp_path: Path, dtype: str, layout: str, message: str) -> None:
    (tmp_path / "bytes").write_bytes(bytes(1000))
    record = TensorRecord(
        "a", (256,), dtype, 256, 66, layout=layout, storage=Storage("a", 66, str(tmp_path / "bytes"), 0)
    )
    with pytest.raises(CheckpointError, match=message):
        open_numbers(record, Files())


def test_file_that_became_shorter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"a": torch.ones(100)}, path)
    (record,) = open_source(path).tensors
    os.truncate(path, 200)
    with pytest.raises(TruncatedError, match=r"a: the file ends at byte 200, \d+ bytes too early"):
        read_tensor(record)
    with pytest.raises(TruncatedError, match="ends at byte 200"):
        list(open_numbers(record, Files()).chunks())
    os.remove(path)
    with pytest.raises(CheckpointError, match="opened any more"):
        open_numbers(record, Files())


@pytest.mark.parametrize(("offset", "stride"), [(-4, (1,)), (0, (-1,)), (1 << 50, (1,)), (0, (1 << 50,))])
def test_places_outside_the_file_are_refused(tmp_path: Path, offset: int, stride: tuple[int]) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(64))
    record = TensorRecord(
        "a", (2,), "float32", 2, 8, storage=Storage("a", 64, str(path), 0), offset=offset, stride=stride
    )
    with pytest.raises(ParamInspectError):
        read_tensor(record)
    with pytest.raises(ParamInspectError):
        list(open_numbers(record, Files()).chunks())


def test_windows_that_overlap_beyond_reason_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(bytes(4000))
    storage = Storage("a", 4000, str(tmp_path / "bytes"), 0)
    wide = TensorRecord("a", (500, 500), "float32", 250_000, 1_000_000, storage=storage, stride=(1, 1))
    with pytest.raises(LimitExceededError, match=r"250,000 elements on 999 places; the limit is 63,936"):
        open_numbers(wide, Files())
    expanded = wide._replace(shape=(1 << 40, 2), numel=1 << 41, stride=(0, 1))
    numbers = open_numbers(expanded, Files())
    assert (numbers.numel, numbers.repeats, [chunk.size for chunk in numbers.chunks()]) == (1 << 41, 1 << 40, [2])
