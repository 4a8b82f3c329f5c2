"""Write what the table of formats says into the files that no program of ours reads, or check that it stands there.

- `.pre-commit-hooks.yaml` and `scripts/model_files.sh`, of the scripts that `action.yml` runs, choose files by a pattern.
- `requirements-files.txt` names what works on files need: the dependencies of `pyproject.toml` but torch, which would
  hold gigabytes, and what these bring in turn, for pip takes torch with us unless it is told to take no dependency at
  all. `.pre-commit-hooks.yaml` names the same; `action.yml` reads the file.
- `docs/formats.md` has a table of the formats that are read, behind `<!-- formats -->`, and one of the ways to pack a
  quantised weight, behind `<!-- schemes -->`.

    python -m scripts.fill_formats            write
    python -m scripts.fill_formats --check    write nothing, exit 1 if something would change
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from paraminspect.formats.quantised.schemes import SCHEMES, Scheme
from paraminspect.formats.table import FORMATS, Format

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = "torch"
LIGHT = "requirements-files.txt"
PYTHON = {"extra": "", "python_version": "3.11", "python_full_version": "3.11.0"}
SYSTEMS = (
    {**PYTHON, "sys_platform": "linux", "platform_system": "Linux"},
    {**PYTHON, "sys_platform": "darwin", "platform_system": "Darwin"},
    {**PYTHON, "sys_platform": "win32", "platform_system": "Windows"},
)
"""For which dependencies are listed: a newer Python needs no more of them."""

WIDTH = 120


def main() -> int:
    """Write or check every file; the exit status."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, fill in FILES.items():
        path = ROOT / name
        found = path.read_text(encoding="utf-8")
        wanted = fill(found)
        if found != wanted:
            stale.append(name)
            if not check:
                path.write_text(wanted, encoding="utf-8")
    if check and stale:
        sys.stderr.write(
            f"error: not what the table of formats says: {', '.join(stale)}\n\nhint: python -m scripts.fill_formats\n"
        )
        return 1
    sys.stdout.write(f"{', '.join(FILES)}: say what the table of formats says\n")
    return 0


def pattern() -> str:
    """A regular expression of names that model files have, in a syntax that bash and Python share."""
    endings = dict.fromkeys(ending.removeprefix(".") for row in FORMATS for ending in row.endings)
    names = dict.fromkeys(name for row in FORMATS for name in row.names)
    parts = [rf"\.({'|'.join(map(re.escape, endings))})", rf"(^|/)({'|'.join(map(re.escape, names))})"]
    return f"({'|'.join(parts)})$"


def light_dependencies() -> list[str]:
    """What is needed to check a file, as pyproject.toml says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [need for need in project["dependencies"] if Requirement(need).name != LEFT_OUT]


def with_theirs(needs: Sequence[str]) -> list[str]:
    """Each dependency, and behind it those that it brings and nobody has named yet."""
    known = {canonicalize_name(Requirement(need).name) for need in needs}
    found = []
    for need in needs:
        queue = [need]
        for each in queue:
            found.append(each)
            wanted = Requirement(each)
            for theirs in map(Requirement, (requires(wanted.name) or ()) if wanted.marker is None else ()):
                name, marker = canonicalize_name(theirs.name), theirs.marker
                where = [marker is None or marker.evaluate(system) for system in SYSTEMS]
                if name not in known and any(where):
                    known.add(name)
                    queue.append(name if all(where) else f"{name}; {marker}".replace('"', "'"))
    return found


def fill_light(text: str) -> str:
    """`requirements-files.txt`."""
    needs = "".join(f"{need}\n" for need in with_theirs(light_dependencies()))
    return put(text, r"^(?:#.*\n)+\n(?P<value>(?:\S.*\n)+)\Z", needs)


def fill_hooks(text: str) -> str:
    """`.pre-commit-hooks.yaml`."""
    needs = with_theirs(light_dependencies())
    listed = ["--no-deps", *(need if need.replace("-", "").isalnum() else repr(need) for need in needs)]
    lines, line = [], "    ["
    for number, each in enumerate(listed):
        end = "]" if number == len(listed) - 1 else ","
        if len(line) + len(each) + len(end) + 1 > WIDTH:
            lines.append(line.rstrip())
            line = "     "
        line += each + end + " "
    lines.append(line.rstrip())
    text = put(text, r"additional_dependencies:\n(?P<value>    \[[^\]]*\])\n", "\n".join(lines))
    return put(text, r"  files: '\(\?i\)(?P<value>.*)'\n", pattern(), times=2)


def fill_script(text: str) -> str:
    """`scripts/model_files.sh`."""
    return put(text, r"\nnames='(?P<value>.*)'\n", pattern())


def fill_page(text: str) -> str:
    """The tables of the formats that are read, and of the ways to pack a weight."""
    rows = "".join(f"| {with_endings(row)} | {row.about} |\n" for row in FORMATS if row.about)
    text = put(text, r"<!-- formats -->\n(?P<value>(?:\|.*\n)+)", f"| format | what is read |\n| --- | --- |\n{rows}")
    rows = "".join(f"| {row.title} | {told_by(row)} |\n" for row in SCHEMES)
    head = "| scheme | what the names of its tensors end in |\n| --- | --- |\n"
    return put(text, r"<!-- schemes -->\n(?P<value>(?:\|.*\n)+)", f"{head}{rows}")


def told_by(row: Scheme) -> str:
    """The tensors that stand for one weight, by what their names end in."""
    names = [f"`{name}`" if name else "the name itself" for _, name in row.parts]
    others = ", ".join(f"`{name}`" for _, name in row.optional)
    return ", ".join(names) + (f"; perhaps {others}" if others else "")


def with_endings(row: Format) -> str:
    """What a format is called, and what the names of its files end in."""
    listed = ", ".join(f"`{name}`" for name in (*row.endings, *row.names))
    return f"{row.title}: {listed}" if listed else row.title


def put(text: str, where: str, value: str, times: int = 1) -> str:
    """The text with a value in its place, which is there so many times."""
    found = list(re.finditer(where, text))
    assert len(found) == times, f"{where} stands {len(found)} times"
    for match in reversed(found):
        text = text[: match.start("value")] + value + text[match.end("value") :]
    return text


FILES: dict[str, Callable[[str], str]] = {
    ".pre-commit-hooks.yaml": fill_hooks,
    LIGHT: fill_light,
    "scripts/model_files.sh": fill_script,
    "docs/formats.md": fill_page,
}


if __name__ == "__main__":
    sys.exit(main())
