"""Tensor attributes that are lost, by records alone."""

from __future__ import annotations

from paraminspect.names.attributes import find_lost
from paraminspect.records import Storage, TensorRecord


def record(name: str, role: str = "model", storage: Storage | None = None) -> TensorRecord:
    kind = "tensor" if role == "attribute" else "parameter"
    return TensorRecord(name, (2,), "float32", 2, 8, kind, None, role, storage=storage)  # type: ignore[arg-type]


def test_an_attribute_is_lost_unless_it_is_a_parameter_or_made_of_one() -> None:
    one, other = Storage("a", 8), Storage("b", 8)
    records = [
        record("a.weight", storage=one),
        record("a.flat", "attribute", one),
        record("b.weight_v"),
        record("b.weight", "attribute"),
        record("c.weight", "attribute", other),
    ]
    assert find_lost(records) == [4]
    assert find_lost(records[:1]) == []
