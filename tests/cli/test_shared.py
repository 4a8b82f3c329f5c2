"""`shared` on real files: what is expected, what is declared, what is equal, and pipes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.cli import progress
from paraminspect.errors import ParamInspectError
from paraminspect.sharing import expect
from paraminspect.sharing.expect import find_broken, parse_expected

Command = tuple[list[str], dict[str, str]]

pytestmark = pytest.mark.usefixtures("workplace")

EMBED, HEAD = "embed.weight", "head.weight"


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.arange(24.0).reshape(6, 4)


@pytest.fixture
def tied(tmp_path: Path, weight: torch.Tensor) -> str:
    body = torch.arange(4.0) + 100
    torch.save({EMBED: weight, "body.bias": body, HEAD: weight, "part": weight[2:4]}, tmp_path / "tied.pt")
    return "tied.pt"


def groups(run: Any, *arguments: str) -> list[tuple[str, ...]]:
    """(kind, name, aliases between commas) of each row."""
    result = run("shared", *arguments)
    assert result.status == 0, result.stderr
    return [tuple(line.split("\t")[:3]) for line in result.stdout.splitlines()]


# What is expected.


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (f"{EMBED},{HEAD}", 0),
        (f"{HEAD} , {EMBED},{HEAD}", 0),
        (f"{EMBED},part", 1),  # they overlap, and are not one tensor
        (f"{EMBED},body.bias", 1),
        (f"{EMBED},{HEAD},nothing", 1),
        (EMBED, 2),
        (",", 2),
        (f"{EMBED},{EMBED}", 2),
    ],
)
def test_expect(run: Any, tied: str, names: str, status: int) -> None:
    assert run("shared", tied, "--expect", names).status == status


def test_a_name_that_is_left_out_is_not_called_absent(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({"a.running_mean": weight, "b.running_mean": weight}, tmp_path / "m.pt")
    names = ("--expect", "a.running_mean,b.running_mean")
    assert run("shared", "m.pt", *names, "--all").status == 0
    result = run("shared", "m.pt", *names)
    assert result.status == 1
    assert "a.running_mean is no parameter, and left out without --all" in result.stderr


def test_equal_tensors_are_as_expected_only_when_contents_count(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({EMBED: weight, HEAD: weight.clone()}, tmp_path / "m.pt")
    assert run("shared", "m.pt", "--expect", f"{EMBED},{HEAD}").status == 1
    assert run("shared", "m.pt", "--expect", f"{EMBED},{HEAD}", "--equal").status == 0
    assert run("shared", "m.pt", "--expect-none").status == 0
    assert run("shared", "m.pt", "--expect-none", "--equal").status == 1


def test_expect_holds_for_every_source(run: Any, tied: str, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({EMBED: weight, HEAD: weight.clone()}, tmp_path / "m.pt")
    result = run("shared", tied, "m.pt", "--expect", f"{EMBED},{HEAD}")
    assert (result.status, result.stderr) == (1, f"note: m.pt: {EMBED} and {HEAD} are not tied\n")


@pytest.mark.parametrize(
    "text",
    [
        f"{EMBED}\t{HEAD}\n",
        f"# ties\n\n  {HEAD},{EMBED}\n",
        json.dumps({"groups": [{"name": EMBED, "aliases": [HEAD]}]}),
    ],
)
def test_expect_file(run: Any, tied: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "ties.txt").write_text(text)
    assert run("shared", tied, "--expect-file", "ties.txt").status == 0
    (tmp_path / "ties.txt").write_text(text.replace("head", "tail"))
    result = run("shared", tied, "--expect-file", "ties.txt", "--expect", f"{EMBED},{HEAD}")
    assert result.status == 1
    assert "there is no tail.weight" in result.stderr


def test_many_broken_expectations_are_counted(run: Any, tied: str) -> None:
    wanted = [option for n in range(8) for option in ("--expect", f"{EMBED},x{n}")]
    result = run("shared", tied, *wanted)
    assert result.stderr.count("are not tied") == 5
    assert "note: 3 more expectations do not hold" in result.stderr


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a\n", "line 1 has fewer than two names"),
        (b"a,b\n\nc", "line 3 has fewer than two names"),
        (b"{}", "not the JSON of shared"),
        (b'{"groups": [{"name": 1, "aliases": []}]}', "not the JSON of shared"),
        (b'{"groups": 3}', "not the JSON of shared"),
        (b"{" * 100_000, "not the JSON of shared"),
        (b"\xff\xfe,b", "not UTF-8 text"),
    ],
)
def test_expect_file_that_is_wrong(run: Any, tied: str, tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "ties.txt").write_bytes(data)
    result = run("shared", tied, "--expect-file", "ties.txt")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: ties.txt: {problem}")


def test_expect_file_is_bounded(run: Any, tied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expect, "MAX_EXPECT_BYTES", 10)
    (tmp_path / "ties.txt").write_text("a,b\n" * 3)
    assert "more than 10 bytes of expectations" in run("shared", tied, "--expect-file", "ties.txt").stderr


@given(st.text(st.sampled_from('ab,\t\n #{}"[]:\\\0') | st.characters(), max_size=30))
def test_any_text_is_a_list_of_expectations_or_an_error(text: str) -> None:
    try:
        expected = parse_expected(text)
    except ParamInspectError:
        return
    assert all(isinstance(name, str) for names in expected for name in names)
    find_broken(expected, ["a", "b"], {"a": "a", "b": "a"})


@given(st.sets(st.text(max_size=5), min_size=2, max_size=5))
def test_what_json_says_of_a_group_is_met_by_it(names: set[str]) -> None:
    first, *aliases = sorted(names)
    text = json.dumps({"groups": [{"name": first, "aliases": aliases}]})
    assert find_broken(parse_expected(text), names, dict.fromkeys(names, first)) == []


def test_a_name_with_a_tab_is_known_as_it_is_printed() -> None:
    assert find_broken([("a\\tb", "c")], ["a\tb", "c"], {"a\tb": "c", "c": "c"}) == []


# What is declared.

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
TOKENS, LM_HEAD = "model.embed_tokens.weight", "lm_head.weight"


def save_folder(path: Path, tensors: dict[str, torch.Tensor], **config: Any) -> None:
    path.mkdir()
    safetensors.torch.save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(LLAMA | config))


def test_declared_and_absent(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    save_folder(tmp_path / "m", {TOKENS: weight})
    assert groups(run, "m") == [("declared", TOKENS, LM_HEAD)]
    assert run("shared", "m", "--expect", f"{LM_HEAD},{TOKENS}").status == 0
    rows = [line.split("\t") for line in run("list", "m", "--aliases").stdout.splitlines()]
    assert [(row[0], row[7]) for row in rows] == [(TOKENS, ""), (LM_HEAD, TOKENS)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda x: x + 1, "declared tied (config.json), but lm_head.weight is present with other bytes"),
        (
            lambda x: x[:3].clone(),
            "declared tied (config.json), but lm_head.weight is present with another shape or dtype",
        ),
        (lambda x: x.half(), "declared tied (config.json), but lm_head.weight is present with another shape or dtype"),
    ],
)
def test_declared_and_contradicted(run: Any, tmp_path: Path, weight: torch.Tensor, change: Any, problem: str) -> None:
    save_folder(tmp_path / "m", {TOKENS: weight, LM_HEAD: change(weight).contiguous()})
    result = run("shared", "m")
    assert result.stdout == ""
    assert problem in result.stderr
    assert run("shared", "m", "--expect", f"{LM_HEAD},{TOKENS}").status == 1


def test_declared_and_stored_twice(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    save_folder(tmp_path / "m", {TOKENS: weight, LM_HEAD: weight.clone()})
    result = run("shared", "m", "--format", "json")
    (group,) = json.loads(result.stdout)["groups"]
    assert (group["kind"], {group["name"], *group["aliases"]}, group["saved"]) == ("declared", {TOKENS, LM_HEAD}, 0)
    assert "stored a second time with the same bytes" in result.stderr
    assert run("shared", "m", "--expect", f"{LM_HEAD},{TOKENS}").status == 0
    assert groups(run, "m", "--equal") == [("declared", group["name"], *group["aliases"])]


@pytest.mark.parametrize(("says", "due"), [(True, "and shares its bytes"), (False, "yet shares its bytes")])
def test_declared_and_confirmed_by_the_storage(
    run: Any, tmp_path: Path, weight: torch.Tensor, says: bool, due: str
) -> None:
    (tmp_path / "m").mkdir()
    torch.save({TOKENS: weight, LM_HEAD: weight}, tmp_path / "m" / "pytorch_model.bin")
    (tmp_path / "m" / "config.json").write_text(json.dumps(LLAMA | {"tie_word_embeddings": says}))
    result = run("shared", "m")
    assert result.stdout.startswith(f"alias\t{TOKENS}\t{LM_HEAD}\t")
    assert due in result.stderr


def test_not_declared_and_not_tied_says_nothing(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    save_folder(tmp_path / "m", {TOKENS: weight, LM_HEAD: weight + 1}, tie_word_embeddings=False)
    assert "config.json" not in run("shared", "m").stderr


@pytest.mark.parametrize(("architecture", "says"), [("llama", True), ("nomic-bert", False)])
def test_a_head_that_a_gguf_file_leaves_out(run: Any, tmp_path: Path, architecture: str, says: bool) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", architecture)
    writer.add_tensor("token_embd.weight", np.ones((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    note = "output.weight is not stored: llama.cpp uses token_embd.weight in its place"
    assert (note in run("shared", "m.gguf").stderr) is says


def test_weights_that_contradict_a_tie(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    spec = (
        "model: [{Embedding: [6, 4], name: e}, {Linear: [4, 6, {bias: false}], name: h}]\ntie: {h.weight: e.weight}\n"
    )
    (tmp_path / "m.yaml").write_text(spec)
    torch.save({"e.weight": weight, "h.weight": weight + 1}, tmp_path / "m.pt")
    result = run("shared", "m.yaml", "--weights", "m.pt")
    assert (result.status, result.stdout) == (1, "")
    assert "tied to e.weight in the model" in result.stderr
    result = run("shared", "m.yaml", "--weights", "m.pt", "--allow-mismatch")
    assert (result.status, result.stdout.split("\t")[:3]) == (0, ["parameter", "e.weight", "h.weight"])
    assert "1 tied in the model only" in result.stderr


def test_the_hint_at_aliased_layers_is_for_specs_without_ties(run: Any, tmp_path: Path) -> None:
    layers = "model:\n  - &block {Linear: [4, 4]}\n  - *block\n"
    (tmp_path / "copy.yaml").write_text(layers)
    (tmp_path / "tied.yaml").write_text(f"{layers}tie: {{1.weight: 0.weight}}\n")
    assert "copy.yaml:3:5: a YAML alias is a copy" in run("shared", "copy.yaml").stderr
    assert "YAML alias" not in run("shared", "tied.yaml").stderr


# What is equal.


def test_a_frozen_backbone(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    """The second file shares what was not trained; names, formats and strides differ."""
    before = {"backbone.w": weight, "backbone.b": weight[0].clone(), "head": weight + 1, "zero": torch.zeros(4)}
    torch.save(before, tmp_path / "a.pt")
    after = {
        "model.w": weight.t().contiguous().t(),
        "model.b": weight[0].clone(),
        "head": weight + 2,
        "zero": torch.zeros(4),
    }
    torch.save(after, tmp_path / "b.pt")
    result = run("shared", "a.pt", "b.pt", "--equal")
    assert [line.split("\t")[:4] for line in result.stdout.splitlines()] == [
        ["a.pt", "equal", "backbone.w", "b.pt:model.w"],
        ["a.pt", "equal", "backbone.b", "b.pt:model.b"],
    ]
    assert "2 of 4 tensors of b.pt are byte-identical to tensors of a.pt (112 B)" in result.stderr
    assert "2 tensors left out, as all elements of each are the same" in result.stderr


def test_equal_however_it_is_stored(run: Any, tmp_path: Path) -> None:
    """Transposed in one file, not in the other: however much is looked at first, it is the same of both."""
    weight = torch.arange(40_000.0).reshape(200, 200)
    torch.save({"w": weight.t().contiguous().t()}, tmp_path / "a.pt")
    safetensors.torch.save_file({"w": weight}, tmp_path / "b.safetensors")
    row = run("shared", "a.pt", "b.safetensors", "--equal").stdout.split("\t")
    assert row[:4] == ["a.pt", "equal", "w", "b.safetensors:w"]


def test_equal_beside_ties(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({"a": weight, "b": weight, "c": weight.clone(), "d": weight.clone()}, tmp_path / "m.pt")
    assert groups(run, "m.pt", "--equal") == [("alias", "a", "b"), ("equal", "a", "c,d")]
    assert run("shared", "m.pt", "--equal", "--expect", "b,d").status == 0
    safetensors.torch.save_file({"x": weight, "y": weight.clone(), "z": weight.half()}, tmp_path / "m.safetensors")
    assert groups(run, "m.safetensors", "--equal") == [("equal", "x", "y")]
    rows = run("shared", "m.pt", "m.safetensors", "--equal").stdout.splitlines()
    assert [row.split("\t")[:4] for row in rows] == [
        ["m.pt", "alias", "a", "b"],
        ["m.pt", "equal", "a", "c,d,m.safetensors:x,m.safetensors:y"],
    ]
    result = run("shared", "m.pt", "m.safetensors", "--equal", "--expect", "b,d", "--expect", "x,y")
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines() if "are not tied" in line] == [
        "m.pt", "m.safetensors",
    ]  # fmt: skip
    assert "m.pt: x and y are not tied: there is no x" in result.stderr
    assert "m.safetensors: b and d are not tied: there is no b" in result.stderr


def test_a_tensor_of_another_source_is_a_tie_too(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    for name in ("a.pt", "b.pt"):
        torch.save({"w": weight.clone()}, tmp_path / name)
    assert run("shared", "a.pt", "b.pt", "--expect-none").status == 0
    assert run("shared", "a.pt", "b.pt", "--expect-none", "--equal").status == 1


def test_equal_only_within_one_of_two_sources(run: Any, tied: str, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({"a": weight[:3].clone(), "b": weight[:3].clone()}, tmp_path / "m.pt")
    rows = run("shared", "m.pt", tied, "--equal").stdout.splitlines()
    assert [row.split("\t")[:4] for row in rows] == [
        ["m.pt", "equal", "a", "b"],
        ["tied.pt", "overlap", EMBED, f"{HEAD},part"],
    ]


def test_many_aliases_on_a_terminal(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({f"layers.{n}": weight for n in range(30)}, tmp_path / "m.pt")
    lines = run("shared", "m.pt", terminal=True, COLUMNS="80", NO_COLOR="1").stdout.splitlines()
    assert [line.split() for line in lines[2:-2]] == [*([f"layers.{n}"] for n in range(2, 21)), ["and", "9", "more"]]
    torch.save({f"layers.{n}": weight for n in range(22)}, tmp_path / "m.pt")
    lines = run("shared", "m.pt", terminal=True, COLUMNS="80", NO_COLOR="1").stdout.splitlines()
    assert lines[-3].split() == ["layers.21"]


def test_equal_values_of_models(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    """A spec draws its tensors, or has them from a file; a factory has its own."""
    (tmp_path / "m.yaml").write_text("model: [{Linear: [4, 6, {bias: false}]}, {Linear: [4, 6, {bias: false}]}]\n")
    torch.save({"0.weight": weight, "1.weight": weight.clone()}, tmp_path / "m.pt")
    assert groups(run, "m.yaml", "--equal") == []
    assert groups(run, "m.yaml", "--equal", "--weights", "m.pt") == [("equal", "0.weight", "1.weight")]
    (tmp_path / "code.py").write_text(
        "import copy\nfrom torch import nn\ndef make():\n    one = nn.Linear(4, 6)\n    return nn.Sequential(one, copy.deepcopy(one))\n"
    )
    assert groups(run, "code.py:make", "--equal") == [
        ("equal", "0.weight", "1.weight"), ("equal", "0.bias", "1.bias"),
    ]  # fmt: skip


def test_only_with_all_are_buffers_compared(run: Any, tmp_path: Path, weight: torch.Tensor) -> None:
    state = {
        "bn.running_mean": weight[1].clone(),
        "bn.weight": weight[1].clone(),
        "also.running_mean": weight[1].clone(),
    }
    torch.save(state, tmp_path / "m.pt")
    assert groups(run, "m.pt", "--equal") == []
    assert groups(run, "m.pt", "--equal", "--all") == [("equal", "bn.running_mean", "bn.weight,also.running_mean")]


def test_a_bar_while_contents_are_read(
    run: Any, tmp_path: Path, weight: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": weight, "b": weight.clone()}, tmp_path / "m.pt")
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", -1)
    result = run("shared", "m.pt", "--equal", terminal=True, COLUMNS="80")
    assert "comparing" in result.stderr
    assert "192/192 bytes" in result.stderr
    assert result.stderr.endswith("\r\x1b[1A\x1b[2K")  # nothing of it is left
    assert "comparing" not in run("shared", "m.pt", "--equal").stderr
    for name, value in (("TERM", "dumb"), ("TTY_INTERACTIVE", "0")):
        assert "comparing" not in run("shared", "m.pt", "--equal", terminal=True, **{name: value}).stderr
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 60)
    assert "comparing" not in run("shared", "m.pt", "--equal", terminal=True).stderr


# Pipes.


def shell(command: Command, line: str) -> subprocess.CompletedProcess[str]:
    program, environ = command
    script = line.replace("paraminspect ", " ".join(program) + " ")
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_pipes(command: Command, tied: str, tmp_path: Path, weight: torch.Tensor) -> None:
    done = shell(command, "paraminspect shared tied.pt | head -1 | cut -f1,2,3")
    assert done.stdout == "overlap\tembed.weight\thead.weight,part\n"
    safetensors.torch.save_file({EMBED: weight, HEAD: weight.clone()}, tmp_path / "m.safetensors")
    done = shell(command, "cat m.safetensors | paraminspect shared - --equal | cut -f1-3")
    assert done.stdout == f"equal\t{EMBED}\t{HEAD}\n"
    done = shell(command, "cat tied.pt | paraminspect shared - --expect embed.weight,head.weight; echo $?")
    assert done.stdout.endswith("\n0\n")


def test_the_ties_of_one_are_expected_of_the_other(command: Command, tmp_path: Path, weight: torch.Tensor) -> None:
    torch.save({EMBED: weight, HEAD: weight}, tmp_path / "a.pt")
    safetensors.torch.save_file({EMBED: weight}, tmp_path / "b.safetensors", metadata={HEAD: EMBED})
    line = "paraminspect shared a.pt -f json | paraminspect shared b.safetensors --expect-file -; echo $?"
    done = shell(command, line)
    assert done.stdout == f"declared\t{EMBED}\t{HEAD}\t[6,4]\tfloat32\t96\t96\n0\n"
    done = shell(command, "cat b.safetensors | paraminspect shared - --expect-file -")
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input cannot be both" in done.stderr
