"""The Adadelta optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.optim.blocks import blocks
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Adadelta(Optimizer):
    r"""Adadelta: steps as large as those of the past, without a learning rate of their own.

    With the gradient g, where ``weight_decay`` is :math:`\lambda`:

    .. math::
        g &\leftarrow g + \lambda p \\
        v &\leftarrow \rho v + (1 - \rho)\, g^2 \\
        d &\leftarrow \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}}\; g \\
        u &\leftarrow \rho u + (1 - \rho)\, d^2 \\
        p &\leftarrow p - \mathrm{lr}\; d

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1
        Factor of the steps.
    rho : float in [0, 1], default 0.9
        Decay rate of the averages.
    eps : float, at least 0, default 1e-6
        Added to both averages.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    foreach, capturable, differentiable : bool, optional
        Without effect: they choose an implementation in PyTorch. `differentiable` must be False.
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
    M. D. Zeiler, "ADADELTA: an adaptive learning rate method", 2012, arXiv:1212.5701.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Adadelta([w], lr=10.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.968, 1.968], dtype=float32)
    """

    state_keys = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                rho=rho,
                eps=eps,
                weight_decay=weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["rho"], "rho", low=0.0, high=1.0)
        check.real(group["eps"], "eps", low=0.0)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"] = 0
            state["square_avg"], state["acc_delta"] = np.zeros_like(p), np.zeros_like(p)
        state["step"] += 1
        rho, eps = group["rho"], group["eps"]
        pieces = blocks(3, p, g, state["square_avg"], state["acc_delta"])
        for p, g, v, u, a, b, c in pieces:
            if group["weight_decay"]:
                np.multiply(p, group["weight_decay"], out=a)
                g = np.add(a, g, out=a)
            v *= rho
            np.multiply(g, g, out=b)
            b *= 1.0 - rho
            v += b
            np.add(v, eps, out=b)
            np.sqrt(b, out=b)
            np.add(u, eps, out=c)
            np.sqrt(c, out=c)
            c /= b
            c *= g
            u *= rho
            np.multiply(c, c, out=b)
            b *= 1.0 - rho
            u += b
            c *= group["lr"]
            p -= c
