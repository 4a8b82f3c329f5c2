"""Sparse tensors as torch has them: what is read of a file is what `to_dense()` gives."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError
from paraminspect.formats.source import open_source
from paraminspect.records import Encoding, Storage, TensorRecord
from paraminspect.values.read import open_numbers, read_part, read_tensor
from paraminspect.values.stored_bytes import Files
from tests.making.torch_files import not_dense, raw_bytes, save_tensors

pytestmark = pytest.mark.filterwarnings("ignore:Sparse .* tensor support:UserWarning")


def some(*shape: int) -> torch.Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return numbers * (numbers > 0.3)


def sparse() -> dict[str, torch.Tensor]:
    places = torch.tensor([[3, 0, 3, 1], [1, 4, 1, 0]])
    return {
        "coo": some(4, 5).to_sparse(),
        "three-dimensions": some(3, 4, 5).to_sparse(),
        "hybrid": some(6, 4, 3).to_sparse(1),
        "no-sparse-dimension": torch.sparse_coo_tensor(torch.zeros(0, 2).long(), some(2, 3), (3,)),
        "added-up": torch.sparse_coo_tensor(places, torch.tensor([1.0, 2, 3, 4]), (4, 5)),
        "added-up-bf16": torch.sparse_coo_tensor(places, torch.tensor([1.0, 2, 3, 4]).bfloat16(), (4, 5)),
        "added-up-bool": torch.sparse_coo_tensor(places, torch.tensor([True, True, True, False]), (4, 5)),
        "added-up-hybrid": torch.sparse_coo_tensor(places[:1], some(4, 2), (4, 2)),
        "complex": some(4, 5).to(torch.complex64).to_sparse(),
        "one-value": torch.sparse_coo_tensor(places, torch.ones(1).expand(4), (4, 5)),
        "signs-of-zero": torch.sparse_coo_tensor(places[:1, :2], torch.tensor([-0.0, torch.nan]), (4,)),
        "signs-of-zero-csr": torch.sparse_csr_tensor([0, 1, 3], [2, 0, 1], torch.tensor([-0.0, -torch.inf, torch.nan])),
        "nothing-stored": torch.zeros(3, 4).to_sparse(),
        "no-elements": torch.zeros(0, 4).to_sparse(),
        "csr": some(4, 5).to_sparse_csr(),
        "csr-int32": torch.sparse_csr_tensor(torch.tensor([0, 1, 3]).int(), torch.tensor([2, 0, 1]).int(), some(3), (2, 3)),
        "csr-nothing-stored": torch.zeros(3, 4).to_sparse_csr(),
        "csr-hybrid": some(4, 5, 2).to_sparse_csr(dense_dim=1),
        "csc": some(4, 5).double().to_sparse_csc(),
        "csc-hybrid": some(4, 5, 3).to_sparse_csc(dense_dim=1),
        "bsr": some(4, 6).to_sparse_bsr((2, 3)),
        "bsr-rows": some(4, 6).to_sparse_bsr((4, 1)),
        "bsc": some(6, 4).half().to_sparse_bsc((3, 2)),
    }  # fmt: skip


with warnings.catch_warnings(action="ignore"):  # in beta state for years
    NAMES = list(sparse())


@pytest.fixture(params=["pt", "legacy"])
def suffix(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_torch(tmp_path: Path, suffix: str, name: str) -> None:
    path = save_tensors(tmp_path / f"m.{suffix}", {"w": sparse()[name]})
    due = torch.load(path, weights_only=True)["w"].to_dense()
    record = open_source(path).tensors[0]
    assert (record.name, record.shape, record.dtype) == ("w", tuple(due.shape), str(due.dtype).removeprefix("torch."))
    assert read_tensor(record).tobytes() == raw_bytes(due)
    numbers = open_numbers(record, Files())
    flat = read_tensor(record).reshape(-1)
    for begin in range(0, flat.size, 3):
        for end in range(begin + 1, flat.size + 1, 4):
            assert numbers.read(begin, end).tobytes() == flat[begin:end].tobytes()


def test_a_part_is_read(tmp_path: Path) -> None:
    due = some(6, 5)
    path = save_tensors(tmp_path / "m.pt", {"w": due.to_sparse()})
    (record,) = (each for each in open_source(path).tensors if each.name == "w")
    assert read_part(record, (slice(2, 4), 1), Files()).tolist() == due[2:4, 1].tolist()


def test_batches_are_refused_by_name(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "m.pt", {"w": not_dense()})
    with pytest.raises(CheckpointError, match="w: it is sparse_csr, not dense") as caught:
        read_tensor(open_source(path).tensors[0])
    assert caught.value.hint == "torch.load it and save its to_dense()"


def test_a_few_bytes_are_no_great_tensor(tmp_path: Path) -> None:
    great = torch.sparse_coo_tensor([[1], [2]], [1.0], (1 << 20, 1 << 20))
    path = save_tensors(tmp_path / "m.pt", {"w": great})
    with pytest.raises(LimitExceededError, match="numbers read of tensors"):
        read_tensor(open_source(path).tensors[0])


def stored(key: str, values: Any, dtype: str = "int64") -> TensorRecord:
    array = np.array(values, dtype)
    storage = Storage(key, array.nbytes, kept=array.tobytes())
    return TensorRecord(key, array.shape, dtype, array.size, array.nbytes, storage=storage)


ONE = [[[1.0, 2]]]


@pytest.mark.parametrize(
    ("layout", "parts", "message"),
    [
        ("coo", ([[0, 4], [0, 0]], [1.0, 1]), "outside of its shape"),
        ("coo", ([[0], [-1]], [1.0]), "outside of its shape"),
        ("coo", ([[0], [0], [0]], [1.0]), "do not fit its shape"),
        ("coo", ([0, 0], [1.0]), "do not fit its shape"),
        ("coo", ([[0], [0]], [1.0, 2]), "do not fit its shape"),
        ("csr", ([0, 1, 1, 1], [0], [1.0]), "not where they begin"),
        ("csr", ([1, 1, 1, 1, 1], [0], [1.0]), "not where they begin"),
        ("csr", ([0, 2, 1, 1, 1], [0], [1.0]), "not where they begin"),
        ("csr", ([0, 1, 1, 1, 2], [0], [1.0]), "not where they begin"),
        ("csr", ([0, 1, 1, 1, 1], [4], [1.0]), "outside of its shape"),
        ("csr", ([0, 1, 1, 1, 1], [0], [1.0, 2]), "outside of its shape"),
        ("csr", ([0, 1, 1, 1, 1], [0], [[1.0, 2]]), "values do not fit"),
        ("csc", ([0, 1, 1, 1, 1], [4], [1.0]), "outside of its shape"),
        ("bsr", ([0, 1, 1, 1, 1], [0], [[[1.0, 2, 3]]]), "blocks do not fit"),
        ("bsr", ([0, 1, 1, 1, 1], [2], ONE), "outside of its shape"),
        ("bsr", ([0], [], np.ones((0, 0, 2))), "blocks do not fit"),
    ],
)
def test_parts_that_do_not_fit(layout: str, parts: tuple[Any, ...], message: str) -> None:
    *where, values = parts
    records = [*(stored("i", each) for each in where), stored("v", values, "float32")]
    encoding = Encoding(sparse=tuple((each.name, each) for each in records))
    record = TensorRecord("w", (4, 4), "float32", 16, None, layout=f"sparse_{layout}", encoding=encoding)
    with pytest.raises(MalformedError, match=message):
        read_tensor(record)


def test_indices_are_integers() -> None:
    parts = (("indices", stored("i", [[0.0]], "float32")), ("values", stored("v", [1.0], "float32")))
    record = TensorRecord("w", (4,), "float32", 4, None, layout="sparse_coo", encoding=Encoding(sparse=parts))
    with pytest.raises(MalformedError, match="no integers"):
        read_tensor(record)
