"""The NAdam optimiser."""

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


class NAdam(Optimizer):
    r"""Adam with Nesterov momentum.

    With the gradient g of step t, where ``weight_decay`` is :math:`\lambda` and
    ``momentum_decay`` :math:`\psi`:

    .. math::
        g &\leftarrow g + \lambda p, \qquad
        \mu_t = \beta_1 \left(1 - \tfrac{1}{2}\, 0.96^{\, t \psi}\right) \\
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \\
        p &\leftarrow p - \mathrm{lr} \left(
        \frac{(1 - \mu_t)\, g}{1 - \prod_{i \le t} \mu_i} +
        \frac{\mu_{t+1}\, m}{1 - \prod_{i \le t+1} \mu_i} \right)
        \Big/ \left(\sqrt{v / (1 - \beta_2^t)} + \epsilon\right)

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
        Added to the denominator.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    momentum_decay : float, at least 0, default 4e-3
        How fast the momentum grows.
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
    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.894, 1.894], dtype=float32)
    """

    state_keys = ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
                momentum_decay=momentum_decay,
                decoupled_weight_decay=decoupled_weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["momentum_decay"], "momentum_decay", low=0.0)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"], state["mu_product"] = 0, 1.0
            state["exp_avg"], state["exp_avg_sq"] = np.zeros_like(p), np.zeros_like(p)
        step = state["step"] = state["step"] + 1
        beta1, beta2 = group["betas"]
        mu, mu_next = (
            beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        # PyTorch keeps the product in float32.
        product = state["mu_product"] = float(np.float32(state["mu_product"]) * np.float32(mu))
        of_gradient = group["lr"] * (1.0 - mu) / (1.0 - product)
        of_average = group["lr"] * mu_next / (1.0 - product * mu_next)
        correction = 1.0 - beta2**step
        pieces = blocks(3, p, g, state["exp_avg"], state["exp_avg_sq"])
        for p, g, m, v, a, b, c in pieces:
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
            np.divide(v, correction, out=b)
            np.sqrt(b, out=b)
            b += group["eps"]
            np.multiply(g, of_gradient, out=a)
            a += np.multiply(m, of_average, out=c)
            a /= b
            p -= a
