"""Asking why a gradient is lost, by every way that asks; the states are held against a bare loop."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch

from paraminspect.library.answers import backward
from tests.making import lost_gradients
from tests.making.lost_gradients import CASES, Net
from tests.making.running import run_here

Found = dict[str, tuple[str, str | None]]


def plainly(make: Callable[[], Net], _: str) -> Found:
    return {each.name: (each.state, each.reason) for each in backward(make(), torch.ones(2, 3), seed=0).parameters}


def by_uses(make: Callable[[], Net], _: str) -> Found:
    report = backward(make(), torch.ones(2, 3), uses=True, seed=0)
    return {each.name: (each.state, each.reason) for each in report.parameters}


def by_command(_: Callable[[], Net], name: str) -> Found:
    source = f"{lost_gradients.__file__}:{name}"
    result = run_here("grad", source, "--input", "{shape: [2, 3], fill: 1}", "--format", "json")
    assert result.status == 0, result.stderr
    return {row["name"]: (row["state"], row["reason"]) for row in json.loads(result.stdout)["parameters"]}


def bare_state(model: Net, name: str) -> str:
    torch.manual_seed(0)
    model(torch.ones(2, 3)).sum().backward()
    gradient = dict(model.named_parameters())[name].grad
    if gradient is None:
        return "none"
    total = gradient.abs().sum().item()
    return "nan" if math.isnan(total) else "ok" if total else "zero"


WAYS = (plainly, by_uses, by_command)


def check(case: str, ask: Callable[..., Found]) -> None:
    """A case and its twin have the state that a bare loop finds, and the reason that is due."""
    for name, due in ((f"case_{case}", CASES[case].due), (f"twin_{case}", CASES[case].other)):
        make = getattr(lost_gradients, name)
        parameter, *rest = due
        assert list(ask(make, name)[parameter]) == rest
        assert bare_state(make(), parameter) == due[1]
