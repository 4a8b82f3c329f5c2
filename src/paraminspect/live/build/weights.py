"""Loading a checkpoint into a live model, and saying what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from paraminspect.errors import CheckpointError, LimitExceededError, TruncatedError
from paraminspect.live.build.stored import StoredTensors, by_name
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.tied.shared_bytes import find_canonical
from paraminspect.values.stored_bytes import is_same_tensor

Problem = Literal["missing", "unexpected", "shape", "tie", "unreadable"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A name that does not fit.

    Attributes:
        name: As the model has it; of an unexpected one, as the checkpoint has it (prefix stripped).
        problem: "missing": the checkpoint does not have it; "unexpected": the model does not; "shape": both do, in
            other shapes; "tie": one tensor in the model, two of different values in the checkpoint; "unreadable": of a
            type or in a place that cannot be loaded.
        expected: Shape in the model; None where it has none.
        found: Shape in the checkpoint; None where it has none.
        note: More, in words; of a tie, the other name.
    """

    name: str
    problem: Problem
    expected: tuple[int, ...] | None = None
    found: tuple[int, ...] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class WeightReport:
    """What became of a checkpoint.

    Attributes:
        loaded: Names that fit, with the stored tensor; on the meta device nothing is copied.
        mismatches: The others: missing and misshapen ones in the model's order, then those that are unexpected.
        converted: Names whose dtype differs, of those that fit: the model's is kept.
        hint: The next step, where one is plain.
    """

    loaded: Mapping[str, TensorRecord]
    mismatches: tuple[Mismatch, ...]
    converted: tuple[str, ...] = ()
    hint: str | None = None

    def describe(self) -> str:
        """Such as "3 missing, 1 unexpected, 12 loaded"."""
        counts = Counter(each.problem for each in self.mismatches)
        parts = [f"{count:,} {_WORDS.get(problem, problem)}" for problem, count in counts.items()]
        return ", ".join([*parts, f"{len(self.loaded):,} loaded"])


_WORDS: Mapping[str, str] = {"shape": "of another shape", "tie": "tied in the model only"}


def load_weights(
    model: nn.Module, checkpoint: Checkpoint, *, strip_prefix: str = "", add_prefix: str = ""
) -> WeightReport:
    """Copy what fits from a checkpoint into a model.

    Persistent buffers count like parameters. A tied tensor that the checkpoint has under one of its names is not
    missing under the others.

    Args:
        model: Parameters on the meta device are compared but not filled; values are then only read where the model
            ties what the checkpoint stores apart.
        strip_prefix: Taken off those names of the checkpoint that begin with it.
        add_prefix: Then put before all of them.

    Raises:
        TruncatedError: The file has become shorter.
    """
    stored = {add_prefix + name.removeprefix(strip_prefix): record for name, record in by_name(checkpoint).items()}
    wanted = {name: each for name, each in model.state_dict(keep_vars=True).items() if isinstance(each, Tensor)}
    loader = _Loader(StoredTensors(), stored)
    for name, tensor in wanted.items():
        loader.load(name, tensor)
    mismatches = loader.finish(wanted)
    mismatches += [
        Mismatch(name, "unexpected", found=record.shape) for name, record in stored.items() if name not in wanted
    ]
    hint = _suggest_prefix(wanted, stored) if len(loader.loaded) < len(mismatches) else None
    return WeightReport(loader.loaded, tuple(mismatches), tuple(loader.converted), hint)


