"""Say which tests did not run in any of several runs, and why: `python -m scripts.count_skipped REPORT.xml ...`.

Reports are those of `pytest --junitxml`. A test that one run skips and another runs has run.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path


def read_report(path: Path) -> Iterator[tuple[str, str | None]]:
    """(name of a test, why it did not run or None)."""
    for case in ET.parse(path).iter("testcase"):
        skipped = case.find("skipped")
        yield f"{case.get('classname')}::{case.get('name')}", None if skipped is None else skipped.get("message", "")


def count_skipped(paths: Iterable[Path]) -> tuple[int, Counter[str]]:
    """How many tests ran, and how many did not for each reason."""
    ran: set[str] = set()
    reasons: dict[str, str] = {}
    for path in paths:
        for name, reason in read_report(path):
            if reason is None:
                ran.add(name)
            else:
                reasons[name] = reason
    return len(ran), Counter(reason for name, reason in reasons.items() if name not in ran)


def main() -> None:
    """Print a line for each reason, then the sum: pytest has ended the run before if anything failed."""
    ran, skipped = count_skipped(map(Path, sys.argv[1:]))
    for reason, count in skipped.most_common():
        sys.stdout.write(f"did not run: {count:,}, {reason}\n")
    sys.stdout.write(f"{ran} passed, 0 failed, {skipped.total()} skipped\n")


if __name__ == "__main__":
    main()
