"""Which ties other tools find, beside `paraminspect shared`: writes docs/ties.md.

Needs accelerate, transformers and lightning, which are no dependencies of anything here. In an environment that has
them (and the same torch):

    python -m scripts.compare_ties
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from paraminspect import ties as find_ties
from paraminspect.formats.source import open_source
from scripts.tied_forms import FILES, NAMES, build

ROOT = Path(__file__).resolve().parent.parent

Groups = list[frozenset[str]]

OURS = "paraminspect"
ACCELERATE = "accelerate `find_tied_parameters`"
LIGHTNING = "lightning `find_shared_parameters`"
TRANSFORMERS = "transformers `all_tied_weights_keys`"
SAFETENSORS = "safetensors `_find_shared_tensors`"
TOOLS = (OURS, ACCELERATE, LIGHTNING, SAFETENSORS, TRANSFORMERS)

FOUND, MISSED, WRONG, NO_MODEL = "yes", "no", "wrong", "needs a model"


def main() -> None:
    """Run every tool on every case and write the tables."""
    forms = [(f"{name}, {form}", *run_form(name, form)) for name in NAMES for form in ("spec", *FILES)]
    kinds = [(title, *run_kind(make)) for title, make in KINDS.items()]
    packages = ("torch", "accelerate", "lightning", "transformers", "safetensors")
    text = DOCUMENT.format(
        forms=table("model, form", TOOLS, forms),
        kinds=table("tensors of a live model", TOOLS[:-1], kinds),
        versions=", ".join(f"{name} {version(name).partition('+')[0]}" for name in packages),
    )
    (ROOT / "docs" / "ties.md").write_text(text, "utf-8")


# The twelve forms.


def run_form(name: str, form: str) -> list[str]:
    """What each tool says of one model in one form, given what its users would load from it."""
    due = {frozenset(NAMES[name])}
    model: nn.Module | None = build(name)
    assert model is not None
    if form == "spec":
        return [
            verdict(ours(find_ties(model)), due),
            verdict(accelerate(model), due),
            verdict(lightning(model), due),
            verdict(shared_tensors(model.state_dict()), due),
            NO_MODEL,
        ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        FILES[form][0](model, path, name)
        found = verdict(ours(find_ties(open_source(path))), due)
        if form == "whole pickled module":
            loaded = torch.load(path, weights_only=False)
            peers = [verdict(accelerate(loaded), due), verdict(lightning(loaded), due)]
            state = loaded.state_dict()
        else:
            peers = [NO_MODEL, NO_MODEL]
            state = load_state(path, form)
        config = path / "config.json" if form == "sharded folder" else None
        keys = NO_MODEL if config is None else verdict(tied_keys(json.loads(config.read_text())), due)
        return [found, *peers, verdict(shared_tensors(state), due), keys]


def load_state(path: Path, form: str) -> dict[str, Tensor]:
    """The tensors of a file or folder under the names it stores."""
    if form == "safetensors with metadata":
        return safetensors.torch.load_file(path)
    if form == "sharded folder":
        return {
            name: tensor
            for shard in sorted(path.glob("*.safetensors"))
            for name, tensor in safetensors.torch.load_file(shard).items()
        }
    loaded: dict[str, Tensor] = torch.load(path)
    return loaded


def ours(groups: Iterable[Any]) -> Groups:
    """Names of our groups."""
    return [frozenset(group.names) for group in groups]


def accelerate(model: nn.Module) -> Groups:
    """Groups of accelerate."""
    return [frozenset(group) for group in importlib.import_module("accelerate.utils").find_tied_parameters(model)]


def lightning(model: nn.Module) -> Groups:
    """Groups of lightning."""
    tying = importlib.import_module("lightning.pytorch.utilities.parameter_tying")
    return [frozenset(group) for group in tying.find_shared_parameters(model)]


def shared_tensors(state: Mapping[str, Tensor]) -> Groups:
    """Groups of safetensors."""
    found = importlib.import_module("safetensors.torch")._find_shared_tensors(state)
    return [frozenset(group) for group in found if len(group) > 1]


SMALL = {"gpt2": {"n_embd": 24, "n_layer": 2, "n_head": 2}, "t5": {"d_model": 8, "num_layers": 1, "d_kv": 4, "d_ff": 8}}


def tied_keys(config: Mapping[str, Any]) -> Groups:
    """Groups of the class that the config names, built without memory."""
    transformers = importlib.import_module("transformers")
    kind = transformers.AutoConfig.for_model(config["model_type"], **SMALL[config["model_type"]])
    with torch.device("meta"):
        model = getattr(transformers, config["architectures"][0])(kind)
    groups: dict[str, set[str]] = {}
    for alias, name in model.all_tied_weights_keys.items():
        groups.setdefault(name, {name}).add(alias)
    return [frozenset(group) for group in groups.values()]


def verdict(found: Sequence[frozenset[str]], due: set[frozenset[str]]) -> str:
    """Whether the groups are those that are due, fewer, or others."""
    if set(found) == due:
        return FOUND
    return MISSED if all(any(group <= whole for whole in due) for group in found) else WRONG


# Kinds of ties in a live model.


def holder(**tensors: Tensor) -> nn.Module:
    """A module of one parameter in each of several children."""
    model = nn.Module()
    for name, tensor in tensors.items():
        child = nn.Module()
        is_parameter = isinstance(tensor, nn.Parameter)
        child.register_parameter("w", tensor if is_parameter else nn.Parameter(tensor))  # type: ignore[arg-type]
        model.add_module(name, child)
    return model


def module_twice() -> nn.Module:
    """One layer in two places."""
    layer = nn.Linear(4, 4, bias=False)
    return nn.Sequential(layer, layer)


def flattened_lstm() -> nn.Module:
    """Weights that lie side by side in one storage, as cuDNN wants them."""
    flat = torch.zeros(96)
    return holder(a=flat[:48].view(4, 12), b=flat[48:].view(4, 12))


def buffers() -> nn.Module:
    """One buffer of two modules."""
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    model[1].running_mean = model[0].running_mean
    return model


def base() -> Tensor:
    """A matrix to make views of."""
    return torch.zeros(6, 8)


def one_parameter() -> nn.Module:
    """One Parameter of two modules."""
    weight = nn.Parameter(base())
    return holder(a=weight, b=weight)


def views(make: Callable[[Tensor], tuple[Tensor, ...]]) -> Callable[[], nn.Module]:
    """A model of two or three views of one matrix."""
    return lambda: holder(**dict(zip("abc", make(base()), strict=False)))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "one module in two places": module_twice,
    "one Parameter of two modules": one_parameter,
    "two Parameters on the same bytes": views(lambda x: (x, x)),
    "the transpose": views(lambda x: (x, x.t())),
    "the same bytes flattened": views(lambda x: (x, x.view(48))),
    "a part and the whole": views(lambda x: (x[2:4], x)),
    "two parts apart, both inside a third": views(lambda x: (x, x[1:2], x[4:5])),
    "one buffer of two modules": buffers,
    "interleaved columns (not tied)": views(lambda x: (x[:, ::2], x[:, 1::2])),
    "two halves of one storage (not tied)": views(lambda x: (x[:3], x[3:])),
    "weights of a flattened LSTM (not tied)": flattened_lstm,
}


def run_kind(make: Callable[[], nn.Module]) -> list[str]:
    """What each tool says of a live model; the truth is a map of bytes."""
    model = make()
    due = truth(model)

    def judge(find: Callable[[], Groups]) -> str:
        try:
            return verdict(find(), due)
        except Exception as error:
            return type(error).__name__

    return [
        judge(lambda: ours(find_ties(model))),
        judge(lambda: accelerate(model)),
        judge(lambda: lightning(model)),
        judge(lambda: shared_tensors(model.state_dict())),
    ]


def truth(model: nn.Module) -> set[frozenset[str]]:
    """Names whose tensors cover a byte in common, directly or through others, each byte looked at."""
    covered: dict[str, frozenset[int]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        at = torch.arange(tensor.untyped_storage().nbytes() // 4).as_strided(
            tensor.shape, tensor.stride(), tensor.storage_offset()
        )
        start = tensor.untyped_storage().data_ptr()
        covered[name] = frozenset(start + 4 * index for index in at.flatten().tolist())
    groups: list[set[str]] = []
    for name, places in covered.items():
        met = [group for group in groups if any(places & covered[other] for other in group)]
        groups = [group for group in groups if group not in met] + [{name}.union(*met)]
    return {frozenset(group) for group in groups if len(group) > 1}


# The document.


def table(first: str, tools: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of markdown."""
    lines = [f"| {first} | {' | '.join(tools)} |", f"|{' --- |' * (1 + len(tools))}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


DOCUMENT = """\
# Which ties are found

Written by `python -m scripts.compare_ties` with {versions}.

*yes*: exactly the names that are tied. *no*: some or all of them are missed. *wrong*: names that are not tied are said to
be. *needs a model*: the tool works on a live module, or on a model class, that the file does not have.

## One model in six forms

GPT-2 ties its head to its embedding; T5 uses one embedding in four places. Each tool gets what its users would load:
the module where there is one, else the state dict; transformers' class for a folder with a `config.json`.

{forms}

A state dict keeps what shares storage, so all that can be known of a `.pt` is that; a safetensors file stores each
tensor once and can only declare the rest.

## Kinds of ties in a live model

The truth is a map of all bytes. A name of an exception is what the tool raised.

{kinds}
"""


if __name__ == "__main__":
    main()
