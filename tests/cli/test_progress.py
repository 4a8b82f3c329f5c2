"""What a bar counts: all that is read or written, in every pass, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from paraminspect.cli import progress as progresses
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from tests.making.running import run_here

TENSORS = {
    **{f"h.{i}.w": torch.randn(40, 30, generator=torch.Generator().manual_seed(i)) for i in range(3)},
    "view": torch.arange(2100.0).reshape(70, 30)[:, :11],
    "same.1": torch.arange(500.0), "same.2": torch.arange(500.0), "half": torch.ones(99).half(),
    "brain": torch.arange(301).bfloat16(), "whole": torch.arange(77), "none": torch.zeros(0, 3),
}  # fmt: skip
LATER = {**{name: tensor.clone() for name, tensor in TENSORS.items()}, "new": torch.ones(50)}
LATER["h.1.w"][-1] += 1
del LATER["whole"]


def save_npz(path: Path, save: Callable[..., Any]) -> None:
    save(path, **{name: tensor.float().numpy() for name, tensor in TENSORS.items()})


FORMATS: dict[str, Callable[[Path], Any]] = {
    "m.pt": lambda path: torch.save(TENSORS, path),
    "legacy.pt": lambda path: torch.save(TENSORS, path, _use_new_zipfile_serialization=False),
    "m.safetensors": lambda path: safetensors.torch.save_file(
        {name: tensor.contiguous() for name, tensor in TENSORS.items()}, path
    ),
    "m.npz": lambda path: save_npz(path, np.savez),
    "packed.npz": lambda path: save_npz(path, np.savez_compressed),
    "shards": lambda path: run_here("convert", "m.pt", "-o", f"{path}/", "--shard-size", "6KB"),
}
COMMANDS = {
    "stats": "stats SOURCE",
    "stats, several": "stats SOURCE later.pt",
    "diff": "diff SOURCE later.pt",
    "diff with itself": "diff SOURCE SOURCE",
    "convert": "convert SOURCE -o out.safetensors",
    "convert, verified": "convert SOURCE -o out.pt --verify",
    "convert, rounded": "convert SOURCE -o out.safetensors --dtype bfloat16 --verify",
    "check": "check SOURCE --deep",
    "shared": "shared SOURCE --equal",
    "shared, several": "shared SOURCE later.pt --equal",
    "report": "report SOURCE -o out.html",
    "report, deep": "report SOURCE -o out.html --deep",
    "report of two": "report SOURCE later.pt -o out.html",
}
BARS = {"stats, several": 2, "report, deep": 2}
"""Of commands that begin anew: with each source, whose rows are out before the next is opened, or with other work."""


class Told(Progress):
    """Keeps what it is told: for each bar the bytes that are done and the total, as they were last."""

    bars: list[tuple[int, int]]

    def __init__(self, output: Output, what: str, unit: Any = "bytes") -> None:
        super().__init__(output, what, unit)
        self._place: int | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._place is None:
            self._place = len(self.bars)
            self.bars.append((done, total))
        assert done >= self.bars[self._place][0]
        self.bars[self._place] = (done, total)

    def counting(self, total: int) -> Callable[[int], None]:
        done = 0

        def advance(nbytes: int) -> None:
            nonlocal done
            done += nbytes
            self(done, total)  # more than the total is not hidden here

        return advance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("progress")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name, save in FORMATS.items():
            save(made / name)
        torch.save(LATER, made / "later.pt")
    return made


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_planned_is_what_was_done(
    folder: Path, tmp_path: Path, command: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    monkeypatch.setattr(Told, "bars", [], raising=False)
    monkeypatch.setattr(progresses, "Progress", Told)
    words = COMMANDS[command].split()
    module = importlib.import_module(f"paraminspect.cli.commands.{words[0]}")
    if hasattr(module, "Progress"):
        monkeypatch.setattr(module, "Progress", Told)
    monkeypatch.chdir(tmp_path)
    at = {"SOURCE": str(folder / name), "later.pt": str(folder / "later.pt")}
    result = run_here(*[at.get(word, word) for word in words])
    assert result.status in (0, 1), result.stderr
    assert len(Told.bars) == BARS.get(command, 1)
    for done, total in Told.bars:
        assert done == total > 0


def test_two_sources_and_what_is_read_back_are_in_one_total(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progresses, "Progress", Told)
    monkeypatch.chdir(tmp_path)
    totals = []
    for words in ("report A -o 1.html", "report A A -o 2.html", "convert A -o 1.pt", "convert A -o 2.pt --verify"):
        monkeypatch.setattr(Told, "bars", [], raising=False)
        assert run_here(*[str(folder / "m.pt") if word == "A" else word for word in words.split()]).status == 0
        totals.append(Told.bars[0][1])
    assert totals[1] == 3 * totals[0]
    assert totals[3] == 2 * totals[2]
