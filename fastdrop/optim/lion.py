"""The Lion optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.optim.blocks import blocks, sign_
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Lion(Optimizer):
    r"""Lion: steps by the sign of an interpolation of momentum and gradient.

    With the gradient g, where ``weight_decay`` is :math:`\lambda`:

    .. math::
        c &= \beta_1 m + (1 - \beta_1)\, g \\
        p &\leftarrow p - \mathrm{lr}\, (\mathrm{sign}(c) + \lambda p) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2)\, g

    The state is half that of `Adam`. Learning rates are 3 to 10 times smaller than those of
    `AdamW`, and `weight_decay` is as many times larger.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-4
        Learning rate.
    betas : (float, float), each in [0, 1), default (0.9, 0.99)
        The share of the momentum in the sign, and its decay rate.
    weight_decay : float, at least 0, default 0
        Decay of the parameters, multiplied by the learning rate.
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
    X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023,
    arXiv:2302.06675.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Lion([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.9, 1.9], dtype=float32)
    """

    state_keys = ("exp_avg",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
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
            state["exp_avg"] = np.zeros_like(p)
        lr, (beta1, beta2) = group["lr"], group["betas"]
        pieces = blocks(1, p, g, state["exp_avg"])
        for p, g, m, a in pieces:
            p *= 1.0 - lr * group["weight_decay"]
            np.subtract(m, g, out=a)
            a *= beta1
            a += g
            sign_(a)
            a *= lr
            p -= a
            m -= g
            m *= beta2
            m += g
