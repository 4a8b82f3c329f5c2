"""Write the manual pages into docs/man, or check that they say what the commands do.

One page for the program and one a command. What they say of commands, options and examples is what the help says, for
it is taken from the commands themselves; formats, exit status and environment are tables of docs/formats.md and docs/shell.md.

    python -m scripts.make_man            write
    python -m scripts.make_man --check    write nothing, exit 1 if something would change
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from paraminspect import __version__
from paraminspect.cli.app import COMMANDS, make_group
from paraminspect.cli.declare import Table
from paraminspect.cli.first_word import PROGRAM

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = ROOT / "CHANGELOG.md"
FOLDER = ROOT / "docs" / "man"

CHARACTERS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
"""What groff would take for something else, or draw as another character."""

LINE = 78

ROW = re.compile(r"^\| (.+?) \| (.+?) \|$", re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]+\)")

STREAMS = """\
Records go to standard output and everything else to standard error. On a terminal records are a table; in a pipe they
are tab-separated values without a header, numbers raw and names whole. --format says otherwise: csv, json, jsonl,
markdown, names. Columns of tsv and keys of JSON are an interface that is only added to.

Each command has a page of its own.
"""

SOURCES = (
    ("FILE", "A checkpoint of any format below. It is recognised by its content; nothing of it is run."),
    ("FOLDER", "A checkpoint in shards: of Hugging Face, or of torch.distributed.checkpoint."),
    ("FILE.yaml", "An architecture spec, YAML or JSON."),
    ("FILE.py:CALLABLE, MODULE:CALLABLE", "Python code that returns a model. It is imported and run."),
    ("-", "Standard input: a checkpoint or a spec."),
)

FILES = (
    ("~/.local/share/bash-completion/completions/paraminspect", "Completion for bash, sourced by ~/.bashrc."),
    ("~/.zfunc/_paraminspect", "Completion for zsh, found by a line in ~/.zshrc."),
    ("~/.config/fish/completions/paraminspect.fish", "Completion for fish."),
)
"""What --install-completion writes."""


def main() -> int:
    """Write or check every page; the exit status."""
    check = "--check" in sys.argv[1:]
    pages = make_pages()
    stale = []
    for name, text in pages.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in FOLDER.glob("*"):
        if path.name not in pages:
            stale.append(path.name)
            if not check:
                path.unlink()
    if check and stale:
        sys.stderr.write(f"error: manual pages are not what the help says: {', '.join(stale)}\n\nhint: make docs\n")
        return 1
    sys.stdout.write(f"docs/man: {len(pages)} pages say what the help says\n")
    return 0


def make_pages() -> dict[str, str]:
    """File name -> page."""
    group = make_group()
    commands = {name: group.get_command(None, name) for name in COMMANDS}
    pages = {f"{PROGRAM}.1": "".join(program_page(group, commands))}
    for name, command in commands.items():
        pages[f"{PROGRAM}-{name}.1"] = "".join(command_page(name, command))
    return pages


def program_page(group: Any, commands: dict[str, Any]) -> Iterator[str]:
    """The page of the program."""
    yield head(PROGRAM, "look into PyTorch models and their checkpoints")
    yield f".SH SYNOPSIS\n.SY {PROGRAM}\n.I COMMAND\n.RI [ OPTIONS ]\n.I SOURCE ...\n.YS\n"
    yield section("DESCRIPTION", paragraphs(f"{group.help}\n\n{STREAMS}"))
    yield section("COMMANDS", (entry(bold(name), summary(each)) for name, each in commands.items()))
    yield section("SOURCES", (entry(italic(name), escape(text)) for name, text in SOURCES))
    yield section("OPTIONS", options(group))
    yield section("FORMATS", rows("formats", "What is read"))
    yield section("EXIT STATUS", rows("shell", "Exit status"))
    yield section("ENVIRONMENT", rows("shell", "Environment"))
    yield section("FILES", (entry(italic(name), escape(text)) for name, text in FILES))
    yield examples(group.declared.examples)
    yield see_also([f"{PROGRAM}-{name}" for name in commands])


def command_page(name: str, command: Any) -> Iterator[str]:
    """The page of a command."""
    declared = command.declared
    yield head(f"{PROGRAM}-{name}", summary(command).rstrip("."))
    yield f".SH SYNOPSIS\n.SY {PROGRAM}\n.B {escape(name)}\n.RI [ OPTIONS ]\n"
    arguments = [each for each in command.params if each.param_type_name == "argument" and not each.hidden]
    for each in arguments:
        yield f".I {escape(str(each.metavar))}\n"
    yield ".YS\n"
    yield section("DESCRIPTION", paragraphs(declared.about))
    yield section("ARGUMENTS", (entry(italic(str(each.metavar)), escape(each.help)) for each in arguments))
    yield section("OPTIONS", options(command))
    if declared.tables:
        yield section("COLUMNS", columns(declared.tables))
    if declared.status:
        yield section("EXIT STATUS", paragraphs(declared.status))
    yield examples(declared.examples)
    yield see_also([PROGRAM])


def head(name: str, what: str) -> str:
    """Title and NAME."""
    released = re.search(r"^## \[.+?\] - (\d{4}-\d\d-\d\d)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    date = released[1] if released else ""
    title = f'.TH {escape(name.upper())} 1 "{date}" "{PROGRAM} {__version__}" "User Commands"\n'
    return f'.\\" Written by scripts/make_man.py.\n{title}.SH NAME\n{escape(name)} \\- {what}\n'


def section(title: str, parts: Iterable[str]) -> str:
    """A heading and what stands under it."""
    return f".SH {title}\n{''.join(parts)}"


def paragraphs(text: str) -> str:
    """Paragraphs of a help."""
    return ".PP\n".join(fill(escape(" ".join(each.split()))) for each in re.split(r"\n\s*\n", text.strip()))


def options(command: Any) -> Iterator[str]:
    """The options of a command, as its help has them."""
    context = command.make_context(PROGRAM, [], resilient_parsing=True, help_option_names=["-h", "--help"])
    for each in command.get_params(context):
        record = each.get_help_record(context)
        if each.param_type_name == "option" and record is not None:
            names, about = record
            metavar = "" if each.is_flag else names.rpartition(" ")[2]
            term = bold(names.removesuffix(f" {metavar}")) + (f" {italic(metavar)}" if metavar else "")
            yield entry(term, escape(" ".join(about.split())))


def columns(tables: Iterable[Table]) -> Iterator[str]:
    """Of tsv, which are the keys of JSON; those that are the same twice say so once."""
    for table in tables:
        if table.when:
            yield f".SS {escape(table.when[0].upper() + table.when[1:])}\n"
        for each in table.columns:
            words = f"{', '.join(each.words)}: " if each.words else ""
            yield entry(bold(each.name), inline(words + each.about))


def rows(page: str, title: str) -> Iterator[str]:
    """The table of a section of a page of docs/: its first column, and what the second says of it."""
    _, _, text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").partition(f"\n## {title}\n")
    found = ROW.findall(text.partition("\n## ")[0])
    for name, about in found[2:]:
        yield entry(bold(re.sub("[`*]", "", name)), inline(about))


def examples(lines: Iterable[str]) -> str:
    """Command lines."""
    lines = "".join(f"{escape(line)}\n" for line in lines)
    return f".SH EXAMPLES\n.EX\n{lines}.EE\n"


def see_also(pages: list[str]) -> str:
    """Other pages, with a comma behind all but the last."""
    listed = [f".BR {escape(page)} (1){',' if page != pages[-1] else ''}\n" for page in pages]
    return f".SH SEE ALSO\n{''.join(listed)}"


def entry(term: str, about: str) -> str:
    """A term and its explanation."""
    return f".TP\n{term}\n{fill(about)}"


def fill(text: str) -> str:
    """Escaped text in lines of at most LINE characters, none of which groff takes for a request."""
    lines = textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False)
    return "".join(f"\\&{line}\n" if line.startswith((".", "\\(aq")) else f"{line}\n" for line in lines)


def summary(command: Any) -> str:
    """The first sentence of a help."""
    return escape(str(command.help).strip().partition("\n")[0])


def bold(text: str) -> str:
    """In bold type."""
    return f"\\fB{escape(text)}\\fR"


def italic(text: str) -> str:
    """In italic type."""
    return f"\\fI{escape(text)}\\fR"


def inline(text: str) -> str:
    """A cell of a table in Markdown: code in bold, links without their addresses."""
    parts, end = [], 0
    for match in INLINE.finditer(text):
        parts += [escape(text[end : match.start()]), bold(match[1]) if match[1] else escape(match[2])]
        end = match.end()
    return "".join(parts) + escape(text[end:])


def escape(text: str) -> str:
    """Text that groff prints as it stands."""
    return "".join(CHARACTERS.get(each, each if each.isascii() else f"\\[u{ord(each):04X}]") for each in text)


if __name__ == "__main__":
    sys.exit(main())
