"""Where torch is not installed, the tests that take it are skipped, and all others run.

They take it if they import it themselves or through `paraminspect.live`, if a command says so that is given more than files
to read, or if they have the mark `torch`. A command that asks for torch to read a file fails its test.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "paraminspect"
LIVE = PACKAGE / "live"
HAS_TORCH = find_spec("torch") is not None
REASON = "needs torch"
LIVE_COMMANDS = {"init", "grad", "cost"}
LIVE_SOURCES = re.compile(r"\.(yaml|yml|json)$|\.py(:|$)|^[\w.]+:\w")


BETWEEN = {("importlib", "__init__.py"), ("safetensors", "torch.py")}


class Absent(MetaPathFinder):
    """The last that is asked for a module: it ends a test that wants torch."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Never one; skips where the import is the test's own."""
        if fullname == "torch" and _is_wanted_by_a_test(sys._getframe(1)):
            raise pytest.skip.Exception(REASON, allow_module_level=True)
        return None


def _is_wanted_by_a_test(frame: FrameType | None) -> bool:
    """Whether the import began in a test, with nothing between that and torch but modules that cannot do without."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        is_between = LIVE in file.parents or file.parts[-2:] in BETWEEN or not file.is_absolute()
        if not is_between:
            is_library = "site-packages" in file.parts or Path(sys.base_prefix) in file.parents
            return not is_library and PACKAGE not in file.parents
        frame = frame.f_back
    return False


def skip_if_live(words: Sequence[str], stderr: str) -> None:
    """Skip a test whose command line asked for torch, and has a reason to."""
    is_told = not HAS_TORCH and "this takes torch, which is not installed" in stderr
    if is_told and (words[0] in LIVE_COMMANDS or any(LIVE_SOURCES.search(word) for word in words)):
        pytest.skip(REASON)
