"""Whether some text is meant as a spec, decided by what is in it and cheaply: without a YAML parser."""

from __future__ import annotations

import re
from typing import Final

MAX_SPEC_BYTES: Final = 1 << 20
"""Of the text; the largest spec in `configs/` has 3,000."""

_BLOCK = re.compile(r"^(?P<q>[\"']?)(?:model|blocks|shared)(?P=q)[ \t]*:(?:[ \t\r]|$)", re.MULTILINE)
_FLOW = re.compile(r"[{,]\s*(?P<q>[\"']?)model(?P=q)\s*:\s*\[")


def looks_like_spec(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a spec, rightly written or not.

    A spec has the key `model` (or `blocks`, `shared`) at its top level; in JSON, whose nesting is not looked into, a
    key `model` that is a list: the configuration, index and tokenizer files beside a checkpoint have none.
    """
    text = head.decode("utf-8", errors="ignore").removeprefix("\ufeff")
    if "\0" in text:
        return False
    pattern = _FLOW if text.lstrip()[:1] == "{" else _BLOCK
    return pattern.search(text) is not None
