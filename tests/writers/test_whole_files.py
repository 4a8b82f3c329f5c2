from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

from paraminspect.errors import ParamInspectError, TargetError
from paraminspect.writers import direct, partial
from paraminspect.writers import sink as sink_module
from paraminspect.writers.layout import Copy, FileLayout, Layout, OutTensor, Piece, Slot
from paraminspect.writers.safetensors import plan_safetensors
from paraminspect.writers.shards import plan_shards
from paraminspect.writers.small_file import write_whole
from paraminspect.writers.torch_zip import plan_torch_zip
from paraminspect.writers.whole_files import open_stream, open_target
from tests.making.leftovers import litter

TENSORS = [OutTensor("a", "float32", (50,)), OutTensor("none", "float32", (0,)), OutTensor("b", "uint8", (301,))]
LAYOUT = plan_torch_zip(TENSORS)
SHARDS = plan_shards(TENSORS, {}, 301)


@pytest.fixture
def due(values: Any) -> list[bytes]:
    found: list[bytes] = values(TENSORS)
    return found


@pytest.fixture
def whole(due: list[bytes], tmp_path_factory: pytest.TempPathFactory, write: Any) -> bytes:
    """What the file of `LAYOUT` is to be."""
    path = tmp_path_factory.mktemp("whole") / "m.pt"
    write(LAYOUT, path, due)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A target in a folder that is to hold nothing else in the end."""
    yield tmp_path / "m.pt"
    assert litter(tmp_path) == []


def write_and(then: Any, layout: Layout, path: Path, data: list[bytes], put: Any, *, force: bool = False) -> None:
    """Put everything, then do something else before the end."""
    with open_target(layout, str(path), force=force) as sink:
        put(sink, data)
        then()


def interrupt() -> None:
    raise KeyboardInterrupt


# --- files ------------------------------------------------------------------------------------------------------


def test_nothing_appears_before_the_end(path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    with open_target(LAYOUT, str(path)) as sink:
        put(sink, due)
        assert not path.exists()
    assert path.read_bytes() == whole


def test_any_order_chunk_and_thread(path: Path, values: Any, put: Any, write: Any, tmp_path: Path) -> None:
    tensors = [OutTensor(f"t{n}", "uint8", (n * 37 % 5000,)) for n in range(60)]
    layout, data = plan_torch_zip(tensors), values(tensors)
    write(layout, tmp_path / "in_order", data)
    order = list(range(60))
    Random(1).shuffle(order)
    with open_target(layout, str(path)) as sink, ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(put_one, sink, index, data[index]) for index in order]
        assert [job.result() for job in jobs] == [None] * 60
    assert path.read_bytes() == (tmp_path / "in_order").read_bytes()


def put_one(sink: Any, index: int, data: bytes) -> None:
    for begin in range(0, len(data), 61):
        sink.put(index, begin, memoryview(data)[begin : begin + 61])


def test_a_new_file_has_the_usual_permissions(path: Path, due: list[bytes], write: Any) -> None:
    before = os.umask(0o027)
    try:
        write(LAYOUT, path, due)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(mode: int, path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    path.write_text("old")
    path.chmod(mode)
    with open_target(LAYOUT, str(path), force=True) as sink:
        put(sink, due)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == whole


def test_a_link_stays_and_what_it_points_to_is_replaced(
    tmp_path: Path, due: list[bytes], put: Any, whole: bytes
) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link, dangling = tmp_path / "elsewhere" / "real.pt", tmp_path / "link.pt", tmp_path / "dangling.pt"
    target.write_text("old")
    link.symlink_to("elsewhere/real.pt")
    dangling.symlink_to("elsewhere/new.pt")
    for each in (link, dangling):
        with open_target(LAYOUT, str(each), force=True) as sink:
            put(sink, due)
        assert each.is_symlink()
        assert each.read_bytes() == whole
    assert litter(tmp_path) == []


def test_a_file_that_is_there_stays(path: Path) -> None:
    path.write_text("old")
    with pytest.raises(TargetError, match="it is there already") as caught, open_target(LAYOUT, str(path)):
        raise AssertionError("not reached")
    assert (caught.value.source, caught.value.hint) == (str(path), "--force replaces it")
    assert path.read_text() == "old"


def test_a_file_that_appears_meanwhile_stays(path: Path, due: list[bytes], put: Any) -> None:
    def meanwhile() -> None:
        path.write_text("theirs")

    with pytest.raises(TargetError, match="somebody else"):
        write_and(meanwhile, LAYOUT, path, due, put)
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ParamInspectError("no"), SystemExit(), OSError(5, "their own")])
def test_whatever_goes_wrong_the_old_file_stays(error: BaseException, path: Path, due: list[bytes], put: Any) -> None:
    path.write_text("old")

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        write_and(fail, LAYOUT, path, due, put, force=True)
    assert caught.value is error
    assert path.read_text() == "old"


@pytest.mark.parametrize("missing", [0, 2])
def test_a_file_that_is_not_complete_does_not_appear(missing: int, path: Path, due: list[bytes], put: Any) -> None:
    with pytest.raises(ValueError, match=f"of tensor {missing} 0 of"), open_target(LAYOUT, str(path)) as sink:
        put(sink, due, [index for index in range(3) if index != missing])
    assert not path.exists()


@pytest.mark.parametrize(("begin", "nbytes"), [(1, 5), (0, 202), (200, 1)])
def test_bytes_out_of_turn(begin: int, nbytes: int, path: Path) -> None:
    with pytest.raises(ValueError, match=r"bytes \d+ to \d+ of tensor 0"), open_target(LAYOUT, str(path)) as sink:
        sink.put(0, begin, bytes(nbytes))
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/m.pt", "there is no folder"),
        ("folder", "it is a folder"),
        ("m.pt/", "named as a folder"),
        ("", "the name of the output is empty"),
        ("https://host/m.pt", "a URL cannot be written to"),
        ("nul\0", "a zero byte"),
        ("\ud800", "half a surrogate"),
        ("x" * 300, "the name is too long"),
        ("loop", "leads to itself"),
        ("file/m.pt", "there is no folder"),
    ],
)
def test_places_where_no_file_can_be(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    Path("loop").symlink_to("loop")
    with pytest.raises(TargetError, match=message), open_target(LAYOUT, name, force=True):
        raise AssertionError("not reached")
    assert sorted(os.listdir()) == ["file", "folder", "loop"]


def test_a_name_as_long_as_names_can_be(tmp_path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    path = tmp_path / ("n" * 255)
    with open_target(LAYOUT, str(path)) as sink:
        put(sink, due)
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) == [path.name]


def test_space_is_looked_for_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize, f_blocks = 1, 1024, 10**6

    monkeypatch.setattr(os, "fstatvfs", lambda _: Full, raising=False)
    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    layout = plan_safetensors([OutTensor("a", "float32", (1 << 20,))], {})
    with pytest.raises(TargetError, match=r"not enough space: 4\.00 MiB needed, 1\.00 KiB free"):
        open_target(layout, str(path)).__enter__()


@pytest.mark.parametrize("layout", [LAYOUT, SHARDS], ids=["file", "folder"])
def test_room_is_found_meanwhile_for_files_in_memory(
    layout: Layout, tmp_path: Path, due: list[bytes], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, enough = [], threading.Event()
    total = sum(file.nbytes for file in layout.files)

    def allocate(fd: int, begin: int, nbytes: int) -> None:
        found.append((os.fstat(fd).st_ino, begin, nbytes))
        if sum(size for _, _, size in found) == total:
            enough.set()

    monkeypatch.setattr(sink_module, "RESERVED_BYTES", 100)
    monkeypatch.setattr(sink_module, "lies_in_memory", lambda fd: True)
    monkeypatch.setattr(sink_module, "allocate", allocate)
    for name in ("plain", "reserved"):
        with open_target(layout, str(tmp_path / name)) as sink:
            if name == "reserved":
                with sink.reserving():
                    assert enough.wait(60)
            put(sink, due)
    assert max(size for _, _, size in found) == 100
    assert len({inode for inode, _, _ in found}) == len(layout.files)
    one, other = ([each.read_bytes() for each in files_of(tmp_path / name)] for name in ("plain", "reserved"))
    assert one == other


def files_of(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


@pytest.mark.parametrize("in_memory", [True, False])
def test_room_that_is_not_found_or_not_looked_for_is_no_error(
    in_memory: bool, path: Path, due: list[bytes], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, begin: int, nbytes: int) -> None:
        asked.append(begin)
        raise OSError(errno.ENOSPC, "full")

    asked: list[int] = []
    monkeypatch.setattr(sink_module, "RESERVED_BYTES", 100)
    monkeypatch.setattr(sink_module, "lies_in_memory", lambda fd: in_memory)
    monkeypatch.setattr(sink_module, "allocate", refuse)
    with open_target(LAYOUT, str(path)) as sink:
        with sink.reserving():
            pass
        assert asked in ([[0], []] if in_memory else [[]])
        put(sink, due)
    assert path.exists()


def test_two_at_once(path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    with open_target(LAYOUT, str(path)) as sink:
        put(sink, due)
        with pytest.raises(TargetError, match="another run is writing it"):
            open_target(LAYOUT, str(path)).__enter__()
        with pytest.raises(TargetError, match="another run is writing it"):
            write_whole(str(path), [b"x"])
    assert path.read_bytes() == whole


def test_two_folders_at_once(tmp_path: Path, due: list[bytes], put: Any) -> None:
    with open_target(SHARDS, str(tmp_path / "out")) as sink:
        put(sink, due)
        with pytest.raises(TargetError, match="another run is writing it"):
            open_target(SHARDS, str(tmp_path / "out"), force=True).__enter__()
    assert sorted(os.listdir(tmp_path / "out")) == NAMES


INTERRUPTED = """
import sys
from concurrent.futures import ThreadPoolExecutor
from paraminspect.writers.whole_files import open_target
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.torch_zip import plan_torch_zip
layout = plan_torch_zip([OutTensor(f"t{n}", "uint8", (1 << 24,)) for n in range(2)])
def write(index):
    for begin in range(0, 1 << 24, 16):
        sink.put(index, begin, bytes(16))
