"""Make the files that are measured, those that are not there yet: `python -m benchmarks.make_inputs FOLDER [NAME..]`.

A process of its own, for it imports torch, and the one that measures must stay small.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import onnx
import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

from benchmarks.ranks import STEP, metadata_of_ranks
from scripts.gpt2 import EMBEDDING, HEAD, gpt2_shapes

MANY = 100_000
SHARDS = 160
SCRIPTED = 4_000
PIECES = 2_000
RANK_TENSORS, RANKS = 873, 256
SHARD_LAYER_SHAPES = {
    "input_layernorm": (16_384,),
    "mlp.down_proj": (16_384, 53_248),
    "mlp.gate_proj": (53_248, 16_384),
    "mlp.up_proj": (53_248, 16_384),
    "post_attention_layernorm": (16_384,),
    "self_attn.k_proj": (1_024, 16_384),
    "self_attn.o_proj": (16_384, 16_384),
    "self_attn.q_proj": (16_384, 16_384),
    "self_attn.v_proj": (1_024, 16_384),
}
"""One layer of a transformer of 400 billion parameters, here one layer a shard."""


def main() -> None:
    """Make every input in the folder named on the command line, or those that are named behind it, large ones too."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {**INPUTS, **LARGE}.items():
        if not (folder / name).exists() and name in (sys.argv[2:] or INPUTS):
            unfinished = folder / "unfinished" / name
            shutil.rmtree(unfinished.parent, ignore_errors=True)
            unfinished.parent.mkdir()
            make(unfinished)
            unfinished.rename(folder / name)
            unfinished.parent.rmdir()


def _gpt2() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in gpt2_shapes().items()}


def _gpt2_safetensors(path: Path) -> None:
    save_file(_gpt2(), path, {"format": "pt", HEAD: EMBEDDING})  # the tie as `safetensors.torch.save_model` writes it


def _gpt2_narrow(path: Path, dtype: torch.dtype) -> None:
    save_file({name: tensor.to(dtype) for name, tensor in _gpt2().items()}, path)


def _gpt2_blocks(path: Path) -> None:
    """The matrices in 4-bit blocks, as llama.cpp has them, what else there is in float32."""
    writer = gguf.GGUFWriter(path, "gpt2")
    for name, tensor in _gpt2().items():
        kind = gguf.GGMLQuantizationType.Q4_0 if tensor.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gpt2_torch(path: Path, *, legacy: bool = False) -> None:
    state = _gpt2()
    torch.save({**state, HEAD: state[EMBEDDING]}, path, _use_new_zipfile_serialization=not legacy)


def _many(count: int = MANY) -> dict[str, torch.Tensor]:
    return {f"model.layers.{i // 1000}.experts.{i // 4 % 250}.w{i % 4}.weight": torch.ones(2, 2) for i in range(count)}


def _many_torch(path: Path, *, legacy: bool = False) -> None:
    torch.save(_many(), path, _use_new_zipfile_serialization=not legacy)


def _many_onnx(path: Path) -> None:
    graph = onnx.GraphProto(name="many")
    for name, tensor in _many().items():
        graph.initializer.add(name=name, dims=tensor.shape, data_type=1, raw_data=tensor.numpy().tobytes())
    onnx.save_model(onnx.helper.make_model(graph), path)


def _ranks(folder: Path, ranks: int = RANKS) -> None:
    """Metadata of so many ranks; their files are holes."""
    folder.mkdir()
    with open(folder / ".metadata", "wb") as metadata:
        pickle.dump(metadata_of_ranks(RANK_TENSORS, ranks, by_rank=True), metadata)
    for rank in range(ranks):
        with open(folder / f"__{rank}_0.distcp", "wb") as file:
            file.truncate(RANK_TENSORS * STEP)


def _script(path: Path) -> None:
    modules = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(SCRIPTED)))
    torch.jit.save(torch.jit.script(modules), path)


def _pieces(folder: Path) -> None:
    """What one process writes of a model of a few shapes, values and all."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 32), (64,), (32, 64), (16, 16)]
    state = {f"layers.{i}.weight": torch.randn(shapes[i % 4], generator=generator) for i in range(PIECES)}
    save_distributed(state, checkpoint_id=folder, no_dist=True)


def _shards(folder: Path) -> None:
    """A sharded checkpoint of bfloat16 whose data is one hole: 1 TB by its headers, nothing on disk."""
    folder.mkdir()
    places = {}
    for shard in range(SHARDS):
        file = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, shape in SHARD_LAYER_SHAPES.items():
            begin, end = end, end + 2 * int(np.prod(shape))
            header[f"model.layers.{shard}.{name}.weight"] = {
                "dtype": "BF16",
                "shape": shape,
                "data_offsets": [begin, end],
            }
            places[f"model.layers.{shard}.{name}.weight"] = file
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as written:
            written.write(len(text).to_bytes(8, "little") + text)
            written.truncate(8 + len(text) + end)
    index = {"metadata": {"total_size": SHARDS * end}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _layers(path: Path) -> None:
    """A spec of 7,500 blocks of four layers."""
    layers = "{Linear: [8, $width]}, {LayerNorm: $width}, GELU, {Linear: [$width, 8]}"
    path.write_text(f"blocks: {{B: {{args: [width], layers: [{layers}]}}}}\nmodel: [{{B: $(8 + i), repeat: 7500}}]\n")


def _gguf(path: Path) -> None:
    """A model of 32 layers in 8-bit blocks with a vocabulary of 32,000 tokens."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"token {i}" for i in range(32_000)])
    writer.add_token_scores([0.0] * 32_000)
    blocks = gguf.quantize(np.ones((64, 256), np.float32), gguf.GGMLQuantizationType.Q8_0)
    for layer in range(32):
        for name in ("attn_k", "attn_norm", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


INPUTS: dict[str, Callable[[Path], None]] = {
    "gpt2.safetensors": _gpt2_safetensors,
    "gpt2.pt": _gpt2_torch,
    "gpt2-f16.safetensors": lambda path: _gpt2_narrow(path, torch.float16),
    "gpt2-bf16.safetensors": lambda path: _gpt2_narrow(path, torch.bfloat16),
    "gpt2-f8.safetensors": lambda path: _gpt2_narrow(path, torch.float8_e4m3fn),
    "gpt2-q4.gguf": _gpt2_blocks,
    "gpt2-legacy.pt": lambda path: _gpt2_torch(path, legacy=True),
    "many.safetensors": lambda path: save_file(_many(), path),
    "many-1000.safetensors": lambda path: save_file(_many(1_000), path),
    "many-10000.safetensors": lambda path: save_file(_many(10_000), path),
    "many.pt": _many_torch,
    "many-legacy.pt": lambda path: _many_torch(path, legacy=True),
    "many.onnx": _many_onnx,
    "script.pt": _script,
    "ranks": _ranks,
    "pieces": _pieces,
    "shards": _shards,
    "small.gguf": _gguf,
    "layers.yaml": _layers,
}

LARGE: dict[str, Callable[[Path], None]] = {"gathered": lambda path: _ranks(path, 4_010)}
"""What is only made when it is named: `python -m benchmarks.large`."""

if __name__ == "__main__":
    main()
