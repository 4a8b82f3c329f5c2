"""Two hosts, each a network namespace of this machine with a torchrun of its own: what they write is what one process writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import which

import pytest

from tests.making.running import PATIENCE_S, program, run_apart

NET = ("configs/gpt2.yaml", "-D", "depth=2", "-D", "dim=48", "-D", "vocab=90")


def ip(words: str) -> bool:
    return subprocess.run(["ip", *words.split()], capture_output=True, check=False).returncode == 0


@pytest.fixture
def hosts() -> Iterator[dict[str, str]]:
    """Namespace -> its address, on a wire between the two."""
    if not hasattr(os, "geteuid") or os.geteuid() or which("ip") is None:
        pytest.skip("wants root, and ip of iproute2")
    names = [f"pi{os.getpid()}{side}" for side in "ab"]
    made = [ip(f"netns add {name}") for name in names]
    try:
        made.append(ip(f"link add v{names[0]} type veth peer name v{names[1]}"))
        for place, name in enumerate(names, 1):
            made.append(ip(f"link set v{name} netns {name}"))
            made.append(ip(f"-n {name} addr add 10.213.7.{place}/24 dev v{name}"))
            made += [ip(f"-n {name} link set {link} up") for link in ("lo", f"v{name}")]
        if not all(made):
            pytest.skip("no network namespaces can be made here")
        yield {name: f"10.213.7.{place}" for place, name in enumerate(names, 1)}
    finally:
        for name in names:
            ip(f"netns del {name}")


def run_on(hosts: Mapping[str, str], *words: object, private: Path | None = None) -> list[tuple[int, str, str]]:
    """One command line by two ranks on each host: status, output and errors of each torchrun, the first host's first.

    Args:
        private: A folder of which the second host has another one.
    """
    command, environ = program()
    first = next(iter(hosts.values()))
    started = []
    for place, (name, address) in enumerate(hosts.items()):
        hides = ["sh", "-c", f'mount -t tmpfs none {private} && exec "$@"', "sh"] if place and private else []
        how = f"--nnodes 2 --nproc-per-node 2 --rdzv-backend c10d --rdzv-endpoint {first}:29517 --rdzv-id two"
        how += f" --local-addr {address} --rdzv-conf is_host={int(not place)}"
        line = ["ip", "netns", "exec", name, *hides, command[0], "-m", "torch.distributed.run", *how.split()]
        line += [*command[1:], *map(str, words)]
        own = {
            **environ,
            "OMP_NUM_THREADS": "1",
            "RES_OPTIONS": "timeout:1 attempts:1",
            "GLOO_SOCKET_IFNAME": f"v{name}",
        }
        started.append(subprocess.Popen(line, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    try:
        said = [each.communicate(timeout=PATIENCE_S) for each in started]
    finally:
        for each in started:
            each.kill()
    return [(each.returncode, *texts) for each, texts in zip(started, said, strict=True)]


@pytest.mark.extra(wants="several torchruns")
def test_init_by_two_hosts_writes_what_one_process_writes(hosts: Mapping[str, str], tmp_path: Path) -> None:
    words = ("init", *NET, "--shard-size", "40KB", "-o")
    alone = run_apart(*words, f"{tmp_path}/alone/")
    (status, output, errors), other = run_on(hosts, *words, f"{tmp_path}/hosts/")
    assert (status, output) == (0, alone.stdout), errors
    assert other[:2] == (0, "")
    assert "note: written by 4 of 4 ranks\n" in errors
    assert not [line for line in other[2].splitlines() if line.startswith("note: ")]
    names = sorted(os.listdir(tmp_path / "alone"))
    assert sorted(os.listdir(tmp_path / "hosts")) == names
    for name in names:
        assert (tmp_path / "hosts" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.extra(wants="several torchruns")
def test_gradients_by_two_hosts_are_those_of_one_process(hosts: Mapping[str, str]) -> None:
    words = ("grad", *NET, "--dtype", "float64", "--format", "json")
    alone = json.loads(run_apart(*words).stdout)
    (status, output, errors), other = run_on(hosts, *words, "--shard", "tp=2,fsdp")
    assert status == 0, errors
    assert other[:2] == (0, "")
    for one, due in zip(json.loads(output)["parameters"], alone["parameters"], strict=True):
        assert (one["name"], one["state"]) == (due["name"], due["state"])
        assert one["norm"] == (None if due["norm"] is None else pytest.approx(due["norm"], rel=1e-12))


@pytest.mark.extra(wants="several torchruns")
def test_a_folder_of_which_each_host_has_its_own_is_an_error(hosts: Mapping[str, str], tmp_path: Path) -> None:
    (status, _, errors), _ = run_on(hosts, "init", *NET, "-o", f"{tmp_path}/x/", private=tmp_path)
    (error,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert status == 1
    assert re.match(r"error: rank [23] \(", error)
    assert error.endswith(" is not seen here")
    assert not list(tmp_path.iterdir())
