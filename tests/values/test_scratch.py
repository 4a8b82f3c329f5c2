"""Memory in which one block of numbers is worked on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from paraminspect.values.scratch import BLOCK, scratch


@pytest.mark.parametrize("kind", [np.float64, np.intp, np.float32])
def test_room_for_a_block(kind: type[np.generic]) -> None:
    room = scratch(kind, BLOCK)
    assert (room.shape, room.dtype, room.flags.writeable) == ((BLOCK,), np.dtype(kind), True)
    assert scratch(kind, 3).shape == (3,)


def test_a_thread_has_the_same_and_another_thread_its_own() -> None:
    mine = scratch(np.float64, 4)
    assert np.shares_memory(mine, scratch(np.intp, 2))
    with ThreadPoolExecutor(1) as threads:
        assert not np.shares_memory(mine, threads.submit(scratch, np.float64, 4).result())
