"""What a checkpoint says of its training: how far it came, at which learning rate, and what it was started with.

Everybody has names of their own for the same few things; the tables below have those of the producers named beside them.
What is under no known name is told as it is, if it is plain data. Nothing is computed and nothing is guessed: an epoch
is what the file calls one.

Source: files written by lightning 2, transformers 5 (Trainer), accelerate 1, timm 1, nanoGPT, torchtune, fairseq,
ultralytics 8, fastai 2, mmengine, detectron2, DeepSpeed and Megatron-LM, or what their code saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from paraminspect.formats.pickles.data import Room, as_data, entries_of, is_array, key_text, number_of
from paraminspect.formats.pickles.inert import Opaque
from paraminspect.formats.pytorch.classify import role_of_key
from paraminspect.summaries import Training

Path = tuple[str | int, ...]

EPOCHS: Final[tuple[Path, ...]] = (
    ("epoch",),  # lightning, timm, ultralytics, Trainer
    ("epochs_run",),  # torchtune
    ("current_epoch",),
    ("meta", "epoch"),  # mmengine
    ("extra_state", "train_iterator", "epoch"),  # fairseq
    ("extra_state", "epoch"),
)
STEPS: Final[tuple[Path, ...]] = (
    ("global_step",),  # lightning, Trainer
    ("global_steps",),  # DeepSpeed
    ("step",),
    ("steps_run",),  # torchtune
    ("iter_num",),  # nanoGPT
    ("iteration",),  # detectron2, Megatron-LM
    ("iter",),
    ("meta", "iter"),  # mmengine
    ("num_updates",),
    ("optimizer_history", -1, "num_updates"),  # fairseq
)
ARGUMENTS: Final = frozenset(
    {
        "hyper_parameters",  # lightning
        "args",  # timm, fairseq, Megatron-LM
        "train_args",  # ultralytics
        "model_args", "config",  # nanoGPT
        "cfg", "hparams", "hyperparameters", "hyper_params", "training_args", "arguments", "ds_config",
        "datamodule_hyper_parameters",
        "opt",  # YOLOv5
    }
)  # fmt: skip
"""Keys under which a run keeps what it was started with, where that is a mapping or an object of attributes."""

VERSIONS: Final = {
    "pytorch-lightning_version": "Lightning",
    "ds_version": "DeepSpeed",
}
"""Key of the version -> who writes it."""

OPTIMIZER_OR_OPTIONS: Final = frozenset({"opt"})
"""Keys of an optimizer's state with some (fastai), of what was given to the run with others (YOLOv5)."""

TELLING: Final = frozenset({"metric", "metrics", "extra_state"})
"""Keys of training state that is worth a word; the state of schedulers, generators, loops is not."""

_GROUPS: Final = ("param_groups", "hypers")
"""Key of the groups of parameters in an optimizer's state: of torch, of fastai."""

SCHEDULERS: Final = frozenset({"scheduler", "lr_scheduler", "lr_schedulers", "scheduler_state_dict"})

_MODEL: Final = frozenset({"model", "module", "state_dict", "model_state_dict", "ema", "state_dict_ema", "model_ema"})

MAX_GROUPS: Final = 10_000
"""Groups of parameters of optimizers whose learning rates are looked at."""

MOST: Final = 16
"""Entries of a container that are looked at to see what it holds."""


def find_training(root: object) -> Training | None:
    """What the object of a pickle says of a training; None of a bare state dict or module.

    Args:
        root: Inert.
    """
    top = entries_of(root)
    if top is None:
        return None
    room = Room()
    if isinstance(root, Opaque) and root.entries is None and not _holds_tensors(root):
        name = root.class_name.rpartition(".")[2]  # arguments that were saved alone
        return Training(arguments={name: as_data(root, room)})
    arguments: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for key, value in top.items():
        name = key_text(key)
        lowered = name.lower()
        entries = entries_of(value)
        if is_array(value) or lowered in _MODEL or _is_optimizer(name, value) or _is_dull(lowered, value):
            continue
        if lowered in ARGUMENTS and entries is not None:
            arguments[name] = as_data(value, room)
        elif not _holds_tensors(value):
            state[name] = as_data(value, room)
    epoch, step = _first(top, EPOCHS), _first(top, STEPS)
    rates = learning_rates(top)
    if epoch is None and step is None and not rates and not arguments and not state:
        return None
    framework = next(
        (f"{name} {state[key]}" for key, name in VERSIONS.items() if isinstance(state.get(key), str)), None
    )
    for key in VERSIONS:
        state.pop(key, None)
    for path in (*EPOCHS, *STEPS):
        number = number_of(top.get(path[0])) if len(path) == 1 else None
        if number is not None and number in (epoch, step):
            state.pop(str(path[0]), None)
    return Training(framework, epoch, step, rates[0] if rates else None, rates, arguments, state)


