"""The rows of a run: one source or several, as a stream or as one document with totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paraminspect.cli.chosen import NOTHING_MATCHED
from paraminspect.cli.output import Output
from paraminspect.errors import ChangedError
from paraminspect.files.seen import raise_changed
from paraminspect.models.open import Opened
from paraminspect.names.listing import Totals, add_totals
from paraminspect.records import Checkpoint
from paraminspect.render.columns import COST_TOTALS, COSTS, TOTALS
from paraminspect.render.rows import Rows, merge_rows
from paraminspect.text import counted, format_bytes, format_flops

if TYPE_CHECKING:
    from paraminspect.outcomes import Cost, CostTotals


class Report:
    """Collects rows source by source, or passes them on at once where the format lets it.

    Args:
        output: Where they go.
        sources: What the user typed; with several, a column "source" comes first.
        columns: Columns to print, in this order; empty means all.
        sort: Column to sort the rows of each source by.
        reverse: The last one first.
    """

    def __init__(
        self,
        output: Output,
        sources: Sequence[str],
        columns: Sequence[str] = (),
        *,
        sort: str | None = None,
        reverse: bool = False,
    ) -> None:
        self._output = output
        self._several = len(sources) > 1
        self._columns = columns
        self._sort = sort
        self._reverse = reverse
        self._parts: list[Rows] = []
        self._totals: list[Totals] = []
        self._changed: Checkpoint | None = None

    def add(self, checkpoint: Checkpoint, rows: Rows, totals: Totals | None) -> None:
        """Take the rows of one source, unless its files have changed; `totals` are not needed where the output streams."""
        if checkpoint is self._changed:
            return
        rows = self._arrange(rows, checkpoint.source)
        try:
            if self._output.streams or totals is None:
                self._output.write_rows(rows)
                return
            raise_changed()
        except ChangedError as error:
            self._output.error(error)
            self._changed = checkpoint
            return
        head = {"source": checkpoint.source, "format": checkpoint.format}
        tail = {"totals": totals_object(totals)}
        self._parts.append(rows._replace(head=head, tail=tail, closing=describe_totals(totals)))
        self._totals.append(totals)

    def add_totals(self, checkpoint: Checkpoint, totals: Totals) -> None:
        """Take the totals of one source as its only row."""
        self.add(checkpoint, Rows("totals", TOTALS, [totals]), totals)

    def finish(self) -> int:
        """Write what was kept, and what is said at the end; returns the exit status."""
        if self._parts:
            rows = self._parts[0]
            if self._several:
                totals = add_totals(self._totals)
                rows = merge_rows(self._parts, {"totals": totals_object(totals)}, describe_totals(totals))
            self._write(rows)
        self._output.finish()
        return self._output.status

    def _write(self, rows: Rows) -> None:
        if rows.key == "totals" and self._output.format == "json":
            from paraminspect.render.json_rows import render_object

            self._output.write([render_object({**rows.head, **rows.tail})])
        elif rows.key == "totals" and self._output.format == "table" and not self._several:
            self._output.write([rows.closing + "\n"])
        elif rows.values or self._output.format != "table" or self._output.status != NOTHING_MATCHED:
            self._output.write_rows(rows)

    def _arrange(self, rows: Rows, source: str) -> Rows:
        if self._sort and rows.key != "totals":
            rows = rows.sort(self._sort)
        if self._reverse:
            rows = rows.reverse()
        if self._several or "source" in self._columns:
            rows = rows.with_source(source)
        return self._output.pick(rows, self._columns)


def totals_object(totals: Totals) -> dict[str, Any]:
    """Totals under the keys of JSON, which are the columns of `list --total` too."""
    return totals._asdict()


def describe_totals(totals: Totals) -> str:
    """The closing line: "148 tensors, 124,439,808 parameters (1 tied), 475 MiB, float32"."""
    parts = [counted(totals.tensors, "tensor"), counted(totals.parameters, "parameter")]
    if totals.tied:
        parts[1] += f" ({totals.tied:,} tied)"
    if totals.encodings:
        parts[1] += f" in {counted(totals.stored, 'stored element')}"
        parts += totals.encodings
    parts.append("size not known" if totals.nbytes is None else format_bytes(totals.nbytes))
    return ", ".join([*parts, *totals.dtypes])


def cost_rows(cost: Cost, model: Opened, *, total_only: bool) -> Rows:
    """What a model takes, by module, or its totals as the only row."""
    head = {"source": model.source, "format": model.checkpoint.format}
    if total_only:
        return Rows("totals", COST_TOTALS, [cost.totals], head)
    return Rows("modules", COSTS, cost.modules, head, {"totals": cost.totals._asdict()}, describe_cost(cost.totals))


def describe_cost(totals: CostTotals) -> str:
    """The closing lines: parameters and FLOPs, memory of training, memory of inference."""
    lines = [counted(totals.parameters, "parameter")]
    if totals.flops_forward is not None:
        lines[0] += f", {format_flops(totals.flops_forward)} forward"
        lines[0] += f" and {format_flops(totals.flops_backward)} backward" if totals.flops_backward is not None else ""
    held = {"parameters": totals.parameter_bytes, "buffers": totals.buffer_bytes}
    trained = {"gradients": totals.gradient_bytes, totals.optimizer: totals.optimizer_bytes}
    if totals.saved_bytes is not None:
        trained["kept for the way back"] = totals.saved_bytes
    if totals.gradient_bytes is not None:
        lines.append(_describe_sum("training", {**held, **trained}))
    lines.append(_describe_sum("inference", {**held, "keys and values": totals.kv_cache_bytes}))
    return "\n".join(lines)


def _describe_sum(what: str, parts: Mapping[str, int | None]) -> str:
    """Such as "inference: 475 MiB parameters + 12 KiB buffers = 475 MiB"."""
    known = {name: size for name, size in parts.items() if size}
    terms = " + ".join(f"{format_bytes(size)} {name}" for name, size in known.items())
    return f"{what}: {terms} = {format_bytes(sum(known.values()))}" if len(known) > 1 else f"{what}: {terms or '0 B'}"
