"""Linear algebra of tensors, under the names of torch.linalg.

All functions take stacks of matrices, (..., M, N). NumPy computes them in float64.
"""

from numpy.linalg import LinAlgError  # noqa: F401 (a second name)

from fastdrop.functional.cumulative import cross
from fastdrop.functional.decompositions import cholesky, eigh, eigvalsh, qr, svd, svdvals
from fastdrop.functional.linear_algebra import (
    det,
    diagonal,
    inv,
    lstsq,
    pinv,
    slogdet,
    solve,
    solve_triangular,
)
from fastdrop.functional.matmul import matmul
from fastdrop.functional.matrix_norms import (
    cond,
    matrix_norm,
    matrix_rank,
    multi_dot,
    norm,
    vector_norm,
)
from fastdrop.functional.matrix_products import (
    matrix_exp,
    matrix_power,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
)

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
