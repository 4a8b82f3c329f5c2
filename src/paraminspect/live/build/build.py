"""`ModelPlan` -> `nn.Module`, on the meta device or in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from paraminspect.architecture.built_in import BUILTINS, CONTAINERS
from paraminspect.architecture.expand import MAX_MODEL_BYTES
from paraminspect.architecture.given import InputPlan
from paraminspect.architecture.model import Tie
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.plan import ModelPlan, ModulePlan
from paraminspect.errors import LimitExceededError, SpecError
from paraminspect.live.build.construct import Construction, construct, constructing, parametrize, torch_types
from paraminspect.live.build.containers import Child, attach, make_container
from paraminspect.live.build.describe import MAX_MODULE_PATHS
from paraminspect.live.build.layers import BUILTIN_MODULES, make_parameter
from paraminspect.live.build.lazy import draw, materialise
from paraminspect.live.build.memory import held_memory
from paraminspect.live.build.seeds import global_seed, seeded
from paraminspect.live.build.user_code import running_user_code
from paraminspect.names.suggestions import closest, suggest
from paraminspect.text import shape_text, shorten
from paraminspect.tuples import NamedTuple


def build_model(
    plan: ModelPlan,
    *,
    device: str = "meta",
    seed: int = 0,
    modules: Mapping[str, type[nn.Module]] | None = None,
    max_bytes: int = MAX_MODEL_BYTES,
    notes: list[str] | None = None,
    given: InputPlan | None = None,
) -> nn.Module:
    """Build a model as its spec says.

    On "cpu" every layer is initialised as its class does it, under a seed made of `seed` and its path: it depends on
    no other layer. torch's global generator is left as it was.

    Args:
        device: "meta" (shapes only, no memory) or "cpu".
        modules: The user's own classes by name; they go before those of torch.nn.
        max_bytes: What parameters and buffers may take in memory; without meaning on the meta device.
        notes: Takes remarks for the user: the warnings of constructors.
        given: Inputs in place of the spec's, for lazy layers.

    Raises:
        SpecError: A layer that cannot be built, with its line and column; a tie of tensors that differ.
        LimitExceededError: More than `max_bytes`.
    """
    remarks = [] if notes is None else notes
    try:
        builder = Builder(plan, seed=seed, modules=modules, notes=remarks, given=given)
        model = builder.build()
        if device == "meta":
            return model
        _check_size(model, max_bytes)
        return builder.build(device)
    except SpecError as error:
        error.source = error.source or plan.source or None
        raise


class Origin(NamedTuple):
    """Where a tensor of the model comes from.

    Attributes:
        tensor: On the meta device; held so that its id stays its own.
        plan: Of the layer that makes it.
        name: In that layer; "" for a bare parameter.
    """

    tensor: Tensor
    plan: ModulePlan
    name: str


class Builder:
    """Builds modules of one plan: the model on the meta device, then the whole of it or single layers in memory.

    Args:
        modules: The user's own classes by name.
        notes: Takes remarks for the user.
        given: Inputs in place of the spec's, for lazy layers.
    """

    def __init__(
        self,
        plan: ModelPlan,
        *,
        seed: int,
        modules: Mapping[str, type[nn.Module]] | None,
        notes: list[str],
        given: InputPlan | None = None,
    ) -> None:
        self.plan = plan
        self.given = given
        self.seed = seed
        self.own = dict(modules or {})
        self.types = {**torch_types(), **self.own}
        self.notes = notes
        self.materialised: dict[str, nn.Module] = {}
        """Lazy layers by path, on the meta device, with their shapes known."""

        self.origins: dict[int, Origin] = {}
        """By id of a tensor on the meta device, ties included: the layer that draws it."""

        self._mode = Construction("meta")
        self._built: dict[str, Child] = {}
        self._paths: dict[str, int] = {}

    def build(self, device: str = "meta") -> nn.Module:
        """The whole model; the first call is for the meta device."""
        notes, self.notes = self.notes, self.notes if device == "meta" else []
        self._mode = Construction(device)
        self._built.clear()
        self._paths.clear()
        root = self.plan.root
        model = self.container(root)
        self._built.clear()
        if device == "meta":
            self.materialised = materialise(model, self.plan, self.given)
            self.origins = _find_origins(model, self.plan)
        apply_ties(model, self.plan.ties)
        self.notes = notes
        return model

    def child(self, plan: ModulePlan) -> Child:
        """One module or bare parameter, its children included."""
        if plan.kind == "reference":
            assert plan.reference is not None
            made = self._built[plan.reference]
            self._count(plan.path, plan.mark, self._paths[plan.reference])
        elif plan.kind in ("module", "builtin", "parameter"):
            made = self.leaf(plan, self._mode)
            self._count(plan.path, plan.mark, 1)
        else:
            made = self.container(plan)
        if plan.shared is not None:
            self._built[plan.path] = made
        return made

    def container(self, plan: ModulePlan) -> nn.Module:
        made = make_container(plan)
        paths = 1
        for step in plan.steps:
            attach(made, step.name, self.child(step.plan), step.plan.mark)
            paths += self._paths[step.plan.path]
        self._count(plan.path, plan.mark, paths)
        return made

    def leaf(self, plan: ModulePlan, mode: Construction) -> Child:
        """One layer, initialised under its own seed.

        Args:
            plan: Of kind "module", "builtin" or "parameter".
            mode: Says the device.
        """
        if mode.device == "meta":
            return self._construct(plan, mode)
        with global_seed(self.seed, plan.path):
            if plan.path in self.materialised:
                return draw(self.materialised[plan.path], mode.device)
            return self._construct(plan, mode)

    def _construct(self, plan: ModulePlan, mode: Construction) -> Child:
        made = self._plain(plan, mode)
        if plan.parametrize and isinstance(made, nn.Module):
            with constructing(mode):
                parametrize(plan, made)
        return made

    def _plain(self, plan: ModulePlan, mode: Construction) -> Child:
        """A layer without what is computed of its tensors."""
        if plan.kind == "parameter":
            with constructing(mode):
                parameter: nn.Parameter = construct(plan, lambda **kwargs: make_parameter(kwargs), self.notes)
            return parameter
        if plan.kind == "builtin":
            make = BUILTIN_MODULES[plan.type]
        elif plan.type in self.own:
            return self._construct_own(plan, mode)
        else:
            make = self._find(plan)
        with constructing(mode):
            made: nn.Module = construct(plan, make, self.notes)
        return made

    def _construct_own(self, plan: ModulePlan, mode: Construction) -> nn.Module:
        """A class of the user's: where it does not run on the meta device, in memory."""
        make = self.own[plan.type]
        made: nn.Module
        with running_user_code(), seeded(self.seed, plan.path):
            try:
                with constructing(mode):
                    made = construct(plan, make, self.notes)
            except SpecError:
                if mode.device != "meta":
                    raise
                with seeded(self.seed, plan.path), constructing(Construction("cpu")):
                    made = construct(plan, make, self.notes)
                made.to("meta")
                self.notes.append(f"{plan.type} at {plan.path} does not run on the meta device: it was built in memory")
        return made

    def _find(self, plan: ModulePlan) -> type[nn.Module]:
        if plan.type in self.types:
            return self.types[plan.type]
        known = [*CONTAINERS, *BUILTINS, *sorted(self.types)]
        blocks = {each.type for each in self.plan.root.walk() if each.kind in ("sequential", "flow")}
        raise plan.mark.error(
            f"unknown type {shorten(plan.type)}",
            hint=closest(plan.type, [*sorted(blocks), *known])
            or "types are classes of torch.nn, built-ins, blocks and --modules-file",
        )

    def _count(self, path: str, mark: Mark, paths: int) -> None:
        """Remember by how many names modules go from here on downwards."""
        if paths > MAX_MODULE_PATHS:
            raise mark.error(
                f"modules go by more than {MAX_MODULE_PATHS:,} names",
                hint="a shared module counts at every use, and so does all that is in it",
            )
        self._paths[path] = paths


