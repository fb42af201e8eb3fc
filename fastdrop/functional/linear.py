"""The dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._core import modes
from fastdrop._utils import validation as check
from fastdrop.autograd.epilogue import Epilogue
from fastdrop.autograd.packer import InputPacker
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.pending import computed, may_extend, pending_tensor
from fastdrop.autograd.pending_dense import PendingDense
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

_NAMES = ("input", "weight", "bias")


@carries
def linear(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
) -> Tensor:
    """y = x w^T + b.

    Parameters
    ----------
    input : Tensor or array (..., in_features)
        x.
    weight : Tensor or array (out_features, in_features)
        w.
    bias : Tensor or array (out_features,), optional
        b.

    Returns
    -------
    Tensor (..., out_features)
        Between the layers of a Sequential it is computed together with an activation and a dropout
        that follow.

    Raises
    ------
    TypeError
        When an argument does not hold real numbers.
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.linear([[1.0, 2.0]], [[3.0, 4.0]], [0.5]).tolist()
    [[11.5]]
    """
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    shape, w_shape = x.shape, w.shape
    check.linear_shapes(shape, w_shape, None if b is None else b.shape, _NAMES)
    p, packer, networks, batched = x._pending, None, None, type(x) is PassTensor
    if p is not None and len(shape) == 2 and may_extend(x, p):
        packer = p.as_packer()  # a dropout, drawn where the product packs its input
    if packer is not None:
        assert p is not None
        x, networks = packer.x, p.networks
    if type(p) is PendingDense and p.networks is not None and p.epilogue.drop is not None:
        networks = p.networks  # only what its masks keep will be computed
    else:
        x = computed(x)  # recipes never pile up
    if packer is None:
        packer = InputPacker(x)
    else:
        packer.x = x
    return pending_tensor(
        PendingDense(
            packer,
            w,
            Epilogue(b),
            (x, w) if b is None else (x, w, b),
            (*shape[:-1], w_shape[0]),
            networks,
            modes.bf16_products,
        ),
        batched,
    )
