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
    Tanh,
)
from fastdrop.nn.adaptive_softmax import AdaptiveLogSoftmaxWithLoss
from fastdrop.nn.attention import MultiheadAttention
from fastdrop.nn.channel_norm import (
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LocalResponseNorm,
)
from fastdrop.nn.concrete import ConcreteDropout, concrete_regularizer
from fastdrop.nn.container import Sequential
from fastdrop.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d
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
from fastdrop.nn.gated import SwiGLU
from fastdrop.nn.key_value_cache import KeyValueCache
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
from fastdrop.nn.resize import PixelShuffle, PixelUnshuffle, Upsample
from fastdrop.nn.rnn import GRU, LSTM, RNN
from fastdrop.nn.rnn_base import RNNBase
from fastdrop.nn.rnn_cells import GRUCell, LSTMCell, RNNCell
from fastdrop.nn.shape import Flatten, Identity, Unflatten
from fastdrop.nn.sparse import SparseLinear
from fastdrop.nn.sparse_conv import SparseConv2d
from fastdrop.nn.state import Buffer
from fastdrop.nn.targeted import TargetedConv2d, TargetedLinear
from fastdrop.nn.tokens import PatchDropout, TokenDropout
from fastdrop.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer
from fastdrop.nn.transformer_stack import Transformer, TransformerDecoder, TransformerEncoder
from fastdrop.nn.variational import VariationalConv2d, VariationalLinear, kl

__all__ = [
    "GELU",
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
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Buffer",
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
    "FeatureAlphaDropout",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNLLLoss",
    "GaussianNoise",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "HeadDropout",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KeyValueCache",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositionalEncoding",
    "Linear",
    "LinearCrossEntropyLoss",
    "LocalResponseNorm",
    "LockedDropout",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "PatchDropout",
    "PixelShuffle",
    "PixelUnshuffle",
    "RMSNorm",
    "RNNBase",
    "RNNCell",
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
    "SmoothL1Loss",
    "Softmax",
    "SparseConv2d",
    "SparseLinear",
    "SpatialDropout1d",
    "SpatialDropout2d",
    "SpatialDropout3d",
    "SwiGLU",
    "Tanh",
    "TargetedConv2d",
    "TargetedLinear",
    "TokenDropout",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "Upsample",
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
