from __future__ import annotations

import json

import pytest

from paraminspect.formats.json_text import find_repeated


@pytest.mark.parametrize(
    ("text", "due"),
    [("{}", None), ('{"a": 1, "b": 2}', None), ('{"a": 1, "b": 2, "a": 1}', "a"), ('{"a": 1, "\\u0061": 2}', "a")],
)
def test_the_first_key_that_comes_twice(text: str, due: str | None) -> None:
    assert json.loads(text, object_pairs_hook=find_repeated) == due
