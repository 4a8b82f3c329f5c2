"""Specs as people write them, read in a millisecond: YAML of a few forms, each on one line or in brackets.

To import PyYAML takes 4 ms, a third of what a command on a spec does, and a spec needs little of YAML: mappings and lists by
indentation and in brackets, text of ASCII with or without quotes, comments. That is read here, with the same nodes and marks.
Anything else, and anything wrong, is left to PyYAML: anchors, tags, escapes, text of several lines, a list that is not
indented, tabs. The tests hold each text that is read here against PyYAML.
"""

from __future__ import annotations

from typing import Final

from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar
from paraminspect.architecture.scalars import parse_scalar
from paraminspect.errors import SpecError

MAX_PLAIN: Final = 50_000
"""Characters of a text, and so of its values."""

MAX_PLAIN_DEPTH: Final = 32
"""Of lists and mappings inside each other."""

MAX_PLAIN_KEY: Final = 200
"""Characters of a key; past 1,024 YAML allows none."""

_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$()*+-/<>=^~% ")
"""What unquoted text may have inside; some of it cannot come first."""

_NOT_FIRST: Final = frozenset("*>%,:")
_MARKERS: Final = ("---", "...", "%")
"""Beginnings of lines between documents."""


class _OddError(Exception):
    """Something of which PyYAML knows what it is."""


def read_plain(text: str) -> Node | None:
    """The one document of a text; None where PyYAML is to be asked.

    Args:
        text: Without a byte order mark, of characters that YAML allows.
    """
    if len(text) > MAX_PLAIN or not text.isascii() or "\t" in text or "\r" in text:
        return None
    if text.startswith(_MARKERS) or any(f"\n{marker}" in text for marker in _MARKERS):
        return None
    try:
        return _Reader(text).document()
    except (_OddError, SpecError):
        return None


