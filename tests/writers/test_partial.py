"""What a run that was killed leaves, and who may remove it; permissions of what is replaced."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from paraminspect.errors import TargetError
from paraminspect.files import storing
from paraminspect.writers import partial, small_file
from paraminspect.writers.layout import Copy, FileLayout, Layout, OutTensor, Piece, Slot
from paraminspect.writers.shards import plan_shards
from paraminspect.writers.small_file import write_whole
from paraminspect.writers.torch_zip import plan_torch_zip
from paraminspect.writers.whole_files import open_target
from tests.making.leftovers import litter
from tests.making.running import run_here

TENSORS = [OutTensor("a", "float32", (50,)), OutTensor("b", "uint8", (301,))]
LAYOUT = plan_torch_zip(TENSORS)
SHARDS = plan_shards(TENSORS, {}, 301)
SHARDED = sorted(file.name for file in SHARDS.files)


@pytest.fixture
def due(values: Any) -> list[bytes]:
    found: list[bytes] = values(TENSORS)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.pt"


@pytest.mark.parametrize(("uid", "gid", "mode"), [(0, 0, 0o6755), (1, 0, 0o2755), (0, 1, 0o4755)])
def test_rights_of_an_owner_do_not_pass_to_another(
    uid: int, gid: int, mode: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("old")
    path.chmod(0o6755)
    fields = list(path.stat())
    fields[stat.ST_UID] += uid
    fields[stat.ST_GID] += gid
    found = os.stat_result(fields)
    monkeypatch.setattr(small_file, "check_file", lambda *_: found)
    write_whole(str(path), [b"new"])
    assert stat.S_IMODE(path.stat().st_mode) == mode


def make_stale(kind: str, place: Path) -> None:
    match kind:
        case "file":
            place.write_text("half")
        case "unreadable":
            place.write_text("half")
            place.chmod(0)
        case "folder":
            (place / "sub").mkdir(parents=True)
            (place / "sub" / "x").touch()
        case "link":
            victim = place.with_name("victim")
            victim.write_text("untouched")
            place.symlink_to(victim)


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_folder_that_holds_no_files_is_not_busy(tmp_path: Path, is_folder: bool) -> None:
    """As /proc, or one that was removed meanwhile."""
    with pytest.raises(TargetError, match="no file can be made there"):
        partial.Partial(str(tmp_path / "gone" / "m.pt"), is_folder=is_folder).make()


@pytest.mark.parametrize("kind", ["file", "unreadable", "folder", "link"])
@pytest.mark.parametrize("layout", [LAYOUT, SHARDS], ids=["to a file", "to a folder"])
def test_what_a_killed_run_left_is_taken_over(
    kind: str, layout: Layout, tmp_path: Path, due: list[bytes], put: Any
) -> None:
    make_stale(kind, tmp_path / ".out.paraminspect-partial")
    with open_target(layout, str(tmp_path / "out")) as sink:
        put(sink, due)
    assert litter(tmp_path) == []
    assert kind != "link" or (tmp_path / "victim").read_text() == "untouched"


CHILD = """
import sys, time
from paraminspect.writers.whole_files import open_target
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.torch_zip import plan_torch_zip
with open_target(plan_torch_zip([OutTensor("a", "uint8", (1000,))]), sys.argv[1], force=True) as sink:
    sink.put(0, 0, bytes(500))
    print("half", flush=True)
    time.sleep(60)
"""


def test_killed_in_the_middle(path: Path, due: list[bytes], put: Any) -> None:
    path.write_text("old")
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        with pytest.raises(TargetError, match="another run"):
            open_target(LAYOUT, str(path), force=True).__enter__()
        child.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert litter(path.parent) == [".m.pt.paraminspect-partial"]
    with open_target(LAYOUT, str(path), force=True) as sink:
        put(sink, due)
    assert path.stat().st_size == LAYOUT.nbytes


def do_not_lock(fd: int, _: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that does not lock."""
    monkeypatch.setattr(storing.fcntl, "flock", do_not_lock)


