from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.records import Storage, TensorRecord
from paraminspect.tied import shared_bytes as ties
from paraminspect.tied.shared_bytes import find_canonical, find_ties

STORAGE = Storage("0", 1 << 62)
ITEMSIZE = {"int8": 1, "float16": 2, "float32": 4, "float64": 8}
Groups = list[tuple[str, tuple[int, ...]]]


def strided(
    shape: Sequence[int],
    stride: Sequence[int] | None,
    offset: int = 0,
    dtype: str = "float32",
    storage: Storage | None = STORAGE,
) -> TensorRecord:
    """A record of a strided tensor; `offset` in elements of its dtype."""
    size = ITEMSIZE[dtype]
    numel = math.prod(shape)
    steps = None if stride is None else tuple(stride)
    return TensorRecord(
        "t", tuple(shape), dtype, numel, numel * size, storage=storage, offset=offset * size, stride=steps
    )


def covered(record: TensorRecord) -> frozenset[int]:
    """The bytes of a record, one index after the other."""
    if record.storage is None or not record.nbytes or not record.numel:
        return frozenset()
    if record.stride is None or record.shape is None:
        return frozenset(range(record.offset, record.offset + record.nbytes))
    size, rest = divmod(record.nbytes, record.numel)
    if rest or len(record.stride) != len(record.shape):
        return frozenset(range(record.offset, record.offset + record.nbytes))
    found: set[int] = set()
    for index in itertools.product(*map(range, record.shape)):
        begin = record.offset + size * sum(i * step for i, step in zip(index, record.stride, strict=True))
        found.update(range(begin, begin + size))
    return frozenset(found)


def groups_by_hand(records: Sequence[TensorRecord], bytes_of: Sequence[frozenset[int]]) -> Groups:
    """What `find_ties` should answer, from maps of bytes."""
    component = list(range(len(records)))
    for i, j in itertools.combinations(range(len(records)), 2):
        if records[i].storage is records[j].storage and bytes_of[i] & bytes_of[j]:
            component = [component[i] if c == component[j] else c for c in component]
    groups: Groups = []
    for number in dict.fromkeys(component):
        members = tuple(i for i, c in enumerate(component) if c == number)
        if len(members) > 1:
            forms = {(records[i].offset, records[i].shape, records[i].stride, records[i].dtype) for i in members}
            kind = "alias" if len(forms) == 1 else "view" if len({bytes_of[i] for i in members}) == 1 else "overlap"
            groups.append((kind, members))
    return groups


def saved_by_hand(records: Sequence[TensorRecord], bytes_of: Sequence[frozenset[int]]) -> list[int]:
    """What separate copies of each group would take beyond the bytes it covers."""
    return [
        sum(records[i].nbytes or 0 for i in members) - len(frozenset().union(*(bytes_of[i] for i in members)))
        for _, members in groups_by_hand(records, bytes_of)
    ]


def canonical_by_hand(records: Sequence[TensorRecord], bytes_of: Sequence[frozenset[int]]) -> list[int | None]:
    return [
        next(
            (
                j
                for j in range(i)
                if bytes_of[i] and bytes_of[j] == bytes_of[i] and records[j].storage is records[i].storage
            ),
            None,
        )
        for i in range(len(records))
    ]


def found(records: Sequence[TensorRecord]) -> Groups:
    return [(group.kind, group.indices) for group in find_ties(records)]


