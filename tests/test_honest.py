"""No alarm on honest files: what real producers wrote (`scripts/make_fixtures.py`), and what `check` says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paraminspect.checks.check import check_source
from scripts.make_fixtures import HONEST, PRODUCERS, sources

REASONS = {
    ("*", "norm-untouched"): "the models were made, and never trained",
    ("joblib/*Classifier.joblib", "pickle-unknown"): "classes of scikit-learn, whose code runs when they are loaded",
    ("pandas/*", "pickle-unknown"): "classes of pandas, whose code runs when they are loaded",
    ("timm/whole-*.pt", "pickle-unknown"): "classes of timm, the same",
    ("diffusers/whole-*.pt", "pickle-unknown"): "classes of diffusers, the same",
    ("peft/prompt.pt", "pickle-unknown"): "classes of peft, the same",
    ("torch/checkpointed.pt", "pickle-unknown"): "functions behind the dot of a class, which are not called",
    ("transformers/whole-*.pt", "pickle-unknown"): "classes of transformers, the same",
    ("transformers/training_args.bin", "pickle-unknown"): "classes of transformers and accelerate, the same",
    ("torchao/*.pt", "pickle-unknown"): "classes of torchao, the same",
    ("torch/sharded-tensor.pt", "pickle-unknown"): "a class inside a class: nothing behind a dot is safe by its name",
    (
        "torch/training-objects.pt",
        "duplicate-name",
    ): "the state of a pickled optimizer is kept by tensors, not by names",
}
"""Warnings that are due, by pattern of the file and code; each with the reason."""


def is_due(path: Path, code: str) -> bool:
    return any(code == due and path.match(pattern) for pattern, due in REASONS)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(HONEST)))
def test_file(path: Path) -> None:
    found = check_source(path, deep=True)
    assert [each for each in found if each.severity in {"danger", "error"}] == []
    name = path.relative_to(HONEST)
    assert [each for each in found if each.severity == "warning" and not is_due(name, each.code)] == []


def test_every_producer_wrote_something_small_with_its_version() -> None:
    versions = json.loads((HONEST / "versions.json").read_text())
    assert set(versions) == set(PRODUCERS)
    assert {path.relative_to(HONEST).parts[0] for path in sources()} == set(PRODUCERS)
    assert sum(path.stat().st_size for path in HONEST.rglob("*") if path.is_file()) < 5_000_000


def test_no_reason_is_left_over() -> None:
    seen = {(path.relative_to(HONEST), each.code) for path in sources() for each in check_source(path, deep=True)}
    left = [key for key in REASONS if not any(code == key[1] and path.match(key[0]) for path, code in seen)]
    assert left == []
