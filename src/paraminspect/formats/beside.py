"""What lies in the folder of a model and tells of it: its config, and what trainers write beside weights.

    config.json, adapter_config.json   the architecture (`facts`)
    trainer_state.json                 of transformers' Trainer: epoch, step, the last learning rate that was logged
    training_args.bin                  its arguments: a pickle, read inertly
    scheduler.pt, scheduler.bin        the learning rate now; of the Trainer, of accelerate
    optimizer.pt, optimizer.bin        the same, where there is no scheduler

Each is untrusted: one that cannot be read is a remark, and keeps nothing else from being told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paraminspect.errors import FarError, ParamInspectError
from paraminspect.files.door import place_of
from paraminspect.files.paths import join
from paraminspect.formats.facts import Facts, of_config
from paraminspect.formats.pickles.data import Room, as_data, entries_of, number_of
from paraminspect.formats.sharded import load_json
from paraminspect.formats.source import read_shard
from paraminspect.formats.training import learning_rates
from paraminspect.summaries import Training
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple

CONFIGS: Final = ("config.json", "adapter_config.json")
STATE: Final = "trainer_state.json"
GIVEN: Final = "training_args.bin"
RATES: Final = ("scheduler.pt", "scheduler.bin", "optimizer.pt", "optimizer.bin")
"""The first that is there tells the learning rate."""

TOLD: Final = ("max_steps", "num_train_epochs", "best_metric", "best_model_checkpoint", "train_batch_size")
"""Of the state of the Trainer, besides epoch and step, where it is not null."""


class Beside(NamedTuple):
    """What the files of a folder tell.

    Attributes:
        model: Of the architecture.
        training: Of a training; None where there are no such files.
        notes: Remarks on what cannot be read.
    """

    model: Facts
    training: Training | None
    notes: tuple[str, ...]


def read_beside(folder: str) -> Beside:
    """Read what lies in the folder of a model; "" is that where the command runs."""
    try:
        names = place_of(folder).find_in_folder(folder, (*CONFIGS, STATE, GIVEN, *RATES))
    except (FarError, OSError):
        return Beside({}, None, ())
    reader = _Reader(folder)
    facts: Facts = {}
    for name in CONFIGS:
        if name in names and (config := reader.json(name)):
            facts.update(of_config(config))
    return Beside(facts, _training(reader, names), tuple(reader.notes))


def _training(reader: _Reader, names: list[str] | tuple[str, ...]) -> Training | None:
    state = reader.json(STATE) if STATE in names else {}
    given = entries_of(reader.root(GIVEN)) if GIVEN in names else None
    rates: tuple[float, ...] = ()
    for name in RATES:
        if name in names and not rates:
            rates = learning_rates(entries_of(reader.root(name)) or {})
    arguments = {"training_args": as_data(given, Room())} if given else {}
    if not state and not arguments and not rates:
        return None
    told = {key: state[key] for key in TOLD if state.get(key) is not None}
    first = rates[0] if rates else None
    return Training(
        None, number_of(state.get("epoch")), number_of(state.get("global_step")), first, rates, arguments, told
    )


class _Reader:
    """Reads small files, and remembers what cannot be read.

    Attributes:
        notes: Remarks.
    """

    def __init__(self, folder: str) -> None:
        self.notes: list[str] = []
        self._folder = folder

    def json(self, name: str) -> Mapping[str, Any]:
        try:
            return load_json(join(self._folder, name), name)
        except ParamInspectError as error:
            self._remark(name, error)
            return {}

    def root(self, name: str) -> object:
        """The inert object of a pickle."""
        try:
            return read_shard(join(self._folder, name)).root
        except ParamInspectError as error:
            self._remark(name, error)
            return None

    def _remark(self, name: str, error: ParamInspectError) -> None:
        self.notes.append(f"{name} beside the model is not read: {quote(error.message, 160)[1:-1]}")
