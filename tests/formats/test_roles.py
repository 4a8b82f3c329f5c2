"""Which tensors of a training checkpoint count as the model: the layouts that trainers write, held against its own count."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paraminspect.formats.roles import may_hold_copies, settle_roles
from paraminspect.formats.source import open_source
from paraminspect.library.answers import convert
from paraminspect.names.listing import make_listing, total
from paraminspect.records import TensorRecord
from tests.making.formats import make_distributed
from tests.making.numpy_files import npz_bytes

State = dict[str, torch.Tensor]


def network() -> nn.Module:
    """Two layers with a normalisation between them, so that there are buffers."""
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))


MODEL = network()
N = sum(parameter.numel() for parameter in MODEL.parameters())
NUMBERS = {"model": {"w": torch.ones(2)}, "loss": torch.tensor(0.5), "ema": {"w": torch.ones(2)}}


def below(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def trained() -> tuple[State, State, dict[str, Any]]:
    """The model, an average of it, and the state of its optimizer."""
    state = MODEL.state_dict()
    optimizer = torch.optim.AdamW(network().parameters())
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return state, {name: tensor.clone() for name, tensor in state.items()}, optimizer.state_dict()


S, E, OPT = trained()
LITEMA = {f"model_ema.{name.replace('.', '')}": E[name] for name, _ in MODEL.named_parameters()}
GENERATOR = torch.get_rng_state()
PRELU = nn.Sequential(nn.Linear(4, 4), nn.PReLU(), nn.Linear(4, 1)).state_dict()
P = 20 + 1 + 5

CHECKPOINTS: dict[str, tuple[Any, int]] = {
    "a loss and an average": (NUMBERS, 2),
    "nanoGPT": ({"model": S, "optimizer": OPT, "model_args": {}, "best_val_loss": torch.tensor(2.3), "config": {}}, N),
    "imagenet": ({"epoch": 1, "state_dict": S, "best_acc1": torch.tensor(71.0), "optimizer": OPT, "scheduler": {}}, N),
    "timm": ({"state_dict": S, "optimizer": OPT, "state_dict_ema": E, "amp_scaler": {"scale": torch.ones(())}}, N),
    "k-diffusion": ({"model": S, "model_ema": E, "opt": OPT, "sched": {}, "ema_sched": {}, "demo_gen": GENERATOR}, N),
    "lucidrains": ({"model": S, "opt": OPT, "ema": {"step": torch.tensor(3), **below("online_model.", S), **below("ema_model.", E)}}, N),
    "torch_ema": ({"model": S, "ema": {"decay": 0.9, "shadow_params": [p.detach() + 0 for p in MODEL.parameters()]}}, N),
    "BasicSR": ({"params": S, "params_ema": E}, N),
    "BasicSR, released": ({"params_ema": E}, N),
    "Stable Diffusion": ({"state_dict": {**below("model.", S), **LITEMA, "model_ema.decay": torch.ones(())}, "callbacks": {}}, N),
    "DINO": ({"student": below("module.", S), "teacher": E, "optimizer": OPT, "dino_loss": {"center": torch.zeros(1, 2)}}, N),
    "DINOv2": ({"model": {**below("student.backbone.", S), **below("teacher.backbone.", E)}}, N),
    "another teacher": ({"student": S, "teacher": nn.Linear(9, 9).state_dict()}, N + 90),
    "MoCo": (
        {"state_dict": {**below("module.encoder_q.", S), **below("module.encoder_k.", E), "module.queue": torch.ones(9, 6),
                        "module.queue_ptr": torch.zeros(1, dtype=torch.long)}, "optimizer": OPT},
        N,
    ),
    "MoCo v3": ({"state_dict": {**below("module.base_encoder.", S), **below("module.momentum_encoder.", E)}}, N),
    "GAN": ({"generator": S, "discriminator": network().state_dict(), "optimizer_G": OPT, "optimizer_D": OPT}, 2 * N),
    "StyleGAN": ({"G": MODEL, "D": network(), "G_ema": copy.deepcopy(MODEL)}, 2 * N),
    "ultralytics": ({"model": MODEL, "ema": copy.deepcopy(MODEL), "best_fitness": torch.ones(()), "optimizer": OPT}, N),
    "ultralytics, in training": ({"model": None, "ema": copy.deepcopy(MODEL), "optimizer": OPT}, N),
    "mmcv": ({"meta": {}, "state_dict": {**S, **{f"ema_{name.replace('.', '_')}": E[name] for name in E}}}, N),
    "mmengine": ({"state_dict": S, "ema_state_dict": below("module.", E), "message_hub": {"log": torch.ones(())}}, N),
    "fairseq": ({"model": S, "criterion": {"w": torch.ones(3)}, "extra_state": {"x": torch.ones(())}, "last_optimizer_state": OPT}, N),
    "lightning": (
        {"state_dict": E, "current_model_state": S, "averaging_state": {"n_averaged": torch.tensor(3)},
         "callbacks": {"ModelCheckpoint": {"kth_value": torch.ones(()), "best_k_models": {"x": torch.ones(())}}},
         "optimizer_states": [OPT], "loops": {}},
        N,
    ),
    "histories": ({"model": S, "train_losses": torch.rand(50), "acc": torch.rand(50)}, N),
    "averaged, alone": (torch.optim.swa_utils.AveragedModel(MODEL).state_dict(), N),
    "the state of generators": ({"python": (1,), "cpu": GENERATOR, "cuda": torch.zeros(16, dtype=torch.uint8)}, 0),
    "modules called so": ({"body.w": torch.ones(3), "loss.proxies": torch.ones(4), "acc": torch.ones(2), "scale": torch.ones(())}, 10),
    "averages of a codebook": ({"q.embedding": torch.ones(8, 4), "q.ema_w": torch.ones(8, 4), "enc.weight": torch.ones(8, 4)}, 96),
    "weights beside an optimizer": ({"w": torch.ones(3), "bias": torch.ones(1), "optimizer": OPT}, 4),
    "a scale beside weights": ({"w": torch.ones(3), "logit_scale": torch.ones(())}, 4),
    "an extra state of a layer": ({**PRELU, "0._extra_state": {"history": torch.ones(16)}}, P + 16),
    "a flat model and its average": ({**PRELU, "ema": {name: each.clone() for name, each in PRELU.items()}}, P),
    "a flat model and what its inputs were": ({**PRELU, "norm": {"mean": torch.ones(3), "std": torch.ones(3)}}, P + 6),
    "parts of a module called so": (
        {"score.weight": torch.ones(8), "step_embed.bias": torch.ones(9), "w.weight": torch.ones(4, 4), "norm": {"mean": torch.ones(3)}},
        36,
    ),
    "a layer of two, a loss and a part": (
        {"weight": torch.ones(4, 4), "bias": torch.ones(1), "loss": torch.ones(()), "model": {"w": torch.ones(2)}},
        19,
    ),
    "codes as long as a generator's state": ({"emb.codes": torch.zeros(5056, dtype=torch.uint8), "w": torch.ones(3)}, 5059),
    "bytes beside weights": ({"w": torch.ones(3), "table": torch.zeros(16, dtype=torch.uint8)}, 19),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_model_is_what_counts(name: str, tmp_path: Path) -> None:
    held, expected = CHECKPOINTS[name]
    torch.save(held, tmp_path / "x.pt")
    tensors = open_source(tmp_path / "x.pt").tensors
    assert total(make_listing(tensors)).parameters == expected


FLAT = {
    f"{head}.weight": torch.ones(2)
    for head in ("enc", "scaler", "amp", "sched", "scheduler", "opt", "metric", "loss", "criterion")
}


def without_planner(folder: Path) -> None:
    """A distributed checkpoint whose names were not flattened by the planner."""
    make_distributed(folder, **FLAT)
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    metadata.planner_data = None
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def in_two_shards(folder: Path) -> None:
    folder.mkdir()
    for number, names in enumerate((list(FLAT)[::2], list(FLAT)[1::2]), 1):
        save_file({name: FLAT[name] for name in names}, folder / f"model-{number:05}-of-00002.safetensors")


HOLDERS: dict[str, Callable[[Path], object]] = {
    "torch zip": lambda path: torch.save(FLAT, path),
    "torch legacy": lambda path: torch.save(FLAT, path, _use_new_zipfile_serialization=False),
    "below a key": lambda path: torch.save({"state_dict": FLAT}, path),
    "safetensors": lambda path: save_file(FLAT, path),
    "sharded": in_two_shards,
    "npz": lambda path: path.write_bytes(npz_bytes(**{name: each.numpy() for name, each in FLAT.items()})),
    "pickle": lambda path: path.write_bytes(pickle.dumps({name: each.numpy() for name, each in FLAT.items()})),
    "distributed": lambda path: make_distributed(path, **FLAT),
    "distributed, flat names": without_planner,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_module_is_the_model_s_whatever_it_is_called_and_whatever_holds_it(holder: str, tmp_path: Path) -> None:
    HOLDERS[holder](tmp_path / "x")
    shown = make_listing(open_source(tmp_path / "x").tensors).records
    assert sorted(record.name.removeprefix("state_dict.") for record in shown) == sorted(FLAT)


def test_an_open_file_is_told_apart_too(tmp_path: Path) -> None:
    from paraminspect.formats.source import open_file

    torch.save(NUMBERS, tmp_path / "x.pt")
    with (tmp_path / "x.pt").open("rb") as file:
        roles = {record.name: record.role for record in open_file(file).tensors}
    assert roles == {"model.w": "model", "loss": "state", "ema.w": "copy"}


@pytest.fixture
def averaged(tmp_path: Path) -> Path:
    torch.save({"model": S, "ema": E}, tmp_path / "x.pt")
    return tmp_path / "x.pt"


def test_what_is_left_out_is_counted(averaged: Path) -> None:
    listing = make_listing(open_source(averaged).tensors)
    assert listing.hidden == {"buffer": 3, "copy": len(E)}
    assert total(make_listing(open_source(averaged).tensors, everything=True)).tensors == 2 * len(S)


def test_a_copy_that_is_asked_for_is_the_model(averaged: Path) -> None:
    listing = make_listing(open_source(averaged).tensors, module="ema")
    assert total(listing).parameters == N
    assert listing.hidden == {"buffer": 3}


def test_convert_takes_the_model_or_the_copy_that_is_asked_for(averaged: Path, tmp_path: Path) -> None:
    convert(averaged, tmp_path / "model.pt")
    assert list(torch.load(tmp_path / "model.pt")) == list(below("model.", S))
    convert(averaged, tmp_path / "ema.pt", module="ema")
    network().load_state_dict(torch.load(tmp_path / "ema.pt"))


def test_half_of_the_shapes_must_be_there() -> None:
    def record(name: str, size: int) -> TensorRecord:
        return TensorRecord(name, (size, 2), "float32", size * 2, size * 8)

    rest = [record("model.a", 2), record("model.b", 3)]
    for sizes, role in (([2, 3], "copy"), ([2, 9], "copy"), ([2, 8, 9], "model"), ([8, 9], "model")):
        ema = [record(f"ema.{size}", size) for size in sizes]
        assert {each.role for each in settle_roles([*rest, *ema])[2:]} == {role}
    deep = [record(f"a.b.c.d.ema.{size}", size) for size in (2, 3)]
    assert {each.role for each in settle_roles([*rest, *deep])} == {"model"}
    assert settle_roles(rest) is rest


COPIES_NAMED = (
    "ema net_ema ema_model EMA modelteacher model_teacher teacher teacher_net momentum_encoder encoder_k key_encoder target_network "
    "target_net target_encoder target_model shadow shadow_params swa swa_model average averaged_model averages "
    "current_model_state best_model best_weights best_state_dict best_model_state_dict"
)
OTHERS_NAMED = "schema emab teachers momentum encoder_kv key_encoders target target_value shadows swap averaging best best_of current_model encoder"


@pytest.mark.parametrize("name", COPIES_NAMED.split())
def test_a_name_of_a_copy(name: str) -> None:
    assert all(may_hold_copies(["a.b.w", f"{path}.w"]) for path in (name, f"a.{name}", f"a.b.{name}"))
    assert not may_hold_copies([f"a.b.c.{name}.w"])


@pytest.mark.parametrize("name", OTHERS_NAMED.split())
def test_no_name_of_a_copy(name: str) -> None:
    assert not may_hold_copies([f"{name}.w", f"a.{name}.w"])
