"""Findings of files that are made in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paraminspect.checks.check import check_source
from paraminspect.summaries import Finding


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., list[Finding]]:
    """Findings of a file with these bytes."""

    def check_bytes(data: bytes, **more: Any) -> list[Finding]:
        path = tmp_path / "model"
        path.write_bytes(data)
        return check_source(path, **more)

    return check_bytes
