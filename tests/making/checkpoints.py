"""Checkpoints that lie in no file: what most command lines of the tests look at."""

from __future__ import annotations

from collections.abc import Callable

from paraminspect.records import Checkpoint, Storage, TensorRecord
from tests.making.records import tensor


def gpt2() -> Checkpoint:
    head = Storage("0", 50257 * 768 * 4)
    tensors = [tensor("wte.weight", 50257, 768, storage=head), tensor("wpe.weight", 1024, 768)]
    # The order of a safetensors file, in which h.10 comes before h.2.
    for layer in sorted(map(str, range(12))):
        for part, shape in (
            ("ln_1", [768]), ("attn.c_attn", [768, 2304]), ("attn.c_proj", [768, 768]),
            ("ln_2", [768]), ("mlp.c_fc", [768, 3072]), ("mlp.c_proj", [3072, 768]),
        ):  # fmt: skip
            tensors += [tensor(f"h.{layer}.{part}.weight", *shape), tensor(f"h.{layer}.{part}.bias", shape[-1])]
    tensors += [
        tensor("ln_f.weight", 768),
        tensor("ln_f.bias", 768),
        tensor("lm_head.weight", 50257, 768, storage=head),
    ]
    return Checkpoint("safetensors", tensors)


def whole_module() -> Checkpoint:
    """A pickled module, of which the file says everything."""
    linear, norm = "torch.nn.modules.linear.Linear", "torch.nn.modules.batchnorm.BatchNorm1d"
    known = {"kind": "parameter", "trainable": True}
    return Checkpoint(
        "torch zip",
        [
            tensor("0.weight", 3, 4, module_type=linear, **known),
            tensor("0.bias", 3, module_type=linear, kind="parameter", trainable=False),
            tensor("1.weight", 3, module_type=norm, **known),
            tensor("1.running_mean", 3, module_type=norm, kind="buffer"),
            tensor("1.num_batches_tracked", dtype="int64", module_type=norm, kind="buffer"),
            tensor("scale", module_type="mylib.Net", role="attribute"),
        ],
    )


def training() -> Checkpoint:
    return Checkpoint(
        "torch zip",
        [
            tensor("model.embed.weight", 10, 4, dtype="bfloat16", part="model"),
            tensor("model.head.weight", 10, 4, dtype="bfloat16", part="model"),
            tensor("model.head.bias", 10, part="model"),
            tensor("optimizer.state.0.exp_avg", 10, 4, part="optimizer", role="optimizer"),
            tensor("optimizer.state.0.exp_avg_sq", 10, 4, part="optimizer", role="optimizer"),
            tensor("rng", 16, dtype="int64", role="state"),
        ],
        notes=("the pickle names argparse.Namespace, which was not imported",),
    )


def hostile() -> Checkpoint:
    return Checkpoint(
        "safetensors",
        [
            tensor("clear\x1b[2J\nnew|line\ttab", 2),
            tensor("\u202eevil\u200b", 1),
            tensor("层.权重", 3),
            tensor('back\\slash,"quoted"`', 1),
            tensor("lone\udc80", 1),
        ],
        notes=("odd\x1b[31m note",),
    )


def shared() -> Checkpoint:
    """Layers that share with the first one, and a view."""
    first, table = Storage("0", 64), Storage("1", 48)
    layers = [tensor(f"layers.{i}.weight", 4, 4, storage=first) for i in range(4)]
    return Checkpoint(
        "torch zip", [*layers, tensor("a.table", 3, 4, storage=table), tensor("b.table", 12, storage=table)]
    )


def odd() -> Checkpoint:
    """Nothing but what is seldom."""
    return Checkpoint(
        "torch zip",
        [
            tensor("", 2),
            TensorRecord("ragged", None, "float32", 5, None),
            tensor("empty", 0, 7),
            tensor("module"),
            tensor("module.inside"),
            tensor("module..gap"),
        ],
    )


CHECKPOINTS: dict[str, Callable[[], Checkpoint]] = {
    "gpt2.safetensors": gpt2,
    "net.pt": whole_module,
    "training.pt": training,
    "hostile.safetensors": hostile,
    "shared.pt": shared,
    "odd.pt": odd,
    "-": whole_module,
    "nothing.pt": lambda: Checkpoint("torch zip", []),
}
