"""Rules for parts of tensors from the command line: sources and outputs of every kind against a model in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from paraminspect import apply_init
from tests.making.running import run_here

SPEC = """
model: [{LSTM: [3, 4], name: lstm, take: 0}, {Linear: [4, 4], name: out}]
init: ['*weight*=normal', '*bias*=zeros', 'lstm.bias_ih*=ones(part=1/4)', 'out.weight=normal(std=9, part=1/2)']
"""
LSTM = ["*weight*=normal", "*bias*=zeros", "lstm.bias_ih*=ones(part=1/4)", "out.weight=normal(std=9, part=1/2)"]


@pytest.fixture
def due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """What rules make of a model in memory; its spec and its checkpoints lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC)
    model = nn.Module()
    model.lstm, model.out = nn.LSTM(3, 4), nn.Linear(4, 4)
    torch.save(model.state_dict(), "net.pt")
    apply_init(model, LSTM)
    return {name: each.detach().clone() for name, each in model.named_parameters()}


RULES = [word for rule in LSTM for word in ("--rule", rule)]


def test_spec_checkpoint_and_model_get_the_same_bytes(due: dict[str, Tensor]) -> None:
    lines = {
        "a.safetensors": ["init", "net.yaml"], "b.safetensors": ["init", "net.pt", *RULES], "c.pt": ["init", "net.pt", *RULES],
        "d": ["init", "net.yaml", "--shard-size", "200B"],
    }  # fmt: skip
    for file, line in lines.items():
        assert run_here(*line, "-o", file).status == 0
    found = [safetensors.torch.load_file(name) for name in ("a.safetensors", "b.safetensors")]
    found.append(torch.load("c.pt"))
    found.append(
        {
            name: each
            for path in Path("d").glob("*.safetensors")
            for name, each in safetensors.torch.load_file(path).items()
        }
    )
    for each in found:
        assert each.keys() == due.keys()
        assert all(torch.equal(each[name], due[name]) for name in due)


def test_values_shown_of_a_spec_have_the_parts(due: dict[str, Tensor]) -> None:
    result = run_here("show", "net.yaml", "lstm.bias_ih_l0", "-f", "json")
    assert result.status == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["tensors"][0]["values"] == due["lstm.bias_ih_l0"].tolist()
    stats = run_here("stats", "net.yaml", "-s", "out.weight", "-f", "json")
    assert json.loads(stats.stdout)["tensors"][0]["max"] == float(due["out.weight"].max())


def test_json_has_a_row_for_the_tensor_and_one_for_each_part(due: dict[str, Tensor]) -> None:
    dry, done = (json.loads(run_here("init", "net.yaml", "-f", "json", *more).stdout) for more in (["--dry-run"], []))
    for said in (dry, done):
        rows = [(row["name"], row["shape"], row["rule"], row["arguments"].get("part")) for row in said["steps"]]
        assert rows[2:4] == [("lstm.bias_ih_l0", [16], 2, None), ("lstm.bias_ih_l0", [4], 3, "1/4")]
        assert [(rule["matched"], rule["taken"]) for rule in said["rules"]] == [(3, 3), (3, 3), (1, 1), (1, 1)]
        assert said["kept"] == []
    assert [(row["mean"], row["min"], row["max"]) for row in done["steps"][2:4]] == [(0.25, 0, 1), (1, 1, 1)]


def test_a_table_says_which_part(due: dict[str, Tensor]) -> None:
    said = run_here("init", "net.pt", "--rule", "lstm.bias_ih*=ones(part=1/4)", "-f", "table").stdout
    assert said.splitlines()[1].split()[:4] == ["lstm.bias_ih_l0", "1", "ones(part=1/4)", "1"]
    assert "1 of 6 parameters initialised by 1 rule, 5 without a rule" in said
    both = run_here("init", "net.pt", *RULES, "--dry-run", "-f", "table").stdout
    assert "6 of 6 parameters initialised by 4 rules (1 took 3, 2 took 3, 3 took 1, 4 took 1), 0 without a rule" in both


def test_weights_that_are_loaded_keep_what_only_the_spec_asks_for(due: dict[str, Tensor]) -> None:
    stored = torch.load("net.pt")
    line = ["show", "net.yaml", "--weights", "net.pt", "lstm.bias_ih_l0", "-f", "json"]
    assert json.loads(run_here(*line).stdout)["tensors"][0]["values"] == pytest.approx(
        stored["lstm.bias_ih_l0"].tolist()
    )


def test_a_transposed_tensor_of_a_checkpoint_is_edited_by_rows(tmp_path: Path) -> None:
    stored = torch.arange(12.0).reshape(3, 4).t()
    torch.save({"w": stored}, tmp_path / "t.pt")
    result = run_here(
        "init", str(tmp_path / "t.pt"), "--rule", "w=constant(-1, part=1/2)", "-o", str(tmp_path / "u.pt")
    )
    assert result.status == 0, result.stderr
    edited = torch.load(tmp_path / "u.pt")["w"]
    assert edited.stride() == stored.stride()
    assert edited.tolist() == [*stored[:2].tolist(), [-1] * 3, [-1] * 3]
