"""Ties of models, checkpoints and records, by one function; held against torch's own objects."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paraminspect import ties as find_ties
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint, Declaration, Storage, TensorRecord
from paraminspect.sharing.find import Found, Source, distinct, find_equal_in, find_in, group_names, open_stored
from paraminspect.tied import shared_bytes
from tests.making.records import stored


def linear(*names: str) -> nn.Module:
    """A module whose children of these names are one layer."""
    model, layer = nn.Module(), nn.Linear(2, 2, bias=False)
    for name in names:
        model.add_module(name, layer)
    return model


def test_a_model_a_checkpoint_and_records_have_the_same_ties(tmp_path: Path) -> None:
    model = linear("b", "a", "c")
    torch.save(model.state_dict(), tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    found = [
        find_ties(model),
        find_ties(checkpoint),
        shared_bytes.find_ties(checkpoint.tensors),
    ]
    assert [[(group.kind, group.names) for group in groups] for groups in found] == [
        [("module", ("b.weight", "a.weight", "c.weight"))],
        *[[("alias", ("b.weight", "a.weight", "c.weight"))]] * 2,
    ]


def test_a_checkpoint_is_searched_without_torch_numpy_or_openssl(tmp_path: Path) -> None:
    torch.save(linear("a", "b").state_dict(), tmp_path / "m.pt")
    script = (
        "import sys; from paraminspect.formats.source import open_source; from paraminspect import ties as find_ties\n"
        f"assert find_ties(open_source({str(tmp_path / 'm.pt')!r}))[0].names == ('a.weight', 'b.weight')\n"
        "print({'torch', 'numpy', '_hashlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


@settings(max_examples=60)
@given(st.data())
def test_a_model_has_the_ties_that_its_objects_have(data: st.DataObject) -> None:
    """Parameters of a model built at random, grouped by identity; what the names are does not matter."""
    pool = [nn.Parameter(torch.zeros(2)) for _ in range(4)]
    leaves = [nn.Module() for _ in range(3)]
    for leaf in leaves:
        for name in "pq":
            leaf.register_parameter(name, data.draw(st.sampled_from([None, *pool])))
    model = nn.Module()
    for place in range(data.draw(st.integers(0, 5))):
        model.add_module(f"m{place}", data.draw(st.sampled_from(leaves)))
    due: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        due.setdefault(id(parameter), []).append(name)
    groups = find_ties(model)
    assert [list(group.names) for group in groups] == [names for names in due.values() if len(names) > 1]
    for group in groups:
        owners = {(id(model.get_submodule(name.rpartition(".")[0])), name[-1]) for name in group.names}
        assert group.kind == ("module" if len(owners) == 1 else "parameter")


# Declarations.


class Bytes:
    """Contents that are at hand, by name."""

    def __init__(self, **data: bytes) -> None:
        self.data = data

    def pieces(self, record: TensorRecord):  # type: ignore[no-untyped-def]
        yield self.data[record.name]

    def start(self, record: TensorRecord, length: int) -> bytes:
        return self.data[record.name][:length]


def pair(name: str) -> TensorRecord:
    return stored(name, 2, dtype="int8")


def declare(*pairs: str) -> list[Declaration]:
    return [Declaration(alias, name, "metadata") for alias, name in pairs]


def test_three_names_of_which_two_are_stored() -> None:
    a = pair("a")
    records = [pair("x"), a, pair("b"), a._replace(name="c", declared=True)]
    contents = Bytes(x=b"..", a=b"12", b=b"12")
    groups, notes = find_in(Source(records, declare("ba", "ca"), contents))
    assert [(group.kind, group.names, group.saved) for group in groups] == [("declared", ("a", "b", "c"), 2)]
    assert notes == ["b is declared tied to a (metadata) and stored a second time with the same bytes (2 B)"]


def test_ties_that_are_declared_in_a_chain() -> None:
    records = [pair("a"), pair("b"), pair("c")]
    contents = Bytes(a=b"12", b=b"12", c=b"12")
    groups, _ = find_in(Source(records, declare("ba", "cb"), contents))
    assert [(group.names, group.saved) for group in groups] == [(("a", "b", "c"), 0)]


def test_many_declarations_of_one_tensor() -> None:
    """Each of them stored, and all of them the same: what is joined is joined once."""
    names = [f"a{n}" for n in range(20_000)]
    declared = [Declaration(name, "a0", "metadata") for name in names[1:]]
    groups, notes = find_in(Source([pair(name) for name in names], declared, Bytes(**dict.fromkeys(names, b"12"))))
    assert [(len(group.names), group.kind, group.saved) for group in groups] == [(20_000, "declared", 0)]
    assert len(notes) == 9
    assert notes[-1] == "19,991 more remarks on declared ties"


def test_a_declaration_without_values_is_believed_by_nobody() -> None:
    groups, notes = find_in(Source([pair("a"), pair("b")], declare("ba")))
    assert groups == []
    assert notes == ["b is declared tied to a (metadata); its values are not known"]


def test_a_declaration_about_what_is_left_out_is_passed_over() -> None:
    assert find_in(Source([pair("a")], declare("ba", "cb"))) == Found([], [])


def test_declared_tensors_that_cannot_be_compared(tmp_path: Path) -> None:
    records = [pair("a"), pair("b")]
    checkpoint = Checkpoint("safetensors", records, declared=tuple(declare("ba")))
    groups, notes = find_in(open_stored(checkpoint))
    assert groups == []
    assert notes[0].endswith("the two cannot be compared: values cannot be read from a pipe")


# Names, and contents across sources.


def test_names_of_one_tensor() -> None:
    storage = Storage("0", 40)
    whole = TensorRecord("a", (10,), "float32", 10, 40, storage=storage, stride=(1,))
    part = TensorRecord("c", (2,), "float32", 2, 8, storage=storage, offset=8, stride=(1,))
    records = [whole, whole._replace(name="b"), part, part._replace(name="d"), pair("e"), pair("f")]
    (overlap,) = shared_bytes.find_ties(records)
    names = group_names(records, [overlap])
    assert names["a"] == names["b"] != names["c"] == names["d"]
    assert "e" not in names


@given(st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=4, unique=True), max_size=5), st.randoms())
def test_groups_that_meet_are_one(members: list[list[int]], chance: random.Random) -> None:
    records = [pair(str(n)) for n in range(8)]
    groups = [
        shared_bytes.find_ties([records[0]] * 2)[0].__class__("equal", tuple(map(str, each)), tuple(each))
        for each in members
    ]
    chance.shuffle(groups)
    names = group_names(records, groups)
    component = list(range(8))
    for each in members:
        low = {component[n] for n in each}
        component = [min(low) if c in low else c for c in component]
    known = {n for each in members for n in each}
    assert set(names) == {str(n) for n in known}
    for one in known:
        for other in known:
            assert (names[str(one)] == names[str(other)]) == (component[one] == component[other])


def test_of_tied_names_one_is_compared() -> None:
    storage = Storage("0", 4)
    whole = TensorRecord("a", (4,), "int8", 4, 4, storage=storage, stride=(1,))
    half = TensorRecord("c", (2,), "int8", 2, 2, storage=storage, stride=(1,))
    records = [whole, whole._replace(name="b"), half, half._replace(name="d"), pair("e")]
    source = Source(records, contents=Bytes(a=b"1234", c=b"12", e=b"12"))
    found = find_in(source)
    assert distinct(source, found) == [0, 2, 4]
    equal = find_equal_in([source], [found])
    assert [(group.kind, group.names, group.saved, group.sources) for group in equal.groups] == [
        ("equal", ("c", "e"), 0, ())
    ]


def test_sources_are_compared_with_each_other() -> None:
    sources = [Source([pair("a")], contents=Bytes(a=b"12")) for _ in range(2)]
    groups = find_equal_in(sources, [Found([], [])] * 2).groups
    assert [(group.names, group.indices, group.sources) for group in groups] == [(("a", "a"), (0, 0), (0, 1))]
