"""What the whole suite knows."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # no test times anything
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what commands print into tests/cli/golden/")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and hasattr(config, "workerinput"):
        raise pytest.UsageError("--update-golden writes files that processes would share: run it without -n")
