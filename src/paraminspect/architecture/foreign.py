"""Configurations of other programs, met where a spec was expected: what they are, and how it is said here.

None of them is run: a mapping that names code (`_target_: torch.nn.Linear`) is only looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, shown
from paraminspect.errors import SpecError
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple

MAX_ANSWER = 160
"""Characters of a hint that repeats what the file says."""

TORCH = ("torch.nn.", "nn.")
_OWN_CODE = "classes of your own come from --modules-file"


class Foreign(NamedTuple):
    """Files of one program.

    Attributes:
        what: What it is called.
        keys: One of them marks it.
        anywhere: Whether they count in any mapping, or in the outermost one only.
        answer: From the mapping that has the key, how it is said here.
    """

    what: str
    keys: tuple[str, ...]
    anywhere: bool
    answer: Callable[[MapNode], str]


def _named_code(key: str, arguments: str) -> Callable[[MapNode], str]:
    """For files that name a callable under `key` and hold what it takes beside it, or under `arguments`."""

    def answer(node: MapNode) -> str:
        target = node.get(key)
        name = target.text if isinstance(target, Scalar) else ""
        if name.startswith(TORCH):
            return f"write model: {_layers(node, key, arguments)}"
        module, _, attribute = name.rpartition(".")
        options = "".join(f" --arg {shown(each.text)}={_plain(value)}" for each, value in _given(node, key, arguments))
        return f"a spec names no code; a factory does: {shown(module)}:{shown(attribute)}{options}"

    return answer


def _given(node: MapNode, key: str, arguments: str) -> list[tuple[Scalar, Node]]:
    inside = node.get(arguments) if arguments else node
    entries = inside.entries if isinstance(inside, MapNode) else ()
    return [(name, value) for name, value in entries if name.text != key and not name.text.startswith("_")]


def _layers(node: MapNode, key: str, arguments: str) -> str:
    """A list of layers; a Sequential is the list itself."""
    text = _layer(node, key, arguments)
    inner = text.removeprefix("{Sequential: ").removesuffix("}")
    return inner if text != inner and inner.startswith("[") else f"[{text}]"


def _layer(node: Node, key: str, arguments: str) -> str:
    target = node.get(key) if isinstance(node, MapNode) else None
    if not isinstance(node, MapNode) or not isinstance(target, Scalar):
        return _plain(node)
    name = target.text.rpartition(".")[2]
    listed = node.get("_args_")
    items = [_layer(each, key, arguments) for each in listed.items] if isinstance(listed, ListNode) else []
    named = ", ".join(f"{each.text}: {_plain(value)}" for each, value in _given(node, key, arguments))
    if not items:
        return f"{{{name}: {{{named}}}}}" if named else name
    return f"{{{name}: [{', '.join([*items, *([f'{{{named}}}'] if named else [])])}]}}"


def _rows(node: MapNode) -> str:
    """The first row of Ultralytics that says more than a type: [from, repeats, module, args]."""
    for part in (node.get("backbone"), node.get("head")):
        for row in part.items if isinstance(part, ListNode) else ():
            if isinstance(row, ListNode) and len(row.items) == 4:
                source, repeats, module, args = (_plain(item) for item in row.items)
                more = ("" if source == "-1" else f", from: {source}") + (
                    "" if repeats == "1" else f", repeat: {repeats}"
                )
                name = module.rpartition(".")[2]
                return f"the row {_plain(row)} is {{{name}: {args}{more}}} in model: [..]; {_OWN_CODE}"
    return f"a row [-1, 3, Conv, [64, 3]] is {{Conv: [64, 3], repeat: 3}} in model: [..]; {_OWN_CODE}"


def _plain(node: Node) -> str:
    if isinstance(node, ListNode):
        return f"[{', '.join(_plain(item) for item in node.items)}]"
    if isinstance(node, MapNode):
        return f"{{{', '.join(f'{key.text}: {_plain(value)}' for key, value in node.entries)}}}"
    return shown(node.text)


def _fixed(text: str) -> Callable[[MapNode], str]:
    return lambda node: text


FOREIGN: tuple[Foreign, ...] = (
    Foreign("Hydra", ("_target_",), True, _named_code("_target_", "")),
    Foreign("torchtune", ("_component_",), True, _named_code("_component_", "")),
    Foreign("Lightning", ("class_path",), True, _named_code("class_path", "init_args")),
    Foreign("Ultralytics", ("backbone", "head"), False, _rows),
    Foreign(
        "Ludwig",
        ("input_features", "output_features"),
        False,
        _fixed("write the layers: model: [{Linear: [4, 3]}, ..], and for each feature input: {NAME: {shape: [1, 4]}}"),
    ),
    Foreign(
        "Modalities",
        ("component_key", "variant_key"),
        True,
        _fixed("write the layers: model: [{Embedding: [50257, 768]}, {Block, repeat: 12}, ..]; a variant is a block"),
    ),
    Foreign(
        "Detectron2",
        ("META_ARCHITECTURE",),
        True,
        _fixed("a spec names no code; a function that calls build_model(cfg) is a factory: build.py:make_net"),
    ),
    Foreign(
        "Keras",
        ("keras_version", "class_name"),
        False,
        _fixed("write the layers: Dense of 3 units after 4 is {Linear: [4, 3]}, and its activation a layer of its own"),
    ),
)


def find_foreign(root: Node) -> SpecError | None:
    """What a file that is no spec is instead; None where that is not known."""
    if isinstance(root, MapNode) and isinstance(root.get("model"), ListNode):
        return None
    for depth, node in _mappings(root, 0):
        for key, _ in node.entries:
            for each in FOREIGN:
                if key.text in each.keys and (each.anywhere or not depth):
                    return _error(each, key, node)
    return None


def _error(found: Foreign, key: Scalar, node: MapNode) -> SpecError:
    mark: Mark = key.mark
    return mark.error(
        f"a configuration of {found.what} ({key.text}), which is not a spec",
        hint=shorten(found.answer(node), MAX_ANSWER),
    )


def _mappings(node: Node, depth: int) -> Iterator[tuple[int, MapNode]]:
    if isinstance(node, MapNode):
        yield depth, node
        for _, value in node.entries:
            yield from _mappings(value, depth + 1)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _mappings(item, depth + 1)
