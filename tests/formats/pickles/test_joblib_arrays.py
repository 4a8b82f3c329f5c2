"""Arrays between the opcodes, as joblib wrote them, and what hides among them."""

from __future__ import annotations

import io
import pickletools
from pathlib import Path

import pytest

from paraminspect.checks.check import check_source
from paraminspect.files.blob import open_blob
from paraminspect.formats.pickles.tracing import trace_pickle
from tests.making.formats import JOBLIB

HONEST = Path(__file__).parents[2] / "honest" / "joblib"
SYSTEM = b"cposix\nsystem\nX\x02\x00\x00\x00id\x85R"
BEGIN = JOBLIB.index(b"\x0c" + b"\xff" * 12) + 13
"""Of the numbers, of which there are 40 bytes."""


def codes(data: bytes, tmp_path: Path) -> set[str]:
    path = tmp_path / "model.joblib"
    path.write_bytes(data)
    return {finding.code for finding in check_source(path)}


@pytest.mark.parametrize("path", sorted(HONEST.iterdir()), ids=lambda path: path.name)
def test_a_file_of_joblib_is_read_to_its_end(path: Path) -> None:
    trace = trace_pickle(open_blob(str(path)), joblib=True)
    assert trace.error is None
    assert trace.wraps_arrays
    assert trace.end == path.stat().st_size


def test_what_joblib_runs_behind_an_array(tmp_path: Path) -> None:
    assert codes(JOBLIB[:-1] + SYSTEM + b".", tmp_path) == {"pickle-danger"}


def test_what_pickle_runs_that_joblib_takes_for_numbers(tmp_path: Path) -> None:
    padding = BEGIN - 13
    hidden = JOBLIB[:padding] + SYSTEM + b"." + JOBLIB[padding + len(SYSTEM) + 1 :]
    assert "pickle-danger" in codes(hidden, tmp_path)
    # the first byte counts the others: joblib steps over 99 (`c`) and 40 bytes, which another call follows
    stepped = JOBLIB[:padding] + (SYSTEM + b"0").ljust(140, b"N") + b"u."
    assert "pickle-danger" in codes(stepped, tmp_path)


def test_a_pickle_in_the_place_of_an_array_of_objects(tmp_path: Path) -> None:
    data = (HONEST / "protocol-4.joblib").read_bytes()
    begin = data.index(b"\x80\x05", 2)  # the protocol of arrays of objects
    inner = io.BytesIO(data[begin:])
    assert [*pickletools.genops(inner)][-1][0].name == "STOP"
    evil = data[:begin] + b"\x80\x05" + SYSTEM + b"." + data[begin + inner.tell() :]
    assert "pickle-danger" in codes(evil, tmp_path)


@pytest.mark.parametrize("length", [BEGIN - 20, BEGIN - 5, BEGIN + 9, len(JOBLIB) - 1])
def test_a_file_that_ends_early(length: int, tmp_path: Path) -> None:
    assert "pickle-broken" in codes(JOBLIB[:length], tmp_path)


def test_an_array_without_a_shape_or_type(tmp_path: Path) -> None:
    assert "pickle-broken" in codes(JOBLIB.replace(b"\x05shape", b"\x05shaqe"), tmp_path)
    assert "pickle-broken" in codes(JOBLIB.replace(b"\x02f8", b"\x02??"), tmp_path)
