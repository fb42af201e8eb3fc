"""Layers and losses, with the names and arguments of ``torch.nn``."""

from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import functional, init, utils
from fastdrop.nn.activation import (
    GELU,
    SELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Tanh,
)
from fastdrop.nn.adaptive_softmax import AdaptiveLogSoftmaxWithLoss
from fastdrop.nn.attention import MultiheadAttention
from fastdrop.nn.bilinear import (
    Bilinear,
)
from fastdrop.nn.channel_norm import (
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LocalResponseNorm,
)
from fastdrop.nn.concrete import ConcreteDropout, concrete_regularizer
from fastdrop.nn.container import Sequential
from fastdrop.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from fastdrop.nn.ctc_loss import (
    CTCLoss,
)
from fastdrop.nn.distance import (
    CosineSimilarity,
    PairwiseDistance,
)
from fastdrop.nn.dropblock import DropBlock1d, DropBlock2d, DropBlock3d
from fastdrop.nn.dropconnect import DropConnectConv2d, DropConnectLinear, WeightDrop
from fastdrop.nn.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
    HeadDropout,
    SpatialDropout1d,
    SpatialDropout2d,
    SpatialDropout3d,
)
from fastdrop.nn.droppath import DropPath, Residual, drop_path_rates
from fastdrop.nn.embedding import Embedding
from fastdrop.nn.embedding_bag import (
    EmbeddingBag,
)
from fastdrop.nn.focal_loss import (
    FocalLoss,
)
from fastdrop.nn.gated import (
    GLU,
    SwiGLU,
)
from fastdrop.nn.hard_activation import (
    Hardshrink,
    Hardtanh,
    Softshrink,
    Threshold,
)
from fastdrop.nn.key_value_cache import KeyValueCache
from fastdrop.nn.layer_scale import LayerScale
from fastdrop.nn.lazy import (
    LazyBatchNorm1d,
    LazyBatchNorm2d,
    LazyBatchNorm3d,
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
    LazyInstanceNorm1d,
    LazyInstanceNorm2d,
    LazyInstanceNorm3d,
    LazyLinear,
)
from fastdrop.nn.linear import Linear
from fastdrop.nn.locked_dropout import LockedDropout
from fastdrop.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    L1Loss,
    LinearCrossEntropyLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from fastdrop.nn.lp_pool import (
    LPPool1d,
    LPPool2d,
    LPPool3d,
)
from fastdrop.nn.margin_loss import (
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    SoftMarginLoss,
)
from fastdrop.nn.max_unpool import (
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
)
from fastdrop.nn.module import Module
from fastdrop.nn.module_list import ModuleDict, ModuleList
from fastdrop.nn.noise import GaussianDropout, GaussianNoise
from fastdrop.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm, RMSNorm
from fastdrop.nn.pad import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from fastdrop.nn.parameter_list import ParameterDict, ParameterList
from fastdrop.nn.parametric_activation import ParametricActivation
from fastdrop.nn.patches import (
    Fold,
    Unfold,
)
from fastdrop.nn.periodic_embeddings import PeriodicEmbeddings
from fastdrop.nn.pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from fastdrop.nn.positional import (
    LearnedPositionalEncoding,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
)
from fastdrop.nn.probability_loss import (
    BCELoss,
    KLDivLoss,
    PoissonNLLLoss,
)
from fastdrop.nn.random_activation import (
    RReLU,
)
from fastdrop.nn.ranking_loss import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    MarginRankingLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)
from fastdrop.nn.resize import (
    ChannelShuffle,
    PixelShuffle,
    PixelUnshuffle,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)
from fastdrop.nn.rnn import GRU, LSTM, RNN
from fastdrop.nn.rnn_base import RNNBase
from fastdrop.nn.rnn_cells import GRUCell, LSTMCell, RNNCell
from fastdrop.nn.shape import Flatten, Identity, Unflatten
from fastdrop.nn.smooth_activation import (
    CELU,
    ELU,
    LogSigmoid,
    Mish,
    SmoothClip,
    Softplus,
    Softsign,
    Tanhshrink,
)
from fastdrop.nn.sparse import SparseLinear
from fastdrop.nn.sparse_conv import SparseConv2d
from fastdrop.nn.state import Buffer
from fastdrop.nn.targeted import TargetedConv2d, TargetedLinear
from fastdrop.nn.tokens import PatchDropout, TokenDropout
from fastdrop.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer
from fastdrop.nn.transformer_stack import Transformer, TransformerDecoder, TransformerEncoder
from fastdrop.nn.variational import VariationalConv2d, VariationalLinear, kl

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveLogSoftmaxWithLoss",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AlphaDropout",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "Buffer",
    "CTCLoss",
    "ChannelShuffle",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConcreteDropout",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "DropConnectConv2d",
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "EmbeddingBag",
    "FeatureAlphaDropout",
    "Flatten",
    "FocalLoss",
    "Fold",
    "GRUCell",
    "GaussianDropout",
    "GaussianNLLLoss",
    "GaussianNoise",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HeadDropout",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "KeyValueCache",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "LayerNorm",
    "LayerScale",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
    "LeakyReLU",
    "LearnedPositionalEncoding",
    "Linear",
    "LinearCrossEntropyLoss",
    "LocalResponseNorm",
    "LockedDropout",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ParametricActivation",
    "PatchDropout",
    "PeriodicEmbeddings",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "RMSNorm",
    "RNNBase",
    "RNNCell",
    "RReLU",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Residual",
    "RotaryEmbedding",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositionalEncoding",
    "SmoothClip",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "SparseConv2d",
    "SparseLinear",
    "SpatialDropout1d",
    "SpatialDropout2d",
    "SpatialDropout3d",
    "SwiGLU",
    "Tanh",
    "Tanhshrink",
    "TargetedConv2d",
    "TargetedLinear",
    "Threshold",
    "TokenDropout",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "Unflatten",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "VariationalConv2d",
    "VariationalLinear",
    "WeightDrop",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "concrete_regularizer",
    "drop_path_rates",
    "functional",
    "init",
    "kl",
    "utils",
]
