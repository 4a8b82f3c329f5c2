"""A command is declared once: what Typer sees of it, and all that reads the declaration."""

from __future__ import annotations

import inspect
import json
import re
import types
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest
import typer
from typer.models import ArgumentInfo, OptionInfo

from paraminspect.cli import app, options
from paraminspect.cli.completion.answer import answer
from paraminspect.cli.declare import Declared, Is, Listed, OneOf, Table, declare
from paraminspect.render.columns import TENSORS
from paraminspect.render.rows import Column

CASES = {
    "info": "info before.safetensors",
    "list": "list net.pt",
    "list total_only": "list net.pt --total",
    "list depth": "list net.pt --depth 1",
    "shared": "shared shared.pt",
    "init": "init configs/mlp.yaml --rule *=zeros --dry-run",
    "grad": "grad configs/shared_linear.yaml --rule *=ones",
    "grad compare": "grad configs/shared_linear.yaml --rule *=constant(3) --compare grads.safetensors",
    "grad all_uses": "grad configs/shared_linear.yaml --rule *=ones --all-uses",
    "grad uses": "grad configs/shared_linear.yaml --rule *=ones --uses",
    "grad steps": "grad configs/shared_linear.yaml --rule *=ones --steps 2",
    "cost": "cost configs/mlp.yaml",
    "cost total_only": "cost configs/mlp.yaml --total",
    "stats": "stats before.safetensors",
    "stats depth": "stats before.safetensors --depth 1",
    "diff": "diff before.safetensors after.safetensors",
    "check": "check evil.pkl",
    "convert": "convert training.pt -o x.pt --dry-run",
    "rules": "rules",
    "rules of a config": "rules configs/mlp.yaml",
}
"""A command line for each table of each command."""


class Group(NamedTuple):
    names: Annotated[tuple[str, ...], typer.Option("--name", "-n", help="Several."), Is("name")] = ()
    size: Annotated[int, typer.Option("--size", help="One.")] = 3


Source = Annotated[tuple[str, ...], typer.Argument(metavar="SOURCE..."), Is("sources")]
Word = Annotated[str | None, typer.Option("--word"), OneOf(["one", "two"])]
Words = Annotated[tuple[str, ...], typer.Option("--words"), Listed(["one", "two"], "number")]


def run_declared(seen: list[Any], *arguments: str) -> int:
    @declare(examples="x")
    def command(source: Source, *, first: Group, word: Word = None, words: Words = ()) -> int:
        """Do it."""
        seen.append((source, first, word, words))
        return 7

    assert command.marks == {
        "source": Is("sources"), "names": Is("name"), "word": OneOf(["one", "two"]), "words": Listed(["one", "two"], "number"),
    }  # fmt: skip
    program = typer.Typer(add_completion=False, rich_markup_mode=None)
    program.command("it", help=command.help)(command.function)
    status = typer.main.get_command(program).main([*arguments], standalone_mode=False)
    assert isinstance(status, int)
    return status


def test_groups_are_spread_and_packed_again() -> None:
    seen: list[Any] = []
    assert run_declared(seen, "a", "b", "-n", "x", "--name", "y", "--size", "5", "--word", "two") == 7
    assert run_declared(seen, "a", "--words", "two, one,") == 7
    assert seen == [(("a", "b"), Group(("x", "y"), 5), "two", ()), (("a",), Group((), 3), None, ("two", "one"))]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "Missing"),
        (["a", "--word", "three"], "'three' is not one of 'one', 'two'"),
        (["a", "--words", "one,three"], "--words 'three' is no number"),
        (["a", "--size", "x"], "valid int"),
        (["a", "--nmae", "x"], "No such option"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], error: str) -> None:
    seen: list[Any] = []
    with pytest.raises(Exception, match=error):
        run_declared(seen, *arguments)
    assert seen == []


def test_the_help_has_the_columns_after_the_summary_and_the_status_at_the_end() -> None:
    table = Table((Column("name"), Column("state", words=("on", "off"))))

    @declare(
        table,
        Table((Column("x"),), "of a config"),
        Table((Column("y"),), "with --y", "y"),
        examples="a\nb",
        status="0.",
    )
    def command() -> int:
        """Do it.

        It is done.
        """
        return 0

    assert command.help == "Do it.\n\nColumns: name, state (on, off); of a config: x.\n\nIt is done. Exit status: 0."
    assert command.examples == ("a", "b")


@pytest.mark.parametrize("declared", [app.make_group().declared, *map(app.find_declared, app.COMMANDS)])
def test_what_typer_sees_is_what_any_typer_can_read(declared: Declared) -> None:
    """Whether it asks the signature, as 0.28 does, or for the annotations; plain types, and nothing of our own."""
    known = {str, int, float, bool, list[str], types.NoneType}
    signature = inspect.signature(declared.function, eval_str=True)
    hints = get_type_hints(declared.function, include_extras=True)
    assert {name: each.annotation for name, each in signature.parameters.items()} == hints
    for name, hint in hints.items():
        kind, *extras = get_args(hint)
        assert get_origin(hint) is Annotated, name
        assert [isinstance(each, OptionInfo | ArgumentInfo) for each in extras] == [True], name
        kinds = get_args(kind) if isinstance(kind, types.UnionType) or get_origin(kind) is Union else (kind,)
        assert all(each in known or get_origin(each) is Literal for each in kinds), name
    assert set(declared.marks) <= set(hints)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_has_a_file_of_about_150_lines(name: str) -> None:
    module = __import__(f"paraminspect.cli.commands.{name}", fromlist=["command"])
    with open(module.__file__, encoding="utf-8") as file:
        assert sum(1 for _ in file) <= 155


