"""The Muon optimiser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.gradients import global_norm
from fastdrop.optim.blocks import blocks
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Muon(Optimizer):
    r"""Muon: momentum whose matrices are made orthogonal, for weights with two axes.

    With the gradient g, where ``weight_decay`` is :math:`\lambda` and ``momentum`` :math:`\mu`:

    .. math::
        b &\leftarrow \mu b + (1 - \mu)\, g \\
        u &= \mu b + (1 - \mu)\, g \text{ (Nesterov)}, \quad \text{or } b \\
        p &\leftarrow (1 - \mathrm{lr}\, \lambda)\, p - \mathrm{lr}\, f\; \mathrm{NS}(u)

    NS is a Newton-Schulz iteration, which brings all singular values near 1: with
    :math:`X = u / \max(\|u\|, \epsilon)` and the coefficients a, b, c,

    .. math:: A = X X^T, \qquad X \leftarrow a X + (b A + c A^2)\, X

    f depends on the shape (O, I): :math:`\sqrt{\max(1, O / I)}`, or
    :math:`0.2 \sqrt{\max(O, I)}` with ``adjust_lr_fn="match_rms_adamw"``. Give biases, embeddings
    and norms to another optimiser, as `AdamW`.

    Difference from ``torch.optim.Muon``: the iteration computes in float32, not in bfloat16.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-3
        Learning rate.
    weight_decay : float, at least 0, default 0.1
        Decay of the parameters, multiplied by the learning rate.
    momentum : float in [0, 1], default 0.95
        Decay rate of the average of the gradients.
    nesterov : bool, default True
        Nesterov momentum.
    ns_coefficients : (float, float, float), default (3.4445, -4.775, 2.0315)
        a, b and c.
    eps : float, at least 0, default 1e-7
        Lower limit of the norm of u.
    ns_steps : int, from 0 to 99, default 5
        Number of iterations.
    adjust_lr_fn : {"original", "match_rms_adamw"}, optional
        f; None is "original".
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
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/.

    J. Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([[3.0, 0.0], [0.0, 2.0]])
    >>> optimizer = fd.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(1)
    array([[2.9, 0. ],
           [0. , 1.9]], dtype=float32)
    """

    state_keys = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            dict(
                lr=lr,
                weight_decay=weight_decay,
                momentum=momentum,
                nesterov=nesterov,
                ns_coefficients=ns_coefficients,
                eps=eps,
                ns_steps=ns_steps,
                adjust_lr_fn=adjust_lr_fn,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["momentum"], "momentum", low=0.0, high=1.0)
        check.real(group["eps"], "eps", low=0.0)
        check.integer(group["ns_steps"], "ns_steps", 0, 99)
        if group["adjust_lr_fn"] is not None:
            check.choice(group["adjust_lr_fn"], "adjust_lr_fn", ("original", "match_rms_adamw"))
        coefficients = group["ns_coefficients"]
        if not isinstance(coefficients, (tuple, list)) or len(coefficients) != 3:
            raise TypeError(
                f"ns_coefficients must be three numbers, got {check.describe(coefficients)}"
            )
        for i, number in enumerate(coefficients):
            check.real(number, f"ns_coefficients[{i}]")
        for p in group["params"]:
            if p.ndim != 2 or not p.numel():
                raise ValueError(
                    "params must hold matrices for Muon, which makes them orthogonal, "
                    f"got a parameter of shape {p.shape}"
                )

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["momentum_buffer"] = np.zeros_like(p)
        momentum, lr = group["momentum"], group["lr"]
        average = state["momentum_buffer"]
        pieces = blocks(1, g, average)
        for g_part, b, a in pieces:
            np.subtract(g_part, b, out=a)
            a *= 1.0 - momentum
            b += a
        update = average
        if group["nesterov"]:
            update = np.subtract(average, g)
            update *= momentum
            update += g
        update = _orthogonal(update, group)
        if group["adjust_lr_fn"] == "match_rms_adamw":
            rate = lr * 0.2 * math.sqrt(max(p.shape))
        else:
            rate = lr * math.sqrt(max(1.0, p.shape[0] / p.shape[1]))
        if group["weight_decay"]:
            p *= 1.0 - lr * group["weight_decay"]
        update *= rate
        p -= update


def _orthogonal(u: Float32Array, group: dict[str, Any]) -> Float32Array:
    """A matrix with the singular vectors of u, and singular values near 1."""
    a, b, c = group["ns_coefficients"]
    turned = u.shape[0] > u.shape[1]
    x: Float32Array = (u.T if turned else u) / max(global_norm([u]), group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        polynomial = gram @ gram
        polynomial *= c
        gram *= b
        polynomial += gram
        product = polynomial @ x
        x *= a
        x += product
    return x.T if turned else x
