"""`ModelPlan` -> `Outline` and records, without torch: what `live/build` would build, as far as the tables tell.

Names, repeats and wiring are in the plan, which both read; what a layer holds is in `torch_layers`. In any doubt there is no
sketch, and torch builds the model, or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Final

from paraminspect.architecture.argument_kinds import ITEMSIZES, MAX_SIZE
from paraminspect.architecture.built_in import CONTAINERS
from paraminspect.architecture.built_in_facts import built_in_text, check_built_in, derives
from paraminspect.architecture.layer_facts import MODULE, HeldTensor, LayerFacts, layer_facts, parametrization_facts
from paraminspect.architecture.layer_rows import DoubtError
from paraminspect.architecture.model import Tie
from paraminspect.architecture.module_outline import Outline
from paraminspect.architecture.plan import ModelPlan, ModulePlan, Parametrization
from paraminspect.architecture.reserved import ATTRIBUTES
from paraminspect.architecture.torch_layers import LAYERS, LEFT_TO_TORCH
from paraminspect.records import Classes, Kind, Storage, TensorRecord
from paraminspect.tuples import NamedTuple

MAX_TENSORS: Final = 125_000
"""Of one sketch; torch is asked of more, and has a bound of its own."""

MAX_PATHS: Final = 200_000
"""Names of modules; torch is asked of more, and refuses them."""

_CONTAINER: Final = "torch.nn.modules.container"
_LIVE: Final = "paraminspect.live.build"
_CONTAINERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sequential": (f"{_CONTAINER}.Sequential", MODULE),
    "list": (f"{_CONTAINER}.ModuleList", MODULE),
    "flow": (f"{_LIVE}.containers.Flow", MODULE),
    "residual": (f"{_LIVE}.containers.Residual", MODULE),
    "experts": (f"{_LIVE}.containers.MixtureOfExperts", MODULE),
}
"""Classes of the containers by the kind of their plan."""


class _Held(NamedTuple):
    """What records say of a tensor, whatever its name."""

    shape: tuple[int, ...]
    dtype: str
    numel: int
    nbytes: int
    stride: tuple[int, ...]


class SketchedTensor:
    """A parameter or buffer; one object, whatever the number of its names."""

    __slots__ = ("held", "kind", "storage")

    def __init__(self, held: _Held, kind: Kind) -> None:
        self.held = held
        self.kind = kind
        self.storage: Storage | None = None


def sketch_model(plan: ModelPlan) -> Outline | None:
    """The modules of a spec; None where torch has to be asked."""
    known = LAYERS.keys() | LEFT_TO_TORCH
    if any(block in known for block in plan.blocks) or any(name not in LAYERS for name in plan.classes):
        return None
    try:
        root = _Sketch().container(plan.root)
        for tie in plan.ties:
            _tie(root, tie)
    except DoubtError:
        return None
    return root


class _Sketch:
    def __init__(self) -> None:
        self.built: dict[str, Outline | SketchedTensor] = {}
        self.paths: dict[str, int] = {}
        self.tensors = 0

    def child(self, plan: ModulePlan) -> Outline | SketchedTensor:
        made: Outline | SketchedTensor
        if plan.kind == "reference":
            assert plan.reference is not None
            made = self.built[plan.reference]
            self.count(plan.path, self.paths[plan.reference])
        elif plan.kind in ("module", "builtin", "parameter"):
            made = self.leaf(plan)
            self.count(plan.path, 1)
        else:
            made = self.container(plan)
        if plan.shared is not None:
            self.built[plan.path] = made
        return made

    def container(self, plan: ModulePlan) -> Outline:
        made = _container(plan)
        paths = 1
        for step in plan.steps:
            if step.name in ATTRIBUTES or step.name.startswith("_"):
                raise DoubtError
            child = self.child(step.plan)
            if isinstance(child, Outline):
                made.children[step.name] = child
            else:
                made.parameters[step.name] = child
            paths += self.paths[step.plan.path]
        self.count(plan.path, paths)
        return made

    def leaf(self, plan: ModulePlan) -> Outline | SketchedTensor:
        if plan.kind == "module":
            made = self.layer(layer_facts(plan.type, plan.args, plan.kwargs))
            return self.parametrized(made, plan.parametrize) if plan.parametrize else made
        try:
            check_built_in(plan.type, plan.kwargs)
        except ValueError:
            raise DoubtError from None
        if plan.kind == "parameter":
            return self.tensor(HeldTensor("", plan.kwargs["shape"]), "parameter")  # type: ignore[arg-type]
        classes = (*(f"{_LIVE}.{each}" for each in derives(plan.type)), MODULE)
        return Outline(classes, built_in_text(plan.type, plan.kwargs))

    def layer(self, facts: LayerFacts) -> Outline:
        made = Outline(facts.classes, facts.extra, padding_idx=facts.padding_idx)
        made.parameters = {each.name: self.tensor(each, "parameter") for each in facts.parameters}
        made.buffers = {each.name: self.tensor(each, "buffer") for each in facts.buffers}
        made.children = {name: self.layer(part) for name, part in facts.parts}
        return made

    def parametrized(self, made: Outline, parametrize: Sequence[Parametrization]) -> Outline:
        """A layer with tensors that are computed from others."""
        inside: dict[str, Outline] = {}
        for each in parametrize:
            if each.tensor not in made.parameters or "torch.nn.modules.rnn.RNNBase" in made.classes:
                raise DoubtError
            held = made.parameters.pop(each.tensor).held
            name, parameters, buffers = parametrization_facts(each, held.shape, held.dtype, made.classes)
            step = _module(f"torch.nn.utils.parametrizations.{name}")
            step.buffers = {key: self.tensor(HeldTensor(key, shape), "buffer") for key, shape in buffers.items()}
            listed = _module(
                "torch.nn.utils.parametrize.ParametrizationList", f"{_CONTAINER}.ModuleList", header="list"
            )
            listed.parameters = {
                key: self.tensor(HeldTensor(key, shape), "parameter") for key, shape in parameters.items()
            }
            listed.children["0"] = step
            inside[each.tensor] = listed
        made.class_name = f"Parametrized{made.class_name}"
        made.classes = (f"torch.nn.utils.parametrize.{made.class_name}", *made.classes)
        made.children["parametrizations"] = _module(f"{_CONTAINER}.ModuleDict")
        made.children["parametrizations"].children = inside
        return made

    def tensor(self, held: HeldTensor, kind: Kind) -> SketchedTensor:
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise DoubtError
        return SketchedTensor(_held(held.shape, held.dtype), kind)

    def count(self, path: str, paths: int) -> None:
        """Remember by how many names modules go from here on downwards."""
        if paths > MAX_PATHS:
            raise DoubtError
        self.paths[path] = paths


@lru_cache(maxsize=4096)
def _held(shape: tuple[int, ...], dtype: str) -> _Held:
    numel = prod(shape)
    if numel >= MAX_SIZE * MAX_SIZE // 8:
        raise DoubtError
    stride = [1] * len(shape)
    for place in range(len(shape) - 1, 0, -1):
        stride[place - 1] = stride[place] * max(shape[place], 1)
    return _Held(shape, dtype, numel, numel * ITEMSIZES[dtype], tuple(stride))


def _module(*classes: str, header: str = "plain") -> Outline:
    return Outline((*classes, MODULE), header=header)


def _container(plan: ModulePlan) -> Outline:
    classes = _CONTAINERS[plan.kind]
    if plan.kind == "experts":
        return Outline(classes, built_in_text("MixtureOfExperts", plan.kwargs))
    if plan.kind == "list":
        return Outline(classes, header="list")
    if plan.kind == "flow" and plan.type == "Parallel":
        classes = (f"{_LIVE}.containers.Parallel", *classes)
    elif plan.type not in CONTAINERS:
        classes = (f"blocks.{plan.type}", *classes)
    return Outline(classes)


def _tie(root: Outline, tie: Tie) -> None:
    """Put the tensor of `source` in the place of its `alias`."""
    owner, name, old = _find(root, tie.alias)
    _, _, new = _find(root, tie.source)
    if (old.held.shape, old.held.dtype, old.kind) != (new.held.shape, new.held.dtype, new.kind):
        raise DoubtError
    (owner.parameters if old.kind == "parameter" else owner.buffers)[name] = new


def _find(root: Outline, name: str) -> tuple[Outline, str, SketchedTensor]:
    path, _, last = name.rpartition(".")
    module = root
    for part in path.split(".") if path else []:
        child = module.children.get(part)
        if child is None:
            raise DoubtError
        module = child
    tensor = module.parameters.get(last) or module.buffers.get(last)
    if tensor is None:
        raise DoubtError
    return module, last, tensor


def sketch_records(root: Outline) -> list[TensorRecord]:
    """The tensors of a sketch under every name, as `live.build.describe` has those of the model."""
    records: list[TensorRecord] = []
    _describe(root, "", Classes(root.classes), records)
    return records


def _describe(module: Outline, path: str, classes: Classes, records: list[TensorRecord]) -> None:
    prefix = f"{path}." if path else ""
    module_type, *bases = classes.own
    for name, each in (*module.parameters.items(), *module.buffers.items()):
        held = each.held
        if each.storage is None:
            each.storage = Storage(prefix + name, held.nbytes)
        records.append(
            TensorRecord(
                prefix + name, held.shape, held.dtype, held.numel, held.nbytes, each.kind,
                True if each.kind == "parameter" else None, module_type=module_type, storage=each.storage,
                stride=held.stride, identity=(id(each), id(module)), module_bases=tuple(bases),
                module_around=classes.around,
            )
        )  # fmt: skip
    for name, child in module.children.items():
        _describe(child, prefix + name, classes.inside(child.classes), records)
