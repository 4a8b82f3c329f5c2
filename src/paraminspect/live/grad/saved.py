"""What a node of autograd's graph kept of the forward pass, and what that says of a gradient that is lost in it.

A node is asked in a hook of its own, while its saved tensors are there. What is said has been checked on them: that a
weight is zero, that a derivative is zero at each value, that a mask covers everything. Of other nodes only that the
gradient becomes zero there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.checkpoint import CheckpointFunction

from paraminspect.live.build.describe import iter_tensors
from paraminspect.live.grad.flow import Leak
from paraminspect.live.grad.uses import operation_of

MAX_PRODUCT: Final = 1 << 24
"""Elements of a factor up to which a product of matrices is taken again in float64."""

FACTORS: Mapping[str, Mapping[int, str]] = {
    "mul": {0: "other", 1: "self"},
    "mm": {0: "mat2", 1: "self"},
    "addmm": {1: "mat2", 2: "mat1"},
    "bmm": {0: "mat2", 1: "self"},
    "baddbmm": {1: "batch2", 2: "batch1"},
    "mv": {0: "vec", 1: "self"},
    "addmv": {1: "vec", 2: "mat"},
    "dot": {0: "tensor", 1: "self"},
    "linear": {0: "weight", 1: "input"},
    "mkldnn_linear": {0: "weight", 1: "input"},
    "convolution": {0: "weight", 1: "input"},
    "mkldnn_convolution": {0: "weight", 1: "self"},
    "addcmul": {1: "tensor2", 2: "tensor1"},
    "native_batch_norm": {0: "weight"},
    "cudnn_batch_norm": {0: "weight"},
    "native_layer_norm": {0: "weight"},
    "native_group_norm": {0: "weight"},
    "fused_rms_norm": {0: "weight"},
    "prelu_kernel": {0: "weight"},
}
"""By operation and input: the saved tensor that its gradient is multiplied by."""

MATRICES = {"mm": 0, "addmm": 1, "bmm": 0, "baddbmm": 1}
"""Products of matrices, and which input is the left factor."""

STEPS = frozenset({"round", "sign", "sgn", "floor", "ceil", "trunc"})
RECTIFIERS = frozenset({"relu", "threshold", "leaky_relu", "rrelu_with_noise"})
BOUNDED = frozenset({"clamp", "clamp_min", "clamp_max", "hardtanh", "hardshrink", "softshrink"})
SATURATING = frozenset({
    "sigmoid", "tanh", "hardsigmoid", "hardswish", "log_sigmoid_forward", "elu", "softplus", "gelu", "silu", "mish", "erf",
})  # fmt: skip
OTHERS = frozenset({"pow", "abs", "exp", "sin", "cos", "sqrt", "log", "log1p", "expm1", "reciprocal", "rsqrt"})

OVERWRITING = frozenset({"fill", "zero", "copy_backwards", "index_put", "scatter", "masked_scatter", "slice_scatter"})
"""Operations that put something else in the place of their first input, or of part of it."""

JOINING = frozenset({"cat", "stack", "index_put", "slice_scatter", "scatter", "masked_scatter"})
"""Operations that take each input as a part of what they give."""

COMPARING = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})

ADDING = frozenset({"add", "sub", "rsub", "expand", "repeat", "addmm", "convolution", "linear"})
"""Operations whose gradient is, for an input that they repeat, a sum over the repetitions."""

BIAS = {"addmm": 0, "convolution": 2, "linear": 2}

_SOFTMAXES = frozenset({"softmax", "safe_softmax", "log_softmax"})

SHRINKING = frozenset({"mean", "to_copy"})
"""Operations whose gradient is what arrives, rounded to another type or shared out: zero only if that underflows."""

SINGULAR = {
    "sqrt": "result",
    "log": "self",
    "div": "other",
    "pow": "self",
    "linalg_vector_norm": "result",
    "norm": "result",
}
"""Operations without a derivative at zero, and what of them is zero there."""


class Explainer:
    """Says in words what a node that loses a gradient, or breaks it, has done.

    Args:
        model: Whose tensors are named.
        path_of: The module that made a node.
    """

    def __init__(self, model: nn.Module, path_of: Callable[[Node], str]) -> None:
        self._path_of = path_of
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._names: dict[object, str] = {}
        for each in iter_tensors(model):
            self._names.setdefault(_bytes_of(each.tensor), each.name)

    def explain(self, leak: Leak) -> str:
        """What to say of a node; "" where that is not known."""
        at = self.at(leak.node)
        if type(leak.node) is CheckpointFunction._backward_cls:
            return ""
        with torch.no_grad():
            try:
                if leak.passing == "broken":
                    return f"the gradient of {at} is the first that is not finite{self._breaking(leak)}"
                if _is_function(leak.node):
                    return self._of_function(leak)
                if leak.passing == "none":
                    return f"{at} gives no gradient"
                return self._losing(leak, at) or f"the gradient becomes zero at {at}"
            except RuntimeError:  # its saved tensors are gone, or do not fit
                return f"the gradient becomes zero at {at}"

    def explain_meeting(self, node: Node | None, cancelled: bool) -> str:
        """What to say where gradients arrive and none goes on: their sum is zero, or a hook is at work."""
        if node is None:
            return "the gradients of its uses cancel out" if cancelled else "a hook of its own makes the gradient zero"
        at = self.at(node)
        return f"the gradients that meet at {at} cancel out" if cancelled else f"a hook makes the gradient of {at} zero"

    def at(self, node: Node) -> str:
        """A node by the layer that it is all of, or by operation and module: "1 (ReLU)", "mul in block"."""
        path = self._path_of(node)
        module = self._modules.get(path)
        if module is not None and type(module).__module__.startswith("torch.nn.") and not module._modules:
            return f"{path} ({type(module).__name__})" if path else type(module).__name__
        return f"{_operation(node)} in {path or 'the model'}"

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of a tensor of the model that these numbers are, perhaps transposed."""
        return self._names.get(_bytes_of(tensor))

    def _of_function(self, leak: Leak) -> str:
        name, path = _operation(leak.node), self._path_of(leak.node) or "the model"
        if name.startswith("BackwardHookFunction"):
            return f"a backward hook of a module in {path} makes the gradient zero"
        return f"the backward of {name} in {path} gives {'None' if leak.passing == 'none' else 'zeros'}"

    def _losing(self, leak: Leak, at: str) -> str | None:
        op, made = _operation(leak.node), leak.made[leak.slot]
        if made is not None and not made.numel():
            return f"{at} takes a tensor without elements"
        for look in (self._factor, _elementwise, _probabilities, _normed, _masked, _compared, _summed):
            found = look(leak, op, at)
            if found:
                return found
        return None

    def _factor(self, leak: Leak, op: str, at: str) -> str | None:
        """Of a product: that the other factor is zero, everywhere or where a gradient arrives."""
        other = _saved(leak.node, FACTORS.get(op, {}).get(leak.slot))
        if other is None:
            return None
        module = self._modules.get(self._path_of(leak.node))
        if isinstance(module, _DropoutNd) and not other.any():
            return f"{at} drops everything"
        name = self.name_of(other)
        if not other.any():
            if name is not None:
                return f"{name} is zero, and no gradient passes it"
            if not other.dim():
                return f"{at} is by zero"
            return f"{self._factor_name(leak, at)} is zero for the whole batch"
        given = leak.given[0]
        terms = None if given is None else _terms(op, leak.slot, given, other)
        if terms is None or given is None:
            return None
        if not terms.any():
            return f"{name or self._factor_name(leak, at)} is zero wherever a gradient arrives"
        smallest = torch.finfo(given.dtype).smallest_normal * torch.finfo(given.dtype).eps
        return _underflow(given, at) if terms.max() <= smallest else None

    def _factor_name(self, leak: Leak, at: str) -> str:
        return f"the input of {at}" if at.endswith(")") else f"the other factor of {at}"

    def _breaking(self, leak: Leak) -> str:
        """What is known of a node whose gradient is no number: " (taken at 0)"."""
        for _, tensor in _all_saved(leak.node):
            if (tensor.is_floating_point() or tensor.is_complex()) and not torch.isfinite(tensor).all():
                name = self.name_of(tensor)
                return f" ({name} is not finite)" if name else " (its values in the forward pass are not finite)"
        zero = _saved(leak.node, SINGULAR.get(_operation(leak.node)))
        return " (taken at 0)" if zero is not None and not zero.all() else ""


