"""What no test may lean on: how long something takes, digits that torch drew, what is not on this machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

CLOCKS = {
    "perf_counter",
    "perf_counter_ns",
    "monotonic",
    "monotonic_ns",
    "process_time",
    "process_time_ns",
    "timeit",
    "thread_time",
}
MAY_WAIT = ["cli/test_completion_shells.py"]
"""Those that look at a clock to give up waiting for a shell, never to judge how fast something is."""

DRAWN = {"rand", "randn", "normal_", "uniform_", "orthogonal_", "kaiming_uniform_", "xavier_normal_", "trunc_normal_"}
ELSEWHERE = re.compile(
    r"https?://(?!127\.|localhost|\[|\{|www\.w3\.org)[a-z0-9-]+(\.[a-z0-9-]+)*\.(com|org|co|net|io)\b"
)


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def looks_at_a_clock(text: str) -> bool:
    return bool(CLOCKS & set(names(ast.parse(text))))


def pins_what_was_drawn(text: str) -> bool:
    """Whether a drawn number is compared with digits: `assert torch.rand(1).item() == 0.4963`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and DRAWN & set(names(node)):
            digits = [
                each for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, float)
            ]
            if any(len(repr(each.value)) > 5 for each in digits):
                return True
    return False


def sources() -> dict[str, str]:
    return {str(path.relative_to(TESTS)): path.read_text("utf-8") for path in sorted(TESTS.rglob("*.py"))}


def test_no_test_looks_at_a_clock() -> None:
    assert [name for name, text in sources().items() if looks_at_a_clock(text)] == MAY_WAIT


def test_no_test_pins_digits_that_were_drawn() -> None:
    assert [name for name, text in sources().items() if pins_what_was_drawn(text)] == []


def test_no_test_asks_a_server_elsewhere() -> None:
    """Addresses may be named, where nothing is fetched from them; clients are those of `scripts/servers`, on loopback."""
    clients = {"urlopen", "urlretrieve", "create_connection", "hf_hub_download", "snapshot_download"}
    asked = {name for name, text in sources().items() if clients & set(names(ast.parse(text)))}
    assert [name for name in asked if ELSEWHERE.search(sources()[name])] == []


def test_each_of_these_can_fail() -> None:
    assert looks_at_a_clock("from time import perf_counter")
    assert looks_at_a_clock("import time\nbegin = time.monotonic()")
    assert not looks_at_a_clock("import time\ntime.sleep(0)")
    assert pins_what_was_drawn("assert torch.rand(1).item() == 0.4963")
    assert not pins_what_was_drawn("assert torch.rand(1).item() < 0.5")
    assert ELSEWHERE.search('"https://huggingface.co/x"')
    assert not ELSEWHERE.search('"http://127.0.0.1:80/x"')
