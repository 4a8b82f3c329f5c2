"""Which of several processes this is."""

from __future__ import annotations

import pytest

from paraminspect.ranks.launched import find_launched

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "none"}


def test_what_torchrun_says() -> None:
    found = find_launched(TORCHRUN)
    assert found is not None
    assert found[:2] == (3, 8)
    assert found.host
    assert not found.is_first


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RANK": "3", "WORLD_SIZE": "8"},  # of a batch job of the user's own
        {**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0"},
        {**TORCHRUN, "RANK": "x"},
        {**TORCHRUN, "RANK": "8"},
        {**TORCHRUN, "RANK": "-1"},
    ],
)
def test_alone(environ: dict[str, str]) -> None:
    assert find_launched(environ) is None
