"""A folder of torch.distributed.checkpoint, by one process and by several: torch reads what shards of the same rules hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file

import paraminspect
from paraminspect.errors import ParamInspectError
from paraminspect.library.init import Initialised, Wanted, initialise
from paraminspect.live.init import elements
from paraminspect.live.ranks import distcp
from paraminspect.models.asked import Asked
from paraminspect.models.open import open_model
from paraminspect.ranks.meeting import Meeting
from tests.making.meetings import by_ranks

SPEC = """
model: [{Embedding: [50, 8], name: a}, {Linear: [8, 30], name: b}, {BatchNorm1d: 30, name: c}, {Linear: [8, 50, {bias: false}], name: d}]
tie: {d.weight: a.weight}
init: ['*weight=normal(std=0.02)', 'b.weight=orthogonal', 'b.bias=ones(part=1/2)']
"""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def written(source: Path, target: str, meeting: Meeting | None = None, **wanted: Any) -> Initialised:
    model = open_model(str(source), Asked("values", edits=True, rules=wanted.pop("rules", ())))
    return initialise(model, 5, Wanted(target, "bfloat16", **wanted), lambda done, total: None, meeting=meeting)


@pytest.mark.parametrize("world", [None, 2, 3, 9])
@pytest.mark.parametrize("file_bytes", [1, distcp.FILE_BYTES])
def test_torch_loads_the_tensors_of_shards(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: int | None, file_bytes: int
) -> None:
    monkeypatch.setattr(distcp, "FILE_BYTES", file_bytes)
    alone = written(spec, f"{tmp_path}/alone.safetensors")
    target = f"{tmp_path}/out/"
    if world is None:
        found = written(spec, target, to="dcp")
    else:
        found = by_ranks(world, lambda meeting: written(spec, target, meeting, to="dcp"))[0]
        assert found.notes[0] == f"written by {min(world, 9)} of {world} ranks"
    assert [step for _, step in found.steps] == [step for _, step in alone.steps]
    due = load_file(tmp_path / "alone.safetensors")
    due["d.weight"] = due["a.weight"]
    state = {name: torch.empty_like(each) for name, each in due.items()}
    dcp.load(state, checkpoint_id=target)
    assert all(torch.equal(state[name], due[name]) for name in due)
    assert len(list((tmp_path / "out").glob("*.distcp"))) == (9 if file_bytes == 1 else min(world or 1, 9))


LARGE = """
model: [{Embedding: [37, 6, {padding_idx: 2}], name: a}, {Linear: [6, 100, {bias: false}], name: b}, {Linear: [100, 1], name: c}, {Param: {shape: [310]}, name: e}]
init: ['*=normal(std=0.02)', 'b.*=trunc_normal(std=0.5)', 'c.weight=orthogonal', 'e=uniform']
"""


@pytest.mark.parametrize("world", [None, 3])
@pytest.mark.parametrize(("block", "piece"), [(32, 1 << 20), (110, 1 << 20), (150, 32), (1 << 20, 1 << 20)])
def test_a_large_tensor_is_written_in_chunks_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: int | None, block: int, piece: int
) -> None:
    monkeypatch.setattr(elements, "BLOCK", block)
    monkeypatch.setattr(elements, "PIECE", piece)
    (tmp_path / "net.yaml").write_text(LARGE)
    alone = written(tmp_path / "net.yaml", f"{tmp_path}/alone.safetensors")
    target = f"{tmp_path}/out/"
    if world is None:
        found = written(tmp_path / "net.yaml", target, to="dcp")
    else:
        found = by_ranks(world, lambda meeting: written(tmp_path / "net.yaml", target, meeting, to="dcp"))[0]
    assert [step for _, step in found.steps] == [step for _, step in alone.steps]
    due = load_file(tmp_path / "alone.safetensors")
    state = {name: torch.empty_like(each) for name, each in due.items()}
    dcp.load(state, checkpoint_id=target)
    assert all(torch.equal(state[name], due[name]) for name in due)
    kept = dcp.FileSystemReader(target).read_metadata().state_dict_metadata
    sizes = {name: [chunk.sizes.numel() for chunk in each.chunks] for name, each in kept.items()}
    assert max(max(each) for name, each in sizes.items() if name != "c.weight") < block + 6
    assert (len(sizes["b.weight"]) > 1) == (block < 1 << 20)
    found_in_both = paraminspect.diff(f"{tmp_path}/alone.safetensors", target)
    assert (found_in_both.changes, found_in_both.unchanged) == ([], 5)


def test_one_that_fails_leaves_nothing_behind(spec: Path, tmp_path: Path) -> None:
    def work(meeting: Meeting) -> Initialised:
        rules = ("b.weight=orthogonal(gain=1e999)", "c.weight=bogus") if meeting.launched.rank == 1 else ()
        return written(spec, f"{tmp_path}/out/", meeting, to="dcp", rules=rules)

    found = by_ranks(2, work)
    assert str(found[0]).startswith("rank 1 (host1): ")
    assert [path.name for path in tmp_path.iterdir()] == ["net.yaml"]


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [("out.safetensors", {}, "writes a folder"), ("out/", {"shard_size": "1KB"}, "has no meaning")],
)
def test_what_makes_no_sense(spec: Path, target: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamInspectError, match=said):
        written(spec, target, to="dcp", **options)
