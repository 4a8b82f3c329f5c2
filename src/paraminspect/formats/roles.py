"""Which tensors of a training checkpoint are the model, where only all of them together tell.

Keys such as "optimizer" speak for themselves, and readers heed them (`pytorch.classify`). Whether "ema" is a second copy of
the model or the only one, "teacher" a moving average of the student or another network, and a lone number beside the model
a loss, is seen when everything is known. A copy has a name that says so and tensors of the shapes of the rest; where there
is no rest, or it is another network, what is named so stays the model.

Source: what these write: lightning's WeightAveraging and EMA, timm, ultralytics, diffusers' EMAModel, Stable Diffusion's LitEma,
k-diffusion, BasicSR, StyleGAN, DINO, MoCo, mmengine's EMAHook, nanoGPT, the examples of torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from paraminspect.records import Role, TensorRecord

COPIES: Final = {
    "ema": r"(?:\w+_)?ema(?:_\w+)?",
    "teacher": r"model_?teacher|teacher(?:_\w+)?",
    "momentum_": r"momentum_\w+",
    "encoder_k": "encoder_k",
    "key_encoder": "key_encoder",
    "target_": r"target_(?:net\w*|encoder|model)",
    "shadow": "shadow(?:_params|_parameters|_model)?",
    "swa": "swa(?:_model|_state_dict|_weights)?",
    "average": "average[ds]?(?:_model|_weights|_state_dict)?",
    "current_model_state": "current_model_state",
    "best_": "best_(?:model|weights|state_dict|model_state_dict)",
}
"""One component of a name, in lower case, at most the MAX_STEP-th, above a copy of the model: a part that it has for certain,
and its pattern, which few models ask for."""

MAX_STEP: Final = 3

FLAT: Final = "ema_"
"""mmengine 0.x registers copies as buffers of the model: `ema_` and the name, its dots made underscores."""

ALIKE: Final = 0.5
"""Share of a copy's tensors whose shapes the rest of the model has."""

SINGLE: Final = r"(?:.*[_\W])?(?:loss(?:es)?|acc(?:uracy)?|acc\d|metrics?|scores?|epochs?|steps?|lr|iter(?:ation)?s?|perplexity|ppl|history)(?:[_\W].*)?"
"""Name of a number that training keeps, beside the model."""

GENERATOR_BYTES: Final = 5056
"""`torch.get_rng_state()`: uint8, of this length; of CUDA, one of those below a key that says so."""

GENERATOR_BYTES_CUDA: Final = frozenset({16, 816_040})
GENERATOR_NAME: Final = "rng|random|cuda|generator"


_NAME: Final = itemgetter(TensorRecord._fields.index("name"))
_PART: Final = itemgetter(TensorRecord._fields.index("part"))
_DTYPE: Final = itemgetter(TensorRecord._fields.index("dtype"))


def settle_roles(tensors: Sequence[TensorRecord]) -> Sequence[TensorRecord]:
    """The tensors, in their order, with roles "copy" and "state" where what stands beside them gives them away."""
    changed: dict[int, Role] = {}
    if len(set(map(_PART, tensors))) > 1 and any(record.part and record.role == "model" for record in tensors):
        changed |= dict.fromkeys(_find_numbers(tensors), "state")
    if "uint8" in set(map(_DTYPE, tensors)):
        changed |= {index: "state" for index, record in enumerate(tensors) if _is_generator(record)}
    if may_hold_copies(map(_NAME, tensors)):
        changed |= dict.fromkeys(_find_copies(tensors, changed), "copy")
    if not changed:
        return tensors
    return [
        record._replace(role=changed[index]) if index in changed else record for index, record in enumerate(tensors)
    ]


