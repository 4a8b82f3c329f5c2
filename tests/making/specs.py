"""Random specs: layers of every class, built-ins and containers, wired, repeated, shared, tied."""

from __future__ import annotations

import random
from typing import Any

from paraminspect.architecture.built_in import BUILTINS, PARAM_OPS
from paraminspect.architecture.declared import Argument
from paraminspect.architecture.torch_layers import LAYERS
from scripts.check_layers import random_call

Layer = Any

ODD_NAMES = ("weight", "forward", "append", "_hidden", "3", "training", "out-proj")
PARAMETRIZE = (
    {"weight": "weight_norm"}, {"weight": {"weight_norm": 1}}, {"weight": {"weight_norm": -1}}, {"weight": "spectral_norm"},
    {"weight": "orthogonal"}, {"bias": "weight_norm"}, {"weight": "spectral_norm", "in_proj_weight": "weight_norm"},
)  # fmt: skip


def random_spec(chance: random.Random) -> dict[str, Any]:
    """A spec that may or may not be right, with `$d` for a size."""
    spec: dict[str, Any] = {"vars": {"d": chance.choice((2, 3, 4))}, "model": _layers(chance, 0)}
    if chance.random() < 0.4:
        spec["blocks"] = {"Block": {"args": ["n", {"m": 2}], "layers": _layers(chance, 1)}}
        spec["model"].append({"Block": [chance.randint(1, 4)], "repeat": chance.randint(1, 3)})
    if chance.random() < 0.4:
        spec["shared"] = {"same": {"Sequential": _layers(chance, 1)}}
        spec["model"] += [{"use": "same"}, "ReLU", {"Sequential": [{"use": "same", "name": "again"}]}]
    if chance.random() < 0.4:
        spec["model"][:0] = [{"Embedding": [5, 4], "name": "wte"}, {"Linear": [4, 5, {"bias": False}], "name": "head"}]
        spec["tie"] = {"head.weight": chance.choice(("wte.weight", "wte.weight", "wte.bias", "head.bias"))}
    return spec


def _layers(chance: random.Random, depth: int) -> list[Layer]:
    return [_layer(chance, depth) for _ in range(chance.randint(1, 4))]


def _layer(chance: random.Random, depth: int) -> Layer:
    kind = chance.random()
    layer: dict[str, Any]
    if kind < 0.5 or depth > 3:
        name = chance.choice(("Linear", "Linear", "LayerNorm", "BatchNorm1d", "Dropout", chance.choice(list(LAYERS))))
        args, kwargs = random_call(name, chance, odd=0.005)
        layer = {name: [*map(_plain, args), {key: _plain(value) for key, value in kwargs.items()}]}
        if chance.random() < 0.1:
            layer["parametrize"] = chance.choice(PARAMETRIZE)
    elif kind < 0.7:
        builtin = chance.choice(list(BUILTINS.values()))
        chosen = [each for each in builtin.arguments if each.is_required or chance.random() < 0.3]
        layer = {builtin.name: {each.name: _argument(each, chance) for each in chosen}}
        if builtin.inputs != (1,):
            layer["from"] = ["input"] * (builtin.inputs or (2,))[0]
    else:
        layer = _container(chance, depth + 1)
    if chance.random() < 0.3:
        layer["name"] = chance.choice(ODD_NAMES) if chance.random() < 0.05 else f"n{chance.randint(0, 999)}"
    if chance.random() < 0.2:
        layer |= {"repeat": chance.randint(1, 3), "parallel": chance.random() < 0.3}
    return layer


def _container(chance: random.Random, depth: int) -> dict[str, Any]:
    layers = _layers(chance, depth)
    experts = {"gate": {"Linear": [4, 2]}, "expert": layers, "count": 2, "top": 1, "normalize": chance.random() < 0.5}
    return chance.choice(
        (
            {"Sequential": layers},
            {"Residual": layers},
            {"Residual": {"body": layers, "shortcut": ["ReLU"]}},
            {"Parallel": [layers, "ReLU"]},
            {"Parallel": {"left": layers, "right": ["Tanh"]}},
            {"MixtureOfExperts": experts},
        )
    )


def _argument(argument: Argument, chance: random.Random) -> Any:
    match argument.kind:
        case "int":
            return chance.choice((1, 2, 4, "$d"))
        case "float":
            return chance.choice((0, 1, 0.5, 2.0))
        case "bool":
            return chance.random() < 0.5
        case "text":
            return "bid,bjd->bij"
        case "ints":
            return chance.choice(([1, 2], [4, 1], 2))
        case "shape":
            return chance.choice(([], [3], ["$d", 4], [1, 2, 3]))
        case "op":
            return chance.choice(list(PARAM_OPS))


def _plain(value: Any) -> Any:
    """As YAML has it."""
    return list(map(_plain, value)) if isinstance(value, tuple) else value
