"""YAML 1.2 (and so JSON) text -> nodes with marks.

PyYAML splits the text, `yaml_events` makes nodes of the pieces, `scalars` says what unquoted text means. Stricter than 1.2 in
what would surprise:

- one document, of bounded size and depth, an alias counted as the copy that it is;
- bare `yes`, `no`, `on`, `off`, equal keys, merge keys (`<<`) and tags (`!!...`) are errors;
- in `[..]` and `{..}` an unquoted item with unbalanced parentheses is one: a comma has cut it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from paraminspect.architecture.nodes import Document, ListNode, Mark, Node, Scalar
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.architecture.yaml_events import read_events
from paraminspect.errors import SpecError

_USUAL: Final = frozenset(map(chr, (9, 10, 13, *range(32, 127))))
_FORBIDDEN: Final = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""Compiled only where they are needed."""


def parse_yaml(data: str | bytes, *, pure: bool = False) -> Document:
    """Parse one YAML or JSON document.

    Args:
        data: Text, or its UTF-8 bytes.
        pure: Use PyYAML's Python parser even where the C one is there.

    Raises:
        SpecError: Anything that is not one document of bounded size, with its place.
    """
    return read_events(_decode(data), pure=pure)


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


def _place(text: str, index: int) -> Mark:
    before = text[:index]
    return Mark(before.count("\n") + 1, index - before.rfind("\n"))


def iter_scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar of a subtree that is a value, in order."""
    if isinstance(node, Scalar):
        yield node
    else:
        for child in node.items if isinstance(node, ListNode) else (value for _, value in node.entries):
            yield from iter_scalars(child)
