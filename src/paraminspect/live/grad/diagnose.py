"""Why a gradient is missing, zero or no number: the same run once more, with every operation watched.

What is said is proved in that run: by what each tensor is made of (`severed`), by the gradients that go through each
node (`flow`), and by what the node at which they are lost has kept (`saved`). Where nothing is proved, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from paraminspect.errors import ParamInspectError
from paraminspect.live.grad.flow import BROKEN, LOST, MISSING, GradientFlow
from paraminspect.live.grad.once import BackwardRun, go_back
from paraminspect.live.grad.saved import Explainer
from paraminspect.live.grad.severed import Severed
from paraminspect.live.grad.uses import UseTracker
from paraminspect.live.ranks.sharded import has_shards
from paraminspect.outcomes import GradState

_KINDS = {"none": MISSING, "zero": LOST, "nan": BROKEN, "inf": BROKEN}

MAX_TOLD = 2
"""Places that one reason names."""


def find_reasons(run: BackwardRun, states: Mapping[str, GradState]) -> dict[str, str]:
    """Why parameters are in the states they are in, by name, as far as it can be known.

    Args:
        run: Whose backward pass gave the states; it is run once more if there is something to explain.
        states: By parameter name.
    """
    reasons = {name: "requires_grad is False" for name, state in states.items() if state == "frozen"}
    parameters = dict(run.model.named_parameters())  # not those that forward makes, each time anew
    bad = [name for name, state in states.items() if state not in ("ok", "frozen")]
    asked = {name: parameters[name] for name in bad if name in parameters and parameters[name].numel()}
    reasons |= {name: "has no elements" for name, each in parameters.items() if not each.numel()}
    if not asked or has_shards(run.model):  # what forward reads there are other tensors
        return reasons
    try:
        return reasons | _look_again(run, states, asked)
    except ParamInspectError:  # the model does not run the same way twice
        return reasons


def _look_again(run: BackwardRun, states: Mapping[str, GradState], asked: Mapping[str, Tensor]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    missing = {name: each for name, each in asked.items() if states[name] == "none"}
    with run.untouched(), torch.enable_grad(), UseTracker(run.model, asked.values()) as tracker:
        severed = Severed(tracker.calls, missing)
        with severed if missing else nullcontext():
            loss = run.loss(run.output(tracker.calls))
        for name, each in missing.items():
            why = severed.why(name, each, loss, tracker.called)
            found[name] = [why] if why else []
        del severed  # and the graph
        explainer = Explainer(run.model, tracker.path_of)
        flow = GradientFlow(asked.values(), explainer.explain, explainer.explain_meeting)
        tracker.on_graph = flow.watch
        go_back(loss)
        for name, each in asked.items():
            found[name] = found.get(name) or flow.origins(each, _KINDS[states[name]])
    return {name: _joined(texts) for name, texts in found.items() if texts}


def _joined(texts: list[str]) -> str:
    more = f", and at {len(texts) - MAX_TOLD} more places" if len(texts) > MAX_TOLD else ""
    return "; ".join(texts[:MAX_TOLD]) + more
