"""What a pickle would do if it were loaded: each class and function it names, what it calls, and with what.

The inert machine of `machine` runs the program and a notebook is kept beside it. A loader that is attacked runs
whatever comes before the first error, so everything up to there is told, and the error too. Where our own bounds or
checks of arguments are stricter than a loader's, the trace goes on with an unknown value instead of stopping.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.danger import Verdict, judge
from paraminspect.formats.pickles.inert import Dtype, Global, LongBytes, OddKey, Opaque, StorageRef, TensorValue
from paraminspect.formats.pickles.machine import MAX_PICKLE_OPS, PickleMachine
from paraminspect.formats.pickles.opcodes import HANDLERS
from paraminspect.formats.pickles.state import LONGEST_FIXED
from paraminspect.formats.pickles.tables import ALLOCATORS, MANY_BYTES
from paraminspect.formats.pytorch.objects import GlobalTable, storage_ref

MAX_USES: Final = 2_000
"""Different globals of one pickle that are told of; what is dangerous always is."""

MAX_NESTED: Final = 200
"""Byte strings of one pickle that may be pickles themselves."""

MAX_LOADED: Final = 20_000
"""Byte strings of one pickle that are loaded as files of their own: one for each tensor that `pickle` itself wrote."""

SHOWN_TEXT: Final = 60
"""Characters of one text in a preview."""

SHOWN_PREVIEW: Final = 120
"""Characters of a whole preview."""

SHOWN_ITEMS: Final = 6
"""Items of a container in a preview."""

MAX_DEPTH: Final = 4
"""Levels of a preview."""

SMALLEST_PICKLE: Final = 4
"""Bytes: a header, one opcode and STOP."""

_STOP: Final = 0x2E


class Use:
    """One class or function that a pickle names.

    Attributes:
        module: As the pickle says it.
        name: The same.
        verdict: What is known of it.
        offset: Of the opcode that names it first, from the begin of the file or member that holds the pickle.
        called: Offset of the first call of it; None if it is only named.
        preview: Arguments of that call, as short text.
        calls: How often it is called.
        suspicion: Why this use is dangerous although the name alone is not; "" if it is not.
    """

    __slots__ = ("called", "calls", "module", "name", "offset", "preview", "suspicion", "verdict")

    def __init__(self, module: str, name: str, verdict: Verdict, offset: int) -> None:
        self.module = module
        self.name = name
        self.verdict = verdict
        self.offset = offset
        self.called: int | None = None
        self.preview = ""
        self.calls = 0
        self.suspicion = ""


class Trace:
    """What one pickle would do.

    Attributes:
        uses: In order of appearance; what torch writes for plain data is left out.
        computed: Offset and preview of calls of something that is no named class or function.
        patched: Offset and preview of states that are set on an imported class or function itself.
        nested: Offset and length of byte strings that begin like a pickle.
        loaded: Those of them that are handed to `torch.storage._load_from_bytes`, which loads them.
        value: What it stands for; None if it was not read to its end.
        end: Offset of the first byte behind it, or of the byte at which it could not be read on.
        error: Why it was not read to its end; None if it was.
        untold: Different globals beyond MAX_USES.
    """

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.computed: list[tuple[int, str]] = []
        self.patched: list[tuple[int, str]] = []
        self.nested: list[tuple[int, int]] = []
        self.loaded: list[object] = []
        self.value: object = None
        self.end = 0
        self.error: ParamInspectError | None = None
        self.untold = 0


def trace_pickle(blob: Blob, begin: int = 0, declare: Callable[[StorageRef], None] | None = None) -> Trace:
    """Run one pickle inertly and tell what it would do.

    Args:
        begin: Offset of the pickle in it.
        declare: Is told of each storage that is referred to.
    """
    machine = _TracingMachine(blob, begin, declare)
    trace = machine.trace
    try:
        trace.value = machine.load()
    except ParamInspectError as error:
        machine.trace.error = error
    except (IndexError, ValueError, OverflowError, UnicodeError, struct.error) as error:
        ended = machine.position >= blob.size
        text = "ends inside an instruction" if ended else f"has an instruction that cannot be: {error}"
        machine.trace.error = ParamInspectError(f"the pickle {text}"[:200])
    except RecursionError:
        machine.trace.error = ParamInspectError("the pickle is nested too deeply")
    trace = machine.trace  # a new one if the machine began anew
    trace.end = machine.position
    return trace


class _TracingMachine(PickleMachine):
    """Keeps the offset of each opcode, and notes what is named, called and changed."""

    def __init__(self, blob: Blob, begin: int, declare: Callable[[StorageRef], None] | None) -> None:
        self._declare = declare
        self._table = GlobalTable()
        super().__init__(blob, self._find, self._refer, begin=begin, shortcut=self._table.shortcut)
        self._table.shortcut.declare = declare

    def _restart(self) -> None:
        super()._restart()
        self.trace = Trace()
        self._op = 0
        self._protocol2 = True
        self._uses: dict[tuple[str, str], Use | None] = {}
        self._by_global: dict[int, Use] = {}

    def _run(self) -> object:
        for _ in range(MAX_PICKLE_OPS):
            if self._pos > self._low_water:
                self._refill(LONGEST_FIXED)
            self._op = self._base + self._pos
            op = self._buffer[self._pos]
            self._pos += 1
            if op == _STOP:
                return self._stack.pop()
            if op == 0x80:  # PROTO
                self._protocol2 = self._buffer[self._pos] < 3
            HANDLERS[op](self)
        raise LimitExceededError("opcodes in one pickle", limit=MAX_PICKLE_OPS, actual=None)

    def _find(self, module: str, name: str) -> object:
        """The inert value of a global; its first use is noted."""
        value = self._table.find(module, name)
        key = (module, name)
        if key not in self._uses:
            use = self._uses[key] = self._judge(module, name)
            if use is not None:
                self._note(use)
                self._by_global[id(value)] = use
        return value

    def _judge(self, module: str, name: str) -> Use | None:
        verdict = judge(module, name, python2=self._protocol2)
        foreign = self._table.foreign
        known = not foreign or foreign[-1] != (module, name)
        if verdict.level == "safe" or (verdict.level == "unknown" and known and verdict.identity.startswith("torch.")):
            return None
        return Use(module, name, verdict, self._op)

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
            return Opaque(None, (pid,))
        if isinstance(value, StorageRef) and self._declare is not None:
            self._declare(value)
        return value

    def _call(self, func: object, args: object) -> None:
        if isinstance(func, Global):
            self._note_call(func, args)
        elif len(self.trace.computed) < MAX_USES:
            self.trace.computed.append((self._op, f"{preview(func)}{_arguments(args)}"[:SHOWN_PREVIEW]))
        try:
            super()._call(func, args)
        except LimitExceededError:
            raise
        except ParamInspectError:  # a tensor with arguments that do not fit; what follows may run all the same
            self._push_object(Opaque(func, args))

    def _note_call(self, func: Global, args: object) -> None:
        if func.name == "_load_from_bytes" and isinstance(args, tuple):
            self.trace.loaded.extend(args[:1])
            if not args or not isinstance(args[0], bytes | LongBytes):
                self._accuse(func, "loads bytes that the pickle computes")
            if len(self.trace.loaded) > MAX_LOADED:
                raise LimitExceededError("tensors inside byte strings of one pickle", limit=MAX_LOADED, actual=None)
        if func.dotted in ALLOCATORS and _asked(args) > MANY_BYTES:
            self._accuse(func, "allocates as much memory as it says")
        use = self._by_global.get(id(func))
        if use is None:
            return
        use.calls += 1
        if use.called is None:
            use.called = self._op
            use.preview = _arguments(args)[:SHOWN_PREVIEW]
        if not use.suspicion and use.verdict.level == "unknown":
            use.suspicion = self._suspect(func, args)

    def _accuse(self, func: Global, suspicion: str) -> None:
        """Note a use of a safe name that is not safe."""
        if id(func) not in self._by_global:
            use = self._by_global[id(func)] = Use(func.module, func.name, Verdict("unknown", func.dotted), self._op)
            use.suspicion = suspicion
            self._note(use)

    def _suspect(self, func: Global, args: object) -> str:
        """Why a call of an unknown function is dangerous by its arguments."""
        if func.name.rpartition(".")[2].lstrip("_")[:1].isupper() or func.dotted == "functools.partial":
            return ""  # a class keeps what it is given
        for item in args if isinstance(args, tuple) else ():
            other = self._by_global.get(id(item))
            if other is not None and other.verdict.level == "danger":
                return f"is handed {printable(other.verdict.identity)}, which it may call"
        return ""

    def _build(self, state: object) -> None:
        target = self._stack[-1]
        if isinstance(target, Global) and len(self.trace.patched) < MAX_USES:
            self.trace.patched.append((self._op, f"{printable(target.dotted)} with {preview(state)}"[:SHOWN_PREVIEW]))
        super()._build(state)

    def _payload(self, length: int, *, text: bool) -> bytes | LongBytes:
        begin = self.position
        data = super()._payload(length, text=text)
        if not text and length >= SMALLEST_PICKLE and len(self.trace.nested) < MAX_NESTED:
            head = data[:2] if isinstance(data, bytes) else self._blob.read_up_to(begin, 2)
            if head[0] == 0x80 and 2 <= head[1] <= 5:
                self.trace.nested.append((begin, length))
        return data


def printable(text: str, limit: int = SHOWN_TEXT) -> str:
    """An untrusted name on one line, cut in the middle, where nothing tells."""
    if len(text) > limit:
        text = f"{text[: limit // 3]}…{text[-(limit - limit // 3) :]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _asked(args: object) -> int:
    first = args[0] if isinstance(args, tuple) and args else None
    return first if type(first) is int else 0


def _arguments(args: object) -> str:
    if isinstance(args, tuple):
        return f"({', '.join(preview(item) for item in args[:SHOWN_ITEMS])}{', …' * (len(args) > SHOWN_ITEMS)})"
    return f"(*{preview(args)})"


def preview(value: object, depth: int = 0) -> str:
    """A value as short text: what a reader needs to see what a call is about.

    Args:
        value: Inert.
    """
    match value:
        case str() | bytes():
            shown = repr(value[:SHOWN_TEXT]) + "…" * (len(value) > SHOWN_TEXT)
        case int() if value.bit_length() > 64:
            shown = f"an integer of {value.bit_length():,} bits"
        case None | bool() | int() | float():
            shown = repr(value)
        case tuple() | list() | dict() if depth < MAX_DEPTH:
            shown = _preview_items(value, depth)
        case Global():
            shown = printable(value.dotted)
        case LongBytes():
            shown = f"<{value.length:,} bytes of {'text' if value.text else 'data'}>"
        case TensorValue() | StorageRef():
            shown = "<tensor>" if isinstance(value, TensorValue) else "<storage>"
        case Dtype() | OddKey():
            shown = f"torch.{value.name}" if isinstance(value, Dtype) else printable(value.text)
        case Opaque() if depth < MAX_DEPTH:
            inside = value.args if isinstance(value.args, tuple) else (value.args,)
            items = ", ".join(preview(item, depth + 1) for item in inside[:SHOWN_ITEMS])
            shown = f"{preview(value.func, depth + 1)}({items})"
        case _:
            shown = "…"
    return shown


def _preview_items(value: tuple[object, ...] | list[object] | dict[object, object], depth: int) -> str:
    more = ", …" if len(value) > SHOWN_ITEMS else ""
    if isinstance(value, dict):
        pairs = list(zip(value, range(SHOWN_ITEMS), strict=False))
        shown = ", ".join(f"{preview(key, depth + 1)}: {preview(value[key], depth + 1)}" for key, _ in pairs)
        return f"{{{shown}{more}}}"
    shown = ", ".join(preview(item, depth + 1) for item in value[:SHOWN_ITEMS])
    if isinstance(value, tuple):
        return f"({shown}{more}{',' * (len(value) == 1)})"
    return f"[{shown}{more}]"
