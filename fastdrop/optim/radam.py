"""The RAdam optimiser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.optim.blocks import blocks
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class RAdam(Optimizer):
    r"""Adam whose first steps, when the mean square is not known yet, are those of plain momentum.

    With the gradient g of step t, where ``weight_decay`` is :math:`\lambda`:

    .. math::
        g &\leftarrow g + \lambda p, \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \\
        \rho_\infty &= 2 / (1 - \beta_2) - 1, \qquad
        \rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t) \\
        p &\leftarrow p - \mathrm{lr}\; \frac{m}{1 - \beta_1^t} \cdot
        \begin{cases}
        \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\, \rho_\infty}
        {(\rho_\infty - 4)(\rho_\infty - 2)\, \rho_t}}\;
        \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v} + \epsilon} & \rho_t > 5 \\
        1 & \text{otherwise} \end{cases}

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-3
        Learning rate.
    betas : (float, float), each in [0, 1), default (0.9, 0.999)
        Decay rates of the averages.
    eps : float, at least 0, default 1e-8
        Added to the denominator.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    decoupled_weight_decay : bool, default False
        Whether the decay bypasses the averages, as in `AdamW`: :math:`p \leftarrow (1 -
        \mathrm{lr}\, \lambda)\, p` before the step.
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
    L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, "On the variance of the adaptive
    learning rate and beyond", ICLR 2020, arXiv:1908.03265.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.8, 1.6], dtype=float32)
    """

    state_keys = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                decoupled_weight_decay=decoupled_weight_decay,
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
            state["exp_avg"], state["exp_avg_sq"] = np.zeros_like(p), np.zeros_like(p)
        step = state["step"] = state["step"] + 1
        beta1, beta2 = group["betas"]
        rate = group["lr"] / (1.0 - beta1**step)
        correction = 1.0 - beta2**step
        most = 2.0 / (1.0 - beta2) - 1.0
        length = most - 2.0 * step * beta2**step / correction
        adapts = length > 5.0
        if adapts:
            rate *= math.sqrt(
                (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length) * correction
            )
        pieces = blocks(2, p, g, state["exp_avg"], state["exp_avg_sq"])
        for p, g, m, v, a, b in pieces:
            if group["decoupled_weight_decay"]:
                p *= 1.0 - group["lr"] * group["weight_decay"]
            elif group["weight_decay"]:
                np.multiply(p, group["weight_decay"], out=a)
                g = np.add(a, g, out=a)
            np.subtract(g, m, out=b)
            b *= 1.0 - beta1
            m += b
            v *= beta2
            np.multiply(g, g, out=b)
            b *= 1.0 - beta2
            v += b
            np.multiply(m, rate, out=a)
            if adapts:
                np.sqrt(v, out=b)
                b += group["eps"]
                a /= b
            p -= a
