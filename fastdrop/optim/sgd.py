"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class SGD(Optimizer):
    r"""Stochastic gradient descent, optionally with momentum.

    With the gradient g, where ``weight_decay`` is :math:`\lambda`, ``momentum`` :math:`\mu` and
    ``dampening`` :math:`\tau`:

    .. math::
        d &\leftarrow g + \lambda p \\
        b &\leftarrow \mu b + (1 - \tau)\, d \quad (b = d \text{ in the first step}) \\
        p &\leftarrow p - \mathrm{lr} \cdot
        \begin{cases} d & \text{without momentum} \\ b & \text{with momentum} \\
        d + \mu b & \text{with Nesterov momentum} \end{cases}

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-3
        Learning rate.
    momentum : float, at least 0, default 0
        Decay rate of the sum of gradients; 0: no momentum.
    dampening : float, default 0
        Part of the gradient that does not enter the momentum.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    nesterov : bool, default False
        Nesterov momentum. Needs a positive momentum and no dampening.
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
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4(5), 1964,
    doi:10.1016/0041-5553(64)90137-5.

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
    momentum in deep learning", ICML 2013.

    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014 (max-norm).

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.8, 1.6], dtype=float32)
    """

    optional_keys = ("momentum_buffer",)
    _takes_products = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
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
                momentum=momentum,
                dampening=dampening,
                weight_decay=weight_decay,
                nesterov=nesterov,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
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

    def _update_together(self, updates: list[Any]) -> bool:
        own = type(self)._update is _UPDATE and type(self)._after_update is _AFTER_UPDATE
        return own and _core.sgd_all(updates)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
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


# Methods that a subclass may have replaced.
_UPDATE, _AFTER_UPDATE = SGD._update, SGD._after_update
