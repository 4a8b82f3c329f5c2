"""Requests side by side: each is mostly waiting, so threads do not get in each other's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from paraminspect.files.door import Given, Made
from paraminspect.limits import shared_effort

READERS: Final = 16
"""Requests that are made side by side."""


def side_by_side(work: Callable[[Given], Made], items: Sequence[Given], readers: int = READERS) -> list[Made]:
    """What `work` makes of each item, in their order.

    Raises:
        BaseException: What the work on the first item that fails raises; Ctrl-C. What is under way is not waited for.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(readers, len(items)))
    try:
        made = list(pool.map(shared_effort(work), items))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return made