with open_target(layout, sys.argv[1], force=True) as sink:
    pool = ThreadPoolExecutor(2)
    jobs = [pool.submit(write, index) for index in range(2)]
    print("writing", flush=True)
    for job in jobs:
        job.result()
"""


def test_interrupted_while_threads_write(path: Path) -> None:
    path.write_text("old")
    command = [sys.executable, "-c", INTERRUPTED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert path.read_text() == "old"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from paraminspect.errors import TargetError
from paraminspect.writers import outputs
from paraminspect.writers.small_file import write_whole
from paraminspect.writers.whole_files import open_target
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.safetensors import plan_safetensors
outputs.os.truncate = lambda fd, size: None  # so that the limit is met where the values come
layout = plan_safetensors([OutTensor("a", "uint8", (9000,))], {})
for write in (lambda: open_target(layout, sys.argv[1], force=True), None):
    try:
        if write is None:
            write_whole(sys.argv[1], [bytes(9000)])
        else:
            with write() as sink:
                sink.put(0, 0, bytes(9000))
    except TargetError as error:
        print(error)
"""


def test_larger_than_allowed(path: Path) -> None:
    path.write_text("old")
    ran = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{path}: the file would be larger than is allowed here\n" * 2
    assert path.read_text() == "old"


def test_no_descriptor_is_closed_under_a_thread(
    path: Path, due: list[bytes], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread is inside the write when the body is given up; the file is closed once it has come out."""
    inside, leave = threading.Event(), threading.Event()
    valid = []

    def slow_write(fd: int, data: memoryview, offset: int) -> None:
        inside.set()
        leave.wait(10)
        valid.append(os.fstat(fd).st_ino)

    target = open_target(LAYOUT, str(path))
    sink = target.__enter__()
    inode = next(path.parent.glob(".*")).stat().st_ino
    monkeypatch.setattr(direct, "write_at", slow_write)
    thread = threading.Thread(target=put, args=(sink, due, [0]))
    thread.start()
    inside.wait(10)
    threading.Timer(0.05, leave.set).start()
    assert not target.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread.join()
    assert valid == [inode]
    with pytest.raises(ParamInspectError, match="given up"):
        sink.put(2, 0, due[2])


# --- what is copied ---------------------------------------------------------------------------------------------


def copy_layout(source: Path, nbytes: int) -> Layout:
    pieces = (Piece(0, Copy(str(source), 0, 10)), Piece(14, Copy(str(source), 14, nbytes - 14)))
    return Layout((FileLayout("", nbytes, pieces),), (Slot(0, 10, 4),))


@pytest.mark.parametrize("kernel", [True, False])
def test_onto_the_input_itself(kernel: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    old = Random(0).randbytes(3 << 20)
    path.write_bytes(old)
    with open_target(copy_layout(path, len(old)), str(path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert path.read_bytes() == old[:10] + b"new!" + old[14:]


def test_a_kernel_that_does_not_copy_between_two_disks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "copy_file_range", failing_with(errno.EXDEV), raising=False)
    path.write_bytes(bytes(100))
    with open_target(copy_layout(path, 100), str(path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert path.read_bytes() == bytes(10) + b"new!" + bytes(86)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on the device"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, "cannot be written: input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["copy_file_range", "pwrite", "fsync"])
def test_a_disk_that_fails_in_the_middle(
    call: str, number: int, message: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(bytes(100))
    monkeypatch.setattr(os, call, failing_with(number), raising=False)
    with pytest.raises(TargetError, match=message), open_target(copy_layout(path, 100), str(path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert path.read_bytes() == bytes(100)


def failing_with(number: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_source_that_became_shorter(path: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(50))
    with pytest.raises(ParamInspectError, match="became shorter") as caught:
        open_target(copy_layout(tmp_path / "source", 100), str(path)).__enter__()
    assert caught.value.source == str(tmp_path / "source")


@pytest.mark.parametrize("kind", ["missing", "fifo"])
def test_a_source_that_cannot_be_copied(kind: str, path: Path, tmp_path: Path) -> None:
    if kind == "fifo":
        os.mkfifo(tmp_path / "source")
    with pytest.raises(ParamInspectError, match="not a regular file" if kind == "fifo" else "cannot be read"):
        open_target(copy_layout(tmp_path / "source", 100), str(path)).__enter__()
    assert not path.exists()


# --- folders ----------------------------------------------------------------------------------------------------


def write_folder(path: Path, due: list[bytes], put: Any, *, force: bool = False) -> None:
    with open_target(SHARDS, str(path), force=force) as sink:
        put(sink, due)


NAMES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_new_folder(slash: str, empty: bool, tmp_path: Path, due: list[bytes], put: Any) -> None:
    if empty:
        (tmp_path / "out").mkdir()
    with open_target(SHARDS, f"{tmp_path}/out{slash}") as sink:
        put(sink, due, [2, 0])
        assert sorted(os.listdir(tmp_path)) == [".out.paraminspect-partial", *["out"] * empty]
    assert sorted(os.listdir(tmp_path / "out")) == NAMES
    assert litter(tmp_path) == []


def test_a_folder_that_is_there(tmp_path: Path, due: list[bytes], put: Any) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model-00001-of-00001.safetensors").write_text("old")
    with pytest.raises(TargetError, match="there already"):
        write_folder(out, due, put)
    (out / "notes.md").touch()
    (out / "runs").mkdir()
    with pytest.raises(TargetError, match=r"also holds 'notes.md', 'runs', which would be lost"):
        write_folder(out, due, put, force=True)
    assert litter(tmp_path) == []
    (out / "notes.md").unlink()
    (out / "runs").rmdir()
    write_folder(out, due, put, force=True)
    assert sorted(os.listdir(out)) == NAMES
    assert litter(tmp_path) == []


def test_a_folder_in_the_place_of_a_file(tmp_path: Path, due: list[bytes], put: Any) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(TargetError, match="it is a file, and a folder"):
        write_folder(tmp_path / "out", due, put, force=True)
    assert os.listdir(tmp_path) == ["out"]


def test_given_up_the_old_folder_stays(tmp_path: Path, due: list[bytes], put: Any) -> None:
    write_folder(tmp_path / "out", due, put)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(KeyboardInterrupt):
        write_and(interrupt, SHARDS, tmp_path / "out", [bytes(len(data)) for data in due], put, force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert litter(tmp_path) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_killed_between_two_renames(swapped: bool, tmp_path: Path, due: list[bytes], put: Any) -> None:
    """Before the second rename the old folder comes back; behind it, it goes."""
    old = tmp_path / ".out.paraminspect-old"
    old.mkdir()
    (old / "model.safetensors").write_text("old")
    if swapped:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "model.safetensors").write_text("new")
    with pytest.raises(TargetError, match="there already"):
        write_folder(tmp_path / "out", due, put)
    assert (tmp_path / "out" / "model.safetensors").read_text() == ("new" if swapped else "old")
    assert litter(tmp_path) == []


def test_interrupted_while_the_old_folder_goes(
    tmp_path: Path, due: list[bytes], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of it is never taken for a folder that is to be put back."""
    write_folder(tmp_path / "out", due, put)
    monkeypatch.setattr(partial.shutil, "rmtree", lambda path: interrupt())
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "out", due, put, force=True)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path / "out")) == NAMES
    shutil.rmtree(tmp_path / "out")
    write_folder(tmp_path / "out", due, put)
    assert sorted(os.listdir(tmp_path / "out")) == NAMES
    assert litter(tmp_path) == []


