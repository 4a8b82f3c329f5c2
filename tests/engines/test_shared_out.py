"""Work is shared out whole and evenly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.engines.shared_out import share_out


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 5))
def test_work_is_shared_out_whole_and_evenly(sizes: list[int], workers: int) -> None:
    lots = share_out(sizes, workers)
    assert sorted(place for lot in lots for place in lot) == list(range(len(sizes)))
    assert all(lot == sorted(lot) for lot in lots)
    sums = [sum(sizes[place] for place in lot) for lot in lots]
    if len(lots) == workers:
        assert max(sums) - min(sums) <= max(sizes) + len(sizes)
