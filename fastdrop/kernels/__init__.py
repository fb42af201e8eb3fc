"""The dropout family on plain NumPy arrays, without models or gradients.

Every function takes the coordinates of its mask as keywords. A mask is a function of
(seed, instance, site, call, draw, row, sub, unit); docs/mask-contract.md defines it.

seed : int in [0, 2**64)
    The seed of the run.
site : int in [0, 2**32)
    Number of the random decision, for example of the dropout layer.
draw : int in [0, 2**32)
    Number of the forward pass.
row0 : int in [0, 2**32)
    Row number of the first sample; the others follow. ``rows=`` gives each sample its own
    row number instead.
sub : int in [0, 2**32)
    A second coordinate inside the sample, for example a time step.
call : int in [0, 2**32)
    How often the site was already used in this forward pass.
instance : int in [0, 2**24)
    Number of the module in its run; the first module that draws a mask has 0.

The same coordinates give the same bits for any number of threads, on any instruction set and
machine, and however the rows are split into batches.

Arrays of float64, float16 or integers are converted to float32 once. Arrays of bool, complex
numbers or objects are refused.
"""

from fastdrop.kernels.alpha import alpha_dropout, alpha_dropout_backward, feature_alpha_dropout
from fastdrop.kernels.concrete import concrete_dropout
from fastdrop.kernels.dropblock import dropblock, dropblock_backward, dropblock_mask
from fastdrop.kernels.dropconnect import dropconnect_linear, dropconnect_mask
from fastdrop.kernels.dropout import dropout, dropout_backward, spatial_dropout
from fastdrop.kernels.droppath import drop_path
from fastdrop.kernels.embedding import embedding_dropout
from fastdrop.kernels.linear import ACTIVATIONS as ACTIVATIONS
from fastdrop.kernels.linear import linear
from fastdrop.kernels.masks import keep_bits, keep_mask, keep_uniforms, normal, uniform
from fastdrop.kernels.matmul import matmul
from fastdrop.kernels.noise import gaussian_dropout, gaussian_noise
from fastdrop.kernels.sparse import sparse_linear
from fastdrop.kernels.tokens import patch_indices, token_dropout

__all__ = [
    "alpha_dropout",
    "alpha_dropout_backward",
    "concrete_dropout",
    "drop_path",
    "dropblock",
    "dropblock_backward",
    "dropblock_mask",
    "dropconnect_linear",
    "dropconnect_mask",
    "dropout",
    "dropout_backward",
    "embedding_dropout",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "keep_bits",
    "keep_mask",
    "keep_uniforms",
    "linear",
    "matmul",
    "normal",
    "patch_indices",
    "sparse_linear",
    "spatial_dropout",
    "token_dropout",
    "uniform",
]
