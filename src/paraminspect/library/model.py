"""What `open` returns: a source, opened, and its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from paraminspect.errors import SelectionError
from paraminspect.files.seen import reading
from paraminspect.limits import one_run
from paraminspect.names.listing import Listing, make_listing, total
from paraminspect.names.selector import make_filter
from paraminspect.records import Checkpoint, TensorRecord, TieGroup
from paraminspect.render.columns import TENSORS
from paraminspect.render.rows import telling
from paraminspect.text import counted, escape_text

if TYPE_CHECKING:
    import numpy as np

    from paraminspect.library.report import Report
    from paraminspect.models.asked import Asked
    from paraminspect.models.open import Opened
    from paraminspect.values.stats import TensorStats

Word = TypeVar("Word")

KEYS = tuple(column.name for column in TENSORS)
"""Of a row, as `list` prints it."""

SHOWN_ROWS = 60
"""Of a notebook's table; the line below says how many there are."""


class Tensor:
    """One tensor of a model: what its header says, and its values on request.

    Attributes:
        record: All that is known of it.
        tied_to: Canonical name, where it is known by an earlier one too; None elsewhere.
    """

    __slots__ = ("_opened", "record", "tied_to")

    def __init__(self, opened: Opened, record: TensorRecord, tied_to: str | None = None) -> None:
        self._opened = opened
        self.record = record
        self.tied_to = tied_to

    @property
    def name(self) -> str:
        """Dotted, as the file or the model has it."""
        return self.record.name

    @property
    def shape(self) -> tuple[int, ...] | None:
        """(d0, ..., dn) row-major, () for a scalar; None where it is ragged."""
        return self.record.shape

    @property
    def dtype(self) -> str:
        """Torch's name; a GGUF block type its own ("q4_k")."""
        return self.record.dtype

    @property
    def numel(self) -> int:
        """Number of elements."""
        return self.record.numel

    @property
    def nbytes(self) -> int | None:
        """As stored; None where that is not known."""
        return self.record.nbytes

    @one_run
    def numpy(self) -> np.ndarray[Any, Any]:
        """All values, of its shape; bfloat16 and float8 by ml_dtypes.

        Quantised ones are the numbers that they stand for: float32, or of the shape and type of `record.as_meant`.

        Raises:
            ParamInspectError: They cannot be had: sparse, damaged, not decoded yet; the file has changed since it was
                opened.
        """
        self._opened.count_files()
        with reading(self._opened.seen):
            return self._opened.array(self.record)

    @one_run
    def stats(self) -> TensorStats:
        """Statistics of its values, read a piece at a time.

        Raises:
            ParamInspectError: As `numpy`.
        """
        from paraminspect.values.stats import summarise

        self._opened.count_files()
        with reading(self._opened.seen):
            return summarise(self._opened.numbers(self.record)).stats()

    def to_dict(self) -> dict[str, Any]:
        """The row that `paraminspect list -f json` prints."""
        record = self.record
        own: dict[str, Any] = {"tied_to": self.tied_to, "encoding": record.encoding_label}
        row: dict[str, Any] = {key: own[key] if key in own else getattr(record, key) for key in KEYS}
        shapes = {key: None if row[key] is None else list(row[key]) for key in ("shape", "logical_shape")}
        return {**row, **shapes}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.dtype}, {_shape(self.shape)})"


