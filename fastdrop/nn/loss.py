"""Loss functions as layers. `reduction` says what becomes of the losses of the elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.loss import REDUCTIONS
from fastdrop.nn.hooks import with_hooks
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class Loss(Module):
    """A loss with a reduction."""

    reductions: tuple[str, ...] = REDUCTIONS

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check.choice(reduction, "reduction", self.reductions)

    # A loss draws nothing: it opens no forward pass.
    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = with_hooks(self, self.forward)(*args, **kwargs)
        return result


class WeightedLoss(Loss):
    """A loss with weights for classes or elements."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | ArrayLike | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", None if weight is None else as_tensor(weight, "weight"))


class MSELoss(Loss):
    """Squared error ``(input - target)^2``, for regression.

    Input and target have one shape.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.MSELoss()([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class L1Loss(Loss):
    """Absolute error ``|input - target|``, for regression with outliers.

    Input and target have one shape.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.L1Loss()([1.0, 2.0], [1.0, 4.0]).item()
    1.0
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class SmoothL1Loss(Loss):
    """Squared error for small differences, absolute error for large ones.

    With d = input - target: ``d^2 / (2 beta)`` where |d| < beta, ``|d| - beta / 2`` elsewhere.
    Input and target have one shape.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.
    beta : float, at least 0
        Difference at which the forms change; 0 is `L1Loss`.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.SmoothL1Loss()([0.0], [3.0]).item()
    2.5
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = check.real(beta, "beta", low=0.0)

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Loss):
    """Squared error for small differences, absolute error with slope delta for large ones.

    With d = input - target: ``d^2 / 2`` where |d| <= delta, ``delta (|d| - delta / 2)`` elsewhere.
    Input and target have one shape.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.
    delta : float, above 0
        Difference at which the forms change.

    References
    ----------
    Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35(1),
    1964, doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.HuberLoss(delta=2.0)([0.0], [3.0]).item()
    4.0
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = check.real(delta, "delta", low=0.0, open_low=True)

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class NLLLoss(WeightedLoss):
    """Negative log likelihood of class numbers: ``-weight[t] * input[t]`` for each sample.

    Input: log probabilities (N, C), from `LogSoftmax`; target: class numbers (N,). For scores use
    `CrossEntropyLoss`. Maps: (N, C, ...) and (N, ...); one sample: (C,) and ().

    Parameters
    ----------
    weight : array (C,), optional
        Weight of each class.
    ignore_index : int
        Samples of this class number are left out.
    reduction : {"mean", "sum", "none"}
        Mean (over the sum of the samples' weights), sum, or one loss for each sample.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> round(nn.NLLLoss()(np.log([[0.5, 0.5]]), [1]).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Tensor | ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = check.integer(ignore_index, "ignore_index", -(2**31))

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(WeightedLoss):
    """Cross-entropy of classes against the softmax of scores, for classification.

    ``-sum_c weight_c t_c log softmax(input)_c``, t the one-hot target, smoothed. Input: scores
    (N, C), (N, C, ...) or (C,); target: class numbers (N,), (N, ...) or (), or class probabilities
    of the scores' shape.

    Parameters
    ----------
    weight : array (C,), optional
        Weight of each class.
    ignore_index : int
        Samples of this class number are left out.
    reduction : {"mean", "sum", "none"}
        Mean (with class numbers over the sum of the samples' weights), sum, or one loss for each
        sample.
    label_smoothing : float in [0, 1]
        The target becomes (1 - s) t + s / C; 0.1 is usual.

    References
    ----------
    Label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception
    Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.CrossEntropyLoss()([[0.0, 0.0]], [1]).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Tensor | ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        self.label_smoothing = check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0)
        self.ignore_index = check.integer(ignore_index, "ignore_index", -(2**31))

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class LinearCrossEntropyLoss(Loss):
    """A dense layer and the cross-entropy of its scores, for many classes.

    ``-sum_c t_c log softmax(input W^T + b)_c``, t the one-hot target, smoothed. Input
    (..., in_features), target: class numbers (...). The scores are computed in chunks and never
    stored as a whole (`functional.linear_cross_entropy`).

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    num_classes : int
        Number of classes.
    bias : bool
        Whether the layer learns b.
    reduction : {"mean", "sum", "none"}
        Mean over the rows that are not left out, sum, or one loss for each row.
    ignore_index : int, optional
        Rows of this class number are left out; None: -100.
    label_smoothing : float in [0, 1]
        The target becomes (1 - s) t + s / num_classes.

    Attributes
    ----------
    linear : Linear
        The dense layer. It may share its weight with an `Embedding`:
        ``loss.linear.weight = table.weight``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> head = nn.LinearCrossEntropyLoss(8, 1000)
    >>> head(np.ones((5, 3, 8)), np.zeros((5, 3), int)).shape
    ()
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        bias: bool = False,
        reduction: str = "mean",
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.linear = Linear(in_features, num_classes, bias)
        self.ignore_index = -100
        if ignore_index is not None:
            self.ignore_index = check.integer(ignore_index, "ignore_index", -(2**31))
        self.label_smoothing = check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0)

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.linear_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class BCEWithLogitsLoss(WeightedLoss):
    """Binary cross-entropy of targets against the sigmoid of scores, computed without overflow.

    ``-weight (pos_weight t log s + (1 - t) log(1 - s))`` with s = sigmoid(input). Input and target
    have one shape, targets in [0, 1]. For two classes with one score, or several labels at once.

    Parameters
    ----------
    weight : array, optional
        Weight of each element; broadcasts to the shape of the input.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.
    pos_weight : array, optional
        Weight of the positive targets; broadcasts to the shape of the input.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.BCEWithLogitsLoss()([0.0], [1.0]).item(), 4)
    0.6931
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | ArrayLike | None = None,
    ) -> None:
        super().__init__(weight, reduction)
        self.register_buffer(
            "pos_weight", None if pos_weight is None else as_tensor(pos_weight, "pos_weight")
        )

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class GaussianNLLLoss(Loss):
    """Negative log likelihood of targets under normal distributions with predicted variance.

    ``(log v + (input - target)^2 / v) / 2`` with v = max(var, eps), for regression with noise that
    depends on the input. Called as ``loss(input, target, var)``: var has the shape of the
    input, or one value for each row.

    Parameters
    ----------
    full : bool
        Add the constant log(2 pi) / 2.
    eps : float, above 0
        Lower limit of the variance.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    References
    ----------
    Nix, Weigend, "Estimating the mean and variance of the target probability distribution",
    ICNN 1994, doi:10.1109/ICNN.1994.374138.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.GaussianNLLLoss()([0.0], [2.0], [1.0]).item()
    2.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = check.flag(full, "full")
        self.eps = check.real(eps, "eps", low=0.0, open_low=True)

    def forward(
        self, input: Tensor | ArrayLike, target: Tensor | ArrayLike, var: Tensor | ArrayLike
    ) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
