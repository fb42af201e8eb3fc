"""Adam and AdamW."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p -= lr m' / (sqrt(v') + eps), m' and v' bias-corrected.

    Parameters
    ----------
    params : see Optimizer
    lr : float
    betas : (float, float) in [0, 1)
    eps : float
    weight_decay : float
        Added to the gradient as weight_decay * p.
    max_norm : float, optional
        After each step, limit on the L2 norm of each row of the 2-d parameters.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    decoupled = False
    state_keys = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        max_norm: float | None = None,
    ):
        super().__init__(
            params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, max_norm=max_norm)
        )

    def _check(self, group):
        super()._check(group)
        if not isinstance(group["betas"], (tuple, list)) or len(group["betas"]) != 2:
            raise TypeError(
                f"betas must be a pair of numbers, got {check.describe(group['betas'])}"
            )
        for i, beta in enumerate(group["betas"]):
            check.real(beta, f"betas[{i}]", low=0.0, high=1.0, open_high=True)
        check.real(group["eps"], "eps", low=0.0)

    def _update(self, p, g, state, group):
        if not state:
            state["step"], state["exp_avg"], state["exp_avg_sq"] = (
                0,
                np.zeros_like(p),
                np.zeros_like(p),
            )
        state["step"] += 1
        beta1, beta2 = group["betas"]
        _core.adam(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            self.decoupled,
            state["step"],
        )


class AdamW(Adam):
    """Adam with weight decay of its own: p *= 1 - lr * weight_decay before the step.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    decoupled = True

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        max_norm: float | None = None,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, max_norm=max_norm)
