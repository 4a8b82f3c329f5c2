"""The modules of a model as data: which is in which, under what names, of what class, holding which tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from paraminspect.names.listing import Listing, make_listing
from paraminspect.records import TensorRecord
from paraminspect.tuples import NamedTuple


class Outline:
    """One module; one object, whatever the number of its names.

    Attributes:
        classes: Dotted, its own first, then those it derives from.
        class_name: As `print` shows it.
        extra: Its arguments, as `extra_repr` gives them; may have several lines.
        header: How `print` shows it: "plain" (arguments, then children), "list" (of equal neighbours only one, with
            its number), or "own" (the class has a `__repr__` of its own).
        text: Lines of that `__repr__`; () otherwise.
        parameters: By name in the module, in order; one object, whatever the number of its names.
        buffers: The same.
        children: By name, in order.
        padding_idx: Row of an embedding that stays zero; None where there is none.
    """

    __slots__ = (
        "buffers", "children", "class_name", "classes", "extra", "header", "padding_idx", "parameters", "text",
    )  # fmt: skip

    def __init__(
        self,
        classes: tuple[str, ...],
        extra: str = "",
        *,
        class_name: str = "",
        header: str = "plain",
        text: tuple[str, ...] = (),
        padding_idx: int | None = None,
    ) -> None:
        self.classes = classes
        self.class_name = class_name or classes[0].rpartition(".")[2]
        self.extra = extra
        self.header = header
        self.text = text
        self.parameters: dict[str, Any] = {}
        self.buffers: dict[str, Any] = {}
        self.children: dict[str, Outline] = {}
        self.padding_idx = padding_idx

    def named(self, path: str = "") -> Iterator[tuple[str, Outline]]:
        """Every module under every path, as `named_modules(remove_duplicate=False)` has them."""
        yield path, self
        for name, child in self.children.items():
            yield from child.named(f"{path}.{name}" if path else name)

    def once(self) -> dict[str, Outline]:
        """Every module once, under its first path."""
        seen: set[int] = set()
        found = {}
        for path, module in self.named():
            if id(module) not in seen:
                seen.add(id(module))
                found[path] = module
        return found


class ModuleNode(NamedTuple):
    """One module under one of its names.

    Attributes:
        path: Dotted, "" for the model.
        name: Last part of the path.
        class_name: As `print` shows it.
        module_type: Dotted class.
        extra: Its arguments.
        own: Elements of its own parameters, those that a parameter before it holds left out.
        numel: Of those and all below it.
        trainable: Of `numel`, those with requires_grad.
        tensors: Number of the parameters that `numel` counts.
        same_as: Path of the same module under its first name; None where this is the first.
        ties: (own parameter's name, name of the one it is counted under), for those that are counted elsewhere.
        seen_as: (own parameter's name, what it is of another), for those that have bytes of another: "e.weight",
            "e.weight (transposed)", "e.weight[0:2]".
        header: As of `Outline`.
        text: The same.
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


class TreeLine(NamedTuple):
    """One line of the tree.

    Attributes:
        text: As `print(model)` has it.
        node: The module whose first line it is; None for a further one (arguments, a closing parenthesis).
    """

    text: str
    node: ModuleNode | None


def make_nodes(root: Outline, records: Sequence[TensorRecord]) -> ModuleNode:
    """The modules of a model, with what they hold, counted as a listing counts it.

    Args:
        records: Of its tensors under every name.
    """
    return _Nodes(make_listing(records, aliases=True)).node(root, "", "")


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


class _Nodes:
    def __init__(self, listing: Listing) -> None:
        self.modules: dict[int, str] = {}
        self.listing = listing
        self.places = {record.name: place for place, record in enumerate(listing.records)}

    def node(self, module: Outline, path: str, name: str) -> ModuleNode:
        same_as = self.modules.get(id(module))
        self.modules.setdefault(id(module), path)
        own, trainable, tensors = 0, 0, 0
        ties, seen_as = [], []
        for key in module.parameters:
            place = self.places[f"{path}.{key}" if path else key]
            record = self.listing.records[place]
            if record.shape is None:
                continue
            if place in self.listing.seen_as:
                seen_as.append((key, self.listing.seen_as[place]))
            if place in self.listing.repeated:
                ties.append((key, self.listing.tied_to[place]))
                continue
            numel = self.listing.numel_of(place)
            own += numel
            trainable += numel if record.trainable else 0
            tensors += 1
        children = tuple(
            self.node(child, f"{path}.{key}" if path else key, key) for key, child in module.children.items()
        )
        return ModuleNode(
            path=path,
            name=name,
            class_name=module.class_name,
            module_type=module.classes[0],
            extra=module.extra if module.header == "plain" else "",
            own=own,
            numel=own + sum(child.numel for child in children),
            trainable=trainable + sum(child.trainable for child in children),
            tensors=tensors + sum(child.tensors for child in children),
            same_as=same_as,
            ties=tuple(ties),
            seen_as=tuple(seen_as),
            children=children,
            header=module.header,
            text=module.text,
        )
