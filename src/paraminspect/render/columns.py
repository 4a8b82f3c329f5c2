"""What the commands print: the columns of tsv, which are the keys of JSON, and what each of them means.

This is an interface: it is only added to. Help, `--columns`, completion, the manual and README.md read it. What a
column means is said in Markdown.
"""

from __future__ import annotations

from typing import Final

from paraminspect.render.rows import Column

TENSORS: Final = (
    Column("name", "name", about="dotted name, as `named_parameters()` or the state dict has it"),
    Column("shape", "shape", about="`[3,4]`, row-major, `[]` for a scalar"),
    Column(
        "dtype",
        about="torch's name (`bfloat16`); of a GGUF block type its own (`q4_k`), of the packed types of ONNX `int4`, "
        "`float4_e2m1fn`",
    ),
    Column("numel", "int", about="number of elements"),
    Column("nbytes", "bytes", about="size as stored, in bytes"),
    Column("kind", dull="tensor", about="`parameter`, `buffer`, or `tensor` where the file does not say"),
    Column("trainable", "bool", about="`true` or `false` where the file says so"),
    Column(
        "tied_to",
        "name",
        ink="tie",
        about="the name under which this tensor is counted; only `--aliases` shows such rows",
    ),
    Column("logical_shape", "shape", spare=2, about="of the tensor that it stands for, with others; empty: as stored"),
    Column("logical_numel", "int", spare=3, about="number of the elements of that; empty: as stored"),
    Column("encoding", spare=1, about="how that is packed, such as `gptq 4-bit`; empty: as stored"),
)
"""Of `list`."""

_SUMS: Final = (
    Column("tensors", "int", about="how many tensors, a tied one counted once"),
    Column("numel", "int", share=True, about="number of their elements, as stored"),
    Column("nbytes", "bytes", about="their size as stored, in bytes"),
    Column("dtypes", "names", about="their types, between commas; a JSON list"),
)
MODULES: Final = (
    Column("name", "name", about="path of the module"),
    *_SUMS,
    Column(
        "logical_numel",
        "int",
        spare=1,
        about="number of the elements that they stand for, where some are quantised; empty: as stored",
    ),
)
"""Of `list --depth`."""

TOTALS: Final = (
    _SUMS[0],
    Column(
        "parameters", "int", about="number of their elements; of quantised ones, of the tensors that they stand for"
    ),
    _SUMS[2],
    Column("tied", "int", about="how many names are second names of a tensor"),
    _SUMS[3],
    Column("stored", "int", about="number of the elements that are stored for them, scales and the like too"),
    Column("encodings", "names", (), about="how quantised ones are packed, between commas; a JSON list"),
)
"""Of `list --total`."""

GROUPS: Final = (
    Column("kind", about="what ties the names, as above"),
    Column("name", "name", about="the canonical name"),
    Column(
        "aliases",
        "names",
        ink="tie",
        about="the other names, between commas; a JSON list; in another source `SOURCE:NAME`",
    ),
    Column("shape", "shape", about="of the canonical tensor"),
    Column("dtype", about="of the canonical tensor"),
    Column("nbytes", "bytes", about="its size, in bytes"),
    Column("saved", "bytes", about="bytes that separate copies would take beyond those that are stored"),
)
"""Of `shared`."""

STEPS: Final = (
    Column("name", "name", about="of the parameter; a tied one under its first name"),
    Column("shape", "shape", about="of the parameter"),
    Column("rule", "int", about="number of the rule that won, from 1"),
    Column("initializer", about="what it calls; `keep` leaves the values as they are"),
    Column("arguments", "pairs", about="all its arguments, defaults included, and what follows from the fans"),
    Column("fan_in", "int", about="where it has a meaning: inputs of one output, as torch counts them"),
    Column("fan_out", "int", about="outputs of one input"),
    Column("mean", "float", about="of the values that were drawn; of `--dry-run`, nothing"),
    Column("std", "float", about="their standard deviation"),
    Column("min", "float", about="the least of them"),
    Column("max", "float", about="the greatest"),
    Column("note", about="what is to be known besides"),
)
"""Of `init`, as `InitStep` has them."""

GRADIENTS: Final = (
    Column("name", "name", about="of the parameter; a tied one under its first name"),
    Column("shape", "shape", about="of the parameter"),
    Column(
        "state",
        ink="word",
        about="`ok`; `zero`: every element is; `none`: no gradient came, though one was wanted; `frozen`; `nan`; `inf`",
    ),
    Column("norm", "float", about="Euclidean norm"),
    Column("max_abs", "float", about="the largest absolute value"),
    Column("zero_fraction", "float", about="share of elements that are exactly zero"),
    Column("norm_ratio", "float", about="norm over the norm of the parameter"),
    Column(
        "uses",
        "items",
        about="how many operations read the parameter; in JSON a list of `module`, `op`, `norm`, `cosine`",
    ),
    Column(
        "reason",
        dull="",
        about="why the state is not `ok`, where it is proved: never called, detached, a weight of zeros, a dead ReLU, ..",
    ),
)
"""Of `grad`."""

