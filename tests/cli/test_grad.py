"""`paraminspect grad`, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, load_file, save_file
from torch import nn

from paraminspect.cli.output import Output

pytestmark = pytest.mark.usefixtures("workplace")

CODE = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 1)
        self.spare = nn.Linear(4, 1)
    def forward(self, ids, mask=None):
        y = self.head(self.embed(ids))[..., 0]
        return y if mask is None else y * mask

def norm():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))

def lazy():
    return nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 1))

def loud():
    class Loud(nn.Linear):
        def forward(self, x):
            print("forward runs")
            return super().forward(x)
    return Loud(2, 1)

def peak(y):
    return y.max()
"""


@pytest.fixture(autouse=True)
def code(workplace: Path) -> Path:
    (workplace / "nets.py").write_text(CODE)
    return workplace


def grad(run: Any, *arguments: str, status: int = 0, **options: Any) -> Any:
    result = run("grad", *arguments, **options)
    assert result.status == status, result.stderr
    return result


def values(run: Any, *arguments: str, status: int = 0) -> dict[str, Any]:
    return json.loads(grad(run, *arguments, "--format", "json", status=status).stdout)


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in document["parameters"]}


def test_json_says_all(run: Any) -> None:
    document = values(run, "configs/shared_linear.yaml", "--rule", "*=constant(3)", "--uses")
    assert document == {
        "schema": 1,
        "source": "configs/shared_linear.yaml",
        "format": "spec",
        "parameters": [
            {
                "name": "0.weight", "shape": [1, 1], "state": "ok", "norm": 6.0, "max_abs": 6.0, "zero_fraction": 0.0,
                "norm_ratio": 2.0,
                "uses": [{"module": str(i), "op": "mm", "norm": 3.0, "cosine": 1.0} for i in range(2)],
                "reason": None,
            }
        ],
        "loss": 9.0, "total_norm": 6.0, "none_before": 1, "states": {"ok": 1},
        "loss_taken": "sum(output)",
    }  # fmt: skip


def test_tsv_counts_uses_and_their_rows_are_asked_for(run: Any) -> None:
    line = grad(run, "configs/shared_linear.yaml", "--rule", "*=constant(3)").stdout
    assert line == "0.weight\t[1,1]\tok\t6.0\t6.0\t0.0\t2.0\t2\t\n"
    result = grad(run, "configs/mlp.yaml", "--uses")
    assert result.stdout == ""
    assert "no parameter is used more than once (--all-uses shows every use)" in result.stderr
    lines = grad(run, "configs/mlp.yaml", "--all-uses", "--columns", "name,module,op").stdout
    assert lines.splitlines() == ["0.weight\t0\taddmm", "0.bias\t0\taddmm", "2.weight\t2\taddmm", "2.bias\t2\taddmm"]


def test_how_many_gradients_were_none_is_said_first(run: Any) -> None:
    result = grad(run, "configs/mlp.yaml", "--freeze", "2.*")
    assert result.stderr.startswith("note: before backward: 4 of 4 gradients are None\n")


def test_a_factory_s_inputs_by_name(run: Any) -> None:
    ids = "ids={shape: [2, 3], dtype: int64, high: 4}"
    document = values(run, "nets.py:Two", "-i", ids, "-i", "mask={shape: [2, 3], fill: 2}", "--steps", "2")
    rows = by_name(document)
    assert rows["head.bias"]["norm"] == 12
    assert rows["spare.bias"]["reason"] == "spare is never called"
    assert rows["spare.bias"]["untouched"] == 1
    assert 6 <= rows["embed.weight"]["untouched"] <= 9
    assert document["states"] == {"ok": 3, "none": 2}
    assert document["steps"] == 2
    result = grad(run, "nets.py:Two", "-i", "isd=2", status=2)
    assert "error: nets.py:Two: --input does not fit Two.forward: unknown argument isd" in result.stderr
    assert "hint: did you mean ids?" in result.stderr


def test_modes(run: Any) -> None:
    result = grad(run, "nets.py:norm", "-i", "1,4", status=2)
    assert "forward fails at 1 (BatchNorm1d)" in result.stderr
    assert "a larger batch ([2,3]), or --eval" in result.stderr
    grad(run, "nets.py:norm", "-i", "1,4", "--eval")
    grad(run, "nets.py:norm", "-i", "1,4", "--train", status=2)


