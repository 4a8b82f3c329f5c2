"""`hf://`: names, revisions, refusals, tokens; against an imitation of the hub on loopback."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError, FarError
from paraminspect.files.hub import HubName, _next_page, parse_name
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from paraminspect.values.stored_bytes import Files
from scripts.servers.hub import Hub
from scripts.servers.ranges import Handler, RangeServer, StoredBytes, refuse

CONFIG = b'{"tie_word_embeddings": false}'


@pytest.fixture
def hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"model.safetensors": model.read_bytes(), "config.json": CONFIG, "sub/a b#.safetensors": model.read_bytes()}
    with Hub({"org/name": files, "org/gated": files}, gated=("org/gated",)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def far_error(source: str) -> FarError:
    with pytest.raises(FarError) as caught:
        open_source(source)
    return caught.value


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("hf://org/name", HubName("org/name", "main", "")),
        ("hf://org/name/", HubName("org/name", "main", "")),
        ("hf://org/name@v1.0", HubName("org/name", "v1.0", "")),
        ("hf://org/name@v1.0/a/b.pt", HubName("org/name", "v1.0", "a/b.pt")),
        ("hf://org/name@refs/pr/7/b.pt", HubName("org/name", "refs/pr/7", "b.pt")),
        ("hf://org/name@refs/convert/gguf", HubName("org/name", "refs/convert/gguf", "")),
        ("hf://org/name@feature%2Fx/b.pt", HubName("org/name", "feature/x", "b.pt")),
        ("hf://org/name/b@c.pt", HubName("org/name", "main", "b@c.pt")),
    ],
)
def test_names(url: str, expected: HubName) -> None:
    assert parse_name(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "hf://",
        "hf://gpt2",
        "hf://datasets/org/name",
        "hf://spaces/a/b",
        "hf://a/b/../c",
        "hf://a/b@",
        "hf://a b/c",
        "hf:///x",
    ],
)
def test_what_is_no_name(url: str) -> None:
    with pytest.raises(FarError) as caught:
        parse_name(url)
    assert caught.value.hint == "a model is hf://ORG/NAME, hf://ORG/NAME@REVISION or hf://ORG/NAME/FILE"


@given(st.text(max_size=40))
def test_any_name(text: str) -> None:
    try:
        name = parse_name(f"hf://{text}")
    except FarError:
        return
    assert name.repository.count("/") == 1
    assert ".." not in name.path.split("/")


def test_a_model_is_read_at_one_commit(hub: Hub) -> None:
    checkpoint = open_source("hf://org/name")
    assert [each.name for each in checkpoint.tensors] == ["b", "a", "c"]
    assert checkpoint.files == ("hf://org/name/model.safetensors",)
    commit = hub.commit("org/name")
    paths = [each.path for each in hub.log]
    assert paths[0] == "/api/models/org/name/revision/main"
    assert all(f"/{commit}" in path for path in paths[1:])
    assert len(paths) == 4  # commit, list, model, config


def test_a_push_while_a_model_is_read(hub: Hub, model: Path) -> None:
    checkpoint = open_source("hf://org/name")
    hub.repositories["org/name"]["model.safetensors"] = StoredBytes(model.read_bytes()[:-1] + b"\1")
    largest = next(each for each in checkpoint.tensors if each.name == "a")
    with pytest.raises(FarError, match=r"no revision|changed"):  # the imitation forgets old commits
        read_tensor(largest, Files())
    assert open_source("hf://org/name").tensors


def test_a_file_with_an_odd_name(hub: Hub) -> None:
    assert len(open_source("hf://org/name/sub/a b#.safetensors").tensors) == 3
    assert len(open_source("hf://org/name/sub").tensors) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://org/other", "no such model on the hub, or it is private (404)"),
        ("hf://org/name@v9", "the model has no revision 'v9'"),
        ("hf://org/name/x.pt", "no such file on 127.0.0.1 (404)"),
        ("hf://org/name/no/x.pt", "no such file on 127.0.0.1 (404)"),
        ("hf://org/gated", "access to this model is granted on its page (403)"),
    ],
)
def test_refusals(hub: Hub, source: str, message: str) -> None:
    error = far_error(source)
    assert error.message == message
    assert error.source == source


def test_a_token_is_sent_and_never_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    assert far_error("hf://org/name").hint == "log in: hf auth login, or set HF_TOKEN"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    error = far_error("hf://org/name")
    assert error.hint == "does your token have access?"
    assert "hf_wrong" not in f"{error} {error.hint}"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert len(open_source("hf://org/name").tensors) == 3


def test_a_token_that_was_written_by_a_login(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    (tmp_path / "token").write_text("hf_secret\n")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    hub.token = "hf_secret"
    assert len(open_source("hf://org/name").tensors) == 3


def test_the_token_stays_on_the_hub(hub: Hub, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with RangeServer({"/blob": model.read_bytes()}) as store:
        path = f"/org/name/resolve/{hub.commit('org/name')}/model.safetensors"
        hub.faults[path] = refuse(302, {"Location": f"{store.url}/blob"})
        assert len(open_source("hf://org/name").tensors) == 3
        assert "authorization" not in store.log[0].headers
    assert all(each.headers["authorization"] == "Bearer hf_secret" for each in hub.log)


def test_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert far_error("hf://org/name").message.startswith("HF_HUB_OFFLINE is set, and the cache (")
    assert not hub.log


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    error = far_error("hf://org/name")
    assert error.message == "reading hf:// needs huggingface_hub"
    assert error.hint == "pip install fsspec aiohttp huggingface_hub"


def test_a_list_in_pages(hub: Hub, model: Path) -> None:
    commit = hub.commit("org/name")
    path = f"/api/models/org/name/tree/{commit}"
    files = [
        {"type": "file", "path": name, "size": model.stat().st_size} for name in ("notes.txt", "model.safetensors")
    ]

    def page(request: Handler) -> bool:
        place = int("cursor=1" in request.path)
        more = {} if place else {"Link": f'<{hub.url}{path}?cursor=1>; rel="next"'}
        request.reply(200, json.dumps([files[place]]).encode(), more)
        return True

    hub.faults[path] = page
    assert len(open_source("hf://org/name").tensors) == 3
    assert _next_page({"link": '<https://other/x>; rel="next"'}, f"{hub.url}/x") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b'[{"path": 3}]',
        b'[{"type": "file", "path": "model.safetensors", "size": -1}]',
        b'[{"type": "file", "path": "model.safetensors", "size": true}]',
        b'[{"type": "file", "path": "model.safetensors"}]',
        b"[7]",
    ],
)
def test_a_list_that_is_none(hub: Hub, answer: bytes) -> None:
    hub.faults[f"/api/models/org/name/tree/{hub.commit('org/name')}"] = refuse(200, body=answer)
    assert far_error("hf://org/name").fault == "lies"


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"sha": 3}', b'{"sha": "../../x"}'])
def test_a_revision_that_is_none(hub: Hub, answer: bytes) -> None:
    hub.faults["/api/models/org/name/revision/main"] = refuse(200, body=answer)
    assert far_error("hf://org/name").fault == "lies"


def test_a_shard_that_is_missing(hub: Hub) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    del hub.repositories["org/name"]["model.safetensors"]  # which is read first
    hub.repositories["org/name"]["model.safetensors.index.json"] = StoredBytes(json.dumps(index).encode())
    with pytest.raises(CheckpointError, match=r"2 of 2 shards are missing, the first is model-1\.safetensors"):
        open_source("hf://org/name")


def test_an_index_cannot_leave_its_model(hub: Hub) -> None:
    del hub.repositories["org/name"]["model.safetensors"]
    for file in ("../other/x.safetensors", "https://evil/x.safetensors", "/etc/passwd", "a/../../x"):
        index = {"weight_map": {"a": file}}
        hub.repositories["org/name"]["model.safetensors.index.json"] = StoredBytes(json.dumps(index).encode())
        with pytest.raises(CheckpointError):
            open_source("hf://org/name")
    for exchange in hub.log:
        assert exchange.path.startswith(("/api/models/org/name/", "/org/name/resolve/"))
        assert ".." not in exchange.path


@pytest.mark.parametrize(
    ("page", "meant"),
    [
        ("https://huggingface.co/org/name", "hf://org/name"),
        ("https://huggingface.co/org/name/tree/main", "hf://org/name"),
        ("https://huggingface.co/org/name/blob/main/a/b.pt", "hf://org/name/a/b.pt"),
        ("https://hf.co/org/name/blob/v1/b.pt?x=1", "hf://org/name@v1/b.pt"),
    ],
)
def test_a_page_of_the_hub(page: str, meant: str) -> None:
    error = far_error(page)
    assert error.message == "a page of the hub, not a file"
    assert error.hint == f"paraminspect list {meant}"


def test_the_imitation_is_like_the_hub(hub: Hub) -> None:
    """Its own client finds what we find."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.url)
    assert api.model_info("org/name").sha == hub.commit("org/name")
    listed = {each.path for each in api.list_repo_tree("org/name")}
    assert listed == {"model.safetensors", "config.json", "sub"}
    assert hashlib.sha1(b"").hexdigest() not in hub.commit("org/name")
