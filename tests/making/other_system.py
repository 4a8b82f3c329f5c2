"""Run command lines as they run on a system like Windows, or as they run here: `other_system.py bare|here < LINES`.

Lines are a JSON list of lists of arguments; a first argument "<FILE" is what standard input is. Out comes a JSON list of
[status, stdout, stderr]. What Windows lacks is taken away, and what it refuses is refused: to open a folder, and to
rename, replace or remove what is open.
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

NAMES = (
    "pread", "preadv", "pwrite", "pwritev", "fork", "forkpty", "posix_fadvise", "posix_fallocate", "posix_spawn",
    "sendfile", "splice", "copy_file_range", "fchmod", "fchown", "chown", "lchown", "mkfifo", "mknod", "statvfs",
    "fstatvfs", "sysconf", "sched_getaffinity", "getuid", "geteuid", "getgid", "getegid", "getgroups", "set_blocking",
    "openpty", "wait3", "wait4", "killpg", "setsid", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK",
    "O_DIRECT", "O_SYNC", "O_DSYNC", "POSIX_FADV_DONTNEED",
)  # fmt: skip
MODULES = ("fcntl", "termios", "pwd", "grp", "resource", "tty", "pty", "syslog")
SIGNALS = ("SIGHUP", "SIGALRM", "SIGKILL", "SIGPIPE", "SIGQUIT", "setitimer", "alarm", "pthread_sigmask")


def take_away() -> None:
    """Be a system without all this."""
    free = shutil.disk_usage("/")
    shutil.disk_usage = lambda path: free  # which Windows has by another call
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    tempfile.gettempdir()
    for name in NAMES:
        if hasattr(os, name):
            delattr(os, name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    for name in ("poll", "epoll"):
        delattr(select, name)
    real_open, real_isdir = os.open, os.path.isdir

    def open_(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if more:
            raise NotImplementedError("dir_fd")
        if isinstance(path, str) and path.startswith(("/dev/fd", "/proc/self")):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if not isinstance(path, int) and real_isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real_open(path, flags, mode)

    os.open = open_
    os.path.isdir = lambda path: path != "/dev/fd/" and real_isdir(path)
    os.supports_dir_fd.clear()
    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, refusing(getattr(os, name), may_replace=name != "rename"))


def refusing(call: Callable[..., Any], *, may_replace: bool) -> Callable[..., Any]:
    """The call, but not on what is open, nor on what lies in a folder that is to get another name."""
    listdir, readlink = os.listdir, os.readlink

    def refuse(*paths: Any, **more: Any) -> Any:
        opened = set()
        for fd in listdir("/proc/self/fd"):
            try:
                opened.add(readlink(f"/proc/self/fd/{fd}"))
            except OSError:
                continue
        for path in paths:
            full = os.path.abspath(os.fspath(path))
            if any(each == full or each.startswith(f"{full}/") for each in opened):
                raise PermissionError(errno.EACCES, "The process cannot access the file", path)
        if not may_replace and os.path.lexists(paths[1]):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), paths[0])
        return call(*paths, **more)

    return refuse


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of one line."""
    from paraminspect.cli import app

    if arguments[0].startswith("<"):
        fd = os.open(arguments.pop(0)[1:], os.O_RDONLY)
        os.dup2(fd, 0)
        os.close(fd)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in streams)
    try:
        status = app.run(arguments)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in (sys.stdout, sys.stderr))  # type: ignore[attr-defined]
    finally:
        sys.stdout, sys.stderr = streams
    return status, out, err


if __name__ == "__main__":
    lines = json.load(sys.stdin)
    if any("init" in line for line in lines):
        import torch  # noqa: F401 - it may use what this system has
    if sys.argv[1] == "bare":
        take_away()
    print(json.dumps([run(line) for line in lines]))
