"""Seeds: from the run's seed and a name to a generator of that name's own.

`rules.seeds` has the key of every stream. `Generator.manual_seed` takes 32 bits of a seed, too few for the tensors of one
mixture of experts, so the whole state of the generator is filled.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from paraminspect.rules.seeds import stream_key

_WORDS: Final = 624
"""Of 32 bits: the state of a Mersenne Twister."""

_WORDS_AT: Final = 24
"""Where they begin in the state of torch's CPU generator (torch 2.13, unchanged since 0.4)."""

_DEVICE_BITS: Final = 63
"""Of a seed of a generator of another device."""


def device_seed(seed: int, name: str, part: str = "") -> int:
    """For generators of other devices, whose state is theirs: as many bits of the key as they take."""
    return stream_key(seed, name, part) >> 256 - _DEVICE_BITS


def make_generator(seed: int, name: str, part: str = "") -> torch.Generator:
    """The generator of what goes by `name`, or of a part of it.

    It begins in the state to which init_by_array of the Mersenne Twister (Matsumoto and Nishimura 2002) leads from all
    bits of the key; Python's `random` has it.
    """
    generator = torch.Generator()
    state = generator.get_state()
    words = random.Random(stream_key(seed, name, part)).getstate()[1][:_WORDS]
    # torch keeps each word of 32 bits in one of 64; before them the seed and how many words are used up
    state[_WORDS_AT : _WORDS_AT + 8 * _WORDS] = torch.tensor(words).view(torch.uint8)
    generator.set_state(state)
    return generator


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
    key = stream_key(seed, name, part)
    random.seed(key)
    if numpy is not None:
        numpy.random.seed([key >> at & 0xFFFFFFFF for at in range(0, 256, 32)])
    try:
        with global_seed(seed, name, part):
            yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(arrays)
