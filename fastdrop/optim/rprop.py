"""The Rprop optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.optim.blocks import blocks, sign_
from fastdrop.optim.group_options import check_ignored, check_pair
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.optim.optimizer import Params


class Rprop(Optimizer):
    r"""Resilient backpropagation: steps by the sign of the gradient, for whole batches.

    Each element has a step size s, which grows while the sign of its gradient g stays the same and
    shrinks when it changes; with the gradient :math:`g'` of the step before:

    .. math::
        s &\leftarrow \mathrm{clip}\left(s \cdot
        \begin{cases} \eta^+ & g g' > 0 \\ \eta^- & g g' < 0 \\ 1 & \text{otherwise} \end{cases},
        s_{\min}, s_{\max}\right) \\
        g &\leftarrow 0 \text{ where } g g' < 0 \\
        p &\leftarrow p - s\; \mathrm{sign}(g)

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from the
        defaults below.
    lr : float, at least 0, default 1e-2
        The first step size.
    etas : (float, float), default (0.5, 1.2)
        Factors of a step size: :math:`\eta^-` in (0, 1) and :math:`\eta^+` above 1.
    step_sizes : (float, float), default (1e-6, 50)
        The least and the largest step size.
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
    M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", ICNN 1993, doi:10.1109/ICNN.1993.298623.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([0.9, 1.9], dtype=float32)
    """

    state_keys = ("step", "prev", "step_size")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        max_norm: float | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        check_ignored(capturable=capturable, foreach=foreach, differentiable=differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                etas=etas,
                step_sizes=step_sizes,
                maximize=maximize,
                max_norm=max_norm,
                clip_grad_norm=clip_grad_norm,
            ),
        )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_pair(group["etas"], "etas")
        check_pair(group["step_sizes"], "step_sizes")
        check.real(group["etas"][0], "etas[0]", low=0, high=1, open_low=True, open_high=True)
        check.real(group["etas"][1], "etas[1]", low=1, open_low=True)

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state["step"], state["prev"] = 0, np.zeros_like(p)
            state["step_size"] = np.full_like(p, group["lr"])
        state["step"] += 1
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        pieces = blocks(2, p, g, state["prev"], state["step_size"])
        for p, g, before, size, a, b in pieces:
            np.multiply(g, before, out=a)
            turned = a < 0
            b.fill(1.0)
            b[a > 0] = grow
            b[turned] = shrink
            size *= b
            np.clip(size, least, most, out=size)
            before[...] = g
            before[turned] = 0
            np.copyto(a, before)
            sign_(a)
            a *= size
            p -= a
