"""RMSprop."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2, d = g / (sqrt(v) + eps), with momentum b = momentum b + d, d = b; p -= lr d.

    Parameters
    ----------
    params : see Optimizer
    lr, alpha, eps, weight_decay, momentum : float
    max_norm : float, optional
        After each step, limit on the L2 norm of each row of the 2-d parameters.

    References
    ----------
    Hinton, "Neural networks for machine learning", lecture 6e, 2012.
    """

    state_keys, optional_keys = ("square_avg",), ("momentum_buffer",)

    def __init__(
        self,
        params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        max_norm: float | None = None,
    ):
        super().__init__(
            params,
            dict(
                lr=lr,
                alpha=alpha,
                eps=eps,
                weight_decay=weight_decay,
                momentum=momentum,
                max_norm=max_norm,
            ),
        )

    def _check(self, group):
        super()._check(group)
        check.real(group["alpha"], "alpha", low=0.0, high=1.0)
        check.real(group["eps"], "eps", low=0.0)
        check.real(group["momentum"], "momentum", low=0.0)

    def _update(self, p, g, state, group):
        if not state:
            state["square_avg"] = np.zeros_like(p)
        buf = None
        if group["momentum"]:
            buf = state.get("momentum_buffer")
            if buf is None:
                buf = state["momentum_buffer"] = np.zeros_like(p)
        _core.rmsprop(
            p,
            g,
            state["square_avg"],
            buf,
            group["lr"],
            group["alpha"],
            group["eps"],
            group["weight_decay"],
            group["momentum"],
        )
