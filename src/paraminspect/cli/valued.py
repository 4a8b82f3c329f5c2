"""Sources whose values are asked for: stored tensors are read a piece at a time, those of a live model are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from paraminspect.cli.chosen import NOTHING_MATCHED, Build, is_live, prefixed
from paraminspect.cli.explain import with_source
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.stored_bytes import Files

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.cli.rules import ChosenRules, RuleOptions
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.values.numbers import Numbers


class ValuedSource:
    """One source, and what reads its values.

    Args:
        checkpoint: What is in it.
        draw: Gives a tensor of a live model by its name; None for a stored one.
        unsaved: Names of buffers that no state dict has.

    Attributes:
        checkpoint: The same.
        unsaved: The same.
        is_stored: Whether it is no live model.
        prefix: What stands before the names of the records that are asked for, of one module.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        draw: Callable[[str], Tensor] | None = None,
        unsaved: frozenset[str] = frozenset(),
    ) -> None:
        self.checkpoint = checkpoint
        self.unsaved = unsaved
        self.is_stored = draw is None
        self.prefix = ""
        self._draw = draw
        self._files = Files()

    def open(self, record: TensorRecord) -> Numbers:
        """The numbers of a tensor.

        Raises:
            ParamInspectError: It has none that can be read.
        """
        if self._draw is None:
            from paraminspect.values.read import open_numbers

            return open_numbers(record, self._files)
        from paraminspect.cli.live import tensor_array
        from paraminspect.values.numbers import InMemory

        return InMemory(tensor_array(self._draw(self.prefix + record.name)))


def open_valued(
    source: str, build: Build, output: Output, rules: RuleOptions | None = None, *, values: bool = True
) -> ValuedSource | None:
    """Open a source; None if weights or rules do not fit a model, which has then been said.

    Args:
        source: As the user typed it.
        build: How a spec or factory is built.
        output: Takes what is to be said.
        rules: How it is initialised, beyond what a spec says itself.
        values: Whether they will be asked for.

    Raises:
        ParamInspectError: It cannot be read or built.
    """
    if not is_live(source):
        from paraminspect.formats import open_source

        build.refuse()
        if rules is not None and (rules.rules or rules.config or rules.rules_file):
            raise ParamInspectError(
                "--rule has no meaning for a checkpoint", hint="paraminspect init -o FILE writes one"
            )
        return ValuedSource(open_source(source))
    from paraminspect.cli.live import open_model
    from paraminspect.cli.rules import RuleOptions, collect_rules

    rules = rules or RuleOptions()
    # weights that are loaded are not initialised anew, unless the user says so
    initialises = not build.weights or bool(rules.rules)
    chosen = collect_rules(source, build, rules, output) if initialises or rules.config else None
    live = open_model(source, build if chosen is None else chosen.build, output, values=values, seed=rules.seed)
    if live is None:
        return None
    unfit = len(live.weights.mismatches) if live.weights is not None else 0
    if unfit:
        output.note(f"{unfit:,} tensors are not loaded from {build.weights}: they have their initial values")
    draw: Callable[[str], Tensor] | None = live.tensor
    if chosen is not None and chosen.rules and initialises:
        draw = _initialised(live, chosen, rules.seed, output)
    return None if draw is None else ValuedSource(live.checkpoint, draw, _unsaved(live))


def _unsaved(live: LiveModel) -> frozenset[str]:
    """Names of the buffers that `state_dict()` leaves out."""
    from paraminspect.live.build.describe import iter_tensors

    return frozenset(
        each.name
        for each in iter_tensors(live.model)
        if each.kind == "buffer" and each.name.rpartition(".")[2] in each.module._non_persistent_buffers_set
    )


def _initialised(live: LiveModel, chosen: ChosenRules, seed: int, output: Output) -> Callable[[str], Tensor] | None:
    """What draws a tensor by its name, as `init` would; None if a rule matches nothing."""
    import torch

    from paraminspect.cli.init_report import say_unmatched
    from paraminspect.live.init.draw import Drawing
    from paraminspect.live.init.find import model_targets
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.live.init.work import model_work
    from paraminspect.rules.steps import plan_rules

    found = model_targets(live.model)
    plan = plan_rules(found.targets, chosen.rules, found.others)
    say_unmatched(plan, output)
    if plan.unmatched:
        output.status = max(output.status, NOTHING_MATCHED)
        return None
    drawing = Drawing(seed, chosen.own or OwnFunctions())
    works = {name: work for work in model_work(live, plan) for name in (work.name, *work.aliases)}

    def draw(name: str) -> Tensor:
        work = works.get(name)
        if work is None or work.step is None or work.step.initializer is None:
            return live.tensor(name)
        return drawing.draw(work.step, work.base).to(getattr(torch, work.dtype))

    return draw


class ValuedSources:
    """Opens one source after the other, as `sources.open_each` does.

    Attributes:
        current: The one that was opened last.
    """

    def __init__(self, sources: Sequence[str], build: Build, output: Output, rules: RuleOptions | None = None) -> None:
        self._sources = sources
        self._build = build
        self._output = output
        self._rules = rules
        self.current: ValuedSource | None = None

    def __iter__(self) -> Iterator[Checkpoint]:
        for source in self._sources:
            try:
                self.current = open_valued(source, self._build, self._output, self._rules)
            except Exception as error:
                self._output.error(with_source(error, source))
                continue
            if self.current is not None:
                for note in self.current.checkpoint.notes:
                    self._output.note(prefixed(note, source, self._sources))
                yield self.current.checkpoint
