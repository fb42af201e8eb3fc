"""Layers and losses, with the names and arguments of ``torch.nn``."""

from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import functional, init, utils
from fastdrop.nn.activation import (
    GELU,
    SELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from fastdrop.nn.concrete import ConcreteDropout, concrete_regularizer
from fastdrop.nn.container import ModuleList, Sequential
from fastdrop.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d
from fastdrop.nn.dropblock import DropBlock1d, DropBlock2d, DropBlock3d
from fastdrop.nn.dropconnect import DropConnectLinear, WeightDrop
from fastdrop.nn.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
    SpatialDropout1d,
    SpatialDropout2d,
    SpatialDropout3d,
)
from fastdrop.nn.droppath import DropPath, Residual, drop_path_rates
from fastdrop.nn.embedding import Embedding
from fastdrop.nn.linear import Linear
from fastdrop.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from fastdrop.nn.module import Module
from fastdrop.nn.noise import GaussianDropout, GaussianNoise
from fastdrop.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm
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
from fastdrop.nn.resize import PixelShuffle, PixelUnshuffle, Upsample
from fastdrop.nn.shape import Flatten, Identity
from fastdrop.nn.sparse import SparseLinear
from fastdrop.nn.targeted import TargetedLinear
from fastdrop.nn.tokens import PatchDropout, TokenDropout
from fastdrop.nn.variational import VariationalLinear, kl

__all__ = [
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
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
    "ConcreteDropout",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "FeatureAlphaDropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNLLLoss",
    "GaussianNoise",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Module",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "PatchDropout",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "SparseLinear",
    "SpatialDropout1d",
    "SpatialDropout2d",
    "SpatialDropout3d",
    "Tanh",
    "TargetedLinear",
    "TokenDropout",
    "Upsample",
    "VariationalLinear",
    "WeightDrop",
    "concrete_regularizer",
    "drop_path_rates",
    "functional",
    "init",
    "kl",
    "utils",
]
