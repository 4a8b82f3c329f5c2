r"""Regular expressions whose time is bounded, whoever wrote them: a spec may bring both the expression and the names.

Python tries one way through an expression after the other, which takes minutes for `(a+)+$` and a name of forty letters.
Here an expression in which at most one part repeats, and no choice is inside of it, is left to Python. Any other is matched by
following all ways at once, so that each letter is looked at once (Thompson 1968); the sets of places that are reached are
remembered. What that cannot follow (`\1`, a look ahead among several repeats) is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

from paraminspect.errors import SelectionError
from paraminspect.limits import MATCHES, effort

MAX_PLACES: Final = 4_000
"""Of one expression, its counted repeats written out."""

MAX_REMEMBERED: Final = 2_000
"""Sets of places."""

MANY: Final = 16
"""Weight from which on Python's way takes too long: a repeat is half of it, as one within two others is n ** 3."""

_REPEAT: Final = 8
_OPTION: Final = 2
_REPEATS: Final = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}
_ASSERTS: Final = {codes.ASSERT, codes.ASSERT_NOT}
_HINT: Final = "write it with fewer * and +, or as a glob: 'h.*.weight'; --exclude leaves names out"


class Expression:
    """A regular expression; `search` is all that is asked of it.

    Args:
        text: As Python has them.

    Raises:
        SelectionError: It cannot be matched in bounded time.
        re.error: It is none.
    """

    def __init__(self, text: str) -> None:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python will read otherwise
            self._pattern = re.compile(text)
            tree = parser.parse(text)
        self._places: _Places | None = None
        if _ways(tree) >= MANY:
            self._places = _Places(text, tree)

    def search(self, name: str) -> bool:
        """Whether it matches anywhere in a name.

        Raises:
            EffortError: So many names, or so long ones, were asked for.
        """
        if self._places is not None:
            return self._places.search(name)
        effort().spend(MATCHES, len(name) * (1 + len(name) // 64))
        return self._pattern.search(name) is not None


def _ways(tree: Iterable[Any]) -> int:
    """How many ways through an expression there are for one text, as weights; MANY for a choice inside of a repeat."""
    total = 0
    for code, value in tree:
        if code in _REPEATS:
            least, most, body = value
            inner = _ways(body)
            if inner and most > 1:
                return MANY
            total += inner + (0 if most == least else _OPTION if most == 1 else _REPEAT)
        elif code is codes.BRANCH:
            total += _OPTION + max(map(_ways, value[1]))
        elif code is codes.SUBPATTERN:
            total += _ways(value[-1])
        elif code is codes.ATOMIC_GROUP:
            total += _ways(value)
        elif code in _ASSERTS:  # at the begin it is done with before the rest is tried
            inner = _ways(value[1])
            total += inner if total or inner == MANY else max(0, inner - _REPEAT)
        elif code in (codes.GROUPREF, codes.GROUPREF_EXISTS):
            return MANY
    return min(total, MANY)


class _Places:
    """The places in an expression and the ways between them.

    A place is a test of one letter (a compiled class of letters) and the place behind it, a fork, or an anchor.
    """

    def __init__(self, text: str, tree: Any) -> None:
        self._text = text
        self._flags = tree.state.flags & (re.IGNORECASE | re.DOTALL | re.ASCII | re.MULTILINE)
        self._tests: list[Any] = []  # (pattern of a letter, next), (None, nexts) or (anchor, next)
        self._end = self._add(None, ())
        self._start = self._sequence(tree, self._end)
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def search(self, name: str) -> bool:
        """As of `Expression`."""
        run = effort()
        run.spend(MATCHES, len(name) + 1)
        known, last = self._known, len(name) - 1
        now: frozenset[int] = frozenset()
        for at in range(len(name) + 1):
            # what an anchor asks for: what stands before, and whether this is the end
            context = ("^" if at == 0 else "") + (
                "$" if at == last + 1 else "n" if at == last and name[at] == "\n" else ""
            )
            reached = known.get((now, context)) if context in ("", "^") else None
            if reached is None:
                run.spend(MATCHES, len(self._tests))
                reached = self._reach(now | {self._start}, context)
                self._remember((now, context), reached)
            if self._end in reached:
                return True
            if at == len(name):
                return False
            key = (reached, "c" + name[at])
            after = known.get(key)
            if after is None:
                run.spend(MATCHES, len(reached))
                after = frozenset(
                    self._tests[place][1]
                    for place in reached
                    if isinstance(self._tests[place][0], re.Pattern) and self._tests[place][0].match(name[at])
                )
                self._remember(key, after)
            now = after
        return False

    def _remember(self, key: tuple[frozenset[int], str], value: frozenset[int]) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[key] = value

    def _reach(self, places: frozenset[int], context: str) -> frozenset[int]:
        """All places that can be had without a letter."""
        found, left = set(places), list(places)
        while left:
            test, following = self._tests[left.pop()]
            if test is None:
                more = following
            elif isinstance(test, re.Pattern) or not any(each in context for each in test):
                continue
            else:
                more = (following,)
            fresh = [place for place in more if place not in found]
            found.update(fresh)
            left += fresh
        return frozenset(found)

    def _add(self, test: Any, following: Any) -> int:
        if len(self._tests) >= MAX_PLACES:
            raise self._refused(f"more than {MAX_PLACES:,} places, its repeats written out")
        self._tests.append((test, following))
        return len(self._tests) - 1

    def _refused(self, why: str) -> SelectionError:
        return SelectionError(f"/{self._text}/ could take for ever: {why}", hint=_HINT)

    def _sequence(self, tree: Any, following: int) -> int:
        for code, value in reversed(list(tree)):
            following = self._one(code, value, following)
        return following

    def _one(self, code: Any, value: Any, following: int) -> int:
        """The place where a part begins, if what follows it begins there."""
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, body = value
            return self._repeat(least, most, body, following)
        if code is codes.BRANCH:
            return self._add(None, tuple(self._sequence(each, following) for each in value[1]))
        if code is codes.SUBPATTERN and not value[1] and not value[2]:
            return self._sequence(value[3], following)
        if code is codes.AT and value in _ANCHORS and not self._flags & re.MULTILINE:
            return self._add(_ANCHORS[value], following)
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN):
            return self._add(_letter(code, value, self._flags), following)
        raise self._refused("several repeats, beside a look ahead or behind, a backreference or an own flag")

    def _repeat(self, least: int, most: int, body: Any, following: int) -> int:
        if most is codes.MAXREPEAT:
            loop = self._add(None, ())
            self._tests[loop] = (None, (self._sequence(body, loop), following))
            following = loop
        else:
            behind = following
            for _ in range(most - least):
                following = self._add(None, (self._sequence(body, following), behind))
        for _ in range(least):
            following = self._sequence(body, following)
        return following


_ANCHORS: Final = {
    codes.AT_BEGINNING: "^", codes.AT_BEGINNING_STRING: "^", codes.AT_END: "$n", codes.AT_END_STRING: "$",
}  # fmt: skip
"""In which contexts each holds: the begin, the end, before a last newline."""


def _letter(code: Any, value: Any, flags: int) -> re.Pattern[str]:
    """An expression of one letter."""
    if code is codes.ANY:
        return re.compile(".", flags)
    if code is codes.IN:
        return re.compile(f"[{''.join(_class_part(*each) for each in value)}]", flags)
    return re.compile(f"[{'^' if code is codes.NOT_LITERAL else ''}{re.escape(chr(value))}]", flags)


def _class_part(code: Any, value: Any) -> str:
    if code is codes.NEGATE:
        return "^"
    if code is codes.LITERAL:
        return re.escape(chr(value))
    if code is codes.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return _CATEGORIES[value]


_CATEGORIES: Final = {
    codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D", codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
