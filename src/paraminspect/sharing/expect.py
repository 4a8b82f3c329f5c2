"""What `--expect` and `--expect-file` ask for: groups of names that must be one tensor."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence

from paraminspect.errors import LimitExceededError, ParamInspectError, SourceError
from paraminspect.files.reasons import reason_of
from paraminspect.names.suggestions import find_meant
from paraminspect.text import escape_text

MAX_EXPECT_BYTES = 16 << 20
"""Of a file of expectations."""

MAX_EXPLAINED = 10
"""Expectations for whose missing names the one that was meant is looked for."""

STDIN = "-"

Names = tuple[str, ...]


def read_expected(texts: Sequence[str], file: str) -> list[Names]:
    """All expectations.

    Args:
        texts: Of `--expect`: names between commas.
        file: Of `--expect-file`, "" for none.

    Raises:
        ParamInspectError: Fewer than two names in one, or a file that cannot be read.
    """
    expected = [_split(text, f"--expect {text!r}") for text in texts]
    if file:
        try:
            expected += parse_expected(_read(file))
        except ParamInspectError as error:
            error.source = error.source or file
            raise
    return expected


def parse_expected(text: str) -> list[Names]:
    """Expectations of a file: the JSON of `shared`, or lines of names between tabs or commas, # before a remark.

    Raises:
        ParamInspectError: Neither, or a group of fewer than two names.
    """
    if text.lstrip().startswith("{"):
        return _parse_json(text)
    lines = [line.strip() for line in text.splitlines()]
    return [
        _split(line.replace("\t", ","), f"line {number}")
        for number, line in enumerate(lines, 1)
        if line and not line.startswith("#")
    ]


def find_broken(
    expected: Sequence[Names], names: Collection[str], tied: Mapping[str, str], hidden: Collection[str] = ()
) -> list[str]:
    """What is wrong with each expectation that does not hold.

    Args:
        expected: Groups of names, as they are or as they are printed.
        tied: For each name that has others, which one stands for all.
        hidden: Names that are left out, as --all was not given.
    """
    printed = {escape_text(name): name for name in names}
    broken: list[str] = []
    for group in expected:
        known = [name if name in names else printed.get(name) for name in group]
        for name, found in zip(group, known, strict=True):
            if found is None:
                why = _absent(name, names, hidden) if len(broken) < MAX_EXPLAINED else f"there is no {name}"
                broken.append(f"{' and '.join(group)} are not tied: {why}")
                break
        else:
            first = tied.get(known[0] or "")
            for name, found in zip(group[1:], known[1:], strict=True):
                if first is None or tied.get(found or "") != first:
                    broken.append(f"{group[0]} and {name} are not tied")
                    break
    return broken


def _absent(name: str, names: Collection[str], hidden: Collection[str]) -> str:
    """What to say of a name that is not among those that count."""
    if name in hidden:
        return f"{name} is no parameter, and left out without --all"
    close = find_meant(name, names)
    return f"there is no {name}" + (f"; did you mean {close}?" if close else "")


def _split(text: str, what: str) -> Names:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) < 2:
        raise ParamInspectError(f"{what} has fewer than two names", hint="--expect wte.weight,lm_head.weight")
    return names


def _parse_json(text: str) -> list[Names]:
    import json

    try:
        groups = json.loads(text)["groups"]
        found = [(group["name"], *group["aliases"]) for group in groups]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = [(None,)]
    if not all(isinstance(name, str) for names in found for name in names):
        raise ParamInspectError("not the JSON of shared", hint="paraminspect shared SOURCE --format json")
    return found


def _read(file: str) -> str:
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(MAX_EXPECT_BYTES + 1)
        else:
            with open(file, "rb") as stream:
                data = stream.read(MAX_EXPECT_BYTES + 1)
    except OSError as error:
        raise SourceError(reason_of(error)) from None
    if len(data) > MAX_EXPECT_BYTES:
        raise LimitExceededError("bytes of expectations", limit=MAX_EXPECT_BYTES, actual=None)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ParamInspectError("not UTF-8 text") from None
