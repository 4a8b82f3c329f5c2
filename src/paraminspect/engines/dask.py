"""A Dask cluster: `dask` begins one on this machine, `dask://HOST:8786` or a scheduler file names one that is there.

Dask moves tasks of workers that are lost to others by itself. Workers read files by the same paths, so those lie on storage
that all of them see, or on servers, for which each has credentials of its own.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from paraminspect.engines.pool import Engine, Pool, Shared
from paraminspect.errors import ParamInspectError
from paraminspect.extras import install_line
from paraminspect.files.paths import scheme_of, shown
from paraminspect.files.processes import count_processors, not_interrupted
from paraminspect.files.seen import Seen, Version, reading, versions_of
from paraminspect.files.system import is_nameless, working_in

if TYPE_CHECKING:
    from concurrent.futures import Executor

BLOCK_BYTES: Final = 4 << 30
"""Above this a tensor is read in parts."""

LOT_BYTES: Final = 64 << 20
"""Of small tensors that are one task, each of which takes the scheduler a millisecond."""

ANSWER_S: Final = 10
"""For a scheduler, and for the first worker of a cluster that was begun here."""

DEFAULT_PORT: Final = 8786
PREFIX: Final = "dask://"
SCHEMES: Final = ("tcp://", "tls://", "ws://", "wss://")
WORDS: Final = "local, dask, dask://HOST:8786 or a scheduler file (.json)"
SAME: Final = ("paraminspect", "numpy", "ml_dtypes", "python")
"""What has to be of one version everywhere, for the same bytes to come out."""


def versions() -> dict[str, str]:
    """Of what has a say in the numbers, here."""
    import ml_dtypes
    import numpy

    found = (
        sys.modules["paraminspect"].__version__,
        numpy.__version__,
        ml_dtypes.__version__,
        ".".join(map(str, sys.version_info[:2])),
    )
    return dict(zip(SAME, found, strict=True))


def look(folder: str, files: dict[str | None, Version]) -> str:
    """Of a worker: which of these files it does not see as they are, and why; "" for none."""
    for path, version in files.items():
        try:
            with working_in(folder), reading(Seen({path: version})):
                pass
        except ParamInspectError as error:
            return str(error)
    return ""


def open_dask(word: str) -> Engine:
    """The cluster that a word names.

    Raises:
        ParamInspectError: It is no such word, Dask is not installed, or no scheduler answers.
    """
    is_file = word.endswith(".json") or os.path.isfile(word)
    if not (word == "dask" or word.startswith((PREFIX, *SCHEMES)) or is_file):
        raise ParamInspectError(f"--engine {word!r} is no engine", hint=WORDS)
    if is_file and not os.path.isfile(word):
        raise ParamInspectError(
            f"--engine {word}: there is no such scheduler file", hint="dask scheduler --scheduler-file FILE"
        )
    try:
        import distributed as library
    except ImportError:
        raise ParamInspectError("--engine dask takes Dask, which is not installed", hint=install_line("dask")) from None
    for name in list(logging.root.manager.loggerDict):  # what they have to say comes as errors too
        if name.startswith(("distributed", "tornado", "asyncio")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    distributed: Any = library
    if not is_file and word != "dask":
        _knock(word)
    cluster = None
    where: dict[str, Any] = {"scheduler_file": word}
    if word == "dask":
        cluster = begin_cluster(count_processors())
        where = {"address": cluster}
    elif not is_file:
        where = {"address": f"tcp://{word.removeprefix(PREFIX)}" if word.startswith(PREFIX) else word}
    try:
        client = distributed.Client(**where, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise _silent(word, error) from None
    engine = Dask(client, cluster, shown(word))
    try:
        engine.check_versions()
    except BaseException:
        engine.close()
        raise
    return engine


def begin_cluster(workers: int, environment: Mapping[str, str] | None = None) -> Any:
    """A cluster of this machine, of workers of one thread each; its ports are those that are free.

    Args:
        environment: More variables of the workers.

    Raises:
        ParamInspectError: It does not start.
    """
    from distributed import LocalCluster

    start: Any = LocalCluster
    try:
        with not_interrupted():  # else each worker would tell of it
            return start(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                # which by itself takes port 8787, and tells of it where that is another cluster's
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
                env=dict(environment or {}),
            )
    except (RuntimeError, OSError) as error:
        raise ParamInspectError(
            f"no Dask cluster begins here: {_why(error, 200)}", hint="--engine local does without"
        ) from None


def _knock(word: str) -> None:
    """See that somebody listens there, which Dask itself would find out after a while.

    Raises:
        ParamInspectError: Nobody does.
    """
    import socket
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(word)
        socket.create_connection((parts.hostname or "", parts.port or DEFAULT_PORT), ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise _silent(word, error) from None


def _silent(word: str, error: Exception) -> ParamInspectError:
    return ParamInspectError(
        f"no Dask scheduler answers at {shown(word)}: {_why(error, 100)}",
        hint="start one with `dask scheduler`, or --engine dask for a cluster of this machine",
    )


def _why(error: Exception, most: int) -> str:
    """What an error of Dask says, in a line of so many characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


