"""What the whole suite knows."""

from __future__ import annotations

import signal
import sys

import pytest
from hypothesis import settings

from tests.making.without_torch import HAS_TORCH, REASON, Absent

settings.register_profile("untimed", deadline=None)  # no test times anything
settings.load_profile("untimed")


# what a shell's & or nohup ignores, all that tests start would ignore too, and end of no signal that they send
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", lambda *_: None)):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

if not HAS_TORCH:
    sys.meta_path.append(Absent())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what commands print into tests/cli/golden/")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and hasattr(config, "workerinput"):
        raise pytest.UsageError("--update-golden writes files that processes would share: run it without -n")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    in_extra = "extra" in config.getoption("markexpr")
    for item in items:
        if not HAS_TORCH and item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(REASON))
        extra = item.get_closest_marker("extra")
        if extra is not None and (wants := extra.kwargs.get("wants")) and not in_extra:
            item.add_marker(pytest.mark.skip(f"{wants}: make test-extra"))