def test_a_help_of_one_sentence_has_a_paragraph_of_each_part() -> None:
    @declare(Table(TENSORS[:1]), examples="x", status="0.")
    def command() -> int:
        """Do it."""
        return 0

    assert command.help == "Do it.\n\nColumns: name.\n\nExit status: 0."


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_help_says_what_is_declared(run: Any, name: str) -> None:
    declared = app.find_declared(name)
    text = " ".join(run(name, "--help", COLUMNS="80").stdout.split())
    for sentence in re.split(r"(?<=\.)\s+", " ".join(declared.help.split())):
        assert sentence in text
    for line in declared.examples:
        assert line in text
    for table in declared.tables:
        if not table.option:
            assert all(re.search(rf"\b{column.name}\b", text) for column in table.columns)
        else:
            assert flag(table) in text
    for each in app.make_group().get_command(None, name).params:
        assert all(option in text for option in each.opts if option.startswith("-"))


def test_every_table_has_a_case() -> None:
    tables = {
        f"{name} {table.option or (table.when if place else '')}".strip()
        for name in app.COMMANDS
        for place, table in enumerate(app.find_declared(name).tables)
    }
    assert tables == set(CASES)


def table_of(case: str) -> Table:
    name, _, which = case.partition(" ")
    first, *others = app.find_declared(name).tables
    return next(each for each in others if which in (each.option, each.when)) if which else first


def columns_of(case: str) -> list[str]:
    """Those of a table, and those of the first before those that are added to it."""
    table = table_of(case)
    before = app.find_declared(case.split(maxsplit=1)[0]).tables[0].columns if table.is_added else ()
    return [column.name for column in (*before, *table.columns)]


def flag(table: Table) -> str:
    return f"--{table.option.removesuffix('_only').replace('_', '-')}"


@pytest.fixture
def gradients(run: Any, workplace: Any) -> None:
    """What `--compare` compares with."""
    assert run(*["grad", "configs/shared_linear.yaml", "--rule", "*=ones", "-o", "grads.safetensors"]).status == 0


@pytest.mark.usefixtures("gradients")
@pytest.mark.parametrize("case", CASES)
def test_the_columns_are_what_is_printed(run: Any, case: str) -> None:
    words, columns = CASES[case].split(), columns_of(case)
    csv = run(*words, "--format", "csv")
    assert csv.stdout.splitlines()[0].split(",") == columns
    assert run(*words, "--columns", ",".join(columns), "--format", "csv") == csv
    if "uses" not in case:  # which JSON has inside the parameters
        assert list(json.loads(run(*words, "--format", "jsonl").stdout.splitlines()[0])) == columns


@pytest.mark.usefixtures("gradients")
@pytest.mark.parametrize("case", CASES)
def test_names_are_names_whatever_columns_are_asked_for(run: Any, case: str) -> None:
    words = CASES[case].split()
    due = run(*words, "--format", "names")
    for column in columns_of(case):
        assert run(*words, "--format", "names", "--columns", column) == due
    status, stdout, stderr = run(*words, "--format", "names", "--columns", "nmae")
    assert (status, stdout) == (2, "")
    assert "there is no column 'nmae' here" in stderr


@pytest.mark.parametrize("case", CASES)
def test_the_columns_are_completed(case: str) -> None:
    table = table_of(case)
    value = {"depth": "1", "steps": "2", "compare": "x"}.get(table.option, "")
    line = f"paraminspect {case.split(maxsplit=1)[0]} {flag(table) if table.option else ''} {value} --columns "
    environ = {"_PARAMINSPECT_COMPLETE": "complete_bash", "_PARAMINSPECT_BEFORE": line}
    found = [line.removeprefix("part\t") for line in answer(environ, app.make_group()).splitlines()]
    assert set(columns_of(case)) <= set(found)
    assert not table.option or found == columns_of(case)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_words_are_completed_as_they_are_declared(name: str) -> None:
    command = app.make_group().get_command(None, name)
    for each in command.params:
        mark = command.declared.marks.get(each.name)
        if isinstance(mark, Listed | OneOf):
            environ = {"_PARAMINSPECT_COMPLETE": "complete_bash"}
            environ["_PARAMINSPECT_BEFORE"] = f"paraminspect {name} {each.opts[-1]} "
            found = [line.split("\t")[1] for line in answer(environ, app.make_group()).splitlines()]
            assert found == list(mark.words)


def test_columns_that_are_not_known_are_refused() -> None:
    assert options.Rows(" name, dtype,").choose(TENSORS) == ("name", "dtype")
    assert options.Rows().choose(TENSORS) == ()
    with pytest.raises(Exception, match="there is no column 'x' here"):
        options.Rows("name,x").choose(TENSORS)
