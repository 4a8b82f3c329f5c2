"""What a SOURCE is, decided once, by its content and without torch."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO, Final

from paraminspect.errors import ParamInspectError
from paraminspect.files.door import place_of
from paraminspect.files.paths import plain_path
from paraminspect.models.asked import Kind
from paraminspect.tuples import NamedTuple

STDIN: Final = "-"

BINARY_BYTES: Final = 512
"""Of a file that has a zero among them, as all binary formats have, no more is read here."""

TEXT_BYTES: Final = 4096
"""Without a zero among them, the file is read as far as a spec may reach."""


class Recognised(NamedTuple):
    """What a source is.

    Attributes:
        kind: A `checkpoint` too if it cannot be read, or is nothing that is known: its reader says so.
        text: Of a spec: what was looked at is what is parsed.
    """

    kind: Kind
    text: bytes = b""


_NAMED: Final = (".yaml", ".yml")
_CHECKPOINT: Final = Recognised("checkpoint")
_FACTORY: Final = Recognised("factory")


def recognise(source: str) -> Recognised:
    """What the user named.

    A file is judged by its content (text that is called YAML is a spec, perhaps one with a mistake); one whose name
    happens to have a colon goes before a factory. Standard input that is a pipe is replaced by a file.

    Raises:
        UnknownFormatError: Standard input, which is neither a spec nor a checkpoint.
    """
    if not place_of(source).has_code:
        return _CHECKPOINT
    if source == STDIN:
        return _recognise_standard_input()
    source = plain_path(source)
    try:
        is_file = stat.S_ISREG(os.stat(source).st_mode)
    except (OSError, ValueError):
        return _FACTORY if _names_code(source) else _CHECKPOINT
    return _recognise_file(source) if is_file else _CHECKPOINT


def _names_code(source: str) -> bool:
    """Whether it does; also a module alone, or a call, of which it is said how to write them."""
    if ":" not in source and not source.lower().endswith(".py"):
        if not source.replace(".", "").isidentifier():
            return False
        from paraminspect.live.build.candidates import find_module_file

        return find_module_file(source) is not None
    from paraminspect.live.build.factory_name import parse_factory

    return parse_factory(source.partition("(")[0]) is not None


def _recognise_file(path: str) -> Recognised:
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read(BINARY_BYTES) or b""
            if b"\0" in text:
                return _CHECKPOINT
            from paraminspect.architecture.recognise import MAX_SPEC_BYTES, looks_like_spec

            for size in (TEXT_BYTES, MAX_SPEC_BYTES + 1):
                text += file.read(size - len(text)) or b""
                if b"\0" in text:
                    return _CHECKPOINT
    except OSError:
        return _CHECKPOINT
    if path.lower().endswith(".py"):
        return _FACTORY
    return Recognised("spec", text) if path.lower().endswith(_NAMED) or looks_like_spec(text) else _CHECKPOINT


def recognise_file(file: BinaryIO) -> tuple[Recognised, bytes]:
    """What an open binary file holds, and what was read of it to see that."""
    text = file.read(BINARY_BYTES)
    if b"\0" in text:
        return _CHECKPOINT, text
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES, looks_like_spec

    text += file.read(MAX_SPEC_BYTES + 1 - len(text))
    return (Recognised("spec", text) if b"\0" not in text and looks_like_spec(text) else _CHECKPOINT), text


def _recognise_standard_input() -> Recognised:
    from paraminspect.models.standard_input import is_spec_on_stdin, read_spec_text

    try:
        return Recognised("spec", read_spec_text()) if is_spec_on_stdin() else _CHECKPOINT
    except ParamInspectError as error:
        error.source = STDIN
        raise