def test_a_rename_that_fails_brings_the_old_folder_back(
    tmp_path: Path, due: list[bytes], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "out", due, put)
    rename, calls = os.rename, []

    def failing(source: str, target: str) -> None:
        calls.append(source)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(partial.os, "rename", failing)
    with pytest.raises(TargetError, match="cannot be written: input/output error"):
        write_folder(tmp_path / "out", due, put, force=True)
    assert sorted(os.listdir(tmp_path / "out")) == NAMES
    assert litter(tmp_path) == []


def test_a_shard_of_the_input_that_another_run_writes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"0123456789")
    files = tuple(FileLayout(name, 10, (Piece(0, Copy(str(tmp_path / name), 0, 6)),)) for name in "ab")
    layout = Layout(files, (Slot(0, 6, 4), Slot(1, 6, 4)), is_folder=True, sequential=False)
    other = partial.Partial(str(tmp_path / "b"))
    other.make()
    with pytest.raises(TargetError, match="another run is writing it"):
        open_target(layout, str(tmp_path), force=True).__enter__()
    other.discard()
    other.close()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_folder_that_is_the_input(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "b").write_bytes(b"unchanged")
    (tmp_path / "other").mkdir()
    (tmp_path / "a").chmod(0o600)
    inode = (tmp_path / "b").stat().st_ino
    files = (
        FileLayout("a", 10, (Piece(0, Copy(str(tmp_path / "a"), 0, 6)),)),
        FileLayout("b", 9, (Piece(0, Copy(str(tmp_path / "b"), 0, 9)),)),
    )
    layout = Layout(files, (Slot(0, 6, 4), Slot(1, 9, 0)), is_folder=True, sequential=False)
    with pytest.raises(TargetError, match="there already"):
        open_target(layout, str(tmp_path)).__enter__()
    with pytest.raises(KeyboardInterrupt), open_target(layout, str(tmp_path), force=True):
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    with open_target(layout, str(tmp_path), force=True) as sink:
        sink.put(0, 0, b"new!")
    assert (tmp_path / "a").read_bytes() == b"012345new!"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert (tmp_path / "b").stat().st_ino == inode
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "other"]


