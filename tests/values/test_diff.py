"""Differences of values, held against torch in float64; sources of different formats."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paraminspect import diff as diff_sources
from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.values import compare as module
from paraminspect.values.compare import Difference, Tolerance, compare_values, digest_values
from paraminspect.values.decode import InMemory
from paraminspect.values.diff import Diff
from tests.making.torch_files import not_dense

Array = np.ndarray[Any, Any]
FLOATS = st.floats(width=32, min_value=-1e6, max_value=1e6) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])


def compare(before: Array, after: Array, **options: float) -> Difference:
    return compare_values(InMemory(before), InMemory(after), Tolerance(**options))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)


@given(
    hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 20)), elements=FLOATS),
    st.sampled_from([0.0, 1e-3, 1.0]),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
)
def test_differences_are_those_that_torch_sees(pair: Array, rtol: float, atol: float, mostly: bool) -> None:
    before, after = pair
    if mostly:
        after = np.where(np.arange(before.size) % 3 > 0, before, after)
    one, other = torch.from_numpy(before.copy()).double(), torch.from_numpy(after.copy()).double()
    found = compare(before, after, rtol=rtol, atol=atol)
    assert found.differs != torch.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True)
    if not found.differs and before.tobytes() == after.tobytes():
        return
    nan, both = one.isnan() != other.isnan(), one.isnan() & other.isnan()
    assert found.nan_changed == int(nan.sum())
    kept = one.isfinite() & other.isfinite() | ~((one == other) | both)
    one, other = one[kept], other[kept]
    assert found.not_finite_before == int((~torch.from_numpy(before.copy()).isfinite()).sum())
    assert found.not_finite_after == int((~torch.from_numpy(after.copy()).isfinite()).sum())
    if one.numel():
        assert found.max_abs == pytest.approx(float((one - other).abs().max()), nan_ok=True)
        if one.isfinite().all() and other.isfinite().all():
            assert found.norm_before == pytest.approx(float(one.norm()))
        if one.norm():
            assert found.relative == pytest.approx(float((one - other).norm() / one.norm()), nan_ok=True)
        if one.norm() and other.norm():
            due = float(torch.cosine_similarity(one, other, 0, eps=0))
            assert found.cosine == pytest.approx(due, abs=1e-12, nan_ok=True)


def test_the_first_difference_may_come_late(small_chunks: None) -> None:
    before = np.arange(20, dtype=np.float32)
    after = before.copy()
    after[17] += 0.5
    found = compare(before, after)
    assert (found.differs, found.max_abs) == (True, 0.5)
    assert found.norm_before == pytest.approx(float(np.linalg.norm(before)))
    seen: list[int] = []
    compare_values(InMemory(before), InMemory(after), Tolerance(), seen.append)
    assert sum(seen) == 20
    assert not compare(before, before.copy()).differs


def test_integers_that_a_float64_cannot_tell_apart_differ() -> None:
    assert compare(np.array([2**60]), np.array([2**60 + 1])).differs
    assert not compare(np.array([2**60]), np.array([2**60])).differs


def test_complex_numbers() -> None:
    found = compare(np.array([1 + 1j, 2j], np.complex64), np.array([1 + 1j, 2j + 3], np.complex64))
    assert (found.differs, found.max_abs) == (True, 3)
    assert found.relative == pytest.approx(3 / math.sqrt(6))


def test_nan_on_both_sides_is_no_difference() -> None:
    before, after = np.array([math.nan, math.inf, 1.0]), np.array([math.nan, math.inf, 1.25])
    assert not compare(before, after, atol=0.5).differs
    assert compare(before, after, atol=0.125).differs
    assert compare(before, np.array([math.nan, -math.inf, 1.25]), atol=0.5).differs


@pytest.mark.parametrize("before", [0.0, 1.0, math.inf])
def test_a_value_that_becomes_nan_is_no_small_difference(before: float) -> None:
    for one, other in ((before, math.nan), (math.nan, before)):
        found = compare(np.array([one, 2.0, math.nan]), np.array([other, 2.0, math.nan]), rtol=1e9, atol=1e9)
        assert (found.differs, found.nan_changed) == (True, 1)
        assert [math.isnan(number or 0) for number in (found.max_abs, found.relative, found.cosine)] == [True] * 3


def test_a_value_that_becomes_infinite_is_infinitely_far() -> None:
    found = compare(np.array([1.0, math.inf, math.nan]), np.array([math.inf, math.inf, math.nan]))
    assert (found.differs, found.nan_changed, found.max_abs, found.relative) == (True, 0, math.inf, math.inf)
    assert math.isnan(found.cosine or 0)


def test_nothing_before_has_no_relative_difference() -> None:
    found = compare(np.zeros(3), np.ones(3))
    assert (found.relative, found.cosine, found.max_abs) == (None, None, 1)


def test_a_digest_is_of_values_in_row_major_order(small_chunks: None) -> None:
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    digest = digest_values(InMemory(array))
    assert digest == digest_values(InMemory(np.asfortranarray(array)))
    assert digest != digest_values(InMemory(array.T))
    array[2, 3] += 1
    assert digest != digest_values(InMemory(array))


# --- sources ---------------------------------------------------------------------------------------------------------


def saved(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / name
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=path.suffix != ".legacy")
    return path


def kinds(diff: Diff) -> list[tuple[str, str]]:
    return [(change.name, change.change) for change in diff.changes]


def model() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {f"h.{index}.w": torch.randn(20, 30, generator=generator) for index in range(3)} | {"steps": torch.arange(9)}


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "legacy"])
def test_the_same_values_in_another_format_do_not_differ(tmp_path: Path, suffix: str) -> None:
    turned = {name: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor for name, tensor in model().items()}
    before = saved(tmp_path, "a.pt", turned)
    found = diff_sources(before, saved(tmp_path, f"b.{suffix}", model()))
    assert (found.changes, found.unchanged, found.failures) == ([], 4, [])


def test_a_change_is_measured(tmp_path: Path) -> None:
    old = model()
    new = {name: tensor.clone() for name, tensor in old.items()}
    new["h.1.w"] += 1e-3 * old["h.2.w"]
    before, after = saved(tmp_path, "a.pt", old), saved(tmp_path, "b.safetensors", new)
    (change,) = diff_sources(before, after).changes
    one, other = old["h.1.w"].double(), new["h.1.w"].double()
    assert (change.name, change.change) == ("h.1.w", "values")
    assert change.max_abs == pytest.approx(float((one - other).abs().max()))
    assert change.relative == pytest.approx(float((one - other).norm() / one.norm()))
    assert change.cosine == pytest.approx(float(torch.cosine_similarity(one.flatten(), other.flatten(), 0)))
    assert diff_sources(before, after, atol=0.1).changes == []
    assert diff_sources(before, after, only="shapes").changes == []


def test_a_quantised_model_against_the_one_it_was_made_of(tmp_path: Path) -> None:
    weights = torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    packed = gguf.quantize(weights.numpy(), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("w", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = diff_sources(saved(tmp_path, "a.pt", {"w": weights}), tmp_path / "m.gguf")
    assert kinds(found) == [("w", "dtype"), ("w", "values")]
    loaded = torch.from_numpy(gguf.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)).double()
    assert found.changes[1].relative == pytest.approx(float((loaded - weights).norm() / weights.double().norm()))


def test_training_state_is_left_out(tmp_path: Path) -> None:
    state = {"model": {"w": torch.ones(2)}, "optimizer": {"state": {0: {"m": torch.ones(2)}}, "param_groups": []}}
    torch.save(state, tmp_path / "a.pt")
    torch.save({**state, "optimizer": {"state": {}, "param_groups": []}}, tmp_path / "b.pt")
    found = diff_sources(tmp_path / "a.pt", tmp_path / "b.pt")
    assert (found.changes, found.unchanged) == ([], 1)


def test_renamed_tensors_are_told_and_compared(tmp_path: Path) -> None:
    new = {f"module.{name}": tensor.clone() for name, tensor in model().items()}
    new["module.h.0.w"] += 1
    before, after = saved(tmp_path, "a.pt", model()), saved(tmp_path, "b.pt", new)
    found = diff_sources(before, after)
    assert sorted(found.renamed) == [(name, f"module.{name}") for name in ("h.1.w", "h.2.w", "steps")]
    assert kinds(diff_sources(before, after, maps=["module.*=*"])) == [("h.0.w", "values")]


def test_what_cannot_be_compared_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    sparse = {"s": not_dense(), "w": torch.ones(3)}
    torch.save(sparse, tmp_path / "a.pt")
    torch.save({**sparse, "w": torch.zeros(3)}, tmp_path / "b.pt")
    found = diff_sources(tmp_path / "a.pt", tmp_path / "b.pt")
    assert kinds(found) == [("w", "values")]
    assert [failure.record.name for failure in found.failures] == ["s"]
    assert found.unchanged == 0


def test_a_model_saved_without_its_tied_name(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    safetensors.torch.save_model(net, str(tmp_path / "m.safetensors"))
    found = diff_sources(saved(tmp_path, "m.pt", net.state_dict()), tmp_path / "m.safetensors")
    assert (found.changes, found.unchanged) == ([], 1)


@pytest.mark.parametrize("cut", range(0, 900, 90))
def test_a_cut_file_gives_an_error_and_no_difference(tmp_path: Path, cut: int) -> None:
    path = saved(tmp_path, "a.safetensors", {"w": torch.ones(200)})
    (tmp_path / "b.safetensors").write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ParamInspectError):
        diff_sources(path, tmp_path / "b.safetensors")


def test_memory_is_that_of_a_few_chunks(tmp_path: Path) -> None:
    """The largest array that a comparison asks for does not grow with the tensors."""
    largest = 0

    class Watched(InMemory):
        def read(self, begin: int, end: int) -> Array:
            nonlocal largest
            largest = max(largest, end - begin)
            return super().read(begin, end)

    array = np.zeros(5_000_000, np.float32)
    other = array.copy()
    other[-1] = 1
    assert compare_values(Watched(array), Watched(other), Tolerance()).differs
    assert largest == module.CHUNK


def test_a_few_bytes_that_repeat_for_ever_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.pt", {"few": torch.ones(1).expand(1000), "many": torch.zeros(1).expand(2**40)})
    found = diff_sources(path, path)
    assert [each.record.name for each in found.failures] == ["many"]
    assert isinstance(found.failures[0].error, LimitExceededError)
    assert found.unchanged == 1
