"""Any YAML text -> nodes with marks, on top of PyYAML's events.

PyYAML splits the text (its C parser where it is compiled in, the Python one elsewhere: same marks, fewer tabs); what the
pieces mean is decided here and in `scalars`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from paraminspect.architecture.nodes import Document, ListNode, MapNode, Mark, Node, Scalar, describe, shown
from paraminspect.architecture.scalars import parse_scalar
from paraminspect.errors import SpecError
from paraminspect.late_patterns import late_patterns
from paraminspect.text import shorten

with late_patterns():
    import yaml

MAX_YAML_NODES: Final = 100_000
"""Scalars, lists and mappings, every copy that an alias makes counted."""

MAX_YAML_DEPTH: Final = 64
"""Of lists and mappings inside each other, aliases expanded."""

QUOTE_STAR = "quote text that begins with *: '*.weight=zeros'"


def read_events(text: str, *, pure: bool = False) -> Document:
    """Parse one document.

    Args:
        pure: Use PyYAML's Python parser even where the C one is there.

    Raises:
        SpecError: Anything that is not one document of bounded size, with its place.
    """
    builder = _Builder(text)
    loader: Any = yaml.SafeLoader if pure or not yaml.__with_libyaml__ else yaml.CSafeLoader
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _explain(error, text) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The Python parser lets int() and chr() speak for numbers of escapes and directives.
        raise SpecError(f"not YAML: {shown(' '.join(str(error).split()), 120)}") from None
    if builder.root is None:
        raise Mark(1, 1).error("an empty document", hint="a spec is a mapping with the key model: [layer, ..]")
    return Document(builder.root, tuple(builder.aliases))


def _quoting(text: str) -> str:
    """How to write what a comma has cut after `text`."""
    call = re.match(r"([A-Z][A-Za-z0-9_]*)\(", text)
    if call:
        return f"write {{{call[1]}: [..]}}"
    example = "*.weight=normal(0, 0.02)" if "=" in text else "$(min(a, b))"
    return f"close the parenthesis, or quote an item that holds a comma: ['{example}']"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


class _Open:
    """A list or mapping whose end has not been read."""

    __slots__ = ("anchor", "height", "is_flow", "is_map", "items", "keys", "mark", "names", "size")

    def __init__(self, mark: Mark, anchor: str | None, *, is_map: bool, is_flow: bool) -> None:
        self.mark = mark
        self.anchor = anchor
        self.is_map = is_map
        self.is_flow = is_flow
        self.items: list[Node] = []
        self.keys: list[Scalar] = []
        self.names: set[str] = set()
        self.size = 1
        self.height = 1


class _Builder:
    """Makes nodes of events, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Node | None = None
        self.aliases: list[Mark] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.total = 0

    def take(self, event: Any) -> None:
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            self.refuse_tag(event, mark)
            self.add(self.scalar(event, mark), mark, 1, 0, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event.anchor or "", mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.refuse_tag(event, mark)
            is_map = isinstance(event, yaml.MappingStartEvent)
            if len(self.stack) >= MAX_YAML_DEPTH:
                raise mark.error(f"more than {MAX_YAML_DEPTH} lists and mappings inside each other")
            self.refuse_key(mark, "a mapping" if is_map else "a list")
            self.stack.append(_Open(mark, event.anchor, is_map=is_map, is_flow=bool(event.flow_style)))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.stack.pop()
            node: Node = (
                MapNode(tuple(zip(done.keys, done.items, strict=True)), done.mark)
                if done.is_map
                else ListNode(tuple(done.items), done.mark)
            )
            self.total -= done.size - 1  # they are counted again, as one subtree
            self.add(node, done.mark, done.size, done.height, done.anchor)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise mark.error("a second document begins here; a spec is one document")

    def scalar(self, event: Any, mark: Mark) -> Scalar:
        text: str = event.value
        if event.style:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise mark.error("half of a surrogate pair in quoted text")
            written = self.text[event.start_mark.index : event.end_mark.index]
            return Scalar(text, text, mark, plain=False, verbatim=written in (f"'{text}'", f'"{text}"'))
        if self.stack and self.stack[-1].is_flow and text.count("(") != text.count(")"):
            raise mark.error(
                f"unbalanced parenthesis in {shorten(text)!r}: in [..] and {{..}} a comma ends the item",
                hint=_quoting(text),
            )
        scalar = parse_scalar(text, mark)
        is_verbatim = self.text.startswith(text, event.start_mark.index)
        return scalar if is_verbatim else scalar._replace(verbatim=False)

    def alias(self, name: str, mark: Mark) -> None:
        if any(level.anchor == name for level in self.stack):
            raise mark.error(f"the alias *{name} stands inside its own anchor")
        if name not in self.anchors:
            raise mark.error(
                f"*{shown(name)} is read as a YAML alias, and there is no anchor &{shown(name)}", hint=QUOTE_STAR
            )
        self.refuse_key(mark, "an alias", hint=QUOTE_STAR)
        node, size, height = self.anchors[name]
        if _has_mapping(node):
            self.aliases.append(mark)
        self.add(node, mark, size, height, None)

    def add(self, node: Node, mark: Mark, size: int, height: int, anchor: str | None) -> None:
        """Put a finished subtree of `size` nodes and `height` levels below the node that is open."""
        self.total += size
        if self.total > MAX_YAML_NODES:
            raise mark.error(f"more than {MAX_YAML_NODES:,} values, the copies of aliases counted")
        if len(self.stack) + height > MAX_YAML_DEPTH:
            raise mark.error(f"more than {MAX_YAML_DEPTH} lists and mappings inside each other")
        if anchor is not None:
            self.anchors[anchor] = node, size, height
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if parent.is_map and len(parent.keys) == len(parent.items):
            self.add_key(parent, node, mark)
        else:
            parent.items.append(node)

    def add_key(self, parent: _Open, node: Node, mark: Mark) -> None:
        if not isinstance(node, Scalar):
            raise mark.error(f"{describe(node)} as a key; a key is text")
        if node.plain and node.text == "<<":
            raise mark.error("merge keys (<<) are not part of YAML 1.2", hint="write the keys out, or use blocks")
        if node.text in parent.names:
            first = next(key.mark for key in parent.keys if key.text == node.text)
            raise mark.error(f"duplicate key {shorten(node.text)!r}, first at {first.line}:{first.column}")
        parent.names.add(node.text)
        parent.keys.append(node)

    def refuse_key(self, mark: Mark, what: str, hint: str | None = None) -> None:
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.is_map and len(parent.keys) == len(parent.items):
            raise mark.error(f"{what} as a key; a key is text", hint=hint)

    def refuse_tag(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise mark.error(f"the tag {shown(tag)}; a spec holds plain values only", hint="remove the tag")


def _has_mapping(node: Node) -> bool:
    return isinstance(node, MapNode) or (isinstance(node, ListNode) and any(_has_mapping(item) for item in node.items))


def _explain(error: yaml.MarkedYAMLError, text: str) -> SpecError:
    """PyYAML's complaint, in one line, with what to do where the cause is a usual one."""
    context, problem = error.context or "", error.problem or ""
    mark = _mark(error.problem_mark or error.context_mark)
    begin = mark if error.context_mark is None else _mark(error.context_mark)
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    character = line[mark.column - 1 : mark.column]
    if "alias" in context:
        found = re.match(r"[^\s,\]}]+", line[begin.column - 1 :])
        return begin.error(f"{shown(found[0] if found else '*')} is read as a YAML alias", hint=QUOTE_STAR)
    if character == "\t" and "token" in problem:
        return mark.error("a tab where YAML expects spaces", hint="indent with spaces")
    if "flow sequence" in context or "flow mapping" in context:
        brackets = "[]" if "sequence" in context else "{}"
        if not character and mark.line >= len(lines):
            return begin.error(f"{brackets[0]!r} is never closed")
        return mark.error(
            f"expected ',' or {brackets[1]!r}, found {character or 'the end of the line'!r}",
            hint=f"is the {brackets[0]} at {begin.line}:{begin.column} closed?",
        )
    if "quoted scalar" in context and "end of stream" in problem:
        return begin.error("a quote that is never closed")
    if "simple key" in context:
        return begin.error(
            "text where a key and ':' are expected", hint="write key: value, or begin an item with a dash"
        )
    for part, message, hint in _COMPLAINTS:
        if part in problem or part in context:
            return mark.error(message.format(repr(character) if character else "the end"), hint=hint)
    return mark.error(f"not YAML: {shown(': '.join(part for part in (context, problem) if part), 120)}")


_COMPLAINTS = (
    ("cannot start any token", "{} cannot begin unquoted text", "quote it"),
    (
        "mapping values are not allowed",
        "a key and its value where none can begin",
        "quote text that holds ': ', and indent the keys of one mapping alike",
    ),
    ("entries are not allowed", "a dash where no item can begin", "begin the list on its own line, or write [..]"),
    ("document start", "{} after the end of the spec", "a spec is one mapping; check the brackets above"),
    ("node content", "{} where a value is expected", None),
    ("block", "{} where a key or an item is expected", "check the indentation, and the brackets of this line"),
)
"""(part of PyYAML's problem or context, what to say of the character there, hint)."""
