"""What operations return on the meta device, held against what they return in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

from paraminspect.live.build.meta_results import _RULES, POINTWISE, WRITING, result_of
from paraminspect.live.build.modes import Mode

aten: Any = torch.ops.aten


def t(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


def on_meta(given: Any) -> Any:
    """The same on the meta device, laid out alike."""

    def move(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        return torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device="meta")

    return tree_map(move, given)


def laid_out(found: Any) -> list[tuple[object, ...]]:
    """Type, shape and, where it can be told, the distance of elements in memory."""
    return [
        (
            each.dtype,
            *((size, stride if size > 1 else 0) for size, stride in zip(each.shape, each.stride(), strict=True)),
        )
        for each in tree_leaves(found)
    ]


class Compare(Mode):
    """Holds the answers for all that runs in memory against what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        answer = result_of(func, on_meta(args), {**on_meta(named), **({"device": "meta"} if "device" in named else {})})
        made = func(*args, **named)
        if answer is not None:
            assert laid_out(answer) == laid_out(made), func
            self.answered.append(func.name().removeprefix("aten::"))
        return made


GAPS = t(2, 5, 12).split(4, dim=-1)[1]
TURNED = t(3, 2, 4).transpose(0, 1)
PLACED = t(2, 3, 4).permute(2, 0, 1)
LAST = t(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)

CASES: list[Callable[[], object]] = [
    lambda: t(2, 3) + t(2, 3),
    lambda: t(2, 3) - t(3),
    lambda: t(2, 1, 3) * t(4, 1),
    lambda: t(2, 3) / t(2, 1),
    lambda: t(2, 3) + 1,
    lambda: GAPS + 1,
    lambda: GAPS.transpose(1, 2) * 2.0,
    lambda: GAPS * t(5, 1),
    lambda: TURNED + t(2, 3, 4),
    lambda: t(2, 3, 4) + TURNED,
    lambda: PLACED.exp() + PLACED,
    lambda: aten.mul.Scalar(PLACED, 2.0),
    lambda: 2.0 ** t(3),
    lambda: t(3) ** 2,
    lambda: [
        each(t(2, 3)) for each in (torch.abs, torch.cos, torch.sin, torch.neg, torch.rsqrt, torch.sqrt, torch.exp)
    ],
    lambda: [getattr(functional, each)(TURNED) for each in ("gelu", "relu", "sigmoid", "silu", "tanh", "elu", "mish")],
    lambda: [getattr(functional, each)(t(2, 3)) for each in ("hardswish", "hardtanh", "leaky_relu", "softplus")],
    lambda: [
        getattr(functional, each)(t(2, 3), inplace=True) for each in ("relu", "elu", "hardtanh", "silu", "leaky_relu")
    ],
    lambda: torch.where(t(3, 3, dtype=torch.bool), t(1), t(3, 1)),
    lambda: t(2, 3, dtype=torch.float64) + t(2, 3, dtype=torch.float64),
    lambda: t(2, 3).add_(1.0),
    lambda: aten.add_.Scalar(t(2, 3), 1.0),
    lambda: t(2, 3) @ t(3, 4),
    lambda: t(3, 2).t() @ t(3, 4),
    lambda: t(5, 2, 3) @ t(5, 3, 4),
    lambda: functional.linear(t(2, 5, 3), t(4, 3), t(4)),
    lambda: torch.addmm(t(2, 1), t(2, 3), t(3, 4)),
    lambda: functional.softmax(t(2, 3), -1),
    lambda: functional.softmax(t(2, 3, 4, 4), 1),
    lambda: torch._safe_softmax(t(2, 3), 1),
    lambda: t(4, 4, dtype=torch.bool).tril(),
    lambda: functional.layer_norm(t(2, 5, 3), (3,), t(3), t(3)),
    lambda: functional.layer_norm(TURNED, (3, 4)),
    lambda: functional.batch_norm(t(2, 3, 4), t(3), t(3), t(3), t(3)),
    lambda: functional.embedding(torch.zeros(2, 5, dtype=torch.int64), t(7, 3)),
    lambda: torch.cat([t(2, 3), t(2, 1)], -1),
    lambda: torch.cat([TURNED, t(2, 1, 4)], 1),
    lambda: torch.cat([t(2, 3, 4, 4), t(2, 1, 4, 4)], 1),
    lambda: torch.cat([LAST, LAST], 1),
    lambda: torch.stack([t(2, 3), t(2, 3)], -2),
    lambda: torch.stack([t(2, 3), t(2, 3)], 2),
    lambda: t(2, 3, 4).mean((1, -1), keepdim=True),
    lambda: t(2, 3, 4).sum(1),
    lambda: functional.conv1d(t(2, 4, 9), t(6, 2, 3), t(6), 2, 1, 2, 2),
    lambda: functional.conv2d(t(2, 3, 8, 8), t(4, 3, 3, 3)),
    lambda: functional.conv2d(LAST, t(4, 3, 3, 3)),
    lambda: functional.conv3d(t(1, 2, 5, 6, 7), t(3, 2, 2, 3, 1)),
    lambda: functional.conv_transpose2d(t(2, 4, 5, 5), t(4, 2, 4, 4), t(4), 2, 1, 1, 2),
    lambda: functional.max_pool2d(t(2, 3, 9, 8), 2),
    lambda: functional.max_pool2d(t(2, 3, 9, 9), 3, 2, 1, ceil_mode=True),
    lambda: functional.max_pool2d(LAST, 2),
    lambda: functional.avg_pool2d(t(2, 3, 9, 8), (3, 2), 2, 1, count_include_pad=False),
    lambda: functional.avg_pool2d(t(2, 3, 9, 9), 2, ceil_mode=True),
    lambda: functional.adaptive_avg_pool2d(t(2, 3, 9, 8), (2, 4)),
    lambda: torch.arange(5),
    lambda: torch.arange(5, dtype=torch.float32),
    lambda: torch.arange(2.5),
    # whose answers are of another type, or laid out in a way that is torch's to say
    lambda: t(2, 3, dtype=torch.int64) + t(2, 3),
    lambda: t(2, dtype=torch.int64) / 2,
    lambda: t(2, 3, dtype=torch.int64).sum(1),
    lambda: t(2, 3).sum(1, dtype=torch.float64),
    lambda: t(2, 3, dtype=torch.bfloat16).mean((1,)),
    lambda: functional.layer_norm(t(2, 4, dtype=torch.bfloat16), (4,)),
    lambda: functional.batch_norm(t(2, 3, 4), t(3), t(3), training=True),
    lambda: torch.cat([t(2, 3), t(0)]),
    lambda: t(2, 1).expand(2, 3) * 2,
    lambda: t(2, 1).expand(2, 3) + t(2, 3),
    lambda: t(2, 3, dtype=torch.complex64) * t(2, 3),
]


