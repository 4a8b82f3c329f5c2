"""Files that change while they are read: an error in words, nothing written, whatever the command and the format."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

import paraminspect
from paraminspect.errors import ChangedError
from paraminspect.files.blob import open_blob
from paraminspect.files.local import PLACE, Local, LocalFile
from paraminspect.files.seen import Version, note_all, raise_changed, reading, reading_back, settle, version_of
from paraminspect.files.storing import copy_in_kernel
from tests.making.formats import SAMPLES
from tests.making.running import Result, run_here

SAID = "the file changed while it was read: "


def rewrite(path: Path) -> None:
    """The same number of bytes, written later."""
    written = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    os.utime(path, ns=(written, written + 1))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def replace(path: Path) -> None:
    """Another file of the same bytes and times takes the name."""
    before = path.stat()
    copy = path.with_name("other")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.replace(path)


def remove(path: Path) -> None:
    path.unlink()


CHANGES: dict[Callable[[Path], None], str] = {
    rewrite: "somebody wrote into it",
    truncate: "and has",
    append: "and has",
    replace: "another file has its name now",
    remove: "it is gone",
}

COMMANDS = {
    "info": ["{0}"],
    "list": ["list", "{0}"],
    "tree": ["tree", "{0}"],
    "stats": ["stats", "{0}"],
    "stats as json": ["stats", "{0}", "-f", "json"],
    "show": ["show", "{0}", "*"],
    "shared": ["shared", "{0}", "--all"],
    "shared --equal": ["shared", "{0}", "reference.safetensors", "--equal"],
    "diff": ["diff", "reference.safetensors", "{0}"],
    "check": ["check", "{0}"],
    "check --deep": ["check", "{0}", "--deep"],
    "convert": ["convert", "{0}", "-o", "out.safetensors"],
    "convert into shards": ["convert", "{0}", "-o", "out/"],
    "convert --verify": ["convert", "{0}", "-o", "out.pt", "--verify"],
    "init": ["init", "{0}", "--rule", "*=mul(2)", "-o", "out.safetensors"],
    "init in place": ["init", "{0}", "--rule", "*=mul(2)", "-o", "{0}", "--force"],
}


Plan = Callable[[Path, Callable[[Path], None]], None]


@pytest.fixture
def change_at(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Has a file change just behind the first time that it is opened, or that another one is."""

    def plan(path: Path, change: Callable[[Path], None], at: Path | None = None) -> None:
        opened = type(PLACE).open
        waiting = [change]

        def open_(self: Local, given: str | None) -> LocalFile:
            file = opened(self, given)
            if waiting and given is not None and Path(given).resolve() == (at or path).resolve():
                waiting.pop()(path)
            return file

        monkeypatch.setattr(type(PLACE), "open", open_)

    return plan


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    safetensors.torch.save_file({"w": torch.zeros(2)}, "reference.safetensors")
    (tmp_path / "spec.yaml").write_text("model: [{Linear: [2, 1, {bias: false}]}]\ninput: [1, 2]\n")
    return tmp_path


def check_refused(done: Result, path: str, what: str, before: list[str]) -> None:
    assert done.status == 2, (done.stdout, done.stderr)
    assert f"error: {path}: {SAID}" in done.stderr
    assert what in done.stderr
    assert done.stderr.count("error:") == 1
    assert done.stdout == ""
    assert sorted(each for each in os.listdir() if each != path.partition("/")[0]) == before


def words_for(command: str, path: str) -> list[str]:
    return [word.format(path) for word in COMMANDS[command]]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_change_of_any_kind(
    folder: Path,
    change_at: Plan,
    command: str,
    change: Callable[[Path], None],
) -> None:
    safetensors.torch.save_file({"w": torch.ones(2)}, "m.safetensors")
    before = sorted(each for each in os.listdir() if each != "m.safetensors")
    change_at(folder / "m.safetensors", change)
    check_refused(run_here(*words_for(command, "m.safetensors")), "m.safetensors", CHANGES[change], before)


def files_of(path: Path) -> Iterator[Path]:
    return (each for each in sorted(path.rglob("*")) if each.is_file()) if path.is_dir() else iter([path])


