"""Processes that are to do different things, or are of different versions, do nothing."""

from __future__ import annotations

import pytest

from paraminspect.errors import ParamInspectError
from paraminspect.ranks.arrivals import Arrival, arrive, compare_arrivals
from paraminspect.ranks.meeting import EndedError, Meeting
from tests.making.meetings import by_ranks


@pytest.mark.torch
def test_all_are_to_do_the_same() -> None:
    assert by_ranks(3, lambda meeting: arrive(meeting, "0.1", "a", "does more")) == [None] * 3


@pytest.mark.torch
def test_one_that_is_to_do_something_else_is_named() -> None:
    def work(meeting: Meeting) -> None:
        arrive(meeting, "0.1", "b" if meeting.launched.rank == 1 else "a", "has another model")

    first, *others = by_ranks(3, work)
    assert (first.message, first.hint) == (
        "rank 1 has another model than rank 0",
        "is the source the same on every host?",
    )
    assert all(isinstance(each, EndedError) for each in others)


@pytest.mark.parametrize(
    ("other", "due"),
    [
        (Arrival("0.2", "2.9", "a"), "paraminspect is 0.1 on rank 0 and 0.2 on rank 1"),
        (Arrival("0.1", "3.0", "b"), "torch is 2.9 on rank 0 and 3.0 on rank 1"),
    ],
)
def test_versions(other: Arrival, due: str) -> None:
    with pytest.raises(ParamInspectError, match=due):
        compare_arrivals([Arrival("0.1", "2.9", "a"), other], "does more")


def test_of_many_that_differ_some_are_named() -> None:
    arrivals = [Arrival("0.1", "2.9", "a"), *[Arrival("0.1", "2.9", "b")] * 8]
    with pytest.raises(ParamInspectError, match=r"^rank 1, 2, 3, 4, 5, 6 and 2 more has another model than rank 0$"):
        compare_arrivals(arrivals, "has another model")
