"""The Adagrad optimiser."""

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


class Adagrad(Optimizer):
    r"""Adagrad: gradients divided by the root of the sum of all squares so far.

    With the gradient g of step t, where ``weight_decay`` is :math:`\lambda` and ``lr_decay``
    :math:`\eta`:

    .. math::
        g &\leftarrow g + \lambda p \\
        s &\leftarrow s + g^2 \\
        p &\leftarrow p - \frac{\mathrm{lr}}{1 + (t - 1)\, \eta}\; \frac{g}{\sqrt{s} + \epsilon}

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-2
        Learning rate.
    lr_decay : float, at least 0, default 0
        How fast the learning rate falls.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    initial_accumulator_value : float, at least 0, default 0
        The first value of s.
    eps : float, at least 0, default 1e-10
        Added to the denominator.
    foreach, differentiable, fused : bool, optional
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
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12, 2011.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.9, 1.9], dtype=float32)
    """

    state_keys = ("step", "sum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach, differentiable=differentiable, fused=fused)
        super().__init__(
            params,
            dict(
                lr=lr,
                lr_decay=lr_decay,
                weight_decay=weight_decay,
                initial_accumulator_value=initial_accumulator_value,
                eps=eps,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("lr_decay", "initial_accumulator_value", "eps"):
            check.real(group[name], name, low=0.0)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"] = 0
            state["sum"] = np.full_like(p, group["initial_accumulator_value"])
        state["step"] += 1
        rate = group["lr"] / (1.0 + (state["step"] - 1) * group["lr_decay"])
        pieces = blocks(2, p, g, state["sum"])
        for p, g, s, a, b in pieces:
            if group["weight_decay"]:
                np.multiply(p, group["weight_decay"], out=a)
                g = np.add(a, g, out=a)
            s += np.multiply(g, g, out=b)
            np.sqrt(s, out=b)
            b += group["eps"]
            np.divide(g, b, out=b)
            b *= rate
            p -= b
