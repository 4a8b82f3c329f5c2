"""Stored tensors that stand together for another: every scheme, and what only looks like one."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraminspect.formats.quantised.schemes import KEYS, SCHEMES
from paraminspect.formats.source import QUANTISED_TYPES, open_file, open_source
from paraminspect.formats.table import resolve
from paraminspect.names.listing import make_listing, total
from tests.making.quantised_files import PACKED, Packed, save_packed

CASES = pytest.mark.parametrize("packed", PACKED.values(), ids=list(PACKED))


@CASES
def test_what_is_stored_stays_and_what_it_stands_for_is_known(packed: Packed, tmp_path: Path) -> None:
    checkpoint = open_source(save_packed(tmp_path / "m", packed.tensors, packed.config))
    by_name = {record.name: record for record in checkpoint.tensors}
    main = by_name[packed.name]
    assert main.shape == packed.tensors[packed.name][1]
    assert main.logical is not None
    assert (main.logical_shape, main.encoding_label, main.logical.name) == (packed.shape, packed.label, packed.stands)
    assert (main.logical.dtype, main.logical.problem) == (packed.dtype, "")
    assert {each.name for _, each in main.logical.parts} == set(packed.tensors)
    assert Counter(record.role for record in checkpoint.tensors) == {"model": 1, "part": len(packed.tensors) - 1}
    assert main.as_stored.logical is None
    assert main.as_meant.name == packed.stands


@CASES
def test_totals_count_what_is_meant_and_what_is_stored(packed: Packed, tmp_path: Path) -> None:
    records = open_source(save_packed(tmp_path / "m", packed.tensors, packed.config)).tensors
    meant = 1
    for size in packed.shape:
        meant *= size
    stored = sum(record.numel for record in records)
    for everything in (False, True):
        found = total(make_listing(records, everything=everything))
        assert (found.parameters, found.stored) == (meant, stored)
        assert found.nbytes == sum(record.nbytes or 0 for record in records)
        assert found.encodings == (packed.label,)


@CASES
def test_a_file_beside_its_config_is_as_its_folder(packed: Packed, tmp_path: Path) -> None:
    folder = save_packed(tmp_path / "m", packed.tensors, packed.config)
    whole = {record.name: record.encoding_label for record in open_source(folder).tensors}
    assert {each.name: each.encoding_label for each in open_source(folder / "model.safetensors").tensors} == whole


@CASES
def test_without_a_config_nothing_is_guessed(packed: Packed, tmp_path: Path) -> None:
    """What names, types and shapes leave open is no number; a scheme whose shapes do not tell it is not seen."""
    records = open_source(save_packed(tmp_path / "m", packed.tensors)).tensors
    logical = next((record.logical for record in records if record.name == packed.name), None)
    if not packed.config:
        assert logical is not None
        assert not logical.problem
    elif packed.label.startswith(("mlx", "compressed-tensors int8")):
        assert logical is None
    else:
        assert logical is not None
        assert logical.problem.endswith("there is no config.json with a quantization_config beside it")


@CASES
def test_a_part_that_is_missing_or_of_another_shape_makes_it_something_else(packed: Packed, tmp_path: Path) -> None:
    optional = {ending for scheme in SCHEMES for _, ending in scheme.optional}
    for index, name in enumerate(packed.tensors):
        if name == packed.name or any(name.endswith(ending) for ending in optional - {"biases", "g_idx"}):
            continue
        rest = {each: of for each, of in packed.tensors.items() if each != name}
        records = open_source(save_packed(tmp_path / f"{index}", rest, packed.config)).tensors
        left = next((record.logical for record in records if record.name == packed.name), None)
        assert left is None or left.problem or left.label != packed.label, name
        dtype = packed.tensors[name][0]
        odd: Any = {**packed.tensors, name: (dtype, (7, 5, 3))}
        records = open_source(save_packed(tmp_path / f"odd{index}", odd, packed.config)).tensors
        left = next((record.logical for record in records if record.name == packed.name), None)
        if not name.endswith(("absmax", "quant_map")):  # of which the state tells how many there are
            assert left is None or left.label != packed.label, name


def test_names_alone_say_nothing(tmp_path: Path) -> None:
    tensors: Any = {
        "q.qweight": ("F32", (8, 16)),
        "q.qzeros": ("F32", (2, 2)),
        "q.scales": ("F16", (2, 16)),
        "q.g_idx": ("I32", (64,)),
    }
    records = open_source(save_packed(tmp_path / "m", tensors, PACKED["gptq"].config)).tensors
    assert {record.role for record in records} == {"model"}
    assert all(record.encoding_label is None for record in records)


def test_an_open_file_has_no_config(tmp_path: Path) -> None:
    packed = PACKED["nf4"]
    folder = save_packed(tmp_path / "m", packed.tensors)
    checkpoint = open_file(io.BytesIO((folder / "model.safetensors").read_bytes()))
    assert total(make_listing(checkpoint.tensors)).parameters == 256


def test_a_state_that_lies_is_not_believed(tmp_path: Path) -> None:
    packed = PACKED["nf4"]
    for shape in (b"[9, 32]", b"[-8, -32]", b"[8, 32.0]", b'"8"', b"[" * 100):
        state = b'{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": ' + shape + b"}"
        tensors: Any = {**packed.tensors, "q.weight.quant_state.bitsandbytes__nf4": ("U8", (len(state),), state)}
        records = open_source(save_packed(tmp_path / "m", tensors)).tensors
        assert all(record.logical is None for record in records), shape


@given(st.dictionaries(st.sampled_from([f"a.{ending}" for ending in ("weight", "weight.absmax", *KEYS, "qweight", "scales", "w_blocks", "w_scales")]),
                       st.tuples(st.sampled_from(["I32", "U32", "U8", "F16", "F8_E4M3"]), st.lists(st.integers(0, 9), max_size=3).map(tuple))))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_tensors_of_such_names_are_listed(tmp_path: Path, tensors: Any) -> None:
    records = open_source(save_packed(tmp_path / "m", tensors, {"quantization": {"bits": 4, "group_size": 2}})).tensors
    assert {record.name for record in records} == set(tensors)


def test_every_row_of_the_table_leads_somewhere() -> None:
    for scheme in SCHEMES:
        assert callable(resolve(scheme.reader))
        assert scheme.key in {ending for _, ending in (*scheme.parts, *scheme.optional)}
        assert set(scheme.dtypes) <= QUANTISED_TYPES
    assert len({scheme.name for scheme in SCHEMES}) == len(SCHEMES)
