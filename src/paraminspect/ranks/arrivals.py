"""What processes have to have in common before they do something together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paraminspect.errors import ParamInspectError
from paraminspect.text import list_some
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.ranks.meeting import Meeting

MAX_NAMED = 6
"""Ranks that an error names."""


class Arrival(NamedTuple):
    """Of one process.

    Attributes:
        version: Of paraminspect.
        torch: Its version.
        digest: Of what is to be done.
    """

    version: str
    torch: str
    digest: str


def arrive(meeting: Meeting, version: str, digest: str, otherwise: str) -> None:
    """Meet, and go on if all are of one version and are to do the same.

    Args:
        version: Of paraminspect.
        digest: Of what that is.
        otherwise: What one does that has another digest than rank 0: "would write other files".

    Raises:
        ParamInspectError: On rank 0: they are not; another one has failed.
        EndedError: On others.
    """
    from importlib import metadata

    meeting.agree(
        Arrival(version, metadata.version("torch"), digest), lambda arrivals: compare_arrivals(arrivals, otherwise)
    )


def compare_arrivals(arrivals: Sequence[Arrival], otherwise: str) -> None:
    """Raise unless all have the same.

    Args:
        arrivals: By rank.
        otherwise: As of `arrive`.
    """
    for word, found in (
        ("paraminspect", [each.version for each in arrivals]),
        ("torch", [each.torch for each in arrivals]),
    ):
        if others := _others(found):
            raise ParamInspectError(f"{word} is {found[0]} on rank 0 and {found[others[0]]} on rank {others[0]}")
    if others := _others([each.digest for each in arrivals]):
        named = list_some(list(map(str, others)), MAX_NAMED)
        raise ParamInspectError(f"rank {named} {otherwise} than rank 0", hint="is the source the same on every host?")


def _others(found: Sequence[str]) -> list[int]:
    return [rank for rank, each in enumerate(found) if each != found[0]]