# --- streams ----------------------------------------------------------------------------------------------------


def through_pipe(layout: Layout, data: list[bytes], put: Any, order: Any = None) -> bytes:
    reader, writer = os.pipe()
    with ThreadPoolExecutor(1) as pool, open(reader, "rb") as end:
        got = pool.submit(end.read)
        try:
            with open_stream(layout, writer) as sink:
                put(sink, data, order, chunk=100)
        finally:
            os.close(writer)
        return got.result()


def test_a_pipe_gets_what_a_file_gets(due: list[bytes], put: Any, whole: bytes) -> None:
    assert LAYOUT.sequential
    assert through_pipe(LAYOUT, due, put, LAYOUT.order) == whole


def test_a_pipe_that_does_not_block(due: list[bytes], values: Any, put: Any, write: Any, tmp_path: Path) -> None:
    tensors = [OutTensor("a", "uint8", (1 << 20,))]
    write(plan_torch_zip(tensors), tmp_path / "m", values(tensors))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with ThreadPoolExecutor(1) as pool, open(reader, "rb") as end:
        got = pool.submit(end.read)
        with open_stream(plan_torch_zip(tensors), writer) as sink:
            put(sink, values(tensors))
        os.close(writer)
        assert got.result() == (tmp_path / "m").read_bytes()


