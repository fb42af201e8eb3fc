"""Differentiable functions, under the names of torch.nn.functional."""

from fastdrop.functional import (
    tensor_functions,
    tensor_methods,  # noqa: F401 (attaches the methods of Tensor)
)
from fastdrop.functional.activation import gelu, leaky_relu, relu, selu, sigmoid, silu, tanh
from fastdrop.functional.activation_regularization import (
    activation_regularization,
    temporal_activation_regularization,
)
from fastdrop.functional.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from fastdrop.functional.alpha import alpha_dropout, feature_alpha_dropout
from fastdrop.functional.attention import scaled_dot_product_attention
from fastdrop.functional.bilinear import (
    bilinear,
)
from fastdrop.functional.channel_norm import (
    batch_norm,
    group_norm,
    instance_norm,
    local_response_norm,
)
from fastdrop.functional.classification_loss import cross_entropy, nll_loss
from fastdrop.functional.concrete import concrete_dropout
from fastdrop.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from fastdrop.functional.ctc_loss import (
    ctc_loss,
)
from fastdrop.functional.distance import (
    cosine_similarity,
    normalize,
    pairwise_distance,
    pdist,
)
from fastdrop.functional.dropblock import drop_block1d, drop_block2d, drop_block3d
from fastdrop.functional.dropconnect import dropconnect_gaussian, dropconnect_linear
from fastdrop.functional.dropout import dropout, dropout1d, dropout2d, dropout3d, head_dropout
from fastdrop.functional.droppath import drop_path
from fastdrop.functional.embedding import embedding
from fastdrop.functional.embedding_bag import (
    embedding_bag,
)
from fastdrop.functional.focal_loss import (
    focal_loss,
)
from fastdrop.functional.gated import (
    glu,
    swiglu,
)
from fastdrop.functional.grid_sample import (
    affine_grid,
    grid_sample,
)
from fastdrop.functional.hard_activation import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    prelu,
    relu6,
    softshrink,
    threshold,
)
from fastdrop.functional.linear import linear
from fastdrop.functional.linear_cross_entropy import linear_cross_entropy
from fastdrop.functional.loss import (
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from fastdrop.functional.lp_pool import (
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from fastdrop.functional.margin_loss import (
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from fastdrop.functional.matmul import matmul
from fastdrop.functional.max_unpool import (
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from fastdrop.functional.noise import gaussian_dropout, gaussian_noise
from fastdrop.functional.normalization import layer_norm, rms_norm
from fastdrop.functional.one_hot import (
    one_hot,
)
from fastdrop.functional.pad import pad
from fastdrop.functional.patches import (
    fold,
    unfold,
)
from fastdrop.functional.pointwise import (
    abs,
    add,
    clamp,
    div,
    exp,
    log,
    maximum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
)
from fastdrop.functional.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from fastdrop.functional.probability_loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    kl_div,
    poisson_nll_loss,
)
from fastdrop.functional.random_activation import (
    gumbel_softmax,
    rrelu,
)
from fastdrop.functional.ranking_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from fastdrop.functional.reduction import amax, amin, argmax, max, mean, min, std, sum, var
from fastdrop.functional.resize import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from fastdrop.functional.shape import (
    cat,
    flatten,
    permute,
    reshape,
    squeeze,
    stack,
    transpose,
    unflatten,
    unsqueeze,
)
from fastdrop.functional.smooth_activation import (
    celu,
    elu,
    logsigmoid,
    mish,
    smooth_clip,
    softplus,
    softsign,
    tanhshrink,
)
from fastdrop.functional.softmax import (
    log_softmax,
    softmax,
    softmin,
)
from fastdrop.functional.tensor_functions import *  # noqa: F403
from fastdrop.functional.tokens import patch_dropout, token_dropout
from fastdrop.functional.variational import variational_conv2d, variational_linear

# The functions that are also names of the package: fastdrop.relu and the like, as in torch.
TOP_LEVEL = (
    "abs",
    "add",
    "amax",
    "amin",
    "argmax",
    "cat",
    "clamp",
    "div",
    "dropout",
    "exp",
    "flatten",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "mul",
    "neg",
    "permute",
    "pow",
    "relu",
    "reshape",
    "selu",
    "sigmoid",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "tanh",
    "transpose",
    "unflatten",
    "unsqueeze",
    "var",
    *tensor_functions.__all__,
)

__all__ = [
    "abs",
    "activation_regularization",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "add",
    "affine_grid",
    "alpha_dropout",
    "amax",
    "amin",
    "argmax",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cat",
    "celu",
    "channel_shuffle",
    "clamp",
    "concrete_dropout",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "div",
    "drop_block1d",
    "drop_block2d",
    "drop_block3d",
    "drop_path",
    "dropconnect_gaussian",
    "dropconnect_linear",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "embedding_bag",
    "exp",
    "feature_alpha_dropout",
    "flatten",
    "focal_loss",
    "fold",
    "gaussian_dropout",
    "gaussian_nll_loss",
    "gaussian_noise",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "head_dropout",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "maximum",
    "mean",
    "min",
    "mish",
    "mse_loss",
    "mul",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "neg",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "patch_dropout",
    "pdist",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "pow",
    "prelu",
    "relu",
    "relu6",
    "reshape",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_clip",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "swiglu",
    "tanh",
    "tanhshrink",
    "temporal_activation_regularization",
    "threshold",
    "token_dropout",
    "transpose",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unflatten",
    "unfold",
    "unsqueeze",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
    "var",
    "variational_conv2d",
    "variational_linear",
]
__all__ += tensor_functions.__all__
