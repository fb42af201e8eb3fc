"""Averaged stochastic gradient descent, from the beginning or when validation stops improving."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.optim.group_options import check_ignored
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params

_NEVER = 2**62


class ASGD(Optimizer):
    r"""Stochastic gradient descent whose parameters are also averaged over the steps.

    With the gradient g, ``weight_decay`` :math:`\omega`, ``lambd`` :math:`\lambda`, ``alpha``
    :math:`\alpha`, ``t0`` :math:`t_0` and step t from 1 on, in which lr is the learning rate of the
    step before, as in PyTorch:

    .. math::
        \eta_t &= \mathrm{lr} / (1 + \lambda\, \mathrm{lr}\, (t - 1))^\alpha, \qquad
        \mu_t = 1 / \max(1, t - 1 - t_0) \\
        p &\leftarrow p - \eta_t (g + (\omega + \lambda)\, p) \\
        ax &\leftarrow ax + \mu_t (p - ax)

    The average `ax` is in the state of each parameter; `averaged_parameters` evaluates with it.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 0.01
        Learning rate.
    lambd : float, at least 0, default 1e-4
        Decay.
    alpha : float, at least 0, default 0.75
        Power of the falling learning rate.
    t0 : float, default 1e6
        The step from which the average is taken; until then it is the parameter itself.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    foreach, differentiable, capturable : bool, optional
        Without effect: they choose an implementation in PyTorch. `differentiable` must be False.
    maximize : bool, default False
        Whether the gradients are followed upwards.
    max_norm : float above 0, optional
        After each step, each row of the 2-d parameters is scaled down to at most this L2 norm.
        The average is taken after that.
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
    B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM
    Journal on Control and Optimization 30(4), 1992, doi:10.1137/0330046.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.ASGD([w], lr=0.1, lambd=0.0, t0=0)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> with optimizer.averaged_parameters():
    ...     print(w.data.round(3).tolist())
    [0.5759999752044678, 1.1519999504089355]
    """

    state_keys = ("step", "ax", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        *,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(foreach=foreach, differentiable=differentiable, capturable=capturable)
        super().__init__(
            params,
            dict(
                lr=lr,
                lambd=lambd,
                alpha=alpha,
                t0=t0,
                weight_decay=weight_decay,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.real(group["lambd"], "lambd", low=0.0)
        check.real(group["alpha"], "alpha", low=0.0)
        check.real(group["t0"], "t0")

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state.update(step=0, ax=np.zeros_like(p), eta=group["lr"], mu=1.0)
        state["step"] += 1
        decay = group["weight_decay"] + group["lambd"]
        _core.sgd(p, g, None, state["eta"], 0.0, 0.0, decay, False, False)

    def _after_update(self, p: Float32Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        ax, lr = state["ax"], group["lr"]
        if state["mu"] == 1.0:
            ax[...] = p
        else:
            difference = empty(p.shape)
            np.subtract(p, ax, out=difference)
            difference *= np.float32(state["mu"])
            ax += difference
        # of the next step
        state["eta"] = lr / (1.0 + group["lambd"] * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1.0 / max(1.0, state["step"] - group["t0"])

    @contextmanager
    def averaged_parameters(self) -> Iterator[None]:
        """Context manager: inside, the parameters are their averages, for an evaluation.

        A parameter whose averaging has not begun stays as it is.

        Raises
        ------
        ValueError
            A parameter is read-only. Nothing is changed then.

        Examples
        --------
        >>> import fastdrop as fd
        >>> w = fd.Parameter([1.0])
        >>> with fd.optim.ASGD([w]).averaged_parameters():
        ...     print(w.tolist())
        [1.0]
        """
        averaged = [
            (p, check.writable(p._array, "params"), self.state[p]["ax"])
            for group in self.param_groups
            for p in group["params"]
            if self.state.get(p) and self.state[p]["step"] > group["t0"]
        ]
        kept = []
        for p, array, average in averaged:
            kept.append((p, array.copy()))
            p._to_write("averaged_parameters()")[...] = average
        try:
            yield
        finally:
            for p, own in kept:
                p._to_write("averaged_parameters()")[...] = own


class NTASGD(ASGD):
    """SGD whose averaging begins when the validation loss stops improving (`ASGD`).

    After each evaluation call `validated` with its loss. Averaging begins once a loss is above the
    least one but of the last `nonmono` evaluations.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        As in `ASGD`.
    lr : float, at least 0
        Learning rate.
    nonmono : int, at least 1, default 5
        How many evaluations the loss may fail to improve.
    weight_decay : float, at least 0, default 0
        weight_decay * p is added to the gradient (L2 penalty).
    max_norm, clip_grad_norm : float above 0, optional
        As in `ASGD`.

    Raises
    ------
    TypeError, ValueError
        As for `ASGD`.

    References
    ----------
    Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
    arXiv:1708.02182.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.NTASGD([fd.Parameter([1.0])], lr=0.1, nonmono=2)
    >>> [optimizer.validated(loss) for loss in (3.0, 2.0, 2.5, 2.6, 2.4)]
    [False, False, False, False, True]
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        nonmono: int = 5,
        weight_decay: float = 0.0,
        *,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        Optimizer.__init__(
            self,
            params,
            dict(
                lr=lr,
                lambd=0.0,
                alpha=0.0,
                t0=_NEVER,
                weight_decay=weight_decay,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
                nonmono=nonmono,
                losses=(),
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check.integer(group["nonmono"], "nonmono", 1)
        group["losses"] = tuple(check.real(loss, "losses") for loss in group["losses"])

    def validated(self, loss: float) -> bool:
        """Take the loss of an evaluation; whether averaging has begun.

        Parameters
        ----------
        loss : float
            NaN and infinity count as the largest loss.

        Returns
        -------
        bool
        """
        value: Any = loss
        if isinstance(value, (float, np.floating)) and (math.isnan(value) or value == math.inf):
            loss = sys.float_info.max
        loss = check.real(loss, "loss")
        for group in self.param_groups:
            before, patience = group["losses"], group["nonmono"]
            best = min(before[:-patience], default=loss)
            if group["t0"] == _NEVER and loss > best:
                steps = [self.state[p]["step"] for p in group["params"] if p in self.state]
                group["t0"] = max(steps, default=0)
            group["losses"] = (*before, loss)
        return any(group["t0"] != _NEVER for group in self.param_groups)
