"""What the inert machine has while it reads a pickle: the bytes, the stack and the memo, and what opcodes do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import Builder, LongBytes, Opaque, Run, describe_key
from paraminspect.formats.shapes import MAX_NAME_BYTES
from paraminspect.limits import OPCODES, WINDOWS, EffortError, effort

MAX_PICKLE_OBJECTS: Final = 500_000
"""Containers and opaque objects one pickle may make, outside recognised tensors; one for each 4 bytes of a larger file."""

BYTES_EACH: Final = 4
"""Of the file, for each object or memo entry: no program's pickle has fewer. One chunk of a distributed checkpoint is 21
objects as they are counted here, keys and globals among them, and 16 memo entries in 136 bytes."""

MAX_PICKLE_MEMO: Final = 1_000_000
"""The same of memo entries."""

MAX_PICKLE_TEXT: Final = 64 << 20
"""Bytes of memory that strings and byte strings of one pickle may take; longer single ones are skipped over."""

TEXT_PER_BYTE: Final = 8
"""How much more a byte of the file allows: a string of four letters takes 64, and 11 in the pickle."""

STRING_COST: Final = 60
"""Bytes of memory that a string takes besides its letters."""

WINDOW: Final = 1 << 20
"""Bytes read from the file at a time, at most."""

FIRST_WINDOW: Final = 1 << 15
"""At first, and eight times as many each time after: of the five pickles in a legacy file only one is long."""

LONGEST_FIXED: Final = 16
"""More than any opcode without a length prefix takes."""

LONGEST_LINE: Final = 1 << 16
"""Bytes of an argument that ends with a newline (protocol 0, names of globals)."""

KEEP_TEXT: Final = 4096
"""Bytes; longer strings and byte strings are not kept, only their place (`LongBytes`), until one turns out to be a key."""

SHORT_KEY: Final = 16
"""Characters of a described key that count as one object; every two more count as another."""


Taken = tuple[list[object], int, int]
"""Values for the stack, the position behind their opcodes, and the highest memo index these use."""


class Shortcut(Protocol):
    """Makes whole tensors from the opcodes that follow the function that rebuilds them, and keys of storages."""

    builder: Builder
    """The function: with it on the stack, MARK is where the shortcut may begin."""

    def take(self, buffer: bytes, position: int, memo: dict[int, object], first: int) -> Taken | None:
        """What the opcodes at `position` make, if they are the expected sequence.

        Args:
            position: Of MARK.
            memo: Entries stored so far; what the opcodes would store is left out.
            first: The next memo index that was never stored.

        Returns:
            The values that take the place of the builder on the stack; None if the opcodes must be run. All indices
            from `first` up to the highest are stored once, in order.
        """

    def take_keys(self, buffer: bytes, position: int, first: int) -> Taken | None:
        """The same of keys of storages behind the MARK of a list, to which they come."""

    def restore(self, m: Any, index: int) -> bool:
        """Make the memo entry that was left out; whether it is that of a tensor, a name or the key of a storage."""

    def forget(self) -> None:
        """The memo changed where it had been read."""

    def begin(self) -> None:
        """Another pickle begins, or the same one anew."""


class Repeated(Protocol):
    """Takes objects that are like the one before; see `repeats`."""

    @property
    def has_taken(self) -> bool:
        """Whether there were such."""

    def take(self, m: Any) -> None:
        """Take what follows, once an object is built."""

    def restore(self, m: Any, index: int) -> bool:
        """Make the memo entry that was left out; whether there is one."""

    def forget(self) -> None:
        """The memo changed where it had been read."""


class Mark:
    """What MARK puts on the stack."""


MARK: Final = Mark()


class MemoSkippedError(Exception):
    """A memo entry was asked for that the shortcut left out."""


def truncated(blob: Blob) -> TruncatedError:
    """The bytes of the pickle are all read, and it goes on."""
    return TruncatedError(f"the file ends at byte {blob.size:,}, inside a pickle")


def decode_text(data: bytes) -> str:
    r"""UTF-8 as pickle writes it; a lone surrogate or a stray byte becomes visible text (`\ud800`)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("utf-8", "surrogatepass").encode("utf-8", "backslashreplace").decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


