"""What `grad` shows, saves and compares, and what of it goes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Listed
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.outcomes import GradState
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.cli.ranks import Together

JSON = ("json", "jsonl")


class Shown(NamedTuple):
    """What is shown of it."""

    steps: Annotated[int, Option("--steps", min=1, metavar="N", help="Mean and spread over N batches.")] = 1
    uses: Annotated[bool, Option("--uses", help="One row a use; of parameters used more than once.")] = False
    all_uses: Annotated[bool, Option("--all-uses", help="One row a use, of all parameters.")] = False
    tensors: Annotated[bool, Option("--show", help="The gradients themselves, as torch prints them.")] = False
    save: Annotated[
        str, Option("--output", "-o", metavar="FILE", help="Write the gradients, safetensors."), options.FILE
    ] = ""
    force: options.Force = False
    compare: Annotated[
        str, Option("--compare", metavar="FILE", help="Rows for what differs from another run."), options.FILE
    ] = ""
    tolerance: Annotated[
        float, Option("--tolerance", min=0.0, metavar="X", help="Of --compare, relative to each norm.")
    ] = 1e-5
    shard: Annotated[
        str, Option("--shard", metavar="HOW", help="Under torchrun: fsdp, tp=N or tp=N,fsdp; each rank has a part.")
    ] = ""
    fail_on: Annotated[
        tuple[str, ...],
        Option("--fail-on", metavar="STATE,..", help="Exit 1 if any is so: none,zero,nan,inf."),
        Listed(get_args(GradState), "state"),
    ] = ()

    @property
    def has_tensors(self) -> bool:
        """Whether the gradients themselves are wanted, and no numbers of them alone."""
        return bool(self.tensors or self.save or self.compare)


def check_shown(shown: Shown, typed_format: str, out: Output) -> None:
    from paraminspect.live.grad.asked import refuse_missing
    from paraminspect.writers.destination import check_before

    if shown.tensors and typed_format not in ("auto", "markdown", *JSON):
        raise ParamInspectError(f"--show has no meaning in --format {typed_format}", hint="leave it out, or json")
    if shown.tensors and shown.compare:
        raise ParamInspectError("--show and --compare exclude each other")
    if shown.save == "-":
        out.refuse_binary("safetensors", "-o FILE, or a pipe")
    elif shown.save:
        check_before(shown.save, force=shown.force)
    options.refuse_without_output(shown.save, {"--force": shown.force})
    refuse_missing("--compare", shown.compare)


def check_shard(shown: Shown, device: str, one: Together | None) -> None:
    if not shown.shard:
        return
    if one is None:
        raise ParamInspectError(
            "--shard shares a model among several processes, and this one is alone",
            hint=f"torchrun --nproc-per-node 2 -m paraminspect grad SPEC --shard {shown.shard}",
        )
    for option, value in (("--steps", shown.steps > 1), (f"--device {device}", device != "cpu")):
        if value:
            raise ParamInspectError(f"{option} does not go together with --shard", hint="leave out one of the two")
