"""The store of a run that torchrun started."""

from __future__ import annotations

from torch.distributed import distributed_c10d
from torch.distributed.rendezvous import rendezvous

from paraminspect.ranks.launched import Launched
from paraminspect.ranks.meeting import Meeting

_PREFIX = "paraminspect"


def open_meeting(launched: Launched) -> Meeting:
    """Where the processes of this run meet: in the store that torchrun keeps, or rank 0 does."""
    store, _, _ = next(rendezvous("env://", launched.rank, launched.world))
    return Meeting(launched, distributed_c10d.PrefixStore(_PREFIX, store))  # type: ignore[arg-type]