def _find_origins(model: nn.Module, plan: ModelPlan) -> dict[int, Origin]:
    """The layer of each parameter and buffer, before ties are applied."""
    origins: dict[int, Origin] = {}
    for each in plan.root.walk():
        if each.kind == "parameter":
            parameter = model.get_parameter(each.path)
            origins[id(parameter)] = Origin(parameter, each, "")
        elif each.kind == "module":
            module = model.get_submodule(each.path)
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                origins[id(tensor)] = Origin(tensor, each, name)
    return origins


def _check_size(model: nn.Module, max_bytes: int) -> None:
    nbytes = held_memory(model)
    if nbytes > max_bytes:
        raise LimitExceededError(
            "bytes of parameters and buffers",
            limit=max_bytes,
            actual=nbytes,
            hint="list and tree take no memory; a smaller model: -D depth=2",
        )


def apply_ties(model: nn.Module, ties: Sequence[Tie]) -> None:
    """Put the tensor of each `source` in the place of its `alias`, in order.

    Raises:
        SpecError: At the tie: there is no such tensor, or the two differ in shape, dtype or kind.
    """
    for tie in ties:
        owner, name, old = _find(model, tie.alias, tie)
        _, _, new = _find(model, tie.source, tie)
        for alias, source, expected in (
            (shape_text(old.shape), shape_text(new.shape), "one shape"),
            (_dtype(old), _dtype(new), "one dtype"),
            (_kind(old), _kind(new), "two of a kind"),
        ):
            if alias != source:
                raise tie.mark.error(
                    f"tie of {shorten(tie.alias)} ({alias}) to {shorten(tie.source)} ({source}); expected {expected}"
                )
        setattr(owner, name, new)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _kind(tensor: Tensor) -> str:
    return "a parameter" if isinstance(tensor, nn.Parameter) else "a buffer"


def _find(model: nn.Module, name: str, tie: Tie) -> tuple[nn.Module, str, Tensor]:
    """(module, name in it, tensor)."""
    path, _, last = name.rpartition(".")
    module = model
    for place, part in enumerate(path.split(".") if path else []):
        child = module._modules.get(part)
        if child is None:
            below = ".".join(path.split(".")[:place]) or "the model"
            names = [key for key, each in module._modules.items() if each is not None]
            hint = suggest(part, names, "it has")
            raise tie.mark.error(f"tie of {shorten(name)}: {below} has no child {shorten(part)}", hint=hint)
        module = child
    tensors = {key: each for key, each in [*module._parameters.items(), *module._buffers.items()] if each is not None}
    if last not in tensors:
        hint = suggest(last, list(tensors), "it has")
        below = f"{path} ({type(module).__name__})" if path else "the model"
        raise tie.mark.error(f"tie of {shorten(name)}: {below} has no tensor {shorten(last)}", hint=hint)
    return module, last, tensors[last]
