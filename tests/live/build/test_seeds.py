"""Seeds of names, and generators that are put back."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.live.build.seeds import device_seed, global_seed, make_generator, seeded
from paraminspect.rules.seeds import stream_key


def test_other_devices_take_the_first_63_bits_of_the_key() -> None:
    assert device_seed(7, "w") == stream_key(7, "w") >> 193


@pytest.mark.parametrize("part", ["", "part 1/4", "block 3"])
def test_a_stream_begins_where_all_bits_of_its_hash_lead(part: str) -> None:
    key = int(hashlib.sha256(b"7\0w" + (b"\0" + part.encode() if part else b"")).hexdigest(), 16)
    draws = torch.randint(0, 1 << 20, (1500,), generator=make_generator(7, "w", part)).tolist()
    own = random.Random(key)
    assert draws == [own.getrandbits(32) % (1 << 20) for _ in range(1500)]


def test_names_whose_hashes_begin_alike_draw_other_numbers() -> None:
    """Of seed 8, up to the 32 bits that `manual_seed` takes; two experts of a model of 58 layers with 256 each."""
    names = [f"model.layers.{place}.up_proj.weight" for place in ("26.mlp.experts.68", "41.mlp.experts.228")]
    assert len({stream_key(8, name) >> 224 for name in names}) == 1
    one, other = (torch.randn(1000, generator=make_generator(8, name)) for name in names)
    assert not (one == other).any()


def drawn() -> list[Any]:
    return [random.random(), np.random.rand(), torch.rand(()).item()]


@pytest.mark.parametrize("fails", [False, True])
def test_all_generators_are_seeded_by_name_and_put_back(fails: bool) -> None:
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    due = drawn()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    inside = []
    for name in ("a", "b", "a"):
        try:
            with seeded(0, name):
                inside.append(drawn())
                if fails:
                    raise KeyError
        except KeyError:
            pass
    assert drawn() == due
    assert inside[0] == inside[2]
    assert not set(inside[0]) & set(inside[1])


def test_torch_alone() -> None:
    random.seed(5)
    state = random.getstate()
    with global_seed(0, "a"):
        first = torch.rand(3)
    with seeded(0, "a"):
        assert torch.equal(torch.rand(3), first)
    assert random.getstate() == state
