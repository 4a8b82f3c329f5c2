"""Sources whose values are asked for: stored tensors are read a piece at a time, those of a live model are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from paraminspect.cli.errors import with_source
from paraminspect.cli.output import Output
from paraminspect.cli.sources import Build, is_live, note_about
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.files import Files
from paraminspect.values.numbers import InMemory, Numbers
from paraminspect.values.tensors import open_numbers

if TYPE_CHECKING:
    from paraminspect.live.source import LiveModel


class ValuedSource:
    """One source, and what reads its values.

    Attributes:
        checkpoint: What is in it.
        is_live: Whether it is a model in memory, which one thread reads.
        prefix: What stands before the names of the records that are asked for, of one module.
    """

    def __init__(self, checkpoint: Checkpoint, live: LiveModel | None = None) -> None:
        self.checkpoint = checkpoint
        self.is_live = live is not None
        self.prefix = ""
        self._live = live
        self._files = Files()

    def open(self, record: TensorRecord) -> Numbers:
        """The numbers of a tensor.

        Raises:
            ParamInspectError: It has none that can be read.
        """
        if self._live is None:
            return open_numbers(record, self._files)
        from paraminspect.cli.live import tensor_array

        return InMemory(tensor_array(self._live.tensor(self.prefix + record.name)))


def open_valued(
    source: str, build: Build, output: Output, *, seed: int = 0, values: bool = True
) -> ValuedSource | None:
    """Open a source; None if the weights of a model do not fit, which has then been said.

    Args:
        source: As the user typed it.
        build: How a spec or factory is built.
        output: Takes what is to be said.
        seed: Of its initialisation.
        values: Whether they will be asked for.

    Raises:
        ParamInspectError: It cannot be read or built.
    """
    if not is_live(source):
        from paraminspect.formats import open_source

        build.refuse()
        return ValuedSource(open_source(source))
    from paraminspect.cli.live import open_model

    live = open_model(source, build, output, values=values, seed=seed)
    if live is None:
        return None
    unfit = len(live.weights.mismatches) if live.weights is not None else 0
    if unfit:
        output.note(f"{unfit:,} tensors are not loaded from {build.weights}: they have their initial values")
    return ValuedSource(live.checkpoint, live)


class ValuedSources:
    """Opens one source after the other, as `sources.open_each` does.

    Attributes:
        current: The one that was opened last.
    """

    def __init__(self, sources: Sequence[str], build: Build, output: Output, *, seed: int = 0) -> None:
        self._sources = sources
        self._build = build
        self._output = output
        self._seed = seed
        self.current: ValuedSource | None = None

    def __iter__(self) -> Iterator[Checkpoint]:
        for source in self._sources:
            try:
                self.current = open_valued(source, self._build, self._output, seed=self._seed)
            except Exception as error:
                self._output.error(with_source(error, source))
                continue
            if self.current is not None:
                for note in self.current.checkpoint.notes:
                    self._output.note(note_about(note, source, self._sources))
                yield self.current.checkpoint
