"""Everything a user may name: files, folders, links, pipes, standard input, and what is none of them."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from paraminspect.errors import CheckpointError, ParamInspectError, SourceError, TruncatedError, UnknownFormatError
from paraminspect.formats import open_source, source

MODEL = safetensors.numpy.save({"a": np.arange(2, dtype=np.float32)})
PATIENCE_S = 30
"""A hang fails the test instead of stopping the run."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(MODEL)
    return path


def refusal(name: str | os.PathLike[str]) -> ParamInspectError:
    with pytest.raises(ParamInspectError) as caught:
        open_source(name)
    text = os.fspath(name)
    assert caught.value.source == text
    assert str(caught.value) == (f"{text}: {caught.value.message}" if text else caught.value.message)
    assert not caught.value.message.endswith(".")
    return caught.value


def run_aside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def within_patience(work: Callable[[], object]) -> None:
    """Run what might hang."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = run_aside(guarded)
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it hangs"
    if failures:
        raise failures[0]


# Files.


def test_file(model: Path) -> None:
    for name in (model, str(model)):
        checkpoint = open_source(name)
        assert (checkpoint.source, checkpoint.files, checkpoint.nbytes) == (str(model), (str(model),), len(MODEL))
        assert [tensor.name for tensor in checkpoint.tensors] == ["a"]
        assert checkpoint.tensors[0].byte_range == (str(model), len(MODEL) - 8, len(MODEL))


def test_relative_name_is_kept_as_typed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    assert open_source("./model.safetensors").source == "./model.safetensors"
    assert open_source("model.safetensors").files == ("model.safetensors",)


def test_missing(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nothing.pt")
    assert (type(error), error.message) == (SourceError, "no such file or folder")


def test_empty_name() -> None:
    assert refusal("").message == "the name is empty"


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    error = refusal(tmp_path / "model.pt")
    assert (type(error), error.message) == (TruncatedError, "the file is empty")


def test_file_as_a_folder(model: Path) -> None:
    assert refusal(f"{model}/").message == "a part of its path is a file, not a folder"
    assert refusal(model / "inside").message == "a part of its path is a file, not a folder"


def test_very_long_name() -> None:
    assert refusal("x" * 5000).message == "the name is too long"


def test_zero_byte_in_the_name() -> None:
    error = refusal("a\0b")
    assert (type(error), error.message) == (SourceError, "the name holds a zero byte")


def test_half_a_surrogate_pair_in_the_name() -> None:
    error = refusal("\ud800.pt")
    assert type(error) is SourceError
    assert "surrogates not allowed" in error.message


@pytest.mark.parametrize(
    "name",
    ["new\nline.pt", "esc\x1b[31m.pt", os.fsdecode(b"\xff\xfe.pt"), " ", "-x", "~", "*.pt", "ключ.pt", "a: b", "%s"],
    ids=ascii,
)
def test_odd_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path(name).write_bytes(MODEL)
    except OSError:
        pytest.skip("this file system does not take such a name")
    assert open_source(name).source == name
    Path(name).write_bytes(b"<html>")
    assert "a web page" in refusal(name).message


def test_file_named_like_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(MODEL)
    assert len(open_source("./-").tensors) == 1


def test_no_permission(model: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    model.chmod(0)
    error = refusal(model)
    assert (type(error), error.message) == (SourceError, "no permission to read it")


def test_refused_by_the_system(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    error = refusal(model)
    assert (type(error), error.message) == (SourceError, "no permission to read it")


def test_disk_fails_while_the_file_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    error = refusal(model)
    assert (type(error), error.message) == (SourceError, "input/output error")


@pytest.mark.parametrize(
    ("problem", "message"),
    [(MemoryError(), "reading it takes more memory than there is"), (RecursionError(), "nested too deeply")],
    ids=["memory", "recursion"],
)
def test_reader_gives_up(problem: BaseException, message: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise problem

    monkeypatch.setattr(source, "read_blob", fail)
    error = refusal(model)
    assert (type(error), error.message) == (CheckpointError, message)


class Reads:
    """Counts the bytes that are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nbytes = 0
        pread = os.pread

        def counted(fd: int, length: int, offset: int) -> bytes:
            self.nbytes += length
            return pread(fd, length, offset)

        monkeypatch.setattr(os, "pread", counted)


def sparse(path: Path, head: bytes, nbytes: int) -> None:
    path.write_bytes(head)
    os.truncate(path, len(head) + nbytes)


def header_of(nbytes: int, name: str = "a", padding: int = 0) -> bytes:
    entry = {"dtype": "U8", "shape": [nbytes], "data_offsets": [0, nbytes]}
    text = json.dumps({name: entry}).encode().ljust(padding)
    return len(text).to_bytes(8, "little") + text


