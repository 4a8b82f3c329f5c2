"""What only `files` may know: the names that not every operating system has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import paraminspect

SOURCE = Path(paraminspect.__file__).parent
SYSTEM = re.compile(
    r"""\bos\.(?:pread|preadv|pwrite|fork|posix_fadvise|sendfile|copy_file_range|fchmod|fchown|mkfifo|statvfs|fstatvfs
        |sysconf|sched_getaffinity|get(?:uid|euid|gid|egid)|kill|waitpid|set_blocking
        |O_(?:NOFOLLOW|DIRECTORY|CLOEXEC|NONBLOCK|DIRECT|BINARY))\b
    |\bimport\ (?:fcntl|termios|pwd|grp|resource|msvcrt|select|selectors)\b
    |\bsignal\.(?:SIGHUP|SIGALRM|SIGKILL|setitimer|alarm)\b
    |dir_fd=|/dev/fd|/proc/self/fd""",
    re.VERBOSE,
)


def find_outside(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent != SOURCE / "files":
            lines = path.read_text().splitlines()
            found += [f"{path.relative_to(SOURCE)}: {line.strip()}" for line in lines if pattern.search(line)]
    return found


def test_only_files_knows_the_operating_system() -> None:
    assert not find_outside(SYSTEM)


@pytest.mark.parametrize("line", ["os.pread(fd, 1, 0)", "    import fcntl", "signal.SIGHUP", 'f"/dev/fd/{fd}"'])
def test_the_search_finds_what_it_looks_for(line: str) -> None:
    assert SYSTEM.search(line)


def test_only_files_puts_errors_of_the_system_into_words() -> None:
    assert not find_outside(re.compile(r"\bstrerror\b"))


def test_only_files_asks_whether_a_path_is_a_url() -> None:
    assert not find_outside(re.compile(r"\bis_far\("))
