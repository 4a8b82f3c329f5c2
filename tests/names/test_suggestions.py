from __future__ import annotations

import pytest

from paraminspect.names.suggestions import closest, find_file


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("Relu", ["ReLU", "Rely"], "ReLU"),
        ("conv_2d", ["Conv1d", "Conv2d"], "Conv2d"),
        ("lien", ["line", "Lien"], "Lien"),
        ("dmi", ["dim", "din"], "dim"),
        ("Linaer", ["Bilinear", "Linear"], "Linear"),
        ("embeding", ["bedding", "embedding"], "embedding"),
        ("fp16", ["float32", "bfloat16", "float16"], "float16"),
        ("half", ["float32", "float16"], "float16"),
    ],
)
def test_closest(name: str, known: list[str], meant: str) -> None:
    assert closest(name, known) == f"did you mean {meant}?"


@pytest.mark.parametrize(("name", "known"), [("layers", ["vars", "model"]), ("x", []), ("ReLU", ["ReLU"])])
def test_nothing_like_it(name: str, known: list[str]) -> None:
    assert closest(name, known) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gpt.pt", "gpt2.pt"), ("ckpt.pt", None), ("modle.safetensors", "model.safetensors"), ("gpt2.pth", "gpt2.pt"), ("tinylama", "tinyllama")],
)  # fmt: skip
def test_what_files_end_in_makes_them_no_more_alike(name: str, meant: str | None) -> None:
    assert find_file(name, ["gpt2.pt", "model.safetensors", "tinyllama"]) == meant
