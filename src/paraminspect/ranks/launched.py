"""Which of several processes this is, as torchrun says it in the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from paraminspect.tuples import NamedTuple

STARTED_BY: Final = "TORCHELASTIC_RUN_ID"
"""Set by torchrun alone: a program of a batch job may have a RANK, and is run as ever."""


class Launched(NamedTuple):
    """This process among those of one run.

    Attributes:
        rank: From 0; that one prints.
        world: How many there are.
        host: The name of this machine.
    """

    rank: int
    world: int
    host: str

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def find_launched(environ: Mapping[str, str] = os.environ) -> Launched | None:
    """Which process this is; None where torchrun did not start it, or started it alone."""
    try:
        rank, world = int(environ["RANK"]), int(environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return None
    if STARTED_BY not in environ or world < 2 or not 0 <= rank < world:
        return None
    import socket  # 5 ms, which no other run pays

    return Launched(rank, world, socket.gethostname())
