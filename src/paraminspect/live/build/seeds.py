"""Seeds: from the run's seed and a name to a generator of that name's own."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def derive_seed(seed: int, name: str) -> int:
    """The seed of what goes by `name`: 32 bits, all that the CPU generator uses.

    The first four bytes of sha256("SEED", a zero byte, NAME), big-endian; it does not depend on any other name.
    """
    digest = hashlib.sha256(f"{seed}\0{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big")


@contextmanager
def global_seed(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global CPU generator for what goes by `name`, and put its state back afterwards."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(derive_seed(seed, name))
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """The same for every generator that a user's code may draw from: Python's and, if it is in use, numpy's too."""
    numpy: Any = sys.modules.get("numpy")
    state = random.getstate()
    arrays = numpy.random.get_state() if numpy is not None else None
    random.seed(derive_seed(seed, name))
    if numpy is not None:
        numpy.random.seed(derive_seed(seed, name))
    try:
        with global_seed(seed, name):
            yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(arrays)
