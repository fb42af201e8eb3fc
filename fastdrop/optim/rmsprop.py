"""The RMSprop optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.optim.blocks import blocks
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class RMSprop(Optimizer):
    r"""RMSprop: gradients divided by the root of their mean square.

    With the gradient g, where ``weight_decay`` is :math:`\lambda` and ``momentum`` :math:`\mu`:

    .. math::
        g &\leftarrow g + \lambda p \\
        v &\leftarrow \alpha v + (1 - \alpha)\, g^2 \\
        b &\leftarrow \mu b + g / (\sqrt{v} + \epsilon) \\
        p &\leftarrow p - \mathrm{lr}\; b

    With ``centered=True``, v is replaced in the denominator by :math:`v - \bar g^2`, an estimate of
    the variance, with the average :math:`\bar g \leftarrow \alpha \bar g + (1 - \alpha)\, g`.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-2
        Learning rate.
    alpha : float in [0, 1], default 0.99
        Decay rate of the average of the squared gradient.
    eps : float, at least 0, default 1e-8
        Added to the denominator.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    momentum : float, at least 0, default 0
        Decay rate of the sum of steps; 0: no momentum.
    centered : bool, default False
        Whether gradients are divided by their standard deviation.
    capturable, foreach, differentiable : bool, optional
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
    G. Hinton, N. Srivastava, K. Swersky, "Neural networks for machine learning", lecture 6e,
    2012.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0., 1.], dtype=float32)
    """

    # PyTorch also counts the steps.
    state_keys, optional_keys = ("square_avg",), ("momentum_buffer", "grad_avg", "step")
    _newer: ClassVar[dict[str, Any]] = {"maximize": False, "centered": False}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(capturable=capturable, foreach=foreach, differentiable=differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                alpha=alpha,
                eps=eps,
                weight_decay=weight_decay,
                momentum=momentum,
                centered=centered,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["alpha"], "alpha", low=0.0, high=1.0)
        check.real(group["eps"], "eps", low=0.0)
        check.real(group["momentum"], "momentum", low=0.0)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["square_avg"] = np.zeros_like(p)
        buf = None
        if group["momentum"]:
            buf = state.get("momentum_buffer")
            if buf is None:
                buf = state["momentum_buffer"] = np.zeros_like(p)
        if group["centered"]:
            self._update_centered(p, g, buf, state, group)
            return
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

    def _update_centered(
        self,
        p: Float32Array,
        g: Float32Array,
        buf: Float32Array | None,
        state: dict[str, Any],
        group: dict[str, Any],
    ) -> None:
        if state.get("grad_avg") is None:
            state["grad_avg"] = np.zeros_like(p)
        alpha = group["alpha"]
        arrays = p, g, state["square_avg"], state["grad_avg"]
        pieces = blocks(2, *arrays, p if buf is None else buf)
        for p, g, v, average, b, a, c in pieces:
            if group["weight_decay"]:
                np.multiply(p, group["weight_decay"], out=a)
                g = np.add(a, g, out=a)
            v *= alpha
            np.multiply(g, g, out=c)
            c *= 1.0 - alpha
            v += c
            np.subtract(g, average, out=c)
            c *= 1.0 - alpha
            average += c
            np.multiply(average, average, out=c)
            np.subtract(v, c, out=c)
            np.sqrt(c, out=c)
            c += group["eps"]
            np.divide(g, c, out=c)
            if buf is not None:
                b *= group["momentum"]
                b += c
                np.copyto(c, b)
            c *= group["lr"]
            p -= c
