"""The solvers of the estimators: optimisers of fastdrop, and L-BFGS on all samples at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize  # SciPy is a dependency of scikit-learn

from fastdrop import optim
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import may_draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop.sklearn.base import BaseDropoutEstimator

__all__ = ["SOLVERS", "check_lbfgs", "fit_lbfgs", "make_optimizer"]

OPTIMIZERS: dict[str, Any] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "sgd": optim.SGD,
    "rmsprop": optim.RMSprop,
}
SOLVERS = (*OPTIMIZERS, "lbfgs")


def make_optimizer(estimator: BaseDropoutEstimator, model: nn.Module, batch: float) -> Any:
    """The optimiser of an estimator's parameters.

    `batch` is the sum of the sample weights of a full batch, on average: the penalty
    ``alpha / 2 |W|^2 / batch`` has the gradient ``alpha / batch W``.
    """
    kind = OPTIMIZERS[estimator.solver]
    options: dict[str, Any] = {
        "lr": check.real(estimator.learning_rate_init, "learning_rate_init", low=0, open_low=True)
    }
    if kind is optim.SGD:
        momentum = check.real(estimator.momentum, "momentum", low=0, high=1)
        nesterov = check.flag(estimator.nesterovs_momentum, "nesterovs_momentum")
        options |= {"momentum": momentum, "nesterov": nesterov and momentum > 0}
    if kind in (optim.Adam, optim.AdamW):
        options["betas"] = tuple(
            check.real(getattr(estimator, name), name, low=0, high=1, open_high=True)
            for name in ("beta_1", "beta_2")
        )
        options["eps"] = check.real(estimator.epsilon, "epsilon", low=0, open_low=True)
    decay = check.real(estimator.alpha, "alpha", low=0) / batch
    weights = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim != 2]
    return kind(
        [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}],
        **options,
    )


def check_lbfgs(estimator: BaseDropoutEstimator, model: nn.Module) -> None:
    """ValueError where a network or an option does not go with L-BFGS."""
    if may_draw(model):
        raise ValueError(
            "dropout must be 0 with solver='lbfgs', whose line searches compare losses that random "
            f"masks would change, got dropout={estimator.dropout!r}"
        )
    if estimator.max_norm is not None:
        raise ValueError(
            f"max_norm must be None with solver='lbfgs', got max_norm={estimator.max_norm!r}"
        )


def fit_lbfgs(
    model: nn.Module,
    blocks: Callable[[], Iterable[tuple[Any, ...]]],
    loss: Callable[..., Tensor],
    *,
    penalty: float,
    max_iter: int,
    max_fun: int,
    tol: float,
    verbose: bool,
) -> tuple[list[float], bool]:
    """Minimise the loss of all samples plus ``penalty / 2 |W|^2`` by L-BFGS.

    Parameters
    ----------
    model : Module
        Without random layers. It is trained in place.
    blocks : function () -> iterable of (x, y) or (x, y, weights)
        All samples, in blocks that bound the memory.
    loss : function (output, y, weight) -> Tensor
        The mean loss of a block.
    penalty : float
    max_iter, max_fun : int
        Largest numbers of iterations and of computations of the loss.
    tol : float
        Training stops when no element of the gradient is larger.
    verbose : bool
        Print a line for each iteration on stdout.

    Returns
    -------
    curve : list of float
        The objective after each iteration.
    converged : bool
        False where max_iter or max_fun was reached.
    """
    parameters = list(model.parameters())
    matrices = [p.ndim == 2 for p in parameters]
    sizes = np.cumsum([p.numel() for p in parameters])[:-1]
    last, curve = [0.0], []

    def objective(vector: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
        _set(parameters, vector, sizes)
        for p in parameters:
            p.grad = None
        total, rows = 0.0, 0
        for x, y, *weight in blocks():
            # The mean of a block times its rows: the sum, which the gradients add up.
            value = loss(model(x), y, weight[0] if weight else None) * len(y)
            value.backward()
            total, rows = total + value.item(), rows + len(y)
        gradients = [p.grad for p in parameters if p.grad is not None]  # all of them
        gradient = np.concatenate([g.data.astype(np.float64).ravel() for g in gradients])
        gradient /= rows
        decay = np.concatenate(
            [np.full(p.numel(), penalty * is_matrix) for p, is_matrix in zip(parameters, matrices)]
        )
        last[0] = total / rows + 0.5 * float(decay @ np.square(vector))
        return last[0], gradient + decay * vector

    def note(vector: npt.NDArray[Any]) -> None:
        curve.append(last[0])
        if verbose:
            print(f"Iteration {len(curve)}, loss = {last[0]:.8f}")

    start = np.concatenate([np.asarray(p.data, np.float64).ravel() for p in parameters])
    found = minimize(
        objective,
        start,
        method="L-BFGS-B",
        jac=True,
        callback=note,
        options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
    )
    _set(parameters, found.x, sizes)
    for p in parameters:
        p.grad = None
    if not curve:  # the start was a minimum already
        curve.append(float(found.fun))
    # Status 2 is a line search that finds nothing lower: the minimum, within float32's rounding.
    return curve, found.status != 1


def _set(parameters: list[Any], vector: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> None:
    for p, part in zip(parameters, np.split(vector, sizes)):
        p.data[...] = part.reshape(p.shape)
