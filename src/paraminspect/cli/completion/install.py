"""Where a shell looks for its completions, and putting the script there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from paraminspect.cli.completion.answer import SHELLS, read_script
from paraminspect.errors import ParamInspectError
from paraminspect.files.reasons import with_reason
from paraminspect.tuples import NamedTuple

CURRENT: Final = "current"
"""Stands for the shell from which the command was run."""

_PRINTS: Final = "paraminspect --show-completion {} prints the script"


class Place(NamedTuple):
    """What one shell reads.

    Attributes:
        script: File of the script; the first variable that is set stands before the rest.
        start: File that the shell reads when it starts; "" if it finds the script by itself.
        line: What has to stand in that one, with {script} and {folder} for where it is.
    """

    script: tuple[str, str]
    start: str = ""
    line: str = ""


_PLACES: Final[Mapping[str, Place]] = {
    "bash": Place(
        ("XDG_DATA_HOME:.local/share", "bash-completion/completions/paraminspect"), ".bashrc", "source {script}"
    ),
    "zsh": Place((":.zfunc", "_paraminspect"), ".zshrc", "fpath+=({folder}); autoload -Uz compinit; compinit"),
    "fish": Place(("XDG_CONFIG_HOME:.config", "fish/completions/paraminspect.fish")),
}


def find_shell(wanted: str) -> str:
    """The shell that is meant.

    Args:
        wanted: One of SHELLS, or CURRENT.

    Raises:
        ParamInspectError: There is no completion for it, or it cannot be found out.
    """
    hint = f"name one: {', '.join(SHELLS)}"
    if wanted != CURRENT:
        return wanted
    try:
        import shellingham  # type: ignore[import-untyped]  # typer brings it

        name = str(shellingham.detect_shell()[0])
    except Exception:  # of any kind: it looks through the processes of the system
        raise ParamInspectError("cannot tell which shell this is", hint=hint) from None
    if name not in SHELLS:
        raise ParamInspectError(f"there is no completion for {name}", hint=hint)
    return name


def install_script(shell: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Write the script, and have the shell read it when it starts; what stands in other files is left as it is.

    Returns:
        The file of the script, and the file that a line was added to; "" if none had to be.

    Raises:
        ParamInspectError: There is no home, or a file cannot be written.
    """
    try:
        return _install(shell, environ)
    except OSError as error:
        file = os.fspath(error.filename or environ.get("HOME", ""))
        message = f"{file}: {with_reason('cannot be written', error, 'write there')}"
        raise ParamInspectError(message, hint=_PRINTS.format(shell)) from None


def _install(shell: str, environ: Mapping[str, str]) -> tuple[str, str]:
    home = environ.get("HOME", "")
    if not home:
        raise ParamInspectError("HOME is not set", hint=_PRINTS.format(shell))
    place = _PLACES[shell]
    variable, _, default = place.script[0].partition(":")
    script = os.path.join(environ.get(variable) or os.path.join(home, default), place.script[1])
    os.makedirs(os.path.dirname(script), exist_ok=True)
    with open(script, "w", encoding="utf-8") as file:
        file.write(read_script(shell))
    if not place.start:
        return script, ""
    import shlex

    start = os.path.join(environ.get("ZDOTDIR") or home if shell == "zsh" else home, place.start)
    line = place.line.format(script=shlex.quote(script), folder=shlex.quote(os.path.dirname(script)))
    return script, start if _add_line(start, line) else ""


def _add_line(path: str, line: str) -> bool:
    """Append a line that a file does not have yet."""
    with open(path, "a+", encoding="utf-8", errors="surrogateescape") as file:
        file.seek(0)
        text = file.read()
        if line in text.splitlines():
            return False
        file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
        return True
