"""Choosing records, their totals, sums by module and the module tree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.names.listing import (
    MAX_DEPTH,
    Leaf,
    Listing,
    Module,
    Totals,
    add_totals,
    make_listing,
    make_tree,
    suggest_module,
    sum_modules,
    total,
)
from paraminspect.records import Encoding, Logical, Storage, TensorRecord
from tests.making.records import tensor


def names(listing: Listing) -> list[str]:
    return [record.name for record in listing.records]


TIED = Storage("0", 24)
MODEL = [
    tensor("embed.weight", 3, 2, storage=TIED),
    tensor("layers.0.weight", 2, 2),
    tensor("layers.0.mean", 2, kind="buffer"),
    tensor("head.weight", 3, 2, storage=TIED),
    tensor("optim.0", 7, role="optimizer"),
    tensor("ghost", 5, role="attribute"),
]


def test_buffers_state_and_aliases_are_left_out() -> None:
    listing = make_listing(MODEL)
    assert names(listing) == ["embed.weight", "layers.0.weight"]
    assert listing.hidden == {"buffer": 1, "optimizer": 1, "attribute": 1}
    assert listing.tied == 1
    assert total(listing) == Totals(2, 10, 40, 1, ("float32",), 10)


def test_everything_shows_them_but_counts_only_parameters() -> None:
    listing = make_listing(MODEL, everything=True)
    assert len(listing.records) == 5
    assert listing.hidden == {}
    assert total(listing) == Totals(5, 10, 96, 1, ("float32",), 10)


def test_aliases_stand_beside_their_canonical_tensor_without_counting() -> None:
    listing = make_listing(MODEL, aliases=True)
    assert names(listing) == ["embed.weight", "layers.0.weight", "head.weight"]
    assert listing.tied_to == {2: "embed.weight"}
    assert listing.repeated == {2}
    assert total(listing) == Totals(2, 10, 40, 1, ("float32",), 10)


def test_tied_tensor_is_shown_where_its_canonical_name_is_not_selected() -> None:
    listing = make_listing(MODEL, keep=lambda name, _: name.startswith("head"))
    assert names(listing) == ["head.weight"]
    assert listing.tied_to == {0: "embed.weight"}
    assert total(listing) == Totals(1, 6, 24, 0, ("float32",), 6)


def test_three_names_of_which_the_first_is_not_selected_count_once() -> None:
    records = [tensor(f"{letter}.weight", 3, 2, storage=TIED) for letter in "abc"]
    listing = make_listing(records, keep=lambda name, _: name[0] in "bc")
    assert names(listing) == ["b.weight"]
    assert listing.tied_to == {0: "a.weight"}
    assert listing.tied == 1


def test_hidden_tensor_is_no_canonical_one() -> None:
    records = [tensor("shadow", 3, 2, storage=TIED, role="attribute"), tensor("weight", 3, 2, storage=TIED)]
    assert make_listing(records).tied_to == {}
    assert make_listing(records, everything=True).records[0].name == "shadow"


def test_module_makes_names_relative() -> None:
    listing = make_listing(MODEL, module="layers.0", everything=True)
    assert names(listing) == ["weight", "mean"]
    assert make_listing(MODEL, module="layers").hidden == {"buffer": 1}
    assert listing.records[0]._replace(name="") == MODEL[1]._replace(name="")


def test_module_is_a_path_not_a_prefix() -> None:
    records = [tensor("layer.weight", 1), tensor("layers.weight", 2)]
    assert [record.shape for record in make_listing(records, module="layer").records] == [(1,)]


def test_tie_inside_the_module_is_relative_and_outside_whole() -> None:
    records = [tensor(name, 3, 2, storage=TIED) for name in ("a.x", "b.x", "b.y")]
    assert make_listing(records, module="b", aliases=True).tied_to == {0: "a.x", 1: "a.x"}
    assert make_listing(records[1:], module="b", aliases=True).tied_to == {1: "x"}


@pytest.mark.parametrize(
    ("module", "message", "hint"),
    [
        ("layer", "there is no module 'layer'", "did you mean 'layers'?"),
        ("LAYERS.0", "there is no module 'LAYERS.0'", "did you mean 'layers.0'?"),
        ("0", "there is no module '0'", "did you mean 'layers.0'?"),
        ("zzz", "there is no module 'zzz'", "the outermost modules are 'embed', 'layers', 'head', 'optim'"),
        ("ghost", "'ghost' is a tensor, not a module", "--select 'ghost' chooses it by name"),
    ],
)
def test_unknown_module(module: str, message: str, hint: str) -> None:
    with pytest.raises(SelectionError) as caught:
        make_listing(MODEL, module=module)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_unknown_module_of_a_flat_file() -> None:
    with pytest.raises(SelectionError) as caught:
        make_listing([tensor("weight", 1)], module="zzz")
    assert caught.value.hint == "no tensor here is in a module"


def test_suggestions_are_quick_for_absurd_names() -> None:
    assert suggest_module([".".join("a" * 50_000)] * 3, "zzz") is None


def test_sums_of_modules_count_what_quantised_tensors_are_made_of() -> None:
    scales = tensor("a.q.scales", 4)._replace(role="part")
    weight = tensor("a.q.weight", 4, 2, dtype="int8")
    logical = Logical("s", "mine 4-bit", "a.q.weight", (4, 4), 16, "float32", (("weight", weight), ("scales", scales)))
    records = [weight._replace(encoding=Encoding(logical=logical)), scales, tensor("b.bias", 2)]
    for everything in (False, True):
        listing = make_listing(records, everything=everything)
        first, second = sum_modules(listing, 1)
        assert (first.numel, first.nbytes, first.logical_numel) == (12, 8 + 16, 16)
        assert (second.numel, second.logical_numel) == (2, None)
        assert make_tree(make_listing(records)).numel == 18


def test_unknown_size_makes_the_total_unknown() -> None:
    records = [tensor("a", 2), TensorRecord("b", None, "int8", 3, None), tensor("c", 1, dtype="int8")]
    assert total(make_listing(records)) == Totals(3, 6, None, 0, ("float32", "int8"), 6)
    known, unknown = Totals(1, 2, 8, 0, ("a", "b"), 2), Totals(1, 1, None, 2, ("b", "c"), 1)
    assert add_totals([known, unknown]) == Totals(2, 3, None, 2, ("a", "b", "c"), 3)
    assert add_totals([known, known]).nbytes == 16


def test_dtypes_are_ordered_by_bytes() -> None:
    records = [tensor("a", 1, dtype="int64"), tensor("b", 3), tensor("c", 9, dtype="bfloat16")]
    assert total(make_listing(records)).dtypes == ("bfloat16", "float32", "int64")


def test_sums_stop_at_the_depth_and_keep_shallower_modules() -> None:
    records = [tensor("top", 1), tensor("a.x", 2), tensor("a.b.c.x", 3), tensor("a.b.d.x", 4), tensor("e.x", 5)]
    sums = {
        depth: [(s.name, s.tensors, s.numel) for s in sum_modules(make_listing(records), depth)] for depth in range(4)
    }
    assert sums[0] == [("", 5, 15)]
    assert sums[1] == [("", 1, 1), ("a", 3, 9), ("e", 1, 5)]
    assert sums[2] == [("", 1, 1), ("a", 1, 2), ("a.b", 2, 7), ("e", 1, 5)]
    assert sums[3] == [("", 1, 1), ("a", 1, 2), ("a.b.c", 1, 3), ("a.b.d", 1, 4), ("e", 1, 5)]


def paths(module: Module, above: str = "") -> list[str]:
    found = []
    for child in module.children:
        path = f"{above}.{child.name}" if above else child.name
        found += [path] if isinstance(child, Leaf) else paths(child, path)
    return found


def test_tree_orders_modules_that_integers_name() -> None:
    records = [tensor(f"h.{name}.w", 1) for name in ("0", "10", "x", "2", "02", "1")]
    assert paths(make_tree(make_listing(records))) == [f"h.{name}.w" for name in ("0", "1", "x", "2", "02", "10")]


def test_tree_tells_a_tensor_from_a_module_of_the_same_name() -> None:
    tree = make_tree(make_listing([tensor("a.b", 1), tensor("a", 2), tensor("a.b.c", 3), tensor("a", 4)]))
    assert [type(child).__name__ for child in tree.children] == ["Module", "Leaf", "Leaf"]
    assert (tree.numel, tree.tensors) == (10, 4)


def test_tree_is_no_deeper_than_the_bound() -> None:
    name = ".".join(map(str, range(20_000)))
    node: Module | Leaf = make_tree(make_listing([tensor(name, 2)]))
    depth = 0
    while isinstance(node, Module):
        assert node.numel == 2
        node = node.children[0]
        depth += 1
    assert depth <= MAX_DEPTH + 1
    assert node.record.name == name


def test_tree_takes_the_class_from_the_tensors_of_a_module() -> None:
    records = [tensor("a.x", 1), tensor("a.y", 1, module_type="torch.nn.Linear"), tensor("a.b.x", 1, module_type="N")]
    module = make_tree(make_listing(records)).children[0]
    assert isinstance(module, Module)
    assert module.module_type == "torch.nn.Linear"


NAMES = st.lists(st.text("ab.01", max_size=8), max_size=12)


@given(NAMES, st.integers(0, 5), st.data())
def test_every_tensor_counts_once_in_totals_sums_and_tree(texts: list[str], depth: int, data: Any) -> None:
    storages = [Storage(str(i), 4) for i in range(3)]
    pick = st.sampled_from([None, *storages])
    records = [tensor(text, storage=data.draw(pick)) for text in texts]
    expected = len({id(r.storage) for r in records if r.storage}) + sum(r.storage is None for r in records)
    for aliases in (False, True):
        listing = make_listing(records, aliases=aliases)
        assert total(listing).tensors == total(listing).parameters == expected
        assert total(listing).tied == len(records) - expected
        assert sum(row.numel for row in sum_modules(listing, depth)) == expected
        tree = make_tree(listing)
        assert (tree.numel, tree.tensors) == (expected, expected)
        assert sorted(paths(tree)) == sorted(names(listing)) or any(".." in f".{t}." for t in texts)
