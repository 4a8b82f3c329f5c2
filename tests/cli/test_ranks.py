"""The command line as torchrun starts it, several times over."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.making.running import PATIENCE_S, Result, modules_after, program, run_apart, run_here

OTHER = {"RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
FIRST = {**OTHER, "RANK": "0"}

GPT2 = ("configs/gpt2.yaml", "-D", "depth=1", "-D", "dim=48", "-D", "vocab=90", "--shard-size", "40KB")


def torchrun(ranks: int, *words: object, **environ: str) -> Result:
    """One command line, started by torchrun on this machine."""
    command, base = program()
    done = subprocess.run(
        [*command[:1], "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), *command[1:], *map(str, words)],
        env={**base, "OMP_NUM_THREADS": "1", **environ}, capture_output=True, timeout=PATIENCE_S, check=False, text=True,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("words", [("list",), ("stats",), ()])
def test_other_commands_run_where_the_rank_is_0(words: tuple[str, ...], tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("model: [{Linear: [2, 2]}]\n")
    status, modules = modules_after(*words, spec, **OTHER)
    assert status == 0
    assert not modules & {"torch", "numpy", "rich", "paraminspect.models.open"}
    alone = run_here(*words, str(spec))
    assert run_here(*words, str(spec), **FIRST) == alone
    assert run_here(*words, str(spec), **OTHER) == (0, "", "")


@pytest.mark.parametrize("words", [("-o", "x/", "--help"), ("configs/mlp.yaml", "-o", "out/", "--dry-run")])
def test_init_that_writes_nothing_is_not_shared(words: tuple[str, ...]) -> None:
    status, modules = modules_after("init", *words, **OTHER)
    assert status == 0
    assert "torch" not in modules


@pytest.mark.torch
def test_init_by_two_ranks_writes_what_one_process_writes(tmp_path: Path) -> None:
    alone = run_apart("init", *GPT2, "-o", f"{tmp_path}/alone/")
    found = torchrun(2, "init", *GPT2, "-o", f"{tmp_path}/together/")
    assert (found.status, found.stdout) == (0, alone.stdout)
    assert "note: written by 2 of 2 ranks\n" in found.stderr
    names = sorted(os.listdir(tmp_path / "alone"))
    assert sorted(os.listdir(tmp_path / "together")) == names
    assert len(names) > 3
    for name in names:
        assert (tmp_path / "together" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.torch
def test_an_error_of_one_rank_is_said_once_and_ends_all(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\ndef bad(tensor):\n    if os.environ['RANK'] == '1':\n        raise ValueError('broken here')\n"
    )
    found = torchrun(
        2, "init", *GPT2, "--rules-file", tmp_path / "mine.py", "--rule", "*=bad", "-o", f"{tmp_path}/out/"
    )
    ours = [line for line in found.stderr.splitlines() if line.startswith(("error: ", "note: "))]
    assert found.status == 1
    assert found.stdout == ""
    assert len(ours) == 2
    assert ours[0].startswith("error: rank 1 (")
    assert "broken here" in ours[0]
    assert ours[1] == "note: the exit status is 2; torchrun makes 1 of every one that is not 0"
    assert not {path.name for path in tmp_path.iterdir()} - {"mine.py", "__pycache__"}


EXACT = ("--dtype", "float64", "--format", "json")
GRAD = ("configs/gpt2.yaml", "-D", "depth=2", "-D", "dim=48", "-D", "vocab=90", *EXACT)
TOKENS = "{shape: [3, 6], dtype: int64, high: 90}"
NET = ("configs/llama-7b.yaml", "-D", "depth=1", "-D", "dim=64", "-D", "vocab=90")
LLAMA = (*NET, *EXACT)


def assert_same_gradients(found: Result, alone: Result) -> None:
    assert found.status == 0, found.stderr
    one, other = json.loads(found.stdout), json.loads(alone.stdout)
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-12)
    assert one["total_norm"] == pytest.approx(other["total_norm"], rel=1e-12)
    for mine, due in zip(one["parameters"], other["parameters"], strict=True):
        for key in ("name", "shape", "state", "zero_fraction"):
            assert mine[key] == due[key]
        for key in ("norm", "max_abs", "norm_ratio"):
            assert mine[key] == (None if due[key] is None else pytest.approx(due[key], rel=1e-12))
        assert [(use["module"], use["op"]) for use in mine["uses"]] == [
            (use["module"], use["op"]) for use in due["uses"]
        ]
        assert [use["norm"] for use in mine["uses"]] == pytest.approx([use["norm"] for use in due["uses"]], rel=1e-12)


@pytest.mark.torch
def test_gradients_of_a_model_and_a_batch_in_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    assert run_apart("init", *NET, "--seed", "8", "--shard-size", "40KB", "-o", f"{tmp_path}/w/").status == 0
    uneven = ("-w", f"{tmp_path}/w/", "-i", TOKENS, "--target", TOKENS, "--uses", "-o")
    found = torchrun(2, "grad", *LLAMA, *uneven, tmp_path / "found.safetensors", "--shard", "fsdp")
    assert_same_gradients(found, run_apart("grad", *LLAMA, *uneven, tmp_path / "alone.safetensors"))
    assert found.stderr.count("note: each process is fed its part of 3 rows\n") == 1
    assert found.stderr.count("note: wrote ") == 1
    one, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("found", "alone"))
    assert one.keys() == other.keys()
    for name, each in one.items():
        np.testing.assert_allclose(each, other[name], rtol=1e-9, atol=1e-15)


@pytest.mark.extra(wants="several torchruns")
@pytest.mark.parametrize(("ranks", "shard", "form"), [(2, "tp=2", "w.pt"), (4, "tp=2,fsdp", "w/")])
def test_gradients_of_layers_cut_by_their_outputs(ranks: int, shard: str, form: str, tmp_path: Path) -> None:
    made = ("--to", "dcp") if form == "w/" else ()
    assert run_apart("init", *NET, "--seed", "8", *made, "-o", f"{tmp_path}/{form}").status == 0
    weights = ("-w", f"{tmp_path}/{form}")
    found = torchrun(ranks, "grad", *LLAMA, *weights, "--shard", shard)
    assert_same_gradients(found, run_apart("grad", *LLAMA, *weights))
    assert "note: in every process as a whole: model.layers.0.input_layernorm, " in found.stderr
    rows = ": 1 row for 2 processes" if "fsdp" in shard else ""
    assert f"note: every process is fed the whole batch{rows}\n" in found.stderr


@pytest.mark.extra(wants="several torchruns")
@pytest.mark.parametrize("bad", [0, 1])
def test_one_that_fails_between_collective_operations_ends_all(bad: int, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"import os\ndef loss(output):\n    if os.environ['RANK'] == '{bad}':\n        raise ValueError('broken here')\n    return output.sum()\n"
    )
    found = torchrun(2, "grad", *GRAD, "--shard", "fsdp", "--loss-file", f"{tmp_path / 'mine.py'}:loss")
    (error,) = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert "broken here" in error
    assert error.startswith("error: rank 1 (") == (bad == 1)
    assert found.stdout == ""


def test_shards_want_several_processes() -> None:
    found = run_here("grad", "configs/mlp.yaml", "--shard", "fsdp")
    assert (found.status, found.stdout) == (2, "")
    assert "this one is alone" in found.stderr
    assert "torchrun --nproc-per-node 2 -m paraminspect grad SPEC --shard fsdp" in found.stderr
