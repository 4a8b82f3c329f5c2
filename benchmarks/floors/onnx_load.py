"""Floor for ONNX: the onnx package parses the file, and the initializers are printed."""

from __future__ import annotations

import sys

import onnx

model = onnx.load(sys.argv[1], load_external_data=False)
rows = [f"{tensor.name}\t{list(tensor.dims)}\t{tensor.data_type}\n" for tensor in model.graph.initializer]
sys.stdout.write("".join(rows))
