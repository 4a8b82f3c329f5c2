"""Specs and factories as sources: from what was typed to a live model. Only when a model is built is torch imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output
from paraminspect.cli.stdin import STDIN, read_spec_text
from paraminspect.errors import ParamInspectError, SourceError, SpecError
from paraminspect.live.build.recognise import recognise_live
from paraminspect.render.rows import Column, Rows

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.build.weights import Mismatch, WeightReport

    Array = np.ndarray[Any, Any]

MISMATCHED = 1
"""Exit status when a checkpoint does not fit the model."""

MAX_MISMATCHES = 60
"""Rows of the table of what does not fit."""

MISMATCHES = (
    Column("name", "name"),
    Column("problem"),
    Column("expected", "shape"),
    Column("found", "shape"),
    Column("note", dull=""),
)


def open_model(
    source: str,
    build: Build,
    output: Output,
    *,
    values: bool = False,
    seed: int = 0,
    max_bytes: int | None = None,
) -> LiveModel | None:
    """Build the model; None if its weights do not fit and that is not allowed, which has then been said.

    A spec is read before torch is imported: what is wrong with it is said at once.

    Args:
        source: A spec or factory.
        build: How it is built.
        output: Takes what is to be said about the weights, and its exit status.
        values: Whether values are asked for: a factory is then built in memory.
        seed: Of default initialisation.
        max_bytes: Build a spec in memory too, of at most so many bytes; None leaves it on the meta device.

    Raises:
        ParamInspectError: It cannot be built.
    """
    import gc

    gc.enable()  # models are full of cycles
    text = read_spec_text() if source == STDIN else None
    kind = "spec" if text is not None else recognise_live(source)
    variables = parse_definitions(build.define)
    for name in ("strip_prefix", "add_prefix", "allow_mismatch"):
        if getattr(build, name) and not build.weights:
            raise ParamInspectError(f"--{name.replace('_', '-')} without --weights", hint="--weights CHECKPOINT")
    if kind == "spec":
        _check_spec(source, text, variables)
    from paraminspect.architecture.expand import MAX_MODEL_BYTES
    from paraminspect.live.build.live_model import open_live

    in_memory = max_bytes is not None or (values and kind == "factory")
    live = open_live(
        source,
        text=text,
        variables=variables or None,
        modules_file=build.modules_file or None,
        arguments=build.arguments,
        device="cpu" if in_memory else "meta",
        seed=seed,
        weights=build.weights or None,
        strip_prefix=build.strip_prefix,
        add_prefix=build.add_prefix,
        max_bytes=MAX_MODEL_BYTES if max_bytes is None else max_bytes,
    )
    if live.weights is not None and not _report_weights(live.weights, build, output):
        return None
    return live


def parse_definitions(texts: Sequence[str]) -> dict[str, str | int | float | bool]:
    """`name=value` texts.

    Raises:
        ParamInspectError: No `=`, or a name twice.
    """
    variables: dict[str, str | int | float | bool] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ParamInspectError(f"-D {text!r}; expected name=value", hint="-D dim=128")
        if name.strip() in variables:
            raise ParamInspectError(f"-D {name.strip()} is given twice")
        variables[name.strip()] = value
    return variables


def tensor_array(tensor: Tensor) -> Array:
    """A tensor of any device as an array, with the same numbers.

    Raises:
        SourceError: numpy has nothing for it: a sparse or quantised tensor.
    """
    from paraminspect.values.dtypes import is_foreign, numpy_dtype

    name, layout = str(tensor.dtype).removeprefix("torch."), str(tensor.layout).removeprefix("torch.")
    dtype = numpy_dtype(name)
    if dtype is None or layout != "strided":
        raise SourceError(f"a tensor of {name} ({layout}) has no plain values")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if is_foreign(dtype):  # its bits, which torch hands over as integers
        import torch

        return plain.contiguous().view(torch.int16 if dtype.itemsize == 2 else torch.uint8).numpy().view(dtype)
    array: Array = plain.numpy()
    return array


def _check_spec(source: str, text: bytes | None, variables: dict[str, str | int | float | bool]) -> None:
    """Find what is wrong with a spec as far as it shows without torch."""
    from paraminspect.architecture.expand import plan_model
    from paraminspect.architecture.parse import parse_spec
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES

    if text is None:
        with open(source, "rb") as file:
            text = file.read(MAX_SPEC_BYTES + 1)
    try:
        plan_model(parse_spec(text, source=source, overrides=variables))
    except SpecError as error:
        error.source = error.source or source
        raise


def _report_weights(report: WeightReport, build: Build, output: Output) -> bool:
    """Say what became of the weights; whether to go on."""
    total = len(report.loaded)
    if report.converted:
        output.note(f"{len(report.converted):,} of {total:,} tensors of {build.weights} have another dtype: converted")
    if not report.mismatches:
        return True
    what = describe_mismatches(report.mismatches, total)
    if build.allow_mismatch:
        output.note(f"{build.weights}: {what}")
        return True
    output.report(mismatch_rows(report.mismatches))
    output.status = max(output.status, MISMATCHED)
    output.note(f"{build.weights} does not fit: {what}; --allow-mismatch goes on with what does")
    if report.hint:
        output.note(f"most names would fit with {report.hint}")
    return False


def mismatch_rows(mismatches: Sequence[Mismatch]) -> Rows:
    """The table of what does not fit."""
    values = [(each.name, each.problem, each.expected, each.found, each.note or None) for each in mismatches]
    more = len(values) - MAX_MISMATCHES
    return Rows("mismatches", MISMATCHES, values[:MAX_MISMATCHES], closing=f"and {more:,} more" if more > 0 else "")


def describe_mismatches(mismatches: Sequence[Mismatch], loaded: int) -> str:
    """Such as "3 missing, 1 unexpected, 12 loaded"."""
    counts: dict[str, int] = {}
    for each in mismatches:
        counts[each.problem] = counts.get(each.problem, 0) + 1
    words = {"shape": "of another shape", "tie": "tied in the model only"}
    return ", ".join([*(f"{count:,} {words.get(word, word)}" for word, count in counts.items()), f"{loaded:,} loaded"])
