"""The functions of tensors that papers write between layers, as built-in types without parameters."""

from __future__ import annotations

from typing import Final

from paraminspect.architecture.declared import Argument, Builtin

_KEEPDIM: Final = Argument("keepdim", "bool", "the dimensions stay, of size 1", False)
_LAST: Final = Argument("dim", "int", "dimension; -1 is the last", -1)
_OVER: Final = Argument(
    "dim", "ints", "one dimension or several; left out: all, and the output is a scalar", optional=True
)

FUNCTIONS: Final[tuple[Builtin, ...]] = (
    # Shapes
    Builtin(
        "Reshape",
        "x.reshape(shape): the elements in the same order",
        (Argument("shape", "ints", "new sizes; 0 is the size that x has there, one -1 is what remains", minimum=-1),),
        torch=("view", "reshape"),
    ),
    Builtin("Permute", "x.permute(dims)", (Argument("dims", "ints", "all dimensions in their new order"),)),
    Builtin("Squeeze", "x without the dimension dim, which has size 1", (Argument("dim", "int", "dimension"),)),
    Builtin("Unsqueeze", "x with a new dimension of size 1", (Argument("dim", "int", "its place in the output"),)),
    Builtin(
        "Expand",
        "x.expand(sizes): dimensions of size 1 repeated, without a copy",
        (Argument("sizes", "ints", "of all dimensions; -1 leaves one as it is", minimum=-1),),
    ),
    Builtin("Flip", "torch.flip(x, dims): in reverse order", (Argument("dims", "ints", "dimensions"),)),
    Builtin(
        "Roll",
        "torch.roll(x, shifts, dims): what falls off at the end comes in at the beginning",
        (Argument("shifts", "ints", "by how many places"), Argument("dims", "ints", "along which dimensions")),
    ),
    # Parts and wholes
    Builtin(
        "Slice",
        "x[.., start:end:step, ..] along dim",
        (
            Argument("dim", "int", "dimension"),
            Argument("start", "int", "the first that is taken; negative ones count from the end", 0),
            Argument("end", "int", "the first that is not; left out: all that remain", optional=True),
            Argument("step", "int", "every how many", 1, minimum=1),
        ),
    ),
    Builtin(
        "Chunk",
        "a tuple: torch.chunk(x, chunks, dim), equal parts",
        (Argument("chunks", "int", "number of parts", minimum=1), _LAST),
        gives="several",
    ),
    Builtin(
        "Split",
        "a tuple: torch.split(x, sizes, dim)",
        (Argument("sizes", "ints", "of the parts; one number: of each part but the last", minimum=0), _LAST),
        gives="several",
    ),
    Builtin("Stack", "torch.stack([a, b, ...], dim)", (Argument("dim", "int", "of the new dimension", 0),), ()),
    Builtin(
        "Gather",
        "torch.gather(a, dim, b): elements of a at the places b, int64, along dim",
        (Argument("dim", "int", "dimension"),),
        (2,),
    ),
    Builtin(
        "IndexSelect",
        "torch.index_select(a, dim, b): slices of a in the order of b, int64 [n]",
        (Argument("dim", "int", "dimension"),),
        (2,),
    ),
    # Sums and extremes
    Builtin("Mean", "x.mean(dim, keepdim)", (_OVER, _KEEPDIM)),
    Builtin("Sum", "x.sum(dim, keepdim)", (_OVER, _KEEPDIM)),
    Builtin(
        "Max", "torch.amax(x, dim, keepdim); equal elements share the gradient", (_OVER, _KEEPDIM), torch=("amax",)
    ),
    Builtin(
        "Min", "torch.amin(x, dim, keepdim); equal elements share the gradient", (_OVER, _KEEPDIM), torch=("amin",)
    ),
    Builtin(
        "Normalize",
        "x / max(norm of x along dim, eps): vectors of length 1",
        (
            _LAST,
            Argument("p", "float", "of the norm", 2.0, minimum=0),
            Argument("eps", "float", "least norm that is divided by", 1e-12, minimum=0),
        ),
    ),
    # Elementwise
    Builtin(
        "Scale",
        "factor * x + shift, constants",
        (Argument("factor", "float", "what x is multiplied by"), Argument("shift", "float", "what is added", 0.0)),
    ),
    Builtin(
        "Power",
        "x ** exponent",
        (Argument("exponent", "float", "2 squares, 0.5 takes the root"),),
        torch=("pow", "square", "sqrt"),
    ),
    Builtin("Exp", "e ** x"),
    Builtin("Log", "the natural logarithm of x"),
    Builtin("Abs", "the absolute value of x"),
    Builtin("Sin", "the sine of x"),
    Builtin("Cos", "the cosine of x"),
    Builtin("Subtract", "a - b, broadcast as torch does", (), (2,), torch=("sub",)),
    Builtin("Divide", "a / b, broadcast as torch does", (), (2,), torch=("div", "true_divide")),
    Builtin("Maximum", "the greater of a and b, element by element", (), (2,)),
    Builtin("Minimum", "the lesser of a and b, element by element", (), (2,)),
    # Products
    Builtin(
        "MatMul", "a @ b, broadcast over the dimensions before the last two", (), (2,), torch=("matmul", "bmm", "mm")
    ),
    Builtin(
        "Einsum",
        "torch.einsum(equation, a, b, ...)",
        (Argument("equation", "text", "such as 'bid,bjd->bij', one term an input"),),
        (1, 2, 3, 4),
    ),
    # Masks and choices
    Builtin(
        "CausalMask",
        "bool [L, L], L the size of x in dimension dim: true where a position (row) must not see a later one (column), "
        "as MaskFill and the masks of torch's attention take it",
        (Argument("dim", "int", "dimension of x that is the sequence", 1),),
        torch=("triu", "tril"),
    ),
    Builtin(
        "Equal",
        "x == value, bool: true at the padding of a sequence, for instance",
        (Argument("value", "float", "what is looked for"),),
        torch=("eq",),
    ),
    Builtin(
        "MaskFill",
        "a, with value where b is true, broadcast as torch does",
        (Argument("value", "float", "what stands there", float("-inf")),),
        (2,),
        torch=("masked_fill",),
    ),
    # Pictures of one size
    Builtin(
        "Interpolate",
        "a in the size of b: functional.interpolate(a, b.shape[2:], mode)",
        (Argument("mode", "text", "nearest, linear, bilinear, bicubic, trilinear or area", "nearest"),),
        (2,),
    ),
    Builtin("Crop", "the middle of a, in the size of b from dimension 2 on", (), (2,)),
    # Chance and gradients
    Builtin(
        "Noise",
        "standard normal numbers of the shape and dtype of x, which gets no gradient: drawn anew at each call, in "
        "evaluation too, from a generator that the run has seeded",
        torch=("randn_like", "randn", "normal"),
    ),
    Builtin("Detach", "x, through which no gradient flows", torch=("stop_gradient",)),
)
"""In the order in which they are documented."""
