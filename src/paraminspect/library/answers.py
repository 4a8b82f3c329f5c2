"""The commands as functions: any source in, records out.

A source is a path, a URL, a spec, a factory ("module:callable"), an `nn.Module`, an open binary file, or what `open`
returned. Every failure is a `ParamInspectError`.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, ParamSpec, TypeAlias, TypeVar

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.files.seen import reading
from paraminspect.library.model import Model, several
from paraminspect.limits import one_run
from paraminspect.models.asked import Asked
from paraminspect.models.open import Opened, no_architecture, open_model
from paraminspect.outcomes import Cost, InitStep
from paraminspect.records import Checkpoint, TieGroup
from paraminspect.summaries import Finding, Info

if TYPE_CHECKING:
    from torch import Tensor, nn

    from paraminspect.conversion.convert import Written
    from paraminspect.library.report import Report
    from paraminspect.live.cost.cost_plan import Attention
    from paraminspect.live.cost.optimizers import Optimizer
    from paraminspect.live.grad.backward import BackwardReport
    from paraminspect.live.grad.losses import LossFunction
    from paraminspect.live.init.apply import Functions
    from paraminspect.rules.rule import Rule
    from paraminspect.rules.steps import InitPlan
    from paraminspect.values.diff import Diff
    from paraminspect.values.stats import TensorStats

    Source: TypeAlias = str | os.PathLike[str] | BinaryIO | nn.Module | Checkpoint | Model

_VALUES: Final = Asked(want="values")

P = ParamSpec("P")
Answer = TypeVar("Answer")


def _in_one_line(function: Callable[P, Answer]) -> Callable[P, Answer]:
    """What runs code of a model raises nothing but a ParamInspectError, wherever that code fails."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Answer:
        inspect.signature(function).bind(*args, **kwargs)  # a call that does not fit is the caller's to mend
        try:
            return function(*args, **kwargs)
        except (ParamInspectError, KeyboardInterrupt):
            raise
        except BaseException as error:
            from paraminspect.live.torch_missing import explain_missing

            if missing := explain_missing(error):
                raise missing from None
            from paraminspect.live.build.user_code import explaining

            with explaining(function.__name__, []):
                raise

    return run


@one_run
def open(  # noqa: A001 - as `gzip.open` is called
    source: Source,
    *,
    define: Mapping[str, object] | None = None,
    arguments: Mapping[str, object] | None = None,
    modules_file: str | os.PathLike[str] = "",
    weights: str | os.PathLike[str] = "",
    strip_prefix: str = "",
    add_prefix: str = "",
    allow_mismatch: bool = False,
    rules: Sequence[str] = (),
    config: str | os.PathLike[str] = "",
    rules_file: str | os.PathLike[str] = "",
    seed: int = 0,
    init: bool = True,
    allow_unmatched: bool = False,
) -> Model:
    """Whatever holds a model, opened: headers of a file, or a model built of a spec or by a factory.

    Nothing of a file is executed and no value is read before it is asked for. Only a spec, a factory or a module takes
    torch.

    Args:
        source: A path to a file or folder, a URL, "-" for standard input, a spec, a factory, an `nn.Module`, an open
            binary file, or what this returned.
        define: Variables of a spec.
        arguments: Of a factory.
        modules_file: Python file with layers for a spec; it runs.
        weights: A checkpoint to load into a spec or factory.
        strip_prefix: Taken off the checkpoint's names.
        add_prefix: Put before them.
        allow_mismatch: Go on with what fits of the checkpoint.
        rules: "selector=action", or names of rule sets; after those of the spec itself.
        config: File with rule sets.
        rules_file: Python file with initializers; it runs.
        seed: Of all that is drawn.
        init: False leaves torch's default initialisation, whatever the spec says.
        allow_unmatched: Go on where a rule matches nothing.

    Raises:
        ParamInspectError: It cannot be read or built; see `paraminspect.errors` for the tree.

    Example:
        >>> open("training.pt")
        Checkpoint(training.pt, torch zip, 6 tensors, 204,042 parameters)
    """
    asked = Asked(
        want="values",
        define=_pairs(define),
        modules_file=os.fspath(modules_file),
        arguments=_pairs(arguments),
        weights=os.fspath(weights),
        strip_prefix=strip_prefix,
        add_prefix=add_prefix,
        allow_mismatch=allow_mismatch,
        rules=several(rules),
        config=os.fspath(config),
        rules_file=os.fspath(rules_file),
        seed=seed,
        no_init=not init,
        allow_unmatched=allow_unmatched,
    )
    if isinstance(source, Model) and asked == _VALUES:
        return source
    return Model(_hold(source, asked), asked)


