"""Names without records are those of the records, in every file that has them so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError
from paraminspect.formats import open_source
from paraminspect.formats.pytorch.classify import TELLING_ENDS
from paraminspect.formats.source import open_brief
from paraminspect.names.listing import is_shown
from paraminspect.records import OF_MODEL, TensorRecord
from tests.making.safetensors_files import entry, raw_safetensors, safetensors_bytes

FILES = sorted(Path(__file__).parent.parent.rglob("*.safetensors"))

STEPS = st.sampled_from(["model", "optimizer", "loss", "attn", "state", "ema_x", "0", *sorted(TELLING_ENDS)])
NAMES = st.lists(STEPS, min_size=1, max_size=4).map(".".join)
KINDS = st.sampled_from([("F32", (1, 1, 3, 3)), ("F32", (2,)), ("I64", (2,)), ("U8", (2,)), ("F32", ())])


def is_of_model(record: TensorRecord) -> bool:
    return record.role in OF_MODEL


def assert_same(path: Path) -> bool:
    """Whether there is a brief."""
    brief = open_brief(str(path))
    if brief is None:
        return False
    tensors = open_source(path).tensors
    for keep in (is_shown, is_of_model):
        assert sorted(brief.names_of(keep)) == sorted(record.name for record in tensors if keep(record))
    assert sorted(brief.names) == sorted(record.name for record in tensors)
    assert {record.name: brief.record(record.name) for record in tensors} == {record.name: record for record in tensors}
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(Path(__file__).parent.parent)))
def test_files_that_programs_wrote(path: Path) -> None:
    try:
        open_source(path)
    except ParamInspectError:
        pytest.skip("is broken")
    assert_same(path)


def test_most_of_them_have_one() -> None:
    found = [path for path in FILES if _has_brief(path)]
    assert len(found) > len(FILES) / 3


def _has_brief(path: Path) -> bool:
    try:
        return open_brief(str(path)) is not None
    except ParamInspectError:
        return False


@given(st.dictionaries(NAMES, KINDS, max_size=8))
def test_any_names(tmp_path_factory: pytest.TempPathFactory, shapes: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    tensors = {}
    for name, (dtype, shape) in shapes.items():
        size = {"F32": 4, "I64": 8, "U8": 1}[dtype]
        for dim in shape:
            size *= dim
        tensors[name] = dtype, shape, bytes(size)
    path.write_bytes(safetensors_bytes(tensors))
    assert_same(path)


def written(path: Path, header: dict[str, Any], size: int = 8) -> str:
    path.write_bytes(raw_safetensors(header, bytes(size)))
    return str(path)


def test_what_only_all_records_tell_has_none(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    assert open_brief(written(path, {"a.b": entry()})) is not None
    assert open_brief(written(path, {"__metadata__": {"x": "y"}, "a.b": entry()})) is not None
    assert open_brief(written(path, {"__metadata__": {"b": "a"}, "a": entry()})) is None  # a tie
    assert open_brief(written(path, {"ema.a": entry()})) is None  # a copy, perhaps
    assert open_brief(written(path, {"a.qweight": entry("I32")})) is None
    assert open_brief(written(path, {"a": dict(reversed(entry().items()))})) is None
    assert open_brief(written(path, {"a": entry("F33")})) is None
    assert open_brief(written(path, {"a": entry(["F32"])})) is None


def test_other_formats_have_none(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(40))
    assert open_brief(str(tmp_path / "m.gguf")) is None
    (tmp_path / "m.yaml").write_text("model: []")
    assert open_brief(str(tmp_path / "m.yaml")) is None
