"""What initialisation and backward passes did to the tensors of a live model, and what its passes take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from paraminspect.tuples import NamedTuple

SEEDS: Final = 2
"""Which way from seeds to values (`live.build.seeds`) this is, as JSON says it; another way is another number."""


class InitStep(NamedTuple):
    """What one rule did to one tensor, or to a part of it, or would do.

    Attributes:
        name: Canonical dotted name, the same for a tensor and its parts.
        shape: (d0, ..., dn) of the tensor or, where `arguments` has a `part`, of that part.
        rule: Number of the rule that won, from 1 in the order in which rules apply; None where no rule matches.
        initializer: Its name ("normal", "add", "keep"); "" where no rule matches.
        arguments: Resolved numbers and words by name, those that follow from the fans (`std`, `bound`) among them,
            and `chunks` and `part` ("1/4") where they were written.
        fan_in: Of the tensor, or of one chunk of it; None where it has fewer than two dimensions.
        fan_out: The same.
        mean: Of the values that the tensor or the part has in the end, as they are stored; None before they are drawn, and of no values.
        std: With Bessel's correction, as torch.std; None for fewer than two values.
        min: Least finite value.
        max: Greatest finite value.
        note: Remarks, with "; " between them.
    """

    name: str
    shape: tuple[int, ...]
    rule: int | None = None
    initializer: str = ""
    arguments: Mapping[str, int | float | bool | str] = {}
    fan_in: int | None = None
    fan_out: int | None = None
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    note: str = ""


GradState = Literal["none", "zero", "nan", "inf", "frozen", "ok"]
"""What came of a parameter in a backward pass: a gradient; one of zeros only; none at all, though it was wanted; none
wanted (requires_grad is False); one with elements that are not numbers, or infinite."""


class UseRecord(NamedTuple):
    """One place where a forward pass uses a parameter.

    Attributes:
        module: Path of the module at work, "" for the model itself.
        op: Operation, as autograd calls it ("addmm", "embedding").
        norm: Euclidean norm of this use's part of the gradient; None where parts were not asked for.
        cosine: Between the part and the whole gradient, in [-1, 1]; None where one of them is zero or not known.
    """

    module: str
    op: str
    norm: float | None = None
    cosine: float | None = None


class GradRecord(NamedTuple):
    """The gradient of one parameter, of one backward pass or over several.

    Attributes:
        name: Canonical, as `named_parameters()` gives it.
        shape: (d0, ..., dn), () for a scalar.
        state: Over several passes the worst: "nan" before "inf" before "ok"; "zero" and "none" only if always so.
        norm: Euclidean; over several passes their mean. None without a gradient, as all numbers below.
        max_abs: Largest absolute value; over several passes of all of them.
        zero_fraction: Share of elements that are exactly zero, 0 to 1; over several passes their mean.
        norm_ratio: Norm of the gradient over the norm of the parameter; None too where that is zero.
        uses: In the order of the forward pass (over several passes, of the first).
        reason: Why the state is what it is, in words; None where it is "ok" or not known.
        norm_std: Standard deviation of the norm over several passes; None for one.
        untouched: Slices along dimension 0 (rows of an embedding) that no pass gave a gradient; None for one pass.
    """

    name: str
    shape: tuple[int, ...]
    state: GradState
    norm: float | None = None
    max_abs: float | None = None
    zero_fraction: float | None = None
    norm_ratio: float | None = None
    uses: tuple[UseRecord, ...] = ()
    reason: str | None = None
    norm_std: float | None = None
    untouched: int | None = None


class ModuleCost(NamedTuple):
    """What one module takes, those that it calls included.

    Attributes:
        name: Dotted path, "" for the outermost.
        type: Dotted class; None where the file does not say.
        parameters: Elements of its parameters, each tensor counted once.
        output_shape: Of the first tensor that it returns, the first time; None of a module that does not run.
        flops_forward: Floating-point operations of the forward pass; a multiplication and an addition are two.
        flops_backward: Of the backward pass; None where there is none, as above.
        saved_bytes: Of what is kept for the backward pass, parameters and buffers apart, each storage once.
    """

    name: str
    type: str | None
    parameters: int
    output_shape: tuple[int, ...] | None = None
    flops_forward: int | None = None
    flops_backward: int | None = None
    saved_bytes: int | None = None


class CostTotals(NamedTuple):
    """What a model takes. Numbers are None where they are not known.

    Attributes:
        parameters: Elements, a tied tensor counted once.
        parameter_bytes: Of the type that is asked for, or as they are.
        buffer_bytes: The same of buffers.
        gradient_bytes: One gradient for each parameter that trains.
        optimizer: Whose state is counted.
        optimizer_bytes: Of its state for these.
        saved_bytes: As of `ModuleCost`, of the whole model.
        training_bytes: The sum of these.
        kv_cache_bytes: Keys and values of a decoder; of a config only.
        inference_bytes: Parameters, buffers, and keys and values.
        flops_forward: As of `ModuleCost`, of the whole model.
        flops_backward: The same.
    """

    parameters: int
    parameter_bytes: int | None
    buffer_bytes: int | None
    gradient_bytes: int | None
    optimizer: str
    optimizer_bytes: int | None
    saved_bytes: int | None
    training_bytes: int | None
    kv_cache_bytes: int | None
    inference_bytes: int | None
    flops_forward: int | None
    flops_backward: int | None


class Cost(NamedTuple):
    """What a model takes, and what each of its modules does.

    Attributes:
        modules: The outermost first, each before those inside it.
        notes: Remarks, one line each: what is not counted, which kernels were taken.
    """

    modules: tuple[ModuleCost, ...]
    totals: CostTotals
    notes: tuple[str, ...] = ()
