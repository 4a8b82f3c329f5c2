"""From a SOURCE to a model: what it is, read or built once, with the rules that apply and its values.

Nothing is said here and no status is set: remarks, tensors that weights do not fit and rules that match nothing are in
what is returned or raised.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from paraminspect.errors import LimitExceededError, ParamInspectError, SourceError
from paraminspect.files.seen import Seen, reading
from paraminspect.limits import effort
from paraminspect.models.asked import Asked, Kind, parse_definitions
from paraminspect.models.recognise import Recognised, recognise
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:  # what a command that reads a file does not wait for
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor, nn

    from paraminspect.architecture.model import Spec
    from paraminspect.architecture.module_outline import Outline
    from paraminspect.architecture.plan import ModelPlan
    from paraminspect.engines.pool import Engine, Pool
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.build.weights import WeightReport
    from paraminspect.live.init.drawn import Draw
    from paraminspect.models.rules import ChosenRules
    from paraminspect.rules.meant import Targets
    from paraminspect.rules.sets import Config
    from paraminspect.rules.steps import InitPlan
    from paraminspect.values.decode import Numbers
    from paraminspect.values.shown import Part
    from paraminspect.values.stored_bytes import Files

_DEFAULT: Final = Asked()

_TOLD: Final = ("names", "plan")
"""What a spec can tell before its model is built; to whoever edits it, its values too: rules may leave none to ask for."""


class RefusedError(ParamInspectError):
    """What was asked for does not go together with what was found, as far as that is not allowed.

    Attributes:
        notes: What is to be said besides.
    """

    notes: tuple[str, ...] = ()


class MisfitError(RefusedError):
    """Weights do not fit the model.

    Args:
        report: What became of each tensor.
        weights: What the user typed.
    """

    def __init__(self, report: WeightReport, weights: str) -> None:
        hint = f"most names would fit with {report.hint}" if report.hint else None
        super().__init__(f"it does not fit: {report.describe()}", hint=hint, source=weights)
        self.report = report
        self.weights = weights


class UnmatchedError(RefusedError):
    """Rules match nothing.

    Args:
        plan: With all rules.
    """

    def __init__(self, plan: InitPlan) -> None:
        super().__init__(plan.complaints()[0])
        self.plan = plan


class Sketched(NamedTuple):
    """A spec that is told without torch.

    Attributes:
        outline: Its modules.
        build: Makes the model.
    """

    plan: ModelPlan
    outline: Outline
    build: Callable[[], LiveModel]


class Opened:
    """A source, opened.

    Attributes:
        source: What the user typed.
        kind: What it is.
        checkpoint: What its headers say; of a live model the same, as a reader of files gives it.
        architecture: Of a spec, what it says; None of any other.
        rules: What is asked of initialisation.
        plan: What rules do to each tensor; None where there are none, or nobody asked.
        notes: Remarks on how it was opened, before those of the checkpoint.
        weights: What the user typed for them.
        seen: The files that it is in, and that its weights are in, as they were when it was opened.
    """

    def __init__(
        self,
        source: str,
        kind: Kind,
        checkpoint: Checkpoint,
        live: LiveModel | None = None,
        rules: ChosenRules | None = None,
        *,
        weights: str = "",
        sketched: Sketched | None = None,
    ) -> None:
        self.source = source
        self.kind = kind
        self.checkpoint = checkpoint
        self.rules = rules
        self.architecture: ModelPlan | None = live.plan if live is not None else None
        self.plan: InitPlan | None = None
        self.notes: list[str] = []
        self.weights = weights
        self._live = live
        self._sketched = sketched
        self._outline: Outline | None = None
        self._draw: Draw | None = None
        self._names: Mapping[object, str] | None = None
        self._files: Files | None = None
        self._lock = threading.RLock()
        self.seen = Seen()
        if sketched is not None:
            self.architecture, self._outline = sketched.plan, sketched.outline

    @property
    def is_live(self) -> bool:
        """Whether it is a model, which can run, and no checkpoint."""
        return self.kind != "checkpoint"

    @property
    def live(self) -> LiveModel | None:
        """The model of a spec or factory, built if that was not needed until now; None of a checkpoint.

        Raises:
            ParamInspectError: It cannot be built.
        """
        with self._lock:
            if self._live is None and self._sketched is not None:
                self._live = self._sketched.build()
            return self._live

    @property
    def outline(self) -> Outline:
        """The modules of a model.

        Raises:
            LimitExceededError: They go by too many names.
        """
        if self._outline is None:
            from paraminspect.live.build.outline import outline_module

            assert self.live is not None
            self._outline = outline_module(self.live.model)
        return self._outline

    @property
    def printed(self) -> Outline:
        """The same, with arguments as the installed torch prints them: another one than that of the table is asked."""
        from paraminspect.architecture.torch_version import prints_as_told

        if self._sketched is not None and not prints_as_told():
            from paraminspect.live.build.outline import outline_module

            assert self.live is not None
            return outline_module(self.live.model)
        return self.outline

    def targets(self) -> Targets:
        """What rules can mean of it."""
        from paraminspect.rules.meant import checkpoint_targets, parameter_targets

        if not self.is_live:
            return checkpoint_targets(self.checkpoint.tensors)
        if self._live is None:
            padding = {
                f"{path}.weight".lstrip("."): row
                for path, each in self.outline.named()
                if (row := each.padding_idx) is not None
            }
            return parameter_targets(self.checkpoint.tensors, padding)
        from paraminspect.live.init.find import model_targets

        return model_targets(self._live.model, self._live.records)

    def count_files(self) -> None:
        """In a run that did not open it: its files allow work all the same."""
        effort().allow_opened(tuple(self.checkpoint.files), self.checkpoint.nbytes)

    def expect(self, records: Iterable[TensorRecord]) -> None:
        """The values of so many tensors will be asked for, to be looked at.

        Raises:
            LimitExceededError: A spec would draw more than may be allocated.
        """
        from paraminspect.architecture.expand import MAX_MODEL_BYTES

        if self.kind == "spec" and (nbytes := sum(each.nbytes or 0 for each in records)) > MAX_MODEL_BYTES:
            hint = "a part of it: --select; `init -o FILE` writes models of any size"
            raise LimitExceededError("bytes of values to draw", limit=MAX_MODEL_BYTES, actual=nbytes, hint=hint)

    @property
    def unloaded(self) -> frozenset[str]:
        """Names that --weights left as they were, though they stand in the model or in the checkpoint."""
        report = self._live.weights if self._live is not None else None
        return frozenset(each.name for each in report.mismatches) if report is not None else frozenset()

    @property
    def state(self) -> Sequence[TensorRecord]:
        """Of a model, what its state dict holds under every name."""
        return self.checkpoint.tensors if self._live is None else self._live.state

    @property
    def saved(self) -> Checkpoint:
        """The checkpoint without the buffers that `state_dict()` leaves out."""
        unsaved = self._live.unsaved() if self._live is not None else ()  # what is told without torch has none
        if not unsaved:
            return self.checkpoint
        return self.checkpoint._replace(tensors=[each for each in self.checkpoint.tensors if each.name not in unsaved])

    def as_stored(self) -> Opened:
        """The same with every tensor as it is stored, scales and the like among them, whatever they stand for."""
        tensors = [
            each.as_stored if each.role != "part" else each._replace(role="model") for each in self.checkpoint.tensors
        ]
        self.checkpoint = self.checkpoint._replace(tensors=tensors)
        return self

    def tensor(self, record: TensorRecord) -> Tensor:
        """The values of a tensor of a live model, with the rules applied; from any thread.

        Args:
            record: Of the checkpoint, perhaps under another name.

        Raises:
            ParamInspectError: It has none.
        """
        live = self.live
        assert live is not None
        if self._names is None:
            self._names = {each.identity: each.name for each in self.checkpoint.tensors}
        name = self._names.get(record.identity, record.name)
        with self._lock:
            return live.tensor(name) if self._draw is None else self._draw(name)

    def numbers(self, record: TensorRecord) -> Numbers:
        """The numbers of a tensor, stored or live.

        Raises:
            ParamInspectError: It has none that can be read.
        """
        if self.is_live:
            from paraminspect.live.build.arrays import tensor_array
            from paraminspect.values.decode import InMemory

            return InMemory(tensor_array(self.tensor(record)))
        from paraminspect.values.read import open_numbers

        return open_numbers(record, self.files)

    def pool(self, engine: Engine, nbytes: int, *, holds_lock: bool = False) -> Pool:
        """Who reads so many bytes of its values; those of a live model are made here.

        Args:
            holds_lock: As of `Engine.pool`.

        Raises:
            ParamInspectError: Those cannot.
        """
        files = () if self.is_live else self.checkpoint.files
        return engine.pool(files, nbytes, holds_lock=holds_lock)

    def part(self, record: TensorRecord, index: tuple[Any, ...] = (), *, is_summary: bool = False) -> Part:
        """The part of a tensor that an index means, stored or live.

        Args:
            is_summary: Whether values at the ends of each dimension suffice.

        Raises:
            ParamInspectError: It has no values, or no such part.
        """
        from paraminspect.values.display import PrintOptions
        from paraminspect.values.read import read_part, read_summary
        from paraminspect.values.shown import SUMMARISED, Part
        from paraminspect.values.slices import take_slice

        if self.is_live:
            array = take_slice(self.array(record), index)
        elif is_summary:
            edge = PrintOptions().edgeitems
            return Part(record, *read_summary(record, index, self.files, edge=edge, above=SUMMARISED))
        else:
            array = read_part(record, index, self.files)
        return Part(record, array, array.shape)

    def array(self, record: TensorRecord) -> np.ndarray[Any, Any]:
        """All values of a tensor, stored or live, of its shape.

        Raises:
            ParamInspectError: As `numbers`.
        """
        if self.is_live:
            from paraminspect.live.build.arrays import tensor_array

            return tensor_array(self.tensor(record))
        from paraminspect.values.read import read_tensor

        return read_tensor(record, self.files)

    @property
    def files(self) -> Files:
        """The files of a checkpoint, kept open."""
        if self._files is None:
            from paraminspect.values.stored_bytes import Files

            self._files = Files()
        return self._files


def open_model(
    source: str | BinaryIO | nn.Module | Checkpoint | Opened, asked: Asked = _DEFAULT, found: Recognised | None = None
) -> Opened:
    """Open a source; one that is open already is taken as it is.

    Args:
        source: As the user typed it; an open binary file, a model in memory, or what was read.
        asked: What for, and how.
        found: What it is, if that is known already.

    Raises:
        MisfitError: Weights do not fit.
        UnmatchedError: A rule matches nothing.
        ParamInspectError: It cannot be read or built, or an option has no meaning for it.
    """
    if isinstance(source, Opened):
        return source
    if isinstance(source, Checkpoint):
        asked.refuse("checkpoint")
        return Opened(source.source, "checkpoint", source)
    if not isinstance(source, str) and hasattr(source, "read") and not hasattr(source, "named_parameters"):
        return _open_file(source, asked)
    if found is None:
        found = recognise(source) if isinstance(source, str) else Recognised("module")
    try:
        with reading() as seen:
            opened: Opened = _OPENERS[found.kind](source, found, asked)
        opened.seen = seen
        return opened
    except RefusedError:
        raise
    except (ImportError, OSError) as error:
        from paraminspect.live.torch_missing import explain_missing

        missing = explain_missing(error)
        if missing is None:
            raise
        missing.source = source if isinstance(source, str) else None
        raise missing from None
    except ParamInspectError as error:
        error.source = error.source or (source if isinstance(source, str) else None)
        raise


def _open_file(file: BinaryIO, asked: Asked) -> Opened:
    """A spec or a checkpoint in an open file, by what it begins with."""
    from paraminspect.formats.source import name_file, open_file
    from paraminspect.models.recognise import recognise_file

    with name_file(file) as name:
        found, rest = recognise_file(file)
    if found.kind == "spec":
        return open_model(name, asked, found)
    return open_model(open_file(file, rest), asked)


def _open_checkpoint(source: str, found: Recognised, asked: Asked) -> Opened:
    from paraminspect.formats import open_source

    if asked.want == "memory":  # what is wrong with the file itself goes first
        raise no_architecture(
            open_source(source), f"name a spec or a factory: paraminspect grad model.yaml --weights {source}", source
        )
    asked.refuse("checkpoint")
    if not asked.edits:
        return Opened(source, "checkpoint", open_source(source))
    config = _config(asked)
    from paraminspect.models.rules import check_definitions, choose_for

    check_definitions(asked, config)
    rules = choose_for(asked, config, None)
    checkpoint = open_source(source)
    model = Opened(source, "checkpoint", checkpoint, rules=rules)
    _plan(model, model.targets(), rules, asked)
    return model


def no_architecture(checkpoint: Checkpoint, hint: str, source: str) -> SourceError:
    """A checkpoint has no forward pass."""
    what = f"a checkpoint ({checkpoint.format}) holds tensors; a gradient needs the architecture too"
    return SourceError(what, hint=hint, source=source)


def _open_spec(source: str, found: Recognised, asked: Asked) -> Opened:
    from paraminspect.architecture.expand import plan_model
    from paraminspect.models.rules import read_spec

    asked.refuse("spec")
    config = _config(asked)
    spec = read_spec(found.text, source, parse_definitions(asked.define), config)
    rules = _rules(asked, config, spec)
    own: Collection[str] = ()
    if asked.modules_file:
        from paraminspect.live.build.factory_name import class_names

        own = class_names(asked.modules_file)
    plan = plan_model(spec, own)  # what is wrong with a spec is said before torch is imported

    def build(device: str, limit: int) -> LiveModel:
        from paraminspect.live.begin import import_torch

        import_torch()
        from paraminspect.live.build.live_model import build_spec

        return build_spec(
            spec,
            plan,
            modules_file=asked.modules_file,
            device=device,
            seed=asked.seed,
            max_bytes=limit,
            given=asked.inputs,
        )

    is_told = asked.want in _TOLD or (asked.want == "values" and asked.edits)
    if is_told and not (asked.modules_file or asked.weights or asked.inputs):
        from paraminspect.architecture.sketch import sketch_model, sketch_records

        outline = sketch_model(plan)
        if outline is not None:
            sketched = Sketched(plan, outline, lambda: _within_memory(build, asked))
            checkpoint = Checkpoint("spec", sketch_records(outline), source=source)
            return _finish(Opened(source, "spec", checkpoint, rules=rules, sketched=sketched), asked)
    live = _within_memory(build, asked)
    return _finish(Opened(source, "spec", live.checkpoint, live, rules, weights=asked.weights), asked)


def tell_spec(source: str, text: bytes, define: Iterable[str] = ()) -> list[TensorRecord] | None:
    """The tensors of a spec, as far as they can be told without torch; None where it would be asked.

    Raises:
        SpecError: It is wrong, or has no such variable.
    """
    from paraminspect.architecture.expand import plan_model
    from paraminspect.architecture.sketch import sketch_model, sketch_records
    from paraminspect.models.rules import read_spec

    outline = sketch_model(plan_model(read_spec(text, source, parse_definitions(tuple(define)), None)))
    return None if outline is None else sketch_records(outline)


def _open_factory(source: str, found: Recognised, asked: Asked) -> Opened:
    asked.refuse("factory")
    config = _config(asked)
    from paraminspect.models.rules import check_definitions

    check_definitions(asked, config)
    rules = _rules(asked, config, None)
    from paraminspect.live.begin import import_torch

    import_torch()
    from paraminspect.live.build.live_model import build_from_factory

    device = "cpu" if asked.want in ("values", "memory") else "meta"
    live = build_from_factory(source, asked.arguments, device=device, seed=asked.seed, given=asked.inputs)
    if asked.inputs is not None and asked.want not in ("pass", "memory"):  # which run it themselves
        live.run_once()
    if live.drawn and device == "cpu" and not asked.weights:
        live.notes.append(live.drawn)
    return _finish(Opened(source, "factory", live.checkpoint, live, rules, weights=asked.weights), asked)


def _open_module(source: Any, found: Recognised, asked: Asked) -> Opened:
    from torch import nn

    if not isinstance(source, nn.Module):
        raise SourceError(
            "a source is a path, a URL, a spec, a factory, an nn.Module or an open binary file, "
            f"not {type(source).__name__}"
        )
    asked.refuse("module")
    rules = _rules(asked, _config(asked), None)
    from paraminspect.live.build.live_model import hold_module

    live = hold_module(source)
    return _finish(Opened("", "module", live.checkpoint, live, rules, weights=asked.weights), asked)


_OPENERS: Final[Mapping[Kind, Any]] = {
    "checkpoint": _open_checkpoint,
    "spec": _open_spec,
    "factory": _open_factory,
    "module": _open_module,
}


def _config(asked: Asked) -> Config | None:
    if not asked.config:
        return None
    from paraminspect.models.rules import read_config

    return read_config(asked.config, parse_definitions(asked.define))


def _rules(asked: Asked, config: Config | None, spec: Spec | None) -> ChosenRules | None:
    """What is asked of initialisation; None where nobody asks for values."""
    if asked.want in ("names", "pass"):
        return None
    from paraminspect.models.rules import choose_for

    return choose_for(asked, config, spec)


def _within_memory(build: Any, asked: Asked) -> LiveModel:
    """The model on the meta device; or in memory, if it fits there, for what runs it."""
    from paraminspect.architecture.expand import MAX_MODEL_BYTES
    from paraminspect.live.build.memory import available_memory, too_large

    if asked.want != "memory":
        return build("meta", MAX_MODEL_BYTES)  # type: ignore[no-any-return]
    available = available_memory()
    limit = MAX_MODEL_BYTES if available is None else min(available, MAX_MODEL_BYTES)
    try:
        return build("cpu", limit)  # type: ignore[no-any-return]
    except LimitExceededError as error:
        if error.limit != limit or error.actual is None or available is None:
            raise
        raise too_large(2 * error.actual, available) from None


def _finish(model: Opened, asked: Asked) -> Opened:
    """Load weights, and decide what rules do."""
    rules = model.rules
    model.notes += rules.notes if rules is not None else ()
    try:
        if asked.weights:
            assert model.live is not None
            _load(model.live, asked, model.notes)
            model.checkpoint = model.live.checkpoint
        if rules is not None:
            found = model.targets()
            _plan(model, found, rules, asked)
            _apply(model, found, asked)
    except RefusedError as error:
        error.notes = tuple(model.notes)
        raise
    return model


def _load(live: LiveModel, asked: Asked, notes: list[str]) -> None:
    """Load weights; adds what is to be said of them."""
    from paraminspect.formats import open_source
    from paraminspect.live.build.live_model import load_checkpoint

    checkpoint = open_source(asked.weights)
    load_checkpoint(live, checkpoint, strip_prefix=asked.strip_prefix, add_prefix=asked.add_prefix)
    report = live.weights
    assert report is not None
    if report.mismatches and live.reload(asked.weights):
        notes.append(f"{asked.weights} has names of another version: transformers has loaded it")
        return
    if report.converted:
        what = f"{len(report.converted):,} of {len(report.loaded):,} tensors of {asked.weights}"
        notes.append(f"{what} have another dtype: converted")
    if report.mismatches and not asked.allow_mismatch:
        raise MisfitError(report, asked.weights)
    if report.mismatches:
        notes.append(f"{asked.weights}: {report.describe()}")


def _plan(model: Opened, found: Targets, rules: ChosenRules, asked: Asked) -> None:
    """Decide what rules do to each tensor, and whether that is as it was asked for."""
    from paraminspect.rules.steps import plan_rules

    loaded: Mapping[str, object] = {}
    if asked.weights and not asked.edits and model.live is not None and model.live.weights is not None:
        loaded = model.live.weights.loaded
    applied = rules.rules
    if loaded and all(not loaded.keys().isdisjoint((each.name, *each.aliases)) for each in found.targets):
        applied, loaded = applied[rules.implied :], {}
    plan = plan_rules(found.targets, applied, found.others)
    if loaded:
        from paraminspect.models.rules import keep_loaded

        plan = keep_loaded(plan, loaded, rules.implied)
    model.plan = plan
    if plan.unmatched and not asked.allow_unmatched:
        raise UnmatchedError(plan)


def _apply(model: Opened, found: Targets, asked: Asked) -> None:
    """Give a model in memory the values of its rules; of others they are drawn one by one when they are asked for."""
    plan, rules = model.plan, model.rules
    assert plan is not None
    assert rules is not None
    if not plan.rules:
        return
    if asked.want == "memory":
        from paraminspect.live.init.apply import apply_plan
        from paraminspect.live.init.functions import OwnFunctions

        apply_plan(plan, found.tensors, asked.seed, rules.own or OwnFunctions(), measured=False)
    elif asked.want == "values" and not asked.edits:  # `init` draws for itself, and measures
        from paraminspect.live.init.drawn import drawn_by

        assert model.live is not None
        model._draw = drawn_by(plan, model.live, asked.seed, rules.own)