def may_hold_copies(names: Iterable[str]) -> bool:
    """Whether any name says so; neighbours are mostly of one module, and looked at once (100,000 names: 10 ms)."""
    last = ""
    plain: set[str] = set()
    for name in names:
        if last and name.startswith(last):
            continue
        steps = name.split(".", MAX_STEP)[:MAX_STEP]
        last = f"{'.'.join(steps)}."
        for step in steps:
            if step not in plain:
                if step.startswith(FLAT) or _is_copy(step):
                    return True
                plain.add(step)
    return False


def _is_copy(step: str) -> bool:
    """Whether a component of a name says that a copy is below it."""
    step = step.lower()
    return any(part in step and re.fullmatch(pattern, step) for part, pattern in COPIES.items())


def _find_numbers(tensors: Sequence[TensorRecord]) -> list[int]:
    """Indices of the numbers that stand beside the parts of a checkpoint, and of the series that go by the name of one.

    Where there are weights beside the parts, single numbers may be of these: they need such a name too. The name of a module's
    parameter has a dot, and is none.
    """
    beside = [
        (index, record)
        for index, record in enumerate(tensors)
        if not record.part and record.role == "model" and record.kind == "tensor" and record.shape is not None
    ]
    plain = [(index, record) for index, record in beside if not _is_of_module(record)]
    named = {
        index
        for index, record in plain
        if len(record.shape or ()) < 2 and re.fullmatch(SINGLE, record.name, re.IGNORECASE)
    }
    numbers = named | {index for index, record in plain if record.numel == 1}
    has_weights = any(index not in numbers and not _is_generator(record) for index, record in beside)
    return sorted(named if has_weights else numbers)


def _is_of_module(record: TensorRecord) -> bool:
    """Whether a flat name is that of a module's parameter."""
    return not record.part and "." in record.name


def _is_generator(record: TensorRecord) -> bool:
    if record.dtype != "uint8" or record.role != "model" or record.shape is None or len(record.shape) != 1:
        return False
    if record.numel == GENERATOR_BYTES and not _is_of_module(record):
        return True
    is_named = re.search(GENERATOR_NAME, record.name, re.IGNORECASE) is not None
    return is_named and (record.numel == GENERATOR_BYTES or record.numel in GENERATOR_BYTES_CUDA)


def _find_copies(tensors: Sequence[TensorRecord], changed: dict[int, Role]) -> list[int]:
    """Indices of the tensors of all copies of the model."""
    groups: dict[str, list[int]] = {}
    known: dict[str, str] = {}
    rest: Counter[tuple[int, ...] | None] = Counter()
    flat: dict[str, int] = {}
    for index, record in enumerate(tensors):
        if record.role != "model" or index in changed:
            continue
        owner = record.name.rpartition(".")[0]
        above = known.get(owner)
        if above is None:
            above = known[owner] = _copy_above(owner)
        if above:
            groups.setdefault(above, []).append(index)
        elif _in_part(record).startswith(FLAT):
            flat[_in_part(record)] = index
        else:
            rest[record.shape] += 1
    found = [index for indices in groups.values() if _is_alike(tensors, indices, rest) for index in indices]
    if flat:
        mangled = {FLAT + _in_part(record).replace(".", "_") for record in tensors}
        found += [index for name, index in flat.items() if name in mangled]
    return found


def _in_part(record: TensorRecord) -> str:
    """Its name inside the part of a nested checkpoint."""
    return record.name.removeprefix(f"{record.part}.") if record.part else record.name


def _copy_above(owner: str) -> str:
    """The path of the copy that a module would be in; "" of none."""
    steps = owner.split(".", MAX_STEP)[:MAX_STEP]
    for number, step in enumerate(steps, 1):
        if _is_copy(step):
            return ".".join(steps[:number])
    return ""


def _is_alike(tensors: Sequence[TensorRecord], indices: Sequence[int], rest: Counter[tuple[int, ...] | None]) -> bool:
    shapes = Counter(tensors[index].shape for index in indices if tensors[index].numel > 1)
    common = sum((shapes & rest).values())
    return bool(common) and common >= ALIKE * sum(shapes.values())
