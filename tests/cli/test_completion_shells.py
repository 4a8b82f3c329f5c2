"""Completion as a user has it: real shells on a terminal, with the script sourced and the tab key pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paraminspect.cli.completion.answer import read_script
from tests.making.safetensors_files import save_shapes

Command = tuple[list[str], dict[str, str]]

DEADLINE_S = 60

pytestmark = pytest.mark.extra

NAMES = [
    "h.0.attn.weight", "h.0.attn.bias", "h.0.mlp.weight", "h.1.attn.weight", "h.1.attn.bias", "h.10.attn.weight",
    "wte.weight", "lm_head.weight",
]  # fmt: skip

HOSTILE = [
    "a$(touch PWNED)", "b`touch PWNED`", "c\\$(touch PWNED)", "e'; touch PWNED; '", 'f"; touch PWNED; "',
    "g|touch PWNED&", "k*", "l with blanks", "m!!", "n{1,2}", "r:s:t", "é(层)", "$[1]", "~root",
]  # fmt: skip
"""Names that mean something to some shell: each of them can be completed, and is then the argument that it says."""

UNPRINTABLE = ["A\nB", "A\x1b]0;title\x07", "A\tword", "A\rB", "A\u202ereversed", "A\x9b2J", "-A"]
"""Names that a terminal would obey, and one that would be taken for an option: never offered."""


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> Path:
    """Where the shell runs: models, and a folder with the program under its name."""
    program, environ = command
    binaries = tmp_path / "bin"
    binaries.mkdir()
    exports = "".join(f"export {name}='{value}'\n" for name, value in environ.items() if name == "PYTHONPATH")
    # without a line to complete it shows what it was given
    (binaries / "paraminspect").write_text(
        f"#!/bin/sh\n{exports}"
        f'test -n "$_PARAMINSPECT_COMPLETE" && exec {" ".join(program)} "$@"\n'
        "for each; do printf '[%s]' \"$each\"; done; echo\n"
    )
    (binaries / "paraminspect").chmod(0o755)
    save_shapes(tmp_path / "model.safetensors", {name: [2, 0] for name in NAMES})
    save_shapes(tmp_path / "hostile.safetensors", {name: [0] for name in HOSTILE + UNPRINTABLE})
    save_shapes(tmp_path / "a model.safetensors", {"x": [0]})
    (tmp_path / "spec.yaml").write_text("vars: {width: 2}\nmodel: [{Linear: [2, 2]}]\ninit: {flat: ['*=zeros']}\n")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:100])
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"script.{shell}").write_text(read_script(shell))
    return tmp_path


class Terminal:
    """An interactive shell, and what it writes."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.shell = shell
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 400, 0, 0))
        environ = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb",
            "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null",
        }  # fmt: skip
        self.process = subprocess.Popen(
            SETUP[shell][0], cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.descriptor = ours

    def send(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def read_until(self, begin: str, end: str) -> str:
        """What comes between two marks."""
        seen = b""
        limit = time.monotonic() + DEADLINE_S
        while begin.encode() not in seen or end.encode() not in seen.split(begin.encode(), 1)[1]:
            assert select.select([self.descriptor], [], [], limit - time.monotonic())[0], seen
            seen += os.read(self.descriptor, 65536)
        return seen.split(begin.encode(), 1)[1].split(end.encode(), 1)[0].decode()

    def line_after(self, keys: str) -> str:
        """The line in the editor after these keys, which is then thrown away."""
        self.send(f"{keys}\x07")
        line = self.read_until("<line ", ">\r\n")
        self.send("\x15")
        return line

    def run(self, keys: str) -> str:
        """What the line prints that these keys make."""
        self.send(f"{keys}\n")
        return self.read_until("\r\n[", "\r\n")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.descriptor)


SETUP = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "PS1= PS2=; bind 'set bell-style none'; bind 'set page-completions off'; bind 'set completion-query-items 0'\n"
        'source script.bash; bind -x \'"\\C-g": printf "<line %s>\\n" "$READLINE_LINE"\'\n',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1= PS2= RPS1= PROMPT_EOL_MARK=; unsetopt beep prompt_cr; LISTMAX=9999; autoload -Uz compinit; compinit -D -u\n"
        "source script.zsh; show_line() { print -r -- \"<line $BUFFER>\" }; zle -N show_line; bindkey '^G' show_line\n",
    ),
    "fish": (  # which edits lines only on a terminal that is its own
        ["setsid", "--ctty", "--wait", "fish", "--no-config", "-i"],
        "function fish_prompt; end; function fish_greeting; end; set -g fish_autosuggestion_enabled 0; source script.fish\n"
        "function show_line; printf '<line %s>\\n' (commandline | string collect); end; bind \\cg show_line\n"
        "bind \\cu 'commandline \"\"'\n",
    ),
}


@pytest.fixture(params=SETUP)
def terminal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    terminal = Terminal(shell, folder)
    try:
        terminal.send(f"{SETUP[shell][1]}echo '<rea''dy>'\n")
        terminal.read_until("<ready", ">")
        yield terminal
    finally:
        terminal.close()