@one_run
def ties(source: Source) -> list[TieGroup]:
    """Every tie, by names: one group for each tensor that has several.

    Buffers, optimizer state and whatever else has a record count too. Values are only read where a checkpoint declares
    a tie and stores both tensors.

    Args:
        source: Any; of a selection, its tensors under all their names.

    Returns:
        Groups of two or more names, sorted by their first member, canonical names (first registered) first; see
        `TieGroup` and `TieKind`.

    Raises:
        ParamInspectError: The source cannot be opened, or a file that has to be read cannot be.

    Example:
        >>> ties("gpt2.pt")[0].names
        ('transformer.wte.weight', 'lm_head.weight')
    """
    return Model(_hold(source), _VALUES).ties()


@one_run
def info(source: Source) -> Info:
    """What a source says of itself: format, size, state of training, metadata, architecture, safety, modules.

    Of a file nothing is executed, and torch is not needed.

    Args:
        source: Any; of a selection, all of it.

    Raises:
        ParamInspectError: The source cannot be opened.

    Example:
        >>> info("training.pt").training.epoch
        3
    """
    from paraminspect.library.info import Described

    opened = _hold(source)
    with reading(opened.seen):
        return Described(opened).info


@one_run
def stats(
    source: Source, *, select: Sequence[str] = (), exclude: Sequence[str] = (), everything: bool = False
) -> dict[str, TensorStats]:
    """Statistics of each tensor by its name, read a piece at a time.

    Args:
        source: Any.
        select: Selectors, any of which must match; empty for all.
        exclude: Selectors, none of which may match.
        everything: Buffers, optimizer state and other tensors too.

    Raises:
        ParamInspectError: The source cannot be opened, or the values of a tensor not be read or decoded.

    Example:
        >>> stats("model.safetensors", select=["*.bias"])["h.0.attn.c_attn.bias"].std
        0.0198
    """
    model = source if isinstance(source, Model) else open(source)
    if select or exclude or everything:
        model = model.select(*several(select), exclude=several(exclude), everything=everything)
    return model.stats()


@one_run
def diff(
    before: Source,
    after: Source,
    *,
    only: Literal["names", "shapes", "values"] | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    maps: Sequence[str] = (),
) -> Diff:
    """What has changed between two sources of any kind.

    Buffers are compared too, optimizer and other training state is not. Quantised weights are compared as the tensors
    that they stand for.

    Args:
        before: Any.
        after: Any.
        only: "names": what was added and removed; "shapes": types and ties as well, from headers alone; "values": only
            values of tensors that both have in one shape; None: everything.
        rtol: Values differ if `|before - after| > atol + rtol * |after|`.
        atol: The same.
        maps: `FROM=TO` globs that rename tensors of both.

    Raises:
        ParamInspectError: One cannot be opened. What cannot be compared, tensor by tensor, is in `failures`.

    Example:
        >>> [(change.name, change.change) for change in diff("old.pt", "new.safetensors").changes]
        [('h.0.attn.c_attn.bias', 'values')]
    """
    from paraminspect.library.compared import compare_models
    from paraminspect.values.compare import Tolerance

    sides = (_hold(before), _hold(after))
    with reading(*(side.seen for side in sides)):
        return compare_models(sides, only=only, tolerance=Tolerance(rtol, atol), maps=several(maps))


@one_run
def check(source: Source, *, deep: bool = False) -> list[Finding]:
    """Whether a model is whole, sane and safe. Nothing of a file is run.

    Args:
        source: Any. Of a path, URL or open file the bytes are looked into; of what was opened already, its records.
        deep: Read the values too, and the bytes of every checksum.

    Returns:
        The worst first, those of one severity in the order of the file. Damage is a finding, not an exception.

    Raises:
        ParamInspectError: There is nothing to check: no such file, no permission, a folder without a model.

    Example:
        >>> [finding.code for finding in check("model.pt")]
        ['pickle-unknown']
    """
    from paraminspect.checks.check import check_source
    from paraminspect.checks.opened import check_opened
    from paraminspect.models.recognise import recognise

    if not isinstance(source, str | os.PathLike):
        opened = _hold(source)
        with reading(opened.seen):
            return check_opened(opened, deep=deep)
    found = recognise(os.fspath(source))
    if found.kind == "checkpoint":
        return check_source(source, deep=deep)
    return check_opened(open_model(os.fspath(source), _VALUES, found), deep=deep)