@pytest.fixture
def pair_tests(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with each comparison of two views."""
    calls: list[int] = []
    share_bytes = ties.share_bytes

    def counted(*args: Any) -> bool:
        calls.append(1)
        return share_bytes(*args)

    monkeypatch.setattr(ties, "share_bytes", counted)
    return calls


MATRIX = strided([6, 8], [8, 1])
TABLE: dict[str, tuple[list[TensorRecord], Groups]] = {
    "nothing": ([], []),
    "one tensor": ([MATRIX], []),
    "same tensor twice": ([MATRIX, MATRIX], [("alias", (0, 1))]),
    "scalars": ([strided([], []), strided([], [])], [("alias", (0, 1))]),
    "neighbouring scalars": ([strided([], []), strided([], [], 1)], []),
    "transposed": ([MATRIX, strided([8, 6], [1, 8])], [("view", (0, 1))]),
    "flattened": ([MATRIX, strided([48], [1])], [("view", (0, 1))]),
    "other dtype of the same size": (
        [MATRIX, MATRIX._replace(dtype="int32")],
        [("view", (0, 1))],
    ),
    "other dtype of another size": ([MATRIX, strided([6, 32], [32, 1], dtype="int8")], [("view", (0, 1))]),
    "a byte of a float": ([MATRIX, strided([1], [1], 6, "int8")], [("overlap", (0, 1))]),
    "a byte of a float of every second column": ([strided([6, 4], [8, 2]), strided([], [], 10, "int8")], [("overlap", (0, 1))]),
    "a byte between every second column": ([strided([6, 4], [8, 2]), strided([], [], 7, "int8")], []),
    "first half and whole": ([strided([3, 8], [8, 1]), MATRIX], [("overlap", (0, 1))]),
    "halves": ([strided([3, 8], [8, 1]), strided([3, 8], [8, 1], 24)], []),
    "halves that share a row": ([strided([4, 8], [8, 1]), strided([3, 8], [8, 1], 24)], [("overlap", (0, 1))]),
    "interleaved columns": ([strided([6, 4], [8, 2]), strided([6, 4], [8, 2], 1)], []),
    "columns side by side": ([strided([6, 3], [8, 1]), strided([6, 5], [8, 1], 3)], []),
    "columns that share one": ([strided([6, 4], [8, 1]), strided([6, 5], [8, 1], 3)], [("overlap", (0, 1))]),
    "columns that wrap around the row": (
        [strided([5, 3], [8, 1], 6), strided([6], [8]), strided([5], [8], 1), strided([5, 4], [8, 1], 2)],
        [("overlap", (0, 1))],
    ),
    "rows and columns": (
        [strided([8], [1], 8), strided([6], [8], 5), strided([8], [1], 24)],
        [("overlap", (0, 1, 2))],
    ),
    "evens and multiples of three from one": ([strided([9], [2]), strided([6], [3], 1)], [("overlap", (0, 1))]),
    "evens and odd multiples of three": ([strided([9], [2]), strided([3], [6], 3)], []),
    "diagonal and column": ([strided([6], [9]), strided([6], [8], 3)], [("overlap", (0, 1))]),
    "diagonal and what is beside it": ([strided([6], [9]), strided([6], [9], 1)], []),
    "expanded and its source": ([strided([5, 4], [0, 1]), strided([4], [1])], [("view", (0, 1))]),
    "windows and their source": ([strided([6, 3], [1, 1]), strided([8], [1])], [("view", (0, 1))]),
    "dimensions of size one": ([strided([6, 1, 8], [8, 999, 1]), MATRIX], [("view", (0, 1))]),
    "flipped": ([strided([6, 8], [8, -1], 7), MATRIX], [("view", (0, 1))]),
    "no elements": ([strided([0, 8], [8, 1]), strided([0, 8], [8, 1]), MATRIX], []),
    "no storage": ([MATRIX._replace(storage=None), MATRIX._replace(storage=None)], []),
    "equal storages that are not the same": (
        [MATRIX._replace(storage=Storage("a", 192)), MATRIX._replace(storage=Storage("a", 192))],
        [],
    ),
    "size not known": ([MATRIX._replace(nbytes=None), MATRIX._replace(nbytes=None)], []),
    "quantised blocks without stride": (
        [
            TensorRecord(name, (32,), "q4_0", 32, 18, storage=STORAGE, offset=offset)
            for name, offset in [("a", 0), ("b", 18), ("c", 0)]
        ],
        [("alias", (0, 2))],
    ),
    "blocks that reach into the next": (
        [TensorRecord("a", (32,), "q4_0", 32, 18, storage=STORAGE, offset=offset) for offset in (0, 17)],
        [("overlap", (0, 1))],
    ),
    "twelve weights of a flattened LSTM": (
        [strided([4, 3], [3, 1], 12 * i) for i in range(8)] + [strided([4], [1], 96 + 4 * i) for i in range(4)],
        [],
    ),
    "small ones inside a large one": (
        [strided([4], [1], 100), strided([4], [1], 8), strided([4], [1], 40), strided([64], [1])],
        [("overlap", (1, 2, 3))],
    ),
    "a chain": ([strided([4], [1]), strided([4], [1], 6), strided([4], [1], 3)], [("overlap", (0, 1, 2))]),
    "two aliases and a part": ([MATRIX, strided([8], [1]), MATRIX], [("overlap", (0, 1, 2))]),
    "two aliases and a transpose": ([MATRIX, strided([8, 6], [1, 8]), MATRIX], [("view", (0, 1, 2))]),
    "groups in order of their first members": (
        [strided([4], [1], 50), strided([4], [1]), strided([2, 2], [2, 1]), strided([2, 2], [2, 1], 50)],
        [("view", (0, 3)), ("view", (1, 2))],
    ),
    "in the gaps of another": (
        [strided([6], [100])] + [strided([3], [i + 2], 100 * j + 10 + i) for i in range(2) for j in range(5)],
        [("overlap", (1, 6)), ("overlap", (2, 7)), ("overlap", (3, 8)), ("overlap", (4, 9)), ("overlap", (5, 10))],
    ),
    "a member that the next one misses": (
        [strided([10], [1]), strided([3, 2], [100, 1], 5), strided([3], [7], 50), strided([6], [1], 104)],
        [("overlap", (0, 1, 3))],
    ),
    "size is not a multiple of the number of elements": (
        [TensorRecord("t", (3,), "uint4", 3, 2, storage=STORAGE, offset=i, stride=(2,)) for i in range(3)],
        [("overlap", (0, 1, 2))],
    ),
    "stride of another length": (
        [TensorRecord("t", (2, 2), "int8", 4, 4, storage=STORAGE, offset=i, stride=(9,)) for i in (0, 3, 7)],
        [("overlap", (0, 1))],
    ),
    "one set from two shapes with self-overlap": (
        [strided([4, 5], [5, 2]), strided([2, 10], [5, 2])],
        [("view", (0, 1))],
    ),
    "same outline, other bytes": (
        [strided([2, 2, 2, 2], [2, 3, 11, 17]), strided([2, 2, 2, 2], [2, 3, 12, 16])],
        [("overlap", (0, 1))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_named_case(case: str) -> None:
    records, expected = TABLE[case]
    assert found(records) == expected
    bytes_of = [covered(record) if record.nbytes is not None else frozenset() for record in records]
    assert expected == groups_by_hand(records, bytes_of)
    assert [group.saved for group in find_ties(records)] == saved_by_hand(records, bytes_of)
    assert find_canonical(records) == canonical_by_hand(records, bytes_of)


def test_group_names_the_canonical_first() -> None:
    records = [MATRIX._replace(name=name) for name in ("wte.weight", "lm_head.weight", "a.weight")]
    (group,) = find_ties(records)
    assert group.names == ("wte.weight", "lm_head.weight", "a.weight")
    assert (group.shape, group.dtype, group.nbytes, group.saved) == ((6, 8), "float32", 192, 384)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ([("a.weight", 1, 7), ("b.weight", 1, 7)], "module"),
        ([("a.weight", 1, 7), ("b.weight", 1, 8)], "parameter"),
        ([("a.weight", 1, 7), ("a.also", 1, 7)], "parameter"),
        ([("a.weight", 1, 7), ("b.weight", 2, 8)], "alias"),
        ([("a.weight", 1, 7), ("b.weight", 1, 7), ("c.weight", 1, 8)], "parameter"),
        ([("a.weight", 1, 7), ("b.weight", 1, 7), ("c.weight", 2, 8)], "alias"),
    ],
)
def test_objects_tell_the_kind_of_an_alias(members: list[tuple[str, int, int]], kind: str) -> None:
    records = [
        MATRIX._replace(name=name, identity=(tensor_, module), kind="parameter") for name, tensor_, module in members
    ]
    assert [group.kind for group in find_ties(records)] == [kind]
    assert [group.kind for group in find_ties([*records, MATRIX])] == ["alias"]  # of which no object is known
    assert [group.kind for group in find_ties([*records, strided([8], [1])])] == ["overlap"]
    buffers = [record._replace(kind="buffer") for record in records]
    assert [group.kind for group in find_ties(buffers)] == [kind if kind == "module" else "alias"]


def test_a_name_that_is_only_declared() -> None:
    declared = MATRIX._replace(name="head", declared=True)
    assert [(group.kind, group.saved) for group in find_ties([MATRIX, declared])] == [("declared", 192)]
    assert [group.kind for group in find_ties([MATRIX, strided([48], [1]), declared])] == ["view"]


def test_without_effort_nothing_is_said_to_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view of which only the rest of the storage is known is larger than it is."""
    monkeypatch.setattr(ties, "MAX_EFFORT", 0)
    columns = [strided([6, 4], [8, 2]), strided([6, 4], [8, 2]), strided([6, 4], [8, 2], 1)]
    assert [group.saved for group in find_ties(columns)] == [None]
    assert [group.saved for group in find_ties([MATRIX, MATRIX])] == [192]


def test_what_hard_strides_save_is_not_known() -> None:
    """Written out as bits, the union of these two would take gigabytes."""
    far = 1 << 40
    wide = [strided([2, 2, 2], [far, far + 3, 7], dtype="int8"), strided([2, 2, 2], [far, far + 5, 7], dtype="int8")]
    assert [(group.kind, group.saved) for group in find_ties(wide)] == [("overlap", None)]
    chain = [strided([25_000_000], [2], at, "int8") for at in (0, 49_999_990)]  # each could be, both cannot
    assert [(group.kind, group.saved) for group in find_ties(chain)] == [("overlap", None)]


def test_tiles_of_a_box_are_apart_until_one_is_moved() -> None:
    tiles = [strided([2, 3, 2], [48, 8, 1], 96 * a + 24 * b + 2 * c) for a, b, c in itertools.product(range(3), range(2), range(4))]  # fmt: skip
    assert found(tiles) == []
    tiles[7] = tiles[7]._replace(offset=tiles[7].offset - 1)
    assert found(tiles) == [("overlap", (6, 7))]


def test_strides_up_to_the_end_of_the_address_space() -> None:
    """Views of no real size, but any file can declare them."""
    step = (1 << 61) - 1
    grid = strided([2, 1 << 30], [step, 1 << 31], dtype="int8")
    on_grid = strided([], [], step + (1 << 31) * 12345, "int8")
    beside = strided([], [], step + (1 << 31) * 12345 + 1, "int8")
    assert found([grid, on_grid, beside]) == [("overlap", (0, 1))]


def test_sixty_four_dimensions() -> None:
    bits = strided([2] * 64, [1 << place for place in range(64)], dtype="int8")
    mixed = strided([2] * 32, [3**place for place in range(32)], dtype="int8")
    assert found([bits, strided([], [], 3**31 + 9, "int8")]) == [("overlap", (0, 1))]
    assert found([mixed, strided([], [], 3**31 + 9, "int8")]) == [("overlap", (0, 1))]
    assert found([mixed, strided([], [], 3**31 + 6, "int8")]) == []


shapes = st.lists(st.integers(1, 5), max_size=4)


@st.composite
def records_on_small_storages(draw: st.DrawFn) -> list[TensorRecord]:
    storages = [Storage("0", 4096), Storage("0", 4096), None]
    strides = draw(st.lists(st.integers(-2, 40), min_size=1, max_size=4))
    records = []
    for _ in range(draw(st.integers(1, 7))):
        shape = draw(shapes)
        stride = [draw(st.sampled_from(strides) | st.integers(0, 12)) for _ in shape]
        dtype = draw(st.sampled_from(list(ITEMSIZE)))
        storage = storages[draw(st.sampled_from([0, 0, 0, 0, 1, 2]))]
        record = strided(shape, stride if draw(st.integers(0, 9)) else None, 100, dtype, storage)
        records.append(record._replace(offset=record.offset + draw(st.integers(0, 60))))
    return records


@settings(max_examples=600)
@given(records_on_small_storages())
def test_equals_a_map_of_bytes(records: list[TensorRecord]) -> None:
    bytes_of = [covered(record) for record in records]
    assert found(records) == groups_by_hand(records, bytes_of)
    assert [group.saved for group in find_ties(records)] == saved_by_hand(records, bytes_of)
    assert find_canonical(records) == canonical_by_hand(records, bytes_of)


@given(records_on_small_storages(), st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(records: list[TensorRecord], chance: random.Random) -> None:
    order = list(range(len(records)))
    chance.shuffle(order)
    shuffled = [records[index]._replace(name=str(chance.random())) for index in order]
    back = sorted((kind, tuple(sorted(order[place] for place in places))) for kind, places in found(shuffled))
    assert back == sorted(found(records))
    classes = {(index, first) for index, first in enumerate(find_canonical(records)) if first is not None}
    linked = {frozenset((order[i], order[first])) for i, first in enumerate(find_canonical(shuffled)) if first is not None}  # fmt: skip
    assert len(linked) == len(classes)
    leader = dict(classes)
    assert all(len({leader.get(index, index) for index in pair}) == 1 for pair in linked)


VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x,
    lambda x: x.t(),
    lambda x: x.flatten(),
    lambda x: x.view(12, 4),
    lambda x: x[0],
    lambda x: x[:, 0],
    lambda x: x[2:4],
    lambda x: x[:, 0::2],
    lambda x: x[:, 1::2],
    lambda x: x[1::3, 2:7:3],
    lambda x: x[:, :3].t(),
    lambda x: x[:, 3:],
    lambda x: x[5, 7],
    lambda x: x.diagonal(),
    lambda x: x.diagonal(1),
    lambda x: x.t().diagonal(),
    lambda x: x.unfold(1, 3, 2),
    lambda x: x.unfold(0, 2, 1).unfold(1, 4, 3),
    lambda x: x[:, 2:3].expand(6, 5),
    lambda x: x[0].expand(3, 8),
    lambda x: x[0, 0].expand(2, 2),
    lambda x: x[None, :, None, 4:5],
    lambda x: x[4:4],
    lambda x: x.as_strided((3, 4), (2, 3), 1),
    lambda x: x.as_strided((4, 3), (3, 2), 1),
    lambda x: x.as_strided((3, 2, 2), (3, 4, 2), 1),
    lambda x: x.as_strided((4, 3), (11, 5), 3),
    lambda x: x.as_strided((3, 2), (15, 6), 2),
    lambda x: x.view(dtype=_torch().uint8),
    lambda x: x.view(dtype=_torch().uint8)[:, 1::4],
    lambda x: x.view(dtype=_torch().uint8)[:, 8:16],
    lambda x: x.view(dtype=_torch().int64)[:, 1],
]


def _torch() -> Any:
    return pytest.importorskip("torch")


def record_of(view: Any) -> TensorRecord:
    size = view.element_size()
    dtype = str(view.dtype).removeprefix("torch.")
    shape, stride, offset = tuple(view.shape), tuple(view.stride()), view.storage_offset() * size
    return TensorRecord(
        "v", shape, dtype, view.numel(), view.numel() * size, storage=STORAGE, offset=offset, stride=stride
    )


def bytes_by_torch(view: Any) -> frozenset[int]:
    """Every byte of the buffer holds its own index, so the content of a view says which bytes it covers."""
    torch = _torch()
    return frozenset(torch.empty(view.shape, dtype=view.dtype).copy_(view).flatten().view(torch.uint8).tolist())


@pytest.mark.parametrize("first", range(len(VIEWS)))
def test_views_that_torch_makes(first: int) -> None:
    torch = _torch()
    base = torch.arange(192, dtype=torch.uint8).view(torch.int32).view(6, 8)
    for second in range(len(VIEWS)):
        views = [VIEWS[first](base), VIEWS[second](base)]
        records, bytes_of = [record_of(view) for view in views], [bytes_by_torch(view) for view in views]
        assert found(records) == groups_by_hand(records, bytes_of), (first, second)
        assert find_canonical(records) == canonical_by_hand(records, bytes_of), (first, second)


@settings(max_examples=200)
@given(st.data())
def test_any_two_strided_views_of_one_torch_tensor(data: st.DataObject) -> None:
    torch = _torch()
    base = torch.arange(250, dtype=torch.uint8)
    views = []
    for dtype in data.draw(st.lists(st.sampled_from([torch.uint8, torch.int16]), min_size=2, max_size=4)):
        typed = base.view(dtype)
        shape = data.draw(shapes)
        stride = [data.draw(st.integers(0, 12)) for _ in shape]
        last = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if last < typed.numel():
            views.append(typed.as_strided(shape, stride, data.draw(st.integers(0, typed.numel() - 1 - last))))
    records, bytes_of = [record_of(view) for view in views], [bytes_by_torch(view) for view in views]
    assert found(records) == groups_by_hand(records, bytes_of)
    assert find_canonical(records) == canonical_by_hand(records, bytes_of)


def test_own_storages_are_never_compared(pair_tests: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "_Views", None)
    records = [MATRIX._replace(storage=Storage(str(i), 192)) for i in range(1000)]
    assert find_ties(records) == []
    assert find_canonical(records) == [None] * 1000
    assert pair_tests == []


def test_many_aliases_are_never_compared(pair_tests: list[int]) -> None:
    assert found([MATRIX] * 10_000) == [("alias", tuple(range(10_000)))]
    assert find_canonical([MATRIX] * 10_000) == [None] + [0] * 9_999
    assert pair_tests == []


@pytest.mark.parametrize(
    "records",
    [
        [strided([5], [1], 5 * i) for i in range(3000)],
        [strided([50], [3000], i) for i in range(3000)],
        [strided([4, 4, 4], [1600, 40, 1], 6400 * a + 160 * b + 4 * c) for a in range(10) for b in range(10) for c in range(10)],
    ],
    ids=["flat buffer", "columns", "tiles"],
)  # fmt: skip
def test_many_disjoint_views_are_never_compared(records: list[TensorRecord], pair_tests: list[int]) -> None:
    assert find_ties(records) == []
    assert pair_tests == []


@pytest.mark.parametrize(
    ("hubs", "at_most"),
    [
        ([strided([50, 3000], [3000, 1])], 60),
        ([strided([50], [3001])], 60),
        ([strided([25], [1]), strided([25], [1], 25)], 120),
    ],
    ids=["the whole matrix", "a diagonal", "two parts of a row"],
)
def test_a_hub_is_found_at_once(hubs: list[TensorRecord], at_most: int, pair_tests: list[int]) -> None:
    columns = [strided([50], [3000], i) for i in range(50)]
    assert sum(len(places) for _, places in found(columns + hubs)) == 50 + len(hubs)
    assert len(pair_tests) <= at_most


def hostile(count: int) -> list[TensorRecord]:
    """Views whose extents all meet, of which no two share a byte, and which no common stride tells apart."""
    primes = [p for p in range(1000, 40_000) if all(p % q for q in range(2, int(p**0.5) + 1))]
    return [strided([2, 2], [10**6 + p, 10**9 + p], i, "int8") for i, p in enumerate(primes[:count])]


def test_effort_is_bounded(pair_tests: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    records = hostile(100)
    assert found(records) == []
    assert len(pair_tests) == 100 * 99 // 2
    pair_tests.clear()
    monkeypatch.setattr(ties, "MAX_EFFORT", 2000)
    (group,) = find_ties(records)
    assert group.kind == "overlap"
    assert len(pair_tests) < 1000


def test_without_effort_views_overlap_but_are_not_called_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "MAX_EFFORT", 0)
    records = [
        *hostile(3),
        hostile(1)[0],
        strided([2, 2], [10**9 + 1009, 10**6 + 1009], 0, "int8"),
        strided([4], [1], 10**12),
    ]
    assert found(records) == [("overlap", (0, 1, 2, 3, 4, 5))]
    assert find_canonical(records) == [None, None, None, 0, None, None]


def test_without_effort_contiguous_tensors_of_few_dimensions_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "MAX_EFFORT", 0)
    assert found([strided([2] * 8, [128, 64, 32, 16, 8, 4, 2, 1], 256 * i) for i in range(3)]) == []
    assert found([strided([1] * 7 + [2, 2], [4] * 7 + [2, 1], 4 * i) for i in range(3)]) == [("overlap", (0, 1, 2))]


@pytest.mark.parametrize("hostile_first", [True, False])
def test_hostile_storage_takes_no_effort_from_others(hostile_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "MAX_EFFORT", 2000)
    other = Storage("1", 192)
    honest = [record._replace(storage=other) for record in TABLE["interleaved columns"][0]]
    records = hostile(100) + honest if hostile_first else honest + hostile(100)
    assert [len(group.names) for group in find_ties(records)] == [100]
