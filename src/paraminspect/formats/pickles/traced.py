"""What one pickle would do if it were loaded, as `tracing` finds it."""

from __future__ import annotations

from paraminspect.errors import ParamInspectError
from paraminspect.formats.pickles.danger import Verdict
from paraminspect.formats.pickles.inert import LongBytes, StorageRef


class Use:
    """One class or function that a pickle names.

    Attributes:
        module: As the pickle says it.
        verdict: What is known of it.
        offset: Of the opcode that names it first, from the begin of the file or member that holds the pickle.
        called: Offset of the first call of it, or where it is never called, of the first instance that is made of it; None
            if it is only named.
        preview: Arguments of that, as short text.
        calls: How often it is called.
        rebuilt: How often an instance is made of it without a call (NEWOBJ), which only classes allow.
        suspicion: Why this use is dangerous although the name alone is not; "" if it is not.
        is_plain: Whether a call that is safe is so with any arguments.
    """

    __slots__ = (
        "called",
        "calls",
        "is_plain",
        "module",
        "name",
        "offset",
        "preview",
        "rebuilt",
        "suspicion",
        "verdict",
    )

    def __init__(self, module: str, name: str, verdict: Verdict, offset: int, *, is_plain: bool = False) -> None:
        self.module = module
        self.name = name
        self.verdict = verdict
        self.offset = offset
        self.called: int | None = None
        self.preview = ""
        self.calls = 0
        self.rebuilt = 0
        self.suspicion = ""
        self.is_plain = is_plain


class Trace:
    """What one pickle would do.

    Attributes:
        uses: In order of appearance; what is safe is left out, unless more is done with it than honest files do.
        computed: Offset and preview of calls of something that is no named class or function, and of names that are computed.
        patched: Offset and preview of states that are set on an imported class or function itself.
        nested: Strings that may be a pickle, or a file that holds one, with the offsets of their opcodes.
        unread: How many more there are than a run may look into.
        loaded: Those of them that are handed to `torch.storage._load_from_bytes`, which loads them.
        value: What it stands for; None if it was not read to its end.
        end: Offset of the first byte behind it, or of the byte at which it could not be read on.
        error: Why it was not read to its end; None if it was.
        untold: Different globals beyond MAX_USES.
        names: All globals, what is safe among them.
        wraps_arrays: Whether `joblib.load` reads it otherwise than `pickle.load` does.
        parts: What the pickles would do that lie between its opcodes.
        departs: Whether `value` may be other than a `PickleMachine` would make it, or it would have stopped.
        has_runs: Whether it holds a `Run` in place of what that stands for.
        refers: Whether there is a persistent id.
        is_taken: Whether somebody who may change it has its value.
        storages: First references to each, by its key.
        foreign: (module, name) of what is on no allow-list, in order of appearance.
    """

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.computed: list[tuple[int, str]] = []
        self.patched: list[tuple[int, str]] = []
        self.nested: list[tuple[int, bytes | LongBytes]] = []
        self.unread = 0
        self.loaded: list[object] = []
        self.value: object = None
        self.end = 0
        self.error: ParamInspectError | None = None
        self.untold = 0
        self.names: set[tuple[str, str]] = set()
        self.wraps_arrays = False
        self.parts: list[Trace] = []
        self.departs = False
        self.has_runs = False
        self.refers = False
        self.is_taken = False
        self.storages: dict[str, StorageRef] = {}
        self.foreign: list[tuple[str, str]] = []
