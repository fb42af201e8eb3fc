"""Differentiable functions, under the names of torch.nn.functional. Each stands beside its backward."""

from fastdrop.functional.arithmetic import abs, add, amax, amin, argmax, cat, clamp, div, exp, flatten, log, log_softmax, matmul, max, maximum, mean, min, mul, neg, permute, pow, reshape, softmax, sqrt, squeeze, stack, std, sub, sum, transpose, unsqueeze, var
from fastdrop.functional.dropconnect import dropconnect_gaussian, dropconnect_linear
from fastdrop.functional.embedding import embedding
from fastdrop.functional.fused import dropout, gelu, leaky_relu, linear, relu, selu, sigmoid, silu, tanh
from fastdrop.functional.learned import concrete_dropout, variational_linear
from fastdrop.functional.loss import binary_cross_entropy_with_logits, cross_entropy, gaussian_nll_loss, huber_loss, l1_loss, mse_loss, nll_loss, smooth_l1_loss
from fastdrop.functional.normalization import batch_norm, layer_norm
from fastdrop.functional.stochastic import alpha_dropout, drop_block1d, drop_block2d, drop_block3d, drop_path, dropout1d, dropout2d, dropout3d, feature_alpha_dropout, gaussian_dropout, gaussian_noise, patch_dropout, token_dropout

# the names that torch has at top level
TOP_LEVEL = ("abs", "add", "amax", "amin", "argmax", "cat", "clamp", "div", "dropout", "exp", "flatten", "log", "log_softmax", "matmul", "max", "maximum", "mean", "min", "mul", "neg", "permute", "pow", "relu", "reshape", "selu", "sigmoid", "softmax", "sqrt", "squeeze", "stack", "std", "sub", "sum", "tanh", "transpose", "unsqueeze", "var")

__all__ = ["abs", "add", "alpha_dropout", "amax", "amin", "argmax", "batch_norm", "binary_cross_entropy_with_logits", "cat", "clamp", "concrete_dropout", "cross_entropy", "div", "drop_block1d", "drop_block2d", "drop_block3d", "drop_path", "dropconnect_gaussian", "dropconnect_linear", "dropout", "dropout1d", "dropout2d", "dropout3d", "embedding", "exp", "feature_alpha_dropout", "flatten", "gaussian_dropout", "gaussian_nll_loss", "gaussian_noise", "gelu", "huber_loss", "l1_loss", "layer_norm", "leaky_relu", "linear", "log", "log_softmax", "matmul", "max", "maximum", "mean", "min", "mse_loss", "mul", "neg", "nll_loss", "patch_dropout", "permute", "pow", "relu", "reshape", "selu", "sigmoid", "silu", "smooth_l1_loss", "softmax", "sqrt", "squeeze", "stack", "std", "sub", "sum", "tanh", "token_dropout", "transpose", "unsqueeze", "var", "variational_linear"]
