"""Numbers about gradients, held against torch in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from paraminspect.live.grad import gradients
from paraminspect.live.grad.gradients import GradientNumbers, angle, dense, measure_gradients, norm_of

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64]


def numbers(gradient: Tensor, parameter: Tensor | None = None) -> GradientNumbers:
    ones = torch.ones(gradient.shape, dtype=gradient.dtype)
    (found,), _ = measure_gradients([(ones if parameter is None else parameter, gradient)])
    return found


@pytest.mark.parametrize("shape", [(3, 5), (70_000,), (3, 70_000), (1, 1, 66_000)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_norm_and_extremes(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    gradient = torch.rand(shape, generator=torch.Generator().manual_seed(0)).sub(0.3).to(dtype)
    gradient[0] = 0
    gradient = gradient.reshape(shape)
    wide = gradient.to(torch.complex128 if dtype.is_complex else torch.float64)
    found = numbers(gradient)
    assert found.state == ("ok" if wide.count_nonzero() else "zero")
    assert found.norm == pytest.approx(float(torch.linalg.vector_norm(wide)), rel=1e-5, abs=1e-12)
    assert found.max_abs == pytest.approx(float(wide.abs().max()), rel=1e-5)
    assert found.zero_fraction == pytest.approx(1 - int(wide.count_nonzero()) / wide.numel(), abs=1e-12)
    assert found.norm_ratio == pytest.approx(found.norm / math.sqrt(wide.numel()), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "state", "max_abs"),
    [
        ([0.0, -0.0], "zero", 0), ([1.0, -3.0], "ok", 3), ([1.0, math.inf], "inf", math.inf), ([-math.inf], "inf", math.inf),
        ([math.nan, math.inf], "nan", math.nan), ([1e-45], "ok", 1e-45),
    ],
)  # fmt: skip
def test_states(values: list[float], state: str, max_abs: float) -> None:
    found = numbers(torch.tensor(values))
    assert found.state == state
    assert found.max_abs == pytest.approx(max_abs, nan_ok=True, rel=0.1)


def test_no_elements_and_weights_of_no_length() -> None:
    found = numbers(torch.empty(0))
    assert (found.state, found.norm, found.zero_fraction, found.norm_ratio) == ("ok", 0, None, None)
    for weight in (0.0, math.nan, math.inf):
        assert numbers(torch.ones(2), torch.full((2,), weight)).norm_ratio is None


def test_total_is_that_of_torch() -> None:
    every = [torch.full((n + 1, 3), n - 1.5) for n in range(4)]
    _, total = measure_gradients([(each, each) for each in every])
    assert total == pytest.approx(float(torch.nn.utils.get_total_norm(every)))
    assert measure_gradients([]) == ([], 0.0)


def test_millions_of_equal_numbers_lose_no_digits() -> None:
    tensor = torch.full((300, 10_000), 0.1)
    due = math.sqrt(tensor.numel()) * float(torch.tensor(0.1).double())
    assert norm_of(tensor) == pytest.approx(due, rel=1e-5)


def test_a_sparse_gradient_is_taken_with_all_its_elements() -> None:
    plain = torch.ones(2)
    assert dense(plain) is plain
    sparse = torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (3,), check_invariants=True)
    assert dense(sparse).tolist() == [3, 0, 0]


@pytest.mark.parametrize("exact", [gradients.EXACT, 0])
@given(angle_of=st.floats(-math.pi, math.pi), length=st.floats(1e-3, 1e3))
def test_an_angle(exact: int, angle_of: float, length: float) -> None:
    one, other = torch.tensor([1.0, 0.0]), length * torch.tensor([math.cos(angle_of), math.sin(angle_of)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradients, "EXACT", exact)
        assert angle(one, other) == pytest.approx(math.cos(angle_of), abs=1e-5)


def test_an_angle_that_there_is_not() -> None:
    one = torch.ones(2)
    assert angle(one, torch.zeros(2)) is None
    assert angle(one, torch.tensor([1.0, math.nan])) is None
    assert angle(one, one) == pytest.approx(1)
    assert angle(one, -one) == pytest.approx(-1)
