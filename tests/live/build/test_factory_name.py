from __future__ import annotations

import pytest

from paraminspect.live.build.factory_name import FactoryName, parse_factory


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pkg.mod:make", FactoryName("pkg.mod", "", "make")),
        ("mod:Net.Small", FactoryName("mod", "", "Net.Small")),
        ("build.py:make", FactoryName("", "build.py", "make")),
        ("/a b/c-d/build.py:make", FactoryName("", "/a b/c-d/build.py", "make")),
        ("build.py", FactoryName("", "build.py", "")),
        ("model.pt", None),
        ("hf://org/name", None),
        ("https://host:8080/x", None),
        ("https://host/x.py:make", None),
        ("s3://bucket/build.py", None),
        ("C:\\models\\x.pt", None),
        ("a/b:make", None),
        ("mod:", None),
        ("mod:1x", None),
        ("-", None),
        ("", None),
    ],
)
def test_factory_names(source: str, expected: FactoryName | None) -> None:
    assert parse_factory(source) == expected
