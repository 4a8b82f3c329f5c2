"""The layers of torch.nn that hold no tensors, as rows of the table in `torch_layers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from paraminspect.architecture.layer_rows import LayerRow, Values, doubt, plain, spatial


def _pool(a: Values) -> None:
    if a["stride"] is None:
        a["stride"] = a["kernel_size"]


def _pool_fractions(a: Values) -> None:
    doubt((a["output_size"] is None) == (a["output_ratio"] is None))
    doubt(a["output_ratio"] in (0, 1))


def _hard(a: Values) -> None:
    doubt(a["max_val"] <= a["min_val"])


def _upsample(a: Values) -> None:
    doubt(a["size"] is not None and a["scale_factor"] is not None)
    a["scale_factor"] = float(a["scale_factor"]) if a["scale_factor"] else None


_REDUCED: Final = "size_average:null reduce:null reduction:none|mean|sum=mean"
_INPLACE: Final = "inplace:flag=False"

TENSORLESS: Final[Mapping[str, LayerRow]] = {
    **plain("linear", {"Identity": ("...", "")}),
    **plain(
        "normalization",
        {
            "LocalResponseNorm": ("size:size alpha:number=0.0001 beta:number=0.75 k:number=1.0", "{size} alpha beta k"),
            "CrossMapLRN2d": ("size:size alpha:number=0.0001 beta:number=0.75 k:number=1", "{size} alpha beta k"),
        },
    ),
    **plain("activation", dict.fromkeys(("Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink", "Softmax2d"), ("", ""))),
    **plain("activation", dict.fromkeys(("ReLU", "SiLU", "Mish", "SELU"), (_INPLACE, "inplace?"))),
    **plain("activation", dict.fromkeys(("Hardsigmoid", "Hardswish"), (_INPLACE, ""))),
    **plain("activation", dict.fromkeys(("ELU", "CELU"), (f"alpha:number=1.0 {_INPLACE}", "alpha inplace?"))),
    **plain("activation", dict.fromkeys(("Hardshrink", "Softshrink"), ("lambd:number=0.5", "{lambd}"))),
    **plain("activation", dict.fromkeys(("Softmax", "LogSoftmax", "Softmin"), ("dim:int?", "dim"))),
    **plain("activation", {"ReLU6": (_INPLACE, "inplace?")}, "activation.Hardtanh"),
    **plain(
        "activation",
        {
            "GLU": ("dim:int=-1", "dim"),
            "GELU": ("approximate:none|tanh=none", "approximate!"),
            "LeakyReLU": (f"negative_slope:number=0.01 {_INPLACE}", "negative_slope inplace?"),
            "RReLU": (f"lower:number=0.125 upper:number=0.3333333333333333 {_INPLACE}", "lower upper inplace?"),
            "Threshold": (f"threshold:number value:number {_INPLACE}", "threshold value inplace?"),
            "Softplus": ("beta:number=1.0 threshold:number=20.0", "beta threshold"),
        },
    ),
    "Hardtanh": LayerRow(
        ("activation.Hardtanh",),
        f"min_val:number=-1.0 max_val:number=1.0 {_INPLACE}",
        "min_val max_val inplace?",
        settle=_hard,
    ),
    **plain(
        "dropout",
        dict.fromkeys(
            ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
            (f"p:share=0.5 {_INPLACE}", "p inplace"),
        ),
        "dropout._DropoutNd",
    ),
    **spatial(
        "MaxPool1d MaxPool2d MaxPool3d",
        "pooling._MaxPoolNd",
        "kernel_size:sizes stride:sizes? padding:wholes=0 dilation:sizes=1 return_indices:flag=False ceil_mode:flag=False",
        "kernel_size stride padding dilation ceil_mode",
        settle=_pool,
    ),
    **spatial(
        "MaxUnpool1d MaxUnpool2d MaxUnpool3d",
        "pooling._MaxUnpoolNd",
        "kernel_size:tuple stride:tuple? padding:tuple0=0",
        "kernel_size stride padding",
        settle=_pool,
    ),
    **spatial(
        "AvgPool1d",
        "pooling._AvgPoolNd",
        "kernel_size:tuple stride:tuple? padding:tuple0=0 ceil_mode:flag=False count_include_pad:flag=True",
        "kernel_size stride padding",
        settle=_pool,
    ),
    **spatial(
        "AvgPool2d AvgPool3d",
        "pooling._AvgPoolNd",
        "kernel_size:sizes stride:sizes? padding:wholes=0 ceil_mode:flag=False count_include_pad:flag=True "
        "divisor_override:size?",
        "kernel_size stride padding",
        settle=_pool,
    ),
    **spatial(
        "LPPool1d LPPool2d LPPool3d",
        "pooling._LPPoolNd",
        "norm_type:number kernel_size:sizes stride:sizes? ceil_mode:flag=False",
        "norm_type kernel_size stride ceil_mode",
    ),
    **spatial(
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d",
        "pooling._AdaptiveAvgPoolNd",
        "output_size:gaps",
        "output_size",
    ),
    **spatial(
        "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d",
        "pooling._AdaptiveMaxPoolNd",
        "output_size:gaps return_indices:flag=False",
        "output_size",
    ),
    **{
        name: LayerRow(
            (f"pooling.{name}",),
            "kernel_size:tuple output_size:tuple? output_ratio:share? return_indices:flag=False",
            settle=_pool_fractions,
        )
        for name in ("FractionalMaxPool2d", "FractionalMaxPool3d")
    },
    **spatial(
        "CircularPad1d CircularPad2d CircularPad3d", "padding._CircularPadNd", "padding:pads", "{padding}"
    ),
    **spatial(
        "ReflectionPad1d ReflectionPad2d ReflectionPad3d", "padding._ReflectionPadNd", "padding:pads", "{padding}"
    ),
    **spatial(
        "ReplicationPad1d ReplicationPad2d ReplicationPad3d", "padding._ReplicationPadNd", "padding:pads", "{padding}"
    ),
    **spatial(
        "ConstantPad1d ConstantPad2d ConstantPad3d",
        "padding._ConstantPadNd",
        "padding:pads value:number",
        "padding value",
    ),
    **spatial(
        "ZeroPad1d ZeroPad2d ZeroPad3d",
        "padding.ConstantPad{n}d padding._ConstantPadNd",
        "padding:pads",
        "{padding}",
    ),
    **plain(
        "fold",
        {
            "Unfold": (
                "kernel_size:sizes dilation:sizes=1 padding:wholes=0 stride:sizes=1",
                "kernel_size dilation padding stride",
            ),
            "Fold": (
                "output_size:sizes kernel_size:sizes dilation:sizes=1 padding:wholes=0 stride:sizes=1",
                "output_size kernel_size dilation padding stride",
            ),
        },
    ),
    **plain(
        "flatten",
        {
            "Flatten": ("start_dim:int=1 end_dim:int=-1", "start_dim end_dim"),
            "Unflatten": ("dim:int unflattened_size:ints", "dim unflattened_size"),
        },
    ),
    **plain("channelshuffle", {"ChannelShuffle": ("groups:size", "groups")}),
    **plain(
        "pixelshuffle",
        {
            "PixelShuffle": ("upscale_factor:size", "upscale_factor"),
            "PixelUnshuffle": ("downscale_factor:size", "downscale_factor"),
        },
    ),
    "Upsample": LayerRow(
        ("upsampling.Upsample",),
        "size:sizes? scale_factor:number? mode:nearest|linear|bilinear|bicubic|trilinear|area|nearest-exact=nearest "
        "align_corners:flag? recompute_scale_factor:flag?",
        "scale_factor|size mode!",
        settle=_upsample,
    ),
    **plain(
        "distance",
        {
            "CosineSimilarity": ("dim:int=1 eps:float=1e-08", ""),
            "PairwiseDistance": ("p:number=2.0 eps:float=1e-06 keepdim:flag=False", ""),
        },
    ),
    **plain(
        "loss",
        {
            **dict.fromkeys(("L1Loss", "MSELoss", "MultiLabelMarginLoss", "SoftMarginLoss"), (_REDUCED, "")),
            "SmoothL1Loss": (f"{_REDUCED} beta:number=1.0", ""),
            "HuberLoss": ("reduction:none|mean|sum=mean delta:number=1.0", ""),
            "KLDivLoss": (f"{_REDUCED} log_target:flag=False", ""),
            "BCEWithLogitsLoss": (f"weight:null {_REDUCED} pos_weight:null", ""),
            "CTCLoss": ("blank:whole=0 reduction:none|mean|sum=mean zero_infinity:flag=False", ""),
            "CosineEmbeddingLoss": (f"margin:number=0.0 {_REDUCED}", ""),
            "MarginRankingLoss": (f"margin:number=0.0 {_REDUCED}", ""),
            "HingeEmbeddingLoss": (f"margin:number=1.0 {_REDUCED}", ""),
            "TripletMarginLoss": (f"margin:above0=1.0 p:number=2.0 eps:float=1e-06 swap:flag=False {_REDUCED}", ""),
            "PoissonNLLLoss": ("log_input:flag=True full:flag=False size_average:null eps:float=1e-08 reduce:null "
                "reduction:none|mean|sum=mean", ""),
            "GaussianNLLLoss": ("* full:flag=False eps:float=1e-06 reduction:none|mean|sum=mean", ""),
        },
        "loss._Loss",
    ),
    **plain(
        "loss",
        {
            "BCELoss": (f"weight:null {_REDUCED}", ""),
            "MultiLabelSoftMarginLoss": (f"weight:null {_REDUCED}", ""),
            "NLLLoss": ("weight:null size_average:null ignore_index:int=-100 reduce:null reduction:none|mean|sum=mean", ""),
            "CrossEntropyLoss": ("weight:null size_average:null ignore_index:int=-100 reduce:null "
                "reduction:none|mean|sum=mean label_smoothing:share=0.0", ""),
        },
        "loss._WeightedLoss",
        "loss._Loss",
    ),
}  # fmt: skip
"""By name."""