def _elementwise(leak: Leak, op: str, at: str) -> str | None:
    """Of a function of one number: that its derivative is zero, at every value or at those a gradient arrives at."""
    given = leak.given[0]
    if op not in STEPS | RECTIFIERS | BOUNDED | SATURATING | OTHERS or given is None or leak.slot:
        return None
    whole = not _derivative(leak.node, torch.ones_like(given)).any()
    slope = _derivative(leak.node, (given != 0).to(given.dtype))
    if slope.any():
        return _underflow(given, at) if ((slope != 0) & (given != 0)).any() else None
    where = "for the whole batch" if whole else "wherever a gradient arrives"
    if op in STEPS:
        return f"{at} has a derivative of zero"
    if op in RECTIFIERS:
        return f"{at} is zero {where}"
    if op in BOUNDED:
        return f"what {at} takes is out of its range {where}"
    return f"{at} is saturated {where}" if op in SATURATING else f"the derivative of {at} is zero {where}"


def _derivative(node: Any, given: Tensor) -> Tensor:
    made = node(given)
    found: Tensor = made[0] if isinstance(made, tuple) else made
    return found


def _underflow(given: Tensor, at: str) -> str:
    return f"the gradient underflows {str(given.dtype).removeprefix('torch.')} at {at}"


def _probabilities(leak: Leak, op: str, at: str) -> str | None:
    """Of a softmax: that it gives 0 and 1 only, or that all its elements get the same."""
    given, result = leak.given[0], _saved(leak.node, "result" if op in _SOFTMAXES else None)
    if result is None or given is None:
        return None
    dim = int(leak.node._saved_dim)  # type: ignore[attr-defined]
    dim = dim - (1 << 64) if dim >= 1 << 63 else dim
    if result.shape[dim] == 1:
        return f"{at} is over one element"
    likely = result.exp() if op == "log_softmax" else result
    if bool(((likely == 0) | (likely == 1)).all()):
        return f"{at} is saturated: it gives 0 and 1 only"
    alike = bool((given.amax(dim) == given.amin(dim)).all())
    return f"{at} sums to one, and all its elements get the same gradient" if alike and op != "log_softmax" else None


