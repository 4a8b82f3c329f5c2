"""Floor for safetensors: parse the header with json and print it."""

from __future__ import annotations

import json
import sys

with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
header.pop("__metadata__", None)
rows = [f"{name}\t{tensor['shape']}\t{tensor['dtype']}\n" for name, tensor in header.items()]
sys.stdout.write("".join(rows))
