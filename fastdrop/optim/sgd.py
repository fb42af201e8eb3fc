"""Stochastic gradient descent."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer


class SGD(Optimizer):
    """p -= lr * d, with d = g + weight_decay p; momentum: b = momentum b + (1 - dampening) d, d = b (Nesterov: d + momentum b).

    Parameters
    ----------
    params : see Optimizer
    lr, momentum, dampening, weight_decay : float
    nesterov : bool
        Needs momentum and no dampening.
    max_norm : float, optional
        After each step, limit on the L2 norm of each row of the 2-d parameters (Srivastava et al., 2014).

    References
    ----------
    Polyak, 1964; Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    """

    optional_keys = ("momentum_buffer",)

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        max_norm: float | None = None,
    ):
        super().__init__(
            params,
            dict(
                lr=lr,
                momentum=momentum,
                dampening=dampening,
                weight_decay=weight_decay,
                nesterov=nesterov,
                max_norm=max_norm,
            ),
        )

    def _check(self, group):
        super()._check(group)
        check.real(group["momentum"], "momentum", low=0.0)
        check.real(group["dampening"], "dampening")
        if check.flag(group["nesterov"], "nesterov") and (
            group["momentum"] == 0 or group["dampening"] != 0
        ):
            raise ValueError(
                "nesterov needs a positive momentum and no dampening, "
                f"got momentum={group['momentum']} and dampening={group['dampening']}"
            )

    def _update(self, p, g, state, group):
        buf, first = None, False
        if group["momentum"]:
            buf = state.get("momentum_buffer")
            first = buf is None
            if first:
                buf = state["momentum_buffer"] = np.empty_like(p)
        _core.sgd(
            p,
            g,
            buf,
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            first,
        )
