from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.name_tree import name_lines

NAMES = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), unique=True, max_size=12
)  # fmt: skip


@given(NAMES)
def test_every_name_is_a_line_and_can_be_read_off(names: list[str]) -> None:
    """The part of a line, behind those of the lines above that are less indented, is the name."""
    lines = name_lines(names, "blank")
    assert sorted(line.which for line in lines if line.which is not None) == list(range(len(names)))
    above: list[str] = []
    for label, which in lines:
        text = label.lstrip(" ")
        level = (len(label) - len(text)) // 3
        above[level:] = [text]
        if which is not None:
            assert ".".join(above) == names[which]


def test_a_module_of_tensors_alone_has_no_line_of_its_own() -> None:
    names = ["h.0.fc.weight", "h.0.fc.bias", "h.1.fc.weight", "norm.weight"]
    assert [line.label for line in name_lines(names)] == [
        "h", "├─ 0.fc.weight", "├─ 0.fc.bias", "└─ 1.fc.weight", "norm.weight",
    ]  # fmt: skip


def test_a_tensor_whose_name_is_that_of_a_module() -> None:
    lines = name_lines(["a", "a.b"])
    assert [(line.label, line.which) for line in lines] == [("a", 0), ("└─ b", 1)]


def test_guides_of_each_kind_take_the_same_room() -> None:
    names = ["a.b.c", "a.d.e", "a.d.f.g", "h"]
    drawn = {guides: [line.label for line in name_lines(names, guides)] for guides in ("lines", "ascii", "blank")}
    assert [len(label) for label in drawn["lines"]] == [len(label) for label in drawn["ascii"]]
    assert all(label.isascii() for label in drawn["ascii"])
    assert len({tuple(map(len, labels)) for labels in drawn.values()}) == 1


def test_names_as_a_tree() -> None:
    names = ["a.weight", "a.bias", "h.0.x.w", "h.0.y.w", "h.1.x.w", "deep.er.est.w", "w", "h.0.own"]
    assert [(line.label, line.which) for line in name_lines(names)] == [
        ("a.weight", 0),
        ("a.bias", 1),
        ("h", None),
        ("├─ 0", None),
        ("│  ├─ x.w", 2),
        ("│  ├─ y.w", 3),
        ("│  └─ own", 7),
        ("└─ 1.x.w", 4),
        ("deep.er.est.w", 5),
        ("w", 6),
    ]
