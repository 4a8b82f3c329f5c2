"""Names that torch writes into its files, each defined at the top of the module by which it is called.

Made by `scripts/make_safe_names.py` of the sources of torch 1.0.0 to 2.14.1
(1.0.0, 1.5.1, 1.8.1, 1.10.2, 1.13.1, 2.0.1, 2.2.2, 2.4.0, 2.4.1, 2.5.1, 2.6.0, 2.7.1, 2.8.0, 2.9.1, 2.10.0, 2.11.0,
2.12.0, 2.13.0, 2.14.0, 2.14.1); not to be edited.
"""

from __future__ import annotations

from typing import Final

REBUILT: Final[dict[str, str]] = {
    "torch": "_TorchCompileAOTInductorWrapper _TorchCompileInductorWrapper _TorchCompileWrapper",
    "torch._dynamo.convert_frame":
        "CatchErrorsWrapper ConvertFrame ConvertFrameAssert ConvertFrameBox ConvertFrameProtocol",
    "torch._dynamo.decorators": "_DimRange",
    "torch._dynamo.hooks": "Hooks",
    "torch._dynamo.repro.after_dynamo": "WrapBackendDebug",
    "torch._tensor": "Tensor",
    "torch.amp.grad_scaler": "GradScaler _MultiDeviceReplicator",
    "torch.ao.nn.intrinsic.modules.fused":
        "BNReLU2d BNReLU3d ConvAdd2d ConvAddReLU2d ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d "
        "ConvReLU1d ConvReLU2d ConvReLU3d LinearBn1d LinearLeakyReLU LinearReLU LinearTanh _FusedModule",
    "torch.ao.nn.intrinsic.qat.modules.conv_fused":
        "ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU1d ConvReLU2d ConvReLU3d _ConvBnNd",
    "torch.ao.nn.intrinsic.qat.modules.linear_fused": "LinearBn1d",
    "torch.ao.nn.intrinsic.qat.modules.linear_relu": "LinearReLU",
    "torch.ao.nn.intrinsic.quantized.dynamic.modules.linear_relu": "LinearReLU",
    "torch.ao.nn.intrinsic.quantized.modules.bn_relu": "BNReLU2d BNReLU3d",
    "torch.ao.nn.intrinsic.quantized.modules.conv_add": "ConvAdd2d ConvAddReLU2d",
    "torch.ao.nn.intrinsic.quantized.modules.conv_relu": "ConvReLU1d ConvReLU2d ConvReLU3d",
    "torch.ao.nn.intrinsic.quantized.modules.linear_relu": "LinearLeakyReLU LinearReLU LinearTanh",
    "torch.ao.nn.qat.dynamic.modules.linear": "Linear",
    "torch.ao.nn.qat.modules.conv": "Conv1d Conv2d Conv3d _ConvNd",
    "torch.ao.nn.qat.modules.embedding_ops": "Embedding EmbeddingBag",
    "torch.ao.nn.qat.modules.linear": "Linear",
    "torch.ao.nn.quantizable.modules.activation": "MultiheadAttention",
    "torch.ao.nn.quantizable.modules.rnn": "LSTM LSTMCell _LSTMLayer _LSTMSingleLayer",
    "torch.ao.nn.quantized.dynamic.modules.conv":
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "torch.ao.nn.quantized.dynamic.modules.linear": "Linear",
    "torch.ao.nn.quantized.dynamic.modules.rnn":
        "GRU GRUCell LSTM LSTMCell PackedParameter RNNBase RNNCell RNNCellBase",
    "torch.ao.nn.quantized.modules": "DeQuantize Quantize",
    "torch.ao.nn.quantized.modules.activation":
        "ELU Hardswish LeakyReLU MultiheadAttention PReLU ReLU6 Sigmoid Softmax",
    "torch.ao.nn.quantized.modules.batchnorm": "BatchNorm2d BatchNorm3d _BatchNorm",
    "torch.ao.nn.quantized.modules.conv":
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d _ConvNd _ConvTransposeNd",
    "torch.ao.nn.quantized.modules.dropout": "Dropout",
    "torch.ao.nn.quantized.modules.embedding_ops": "Embedding EmbeddingBag EmbeddingPackedParams",
    "torch.ao.nn.quantized.modules.functional_modules": "FXFloatFunctional FloatFunctional QFunctional",
    "torch.ao.nn.quantized.modules.linear": "Linear LinearPackedParams",
    "torch.ao.nn.quantized.modules.normalization": "GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm",
    "torch.ao.nn.quantized.modules.rnn": "LSTM",
    "torch.ao.nn.quantized.modules.utils": "WeightedQuantizedModule",
    "torch.ao.nn.quantized.reference.modules.conv":
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d _ConvNd _ConvTransposeNd",
    "torch.ao.nn.quantized.reference.modules.linear": "Linear",
    "torch.ao.nn.quantized.reference.modules.rnn": "GRU GRUCell LSTM LSTMCell RNNBase RNNCell RNNCellBase",
    "torch.ao.nn.quantized.reference.modules.sparse": "Embedding EmbeddingBag",
    "torch.ao.nn.quantized.reference.modules.utils": "ReferenceQuantizedModule",
    "torch.ao.nn.sparse.quantized.dynamic.linear": "Linear",
    "torch.ao.nn.sparse.quantized.linear": "Linear LinearPackedParams",
    "torch.ao.nn.sparse.quantized.utils": "LinearBlockSparsePattern",
    "torch.ao.pruning.scheduler.base_scheduler": "BaseScheduler",
    "torch.ao.pruning.scheduler.cubic_scheduler": "CubicSL",
    "torch.ao.pruning.scheduler.lambda_scheduler": "LambdaSL",
    "torch.ao.pruning.sparsifier.base_sparsifier": "BaseSparsifier",
    "torch.ao.pruning.sparsifier.nearly_diagonal_sparsifier": "NearlyDiagonalSparsifier",
    "torch.ao.pruning.sparsifier.utils": "FakeSparsity",
    "torch.ao.pruning.sparsifier.weight_norm_sparsifier": "WeightNormSparsifier",
    "torch.ao.quantization.backend_config.backend_config":
        "BackendConfig BackendPatternConfig DTypeConfig DTypeWithConstraints",
    "torch.ao.quantization.fake_quantize":
        "FakeQuantize FakeQuantizeBase FixedQParamsFakeQuantize FusedMovingAvgObsFakeQuantize",
    "torch.ao.quantization.observer":
        "AffineQuantizedObserverBase FixedQParamsObserver Granularity HistogramObserver MinMaxObserver "
        "MovingAverageMinMaxObserver MovingAveragePerChannelMinMaxObserver NoopObserver ObserverBase PerAxis PerBlock "
        "PerChannelMinMaxObserver PerGroup PerRow PerTensor PerToken PlaceholderObserver RecordingObserver "
        "ReuseInputObserver UniformQuantizationObserverBase _ObserverBase _PartialWrapper",
    "torch.ao.quantization.qconfig": "QConfig QConfigDynamic",
    "torch.ao.quantization.qconfig_mapping": "QConfigMapping",
    "torch.ao.quantization.stubs": "DeQuantStub QuantStub QuantWrapper",
    "torch.ao.quantization.utils": "MatchAllNode",
    "torch.ao.sparsity.scheduler.base_scheduler": "BaseScheduler",
    "torch.ao.sparsity.scheduler.cubic_scheduler": "CubicSL",
    "torch.ao.sparsity.scheduler.lambda_scheduler": "LambdaSL",
    "torch.ao.sparsity.sparsifier.base_sparsifier": "BaseSparsifier",
    "torch.ao.sparsity.sparsifier.nearly_diagonal_sparsifier": "NearlyDiagonalSparsifier",
    "torch.ao.sparsity.sparsifier.utils": "FakeSparsity",
    "torch.ao.sparsity.sparsifier.weight_norm_sparsifier": "WeightNormSparsifier",
    "torch.cpu.amp.grad_scaler": "GradScaler",
    "torch.cuda.amp.grad_scaler": "GradScaler _MultiDeviceReplicator",
    "torch.distributed._mesh_layout": "_FlatLayout _MeshLayout",
    "torch.distributed._shard.metadata": "ShardMetadata",
    "torch.distributed._shard.sharded_tensor.api": "ShardedTensor ShardedTensorBase",
    "torch.distributed._shard.sharded_tensor.metadata": "ShardedTensorMetadata TensorProperties",
    "torch.distributed._shard.sharded_tensor.shard": "Shard",
    "torch.distributed._shard.sharding_spec.api":
        "DevicePlacementSpec EnumerableShardingSpec PlacementSpec ShardingSpec",
    "torch.distributed._shard.sharding_spec.chunk_sharding_spec": "ChunkShardingSpec",
    "torch.distributed._sharding_spec.api":
        "ChunkShardingSpec DevicePlacementSpec EnumerableShardingSpec PlacementSpec ShardingSpec",
    "torch.distributed._tensor.api": "DTensor _FromTorchTensor _ToTorchTensor",
    "torch.distributed._tensor.device_mesh": "DeviceMesh",
    "torch.distributed._tensor.placement_types": "DTensorSpec Partial Placement Replicate Shard TensorMeta _Partial",
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper": "ActivationWrapper CheckpointWrapper OffloadWrapper",
    "torch.distributed.checkpoint.filesystem": "_StorageInfo _StoragePrefix",
    "torch.distributed.checkpoint.metadata":
        "BytesStorageMetadata ChunkStorageMetadata Metadata MetadataIndex StorageMeta TensorProperties "
        "TensorStorageMetadata",
    "torch.distributed.device_mesh": "DeviceMesh _DeviceMeshStub _MeshEnv",
    "torch.distributed.fsdp._flat_param": "FlatParamShardMetadata",
    "torch.distributed.fsdp.api":
        "CPUOffload FullOptimStateDictConfig FullStateDictConfig LocalOptimStateDictConfig LocalStateDictConfig "
        "MixedPrecision OptimStateDictConfig ShardedOptimStateDictConfig ShardedStateDictConfig StateDictConfig "
        "StateDictSettings",
    "torch.distributed.remote_device": "_remote_device",
    "torch.distributed.tensor": "DTensor",
    "torch.distributed.tensor._api": "DTensor _FromTorchTensor _ToTorchTensor",
    "torch.distributed.tensor._dtensor_spec": "DTensorSpec ShardOrderEntry TensorMeta _StridedShardNotDecodableError",
    "torch.distributed.tensor._shards_wrapper": "LocalShardsWrapper",
    "torch.distributed.tensor.placement_types":
        "MaskPartial Partial Placement Replicate Shard _MaskPartial _StridedShard",
    "torch.distributions.bernoulli": "Bernoulli",
    "torch.distributions.beta": "Beta",
    "torch.distributions.binomial": "Binomial",
    "torch.distributions.categorical": "Categorical",
    "torch.distributions.cauchy": "Cauchy",
    "torch.distributions.chi2": "Chi2",
    "torch.distributions.constraint_registry": "ConstraintRegistry",
    "torch.distributions.constraints":
        "Constraint MixtureSameFamilyConstraint _Boolean _Cat _CorrCholesky _Dependent _DependentProperty "
        "_GreaterThan _GreaterThanEq _HalfOpenInterval _IndependentConstraint _IntegerGreaterThan _IntegerInterval "
        "_IntegerLessThan _Interval _LessThan _LowerCholesky _LowerTriangular _Multinomial _OneHot _PositiveDefinite "
        "_PositiveSemidefinite _Real _RealVector _Simplex _Square _Stack _Symmetric",
    "torch.distributions.continuous_bernoulli": "ContinuousBernoulli",
    "torch.distributions.dirichlet": "Dirichlet _Dirichlet",
    "torch.distributions.distribution": "Distribution",
    "torch.distributions.exp_family": "ExponentialFamily",
    "torch.distributions.exponential": "Exponential",
    "torch.distributions.fishersnedecor": "FisherSnedecor",
    "torch.distributions.gamma": "Gamma",
    "torch.distributions.generalized_pareto": "GeneralizedPareto",
    "torch.distributions.geometric": "Geometric",
    "torch.distributions.gumbel": "Gumbel",
    "torch.distributions.half_cauchy": "HalfCauchy",
    "torch.distributions.half_normal": "HalfNormal",
    "torch.distributions.independent": "Independent",
    "torch.distributions.inverse_gamma": "InverseGamma",
    "torch.distributions.kl": "_Match",
    "torch.distributions.kumaraswamy": "Kumaraswamy",
    "torch.distributions.laplace": "Laplace",
    "torch.distributions.lkj_cholesky": "LKJCholesky",
    "torch.distributions.log_normal": "LogNormal",
    "torch.distributions.logistic_normal": "LogisticNormal",
    "torch.distributions.lowrank_multivariate_normal": "LowRankMultivariateNormal",
    "torch.distributions.mixture_same_family": "MixtureSameFamily",
    "torch.distributions.multinomial": "Multinomial",
    "torch.distributions.multivariate_normal": "MultivariateNormal",
    "torch.distributions.negative_binomial": "NegativeBinomial",
    "torch.distributions.normal": "Normal",
    "torch.distributions.one_hot_categorical": "OneHotCategorical OneHotCategoricalStraightThrough",
    "torch.distributions.pareto": "Pareto",
    "torch.distributions.poisson": "Poisson",
    "torch.distributions.relaxed_bernoulli": "LogitRelaxedBernoulli RelaxedBernoulli",
    "torch.distributions.relaxed_categorical": "ExpRelaxedCategorical RelaxedOneHotCategorical",
    "torch.distributions.studentT": "StudentT",
    "torch.distributions.transformed_distribution": "TransformedDistribution",
    "torch.distributions.transforms":
        "AbsTransform AffineTransform CatTransform ComposeTransform CorrCholeskyTransform "
        "CumulativeDistributionTransform ExpTransform IndependentTransform LowerCholeskyTransform "
        "PositiveDefiniteTransform PowerTransform ReshapeTransform SigmoidTransform SoftmaxTransform "
        "SoftplusTransform StackTransform StickBreakingTransform TanhTransform Transform _InverseTransform",
    "torch.distributions.uniform": "Uniform",
    "torch.distributions.utils": "_lazy_property_and_property lazy_property",
    "torch.distributions.von_mises": "VonMises",
    "torch.distributions.weibull": "Weibull",
    "torch.distributions.wishart": "Wishart",
    "torch.masked.maskedtensor.core": "MaskedTensor",
    "torch.nested._internal.nested_tensor":
        "NestedTensor ViewBufferFromNested ViewNestedFromBuffer ViewNonContiguousNestedFromBuffer",
    "torch.nn.attention.bias": "CausalBias",
    "torch.nn.intrinsic.modules.fused":
        "BNReLU2d BNReLU3d ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU1d ConvReLU2d "
        "ConvReLU3d LinearReLU _FusedModule",
    "torch.nn.intrinsic.qat.modules.conv_fused":
        "ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU1d ConvReLU2d ConvReLU3d _ConvBnNd",
    "torch.nn.intrinsic.qat.modules.linear_fused": "LinearBn1d",
    "torch.nn.intrinsic.qat.modules.linear_relu": "LinearReLU",
    "torch.nn.intrinsic.quantized._reference.modules.linear_relu": "LinearReLU",
    "torch.nn.intrinsic.quantized.dynamic.modules.linear_relu": "LinearReLU",
    "torch.nn.intrinsic.quantized.modules.bn_relu": "BNReLU2d BNReLU3d",
    "torch.nn.intrinsic.quantized.modules.conv_relu": "ConvReLU1d ConvReLU2d ConvReLU3d",
    "torch.nn.intrinsic.quantized.modules.linear_relu": "LinearReLU",
    "torch.nn.modules._functions": "BackwardHookFunction CrossMapLRN2d SyncBatchNorm",
    "torch.nn.modules.activation":
        "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish "
        "MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink "
        "Softsign Tanh Tanhshrink Threshold",
    "torch.nn.modules.adaptive": "AdaptiveLogSoftmaxWithLoss",
    "torch.nn.modules.batchnorm":
        "BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d SyncBatchNorm _BatchNorm "
        "_LazyNormBase _NormBase",
    "torch.nn.modules.channelshuffle": "ChannelShuffle",
    "torch.nn.modules.container": "Container ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "torch.nn.modules.conv":
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d "
        "LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d _ConvNd _ConvTransposeMixin _ConvTransposeNd "
        "_LazyConvXdMixin",
    "torch.nn.modules.distance": "CosineSimilarity PairwiseDistance",
    "torch.nn.modules.dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout _DropoutNd",
    "torch.nn.modules.flatten": "Flatten Unflatten",
    "torch.nn.modules.fold": "Fold Unfold",
    "torch.nn.modules.instancenorm":
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d "
        "_InstanceNorm",
    "torch.nn.modules.lazy": "LazyModuleMixin _LazyProtocol",
    "torch.nn.modules.linear": "Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear _LinearWithBias",
    "torch.nn.modules.linear_cross_entropy": "_ChunkContext _ChunkViews",
    "torch.nn.modules.linear_cross_entropy_options": "LinearCrossEntropyOptions _AutoDefault",
    "torch.nn.modules.loss":
        "BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss "
        "HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss MultiLabelMarginLoss "
        "MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss "
        "TripletMarginLoss TripletMarginWithDistanceLoss _Loss _WeightedLoss",
    "torch.nn.modules.module": "Module _IncompatibleKeys _WrappedHook",
    "torch.nn.modules.normalization": "CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "torch.nn.modules.padding":
        "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d "
        "ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d "
        "ZeroPad3d _CircularPadNd _ConstantPadNd _ReflectionPadNd _ReplicationPadNd",
    "torch.nn.modules.pixelshuffle": "PixelShuffle PixelUnshuffle",
    "torch.nn.modules.pooling":
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
        "AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxPool1d "
        "MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d _AdaptiveAvgPoolNd _AdaptiveMaxPoolNd _AvgPoolNd "
        "_LPPoolNd _MaxPoolNd _MaxUnpoolNd",
    "torch.nn.modules.rnn": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "torch.nn.modules.sparse": "Embedding EmbeddingBag",
    "torch.nn.modules.transformer":
        "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer",
    "torch.nn.modules.upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
    "torch.nn.parallel.data_parallel": "DataParallel",
    "torch.nn.parallel.distributed":
        "DistributedDataParallel _BucketCapacityConfig _BufferCommHook _DDPJoinHook _DDPSink _DDPUnevenInputsConfig "
        "_MixedPrecision",
    "torch.nn.qat.modules.conv": "Conv2d Conv3d",
    "torch.nn.qat.modules.linear": "Linear",
    "torch.nn.quantizable.modules.activation": "MultiheadAttention",
    "torch.nn.quantizable.modules.rnn": "LSTM LSTMCell _LSTMLayer _LSTMSingleLayer",
    "torch.nn.quantized._reference.modules.conv": "Conv1d Conv2d Conv3d _ConvNd",
    "torch.nn.quantized._reference.modules.linear": "Linear",
    "torch.nn.quantized.dynamic.modules.linear": "Linear",
    "torch.nn.quantized.dynamic.modules.rnn": "GRU GRUCell LSTM LSTMCell PackedParameter RNNBase RNNCell RNNCellBase",
    "torch.nn.quantized.modules": "DeQuantize Quantize",
    "torch.nn.quantized.modules.activation": "ELU Hardswish LeakyReLU ReLU ReLU6 Sigmoid",
    "torch.nn.quantized.modules.batchnorm": "BatchNorm2d BatchNorm3d",
    "torch.nn.quantized.modules.conv":
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d _ConvNd _ConvTransposeNd",
    "torch.nn.quantized.modules.embedding_ops": "Embedding EmbeddingBag EmbeddingPackedParams",
    "torch.nn.quantized.modules.functional_modules": "FXFloatFunctional FloatFunctional QFunctional",
    "torch.nn.quantized.modules.linear": "Linear LinearPackedParams",
    "torch.nn.quantized.modules.normalization": "GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm",
    "torch.nn.utils.parametrizations": "_Orthogonal _SpectralNorm _WeightNorm",
    "torch.nn.utils.parametrize": "ParametrizationList",
    "torch.nn.utils.prune":
        "BasePruningMethod CustomFromMask Identity L1Unstructured LnStructured PruningContainer RandomStructured "
        "RandomUnstructured",
    "torch.nn.utils.rnn": "PackedSequence PackedSequence_",
    "torch.nn.utils.spectral_norm": "SpectralNorm SpectralNormLoadStateDictPreHook SpectralNormStateDictHook",
    "torch.nn.utils.weight_norm": "WeightNorm",
    "torch.optim": "Adafactor Muon",
    "torch.optim._adafactor": "Adafactor",
    "torch.optim._multi_tensor.adadelta": "Adadelta",
    "torch.optim._multi_tensor.adagrad": "Adagrad",
    "torch.optim._multi_tensor.adam": "Adam",
    "torch.optim._multi_tensor.adamax": "Adamax",
    "torch.optim._multi_tensor.adamw": "AdamW",
    "torch.optim._multi_tensor.asgd": "ASGD",
    "torch.optim._multi_tensor.nadam": "NAdam",
    "torch.optim._multi_tensor.radam": "RAdam",
    "torch.optim._multi_tensor.rmsprop": "RMSprop",
    "torch.optim._multi_tensor.rprop": "Rprop",
    "torch.optim._multi_tensor.sgd": "SGD",
    "torch.optim._muon": "Muon",
    "torch.optim._stateless": "_GroupSwapinInfo",
    "torch.optim.adadelta": "Adadelta",
    "torch.optim.adagrad": "Adagrad",
    "torch.optim.adam": "Adam _MultiDeviceReplicator",
    "torch.optim.adamax": "Adamax",
    "torch.optim.adamw": "AdamW",
    "torch.optim.asgd": "ASGD",
    "torch.optim.lbfgs": "LBFGS",
    "torch.optim.lr_scheduler":
        "ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LRScheduler "
        "LambdaLR LinearLR MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR "
        "_LRScheduler _SchedulePhase _enable_get_lr_call _initial_mode",
    "torch.optim.nadam": "NAdam",
    "torch.optim.optimizer": "Optimizer _RequiredParameter",
    "torch.optim.radam": "RAdam",
    "torch.optim.rmsprop": "RMSprop",
    "torch.optim.rprop": "Rprop",
    "torch.optim.sgd": "SGD",
    "torch.optim.sparse_adam": "SparseAdam",
    "torch.optim.swa_utils": "AveragedModel SWALR",
    "torch.quantization.fake_quantize": "FakeQuantize FakeQuantizeBase FixedQParamsFakeQuantize",
    "torch.quantization.observer":
        "HistogramObserver MinMaxObserver MovingAverageMinMaxObserver MovingAveragePerChannelMinMaxObserver "
        "NoopObserver ObserverBase PerChannelMinMaxObserver PlaceholderObserver RecordingObserver _ObserverBase",
    "torch.quantization.qconfig": "QConfig QConfigDynamic",
    "torch.quantization.stubs": "DeQuantStub QuantStub QuantWrapper",
    "torch.sparse.semi_structured":
        "SparseSemiStructuredTensor SparseSemiStructuredTensorCUSPARSELT SparseSemiStructuredTensorCUTLASS",
    "torch.storage": "TypedStorage UntypedStorage _LegacyStorage",
    "torch.tensor": "Tensor",
    "torch.torch_version": "_LazyImport",
    "torch.utils.data.dataloader": "DataLoader _DatasetKind _InfiniteConstantSampler",
    "torch.utils.data.dataset":
        "BufferedShuffleDataset ChainDataset ConcatDataset DFIterDataPipe DataChunk Dataset IterableDataset "
        "StackDataset Subset TensorDataset",
    "torch.utils.data.sampler":
        "BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler WeightedRandomSampler",
    "torch.utils.hooks": "BackwardHook RemovableHandle",
}  # fmt: skip
"""Classes whose instances are made without a call (NEWOBJ); a file that torch wrote does not call them."""

