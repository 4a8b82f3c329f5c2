"""Options of commands that run a model backward."""

from typing import Annotated

from typer import Option

from paraminspect.architecture.loss import LOSSES, TARGETS
from paraminspect.cli.declare import Is
from paraminspect.cli.options import FILE, Device, FloatName
from paraminspect.tuples import NamedTuple


class Run(NamedTuple):
    """What is run of a model, and on what."""

    loss: Annotated[
        str,
        Option(
            "--loss",
            metavar="LOSS",
            help=f"{', '.join(LOSSES)}, output.NAME or WORD(output.NAME).  [default: the spec's, the output's own, sum]",
        ),
        Is("loss"),
    ] = ""
    loss_file: Annotated[
        str, Option("--loss-file", metavar="FILE.py:FUNCTION", help="A loss of your own; runs."), FILE
    ] = ""
    target: Annotated[
        str, Option("--target", metavar="WHAT", help=f"What the loss compares with, as --input. {TARGETS}"), FILE
    ] = ""
    train: Annotated[bool | None, Option("--train/--eval", help="Mode of the modules.  [default: as built]")] = None
    freeze: Annotated[
        tuple[str, ...],
        Option("--freeze", metavar="PATTERN", help="Take no gradient of these. Repeatable."),
        Is("pattern"),
    ] = ()
    dtype: Annotated[FloatName | None, Option("--dtype", help="Convert parameters and inputs.")] = None
    device: Device = "cpu"
