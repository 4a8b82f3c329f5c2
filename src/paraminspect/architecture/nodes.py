"""What a spec's text is made of: scalars, lists and mappings that know where they stand."""

from __future__ import annotations

from paraminspect.errors import SpecError
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple


class Mark(NamedTuple):
    """A place in the text of a spec.

    Attributes:
        line: From 1.
        column: From 1, in characters.
    """

    line: int
    column: int

    def error(self, message: str, *, hint: str | None = None) -> SpecError:
        """The error to raise for what stands here; the spec's name is added at the public boundary."""
        return SpecError(message, hint=hint, line=self.line, column=self.column)


class Scalar(NamedTuple):
    """A single value.

    Attributes:
        value: What YAML 1.2's core schema makes of it.
        text: As written, without quotes.
        mark: Of its first character.
        plain: Written without quotes, so that it may be something else than text.
        verbatim: Whether each character stands in the file as it is, behind an opening quote if there is one: nothing
            escaped, folded or put before it.
    """

    value: str | int | float | bool | None
    text: str
    mark: Mark
    plain: bool = True
    verbatim: bool = True


class ListNode(NamedTuple):
    """A list.

    Attributes:
        mark: Of `[`, or of the first dash.
    """

    items: tuple[Node, ...]
    mark: Mark


class MapNode(NamedTuple):
    """A mapping; its keys differ.

    Attributes:
        entries: (key, value), in order.
        mark: Of `{`, or of the first key.
    """

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        """The value under `key`, None where it is absent."""
        return next((value for name, value in self.entries if name.text == key), None)


Node = Scalar | ListNode | MapNode


class Document(NamedTuple):
    """A whole text.

    Attributes:
        aliases: Where a YAML alias (`*x`) stands for something that holds a mapping (in a spec: for a layer that has
            arguments, or for a list of such), in order.
    """

    root: Node
    aliases: tuple[Mark, ...] = ()


def describe(node: Node) -> str:
    """What was found, for an error message: "text 'relu'", "a list", "the number 3"."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"text {shorten(node.value)!r}"
    if isinstance(node.value, bool):
        return node.text
    return f"the number {shown(node.text)}"


def shown(text: str, length: int = 60) -> str:
    """As `shorten`, with what does not print (and would break the line) escaped: for text without quotes."""
    short = shorten(text, length)
    return short if short.isprintable() else repr(short)[1:-1]