def test_tensors_out_of_order_in_a_pipe(due: list[bytes], put: Any) -> None:
    with pytest.raises(ValueError, match="tensor 2 comes before tensor 0"):
        through_pipe(LAYOUT, due, put, [2, 0])


def test_what_cannot_go_out_in_one_pass_is_collected(due: list[bytes], put: Any, whole: bytes) -> None:
    layout = Layout(LAYOUT.files, LAYOUT.slots, sequential=False)
    assert through_pipe(layout, due, put, [2, 0]) == whole


def test_a_folder_and_a_pipe(due: list[bytes], put: Any) -> None:
    with pytest.raises(TargetError, match="several files cannot go into a pipe"):
        through_pipe(SHARDS, due, put)


def test_an_incomplete_stream_is_an_error(due: list[bytes], put: Any) -> None:
    with pytest.raises(ValueError, match="of tensor 2 0 of 301"):
        through_pipe(LAYOUT, due, put, [0])


@pytest.mark.parametrize("sequential", [True, False])
def test_a_reader_that_has_gone(sequential: bool, due: list[bytes], put: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    layout = Layout(LAYOUT.files, LAYOUT.slots, sequential=sequential)
    with pytest.raises(BrokenPipeError), open_stream(layout, writer) as sink:
        put(sink, due, layout.order)
    os.close(writer)


def test_a_fifo_as_target(tmp_path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    os.mkfifo(tmp_path / "fifo")
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit((tmp_path / "fifo").read_bytes)
        with open_target(LAYOUT, str(tmp_path / "fifo")) as sink:
            put(sink, due)
        assert got.result() == whole
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_devices(due: list[bytes], put: Any) -> None:
    with open_target(LAYOUT, "/dev/null") as sink:
        put(sink, due)
    with pytest.raises(TargetError, match="/dev/full: no space left"), open_target(LAYOUT, "/dev/full") as sink:
        put(sink, due)
    with pytest.raises(TargetError, match="/dev/full: no space left"):
        write_whole("/dev/full", [b"x"])
    write_whole("/dev/null", [b"x"])


def test_our_own_descriptor(tmp_path: Path, due: list[bytes], put: Any, whole: bytes) -> None:
    """As a shell opens it for `-o /dev/stdout > file`: written into from where it stands."""
    with (tmp_path / "out").open("wb", buffering=0) as file:
        file.write(b"before")
        with open_target(LAYOUT, f"/dev/fd/{file.fileno()}") as sink:
            put(sink, due)
        file.write(b"behind")
    assert (tmp_path / "out").read_bytes() == b"before" + whole + b"behind"


CLEANING = ("end", "discard", "close", "remove_left", "_remove", "_is_at")


class Interrupted:
    """Raises `KeyboardInterrupt` at the n-th line that is run of some files."""

    def __init__(self, left: int, names: tuple[str, ...]) -> None:
        self.left = left
        self.names = names

    def __call__(self, frame: FrameType, event: str, _: object) -> Interrupted | None:
        if not frame.f_code.co_filename.endswith(self.names) or frame.f_code.co_name in CLEANING:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_interrupt_at_any_line_leaves_nothing(tmp_path: Path, is_folder: bool) -> None:
    name = "shards" if is_folder else ""
    layout = Layout((FileLayout(name, 4, (Piece(0, b"data"),)),), (), is_folder=is_folder)
    before = sys.gettrace()
    for line in range(1, 400):
        target = tmp_path / f"at{line}"
        interrupted = True
        sys.settrace(Interrupted(line, ("writers/partial.py", "writers/outputs.py", "files/storing.py")))
        try:
            with open_target(layout, str(target)):
                pass
            interrupted = False
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
        if not interrupted:
            break
    assert line > 20
    assert target.exists()
