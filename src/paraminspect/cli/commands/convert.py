"""`paraminspect convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.output import Output
from paraminspect.errors import FarError, ParamInspectError
from paraminspect.render.columns import WRITTEN
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.conversion.convert import Prepared
    from paraminspect.conversion.plan import Wanted
    from paraminspect.models.open import Opened

OutputFile = Annotated[
    str,
    Option(
        "--output", "-o", metavar="FILE", help="To a .safetensors, .pt or .npz, FOLDER/ or -; a folder gets shards."
    ),
    options.FILE,
]
Dtype = Annotated[
    Literal[options.FloatName, "float8_e4m3fn", "float8_e5m2"] | None,
    Option("--dtype", help="Of floating-point tensors; else each keeps its own."),
]


class Writing(NamedTuple):
    """What is written, and how."""

    rename: Annotated[
        tuple[str, ...],
        Option(
            "--rename", metavar="FROM=TO", help="Change names: 'module.*=*'. Repeatable; the first that matches counts."
        ),
        Is("rename"),
    ] = ()
    everything: Annotated[bool, Option("--all", "-a", help="Optimizer state and all other tensors too.")] = False
    metadata: Annotated[
        tuple[str, ...],
        Option("--metadata", metavar="KEY=VALUE", help="Add to the metadata of safetensors. Repeatable."),
    ] = ()
    no_metadata: Annotated[bool, Option("--no-metadata", help="Leave out the source's own metadata.")] = False
    shard_size: options.ShardSize = ""
    force: options.Force = False
    verify: Annotated[bool, Option("--verify", help="Read it back and compare every byte before it is in place.")] = (
        False
    )
    dry_run: Annotated[bool, Option("--dry-run", help="Print what would be written, and stop.")] = False


@declare(
    Table(WRITTEN, "of --dry-run"),
    examples="""
paraminspect convert training.pt --module model -o model.safetensors
paraminspect convert model.pt --dtype bfloat16 -o - | paraminspect list -
""",
    often="output_file dtype select module rename shard_size verify dry_run force",
)
def command(
    source: options.Source,
    *,
    output_file: OutputFile = "",
    dtype: Dtype = None,
    choose: options.Choose,
    writing: Writing,
    engine: options.EngineName = "local",
    rows: options.Rows,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Write a model as safetensors, a torch state dict or npz.

    Any source will do: nothing of a pickle is run, torch is not needed for a file, and memory stays small. Tensors keep
    their bytes, names and ties; --dtype rounds as torch does. Quantised tensors become float32, or what --dtype says; those
    that lie in several tensors (GPTQ, AWQ, bitsandbytes, ..) are copied as they are, unless --dtype asks for numbers. Without
    --all, optimizer state stays behind. The file appears whole or not at all. A spec or factory is initialised first.
    """
    from paraminspect.cli.chosen import describe_hidden
    from paraminspect.cli.opened import note_unloaded, open_one
    from paraminspect.conversion.metadata import parse_metadata
    from paraminspect.conversion.plan import Wanted

    out = output.open(rows.header)
    _check(output_file, writing, out)
    columns, metadata = rows.choose(WRITTEN), parse_metadata(writing.metadata)
    asked = options.asked("values", build, rules)
    model = open_one(source, asked, out)
    if model is not None:
        note_unloaded(model, asked, out)
        wanted = Wanted(choose.module, choose.select, choose.exclude, writing.everything, writing.rename, dtype or "")
        prepared = _prepare(model, output_file, wanted, metadata, writing)
        hidden = describe_hidden(prepared.plan.hidden, "written", "writes")
        out.notes([*model.checkpoint.notes, *prepared.notes, *([hidden] if hidden else [])])
        if writing.dry_run:
            out.write_rows(out.pick(prepared.rows(source), columns))
        else:
            _write(prepared, output_file, model, writing, out, engine=engine)
    out.finish()
    return out.status


def _check(file: str, writing: Writing, out: Output) -> None:
    from paraminspect.conversion.convert import goes_into_a_pipe

    if not file:
        raise ParamInspectError("where to? there is no -o", hint="-o FILE.safetensors, FILE.pt, FILE.npz or FOLDER/")
    if file == "-" and not writing.dry_run:
        out.refuse_binary("a checkpoint", "-o FILE.safetensors, or a pipe")
    if writing.verify and goes_into_a_pipe(file):
        raise ParamInspectError("--verify reads back what was written, and a pipe cannot be", hint="-o FILE")


def _prepare(model: Opened, file: str, wanted: Wanted, metadata: dict[str, str], writing: Writing) -> Prepared:
    from paraminspect.cli.chosen import describe_no_match
    from paraminspect.conversion.convert import prepare

    carry, size = not writing.no_metadata, writing.shard_size
    try:
        return prepare(model.saved, file, wanted, metadata=metadata, carry=carry, shard_size=size)
    except ParamInspectError as error:
        if (wanted.select or wanted.exclude) and "nothing to write" in error.message:
            error.message = describe_no_match(wanted, len(model.checkpoint.tensors), model.checkpoint.tensors)
        if not error.message.startswith("-o "):
            error.source = error.source or model.source
        raise


def _write(prepared: Prepared, file: str, model: Opened, writing: Writing, out: Output, *, engine: str) -> None:
    from paraminspect.cli.progress import Progress
    from paraminspect.conversion.convert import carry_out
    from paraminspect.engines import open_engine

    nbytes = sum(item.record.nbytes or 0 for item in prepared.outlined.items)
    try:
        with open_engine(engine) as readers:
            written = carry_out(
                prepared, file, model.numbers, force=writing.force, check=writing.verify, is_stored=not model.is_live,
                progress=lambda what, total: Progress(out, what).counting(total), pool=model.pool(readers, nbytes),
            )  # fmt: skip
    except FarError as error:
        error.source = error.source or model.checkpoint.source
        raise
    finally:
        out.show(None)
    out.notes(written.notes[len(prepared.notes) :])
    if file != "-":
        out.note(f"wrote {file}: {written.describe()}{', read back and compared' if writing.verify else ''}")
