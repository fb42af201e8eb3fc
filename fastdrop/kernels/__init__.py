"""The family on plain NumPy arrays: what a pipeline without models uses.

Every function takes the coordinates of its mask as keywords, each a part of the function (seed, site, call, draw, row,
sub, unit) that a mask is (docs/mask-contract.md):

seed : int in [0, 2**64)
    The run.
site : int in [0, 2**32)
    Which random decision.
draw : int in [0, 2**32)
    Which forward pass.
row0 : int in [0, 2**32)
    Number of the first row (sample); the others follow. ``rows=`` gives each row its number instead.
sub, call : int in [0, 2**32)
    A second coordinate inside the sample; how often the site was already used in this pass.

The same coordinates give the same bits for any number of threads, instruction set, machine and cut of the rows.
Arrays of float64, float16 or integers are converted to float32 once; bool, complex and object arrays are refused.
"""

from fastdrop.kernels.dropblock import dropblock, dropblock_backward, dropblock_mask
from fastdrop.kernels.dropconnect import dropconnect_linear, dropconnect_mask
from fastdrop.kernels.elementwise import (
    alpha_dropout,
    alpha_dropout_backward,
    drop_path,
    dropout,
    dropout_backward,
    feature_alpha_dropout,
    gaussian_dropout,
    gaussian_noise,
    spatial_dropout,
    token_dropout,
)
from fastdrop.kernels.learned import concrete_dropout, sparse_linear
from fastdrop.kernels.masks import keep_bits, keep_mask, keep_uniforms, normal, uniform
from fastdrop.kernels.matmul import (
    ACTIVATIONS,  # noqa: F401
    linear,
    matmul,
)
from fastdrop.kernels.tokens import embedding_dropout, patch_indices

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
