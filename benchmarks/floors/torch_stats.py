"""The statistics of `paraminspect stats` by torch: of every tensor of a file, loaded by mapping it."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import load_file

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def main() -> None:
    path = sys.argv[1]
    state = load_file(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True, mmap=True)
    for name, tensor in state.items():
        if name == "lm_head.weight" and "transformer.wte.weight" in state:
            continue  # tied: once is enough
        print(name, list(tensor.shape), *statistics(tensor), sep="\t")


def statistics(tensor: torch.Tensor) -> list[object]:
    wide = tensor.flatten().double()
    finite = wide[wide.isfinite()]
    low, high = float(finite.min()), float(finite.max())
    ordered = finite.sort().values  # torch.quantile takes 16 million elements at most
    quantiles = [float(ordered[round(share * (len(ordered) - 1))]) for share in QUANTILES]
    counts = torch.histc(finite, 32, low, high).tolist()
    zeros, nan, inf = (int(mask.sum()) for mask in (wide == 0, wide.isnan(), wide.isinf()))
    return [
        float(finite.mean()),
        float(finite.std()),
        low,
        high,
        float(finite.norm()),
        zeros,
        nan,
        inf,
        counts,
        *quantiles,
    ]


if __name__ == "__main__":
    main()
