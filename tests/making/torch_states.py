"""What a reader lists, held against the object that torch itself has in memory."""

from __future__ import annotations

import ctypes
import importlib
import sys
from argparse import Namespace
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from paraminspect.records import Checkpoint, TensorRecord


class Found(NamedTuple):
    """A tensor of a live object."""

    name: str
    tensor: torch.Tensor
    kind: str | None


def flatten(value: object, prefix: str = "") -> Iterator[Found]:
    """Every path to a tensor; a module's as `named_parameters()` and `named_buffers()` give them."""
    if isinstance(value, torch.Tensor):
        kind = "parameter" if isinstance(value, torch.nn.Parameter) else None
        yield Found(prefix[:-1], value, "buffer" if isinstance(value, torch.nn.Buffer) else kind)
    elif isinstance(value, torch.nn.Module | torch.jit.ScriptModule):
        for name, tensor in value.named_parameters(remove_duplicate=False):
            yield Found(prefix + name, tensor, "parameter")
        for name, tensor in value.named_buffers(remove_duplicate=False):
            yield Found(prefix + name, tensor, "buffer")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{prefix}{key}.")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from flatten(item, f"{prefix}{index}.")


def arrays(value: object, prefix: str = "") -> Iterator[str]:
    """Names of numpy arrays, which are listed too."""
    if isinstance(value, np.ndarray):
        yield prefix[:-1]
    elif isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from arrays(item, f"{prefix}{key}.")


def groups(storages: dict[str, object]) -> set[frozenset[str]]:
    """Names that have the same storage."""
    together = defaultdict(set)
    for name, storage in storages.items():
        together[storage].add(name)
    return {frozenset(names) for names in together.values()}


def check_tensor(record: TensorRecord, found: Found, mapped: bool) -> None:
    """One record against the tensor that torch has."""
    tensor = found.tensor
    assert record.dtype == str(tensor.dtype).removeprefix("torch.")
    assert record.numel == tensor.numel()
    if found.kind is not None:
        assert record.kind == found.kind
    assert record.trainable == (tensor.requires_grad if record.kind == "parameter" else None)
    assert record.layout == str(tensor.layout).removeprefix("torch.")
    assert record.shape == tuple(tensor.shape)
    if tensor.layout is not torch.strided:
        return
    assert record.stride == tensor.stride()
    assert record.nbytes == tensor.numel() * tensor.element_size()
    if tensor.device.type == "meta":
        return
    if mapped:
        assert record.byte_range is not None
        path, begin, end = record.byte_range
        assert path is not None
        stored = Path(path).read_bytes()[begin:end]
        assert len(stored) == end - begin
        if tensor.numel():
            assert stored == ctypes.string_at(tensor.data_ptr(), end - begin)


def check_like_torch(checkpoint: Checkpoint, value: object, *, mapped: bool = True, shared: bool = True) -> None:
    """A checkpoint against the object: names, everything of each tensor, bytes in the file, shared storages.

    Args:
        checkpoint: What the reader gave; plain attributes of modules and arrays are passed over.
        value: What torch loads from the same file.
        mapped: Whether the bytes lie in the file as they are.
        shared: Whether the file says which tensors share a storage.
    """
    known = set(arrays(value))
    records = [record for record in checkpoint.tensors if record.role != "attribute" and record.name not in known]
    wanted = list(flatten(value))
    assert sorted(record.name for record in records) == sorted(found.name for found in wanted)
    by_name = {found.name: found for found in wanted}
    assert len(by_name) == len(wanted)
    for record in records:
        check_tensor(record, by_name[record.name], mapped)
    if shared:
        pointers = {
            found.name: found.tensor.untyped_storage()._cdata
            for found in wanted
            if found.tensor.layout is torch.strided and found.tensor.device.type != "meta"
        }
        storages = {record.name: id(record.storage) for record in records if record.storage is not None}
        assert groups(storages) == groups(pointers)


