from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from paraminspect.errors import ParamInspectError
from paraminspect.live.grad.gradient_files import compare_gradients, encode_gradients
from paraminspect.live.grad.gradients import angle, measure_gradients

GRADIENTS = {"a": torch.tensor([[3.0, 4.0]]), "b": torch.ones(2, dtype=torch.bfloat16), "c": None, "z": torch.zeros(1)}


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "g.safetensors"
    path.write_bytes(b"".join(encode_gradients(GRADIENTS, {"head": "a", "other": "c"})))
    return str(path)


def test_what_is_written_is_what_safetensors_reads(saved: str) -> None:
    found = load_file(saved)
    assert found.keys() == {"a", "b", "z"}
    assert all(torch.equal(found[name], gradient) for name, gradient in GRADIENTS.items() if gradient is not None)
    with safe_open(saved, "pt") as file:
        assert file.metadata() == {"format": "pt", "head": "a"}


def test_equal_gradients(saved: str) -> None:
    assert compare_gradients(GRADIENTS, saved, 0) == []


def test_what_differs(saved: str) -> None:
    gradients = {"a": torch.tensor([[3.0, 4.5]]), "b": torch.ones(3), "d": torch.ones(2), "z": torch.zeros(1)}
    changes = {each.name: each for each in compare_gradients(gradients, saved, 1e-5)}
    assert {name: each.change for name, each in changes.items()} == {"a": "values", "b": "shape", "d": "added"}
    a = changes["a"]
    assert (a.before, a.max_abs, a.relative) == ("5", 0.5, pytest.approx(0.1))
    assert a.cosine == pytest.approx(27 / (5 * (9 + 4.5**2) ** 0.5))
    assert (changes["b"].before, changes["b"].after, changes["d"].after) == ("[2]", "[3]", "[2]")
    assert [each.name for each in compare_gradients(gradients, saved, 0.2)] == ["b", "d"]
    removed = compare_gradients({"a": None, "b": GRADIENTS["b"]}, saved, 0)
    assert [(each.name, each.change, each.before) for each in removed] == [
        ("a", "removed", "[1,2]"),
        ("z", "removed", "[1]"),
    ]


def test_no_number_is_a_difference_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_file({"a": torch.tensor([1.0, float("nan")]), "b": torch.zeros(2)}, path)
    same = {"a": torch.tensor([1.0, float("nan")]), "b": torch.zeros(2)}
    assert [each.name for each in compare_gradients(same, str(path), 1)] == ["a"]
    (change,) = compare_gradients({**same, "a": torch.tensor([1.0, 2.0]), "b": torch.zeros(2)}, str(path), 1)
    assert change.change == "values"
    (_, zero) = compare_gradients({**same, "b": torch.ones(2)}, str(path), 1)
    assert (zero.relative, zero.cosine, zero.max_abs) == (None, None, 1)


def test_an_alias_in_the_file_is_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_file({"a": torch.ones(1), "head": torch.ones(1)}, path)
    assert compare_gradients({"a": torch.ones(1)}, str(path), 0, {"head": "a"}) == []
    assert len(compare_gradients({"a": torch.ones(1)}, str(path), 0)) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nonsense")
    with pytest.raises(ParamInspectError) as caught:
        compare_gradients({"a": torch.ones(1)}, str(tmp_path / "x"), 0)
    assert str(tmp_path / "x") in str(caught.value)


def test_angles() -> None:
    one = torch.randn(3, 5)
    assert angle(one, one) == pytest.approx(1, abs=1e-12)
    assert angle(one, -2 * one) == pytest.approx(-1, abs=1e-12)
    assert angle(torch.tensor([1.0, 0]), torch.tensor([0, 3.0])) == 0
    assert angle(one, torch.zeros(3, 5)) is None
    assert angle(torch.tensor([1j]), torch.tensor([1.0 + 0j])) == 0
    large = torch.randn(1100, 1000)
    other = large + torch.randn(1100, 1000)
    expected = torch.cosine_similarity(large.double().flatten(), other.double().flatten(), dim=0).item()
    assert angle(large, other) == pytest.approx(expected, abs=1e-6)


def test_the_norm_of_many_numbers_keeps_its_digits() -> None:
    gradient = torch.full((2000, 1000), 0.1)
    (numbers,), _ = measure_gradients([(gradient, gradient)])
    assert numbers.norm == pytest.approx(gradient.double().norm().item(), rel=1e-6)
    assert numbers.norm_ratio == 1
    flat = torch.full((1 << 20,), 0.1).reshape(1, -1)
    assert angle(flat, flat) == pytest.approx(1, abs=1e-9)


def test_complex_gradients() -> None:
    (numbers,), total = measure_gradients([(torch.ones(2), torch.tensor([3 + 4j, 0]))])
    assert (numbers.norm, numbers.max_abs, numbers.zero_fraction, total) == (5, 5, 0.5, 5)
    assert measure_gradients([]) == ([], 0.0)