CALLED: Final[dict[str, str]] = {
    "torch._dynamo.eval_frame": "OptimizeContext OptimizedModule",
    "torch._tensor": "_rebuild_from_type _rebuild_from_type_v2",
    "torch._utils":
        "_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage "
        "_rebuild_nested_tensor _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor "
        "_rebuild_sparse_csr_tensor _rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 "
        "_rebuild_wrapper_subclass _rebuild_xla_tensor",
    "torch.amp.grad_scaler": "OptState",
    "torch.ao.quantization.backend_config.backend_config": "ObservationType",
    "torch.ao.quantization.observer": "MappingType TorchAODType ZeroPointDomain",
    "torch.ao.quantization.quant_type": "QuantType",
    "torch.cuda.amp.grad_scaler": "OptState",
    "torch.distributed._shard.sharded_tensor.metadata": "MEM_FORMAT_ENCODING",
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper": "CheckpointImpl",
    "torch.distributed.checkpoint.metadata": "_MEM_FORMAT_ENCODING",
    "torch.distributed.fsdp._flat_param": "FlatParameter",
    "torch.distributed.fsdp.api": "BackwardPrefetch ShardingStrategy StateDictType",
    "torch.distributed.tensor.placement_types": "_StridedShardOffsetMode",
    "torch.jit._pickle":
        "build_boollist build_doublelist build_intlist build_tensor_from_id build_tensorlist restore_type_tag",
    "torch.nested._internal.nested_tensor": "_rebuild_njt",
    "torch.nn.attention.bias": "CausalVariant",
    "torch.nn.backends.thnn": "_get_thnn_function_backend",
    "torch.nn.parallel.distributed": "_BufferCommHookLocation",
    "torch.nn.parameter":
        "Buffer Parameter UninitializedBuffer UninitializedParameter UninitializedTensorMixin _BufferMeta "
        "_ParameterMeta",
    "torch.nn.utils.parametrizations": "_OrthMaps",
    "torch.quantization.quant_type": "QuantType",
    "torch.serialization": "_get_layout",
    "torch.storage": "_load_from_bytes",
    "torch.tensor": "_rebuild_from_type",
    "torch.torch_version": "TorchVersion",
    "torch.utils._ordered_set": "OrderedSet",
    "torch.utils.checkpoint": "CheckpointPolicy",
}  # fmt: skip
"""Functions and classes that such a file calls."""

