"""The Adam and AdamW optimisers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import _core
from fastdrop.optim.blocks import blocks
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Adam(Optimizer):
    r"""Adam.

    With the gradient g of step t, where ``weight_decay`` is :math:`\lambda`:

    .. math::
        g &\leftarrow g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \\
        p &\leftarrow p - \mathrm{lr}\; \frac{m / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-3
        Learning rate.
    betas : (float, float), each in [0, 1), default (0.9, 0.999)
        Decay rates of the averages of the gradient and of its square.
    eps : float, at least 0, default 1e-8
        Added to the denominator.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    amsgrad : bool, default False
        Whether the denominator has the largest v so far in place of v (Reddi et al.).
    foreach, capturable, differentiable, fused : bool, optional
        Without effect: they choose an implementation in PyTorch. `differentiable` must be False.
    decoupled_weight_decay : bool, default False
        Whether weight decay bypasses the averages: this is `AdamW`.
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

    S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018,
    arXiv:1904.09237 (amsgrad).

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.9, 1.9], dtype=float32)
    """

    state_keys, optional_keys = ("step", "exp_avg", "exp_avg_sq"), ("max_exp_avg_sq",)
    _newer: ClassVar[dict[str, Any]] = {
        "maximize": False,
        "amsgrad": False,
        "decoupled_weight_decay": False,
    }

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(
            foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused
        )
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=amsgrad,
                decoupled_weight_decay=decoupled_weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _update_together(self, updates: list[Any]) -> bool:
        own = type(self)._update is _UPDATE and type(self)._after_update is _AFTER_UPDATE
        if not own or any(group["amsgrad"] for group in self.param_groups):
            return False
        decoupled = {group["decoupled_weight_decay"] for group in self.param_groups}
        return len(decoupled) == 1 and _core.adam_all(updates, decoupled.pop())

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = np.zeros_like(p), np.zeros_like(p)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        if group["amsgrad"]:
            self._update_amsgrad(p, g, state, group)
            return
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
            group["decoupled_weight_decay"],
            state["step"],
        )

    def _update_amsgrad(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if state.get("max_exp_avg_sq") is None:
            state["max_exp_avg_sq"] = np.zeros_like(p)
        (beta1, beta2), step = group["betas"], state["step"]
        rate = group["lr"] / (1.0 - beta1**step)
        correction = math.sqrt(1.0 - beta2**step)
        averages = state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"]
        pieces = blocks(2, p, g, *averages)
        for p, g, m, v, most, a, b in pieces:
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
            np.maximum(most, v, out=most)
            np.sqrt(most, out=b)
            b /= correction
            b += group["eps"]
            np.divide(m, b, out=b)
            b *= rate
            p -= b


# Methods that a subclass may have replaced.
_UPDATE, _AFTER_UPDATE = Adam._update, Adam._after_update


class AdamW(Adam):
    r"""Adam with decoupled weight decay.

    As `Adam`, but the decay :math:`\lambda` does not pass through the averages. Before each step

    .. math:: p \leftarrow (1 - \mathrm{lr}\, \lambda)\, p

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-3
        Learning rate.
    betas : (float, float), each in [0, 1), default (0.9, 0.999)
        Decay rates of the averages of the gradient and of its square.
    eps : float, at least 0, default 1e-8
        Added to the denominator.
    weight_decay : float, at least 0, default 1e-2
        Decay of the parameters, multiplied by the learning rate.
    amsgrad : bool, default False
        Whether the denominator has the largest v so far in place of v (Reddi et al.).
    foreach, capturable, differentiable, fused : bool, optional
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
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019,
    arXiv:1711.05101.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.AdamW([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.899, 1.898], dtype=float32)
    """

    _newer: ClassVar[dict[str, Any]] = {**Adam._newer, "decoupled_weight_decay": True}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            max_norm=max_norm,
            clip_grad_norm=clip_grad_norm,
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if not group["decoupled_weight_decay"]:
            raise ValueError("decoupled_weight_decay must be True for AdamW, got False")
