"""Weights as real producers pack them (`scripts/make_quantised.py`): what every command makes of each of them.

The oracle is the producer's own dequantisation, bit for bit.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import paraminspect
from paraminspect.checks.check import check_source
from paraminspect.formats.source import open_source
from paraminspect.names.listing import make_listing, total
from paraminspect.records import TensorRecord
from paraminspect.values.read import open_numbers, read_part, read_tensor
from paraminspect.values.stats import summarise
from paraminspect.values.stored_bytes import Files
from paraminspect.values.widen import widen
from scripts.make_quantised import MAKERS, QUANTISED

FOLDERS = sorted(path.parent for path in QUANTISED.rglob("model.*"))
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(QUANTISED)))
SLICES = ((0,), (slice(-1, None),), (slice(1, 7, 2), slice(3, 8)), (slice(None), 1), (slice(2, 2),))


def model_of(folder: Path) -> Path:
    return next(folder.glob("model.*"))


def expected_of(folder: Path) -> dict[str, TensorRecord]:
    """The numbers that the producer gives, which nothing has to decode."""
    records = open_source(folder / "expected.safetensors").tensors
    assert all(record.encoding_label is None for record in records)
    return {record.name: record for record in records}


def quantised_in(folder: Path) -> list[TensorRecord]:
    return [record for record in open_source(model_of(folder)).tensors if record.logical is not None]


def bits(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


@EACH
def test_every_number_is_the_producers(folder: Path) -> None:
    expected, found = expected_of(folder), quantised_in(folder)
    assert found
    for record in found:
        assert record.logical is not None
        due = read_tensor(expected[record.logical.name])
        numbers = read_tensor(record)
        assert (numbers.dtype, numbers.shape, record.logical_shape) == (due.dtype, due.shape, due.shape)
        assert np.array_equal(bits(numbers), bits(due))
        for index in SLICES:
            assert np.array_equal(bits(read_part(record, index, Files())), bits(due[index]))


@EACH
def test_in_pieces_they_are_the_same(folder: Path) -> None:
    expected = expected_of(folder)
    for record in quantised_in(folder):
        assert record.logical is not None
        due = read_tensor(expected[record.logical.name]).reshape(-1)
        numbers = open_numbers(record, Files())
        pieces = [numbers.read(at, min(at + 1001, due.size)) for at in range(0, due.size, 1001)]
        assert np.array_equal(bits(np.concatenate(pieces)), bits(due))
        stats = summarise(open_numbers(record, Files())).stats()
        assert (stats.count, stats.zeros) == (due.size, int((due == 0).sum()))
        assert stats.mean == pytest.approx(float(widen(due).astype(float).mean()), rel=1e-9, abs=1e-12)


@EACH
def test_totals_are_those_of_the_model(folder: Path) -> None:
    found = total(make_listing(open_source(model_of(folder)).tensors))
    assert found.parameters == sum(record.numel for record in expected_of(folder).values())
    assert found.tensors == len(expected_of(folder))
    assert found.stored == sum(record.numel for record in open_source(model_of(folder)).tensors)
    with_parts = total(make_listing(open_source(model_of(folder)).tensors, everything=True))
    assert (with_parts.parameters, with_parts.stored, with_parts.nbytes) == (
        found.parameters,
        found.stored,
        found.nbytes,
    )
    assert found.encodings


@EACH
def test_check_raises_no_alarm(folder: Path) -> None:
    found = check_source(model_of(folder), deep=True)
    assert [each for each in found if each.severity in {"error", "danger"}] == []


@EACH
def test_converted_as_it_is(folder: Path, tmp_path: Path) -> None:
    if model_of(folder).suffix == ".pt":
        pytest.skip("what a pickle holds in one tensor has no form of its own in safetensors")
    written = paraminspect.convert(model_of(folder), tmp_path / "copy.safetensors", verify=True)
    needs_config = folder.parent.name not in ("bitsandbytes", "torchao")
    assert any(note.startswith("config.json, which tells") for note in written.notes) == needs_config
    with safe_open(model_of(folder), "np") as before, safe_open(tmp_path / "copy.safetensors", "np") as after:
        assert set(before.keys()) == set(after.keys())
    assert paraminspect.diff(model_of(folder), tmp_path / "copy.safetensors").changes == []  # which has no config
    assert data_of(tmp_path / "copy.safetensors") == data_of(model_of(folder))


def data_of(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: (of["dtype"], of["shape"], data[8 + length + of["data_offsets"][0] : 8 + length + of["data_offsets"][1]])
        for name, of in header.items()
    }


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if model_of(folder).suffix == ".pt"], ids=str)
def test_objects_of_a_pickle_are_converted_to_their_numbers(folder: Path, tmp_path: Path) -> None:
    """In the type that they pass for."""
    paraminspect.convert(model_of(folder), tmp_path / "numbers.safetensors", verify=True)
    assert paraminspect.diff(tmp_path / "numbers.safetensors", folder / "expected.safetensors").changes == []


@EACH
def test_converted_to_numbers(folder: Path, tmp_path: Path) -> None:
    expected = expected_of(folder)
    paraminspect.convert(model_of(folder), tmp_path / "numbers.safetensors", dtype="float32", verify=True)
    written = load_file(tmp_path / "numbers.safetensors")
    assert not open_source(tmp_path / "numbers.safetensors").metadata.keys() & {"tensor_names", *expected}
    assert set(written) == set(expected)
    for name, array in written.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, widen(read_tensor(expected[name])).astype(np.float32))


@EACH
def test_a_difference_from_the_numbers_is_only_how_they_are_packed(folder: Path) -> None:
    found = paraminspect.diff(model_of(folder), folder / "expected.safetensors")
    assert found.failures == []
    labels = {record.logical.name: record.encoding_label for record in quantised_in(folder) if record.logical}
    assert {(each.name, each.change, each.before) for each in found.changes} == {
        (name, "dtype", label) for name, label in labels.items()
    }


def test_a_folder_of_numbers_has_a_config_that_says_so(tmp_path: Path) -> None:
    case = QUANTISED / "autoawq" / "gemm"
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(case / name, model / name)
    paraminspect.convert(model, f"{tmp_path}/copy/")
    assert json.loads((tmp_path / "copy/config.json").read_text()) == json.loads((case / "config.json").read_text())
    written = paraminspect.convert(model, f"{tmp_path}/numbers/", dtype="float16")
    assert json.loads((tmp_path / "numbers/config.json").read_text()) == {}
    assert "config.json is copied without quantization_config" in written.notes
    assert paraminspect.diff(tmp_path / "numbers", case / "expected.safetensors").changes == []


@pytest.mark.parametrize("inner", ["text_config", "language_config"])
def test_a_config_inside_of_one_says_it_too(inner: str, tmp_path: Path) -> None:
    case = QUANTISED / "autoawq" / "gemm"
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(case / "model.safetensors", model)
    said = {**json.loads((case / "config.json").read_text()), "vocab_size": 8}
    (model / "config.json").write_text(json.dumps({"model_type": "any", inner: said}))
    written = paraminspect.convert(model, f"{tmp_path}/numbers/", dtype="float16")
    told = {"model_type": "any", inner: {"vocab_size": 8}}
    assert json.loads((tmp_path / "numbers/config.json").read_text()) == told
    assert f"config.json is copied without {inner}.quantization_config" in written.notes


def test_a_model_takes_the_numbers(tmp_path: Path) -> None:
    import torch
    from torch import nn

    from paraminspect.live.build.weights import load_weights

    net = nn.ModuleDict({"l": nn.Linear(128, 24)})
    case = QUANTISED / "bitsandbytes" / "nf4-float32"
    report = load_weights(net, open_source(case / "model.safetensors"))
    assert (report.mismatches, set(report.loaded)) == ((), {"l.weight", "l.bias"})
    expected = read_tensor(expected_of(case)["l.weight"])
    assert torch.equal(net["l"].weight, torch.from_numpy(expected))


def test_without_a_config_numbers_are_refused_by_name() -> None:
    """The file alone does not tell; what is stored can be had all the same."""
    data = (QUANTISED / "autoawq" / "gemm" / "model.safetensors").open("rb")
    with data:
        model = paraminspect.open(data)
        tensor = model["l.qweight"]
        with pytest.raises(paraminspect.ParamInspectError, match=r"l\.qweight: the order of the integers") as error:
            tensor.numpy()
        assert "--stored" in (error.value.hint or "")
        assert tensor.record.as_stored.dtype == "int32"


def test_every_producer_has_cases_with_its_version() -> None:
    versions = json.loads((QUANTISED / "versions.json").read_text())
    assert set(versions) == set(MAKERS) == {folder.relative_to(QUANTISED).parts[0] for folder in FOLDERS}
    assert all(versions.values())
    assert sum(path.stat().st_size for path in QUANTISED.rglob("*") if path.is_file()) < 800_000
