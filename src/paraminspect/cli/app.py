"""The command line: finds the command, runs it, and turns what it raises into text and an exit status.

A command is a module in `cli/commands` with a `command`, declared as `declare` has it, which returns its exit status.
Only the module of the command that was typed is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from paraminspect.cli.declare import Declared, declare
from paraminspect.cli.explain import FAILED, OutputError
from paraminspect.cli.first_word import PROGRAM, explain_option, with_command
from paraminspect.cli.output import Output, print_whatever_happens
from paraminspect.errors import ParamInspectError
from paraminspect.files.seen import reading
from paraminspect.limits import one_effort
from paraminspect.ranks.launched import find_launched

COMMANDS = (
    "info",
    "list",
    "tree",
    "show",
    "init",
    "shared",
    "grad",
    "cost",
    "stats",
    "diff",
    "check",
    "convert",
    "report",
    "rules",
)
"""Names of the modules in `cli/commands`, in the order of the help."""

_COMPLETE = f"_{PROGRAM.upper()}_COMPLETE"
_SHORT = "paraminspect.short_help"
_ABOUT_COMPLETION = ("--show-completion", "--install-completion")
_THIS_SHELL = "current"

Shell = Literal["current", "bash", "zsh", "fish"]


class Command(TyperCommand):
    """Names an argument that is required as the help does, without braces.

    Attributes:
        declared: What the command is made of.
    """

    declared: Declared

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Words of the usage line."""
        return [
            "[OPTIONS]",
            *(
                str(each.metavar)
                for each in self.get_params(ctx)
                if each.param_type_name == "argument" and not getattr(each, "hidden", False)
            ),
        ]

    def sections(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Heading -> arguments or options, and what each means; those of many commands have headings of their own."""
        from paraminspect.cli.options import OUTPUT, SPECS

        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], SPECS: [], OUTPUT: []}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if each.param_type_name == "argument" and record is not None:
                sections["Arguments"].append((str(each.metavar), record[1]))
            elif record is not None:
                sections[getattr(each, "rich_help_panel", None) or "Options"].append(record)
        return {title: records for title, records in sections.items() if records}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options of a help."""
        for title, records in self.sections(ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)

    def get_help(self, ctx: Any) -> str:
        """A screen for -h, everything for --help."""
        if not ctx.meta.get(_SHORT):
            return super().get_help(ctx)
        from paraminspect.cli.short_help import render_short_help

        return render_short_help(ctx, self.declared, ctx.make_formatter().width)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse them; what is wrong is wrong with this command."""
        typed = list(args)
        ctx.meta[_SHORT] = "-h" in args and "--help" not in args
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            option = getattr(error, "option_name", "")
            meant = explain_option(option, [str(ctx.info_name), *typed])
            if meant is None:
                raise
            raise ParamInspectError(f"no such option: {option}", hint=meant) from None


class CommandGroup(TyperGroup):
    """Imports a command when it is asked for.

    Attributes:
        declared: What the program itself is made of.
    """

    declared: Declared

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options of the program itself; those about completion may do without the name of a shell."""
        if args and args[0] in _ABOUT_COMPLETION and (len(args) == 1 or args[1].startswith("-")):
            args = [args[0], _THIS_SHELL, *args[1:]]
        if args[:1] == ["help"]:
            _print_topic(args[1:])
            args = [*args[1:], "--help"]
        if not ctx.resilient_parsing:
            args = with_command(args, COMMANDS)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command of that name; None leaves it to typer to complain."""
        return _load(cmd_name) if cmd_name in COMMANDS else None


def find_declared(name: str) -> Declared:
    """What is declared of a command."""
    from importlib import import_module

    declared: Declared = import_module(f"paraminspect.cli.commands.{name}").command
    return declared


def _load(name: str) -> Any:
    declared = find_declared(name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=declared.help, epilog=_show_examples(declared.examples))(declared.function)
    command: Any = typer.main.get_command(app)
    command.declared = declared
    return command


def _show_examples(lines: Sequence[str]) -> str:
    """The last paragraph of a help."""
    return "\b\nExamples:\n" + "".join(f"  {line}\n" for line in lines)


def _print_topic(words: Sequence[str]) -> None:
    from paraminspect.cli.topics import TOPICS, read_topic

    if len(words) == 1 and words[0] in TOPICS:
        typer.echo(read_topic(words[0]), nl=False)
        raise typer.Exit


def _print_version(wanted: bool) -> None:
    if wanted:
        from paraminspect import __version__

        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell:
        from paraminspect.cli.completion.answer import read_script
        from paraminspect.cli.completion.install import find_shell

        typer.echo(read_script(find_shell(shell)), nl=False)
        raise typer.Exit


def _install_completion(shell: str | None) -> None:
    if shell:
        from paraminspect.cli.completion.install import find_shell, install_script

        script, start = install_script(find_shell(shell), os.environ)
        typer.echo(f"{script} is written{f', and {start} reads it' if start else ''}; a new shell completes", err=True)
        raise typer.Exit


@declare(
    examples="""
paraminspect model.safetensors
paraminspect list model.pt | sort -t$'\\t' -k4,4nr | head -3
"""
)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    install_completion: Annotated[
        Shell | None,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            metavar="[SHELL]",
            help="Let this shell, or bash, zsh or fish, complete commands, options and tensor names.",
        ),
    ] = None,
    show_completion: Annotated[
        Shell | None,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            metavar="[SHELL]",
            help="Print the script for that instead.",
        ),
    ] = None,
) -> int:
    """What is in this PyTorch model? Parameters, shapes, ties and sizes from any checkpoint, without running it.

    A SOURCE alone is enough: `paraminspect model.pt` is `paraminspect info model.pt`. COMMAND -h is a screen, COMMAND
    --help everything; `paraminspect help TOPIC` tells of specs, rules, patterns, formats.
    """
    return 0


def make_group() -> Any:
    """The whole command line, as typer has it."""
    app = typer.Typer(
        cls=CommandGroup,
        help=_root.help,
        epilog=_show_examples(_root.examples),
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root.function)
    group: Any = typer.main.get_command(app)
    group.declared = _root
    return group


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status. Of processes that torchrun started, each is run by one of them, or by all.

    Exit status: 0 done, or nobody reads the output any more; 1 the answer is no; 2 an error.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    launched = find_launched()
    if launched is None:
        return _run_here(arguments)
    from paraminspect.cli.ranks import run_by_ranks

    return run_by_ranks(launched, arguments, _run_here)


def _run_here(arguments: Sequence[str]) -> int:
    try:
        print_whatever_happens(sys.stdout)
        return _run(list(arguments))
    except typer.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except BrokenPipeError:
        return 0
    except OSError as error:
        from paraminspect.live.torch_missing import explain_missing

        _fail(error if error.filename or explain_missing(error) else OutputError(error))
    except Exception as error:
        _fail(error)
    return FAILED


def _fail(error: Exception) -> None:
    """Say what went wrong, where it is to be said."""
    from paraminspect.cli.ranks import together

    one = together()
    if one is None:
        Output().error(error)
    else:
        one.fail(error)


def _run(arguments: list[str]) -> int:
    group = make_group()
    if os.environ.get(_COMPLETE):
        from paraminspect.cli.completion.answer import answer

        sys.stdout.write(answer(os.environ, group))
        return 0
    if not arguments:
        with group.make_context(PROGRAM, [], resilient_parsing=True) as context:
            print(context.get_help(), file=sys.stderr)  # noqa: T201 - nobody asked for it
        return FAILED
    with group.make_context(PROGRAM, arguments) as context, one_effort(), reading():
        return int(group.invoke(context) or 0)
