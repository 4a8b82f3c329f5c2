"""Values of single tensors of a live model by rules, without the rest of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from paraminspect.live.build.live_model import LiveModel
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.live.init.work import model_work, values_of
from paraminspect.rules.steps import InitPlan

Draw = Callable[[str], Tensor]
"""Gives a tensor by its name."""


def drawn_by(plan: InitPlan, live: LiveModel, seed: int, own: OwnFunctions | None) -> Draw:
    """What gives a tensor by any of its names, as `init` would write it.

    Args:
        plan: For this model, which is left as it is.
        live: Gives the values that are there without rules.
    """
    drawing = Drawing(seed, own or OwnFunctions())
    works = {name: work for work in model_work(live.state, plan, live.tensor) for name in (work.name, *work.aliases)}

    def draw(name: str) -> Tensor:
        work = works.get(name)
        if work is None or not (work.is_changed or work.original is not None):
            return live.tensor(name)
        with one_thread():
            return values_of(work, drawing).to(getattr(torch, work.dtype))

    return draw
