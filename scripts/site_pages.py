"""What the site has that its pages do not: the frame of a command's page, and where the repository is.

`docs/conf.py` calls this when Sphinx reads a page. `<!-- options: COMMAND -->` becomes what is declared of the command: its
arguments and options, as Sphinx's own directives, so that each can be linked to and is found by the search.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paraminspect.cli.app import make_group
from paraminspect.cli.first_word import PROGRAM
from scripts.document_tables import OPTION

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = re.compile(r"^<!-- options: (?P<command>\w+) -->$", re.MULTILINE)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#\s]+)\)")
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|$])")


def fill_page(text: str, page: Path, repository: str) -> str:
    """A page as Sphinx shall read it.

    Args:
        text: Of the page.
        page: Where it lies.
        repository: Address of the repository's files; "" while it has none.
    """
    text = OPTIONS.sub(lambda match: "\n".join(command_frame(match["command"])), text)
    return LINK.sub(lambda match: _repository_link(match, page, repository), text)


def command_frame(name: str) -> Iterator[str]:
    """Arguments, options and examples of a command, in MyST."""
    command: Any = make_group().get_command(None, name)
    context = command.make_context(f"{PROGRAM} {name}", [], resilient_parsing=True, help_option_names=["-h", "--help"])
    yield f"```text\n{context.command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield f"{escape(command.declared.about)}\n"
    yield f"```{{program}} {PROGRAM} {name}\n```\n"
    for title, records in command.sections(context).items():
        if title not in {"Arguments", "Options"}:
            yield f"### {title}\n"
        for names, about in records:
            yield f"````{{option}} {names}\n{escape(' '.join(about.split()))}\n````\n"
    if command.declared.status:
        yield f"### Exit status\n\n{escape(command.declared.status)}\n"
    examples = "\n".join(command.declared.examples)
    yield f"### Examples\n\n```sh\n{examples}\n```"


def escape(text: str) -> str:
    """Text that Markdown shows as it stands; what is between backticks, and names of options, as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return MARKDOWN.sub(r"\\\1", text)
    prose = [OPTION.sub(r"`\g<0>`", MARKDOWN.sub(r"\\\1", part)) for part in parts[::2]]
    return prose[0] + "".join(f"`{code}`{after}" for code, after in zip(parts[1::2], prose[1:], strict=True))


def _repository_link(match: re.Match[str], page: Path, repository: str) -> str:
    """A link out of docs/: to the repository, if it has an address; else to a copy, or, of what is no file, no link."""
    target = (page.parent / match["path"]).resolve()
    if (ROOT / "docs") in target.parents:
        return match[0]
    if repository:
        return f"[{match['text']}]({repository}/{os.path.relpath(target, ROOT)})"
    return match["text"] if target.is_dir() or target.suffix == ".md" else match[0]