@one_run
def convert(
    source: Source,
    output: str | os.PathLike[str],
    *,
    dtype: str = "",
    module: str = "",
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rename: Sequence[str] = (),
    everything: bool = False,
    metadata: Mapping[str, str] | None = None,
    carry_metadata: bool = True,
    shard_size: str = "",
    force: bool = False,
    verify: bool = False,
) -> Written:
    """Write the tensors of any source to safetensors, a torch state dict, or npz, in bounded memory.

    The output appears whole or not at all. Of a file nothing is executed, and torch is not needed.

    Args:
        source: Any; of a selection, all its tensors count: `select` chooses here.
        output: Its ending says what is written: .safetensors, .pt, .pth, .bin, .npz, or / for a folder of shards.
        dtype: Of floating-point tensors; "" keeps each one's. Quantised ones become float32, or this; those that lie in
            several tensors are copied as they are, unless this is given.
        module: Only what is inside it; names become relative to it.
        select: Selectors, any of which must match; empty for all.
        exclude: Selectors, none of which may match.
        rename: `FROM=TO`, as in "module.*=*"; the first that matches a name changes it.
        everything: Optimizer state and other tensors that are no part of the model too.
        metadata: For safetensors, beside the source's own.
        carry_metadata: Whether the source's own are kept.
        shard_size: "5GB": a folder of files of at most this size.
        force: Replace what is there.
        verify: Read the output back and compare every byte before it takes its name.

    Raises:
        ParamInspectError: A source that cannot be opened, a tensor that cannot be written, names that would merge, an
            output that is there already or cannot be written.

    Example:
        >>> convert("training.ckpt", "model.safetensors", module="model", dtype="bfloat16").tensors
        148
    """
    from paraminspect.conversion.convert import carry_out, prepare
    from paraminspect.conversion.plan import Wanted

    opened = _hold(source)
    wanted = Wanted(module, several(select), several(exclude), everything, several(rename), dtype)
    file = os.fspath(output)
    with reading(opened.seen):
        prepared = prepare(opened.saved, file, wanted, metadata=metadata, carry=carry_metadata, shard_size=shard_size)
        return carry_out(prepared, file, opened.numbers, force=force, check=verify, is_stored=not opened.is_live)


@one_run
@_in_one_line
def plan_init(
    source: Source,
    rules: Sequence[str | Rule],
    *,
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
) -> InitPlan:
    """Decide what rules would do to the parameters of a source; nothing is changed.

    Args:
        source: Any; a module on any device, the meta device included.
        rules: In order: text, or what `parse_rule` made of it. The last one that matches a parameter wins. A spec's
            own rules are not among them.
        functions: Your own initializers by name: functions of a tensor, with or without `generator`.
        variables: What names in the expressions of the rules stand for.

    Returns:
        A step for each parameter, and the rules that match nothing.

    Raises:
        ParamInspectError: The source cannot be opened, a rule not be parsed, or not applied to a parameter it wins.

    Example:
        >>> plan_init(model, ["*.weight=normal(std=0.02)"]).records[0].arguments
        {'mean': 0.0, 'std': 0.02}
    """
    opened = _hold(_unwrapped(source))
    from paraminspect.live.init.apply import plan_targets

    return plan_targets(opened.targets(), several(rules), functions, variables)


