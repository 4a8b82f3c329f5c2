"""The command line on far sources, as processes: Ctrl-C, secrets, what is imported, a bad source among good ones."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paraminspect.cli.output import Output
from scripts.servers.ranges import Handler, RangeServer, refuse

NAME = "/model.safetensors"
PROGRAM = [sys.executable, "-W", "error", "-m", "paraminspect"]

PROBE = """
import json, os, sys
from paraminspect.cli import app
status = app.run(["list", sys.argv[1]])
os.write(2, json.dumps([status, sorted(sys.modules)]).encode())
"""


@pytest.fixture
def served(model: Path) -> Iterator[RangeServer]:
    with RangeServer({NAME: model.read_bytes()}) as running:
        yield running


def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
    environ = {**os.environ, **more}
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, *arguments], env=environ, text=True, **pipes)


def run(*arguments: str, **more: str) -> tuple[int, str, str]:
    process = start(*arguments, **more)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_file_over_the_wire_loads_nothing_heavy(served: RangeServer) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, served.url + NAME], capture_output=True, check=True, timeout=60)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert not {"torch", "numpy", "rich", "huggingface_hub"} & set(modules)
    assert "aiohttp" in modules
    assert "http.client" in modules


def test_a_local_file_loads_no_client(model: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, str(model)], capture_output=True, check=True, timeout=60)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert not {"http.client", "ssl", "urllib.request", "fsspec", "paraminspect.files.ranged"} & set(modules)


@pytest.mark.parametrize("command", ["list", "stats"])
def test_ctrl_c_while_a_server_is_silent(served: RangeServer, command: str) -> None:
    asked, over = threading.Event(), threading.Event()

    def silent(request: Handler) -> bool:
        asked.set()
        over.wait(60)
        request.close_connection = True
        return True

    served.faults[NAME] = silent
    process = start(command, served.url + NAME)
    try:
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        over.set()
    assert (process.returncode, out, err) == (130, "", "")


def test_ctrl_c_while_shards_are_read_side_by_side(served: RangeServer) -> None:
    shards = {f"t{number}": f"model-{number}.safetensors" for number in range(40)}
    index = json.dumps({"weight_map": shards}).encode()
    served.faults["/model.safetensors.index.json"] = refuse(
        206, {"Content-Range": f"bytes 0-{len(index) - 1}/{len(index)}", "ETag": '"1"'}, index
    )
    asked, over = threading.Event(), threading.Event()

    def silent(request: Handler) -> bool:
        asked.set()
        over.wait(60)
        request.close_connection = True
        return True

    served.faults.update({f"/{shard}": silent for shard in shards.values()})
    process = start("list", served.url + "/model.safetensors.index.json")
    try:
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        over.set()
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("format_", ["json", "tsv", "table"])
def test_no_secret_is_printed(served: RangeServer, format_: str) -> None:
    url = served.url.replace("http://", "http://me:hidden1@")
    sources = (f"{url}{NAME}?sig=hidden2", f"{url}/nothing.pt?sig=hidden2")
    for command in ("info", "list", "stats", "check", "shared"):
        status, out, err = run(command, *sources, "--format", format_, PARAMINSPECT_DEBUG="1")
        assert status == 2
        assert "hidden" not in out + err
        assert f"http://***@{served.url[7:]}/nothing.pt?***" in err
        assert "Traceback" in err


def test_no_secret_is_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMINSPECT_DEBUG", "1")
    stderr = io.StringIO()
    Output(stderr=stderr).error(ValueError("https://me:hidden@host/x?sig=hidden"))
    assert "Traceback" not in stderr.getvalue()  # it was never raised
    assert stderr.getvalue().count("https://***@host/x?***") == 2
    assert "hidden" not in stderr.getvalue()


def test_a_bad_source_does_not_keep_the_others_back(served: RangeServer, model: Path) -> None:
    status, out, err = run(
        "list", f"{served.url}/nothing.pt", served.url + NAME, str(model), "--columns", "source,name"
    )
    assert status == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == [served.url + NAME] * 3 + [str(model)] * 3
    assert err == f"error: {served.url}/nothing.pt: no such file on 127.0.0.1 (404)\n"


def test_names_of_a_server_are_escaped(served: RangeServer) -> None:
    served.faults["/x"] = refuse(302, {"Location": "ftp://a\x1b[31mb"})
    status, out, err = run("list", f"{served.url}/x")
    assert (status, out) == (2, "")
    assert "\x1b" not in err


def test_statistics_that_stop_half_way_end_with_an_error(served: RangeServer) -> None:
    """Each tensor would otherwise wait for a server that is gone."""
    seen = []

    def once(request: Handler) -> bool:
        seen.append(request.path)
        if len(seen) > 1:
            request.reply(404)
        return len(seen) > 1

    served.faults[NAME] = once
    status, out, err = run("stats", served.url + NAME)
    assert status == 2
    assert out.startswith("b\t")
    assert "no such file on 127.0.0.1 (404)" in err
