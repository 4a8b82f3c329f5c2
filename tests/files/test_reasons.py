from __future__ import annotations

import errno
import os

import pytest

from paraminspect.files.reasons import hint_for, reason_of, with_reason


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "no such file or folder"),
        (errno.EACCES, "no permission to read it"),
        (errno.EPERM, "no permission to read it"),
        (errno.ENOSPC, "no space left on the device"),
        (errno.ENOTDIR, "a part of its path is a file, not a folder"),
        (errno.EISDIR, "a folder, not a file"),
    ],
)
def test_words_for_what_the_system_says(number: int, words: str) -> None:
    assert reason_of(OSError(number, os.strerror(number), "file")) == words


def test_words_for_what_it_does_not_number() -> None:
    assert reason_of(OSError("Something else")) == "something else"
    assert reason_of(OSError(None, "it is closed")) == "it is closed"
    for words in ("embedded null byte", "embedded null character in path"):
        assert reason_of(ValueError(words)) == "the name holds a zero byte"


def test_words_before_it_where_it_needs_them() -> None:
    assert with_reason("cannot be read", PermissionError(errno.EACCES, "x"), "list it") == "no permission to list it"
    assert (
        with_reason("cannot be read", OSError(errno.EIO, "Input/output error")) == "cannot be read: input/output error"
    )


def test_what_to_do_about_it() -> None:
    assert hint_for(OSError(errno.EMFILE, "x")) == "ulimit -n raises the limit"
    assert hint_for(OSError(errno.EIO, "x")) is None
