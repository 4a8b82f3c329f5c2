"""What values say, of checkpoints that torch wrote."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
import torch
from torch import nn

from paraminspect.checks import values as contents
from paraminspect.summaries import Finding
from tests.making.torch_files import not_dense, torch_bytes

Check = Callable[..., list[Finding]]


def deep(check: Check, state: dict[str, torch.Tensor]) -> list[tuple[str, str, str]]:
    found = check(torch_bytes(state), deep=True)
    return [(finding.severity, finding.code, finding.name) for finding in found if finding.code != "mixed-dtypes"]


GOOD = torch.arange(1.0, 7.0).reshape(2, 3)
NAN, INF = float("nan"), float("inf")


def test_values_that_are_fine(check: Check) -> None:
    state = {"a.weight": GOOD, "a.bias": torch.zeros(3), "norm.weight": torch.ones(3), "n": torch.zeros(2, 2).long()}
    assert deep(check, state) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
def test_not_finite(dtype: torch.dtype, check: Check) -> None:
    state = {"a.weight": torch.tensor([[1.0, NAN, INF, -INF]]).to(dtype)}
    assert deep(check, state) == [("error", "not-finite", "a.weight")]
    (finding,) = check(torch_bytes(state), deep=True)
    assert finding.message == "1 NaN and 2 infinite of 4 values"
    assert not check(torch_bytes(state))  # only --deep reads values


def test_a_mask_may_be_infinite(check: Check) -> None:
    assert deep(check, {"a.mask": torch.tensor([0.0, -INF])}) == [("warning", "not-finite", "a.mask")]
    assert deep(check, {"a.mask": torch.tensor([0.0, NAN])}) == [("error", "not-finite", "a.mask")]


def test_weights_that_were_never_set(check: Check) -> None:
    state = {"a.weight": torch.zeros(2, 3), "b.weight": torch.full((2, 3), 0.5), "lora_A.weight": torch.zeros(4, 4)}
    assert deep(check, state) == [
        ("warning", "all-zero", "a.weight"), ("warning", "constant", "b.weight"), ("warning", "all-zero", "lora_A.weight"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["l.lora_B.weight", "l.lora_B.default.weight", "controlnet_mid_block.weight", "x.lora_up.weight"]
)
def test_weights_that_begin_at_zero(name: str, check: Check) -> None:
    assert deep(check, {name: torch.zeros(2, 2)}) == [("info", "all-zero", name)]


def test_the_best_value_so_far_may_be_infinite(check: Check) -> None:
    state = {"state_dict": {"w": GOOD}, "callbacks": {"ModelCheckpoint": {"kth_value": torch.tensor(INF)}}}
    assert deep(check, state) == []
    state["callbacks"]["ModelCheckpoint"]["kth_value"] = torch.tensor(NAN)
    assert [code for _, code, _ in deep(check, state)] == ["not-finite"]


@pytest.mark.parametrize(("root", "found"), [("ema", 0), ("model_avg", 0), ("other", 1)])
def test_a_model_and_its_average_are_not_tied(root: str, found: int, check: Check) -> None:
    assert len(deep(check, {"model": {"w": GOOD}, root: {"w": GOOD.clone()}})) == found
    state = {"a.weight": GOOD, "b.weight": GOOD + 1}
    assert deep(check, {"model": state, root: {name: each.clone() for name, each in state.items()}}) == []


@pytest.mark.parametrize("steps", [0, 1])
def test_running_statistics(steps: int, check: Check) -> None:
    norm = nn.BatchNorm1d(3)
    for _ in range(steps):
        norm(torch.arange(12.0).reshape(4, 3))
    state = {f"norm.{name}": value for name, value in norm.state_dict().items()}
    assert deep(check, state) == ([] if steps else [("warning", "norm-untouched", "norm")])


def test_a_tied_tensor_is_looked_at_once(check: Check) -> None:
    zero = torch.zeros(2, 2)
    assert deep(check, {"a.weight": zero, "b.weight": zero}) == [("warning", "all-zero", "a.weight")]


@pytest.mark.parametrize(("other", "severity"), [("lm_head.weight", "warning"), ("second.weight", "info")])
def test_copies_that_were_one_tensor(other: str, severity: str, check: Check) -> None:
    state = {"embed.weight": GOOD, other: GOOD.clone()}
    assert deep(check, state) == [(severity, "tie-broken", "embed.weight")]
    assert deep(check, {"embed.weight": GOOD, other: GOOD}) == []


def test_a_wrong_checksum_of_a_storage(check: Check) -> None:
    data = torch_bytes({"a.weight": GOOD})
    at = data.index(GOOD.numpy().tobytes())
    damaged = data[:at] + b"\1" + data[at + 1 :]
    with zipfile.ZipFile(io.BytesIO(damaged)) as archive:
        assert archive.testzip() is not None
    assert check(damaged) == []
    (finding,) = check(damaged, deep=True)
    assert (finding.code, finding.severity, finding.name) == ("crc", "error", "archive/data/0")


def test_values_that_cannot_be_read(check: Check) -> None:
    sparse = not_dense()
    assert deep(check, {"a.weight": sparse}) == [("info", "not-checked", "a.weight")]


def test_findings_of_one_kind_are_counted_beyond_some(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_TOLD", 2)
    found = check(torch_bytes({f"{i}.weight": torch.zeros(2, 2) for i in range(5)}), deep=True)
    assert [finding.name for finding in found] == ["0.weight", "1.weight", ""]
    assert found[-1].message == "3 more tensors like these"
