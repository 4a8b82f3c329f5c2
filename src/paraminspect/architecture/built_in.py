"""The layer types that torch.nn does not have, as a table: what they take, and what they compute.

`live/` implements them after this table; the parser checks calls against it and the JSON Schema is made from it.
None of them has parameters but `Param`.
"""

from __future__ import annotations

from typing import Final

from paraminspect.architecture.declared import Argument, Builtin
from paraminspect.architecture.functions import FUNCTIONS

PARAM_OPS = {
    "add": "x + p, broadcast as torch does; p is zero at first",
    "mul": "x * p, broadcast as torch does; p is one at first",
    "matmul": "x @ p; p is uniform at first, within 1/sqrt(shape[-2]) of zero (shape[0] for a vector)",
    "prepend": "p, expanded to the batch size of x in dimension 0, before x in dimension 1; p has as many dimensions "
    "as x and size 1 in dimension 0; it is normal(0, 0.02) at first",
    "append": "as prepend, after x",
}
"""What a bare parameter p does with its input x, and how p is initialised where no rule says otherwise (float32)."""

CONTAINERS = {
    "Sequential": "the layers of a list one after the other",
    "Residual": "body(x) + x of a list of layers, or body(x) + shortcut(x) of {body, shortcut}",
    "Parallel": "branches of the same input: [layer, [layer, ..]] gives a tuple of their outputs, {NAME: layer, ..} a mapping",
    "MixtureOfExperts": "a mixture of experts: w_1 expert_1(x) + ... + w_count expert_count(x), where w is softmax(gate(x)) over the last "
    "dimension, of which the `top` largest are kept (divided by their sum) and the others are 0",
}
"""Types that hold layers; the modules of a Residual are its children `body` and `shortcut`, of a MixtureOfExperts `gate` and
`experts`."""

_LAYERS = (
    Builtin(
        "Param",
        "a bare learnable tensor p, registered in its container under the layer's own name: add x + p, mul x * p, "
        "matmul x @ p, prepend or append p (one for the whole batch) to x in dimension 1",
        (
            Argument("shape", "shape", "of the tensor; [] is a scalar"),
            Argument("op", "op", "what it does with its input", default="add"),
        ),
    ),
    Builtin("Add", "a + b + ..., broadcast as torch does, from left to right", inputs=()),
    Builtin("Multiply", "a * b * ..., broadcast as torch does, from left to right", inputs=()),
    Builtin(
        "Concat",
        "torch.cat([a, b, ...], dim)",
        (Argument("dim", "int", "dimension along which the inputs follow each other"),),
        inputs=(),
        says="dim",
    ),
    Builtin(
        "Attention",
        "softmax(q k^T / sqrt(head size)) v, head by head (scaled_dot_product_attention), no parameters. Three inputs "
        "q [B, L, heads * d], k and v [B, S, kv_heads * d], or one input [B, L, (heads + 2 * kv_heads) * d] that holds "
        "them side by side. Head h is columns h * d to (h + 1) * d; with fewer kv_heads, each serves heads / kv_heads "
        "neighbouring heads. Output [B, L, heads * d]",
        (
            Argument("heads", "int", "number of query heads", minimum=1),
            Argument("kv_heads", "int", "number of key and value heads; 0 means as many as heads", 0, minimum=0),
            Argument("causal", "bool", "each position sees only itself and earlier ones", False),
            Argument("dropout", "float", "of the attention weights, while training", 0.0, minimum=0),
        ),
        inputs=(1, 3),
        says="heads kv_heads? causal? dropout?",
    ),
    Builtin(
        "Rotary",
        "rotary position embedding of x [B, L, heads * d], no parameters: in each head, elements j and j + d/2 "
        "(j < d/2) are turned by the angle position * base ** (-2j / d), positions 0 to L - 1 "
        "(the half-split layout of Llama checkpoints in transformers)",
        (
            Argument("heads", "int", "number of heads in the last dimension", minimum=1),
            Argument("base", "float", "the angles' base", 10000.0, minimum=1),
        ),
        says="heads base",
    ),
    Builtin(
        "Positions",
        "torch.arange(x.shape[dim]), int64, shape [L]: the positions of a sequence, for an Embedding",
        (Argument("dim", "int", "dimension of x that is the sequence", 1),),
        says="dim",
    ),
    Builtin(
        "Transpose",
        "x.transpose(dim0, dim1)",
        (Argument("dim0", "int", "one dimension"), Argument("dim1", "int", "the other one")),
        says="dim0 dim1",
    ),
    Builtin(
        "Select",
        "x.select(dim, index): one slice, without its dimension",
        (Argument("dim", "int", "dimension"), Argument("index", "int", "which slice; -1 is the last")),
        says="dim index",
    ),
)

BUILTINS: Final = {builtin.name: builtin for builtin in (*_LAYERS, *FUNCTIONS)}
"""By name."""

PARAMETRIZATIONS: Final = {
    "weight_norm": (
        "magnitude * direction (torch.nn.utils.parametrizations.weight_norm)",
        (Argument("dim", "int", "along which each slice has a magnitude of its own; -1: one for the whole", 0),),
    ),
    "spectral_norm": (
        "divided by its largest singular value, found by power iteration (spectral_norm)",
        (
            Argument("n_power_iterations", "int", "steps in each forward pass while training", 1, minimum=1),
            Argument("eps", "float", "least norm that is divided by", 1e-12, minimum=0),
        ),
    ),
    "orthogonal": ("an orthogonal matrix (orthogonal)", ()),
}
"""What `parametrize` may make of a layer's tensor: (what it is, arguments); torch's own."""

SPELLINGS: Final = {
    **{name.casefold(): name for name in (*CONTAINERS, *BUILTINS)},
    **{word: builtin.name for builtin in BUILTINS.values() for word in builtin.torch},
    "cat": "Concat", "mul": "Multiply", "arange": "Positions", "scaled_dot_product_attention": "Attention",
}  # fmt: skip
"""Types that torch.nn does not have, by their name in lower case and by what torch calls them."""
