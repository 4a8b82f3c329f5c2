"""Seeds of names, and generators that are put back."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.live.build.seeds import derive_seed, global_seed, seeded


def test_a_seed_is_the_beginning_of_a_hash_with_a_zero_byte_between() -> None:
    for seed, name in ((0, ""), (7, "h.0.weight"), (12, "3\0x"), (0, "lone\udc80")):
        data = str(seed).encode() + b"\0" + name.encode(errors="surrogatepass")
        assert derive_seed(seed, name) == int(hashlib.sha256(data).hexdigest()[:8], 16)
    assert derive_seed(1, "1x") != derive_seed(11, "x")


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
