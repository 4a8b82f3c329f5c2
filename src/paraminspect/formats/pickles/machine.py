"""An inert interpreter of pickles: every opcode of protocols 0 to 5, and nothing is imported or called.

A pickle is a program for a stack machine. We run the program, but GLOBAL, INST and STACK_GLOBAL push a `Global`
(or a `Builder`, if the caller's allow-list knows the name), and REDUCE, NEWOBJ, OBJ and BUILD make inert values
(see `inert`). So the structure of any pickle can be read, whatever it would have done.

Bounds: opcodes, objects, memo entries and kept text are counted; lengths are checked against the bytes that are
there before anything is allocated; keys are never hashed by value unless they are strings; nothing recurses.
The bytes are read through a window, so a pickle may be larger than memory.

Tensors come in hundreds of thousands, each as some 33 opcodes that torch always writes in the same order; a
`Shortcut` recognises that sequence and makes the tensor at once. It leaves memo entries out; should one of them be
asked for, the pickle is read again without it.

Source: the opcode descriptions of CPython's `pickletools`; torch's use of them from files torch wrote.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError
from paraminspect.formats.pickles.opcodes import HANDLERS
from paraminspect.formats.pickles.state import LONGEST_FIXED, MachineState, MemoSkippedError, truncated
from paraminspect.limits import OPCODES

MAX_PICKLE_OPS: Final = 4_000_000
"""Opcodes of one pickle in a file that is smaller, those inside a recognised tensor not counted.

A training checkpoint has some 40 a tensor; more only if the file has as many bytes.
"""


class PickleMachine(MachineState):
    """Reads one pickle."""

    def load(self) -> object:
        """The value the pickle stands for.

        Raises:
            TruncatedError: The bytes end before STOP.
            MalformedError: Not a pickle, or one no unpickler would accept.
            LimitExceededError: More of something than the named bounds allow.
        """
        with suppress(MemoSkippedError):
            try:
                value = self._run()
            except (MalformedError, ValueError, IndexError):
                if not self._runs or self.position >= self._blob.size:
                    raise
            else:
                if not self._runs:
                    return value
        self._restart()
        self._shortcut = self._repeats = None
        return self._run()

    def _replay(self, begin: int, end: int, first: int) -> None:
        """Interpret opcodes that were taken at once, for the memo entries from `first` on that they make."""
        memo = self._memo
        known = len(memo)
        place = self._stack, self._base, self._pos, self._buffer, self._low_water
        self._stack, self._base, self._pos, self._buffer, self._low_water = [], begin, 0, b"", -1
        while self.position < end:
            self._effort.spend(OPCODES, 1)
            if self._pos > self._low_water:
                self._refill(LONGEST_FIXED)
            op = self._buffer[self._pos]
            self._pos += 1
            if op == 0x94:  # MEMOIZE, which would count anew
                if isinstance(self._stack[-1], str | tuple):  # what may be changed must be the object that was left out
                    memo.setdefault(first, self._stack[-1])
                first += 1
            else:
                HANDLERS[op](self)
        self._stack, self._base, self._pos, self._buffer, self._low_water = place
        self._left_out -= len(memo) - known
        if len(memo) > self._most_memo:
            raise LimitExceededError("memo entries in one pickle", limit=self._most_memo, actual=None)

    def _run(self) -> object:
        handlers = HANDLERS
        op = -1
        done = 0
        limit = self._most_opcodes(MAX_PICKLE_OPS)
        try:
            for done in range(limit):  # noqa: B007 - what was done is counted at the end, at no cost for each
                if self._pos > self._low_water:
                    self._refill(LONGEST_FIXED)
                op = self._buffer[self._pos]
                self._pos += 1
                if op == 0x2E:  # STOP
                    return self._stack.pop()
                handlers[op](self)
        except struct.error:
            raise truncated(self._blob) from None
        except IndexError:  # a missing byte or an empty stack
            if self._pos >= len(self._buffer) and self._base + len(self._buffer) >= self._blob.size:
                raise truncated(self._blob) from None
            raise MalformedError(f"opcode 0x{op:02x} at byte {self.position:,} finds no value on the stack") from None
        except ParamInspectError:
            raise
        except (ValueError, OverflowError, UnicodeError) as error:
            text = f"bad argument of opcode 0x{op:02x} at byte {self.position:,}: {error}"
            raise MalformedError(text[:200]) from None
        finally:
            self._effort.spend(OPCODES, done + 1)
        raise self._too_many_opcodes(limit)