SPREAD: Final = (
    Column("norm_std", "float", about="deviation of the norm over the batches"),
    Column("untouched", "int", about="rows that none of them gave a gradient"),
)
"""Further ones of `grad --steps`."""

USES: Final = (
    Column("name", "name", about="of the parameter"),
    Column("module", "name", about="the module that used it"),
    Column("op", about="the operation"),
    Column("norm", "float", about="of this use's part of the gradient"),
    Column("cosine", "float", about="of the angle between the part and the whole"),
    Column("gradient_norm", "float", about="of the whole"),
)
"""Of `grad --uses`, but in JSON."""

GRADIENT_CHANGES: Final = (
    Column("name", "name", about="of the parameter"),
    Column(
        "change", about="`shape`, `values`; `added` or `removed`: only this run has the gradient, or only the other"
    ),
    Column("before", about="shape or norm in the file"),
    Column("after", about="the same of this run"),
    Column("max_abs", "float", about="the largest absolute difference"),
    Column("relative", "float", about="norm of the difference over the norm before"),
    Column("cosine", "float", about="of the angle between both"),
)
"""Of `grad --compare`."""

NUMBERS: Final = (
    Column("mean", "float", about="of the finite values; of complex numbers, of their moduli"),
    Column("std", "float", about="standard deviation, with Bessel's correction; nothing of fewer than two values"),
    Column("min", "float", spare=1, about="the least"),
    Column("max", "float", spare=1, about="the greatest"),
    Column("norm", "float", spare=3, about="Euclidean norm"),
    Column("zeros", "int", dull=0, spare=2, about="how many are zero"),
    Column("nan", "int", dull=0, ink="bad", about="how many are not a number"),
    Column("inf", "int", dull=0, ink="bad", about="how many are infinite"),
    Column(
        "histogram",
        "histogram",
        about="counts in 32 bins of one width from `min` to `max`, between commas; a JSON list",
    ),
    Column("zero_fraction", "float", dull=0, spare=4, about="share of the zeros"),
    Column("q01", "float", spare=4, about="1 % of the values are at most this"),
    Column("q25", "float", spare=4, about="a quarter are"),
    Column("q50", "float", spare=4, about="half are: the median"),
    Column("q75", "float", spare=4, about="three quarters are"),
    Column("q99", "float", spare=4, about="99 % are"),
)
STATISTICS: Final = (
    Column("name", "name", about="of the tensor"),
    Column("shape", "shape", spare=2, about="of the tensor"),
    Column("dtype", spare=2, about="as of `list`"),
    *NUMBERS,
)
"""Of `stats`."""

MODULE_STATISTICS: Final = (
    Column("name", "name", about="path of the module"),
    Column("tensors", "int", spare=2, about="how many tensors are taken together"),
    Column("numel", "int", spare=2, about="number of their elements"),
    *NUMBERS,
)
"""Of `stats --depth`."""

CHANGES: Final = (
    Column("name", "name", about="of the tensor, behind `--map`"),
    Column(
        "change",
        words=("added", "removed", "shape", "dtype", "tie", "values"),
        ink="word",
        about="what is different; a tensor may have several rows",
    ),
    Column("before", about="type and shape, the norm of the values, or the tensor it is tied to"),
    Column("after", about="the same"),
    Column(
        "max_abs", "float", spare=1, about="the largest absolute difference; `nan` where a value became NaN, or was"
    ),
    Column("relative", "float", about="norm of the difference over the norm before; `nan` as `max_abs`"),
    Column("cosine", "float", spare=2, about="of the angle between both; `nan` as `max_abs`"),
    Column("nan_changed", "int", dull=0, spare=3, ink="bad", about="values that are NaN on one side only"),
)
"""Of `diff`."""

FINDINGS: Final = (
    Column("source", "name", about="what was checked"),
    Column("severity", ink="word", about="`info`, `warning`, `error` or `danger`, as above"),
    Column("code", about="kind of the finding; it stays the same"),
    Column("name", "name", about="what it is about: a tensor, a file, a member of an archive"),
    Column("message", about="what was found"),
    Column("hint", about="what to do next"),
)
"""Of `check`."""

