"""`paraminspect tree` of a spec or factory: its modules as `print(model)` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paraminspect.architecture.module_outline import make_nodes
from paraminspect.cli.options import TreeOptions
from paraminspect.cli.output import Output
from paraminspect.cli.results import describe_totals, totals_object
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.models.open import Opened
from paraminspect.names.listing import make_listing, total
from paraminspect.records import TensorRecord
from paraminspect.render.module_tree import Shapes, node_object, render_modules
from paraminspect.text import list_some

if TYPE_CHECKING:
    from paraminspect.architecture.module_outline import ModuleNode


def show_live_tree(model: Opened, how: TreeOptions, output: Output) -> None:
    """Draw the modules of a model.

    Raises:
        ParamInspectError: There is no such module; it has no input, or fails on it.
    """
    try:
        shapes = _trace(model, output) if how.with_shapes else None
        node, shapes = _choose(model, how.module, shapes)
        totals = total(make_listing(_inside(model.checkpoint.tensors, how.module)))
    except ParamInspectError as error:
        error.source = error.source or model.source
        raise
    if how.json:
        from paraminspect.render.json_rows import render_object

        head = {"source": model.source, "format": model.checkpoint.format}
        output.write([render_object({**head, "tree": node_object(node, shapes), "totals": totals_object(totals)})])
    else:
        closing = describe_totals(totals)
        output.write_text(
            render_modules(node, output.style(), shapes=shapes, depth=how.depth, fold=how.fold, closing=closing)
        )


def _trace(model: Opened, output: Output) -> Shapes:
    live = model.live
    assert live is not None
    told = len(live.notes)
    shapes = live.shapes()
    output.notes(live.notes[told:])
    model.checkpoint = live.checkpoint  # it may have been built again
    return shapes


def _choose(model: Opened, module: str, shapes: Shapes | None) -> tuple[ModuleNode, Shapes | None]:
    """The module that is meant, and the shapes of outputs by its paths."""
    if not module:
        return make_nodes(model.printed, model.checkpoint.tensors), shapes
    paths = dict(model.printed.named())
    if module not in paths:
        from paraminspect.names.suggestions import closest

        outermost = [path for path in paths if path and "." not in path]
        hint = closest(module, paths) or f"the outermost modules are {list_some(outermost, 5)}"
        raise SelectionError(f"there is no module {module!r}", hint=hint)
    prefix = f"{module}."
    if shapes is not None:
        shapes = {path[len(prefix) :]: shape for path, shape in shapes.items() if f"{path}.".startswith(prefix)}
    return make_nodes(paths[module], _inside(model.checkpoint.tensors, module)), shapes


def _inside(records: Sequence[TensorRecord], module: str) -> Sequence[TensorRecord]:
    """The tensors of a module, with their names in it."""
    start = f"{module}." if module else ""
    return [each._replace(name=each.name[len(start) :]) for each in records if each.name.startswith(start)]
