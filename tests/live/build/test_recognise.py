from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paraminspect.errors import SourceError
from paraminspect.live.build.live_model import open_live
from paraminspect.live.build.recognise import FactoryName, parse_factory, recognise_live


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pkg.mod:make", FactoryName("pkg.mod", "", "make")),
        ("mod:Net.Small", FactoryName("mod", "", "Net.Small")),
        ("build.py:make", FactoryName("", "build.py", "make")),
        ("/a b/c-d/build.py:make", FactoryName("", "/a b/c-d/build.py", "make")),
        ("build.py", FactoryName("", "build.py", "")),
        ("model.pt", None),
        ("hf://org/name", None),
        ("https://host:8080/x", None),
        ("https://host/x.py:make", None),
        ("s3://bucket/build.py", None),
        ("C:\\models\\x.pt", None),
        ("a/b:make", None),
        ("mod:", None),
        ("mod:1x", None),
        ("-", None),
        ("", None),
    ],
)
def test_factory_names(source: str, expected: FactoryName | None) -> None:
    assert parse_factory(source) == expected


def test_files_are_judged_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "spec.yaml": b"model: [ReLU]\n",
        "spec.json": b'{"model": ["ReLU"]}',
        "spec.txt": b"# " + b"x" * 6000 + b"\nmodel:\n- ReLU\n",
        "mistaken.yaml": b"modle: [ReLU]\n",
        "index.json": b'{"weight_map": {"a": "b"}}',
        "binary.yaml": b"model: [ReLU]\n\0",
        "checkpoint.pt": b"PK\x03\x04\0\0\0\0",
        "build.py": b"model: [ReLU]\n",
        "mod:make": b"model: [ReLU]\n",
        "weights:make": b"\0\0",
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    Path("folder.py").mkdir()
    assert {name: recognise_live(name) for name in files} == {
        "spec.yaml": "spec",
        "spec.json": "spec",
        "spec.txt": "spec",
        "mistaken.yaml": "spec",
        "index.json": None,
        "binary.yaml": None,
        "checkpoint.pt": None,
        "build.py": "factory",
        "mod:make": "spec",
        "weights:make": None,
    }
    assert recognise_live("pkg.mod:make") == "factory"
    assert recognise_live("missing.yaml") is None
    assert recognise_live("folder.py") is None
    assert recognise_live("a\0b") is None


def test_what_is_neither(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(b"\0\0\0")
    with pytest.raises(SourceError, match=f"{path}: neither a spec nor a Python factory"):
        open_live(str(path))


CODE = (
    "import sys, paraminspect.live.build.recognise as r\nr.recognise_live(sys.argv[1])\n{}print('torch' in sys.modules)"
)


@pytest.mark.parametrize(("more", "expected"), [("", "False"), ("import torch\n", "True")])
def test_recognising_does_not_import_torch(tmp_path: Path, more: str, expected: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: [ReLU]")
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(more), str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
