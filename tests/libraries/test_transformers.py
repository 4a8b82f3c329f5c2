"""`transformers:FOLDER` with the library itself: names and shapes of what it saves, and values of what it loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from paraminspect.models.asked import Asked
from paraminspect.models.open import open_model
from tests.libraries.test_models import TRANSFORMERS
from tests.making.running import run_here

pytestmark = [pytest.mark.libraries, pytest.mark.filterwarnings("ignore")]  # they deprecate parts of each other
transformers = pytest.importorskip("transformers", reason="transformers is not here: make test-libraries")

NO_EXAMPLE = ("WhisperForConditionalGeneration",)


def save(name: str, folder: Path) -> str:
    config, sizes, _ = TRANSFORMERS[name]
    torch.manual_seed(0)
    getattr(transformers, name)(getattr(transformers, config)(**sizes)).save_pretrained(folder)
    return f"transformers:{folder}"


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_folder_is_what_the_library_loads_of_it(name: str, tmp_path: Path) -> None:
    source = save(name, tmp_path)
    loaded = getattr(transformers, name).from_pretrained(tmp_path)
    due = {each: tuple(value.shape) for each, value in loaded.named_parameters()}
    for words in (["list"], ["grad"]):
        if words == ["grad"] and name in NO_EXAMPLE:
            continue
        done = run_here(*words, source, "-f", "json")
        assert done.status == 0, done.stderr
        rows = next(value for value in json.loads(done.stdout).values() if isinstance(value, list))
        assert {row["name"]: tuple(row["shape"]) for row in rows} == due
    live = open_model(source, Asked("memory", weights=str(tmp_path))).live
    assert live is not None
    for (each, value), (_, expected) in zip(live.model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(value, expected), each


@pytest.mark.parametrize("name", [each for each in TRANSFORMERS if each not in NO_EXAMPLE])
def test_shapes_of_every_module(name: str, tmp_path: Path) -> None:
    done = run_here("tree", "--with-shapes", save(name, tmp_path), "-f", "json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["tree"]["outputs"]


def test_code_of_a_folder_is_never_run(tmp_path: Path) -> None:
    save("LlamaForCausalLM", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "mine.py").write_text("raise SystemExit('it was run')\n")
    mine = {"auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (tmp_path / "config.json").write_text(
        json.dumps({**config, **mine, "model_type": "mine", "architectures": ["Model"]})
    )
    done = run_here("list", f"transformers:{tmp_path}")
    assert (done.status, "which is never run" in done.stderr) == (2, True)
    (tmp_path / "config.json").write_text(json.dumps({**config, **mine, "_attn_implementation": "evil/kernel"}))
    done = run_here("list", f"transformers:{tmp_path}")
    assert (done.status, "which is not run: LlamaForCausalLM" in done.stderr) == (0, True)
