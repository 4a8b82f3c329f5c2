"""Seeds: from the run's seed and a name to a generator of that name's own."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_WORDS = 624
"""Of 32 bits: the state of a Mersenne Twister."""

_WORDS_AT = 24
"""Where they begin in the state of torch's CPU generator (torch 2.13, unchanged since 0.4)."""


def derive_seed(seed: int, name: str) -> int:
    """The seed of what goes by `name`: 32 bits, all that the CPU generator uses.

    The first four bytes of sha256("SEED", a zero byte, NAME), big-endian; it does not depend on any other name.
    """
    digest = hashlib.sha256(f"{seed}\0{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big")


def make_generator(seed: int, name: str, part: str = "") -> torch.Generator:
    """The generator of what goes by `name`, or of a part of it, which has a stream of its own.

    That of a part begins in the state to which init_by_array of the Mersenne Twister (Matsumoto and Nishimura 2002) leads
    from all 256 bits of sha256("SEED", a zero byte, NAME, a zero byte, PART), big-endian; Python's `random` has it.
    """
    generator = torch.Generator()
    if not part:
        return generator.manual_seed(derive_seed(seed, name))
    state = generator.get_state()
    words = random.Random(_whole_hash(seed, name, part)).getstate()[1][:_WORDS]
    # torch keeps each word of 32 bits in one of 64; before them the seed and how many words are used up
    state[_WORDS_AT : _WORDS_AT + 8 * _WORDS] = torch.tensor(words).view(torch.uint8)
    generator.set_state(state)
    return generator


def _whole_hash(seed: int, name: str, part: str) -> int:
    text = f"{seed}\0{name}\0{part}" if part else f"{seed}\0{name}"
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest(), "big")


@contextmanager
def global_seed(seed: int, name: str, part: str = "") -> Iterator[None]:
    """Seed torch's global CPU generator for what goes by `name`, and put its state back afterwards."""
    state = torch.get_rng_state()
    torch.default_generator.set_state(make_generator(seed, name, part).get_state())
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def seeded(seed: int, name: str, part: str = "") -> Iterator[None]:
    """The same for every generator that a user's code may draw from: Python's and, if it is in use, numpy's too."""
    numpy: Any = sys.modules.get("numpy")
    state = random.getstate()
    arrays = numpy.random.get_state() if numpy is not None else None
    own = _whole_hash(seed, name, part) if part else derive_seed(seed, name)
    random.seed(own)
    if numpy is not None:
        numpy.random.seed([own >> at & 0xFFFFFFFF for at in range(0, 256, 32)] if part else own)
    try:
        with global_seed(seed, name, part):
            yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(arrays)