@pytest.mark.parametrize("command", ["list", "stats", "check --deep", "convert", "shared --equal"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_change_of_any_format(folder: Path, change_at: Plan, name: str, command: str) -> None:
    SAMPLES[name](folder / "m")
    before = sorted(each for each in os.listdir() if each != "m")
    *_, last = files_of(folder / "m")  # of several the one that is opened last
    if name == "torch distributed" and command == "list":  # whose values nobody opens
        return
    change_at(last, append)
    check_refused(run_here(*words_for(command, "m")), os.path.relpath(last), "and has", before)


def test_a_shard_that_changes_before_its_turn(folder: Path, change_at: Plan) -> None:
    SAMPLES["sharded"](folder / "m")
    first, last = files_of(folder / "m")
    change_at(last, rewrite, first)
    done = run_here("list", "m")
    assert (done.status, done.stdout) == (2, "")
    assert f"error: m/{last.name}: {SAID}somebody wrote into it" in done.stderr


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_weights_that_change(folder: Path, change_at: Plan, change: Callable[[Path], None]) -> None:
    safetensors.torch.save_file({"0.weight": torch.ones(1, 2)}, "m.safetensors")
    for command in ("grad", "stats"):
        change_at(folder / "m.safetensors", change)
        done = run_here(command, "spec.yaml", "--weights", "m.safetensors")
        assert (done.status, done.stdout) == (2, "")
        assert f"error: m.safetensors: {SAID}" in done.stderr
        safetensors.torch.save_file({"0.weight": torch.ones(1, 2)}, "m.safetensors")


def test_of_several_sources_the_others_are_shown(folder: Path, change_at: Plan) -> None:
    for name in ("a", "b", "c"):
        safetensors.torch.save_file({name: torch.ones(2)}, f"{name}.safetensors")
    change_at(folder / "b.safetensors", append)
    done = run_here("list", "a.safetensors", "b.safetensors", "c.safetensors", "-f", "names")
    assert (done.status, done.stdout.split()) == (2, ["a", "c"])
    assert done.stderr.count("error: b.safetensors: the file changed") == done.stderr.count("error:") == 1


def test_what_is_done_with_does_not_matter(folder: Path, change_at: Plan) -> None:
    for name in ("a", "b"):
        safetensors.torch.save_file({name: torch.ones(2)}, f"{name}.safetensors")
    change_at(folder / "a.safetensors", append, folder / "b.safetensors")
    done = run_here("stats", "a.safetensors", "b.safetensors", "-f", "names")
    assert (done.status, done.stdout.split()) == (0, ["a", "b"])


def test_our_own_edits_are_no_change(folder: Path) -> None:
    SAMPLES["sharded"](folder / "m")
    for command in (
        ["init", "m", "--rule", "w1=ones", "-o", "m", "--force"],
        ["init", "reference.safetensors", "--rule", "*=ones", "-o", "reference.safetensors", "--force"],
        ["convert", "reference.safetensors", "-o", "reference.safetensors", "--force", "--verify"],
        ["diff", "m", "m"],
        ["shared", "m", "m", "--equal"],
    ):
        done = run_here(*command)
        assert done.status == 0, (command, done.stderr)


@pytest.fixture
def model(folder: Path) -> paraminspect.Model:
    shutil.copy("reference.safetensors", "other.safetensors")
    return paraminspect.open("reference.safetensors")


ASKED: dict[str, Callable[[paraminspect.Model], object]] = {
    "stats": lambda model: model.stats(),
    "one": lambda model: model["w"].numpy(),
    "one's stats": lambda model: model["w"].stats(),
    "ties": paraminspect.ties,
    "diff": lambda model: paraminspect.diff(model, "other.safetensors"),
    "check": lambda model: paraminspect.check(model, deep=True),
    "convert": lambda model: paraminspect.convert(model, "out.pt"),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("ask", ASKED)
def test_a_model_that_was_opened_before(
    folder: Path, model: paraminspect.Model, ask: str, change: Callable[[Path], None]
) -> None:
    change(folder / "reference.safetensors")
    for _ in range(2):  # it stays so
        with pytest.raises(ChangedError, match=SAID):
            ASKED[ask](model)
    assert not Path("out.pt").exists()


def test_a_model_whose_file_was_written_over_by_itself(folder: Path, model: paraminspect.Model) -> None:
    paraminspect.convert(model, "reference.safetensors", force=True)
    with pytest.raises(ChangedError, match="another file has its name now"):
        model.stats()


def test_nothing_is_noted_outside_and_of_copies(folder: Path) -> None:
    path = str(folder / "reference.safetensors")
    open_blob(path)
    append(folder / "reference.safetensors")
    with reading() as seen:
        with reading_back():
            open_blob(path)
        append(folder / "reference.safetensors")
        open_blob(path)
        settle()
        append(folder / "reference.safetensors")
    seen.raise_changed()


def change_and_raise(path: Path, error: Exception) -> None:
    with reading():
        open_blob(str(path))
        append(path)
        raise error


def test_an_error_that_comes_of_the_change_is_not_said(folder: Path) -> None:
    with pytest.raises(ChangedError, match=SAID):
        change_and_raise(folder / "reference.safetensors", ValueError("numbers do not add up"))
    with pytest.raises(BrokenPipeError):
        change_and_raise(folder / "reference.safetensors", BrokenPipeError())


def test_one_look_tells_until_something_is_read(folder: Path) -> None:
    path = folder / "reference.safetensors"
    with reading():
        blob = open_blob(str(path))
        blob.read(0, 8)
        raise_changed()
        append(path)
        raise_changed()  # what was read is all of one version
        blob.read(0, 8)
        with pytest.raises(ChangedError, match="and has"):
            raise_changed()


def read_some(path: Path) -> None:
    open_blob(str(path)).read(0, 1)


def fill_some(path: Path) -> None:
    open_blob(str(path)).read_into(memoryview(bytearray(1)), 0)


def copy_some(path: Path) -> None:
    with path.open("rb") as source, path.with_name("copy").open("wb") as target:
        assert copy_in_kernel(source.fileno(), target.fileno(), 1, 0, 0) is not None


@pytest.mark.parametrize("read", [read_some, fill_some, copy_some])
def test_each_way_to_read_asks_for_another_look(folder: Path, read: Callable[[Path], None]) -> None:
    with reading():
        open_blob(str(folder / "reference.safetensors"))
        raise_changed()
        append(folder / "reference.safetensors")
        read(folder / "spec.yaml")
        with pytest.raises(ChangedError, match="and has"):
            raise_changed()


def test_a_look_of_another_run_tells_nothing(folder: Path) -> None:
    path = folder / "reference.safetensors"
    with reading() as seen:
        open_blob(str(path))
        raise_changed()
    append(path)
    with pytest.raises(ChangedError, match="and has"), reading(seen):
        pass
    with reading():
        open_blob(str(path))


def open_known(path: str, known: dict[str, Version]) -> None:
    with reading():
        note_all([path], known)
        open_blob(path)


def test_a_file_that_was_looked_at_is_that_one_when_it_is_opened(folder: Path) -> None:
    path = folder / "reference.safetensors"
    known = {str(path): version_of(path.stat())}
    replace(path)
    with pytest.raises(ChangedError, match="another file has its name now"):
        open_known(str(path), known)
