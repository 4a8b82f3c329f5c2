"""Seeds: from the run's seed and a name to a generator of that name's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, name: str) -> int:
    """The seed of what goes by `name`: 32 bits, all that the CPU generator uses.

    The first four bytes of sha256("SEED", a zero byte, NAME), big-endian; it does not depend on any other name.
    """
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def make_generator(seed: int, name: str) -> torch.Generator:
    """A CPU generator for what goes by `name`."""
    return torch.Generator().manual_seed(derive_seed(seed, name))


@contextmanager
def global_seed(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global CPU generator for what goes by `name`, and put its state back afterwards."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(derive_seed(seed, name))
    try:
        yield
    finally:
        torch.set_rng_state(state)
