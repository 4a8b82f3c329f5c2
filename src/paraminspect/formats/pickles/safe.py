"""What belongs into a checkpoint: exact names, each with what honest files do with it.

A name is here because the producer of a file writes it. It is the name of a class or function *in the module that defines
it*: what a module merely imports is not here, and nothing behind a class's dot, whatever it is. The names of torch come
from its sources (`safe_torch`); those below were read one by one.

Source: the `__reduce__` methods of torch, numpy 1 and 2, pandas and Python's standard library; files of the producers that
`scripts/make_fixtures.py` runs.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from paraminspect.tuples import NamedTuple

Expected = Literal["", "named", "rebuilt", "called"]
"""The most that honest files do with a name: keep it, make instances without a call (NEWOBJ), call it. "" if nothing."""


def expected_use(module: str, name: str) -> Expected:
    """What honest files do with a class or function; "" for one that no table knows."""
    if "." not in name and module != "torch._VF":
        return _table().get(f"{module}.{name}", "")
    home, _, last = f"{module}.{name}".rpartition(".")
    return _table().get(f"torch._C._VariableFunctions.{last}", "") if home in _FUNCTIONS_OF_TENSORS else ""


@cache
def _table() -> dict[str, Expected]:
    """All names that are safe; made when the first name is asked for that no reader knows."""
    from paraminspect.formats.pickles import safe_torch

    table: dict[str, Expected] = {}
    of_torch: tuple[tuple[Expected, dict[str, str]], ...] = (
        ("named", safe_torch.NAMED),
        ("rebuilt", safe_torch.REBUILT),
        ("called", safe_torch.CALLED),
    )
    for use, rows in of_torch:
        for module, names in rows.items():
            table.update(dict.fromkeys([f"{module}.{name}" for name in names.split()], use))
    table.update(dict.fromkeys(NAMED, "named"))
    table.update(dict.fromkeys(REBUILT, "rebuilt"))
    table.update(dict.fromkeys(CALLED, "called"))
    table.update(dict.fromkeys(PRODUCERS, "called"))
    return table


_FUNCTIONS_OF_TENSORS: Final = (
    "torch._VF",
    "torch._C._VariableFunctionsClass",
    "torch._C.TensorBase",
    "torch._C._TensorBase",
)
"""Under which a pickle names the functions and methods that torch has in C++: `torch.relu` is the first but one's `relu`."""