def test_of_eight_gigabytes_the_header_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.safetensors"
    sparse(path, header_of(8 << 30), 8 << 30)
    reads = Reads(monkeypatch)
    checkpoint = open_source(path)
    assert checkpoint.nbytes > 8 << 30
    assert checkpoint.tensors[0].nbytes == 8 << 30
    assert reads.nbytes < 10_000


@pytest.mark.parametrize("length", [ord("{"), 0x7B20, 0x7B0A], ids=["brace", "space_brace", "newline_brace"])
def test_length_that_looks_like_json(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    head = header_of(1 << 30, '"weight_map"', padding=length)
    assert int.from_bytes(head[:8], "little") == length
    sparse(path, head, 1 << 30)
    reads = Reads(monkeypatch)
    assert open_source(path).tensors[0].name == '"weight_map"'
    assert reads.nbytes < 100_000


def test_descriptors_are_given_back(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIPE_WAIT_MS", 1)
    os.mkfifo(tmp_path / "pipe")
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"PK\x03\x04")
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc to count open files")
    gc.collect()
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        open_source(model)
        refusal(broken)
        refusal(tmp_path / "missing")
        refusal(tmp_path / "pipe")
    gc.collect()
    assert len(list(descriptors.iterdir())) == before


# Links and devices.


def test_symlink_is_followed(model: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.pt"
    link.symlink_to(model.name)
    checkpoint = open_source(link)
    assert checkpoint.files == (str(link),)
    assert len(checkpoint.tensors) == 1


def test_dangling_symlink_names_what_is_missing(tmp_path: Path) -> None:
    link = tmp_path / "model.safetensors"
    link.symlink_to("../../blobs/0123")
    error = refusal(link)
    assert (type(error), error.message) == (SourceError, "a symbolic link to '../../blobs/0123', which is not there")


def test_dangling_symlink_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("gone\n")
    assert refusal(tmp_path).message == r"model.safetensors: a symbolic link to 'gone\n', which is not there"


def test_symlink_loop(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    error = refusal(tmp_path / "loop")
    assert (type(error), error.message) == (SourceError, "a symbolic link that leads to itself")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_device_behind_a_symlink(device: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt").symlink_to(device)
    error = refusal(tmp_path / "model.pt")
    assert (type(error), error.message) == (SourceError, "not a regular file (a device)")
    assert error.hint is not None


def test_device_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("/dev/zero")
    assert refusal(tmp_path).message == "model.safetensors: not a regular file"


def test_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    within_patience(lambda: refusal(tmp_path))
    assert refusal(tmp_path).message == "model.safetensors: not a regular file"


def test_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert type(refusal("socket")) is SourceError


# Folders.


def test_empty_folder(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert (type(error), error.message) == (SourceError, "the folder is empty")


def test_folder_with_the_name_of_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "x.pt"
    folder.mkdir()
    assert refusal(folder).message == "the folder is empty"
    (folder / "model.safetensors").write_bytes(MODEL)
    assert [tensor.name for tensor in open_source(folder).tensors] == ["a"]


def test_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    assert refusal(tmp_path).message == "no model file in the folder"


def test_folder_with_a_symlink_to_itself(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    within_patience(lambda: refusal(tmp_path))
    assert refusal(tmp_path).message == "no model file in the folder"
    (tmp_path / "model.safetensors").write_bytes(MODEL)
    assert len(open_source(tmp_path / "again" / "again").tensors) == 1


def shards(folder: Path) -> list[Path]:
    names = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    for name in names:
        (folder / name).write_bytes(safetensors.numpy.save({name: np.zeros(4, np.int8)}))
    index = {"weight_map": {name: name for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return [folder / name for name in names]


def test_folder_of_shards(tmp_path: Path) -> None:
    files = shards(tmp_path)
    for name in (tmp_path, tmp_path / "model.safetensors.index.json"):
        checkpoint = open_source(name)
        assert checkpoint.files == tuple(map(str, files))
        assert checkpoint.nbytes == sum(file.stat().st_size for file in files)
        assert checkpoint.source == str(name)
        for tensor, file in zip(checkpoint.tensors, files, strict=True):
            assert tensor.name == file.name
            assert tensor.byte_range == (str(file), file.stat().st_size - 4, file.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (lambda path: os.truncate(path, path.stat().st_size - 1), TruncatedError, "declares 4 bytes of data"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), UnknownFormatError, "Git LFS"),
        (lambda path: shutil.copy(path.parent / "model.safetensors.index.json", path), UnknownFormatError, "JSON"),
        (lambda path: path.write_bytes(b""), TruncatedError, "the file is empty"),
    ],
    ids=["truncated", "lfs_pointer", "index", "empty"],
)
@pytest.mark.parametrize("by_index", [True, False])
def test_error_of_a_shard_names_folder_and_shard(
    damage: Callable[[Path], object], kind: type, words: str, by_index: bool, tmp_path: Path
) -> None:
    second = shards(tmp_path)[1]
    damage(second)
    name = tmp_path / "model.safetensors.index.json" if by_index else tmp_path
    error = refusal(name)
    assert str(error).startswith(f"{name}: {second.name}: ")
    assert words in str(error)
    assert type(error) is kind


def test_missing_shard(tmp_path: Path) -> None:
    second = shards(tmp_path)[1]
    second.unlink()
    error = refusal(tmp_path)
    assert second.name in str(error)
    assert isinstance(error, CheckpointError)


# Pipes.


def test_pipe_without_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIPE_WAIT_MS", 10)
    os.mkfifo(tmp_path / "pipe")
    within_patience(lambda: refusal(tmp_path / "pipe"))
    error = refusal(tmp_path / "pipe")
    assert (type(error), error.message) == (SourceError, "nothing is written into this pipe")


def test_a_pipe_is_waited_for_about_a_second() -> None:
    assert 500 <= source.PIPE_WAIT_MS <= 2000


def test_pipe_with_a_silent_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIPE_WAIT_MS", 10)
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        within_patience(lambda: refusal(tmp_path / "pipe"))
    finally:
        os.close(writer)


def test_pipe_with_a_late_and_slow_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIPE_WAIT_MS", PATIENCE_S * 1000)
    path = tmp_path / "pipe"
    os.mkfifo(path)

    read = os.read
    arrived = threading.Event()

    def noticed(fd: int, length: int) -> bytes:
        data = read(fd, length)
        arrived.set()
        return data

    def write_in_two_parts() -> None:
        with path.open("wb") as file:  # opens once somebody reads
            time.sleep(0.05)
            file.write(MODEL[:5])
            file.flush()
            arrived.wait(PATIENCE_S)
            time.sleep(0.05)
            file.write(MODEL[5:])

    monkeypatch.setattr(os, "read", noticed)
    run_aside(write_in_two_parts)
    checkpoint = open_source(path)
    assert [tensor.name for tensor in checkpoint.tensors] == ["a"]
    path_of_copy, *ends = checkpoint.tensors[0].byte_range or ()
    assert (checkpoint.nbytes, checkpoint.files) == (len(MODEL), (path_of_copy,))
    assert str(path_of_copy).startswith("/dev/fd/")
    assert ends == [len(MODEL) - 8, len(MODEL)]


def test_pipe_whose_writer_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIPE_WAIT_MS", PATIENCE_S * 1000)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    run_aside(lambda: path.open("wb").close())
    error = refusal(path)
    assert (type(error), error.message) == (TruncatedError, "the file is empty")


@pytest.fixture
def pipe_of() -> Iterator[Callable[[bytes], int]]:
    """Makes the reading end of an anonymous pipe into which these bytes go."""
    ends: list[int] = []

    def make(data: bytes) -> int:
        reader, writer = os.pipe()
        ends.append(reader)

        def write() -> None:
            with os.fdopen(writer, "wb") as file:
                try:
                    file.write(data)
                    file.flush()
                except BrokenPipeError:
                    file.raw.close()

        run_aside(write)
        return reader

    yield make
    for reader in ends:
        os.close(reader)


def test_process_substitution(pipe_of: Callable[[bytes], int]) -> None:
    if not Path("/dev/fd").exists():
        pytest.skip("no /dev/fd here")
    name = f"/dev/fd/{pipe_of(MODEL)}"
    assert len(open_source(name).tensors) == 1


def test_process_substitution_of_bash(model: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    code = "import sys; from paraminspect.formats.source import open_source; print(open_source(sys.argv[1]).tensors[0].name)"
    script = f'"$0" -c "{code}" <(cat "$1")'
    done = subprocess.run(
        [bash, "-c", script, sys.executable, str(model)], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout == "a\n"


def test_pipe_beyond_one_chunk(pipe_of: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SPOOL_CHUNK", 100)
    data = header_of(5000) + bytes(5000)
    checkpoint = open_source(f"/dev/fd/{pipe_of(data)}")
    assert (checkpoint.nbytes, checkpoint.tensors[0].nbytes) == (len(data), 5000)


def test_pipe_is_cut_off_where_the_data_end(pipe_of: Callable[[bytes], int]) -> None:
    assert type(refusal(f"/dev/fd/{pipe_of(MODEL[:-1])}")) is TruncatedError


def test_stream_of_no_model_is_not_copied(pipe_of: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SPOOL_CHUNK", 4096)
    reads = 0
    read = os.read

    def counted(fd: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        assert reads < 10, "the stream is copied"
        return read(fd, length)

    monkeypatch.setattr(os, "read", counted)
    assert "web page" in refusal(f"/dev/fd/{pipe_of(b'<html>' + b'x' * 200_000)}").message


def test_disk_is_full_while_a_stream_is_copied(
    pipe_of: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    error = refusal(f"/dev/fd/{pipe_of(MODEL)}")
    assert (type(error), error.message) == (SourceError, "no space left on the device")


# Standard input.


@pytest.fixture
def standard_input() -> Iterator[Callable[[int], None]]:
    """Puts a descriptor in the place of standard input."""
    kept = os.dup(0)

    def put(fd: int) -> None:
        os.dup2(fd, 0)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


SetInput = Callable[[int], None]


def test_standard_input_from_a_file(model: Path, standard_input: SetInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: pytest.fail("copied"))
    with model.open("rb") as file:
        standard_input(file.fileno())
        checkpoint = open_source("-")
    assert (checkpoint.source, checkpoint.files, checkpoint.nbytes) == ("-", (), len(MODEL))
    assert checkpoint.tensors[0].byte_range == (None, len(MODEL) - 8, len(MODEL))


def test_standard_input_from_a_file_that_was_read_into(tmp_path: Path, standard_input: SetInput) -> None:
    path = tmp_path / "two"
    path.write_bytes(b"first line\n" + MODEL)
    with path.open("rb", buffering=0) as file:
        file.seek(len(b"first line\n"))
        standard_input(file.fileno())
        assert open_source("-").nbytes == len(MODEL)


def test_standard_input_from_a_pipe(pipe_of: Callable[[bytes], int], standard_input: SetInput) -> None:
    standard_input(pipe_of(MODEL))
    checkpoint = open_source("-")
    assert (checkpoint.source, checkpoint.nbytes, len(checkpoint.tensors)) == ("-", len(MODEL), 1)


def test_standard_input_is_not_used_up_by_other_sources(
    model: Path, pipe_of: Callable[[bytes], int], standard_input: SetInput
) -> None:
    standard_input(pipe_of(MODEL))
    open_source(model)
    assert len(open_source("-").tensors) == 1


def test_standard_input_without_a_byte(pipe_of: Callable[[bytes], int], standard_input: SetInput) -> None:
    standard_input(pipe_of(b""))
    assert refusal("-").message == "the file is empty"


def test_standard_input_closed(standard_input: SetInput) -> None:
    os.close(0)
    error = refusal("-")
    assert (type(error), error.message) == (SourceError, "standard input is closed")


def test_standard_input_from_a_folder(tmp_path: Path, standard_input: SetInput) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    standard_input(fd)
    os.close(fd)
    error = refusal("-")
    assert (type(error), error.message) == (SourceError, "a folder, not a file")


def test_standard_input_that_cannot_be_read(model: Path, standard_input: SetInput) -> None:
    fd = os.open(model, os.O_WRONLY)
    standard_input(fd)
    os.close(fd)
    error = refusal("-")
    assert (type(error), error.message) == (SourceError, "bad file descriptor")


def test_standard_input_from_a_terminal(standard_input: SetInput) -> None:
    leader, terminal = os.openpty()
    standard_input(terminal)
    within_patience(lambda: refusal("-"))
    error = refusal("-")
    assert (type(error), error.message) == (SourceError, "standard input is a terminal")
    assert error.hint == "pipe a model file into it: curl -s URL | paraminspect list -"
    os.close(leader)
    os.close(terminal)


def test_endless_standard_input(standard_input: SetInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: pytest.fail("copied"))
    with open("/dev/zero", "rb", buffering=0) as zeros:
        standard_input(zeros.fileno())
        assert refusal("-").message == "the file holds zeros"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("modle.pt", "did you mean '{folder}/model.pt'?"),
        ("nowhere/model.pt", "there is no folder '{folder}/nowhere'"),
        ("zzz", None),
    ],
)
def test_a_missing_file_hints_at_what_was_meant(tmp_path: Path, typed: str, hint: str | None) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.raises(SourceError) as caught:
        open_source(f"{tmp_path}/{typed}")
    assert caught.value.message == "no such file or folder"
    assert caught.value.hint == (hint and hint.format(folder=tmp_path))


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(SourceError, match="ftp:// cannot be read") as caught:
        open_source("ftp://host/model.pt")
    assert caught.value.hint == "known are hf://, s3://, gs://, https://, ollama:// and file://"
