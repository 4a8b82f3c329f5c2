"""What the library imports to read a file: nothing that takes longer than the reading."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.numpy
import torch

HEAVY = {
    "torch", "numpy", "ml_dtypes", "safetensors", "typer", "click", "rich", "yaml", "fsspec",
    "pickle", "pickletools", "zipfile", "tarfile", "tempfile", "pathlib", "shutil", "concurrent.futures", "threading",
    "logging", "urllib", "urllib.parse", "socket", "subprocess", "asyncio", "unicodedata", "mmap",
}  # fmt: skip

SIDE_BY_SIDE = {"concurrent.futures", "threading", "logging"}
"""Several shards are read by several threads."""

PROBE = """
import json, os, sys
before = set(sys.modules)
{first}
from paraminspect.formats.source import open_source
names = [tensor.name for tensor in open_source({path!r}).tensors]
loaded = sorted(set(sys.modules) - before)
os.write(1, json.dumps([names, loaded]).encode())
"""


def loaded_modules(path: Path, first: str = "") -> set[str]:
    """What reading a file adds to a bare Python; the file holds one tensor, `weight`."""
    script = PROBE.format(path=str(path), first=first)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    names, loaded = json.loads(done.stdout)
    assert names == ["weight"]
    return set(loaded)


WEIGHT = np.zeros((2, 3), np.float32)


def save_torch(path: Path) -> None:
    torch.save({"weight": torch.from_numpy(WEIGHT)}, path)


def save_legacy(path: Path) -> None:
    torch.save({"weight": torch.from_numpy(WEIGHT)}, path, _use_new_zipfile_serialization=False)


def save_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "test")
    writer.add_tensor("weight", WEIGHT)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def save_npz(path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, weight=WEIGHT)
    path.write_bytes(stream.getvalue())


def save_safetensors(path: Path) -> None:
    safetensors.numpy.save_file({"weight": WEIGHT}, path)


def save_folder(path: Path) -> None:
    path.mkdir()
    save_safetensors(path / "model.safetensors")


def save_shards(path: Path) -> None:
    path.mkdir()
    safetensors.numpy.save_file({}, path / "model-00001-of-00002.safetensors")
    safetensors.numpy.save_file({"weight": WEIGHT}, path / "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    "save",
    [save_safetensors, save_torch, save_legacy, save_gguf, save_npz, save_folder],
    ids=lambda save: save.__name__,
)
def test_reading_loads_nothing_heavy(save: Callable[[Path], None], tmp_path: Path) -> None:
    save(tmp_path / "model")
    loaded = loaded_modules(tmp_path / "model")
    assert "paraminspect.formats.sniff" in loaded
    assert not HEAVY & loaded


def test_shards_load_threads_and_no_more(tmp_path: Path) -> None:
    save_shards(tmp_path / "model")
    assert HEAVY & loaded_modules(tmp_path / "model") <= SIDE_BY_SIDE


def test_a_format_loads_no_reader_of_another(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "model")
    loaded = loaded_modules(tmp_path / "model")
    readers = {"gguf", "numpy_arrays", "pickle_machine", "plain_pickle", "sharded", "torch_tar", "torch_zip"}
    assert not {f"paraminspect.formats.{name}" for name in readers} & loaded


def test_probe_can_fail(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    save_safetensors(tmp_path / "model")
    assert "numpy" in HEAVY & loaded_modules(tmp_path / "model", first="import numpy")
    assert {"pathlib", "zipfile"} <= HEAVY & loaded_modules(tmp_path / "model", first="import pathlib, zipfile")


def test_the_package_alone_loads_no_reader() -> None:
    script = "import sys, paraminspect; print([name for name in sys.modules if name.startswith('paraminspect')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout.strip() == "['paraminspect']"
