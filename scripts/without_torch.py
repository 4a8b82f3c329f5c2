"""Run the tests in an environment like this one, but without torch: `python -m scripts.without_torch [PYTEST_ARGS]`.

The environment is made of links to what is installed here, all but torch and what requires it, so that it takes no
network and no time. `tests/making/without_torch.py` says which tests are left. Of a whole run some of each part that reads
files must be among them.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OWN, LEFT_OUT = "paraminspect", "torch"
PARTS = [
    "architecture", "checks", "cli", "conversion", "files", "formats", "names", "render", "rules", "sharing", "tied",
    "values", "writers",
]  # fmt: skip
"""Folders of tests of what works on files."""


def main() -> int:
    """Make the environment, run the tests there; pytest's exit status."""
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        python, report = make_environment(Path(name) / "venv"), Path(name) / "report.xml"
        probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({LEFT_OUT!r}) is not None)"
        if subprocess.run([python, "-c", probe], check=False).returncode:
            sys.stderr.write(f"error: {LEFT_OUT} can be imported in an environment that should not have it\n")
            return 1
        words = [str(python), "-m", "pytest", "-rfE", f"--junitxml={report}", *chosen]
        status = subprocess.run(words, cwd=ROOT, check=False).returncode
        passed = count(report)
    listed = ", ".join(f"{part} {number}" for part, number in sorted(passed.items()))
    sys.stdout.write(f"without {LEFT_OUT}: {passed.total()} tests pass ({listed})\n")
    is_whole = not any((ROOT / word.partition("::")[0]).exists() for word in chosen)
    if is_whole and (missing := [part for part in PARTS if not passed[part]]):
        sys.stderr.write(f"error: no test of {', '.join(missing)} ran without {LEFT_OUT}\n")
        return 1
    return status


def count(report: Path) -> Counter[str]:
    """How many tests passed, by folder."""
    passed: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        if not {"failure", "error", "skipped"} & {part.tag for part in case}:
            folders = str(case.get("classname")).split(".")
            passed[next((part for part in PARTS if part in folders), "others")] += 1
    return passed


def make_environment(folder: Path) -> Path:
    """An environment of links to this one, without torch; its python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    there = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    here = Path(sysconfig.get_path("purelib"))
    without = {entry for each in distributions(path=[str(here)]) if _wants_torch(each) for entry in _entries(each)}
    for path in here.iterdir():
        if path.name not in without:
            (Path(there) / path.name).symlink_to(path)
    program = python.parent / OWN  # git and shells look for it on the PATH
    program.write_text(f"#!{python}\nfrom {OWN}.__main__ import main\n\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    return python


def _wants_torch(each: Distribution) -> bool:
    """Whether it is torch, or requires it; we do, and can do without."""
    needs = (Requirement(text) for text in each.requires or ())
    names = {
        canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
    }
    return canonicalize_name(each.name) != OWN and LEFT_OUT in {canonicalize_name(each.name), *names}


def _entries(each: Distribution) -> Iterator[str]:
    """What it has in the folder of packages."""
    yield from {file.parts[0] for file in each.files or () if file.parts[0] != ".."}


if __name__ == "__main__":
    sys.exit(main())
