"""Objects that follow each other by the million, recognised from the second one on.

The metadata of a distributed checkpoint have four small objects for each piece of each tensor. All of a class are
written by the same opcodes, and differ in a few numbers and names. So once the machine has interpreted one (or a key
with its value), a pattern is made of its state and of the memo entries that the next one refers to; what the pattern
fits, byte for byte, is taken at once as a `Run`: the values of each field, without an object for each. Whatever does
not fit is interpreted as ever.

Only protocol 4 and later is recognised, where MEMOIZE counts entries: those of a run are left out. Should one be asked
for, the bytes of its run are interpreted after all, once.

Source: pickles of torch 2.1 to 2.13 by Python 3.8 to 3.14, opcode by opcode.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from paraminspect.formats.pickles.inert import Builder, Global, Opaque, Run
from paraminspect.formats.pickles.state import MemoSkippedError
from paraminspect.limits import OPCODES
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.formats.pickles.machine import PickleMachine

WATCHED: Final = {"ChunkStorageMetadata": 1, "_StorageInfo": 2}
"""Last names of the classes whose instances end an item, with how many objects an item has: 1 in a list, 2 where it is a
key and its value."""

WORTHWHILE: Final = 1 << 16
"""Bytes of a pickle from which on a pattern, which takes a millisecond to compile, is worth its time."""

MAX_FAILURES: Final = 16
"""How often what looks like a run may turn out to be none, before it is left to the machine for good."""

MAX_EAGER: Final = 64
"""Names of one field that a run has for the first time and that are kept in the memo, as the next ones refer to them."""

MAX_REMEMBERED: Final = 1 << 16
"""Values whose bytes are not decoded anew."""

MAX_REMEMBERED_RUNS: Final = 1 << 10
"""Runs without names whose bytes are not looked into again."""

_GET: Final = rb"(?:h.|j.{4})"
_INT: Final = rb"(?:K.|M..|J.{4}|\x8a(?:\x05.{5}|\x06.{6}|\x07.{7}|\x08.{8}))"
_NAME: Final = rb"(?:\x8c.[ -~]*\x94|" + _GET + rb")"
_SIZES: Final = (
    rb"(?:" + _INT + rb"\x85\x94|" + _INT * 2 + rb"\x86\x94|" + _INT * 3 + rb"\x87\x94|\(" + _INT + rb"{4,64}t\x94|\))"
)

_BEGIN: Final = rb"\)\x81\x94\}\x94\("
"""Behind the class: a new object, and its state as a dictionary."""

_END: Final = rb"ub"


class _Field(NamedTuple):
    """One value of the state of an object.

    Attributes:
        place: Which object of the item it is of.
        key: Its name there.
        kind: "int", "sizes" or "name"; "none" where every one is None.
    """

    place: int
    key: str
    kind: str


class _Template(NamedTuple):
    """What the items of one class look like in one pickle.

    Attributes:
        run: As many of them as there are, side by side.
        item: One, with a group for each of the fields.
        fields: Those that differ.
        classes: Of the objects of an item.
        entries: Memo entries that each has at least.
    """

    run: re.Pattern[bytes]
    item: re.Pattern[bytes]
    fields: tuple[_Field, ...]
    classes: tuple[object, ...]
    entries: int


class _Left(NamedTuple):
    """Memo entries that were left out, and where the opcodes lie that make them; `end` is 0 once they were interpreted."""

    first: int
    entries: int
    begin: int
    end: int


class Repeats:
    """Takes runs for one machine."""

    def __init__(self) -> None:
        self._failures = 0
        self._active = True
        self._left: list[_Left] = []
        self.forget()

    def forget(self) -> None:
        """The memo changed where it had been read."""
        self._templates: dict[object, _Template | None] = {}
        self._values: dict[bytes, Any] = {}
        self._runs: dict[tuple[bytes, int], tuple[list[list[Any]], int]] = {}

    @property
    def has_taken(self) -> bool:
        """Whether there was a run."""
        return bool(self._left)

    def take(self, m: PickleMachine) -> None:
        """Put runs on the stack in place of the opcodes of the items that follow the one that was made last."""
        last = m._stack[-1]
        if not self._active or not isinstance(last, Opaque) or not isinstance(last.func, Global):
            return
        template = self._templates.get(last.func, 0)
        if template == 0:
            template = self._learn(m, last)
        if not isinstance(template, _Template):
            return
        match = template.run.match(m._buffer, m._pos)
        if match is None:
            return
        begin, end = m._pos, match.end()
        columns, entries = self._columns(m, template, begin, end)
        if columns is None:
            self._fail()
            return
        count = len(columns[0])
        m._count_objects(count)
        m._effort.spend(OPCODES, count)
        for place, cls in enumerate(template.classes):
            fields = zip(template.fields, columns, strict=True)
            found = {each.key: column for each, column in fields if each.place == place}
            run = Run(cls, count, found, is_paired=len(template.classes) > 1)
            m._stack.append(run)
            m._runs[id(run)] = run
        self._left.append(_Left(len(m._memo) + m._left_out, entries, m._base + begin, m._base + end))
        m._left_out += entries
        m._top = max(m._top, len(m._memo) + m._left_out - 1)
        m._pos = end

    def restore(self, m: PickleMachine, index: int) -> bool:
        """Interpret the opcodes of the run whose memo entry was left out; whether there is one.

        Raises:
            MemoSkippedError: It is an object that may be changed, which must be the same wherever it stands.
        """
        at = bisect_right(self._left, index, key=lambda each: each.first) - 1
        if at < 0 or index >= self._left[at].first + self._left[at].entries:
            return False
        left = self._left[at]
        if left.end:
            self._left[at] = left._replace(end=0)
            self._active = False
            m._replay(left.begin, left.end, left.first)
            self._active = True
        if index not in m._memo:
            raise MemoSkippedError
        return True

    def _fail(self) -> None:
        self._failures += 1
        self._active = self._active and self._failures < MAX_FAILURES

    # --- what items look like --------------------------------------------------------------------------------

    def _learn(self, m: PickleMachine, last: Opaque) -> _Template | None:
        """The template of the items that end with such an object; None until the next one is as expected."""
        count = WATCHED.get(last.class_name.rpartition(".")[2])
        if count is None or m._blob.size < WORTHWHILE:
            self._templates[last.func] = None
            return None
        fields = _fields(m._stack[-count:])
        if fields is None or not (found := self._find_gets(m, fields)):
            self._fail()
            return None
        classes = tuple(each.func for each in m._stack[-count:] if isinstance(each, Opaque))
        varying = tuple(each for each in fields if each.kind != "none")
        item = re.compile(_pattern(fields, found, b"("), re.DOTALL)
        run = re.compile(rb"(?:" + _pattern(fields, found, b"(?:") + rb")++", re.DOTALL)
        entries = 2 * count + 2 * sum(each.kind == "sizes" for each in fields)
        template = self._templates[last.func] = _Template(run, item, varying, classes, entries)
        return template

    def _find_gets(self, m: PickleMachine, fields: tuple[_Field, ...]) -> list[bytes] | None:
        """The opcodes with which the next item refers to classes and keys, in their order."""
        match = re.compile(_pattern(fields, None, b"(?:"), re.DOTALL).match(m._buffer, m._pos)
        if match is None:
            return None
        count = fields[-1].place + 1
        found = list(match.groups())
        due: list[object] = []
        for place, item in enumerate(m._stack[-count:]):
            due.append(item.func)  # type: ignore[attr-defined]
            for each in fields:
                if each.place == place:
                    due += [each.key, *([_SIZE] if each.kind == "sizes" else [])]
        for get, what in zip(found, due, strict=True):
            value = m._memo.get(int.from_bytes(get[1:], "little"))
            if what is _SIZE:
                fits = isinstance(value, Builder) and value.dotted == "torch.Size"
            else:
                fits = value is what or (isinstance(what, str) and type(value) is str and value == what)
            if not fits:
                return None
        return found

    # --- what they hold --------------------------------------------------------------------------------------

    def _columns(
        self, m: PickleMachine, template: _Template, begin: int, end: int
    ) -> tuple[list[list[Any]], int] | tuple[None, int]:
        """The values of each field, and how many memo entries the items have; None where one cannot be told."""
        has_names = any(each.kind == "name" for each in template.fields)
        if not has_names:
            remembered = m._buffer[begin:end], template.entries
            known = self._runs.get(remembered)
            if known is not None:
                return known
        rows = template.item.findall(m._buffer, begin, end)
        raw = list(zip(*rows, strict=True)) if len(template.fields) > 1 else [rows]
        entries = template.entries * len(rows)
        for field, column in zip(template.fields, raw, strict=True):
            if field.kind == "sizes":
                entries += len(column) - column.count(b")")
            elif field.kind == "name":
                entries += sum(each[0] == 0x8C for each in column)
        kept = self._keep_names(m, template, raw) if has_names else {}
        columns: list[list[Any]] = []
        for field, column in zip(template.fields, raw, strict=True):
            decoded = self._decoded(m, field.kind, column)
            if decoded is None:
                for index in kept:
                    del m._memo[index]
                m._left_out += len(kept)
                return None, 0
            columns.append(decoded)
        if not has_names:
            if len(self._runs) >= MAX_REMEMBERED_RUNS:
                self._runs.clear()
            self._runs[remembered] = columns, entries
        return columns, entries

    def _keep_names(self, m: PickleMachine, template: _Template, raw: list[Any]) -> dict[int, str]:
        """Put names that come for the first time into the memo, where there are few of a field: the next refer to them."""
        new = {
            place: found
            for place, (field, column) in enumerate(zip(template.fields, raw, strict=True))
            if field.kind == "name" and (found := [row for row, each in enumerate(column) if each[0] == 0x8C])
        }
        kept = {place: set(found) for place, found in new.items() if len(found) <= MAX_EAGER}
        due: dict[int, str] = {}
        if not kept:
            return due
        index = len(m._memo) + m._left_out
        for row in range(len(raw[0])):
            at = -1
            for place, field in enumerate(template.fields):
                if field.place != at:
                    index += 2 * (field.place - at)  # the object and its state
                    at = field.place
                each = raw[place][row]
                if field.kind == "sizes":
                    index += 2 + (each != b")")
                elif field.kind == "name" and each[0] == 0x8C:
                    if row in kept.get(place, ()):
                        due[index] = each[2:-1].decode("ascii")
                    index += 1
        m._memo.update(due)
        m._left_out -= len(due)
        return due

    def _decoded(self, m: PickleMachine, kind: str, column: Any) -> list[Any] | None:
        """The values that their bytes stand for; None where one is no name of its length, or negative."""
        known = self._values
        if len(known) > MAX_REMEMBERED:
            known.clear()
        found = []
        for raw in column:
            value = known.get(raw)
            if value is None:
                value = self._decode(m, kind, raw)
                if value is None:
                    return None
                known[raw] = value
            found.append(value)
        return found

    def _decode(self, m: PickleMachine, kind: str, raw: bytes) -> object:
        if kind == "int":
            return _integer(raw)
        if kind == "sizes":
            sizes = tuple(_integer(each) for each in re.findall(_INT, raw, re.DOTALL))
            return None if any(each is None for each in sizes) else sizes
        if raw[0] != 0x8C:
            value = m._memo.get(int.from_bytes(raw[1:], "little"))
            return value if type(value) is str else None
        if raw[1] != len(raw) - 3:
            return None
        m._count_text(raw[1])
        return raw[2:-1].decode("ascii")


_SIZE: Final = object()


def _fields(items: list[object]) -> tuple[_Field, ...] | None:
    """What varies in objects like these; None where they hold anything else than numbers, sizes and names."""
    fields = []
    for place, item in enumerate(items):
        if not isinstance(item, Opaque) or isinstance(item, Run) or item.args != () or not isinstance(item.state, dict):
            return None
        if item.items is not None or item.entries is not None or not item.state:
            return None
        for key, value in item.state.items():
            kind = _KINDS.get(type(value))
            if kind is None or not isinstance(key, str):
                return None
            fields.append(_Field(place, key, kind))
    return tuple(fields)


_KINDS: Final[dict[type, str]] = {int: "int", tuple: "sizes", str: "name", type(None): "none"}


def _pattern(fields: tuple[_Field, ...], gets: list[bytes] | None, group: bytes) -> bytes:
    """The opcodes of an item.

    Args:
        gets: What refers to classes and keys; None for a group for each.
        group: What opens the group of a value.
    """
    given = iter(gets or ())

    def get() -> bytes:
        return b"(" + _GET + b")" if gets is None else re.escape(next(given))

    parts = []
    at = -1
    for field in fields:
        if field.place != at:
            parts += [_END] * (at >= 0) + [get(), _BEGIN]
            at = field.place
        parts.append(get())
        if field.kind == "int":
            parts.append(group + _INT + b")")
        elif field.kind == "name":
            parts.append(group + _NAME + b")")
        elif field.kind == "none":
            parts.append(b"N")
        else:
            parts += [get(), group, _SIZES, rb")\x85\x94R\x94"]
    return b"".join([*parts, _END])


def _integer(raw: bytes) -> int | None:
    """Of BININT1, BININT2, BININT and LONG1; None for a negative one."""
    code = raw[0]
    value = int.from_bytes(raw[2:] if code == 0x8A else raw[1:], "little", signed=code in (0x4A, 0x8A))
    return value if value >= 0 else None
