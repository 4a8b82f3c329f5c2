"""What the values of tensors say: not finite, or never set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from paraminspect.checks.codes import find, worst
from paraminspect.engines.pool import Pool
from paraminspect.errors import MalformedError, ParamInspectError, TruncatedError
from paraminspect.names.listing import is_shown
from paraminspect.records import TensorRecord
from paraminspect.summaries import Finding, Severity
from paraminspect.text import counted, join_words
from paraminspect.values.collecting import collect
from paraminspect.values.decode import Numbers
from paraminspect.values.stats import TensorStats

_FAULTS: Final = ((TruncatedError, "truncated"), (MalformedError, "malformed"))

INFINITE_AT_FIRST: Final = frozenset(
    {"kth_value", "best_model_score", "best_score", "current_score", "best_metric", "min_val", "max_val"}
)
"""State of Lightning's callbacks and of observers of quantisation, which is infinite until there is a better value."""

BEGINS_AT_ZERO: Final = re.compile(
    r"lora_B|lora_up|lora_embedding_B|\bcontrolnet_|zero_conv|zero_module|adaLN|ada_ln|to_out_ip|proj_out|\bgate\b"
)
"""Weights that are zero until the first step: of adapters, and of what is added to a trained network."""

MAX_TOLD: Final = 50
"""Tensors that one kind of finding names."""


def check_values(
    records: Sequence[TensorRecord],
    open_: Callable[[TensorRecord], Numbers],
    advance: Callable[[int], None] = lambda _: None,
    pool: Pool | None = None,
) -> Iterator[Finding]:
    """Findings that need all values, read a piece at a time.

    Args:
        open_: Gives the numbers of a tensor.
        advance: Is told of every so many bytes that are read.
        pool: Who reads them; None for this thread.
    """
    distinct = list(stored_once(records))
    norms: dict[str, dict[str, TensorStats]] = {}
    found: list[Finding] = []
    for record, row in zip(distinct, collect(([each] for each in distinct), open_, advance, pool), strict=True):
        found += [find(_code_of(failure.error), record.name, failure.error.message) for failure in row.failures]
        if row.stats is None:
            continue
        found += _judge(record, row.stats)
        module, _, last = record.name.rpartition(".")
        if last in ("running_mean", "running_var", "num_batches_tracked"):
            norms.setdefault(module, {})[last] = row.stats
    found += [
        find("norm-untouched", module, "running mean 0 and variance 1 throughout: no batch was ever seen")
        for module, each in norms.items()
        if _is_untouched(each)
    ]
    yield from _at_most(found)


def _code_of(error: ParamInspectError) -> str:
    """What it says of a file that values cannot be read: damage, or a kind that this program cannot decode."""
    return next((code for kind, code in _FAULTS if isinstance(error, kind)), "not-checked")


def stored_once(records: Iterable[TensorRecord]) -> Iterator[TensorRecord]:
    """The tensors that `check_values` reads: each stored one once, whatever its names."""
    seen = set()
    for record in records:
        key = (id(record.storage), record.offset, record.shape, record.stride) if record.storage is not None else None
        if not record.declared and (key is None or key not in seen):
            seen.add(key)
            yield record.as_stored  # scales that are no numbers are found where they are


def _judge(record: TensorRecord, stats: TensorStats) -> Iterator[Finding]:
    last = record.name.rpartition(".")[2]
    if stats.nan or (stats.inf and last not in INFINITE_AT_FIRST):
        parts = [f"{number:,} {what}" for number, what in ((stats.nan, "NaN"), (stats.inf, "infinite")) if number]
        message = f"{join_words(parts)} of {counted(stats.count, 'value')}"
        # masks of attention are infinite on purpose, and so is the one number with which ONNX fills them
        mask = record.kind == "buffer" or "mask" in record.name.rpartition(".")[2]
        mask = mask or (record.numel == 1 and record.kind == "tensor")
        yield find("not-finite", record.name, message, severity="warning" if mask and not stats.nan else None)
    if not is_shown(record) or not last.startswith(("weight", "kernel")):
        return
    if stats.count and stats.zeros == stats.count:
        # gains of norms begin at zero where a branch is to begin as nothing
        quiet = len(record.shape or ()) < 2 or BEGINS_AT_ZERO.search(record.name)
        severity: Severity | None = "info" if quiet else None
        yield find("all-zero", record.name, f"all {counted(stats.count, 'value')} are 0", severity=severity)
    elif "constant" in stats.problems and len(record.shape or ()) > 1:
        yield find("constant", record.name, f"all {counted(stats.count, 'value')} are {stats.min:.6g}")


def _is_untouched(norm: dict[str, TensorStats]) -> bool:
    """Whether the statistics are those of a norm that was just made."""
    mean, variance, batches = (norm.get(key) for key in ("running_mean", "running_var", "num_batches_tracked"))
    if mean is None or variance is None or not mean.count or (batches is not None and batches.max):
        return False
    return bool(mean.zeros == mean.count and variance.min == variance.max == 1)


def _at_most(found: Sequence[Finding]) -> Iterator[Finding]:
    """The findings, of each kind no more than MAX_TOLD."""
    told: dict[str, int] = {}
    for finding in found:
        told[finding.code] = told.get(finding.code, 0) + 1
        if told[finding.code] <= MAX_TOLD:
            yield finding
    for code, count in told.items():
        if count > MAX_TOLD:
            more = f"{count - MAX_TOLD:,} more tensors like these"
            yield find(code, "", more, severity=worst(each for each in found if each.code == code))
