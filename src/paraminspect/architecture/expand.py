"""`Spec` -> `ModelPlan`: blocks and repeats expanded, variables put in, names and wiring decided, ties checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Literal

from paraminspect.architecture.arguments import bind, complete, usage
from paraminspect.architecture.built_in import BUILTINS, CONTAINERS, PARAMETRIZATIONS, SPELLINGS
from paraminspect.architecture.copies import Watched, moved
from paraminspect.architecture.fields import is_identifier
from paraminspect.architecture.model import (
    Block,
    Call,
    Experts,
    Layer,
    Name,
    Output,
    Parallel,
    Residual,
    Spec,
    Use,
    Value,
)
from paraminspect.architecture.model import Sequential as SequentialLayer
from paraminspect.architecture.nodes import Mark, shown
from paraminspect.architecture.plan import INPUT, ModelPlan, ModulePlan, Parametrization, Returned, Step
from paraminspect.architecture.ties import check_ties
from paraminspect.architecture.values import Budget, Scope
from paraminspect.architecture.wiring import (
    Wiring,
    branches,
    check_fed,
    check_pick,
    gives_several,
    kind_of,
    plan_of,
    standing,
)
from paraminspect.errors import SpecError
from paraminspect.names.suggestions import closest
from paraminspect.text import shorten

MAX_MODEL_BYTES: Final = 32 << 30
"""Parameters and buffers of a model that is allocated; on the meta device there is no such bound (7B parameters in
float32 take 27 GB)."""

MAX_REPEAT: Final = 10_000
"""Copies that one `repeat` may ask for (the deepest published transformers have 200)."""

MAX_MODULES: Final = 100_000
"""Modules in the whole model, containers included; the largest mixtures of experts have 60,000.

