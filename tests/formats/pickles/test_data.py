"""Inert values as plain data, held against the objects that were pickled."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import pickle
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.data import MORE, Room, as_data, entries_of, number_of
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pytorch.objects import GlobalTable


class Schedule(enum.Enum):
    LINEAR = "linear"


class EasyDict(dict[str, Any]):
    """As the package of that name: a dictionary that has its entries as attributes too."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(entries)
        self.__dict__.update(entries)


class Node:
    """A leaf of OmegaConf."""

    def __init__(self, value: object) -> None:
        self._val = value


class DictConfig:
    """A mapping of OmegaConf, which pickles these attributes."""

    def __init__(self, **entries: Any) -> None:
        self._metadata = {"object_type": dict}
        self._parent = None
        self._content = {key: each if isinstance(each, DictConfig) else Node(each) for key, each in entries.items()}


class ListConfig:
    """A list of OmegaConf, which knows what it stands in."""

    def __init__(self, parent: object, *items: object) -> None:
        self._metadata = {"object_type": list}
        self._parent = parent
        self._content = [Node(each) for each in items]


def inert(value: object) -> object:
    """What a pickle of it becomes."""
    stream = io.BytesIO()
    pickle.dump(value, stream, protocol=2)
    return PickleMachine(Blob.from_bytes(stream.getvalue()), GlobalTable().find).load()


def test_plain_data_is_itself() -> None:
    data = {"a": [1, 2.5, True, None, "x"], "b": {"c": (1, 2)}, 3: "three"}
    assert as_data(inert(data), Room()) == {"a": [1, 2.5, True, None, "x"], "b": {"c": [1, 2]}, "3": "three"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (argparse.Namespace(lr=0.1, data=PurePosixPath("/data/x")), {"lr": 0.1, "data": "/data/x"}),
        (EasyDict(lr=0.1, sub=EasyDict(a=1)), {"lr": 0.1, "sub": {"a": 1}}),
        (DictConfig(lr=0.1, sub=DictConfig(a=1)), {"lr": 0.1, "sub": {"a": 1}}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (Schedule.LINEAR, "linear"),
        (PureWindowsPath("C:\\data\\x"), "C:\\data\\x"),
        (PurePosixPath("runs/1"), "runs/1"),
        (np.float64(0.25), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (torch.device("cuda", 1), "cuda:1"),
        (torch.bfloat16, "torch.bfloat16"),
        ({3}, [3]),
        (argparse.Namespace, "argparse.Namespace"),
        (datetime.timedelta, "datetime.timedelta"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_objects_of_training_scripts(value: object, wanted: object) -> None:
    assert as_data(inert(value), Room()) == wanted


def test_a_list_of_omegaconf_does_not_tell_of_what_it_stands_in() -> None:
    config = DictConfig(dim=64)
    config._content["layers"] = ListConfig(config, 1, 2)
    assert as_data(inert(config), Room()) == {"dim": 64, "layers": [1, 2]}


def test_what_is_no_data_is_named() -> None:
    assert as_data(inert(datetime.timedelta(1)), Room()) == "<datetime.timedelta>"


def test_a_function_that_was_called_is_no_value() -> None:
    call = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."
    value = PickleMachine(Blob.from_bytes(call), GlobalTable().find).load()
    assert as_data(value, Room()) == "<posix.system>"


def test_room_is_shared_by_all() -> None:
    inner: Any = list(range(10))
    for _ in range(40):
        inner = [inner, inner]  # 2**40 paths to one list
    room = Room(100)
    told = as_data(inner, room)
    assert MORE in str(told)
    assert len(str(told)) < 1_000


def test_what_is_left_out_of_a_mapping_is_counted() -> None:
    told = as_data({str(index): index for index in range(10)}, Room(5))
    assert told == {"0": 0, "1": 1, "2": 2, "3": 3, MORE: "6 more"}


def test_entries_of_what_is_no_mapping() -> None:
    assert entries_of(inert(PurePosixPath("x"))) is None
    assert entries_of([1]) is None


def test_numbers() -> None:
    assert number_of(inert(np.float64(0.25))) == 0.25
    assert number_of(inert(Node(3))) == 3
    assert number_of(True) is None
    assert number_of("3") is None
