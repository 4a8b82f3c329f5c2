"""Tables and trees for terminals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.names.listing import make_listing, make_tree
from paraminspect.records import TensorRecord
from paraminspect.render.checkpoint_tree import render_tree, tree_object
from paraminspect.render.rows import Column, Rows
from paraminspect.render.style import Style
from paraminspect.render.table import MIN_COLUMNS, MIN_SHORTENED, render_table
from paraminspect.text import display_width, shorten_name, shorten_names
from tests.making.inks import INKS, without_inks
from tests.making.records import tensor

COLUMNS = (
    Column("name", "name"), Column("dtype"), Column("numel", "int"), Column("nbytes", "bytes"),
    Column("kind", dull="tensor"), Column("tied_to", "name"),
)  # fmt: skip


def table(
    values: list[tuple[Any, ...]], columns: tuple[Column, ...] = COLUMNS, closing: str = "", **style: Any
) -> list[str]:
    return "".join(render_table(Rows("things", columns, values, closing=closing), Style(**style))).splitlines()


def test_numbers_stand_right_and_dull_columns_are_left_out() -> None:
    values = [("層", "f4", 1234, 2048, "tensor", None), ("longer", "f4", 1, None, None, None)]
    assert table(values, closing="end") == [
        "name    dtype  numel    nbytes",
        "層      f4     1,234  2.00 KiB",
        "longer  f4         1",
        "",
        "end",
    ]


def test_column_that_was_asked_for_stays() -> None:
    rows = Rows("things", COLUMNS, [("a", "f4", 1, 4, "tensor", None)]).pick(["name", "kind", "tied_to"])
    assert "".join(render_table(rows, Style())) == "name  kind    tied_to\na     tensor\n"


def test_column_that_says_something_stays() -> None:
    assert table([("a", "f", 1, 4, "tensor", "b"), ("b", "f", 1, 4, "buffer", None)])[0].split() == [
        "name", "dtype", "numel", "nbytes", "kind", "tied_to",
    ]  # fmt: skip


def test_columns_give_way_in_order() -> None:
    values = [(f"layers.{i}.weight", "float32", 10**i, 4 * 10**i, f"kind{i}", None) for i in range(3)]
    shown = {width: table(values, width=width) for width in range(10, 70)}
    headings = {width: lines[0].split() for width, lines in shown.items()}
    assert headings[69] == ["name", "dtype", "numel", "nbytes", "kind"]
    assert headings[42] == ["name", "numel", "nbytes", "kind"]  # dtype says the same of all
    assert headings[33] == ["name", "numel", "nbytes"]
    assert headings[10] == ["name", "numel"]
    assert shown[33][-2:] == ["not shown at this width: dtype,", "kind (--columns chooses)"]


def test_names_are_whole_before_any_other_column_but_one() -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    values = [(name, "float32", 1, 4, "tensor", None), ("x", "float16", 22, 4, "tensor", None)]
    assert table(values, width=None)[1].startswith(f"{name}  float32")
    for width in range(MIN_SHORTENED + 4, 90):
        line = table(values, width=width)[1]
        assert name in line or (width < len(name) + len("  float32") and len(line.split()) == MIN_COLUMNS)
    assert table(values, width=40, unicode=False)[1].startswith("...")


def test_what_went_last_comes_back_where_there_is_room() -> None:
    columns = (Column("name", "name"), Column("mean", "float"), Column("text"), Column("norm", "float"))
    values = [("a" * 20, 0.5, "x" * 50, 1.5), ("b" * 20, 0.25, "y" * 49, 2.5)]
    lines = table(values, columns, width=40)
    assert lines[0].split() == ["name", "mean", "norm"]
    assert " ".join(lines[-2:]) == "not shown at this width: text (--columns chooses)"


def test_columns_that_were_asked_for_are_shown_by_wide() -> None:
    columns = tuple(column._replace(asked=True) for column in (Column("name", "name"), Column("a"), Column("b")))
    values = [("n" * 10, "x" * 30, "y" * 30), ("m" * 10, "x" * 29, "y" * 29)]
    assert table(values, columns, width=50)[-1] == "not shown at this width: b (--wide shows all)"


def test_words_that_were_asked_for_lose_their_ends_before_a_column_goes() -> None:
    columns = (Column("name", "name"), Column("state"), Column("reason"))
    values = [("layers.10.attention.weight", "none", "no gradient passes argmax in the model"), ("b", "ok", None)]
    rows = Rows("things", columns, values)
    asked = rows.pick(["name", "state", "reason"])
    shown = {width: table(list(values), asked.columns, width=width) for width in range(20, 90)}
    assert shown[89][1].endswith("no gradient passes argmax in the model")
    assert shown[60][1] == "layers.10.attention.weight  none   no gradient passes argma…"
    assert shown[55][0].split() == ["name", "state", "reason"]
    assert all(max(map(display_width, lines)) <= width for width, lines in shown.items() if width > 54)
    assert shown[54][-1] == "not shown at this width: reason (--wide shows all)"
    assert table(list(values), columns, width=60)[0].split() == ["name", "state"]


def test_a_spare_column_that_was_asked_for_comes_back_where_there_is_room() -> None:
    columns = (Column("name", "name"), Column("a", spare=1), Column("b"), Column("shape", "shape"))
    values = [(name * 10, name, name, (10**9,) * size) for name, size in (("n", 3), ("m", 4))]
    assert table(list(values), columns, width=33)[0].split() == ["name", "b"]
    asked = tuple(column._replace(asked=True) for column in columns)
    assert table(list(values), asked, width=33)[0].split() == ["name", "a", "b"]


def test_a_name_in_several_sizes() -> None:
    name = "transformer.h.10.attn.c_attn.weight"
    assert [shorten_name(name, width) for width in (35, 34, 25, 20, 12, 8, 5)] == [
        name, "…h.10.attn.c_attn.weight", "…h.10.attn.c_attn.weight", "…h.10.…c_attn.weight", "…10.…weight", "…weight", "t…ght",
    ]  # fmt: skip


@given(
    st.lists(st.lists(st.sampled_from(["a", "bb", "0", "10", "層", "weight"]), min_size=1, max_size=8), min_size=1),
    st.integers(1, 30),
)
def test_no_two_names_become_one(parts: list[list[str]], width: int) -> None:
    names = [".".join(each) for each in parts]
    cut = shorten_names(names, width)
    assert len(set(cut)) == len(set(names))
    for name, shown in zip(names, cut, strict=True):
        assert shown == name or display_width(shown) <= width


def test_cuts_fall_behind_dots() -> None:
    names = [f"model.layers.{layer}.self_attn.{which}_proj.weight" for layer in range(12) for which in "qkv"]
    for width in range(18, 40):
        for shown in shorten_names(names, width):
            assert all(piece in ("", *names[0].split("."), "k_proj", "v_proj") or piece.isdecimal()
                       for piece in shown.replace("…", ".").split("."))  # fmt: skip


def test_sums_have_bars_on_a_terminal_only() -> None:
    columns = (Column("name", "name"), Column("numel", "int", share=True))
    values = [("a", 3), ("b", 1)]
    assert table(values, columns)[0].split() == ["name", "numel"]
    assert table(values, columns, drawn=True) == [
        "name  numel  share", "a         3  75.0% ██████", "b         1  25.0% ██",
    ]  # fmt: skip


def test_sparklines_above_each_other_do_not_touch() -> None:
    columns = (Column("name", "name"), Column("h", "histogram"))
    values = [("a", [0, 0, 0, 9] * 2)]
    assert table(values, columns)[1] == "a     ▁▁▁█▁▁▁█"
    assert table(values, columns, drawn=True)[1] == "a     ▁▁▁▇▁▁▁▇"


@given(st.lists(st.tuples(st.text("ab.層", max_size=40), st.integers(0, 10**12)), min_size=1), st.integers(24, 90))
def test_lines_fit_wherever_two_columns_do(values: list[tuple[str, int]], width: int) -> None:
    columns = (Column("name", "name"), Column("numel", "int"))
    lines = table(list(values), columns, width=width)
    assert len(lines) == len(values) + 1
    if width >= MIN_SHORTENED + 2 + max(len(f"{number:,}") for _, number in values):
        assert max(map(display_width, lines)) <= width
    assert len(columns) == MIN_COLUMNS


def test_closing_lines_are_wrapped_at_spaces() -> None:
    values = [("a" * 30, "float32", 1, 4, "tensor", None)]
    assert table(values, closing="1 tensor, 1 parameter, 4 B, float32", width=30)[2:] == [
        "", "1 tensor, 1 parameter, 4 B,", "float32", "not shown at this width:", "numel, nbytes (--columns", "chooses)",
    ]  # fmt: skip


def test_colour_only_adds_to_the_text() -> None:
    values = [("a", "f4", 1, 4, "buffer", "b")]
    coloured = table(values, inks=INKS)
    assert [without_inks(line) for line in coloured] == table(values)
    assert coloured[0].startswith("<heading>name")
    assert coloured[1] == "a     f4         1     <bytes>4 B</bytes>  buffer  b"


def test_empty_name_is_seen() -> None:
    assert table([("", "f4", 1, 4, "tensor", None)])[1].startswith('""  ')


def tree(records: list[TensorRecord], **options: Any) -> list[str]:
    style = Style(width=options.pop("width", None), unicode=options.pop("unicode", True))
    root = make_tree(make_listing(records, aliases=True))
    return "".join(render_tree(root, "model", style, **options)).splitlines()


def labels(lines: list[str]) -> list[str]:
    return [line.split("─ ")[-1].split("  ")[0].split("  [")[0].strip() for line in lines[1:]]


def test_one_long_name_does_not_lengthen_every_line() -> None:
    names = [*(f"{i}.w" for i in range(0, 60, 2)), "x." * 9000 + "w"]
    drawn = tree([tensor(name, 2) for name in names], fold=False)
    rows = table(
        [(name, 2, 8) for name in names],
        (Column("name", "name"), Column("numel", "int"), Column("n", "int")),
        width=None,
    )
    for lines in (drawn, rows):
        assert sorted(map(len, lines))[-2] < 1_100


def test_only_neighbours_that_follow_on_and_are_alike_fold() -> None:
    blocks = {"b.0": 2, "b.1": 2, "b.2": 3, "b.3": 3, "b.5": 3, "b.x": 3, "b.y": 3}
    assert labels(tree([tensor(f"{block}.w", size) for block, size in blocks.items()])) == [
        "b", "0, 1", "w", "2, 3", "w", "5.w", "x.w", "y.w",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        [tensor("h.1.w", 3)],
        [tensor("h.1.w", 1, 2)],
        [tensor("h.1.v", 2)],
        [tensor("h.1.w", 2), tensor("h.1.b", 2)],
        [tensor("h.1.a.w", 2)],
        [tensor("h.1.w", 2, module_type="torch.nn.Linear")],
        [tensor("h.1.w", 2)._replace(dtype="int32")],
    ],
)
def test_modules_that_differ_do_not_fold(other: list[TensorRecord]) -> None:
    assert not any("×" in line for line in tree([tensor("h.0.w", 2), *other]))
    assert any("×2" in line for line in tree([tensor("h.0.w", 2), tensor("h.1.w", 2)]))


def test_modules_fold_in_whatever_order_their_tensors_come() -> None:
    """As in a layer that lies in two shards."""
    records = [tensor(f"h.{place}", 2) for place in ("0.a.w", "0.b.w", "0.c", "1.c", "1.b.w", "1.a.w")]
    assert labels(tree(records)) == ["h.0, h.1", "a.w", "b.w", "c"]


def test_shapes_and_dtypes_are_cut_before_names_are() -> None:
    records = [
        tensor(f"layers.{layer}.{name}", 8, 4)._replace(dtype=dtype)
        for layer in range(4)
        for name, dtype in (("down_proj.weight", "float8_e4m3fn (fp8 scaled [8,4])"), ("norm", "float32"))
    ]
    assert tree(records, width=68) == [
        "model                                                     256   100%",
        "└ layers.0 … layers.3  ×4  64 each                        256   100%",
        "  ├ down_proj.weight       [8,4] float8_e4m3fn …           32  12.5%",
        "  └ norm                   [8,4] float32                   32  12.5%",
    ]
    for width in (80, 66, 56):
        assert max(map(len, tree(records, width=width))) <= width
        assert width == 56 or "layers.0 … layers.3  ×4" in tree(records, width=width)[1]


def test_folded_names_with_a_prefix() -> None:
    records = [tensor(f"layer{i}.conv.weight", 2, 2) for i in range(8, 12)]
    assert tree(records) == [
        "model                                    16   100%",
        "└── layer8 … layer11  ×4  4 each         16   100%",
        "    └── conv.weight       [2,2] float32   4  25.0%",
    ]


def test_no_fold_shows_every_module() -> None:
    assert labels(tree([tensor("a.h.0.w", 2), tensor("a.h.1.w", 2)], fold=False)) == ["a", "h", "0", "w", "1", "w"]


def test_a_long_path_is_written_once_in_a_run() -> None:
    records = [tensor(f"a_long_name.of_several_modules.{layer}.w", 2) for layer in range(4)]
    assert "a_long_name.of_several_modules.0 … 3  ×4" in tree(records)[1]
    assert "a_long_name.…0 … 3  ×4" in tree(records, width=50)[1]


def test_depth_counts_levels_of_names() -> None:
    records = [tensor("a.b.c.w", 2), tensor("a.x", 1)]
    assert [labels(tree(records, depth=depth)) for depth in range(4)] == [[], ["a"], ["a", "b", "x"], ["a", "b.c", "x"]]


def test_class_is_shown_where_it_is_known() -> None:
    records = [
        tensor("a.w", 2, module_type="torch.nn.Linear"),
        tensor("a.b", 2),
        tensor("c.w", 1, module_type="x.Norm"),
    ]
    lines = tree(records)
    assert lines[1].startswith("├── a  Linear ")
    assert lines[4].startswith("└── c.w  Norm ")


def test_untrusted_names_are_escaped_in_the_tree() -> None:
    records = [tensor("a\n.\x1b[31mw", 2, module_type="x.Bad\x1b")]
    text = "\n".join(tree(records))
    assert "\x1b" not in text
    assert "a\\n.\\x1b[31mw  Bad\\x1b" in text


def test_tree_of_nothing_and_of_no_elements() -> None:
    assert tree([]) == ["model    0"]
    assert tree([tensor("a", 0)]) == ["model               0", "└── a  [0] float32  0"]


@given(st.lists(st.tuples(st.lists(st.sampled_from("ab01層"), min_size=1, max_size=7), st.integers(0, 3)), max_size=12))
def test_no_tensor_is_lost_without_folding(items: list[tuple[list[str], int]]) -> None:
    lines = tree([tensor(".".join(parts), size) for parts, size in items], fold=False)
    assert sum("float32" in line for line in lines) == len(items)
    for width in (20, 60):
        assert len(tree([tensor(".".join(parts), size) for parts, size in items], width=width, unicode=False)) <= len(
            lines
        )


def test_tree_object_nests_like_the_names() -> None:
    whole = tree_object(make_tree(make_listing([tensor("a.w", 2), tensor("b", 3)])))
    assert (whole["numel"], [child["name"] for child in whole["children"]]) == (5, ["a", "b"])
    assert whole["children"][0]["children"][0]["shape"] == (2,)
    assert "children" not in whole["children"][1]
