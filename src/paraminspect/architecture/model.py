"""A spec as it was written: named tuples, variables known, blocks and repeats not yet expanded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from paraminspect.architecture.loss import LossText
from paraminspect.architecture.nodes import Mark, Node
from paraminspect.tuples import NamedTuple

Value = int | float | bool | str | None | tuple["Value", ...]
"""An argument of a layer, evaluated; a list becomes a tuple."""

Pick = int | str
"""One step into an output: a place in a tuple, or a key of a mapping."""

Distribution = Literal["uniform", "normal"]


class Name(NamedTuple):
    """A name that was written in the spec: of a layer, a sibling, a block."""

    text: str
    mark: Mark


class Call(NamedTuple):
    """A type with its arguments: a class of torch.nn, a built-in or a block.

    Attributes:
        type: Name of the type; `$name` where a variable says it.
        args: Positional arguments, not yet evaluated.
        kwargs: Named arguments, not yet evaluated, in order.
    """

    type: Name
    args: tuple[Node, ...] = ()
    kwargs: tuple[tuple[Name, Node], ...] = ()


class Sequential(NamedTuple):
    """Layers one after the other.

    Attributes:
        layers: One or more.
    """

    layers: tuple[Layer, ...]


class Residual(NamedTuple):
    """`body(x) + shortcut(x)`.

    Attributes:
        body: One or more layers.
        shortcut: One or more layers; empty where the input itself is added.
    """

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


class Parallel(NamedTuple):
    """Branches that are fed the same input.

    Attributes:
        branches: (name, layer), one or more; a branch that is a list of layers is a `Sequential`.
        is_named: Whether the output is a mapping by these names, not a tuple.
    """

    branches: tuple[tuple[Name, Layer], ...]
    is_named: bool


class Experts(NamedTuple):
    """A mixture of experts.

    Attributes:
        gate: Gives a score for each expert, in its last dimension.
        expert: What each of them is, `$i` its number.
        number: Of experts, not yet evaluated.
        top: How many of them answer for one position, not yet evaluated.
        normalize: Whether their weights sum to 1, not yet evaluated; None means that they do.
    """

    gate: Layer
    expert: Layer
    number: Node
    top: Node
    normalize: Node | None = None


class Use(NamedTuple):
    """The one module of a `shared` entry."""

    name: Name


class Source(NamedTuple):
    """Where an input, or an output, comes from: `encoder.1`.

    Attributes:
        name: Of a layer or an input; a negative number counts back from the layer that it is written in.
        pick: Places in a tuple and keys of a mapping, outermost first; empty where the output is taken whole.
    """

    name: Name
    pick: tuple[Pick, ...] = ()


class Output(NamedTuple):
    """One of several outputs.

    Attributes:
        name: Its key in a mapping; None in a tuple.
    """

    name: str | None
    source: Source


class Layer(NamedTuple):
    """One entry of a list of layers.

    Attributes:
        mark: Where the entry begins.
        name: Of the child module; None where its place in the list names it.
        repeat: Number of copies, not yet evaluated; None where there is no `repeat`.
        inputs: Earlier siblings, or `input`; empty where the previous output is the input.
        take: Indices into a (nested) tuple output, outermost first; empty where the output is taken whole.
        parallel: Whether the copies are fed the same input, and not each the output of the one before.
        condition: The layer stands only where this is true, or an integer but 0; not yet evaluated.
        parametrize: How tensors of the layer are computed from others: (tensor, a call of `PARAMETRIZATIONS`).
    """

    what: Call | Sequential | Residual | Parallel | Experts | Use
    mark: Mark
    name: Name | None = None
    repeat: Node | None = None
    inputs: tuple[Source, ...] = ()
    take: tuple[int, ...] = ()
    parallel: bool = False
    condition: Node | None = None
    parametrize: tuple[tuple[Name, Call], ...] = ()


class Parameter(NamedTuple):
    """An argument that a block declares.

    Attributes:
        name: What `$name` means inside the block.
        default: Not yet evaluated; None where the argument must be given.
    """

    name: Name
    default: Node | None = None


class Block(NamedTuple):
    """A named piece of architecture.

    Attributes:
        parameters: In the order of positional arguments.
        layers: One or more.
        inputs: What they are called in `from`, in order; empty where there is one, `input`.
        outputs: Several; empty where it is the last layer's.
    """

    name: Name
    parameters: tuple[Parameter, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[Name, ...] = ()
    outputs: tuple[Output, ...] = ()


class TensorInput(NamedTuple):
    """How one input (or target) tensor is made.

    Attributes:
        name: Of the input; "input" where there is only one, "target" for a loss's target.
        mark: Where it is described.
        shape: (d0, ..., dn); None where a file gives it.
        dtype: torch's name ("float32", "int64"); None where a file gives it.
        dist: Distribution of its elements: uniform over [low, high) (over the integers low..high-1 for an integer
            dtype), or standard normal. Ignored where `fill` or `file` is given.
        low: Lower end of the uniform distribution.
        high: Its upper end, excluded.
        fill: The value of all elements; None where they are drawn or read.
        seed: Of its own generator; None where the run's seed is used.
        file: A .npy, .safetensors or .pt file that holds it, relative to the spec and inside its folder; else None.
    """

    name: str
    mark: Mark
    shape: tuple[int, ...] | None = None
    dtype: str | None = "float32"
    dist: Distribution = "uniform"
    low: int | float = 0
    high: int | float = 1
    fill: int | float | bool | None = None
    seed: int | None = None
    file: str | None = None


class Loss(NamedTuple):
    """What the backward pass starts from.

    Attributes:
        kind: A word of `loss.LOSSES`; "" for a part of the output itself.
        target: How the target is made, where one is compared with; None draws one that suits the word.
        mark: Where it is written; None where it is not.
        part: Names behind `output`, none for the whole of it.
    """

    kind: str = "sum"
    target: TensorInput | None = None
    mark: Mark | None = None
    part: tuple[str, ...] = ()

    @property
    def text(self) -> LossText:
        """As it is written."""
        return LossText(self.kind, self.part)


class RuleText(NamedTuple):
    """One initialisation rule as it is written, `selector = action`.

    Attributes:
        text: For the parser of rules.
        mark: Of its first character; of the whole scalar if it is not verbatim.
        verbatim: Whether each character stands in the file as it is, so that a place in the text is one in the file.
    """

    text: str
    mark: Mark
    verbatim: bool = True


class RuleSet(NamedTuple):
    """Rules that are chosen together.

    Attributes:
        name: What `--rule NAME` calls it; None for the unnamed list, which is applied as it stands.
        rules: In order; the last one that matches wins.
    """

    name: str | None
    rules: tuple[RuleText, ...]


class Tie(NamedTuple):
    """One tensor under two names.

    Attributes:
        alias: The name that is given up its own tensor.
        source: The name whose tensor is kept; never itself an alias.
        mark: Where the tie is written.
    """

    alias: str
    source: str
    mark: Mark


class Spec(NamedTuple):
    """A whole spec.

    Attributes:
        source: What the user typed, for error messages.
        vars: Values by name, overrides applied.
        blocks: By name.
        shared: Layers by the name that `use` gives.
        shared_marks: Where each shared layer is named.
        ties: Chains resolved: every `source` is a tensor of its own.
        inputs: In order; empty where the spec describes none.
        loss: What `grad` takes by default.
        rule_sets: One unnamed set, or named ones; empty where there is no `init`.
        aliases: Where a YAML alias (`*x`) stands for a layer that has arguments: a copy, never a shared module.
        outputs: Several; empty where the output is the last layer's.
    """

    layers: tuple[Layer, ...]
    source: str = ""
    vars: Mapping[str, Value] = {}
    blocks: Mapping[str, Block] = {}
    shared: Mapping[str, Layer] = {}
    shared_marks: Mapping[str, Mark] = {}
    ties: tuple[Tie, ...] = ()
    inputs: tuple[TensorInput, ...] = ()
    loss: Loss = Loss()
    rule_sets: tuple[RuleSet, ...] = ()
    aliases: tuple[Mark, ...] = ()
    outputs: tuple[Output, ...] = ()
