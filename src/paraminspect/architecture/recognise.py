"""Whether some text is meant as a spec, decided by what is in it and cheaply: without a YAML parser."""

from __future__ import annotations

import re
from typing import Final

MAX_SPEC_BYTES: Final = 1 << 20
"""Of the text; the largest spec in `configs/` has 3,000."""

_BLOCK: Final = r"^(?P<q>[\"']?)(?:model|blocks|shared)(?P=q)[ \t]*:(?:[ \t\r]|$)"
_FOREIGN: Final = (
    r"^[ \t]*(?:-[ \t]+)?(?:_target_|_component_|component_key|input_features)[ \t]*:"
    r"|^(?:backbone|head)[ \t]*:[ \t]*(?:\#.*)?\r?\n(?:[ \t]*\#.*\n)*[ \t]*-[ \t]*\["
)
"""Configurations that `foreign.FOREIGN` has an answer for, as YAML."""

_FLOW: Final = r"[{,]\s*(?P<q>[\"']?)model(?P=q)\s*:\s*\["


def looks_like_spec(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a spec, rightly written or not.

    A spec has the key `model` (or `blocks`, `shared`) at its top level; in JSON, whose nesting is not looked into, a
    key `model` that is a list: the configuration, index and tokenizer files beside a checkpoint have none. What other
    programs build models from counts as one that is wrongly written: its parser says what it is.
    """
    text = head.decode("utf-8", errors="ignore").removeprefix("\ufeff")
    if "\0" in text:
        return False
    if text.lstrip()[:1] == "{":
        return re.search(_FLOW, text) is not None
    return any(re.search(pattern, text, re.MULTILINE) for pattern in (_BLOCK, _FOREIGN))