def test_answers_are_those_of_what_runs_in_memory() -> None:
    with torch.no_grad(), Compare() as mode:
        for case in CASES:
            case()
    every = {each.removesuffix(".default") for each in (*POINTWISE, *WRITING, *_RULES)}
    assert every == set(mode.answered)


REFUSED: list[Callable[[], object]] = [
    lambda: t(2, 3) + t(2, 4),
    lambda: t(2, 3) @ t(4, 3),
    lambda: t(2, 3) @ t(3, 4, dtype=torch.float64),
    lambda: t(5, 2, 3).bmm(t(5, 2, 3)),
    lambda: torch.addmm(t(5), t(2, 3), t(3, 4)),
    lambda: aten._softmax(t(2, 3), 2, False),
    lambda: t(3).tril(),
    lambda: aten.native_layer_norm(t(2, 3), [4], None, None, 1e-5),
    lambda: aten.native_layer_norm(t(2, 3), [3], t(4), None, 1e-5),
    lambda: aten.embedding(t(7, 3), t(2)),
    lambda: torch.cat([t(2, 3), t(3, 3)], 1),
    lambda: torch.stack([t(2, 3), t(3, 3)]),
    lambda: t(2, 3).mean((2,)),
    lambda: t(2, 3).sum((1, -1)),
    lambda: functional.conv2d(t(2, 3, 8, 8), t(4, 2, 3, 3)),
    lambda: functional.conv2d(t(2, 3, 2, 2), t(4, 3, 3, 3)),
    lambda: functional.conv2d(t(2, 3, 8, 8), t(4, 3, 3, 3), t(5)),
    lambda: functional.conv_transpose2d(t(2, 3, 5, 5), t(3, 2, 4, 4), stride=1, output_padding=2),
    lambda: functional.max_pool2d(t(2, 3, 2, 2), 3),
    lambda: functional.avg_pool2d(t(2, 3, 8, 8), 2, padding=2),
    lambda: aten._adaptive_avg_pool2d(t(2, 3, 4, 4), [-1, 2]),
    lambda: torch.arange(-1),
]


class Ask(Mode):
    """Keeps every answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[object] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = {**on_meta(kwargs or {}), "device": "meta"} if "device" in (kwargs or {}) else on_meta(kwargs or {})
        self.answers.append(result_of(func, on_meta(args), named))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", REFUSED)
def test_what_fails_is_for_torch_to_say(case: Callable[[], object]) -> None:
    mode = Ask()
    with torch.no_grad(), mode, pytest.raises((RuntimeError, IndexError)):
        case()
    assert mode.answers[-1] is None


def test_plain_layers_import_no_compiler() -> None:
    code = (
        "import sys, paraminspect as pi; pi.backward(sys.argv[1]); print({'sympy', 'torch._dynamo'} & {*sys.modules})"
    )
    for config in ("configs/mlp.yaml", "configs/lenet5.yaml", "configs/lstm_tagger.yaml"):
        done = subprocess.run([sys.executable, "-c", code, config], capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"
