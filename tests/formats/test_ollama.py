"""Manifests of Ollama: the blob they name, what is said of the others, and what is no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source

GGUF = (Path(__file__).parent.parent / "honest" / "gguf" / "tiny.gguf").read_bytes()
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a manifest `m:latest` of layers, with their blobs."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))

    def write(*layers: tuple[str, bytes | None], **fields: Any) -> Path:
        listed = []
        for kind, data in layers:
            digest = hashlib.sha256(data or b"").hexdigest()
            if data is not None:
                (tmp_path / "blobs").mkdir(exist_ok=True)
                (tmp_path / "blobs" / f"sha256-{digest}").write_bytes(data)
            listed.append(
                {
                    "mediaType": f"application/vnd.ollama.image.{kind}",
                    "digest": f"sha256:{digest}",
                    "size": len(data or b""),
                }
            )
        path = tmp_path / "manifests" / "registry.ollama.ai" / "library" / "m" / "latest"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"schemaVersion": 2, "layers": listed, **fields}))
        return path

    return write


def test_the_weights_by_name_and_by_manifest(make: Make, tmp_path: Path) -> None:
    path = make(("template", b"x"), ("model", GGUF), ("license", b"y"))
    plain = tmp_path / "tiny.gguf"
    plain.write_bytes(GGUF)
    expected = open_source(plain)
    for source in ("ollama://m", "ollama://m:latest", path):
        checkpoint = open_source(source)
        assert checkpoint.format == "gguf"
        assert [each.name for each in checkpoint.tensors] == [each.name for each in expected.tensors]
        assert checkpoint.nbytes == len(GGUF)
        assert checkpoint.source == str(source)
        assert checkpoint.notes == expected.notes


def test_other_weights_are_named(make: Make) -> None:
    make(("model", GGUF), ("projector", GGUF + bytes(32)), ("adapter", GGUF + bytes(64)))
    projector, adapter = open_source("ollama://m").notes[-2:]
    assert "a projector of" in projector
    assert "an adapter of" in adapter
    assert "/blobs/sha256-" in adapter


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("template", b"x")], "without weights in GGUF: its layers are 'template'"),
        ([("model", None)], "the blob of the weights is not there"),
        ([("model", b"no gguf")], "sha256-"),
    ],
)
def test_no_weights(make: Make, layers: list[tuple[str, bytes | None]], message: str) -> None:
    make(*layers)
    with pytest.raises(ParamInspectError) as caught:
        open_source("ollama://m")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "layers",
    [
        None,
        3,
        [None],
        [{}],
        [{"mediaType": 1}],
        [{"mediaType": "application/vnd.ollama.image.model", "digest": "../x"}],
    ],
)
def test_odd_manifests(make: Make, layers: object) -> None:
    make(("model", GGUF), layers=layers, mark="application/vnd.ollama.image.")
    with pytest.raises(ParamInspectError, match="Ollama manifest"):
        open_source("ollama://m")
