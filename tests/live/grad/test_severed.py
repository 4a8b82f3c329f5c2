"""Where values leave the graph: each reason and its twin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.making.lost_gradients import SEVERED
from tests.making.reasons import WAYS, Found, check


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("case", SEVERED)
def test_a_reason_is_said_where_it_holds_and_only_there(case: str, ask: Callable[..., Found]) -> None:
    check(case, ask)