WRITTEN: Final = (
    Column("name", "name", about="of the tensor in the new file"),
    Column("shape", "shape", about="of the tensor"),
    Column("dtype", about="in the new file"),
    Column("nbytes", "bytes", spare=1, about="its size there, in bytes"),
    Column("aliases", "names", (), ink="tie", about="its other names there"),
    Column("from_name", "name", about="its name in the source, where that is another"),
    Column("from_dtype", about="its type in the source, where that is another"),
)
"""Of `convert --dry-run`."""

SOURCES: Final = (
    Column("source", "name", about="what was named"),
    Column("format", about="as `list` calls it"),
    Column("version", about="of the format, where it has one"),
    Column("files", "names", about="paths of the files that were read, between commas; a JSON list"),
    Column("nbytes", "bytes", about="size of all of them, in bytes"),
    Column("tensors", "int", about="how many parameters there are, a tied one counted once"),
    Column("parameters", "int", about="number of their elements, of quantised ones of what they stand for"),
    Column("logical_parameters", "int", about="the same, where some are quantised and the file tells"),
    Column("tied", "int", about="how many names are second names of a tensor"),
    Column("dtypes", "names", about="their types, the most bytes first, between commas; a JSON list"),
    Column(
        "training",
        "object",
        about="of a training checkpoint `framework`, `epoch`, `step`, `learning_rate`; in JSON also `learning_rates` of "
        "all groups, `arguments` by the key under which they stand, and in `state` what else is plain data",
    ),
    Column("metadata", "object", about="what the file says of itself, in its own words"),
    Column("safety", about="whether loading it runs code: `no code: ..`, `pickle, nothing unknown`, or what is found"),
    Column(
        "model",
        "object",
        about="the architecture as `config.json`, the keys of GGUF, ONNX or a spec tell it: `architecture`, "
        "`hidden_size`, `layers`, `context_length`, `vocabulary`, `quantization`, ..",
    ),
    Column(
        "others",
        "object",
        about="what is there besides parameters: `buffer`, `part`, `copy`, `optimizer`, `attribute`, `state`",
    ),
    Column(
        "modules",
        "items",
        about="how many modules two levels have, below those that hold all there is; in JSON their `name`, `type`, "
        "`parameters` and `share`",
    ),
    Column("severity", ink="word", about="how bad that is which `safety` tells: `warning`, `error`, `danger`"),
    Column("stored", "int", about="elements that are stored for them, with scales and the like"),
    Column("encodings", "names", (), about="how quantised ones are packed, between commas; a JSON list"),
)
"""Of `info`."""

COSTS: Final = (
    Column("name", "name", about="path of the module; the outermost has none"),
    Column("type", "class", spare=3, about="its class; on a terminal without the module that defines it"),
    Column("parameters", "int", about="elements of its parameters and of those inside it, each counted once"),
    Column("output_shape", "shape", spare=1, about="of the first tensor that it returns; empty: it does not run"),
    Column("flops_forward", "int", about="floating-point operations forward; a multiplication and an addition are two"),
    Column("flops_backward", "int", spare=2, about="the same on the way back"),
    Column("saved_bytes", "bytes", about="kept for the way back, parameters and buffers apart, each storage once"),
)
"""Of `cost`."""

COST_TOTALS: Final = (
    Column("parameters", "int", about="elements, a tied tensor counted once"),
    Column("parameter_bytes", "bytes", about="their size"),
    Column("buffer_bytes", "bytes", about="size of the buffers"),
    Column("gradient_bytes", "bytes", about="a gradient for each parameter that trains"),
    Column("optimizer", spare=1, about="whose state is counted"),
    Column("optimizer_bytes", "bytes", about="its state for these"),
    Column("saved_bytes", "bytes", about="kept for the way back, as above"),
    Column("training_bytes", "bytes", about="the sum of these"),
    Column("kv_cache_bytes", "bytes", about="keys and values of a decoder, as its `config.json` tells"),
    Column("inference_bytes", "bytes", about="parameters, buffers, and keys and values"),
    Column("flops_forward", "int", spare=2, about="as above, of the whole model"),
    Column("flops_backward", "int", spare=2, about="the same"),
)
"""Of `cost --total`, as `CostTotals` has them."""

INITIALIZERS: Final = (
    Column("name", "name", about="of the initializer, as rules have it"),
    Column("arguments", "names", about="with defaults, where they have any"),
    Column("description", about="what it does"),
)
"""Of `rules`."""

RULES: Final = (
    Column("set", about="name of the rule set, where it has one"),
    Column("number", "int", about="place in the set, from 1"),
    Column("selector", about="which parameters it matches"),
    Column("initializer", "name", about="what is done with them"),
    Column("arguments", "names", about="as they were written"),
    Column("line", "int", about="of the config"),
)
"""Of `rules SOURCE`."""
