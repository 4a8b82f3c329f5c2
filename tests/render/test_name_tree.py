from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.name_tree import MAX_LEVELS, in_order_of_depth, name_lines

NAMES = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), unique=True, max_size=12
)  # fmt: skip


@given(NAMES)
def test_every_name_is_a_line_and_can_be_read_off(names: list[str]) -> None:
    """The part of a line, behind those of the lines above that are less indented, is the name."""
    lines = name_lines(names, "blank")
    assert sorted(index for line in lines for index in line.which) == list(range(len(names)))
    above: list[str] = []
    for label, which in lines:
        text = label.lstrip(" ")
        level = (len(label) - len(text)) // 3
        above[level:] = [text]
        for index in which:
            assert ".".join(above) == names[index]


def test_a_module_of_tensors_alone_has_no_line_of_its_own() -> None:
    names = ["h.0.fc.weight", "h.0.fc.bias", "h.1.fc.weight", "norm.weight"]
    assert [line.label for line in name_lines(names)] == [
        "h", "├─ 0.fc.weight", "├─ 0.fc.bias", "└─ 1.fc.weight", "norm.weight",
    ]  # fmt: skip


def test_a_tensor_whose_name_is_that_of_a_module() -> None:
    lines = name_lines(["a", "a.b"])
    assert [(line.label, line.which) for line in lines] == [("a", (0,)), ("└─ b", (1,))]


def test_guides_of_each_kind_take_the_same_room() -> None:
    names = ["a.b.c", "a.d.e", "a.d.f.g", "h"]
    drawn = {guides: [line.label for line in name_lines(names, guides)] for guides in ("lines", "ascii", "blank")}
    assert [len(label) for label in drawn["lines"]] == [len(label) for label in drawn["ascii"]]
    assert all(label.isascii() for label in drawn["ascii"])
    assert len({tuple(map(len, labels)) for labels in drawn.values()}) == 1


def test_names_as_a_tree() -> None:
    names = ["a.weight", "a.bias", "h.0.x.w", "h.0.y.w", "h.1.x.w", "deep.er.est.w", "w", "h.0.own"]
    assert [(line.label, line.which) for line in name_lines(names)] == [
        ("a.weight", (0,)),
        ("a.bias", (1,)),
        ("h", ()),
        ("├─ 0", ()),
        ("│  ├─ x.w", (2,)),
        ("│  ├─ y.w", (3,)),
        ("│  └─ own", (7,)),
        ("└─ 1.x.w", (4,)),
        ("deep.er.est.w", (5,)),
        ("w", (6,)),
    ]


def folded(names: list[str], forms: list[object] | None = None) -> list[tuple[str, tuple[int, ...]]]:
    return [(label.strip(), which) for label, which in name_lines(names, "blank", forms=forms or [0] * len(names))]


def test_layers_that_are_alike_are_one() -> None:
    names = [f"h.{i}.{part}" for i in range(4) for part in ("w", "b")]
    assert folded([*names, "out"]) == [("h.0…3.w", (0, 2, 4, 6)), ("h.0…3.b", (1, 3, 5, 7)), ("out", (8,))]
    assert folded([f"h.{i}.experts.{j}.w" for i in range(3) for j in range(3)]) == [
        ("h.0…2.experts.0…2.w", tuple(range(9)))
    ]


def test_layers_are_alike_in_whatever_order_their_tensors_come() -> None:
    names = [f"h.{place}" for place in ("0.a.w", "0.b.w", "1.b.w", "1.a.w", "2.a.w", "2.b.w")]
    assert folded(names) == [("h.0…2", ()), ("a.w", (0, 3, 4)), ("b.w", (1, 2, 5))]
    experts = [f"h.{place}" for place in ("0.x0", "0.x1", "0.x2", "0.g", "1.x0", "1.g", "1.x1", "1.x2", "2.g")]
    assert sorted(index for _, which in folded(experts) for index in which) == list(range(9))


def test_a_layer_that_is_not_like_the_others_stands_alone() -> None:
    names = [f"h.{i}.w" for i in range(7)]
    assert [label for label, _ in folded(names, [0, 0, 0, "odd", 0, 0, 0])] == ["h", "0…2.w", "3.w", "4…6.w"]
    assert [label for label, _ in folded(names[:2])] == ["h", "0.w", "1.w"]
    assert [label for label, _ in folded(["h.0.w", "h.2.w", "h.4.w"])] == ["h", "0.w", "2.w", "4.w"]


def test_a_file_may_have_the_name_of_a_folded_layer() -> None:
    names = ["h.0.w", "h.1.w", "h.2.w", "h.0…2.w"]
    assert sorted(index for _, which in folded(names) for index in which) == [0, 1, 2, 3]
    assert len(folded(names)) == 2 + 1


@given(NAMES, st.data())
def test_folding_loses_no_name(names: list[str], data: st.DataObject) -> None:
    numbered = [name.translate({97: "0", 98: "1", 99: "2"}) for name in names]
    forms: list[object] = [data.draw(st.booleans()) for _ in names]
    assert sorted(index for _, which in folded(numbered, forms) for index in which) == list(range(len(names)))


def test_lines_follow_the_modules() -> None:
    names = ["h.10.b", "h.10.a", "h.2.b", "out", "h.2.a", "emb.1.x", "emb.0.x"]
    assert [names[index] for index in in_order_of_depth(names)] == [
        "h.2.b", "h.2.a", "h.10.b", "h.10.a", "out", "emb.0.x", "emb.1.x"
    ]  # fmt: skip


def test_a_name_may_have_any_number_of_dots() -> None:
    assert len(folded(["a" + ".a" * 100_000, ".".join(["b"] * MAX_LEVELS)])) == 2
