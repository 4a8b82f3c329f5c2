"""torch's import in a run of the command line, and in somebody else's process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("before", "frozen"), [("disable", True), ("enable", False)])
def test_garbage_is_collected_afterwards_and_what_the_import_left_is_none_in_a_run_of_ours(
    before: str, frozen: bool
) -> None:
    code = (
        f"import gc; gc.{before}(); from paraminspect.live.begin import import_torch; import_torch();"
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"True {frozen}\n"