class _Loader:
    def __init__(self, reader: StoredTensors, stored: Mapping[str, TensorRecord]) -> None:
        self.reader = reader
        self.stored = stored
        self.loaded: dict[str, TensorRecord] = {}
        self.converted: list[str] = []
        self._filled: dict[int, str] = {}
        self._problems: dict[str, Mismatch] = {}

    def load(self, name: str, tensor: Tensor) -> None:
        record = self.stored.get(name)
        if record is None:
            return
        expected = tuple(tensor.shape)
        if record.shape != expected:
            self._problems[name] = Mismatch(name, "shape", expected, record.shape)
            return
        if record.dtype.startswith("complex") and not tensor.is_complex():
            dtype = str(tensor.dtype).removeprefix("torch.")
            note = f"{record.dtype}, whose imaginary parts have no place in {dtype}"
            self._problems[name] = Mismatch(name, "unreadable", expected, record.shape, note)
            return
        first = self._filled.get(id(tensor))
        if first is not None:
            self._check_tie(name, first, record, tensor)
            return
        if not tensor.is_meta and (problem := self._copy(record, tensor)):
            self._problems[name] = Mismatch(name, "unreadable", expected, record.shape, problem)
            return
        self._filled[id(tensor)] = name
        self.loaded[name] = record
        if f"torch.{record.dtype}" != str(tensor.dtype):
            self.converted.append(name)

    def _copy(self, record: TensorRecord, tensor: Tensor) -> str | None:
        """What is wrong with the stored values, None if they were copied."""
        try:
            values = self.reader.read(record)
        except TruncatedError:
            raise
        except (CheckpointError, LimitExceededError) as error:
            return error.message
        if values.shape != tensor.shape:
            return f"{record.dtype} holds several numbers in each element"
        with torch.no_grad():
            tensor.copy_(values)
        return None

    def _check_tie(self, name: str, first: str, record: TensorRecord, tensor: Tensor) -> None:
        """A second tensor for what is one in the model: fine if it is the same, or of the same values."""
        shape = tuple(tensor.shape)
        try:
            if self._has_values_of(record, self.stored[first], tensor.dtype):
                self.loaded[name] = record
            else:
                self._problems[name] = Mismatch(name, "tie", shape, record.shape, f"tied to {first} in the model")
        except TruncatedError:
            raise
        except (CheckpointError, LimitExceededError) as error:
            if tensor.is_meta:  # as everything else that is not looked at
                self.loaded[name] = record
            else:
                self._problems[name] = Mismatch(name, "unreadable", shape, record.shape, error.message)

    def _has_values_of(self, record: TensorRecord, other: TensorRecord, dtype: torch.dtype) -> bool:
        """Whether two stored tensors of one shape are the same: in their bytes, or converted to `dtype` if theirs differ."""
        is_one = record.storage is not None and find_canonical([other, record])[1] == 0
        if is_one and is_same_tensor(record, other):
            return True
        one, two = self.reader.read(record), self.reader.read(other)
        if one.dtype != two.dtype:
            return torch.equal(one.to(dtype), two.to(dtype))
        return torch.equal(*(values.contiguous().reshape(-1).view(torch.uint8) for values in (one, two)))

    def finish(self, wanted: Mapping[str, Tensor]) -> list[Mismatch]:
        """Problems in the model's order, the missing names among them."""
        mismatches = []
        for name, tensor in wanted.items():
            if name in self._problems:
                mismatches.append(self._problems[name])
            elif name not in self.stored and id(tensor) not in self._filled:
                mismatches.append(Mismatch(name, "missing", expected=tuple(tensor.shape)))
        return mismatches


def _suggest_prefix(wanted: Mapping[str, Tensor], stored: Mapping[str, TensorRecord]) -> str | None:
    """The prefix that one side has and the other has not, if most names then agree."""
    stripped = _common_prefix(stored, wanted)
    if stripped:
        return f"--strip-prefix {stripped}"
    return f"--add-prefix {added}" if (added := _common_prefix(wanted, stored)) else None


def _common_prefix(names: Mapping[str, object], others: Mapping[str, object]) -> str | None:
    """The prefix without which most of `names` are among `others`."""
    endings: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in others:
                endings[".".join(parts[:cut]) + "."] += 1
                break
    best = endings.most_common(1)
    return best[0][0] if best and 2 * best[0][1] > len(names) else None
