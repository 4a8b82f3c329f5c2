"""Why a selector means no tensor, as far as that can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from paraminspect.names.selector import Selector, TypeGlob, class_name, quote_name
from paraminspect.names.suggestions import closest
from paraminspect.records import Classes
from paraminspect.text import escape_text, list_some

MOST_LISTED = 6
"""Classes that are named where none is near."""

Tensors = Sequence[tuple[str, Classes]]
"""Names, and the classes of their modules."""


def explain_miss(selector: Selector, tensors: Tensors) -> str:
    """What to say of a selector that matches none of these tensors, and what may have been meant; "" for nothing.

    Example:
        >>> explain_miss(parse_selector("LlamaMPL:*"), tensors)
        'no module is a LlamaMPL; did you mean LlamaMLP?'
    """
    for name, _ in tensors:
        if selector.text in (name, escape_text(name)):
            return f"for the tensor of that name write {quote_name(name)}"
    if selector.module_type is not None:
        return _explain_type(selector, selector.module_type, tensors)
    if selector.literal is not None:
        return _explain_name(selector.literal, [name for name, _ in tensors])
    return _near_leaf(selector.text, [name for name, _ in tensors])


def _explain_type(selector: Selector, types: TypeGlob, tensors: Tensors) -> str:
    if not any(classes.own for _, classes in tensors):
        return "this checkpoint does not say of which class its modules are: use a pattern of names" if tensors else ""
    if any(types.means(classes) for _, classes in tensors):
        return _explain_inside(selector, types, tensors)
    around = TypeGlob(types.text, of_owner=False)
    if any(around.means(classes) for _, classes in tensors):
        return f"no {types.text} owns a tensor itself; {selector.text.replace('>:', ':', 1)} means all inside of it"
    known, bare = _names(tensors, lambda classes: (*classes.own, *classes.around)), class_name(types.text)
    near = f"did you mean {bare}?" if bare in known else closest(bare, known)
    return f"no module is a {types.text}; {near or _the_classes(_owners(tensors))}"


def _explain_inside(selector: Selector, types: TypeGlob, tensors: Tensors) -> str:
    """There are such modules; but they hold no such name."""
    elsewhere = [each for each in tensors if selector.means_name(each[0])]
    if elsewhere:
        return f"no module of that class has such a name; {_the_classes(_owners(elsewhere))}"
    inside = [name for name, classes in tensors if types.means(classes)]
    return _near_leaf(selector.text.partition(":")[2], inside)


def _explain_name(name: str, names: Sequence[str]) -> str:
    """Nothing is called so."""
    if holding := sum(name in each for each in names):
        return f"it stands for a whole name; '*{name}*' matches {holding:,}"
    return closest(name, names) or ("" if "." in name else _near_leaf(name, names))


def _near_leaf(pattern: str, names: Sequence[str]) -> str:
    """The last part of a pattern, if it looks misspelt."""
    leaf = pattern.rpartition("*" if "*" in pattern else ".")[2].lstrip(".")
    near = closest(leaf, dict.fromkeys(name.rpartition(".")[2] for name in names)) if leaf else None
    return near or ""


def _names(tensors: Iterable[tuple[str, Classes]], of: Callable[[Classes], Iterable[str]]) -> list[str]:
    """Names of classes, each once."""
    different = dict.fromkeys(classes for _, classes in tensors)
    return list(dict.fromkeys(class_name(each) for classes in different for each in of(classes)))


def _owners(tensors: Tensors) -> list[str]:
    return _names(tensors, lambda classes: classes.own[:1])


def _the_classes(names: Sequence[str]) -> str:
    return f"the classes are {list_some(names, MOST_LISTED)}"
