"""Losses as layers; the formulas stand with the functions in `fastdrop.nn.functional`."""

from __future__ import annotations

from fastdrop import functional
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.loss import REDUCTIONS
from fastdrop.nn.module import Module


class _Loss(Module):
    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = check.choice(reduction, "reduction", REDUCTIONS)

    def __call__(self, *args):  # a loss draws nothing: no forward pass to open
        return self.forward(*args)


class _Weighted(_Loss):
    def __init__(self, weight=None, reduction: str = "mean"):
        super().__init__(reduction)
        self.register_buffer("weight", None if weight is None else as_tensor(weight, "weight"))


class MSELoss(_Loss):
    """(input - target)^2."""

    def forward(self, input, target):
        return functional.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|input - target|."""

    def forward(self, input, target):
        return functional.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """Quadratic within beta, linear beyond."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction)
        self.beta = check.real(beta, "beta", low=0.0)

    def forward(self, input, target):
        return functional.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """Quadratic within delta, linear beyond."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        self.delta = check.real(delta, "delta", low=0.0, open_low=True)

    def forward(self, input, target):
        return functional.huber_loss(input, target, self.reduction, self.delta)


class NLLLoss(_Weighted):
    """Negative log likelihood of labels under log probabilities."""

    def forward(self, input, target):
        return functional.nll_loss(input, target, self.weight, self.reduction)


class CrossEntropyLoss(_Weighted):
    """Cross-entropy of labels or distributions against the softmax of scores."""

    def __init__(self, weight=None, reduction: str = "mean", label_smoothing: float = 0.0):
        super().__init__(weight, reduction)
        self.label_smoothing = check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0)

    def forward(self, input, target):
        return functional.cross_entropy(
            input, target, self.weight, self.reduction, self.label_smoothing
        )


class BCEWithLogitsLoss(_Weighted):
    """Binary cross-entropy against the sigmoid of scores."""

    def __init__(self, weight=None, reduction: str = "mean", pos_weight=None):
        super().__init__(weight, reduction)
        self.register_buffer(
            "pos_weight", None if pos_weight is None else as_tensor(pos_weight, "pos_weight")
        )

    def forward(self, input, target):
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class GaussianNLLLoss(_Loss):
    """Negative log likelihood under a normal distribution with predicted variance."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction)
        self.full = check.flag(full, "full")
        self.eps = check.real(eps, "eps", low=0.0, open_low=True)

    def forward(self, input, target, var):
        return functional.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
