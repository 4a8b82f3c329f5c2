"""What headers say of two checkpoints, and names that are mapped."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.names.changes import (
    compare_headers,
    find_renamed,
    parse_map,
    rename,
    suggest_maps,
)
from paraminspect.records import Storage, TensorRecord
from tests.making.records import stored


def changes(before: list[TensorRecord], after: list[TensorRecord], **options: bool) -> list[tuple[str, str]]:
    found = compare_headers(rename(before, ()), rename(after, ()), **options)
    return [(change.name, change.change) for change in found.changes]


def test_every_kind_of_change_in_the_order_of_the_files() -> None:
    shared = Storage("s", 16)
    before = [
        stored("d", 2),
        stored("b", 3),
        stored("a", 4, storage=shared),
        stored("t", 4, storage=shared),
        stored("x", 1),
    ]
    after = [
        stored("new", 1),
        stored("a", 4),
        stored("t", 4),
        stored("b", 3, 1),
        stored("d", 2, dtype="float16"),
        stored("x", 1),
    ]
    assert changes(before, after) == [
        ("d", "dtype"), ("b", "shape"), ("t", "tie"), ("new", "added")
    ]  # fmt: skip
    assert changes(after, before) == [
        ("new", "removed"), ("t", "tie"), ("b", "shape"), ("d", "dtype")
    ]  # fmt: skip
    assert changes(before, after, names_only=True) == [("new", "added")]
    assert changes(before, before) == []


def test_a_tensor_tied_on_both_sides_is_a_pair_once() -> None:
    def model(*names: str) -> dict[str, TensorRecord]:
        storage = Storage("s", 16)
        return rename([stored(name, 4, storage=storage) for name in names], ())

    found = compare_headers(model("a", "b", "c"), model("c", "b", "a"))
    assert (found.changes, [pair.name for pair in found.pairs]) == ([], ["a"])
    other = {**model("a", "b"), "c": stored("c", 4)}
    assert [(change.name, change.before, change.after) for change in compare_headers(model("a", "b", "c"), other).changes] == [
        ("c", "a", "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "due"),
    [
        ("module.*=*", "module.fc.weight", "fc.weight"),
        ("*=model.*", "fc", "model.fc"),
        ("a.*.b.*=*/*", "a.x.b.y.b.z", "x/y.b.z"),
        ("a=b", "a", "b"),
        (r"h.*=\*", "h.1", r"\1"),
        ("*.gamma=*.weight", "ln.gamma", "ln.weight"),
        ("a.*=", "a.b", ""),
    ],
)  # fmt: skip
def test_maps(text: str, name: str, due: str) -> None:
    assert list(rename([stored(name, 1)], [text])) == [due]


def test_the_first_map_that_matches_counts() -> None:
    records = [stored("a.b", 1), stored("a.c", 1), stored("z", 1)]
    assert list(rename(records, ["a.b=one", "a.*=*"])) == ["one", "c", "z"]


@pytest.mark.parametrize("text", ["", "a", "=b", "a=*", "*=*.*", "x" * 500 + "=y"])
def test_maps_that_cannot_be_parsed(text: str) -> None:
    with pytest.raises(SelectionError, match="--map"):
        parse_map(text)


def test_a_map_that_merges_two_names_is_refused() -> None:
    with pytest.raises(SelectionError, match=r"makes 'w' of both 'a\.w' and 'w'"):
        rename([stored("a.w", 1), stored("w", 1)], ["a.*=*"])


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_map_renames_or_is_refused(text: str, name: str) -> None:
    with contextlib.suppress(SelectionError):
        assert len(rename([stored(name, 1)], [text])) == 1


def test_renamed_tensors_are_found_by_their_contents() -> None:
    removed = {name: stored(name, 4) for name in ("old.a.w", "old.b.w", "old.c.w")} | {"old.d": stored("old.d", 9)}
    added = {name: stored(name, 4) for name in ("new.b.w", "new.a.w", "new.x.w")} | {"new.e": stored("new.e", 8)}
    contents = {"old.a.w": b"1", "new.a.w": b"1", "old.b.w": b"1", "new.b.w": b"1", "old.c.w": b"3", "new.x.w": b"4"}
    asked = []

    def digest(side: str, record: TensorRecord) -> bytes | None:
        asked.append(record.name)
        return contents.get(record.name)

    pairs = find_renamed(removed, added, digest)
    assert sorted(pairs) == [("old.a.w", "new.a.w"), ("old.b.w", "new.b.w")]
    assert "old.d" not in asked
    assert "new.e" not in asked
    assert suggest_maps(pairs) == ["old.*=new.*"]


def test_one_tensor_is_renamed_once() -> None:
    removed, added = {"a": stored("a", 4)}, {name: stored(name, 4) for name in ("b", "c")}
    assert find_renamed(removed, added, lambda side, record: b"1") == [("a", "b")]


def test_suggested_maps_make_the_second_name_of_the_first() -> None:
    pairs = [("module.fc.w", "fc.w"), ("module.fc.b", "fc.b"), ("ln.gamma", "ln.weight"), ("w", "net.w")]
    maps = suggest_maps(pairs)
    assert maps[0] == "module.*=*"
    for old, new in pairs:
        assert new in {name for each in maps for name in rename([stored(old, 1)], [each])} or len(maps) == 3