torch alone takes a tenth of a millisecond and three kilobytes to build a Linear on the meta device, and we as much again and
as much once more to name, describe and check it: 30,000 take 6.6 s and 235 MB, of which torch takes 3.1 s and 100 MB.
"""

MAX_MODULE_DEPTH: Final = 64
"""Of modules inside each other: forward, printing and deep copies recurse."""


def plan_model(spec: Spec, own: Collection[str] = ()) -> ModelPlan:
    """Decide every module of a spec. Whether there are its classes is left to `check_types`.

    Args:
        own: Classes of the user's modules file, which go before built-ins of the same name.

    Raises:
        SpecError: At the line and column of what cannot be built.
    """
    try:
        return _Expander(spec, own).model()
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
                known = [*plan.blocks, *CONTAINERS, *BUILTINS, *sorted(types)]
                raise mark.error(
                    f"unknown type {shown(name)}",
                    hint=closest(name, known) or "types are classes of torch.nn, built-ins, blocks and --modules-file",
                )
    except SpecError as error:
        error.source = plan.source or None
        raise


class _Expander:
    def __init__(self, spec: Spec, own: Collection[str]) -> None:
        self.spec = spec
        self.own = own
        self.classes: dict[str, Mark] = {}
        self.budget = Budget()
        self.count = 0
        self.uses = 0
        self.built: dict[str, ModulePlan] = {}
        self.open: list[tuple[str, str]] = []

    def model(self) -> ModelPlan:
        spec = self.spec
        entries = tuple(tensor.name for tensor in spec.inputs) or (INPUT,)
        top = ModulePlan("sequential", "", "Sequential", spec.layers[0].mark, entries=entries)
        root = self.container(top, spec.layers, self.scope(), 0, spec.outputs)
        if not root.steps:
            raise top.mark.error("no layer is left: every if is false", hint="-D name=true sets a variable")
        for name, mark in spec.shared_marks.items():
            if name not in self.built:
                raise mark.error(f"the shared module {name} is never used", hint=f"write {{use: {name}}}, or remove it")
        check_fed(root, [Name(tensor.name, tensor.mark) for tensor in spec.inputs])
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
            size=self.count,
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
        self, plan: ModulePlan, layers: Sequence[Layer], scope: Scope, depth: int, outputs: Sequence[Output] = ()
    ) -> ModulePlan:
        """`plan` with its steps and the kind that they make it.

        Args:
            plan: Says path, type, mark and entries, the first of which is what the first layer gets by default.
            layers: One or more, of which those are left out whose `if` is false.
            depth: Of the container below the model.
            outputs: Where there are several.
        """
        self.enter(plan.mark, depth)
        wiring = Wiring(layers, plan.entries, scope)
        steps: dict[str, Step] = {}
        previous = plan.entries[0]
        for place, (layer, name) in enumerate(zip(wiring.layers, wiring.names, strict=True)):
            inputs = tuple(wiring.find(source, place) for source in layer.inputs) or (previous,)
            picks = tuple(source.pick for source in layer.inputs)
            for source, found in zip(layer.inputs, inputs, strict=False):
                check_pick(source.pick, found, plan_of(steps, found), source.name.mark)
            child, take = self.layer(layer, _join(plan.path, name), scope, depth + 1)
            self.check_inputs(child, inputs, bool(layer.inputs), layer.mark, gives_several(steps, inputs[0], picks))
            steps[name] = Step(name, child, inputs, take, picks if any(picks) else ())
            previous = name
        returned = []
        for each in outputs:
            found = wiring.find(each.source, len(wiring.layers), "outputs")
            check_pick(each.source.pick, found, plan_of(steps, found), each.source.name.mark)
            returned.append(Returned(each.name, found, each.source.pick))
        kind = "flow" if returned else kind_of(list(steps.values()), plan.entries[0])
        return plan._replace(kind=kind, steps=tuple(steps.values()), outputs=tuple(returned))

    def check_inputs(
        self, plan: ModulePlan, inputs: tuple[str, ...], given: bool, mark: Mark, several: bool = False
    ) -> None:
        """Refuse a number of inputs that the type cannot take; a class of torch.nn decides for itself.

        Args:
            given: Whether `from` names them.
            several: Whether the first input is known to be a tuple or mapping.
        """
        actual = self.built[plan.shared] if plan.kind == "reference" and plan.shared else plan
        if actual.kind == "module":
            return
        count = len(inputs)
        builtin = BUILTINS.get(actual.type) if actual.kind in ("builtin", "parameter") else None
        accepted = builtin.inputs if builtin else (len(actual.entries),)
        if count in accepted or (not accepted and (count > 1 or several)):
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
        for index, child in enumerate(self.copies(layer, path, times, scope, depth + 1)):
            name = str(index)
            self.check_inputs(child, (previous,), True, layer.mark)
            steps.append(Step(name, child, (previous,), layer.take))
            previous = previous if layer.parallel else name
        if layer.parallel:
            return branches(path, layer.mark, steps), ()
        kind = kind_of(steps, INPUT)
        return ModulePlan(kind, path, "Sequential", layer.mark, steps=tuple(steps)), ()

    def copies(self, layer: Layer, path: str, times: int, scope: Scope, depth: int) -> Iterator[ModulePlan]:
        """Each of so many copies of a layer, below a path."""
        number, uses = Watched(i=0), self.uses
        count, spent = self.count, self.budget.spent
        first = self.once(layer, _join(path, "0"), scope.extended(number), depth)
        yield first
        count, spent = self.count - count, self.budget.spent - spent
        is_same = not number.is_asked and self.uses == uses
        for index in range(1, times):
            place = _join(path, str(index))
            # past a bound it is expanded, up to what is too much
            if is_same and self.count + count <= MAX_MODULES and self.budget.allows(spent):
                self.count += count
                self.budget.spent += spent
                yield moved(first, place)
            else:
                yield self.once(layer, place, scope.extended({"i": index}), depth)

    def once(self, layer: Layer, path: str, scope: Scope, depth: int) -> ModulePlan:
        plan = self.made(layer, path, scope, depth)
        if not layer.parametrize:
            return plan
        if plan.kind != "module":
            raise layer.mark.error(
                f"parametrize of {plan.type}; expected a class of torch.nn or --modules-file",
                hint="write it at the layer that has the tensor",
            )
        if plan.type.startswith("Lazy"):
            raise layer.mark.error(f"parametrize of {plan.type}, which has no tensor yet", hint="write its sizes")
        made = [
            Parametrization(
                name.text,
                call.type.text,
                complete(call.type.text, PARAMETRIZATIONS[call.type.text][1], call, scope),
                name.mark,
            )
            for name, call in layer.parametrize
        ]
        return plan._replace(parametrize=tuple(made))

    def made(self, layer: Layer, path: str, scope: Scope, depth: int) -> ModulePlan:
        """One layer, without what is computed of its tensors."""
        what, mark = layer.what, layer.mark
        match what:
            case SequentialLayer():
                return self.container(ModulePlan("sequential", path, "Sequential", mark), what.layers, scope, depth)
            case Residual():
                return self.residual(what, path, mark, scope, depth)
            case Parallel():
                return self.parallel(what, path, mark, scope, depth)
            case Experts():
                return self.experts(what, path, mark, scope, depth)
            case Use():
                return self.use(what.name, path, mark, depth)
            case Call():
                return self.call(what, path, mark, scope, depth)

    def residual(self, what: Residual, path: str, mark: Mark, scope: Scope, depth: int) -> ModulePlan:
        self.enter(mark, depth)
        steps = []
        for name, layers in (("body", what.body), ("shortcut", what.shortcut)):
            if standing(layers, scope) or (name == "body" and layers):
                empty = ModulePlan("sequential", _join(path, name), "Sequential", layers[0].mark)
                steps.append(Step(name, self.container(empty, layers, scope, depth + 1), (INPUT,)))
        return ModulePlan("residual", path, "Residual", mark, steps=tuple(steps))

    def parallel(self, what: Parallel, path: str, mark: Mark, scope: Scope, depth: int) -> ModulePlan:
        self.enter(mark, depth)
        steps: dict[str, Step] = {}
        for name, branch in what.branches:
            if name.text in steps:
                raise name.mark.error(
                    f"duplicate name {name.text} in one list of layers", hint="give each its own name"
                )
            child, take = self.layer(branch, _join(path, name.text), scope, depth + 1)
            self.check_inputs(child, (INPUT,), True, branch.mark)
            steps[name.text] = Step(name.text, child, (INPUT,), take)
        return branches(path, mark, list(steps.values()), is_named=what.is_named)

    def experts(self, what: Experts, path: str, mark: Mark, scope: Scope, depth: int) -> ModulePlan:
        self.enter(mark, depth)
        count = scope.integer(what.number, "count", 1, MAX_REPEAT)
        top = scope.integer(what.top, "top", 1, count)
        normalize = what.normalize is None or scope.flag(what.normalize, "normalize")
        gate, _ = self.layer(what.gate, _join(path, "gate"), scope, depth + 1)
        inner = _join(path, "experts")
        self.enter(mark, depth + 1)
        each = list(self.copies(what.expert, inner, count, scope, depth + 2))
        for child in (gate, *each):
            if child.type == "Param":
                raise child.mark.error(
                    "a Param that stands alone in a MixtureOfExperts", hint="put it in a list: [{Param: ..}]"
                )
            self.check_inputs(child, (INPUT,), True, child.mark)
        steps = tuple(Step(str(index), child, (INPUT,)) for index, child in enumerate(each))
        listed = ModulePlan("list", inner, "ModuleList", mark, steps=steps)
        return ModulePlan(
            "experts", path, "MixtureOfExperts", mark, kwargs={"top": top, "normalize": normalize},
            steps=(Step("gate", gate, (INPUT,)), Step("experts", listed, (INPUT,))),
        )  # fmt: skip

    def use(self, name: Name, path: str, mark: Mark, depth: int) -> ModulePlan:
        """The shared module itself at its first use, a reference to it at the others."""
        shared = self.spec.shared
        self.uses += 1
        if name.text not in shared:
            known = f"known are {', '.join(list(shared)[:8])}" if shared else "write shared: {NAME: layer}"
            raise name.mark.error(f"use of an undefined name: {name.text}", hint=closest(name.text, shared) or known)
        if first := self.built.get(name.text):
            self.enter(mark, depth)
            return first._replace(kind="reference", path=path, mark=mark, steps=(), reference=first.path)
        self.begin("shared", name.text, name.mark)
        plan, _ = self.layer(shared[name.text], path, self.scope(), depth)
        self.open.pop()
        self.built[name.text] = plan._replace(shared=name.text)
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
        if what.type.text.startswith("$"):
            what = what._replace(type=_type_of(what.type, scope))
        name = what.type.text
        if name in self.spec.blocks:
            return self.block(self.spec.blocks[name], what, path, scope, depth)
        self.enter(mark, depth)
        builtin = None if name in self.own else BUILTINS.get(name)
        if builtin:
            kind: Literal["parameter", "builtin"] = "parameter" if name == "Param" else "builtin"
            return ModulePlan(kind, path, name, what.type.mark, kwargs=complete(name, builtin.arguments, what, scope))
        meant = SPELLINGS.get(name.casefold())
        if meant and name not in self.own:
            raise what.type.mark.error(f"unknown type {name}", hint=f"did you mean {meant}?")
        self.classes.setdefault(name, what.type.mark)
        args = tuple(scope.value(node) for node in what.args)
        kwargs = {key.text: scope.value(node) for key, node in what.kwargs}
        return ModulePlan("module", path, name, mark, args, kwargs)

    def block(self, block: Block, what: Call, path: str, scope: Scope, depth: int) -> ModulePlan:
        name = block.name.text
        declared = [parameter.name.text for parameter in block.parameters]
        given = bind(what, declared)
        names: dict[str, Value] = {}
        inner = self.scope().extended(names)  # a default sees the arguments before it
        for parameter in block.parameters:
            key = parameter.name.text
            if key in given:
                names[key] = scope.value(given[key])
            elif parameter.default is not None:
                names[key] = inner.value(parameter.default)
            else:
                raise what.type.mark.error(f"{name} without its argument {key}", hint=usage(name, declared))
        self.begin("block", name, what.type.mark)
        entries = tuple(each.text for each in block.inputs) or (INPUT,)
        empty = ModulePlan("sequential", path, name, what.type.mark, entries=entries)
        plan = self.container(empty, block.layers, inner, depth, block.outputs)
        check_fed(plan, block.inputs)
        self.open.pop()
        return plan


def _type_of(name: Name, scope: Scope) -> Name:
    """The type that a variable stands for."""
    value = scope.named(name.text[1:], name.mark)
    if not isinstance(value, str) or not is_identifier(value) or value in CONTAINERS:
        raise name.mark.error(
            f"{name.text} is {shorten(repr(value))}; expected a type without layers of its own",
            hint="write vars: {act: ReLU}",
        )
    return Name(value, name.mark)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
