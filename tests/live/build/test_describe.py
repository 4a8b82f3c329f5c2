from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from paraminspect.errors import LimitExceededError, SelectionError
from paraminspect.library.answers import check
from paraminspect.live.build.describe import describe_model, find_tensor, note_attributes
from paraminspect.records import TensorRecord
from paraminspect.tied.shared_bytes import find_ties


def named(records: list[TensorRecord]) -> dict[str, TensorRecord]:
    return {record.name: record for record in records}


class Odd(nn.Module):
    """Tensors in every place."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(2, 3))
        self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.register_parameter("none", None)
        self.plain = torch.zeros(5, dtype=torch.bfloat16)
        self.listed = [torch.zeros(1), "text", nn.Linear(2, 2)]
        self.mapped = {"x": torch.zeros(2), "a": self.a}
        self.child = nn.Linear(3, 2)
        self.also = [self.child]


def test_everything_has_its_record() -> None:
    records = describe_model(Odd())
    assert [(each.name, each.kind, each.role, each.trainable) for each in records] == [
        ("a", "parameter", "model", True),
        ("frozen", "parameter", "model", False),
        ("steps", "buffer", "model", None),
        ("scratch", "buffer", "model", None),
        ("plain", "tensor", "attribute", None),
        ("listed.0", "tensor", "attribute", None),
        ("listed.2.weight", "tensor", "attribute", None),
        ("listed.2.bias", "tensor", "attribute", None),
        ("mapped.x", "tensor", "attribute", None),
        ("child.weight", "parameter", "model", True),
        ("child.bias", "parameter", "model", True),
    ]
    by_name = named(records)
    assert by_name["a"].module_type == f"{Odd.__module__}.Odd"
    assert by_name["child.weight"].module_type == "torch.nn.modules.linear.Linear"
    assert by_name["child.weight"].classes == (
        tuple(f"{cls.__module__}.{cls.__name__}" for cls in (nn.Linear, nn.Module)),
        (f"{Odd.__module__}.Odd", "torch.nn.modules.module.Module"),
    )
    assert (by_name["plain"].dtype, by_name["plain"].nbytes, by_name["plain"].numel) == ("bfloat16", 10, 5)
    assert (by_name["steps"].shape, by_name["steps"].numel, by_name["steps"].nbytes) == ((), 1, 8)
    assert (by_name["a"].stride, by_name["a"].offset) == ((3, 1), 0)


def test_notes_of_attributes() -> None:
    model = nn.Module()
    for place in range(12):
        setattr(model, f"a{place}", torch.zeros(1))
    notes = note_attributes(model, describe_model(model))
    assert len(notes) == 10
    assert notes[0].startswith("a0 is a tensor attribute of Module that is neither parameter nor buffer")
    assert notes[-1] == "3 more tensor attributes are neither parameter nor buffer"
    lstm = nn.LSTM(2, 2)
    assert note_attributes(lstm, describe_model(lstm)) == []


@pytest.mark.parametrize(
    ("held", "due"),
    [
        ([nn.Linear(2, 2) for _ in range(7)], "a plain list of modules in Module: 14 tensors in it"),
        ({"x": nn.Linear(2, 2)}, "a plain dict of modules in Module: 2 tensors in it"),
        ((torch.zeros(1), torch.ones(2)), "a plain tuple of tensors in Module: 2 tensors in it"),
    ],
)
def test_what_lies_in_a_list_has_one_note(held: Any, due: str) -> None:
    model = nn.Sequential(nn.Module())
    model[0].held = held
    (note,) = note_attributes(model, describe_model(model))
    assert note.startswith(f"0.held is {due} will not train, move or be saved")


@pytest.mark.parametrize("module", [
    nn.utils.weight_norm, nn.utils.spectral_norm, parametrizations.weight_norm, parametrizations.spectral_norm,
    lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_each_call_makes_anew_is_not_lost(module: Any) -> None:
    model = nn.Sequential(module(nn.Linear(4, 3)))
    assert note_attributes(model, describe_model(model)) == []
    assert not check(model)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_shared_bytes_have_one_storage(device: str) -> None:
    with torch.device(device):
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = model[0].weight
        model[2].weight = nn.Parameter(model[0].weight.detach().T)
        model[2].register_buffer("row", model[0].weight.detach()[1])
        model[2].register_buffer("empty", torch.zeros(0))
        model[1].register_buffer("empty", torch.zeros(0))
    records = named(describe_model(model))
    storage = records["0.weight"].storage
    assert [name for name, each in records.items() if each.storage is storage] == [
        "0.weight",
        "1.weight",
        "2.weight",
        "2.row",
    ]
    assert (records["2.weight"].stride, records["2.row"].offset) == ((1, 4), 16)
    assert records["1.empty"].storage is not records["2.empty"].storage
    groups = find_ties(list(records.values()))
    assert [set(group.names) for group in groups] == [{"0.weight", "1.weight", "2.weight", "2.row"}]


def test_a_flattened_lstm_is_not_tied() -> None:
    assert find_ties(describe_model(nn.LSTM(4, 4, num_layers=2))) == []


def test_arrays_that_share_memory_without_sharing_a_storage() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(4, dtype="float32")
    model = nn.Module()
    model.a, model.b = nn.Parameter(torch.from_numpy(array)), nn.Parameter(torch.from_numpy(array))
    first, second = describe_model(model)
    assert first.storage is second.storage


def test_a_lazy_parameter_has_no_shape() -> None:
    with torch.device("meta"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lazy = nn.LazyLinear(3)
    weight = describe_model(lazy)[0]
    assert (weight.name, weight.shape, weight.numel, weight.nbytes, weight.storage) == ("weight", None, 0, None, None)


def test_sparse_tensors_have_no_storage() -> None:
    model = nn.Module()
    model.register_buffer("s", torch.eye(3).to_sparse())
    (record,) = describe_model(model)
    assert (record.layout, record.storage, record.stride) == ("sparse_coo", None, None)


def test_a_module_in_two_places_has_both_names() -> None:
    inner = nn.Linear(2, 2, bias=False)
    model = nn.Sequential(inner, nn.Sequential(inner))
    assert [record.name for record in describe_model(model)] == ["0.weight", "1.0.weight"]


def test_modules_that_cannot_be_walked() -> None:
    module: nn.Module = nn.ReLU()
    for _ in range(40):
        module = nn.Sequential(module, module)
    with pytest.raises(LimitExceededError, match="names of modules"):
        describe_model(module)
    deep: nn.Module = nn.ReLU()
    for _ in range(400):
        deep = nn.Sequential(deep)
    with pytest.raises(LimitExceededError, match="modules inside each other"):
        describe_model(deep)
    ring = nn.Sequential(nn.ReLU())
    ring.add_module("again", ring)
    with pytest.raises(LimitExceededError, match="modules inside each other"):
        describe_model(ring)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_objects_tell_the_kinds_of_ties(device: str) -> None:
    with torch.device(device):
        inner = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4))
        model = nn.Sequential(inner, inner, nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
        model[3].bias = model[2].bias
        model[4].weight = nn.Parameter(model[3].weight.detach())
        model[4].register_buffer("also", inner[1].running_var)
    kinds = {group.names: group.kind for group in find_ties(describe_model(model))}
    assert kinds == {
        ("0.0.weight", "1.0.weight"): "module",
        ("0.1.weight", "1.1.weight"): "module",
        ("0.1.bias", "1.1.bias"): "module",
        ("0.1.running_mean", "1.1.running_mean"): "module",
        ("0.1.running_var", "1.1.running_var", "4.also"): "alias",
        ("0.1.num_batches_tracked", "1.1.num_batches_tracked"): "module",
        ("2.bias", "3.bias"): "parameter",
        ("3.weight", "4.weight"): "alias",
    }


def test_find_tensor() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert find_tensor(model, "0.bias").tensor is model[0].bias
    with pytest.raises(SelectionError, match=r"there is no tensor '0\.Bias'"):
        find_tensor(model, "0.Bias")


class Wrapper(nn.Module):
    def __init__(self, tensor: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(tensor)


def test_views_made_by_a_parameter_keep_their_place() -> None:
    base = torch.zeros(6)
    record = describe_model(Wrapper(base[2:]))[0]
    assert (record.offset, record.storage.nbytes if record.storage else 0) == (8, 24)