class Model:
    """A source, opened: its tensors, what it says of itself, and what can be asked of it.

    Each tensor comes once, as in `paraminspect list`: no buffers, no optimizer state, a tied tensor under its first
    name. By name every tensor is found, aliases, buffers and optimizer state included.

    Attributes:
        checkpoint: What the headers of a file say, or the records of a live model.
        opened: What reads or draws its values.
        asked: How it was opened.
    """

    def __init__(self, opened: Opened, asked: Asked, listing: Listing | None = None) -> None:
        self.opened = opened
        self.asked = asked
        self.checkpoint: Checkpoint = opened.checkpoint
        self._chosen = listing
        self._by_name: dict[str, TensorRecord] | None = None

    @property
    def source(self) -> str:
        """What was given; the class of a module."""
        return self.checkpoint.source

    @property
    def format(self) -> str:
        """Such as "safetensors", "torch zip", "spec"."""
        return self.checkpoint.format

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself, in its own words, which are untrusted."""
        return self.checkpoint.metadata

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks, one line each."""
        return self.checkpoint.notes

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that were read."""
        return self.checkpoint.files

    @property
    def tensors(self) -> Sequence[TensorRecord]:
        """Records of every name, in the order of the file."""
        return self.checkpoint.tensors

    @one_run
    def select(
        self, *select: str, exclude: Sequence[str] = (), everything: bool = False, aliases: bool = False
    ) -> Model:
        """The same source with only some of its tensors.

        Args:
            select: Globs, /REGEX/ or TYPE:glob, any of which must match; none for all.
            exclude: The same, none of which may match.
            everything: Buffers, optimizer state and whatever else has a record, too.
            aliases: Every name of a tied tensor.

        Raises:
            SelectionError: A selector cannot be parsed.

        Example:
            >>> open("gpt2.pt").select("*attn*", exclude=["*.bias"])
            Checkpoint(gpt2.pt, torch zip, 24 tensors, 28,311,552 parameters)
        """
        self.opened.count_files()
        keep = make_filter(select, several(exclude)) if select or exclude else None
        listing = make_listing(self.checkpoint.tensors, keep=keep, everything=everything, aliases=aliases)
        return Model(self.opened, self.asked, listing)

    @one_run
    def ties(self) -> list[TieGroup]:
        """Every tie of the source, buffers and optimizer state included; see `paraminspect.ties`."""
        from paraminspect.sharing.find import Source, find_in, open_stored

        self.opened.count_files()
        if self.opened.is_live:
            return find_in(Source(self.checkpoint.tensors)).groups
        with reading(self.opened.seen):
            return find_in(open_stored(self.checkpoint, everything=True)).groups

    @one_run
    def stats(self) -> dict[str, TensorStats]:
        """Statistics of each tensor by its name; see `paraminspect.stats`."""
        self.opened.expect(self._listing.records)
        return {tensor.name: tensor.stats() for tensor in self}

    @one_run
    def report(self, *, values: bool = True) -> Report:
        """One page of all there is to say of it, which a notebook shows; see `paraminspect.report`."""
        from paraminspect.library.report import report_models

        self.opened.count_files()
        return report_models([self.opened], values=values)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows that `paraminspect list -f json` prints; pandas and polars make a frame of them."""
        return [tensor.to_dict() for tensor in self]

    def __len__(self) -> int:
        return len(self._listing.records)

    def __iter__(self) -> Iterator[Tensor]:
        listing = self._listing
        for index, record in enumerate(listing.records):
            yield Tensor(self.opened, record, listing.tied_to.get(index))

    def __contains__(self, name: object) -> bool:
        return (name.name if isinstance(name, Tensor) else name) in self._names

    def __getitem__(self, name: str) -> Tensor:
        record = self._names.get(name)
        if record is None:
            from paraminspect.names.suggestions import closest

            hint = closest(name, self._names) if isinstance(name, str) else None
            raise SelectionError(f"there is no tensor {name!r}", hint=hint, source=self.source)
        return Tensor(self.opened, record)

    def __repr__(self) -> str:
        word = "Model" if self.opened.is_live else "Checkpoint"
        return f"{word}({_base(self.source)}, {self._summary()})"

    def _repr_html_(self) -> str:
        from html import escape

        shown = [tensor.to_dict() for tensor, _ in zip(self, range(SHOWN_ROWS), strict=False)]
        keys = [KEYS[place] for place in telling(TENSORS, lambda place: (row[KEYS[place]] for row in shown))]
        head = "".join(f"<th>{key}</th>" for key in keys)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(_cell(row[key]))}</td>' for key in keys)}</tr>" for row in shown)
        more = f" ({len(self) - len(shown):,} more)" if len(self) > len(shown) else ""
        caption = escape(escape_text(f"{self.source}: {self._summary()}"))
        return f"<table><caption>{caption}{more}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    @property
    def _listing(self) -> Listing:
        if self._chosen is None:
            self._chosen = make_listing(self.checkpoint.tensors)
        return self._chosen

    @property
    def _names(self) -> Mapping[str, TensorRecord]:
        """The first record of each name."""
        if self._by_name is None:
            self._by_name = {}
            for record in self.checkpoint.tensors:
                self._by_name.setdefault(record.name, record)
        return self._by_name

    def _summary(self) -> str:
        totals = total(self._listing)
        tied = f" ({totals.tied:,} tied)" if totals.tied else ""
        return f"{self.format}, {counted(totals.tensors, 'tensor')}, {counted(totals.parameters, 'parameter')}{tied}"


def _cell(value: Any) -> str:
    """What a notebook shows of a value."""
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else escape_text(str(value))


def _base(source: str) -> str:
    """The last part of a path or URL, as one printable word."""
    return escape_text(source.rstrip("/").rpartition("/")[2] or source)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "ragged" if shape is None else str(list(shape))


def several(words: str | Sequence[Word]) -> tuple[str | Word, ...]:
    """What was given as one word, which is no sequence of letters, or as several."""
    return (words,) if isinstance(words, str) else tuple(words)
