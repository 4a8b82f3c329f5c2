"""What torchinfo says of a transformer of 85 million parameters and its output shapes; `make` is the model."""

from __future__ import annotations

import sys

from torch import nn

WIDTH, LAYERS, LENGTH = 768, 12, 16


def make() -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(WIDTH, 12, 4 * WIDTH, batch_first=True), LAYERS, enable_nested_tensor=False
    )


if __name__ == "__main__":
    import torchinfo

    sys.stdout.write(f"{torchinfo.summary(make(), (1, LENGTH, WIDTH), depth=9, verbose=0)}\n")