def _normed(leak: Leak, op: str, at: str) -> str | None:
    """Of a normalisation: that what it takes, or the gradient it gets, is all the same."""
    tensor = leak.given[0] if leak.slot == 0 else _saved(leak.node, "input")
    if op not in ("native_batch_norm", "native_layer_norm") or tensor is None or leak.slot > 1:
        return None
    weight = _saved(leak.node, "weight")
    dims = [dim for dim in range(tensor.dim()) if dim != 1]
    if op == "native_layer_norm":
        dims = list(range(-len(leak.node._saved_normalized_shape), 0))  # type: ignore[attr-defined]
        tensor = tensor * weight if weight is not None and leak.slot == 0 else tensor
    if not bool((tensor.amax(dims) == tensor.amin(dims)).all()):
        return None
    return f"what {at} takes is all the same" if leak.slot else f"{at} takes out a gradient that is all the same"


def _masked(leak: Leak, op: str, at: str) -> str | None:
    """Of a choice: that nothing of this input is taken."""
    if op == "where":
        condition = _saved(leak.node, "condition")
        nothing = condition is not None and not bool((condition if leak.slot == 0 else ~condition).any())
        return f"{at} takes nothing of it" if nothing else f"no gradient reaches what {at} takes of it"
    if op == "masked_fill" and leak.slot == 0:
        mask = _saved(leak.node, "mask")
        return f"{at} covers everything" if mask is not None and bool(mask.all()) else None
    if op == "native_dropout":
        kept = _saved(leak.node, "result1")
        return f"{at} drops everything" if kept is not None and not kept.any() else None
    if op == "embedding":
        indices, padding = _saved(leak.node, "indices"), leak.node._saved_padding_idx  # type: ignore[attr-defined]
        only = indices is not None and bool((indices == padding).all())
        return f"only the padding_idx of {at} is looked up" if only else None
    if op in OVERWRITING and leak.slot == 0:
        return f"what it gives is overwritten by {at}"
    return f"no gradient reaches its part of {at}" if op in JOINING else None


