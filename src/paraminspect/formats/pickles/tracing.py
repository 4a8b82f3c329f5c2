"""What a pickle would do if it were loaded: each class and function it names, what it calls, and with what.

The inert machine of `machine` runs the program and a notebook is kept beside it. A loader that is attacked runs
whatever comes before the first error, so everything up to there is told, and the error too. Where our own bounds or
checks of arguments are stricter than a loader's, the trace goes on with an unknown value instead of stopping.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.attributes import find_functions, find_special, is_empty
from paraminspect.formats.pickles.danger import judge
from paraminspect.formats.pickles.doubts import DOUBTED, doubt_call
from paraminspect.formats.pickles.inert import Global, LongBytes, Opaque, StorageRef, TensorValue
from paraminspect.formats.pickles.joblib_arrays import count_bytes, is_wrapper
from paraminspect.formats.pickles.machine import MAX_PICKLE_OPS, PickleMachine
from paraminspect.formats.pickles.nested import FIRST_LETTERS, SMALLEST_PICKLE, STORED_HEAD, may_be_bare, may_be_file
from paraminspect.formats.pickles.opcodes import HANDLERS
from paraminspect.formats.pickles.preview import SHOWN_PREVIEW, preview, preview_arguments, printable
from paraminspect.formats.pickles.python_modules import PYTHON_MODULES
from paraminspect.formats.pickles.repeats import Repeats
from paraminspect.formats.pickles.safe import CALLED_SAFELY, TAKES_A_FUNCTION, Calling
from paraminspect.formats.pickles.state import LONGEST_FIXED, truncated
from paraminspect.formats.pickles.traced import Trace, Use
from paraminspect.formats.pytorch.objects import GlobalTable, is_view, storage_ref
from paraminspect.limits import OPCODES, STRINGS, EffortError, effort

MAX_USES: Final = 2_000
"""Different globals of one pickle that are told of; what is dangerous always is."""

MAX_LOADED: Final = 20_000
"""Byte strings of one pickle that are loaded as files of their own: one for each tensor that `pickle` itself wrote."""

MAX_PARTS: Final = 1_000
"""Pickles between the opcodes of one pickle."""

_STOP: Final = 0x2E


def trace_pickle(
    blob: Blob, begin: int = 0, declare: Callable[[StorageRef], None] | None = None, *, joblib: bool = False
) -> Trace:
    """Run one pickle inertly and tell what it would do.

    Args:
        begin: Offset of the pickle in it.
        declare: Is told of each storage that is referred to.
        joblib: Step over arrays between the opcodes, as `joblib.load` does and `pickle.load` does not.
    """
    machine = _TracingMachine(blob, begin, declare, joblib=joblib)
    first = trace = machine.trace
    try:
        trace.value = machine.load()
    except ParamInspectError as error:
        machine.trace.error = error.with_traceback(None)  # which would hold the machine, as would what it came from
        error.__context__ = None
        if isinstance(error, EffortError):
            effort().is_spent = True
    except (IndexError, ValueError, OverflowError, UnicodeError, struct.error) as error:
        ended = isinstance(error, struct.error) or machine.position >= blob.size
        text = f"the pickle has an instruction that cannot be: {error}"
        machine.trace.error = truncated(blob) if ended else ParamInspectError(text[:200])
    except RecursionError:
        machine.trace.error = ParamInspectError("the pickle is nested too deeply")
    machine.forgive()
    trace = machine.trace  # a new one if the machine began anew
    trace.end = machine.position
    trace.names = set(machine.named)
    trace.foreign = machine.foreign
    trace.departs = trace.departs or trace is not first
    trace.has_runs = machine.took_runs
    trace.refers = trace.refers or bool(trace.storages)
    machine.release()
    return trace


class _TracingMachine(PickleMachine):
    """Keeps the offset of each opcode, and notes what is named, called and changed."""

    def __init__(
        self, blob: Blob, begin: int, declare: Callable[[StorageRef], None] | None, *, joblib: bool = False
    ) -> None:
        self._declare = declare
        self._joblib = joblib
        self._table = GlobalTable()
        # what is taken at once holds nothing but numbers and plain names, and its classes were named before
        super().__init__(blob, self._find, self._refer, begin=begin, shortcut=self._table.shortcut, repeats=Repeats())
        self._table.shortcut.declare = self._declare_taken

    def release(self) -> None:
        """Let go of itself: nobody collects cycles, and a file may hold a pickle for each piece of a checkpoint."""
        del self._find_global, self._load_persistent
        self._table.shortcut.declare = None

    @property
    def foreign(self) -> list[tuple[str, str]]:
        """See `Trace`."""
        return self._table.foreign

    @property
    def took_runs(self) -> bool:
        """Whether the value holds a `Run` in place of what it stands for."""
        return self._repeats is not None and self._repeats.has_taken

    def _restart(self) -> None:
        super()._restart()
        self.trace = Trace()
        self._op = 0
        self._code = 0
        self._protocol2 = True
        self._uses: dict[tuple[str, str], Use | None] = {}
        self._by_global: dict[int, Use] = {}
        self._reached: dict[int, int] = {}  # harmless calls of getattr, by its use

    def _run(self) -> object:
        handlers = _HANDLERS
        limit = self._most_opcodes(MAX_PICKLE_OPS)
        done = 0
        try:
            for done in range(limit):  # noqa: B007 - what was done is counted at the end, at no cost for each
                if self._pos > self._low_water:
                    self._refill(LONGEST_FIXED)
                self._op = self._base + self._pos
                op = self._code = self._buffer[self._pos]
                self._pos += 1
                if op == _STOP:
                    return self._stack.pop()
                handlers[op](self)
        finally:
            self._effort.spend(OPCODES, done + 1)
        raise self._too_many_opcodes(limit)

    # --- names -----------------------------------------------------------------------------------------------

    def _global(self, module: object, name: object) -> None:
        if isinstance(module, str) and isinstance(name, str):
            super()._global(module, name)
            return
        self.trace.departs = True
        self._note_computed(f"what {preview(module)} and {preview(name)} name")
        self._push_object(Opaque(None, (module, name)))

    def _find(self, module: str, name: str) -> object:
        """The inert value of a global; its first use is noted."""
        value = self._table.find(module, name)
        key = (module, name)
        if key not in self._uses:
            use = self._uses[key] = self._judge(module, name)
            if use is not None:
                self._by_global[id(value)] = use
                if use.verdict.level != "safe":
                    self._note(use)
        return value

    @property
    def named(self) -> Iterable[tuple[str, str]]:
        """Module and name of each global."""
        return self._uses

    def _judge(self, module: str, name: str) -> Use | None:
        verdict = judge(module, name, python2=self._protocol2)
        foreign = self._table.foreign
        known = not foreign or foreign[-1] != (module, name)
        if verdict.level == "unknown" and known and verdict.identity.startswith("torch."):
            return None
        identity = verdict.identity
        special = identity in DOUBTED or identity in _LOADERS or identity in TAKES_A_FUNCTION
        return Use(module, name, verdict, self._op, is_plain=identity.startswith("torch.") and not special)

    def _note(self, use: Use) -> None:
        if len(self.trace.uses) < MAX_USES or use.verdict.level == "danger":
            self.trace.uses.append(use)
        else:
            self.trace.untold += 1

    def _refer(self, pid: object) -> object:
        """A storage, or an unknown value where torch would complain."""
        try:
            value = storage_ref(pid)
        except ParamInspectError:
            self.trace.departs = True
            return Opaque(None, (pid,))
        if is_view(pid):
            self.trace.departs = True  # a view, of a storage that it declares beside itself
        if not isinstance(value, StorageRef):
            self.trace.refers = True
            return value
        if self._declare is not None:
            self._declare(value)
        return self._first_use(value)

    def _declare_taken(self, references: dict[str, StorageRef]) -> bool:
        """The same of storages that the shortcut takes."""
        if not self.trace.storages.keys().isdisjoint(references):
            return False
        if self._declare is not None:
            for reference in references.values():
                self._declare(reference)
        self.trace.storages.update(references)
        return True

    def _first_use(self, reference: StorageRef) -> StorageRef:
        """The first reference to a storage in place of an equal one, as a reader has it."""
        first = self.trace.storages.setdefault(reference.key, reference)
        if first is reference or not first.nbytes:
            return reference
        if (first.dtype, first.nbytes, first.offset) == (reference.dtype, reference.nbytes, reference.offset):
            return first
        self.trace.departs = True  # a reader gives it the type of the first
        return reference

    # --- calls -----------------------------------------------------------------------------------------------

    def _call(self, func: object, args: object) -> None:
        if isinstance(func, Global) and func.name == "getattr" and self._reach(func, args):
            self.trace.departs = True
            return
        self._note_called(func, args)
        try:
            super()._call(func, args)
        except LimitExceededError:
            raise
        except ParamInspectError:  # a tensor with arguments that do not fit; what follows may run all the same
            self.trace.departs = True
            self._push_object(Opaque(func, args))

    def _note_called(self, func: object, args: object) -> None:
        """Something is called, by an opcode or by what an opcode calls."""
        if isinstance(func, Global):
            self._note_call(func, args)
        else:
            self._note_computed(f"{preview(func)}{preview_arguments(args)}")

    def _note_computed(self, text: str) -> None:
        if len(self.trace.computed) < MAX_USES:
            self.trace.computed.append((self._op, text[:SHOWN_PREVIEW]))

    def _note_call(self, func: Global, args: object) -> None:
        use = self._by_global.get(id(func))
        if use is None:
            return
        if self._code in _MAKES_INSTANCES:
            use.rebuilt += 1
        else:
            use.calls += 1
        if use.called is None or (use.calls == 1 and use.rebuilt):
            use.called = self._op
            use.preview = preview_arguments(args)[:SHOWN_PREVIEW]
        if use.verdict.level == "safe":
            if use.calls == 1 or not use.is_plain:
                self._watch(use, args)
        elif not use.suspicion and use.verdict.level == "unknown" and use.calls:
            use.suspicion = self._suspect(use, args)

    def _watch(self, use: Use, args: object) -> None:
        """What is safe, but not with any arguments."""
        identity = use.verdict.identity
        suspicion = doubt_call(identity, args)
        if identity in _LOADERS and isinstance(args, tuple):
            self.trace.loaded.extend(args[:1])
            if not args or not isinstance(args[0], bytes | LongBytes):
                suspicion = "loads bytes that the pickle computes"
            if len(self.trace.loaded) > MAX_LOADED:
                raise LimitExceededError("tensors inside byte strings of one pickle", limit=MAX_LOADED, actual=None)
        elif identity in TAKES_A_FUNCTION:
            self._note_function(args, TAKES_A_FUNCTION[identity])
        elif not suspicion and isinstance(args, tuple) and not identity.startswith("torch."):
            for item in args:
                self._note_attributes(item, _ASKED_FOR, args)
        unexpected = use.calls == 1 and use.verdict.expected != "called" and self._code not in _MAKES_INSTANCES
        if (suspicion or unexpected) and use not in self.trace.uses:
            self._note(use)
        use.suspicion = use.suspicion or suspicion

    def _note_function(self, args: object, calling: Calling) -> None:
        """A safe function calls one of its arguments."""
        if not isinstance(args, tuple) or len(args) <= calling.function:
            return
        func = args[calling.function]
        given = args[: calling.function]
        if calling.arguments is not None:
            item = args[calling.arguments] if len(args) > calling.arguments else ()
            given = item if isinstance(item, tuple) else (item,)
        if isinstance(func, Opaque):
            use = self._by_global.get(id(func.func))
            if use is None or use.verdict.identity not in CALLED_SAFELY:
                self._note_computed(preview(func))
        elif isinstance(func, Global):
            code, self._code = self._code, _REDUCE
            self._note_call(func, given)
            self._code = code

    def _note_attributes(self, item: object, names: frozenset[str], args: tuple[object, ...]) -> None:
        """An object is used in a way for which it is asked for a method: one that the pickle itself has set is called."""
        if isinstance(item, Opaque):
            self._note_called_by_use(find_functions(item, names), args)

    def _note_called_by_use(self, functions: Iterable[object], args: tuple[object, ...]) -> None:
        for func in functions:
            code, self._code = self._code, _REDUCE
            self._note_called(func, args)
            self._code = code

    def _reach(self, func: Global, args: object) -> bool:
        """`getattr` of an object with a literal name: how pickle writes a method. What it makes is not yet called.

        Of a class or module it is what the name behind its dot would be.
        """
        use = self._by_global.get(id(func))
        if use is None or use.verdict.identity != "builtins.getattr" or not isinstance(args, tuple) or len(args) != 2:
            return False
        target, name = args
        if type(name) is not str or not name.isidentifier() or name.startswith("__"):
            return False
        if isinstance(target, Opaque | TensorValue):
            self._push_object(Opaque(func, args))
        elif isinstance(target, Global):
            self._push_object(self._find(target.module, f"{target.name}.{name}"))
        else:
            return False
        use.calls += 1
        self._reached[id(use)] = self._reached.get(id(use), 0) + 1
        return True

    def forgive(self) -> None:
        """Leave `getattr` out if all that it did was to find methods."""
        self.trace.uses = [use for use in self.trace.uses if not use.calls or self._reached.get(id(use)) != use.calls]

    def _suspect(self, use: Use, args: object) -> str:
        """Why a call of an unknown function is dangerous."""
        top = use.verdict.identity.partition(".")[0]
        if top in PYTHON_MODULES and use.verdict.expected != "called":
            return "calls a part of Python's library that no checkpoint needs"
        if top in ("torch", "numpy", "pandas") and "." in use.name:
            return f"calls a method, as no file of {top} does"
        for item in args if isinstance(args, tuple) else ():
            other = self._by_global.get(id(item))
            if other is not None and other.verdict.level == "danger":
                return f"is handed {printable(other.verdict.identity)}, which it may call"
        return ""

    # --- changes ---------------------------------------------------------------------------------------------

    def _build(self, state: object) -> None:
        target = self._stack[-1]
        if self._is_imported(target):
            self._note_patch(target, state)
        if not is_empty(target):
            self._note_attributes(target, _SET_STATE, (state,))
        if isinstance(state, dict | tuple | Opaque) and (special := find_special(state)):
            self._note_called_by_use(special, ())
        super()._build(state)
        if isinstance(target, Opaque) and is_wrapper(target):
            self.trace.wraps_arrays = True
            if self._joblib:
                self._step_over(target)

    def _step_over(self, wrapper: Opaque) -> None:
        """Go on behind an array that lies between the opcodes."""
        begin = self.position
        first = self._blob.read_up_to(begin, 1)
        nbytes = count_bytes(wrapper, first[0] if first else 0)
        if nbytes is None:
            inner = trace_pickle(self._blob, begin, self._declare)
            self.trace.parts.append(inner)
            if inner.error is not None:
                raise inner.error
            if len(self.trace.parts) > MAX_PARTS:
                raise LimitExceededError("arrays of objects in one pickle", limit=MAX_PARTS, actual=None)
            nbytes = inner.end - begin
        if nbytes > self._blob.size - begin:
            raise truncated(self._blob)
        self._pos += nbytes  # past the buffer, mostly; it is filled again before the next opcode

    def _set_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if self._is_imported(target):
            self._note_patch(target, items)
        elif isinstance(target, dict | Opaque):
            super()._set_items(items)
            return
        self.trace.departs = True

    def _append_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if self._is_imported(target):
            self._note_patch(target, items)
        elif isinstance(target, list | Opaque):
            self._note_attributes(target, _APPEND, tuple(items[:1]))
            super()._append_items(items)
            return
        self.trace.departs = True

    def _is_imported(self, target: object) -> bool:
        """Whether something comes from a module as it is, or was reached from an object with getattr."""
        func = target.func if isinstance(target, Opaque) else target
        return isinstance(func, Global) and (func is target or func.name in _GIVES_WHAT_IS_THERE)

    def _note_patch(self, target: object, state: object) -> None:
        if len(self.trace.patched) < MAX_USES:
            named = printable(target.dotted) if isinstance(target, Global) else preview(target)
            self.trace.patched.append((self._op, f"{named} with {preview(state)}"[:SHOWN_PREVIEW]))

    # --- strings ---------------------------------------------------------------------------------------------

    def _payload(self, length: int, *, text: bool) -> bytes | LongBytes:
        data = super()._payload(length, text=text)
        if length >= SMALLEST_PICKLE:
            if isinstance(data, LongBytes):
                self._note_long(data)
            elif not text:
                self._note_string(data, data)
        return data

    def note_protocol(self) -> None:
        """PROTO: names of protocol 2 are those of Python 2."""
        self._protocol2 = self._buffer[self._pos] < 3

    def note_text(self) -> None:
        """A text may stand for bytes: so pickles of protocol 0 to 2 write them."""
        text = self._stack[-1]
        if isinstance(text, LongBytes):
            if self._code in _LINES:  # of others it is noted where they are read
                self._note_long(text)
        elif type(text) is str and len(text) >= SMALLEST_PICKLE and text[0] in FIRST_LETTERS:
            data = text.encode("latin-1", "replace")
            self._note_string(data, data)

    def _note_long(self, data: LongBytes) -> None:
        head = data.unfold(self._blob.read_up_to(data.begin, STORED_HEAD))
        self._note_string(head.ljust(SMALLEST_PICKLE, b"\0"), data)

    def _note_string(self, head: bytes, data: bytes | LongBytes) -> None:
        if may_be_file(head) or may_be_bare(head, data):
            if self._effort.left(STRINGS):
                self._effort.spend(STRINGS, 1)
                self.trace.nested.append((self._op, data))
            else:
                self.trace.unread += 1


_MAKES_INSTANCES: Final = frozenset({0x81, 0x92})
"""NEWOBJ, NEWOBJ_EX: `cls.__new__(cls, ..)`."""

_REDUCE: Final = 0x52

_LOADERS: Final = frozenset({"torch.storage._load_from_bytes"})

_SET_STATE: Final = frozenset({"__setstate__"})
_APPEND: Final = frozenset({"append", "extend", "add"})
_ASKED_FOR: Final = frozenset({"keys", "replace", "_simple_new", "from_arrays", "__deepcopy__", "__new__"})
"""Methods that the unpickler, Python's own classes and rebuilders look for at an object itself, not at its class."""

_GIVES_WHAT_IS_THERE: Final = frozenset({"getattr", "getLogger", "_get_thnn_function_backend"})
"""Functions that give no new object: what is set on it stays set."""

_LINES: Final = frozenset({0x53, 0x56})
"""STRING, UNICODE."""

_TEXTS: Final = _LINES | {0x58, 0x8C}
"""The same, BINUNICODE and SHORT_BINUNICODE."""


def _proto(m: _TracingMachine) -> None:
    m.note_protocol()
    HANDLERS[0x80](m)


def _noting_text(handler: Callable[[_TracingMachine], object]) -> Callable[[_TracingMachine], None]:
    def handle(m: _TracingMachine) -> None:
        handler(m)
        m.note_text()

    return handle


_HANDLERS: Final = [_noting_text(handler) if code in _TEXTS else handler for code, handler in enumerate(HANDLERS)]
_HANDLERS[0x80] = _proto
