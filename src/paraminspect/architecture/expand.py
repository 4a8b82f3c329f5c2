"""`Spec` -> `ModelPlan`: blocks and repeats expanded, variables put in, names and wiring decided, ties checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from paraminspect.architecture.built_in import BUILTINS, CONTAINERS, PARAM_OPS, Argument, Builtin
from paraminspect.architecture.expressions import MAX_INTEGER
from paraminspect.architecture.model import Block, Call, Layer, Name, Residual, Spec, Use, Value
from paraminspect.architecture.model import Sequential as SequentialLayer
from paraminspect.architecture.nodes import Mark, Node, shown
from paraminspect.architecture.plan import INPUT, ModelPlan, ModulePlan, Step
from paraminspect.architecture.tensors import check_shape
from paraminspect.architecture.ties import check_ties
from paraminspect.architecture.values import Budget, Scope
from paraminspect.errors import SpecError
from paraminspect.names.suggestions import closest
from paraminspect.text import shorten

MAX_MODEL_BYTES: Final = 32 << 30
"""Parameters and buffers of a model that is allocated; on the meta device there is no such bound (7B parameters in
float32 take 27 GB)."""

MAX_REPEAT: Final = 10_000
"""Copies that one `repeat` may ask for (the deepest published transformers have 200)."""

MAX_MODULES: Final = 100_000
"""Modules in the whole model, containers included."""

MAX_MODULE_DEPTH: Final = 64
"""Of modules inside each other: forward, printing and deep copies recurse."""

OURS = {name.casefold(): name for name in (*CONTAINERS, *BUILTINS)}
"""Types that torch.nn does not have, by their name in lower case."""


def plan_model(spec: Spec) -> ModelPlan:
    """Decide every module of a spec. Whether there are its classes is left to `check_types`.

    Raises:
        SpecError: At the line and column of what cannot be built.
    """
    try:
        return _Expander(spec).model()
    except SpecError as error:
        error.source = spec.source or None
        raise


def check_types(plan: ModelPlan, types: Collection[str]) -> None:
    """Hold the classes that a plan names against those that there are.

    Args:
        types: Names of the classes that a layer may be: torch.nn's, and those of a modules file.

    Raises:
        SpecError: A block that is called like one, or a layer of none.
    """
    try:
        for block, mark in plan.blocks.items():
            if block in types:
                raise mark.error(f"a block named {block}, which is a class", hint="choose another name")
        for name, mark in plan.classes.items():
            if name not in types:
                known = [*plan.blocks, *OURS.values(), *sorted(types)]
                raise mark.error(
                    f"unknown type {shown(name)}",
                    hint=closest(name, known) or "types are classes of torch.nn, built-ins, blocks and --modules-file",
                )
    except SpecError as error:
        error.source = plan.source or None
        raise


class _Expander:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.classes: dict[str, Mark] = {}
        self.budget = Budget()
        self.count = 0
        self.built: dict[str, ModulePlan] = {}
        self.open: list[tuple[str, str]] = []

    def model(self) -> ModelPlan:
        spec = self.spec
        entries = [tensor.name for tensor in spec.inputs] or [INPUT]
        top = ModulePlan("sequential", "", "Sequential", spec.layers[0].mark)
        root = self.container(top, spec.layers, self.scope(), 0, entries)
        for name, mark in spec.shared_marks.items():
            if name not in self.built:
                raise mark.error(f"the shared module {name} is never used", hint=f"write {{use: {name}}}, or remove it")
        fed = {name for step in root.steps for name in step.inputs}
        for tensor in spec.inputs:
            if tensor.name not in fed:
                raise tensor.mark.error(
                    f"the input {tensor.name} is never used",
                    hint=f"write from: {tensor.name} in the layer that takes it",
                )
        check_ties(root, spec.ties)
        return ModelPlan(
            root,
            source=spec.source,
            vars=spec.vars,
            ties=spec.ties,
            inputs=spec.inputs,
            loss=spec.loss,
            rule_sets=spec.rule_sets,
            aliases=spec.aliases,
            count=self.count,
            classes=self.classes,
            blocks={name: block.name.mark for name, block in spec.blocks.items()},
        )

    def scope(self) -> Scope:
        return Scope(self.spec.vars, self.budget)

    def enter(self, mark: Mark, depth: int) -> None:
        """Count one more module."""
        self.count += 1
        if self.count > MAX_MODULES:
            raise mark.error(f"more than {MAX_MODULES:,} modules")
        if depth > MAX_MODULE_DEPTH:
            raise mark.error(f"more than {MAX_MODULE_DEPTH} modules inside each other")

    def container(
        self, plan: ModulePlan, layers: Sequence[Layer], scope: Scope, depth: int, entries: Sequence[str] = (INPUT,)
    ) -> ModulePlan:
        """`plan` with its steps and the kind that they make it.

        Args:
            plan: Says path, type and mark.
            layers: One or more.
            depth: Of the container below the model.
            entries: What its inputs are called; the first one is what the first layer gets by default.
        """
        self.enter(plan.mark, depth)
        places = _child_names(layers, entries)
        steps: list[Step] = []
        previous = entries[0]
        for layer, (name, place) in zip(layers, list(places.items())[len(entries) :], strict=True):
            inputs = _sources(layer, places, place) or (previous,)
            child, take = self.layer(layer, _join(plan.path, name), scope, depth + 1)
            self.check_inputs(child, inputs, bool(layer.inputs), layer.mark)
            steps.append(Step(name, child, inputs, take))
            previous = name
        return replace(plan, kind=_kind(steps, entries[0]), steps=tuple(steps))

    def check_inputs(self, plan: ModulePlan, inputs: tuple[str, ...], given: bool, mark: Mark) -> None:
        """Refuse a number of inputs that the type cannot take; a class of torch.nn decides for itself."""
        actual = self.built[plan.shared] if plan.kind == "reference" and plan.shared else plan
        if actual.kind == "module":
            return
        count = len(inputs)
        builtin = BUILTINS.get(actual.type) if actual.kind in ("builtin", "parameter") else None
        accepted = builtin.inputs if builtin else (1,)
        if count in accepted or (not accepted and count > 1):
            return
        expected = " or ".join(str(number) for number in accepted) or "two or more"
        raise mark.error(
            f"{actual.type} has {count} input{'s' if count > 1 else ''}; expected {expected}",
            hint=None if given else "name them: from: [a, b]",
        )

    def layer(self, layer: Layer, path: str, scope: Scope, depth: int) -> tuple[ModulePlan, tuple[int, ...]]:
        """One layer, all its repeats, and what is taken of its output."""
        if layer.repeat is None:
            return self.once(layer, path, scope, depth), layer.take
        times = scope.integer(layer.repeat, "repeat", 1, MAX_REPEAT)
        self.enter(layer.mark, depth)
        steps: list[Step] = []
        previous = INPUT
        for index in range(times):
            name = str(index)
            child = self.once(layer, _join(path, name), scope.extended({"i": index}), depth + 1)
            self.check_inputs(child, (previous,), True, layer.mark)
            steps.append(Step(name, child, (previous,), layer.take))
            previous = name
        kind = _kind(steps, INPUT)
        return ModulePlan(kind, path, "Sequential", layer.mark, steps=tuple(steps)), ()

    def once(self, layer: Layer, path: str, scope: Scope, depth: int) -> ModulePlan:
        what, mark = layer.what, layer.mark
        match what:
            case SequentialLayer():
                return self.container(ModulePlan("sequential", path, "Sequential", mark), what.layers, scope, depth)
            case Residual():
                return self.residual(what, path, mark, scope, depth)
            case Use():
                return self.use(what.name, path, mark, depth)
            case Call():
                return self.call(what, path, mark, scope, depth)

    def residual(self, what: Residual, path: str, mark: Mark, scope: Scope, depth: int) -> ModulePlan:
        self.enter(mark, depth)
        steps = []
        for name, layers in (("body", what.body), ("shortcut", what.shortcut)):
            if layers:
                empty = ModulePlan("sequential", _join(path, name), "Sequential", layers[0].mark)
                steps.append(Step(name, self.container(empty, layers, scope, depth + 1), (INPUT,)))
        return ModulePlan("residual", path, "Residual", mark, steps=tuple(steps))

    def use(self, name: Name, path: str, mark: Mark, depth: int) -> ModulePlan:
        """The shared module itself at its first use, a reference to it at the others."""
        shared = self.spec.shared
        if name.text not in shared:
            known = f"known are {', '.join(list(shared)[:8])}" if shared else "write shared: {NAME: layer}"
            raise name.mark.error(f"use of an undefined name: {name.text}", hint=closest(name.text, shared) or known)
        if first := self.built.get(name.text):
            self.enter(mark, depth)
            return replace(first, kind="reference", path=path, mark=mark, steps=(), reference=first.path)
        self.begin("shared", name.text, name.mark)
        plan, _ = self.layer(shared[name.text], path, self.scope(), depth)
        self.open.pop()
        self.built[name.text] = replace(plan, shared=name.text)
        return self.built[name.text]

    def begin(self, kind: str, name: str, mark: Mark) -> None:
        """Open a block or a shared module, once inside itself at most."""
        if (kind, name) in self.open:
            ring = [opened for _, opened in self.open[self.open.index((kind, name)) :]]
            raise mark.error(
                f"{kind} {name} contains itself: {' -> '.join([*ring, name])}",
                hint="blocks and shared modules cannot recurse; use repeat",
            )
        self.open.append((kind, name))

    def call(self, what: Call, path: str, mark: Mark, scope: Scope, depth: int) -> ModulePlan:
        name = what.type.text
        if name in self.spec.blocks:
            return self.block(self.spec.blocks[name], what, path, scope, depth)
        self.enter(mark, depth)
        if name in BUILTINS:
            return self.builtin(BUILTINS[name], what, path, scope)
        if name.casefold() in OURS:
            raise what.type.mark.error(f"unknown type {name}", hint=f"did you mean {OURS[name.casefold()]}?")
        self.classes.setdefault(name, what.type.mark)
        args = tuple(scope.value(node) for node in what.args)
        kwargs = {key.text: scope.value(node) for key, node in what.kwargs}
        return ModulePlan("module", path, name, mark, args, kwargs)

    def block(self, block: Block, what: Call, path: str, scope: Scope, depth: int) -> ModulePlan:
        name = block.name.text
        declared = [parameter.name.text for parameter in block.parameters]
        given = _bind(what, declared)
        names: dict[str, Value] = {}
        inner = self.scope().extended(names)  # a default sees the arguments before it
        for parameter in block.parameters:
            key = parameter.name.text
            if key in given:
                names[key] = scope.value(given[key])
            elif parameter.default is not None:
                names[key] = inner.value(parameter.default)
            else:
                raise what.type.mark.error(f"{name} without its argument {key}", hint=_usage(name, declared))
        self.begin("block", name, what.type.mark)
        plan = self.container(ModulePlan("sequential", path, name, what.type.mark), block.layers, inner, depth)
        self.open.pop()
        return plan

    def builtin(self, builtin: Builtin, what: Call, path: str, scope: Scope) -> ModulePlan:
        declared = [argument.name for argument in builtin.arguments]
        given = _bind(what, declared)
        kwargs: dict[str, Value] = {}
        for argument in builtin.arguments:
            if argument.name in given:
                kwargs[argument.name] = _argument(argument, builtin.name, given[argument.name], scope)
            elif argument.default is not None:
                kwargs[argument.name] = argument.default
            else:
                raise what.type.mark.error(
                    f"{builtin.name} without its argument {argument.name}", hint=_usage(builtin.name, declared)
                )
        kind: Literal["parameter", "builtin"] = "parameter" if builtin.name == "Param" else "builtin"
        return ModulePlan(kind, path, builtin.name, what.type.mark, kwargs=kwargs)


def _child_names(layers: Sequence[Layer], entries: Sequence[str]) -> dict[str, int]:
    """Place of each name that `from` can mean: -1 for the inputs, which come first, then the children in order.

    A child is called by its own name, or by its place in the list; all names differ.
    """
    places = dict.fromkeys(entries, -1)
    for index, layer in enumerate(layers):
        name = layer.name.text if layer.name else str(index)
        mark = layer.name.mark if layer.name else layer.mark
        if name in places:
            if places[name] < 0:
                raise mark.error(f"a layer named {name}, as an input of the model is", hint="choose another name")
            raise mark.error(f"duplicate name {name} in one list of layers", hint="give each layer its own name")
        places[name] = index
    return places


def _sources(layer: Layer, places: Mapping[str, int], place: int) -> tuple[str, ...]:
    """The names in `from`, each of them an earlier sibling or an input."""
    for given in layer.inputs:
        if places.get(given.text, place) < place:
            continue
        if given.text in places:
            which = "itself" if places[given.text] == place else "a later layer"
            raise given.mark.error(f"from names {which}: {given.text}", hint="only earlier layers have an output")
        known = [name for name, index in places.items() if index < place]
        raise given.mark.error(
            f"from names an unknown layer: {shown(given.text)}",
            hint=closest(given.text, known) or f"known here are {', '.join(known[-8:])}",
        )
    return tuple(given.text for given in layer.inputs)


def _kind(steps: Sequence[Step], entry: str) -> Literal["sequential", "flow"]:
    """Plain where each step gets the previous output whole and all are modules."""
    previous = entry
    for step in steps:
        if step.inputs != (previous,) or step.take or step.plan.type == "Param":
            return "flow"
        previous = step.name
    return "sequential"


def _bind(what: Call, declared: Sequence[str]) -> dict[str, Node]:
    """Arguments of a block or built-in by name."""
    name = what.type.text
    if len(what.args) > len(declared):
        extra = what.args[len(declared)]
        takes = f"takes {len(declared)}" if declared else "takes none"
        raise extra.mark.error(f"{name} with {len(what.args)} arguments; it {takes}", hint=_usage(name, declared))
    given = dict(zip(declared, what.args, strict=False))
    for key, node in what.kwargs:
        if key.text not in declared:
            raise key.mark.error(
                f"{name} has no argument {shown(key.text)}",
                hint=closest(key.text, declared) or _usage(name, declared),
            )
        if key.text in given:
            raise key.mark.error(f"argument {key.text} of {name} is given twice")
        given[key.text] = node
    return given


def _usage(name: str, declared: Sequence[str]) -> str:
    return (
        f"write {{{name}: {{{', '.join(f'{argument}: ..' for argument in declared)}}}}}"
        if declared
        else f"write {name}"
    )


def _argument(argument: Argument, owner: str, node: Node, scope: Scope) -> Value:
    """Checked value of an argument of a built-in."""
    what = f"{argument.name} of {owner}"
    value = scope.value(node)
    match argument.kind:
        case "shape":
            if not isinstance(value, tuple):
                raise node.mark.error(
                    f"{what} is {shorten(repr(value))}; expected a list of sizes", hint="write {shape: [3, 4]}"
                )
            return check_shape(value, node.mark, what, MAX_INTEGER)
        case "op":
            if value not in PARAM_OPS:
                hint = closest(value, PARAM_OPS) if isinstance(value, str) else None
                raise node.mark.error(
                    f"{what} is {shorten(repr(value))}; expected one of {', '.join(PARAM_OPS)}", hint=hint
                )
            return value
        case "bool":
            if not isinstance(value, bool):
                raise node.mark.error(f"{what} is {shorten(repr(value))}; expected true or false")
            return value
        case "int" | "float":
            number = isinstance(value, int) or (isinstance(value, float) and argument.kind == "float")
            if isinstance(value, bool) or not number:
                expected = "an integer" if argument.kind == "int" else "a number"
                raise node.mark.error(f"{what} is {shorten(repr(value))}; expected {expected}")
            assert isinstance(value, (int, float))
            if argument.minimum is not None and not value >= argument.minimum:
                raise node.mark.error(f"{what} is {value}; expected at least {argument.minimum}")
            return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
