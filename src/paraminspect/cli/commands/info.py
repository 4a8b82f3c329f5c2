"""`paraminspect info`, and a SOURCE without a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paraminspect.cli import options
from paraminspect.cli.declare import Table, declare
from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import open_each, prefixed, title
from paraminspect.cli.output import Output
from paraminspect.files.paths import file_url
from paraminspect.files.seen import settle
from paraminspect.models.open import Opened
from paraminspect.render.columns import SOURCES
from paraminspect.render.rows import Rows

if TYPE_CHECKING:
    from paraminspect.library.info import Described
    from paraminspect.summaries import Info


@declare(
    Table(SOURCES),
    examples="""
paraminspect info model.safetensors
paraminspect info training.pt -f json | jq '.sources[0].training.arguments'
""",
    often="format columns define weights",
    names="parameters",
)
def command(
    source: options.Sources,
    *,
    rows: options.Rows,
    build: options.Build,
    output: options.Output,
) -> int:
    """Say what a file says of itself; so does `paraminspect SOURCE`.

    Format, size, parameters, the state of its training with the arguments it was started with, its metadata, the
    architecture, whether loading it runs code, and its modules two levels deep. Nothing of the file is executed. The
    files of a folder tell too: config.json and what trainers write beside weights.
    """
    from paraminspect.library.info import Described

    out = output.open(rows.header)
    columns = rows.choose(SOURCES)
    told: list[Info] = []
    for model in open_each(source, options.asked("names", build), out):
        try:
            described = Described(model)
            settle()
        except Exception as error:
            out.error(with_source(error, model.source))
            continue
        out.notes(prefixed(note, model.source, source) for note in described.notes)
        if out.format == "table" and not columns:
            _write_screen(model, described, out, is_first=not told)
        elif out.streams:
            out.write_rows(out.pick(_rows([described.info]), columns))
        told.append(described.info)
    if not out.streams and (out.format != "table" or columns) and told:
        out.write_rows(out.pick(_rows(told), columns))
    out.finish()
    return out.status


def _write_screen(model: Opened, described: Described, output: Output, *, is_first: bool) -> None:
    from paraminspect.render.description import render_info

    if not is_first:
        output.write(["\n"])
    target = file_url(model.source)
    output.write(render_info(described.info, described.tree(), title(model.source), output.style(), target))


def _rows(told: list[Info]) -> Rows:
    return Rows("sources", SOURCES, [_values(each) for each in told])


def _values(info: Info) -> tuple[object, ...]:
    training = info.training._asdict() if info.training is not None else None
    modules = [each._asdict() for each in info.modules]
    return info._replace(training=training, modules=modules)  # type: ignore[arg-type]