CASES = {
    "paraminspect conv": "paraminspect convert ",
    "paraminspect list mod": "paraminspect list model.safetensors ",
    "paraminspect list --format js": "paraminspect list --format json",
    "paraminspect list -fmark": "paraminspect list -fmarkdown ",
    "paraminspect list --sel": "paraminspect list --select ",
    "paraminspect diff --gi": "paraminspect diff --git ",
    "paraminspect list -c name,sha": "paraminspect list -c name,shape",
    "paraminspect check x --ignore zip-dup": "paraminspect check x --ignore zip-duplicate ",
    "paraminspect list spec.yaml -D wi": "paraminspect list spec.yaml -D width=",
    "paraminspect init spec.yaml --rule fl": "paraminspect init spec.yaml --rule flat ",
    "paraminspect list 'a mod": "paraminspect list 'a model.safetensors' ",
    'paraminspect list "a mod': 'paraminspect list "a model.safetensors" ',
    "paraminspect list a\\ mod": "paraminspect list a\\ model.safetensors ",
    "paraminspect list ~/mod": "paraminspect list ~/model.safetensors ",
    "paraminspect list ./mod": "paraminspect list ./model.safetensors ",
    "paraminspect grad spec.yaml --weights=mod": "paraminspect grad spec.yaml --weights=model.safetensors ",
    "paraminspect show model.safetensors h.0.attn.b": "paraminspect show model.safetensors h.0.attn.bias ",
    "paraminspect list model.safetensors --select=wt": "paraminspect list model.safetensors --select=wte.weight ",
    "paraminspect list model.safetensors -s 'h.0.attn.b": "paraminspect list model.safetensors -s 'h.0.attn.bias' ",
    'paraminspect list model.safetensors -x "h.0.attn.b': 'paraminspect list model.safetensors -x "h.0.attn.bias" ',
    "paraminspect list model.safetensors -s Linear:wt": "paraminspect list model.safetensors -s Linear:wte.weight ",
    "paraminspect list ~/model.safetensors -s wt": "paraminspect list ~/model.safetensors -s wte.weight ",
    "paraminspect shared model.safetensors --expect w": "paraminspect shared model.safetensors --expect wte.weight,",
    "paraminspect shared model.safetensors --expect wte.weight,l": "paraminspect shared model.safetensors --expect "
    "wte.weight,lm_head.weight ",
    "paraminspect init model.safetensors --rule wt": "paraminspect init model.safetensors --rule wte.weight=",
    "paraminspect init model.safetensors --rule 'wte.weight=ze": "paraminspect init model.safetensors --rule "
    "'wte.weight=zeros' ",
    "true | paraminspect list model.safetensors -s wt": "true | paraminspect list model.safetensors -s wte.weight ",
}


WITHOUT_NAMES = ("torn.safetensors", "pipe", "spec.yaml")


def test_tab_key(terminal: Terminal) -> None:
    found = {typed: terminal.line_after(f"{typed}\t") for typed in CASES}
    blank = " " if terminal.shell == "fish" else ""  # which puts one behind all but a few characters
    assert found == {**CASES, (columns := "paraminspect list -c name,sha"): CASES[columns] + blank}


def test_a_source_without_names_completes_nothing(terminal: Terminal, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    lines = [f"paraminspect show {source} w" for source in WITHOUT_NAMES]
    assert [terminal.line_after(f"{typed}\t") for typed in lines] == lines


@pytest.mark.parametrize("terminal", ["bash", "zsh"], indirect=True)  # fish does not tell them
def test_words_behind_the_cursor_count(terminal: Terminal) -> None:
    back = "\x02" * len(" model.safetensors")
    line = terminal.line_after(f"paraminspect list -s wt model.safetensors{back}\t")
    assert line.split() == ["paraminspect", "list", "-s", "wte.weight", "model.safetensors"]


def test_no_name_of_a_file_is_taken_for_anything_else(terminal: Terminal, folder: Path) -> None:
    beginnings = {name: name[:1] for name in HOSTILE}
    quoted = {"$[1]": "\\$", "~root": "\\~"}
    for name, beginning in beginnings.items():
        printed = terminal.run(f"paraminspect show hostile.safetensors {quoted.get(name, beginning)}\t")
        assert printed == f"show][hostile.safetensors][{name}]"
    for opened in ("'", '"'):
        terminal.run(f"paraminspect show hostile.safetensors {opened}g\t")
    assert terminal.line_after("paraminspect show hostile.safetensors A\t").endswith(" A")
    assert not (folder / "PWNED").exists()


def fish(folder: Path, line: str) -> list[str]:
    """What fish offers for a line."""
    script = f"source script.fish; complete -C {line!r}" if "'" in line else f"source script.fish; complete -C '{line}'"
    environ = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], cwd=folder, env=environ, capture_output=True, text=True,
        timeout=DEADLINE_S, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish(folder: Path) -> None:
    assert fish(folder, "paraminspect conv") == ["convert\tWrite a model as safetensors, a torch state dict or npz."]
    assert fish(folder, "paraminspect list mod") == ["model.safetensors"]
    assert fish(folder, "paraminspect show model.safetensors h.0.") == [
        "h.0.attn.\t2 tensors",
        "h.0.mlp.\t1 tensor",
    ]
    assert fish(folder, "paraminspect list --format js") == ["json", "jsonl"]
    assert fish(folder, "paraminspect list model.safetensors --select=wt") == ["--select=wte.weight\tfloat32 [2,0]"]
    assert fish(folder, "paraminspect show torn.safetensors w") == []
    offered = fish(folder, "paraminspect show hostile.safetensors ")
    assert {line.partition("\t")[0] for line in offered} == set(HOSTILE)
    assert not (folder / "PWNED").exists()
