"""One storage under several types: torch keeps the storage as its first use declares it, and what comes later gets that.

So a tensor of a later use has the type of the first, at its own shape, stride and offset, which then count elements of
that type; one that reaches past the end does not load. An empty storage is not kept.

Source: `torch.serialization._load` (`loaded_storages`) and `_legacy_load` (`deserialized_objects`) of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pytorch.objects import is_view, storage_ref


class FirstUses:
    """The storages that the pickles of one file refer to, as their first uses declare them, by their keys."""

    def __init__(self) -> None:
        self.storages: dict[str, StorageRef] = {}
        self._retyped: set[str] = set()

    def load_persistent(self, pid: object) -> object:
        """What a persistent id stands for.

        Raises:
            MalformedError: As `storage_ref`.
        """
        value = storage_ref(pid)
        if not isinstance(value, StorageRef):
            return value
        if is_view(pid):
            self.declare(storage_ref(pid[:5]))  # type: ignore[arg-type]  # the same storage without its view
            return value  # a view has the type that is declared with it
        return self.declare(value)

    def declare(self, reference: StorageRef) -> StorageRef:
        """What torch makes of a reference to a whole storage: the first one of that key."""
        first = self.storages.setdefault(reference.key, reference)
        if first is reference or not first.nbytes:
            return reference
        if first.dtype != reference.dtype:
            self._retyped.add(reference.key)
        return first

    def declare_new(self, references: dict[str, StorageRef]) -> bool:
        """Take references to whole storages by their keys if all are the first; whether they are."""
        if not self.storages.keys().isdisjoint(references):
            return False
        self.storages.update(references)
        return True

    def notes(self) -> Iterator[str]:
        """A remark on storages whose later uses declare another type."""
        if self._retyped:
            yield (
                f"storages that tensors use under several types: {len(self._retyped):,}; a tensor without a type of "
                "its own has that of the first use, as torch loads it"
            )
