"""Write the output of real runs into README.md and the pages of docs/, or check that it is what they show.

What a document shows is marked where it stands, and every mark is a comment that a reader does not see:

- `<!-- run: COMMAND -->` before a fenced block: the block is the command and what it prints on a terminal of
  `COLUMNS` columns; `<!-- run, exit 2: COMMAND -->` where it is meant to fail. With `<!-- run, needs jq: COMMAND -->`
  the block is left as it is where there is no such program or module.
- `<!-- file: NAME -->` before a fenced block: the commands find it as a file of that name.
- `<!-- picture: COMMAND -->` before an image: the image is the same in colour, as SVG.
- Tables behind the marks that `scripts.document_tables` knows are made of what is declared.
- Fenced blocks of `pycon` are doctests.

The commands of one document run one after the other in an empty folder of its own, with links to the demo's files and to
the project's `configs`; what they write there is gone afterwards. Relative links must lead to a file, and to a heading
that it has.

    python -m scripts.fill_docs [DOCUMENT..]            write
    python -m scripts.fill_docs [DOCUMENT..] --check    write nothing, exit 1 if something would change
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import doctest
import importlib.util
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import demo
from scripts.check_links import find_broken_links
from scripts.document_tables import DocumentError, fill_tables
from scripts.pictures import draw
from scripts.terminal import run_on_terminal

ROOT = demo.ROOT

COLUMNS = 96

RUN = re.compile(
    r"^<!-- run(?:, exit (?P<status>\d+))?(?:, needs (?P<needs>\w+))?: (?P<command>.+?) -->\n```(?P<language>\w*)\n(?P<shown>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"^<!-- file: (?P<name>[\w.-]+) -->\n```\w*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(
    r"^<!-- picture(?:, exit (?P<status>\d+))?: (?P<command>.+?) -->\n!\[[^\]]*\]\((?P<path>[^)]+)\)$", re.MULTILINE
)
DOCTEST = re.compile(r"^```pycon\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Write or check every document and its pictures; the exit status."""
    parser = argparse.ArgumentParser(prog="fill_docs")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("documents", nargs="*", type=Path)
    asked = parser.parse_args()
    paths = [path.resolve() for path in asked.documents] or find_documents()
    stale = []
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = [each for files in pool.map(make_document, paths) for each in files.items()]
        for path, wanted in made:
            found = path.read_text(encoding="utf-8") if path.exists() else ""
            if found != wanted:
                stale.append(path)
                _report(path, found, wanted)
                if not asked.check:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(wanted, encoding="utf-8")
        for path in paths:
            if broken := find_broken_links(path):
                raise DocumentError(f"{path.relative_to(ROOT)}: links lead nowhere: {', '.join(broken)}")
            check_doctests(path)
    except DocumentError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if asked.check and stale:
        sys.stderr.write("error: a document shows what the commands do not print\n\nhint: make docs\n")
        return 1
    sys.stdout.write(f"{len(paths)} documents show what the commands print\n")
    return 0


def find_documents() -> list[Path]:
    """README.md and the pages, those first that take longest."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return sorted(paths, key=lambda path: -len(RUN.findall(path.read_text(encoding="utf-8"))))


def make_document(path: Path) -> dict[Path, str]:
    """What the document and its pictures should be."""
    text = path.read_text(encoding="utf-8")
    with working_folder() as folder:
        try:
            return {**make_pictures(text, path.parent, folder), path: fill(text, folder)}
        except DocumentError as error:
            raise DocumentError(f"{path.relative_to(ROOT)}: {error}") from None


@contextlib.contextmanager
def working_folder() -> Iterator[Path]:
    """A new folder with the demo's files and `configs`, gone afterwards."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        demo.link(folder)
        yield folder


def fill(text: str, folder: Path) -> str:
    """The document with every marked block made anew, by commands that run in a folder."""
    for each in FILE.finditer(text):
        (folder / each["name"]).write_text(each["text"], encoding="utf-8")

    def block(match: re.Match[str]) -> str:
        command, needs = match["command"], match["needs"]
        if needs and not _is_there(needs):
            sys.stderr.write(f"there is no {needs}, so this was not run: {command}\n")
            return match[0]
        output = run_shell(command, folder, colour=False, status=int(match["status"] or 0))
        start = match[0].index("```")
        return f"{match[0][:start]}```{match['language']}\n$ {command}\n{output}```"

    return RUN.sub(block, fill_tables(text))


def _is_there(name: str) -> bool:
    """Whether there is a program or a module of that name."""
    return shutil.which(name) is not None or importlib.util.find_spec(name) is not None


def make_pictures(text: str, beside: Path, folder: Path) -> dict[Path, str]:
    """Path -> SVG of every picture that is marked in a document, which lies beside that; made in a folder."""
    pictures = {}
    for match in PICTURE.finditer(text):
        output = run_shell(match["command"], folder, colour=True, status=int(match["status"] or 0))
        pictures[beside / match["path"]] = draw(output, COLUMNS, f"$ {match['command']}")
    return pictures


def run_shell(command: str, folder: Path, *, colour: bool, status: int = 0) -> str:
    """What a shell command prints in a folder, on a terminal, stdout and stderr as they come, lines without trailing blanks.

    Raises:
        DocumentError: It ends with another exit status than `status`.
    """
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "TTY_INTERACTIVE": "0",  # no bars of slow runs
        **({} if colour else {"NO_COLOR": "1"}),
    }
    found, printed = run_on_terminal(["/bin/sh", "-c", command], environment, COLUMNS, folder)
    if found != status:
        raise DocumentError(f"{command!r} ended with exit status {found}, not {status}:\n{printed}")
    return "".join(f"{line.rstrip()}\n" for line in printed.removesuffix("\n").split("\n") if printed)


def check_doctests(path: Path) -> None:
    """The document's Python sessions print what they show; a name of one is known in the next.

    Raises:
        DocumentError: One does not.
    """
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
    sessions = list(DOCTEST.finditer(text))
    if not sessions:
        return
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report = io.StringIO()
    names: dict[str, object] = {}
    with working_folder() as folder, contextlib.chdir(folder):
        for match in sessions:
            line = text.count("\n", 0, match.start("source"))
            session = doctest.DocTestParser().get_doctest(match["source"], names, name, name, line)
            runner.run(session, out=report.write, clear_globs=False)
            names = session.globs
    if runner.failures:
        raise DocumentError(f"a Python session prints something else:\n{report.getvalue()}")


def _report(path: Path, found: str, wanted: str) -> None:
    name = str(path.relative_to(ROOT))
    if path.suffix == ".svg":
        sys.stdout.write(f"{name} changes\n")
    else:
        sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), name, name, n=1))


if __name__ == "__main__":
    sys.exit(main())
