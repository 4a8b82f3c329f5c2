"""Every file of a corpus with known answers, if there is one.

`PARAMINSPECT_CORPUS` names the folder. It holds `expected.json`: for each file whether it is to be listed ("list"), to be
refused ("clean_error") or either, and where the truth is, as torch, safetensors and gguf themselves read it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import pytest

from paraminspect.checks.check import check_source
from paraminspect.checks.codes import worst
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.formats.safetensors import DTYPES
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.tied.shared_bytes import find_ties

CORPUS = Path(os.environ.get("PARAMINSPECT_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
CANARY = Path("/var/tmp/paraminspect-canary")
"""Where the payloads of hostile files leave a file, if they are run."""

MAX_MESSAGE = 1000

Entry = dict[str, Any]


if not (CORPUS / "expected.json").is_file() and "PARAMINSPECT_CORPUS" not in os.environ:
    pytest.skip("no corpus: set PARAMINSPECT_CORPUS", allow_module_level=True)

ENTRIES: list[Entry] = json.loads((CORPUS / "expected.json").read_text())["entries"]


@pytest.fixture(scope="module", autouse=True)
def canary() -> None:
    CANARY.mkdir(parents=True, exist_ok=True)  # or no payload could leave a trace


@cache
def truth_of(file: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((CORPUS / file).read_text())
    return truth


def path_of(entry: Entry, folder: Path) -> Path:
    path: Path = CORPUS / "edge" / entry["file"]
    if not path.exists() and not path.is_symlink():
        path = CORPUS / entry["file"]
    if "hf_cache" in path.parts and not path.is_symlink():
        return rebuild_cache(path, entry, folder)
    return path


def rebuild_cache(stub: Path, entry: Entry, folder: Path) -> Path:
    """The layout of a Hugging Face cache; some checkouts hold the link as a file of text, without what it points at."""
    target = stub.read_text()
    header, position = {}, 0
    for tensor in truth_of(entry["truth"])["tensors"]:
        end = position + prod(tensor["shape"]) * DTYPES[tensor["dtype"]][1] // 8
        header[tensor["name"]] = {
            "dtype": tensor["dtype"], "shape": tensor["shape"], "data_offsets": [position, end],
        }  # fmt: skip
        position = end
    text = json.dumps(header).encode()
    link = folder.joinpath(*stub.parts[-3:])
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    blob = link.parent / target
    blob.parent.mkdir(parents=True)
    blob.write_bytes(len(text).to_bytes(8, "little") + text + bytes(position))
    return link


Key = tuple[str, tuple[int, ...] | None, str | None]


def key_of_record(record: TensorRecord) -> Key:
    return record.name, record.shape, record.dtype


def key_of_truth(tensor: dict[str, Any], entry: Entry) -> Key:
    """A truth spells a dtype as torch does, or as the format does: "F32", in GGUF also "Q8_0"."""
    shape, dtype = tensor.get("shape"), tensor.get("dtype")
    if dtype in DTYPES:
        dtype = DTYPES[dtype][0]
    elif entry["file"].startswith("gguf"):
        dtype = dtype and dtype.lower()
    return tensor["name"], None if shape is None else tuple(shape), dtype


def without_shapes(keys: Counter[Key], entry: Entry) -> Counter[Key]:
    """Less what the truth does not know: shapes of GGUF, and whatever `expect_note` is about."""
    if "expect_note" in entry:
        return Counter({(name, None, None): count for (name, _, _), count in keys.items()})
    if entry["file"].startswith("gguf"):
        return Counter({(name, None, dtype): count for (name, _, dtype), count in keys.items()})
    return keys


def check_tensors(checkpoint: Checkpoint, wanted: list[dict[str, Any]], entry: Entry) -> None:
    have = without_shapes(Counter(map(key_of_record, checkpoint.tensors)), entry)
    due = without_shapes(
        Counter(key_of_truth(tensor, entry) for tensor in wanted if not tensor.get("in_object")), entry
    )
    optional = Counter(key_of_truth(tensor, entry) for tensor in wanted if tensor.get("in_object"))
    if checkpoint.format == "torchscript":  # a truth is what `state_dict()` gives, which leaves attributes out
        optional += Counter(key_of_record(each) for each in checkpoint.tensors if each.role == "attribute")
    assert not due - have, "missing"
    assert not have - due - optional, "too many"


def check_strides(checkpoint: Checkpoint, wanted: list[dict[str, Any]]) -> None:
    """Of names that stand for one tensor each; where they begin is seen in the ties."""
    records = {record.name: record for record in checkpoint.tensors}
    names = Counter(tensor["name"] for tensor in wanted)
    for tensor in wanted:
        record = records.get(tensor["name"])
        if record is None or names[record.name] > 1 or record.stride is None or "stride" not in tensor:
            continue
        assert (record.numel, record.stride) == (tensor["numel"], tuple(tensor["stride"])), record.name


EXACT = {"alias", "parameter", "module"}
"""Kinds of ties of tensors that are the same bytes in the same form; a pickled module tells the objects, too."""


def check_ties(checkpoint: Checkpoint, truth: dict[str, Any]) -> None:
    due = {frozenset(names) for names in truth.get("overlap_groups", truth.get("tied_groups", []))}
    groups = find_ties(checkpoint.tensors)
    assert {frozenset(group.names) for group in groups} == due
    if "exact_alias_groups" in truth:
        aliases = {frozenset(names) for names in truth["exact_alias_groups"]} & due
        assert aliases <= {frozenset(group.names) for group in groups if group.kind in EXACT}


def check_error(error: ParamInspectError, path: Path, entry: Entry) -> None:
    assert entry["expect"] != "list", error
    assert error.source == str(path)
    assert str(error).startswith(f"{path}: ")
    assert "\n" not in f"{error.message}{error.hint}"
    assert 0 < len(error.message) < MAX_MESSAGE


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: ascii(entry["file"])[1:-1])
def test_file(entry: Entry, tmp_path: Path) -> None:
    path = path_of(entry, tmp_path)
    try:
        checkpoint = open_source(path)
    except ParamInspectError as error:
        check_error(error, path, entry)
        return
    finally:
        assert not list(CANARY.iterdir()), "code of the file was run"
    assert entry["expect"] != "clean_error", "listed, an error was due"
    truth = truth_of(entry["truth"]) if "truth" in entry else None
    wanted = entry.get("tensors_if_listed") if truth is None else truth["tensors"]
    if wanted:
        check_tensors(checkpoint, wanted, entry)
    if truth is not None:
        check_strides(checkpoint, truth["tensors"])
        if "tied_note" not in entry and "note2" not in entry:
            check_ties(checkpoint, truth)


def test_payloads_leave_their_trace_where_it_is_looked_for() -> None:
    payloads = [path for entry in ENTRIES if "canary" in entry and (path := CORPUS / "edge" / entry["file"]).is_file()]
    assert payloads
    assert any(str(CANARY).encode() in path.read_bytes() for path in payloads)


def worst_finding(path: Path) -> str | None:
    try:
        return worst(check_source(path))
    except SourceError:
        return "no source"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: ascii(entry["file"])[1:-1])
def test_check(entry: Entry, tmp_path: Path) -> None:
    """What would run code is a danger, what is broken an error, what is whole neither; nothing is run."""
    found = worst_finding(path_of(entry, tmp_path))
    assert not list(CANARY.iterdir()), "code of the file was run"
    if entry["category"] == "malicious" or entry["file"] == "dcp/evil_metadata":
        assert found == "danger"
    elif entry["expect"] == "clean_error":
        assert found in {"error", "danger", "no source"} or entry["file"] in WITHOUT_TENSORS
    elif entry["expect"] == "list":
        assert found in {None, "info", "warning"}


WITHOUT_TENSORS = frozenset({"dcp/ws1/.metadata", "dcp/ws2/.metadata"})
"""A pickle that belongs to a model and is none: a warning."""
