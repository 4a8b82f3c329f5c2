"""`ollama://`: names as Ollama reads them, and what is said of those that it does not have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import FarError
from paraminspect.files.door import place_of
from paraminspect.files.ollama import find_blob, list_models, manifest_of

DIGEST = "0" * 64


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    for name in ("registry.ollama.ai/library/llama/8b", "registry.ollama.ai/me/mine/latest", "hf.co/org/m/Q4_K_M"):
        path = tmp_path / "manifests" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("ollama://llama", "registry.ollama.ai/library/llama/latest"),
        ("ollama://llama3.2:1b-q4_K_M", "registry.ollama.ai/library/llama3.2/1b-q4_K_M"),
        ("ollama://me/mine", "registry.ollama.ai/me/mine/latest"),
        ("ollama://hf.co/org/m:Q4_K_M", "hf.co/org/m/Q4_K_M"),
        ("ollama://host:5000/org/m", "host:5000/org/m/latest"),
    ],
)
def test_names(models: Path, url: str, path: str) -> None:
    assert manifest_of(url) == str(models / "manifests" / path)


@pytest.mark.parametrize("url", ["ollama://", "ollama://a/b/c/d", "ollama://../x", "ollama://a b", "ollama://a:..", "ollama://a:"])  # fmt: skip
def test_what_is_no_name(models: Path, url: str) -> None:
    with pytest.raises(FarError, match="no name of a model of Ollama"):
        manifest_of(url)


@given(st.text(max_size=20))
def test_any_name_stays_inside(text: str) -> None:
    try:
        path = manifest_of(f"ollama://{text}")
    except FarError:
        return
    assert ".." not in path.split("/")


def test_the_default_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ollama" / "models").mkdir(parents=True)
    assert manifest_of("ollama://x").startswith(str(tmp_path / ".ollama" / "models"))


def test_models_that_there_are(models: Path) -> None:
    assert list_models() == ["hf.co/org/m:Q4_K_M", "llama:8b", "me/mine:latest"]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("ollama://llama", "there are llama:8b"),
        ("ollama://x", "there are hf.co/org/m:Q4_K_M, llama:8b, me/mine:latest"),
    ],
)
def test_models_that_there_are_not(models: Path, url: str, hint: str) -> None:
    with pytest.raises(FarError, match="Ollama has no model") as caught:
        place_of(url).look(url)
    assert caught.value.hint == hint


def test_a_blob_is_sought_beside_the_manifest_and_where_ollama_keeps_it(models: Path, tmp_path: Path) -> None:
    here = tmp_path / "elsewhere" / "manifests" / "h" / "n" / "m" / "t"
    ours, theirs = tmp_path / "elsewhere" / "blobs" / f"sha256-{DIGEST}", models / "blobs" / f"sha256:{DIGEST}"
    for blob in (theirs, ours):
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.touch()
        assert find_blob(str(here), f"sha256:{DIGEST}") == str(blob)
    assert find_blob("ollama://llama", f"sha256:{DIGEST}") == str(theirs)
    for digest in ("sha256:../x", f"md5:{DIGEST}", ""):
        assert find_blob(str(here), digest) is None
