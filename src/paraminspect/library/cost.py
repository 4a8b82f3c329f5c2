"""What any source takes: a model that runs, or a folder of weights with a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from paraminspect.errors import SelectionError, SourceError
from paraminspect.files.door import place_of
from paraminspect.files.paths import join
from paraminspect.formats.companions import CONFIG, find_folder
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.facts import of_config
from paraminspect.formats.kv_cache import measure_cache
from paraminspect.formats.sharded import load_json
from paraminspect.live.cost.cost_plan import CostPlan
from paraminspect.live.cost.totals import TRAINED, weigh
from paraminspect.models.open import Opened
from paraminspect.names.listing import Module, make_listing, make_tree, total
from paraminspect.names.selector import make_filter
from paraminspect.names.suggestions import closest
from paraminspect.outcomes import Cost, CostTotals, ModuleCost
from paraminspect.records import Checkpoint, Classes
from paraminspect.text import counted, list_some

if TYPE_CHECKING:
    from paraminspect.live.build.forward import Inputs
    from paraminspect.live.build.live_model import LiveModel


def tell_cost(
    opened: Opened, plan: CostPlan, inputs: Inputs | None = None, in_memory: Callable[[], Opened] | None = None
) -> Cost:
    """What a source takes.

    Args:
        inputs: Of a model that runs; None takes its own.
        in_memory: Opens the same with values, for code that looks at them; None where it has them.

    Raises:
        ParamInspectError: It has no input, or fails on it; a checkpoint has no config.
    """
    plan.refuse(runs=opened.live is not None)
    if opened.live is None:
        return _of_checkpoint(opened.checkpoint, plan)
    from paraminspect.live.cost.count import count_cost

    def with_values() -> LiveModel:
        assert in_memory is not None
        live = in_memory().live
        assert live is not None
        return live

    return count_cost(opened.live, plan, inputs, with_values if in_memory is not None else None)


def choose_modules(
    cost: Cost, module: str = "", select: Sequence[str] = (), exclude: Sequence[str] = (), depth: int | None = None
) -> Cost:
    """The same with only some of its modules; the totals stay those of all.

    Args:
        module: Path of the module to stay inside, to which names become relative.
        select: Selectors of paths, any of which must match; none for all.
        exclude: The same, none of which may match.
        depth: Levels of modules; None for all.

    Raises:
        SelectionError: There is no such module, or a selector cannot be parsed.
    """
    prefix = f"{module}." if module else ""
    inside = [each for each in cost.modules if f"{each.name}.".startswith(prefix)]
    if not inside:
        names = [each.name for each in cost.modules if each.name]
        outermost = [name for name in names if "." not in name]
        hint = closest(module, names) or f"the outermost modules are {list_some(outermost, 5)}"
        raise SelectionError(f"there is no module {module!r}", hint=hint)
    named = [each._replace(name=each.name[len(prefix) :]) for each in inside]
    if select or exclude:
        keep = make_filter(select, exclude)
        known = {each.name: Classes((each.type,) if each.type else ()) for each in named}
        for each in named[1:]:
            known[each.name] = known[each.name.rpartition(".")[0]].inside(known[each.name].own)
        named = [each for each in named if keep(each.name, known[each.name])]
    if depth is not None:
        named = [each for each in named if not each.name or each.name.count(".") < depth]
    return cost._replace(modules=tuple(named))


def _of_checkpoint(checkpoint: Checkpoint, plan: CostPlan) -> Cost:
    """Weights, and what is kept of keys and values."""
    folder = find_folder(checkpoint)
    if folder is None or not place_of(folder).find_in_folder(folder, (CONFIG,)):
        raise SourceError(
            f"a checkpoint ({checkpoint.format}) holds tensors; what it takes to run is told by a spec, a factory or a "
            f"folder with a {CONFIG}",
            hint="paraminspect cost model.yaml --input 2,4, or the folder that the file is in",
            source=checkpoint.source,
        )
    config = load_json(join(folder, CONFIG), CONFIG)
    totals = weigh(checkpoint.tensors, plan.optimizer, plan.dtype)
    totals, notes = _with_cache(totals, config, checkpoint, plan)
    notes.append("of a checkpoint FLOPs and what is kept for the backward pass are not known: it does not run")
    tree = make_tree(make_listing(checkpoint.tensors))
    return Cost(tuple(_rows(tree, "")), totals, tuple(notes))


def _with_cache(
    totals: CostTotals, config: Mapping[str, object], checkpoint: Checkpoint, plan: CostPlan
) -> tuple[CostTotals, list[str]]:
    """The totals with keys and values, and what is to be said of them."""
    stated = of_config(config)
    limit = stated.get("context_length")
    context = plan.context or (limit if isinstance(limit, int) and limit > 0 else None)
    dtype = plan.dtype or _type_of(stated, checkpoint)
    if context is None or dtype is None:
        missing = "context length: --context N" if context is None else "type of numbers: --dtype bfloat16"
        return totals._replace(inference_bytes=None), [f"keys and values are not known: the config tells no {missing}"]
    cache = measure_cache(config, context)
    if cache.elements is None:
        return totals._replace(inference_bytes=None), [cache.note]
    batch = plan.batch or 1
    nbytes = cache.elements * batch * BITS[dtype] // 8
    held = (totals.parameter_bytes, totals.buffer_bytes, nbytes)
    known = [each for each in held if each is not None]
    totals = totals._replace(kv_cache_bytes=nbytes, inference_bytes=sum(known) if len(known) == len(held) else None)
    return totals, [f"keys and values: {counted(batch, 'sequence')} of {counted(context, 'token')}, {dtype}"]


def _type_of(stated: Mapping[str, object], checkpoint: Checkpoint) -> str | None:
    """What the model computes with, by its config, or else by its weights."""
    told = stated.get("dtype")
    dtypes = total(make_listing(checkpoint.tensors)).dtypes
    found = told if isinstance(told, str) else dtypes[0] if dtypes else ""
    return found if found in TRAINED else None


def _rows(module: Module, path: str) -> Iterator[ModuleCost]:
    yield ModuleCost(path, module.module_type, module.numel)
    for child in module.children:
        if isinstance(child, Module):
            yield from _rows(child, f"{path}.{child.name}" if path else child.name)
