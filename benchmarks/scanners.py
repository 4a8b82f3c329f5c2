"""`check` beside other scanners of model files: what they find, miss and call dangerous for no reason.

    python -m venv build/scanners && build/scanners/bin/pip install picklescan fickling modelscan typing_extensions
    python -m benchmarks.scanners --scanners build/scanners/bin --corpus CORPUS --output docs/scanners.md

CORPUS is a folder of files with known answers (see `tests/test_corpus.py`); those of `benchmarks.bypasses` are made
beside them, and what real producers wrote is in `tests/honest`. Every tool gets one file or folder at a time,
through its command line. Its exit status decides: it found something dangerous, it could not read the file, or it was
content. A scanner that is not installed has no row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, NamedTuple

from benchmarks.bypasses import write_bypasses, write_unknown
from scripts.make_fixtures import HONEST, sources

Verdict = Literal["danger", "error", "clean"]

TIMEOUT_S: Final = 120
MARKS: Final[dict[Verdict, str]] = {"danger": "found", "error": "error", "clean": "**missed**"}


class Scanner(NamedTuple):
    """One tool.

    Attributes:
        name: With its version.
        program: In the folder of programs.
        arguments: Its command line for a path, without the program.
        statuses: What an exit status means; any other is an error, and so is a traceback.
        folders: Whether it takes a folder; else it gets the files of one, and the worst counts.
    """

    name: str
    program: str
    arguments: Callable[[str], list[str]]
    statuses: dict[int, Verdict]
    folders: bool = True


SCANNERS: Final = (
    Scanner("picklescan", "picklescan", lambda path: ["-p", path], {0: "clean", 1: "danger"}),
    Scanner("fickling", "fickling", lambda path: ["--check-safety", path], {0: "clean", 1: "danger"}, folders=False),
    Scanner("modelscan", "modelscan", lambda path: ["scan", "-p", path], {0: "clean", 1: "danger"}),
)


class Case(NamedTuple):
    """One file or folder.

    Attributes:
        name: Within the corpus.
        path: Of it.
        hostile: Whether loading it runs code, or unpacks files elsewhere.
    """

    name: str
    path: Path
    hostile: bool


def main() -> None:
    """Run every scanner on every case, and write the tables."""
    parser = argparse.ArgumentParser(description="check beside other scanners of model files")
    parser.add_argument("--scanners", type=Path, required=True, help="folder of their programs")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="markdown; else standard output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        cases = list(read_cases(options.corpus))
        cases += [Case(f"bypasses/{name}", Path(made, name), hostile=True) for name in write_bypasses(Path(made))]
        cases += [Case(f"unknown/{name}", Path(made, name), hostile=True) for name in write_unknown(Path(made))]
        cases += [Case(f"honest/{path.relative_to(HONEST)}", path, hostile=False) for path in sources()]
        columns = {"paraminspect": [run_check(case.path) for case in cases]}
        for scanner in SCANNERS:
            program = options.scanners.absolute() / scanner.program
            if program.exists():
                with ThreadPoolExecutor(2) as pool:
                    verdicts = pool.map(lambda case: run_scanner(scanner, program, case.path), cases)  # noqa: B023
                    columns[f"{scanner.name} {version_of(program)}"] = list(verdicts)
    text = "".join(write_tables(cases, columns))
    if options.output:
        options.output.write_text(text, "utf-8")
    else:
        print(text, end="")


def read_cases(corpus: Path) -> Iterator[Case]:
    """Hostile files, and files that any reader should take."""
    for entry in json.loads((corpus / "expected.json").read_text())["entries"]:
        file = entry["file"]
        path = corpus / "edge" / file
        path = path if path.exists() else corpus / file
        hostile = entry["category"] == "malicious" or file == "dcp/evil_metadata"
        link = "hf_cache" in file  # which some checkouts hold as a file of text
        if path.exists() and not link and (hostile or entry["expect"] == "list"):
            yield Case(file, path, hostile)


def run_check(path: Path) -> Verdict:
    """What `paraminspect check` says: a call of what no producer calls is found too, not only what a table knows to do harm."""
    command = [sys.executable, "-m", "paraminspect", "check", "-f", "json", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_S)
    if not done.stdout:
        return "error"
    said = json.loads(done.stdout)
    called = any(each["code"] == "pickle-calls-unknown" for each in said["findings"])
    if said["worst"] == "danger" or called:
        return "danger"
    return "error" if said["worst"] == "error" else "clean"


def run_scanner(scanner: Scanner, program: Path, path: Path) -> Verdict:
    """What another scanner says; it runs in an empty folder, where it may write."""
    if path.is_dir() and not scanner.folders:
        verdicts = {run_scanner(scanner, program, each) for each in path.iterdir() if each.is_file()}
        return next(verdict for verdict in ("danger", "error", "clean") if verdict in verdicts)
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), *scanner.arguments(str(path.resolve()))]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_S, cwd=folder)
        except subprocess.TimeoutExpired:
            return "error"
    crashed = b"Traceback (most recent call last)" in done.stderr
    return "error" if crashed else scanner.statuses.get(done.returncode, "error")


def version_of(program: Path) -> str:
    """Version of the package that installed a program."""
    code = f"from importlib.metadata import version; print(version({program.name!r}))"
    python = program.with_name("python")
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def write_tables(cases: Sequence[Case], columns: dict[str, list[Verdict]]) -> Iterator[str]:
    """The sums, then each hostile file."""
    hostile = [index for index, case in enumerate(cases) if case.hostile]
    honest = [index for index, case in enumerate(cases) if not case.hostile]
    yield "# `check` beside other scanners\n\n"
    yield (
        f"{len(hostile)} hostile files and folders and {len(honest)} honest ones, each given to the command line of each\n"
        "tool. Found, or a false alarm, is whatever the tool calls unsafe: of `check` every danger, and a call of a function\n"
        "that no producer of models calls.\n\n"
        "How they were chosen: those under `bypasses` are made after advisories about picklescan and fickling and after their\n"
        "tests, whose files their packages do not hold, and of what was tried against `check`; those under `unknown` call\n"
        "functions of which no table of `check` knows. `check` was held against all of them, and the honest files are the ones\n"
        "on which its tests allow no alarm: its own row says that nothing has become worse, and the others say more about\n"
        "the others. *Error* means that the tool could not read the file, does not know the format, or broke. fickling calls a\n"
        "file unsafe unless it knows all of it, and its command line does not read zip archives. Made by\n"
        "`python -m benchmarks.scanners`.\n\n"
    )
    yield "| | hostile: found | error | missed | honest: false alarm | error |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
    for name, verdicts in columns.items():
        bad, good = [verdicts[i] for i in hostile], [verdicts[i] for i in honest]
        numbers = [
            bad.count("danger"),
            bad.count("error"),
            bad.count("clean"),
            good.count("danger"),
            good.count("error"),
        ]
        yield f"| {name} | {' | '.join(map(str, numbers))} |\n"
    yield f"\n## The hostile files\n\n| | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}\n"
    for index in hostile:
        marks = [MARKS[verdicts[index]] for verdicts in columns.values()]
        yield f"| `{cases[index].name}` | {' | '.join(marks)} |\n"
    alarms = [index for index in honest if any(verdicts[index] == "danger" for verdicts in columns.values())]
    if alarms:
        yield f"\n## False alarms\n\n| | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}\n"
    for index in alarms:
        marks = ["**alarm**" if verdicts[index] == "danger" else verdicts[index] for verdicts in columns.values()]
        yield f"| `{cases[index].name}` | {' | '.join(marks)} |\n"


if __name__ == "__main__":
    main()
