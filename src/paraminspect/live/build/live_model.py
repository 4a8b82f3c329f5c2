"""One entry to live models: from what the user typed to a model, its records and what is to be said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from paraminspect.architecture.expand import MAX_MODEL_BYTES, plan_model
from paraminspect.architecture.model import Spec
from paraminspect.architecture.parse import Override, parse_spec
from paraminspect.architecture.plan import ModelPlan
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.files.reasons import reason_of
from paraminspect.live.build.build import Builder, build_model
from paraminspect.live.build.construct import torch_types
from paraminspect.live.build.describe import describe_model, find_tensor, iter_tensors, note_attributes
from paraminspect.live.build.factory import build_factory, load_modules, parse_arguments
from paraminspect.live.build.forward import trace_shapes
from paraminspect.live.build.inputs import make_inputs
from paraminspect.live.build.recognise import recognise_live
from paraminspect.live.build.single import Drawer
from paraminspect.live.build.stored import StoredTensors
from paraminspect.live.build.weights import WeightReport, load_weights
from paraminspect.records import Checkpoint, TensorRecord

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]


@dataclass(slots=True)
class LiveModel:
    """A model that can run.

    Attributes:
        model: On `device`, but for what a factory places elsewhere.
        records: Its tensors under every name, in the order of `state_dict()`.
        plan: Of a spec; None for a factory.
        source: What the user typed.
        device: "meta" or "cpu".
        notes: Remarks for the user, one line each.
        weights: What became of `--weights`, None without.
        checkpoint: The same as a reader of files gives it, for `list`, `tree`, `shared`.
    """

    model: nn.Module
    records: Sequence[TensorRecord]
    plan: ModelPlan | None
    source: str
    device: str
    notes: list[str]
    weights: WeightReport | None = None
    _drawer: Drawer | None = None
    _stored: StoredTensors | None = None
    _seed: int = 0
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Checkpoint:
        """Records, notes and source as readers of files return them."""
        kind = "Python factory" if self.plan is None else "spec"
        return Checkpoint(kind, self.records, notes=tuple(self.notes), source=self.source)

    def shapes(self, inputs: Sequence[Tensor] | None = None) -> Shapes:
        """Output shapes by module path, for the spec's input or the one given, which is on the model's device.

        Raises:
            SpecError: The model fails on it.
            SourceError: There is no input.
        """
        if inputs is None:
            if self.plan is None or not self.plan.inputs:
                what = "a factory has" if self.plan is None else "the spec has"
                raise SourceError(f"{what} no input", hint="write input: [2, 4] in the spec", source=self.source)
            inputs = make_inputs(self.plan, device=self.device, seed=self._seed)
        return trace_shapes(self.model, inputs, plan=self.plan)

    def tensor(self, name: str) -> Tensor:
        """The values of one tensor, by any of its names.

        Of a spec on the meta device only the layer that holds it is drawn; loaded weights are read from their file.

        Raises:
            SelectionError: There is no such tensor.
            SourceError: A factory's tensor on the meta device has no values.
            LimitExceededError: Its layer is too large.
        """
        if not self._tensors:
            self._tensors = {each.name: each.tensor for each in iter_tensors(self.model)}
        found = self._tensors.get(name)
        if found is None:
            found = find_tensor(self.model, name).tensor
        if not found.is_meta:
            return found
        if self.weights is not None and self._stored is not None:
            for other, tensor in self._tensors.items():
                if tensor is found and other in self.weights.loaded:
                    return self._stored.read(self.weights.loaded[other]).to(found.dtype)
        if self._drawer is None:
            raise SourceError(f"{name} is on the meta device and has no values", source=self.source)
        return self._drawer.draw(name, found)


def open_live(
    source: str,
    *,
    text: bytes | str | None = None,
    variables: Mapping[str, Override] | None = None,
    modules_file: str | None = None,
    arguments: Sequence[str] = (),
    device: str = "meta",
    seed: int = 0,
    weights: str | None = None,
    strip_prefix: str = "",
    add_prefix: str = "",
    max_bytes: int = MAX_MODEL_BYTES,
) -> LiveModel:
    """Build the model that a spec or a Python factory describes.

    Args:
        source: Path of a spec, `pkg.mod:callable` or `file.py:callable`.
        text: Of a spec that was read already (standard input).
        variables: `-D name=value`, for a spec.
        modules_file: Python file with the user's own layers, for a spec.
        arguments: `--arg key=value`, for a factory.
        device: "meta": names and shapes, without memory; "cpu": values too.
        seed: Of default initialisation and drawn inputs.
        weights: A checkpoint to load; on the meta device it is compared and, by `LiveModel.tensor`, read.
        strip_prefix: Taken off the checkpoint's names.
        max_bytes: What may be allocated.

    Raises:
        SpecError: Anything wrong with a spec, with file, line and column.
        SourceError: No such file or factory, or its code fails.
        LimitExceededError: Larger than `max_bytes`.
        CheckpointError: `weights` cannot be read.
    """
    try:
        kind = "spec" if text is not None else recognise_live(source)
        if kind == "factory":
            _refuse("-D", variables, "a factory", "--arg key=value")
            _refuse("--modules-file", modules_file, "a factory", "its own code imports what it needs")
            live = _open_factory(source, arguments, device=device, seed=seed)
        elif kind == "spec":
            _refuse("--arg", arguments, "a spec", "-D name=value")
            content = _read_text(source) if text is None else text
            spec = parse_spec(content, source=source, overrides=variables)
            live = _open_spec(spec, modules_file, device=device, seed=seed, max_bytes=max_bytes)
        else:
            raise SourceError(
                "neither a spec nor a Python factory", hint="a spec has the key model; a factory is module:callable"
            )
    except ParamInspectError as error:
        error.source = error.source or source
        raise
    live.notes.extend(note_attributes(live.records))
    if weights is not None:
        _load(live, weights, strip_prefix, add_prefix)
    return live


def _open_spec(spec: Spec, modules_file: str | None, *, device: str, seed: int, max_bytes: int) -> LiveModel:
    notes: list[str] = []
    modules = load_modules(modules_file, notes=notes) if modules_file is not None else {}
    plan = plan_model(spec, types=torch_types().keys() | modules.keys())
    drawer = None
    if device == "meta":
        builder = Builder(plan, seed=seed, modules=modules, notes=notes)
        model = builder.build()
        drawer = Drawer(builder, model, max_bytes)
    else:
        model = build_model(plan, device=device, seed=seed, modules=modules, max_bytes=max_bytes, notes=notes)
    return LiveModel(model, describe_model(model), plan, spec.source, device, notes, _drawer=drawer, _seed=seed)


def _open_factory(source: str, arguments: Sequence[str], *, device: str, seed: int) -> LiveModel:
    notes: list[str] = []
    model = build_factory(source, arguments=parse_arguments(arguments), device=device, seed=seed, notes=notes)
    return LiveModel(model, describe_model(model), None, source, device, notes, _seed=seed)


def _load(live: LiveModel, weights: str, strip_prefix: str, add_prefix: str) -> None:
    from paraminspect.formats.source import open_source

    checkpoint = open_source(weights)
    try:
        live.weights = load_weights(live.model, checkpoint, strip_prefix=strip_prefix, add_prefix=add_prefix)
        live._stored = StoredTensors()
    except ParamInspectError as error:
        error.source = error.source or weights
        raise
    live.notes.extend(f"{weights}: {note}" for note in checkpoint.notes)


def _refuse(option: str, value: object, what: str, hint: str) -> None:
    if value:
        raise SourceError(f"{option} has no meaning for {what}", hint=hint)


def _read_text(source: str) -> bytes:
    try:
        with open(source, "rb") as file:
            return file.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        raise SourceError(reason_of(error)) from None
