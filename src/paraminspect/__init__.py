"""What is in this PyTorch model? Records of every tensor in a checkpoint, read from its headers, without torch.

Example:
    >>> from paraminspect import open_source
    >>> checkpoint = open_source("model.safetensors")
    >>> checkpoint.tensors[0].shape
    (768, 2304)
"""

from __future__ import annotations

TYPE_CHECKING = False  # what typing has, without the time to import it, in which Ctrl-C would show a traceback

__version__ = "0.1.0"

__all__ = [
    "BackwardReport",
    "Change",
    "Checkpoint",
    "Diff",
    "Finding",
    "GradRecord",
    "InitPlan",
    "InitStep",
    "ParamInspectError",
    "Storage",
    "TensorRecord",
    "TensorStats",
    "TieGroup",
    "UseRecord",
    "__version__",
    "apply_init",
    "backward_report",
    "check_source",
    "convert",
    "diff_sources",
    "find_ties",
    "open_source",
    "parse_rule",
    "plan_init",
    "read_tensor",
    "tensor_stats",
]

if TYPE_CHECKING:
    from paraminspect.checks.check import check_source
    from paraminspect.conversion import convert
    from paraminspect.errors import ParamInspectError
    from paraminspect.formats import open_source
    from paraminspect.live.grad.backward import BackwardReport, backward_report
    from paraminspect.live.init.apply import apply_init, plan_init
    from paraminspect.names.changes import Change
    from paraminspect.records import (
        Checkpoint,
        Finding,
        GradRecord,
        InitStep,
        Storage,
        TensorRecord,
        TieGroup,
        UseRecord,
    )
    from paraminspect.rules.parse import parse_rule
    from paraminspect.rules.steps import InitPlan
    from paraminspect.sharing.find import find_ties
    from paraminspect.values.diff import Diff, diff_sources
    from paraminspect.values.read import read_tensor
    from paraminspect.values.stats import TensorStats, tensor_stats

_HOMES = {
    "BackwardReport": "live.grad.backward",
    "Change": "names.changes",
    "Checkpoint": "records",
    "Diff": "values.diff",
    "Finding": "records",
    "GradRecord": "records",
    "InitPlan": "rules.steps",
    "InitStep": "records",
    "ParamInspectError": "errors",
    "Storage": "records",
    "TensorRecord": "records",
    "TensorStats": "values.stats",
    "TieGroup": "records",
    "UseRecord": "records",
    "apply_init": "live.init.apply",
    "backward_report": "live.grad.backward",
    "check_source": "checks.check",
    "convert": "conversion",
    "diff_sources": "values.diff",
    "find_ties": "sharing.find",
    "open_source": "formats",
    "parse_rule": "rules.parse",
    "plan_init": "live.init.apply",
    "read_tensor": "values.read",
    "tensor_stats": "values.stats",
}


def __dir__() -> list[str]:
    """The public names, before any of them is imported."""
    return __all__


def __getattr__(name: str) -> object:
    """Import what is asked for and no more: the command line starts in the time of its own parts."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
