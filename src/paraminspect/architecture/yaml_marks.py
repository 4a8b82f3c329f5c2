"""YAML 1.2 (and so JSON) text -> nodes with marks, on top of PyYAML's events.

PyYAML splits the text (its C parser where it is compiled in, the Python one elsewhere: same marks, fewer tabs); what the pieces
mean is decided here, after the core schema of YAML 1.2, because PyYAML follows 1.1: it reads `1e-3` as text, `017` as
15, `12:30` as 750, `no` as false, and keeps the last of two equal keys. Stricter than 1.2 in what would surprise:

- one document, of bounded size and depth, an alias counted as the copy that it is;
- bare `yes`, `no`, `on`, `off`, equal keys, merge keys (`<<`) and tags (`!!...`) are errors;
- in `[..]` and `{..}` an unquoted item with unbalanced parentheses is one: a comma has cut it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe, shown
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.errors import SpecError
from paraminspect.late_patterns import late_patterns
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple

with late_patterns():
    import yaml

MAX_YAML_NODES: Final = 100_000
"""Scalars, lists and mappings, every copy that an alias makes counted."""

MAX_YAML_DEPTH: Final = 64
"""Of lists and mappings inside each other, aliases expanded."""

MAX_NUMBER_LENGTH: Final = 64
"""Characters of one number."""

CONSTANTS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
"""Plain scalars of the core schema that are neither text nor numbers in digits."""

AMBIGUOUS = frozenset(form for word in ("yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper()))
"""Text in YAML 1.2, booleans in YAML 1.1."""

QUOTE_STAR = "quote text that begins with *: '*.weight=zeros'"

_NUMERIC: Final = frozenset(".0123456789")
"""How all numbers begin, behind their sign."""

_PREFIXED: Final[dict[str, tuple[int, frozenset[str]]]] = {
    "0o": (8, frozenset("01234567")),
    "0x": (16, frozenset("0123456789abcdefABCDEF")),
}
"""How numbers of another base begin -> that base, and its digits."""

_USUAL: Final = frozenset(map(chr, (9, 10, 13, *range(32, 127))))
_FORBIDDEN: Final = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""Compiled only where they are needed."""


class Document(NamedTuple):
    """A whole text.

    Attributes:
        aliases: Where a YAML alias (`*x`) stands for something that holds a mapping (in a spec: for a layer that has
            arguments, or for a list of such), in order.
    """

    root: Node
    aliases: tuple[Mark, ...]


def parse_yaml(data: str | bytes, *, pure: bool = False) -> Document:
    """Parse one YAML or JSON document.

    Args:
        data: Text, or its UTF-8 bytes.
        pure: Use PyYAML's Python parser even where the C one is there.

    Raises:
        SpecError: Anything that is not one document of bounded size, with its place.
    """
    text = _decode(data)
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


def parse_scalar(text: str, mark: Mark) -> Scalar:
    """The scalar that stands, unquoted, for `text`.

    Raises:
        SpecError: A bare yes/no/on/off, or a number of too many digits.
    """
    if text in CONSTANTS:
        return Scalar(CONSTANTS[text], text, mark)
    if text in AMBIGUOUS:
        raise mark.error(
            f"bare {text} is text in YAML 1.2 and a boolean in YAML 1.1",
            hint=f"write true or false, or quote it: '{text}'",
        )
    value: str | int | float = text
    digits = text[1:] if text[0] in "+-" else text
    if digits.isascii() and digits.isdigit():
        value = int(_bounded(text, mark))
    elif digits[:1] in _NUMERIC:
        base, known = _PREFIXED.get(text[:2], (10, frozenset()))
        if known and text[2:] and known.issuperset(text[2:]):
            value = int(_bounded(text, mark)[2:], base)
        elif _is_decimal(digits):
            value = float(_bounded(text, mark))
    return Scalar(value, text, mark)


def _is_decimal(digits: str) -> bool:
    """Whether a text without its sign is a number with a point, an exponent, or both."""
    mantissa, e, exponent = digits.replace("E", "e").partition("e")
    if e and exponent[:1] in ("+", "-"):
        exponent = exponent[1:]
    whole = mantissa.replace(".", "", 1)
    return digits.isascii() and whole.isdigit() and (not e or exponent.isdigit())


def _bounded(text: str, mark: Mark) -> str:
    if len(text) > MAX_NUMBER_LENGTH:
        raise mark.error(f"a number of {len(text):,} characters; the limit is {MAX_NUMBER_LENGTH:,}")
    return text


def _decode(data: str | bytes) -> str:
    """The text without its byte order mark, JSON's tabs as spaces (inside a string JSON allows none)."""
    if len(data) > MAX_SPEC_BYTES:
        raise SpecError(f"a spec of {len(data):,} bytes; the limit is {MAX_SPEC_BYTES:,}")
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError(f"not UTF-8 text: {error.reason} at byte {error.start:,}") from None
    text = data.removeprefix("\ufeff")
    if not _USUAL.issuperset(text) and (bad := re.search(_FORBIDDEN, text)):
        raise _place(text, bad.start()).error(f"the character U+{ord(bad[0]):04X} is not allowed in YAML")
    if "\t" in text and text.lstrip()[:1] in ("{", "[") and _is_json(text):
        return text.replace("\t", " ")
    return text


def _is_json(text: str) -> bool:
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _quoting(text: str) -> str:
    """How to write what a comma has cut after `text`."""
    call = re.match(r"([A-Z][A-Za-z0-9_]*)\(", text)
    if call:
        return f"write {{{call[1]}: [..]}}"
    example = "*.weight=normal(0, 0.02)" if "=" in text else "$(min(a, b))"
    return f"close the parenthesis, or quote an item that holds a comma: ['{example}']"


def _place(text: str, index: int) -> Mark:
    before = text[:index]
    return Mark(before.count("\n") + 1, index - before.rfind("\n"))


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


def iter_scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar of a subtree that is a value, in order."""
    if isinstance(node, Scalar):
        yield node
    else:
        for child in node.items if isinstance(node, ListNode) else (value for _, value in node.entries):
            yield from iter_scalars(child)
