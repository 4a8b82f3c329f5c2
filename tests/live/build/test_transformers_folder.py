"""`transformers:FOLDER`, with a library of a few lines in the place of transformers; `tests/libraries` has the real one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from paraminspect.errors import ParamInspectError
from paraminspect.models.asked import Asked
from paraminspect.models.open import Opened, open_model
from tests.making.running import run_here

STUB = """
import huggingface_hub.constants
import torch
from safetensors.torch import load_file
from torch import nn

__version__ = "9.9"

class utils:
    class logging:
        get_verbosity = staticmethod(lambda: 30)
        set_verbosity = set_verbosity_error = staticmethod(lambda level=40: None)
        is_progress_bar_enabled = disable_progress_bar = enable_progress_bar = staticmethod(lambda: True)

class Config:
    def __init__(self, hidden_size=4, image_size=8, sub=None, **rest):
        if hidden_size == 13:
            raise ValueError("not 13")
        self.hidden_size, self.image_size, self.sub, self.rest = hidden_size, image_size, sub or {"depth": 1}, rest
    @classmethod
    def from_dict(cls, values):
        return cls(**values)
    def to_dict(self):
        return dict(vars(self))

class TextConfig(Config): pass
class ImageConfig(Config): pass

class PreTrainedModel(nn.Module):
    config_class = None
    main_input_name = "input_ids"
    def __init__(self, config):
        super().__init__()
        self.config = config
    @classmethod
    def _from_config(cls, config, **options):
        assert all(not each.startswith(("auto_map", "_attn", "attn")) for each in config.rest), config.rest
        assert huggingface_hub.constants.HF_HUB_OFFLINE
        return cls(config)
    @classmethod
    def from_pretrained(cls, folder, config, local_files_only, use_safetensors, output_loading_info):
        stored = load_file(folder + "/model.safetensors")
        model = cls(config)
        info = model.load_state_dict({name.removeprefix("old."): each for name, each in stored.items()}, strict=False)
        return model.eval(), {"missing_keys": set(info.missing_keys), "unexpected_keys": set(info.unexpected_keys)}
    @property
    def dummy_inputs(self):
        return {"input_ids": torch.tensor([[1, 2, 3]], device=next(self.parameters()).device)}

class TextModel(PreTrainedModel):
    config_class = TextConfig
    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(10, config.hidden_size)
        self.head = nn.ModuleList(nn.Linear(config.hidden_size, 2) for _ in range(config.sub["depth"]))
    def forward(self, input_ids, scale=None):
        return self.head[0](self.embed(input_ids)) * (1 if scale is None else scale)

class ImageModel(PreTrainedModel):
    config_class = ImageConfig
    main_input_name = "pixel_values"
    def __init__(self, config):
        super().__init__(config)
        self.conv = nn.Conv2d(3, config.hidden_size, 3)
    def forward(self, pixel_values):
        return self.conv(pixel_values)

class SoundModel(TextModel):
    main_input_name = "input_values"
    def forward(self, input_values, **kwargs):
        return self.head[0](self.embed(input_values))

class NotMeta(TextModel):
    def forward(self, input_ids):
        assert input_ids.sum().item()
        return super().forward(input_ids)