@one_run
@_in_one_line
def apply_init(
    model: nn.Module | Model,
    rules: Sequence[str | Rule],
    seed: int = 0,
    *,
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
    allow_unmatched: bool = False,
) -> list[InitStep]:
    """Initialise the parameters of a model in place.

    Each is drawn on the CPU in float32, from a stream of (seed, name), and copied to its own type and device: the same
    values on any device, in any order, by any number of processes, whatever other layers there are. Of a sharded model
    (FSDP2, tensor parallel) every process has to call it; each draws some of the tensors and sends the others their part. torch's global generators are left as
    they were. A tied parameter is initialised once, under its first name; parameters that no rule matches stay as they
    are.

    Args:
        model: Not on the meta device.
        rules: As of `plan_init`.
        seed: Of the run.
        functions: As of `plan_init`.
        variables: As of `plan_init`.
        allow_unmatched: Go on if a rule matches no parameter.

    Returns:
        What was done, one step for each parameter that a rule matches, with its statistics.

    Raises:
        ParamInspectError: It is no model in memory; a rule cannot be parsed, cannot be applied or matches nothing; a
            parameter that is meant is on the meta device. Nothing is changed then. Or one of your functions fails on a
            parameter; those before it are changed then.

    Example:
        >>> apply_init(model, ["*.weight=normal(std=0.02)", "*.bias=zeros"])[0].std
        0.02002...
    """
    opened = _hold(_unwrapped(model))
    if opened.kind != "module" or opened.live is None:
        raise SourceError(
            "rules are applied in place to a model in memory",
            hint="open(SOURCE, rules=[..]) has their values, convert writes them",
            source=opened.source,
        )
    from paraminspect.live.init.apply import apply_rules
    from paraminspect.live.ranks.sharded import has_shards

    carry_out = None
    if has_shards(opened.live.model):
        from paraminspect.live.ranks.scatter import apply_sharded

        carry_out = apply_sharded
    return apply_rules(
        opened.live.model,
        several(rules),
        seed,
        functions=functions,
        variables=variables,
        allow_unmatched=allow_unmatched,
        carry_out=carry_out,
    )


@one_run
@_in_one_line
def backward(
    source: Source,
    inputs: Tensor | Sequence[object] | Mapping[str, object] | None = None,
    loss: LossFunction | str | None = None,
    *,
    uses: bool = False,
    seed: int | None = None,
    reasons: bool = True,
) -> BackwardReport:
    """Run one forward and one backward pass and say what came of every parameter.

    A module is left as it was, bit for bit: parameters, `.grad`, buffers, modes, hooks and random generators. It runs
    in the mode it is in. Of a module that several processes have (FSDP2, tensor parallel, DistributedDataParallel) each
    has to call this, with its part of the batch: loss and gradients are the mean of theirs, and the answer is the same
    everywhere.

    Args:
        source: A module, a spec or a factory.
        inputs: Of the call: one tensor, a sequence of positional arguments, or a mapping of named ones; None takes
            those of the spec.
        loss: Called with the output; or what `--loss` takes: "mean", "cross_entropy", "output.logits"; None takes that of
            the spec, or the output's own (`.loss`), or the sum of its first floating-point tensor.
        uses: Whether to keep the part of the gradient of each use, of parameters that have several: it costs a tensor
            of the parameter's size a use.
        seed: For what the forward pass draws (dropout); None takes the generators as they are.
        reasons: Whether to look for the reason where a gradient is missing, zero or no number, which takes a second
            pass.

    Raises:
        ParamInspectError: The source has no forward pass; the model fails on the inputs (with the module that does);
            the loss has no single element or no graph, or is no number; memory runs out.

    Example:
        >>> backward("configs/mlp.yaml").states
        {'ok': 4}
    """
    opened = _in_memory(_unwrapped(source), seed or 0)
    live = opened.live
    if live is None:
        raise no_architecture(opened.checkpoint, "open(SPEC, weights=..)", opened.source)
    from paraminspect.architecture.loss import read_loss
    from paraminspect.live.grad.backward import backward_report
    from paraminspect.live.grad.feed import Feed, Wanted
    from paraminspect.live.ranks.sharded import find_peers

    wanted = Wanted(loss=read_loss(loss) if isinstance(loss, str) else None)
    feed = Feed(wanted, live.plan, seed or 0, live.feeding().inputs if inputs is None else None)
    taken = feed.loss() if loss is None or isinstance(loss, str) else loss
    if inputs is None:
        inputs, _ = feed.batch()
        live.expect_pass(inputs.positional)
    return backward_report(
        live.model, inputs, taken, uses=uses, seed=seed, reasons=reasons, plan=live.plan, peers=find_peers(source)
    )


