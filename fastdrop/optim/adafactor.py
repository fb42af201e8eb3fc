"""The Adafactor optimiser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.gradients import global_norm
from fastdrop.optim.group_options import check_ignored, check_pair
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array, Shape
    from fastdrop.optim.optimizer import Params


class Adafactor(Optimizer):
    r"""Adafactor: mean squares kept as one number for each row and each column.

    With the gradient g of step t, for parameters with two axes or more (rows and columns are the
    last two), where ``weight_decay`` is :math:`\lambda` and ``beta2_decay`` :math:`\tau`:

    .. math::
        \rho_t &= \min(\mathrm{lr}, 1 / \sqrt{t}), \qquad
        \alpha_t = \max(\epsilon_2, \mathrm{RMS}(p))\, \rho_t \\
        p &\leftarrow (1 - \mathrm{lr}\, \lambda)\, p \\
        R &\leftarrow (1 - t^\tau)\, R + t^\tau\, \mathrm{mean}_{\mathrm{columns}}(g^2), \qquad
        C \leftarrow (1 - t^\tau)\, C + t^\tau\, \mathrm{mean}_{\mathrm{rows}}(g^2) \\
        v &= R\, C / \max(\mathrm{mean}(R), \epsilon_1) \\
        u &= g / \sqrt{\max(v, \epsilon_1^2)} \\
        p &\leftarrow p - \alpha_t\, u / \max(1, \mathrm{RMS}(u) / d)

    For other parameters, v is the average of :math:`g^2` itself.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-2
        The largest relative step.
    beta2_decay : float, at most 0, default -0.8
        Power of the step in the decay rate of the averages.
    eps : (float or None, float), default (None, 1e-3)
        Lower limits of the averages (None: 1.19e-7) and of the size of the parameters.
    d : float, at least 1, default 1
        Upper limit of the root mean square of a step.
    weight_decay : float, at least 0, default 0
        Decay of the parameters, multiplied by the learning rate.
    foreach : bool, optional
        Without effect: they choose an implementation in PyTorch.
    maximize : bool, default False
        Whether the gradients are followed upwards.
    max_norm : float above 0, optional
        After each step, each row of the 2-d parameters is scaled down to at most this L2 norm.
    clip_grad_norm : float above 0, optional
        Where the L2 norm of all gradients together exceeds this limit, the step uses gradients
        that are scaled down to it (``nn.utils.clip_grad_norm_``). The gradients stay as they are.

    Raises
    ------
    TypeError, ValueError
        An option has the wrong type or is out of range, or `params` is empty, holds a tensor
        that cannot be updated, or holds one twice.

    References
    ----------
    N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML
    2018, arXiv:1804.04235.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.842, 1.842], dtype=float32)
    """

    state_keys, optional_keys = ("step",), ("row_var", "col_var", "variance")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach)
        super().__init__(
            params,
            dict(
                lr=lr,
                beta2_decay=beta2_decay,
                eps=eps,
                d=d,
                weight_decay=weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["beta2_decay"], "beta2_decay", high=0.0)
        check.real(group["d"], "d", low=1.0)
        eps = group["eps"]
        if not isinstance(eps, (tuple, list)) or len(eps) != 2:
            raise TypeError(f"eps must be a pair of numbers, got {check.describe(eps)}")
        check_pair((0.0 if eps[0] is None else eps[0], eps[1]), "eps")

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"] = 0
            for key in ("row_var", "col_var") if p.ndim > 1 else ("variance",):
                state[key] = np.zeros(self._state_shape(key, p.shape), np.float32)
        step = state["step"] = state["step"] + 1
        eps1, eps2 = group["eps"]
        eps1 = float(np.finfo(np.float32).eps) if eps1 is None else eps1
        share = float(step) ** group["beta2_decay"]
        rate = max(eps2, _root_mean_square(p)) * min(group["lr"], step**-0.5)
        if group["weight_decay"]:
            p *= 1.0 - group["lr"] * group["weight_decay"]
        squares = np.multiply(g, g, out=empty(g.shape))
        if p.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows += share * (squares.mean(-1, keepdims=True) - rows)
            columns += share * (squares.mean(-2, keepdims=True) - columns)
            scale = np.maximum(rows.mean(-2, keepdims=True), eps1)
            update = np.multiply(rows, columns, out=squares)
            update /= scale
        else:
            variance = state["variance"]
            squares -= variance
            squares *= share
            variance += squares
            update = squares
            update[...] = variance
        np.maximum(update, eps1 * eps1, out=update)
        np.sqrt(update, out=update)
        np.divide(g, update, out=update)
        update *= rate / max(1.0, _root_mean_square(update) / group["d"])
        p -= update

    def _state_shape(self, key: str, shape: Shape) -> Shape:
        if key == "row_var":
            return (*shape[:-1], 1)
        return (*shape[:-2], 1, shape[-1]) if key == "col_var" else shape


def _root_mean_square(array: Float32Array) -> float:
    return global_norm([array]) / math.sqrt(max(array.size, 1))