@pytest.fixture
def assert_like_torch() -> Callable[..., None]:
    """`check_like_torch`, for tests that cannot import it."""
    return check_like_torch


# --- things people save -----------------------------------------------------------------------------------------

Pair = namedtuple("Pair", ["left", "right"])


class Tagged(torch.Tensor):
    """A tensor subclass."""


def small_net() -> nn.Module:
    """One of most kinds of owner: weights, buffers, flat weights, a submodule under two names."""
    shared = nn.Linear(4, 4)
    lists = nn.ParameterList([torch.ones(2), nn.Parameter(torch.ones(3, 2))])
    named = nn.ParameterDict({"scale": nn.Parameter(torch.ones(1)), "0": nn.Parameter(torch.ones(()))})
    layers = [nn.Linear(2, 4), nn.BatchNorm1d(4), shared, shared, nn.LSTM(4, 3), nn.MultiheadAttention(4, 2)]
    return nn.Sequential(*layers, nn.Embedding(5, 6), nn.ModuleDict({"lists": lists, "named": named}))


def tied_net() -> nn.Module:
    """A head that is the embedding, as GPT-2 has it, and a frozen bias."""
    net = nn.ModuleDict({"embed": nn.Embedding(7, 4), "head": nn.Linear(4, 7)})
    net["head"].weight = net["embed"].weight  # type: ignore[assignment]
    net["head"].bias.requires_grad_(False)  # type: ignore[operator]
    return net


def trained(make: Callable[[Any], torch.optim.Optimizer]) -> tuple[nn.Module, torch.optim.Optimizer]:
    net = nn.Linear(3, 2)
    optimizer = make(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return net, optimizer


def training_checkpoint() -> dict[str, object]:
    net, optimizer = trained(lambda parameters: torch.optim.Adam(parameters, amsgrad=True))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    return {
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng_state": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "epoch": 3,
        "args": Namespace(lr=1e-3, betas=(0.9, 0.95), device=torch.device("cpu"), dtype=torch.float16),
    }


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(60.0).reshape(3, 4, 5)
    return {
        "base": base,
        "alias": base.view(3, 4, 5),
        "row": base[1],
        "transposed": base.transpose(0, 2),
        "stepped": base[:, 1::2, ::3],
        "expanded": base[0, 0, :1].expand(7, 1),
        "flat": base.view(60),
        "scalar": base[2, 3, 4],
        "empty": base[3:],
    }


def wrapped(wrap: Callable[[nn.Module], object]) -> nn.Module:
    net = nn.Linear(3, 4)
    wrap(net)
    return net


def quantized() -> dict[str, torch.Tensor]:
    ones = torch.ones(4, 6)
    return {
        "tensor": torch.quantize_per_tensor(ones, 0.1, 1, torch.qint8),
        "wide": torch.quantize_per_tensor(ones, 0.1, 1, torch.qint32),
        "channel": torch.quantize_per_channel(ones, torch.ones(4), torch.zeros(4), 0, torch.quint8),
    }


def sparse() -> dict[str, torch.Tensor]:
    eye = torch.eye(4)
    return {
        "coo": eye.to_sparse(),
        "uncoalesced": torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (4,)),
        "hybrid": torch.sparse_coo_tensor([[0, 1]], torch.ones(2, 3), (4, 3)),
        "csr": eye.to_sparse_csr(),
        "csc": eye.double().to_sparse_csc(),
        "bsr": eye.to_sparse_bsr((2, 2)),
        "bsc": eye.half().to_sparse_bsc((2, 2)),
    }