@one_run
def report(
    source: Source,
    after: Source | None = None,
    *,
    values: bool = True,
    gradients: bool = False,
    everything: bool = False,
    deep: bool = False,
) -> Report:
    """One page of all there is to say of a source, to look at and hand around.

    Args:
        source: Any.
        after: A later one: what has changed is shown too.
        values: Whether they are read, for statistics and changes; False takes headers alone.
        gradients: Whether a spec, factory or module is run backward once, on the inputs of the spec.
        everything: Buffers, optimizer state and other tensors too.
        deep: Whether values and checksums are read for findings, as `check` does with `deep`.

    Returns:
        The page, with `html` and `write(path)`; a notebook shows it.

    Raises:
        ParamInspectError: A source cannot be opened, or cannot run. Tensors whose values cannot be read are named in
            its notes.

    Example:
        >>> report("base.pt", "tuned.safetensors").write("changes.html")
    """
    from paraminspect.library.report import report_models

    opened = [_in_memory(source, 0) if gradients else _hold(source), *([] if after is None else [_hold(after)])]
    return report_models(opened, values=values, gradients=gradients, everything=everything, deep=deep)


@one_run
def cost(
    source: Source,
    inputs: Tensor | Sequence[object] | Mapping[str, object] | None = None,
    *,
    optimizer: Optimizer = "adamw",
    dtype: str | None = None,
    train: bool | None = None,
    attention: Attention = "auto",
    batch: int | None = None,
    context: int | None = None,
) -> Cost:
    """Count what a model takes: FLOPs of its modules, bytes kept for the backward pass, memory of training and inference.

    A copy of the model without values runs once forward and backward: models of any size take seconds and no memory. A
    module is left as it was.

    Args:
        source: A module, a spec or a factory; or a folder of weights with a `config.json`, of which the weights are
            counted, and the keys and values that a decoder keeps.
        inputs: Of the call: one tensor, on any device, a sequence of positional arguments, or a mapping of named ones;
            None takes those of the spec.
        optimizer: Whose state is counted.
        dtype: Of floating-point parameters and inputs ("bfloat16"); None leaves them as they are.
        train: Mode of the modules; None leaves it.
        attention: Kernel of `scaled_dot_product_attention`: "auto" as on a CPU; "math" keeps the scores; "fused" keeps
            none, with dropout too.
        batch: Of a folder, sequences whose keys and values are kept.
        context: Of a folder, tokens of each; None takes what its config says.

    Raises:
        ParamInspectError: The source cannot be opened, has no input, or fails on it; a checkpoint has no config.

    Example:
        >>> cost("configs/mlp.yaml").totals.flops_forward
        60
    """
    from paraminspect.library.cost import tell_cost
    from paraminspect.live.cost.cost_plan import CostPlan

    asked = source.asked if isinstance(source, Model) else Asked()
    opened = _hold(source, asked._replace(want="pass"))
    fed = None
    if inputs is not None:
        from paraminspect.live.build.forward import as_inputs

        fed = as_inputs(inputs)
    plan = CostPlan(optimizer, dtype, train, attention, batch, context)

    def in_memory() -> Opened:
        return open_model(opened.source, asked._replace(want="memory"))

    return tell_cost(opened, plan, fed, in_memory if opened.kind in ("spec", "factory") else None)


def _in_memory(source: Source, seed: int) -> Opened:
    """A model that can run."""
    if isinstance(source, Model):
        opened = source.opened
        if opened.kind in ("module", "checkpoint"):
            return opened
        return open_model(opened.source, source.asked._replace(want="memory", seed=seed))
    return _hold(source, Asked(want="memory", seed=seed))


def _unwrapped(source: Source) -> Source:
    """What DistributedDataParallel wraps.

    Raises:
        SourceError: Parameters that are not to be seen as they are: of FSDP1, of a pipeline.
    """
    if isinstance(source, (str, os.PathLike, Model, Checkpoint)) or "torch" not in sys.modules:
        return source
    from paraminspect.live.ranks.sharded import refuse_hidden, without_replicas

    refuse_hidden(source)
    return without_replicas(source)


def _hold(source: Source, asked: Asked = _VALUES) -> Opened:
    if isinstance(source, Model):
        source.opened.count_files()
        return source.opened
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    return open_model(source, asked)


def _pairs(values: Mapping[str, object] | None) -> tuple[str, ...]:
    return tuple(f"{name}={_word(value)}" for name, value in (values or {}).items())


def _word(value: object) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
