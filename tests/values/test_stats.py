"""Statistics of stored tensors, held against torch in float64; quantiles against their stated error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.records import TensorRecord
from paraminspect.values import distribution as module
from paraminspect.values import stats as stats_module
from paraminspect.values.collecting import collect
from paraminspect.values.decode import InMemory
from paraminspect.values.display import format_tensor, nested_values
from paraminspect.values.distribution import BINS, Distribution
from paraminspect.values.read import open_numbers
from paraminspect.values.stats import Summary, TensorStats, summarise
from paraminspect.values.stored_bytes import Files
from tests.making.cells import in_cells
from tests.making.stored import tensor_stats
from tests.making.torch_files import not_dense

Array = np.ndarray[Any, Any]

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128",
]  # fmt: skip
VIEWS = {
    "plain": lambda t: t,
    "transposed": lambda t: t.t(),
    "stepped": lambda t: t[::3, 1::2],
    "column": lambda t: t[:, 3],
    "expanded": lambda t: t[:, None, :5].expand(-1, 4, -1),
    "windows": lambda t: t.flatten().unfold(0, 5, 2),
    "scalar": lambda t: t[2, 2],
    "empty": lambda t: t[:0],
}


def saved(folder: Path, values: object) -> dict[str, TensorRecord]:
    torch.save(values, folder / "m.pt")
    return {record.name: record for record in open_source(folder / "m.pt").tensors}


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_view_has_the_statistics_that_torch_gives(tmp_path: Path, dtype: str, check_stats: Any) -> None:
    numbers = torch.randn(40, 30, generator=torch.Generator().manual_seed(1)) * 3
    kind = getattr(torch, dtype)
    whole = (numbers > 0) if dtype == "bool" else (numbers.abs() if dtype == "uint8" else numbers).to(kind)
    if whole.is_complex():
        whole = whole * (0.3 + 0.4j)
    due = {name: view(whole) for name, view in VIEWS.items()}
    for name, record in saved(tmp_path, due).items():
        tensor = due[name]
        # torch cannot tell which float8 are finite
        check_stats(tensor_stats(record), tensor.float() if dtype.startswith("float8") else tensor)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64", "int64", "complex64"])
def test_many_values(dtype: str, check_stats: Any) -> None:
    numbers = torch.randn(200_001, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    tensor = (numbers.exp() * numbers.sign() * 1000).to(getattr(torch, dtype))
    array = tensor.float().numpy().astype(ml_dtypes.bfloat16) if dtype == "bfloat16" else tensor.numpy()
    found = summarise(InMemory(array)).stats()
    check_stats(found, tensor)
    check_stats(summarise(InMemory(array[::-1])).stats(), tensor)


ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-45, 1.0, -2.5, 3e38, 1e300, -1e300]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(values=[5e-324, 7e-235], few=False)
@given(values=st.lists(st.sampled_from(ODD) | st.floats(), max_size=40), few=st.booleans())
def test_odd_values(values: list[float], few: bool, check_stats: Any) -> None:
    array = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        wide = torch.from_numpy(np.where(np.abs(array) > 1e100, np.sign(array), array))  # squares stay finite
    if few:
        check_stats(summarise(InMemory(wide.numpy())).stats(), wide)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats_module, "EXACT", 0)
        found = summarise(InMemory(array)).stats()
    assert found.nan + found.inf == sum(not math.isfinite(value) for value in values)
    if found.quantiles is not None:
        assert sum(found.histogram or ()) == found.count - found.nan - found.inf
        assert list(found.quantiles) == sorted(found.quantiles)


def test_nothing_but_what_is_not_finite() -> None:
    found = summarise(InMemory(np.array([math.nan, math.inf]))).stats()
    assert found == TensorStats(2, None, None, None, None, 0.0, 0, 1, 1, None, None)
    assert summarise(InMemory(np.empty((0, 3), np.float32))).stats().zero_fraction is None


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ([1, 2], ()), ([1, math.nan], ("nan",)), ([1, math.inf], ("inf",)), ([0, -0.0], ("zero", "constant")),
        ([3, 3], ("constant",)), ([3], ()), ([0], ("zero",)), ([], ()), ([2, 2, math.nan], ("nan",)),
    ],
)  # fmt: skip
def test_problems(values: list[float], problems: tuple[str, ...]) -> None:
    assert summarise(InMemory(np.array(values, np.float32))).stats().problems == problems


# --- distributions --------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_cells_are_off_by_less_than_they_say(array: Array) -> None:
    found = in_cells(array)
    assert int(found.counts.sum()) == array.size
    shares = (0.0, 0.01, 0.25, 0.5, 1.0)
    whole = np.sort(array.astype(np.float64))
    for share, estimate in zip(shares, found.quantiles(shares) or (), strict=True):
        rank = share * (array.size - 1)
        low, high = whole[math.floor(rank)], whole[math.ceil(rank)]
        exact = low + (high - low) * (rank - math.floor(rank))
        assert abs(estimate - exact) <= max(abs(low), abs(high)) / 128 + 1e-40


def test_a_cell_that_two_bins_share_is_split() -> None:
    array = np.linspace(0.9, 1.1, 100_000, dtype=np.float32)
    histogram = in_cells(array).histogram(float(array[0]), float(array[-1]))
    assert np.abs(np.array(histogram) - 100_000 / BINS).max() < 200


def test_numbers_beyond_float32_are_counted_at_its_end() -> None:
    array = np.array([1e300, -1e300, math.inf, 2.0])
    found = in_cells(array)
    assert int(found.counts.sum()) == 3
    assert found.lows[0] < -3.3e38
    assert found.highs[-1] > 3.3e38


def test_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=3000)
    ones = np.ones(1000, np.int64)
    parts = [Distribution.of_values(part, ones) for part in values.reshape(3, -1)]
    nothing = Distribution.of_values(np.empty(0), np.empty(0, np.int64))
    whole = nothing.merge(parts[0]).merge(parts[1]).merge(nothing).merge(parts[2])
    np.testing.assert_allclose(whole.quantiles() or (), np.quantile(values, module.QUANTILES), rtol=1e-12)
    monkeypatch.setattr(module, "EXACT", 10)
    coarse = parts[0].merge(parts[1]).merge(parts[2])
    assert not coarse.is_exact
    np.testing.assert_allclose(coarse.quantiles() or (), np.quantile(values, module.QUANTILES), rtol=1 / 64)
    histogram = coarse.histogram(values.min(), values.max())
    assert sum(histogram) == 3000
    assert np.abs(np.array(histogram) - np.histogram(values, BINS)[0]).max() <= 12


@pytest.mark.parametrize("low", [1.0, 0.0, 1e300, -1.0])
def test_a_histogram_of_neighbouring_numbers(low: float) -> None:
    high = math.nextafter(low, math.inf)
    histogram = Distribution.of_values(np.array([low, high]), np.array([2, 3])).histogram(low, high)
    assert (histogram[0], sum(histogram)) == (2, 5)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8])
def test_pieces_of_one_type_are_put_together(kind: Any, check_stats: Any) -> None:
    parts = [np.array([1, 2, 2, 3], kind), np.array([3, 0, 2], kind), np.array([2], kind)]
    whole, summary = Summary(8), Summary(8)
    whole.add(parts[0])
    for part in parts[1:]:
        summary.add(part)
    whole.merge(summary)
    check_stats(whole.stats(), torch.from_numpy(np.concatenate(parts)).double())


@pytest.mark.parametrize("count", [5, 70_000])
def test_complex_numbers_that_are_none(count: int, check_stats: Any) -> None:
    array = np.full(count, 3 + 4j, np.complex64)
    array[:3] = complex(math.nan, math.inf), complex(0, math.nan), complex(-math.inf, 0)
    check_stats(summarise(InMemory(array)).stats(), torch.from_numpy(array))


def test_summaries_of_different_types_are_put_together(check_stats: Any) -> None:
    parts = [
        np.random.default_rng(1).normal(size=500).astype(np.float32),
        np.arange(-5, 5, dtype=np.int8),
        np.array([1.5, math.nan, 3.0], ml_dtypes.bfloat16),
        np.full(9, 0.25, np.float16),
    ]
    whole = Summary(0)
    for part in parts:
        summary = Summary(part.size)
        summary.add(part)
        whole.merge(summary)
    check_stats(whole.stats(), torch.from_numpy(np.concatenate([part.astype(np.float64) for part in parts])))


def test_an_expanded_tensor_counts_as_often_as_it_is_seen(tmp_path: Path, check_stats: Any) -> None:
    tensor = torch.tensor([1.0, -2, 0, 5]).expand(1000, 4)
    (record,) = saved(tmp_path, {"t": tensor}).values()
    check_stats(tensor_stats(record), tensor)


# --- rows ----------------------------------------------------------------------------------------------------------


def test_rows_of_one_and_of_several_tensors(tmp_path: Path, check_stats: Any) -> None:
    due = {
        "a": torch.randn(30, 3),
        "b": torch.arange(9),
        "sparse": not_dense(),
        "c": torch.ones(2, 2),
    }
    records = saved(tmp_path, due)
    files, seen = Files(), []
    rows = [[records["a"]], [records["b"], records["sparse"], records["c"]], [records["sparse"]]]
    one, several, none = collect(rows, lambda record: open_numbers(record, files), seen.append)
    assert one.stats is not None
    check_stats(one.stats, due["a"])
    assert several.stats is not None
    check_stats(several.stats, torch.cat([due["b"].double(), due["c"].double().flatten()]))
    assert [failure.record.name for failure in several.failures] == ["sparse"]
    assert "sparse_csr" in several.failures[0].error.message
    assert (none.stats, len(none.failures)) == (None, 1)
    assert sum(seen) == sum(records[name].nbytes or 0 for name in "abc")


def test_what_cannot_be_read_raises(tmp_path: Path) -> None:
    (record,) = saved(tmp_path, {"t": not_dense()}).values()
    with pytest.raises(CheckpointError, match="not dense"):
        tensor_stats(record)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(0, 1 << 40), max_size=3),
    stride=st.lists(st.integers(-2, 1 << 40), max_size=3),
    offset=st.integers(-10, 1 << 40),
    dtype=st.sampled_from([*DTYPES, "q4_k", "quint4x2", "float4_e2m1fn_x2", "complex32", "bits8"]),
    layout=st.sampled_from(["strided", "gguf", "chunked"]),
)
def test_any_record_gives_statistics_or_an_error(
    tmp_path: Path, *, shape: list[int], stride: list[int], offset: int, dtype: str, layout: str
) -> None:
    from paraminspect.records import Storage

    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(256)) * 8)
    numel = math.prod(shape)
    steps = tuple(stride) if len(stride) == len(shape) else None
    record = TensorRecord(
        "t", tuple(shape), dtype, numel, numel, layout=layout, storage=Storage("t", 2048, str(path), 0), offset=offset,
        stride=steps,
    )  # fmt: skip
    try:
        found = tensor_stats(record)
    except ParamInspectError:
        return
    assert found.count >= numel


def test_signalling_patterns_bring_no_warning() -> None:
    summary = Summary(2)
    summary.add(np.array([0x7F800001, 0x3F800000], np.uint32).view(np.float32))
    assert summary.stats().nan == 1


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_signalling_patterns_are_shown_and_exported_in_silence(name: str) -> None:
    bits = np.array([0x7F81, 0x3F80], np.uint16)
    array = bits.view(ml_dtypes.bfloat16) if name == "bfloat16" else (bits.astype(np.uint32) << 16).view(np.float32)
    first, second = nested_values(array)
    assert math.isnan(first)
    assert second == 1.0
    assert "nan" in format_tensor(array, name)
