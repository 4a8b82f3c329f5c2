"""Values for every layout, and what torch has in memory of what was read back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paraminspect.writers.layout import Layout, OutTensor
from paraminspect.writers.whole_files import Sink, open_target

if TYPE_CHECKING:
    import torch

Values = list[bytes]
Write = Callable[[Layout, Path, Values], None]


def make_values(tensors: Iterable[OutTensor]) -> Values:
    """Bytes for each tensor; of booleans only zeros and ones."""
    values = []
    for number, tensor in enumerate(tensors):
        data = random.Random(number).randbytes(tensor.nbytes)
        values.append(bytes(byte & 1 for byte in data) if tensor.dtype == "bool" else data)
    return values


def put_all(sink: Sink, values: Values, order: Iterable[int] | None = None, chunk: int = 1 << 20) -> None:
    for index in range(len(values)) if order is None else order:
        for begin in range(0, len(values[index]), chunk):
            sink.put(index, begin, values[index][begin : begin + chunk])


def write_layout(layout: Layout, path: Path, values: Values) -> None:
    with open_target(layout, str(path)) as sink:
        put_all(sink, values)


def bytes_of(tensor: torch.Tensor) -> bytes:
    import torch

    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.fixture(scope="session")
def values() -> Callable[[Iterable[OutTensor]], Values]:
    return make_values


@pytest.fixture(scope="session")
def write() -> Write:
    return write_layout


@pytest.fixture(scope="session")
def put() -> Callable[..., None]:
    return put_all


@pytest.fixture(scope="session")
def raw() -> Callable[[torch.Tensor], bytes]:
    return bytes_of