def test_lazy_layers_and_loud_ones(run: Any) -> None:
    assert grad(run, "nets.py:lazy", "-i", "2,5").stdout.splitlines()[0].startswith("0.weight\t[3,5]\tok\t")
    assert "forward runs" not in grad(run, "nets.py:loud", "-i", "2,2").stdout


def test_freeze(run: Any) -> None:
    document = values(run, "configs/mlp.yaml", "--freeze", "Linear:*bias", "--fail-on", "frozen", status=1)
    assert {name: row["state"] for name, row in by_name(document).items()} == {
        "0.weight": "ok", "0.bias": "frozen", "2.weight": "ok", "2.bias": "frozen",
    }  # fmt: skip
    assert "did you mean 0.bias?" in grad(run, "configs/mlp.yaml", "--freeze", "0.bais", status=2).stderr
    # by any name of a tied parameter
    rows = by_name(values(run, "configs/autoencoder.yaml", "--freeze", "decoder.*.weight"))
    assert rows["encoder.conv1.weight"]["state"] == "frozen"


def test_fail_on(run: Any) -> None:
    ids = "ids={shape: [2, 3], dtype: int64, high: 10}"
    assert grad(run, "nets.py:Two", "-i", ids, "--fail-on", "nan,inf").status == 0
    result = grad(run, "nets.py:Two", "-i", ids, "--fail-on", "none,nan", status=1)
    assert "note: --fail-on none: spare.weight, spare.bias" in result.stderr


def test_dtype_and_losses(run: Any) -> None:
    exact = values(run, "configs/mlp.yaml", "--dtype", "float64", "--show")
    rough = values(run, "configs/mlp.yaml", "--dtype", "bfloat16", "--show")
    assert exact["total_norm"] == pytest.approx(rough["total_norm"], rel=0.05)
    assert exact["total_norm"] != rough["total_norm"]
    assert (
        values(run, "configs/mlp.yaml", "--loss-file", "nets.py:peak")["loss"]
        != values(run, "configs/mlp.yaml")["loss"]
    )
    twice = [values(run, "configs/mlp.yaml", "--loss", loss)["loss"] for loss in ("sum", "mean")]
    assert twice[0] == pytest.approx(2 * twice[1])
    one = values(run, "configs/mlp.yaml", "--target", "{shape: [2, 1], fill: 0}")["loss"]
    assert one == pytest.approx(values(run, "configs/mlp.yaml", "--loss", "square")["loss"] / 2)


def test_weights(run: Any, workplace: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    np.save(workplace / "x.npy", np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4))
    save_file(net.state_dict(), workplace / "net.safetensors")
    net(torch.from_numpy(np.load(workplace / "x.npy"))).sum().backward()
    saved = grad(run, "configs/mlp.yaml", "-w", "net.safetensors", "-i", "x.npy", "-o", "grads.safetensors")
    assert saved.stderr.splitlines()[-1] == "note: wrote grads.safetensors: 4 tensors, 76 B"
    found = load_file(workplace / "grads.safetensors")
    assert all(torch.equal(found[name], each.grad) for name, each in net.named_parameters())
    agrees = grad(run, "configs/mlp.yaml", "-w", "net.safetensors", "-i", "x.npy", "--compare", "grads.safetensors")
    assert agrees.stdout == ""
    differs = grad(run, "configs/mlp.yaml", "-i", "x.npy", "--compare", "grads.safetensors", status=1)
    assert {line.split("\t")[1] for line in differs.stdout.splitlines()} == {"values"}


def test_gradients_replace_no_weights(run: Any, workplace: Path) -> None:
    """It is said before anything runs."""
    save_file(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)).state_dict(), workplace / "net.safetensors")
    before = (workplace / "net.safetensors").read_bytes()
    line = ("configs/mlp.yaml", "-w", "net.safetensors", "-o", "net.safetensors")
    refused = grad(run, *line, status=2)
    assert (workplace / "net.safetensors").read_bytes() == before
    assert refused.stderr == "error: net.safetensors: it is there already\n\nhint: --force replaces it\n"
    assert grad(run, *line, "--force").stderr.endswith("wrote net.safetensors: 4 tensors, 76 B\n")
    assert "--force without -o" in grad(run, "configs/mlp.yaml", "--force", status=2).stderr


