"""Servers on loopback, and waiting that takes no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paraminspect.files import far, web
from paraminspect.files.web import client
from scripts.servers.ranges import RangeServer
from tests.making.running import end_fsspec

USELESS = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HF_TOKEN",
    "AWS_PROFILE",
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the machine's own settings, nothing remembered, no waits between tries."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in USELESS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(web, "FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(far, "opened", {})
    yield
    client.close()


@pytest.fixture(scope="module", autouse=True)
def fsspec_thread() -> Iterator[None]:
    """End the thread of fsspec and those that it started: other tests ask whether this process has one thread."""
    yield
    end_fsspec()


@pytest.fixture
def server() -> Iterator[RangeServer]:
    """One without files."""
    with RangeServer() as running:
        yield running


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small safetensors file."""
    path = tmp_path / "model.safetensors"
    values = np.random.default_rng(0)
    tensors = {"a": values.random((300, 100), np.float32), "b": values.random(7), "c": np.ones((2, 3), np.float32)}
    save_file(tensors, path)
    return path