class Dask(Engine):
    """The workers of a cluster.

    Args:
        client: Of its scheduler.
        cluster: Where it was begun for this run.
        name: As the user typed it.
    """

    def __init__(self, client: Any, cluster: Any, name: str) -> None:
        self._client = client
        self._cluster = cluster
        self._name = name
        self._run = uuid4().hex
        self._seen: set[str | None] = set()

    def check_versions(self) -> None:
        """See that there are workers, which compute as this process would.

        Raises:
            ParamInspectError: There are none, or others.
        """
        self._wait()
        ours = versions()
        for worker, theirs in self._ask(versions).items():
            if theirs is None:
                raise ParamInspectError(
                    f"worker {worker} cannot import paraminspect {ours['paraminspect']}",
                    hint="install the same version in the environment of the workers",
                )
            for name in SAME:
                if theirs.get(name) != ours[name]:
                    raise ParamInspectError(
                        f"worker {worker} has {name} {theirs.get(name)}, this is {ours[name]}",
                        hint="the same versions everywhere give the same numbers: pip install in the workers' environment",
                    )

    def pool(self, files: Sequence[str], nbytes: int, *, holds_lock: bool = False) -> Pool:
        """See `Engine`."""
        if not files or any(map(is_nameless, files)):
            raise ParamInspectError(
                "Dask's workers read files, not standard input, a pipe or a live model", hint="leave out --engine"
            )
        for path in files:
            if shown(path) != path:
                raise ParamInspectError(
                    f"{shown(path)} has a secret in its address, which is not sent to workers",
                    hint="give workers credentials of their own: ~/.netrc, the environment, or an s3:// address",
                )
        self._look([path for path in files if not scheme_of(path)])
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        return Shared(
            lambda: self._client.get_executor(pure=False), _drop, workers=self._count() or 1, cut=BLOCK_BYTES, lot=LOT_BYTES,
            is_here=False, lost=(KilledWorker, CancelledError), any_inode=True, name=self._run, check=self._check,
        )  # fmt: skip

    def close(self) -> None:
        """End what was begun here; a cluster that was there stays."""
        for each in (self._client, self._cluster):
            if each is not None:
                with suppress(Exception):
                    each.close(timeout=ANSWER_S)

    def _check(self) -> None:
        """See that the scheduler is there.

        Raises:
            ParamInspectError: It has gone, and nobody knows of the tasks any more.
        """
        if self._client.status not in ("running", "connecting"):
            raise self._gone()

    def _gone(self) -> ParamInspectError:
        return ParamInspectError(f"the Dask scheduler at {self._name} went away", hint="see its log; run it again")

    def _count(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def _wait(self) -> None:
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=ANSWER_S)
            return
        raise ParamInspectError(
            f"the Dask scheduler at {self._name} has no workers", hint=f"start some with `dask worker {self._name}`"
        )

    def _look(self, paths: Sequence[str]) -> None:
        """See that workers have the files that this process has opened.

        Raises:
            ParamInspectError: One has not.
        """
        new = [path for path in paths if path not in self._seen]
        files = {path: version._replace(inode=0) for path, version in versions_of(new).items()}
        for worker, problem in self._ask(look, os.getcwd(), files).items() if files else ():
            if problem or problem is None:
                what = (problem or "it cannot look").replace(
                    "the file changed while it was read", "not the same file there"
                )
                raise ParamInspectError(
                    f"worker {worker}: {what}", hint="workers read files by the same paths: put them on shared storage"
                )
        self._seen.update(new)

    def _ask(self, question: Any, *given: Any) -> dict[str, Any]:
        """What each worker answers; None of one that cannot."""
        try:
            found: dict[str, Any] = self._client.run(question, *given, on_error="return")
        except OSError:
            raise self._gone() from None
        return {worker: None if isinstance(answer, BaseException) else answer for worker, answer in found.items()}


def _drop(executor: Executor) -> None:
    """What is under way is cancelled, and not waited for."""
    with suppress(Exception):  # with the scheduler gone, there is nothing to cancel
        executor.shutdown(wait=False)