CALLED: Final = frozenset(
    {
        *(f"builtins.{name}" for name in (
            "object", "set", "frozenset", "dict", "list", "tuple", "int", "long", "float", "complex", "bool", "str", "unicode",
            "bytes", "bytearray", "slice", "range", "xrange", "Ellipsis", "NotImplemented", "type", "iter", "enumerate", "zip",
            "reversed",
            "ArithmeticError", "AssertionError", "AttributeError", "BaseException", "BufferError", "EOFError", "Exception",
            "FileExistsError", "FileNotFoundError", "FloatingPointError", "IOError", "ImportError", "IndexError", "KeyError",
            "KeyboardInterrupt", "LookupError", "MemoryError", "ModuleNotFoundError", "NameError", "NotImplementedError",
            "OSError", "OverflowError", "PermissionError", "RecursionError", "ReferenceError", "RuntimeError",
            "StopIteration", "TimeoutError", "TypeError", "UnicodeDecodeError", "UnicodeEncodeError", "ValueError",
            "ZeroDivisionError", "Warning", "UserWarning", "DeprecationWarning", "FutureWarning", "RuntimeWarning")),
        "collections.OrderedDict", "collections.defaultdict", "collections.deque", "collections.Counter",
        "collections.ChainMap", "collections.UserDict", "collections.UserList",
        "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__", "_codecs.encode", "functools.partial",
        "argparse.Namespace", "types.SimpleNamespace", "types.NoneType", "types.GenericAlias", "pathlib.Path",
        "pathlib.PurePath", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
        *(f"pathlib._local.{name}Path" for name in ("Posix", "Windows", "PurePosix", "PureWindows")),
        "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
        "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "uuid.SafeUUID", "array.array", "re._compile",
        "array._array_reconstructor", "_io.BytesIO", "io.BytesIO", "_io.StringIO", "io.StringIO",
        "numpy.ndarray", "numpy.dtype", "numpy.matrix", "numpy.record", "numpy.ma.core._mareconstruct",
        "numpy.random._pickle.__randomstate_ctor", "numpy.random._pickle.__generator_ctor",
        "numpy.random._pickle.__bit_generator_ctor", "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
        "numpy.random._mt19937.MT19937", "numpy.random._pcg64.PCG64", "numpy.random._pcg64.PCG64DXSM",
        "numpy.random._philox.Philox", "numpy.random._sfc64.SFC64",
        *(f"numpy.{core}.{name}" for core in ("core", "_core")
          for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")),
        "torch.device", "torch.Size", "torch.Generator", "torch._C.Generator",
    }
)  # fmt: skip
"""Of Python, numpy and the part of torch that is not Python."""

REBUILT: Final = frozenset(
    {
        "torch.Tensor", "torch.nn.Parameter", "torch.nn.Module", "torch.ScriptObject",
        "torch._C.ScriptObject", "torch.utils.hooks.RemovableHandle", "torch.distributed.algorithms.join._JoinConfig", "joblib.numpy_pickle.NumpyArrayWrapper",
        *(f"torch.{device}{kind}Tensor" for device in ("", "cuda.") for kind in (
            "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")),
        "deepspeed.runtime.fp16.loss_scaler.LossScaler", "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
        "deepspeed.utils.tensor_fragment.fragment_address",
        "numpy.iinfo", "numpy.finfo", "numpy.poly1d", "numpy.recarray", "numpy.rec.recarray", "numpy.ma.MaskedArray",
        "numpy.ma.core.MaskedArray", "numpy.random.bit_generator.SeedSequence", "numpy.random._generator.Generator", "numpy.random.mtrand.RandomState",
    }
)  # fmt: skip
"""Classes of which only instances are made."""

NAMED: Final = frozenset(
    {
        "torch.utils.checkpoint.checkpoint",  # within the partial that `checkpoint_wrapper` keeps
        *(f"builtins.{name}" for name in (
            "abs", "all", "any", "callable", "divmod", "hash", "isinstance", "issubclass", "len", "max", "min", "pow",
            "repr", "round", "sorted", "sum", "print", "property", "staticmethod", "classmethod", "super")),
        "contextlib.nullcontext",
        *(f"torch.{kind}" for kind in (
            "finfo", "iinfo", "dtype", "layout", "memory_format", "per_tensor_affine", "per_channel_affine",
            "per_tensor_symmetric", "per_channel_symmetric", "per_channel_affine_float_qparams", "qscheme")),
        "torch._C._VariableFunctionsClass", "torch._C.TensorBase", "torch._C._TensorBase",
        *(f"numpy.{kind}" for kind in (
            "float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
            "uint64", "bool", "bool_", "complex64", "complex128", "str_", "bytes_", "object_", "datetime64", "timedelta64",
            "generic", "number", "integer", "floating", "add", "subtract", "multiply", "divide", "maximum", "minimum",
            "exp", "log", "sqrt", "tanh", "abs", "absolute", "sign", "float_", "int_")),
        *(f"numpy.dtypes.{kind}DType" for kind in (
            "Float16", "Float32", "Float64", "LongDouble", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32",
            "UInt64", "Bool", "Complex64", "Complex128", "Str", "Bytes", "Object", "DateTime64", "TimeDelta64")),
    }
)  # fmt: skip
"""What files keep as it is."""

PRODUCERS: Final[dict[str, str]] = {
    # enumerations: a call looks a member up by its value
    **dict.fromkeys(
        [f"transformers.{name}" for name in (
            "trainer_utils.IntervalStrategy", "trainer_utils.EvaluationStrategy", "trainer_utils.SaveStrategy",
            "trainer_utils.HubStrategy", "trainer_utils.HPSearchBackend", "trainer_utils.SchedulerType",
            "trainer_utils.FSDPOption", "training_args.OptimizerNames", "training_args.ParallelMode",
            "debug_utils.DebugOption", "utils.generic.PaddingStrategy", "utils.generic.TensorType",
            "utils.quantization_config.QuantizationMethod", "utils.quantization_config.AwqFormat",
            "utils.quantization_config.AwqBackend", "utils.quantization_config.ExllamaVersion",
            "generation.configuration_utils.GenerationMode", "tokenization_utils_base.TruncationStrategy")],
        "transformers: training_args.bin, whole models",
    ),
    **dict.fromkeys(
        [f"accelerate.utils.dataclasses.{name}" for name in (
            "DDPCommunicationHookType", "DistributedType", "SageMakerDistributedType", "FP8BackendType",
            "ComputeEnvironment", "DynamoBackend", "LoggerType", "PrecisionType", "RNGType", "CustomDtype")],
        "accelerate: within transformers' training_args.bin",
    ),
    "deepspeed.runtime.zero.config.ZeroStageEnum": "deepspeed: checkpoints of ZeRO",
    **dict.fromkeys(
        [f"peft.{name}" for name in (
            "utils.peft_types.PeftType", "utils.peft_types.TaskType", "tuners.prompt_tuning.config.PromptTuningInit",
            "tuners.multitask_prompt_tuning.config.MultitaskPromptTuningInit",
            "tuners.p_tuning.config.PromptEncoderReparameterizationType")],
        "peft: whole models",
    ),
    "timm.layers.format.Format": "timm: whole models",
    **dict.fromkeys(
        [f"diffusers.{name}" for name in (
            "optimization.SchedulerType", "schedulers.scheduling_utils.KarrasDiffusionSchedulers",
            "hooks.group_offloading.GroupOffloadingType", "models.attention_dispatch.AttentionBackendName",
            "quantizers.quantization_config.QuantizationMethod",
            "configuration_utils.FrozenDict")],  # a dictionary whose items are attributes too
        "diffusers: whole models and schedulers",
    ),
    **dict.fromkeys(
        [f"torchvision.{name}" for name in (
            "transforms.functional.InterpolationMode", "transforms.autoaugment.AutoAugmentPolicy",
            "tv_tensors._bounding_boxes.BoundingBoxFormat", "io.image.ImageReadMode")],
        "torchvision: transforms beside a model",
    ),
    **dict.fromkeys(
        [f"lightning.{name}" for name in (
            "pytorch.callbacks.early_stopping.EarlyStoppingReason", "pytorch.callbacks.prediction_writer.WriteInterval",
            "pytorch.callbacks.timer.Interval", "pytorch.trainer.states.RunningStage", "pytorch.trainer.states.TrainerFn",
            "pytorch.trainer.states.TrainerStatus", "pytorch.utilities.enums.GradClipAlgorithmType")],
        "lightning: checkpoints with callbacks",
    ),
    **dict.fromkeys(
        [f"transformers.modeling_outputs.{name}" for name in (
            "BaseModelOutput", "BaseModelOutputWithNoAttention", "BaseModelOutputWithPooling",
            "BaseModelOutputWithPoolingAndNoAttention", "BaseModelOutputWithPast",
            "BaseModelOutputWithCrossAttentions", "BaseModelOutputWithPoolingAndCrossAttentions",
            "BaseModelOutputWithPastAndCrossAttentions", "MoEModelOutput", "MoeModelOutputWithPast",
            "MoeCausalLMOutputWithPast", "MoEModelOutputWithPastAndCrossAttentions", "Seq2SeqModelOutput",
            "MultimodalModelOutput", "MultimodalBaseModelOutputWithPast", "MultimodalCausalLMOutputWithPast",
            "MultimodalMoeBaseModelOutputWithPast", "MultimodalMoeCausalLMOutputWithPast", "Seq2SeqMoEModelOutput",
            "CausalLMOutput", "CausalLMOutputWithPast", "CausalLMOutputWithCrossAttentions",
            "SequenceClassifierOutputWithPast", "MaskedLMOutput", "Seq2SeqLMOutput", "Seq2SeqMoEOutput",
            "NextSentencePredictorOutput", "SequenceClassifierOutput", "Seq2SeqSequenceClassifierOutput",
            "MultipleChoiceModelOutput", "TokenClassifierOutput", "QuestionAnsweringModelOutput",
            "Seq2SeqQuestionAnsweringModelOutput", "SemanticSegmenterOutput", "ImageClassifierOutput",
            "ImageClassifierOutputWithNoAttention", "DepthEstimatorOutput", "ImageSuperResolutionOutput",
            "Wav2Vec2BaseModelOutput", "XVectorOutput", "BackboneOutput", "BaseModelOutputWithPoolingAndProjection",
            "Seq2SeqSpectrogramOutput", "Seq2SeqTSModelOutput", "Seq2SeqTSPredictionOutput",
            "SampleTSPredictionOutput", "MaskedImageModelingOutput")],
        "transformers: results of a model that were saved",  # a dictionary whose items are attributes too
    ),
    **dict.fromkeys(
        [f"torchao.{name}" for name in (
            "experimental.quant_api.UIntxChooseQParamsAlgorithm", "float8.float8_training_tensor.GemmInputRole",
            "prototype.attention.api.AttentionBackend", "prototype.attention.api.HadamardMode",
            "prototype.blockwise_fp8_training.deepgemm_grouped_kernels.DeepGemmKGroupedLayout",
            "prototype.float8nocompile.kernels.fp8_dynamic_tensorwise.KernelAlgorithm",
            "prototype.moe_training.blockwise_fp8.grouped_mm_backend._GroupedMMBackendKind",
            "prototype.moe_training.config.Float8TrainingRecipe", "prototype.moe_training.config.MXFP8TrainingRecipe",
            "prototype.mx_formats.config.MXFP8Dim0CastKernelChoice",
            "prototype.mx_formats.config.MXFP8Dim1CastKernelChoice",
            "prototype.mx_formats.config.ScaleCalculationMode",
            "prototype.pat.optim.prox_executor.GlobalDTensorMaterializationPolicy", "quantization.qat.api.QATStep",
            "quantization.quantize_.common.quantization_step.QuantizationStep",
            "quantization.quantize_.workflows.nf4.nf4_tensor.CompareOp")],
        "torchao: configurations and training",
    ),
    **dict.fromkeys(
        [f"torchao.{name}" for name in (
            "quantization.quant_primitives.MappingType", "quantization.quant_primitives.ZeroPointDomain",
            "quantization.quant_primitives.TorchAODType",
            "quantization.quantize_.common.kernel_preference.KernelPreference",
            "quantization.quantize_.common.packing_format.PackingFormat",
            "quantization.quantize_.workflows.float8.float8_packing_format.Float8PackingFormat",
            "quantization.quantize_.workflows.int4.int4_packing_format.Int4PackingFormat",
            "quantization.quantize_.workflows.int4.int4_choose_qparams_algorithm.Int4ChooseQParamsAlgorithm",
            "quantization.quantize_.workflows.intx.intx_packing_format.IntxPackingFormat",
            "quantization.quantize_.workflows.intx.intx_choose_qparams_algorithm.IntxChooseQParamsAlgorithm",
            "quantization.quantize_.workflows.intx.intx_unpacked_to_int8_tensor."
            "IntxUnpackedToInt8TensorActivationQuantization",
            "float8.config.ScalingType", "float8.config.ScalingGranularity", "float8.config.Float8LinearRecipeName")],
        "torchao: state dicts of quantised weights",
    ),
    **dict.fromkeys(
        [f"sklearn.{name}" for name in (
            "tree._tree.Tree", "neighbors._kd_tree.newObj", "neighbors._ball_tree.newObj", "metrics._dist_metrics.newObj",
            "linear_model._sgd_fast.Hinge", "linear_model._sgd_fast.SquaredHinge", "linear_model._sgd_fast.ModifiedHuber",
            "linear_model._sgd_fast.EpsilonInsensitive", "linear_model._sgd_fast.SquaredEpsilonInsensitive",
            "_loss._loss.CyAbsoluteError", "_loss._loss.CyExponentialLoss", "_loss._loss.CyHalfBinomialLoss",
            "_loss._loss.CyHalfGammaLoss", "_loss._loss.CyHalfMultinomialLoss", "_loss._loss.CyHalfPoissonLoss",
            "_loss._loss.CyHalfSquaredError", "_loss._loss.CyHalfTweedieLoss", "_loss._loss.CyHalfTweedieLossIdentity",
            "_loss._loss.CyHuberLoss", "_loss._loss.CyPinballLoss")],
        "scikit-learn: estimators that joblib wrote",
    ),
    # rebuilders: each makes an instance of a class of pandas, or `cls.__new__(cls, ..)`, of what it is given
    **dict.fromkeys(
        [f"pandas.{name}" for name in (
            "core.indexes.base._new_Index", "core.indexes.datetimes._new_DatetimeIndex", "core.indexes.period._new_PeriodIndex",
            "core.internals.managers.BlockManager", "core.internals.managers.SingleBlockManager", "_libs.internals._unpickle_block",
            "_libs.arrays.__pyx_unpickle_NDArrayBacked", "_libs.tslibs.timestamps._unpickle_timestamp",
            "_libs.tslibs.timedeltas._timedelta_unpickle", "_libs.tslibs.nattype.__nat_unpickle", "StringDtype",
            "_libs.tslibs.nattype._nat_unpickle", "core.indexes.interval._new_IntervalIndex",
            "core.indexes.timedeltas._new_TimedeltaIndex", "Interval", "_libs.interval.Interval", "Period",
            "_libs.tslibs.period.Period", "PeriodDtype", "core.dtypes.dtypes.PeriodDtype", "_libs.sparse.IntIndex",
            "_libs.sparse.BlockIndex")],
        "pandas: tables in logs of training",
    ),
    **dict.fromkeys(
        [f"pandas._libs.tslibs.offsets.{name}" for name in (
            "Day", "Hour", "Minute", "Second", "Milli", "Micro", "Nano", "MonthBegin", "MonthEnd", "BusinessMonthBegin",
            "BusinessMonthEnd", "QuarterBegin", "QuarterEnd", "BQuarterBegin", "BQuarterEnd", "YearBegin", "YearEnd",
            "BYearBegin", "BYearEnd", "Week", "WeekOfMonth", "LastWeekOfMonth", "SemiMonthBegin", "SemiMonthEnd",
            "BusinessDay")],
        "pandas: the frequency of dates",  # those called Custom ask a calendar, which may be any object
    ),
}  # fmt: skip
"""What other producers call in their own files, each with the producer; each was read and does no more than make a value."""

HARMLESS: Final[dict[str, Expected]] = {
    **dict.fromkeys(
        ("logging.getLogger", "collections.namedtuple", "random.Random", "typing._GenericAlias", "itertools.count",
         "itertools.repeat", "itertools.chain", "itertools.cycle", "itertools.product", "zoneinfo.ZoneInfo._unpickle",
         "ipaddress.IPv4Address", "ipaddress.IPv6Address", "re.RegexFlag", "statistics.NormalDist"),
        "called",
    ),
    **dict.fromkeys(
        ("copy.copy", "copy.deepcopy", "math.inf", "math.sqrt", "math.exp", "math.log", "enum._make_class_unpicklable",
         "weakref.ref", "string.capwords", "abc.abstractmethod", "dataclasses.field", "_weakref.ref"),
        "named",
    ),
}  # fmt: skip
"""Parts of Python's library that do turn up in training state; a file of tensors needs none of them."""


class Calling(NamedTuple):
    """How a function calls one of its arguments.

    Attributes:
        function: Which it calls.
        arguments: Which of them is the tuple of what it is called with; None where those before it are.
    """

    function: int
    arguments: int | None = None


TAKES_A_FUNCTION: Final[dict[str, Calling]] = {
    "torch._tensor._rebuild_from_type": Calling(0, 2),
    "torch._tensor._rebuild_from_type_v2": Calling(0, 2),
    "torch.tensor._rebuild_from_type": Calling(0, 2),
    "torch.tensor._rebuild_from_type_v2": Calling(0, 2),
    "numpy.random._pickle.__randomstate_ctor": Calling(1),
    "numpy.random._pickle.__generator_ctor": Calling(1),
    "numpy.random._pickle.__bit_generator_ctor": Calling(0),
    "torch._dynamo.eval_frame.OptimizedModule": Calling(1),
    "copyreg._reconstructor": Calling(1),
}
"""Of the safe names, those that call one of their arguments."""

CALLED_SAFELY: Final = frozenset({"torch._dynamo.eval_frame.OptimizeContext"})
"""Classes whose instances may be what such a name calls: the call wraps a function, and calls nothing."""

ALLOCATORS: Final = frozenset({"builtins.bytearray", "builtins.bytes", "builtins.range", "array.array"})
"""Of the safe names, those that an integer makes as large as it says."""

MANY_BYTES: Final = 1 << 28
"""What an allocator may be asked for before it is worth a word."""
