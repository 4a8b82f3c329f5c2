from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.live.build.stored import StoredTensors
from paraminspect.live.build.weights import Mismatch, WeightReport, load_weights
from tests.making.live_models import open_live

MLP = "model: [{Linear: [4, 3], name: a}, {BatchNorm1d: 3, name: n}, {Linear: [3, 2], name: b}]"


def model_of(text: str = MLP, seed: int = 0) -> nn.Module:
    return open_live("spec.yaml", text=text, device="cpu", seed=seed).model


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: each.contiguous() for name, each in tensors.items()}, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=path.suffix != ".legacy")
    return path


def load(model: nn.Module, path: Path, **options: str) -> WeightReport:
    return load_weights(model, open_source(path), **options)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".legacy"])
def test_what_fits_is_loaded(tmp_path: Path, suffix: str) -> None:
    state = {name: each.clone() for name, each in model_of(seed=9).state_dict().items()}
    state["n.num_batches_tracked"] += 5
    model = model_of()
    report = load(model, save(tmp_path / f"x{suffix}", state))
    assert list(report.loaded) == list(state)
    assert (report.mismatches, report.converted, report.hint) == ((), (), None)
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert model.a.weight.requires_grad


def test_views_and_strides(tmp_path: Path) -> None:
    base = torch.arange(40.0)
    state = {"weight": base[4:16].reshape(4, 3).T, "bias": base[::13][:3]}
    model = nn.Linear(4, 3)
    report = load(model, save(tmp_path / "x.pt", state))
    assert list(report.loaded) == ["weight", "bias"]
    assert torch.equal(model.weight, state["weight"])
    assert torch.equal(model.bias, state["bias"])


def test_missing_unexpected_and_misshapen(tmp_path: Path) -> None:
    state = dict(model_of(seed=9).state_dict())
    del state["a.bias"]
    state["b.weight"] = torch.zeros(2, 7)
    state["extra"] = torch.zeros(5)
    model = model_of()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    report = load(model, save(tmp_path / "x.pt", state))
    assert report.mismatches == (
        Mismatch("a.bias", "missing", (3,), None),
        Mismatch("b.weight", "shape", (2, 3), (2, 7)),
        Mismatch("extra", "unexpected", None, (5,)),
    )
    assert torch.equal(model.b.weight, before["b.weight"])
    assert torch.equal(model.a.weight, state["a.weight"])


def test_dtypes_are_the_model_s(tmp_path: Path) -> None:
    state = {"weight": torch.randn(3, 4).bfloat16(), "bias": torch.randn(3)}
    model = nn.Linear(4, 3)
    report = load(model, save(tmp_path / "x.safetensors", state))
    assert report.converted == ("weight",)
    assert torch.equal(model.weight, state["weight"].float())


def test_prefixes(tmp_path: Path) -> None:
    state = {f"module.{name}": each for name, each in model_of(seed=9).state_dict().items()}
    path = save(tmp_path / "x.pt", state)
    report = load(model_of(), path)
    assert (len(report.loaded), report.hint) == (0, "--strip-prefix module.")
    assert load(model_of(), path, strip_prefix="module.").mismatches == ()
    bare = save(tmp_path / "y.pt", dict(model_of(seed=9).a.state_dict()))
    report = load(nn.Sequential(nn.Linear(4, 3)), bare)
    assert report.hint == "--add-prefix 0."
    assert load(nn.Sequential(nn.Linear(4, 3)), bare, add_prefix="0.").mismatches == ()
    assert load(nn.Sequential(nn.Conv2d(1, 1, 1)), bare).hint == "--add-prefix 0."
    assert load(nn.ReLU(), bare).hint is None