NAMED: Final[dict[str, str]] = {
    "torch._C._VariableFunctions":
        "abs absolute acos acosh adaptive_avg_pool1d adaptive_max_pool1d add addbmm addcdiv addcmul addmm addmv addr "
        "adjoint affine_grid_generator alias_copy all allclose alpha_dropout alpha_dropout_ amax amin aminmax angle "
        "any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_strided "
        "as_strided_copy as_strided_scatter as_tensor asarray asin asinh atan atan2 atanh avg_pool1d baddbmm "
        "bartlett_window batch_norm batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt "
        "batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats "
        "bernoulli bilinear binary_cross_entropy_with_logits bincount binomial bitwise_and bitwise_left_shift "
        "bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman_window bmm broadcast_to bucketize can_cast "
        "cat ccol_indices_copy ceil celu celu_ channel_shuffle cholesky cholesky_inverse cholesky_solve "
        "choose_qparams_optimized chunk clamp clamp_max clamp_min clip clone col_indices_copy column_stack "
        "combinations complex concat concatenate conj conj_physical constant_pad_nd conv1d conv2d conv3d conv_tbc "
        "conv_transpose1d conv_transpose2d conv_transpose3d convolution copysign corrcoef cos cosh "
        "cosine_embedding_loss cosine_similarity count_nonzero cov cross crow_indices_copy ctc_loss "
        "cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu "
        "cudnn_convolution_relu cudnn_convolution_transpose cudnn_grid_sampler cudnn_is_acceptable cummax cummin "
        "cumprod cumsum cumulative_trapezoid deg2rad dequantize det detach detach_copy diag diag_embed diagflat "
        "diagonal diagonal_copy diagonal_scatter diff digamma dist div divide dot dropout dropout_ dsmm dsplit dstack "
        "eig embedding embedding_bag empty empty_like empty_meta empty_permuted empty_quantized empty_strided eq "
        "equal erf erfc erfinv exp exp2 expand_copy expm1 eye fake_quantize_per_channel_affine "
        "fake_quantize_per_tensor_affine fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation "
        "fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight "
        "fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix feature_alpha_dropout feature_alpha_dropout_ "
        "feature_dropout fill fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac frexp "
        "frobenius_norm from_numpy full full_like fused_moving_avg_obs_fake_quant gather gcd ge geqrf ger "
        "get_default_dtype get_num_interop_threads get_num_threads gradient greater greater_equal grid_sampler "
        "grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hamming_window hann_window hardshrink hash_tensor "
        "heaviside hinge_embedding_loss histc histogram histogramdd hsmm hsplit hspmm hstack hypot i0 igamma igammac "
        "imag index_add index_copy index_fill index_put index_reduce index_select indices_copy inner instance_norm "
        "int_repr inverse is_complex is_conj is_distributed is_floating_point is_inference is_neg is_nonzero "
        "is_same_size is_signed is_vulkan_available isclose isfinite isin isinf isnan isneginf isposinf isreal istft "
        "kaiser_window kl_div kron kthvalue layer_norm lcm ldexp le lerp less less_equal lgamma linspace log log10 "
        "log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or "
        "logical_xor logit logspace logsumexp lstm lstm_cell lstsq lt lu_solve lu_unpack margin_ranking_loss "
        "masked_fill masked_scatter masked_select matmul matrix_exp matrix_power matrix_rank max max_pool1d "
        "max_pool1d_with_indices max_pool2d max_pool3d maximum mean median min minimum miopen_batch_norm "
        "miopen_convolution miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose "
        "miopen_ctc_loss miopen_depthwise_convolution miopen_rnn mkldnn_adaptive_avg_pool2d mkldnn_convolution "
        "mkldnn_convolution_backward_weights mkldnn_linear_backward_weights mkldnn_max_pool2d mkldnn_max_pool3d "
        "mkldnn_rnn_layer mm mode moveaxis movedim msort mul multinomial multiply mv mvlgamma nan_to_num nanmean "
        "nanmedian nanquantile nansum narrow narrow_copy native_batch_norm native_channel_shuffle native_dropout "
        "native_group_norm native_layer_norm native_norm ne neg negative nextafter nonzero nonzero_static "
        "norm_except_dim normal not_equal nuclear_norm numel ones ones_like orgqr ormqr outer pairwise_distance pdist "
        "permute permute_copy pinverse pixel_shuffle pixel_unshuffle poisson poisson_nll_loss polar polygamma "
        "positive pow prelu prod promote_types put q_per_channel_axis q_per_channel_scales q_per_channel_zero_points "
        "q_scale q_zero_point qr quantile quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic "
        "quantized_batch_norm quantized_gru_cell quantized_lstm_cell quantized_max_pool1d quantized_max_pool2d "
        "quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell rad2deg rand rand_like randint "
        "randint_like randn randn_like randperm range ravel real reciprocal relu relu_ remainder renorm "
        "repeat_interleave reshape resolve_conj resolve_neg result_type rms_norm rnn_relu rnn_relu_cell rnn_tanh "
        "rnn_tanh_cell roll rot90 round row_indices_copy row_stack rrelu rrelu_ rsqrt rsub saddmm scalar_tensor "
        "scatter scatter_add scatter_reduce searchsorted segment_reduce select select_copy select_scatter selu selu_ "
        "sgn sigmoid sigmoid_ sign signbit sin sinc sinh slice_copy slice_inverse slice_scatter slogdet smm softmax "
        "solve sort sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor "
        "sparse_csr_tensor split_copy split_with_sizes split_with_sizes_copy spmm sqrt square squeeze squeeze_copy "
        "sspaddmm stack std std_mean sub subtract sum svd swapaxes swapdims sym_constrain_range "
        "sym_constrain_range_for_size symeig t t_copy take take_along_dim tan tanh tanh_ tensor tensor_split "
        "threshold threshold_ tile topk trace transpose transpose_copy trapezoid trapz triangular_solve tril "
        "tril_indices triplet_margin_loss triu triu_indices true_divide trunc unbind unbind_copy unflatten "
        "unfold_copy unique_dim unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy "
        "values_copy vander var var_mean vdot view_as_complex view_as_complex_copy view_as_real view_as_real_copy "
        "view_copy vsplit vstack where xlogy zeros zeros_like",
    "torch._C._nn":
        "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d avg_pool2d avg_pool3d "
        "binary_cross_entropy col2im cross_entropy_loss elu elu_ flatten_dense_tensors fractional_max_pool2d "
        "fractional_max_pool3d gelu glu hardsigmoid hardswish hardtanh hardtanh_ huber_loss im2col l1_loss leaky_relu "
        "leaky_relu_ linear log_sigmoid max_pool2d_with_indices max_pool3d_with_indices max_unpool2d max_unpool3d "
        "mish mkldnn_linear mkldnn_prelu mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight mse_loss "
        "multi_margin_loss multilabel_margin_loss nll_loss_nd one_hot pad pad_sequence relu6 "
        "scaled_dot_product_attention silu smooth_l1_loss soft_margin_loss softplus softshrink "
        "unflatten_dense_tensors upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d "
        "upsample_nearest2d upsample_nearest3d upsample_trilinear3d",
    "torch.amp.grad_scaler": "_refresh_per_optimizer_state",
    "torch.cuda.amp.grad_scaler": "_refresh_per_optimizer_state",
    "torch.nn.functional":
        "_adaptive_max_pool1d _adaptive_max_pool2d _adaptive_max_pool3d _canonical_mask _check_key_padding_mask "
        "_check_unpool_output_size _enum_list_as_int_list _expand_single_value _fractional_max_pool2d "
        "_fractional_max_pool3d _get_softmax_dim _gumbel_softmax_sample _in_projection _in_projection_packed "
        "_interp_output_size _is_integer _list_or_empty _max_pool1d _max_pool2d _max_pool3d _mha_shape_check "
        "_none_or_dtype _pad _pad_circular _pointwise_loss _sample_gumbel _scaled_dot_product_attention "
        "_smooth_l1_loss _threshold _unpool_output_size _verify_batch_size _verify_spatial_size adaptive_avg_pool2d "
        "adaptive_avg_pool3d adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices "
        "adaptive_max_pool3d_with_indices affine_grid alpha_dropout assert_int_or_pair batch_norm bilinear "
        "binary_cross_entropy binary_cross_entropy_with_logits celu cosine_embedding_loss cross_entropy ctc_loss "
        "dropout dropout1d dropout2d dropout3d elu embedding embedding_bag feature_alpha_dropout fold "
        "fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices gaussian_nll_loss gelu glu grid_sample "
        "group_norm grouped_mm gumbel_softmax hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss "
        "huber_loss instance_norm interpolate kl_div l1_loss layer_norm leaky_relu linear linear_cross_entropy "
        "local_response_norm log_softmax lp_pool1d lp_pool2d lp_pool3d margin_ranking_loss max_pool1d_with_indices "
        "max_pool2d_with_indices max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d mish mse_loss "
        "multi_head_attention_forward multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss "
        "normalize pad pairwise_distance poisson_nll_loss prelu relu relu6 rms_norm rrelu scaled_grouped_mm scaled_mm "
        "selu sigmoid silu smooth_l1_loss soft_margin_loss softmax softmin softsign tanh tanhshrink threshold "
        "triplet_margin_loss triplet_margin_with_distance_loss unfold upsample upsample_bilinear upsample_nearest",
    "torch.nn.init":
        "_calculate_correct_fan _make_deprecate calculate_gain constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ "
        "normal_ ones_ orthogonal_ sparse_ trunc_normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_",
    "torch.utils.data._utils.collate": "default_collate default_convert",
    "torch.utils.data.dataloader": "default_collate",
}  # fmt: skip
"""Functions on tensors that models keep as attributes; no file calls them."""