@pytest.mark.usefixtures("unlocked")
@pytest.mark.parametrize("layout", [LAYOUT, SHARDS], ids=["to a file", "to a folder"])
def test_without_locks_what_is_left_stays_and_is_said(
    layout: Layout, tmp_path: Path, due: list[bytes], put: Any
) -> None:
    names = [".out.2.paraminspect-partial", ".out.paraminspect-partial"]
    for name in names:
        (tmp_path / name).write_text("half")
    with open_target(layout, str(tmp_path / "out")) as sink:
        put(sink, due)
        assert sorted(litter(tmp_path)) == [names[0], ".out.3.paraminspect-partial", names[1]]
    assert sorted(litter(tmp_path)) == names
    assert [text.partition(" is left")[0] for text in sink.remarks] == [str(tmp_path / name) for name in names[::-1]]
    said = write_whole(str(tmp_path / "other"), [b"x"]) + write_whole(str(tmp_path / "out.txt"), [b"x"])
    assert said == []


@pytest.mark.usefixtures("unlocked")
def test_without_locks_the_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2)}, "m.pt")
    for command in (
        ["convert", "m.pt"],
        ["init", "m.pt", "--rule", "w=zeros"],
        ["show", "m.pt", "w"],
    ):
        Path(".out.pt.paraminspect-partial").write_text("half")
        done = run_here(*command, "-o", "out.pt")
        assert done.status == 0, done.stderr
        assert f"note: {tmp_path}/.out.pt.paraminspect-partial is left from another run and stays" in done.stderr
        Path("out.pt").unlink()
    assert sorted(os.listdir()) == [".out.pt.paraminspect-partial", "m.pt"]


@pytest.mark.usefixtures("unlocked")
def test_without_locks_there_is_an_end(tmp_path: Path) -> None:
    for number in ("", *(f".{number}" for number in range(2, 40))):
        (tmp_path / f".out{number}.paraminspect-partial").touch()
    with pytest.raises(TargetError, match="10 files of other runs"):
        write_whole(str(tmp_path / "out"), [b"x"])


SHARD = ".b.paraminspect-partial"


def shards_of(folder: Path) -> Layout:
    """Two files, of which the first changes."""
    for name in "ab":
        (folder / name).write_bytes(b"0123456789")
    files = tuple(FileLayout(name, 10, (Piece(0, Copy(str(folder / name), 0, 6)),)) for name in "ab")
    return Layout(files, (Slot(0, 6, 4), Slot(1, 10, 0)), is_folder=True, sequential=False)


def test_what_a_killed_run_left_of_another_shard_goes(tmp_path: Path) -> None:
    layout = shards_of(tmp_path)
    (tmp_path / SHARD).write_text("half")
    (tmp_path / ".c.paraminspect-partial").write_text("of another output")
    with pytest.raises(KeyboardInterrupt), open_target(layout, str(tmp_path), force=True):
        raise KeyboardInterrupt
    assert (tmp_path / SHARD).exists(), "the run was not finished"
    with open_target(layout, str(tmp_path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert litter(tmp_path) == [".c.paraminspect-partial"]
    assert sink.remarks == []


def test_a_shard_that_another_run_is_writing_stays(tmp_path: Path) -> None:
    layout = shards_of(tmp_path)
    other = partial.Partial(str(tmp_path / "b"))
    other.make()
    with open_target(layout, str(tmp_path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert litter(tmp_path) == [SHARD]
    other.discard()
    other.close()


@pytest.mark.usefixtures("unlocked")
def test_without_locks_what_is_left_of_a_shard_stays(tmp_path: Path) -> None:
    layout = shards_of(tmp_path)
    (tmp_path / SHARD).write_text("half")
    with open_target(layout, str(tmp_path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert litter(tmp_path) == [SHARD]
    assert len(sink.remarks) == 1


def test_what_is_left_in_a_folder_that_is_replaced(tmp_path: Path, due: list[bytes], put: Any) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / SHARD).write_text("half")
    with open_target(SHARDS, str(tmp_path / "out"), force=True) as sink:
        put(sink, due)
    assert sorted(os.listdir(tmp_path / "out")) == SHARDED
    other = partial.Partial(str(tmp_path / "out" / "b"))
    other.make()
    with pytest.raises(TargetError, match="another run is writing it"):
        open_target(SHARDS, str(tmp_path / "out"), force=True).__enter__()
    other.discard()
    other.close()
