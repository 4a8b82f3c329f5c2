"""The conversation with a shell: it sends a line in the environment, and gets what may come next.

    _PARAMINSPECT_COMPLETE   complete_bash, complete_zsh or complete_fish; source_SHELL asks for the script instead
    _PARAMINSPECT_BEFORE     the line up to the cursor
    _PARAMINSPECT_BEHIND     the rest of it, which fish does not tell
    _PARAMINSPECT_BREAKS     of bash: characters at which its editor breaks a word

An answer has one completion a line: "word" or "part" (more follows without a blank), a tab, the value, and where the
shell shows it a tab and a few words of help. "files" alone asks the shell to complete the names of files, behind the
part of the word that may follow a tab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from paraminspect.cli.completion.choices import Answer, complete
from paraminspect.cli.completion.names import Candidate
from paraminspect.cli.completion.typed import is_option, read_typed
from paraminspect.cli.completion.words import quote, split_words
from paraminspect.cli.first_word import DEFAULT, is_source
from paraminspect.files.beside_code import read_beside
from paraminspect.files.processes import leave_after
from paraminspect.text import is_plain

MAX_WAIT_S: Final = 3
"""After that a user has typed on: a file that takes longer to read has no completions."""

SHELLS: Final = ("bash", "zsh", "fish")


def read_script(shell: str) -> str:
    """What a shell has to source."""
    return read_beside(__file__, f"scripts/paraminspect.{shell}")


def answer(environ: Mapping[str, str], program: Any) -> str:
    """What to print; "" if nothing can come next, whatever the reason.

    Args:
        program: The whole command line, as typer has it.
    """
    instruction, _, shell = environ["_PARAMINSPECT_COMPLETE"].partition("_")
    if shell not in SHELLS:
        return ""
    if instruction == "source":
        return read_script(shell)
    leave_after(MAX_WAIT_S)
    try:
        return "".join(_answer(shell, environ, program))
    except Exception:
        return ""
    finally:
        leave_after(0)


def _answer(shell: str, environ: Mapping[str, str], program: Any) -> Iterator[str]:
    words = split_words(environ.get("_PARAMINSPECT_BEFORE", ""), environ.get("_PARAMINSPECT_BREAKS", ""))
    behind = [word.text for word in split_words(f"x{environ.get('_PARAMINSPECT_BEHIND', '')}")[1:] if word.text]
    current = words[-1]
    before = [word.text for word in words[1:-1]]
    prefix, found = _find(program, before, current.text, behind, shows_help=shell != "bash")
    if found is None:
        yield f"files\t{prefix}\n" if prefix else "files\n"
        return
    for each in found:
        value = prefix + each.value
        if not is_plain(value) or (is_option(value) and not current.text.startswith("-")):
            continue
        kind = "part" if each.goes_on else "word"
        if shell == "bash":
            quoted = quote(value[current.fixed :], current.quote)
            if quoted is not None:
                yield f"{kind}\t{quoted}\n"
        else:
            yield f"{kind}\t{value}\t{each.help}\n" if each.help and is_plain(each.help) else f"{kind}\t{value}\n"


def _find(
    program: Any, before: Sequence[str], current: str, behind: Sequence[str], *, shows_help: bool
) -> tuple[str, Answer]:
    """Part of the word before its value, and the completions of that value."""
    place = next((index for index, word in enumerate(before) if not is_option(word)), None)
    if place is None:
        parameters = _parameters(program)
        typed = read_typed(parameters, before, current)
        if typed.target is not None or current.startswith("-"):
            return typed.prefix, complete(program.declared, parameters, typed)
        names = [name for name in program.list_commands(None) if name.startswith(current)]
        if current and not names:
            return "", None  # a SOURCE, which needs no command
        # a command's help costs an import
        return "", [Candidate(name, help=_summary(program, name) if shows_help else "") for name in names]
    name = before[place]
    words = before[place + 1 :]
    if name not in program.list_commands(None):
        if not is_source(name):
            return "", []
        name, words = DEFAULT, before[place:]
    command = program.get_command(None, name)
    parameters = _parameters(command)
    typed = read_typed(parameters, words, current, behind)
    return typed.prefix, complete(command.declared, parameters, typed)


def _parameters(command: Any) -> Sequence[Any]:
    """Arguments and options, --help among them."""
    context = command.make_context("", [], resilient_parsing=True, help_option_names=["-h", "--help"])
    return list(command.get_params(context))


def _summary(program: Any, name: str) -> str:
    return str(program.get_command(None, name).help).partition("\n")[0]
