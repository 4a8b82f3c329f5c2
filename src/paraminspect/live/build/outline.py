"""The module tree of a live model as data, and as the text that `print(model)` gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from torch import nn
from torch.nn.parameter import is_lazy

from paraminspect.live.build.describe import check_size, describe_model
from paraminspect.names.listing import Listing, make_listing
from paraminspect.records import TensorRecord


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """One module under one of its names.

    Attributes:
        path: Dotted, "" for the model.
        name: Last part of the path.
        class_name: As `print` shows it.
        module_type: Dotted class.
        extra: Its arguments, as `extra_repr` gives them; may have several lines.
        own: Elements of its own parameters, those that a parameter before it holds left out.
        numel: Of those and all below it.
        trainable: Of `numel`, those with requires_grad.
        tensors: Number of the parameters that `numel` counts.
        same_as: Path of the same module under its first name; None where this is the first.
        ties: (own parameter's name, name of the one it is counted under), for those that are counted elsewhere.
        seen_as: (own parameter's name, what it is of another), for those that have bytes of another: "e.weight",
            "e.weight (transposed)", "e.weight[0:2]".
        header: How `print` shows it: "plain" (arguments, then children), "list" (of equal neighbours only one, with
            its number), or "own" (the class has a `__repr__` of its own).
        text: Lines of that `__repr__`; () otherwise.
    """

    path: str
    name: str
    class_name: str
    module_type: str
    extra: str
    own: int
    numel: int
    trainable: int
    tensors: int
    same_as: str | None
    ties: tuple[tuple[str, str], ...]
    seen_as: tuple[tuple[str, str], ...]
    children: tuple[ModuleNode, ...]
    header: str = "plain"
    text: tuple[str, ...] = ()

    def walk(self) -> Iterator[ModuleNode]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One line of the tree.

    Attributes:
        text: As `print(model)` has it.
        node: The module whose first line it is; None for a further one (arguments, a closing parenthesis).
    """

    text: str
    node: ModuleNode | None


def make_module_tree(model: nn.Module, records: Sequence[TensorRecord] | None = None) -> ModuleNode:
    """The modules of a model, with what they hold, counted as a listing counts it.

    Args:
        records: Of its tensors under every name; None makes them.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    check_size(model)
    return _Tree(make_listing(describe_model(model) if records is None else records, aliases=True)).node(model, "", "")


def tree_lines(node: ModuleNode, label: str = "") -> list[TreeLine]:
    """The tree as `print(model)` draws it; joined by newlines the texts are exactly that.

    Args:
        label: What comes before it on its line.
    """
    if node.header == "own":
        return [TreeLine(label + line if not place else line, None if place else node) for place, line in enumerate(node.text)]  # fmt: skip
    extra = node.extra.split("\n") if node.extra else []
    head = f"{label}{node.class_name}("
    if not node.children and len(extra) < 2:
        return [TreeLine(f"{head}{node.extra})", node)]
    lines = [TreeLine(head, node)]
    below = [TreeLine(line, None) for line in extra if node.header == "plain"]
    for group in neighbours(node.children) if node.header == "list" else [(child,) for child in node.children]:
        first, last = group[0], group[-1]
        name = f"({first.name}): " if first is last else f"({first.name}-{last.name}): {len(group)} x "
        below += tree_lines(first, name)
    lines += [TreeLine(f"  {line.text}" if line.text.strip() else "", line.node) for line in below]
    return [*lines, TreeLine(")", None)]


def neighbours(children: Sequence[ModuleNode]) -> list[tuple[ModuleNode, ...]]:
    """Children in runs that print alike."""
    return [tuple(group) for _, group in groupby(children, key=_printed)]


def _printed(node: ModuleNode) -> str:
    return "\n".join(line.text for line in tree_lines(node))


class _Tree:
    def __init__(self, listing: Listing) -> None:
        self.modules: dict[int, str] = {}
        self.listing = listing
        self.places = {record.name: place for place, record in enumerate(listing.records)}

    def node(self, module: nn.Module, path: str, name: str) -> ModuleNode:
        same_as = self.modules.get(id(module))
        self.modules.setdefault(id(module), path)
        own, trainable, tensors = 0, 0, 0
        ties, seen_as = [], []
        for key, parameter in module._parameters.items():
            if parameter is None or is_lazy(parameter):
                continue
            full = f"{path}.{key}" if path else key
            place = self.places[full]
            if place in self.listing.seen_as:
                seen_as.append((key, self.listing.seen_as[place]))
            if place in self.listing.repeated:
                ties.append((key, self.listing.tied_to[place]))
                continue
            numel = self.listing.numel_of(place)
            own += numel
            trainable += numel if parameter.requires_grad else 0
            tensors += 1
        children = tuple(
            self.node(child, f"{path}.{key}" if path else key, key)
            for key, child in module._modules.items()
            if child is not None
        )
        header, text = _header(module, children)
        cls = type(module)
        return ModuleNode(
            path=path,
            name=name,
            class_name=str(module._get_name()),  # type: ignore[no-untyped-call]
            module_type=f"{cls.__module__}.{cls.__qualname__}",
            extra=_said_by(module.extra_repr) if header == "plain" else "",
            own=own,
            numel=own + sum(child.numel for child in children),
            trainable=trainable + sum(child.trainable for child in children),
            tensors=tensors + sum(child.tensors for child in children),
            same_as=same_as,
            ties=tuple(ties),
            seen_as=tuple(seen_as),
            children=children,
            header=header,
            text=text,
        )


def _header(module: nn.Module, children: Sequence[ModuleNode]) -> tuple[str, tuple[str, ...]]:
    written = type(module).__repr__
    if written is nn.Module.__repr__ and len(children) == len(module._modules):
        return "plain", ()
    if written is nn.ModuleList.__repr__ and len(children) == len(module._modules):
        return "list", ()
    text = _said_by(module.__repr__)
    return ("own", tuple(text.split("\n"))) if text else ("plain", ())


def _said_by(describe: Callable[[], object]) -> str:
    """What the code of a module says of it: nothing where that fails, as on the meta device if it looks at values."""
    with suppress(Exception):
        return str(describe())
    return ""