class _Reader:
    """Reads from front to back.

    Attributes:
        at: Index of the next character.
        line: Of that character, from 1.
        begin: Index of the first character of that line.
        depth: Lists and mappings that are open.
    """

    __slots__ = ("at", "begin", "depth", "line", "text")

    def __init__(self, text: str) -> None:
        self.text = f"{text}\n\0"
        self.at = self.begin = self.depth = 0
        self.line = 1

    def document(self) -> Node:
        self.skip()
        node = self.block()
        if self.text[self.at] != "\0":
            raise _OddError
        return node

    @property
    def column(self) -> int:
        return self.at - self.begin

    def mark(self) -> Mark:
        return Mark(self.line, self.at - self.begin + 1)

    def skip(self) -> bool:
        """Pass over blanks, comments and ends of lines; whether there was an end."""
        text, at, has_ended = self.text, self.at, False
        while True:
            while text[at] == " ":
                at += 1
            if text[at] == "#":
                if at and text[at - 1] not in " \n":
                    raise _OddError
                at = text.index("\n", at)
            if text[at] != "\n":
                self.at = at
                return has_ended
            at += 1
            self.line += 1
            self.begin = at
            has_ended = True

    def finish(self) -> None:
        """Nothing else stands on the line of a value."""
        if not self.skip():
            raise _OddError

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_PLAIN_DEPTH:
            raise _OddError

    def block(self) -> Node:
        """What begins here, at the begin of a line or behind a dash, up to what belongs to it no more."""
        character = self.text[self.at]
        if character in "[{":
            node = self.flow()
            self.finish()
            return node
        if character == "-" and self.text[self.at + 1] == " ":
            return self.dashes()
        column, mark = self.column, self.mark()
        first = self.scalar(is_flow=False)
        if not self.is_key():
            self.finish()
            return first
        return self.mapping(first, column, mark)

    def dashes(self) -> ListNode:
        self.enter()
        column, mark, items = self.column, self.mark(), []
        while True:
            self.at += 1
            if self.skip():
                raise _OddError
            items.append(self.block())
            if self.ends(column):
                self.depth -= 1
                return ListNode(tuple(items), mark)
            if self.text[self.at] != "-" or self.text[self.at + 1] != " ":
                raise _OddError

    def mapping(self, key: Scalar, column: int, mark: Mark) -> MapNode:
        """A mapping by indentation, of which the first key has been read."""
        self.enter()
        entries: dict[str, tuple[Scalar, Node]] = {}
        while True:
            self.check_key(key, entries)
            self.at += 1
            if self.skip():
                if self.column <= column:
                    raise _OddError
                value = self.block()
            else:
                value = self.item() if self.text[self.at] in "[{" else self.scalar(is_flow=False)
                self.finish()
            entries[key.text] = key, value
            if self.ends(column):
                self.depth -= 1
                return MapNode(tuple(entries.values()), mark)
            key = self.scalar(is_flow=False)
            if not self.is_key():
                raise _OddError

    def ends(self, column: int) -> bool:
        """Whether what is at a column goes on no more; it cannot go on further right."""
        if self.text[self.at] == "\0" or self.column < column:
            return True
        if self.column > column:
            raise _OddError
        return False

    def is_key(self) -> bool:
        """Whether the scalar that ends here is a key."""
        return self.text[self.at] == ":" and self.text[self.at + 1] in " \n"

    def check_key(self, key: Scalar, entries: dict[str, tuple[Scalar, Node]]) -> None:
        if key.text in entries or len(key.text) > MAX_PLAIN_KEY or key.text == "<<":
            raise _OddError

    def flow(self) -> Node:
        """What stands in brackets."""
        self.enter()
        mark, is_map = self.mark(), self.text[self.at] == "{"
        close = "}" if is_map else "]"
        items: list[Node] = []
        entries: dict[str, tuple[Scalar, Node]] = {}
        while True:
            self.at += 1
            self.skip()
            if self.text[self.at] != close:
                if is_map:
                    key = self.scalar(is_flow=True)
                    self.check_key(key, entries)
                    entries[key.text] = key, self.value()
                else:
                    items.append(self.item())
                self.skip()
            character = self.text[self.at]
            if character == close:
                self.at += 1
                self.depth -= 1
                return MapNode(tuple(entries.values()), mark) if is_map else ListNode(tuple(items), mark)
            if character != ",":
                raise _OddError

    def value(self) -> Node:
        """What stands behind a key in brackets; nothing, where that is all."""
        has_ended = self.skip()
        if self.text[self.at] in ",}":
            return parse_scalar("", self.mark())
        if has_ended or not self.is_key():
            raise _OddError
        self.at += 1
        self.skip()
        return self.item()

    def item(self) -> Node:
        return self.flow() if self.text[self.at] in "[{" else self.scalar(is_flow=True)

    def scalar(self, *, is_flow: bool) -> Scalar:
        """Text, up to what ends it."""
        text, begin, mark = self.text, self.at, self.mark()
        if text[begin] in "'\"":
            return self.quoted(mark)
        end = begin
        while True:
            while text[end] in _WORD:
                end += 1
            character, following = text[end], text[end + 1 : end + 2]
            if character == ":" and following not in " \n":
                if following in ",?[]{}":
                    raise _OddError
            elif character != "," or is_flow:
                break
            end += 1
        if character not in ("\n:,]}" if is_flow else "\n:") and (character != "#" or text[end - 1] != " "):
            raise _OddError
        word = text[begin:end].rstrip(" ")
        if not word or word[0] in _NOT_FIRST or (word[0] == "-" and word[1:2] in " "):
            raise _OddError
        if is_flow and word.count("(") != word.count(")"):
            raise _OddError
        self.at = end
        return parse_scalar(word, mark)

    def quoted(self, mark: Mark) -> Scalar:
        """Text in quotes, of one line and without escapes."""
        quote = self.text[self.at]
        end = self.text.find(quote, self.at + 1)
        word = self.text[self.at + 1 : end]
        if end < 0 or "\n" in word or (self.text[end + 1] == "'" if quote == "'" else "\\" in word):
            raise _OddError
        self.at = end + 1
        return Scalar(word, word, mark, plain=False)