def _compared(leak: Leak, op: str, at: str) -> str | None:
    """Of a loss that compares: that there is no difference. Of attention: that there is no choice."""
    if op in COMPARING:
        one, other = _saved(leak.node, "self"), _saved(leak.node, "target")
        equal = one is not None and other is not None and bool((one == other).all())
        return f"what {at} compares is equal" if equal else None
    if op.startswith("scaled_dot_product") and leak.slot < 2:
        key = _saved(leak.node, "key")
        return f"{at} attends to one position only" if key is not None and key.shape[-2] == 1 else None
    return None


def _summed(leak: Leak, op: str, at: str) -> str | None:
    """Of what is repeated: that its gradients cancel out. Of what only shares out: that it underflows."""
    given, made = leak.given[0], leak.made[leak.slot]
    if given is None or made is None:
        return None
    if op in SHRINKING:
        return _underflow(made, at)
    scaled = [getattr(leak.node, f"_saved_{name}", 1) for name in ("alpha", "beta")]
    if op in ADDING and BIAS.get(op, leak.slot) == leak.slot and made.numel() < given.numel() and all(scaled):
        return f"what arrives at {at} cancels out"
    return None


def _terms(op: str, slot: int, given: Tensor, other: Tensor) -> Tensor | None:
    """Sums of the sizes of all products that a gradient is made of, in float64; None where that is not known."""
    if given.numel() > MAX_PRODUCT or other.numel() > MAX_PRODUCT or not given.is_floating_point():
        return None
    wide, factor = given.abs().double(), other.abs().double()
    if op == "mul":
        return wide * factor
    left = MATRICES.get(op)
    if left is None:
        return None
    return wide @ factor.mT if slot == left else factor.mT @ wide


def _saved(node: Node, name: str | None) -> Tensor | None:
    found = None if name is None else getattr(node, f"_saved_{name}", None)
    return found if isinstance(found, Tensor) else None


def _all_saved(node: Node) -> Iterator[tuple[str, Tensor]]:
    for name in dir(type(node)):
        if name.startswith("_saved_"):
            found = getattr(node, name)
            if isinstance(found, Tensor):
                yield name, found


def _operation(node: Node) -> str:
    """As `operation_of`; of a Function in Python its class."""
    if _is_function(node):
        return type(node).__name__.removesuffix("Backward")
    return operation_of(node)


def _is_function(node: object) -> bool:
    """Whether it is of a Function in Python."""
    return isinstance(node, BackwardCFunction)


def _bytes_of(tensor: Tensor) -> object:
    """Equal for tensors of as many elements from the same place of one storage."""
    if tensor.layout != torch.strided:
        return id(tensor)
    try:
        return tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.numel()
    except (NotImplementedError, RuntimeError):
        return id(tensor)
