"""Processes agree, on what they found and on what went wrong; here each is a thread."""

from __future__ import annotations

from typing import Any

import pytest

from paraminspect.errors import ParamInspectError
from paraminspect.ranks import meeting as meetings
from paraminspect.ranks.launched import Launched
from paraminspect.ranks.meeting import EndedError, Meeting
from tests.making.meetings import MemoryStore, by_ranks


@pytest.mark.parametrize("world", [2, 3, 7])
def test_all_get_what_rank_0_makes_of_everybody_s(world: int) -> None:
    def work(meeting: Meeting) -> tuple[int, list[int]]:
        total = meeting.agree(meeting.launched.rank, sum)
        return total, meeting.agree(meeting.launched.rank + 10, list)

    assert by_ranks(world, work) == [(sum(range(world)), [10 + rank for rank in range(world)])] * world


@pytest.mark.parametrize("step", [0, 1, 2])
def test_one_that_fails_is_named_and_nobody_waits_for_it(step: int) -> None:
    def work(meeting: Meeting) -> None:
        for number in range(3):
            if number == step and meeting.launched.rank == 1:
                raise ParamInspectError("the disk is full", hint="make room")
            meeting.agree(number)

    first, second, third = by_ranks(3, work)
    assert (first.message, first.hint) == ("rank 1 (host1): the disk is full", "make room")
    assert isinstance(second, ParamInspectError)
    assert isinstance(third, EndedError) or step == 3


def test_what_rank_0_refuses_ends_all() -> None:
    def refuse(values: Any) -> None:
        raise ParamInspectError(f"{sorted(values)} differ")

    found = by_ranks(3, lambda meeting: meeting.agree(meeting.launched.rank, refuse))
    assert str(found[0]) == "[0, 1, 2] differ"
    assert all(isinstance(each, EndedError) for each in found[1:])


def test_who_works_sees_that_another_one_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "LOOK_S", 0)

    def work(meeting: Meeting) -> None:
        if meeting.launched.rank == 2:
            raise ParamInspectError("no")
        while True:
            meeting.look()

    first, second, _ = by_ranks(3, work)
    assert str(first) == "rank 2 (host2): no"
    assert isinstance(second, EndedError)


def test_rank_0_waits_for_what_another_one_has_failed_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(meeting: Meeting) -> Any:
        if meeting.launched.rank == 1:
            raise ParamInspectError("broken")
        return meeting.wait_until_failed() if meeting.launched.is_first else None

    found = by_ranks(2, work)[0]
    assert (found.rank, found.message) == (1, "broken")
    monkeypatch.setattr(meetings, "PATIENCE_S", 0)
    assert by_ranks(1, work)[0] is None


def test_what_fails_because_another_one_has_is_not_the_reason() -> None:
    """Rank 0 gives up what it has begun when rank 2 fails; rank 1, which is late, does not find it."""
    store = MemoryStore()
    first, late, failing = (Meeting(Launched(rank, 3, f"host{rank}"), store) for rank in range(3))
    failing.fail("the disk is full", None)
    late.fail("not found", None)
    failure = first.failed()
    assert failure is not None
    assert (failure.rank, failure.message) == (2, "the disk is full")
