from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest


@pytest.fixture
def save(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    def write(value: onnx.ModelProto) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(value.SerializeToString())
        return path

    return write
