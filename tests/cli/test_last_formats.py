"""`torch.export` archives and ONNX models through every command that looks into files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from torch import nn

from tests.cli.conftest import Run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
