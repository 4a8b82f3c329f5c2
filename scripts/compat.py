"""Run the tests with the lowest versions that pyproject.toml allows, and with the newest: `make compat`.

For each Python that is there, on the PATH or pyenv's, uv looks up both sets; the lowest is what its wheels begin with, which
for a new Python is later than what is declared. torch is the lowest or, as it is the largest, the one of constraints.txt. What only tests need
is always of constraints.txt.

    python -m scripts.compat [--python NAME]... [--kind lowest|newest]... [--uv "ARGUMENTS"] [--folder F] [PYTEST_ARGS]
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
KINDS = {"lowest": "lowest-direct", "newest": "highest"}
OWN, PINNED = "paraminspect", "torch"
WHEELS = ["--only-binary", ":all:"]


class CompatError(Exception):
    """An environment cannot be made."""


def main() -> int:
    """Make each environment, run the tests in it, say what came of it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--kind", action="append", choices=[*KINDS], default=[])
    parser.add_argument("--uv", default="")
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv-compat")
    chosen, pytest_args = parser.parse_known_args()
    lines, statuses = [], []
    for name in chosen.python or PYTHONS:
        if (python := find(name)) is None:
            lines.append(f"{name}: not there")
            statuses += [1] if chosen.python else []
            continue
        for kind in chosen.kind or KINDS:
            try:
                line, status = try_one(python, kind, chosen.folder, shlex.split(chosen.uv), pytest_args)
            except CompatError as error:
                line, status = f"{name}, {kind}: {error}", 1
            lines.append(line)
            statuses.append(status)
            sys.stdout.write(f"{line}\n")
    sys.stdout.write("\n" + "".join(f"{line}\n" for line in lines))
    return int(any(statuses) or not statuses)


def find(name: str) -> str | None:
    """A Python of this name that runs, or of this path; pyenv's own programs on the PATH run one of all that it has."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    more = root.glob(f"versions/{name.removeprefix('python')}.*/bin/{name}") if "/" not in name else ()
    for path in filter(None, (shutil.which(name), *map(str, sorted(more)))):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def try_one(python: str, kind: str, folder: Path, more: list[str], pytest_args: list[str]) -> tuple[str, int]:
    """One line on one environment, and pytest's exit status.

    Args:
        more: Arguments of uv, such as where builds of torch are.
    """
    version = run([python, "-c", "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"]).strip()
    place = folder / f"{version}-{kind}"
    place.mkdir(parents=True, exist_ok=True)
    versions = choose(version, kind, place, more)
    tools = place / "tools.txt"
    tools.write_text("".join(f"{line}\n" for line in constraints() if name_of(line) not in declared()))
    override = place / "versions.txt"
    override.write_text("".join(f"{each}\n" for each in versions))
    run([*uv("venv"), "--quiet", "--clear", "--python", python, str(place / "venv")])
    binary = place / "venv" / "bin" / "python"
    install = [*uv("pip"), "install", "--quiet", "--python", str(binary)]
    run([
        *install, *WHEELS, *more, "--override", str(override), "--constraint", str(tools), "--group", "tests",
        "--all-extras", "--requirements", str(ROOT / "pyproject.toml"),
    ])  # fmt: skip
    run([*install, "--no-deps", "--editable", str(ROOT)])
    report = place / "report.xml"
    words = [str(binary), "-m", "pytest", "-rfE", f"--junitxml={report}", *pytest_args]
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    tests = count(report) if report.exists() else "no tests"
    return f"Python {version}, {kind}: {tests}; {', '.join(versions)}", status


def choose(version: str, kind: str, place: Path, more: list[str]) -> list[str]:
    """The versions of what is declared, for a Python."""
    pins = place / "pins.txt"
    pins.write_text("".join(f"{line}\n" for line in constraints() if kind == "newest" and name_of(line) == PINNED))
    found = run([
        *uv("pip"), "compile", "--quiet", "--no-annotate", "--no-header", "--python-version", version, *WHEELS, *more,
        "--resolution", KINDS[kind], "--constraint", str(pins), "--all-extras", str(ROOT / "pyproject.toml"),
    ])  # fmt: skip
    return [line for line in found.splitlines() if "==" in line and name_of(line) in declared()]


def declared() -> set[str]:
    """Names of what the package and its extras require."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"], *(need for each in project["optional-dependencies"].values() for need in each)]
    return {name_of(need) for need in needs} - {OWN}


def constraints() -> list[str]:
    """The pins, a line each."""
    return [line for line in (ROOT / "constraints.txt").read_text().splitlines() if re.match(r"\w", line)]


def name_of(requirement: str) -> str:
    """Its project."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def count(report: Path) -> str:
    """How many tests passed, failed and were skipped."""
    tags = [{part.tag for part in case} for case in ElementTree.parse(report).iter("testcase")]
    bad = sum(bool(each & {"failure", "error"}) for each in tags)
    skipped = sum("skipped" in each for each in tags)
    return f"{len(tags) - bad - skipped} passed, {bad} failed, {skipped} skipped"


def uv(command: str) -> Iterable[str]:
    """The uv of this environment, else the one that is on the PATH."""
    own = Path(sys.executable).parent / "uv"
    return (str(own) if own.exists() else own.name, command)


def run(words: list[str]) -> str:
    """What a command prints.

    Raises:
        CompatError: It fails.
    """
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompatError(f"{words[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise CompatError(f"{Path(words[0]).name} {words[1]} failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
