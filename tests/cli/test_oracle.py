"""Printed rows are added up again and held against printed totals: a golden file alone would keep a wrong sum."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

NAMES = ["gpt2.safetensors", "net.pt", "training.pt", "shared.pt", "hostile.safetensors"]
SCOPES = [(), ("--all",), ("--exclude", "*bias")]


def totals_of(run: Any, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(run("list", *arguments, "--total", "--format", "json").stdout)["totals"])


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("scope", SCOPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_tsv_adds_up(run: Any, name: str, scope: tuple[str, ...]) -> None:
    totals = totals_of(run, name, *scope)
    rows = [line.split("\t") for line in run("list", name, *scope).stdout.splitlines()]
    assert len(rows) == totals["tensors"]
    assert sum(int(row[4]) for row in rows) == totals["nbytes"]
    assert {row[2] for row in rows} == set(totals["dtypes"])
    if scope != ("--all",):
        assert sum(int(row[3]) for row in rows) == totals["parameters"]


@pytest.mark.parametrize("name", NAMES)
def test_aliases_add_up_without_the_tied(run: Any, name: str) -> None:
    totals = totals_of(run, name)
    document = json.loads(run("list", name, "--aliases", "--format", "json").stdout)
    counted = [row for row in document["tensors"] if row["tied_to"] is None]
    assert document["totals"] == totals
    assert sum(row["numel"] for row in counted) == totals["parameters"]
    assert len(document["tensors"]) - len(counted) == totals["tied"]
    assert {row["tied_to"] for row in document["tensors"]} - {None} <= {row["name"] for row in counted}


@pytest.mark.parametrize("depth", ["0", "1", "2", "9"])
@pytest.mark.parametrize("name", NAMES)
def test_modules_add_up_at_every_depth(run: Any, name: str, depth: str) -> None:
    totals = totals_of(run, name)
    rows = json.loads(run("list", name, "--depth", depth, "--format", "json").stdout)["modules"]
    assert sum(row["numel"] for row in rows) == totals["parameters"]
    assert sum(row["tensors"] for row in rows) == totals["tensors"]
    assert sum(row["nbytes"] for row in rows) == totals["nbytes"]
    assert len({row["name"] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_table_adds_up_to_its_closing_line(run: Any, name: str) -> None:
    lines = run("list", name, "--columns", "numel,name", "--format", "table").stdout.splitlines()
    closing = re.match(r"([\d,]+) tensors?, ([\d,]+) parameters?", lines[-1])
    rows = [line.split()[0] for line in lines[1 : lines.index("")]]
    assert closing is not None
    assert (len(rows), sum(map(number, rows))) == (number(closing[1]), number(closing[2]))


@pytest.mark.parametrize("fold", [(), ("--no-fold",)], ids=["folded", "unfolded"])
@pytest.mark.parametrize("name", NAMES)
def test_tree_adds_up_at_every_level(run: Any, name: str, fold: tuple[str, ...]) -> None:
    """Each line is the sum of the lines one level below it, times the number of a folded run."""
    lines = run("tree", name, *fold).stdout.splitlines()
    lines = lines[: lines.index("")]
    levels, counts, times = [], [], []
    for line in lines:
        levels.append(len(re.match(r"[│├└─ ]*", line)[0]) // 4)  # type: ignore[index]
        number_and_share = re.search(r"([\d,]+)  +[\d.]+%$", line)
        counts.append(number(number_and_share[1]) if number_and_share else 0)
        folded = re.search(r"  ×(\d+)", line)
        times.append(int(folded[1]) if folded else 1)
    for index, level in enumerate(levels):
        end = next((i for i in range(index + 1, len(levels)) if levels[i] <= level), len(levels))
        below = [counts[i] for i in range(index + 1, end) if levels[i] == level + 1]
        if below:
            assert sum(below) * times[index] == counts[index], lines[index]
    assert counts[0] == totals_of(run, name)["parameters"]


@pytest.mark.parametrize("name", [*NAMES, "odd.pt"])
def test_formats_agree(run: Any, name: str) -> None:
    document = json.loads(run("list", name, "--aliases", "--format", "json").stdout)["tensors"]
    lines = run("list", name, "--aliases", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == document
    tsv = [line.split("\t") for line in run("list", name, "--aliases", "--header").stdout.splitlines()]
    assert list(csv.reader(io.StringIO(run("list", name, "--aliases", "--format", "csv").stdout))) == tsv
    assert tsv[0] == list(document[0])
    assert [row[0] for row in tsv[1:]] == run("list", name, "--aliases", "--format", "names").stdout.split("\n")[:-1]
    for row, tensor in zip(tsv[1:], document, strict=True):
        shape = "" if tensor["shape"] is None else json.dumps(tensor["shape"], separators=(",", ":"))
        assert row[1:4] == [shape, tensor["dtype"], str(tensor["numel"])]


def test_gpt2_counts_its_tied_head_once(run: Any) -> None:
    assert totals_of(run, "gpt2.safetensors") == {
        "tensors": 148, "parameters": 124_439_808, "nbytes": 497_759_232, "tied": 1, "dtypes": ["float32"],
        "stored": 124_439_808, "encodings": [],
    }  # fmt: skip
