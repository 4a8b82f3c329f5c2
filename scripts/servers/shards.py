"""A sharded model of any size that takes no room: headers of safetensors files, and zeros behind them."""

from __future__ import annotations

import json

from scripts.servers.ranges import Padded

INDEX = "model.safetensors.index.json"
HIDDEN = 8192


def make_shards(count: int, nbytes: int, per_shard: int = 9) -> dict[str, bytes | Padded]:
    """Files of a model by name, its index among them.

    Args:
        count: Of shards.
        nbytes: Of tensor data in all, about.
        per_shard: Tensors of each.
    """
    rows = nbytes // (count * per_shard * HIDDEN * 2)
    files: dict[str, bytes | Padded] = {}
    weight_map = {}
    for number in range(1, count + 1):
        name = f"model-{number:05}-of-{count:05}.safetensors"
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        for place in range(per_shard):
            tensor = f"model.layers.{number - 1}.mlp.experts.{place}.weight"
            begin = place * rows * HIDDEN * 2
            entries[tensor] = {
                "dtype": "BF16",
                "shape": [rows, HIDDEN],
                "data_offsets": [begin, begin + rows * HIDDEN * 2],
            }
            weight_map[tensor] = name
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % 8)
        head = len(header).to_bytes(8, "little") + header
        files[name] = Padded(head, len(head) + per_shard * rows * HIDDEN * 2)
    total = count * per_shard * rows * HIDDEN * 2
    files[INDEX] = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}).encode()
    return files
