"""The Adamax optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.optim.blocks import blocks
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Adamax(Optimizer):
    r"""Adam with the largest gradient so far in place of the mean square.

    With the gradient g of step t, where ``weight_decay`` is :math:`\lambda`:

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g \\
        u &\leftarrow \max(\beta_2 u, |g| + \epsilon) \\
        p &\leftarrow p - \frac{\mathrm{lr}}{1 - \beta_1^t}\; \frac{m}{u}

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 2e-3
        Learning rate.
    betas : (float, float), each in [0, 1), default (0.9, 0.999)
        Decay rates of the averages.
    eps : float, at least 0, default 1e-8
        Added to the magnitude of the gradient.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    foreach, differentiable, capturable : bool, optional
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
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015,
    arXiv:1412.6980.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.9, 1.9], dtype=float32)
    """

    state_keys = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach, differentiable=differentiable, capturable=capturable)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_inf"] = np.zeros_like(p), np.zeros_like(p)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        rate = group["lr"] / (1.0 - beta1 ** state["step"])
        pieces = blocks(2, p, g, state["exp_avg"], state["exp_inf"])
        for p, g, m, u, a, b in pieces:
            if group["weight_decay"]:
                np.multiply(p, group["weight_decay"], out=a)
                g = np.add(a, g, out=a)
            np.subtract(g, m, out=b)
            b *= 1.0 - beta1
            m += b
            u *= beta2
            np.abs(g, out=b)
            b += group["eps"]
            np.maximum(u, b, out=u)
            np.divide(m, u, out=b)
            b *= rate
            p -= b
