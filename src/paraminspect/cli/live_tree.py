"""`paraminspect tree` of a spec or factory: its modules as `print(model)` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paraminspect.cli.options import TreeOptions
from paraminspect.cli.output import Output
from paraminspect.cli.report import describe_totals, totals_object
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.models.open import Opened
from paraminspect.names.listing import make_listing, total
from paraminspect.records import TensorRecord
from paraminspect.render.module_tree import Shapes, node_object, render_modules
from paraminspect.text import list_some

if TYPE_CHECKING:
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.build.outline import ModuleNode


def show_live_tree(model: Opened, live: LiveModel, how: TreeOptions, output: Output) -> None:
    """Draw the modules of a model.

    Raises:
        ParamInspectError: There is no such module; it has no input, or fails on it.
    """
    told = len(live.notes)
    try:
        node, shapes = _choose(live, how)
        output.notes(live.notes[told:])
        totals = total(make_listing(_inside(live, how.module)))
    except ParamInspectError as error:
        error.source = error.source or model.source
        raise
    if how.json:
        from paraminspect.render.json_rows import render_object

        head = {"source": model.source, "format": live.format}
        output.write([render_object({**head, "tree": node_object(node, shapes), "totals": totals_object(totals)})])
    else:
        closing = describe_totals(totals)
        output.write(
            render_modules(node, output.style(), shapes=shapes, depth=how.depth, fold=how.fold, closing=closing)
        )


def _choose(live: LiveModel, how: TreeOptions) -> tuple[ModuleNode, Shapes | None]:
    """The module that is meant, and the shapes of outputs by its paths."""
    from paraminspect.live.build.outline import make_module_tree

    shapes = live.shapes() if how.with_shapes else None
    if not how.module:
        return make_module_tree(live.model, live.records), shapes
    paths = [path for path, _ in live.model.named_modules(remove_duplicate=False)]
    if how.module not in paths:
        from paraminspect.names.suggestions import closest

        outermost = [path for path in paths if path and "." not in path]
        hint = closest(how.module, paths) or f"the outermost modules are {list_some(outermost, 5)}"
        raise SelectionError(f"there is no module {how.module!r}", hint=hint)
    prefix = f"{how.module}."
    if shapes is not None:
        shapes = {path[len(prefix) :]: shape for path, shape in shapes.items() if f"{path}.".startswith(prefix)}
    return make_module_tree(live.model.get_submodule(how.module), _inside(live, how.module)), shapes


def _inside(live: LiveModel, module: str) -> Sequence[TensorRecord]:
    """The tensors of a module, with their names in it."""
    start = f"{module}." if module else ""
    return [each._replace(name=each.name[len(start) :]) for each in live.records if each.name.startswith(start)]