def learning_rates(top: Mapping[object, object]) -> tuple[float, ...]:
    """Those of all groups of parameters of all optimizers, each once; of the schedulers where no optimizer tells."""
    optimizers = [value for key, value in top.items() if _is_optimizer(key_text(key), value)]
    if "param_groups" in top:
        optimizers.append(top)
    rates = [number_of(rate) for each in optimizers for rate in _rates_of(each)]
    if not any(rate is not None for rate in rates):
        schedulers = [value for key, value in top.items() if key_text(key).lower() in SCHEDULERS]
        if "_last_lr" in top:
            schedulers.append(top)
        rates = [number_of(rate) for each in schedulers for rate in _last_rates(each)]
    return tuple(dict.fromkeys(rate for rate in rates if rate is not None))


def _is_optimizer(key: str, value: object) -> bool:
    if role_of_key(key) != "optimizer" or not _is_container(value):
        return False
    groups = (entries_of(value) or {}).keys()
    return key.lower() not in OPTIMIZER_OR_OPTIONS or not groups.isdisjoint(_GROUPS)


def _is_dull(key: str, value: object) -> bool:
    """Whether it is the state of something, as a container."""
    return _is_container(value) and role_of_key(key) == "state" and key not in TELLING


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list | tuple | Opaque)


def _rates_of(value: object) -> Iterator[object]:
    """`lr` of each group of an optimizer's state dict, of those in a list or mapping of several."""
    for entries in _alone_or_several(value):
        for key in _GROUPS:
            groups = entries.get(key)
            for group in groups[:MAX_GROUPS] if isinstance(groups, list | tuple) else ():
                yield (entries_of(group) or {}).get("lr")


def _last_rates(value: object) -> Iterator[object]:
    for entries in _alone_or_several(value):
        rates = entries.get("_last_lr")
        yield from rates[:MAX_GROUPS] if isinstance(rates, list | tuple) else ()


def _alone_or_several(value: object) -> Iterator[Mapping[object, object]]:
    inside: Sequence[object] = (value,)
    if isinstance(value, list | tuple):
        inside = value[:MAX_GROUPS]
    for each in inside:
        entries = entries_of(each)
        if entries is None:
            continue
        yield entries
        if entries.keys().isdisjoint((*_GROUPS, "_last_lr")):
            yield from (found for item in list(entries.values())[:MOST] if (found := entries_of(item)) is not None)


def _first(top: Mapping[object, object], paths: Sequence[Path]) -> int | float | None:
    """The first of these places where there is a number."""
    for path in paths:
        value: object = top
        for part in path:
            if isinstance(part, int):
                value = value[part] if isinstance(value, list) and value else None
            else:
                value = (entries_of(value) or {}).get(part)
        number = number_of(value)
        if number is not None:
            return number
    return None


def _holds_tensors(value: object, depth: int = 0) -> bool:
    """Whether there are tensors or modules in a container, as far as its first entries tell."""
    if is_array(value) or _is_module(value):
        return True
    entries = entries_of(value)
    inside = list(entries.values()) if entries is not None else value if isinstance(value, list | tuple) else ()
    return depth < 3 and any(_holds_tensors(each, depth + 1) for each in inside[:MOST])


def _is_module(value: object) -> bool:
    state = value.state if isinstance(value, Opaque) else None
    return isinstance(state, dict) and "_modules" in state
