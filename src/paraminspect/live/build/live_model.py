"""A live model: built from a spec or by a factory, its records, its values and what is to be said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paraminspect.architecture.expand import MAX_MODEL_BYTES, check_types
from paraminspect.architecture.given import InputPlan
from paraminspect.architecture.model import Spec
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import LimitExceededError, ParamInspectError, SourceError
from paraminspect.limits import effort
from paraminspect.live.build.build import Builder, build_model
from paraminspect.live.build.complaints import describe_tensors, first_line, lacks_values
from paraminspect.live.build.construct import torch_types
from paraminspect.live.build.describe import (
    describe_model,
    find_tensor,
    is_meta,
    iter_tensors,
    note_attributes,
    note_packed,
)
from paraminspect.live.build.expected import check_memory
from paraminspect.live.build.factory import build_factory, load_modules, parse_arguments
from paraminspect.live.build.factory_name import FOLDER_FORMAT, parse_factory
from paraminspect.live.build.feeding import Feeding, check_call
from paraminspect.live.build.forward import Inputs, run_forward, trace_shapes
from paraminspect.live.build.lazy import run_once
from paraminspect.live.build.memory import at_most, available_memory
from paraminspect.live.build.single import Drawer
from paraminspect.live.build.stored import StoredTensors
from paraminspect.live.build.weights import WeightReport, load_weights
from paraminspect.records import Checkpoint, TensorRecord

Made = TypeVar("Made")

MAX_TRIED_BYTES: Final = 1 << 30
"""Parameters of a model that is built again in memory, whatever it failed of on the meta device."""

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]


@dataclass(slots=True)
class LiveModel:
    """A model that can run.

    Attributes:
        model: On `device`, but for what a factory places elsewhere.
        records: Its tensors under every name, in the order of `state_dict()`.
        plan: Of a spec; None for a factory.
        source: What the user typed.
        format: What kind of source it is.
        device: "meta" or "cpu".
        notes: Remarks for the user, one line each.
        weights: What became of `--weights`, None without.
        given: What the command line feeds it; None for nothing.
        own: Makes the inputs that the model brings along as an example; None where it has none.
        drawn: What is to be said where its values are those that it was built with; "" for nothing.
        checkpoint: The same as a reader of files gives it, for `list`, `tree`, `shared`.
    """

    model: nn.Module
    records: Sequence[TensorRecord]
    plan: ModelPlan | None
    source: str
    format: str
    device: str
    notes: list[str]
    weights: WeightReport | None = None
    given: InputPlan | None = None
    own: Callable[[nn.Module], Inputs] | None = None
    drawn: str = ""
    _rebuild: Callable[[], nn.Module] | None = None
    _load: Callable[[nn.Module, str], nn.Module | None] | None = None
    _drawer: Drawer | None = None
    _stored: StoredTensors | None = None
    _seed: int = 0
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Checkpoint:
        """Records, notes and source as readers of files return them."""
        return Checkpoint(self.format, self.records, notes=tuple(self.notes), source=self.source)

    @property
    def state(self) -> list[TensorRecord]:
        """What `state_dict()` has, under every name: parameters and persistent buffers."""
        unsaved = self.unsaved()
        return [each for each in self.records if each.kind != "tensor" and each.name not in unsaved]

    def unsaved(self) -> frozenset[str]:
        """Names of the buffers that `state_dict()` leaves out."""
        return frozenset(
            each.name
            for each in iter_tensors(self.model)
            if each.kind == "buffer" and each.name.rpartition(".")[2] in each.module._non_persistent_buffers_set
        )

    def feeding(self) -> Feeding:
        """Makes what the model is called with.

        Raises:
            ParamInspectError: There is no input, or one that the spec does not have.
        """
        with _named(self.source):
            return Feeding(self.given, self.plan, self._example(), seed=self._seed)

    def _example(self) -> Inputs | None:
        """What it brings along, where that is wanted."""
        if self.own is None or (self.given is not None and self.given.code):
            return None
        try:
            return self.own(self.model)
        except ParamInspectError:
            if self.given is None:
                raise
            return None  # what is given may do

    def inputs(self) -> Inputs:
        """What the model is called with, where it is: on the meta device, or in memory.

        Raises:
            ParamInspectError: There is none, or it does not fit the model's forward.
        """
        with _named(self.source):
            made = self.feeding().inputs(device="meta" if is_meta(self.model) else "cpu")
            check_call(self.model, made)
            return made

    def shapes(self, inputs: Inputs | Sequence[object] | None = None) -> Shapes:
        """Output shapes by module path, for its inputs or those given, which are on the model's device.

        Raises:
            SpecError: The model fails on them; of a model without plan, SourceError.
            ParamInspectError: There is no input, or it does not fit.
        """
        if inputs is not None:
            return trace_shapes(self.model, inputs, plan=self.plan)
        return self.calling(lambda model, given: trace_shapes(model, given, plan=self.plan))

    def calling(self, run: Callable[[nn.Module, Inputs], Made]) -> Made:
        """What `run` makes of the model and its inputs.

        A factory's model that does not run on the meta device is built again and run in memory, if it fits there; a note
        says so.

        Raises:
            ParamInspectError: There is no input; it does not fit, or the model fails on it.
        """
        inputs = self.inputs()
        try:
            return run(self.model, inputs)
        except LimitExceededError:
            raise
        except ParamInspectError as error:
            if self._rebuild is None or not is_meta(self.model) or not is_worth_memory(error, self.model):
                raise self.with_example(error) from error.__cause__
            reason = first_line(error.__cause__ or error)
        self.model, self.device = self._rebuild(), "cpu"
        self.notes.append(f"it does not run on the meta device ({reason}): it was built again and run in memory")
        try:
            made = run(self.model, self.inputs())
        except ParamInspectError as error:
            raise self.with_example(error) from error.__cause__
        self.records = describe_model(self.model)
        return made

    def reload(self, folder: str) -> bool:
        """Load the weights of a folder as the library loads them that the class is of; False if there is none, or not all fits."""
        made = self._load(self.model, folder) if self._load is not None and not is_meta(self.model) else None
        if made is None:
            return False
        self.model, self.records, self.weights = made, describe_model(made), None
        self._tensors.clear()
        return True

    def with_example(self, error: ParamInspectError) -> ParamInspectError:
        """The same error; where the model was fed its own example, the hint says so."""
        if error.hint is None and (example := self._example()) is not None:
            made = [f"{name} {describe_tensors([each], 1)}" for name, each in example.named.items()]
            error.hint = f"its own example is {', '.join(made)}; --input NAME=.. adds to it"
        return error

    def run_once(self) -> None:
        """Give lazy layers their shapes, and what forward makes its place, by calling the model once.

        Raises:
            ParamInspectError: There is no input; it does not fit, or the model fails on it.
        """
        self.notes += self.calling(
            lambda model, given: run_once(model, given.positional, given.named, plan=self.plan, seed=self._seed)
        )
        self.records = describe_model(self.model)

    def expect_pass(self, inputs: Sequence[object]) -> None:
        """Count what a forward pass of a spec's model will take, before it is run.

        Args:
            inputs: By position.

        Raises:
            LimitExceededError: More than the size of the model justifies, or than there is memory for.
        """
        if self.plan is None or not all(isinstance(each, Tensor) for each in inputs):
            return
        effort().allow(f"the model of {self.source}", sum(record.nbytes or 0 for record in self.records))
        try:
            outline = Builder(self.plan, seed=self._seed, modules=None, notes=[], given=self.given).build()
            run_forward(
                outline,
                [each.to("meta") for each in inputs if isinstance(each, Tensor)],
                plan=self.plan,
                is_planned=True,
            )
            check_memory()
        except LimitExceededError:
            raise
        except ParamInspectError:
            return  # of layers of the user's own, or that do not run without numbers; what is wrong is said where it runs

    def tensor(self, name: str) -> Tensor:
        """The values of one tensor, by any of its names.

        Of a spec on the meta device only the layer that holds it is drawn; loaded weights are read from their file.

        Raises:
            SelectionError: There is no such tensor.
            SourceError: A factory's tensor on the meta device, or of a lazy layer, has no values.
            LimitExceededError: Its layer is too large.
        """
        if not self._tensors:
            self._tensors = {each.name: each.tensor for each in iter_tensors(self.model)}
        found = self._tensors.get(name)
        if found is None:
            found = find_tensor(self.model, name).tensor
        if is_lazy(found):
            raise SourceError(
                f"{name} has no values yet: its layer is lazy, and takes its shape from the first input",
                source=self.source,
            )
        if not found.is_meta:
            return found
        if self.weights is not None and self._stored is not None:
            for other, tensor in self._tensors.items():
                if tensor is found and other in self.weights.loaded:
                    return self._stored.read(self.weights.loaded[other]).to(found.dtype)
        if self._drawer is None:
            raise SourceError(f"{name} is on the meta device and has no values", source=self.source)
        return self._drawer.draw(name, found)


def build_spec(
    spec: Spec,
    plan: ModelPlan,
    *,
    modules_file: str = "",
    device: str = "meta",
    seed: int = 0,
    max_bytes: int = MAX_MODEL_BYTES,
    given: InputPlan | None = None,
) -> LiveModel:
    """Build the model of a spec.

    Args:
        spec: As parsed.
        plan: Of it.
        modules_file: Python file with the user's own layers.
        device: "meta": names and shapes, without memory; "cpu": values too.
        seed: Of default initialisation and drawn inputs.
        max_bytes: What may be allocated.
        given: Inputs in place of the spec's, which give lazy layers their shapes.

    Raises:
        SpecError: A layer that cannot be built, with file, line and column.
        SourceError: No such file of modules, or its code fails.
        LimitExceededError: Larger than `max_bytes`.
    """
    notes: list[str] = []
    drawer = None
    with _named(spec.source):
        modules = load_modules(modules_file, notes=notes) if modules_file else {}
        check_types(plan, torch_types().keys() | modules.keys())
        if device == "meta":
            builder = Builder(plan, seed=seed, modules=modules, notes=notes, given=given)
            model = builder.build()
            drawer = Drawer(builder, model, at_most(max_bytes))
        else:
            model = build_model(
                plan, device=device, seed=seed, modules=modules, max_bytes=max_bytes, notes=notes, given=given
            )
        live = LiveModel(model, describe_model(model), plan, spec.source, "spec", device, notes, given=given)
    live._drawer, live._seed = drawer, seed
    return _noted(live)


def build_from_factory(
    source: str,
    arguments: Sequence[str],
    *,
    device: str = "meta",
    seed: int = 0,
    given: InputPlan | None = None,
) -> LiveModel:
    """Build the model that a Python factory makes, or transformers of a folder.

    Args:
        source: `pkg.mod:callable`, `file.py:callable` or `transformers:FOLDER`.
        arguments: `key=value` each.
        device: "meta": names and shapes, without memory; "cpu": values too.
        seed: Of default initialisation.
        given: What it is called with.

    Raises:
        SourceError: No such factory, or its code fails.
    """
    notes: list[str] = []
    name = parse_factory(source)
    with _named(source):
        values = parse_arguments(arguments)
        if name is not None and name.folder:
            live = _build_from_folder(source, name.folder, values, device=device, seed=seed, notes=notes)
        else:

            def build(where: str, remarks: list[str]) -> nn.Module:
                return build_factory(source, arguments=values, device=where, seed=seed, notes=remarks)

            model = build(device, notes)
            live = LiveModel(model, describe_model(model), None, source, "Python factory", device, notes)
            live._rebuild = lambda: build("cpu", [])
        live.given, live._seed = given, seed
        return _noted(live)


def _build_from_folder(
    source: str, folder: str, values: Mapping[str, object], *, device: str, seed: int, notes: list[str]
) -> LiveModel:
    from paraminspect.live.build.transformers_folder import (
        FolderModel,
        build_from_folder,
        load_from_folder,
        make_example,
    )

    def build(where: str, remarks: list[str]) -> FolderModel:
        return build_from_folder(folder, values, device=where, seed=seed, notes=remarks)

    made = build(device, notes)
    live = LiveModel(made.model, describe_model(made.model), None, source, FOLDER_FORMAT, device, notes)
    live.own, live._load = make_example, load_from_folder
    live._rebuild = lambda: build("cpu", []).model
    if made.has_weights:
        live.drawn = f"values are drawn by {type(made.model).__name__}: --weights {folder} loads those of the folder"
    return live


def is_worth_memory(error: ParamInspectError, model: nn.Module) -> bool:
    """Whether what failed without values may do in memory: it complains of that, or the model is small; and it fits."""
    sizes = [each.numel() * each.element_size() for each in model.parameters() if not is_lazy(each)]
    available, nbytes = available_memory(), sum(sizes)
    if available is not None and 2 * nbytes > available:
        return False
    return nbytes <= MAX_TRIED_BYTES or lacks_values(error.__cause__)


def hold_module(model: nn.Module) -> LiveModel:
    """A model that is there already."""
    return _noted(LiveModel(model, describe_model(model), None, type(model).__name__, "nn.Module", "cpu", []))


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Errors learn what the user typed."""
    try:
        yield
    except ParamInspectError as error:
        error.source = error.source or source
        raise


def _noted(live: LiveModel) -> LiveModel:
    live.notes.extend(note_packed(live.model))
    live.notes.extend(note_attributes(live.model, live.records))
    return live


def load_checkpoint(live: LiveModel, checkpoint: Checkpoint, *, strip_prefix: str = "", add_prefix: str = "") -> None:
    """Load a checkpoint into a model; on the meta device it is compared and, by `LiveModel.tensor`, read.

    Args:
        live: Whose `weights` will say what became of it.
        checkpoint: As `open_source` read it.
        strip_prefix: Taken off the checkpoint's names.
        add_prefix: Put before them.

    Raises:
        CheckpointError: It cannot be read.
    """
    with _named(checkpoint.source):
        live.weights = load_weights(live.model, checkpoint, strip_prefix=strip_prefix, add_prefix=add_prefix)
        live._stored = StoredTensors()
    live.notes.extend(f"{checkpoint.source}: {note}" for note in checkpoint.notes)