@pytest.mark.parametrize("place", [".", "nowhere/x.safetensors", "s3://bucket/x.safetensors", "x.safetensors/"])
def test_where_no_file_can_be_is_said_before_anything_is_computed(run: Any, workplace: Path, place: str) -> None:
    refused = grad(run, "configs/mlp.yaml", "-o", place, status=2)
    assert (refused.stdout, refused.stderr.startswith(f"error: {place}: ")) == ("", True)


def test_saving_to_a_pipe(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(Output, "write_bytes", lambda _, pieces: written.extend(pieces))
    piped = grad(run, "configs/autoencoder.yaml", "-o", "-")
    assert piped.stdout == ""
    assert "wrote" not in piped.stderr
    assert b'"decoder.conv1.weight":"encoder.conv1.weight"' in b"".join(written)
    assert len(load(b"".join(written))) == 6
    assert "binary" in grad(run, "configs/mlp.yaml", "-o", "-", status=2, terminal=True).stderr


def test_no_gradient_is_wider_than_the_terminal(run: Any, workplace: Path) -> None:
    text = grad(run, "configs/mlp.yaml", "--show", terminal=True, COLUMNS="30", NO_COLOR="1").stdout
    lines = [line for line in text.splitlines() if line.startswith(("tensor(", "  "))]
    assert len(lines) > 4
    assert max(map(len, lines)) <= 30


def test_pictures(run: Any, workplace: Path) -> None:
    for name in ("g.svg", "g.html"):
        grad(run, "configs/mlp.yaml", "--plot", name)
        assert "Gradients of mlp.yaml" in (workplace / name).read_text()
    pytest.importorskip("PIL", reason="Pillow is an extra")
    grad(run, "configs/mlp.yaml", "--plot", "g.png")
    assert (workplace / "g.png").read_bytes()[:4] == b"\x89PNG"


def test_a_terminal_shows_a_chart_unless_told(run: Any) -> None:
    chart = grad(run, "configs/mlp.yaml", terminal=True, COLUMNS="80", NO_COLOR="1").stdout
    assert chart.startswith("parameter")
    assert "█" in chart
    for told in (["--format", "table"], ["--columns", "name,norm"]):
        assert grad(run, "configs/mlp.yaml", *told, terminal=True, COLUMNS="80", NO_COLOR="1").stdout.startswith("name")


def test_values_of_uses(run: Any) -> None:
    text = grad(run, "configs/shared_linear.yaml", "--rule", "*=constant(3)", "--uses", "--show").stdout
    assert text == (
        "0.weight  gradient  float32  [1,1]\ntensor([[6.]])\n\n"
        "0.weight  use at 0 (mm)\ntensor([[3.]])\n\n"
        "0.weight  use at 1 (mm)\ntensor([[3.]])\n\n"
        "loss 9, total norm 6, 1 ok\n"
    )


def test_a_model_that_will_not_fit_is_refused_at_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paraminspect.live.build.memory.available_memory", lambda: 10 << 30)
    result = grad(run, "configs/llama-7b.yaml", status=2)
    assert "parameters and gradients take 50.2 GiB, and 10.0 GiB of memory are free" in result.stderr
    assert "hint: a smaller model, such as -D depth=2" in result.stderr
    monkeypatch.setattr("paraminspect.live.grad.prepare.available_memory", lambda device: 10)
    assert "parameters and gradients take 152 B" in grad(run, "configs/mlp.yaml", status=2).stderr


def test_rules_that_match_nothing_end_the_run(run: Any) -> None:
    result = grad(run, "configs/mlp.yaml", "--rule", "*wieght=zeros", status=1)
    assert result.stdout == ""
    assert "matches no parameter" in result.stderr
    assert grad(run, "configs/mlp.yaml", "--rule", "*wieght=zeros", "--allow-unmatched").stdout


def test_the_spec_s_own_rules_are_applied_unless_they_are_left_out(run: Any) -> None:
    document = values(run, "configs/autoencoder.yaml")
    bare = values(run, "configs/autoencoder.yaml", "--no-init")
    assert by_name(document)["decoder.conv1.bias"]["norm_ratio"] is None  # biases are zeros
    assert by_name(bare)["decoder.conv1.bias"]["norm_ratio"] is not None
