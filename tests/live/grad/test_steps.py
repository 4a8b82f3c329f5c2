from __future__ import annotations

import statistics

import pytest
import torch
from torch import nn

from paraminspect.live.build.forward import Inputs
from paraminspect.live.grad.backward import backward_report
from paraminspect.live.grad.steps import Batch, repeat_backward


def test_mean_spread_and_rows_that_no_batch_touches() -> None:
    model = nn.Sequential(nn.Embedding(6, 2), nn.Linear(2, 1))
    batches = [torch.tensor([0, 1]), torch.tensor([1, 4]), torch.tensor([4, 4])]

    def batch(step: int) -> Batch:
        return Inputs([batches[step]]), "square"

    seen: list[int] = []
    report = repeat_backward(model, batch, 3, on_step=seen.append)
    single = [backward_report(model, each, "square") for each in batches]
    assert seen == [1, 2, 3]
    assert report.loss == pytest.approx(statistics.fmean(each.loss for each in single))
    assert report.total_norm == pytest.approx(statistics.fmean(each.total_norm for each in single))
    for place, record in enumerate(report.parameters):
        ones = [each.parameters[place] for each in single]
        norms = [one.norm or 0.0 for one in ones]
        assert record.norm == pytest.approx(statistics.fmean(norms))
        assert record.norm_std == pytest.approx(statistics.stdev(norms))
        assert record.max_abs == max(one.max_abs or 0.0 for one in ones)
        assert record.zero_fraction == pytest.approx(statistics.fmean(one.zero_fraction or 0.0 for one in ones))
        gradients = [each.gradients[record.name] for each in single]
        mean = torch.stack([each for each in gradients if each is not None]).mean(0)
        torch.testing.assert_close(report.gradients[record.name], mean)
    assert [record.untouched for record in report.parameters] == [3, 0, 0]


def test_states_over_several_passes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("sometimes", "never", "dead", "broken"):
                self.register_parameter(name, nn.Parameter(torch.zeros(2)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.dead * 0 + (self.sometimes if x.sum() > 0 else 1)
            return y + (self.broken + (1 - x)).sqrt()

    def batch(step: int) -> Batch:
        return Inputs([torch.full((2,), float(step))]), "sum"

    report = repeat_backward(Net(), batch, 2)
    found = {record.name: (record.state, record.untouched) for record in report.parameters}
    assert found == {"sometimes": ("ok", 0), "never": ("none", 2), "dead": ("zero", 2), "broken": ("inf", 0)}
    assert report.gradients["never"] is None
    reasons = {record.name: record.reason for record in report.parameters}
    assert reasons["never"] == "the model does not use it"
    assert reasons["sometimes"] is None


def test_the_uses_are_those_of_the_first_pass() -> None:
    layer = nn.Linear(2, 2)
    report = repeat_backward(nn.Sequential(layer, layer), lambda _: (Inputs([torch.ones(1, 2)]), "sum"), 2, uses=True)
    assert [use.module for use in report.parameters[0].uses] == ["0", "1"]
    assert all(use.norm is not None for use in report.parameters[0].uses)