STATES: dict[str, Callable[[], object]] = {
    "a tensor": lambda: torch.ones(2, 3),
    "a parameter": lambda: nn.Parameter(torch.ones(3), requires_grad=False),
    "a list": lambda: [torch.ones(2), [torch.zeros(1)], (torch.ones(()),)],
    "nothing": lambda: {"epoch": 3, "lr": 0.1},
    "state dict": lambda: small_net().state_dict(),
    "module": small_net,
    "tied": tied_net,
    "tied state dict": lambda: tied_net().state_dict(),
    "data parallel": lambda: nn.DataParallel(small_net()),
    "compiled": lambda: torch.compile(nn.Linear(2, 2)).state_dict(),
    "pruned": lambda: wrapped(lambda net: prune.l1_unstructured(net, "weight", 3)),
    "weight norm": lambda: wrapped(parametrizations.weight_norm).state_dict(),
    "old weight norm": lambda: wrapped(nn.utils.weight_norm).state_dict(),
    "training": training_checkpoint,
    "optimizer": lambda: {"optimizer": training_checkpoint()["optimizer"]},
    "views": views,
    "ranks": lambda: {f"rank{n}": torch.ones((2,) * n) for n in range(9)},
    "many": lambda: {f"layer.{i}.weight": torch.full((i % 5, 3), i) for i in range(150)},
    "parameters": lambda: {
        "parameter": nn.Parameter(torch.ones(2)),
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "buffer": nn.Buffer(torch.ones(2)),
        "leaf": torch.ones(2, requires_grad=True),
        "subclass": torch.ones(2).as_subclass(Tagged),
    },
    "odd keys": lambda: {1: torch.ones(1), None: torch.ones(1), (1, "a"): torch.ones(1), 2.5: torch.ones(1), b"x": torch.ones(1)},
    "containers": lambda: {
        "ordered": OrderedDict(a=torch.ones(1)),
        "default": defaultdict(list, b=[torch.ones(1)]),
        "pair": Pair(torch.ones(1), (torch.ones(2),)),
        "pair of tuples": Pair((torch.ones(1),), torch.ones(2)),
        "extremes": torch.ones(3, 2).max(0),
        "size": torch.Size([3]),
    },
    "complex": lambda: {"plain": (plain := torch.ones(3, 2, dtype=torch.complex64)), "conjugate": plain.conj()},
    "meta": lambda: {"weight": torch.empty(3, 4, device="meta"), "bias": nn.Parameter(torch.empty(4, 3, device="meta").t())},
    "quantized": quantized,
    "sparse": sparse,
}  # fmt: skip
"""Each makes an object that torch can save and load in both formats."""


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest) -> object:
    """Things people save, one after another."""
    return STATES[request.param]()


def dtypes() -> Iterator[torch.dtype]:
    """All element types that torch can make and save, quantized ones apart."""
    for name in sorted(name for name, value in vars(torch).items() if isinstance(value, torch.dtype)):
        dtype = getattr(torch, name)
        if name == str(dtype).removeprefix("torch.") and not name.startswith("q") and name not in UNSAVED:
            yield dtype


UNSAVED = {f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)}  # "dtype torch.int4 is not recognized"


@pytest.fixture(params=dtypes(), ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Element types, one after another."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def foreign_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[type[nn.Module], Callable[[], None]]]:
    """A module class, and a function after which it cannot be imported."""
    (tmp_path / "vanishing.py").write_text(FOREIGN_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    import vanishing  # type: ignore[import-not-found]

    def vanish() -> None:
        sys.modules.pop("vanishing", None)
        (tmp_path / "vanishing.py").unlink(missing_ok=True)
        importlib.invalidate_caches()

    yield vanishing.Net, vanish
    vanish()


FOREIGN_SOURCE = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width), requires_grad=False)
        self.register_buffer("mask", torch.ones(width, width).tril())
        self.register_buffer("steps", torch.zeros((), dtype=torch.long), persistent=False)
        self.missing = None
        self.plain = torch.zeros(2)
        self.register_parameter("nothing", None)
        self.linear = nn.Linear(width, width)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(3), Block(3)])
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight = self.blocks[0].linear.weight
        self.norm = nn.BatchNorm1d(3)
"""