CONFIG_MAPPING = {"text": TextConfig, "image": ImageConfig}
MODEL_MAPPING = {TextConfig: TextModel}
"""

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Make a folder of a config."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "transformers.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def run(name: str = "net", **config: Any) -> str:
        Path(name).mkdir(parents=True, exist_ok=True)
        (Path(name) / "config.json").write_text(json.dumps(config))
        return f"transformers:{name}"

    return run


TEXT = {"model_type": "text", "architectures": ["TextModel"]}


def opened(source: str, want: Any = "names", *arguments: str) -> Opened:
    return open_model(source, Asked(want, arguments=arguments))


def test_its_class_is_built_without_memory(write: Write) -> None:
    live = opened(write(**TEXT, hidden_size=10**9)).live
    assert live is not None
    assert {record.name: record.shape for record in live.records}["embed.weight"] == (10, 10**9)
    assert live.model.embed.weight.is_meta
    assert (live.format, live.notes) == ("transformers", [])


@pytest.mark.parametrize("command", ["list", "tree", "shared", "info", "init", "grad"])
def test_every_command_takes_it(write: Write, command: str) -> None:
    more = ["--rule", "*.weight=zeros"] if command == "init" else []
    done = run_here(command, write(**TEXT), *more)
    assert done.status == 0, done.stderr
    due = {"shared": "", "info": "no code of the folder", "tree": "(embed): Embedding(10, 4)"}
    assert due.get(command, "embed.weight") in done.stdout


def test_arguments_take_the_place_of_what_is_stored(write: Write) -> None:
    source = write(**TEXT, hidden_size=4, sub={"depth": 1, "width": 2})
    live = opened(source, "names", "hidden_size=6", "sub={depth: 2}", "attn_implementation=eager").live
    assert live is not None
    assert [record.shape for record in live.records] == [(10, 6), (2, 6), (2,), (2, 6), (2,)]
    assert live.model.config.sub == {"depth": 2, "width": 2}


def test_kernels_and_code_of_the_folder_are_left_out(write: Write) -> None:
    source = write(**TEXT, auto_map={"AutoModel": "x.Y"}, _attn_implementation="a/b", sub={"depth": 1, "attn_implementation": "a/b"})  # fmt: skip
    live = opened(source).live
    assert live is not None
    assert live.notes == [
        "config.json names code of its own (auto_map), which is not run: TextModel is that of transformers"
    ]
    assert live.model.config.sub == {"depth": 1}


def test_values_are_those_of_weights_only_if_they_are_asked_for(write: Write) -> None:
    source = write(**TEXT)
    done = run_here("init", source, "--rule", "*=ones", "-o", "net/model.safetensors")
    assert done.status == 0, done.stderr
    live = opened(source, "values").live
    assert live is not None
    assert live.notes == ["values are drawn by TextModel: --weights net loads those of the folder"]
    loaded = open_model(source, Asked("memory", weights="net")).live
    assert loaded is not None
    assert loaded.notes == []
    assert {float(each.detach().unique()) for each in loaded.model.parameters()} == {1.0}


@pytest.mark.parametrize(("extra", "due"), [("", 0), ("another", 1)])
def test_names_of_other_versions_are_loaded_as_the_library_does(write: Write, extra: str, due: int) -> None:
    source = write(**TEXT)
    stored = {name: torch.ones(shape) for name, shape in {"embed.weight": (10, 4), "old.head.0.weight": (2, 4), "old.head.0.bias": (2,)}.items()}  # fmt: skip
    save_file({**stored, **({extra: torch.ones(1)} if extra else {})}, "net/model.safetensors")
    done = run_here("grad", source, "--weights", "net", "-f", "json")
    assert done.status == due, done.stderr
    if extra:
        assert "net does not fit: 2 missing, 3 unexpected, 1 loaded" in done.stderr
        return
    assert "note: net has names of another version: transformers has loaded it" in done.stderr
    assert json.loads(done.stdout)["loss"] == 3 * 2 * (4 + 1)
    assert run_here("stats", source, "--weights", "net", "-c", "name,mean").stdout.split() == [
        "embed.weight", "1.0", "head.0.weight", "1.0", "head.0.bias", "1.0",
    ]  # fmt: skip


def test_it_is_fed_its_own_example(write: Write) -> None:
    text, image = write("text", **TEXT), write("image", model_type="image", architectures=["ImageModel"])
    for source, due in ((text, (1, 3, 2)), (image, (1, 4, 6, 6))):
        live = opened(source).live
        assert live is not None
        assert live.shapes()[""] == (due,)
    done = run_here("tree", text, "-i", "input_ids={shape: [2, 7], dtype: int64, high: 9}")
    assert "[2,7,2]" in done.stdout.splitlines()[0]
    assert run_here("grad", text, "-i", "scale={shape: [1], fill: 0}").status == 0  # added to the example
    assert run_here("grad", text, "-i", "{shape: [2, 7], dtype: int64, high: 9}").status == 0  # in its place


def test_a_model_that_does_not_run_on_the_meta_device_runs_in_memory(write: Write) -> None:
    done = run_here("tree", "--with-shapes", write(model_type="text", architectures=["NotMeta"]))
    assert (done.status, "[1,3,2]" in done.stdout) == (0, True)
    assert (
        "note: it does not run on the meta device (Tensor.item() cannot be called on meta tensors): it was"
        in done.stderr
    )


MISTAKES = {
    "no such folder": ("transformers:nte", "no such folder: nte", "did you mean transformers:net?"),
    "of the hub": ("transformers:org/name", "no such folder: org/name", "hf download org/name"),
    "not a model": ("transformers:empty", "empty has no config.json: it is an adapter of peft", None),
    "diffusers": ({"_class_name": "UNet"}, "config.json has no model_type: it is of 'UNet', of diffusers", None),
    "a newer model": ({"model_type": "txet"}, "transformers 9.9 has no model_type 'txet'", "did you mean text?"),
    "an own model": ({"model_type": "mine", "auto_map": {}}, "code that comes with the model (auto_map), which is never run", "FILE.py"),
    "a newer class": ({**TEXT, "architectures": ["TextModle"]}, "no model class 'TextModle'", "did you mean TextModel?"),
    "no model": ({**TEXT, "architectures": ["TextConfig"]}, "no model class 'TextConfig'", None),
    "no name": ({**TEXT, "architectures": ["os.system"]}, "no model class 'os.system'", None),
    "no names": ({**TEXT, "architectures": "TextModel"}, "architectures of config.json are no list", None),
    "other config": ({**TEXT, "architectures": ["ImageModel"]}, "ImageModel, which takes ImageConfig; model_type says TextConfig", None),
    "no class": ({"model_type": "image"}, "config.json names no class", None),
    "value": ({**TEXT, "hidden_size": 13}, "config.json: ValueError: not 13", None),
    "size": ({**TEXT, "hidden_size": -1}, "TextModel: ", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_is_wrong_is_one_line(write: Write, kind: str) -> None:
    given, message, hint = MISTAKES[kind]
    source = write(**(given if isinstance(given, dict) else TEXT))
    Path("empty").mkdir()
    Path("empty/adapter_config.json").touch()
    with pytest.raises(ParamInspectError) as caught:
        opened(given if isinstance(given, str) else source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("hiden_size=3", "--arg hiden_size: TextConfig has no hiden_size"),
        ("attn_implementation=org/kernel", "--arg attn_implementation=org/kernel: code of the hub is not run"),
    ],
)
def test_wrong_arguments(write: Write, argument: str, message: str) -> None:
    with pytest.raises(ParamInspectError, match=message):
        opened(write(**TEXT), "names", argument)


def test_no_example(write: Write) -> None:
    source = write(model_type="text", architectures=["SoundModel"])
    done = run_here("grad", source)
    assert "SoundModel has no example input" in done.stderr
    assert "--input input_values=1,SIZES; its forward takes input_values\n" in done.stderr
    assert run_here("grad", source, "-i", "input_values={shape: [2, 7], dtype: int64, high: 9}").status == 0


def test_a_failure_names_the_example(write: Write) -> None:
    done = run_here("grad", write(**TEXT), "-i", "scale=!word")
    assert "hint: its own example is input_ids [1,3] int64; --input NAME=.. adds to it" in done.stderr


def test_a_model_of_the_local_cache(write: Write) -> None:
    commit = "0" * 40
    write(f"cache/models--org--name/snapshots/{commit}", **TEXT)
    Path("cache/models--org--name/refs").mkdir()
    Path("cache/models--org--name/refs/main").write_text(commit)
    for name in ("org/name", "org/name@main", f"org/name@{commit}"):
        assert len(opened(f"transformers:{name}").checkpoint.tensors) == 3


def test_without_the_library(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ParamInspectError) as caught:
        opened(write(**TEXT))
    assert caught.value.message == "transformers:FOLDER takes the library transformers, which is not installed"
    assert caught.value.hint == "pip install transformers"


def test_a_bare_folder_is_a_source_of_files(write: Write) -> None:
    write(**TEXT)
    assert run_here("list", "net").status == 2
    assert "transformers" not in sys.modules
