"""The module tree of a live model as data, and as the text that `print(model)` gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from torch import nn

from paraminspect.architecture.module_outline import ModuleNode, Outline, make_nodes
from paraminspect.live.build.describe import check_size, classes_of, describe_model
from paraminspect.records import TensorRecord


def outline_module(model: nn.Module) -> Outline:
    """The modules of a live model.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    check_size(model)
    return _outline(model, {})


def make_module_tree(model: nn.Module, records: Sequence[TensorRecord] | None = None) -> ModuleNode:
    """The modules of a model, with what they hold.

    Args:
        records: Of its tensors under every name; None makes them.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    return make_nodes(outline_module(model), describe_model(model) if records is None else records)


def _outline(module: nn.Module, known: dict[int, Outline]) -> Outline:
    if id(module) in known:
        return known[id(module)]
    children = {name: _outline(child, known) for name, child in module._modules.items() if child is not None}
    header, text = _header(module, len(children))
    padding = getattr(module, "padding_idx", None) if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else None
    made = known[id(module)] = Outline(
        classes_of(type(module)),
        _said_by(module.extra_repr) if header == "plain" else "",
        class_name=str(module._get_name()),  # type: ignore[no-untyped-call]
        header=header,
        text=text,
        padding_idx=padding if isinstance(padding, int) else None,
    )
    made.parameters = {name: each for name, each in module._parameters.items() if each is not None}
    made.buffers = {name: each for name, each in module._buffers.items() if each is not None}
    made.children = children
    return made


def _header(module: nn.Module, children: int) -> tuple[str, tuple[str, ...]]:
    written = type(module).__repr__
    if written is nn.Module.__repr__ and children == len(module._modules):
        return "plain", ()
    if written is nn.ModuleList.__repr__ and children == len(module._modules):
        return "list", ()
    text = _said_by(module.__repr__)
    return ("own", tuple(text.split("\n"))) if text else ("plain", ())


def _said_by(describe: Callable[[], object]) -> str:
    """What the code of a module says of it: nothing where that fails, as on the meta device if it looks at values."""
    with suppress(Exception):
        return str(describe())
    return ""
