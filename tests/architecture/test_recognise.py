from __future__ import annotations

import json

import pytest

from paraminspect.architecture.recognise import looks_like_spec


@pytest.mark.parametrize(
    "text",
    [
        "model: [ReLU]",
        "model:\n  - ReLU",
        "# a comment\nvars: {a: 1}\nmodel:\n- ReLU",
        '"model": [ReLU]',
        "'model' : [ReLU]",
        "\ufeffmodel:\r\n  - ReLU\r\n",
        "vars: {a: 1}\nblocks:\n  A: {layers: [ReLU]}",
        "{model: [ReLU]}",
        '{"vars": {}, "model": ["ReLU"]}',
        '{\n\t"model"\t: [\n"ReLU"]}',
        "model: [this is not, {closed",
    ],
)
def test_specs(text: str) -> None:
    assert looks_like_spec(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02}q\x00.",
        b"PK\x03\x04",
        b"GGUF\x03\x00\x00\x00",
        b"model: [ReLU]\x00",
        b"  model: [ReLU]",
        b"my_model: [ReLU]",
        b"# model: [ReLU]",
        b"model:x",
        json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}).encode(),
        json.dumps({"metadata": {}, "weight_map": {"model.a": "x"}}).encode(),
        json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {}}}).encode(),
        b"import torch\nmodel = torch.nn.ReLU()\n",
    ],
)
def test_other_files(data: bytes) -> None:
    assert not looks_like_spec(data)
