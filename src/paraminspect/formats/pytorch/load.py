"""One pickle of a file of torch as the value that it stands for; what a run has traced already is not read again."""

from __future__ import annotations

from paraminspect.files.blob import Blob
from paraminspect.formats.once import once
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.repeats import Repeats
from paraminspect.formats.pytorch.first_use import FirstUses
from paraminspect.formats.pytorch.objects import GlobalTable, storage_ref


def load_pickle(blob: Blob, table: GlobalTable, uses: FirstUses | None = None, *, begin: int = 0) -> tuple[object, int]:
    """What a pickle with tensors stands for, inert, and where it ends.

    Args:
        table: Of its globals.
        uses: Takes its storages; None where each use has a type of its own, as TorchScript reads them.

    Raises:
        CheckpointError: As `PickleMachine.load`.
        LimitExceededError: The same.
    """
    run = once()
    loaded = None if run is None else run.loader.load(blob, begin, takes_runs=False)
    if loaded is not None and (uses is None or uses.storages.keys().isdisjoint(loaded.storages)):
        if uses is not None:
            uses.storages.update(loaded.storages)
        table.take(loaded.foreign)
        return loaded.value, loaded.end
    table.shortcut.declare = None if uses is None else uses.declare_new
    refer = storage_ref if uses is None else uses.load_persistent
    machine = PickleMachine(blob, table.find, refer, begin=begin, shortcut=table.shortcut)
    value = machine.load()
    table.shortcut.begin()  # what it keeps for the memo would take memory
    return value, machine.position


def load_records(blob: Blob, table: GlobalTable) -> object:
    """What a pickle without tensors stands for, inert; many objects that are alike are a `Run`.

    Args:
        table: Of its globals.

    Raises:
        CheckpointError: As `PickleMachine.load`.
        LimitExceededError: The same.
    """
    run = once()
    loaded = None if run is None else run.loader.load(blob, 0, takes_runs=True)
    if loaded is not None and not loaded.refers:
        table.take(loaded.foreign)
        return loaded.value
    return PickleMachine(blob, table.find, repeats=Repeats()).load()