class MachineState:
    """One pickle that is being read.

    Args:
        find_global: (module, name) -> the `Global` or `Builder` to push.
        load_persistent: The persistent id (any inert value) -> the value to push.
        begin: Offset of the pickle in the blob.
        shortcut: Takes the opcodes of a whole tensor at once; None for opcode by opcode.
        repeats: The same of objects that are like the one before.
    """

    def __init__(
        self,
        blob: Blob,
        find_global: Callable[[str, str], object],
        load_persistent: Callable[[object], object] | None = None,
        *,
        begin: int = 0,
        shortcut: Shortcut | None = None,
        repeats: Repeated | None = None,
    ) -> None:
        self._blob = blob
        self._find_global = find_global
        self._load_persistent = load_persistent
        self._begin = begin
        self._shortcut = shortcut
        self._repeats = repeats
        self._effort = effort()
        self._most_objects = max(MAX_PICKLE_OBJECTS, self._effort.nbytes // BYTES_EACH)
        self._most_memo = max(MAX_PICKLE_MEMO, self._effort.nbytes // BYTES_EACH)
        self._most_text = max(MAX_PICKLE_TEXT, self._effort.nbytes * TEXT_PER_BYTE)
        self._restart()

    def _restart(self) -> None:
        self._buffer = b""
        self._window = min(FIRST_WINDOW, WINDOW)
        self._base = self._begin  # offset in the blob of the first byte of the buffer
        self._pos = 0
        self._low_water = -1
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._top = -1  # highest memo index in use
        self._skipped = False
        self._left_out = 0  # memo entries of objects that were taken at once
        self._runs: dict[int, Run] = {}  # on the stack
        self._objects = 0
        self._text = 0  # bytes of strings
        self._taken = 0  # values made by the shortcut
        if self._shortcut is not None:
            self._shortcut.begin()

    @property
    def position(self) -> int:
        """Offset in the blob of the next byte that is not read yet."""
        return self._base + self._pos

    # --- bytes -----------------------------------------------------------------------------------------------

    def _refill(self, need: int) -> None:
        """Drop what is read and see that `need` bytes are in the buffer, if the blob has them."""
        self._base += self._pos
        self._buffer = self._blob.read_ahead(self._base, need, self._window)
        self._window = min(8 * self._window, WINDOW)
        self._pos = 0
        self._effort.spend(WINDOWS, len(self._buffer))
        at_end = self._base + len(self._buffer) >= self._blob.size
        self._low_water = len(self._buffer) if at_end else len(self._buffer) - LONGEST_FIXED

    def _take(self, length: int) -> bytes:
        if self._pos + length > len(self._buffer):
            if length > self._blob.size - self.position:
                raise truncated(self._blob)
            self._refill(length)
        data = self._buffer[self._pos : self._pos + length]
        self._pos += length
        return data

    def _line(self, *, kept: bool = True) -> bytes:
        end = self._buffer.find(b"\n", self._pos)
        if end < 0:
            self._refill(LONGEST_LINE)
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) < LONGEST_LINE:
                    raise truncated(self._blob)
                raise LimitExceededError("bytes in one line of a pickle", limit=LONGEST_LINE, actual=None)
        if end - self._pos > LONGEST_LINE:
            raise LimitExceededError("bytes in one line of a pickle", limit=LONGEST_LINE, actual=end - self._pos)
        data = self._buffer[self._pos : end]
        self._pos = end + 1
        if kept:
            self._count_text(len(data))
        return data

    def _text_line(self, unfold: Callable[[bytes], bytes]) -> bytes | LongBytes:
        """A line that stands for a string, or only its place where it is longer than lines of anything else."""
        if 0 <= self._buffer.find(b"\n", self._pos) - self._pos <= KEEP_TEXT:
            return self._line()
        begin = end = self.position
        found = -1
        while found < 0:
            piece = self._blob.read_up_to(end, WINDOW)
            if not piece:
                raise truncated(self._blob)
            found = piece.find(b"\n")
            end += len(piece) if found < 0 else found
        if end - begin <= KEEP_TEXT:  # it ended behind the window
            return self._line()
        self._pos += end - begin + 1  # past the buffer, mostly; it is filled again before the next opcode
        return LongBytes(begin, end - begin, True, unfold)

    def _payload(self, length: int, *, text: bool) -> bytes | LongBytes:
        """The bytes of a string, or only their place where there are many."""
        if length <= KEEP_TEXT:
            self._count_text(length)
            return self._take(length)
        begin = self.position
        if length > self._blob.size - begin:
            raise truncated(self._blob)
        self._pos += length  # past the buffer, mostly; it is filled again before the next opcode
        return LongBytes(begin, length, text)

    def _count_text(self, length: int) -> None:
        self._text += length + STRING_COST
        if self._text > self._most_text:
            raise LimitExceededError("bytes of strings in one pickle", limit=self._most_text, actual=None)

    # --- bounds ----------------------------------------------------------------------------------------------

    def _most_opcodes(self, free: int) -> int:
        """How many may be run: as many as the file has bytes, and of all pickles together as many as a run may."""
        return min(max(free, self._effort.nbytes), self._effort.left(OPCODES))

    def _too_many_opcodes(self, limit: int) -> LimitExceededError:
        """Of this pickle, or of all that were read."""
        if self._effort.left(OPCODES):
            return LimitExceededError("opcodes in one pickle", limit=limit, actual=None)
        return EffortError(OPCODES.what, limit=self._effort.limit(OPCODES), actual=None)

    # --- values ----------------------------------------------------------------------------------------------

    def _count_objects(self, count: int) -> None:
        self._objects += count
        if self._objects > self._most_objects:
            raise LimitExceededError("objects in one pickle", limit=self._most_objects, actual=None)

    def _push_object(self, value: object) -> None:
        self._objects += 1
        if self._objects > self._most_objects:
            raise LimitExceededError("objects in one pickle", limit=self._most_objects, actual=None)
        self._stack.append(value)

    def _pop_mark(self) -> list[object]:
        """What stands above the last MARK, which goes with it."""
        stack = self._stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is MARK:
                items = stack[index + 1 :]
                del stack[index:]
                if self._left_out:
                    self._note_runs(items)
                return items
        raise MalformedError(f"no MARK on the stack at byte {self.position:,}")

    def _note_runs(self, items: list[object]) -> None:
        """Runs leave the stack with all that stands around them, each once."""
        for item in items:
            if type(item) is Run and self._runs.pop(id(item), None) is None:
                raise MemoSkippedError

    def _put(self, index: int) -> None:
        if index > self._top:
            self._top = index
        else:
            if self._left_out:
                raise MemoSkippedError  # it may be one of those
            for each in (self._shortcut, self._repeats):
                if each is not None:
                    each.forget()  # an entry it may remember is overwritten
        memo = self._memo
        value = memo[index] = self._stack[-1]
        if value is MARK:
            raise self._mark_as_value()
        if type(value) is Run:
            raise MemoSkippedError
        if len(memo) > self._most_memo:
            raise LimitExceededError("memo entries in one pickle", limit=self._most_memo, actual=None)

    def _mark_as_value(self) -> MalformedError:
        """If a MARK could be copied, GET and DUP could push one."""
        return MalformedError(f"a MARK is used as a value at byte {self.position:,}")

    def _get(self, index: int) -> None:
        try:
            self._stack.append(self._memo[index])
        except KeyError:
            for each in (self._repeats, self._shortcut):
                if each is not None and each.restore(self, index):
                    self._stack.append(self._memo[index])
                    return
            if self._skipped or self._left_out:
                raise MemoSkippedError from None
            raise MalformedError(f"memo entry {index} at byte {self.position:,} was never stored") from None

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise MalformedError(f"a global at byte {self.position:,} is not named by strings")
        self._push_object(self._find_global(module, name))

    def _call(self, func: object, args: object) -> None:
        if isinstance(func, Builder) and isinstance(args, tuple):
            first = args[0] if args else None
            if isinstance(first, dict | list | tuple):  # which may be copied
                self._count_objects(len(first))
            elif isinstance(first, str):
                self._count_text(len(first))
            self._push_object(func.build(args))
        else:
            self._push_object(Opaque(func, args))

    def _persistent(self, pid: object) -> None:
        if self._load_persistent is None:
            raise MalformedError(f"a persistent id at byte {self.position:,}, where none belongs")
        self._push_object(self._load_persistent(pid))

    def _set_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if type(target) is Run:
            raise MemoSkippedError
        if isinstance(target, Opaque):
            if target.entries is None:
                target.entries = {}
            target = target.entries
        if not isinstance(target, dict):
            raise MalformedError(f"SETITEMS at byte {self.position:,} on something that is no dictionary")
        if self._left_out and not _runs_fit(items):
            raise MemoSkippedError
        if len(items) % 2:
            raise MalformedError(f"a key without a value at byte {self.position:,}")
        keys = items[::2]
        if set(map(type, keys)) != {str}:
            keys = [key if type(key) is str else self._key(key) for key in keys]
        target.update(zip(keys, items[1::2], strict=True))

    def _key(self, key: object) -> object:
        """What stands for a key that is no short string."""
        if isinstance(key, LongBytes):
            return self._long_key(key)
        if isinstance(key, list | dict):
            raise MalformedError(f"a {type(key).__name__} as a dictionary key at byte {self.position:,}")
        if isinstance(key, Opaque):
            return key
        odd = describe_key(key)
        self._count_objects(1 + max(0, len(odd.text) - SHORT_KEY) // 2)
        return odd

    def _long_key(self, key: LongBytes) -> object:
        if key.length > MAX_NAME_BYTES:
            raise LimitExceededError("bytes in one dictionary key", limit=MAX_NAME_BYTES, actual=key.length)
        self._count_text(key.length)
        data = self._blob.read(key.begin, key.length)
        return decode_text(data) if key.text else describe_key(data)

    def _append_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if type(target) is Run:
            raise MemoSkippedError
        if isinstance(target, Opaque):
            if target.items is None:
                target.items = []
            target = target.items
        if not isinstance(target, list):
            raise MalformedError(f"APPENDS at byte {self.position:,} on something that is no list")
        if self._left_out and any(type(item) is Run and item.is_paired for item in items):
            raise MemoSkippedError
        target.extend(items)

    def _build(self, state: object) -> None:
        target = self._stack[-1]
        if type(target) is Run:
            raise MemoSkippedError
        if isinstance(target, Opaque):
            if isinstance(target.state, dict) and isinstance(state, dict):
                self._count_objects(len(target.state) + len(state))
                target.state = {**target.state, **state}  # a second BUILD updates __dict__
            else:
                target.state = state


def _runs_fit(items: list[object]) -> bool:
    """Whether each run of keys is followed by one of as many values."""
    if not any(type(item) is Run for item in items):
        return True
    for key, value in zip(items[::2], items[1::2], strict=False):
        if (isinstance(key, Run) or isinstance(value, Run)) and not (
            isinstance(key, Run) and isinstance(value, Run) and key.count == value.count
        ):
            return False
    return len(items) % 2 == 0
