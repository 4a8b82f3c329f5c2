"""The layers of torch.nn as a table: what each takes, prints and holds. `layer_rows` says how a row is read.

`python -m scripts.check_layers` holds it against the torch that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from paraminspect.architecture.layer_rows import HELD, LayerRow, Values, doubt, spatial
from paraminspect.architecture.tensorless_layers import TENSORLESS


def _convolve(a: Values) -> None:
    doubt(bool(a["in_channels"] % a["groups"] or a["out_channels"] % a["groups"]))
    doubt(a["padding"] == "same" and any(step != 1 for step in a["stride"]))


def _embed(a: Values) -> None:
    row, rows = a["padding_idx"], a["num_embeddings"]
    if row is not None:
        doubt(not -rows <= row < rows)
        a["padding_idx"] = row % rows


def _normalise(a: Values) -> None:
    a["bias"] = a["affine"]


def _normalise_groups(a: Values) -> None:
    doubt(bool(a["num_channels"] % a["num_groups"]))
    a["bias"] = a["affine"]


def _normalise_layer(a: Values) -> None:
    a["bias"] = a["bias"] and a["elementwise_affine"]


def _attend(a: Values) -> None:
    doubt(bool(a["embed_dim"] % a["num_heads"]))
    for name in ("kdim", "vdim"):
        a[name] = a["embed_dim"] if a[name] is None else a[name]
    a["packed"] = a["kdim"] == a["vdim"] == a["embed_dim"]
    a["apart"] = not a["packed"]


def _attended(a: Values) -> list[tuple[str, str, Values]]:
    dim = a["embed_dim"]
    return [("out_proj", "NonDynamicallyQuantizableLinear", {"in_features": dim, "out_features": dim, **_kept(a)})]


def _kept(a: Values) -> Values:
    return {"bias": a["bias"], "dtype": a["dtype"]}


def _transform(attentions: tuple[str, ...]) -> Callable[[Values], list[tuple[str, str, Values]]]:
    def parts(a: Values) -> list[tuple[str, str, Values]]:
        dim, hidden, drop = a["d_model"], a["dim_feedforward"], {"p": a["dropout"]}
        heads = {"embed_dim": dim, "num_heads": a["nhead"], "dropout": a["dropout"], **_kept(a)}
        norm = {"normalized_shape": dim, "eps": a["layer_norm_eps"], **_kept(a)}
        numbers = range(1, len(attentions) + 2)
        return [
            *((name, "MultiheadAttention", heads) for name in attentions),
            ("linear1", "Linear", {"in_features": dim, "out_features": hidden, **_kept(a)}),
            ("dropout", "Dropout", drop),
            ("linear2", "Linear", {"in_features": hidden, "out_features": dim, **_kept(a)}),
            *((f"norm{number}", "LayerNorm", norm) for number in numbers),
            *((f"dropout{number}", "Dropout", drop) for number in numbers),
        ]

    return parts


_MODE: Final = "zeros|reflect|replicate|circular=zeros"
_CONVOLVED: Final = (
    "{in_channels} {out_channels} kernel_size stride padding? dilation? output_padding? groups? bias? padding_mode?"
)
_STATISTICS: Final = (
    "running_mean[num_features]?track_running_stats running_var[num_features]?track_running_stats "
    "num_batches_tracked[]:int64?track_running_stats"
)
_NORMALISED: Final = "{num_features} eps momentum affine bias track_running_stats"
_AFFINE: Final = "weight[num_features]?affine bias[num_features]?affine"
_RECURRENT: Final = "{input_size} {hidden_size} proj_size? num_layers? bias? batch_first? dropout? bidirectional?"
_TRANSFORMER: Final = (
    "d_model:size nhead:size dim_feedforward:size=2048 dropout:share=0.1 activation:relu|gelu=relu layer_norm_eps:float=1e-05 "
    "batch_first:flag=False norm_first:flag=False bias:flag=True * dtype:dtype"
)


def _cell(gates: int) -> str:
    rows = f"{gates}*hidden_size"
    return f"weight_ih[{rows},input_size] weight_hh[{rows},hidden_size] bias_ih[{rows}]?bias bias_hh[{rows}]?bias"


def _recurrent(name: str, gates: int, more: str = "", last: str = "") -> LayerRow:
    takes = (
        f"input_size:size hidden_size:size num_layers:size=1 {more}bias:flag=True batch_first:flag=False "
        f"dropout:share=0.0 bidirectional:flag=False {last}* dtype:dtype"
    )

    def settle(a: Values) -> None:
        projected = a.setdefault("proj_size", 0)
        doubt(a["num_layers"] > MAX_STACKED or (a["dropout"] > 0 and a["num_layers"] == 1))
        doubt(projected >= a["hidden_size"])
        a["dropout"] = float(a["dropout"])
        rows, width = gates * a["hidden_size"], projected or a["hidden_size"]
        names = []
        for layer in range(a["num_layers"]):
            inside = width * (1 + a["bidirectional"]) if layer else a["input_size"]
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + a["bidirectional"]]:
                names += [f"weight_ih{suffix}[{rows},{inside}]", f"weight_hh{suffix}[{rows},{width}]"]
                names += [f"bias_ih{suffix}[{rows}]", f"bias_hh{suffix}[{rows}]"] if a["bias"] else []
                names += [f"weight_hr{suffix}[{projected},{a['hidden_size']}]"] if projected else []
        a[HELD] = " ".join(names)

    return LayerRow((f"rnn.{name}", "rnn.RNNBase"), takes, _RECURRENT, settle=settle)


MAX_STACKED: Final = 64
"""Layers in one: of more, torch is asked."""


LAYERS: Final[Mapping[str, LayerRow]] = {
    "Linear": LayerRow(
        ("linear.Linear",),
        "in_features:size out_features:size bias:flag=True * dtype:dtype",
        "in_features out_features bias",
        "weight[out_features,in_features] bias[out_features]?bias",
    ),
    "Bilinear": LayerRow(
        ("linear.Bilinear",),
        "in1_features:size in2_features:size out_features:size bias:flag=True * dtype:dtype",
        "in1_features in2_features out_features bias",
        "weight[out_features,in1_features,in2_features] bias[out_features]?bias",
    ),
    **spatial(
        "Conv1d Conv2d Conv3d",
        "conv._ConvNd",
        "in_channels:size out_channels:size kernel_size:tuple stride:tuple=1 padding:same|valid|tuple0=0 dilation:tuple=1 "
        f"groups:size=1 bias:flag=True padding_mode:{_MODE} * dtype:dtype",
        _CONVOLVED.replace("output_padding? ", ""),
        "weight[out_channels,in_channels/groups,*kernel_size] bias[out_channels]?bias",
        settle=_convolve,
    ),
    **spatial(
        "ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        "conv._ConvTransposeNd conv._ConvNd",
        "in_channels:size out_channels:size kernel_size:tuple stride:tuple=1 padding:tuple0=0 output_padding:tuple0=0 "
        "groups:size=1 bias:flag=True dilation:tuple=1 padding_mode:zeros=zeros * dtype:dtype",
        _CONVOLVED,
        "weight[in_channels,out_channels/groups,*kernel_size] bias[out_channels]?bias",
        settle=_convolve,
    ),
    **spatial(
        "BatchNorm1d BatchNorm2d BatchNorm3d",
        "batchnorm._BatchNorm batchnorm._NormBase",
        "num_features:size eps:float=1e-05 momentum:float?=0.1 affine:flag=True track_running_stats:flag=True * dtype:dtype",
        _NORMALISED,
        _AFFINE,
        _STATISTICS,
        _normalise,
    ),
    "SyncBatchNorm": LayerRow(
        ("batchnorm.SyncBatchNorm", "batchnorm._BatchNorm", "batchnorm._NormBase"),
        "num_features:size eps:float=1e-05 momentum:float?=0.1 affine:flag=True track_running_stats:flag=True "
        "process_group:null * dtype:dtype",
        _NORMALISED,
        _AFFINE,
        _STATISTICS,
        _normalise,
    ),
    **spatial(
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
        "instancenorm._InstanceNorm batchnorm._NormBase",
        "num_features:size eps:float=1e-05 momentum:float=0.1 affine:flag=False track_running_stats:flag=False * dtype:dtype",
        _NORMALISED,
        _AFFINE,
        _STATISTICS,
        _normalise,
    ),
    "LayerNorm": LayerRow(
        ("normalization.LayerNorm",),
        "normalized_shape:shape eps:float=1e-05 elementwise_affine:flag=True bias:flag=True * dtype:dtype",
        "{normalized_shape} eps elementwise_affine bias",
        "weight[*normalized_shape]?elementwise_affine bias[*normalized_shape]?bias",
        settle=_normalise_layer,
    ),
    "RMSNorm": LayerRow(
        ("normalization.RMSNorm",),
        "normalized_shape:shape eps:float? elementwise_affine:flag=True * dtype:dtype",
        "{normalized_shape} eps elementwise_affine",
        "weight[*normalized_shape]?elementwise_affine",
    ),
    "GroupNorm": LayerRow(
        ("normalization.GroupNorm",),
        "num_groups:size num_channels:size eps:float=1e-05 affine:flag=True * dtype:dtype",
        "{num_groups} {num_channels} eps affine bias",
        "weight[num_channels]?affine bias[num_channels]?affine",
        settle=_normalise_groups,
    ),
    "Embedding": LayerRow(
        ("sparse.Embedding",),
        "num_embeddings:size embedding_dim:size padding_idx:int? max_norm:number? norm_type:number=2.0 "
        "scale_grad_by_freq:flag=False sparse:flag=False * dtype:dtype",
        "{num_embeddings} {embedding_dim} padding_idx? max_norm? norm_type? scale_grad_by_freq? sparse?",
        "weight[num_embeddings,embedding_dim]",
        settle=_embed,
    ),
    "EmbeddingBag": LayerRow(
        ("sparse.EmbeddingBag",),
        "num_embeddings:size embedding_dim:size max_norm:number? norm_type:number=2.0 scale_grad_by_freq:flag=False "
        "mode:sum|mean|max=mean sparse:flag=False _weight:null include_last_offset:flag=False padding_idx:int? * dtype:dtype",
        "{num_embeddings} {embedding_dim} max_norm? norm_type? scale_grad_by_freq? mode! padding_idx?",
        "weight[num_embeddings,embedding_dim]",
        settle=_embed,
    ),
    "RNN": _recurrent("RNN", 1, more="nonlinearity:tanh|relu=tanh "),
    "LSTM": _recurrent("LSTM", 4, last="proj_size:whole=0 "),
    "GRU": _recurrent("GRU", 3),
    "RNNCell": LayerRow(
        ("rnn.RNNCell", "rnn.RNNCellBase"),
        "input_size:size hidden_size:size bias:flag=True nonlinearity:tanh|relu=tanh * dtype:dtype",
        "{input_size} {hidden_size} bias? nonlinearity?",
        _cell(1),
    ),
    **{
        name: LayerRow(
            (f"rnn.{name}", "rnn.RNNCellBase"),
            "input_size:size hidden_size:size bias:flag=True * dtype:dtype",
            "{input_size} {hidden_size} bias?",
            _cell(gates),
        )
        for name, gates in (("LSTMCell", 4), ("GRUCell", 3))
    },
    "MultiheadAttention": LayerRow(
        ("activation.MultiheadAttention",),
        "embed_dim:size num_heads:size dropout:share=0.0 bias:flag=True add_bias_kv:flag=False add_zero_attn:flag=False "
        "kdim:size? vdim:size? batch_first:flag=False * dtype:dtype",
        "",
        "in_proj_weight[3*embed_dim,embed_dim]?packed q_proj_weight[embed_dim,embed_dim]?apart "
        "k_proj_weight[embed_dim,kdim]?apart v_proj_weight[embed_dim,vdim]?apart in_proj_bias[3*embed_dim]?bias "
        "bias_k[1,1,embed_dim]?add_bias_kv bias_v[1,1,embed_dim]?add_bias_kv",
        settle=_attend,
        parts=_attended,
    ),
    "TransformerEncoderLayer": LayerRow(
        ("transformer.TransformerEncoderLayer",), _TRANSFORMER, parts=_transform(("self_attn",))
    ),
    "TransformerDecoderLayer": LayerRow(
        ("transformer.TransformerDecoderLayer",), _TRANSFORMER, parts=_transform(("self_attn", "multihead_attn"))
    ),
    "PReLU": LayerRow(
        ("activation.PReLU",),
        "num_parameters:size=1 init:number=0.25 * dtype:dtype",
        "num_parameters",
        "weight[num_parameters]",
    ),
    **TENSORLESS,
}  # fmt: skip
"""The classes of torch.nn that a spec can name, by name."""

INSIDE: Final[Mapping[str, LayerRow]] = {
    "NonDynamicallyQuantizableLinear": LAYERS["Linear"]._replace(
        derives=("linear.NonDynamicallyQuantizableLinear", "linear.Linear")
    ),
}
"""Classes that are met inside of those only."""

LEFT_TO_TORCH: Final = frozenset(
    name
    for names in (
        "AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss MultiMarginLoss NLLLoss2d Transformer TripletMarginWithDistanceLoss",
        "UpsamplingBilinear2d UpsamplingNearest2d LazyLinear",
        "LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d",
        "LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
    )
    for name in names.split()
)
"""Classes of torch.nn that a spec can name and that are not told without torch: rare, deprecated, or of a shape that only a
forward pass tells."""
