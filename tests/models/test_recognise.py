from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paraminspect.models.recognise import recognise


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
    assert {name: recognise(name).kind for name in files} == {
        "spec.yaml": "spec",
        "spec.json": "spec",
        "spec.txt": "spec",
        "mistaken.yaml": "spec",
        "index.json": "checkpoint",
        "binary.yaml": "checkpoint",
        "checkpoint.pt": "checkpoint",
        "build.py": "factory",
        "mod:make": "spec",
        "weights:make": "checkpoint",
    }
    assert recognise("pkg.mod:make").kind == "factory"
    assert recognise("missing.yaml").kind == "checkpoint"
    assert recognise("folder.py").kind == "checkpoint"
    assert recognise("a\0b").kind == "checkpoint"


CODE = "import sys, paraminspect.models.recognise as r\nr.recognise(sys.argv[1])\n{}print('torch' in sys.modules)"


@pytest.mark.parametrize(
    ("more", "expected"), [("", "False"), pytest.param("import torch\n", "True", marks=pytest.mark.torch)]
)
def test_recognising_does_not_import_torch(tmp_path: Path, more: str, expected: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: [ReLU]")
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(more), str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