def test_nested_checkpoints(tmp_path: Path) -> None:
    model = model_of(seed=9)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    path = tmp_path / "x.pt"
    torch.save({"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    fresh = model_of()
    assert load(fresh, path).hint == "--strip-prefix state_dict."
    assert load(fresh, path, strip_prefix="state_dict.").mismatches == ()
    assert torch.equal(fresh.a.weight, model.a.weight)


TIED = "model: [{Embedding: [5, 4], name: e}, {Linear: [4, 5, {bias: false}], name: h}]\ntie: {h.weight: e.weight}"


@pytest.mark.parametrize("names", [["e.weight"], ["h.weight"], ["e.weight", "h.weight"]])
def test_a_tied_tensor_needs_one_name(tmp_path: Path, names: list[str]) -> None:
    values = torch.randn(5, 4)
    model = model_of(TIED)
    report = load(model, save(tmp_path / "x.safetensors", {name: values.clone() for name in names}))
    assert report.mismatches == ()
    assert torch.equal(model.e.weight, values)
    assert model.h.weight is model.e.weight


def test_two_tensors_for_a_tied_one(tmp_path: Path) -> None:
    state = {"e.weight": torch.zeros(5, 4), "h.weight": torch.ones(5, 4)}
    model = model_of(TIED)
    report = load(model, save(tmp_path / "x.pt", state))
    assert report.mismatches == (Mismatch("h.weight", "tie", (5, 4), (5, 4), "tied to e.weight in the model"),)
    assert not model.e.weight.any()


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("change", "fits"),
    [
        (lambda x: x.clone(), True),
        (lambda x: x.t().contiguous().t(), True),
        (lambda x: x.half(), True),  # of which the model's dtype makes the same numbers
        (lambda x: -x, False),
        (lambda x: torch.cat([x[:4], x[:1]]), False),
    ],
)
def test_bytes_decide_whether_two_tensors_are_one(tmp_path: Path, device: str, change: Any, fits: bool) -> None:
    """A negative zero is another value here, and what is not a number is equal to itself."""
    values = torch.zeros(5, 4)
    values[4] = torch.nan if change(values).dtype == values.dtype else 1
    path = save(tmp_path / "x.pt", {"e.weight": values, "h.weight": change(values)})
    live = open_live("spec.yaml", text=TIED, device=device, weights=str(path))
    assert live.weights is not None
    due = () if fits else (Mismatch("h.weight", "tie", (5, 4), (5, 4), "tied to e.weight in the model"),)
    assert live.weights.mismatches == due


def test_on_the_meta_device_names_are_compared_and_values_read(tmp_path: Path) -> None:
    state = dict(model_of(seed=9).state_dict())
    del state["b.bias"]
    path = save(tmp_path / "x.pt", state)
    live = open_live("spec.yaml", text=MLP, weights=str(path))
    assert live.weights is not None
    assert live.weights.mismatches == (Mismatch("b.bias", "missing", (2,)),)
    assert live.model.a.weight.is_meta
    assert torch.equal(live.tensor("a.weight"), state["a.weight"])
    assert torch.equal(live.tensor("b.bias"), model_of().b.bias)


def test_tied_values_are_read_under_any_name(tmp_path: Path) -> None:
    values = torch.randn(5, 4)
    path = save(tmp_path / "x.safetensors", {"h.weight": values})
    live = open_live("spec.yaml", text=TIED, weights=str(path))
    assert torch.equal(live.tensor("e.weight"), values)
    assert live.tensor("h.weight").dtype == torch.float32


def test_the_published_gpt2_loads_up_to_its_renaming(tmp_path: Path, configs: Path) -> None:
    small = {"depth": 2, "dim": 24, "heads": 2, "vocab": 11, "context": 8}
    state = open_live(str(configs / "gpt2.yaml"), device="cpu", variables=small, seed=9).model.state_dict()
    published = {name.removeprefix("transformer."): each for name, each in state.items() if name != "lm_head.weight"}
    published |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 8, 8) for layer in range(2)}
    path = save(tmp_path / "x.safetensors", published)
    live = open_live(
        str(configs / "gpt2.yaml"), device="cpu", variables=small, weights=str(path), add_prefix="transformer."
    )
    assert live.weights is not None
    assert {(each.name, each.problem) for each in live.weights.mismatches} == {
        (f"transformer.h.{layer}.attn.bias", "unexpected") for layer in range(2)
    }
    assert all(torch.equal(each, state[name]) for name, each in live.model.state_dict().items())


def test_files_that_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(ParamInspectError) as caught:
        open_live("spec.yaml", text=MLP, weights=str(path))
    assert str(caught.value).startswith(f"{path}: ")


def test_values_that_do_not_lie_in_the_file(tmp_path: Path) -> None:
    import zipfile

    state = {"weight": torch.randn(3, 4), "bias": torch.zeros(3)}
    plain, packed = save(tmp_path / "x.pt", state), tmp_path / "y.pt"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item.filename))
    model = nn.Linear(4, 3)
    assert load(model, packed).mismatches == ()
    assert torch.equal(model.weight, state["weight"])


def test_values_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pt", {"weight": torch.empty(3, 3, device="meta"), "bias": torch.zeros(3)})
    (problem,) = load(nn.Linear(3, 3), path).mismatches
    assert (problem.name, problem.problem, problem.note) == (
        "weight",
        "unreadable",
        "weight: the file has no bytes for it",
    )


def test_a_file_that_was_cut_after_its_header_was_read(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pt", {"w": torch.zeros(1000)})
    checkpoint = open_source(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError):
        StoredTensors().read(checkpoint.tensors[0])


def test_every_dtype_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    dtypes = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16]
    dtypes += [torch.float32, torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2]
    state = {str(dtype): torch.randint(0, 2, (3, 5)).to(dtype) for dtype in dtypes}
    state["scalar"], state["empty"] = torch.tensor(2.5), torch.zeros(0, 4)
    for suffix in (".pt", ".safetensors"):
        if suffix == ".safetensors":
            state.pop(str(torch.complex64))
        checkpoint = open_source(save(tmp_path / f"x{suffix}", state))
        reader = StoredTensors()
        assert {record.name for record in checkpoint.tensors} == set(state)
        for record in checkpoint.tensors:
            values = reader.read(record)
            assert values.dtype == state[record.name].dtype
            assert torch.equal(values.to(torch.complex64), state[record.name].to(torch.complex64)), record.name


def test_reading_does_not_write(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pt", {"w": torch.zeros(10)})
    before = path.read_bytes()
    checkpoint = open_source(path)
    StoredTensors().read(checkpoint.tensors[0]).fill_(7)
    assert path.read_bytes() == before


def test_with_a_factory(tmp_path: Path, configs: Path, live: Callable[..., Any]) -> None:
    path = save(tmp_path / "x.pt", {"weight1": torch.ones(20, 20)})
    opened = open_live(f"{configs / 'my_model.py'}:MyModel", device="cpu", weights=str(path))
    assert opened.weights is not None
    assert opened.weights.mismatches == ()
    assert opened.tensor("weight1").mean() == 1
