"""What is in this PyTorch model? Parameters, shapes, ties, values and gradients of any file, spec or module.

A file is read by its headers, without torch, and nothing of it is executed.

Example:
    >>> import paraminspect as pi
    >>> model = pi.open("model.safetensors")
    >>> model["h.0.attn.c_attn.weight"].shape
    (768, 2304)
"""

from __future__ import annotations

TYPE_CHECKING = False  # what typing has, without the time to import it, in which Ctrl-C would show a traceback

__version__ = "0.1.0"

_HOMES = {
    "BackwardReport": "live.grad.backward",
    "Change": "names.changes",
    "Checkpoint": "records",
    "Cost": "outcomes",
    "CostTotals": "outcomes",
    "Diff": "values.diff",
    "Finding": "summaries",
    "GradRecord": "outcomes",
    "Info": "summaries",
    "InitPlan": "rules.steps",
    "InitStep": "outcomes",
    "Model": "library.model",
    "ModuleCost": "outcomes",
    "ModuleShare": "summaries",
    "ParamInspectError": "errors",
    "Storage": "records",
    "Tensor": "library.model",
    "TensorRecord": "records",
    "TensorStats": "values.stats",
    "TieGroup": "records",
    "Training": "summaries",
    "UseRecord": "outcomes",
    "Written": "conversion.convert",
    "apply_init": "library.answers",
    "backward": "library.answers",
    "check": "library.answers",
    "convert": "library.answers",
    "cost": "library.answers",
    "diff": "library.answers",
    "info": "library.answers",
    "open": "library.answers",
    "parse_rule": "rules.parse",
    "plan_init": "library.answers",
    "stats": "library.answers",
    "ties": "library.answers",
}

__all__ = [
    "BackwardReport",
    "Change",
    "Checkpoint",
    "Cost",
    "CostTotals",
    "Diff",
    "Finding",
    "GradRecord",
    "Info",
    "InitPlan",
    "InitStep",
    "Model",
    "ModuleCost",
    "ModuleShare",
    "ParamInspectError",
    "Storage",
    "Tensor",
    "TensorRecord",
    "TensorStats",
    "TieGroup",
    "Training",
    "UseRecord",
    "Written",
    "__version__",
    "apply_init",
    "backward",
    "check",
    "convert",
    "cost",
    "diff",
    "info",
    "open",
    "parse_rule",
    "plan_init",
    "stats",
    "ties",
]

if TYPE_CHECKING:
    from paraminspect.conversion.convert import Written
    from paraminspect.errors import ParamInspectError
    from paraminspect.library.answers import (
        apply_init,
        backward,
        check,
        convert,
        cost,
        diff,
        info,
        open,  # noqa: A004
        plan_init,
        stats,
        ties,
    )
    from paraminspect.library.model import Model, Tensor
    from paraminspect.live.grad.backward import BackwardReport
    from paraminspect.names.changes import Change
    from paraminspect.outcomes import Cost, CostTotals, GradRecord, InitStep, ModuleCost, UseRecord
    from paraminspect.records import Checkpoint, Storage, TensorRecord, TieGroup
    from paraminspect.rules.parse import parse_rule
    from paraminspect.rules.steps import InitPlan
    from paraminspect.summaries import Finding, Info, ModuleShare, Training
    from paraminspect.values.diff import Diff
    from paraminspect.values.stats import TensorStats


def __dir__() -> list[str]:
    """The public names, before any of them is imported."""
    return __all__


def __getattr__(name: str) -> object:
    """Import what is asked for and no more: the command line starts in the time of its own parts."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
