from __future__ import annotations

import pytest

from paraminspect.names.suggestions import closest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("Relu", ["ReLU", "Rely"], "ReLU"),
        ("conv_2d", ["Conv1d", "Conv2d"], "Conv2d"),
        ("lien", ["line", "Lien"], "Lien"),
        ("dmi", ["dim", "din"], "dim"),
        ("Linaer", ["Bilinear", "Linear"], "Linear"),
        ("embeding", ["bedding", "embedding"], "embedding"),
    ],
)
def test_closest(name: str, known: list[str], meant: str) -> None:
    assert closest(name, known) == f"did you mean {meant}?"


@pytest.mark.parametrize(("name", "known"), [("layers", ["vars", "model"]), ("x", []), ("ReLU", ["ReLU"])])
def test_nothing_like_it(name: str, known: list[str]) -> None:
    assert closest(name, known) is None
