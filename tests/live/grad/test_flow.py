"""Where a gradient is lost on its way: each reason and its twin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.making.lost_gradients import FLOWING
from tests.making.reasons import WAYS, Found, check


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("case", FLOWING)
def test_a_reason_is_said_where_it_holds_and_only_there(case: str, ask: Callable[..., Found]) -> None:
    check(case, ask)
