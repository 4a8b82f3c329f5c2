from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def configs() -> Path:
    return CONFIGS


@pytest.fixture(autouse=True, scope="session")
def command_line() -> None:
    """What it imports is there before any test, and stays."""
    from tests.making.running import run_here

    for command in ("list", "init", "grad"):
        run_here(command, "--help")


@pytest.fixture(autouse=True)
def same_imports() -> Iterator[None]:
    """What user code imports, and where it is searched for, is forgotten after each test."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("torch", "numpy", "paraminspect", "sympy", "mpmath", "functorch")):
            del sys.modules[name]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests run side by side; their small tensors gain nothing from more threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def live() -> Callable[..., Any]:
    """Open a spec given as text."""
    from tests.making.live_models import open_live

    return lambda text, **options: open_live("spec.yaml", text=text, **options)


@pytest.fixture
def refused() -> Callable[..., Any]:
    """The error that a spec given as text ends in; its shapes are asked for if it can be built."""
    from paraminspect.errors import ParamInspectError
    from tests.making.live_models import open_live

    def run(text: str, **options: Any) -> ParamInspectError:
        with pytest.raises(ParamInspectError) as caught:
            open_live("spec.yaml", text=text, **options).shapes()
        assert "\n" not in str(caught.value)
        return caught.value

    return run
