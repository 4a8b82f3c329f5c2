"""What a node's saved values prove: each reason and its twin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.making.lost_gradients import KEPT
from tests.making.reasons import WAYS, Found, check


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("case", KEPT)
def test_a_reason_is_said_where_it_holds_and_only_there(case: str, ask: Callable[..., Found]) -> None:
    check(case, ask)
