"""A copy of a model whose parameters are averages over the steps: EMA and SWA."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.recording import noted
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.nn.module import Module
from fastdrop.optim.blocks import blocks

__all__ = [
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
]

AverageOfOne: TypeAlias = Callable[[Any, Any, int], Any]
AverageOfAll: TypeAlias = Callable[[list[Any], list[Any], int], Any]


def get_ema_avg_fn(decay: float = 0.999) -> AverageOfOne:
    r"""The function of an exponential moving average, for `AveragedModel`.

    .. math:: w_{\mathrm{EMA}} \leftarrow d\, w_{\mathrm{EMA}} + (1 - d)\, w

    Parameters
    ----------
    decay : float in [0, 1], default 0.999
        d; the average is over about 1 / (1 - d) steps.

    Returns
    -------
    callable
        ``f(averaged, parameter, n) -> Tensor``.

    Raises
    ------
    TypeError, ValueError
        `decay` has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> average = fd.optim.swa_utils.get_ema_avg_fn(0.75)
    >>> average(fd.tensor([1.0]), fd.tensor([3.0]), 7).tolist()
    [1.5]
    """
    decay = check.real(decay, "decay", low=0.0, high=1.0)

    def ema_update(ema_param: Any, current_param: Any, num_averaged: int) -> Any:
        return ema_param * decay + current_param * (1.0 - decay)

    return ema_update


def get_swa_avg_fn() -> AverageOfOne:
    r"""The function of the mean of all updates, for `AveragedModel`.

    .. math:: w_{\mathrm{SWA}} \leftarrow w_{\mathrm{SWA}} + (w - w_{\mathrm{SWA}}) / (n + 1)

    Returns
    -------
    callable
        ``f(averaged, parameter, n) -> Tensor``.

    Examples
    --------
    >>> import fastdrop as fd
    >>> average = fd.optim.swa_utils.get_swa_avg_fn()
    >>> average(fd.tensor([1.0]), fd.tensor([4.0]), 2).tolist()
    [2.0]
    """

    def swa_update(averaged_param: Any, current_param: Any, num_averaged: int) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageOfAll:
    """As `get_ema_avg_fn`, for all parameters in one call, in place: with less memory.

    Parameters
    ----------
    decay : float in [0, 1], default 0.999
        The average is over about 1 / (1 - decay) steps.

    Returns
    -------
    callable
        ``f(averaged, parameters, n)``, with lists of tensors.

    Raises
    ------
    TypeError, ValueError
        `decay` has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> averaged = [fd.tensor([1.0])]
    >>> fd.optim.swa_utils.get_ema_multi_avg_fn(0.75)(averaged, [fd.tensor([3.0])], 7)
    >>> averaged[0].tolist()
    [1.5]
    """
    decay = check.real(decay, "decay", low=0.0, high=1.0)

    def ema_update(ema_params: list[Any], current_params: list[Any], num_averaged: int) -> None:
        _move(ema_params, current_params, 1.0 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> AverageOfAll:
    """As `get_swa_avg_fn`, for all parameters in one call, in place: with less memory.

    Returns
    -------
    callable
        ``f(averaged, parameters, n)``, with lists of tensors.

    Examples
    --------
    >>> import fastdrop as fd
    >>> averaged = [fd.tensor([1.0])]
    >>> fd.optim.swa_utils.get_swa_multi_avg_fn()(averaged, [fd.tensor([4.0])], 2)
    >>> averaged[0].tolist()
    [2.0]
    """

    def swa_update(
        averaged_params: list[Any], current_params: list[Any], num_averaged: int
    ) -> None:
        _move(averaged_params, current_params, 1.0 / (num_averaged + 1))

    return swa_update


def _move(averaged: list[Tensor], current: list[Tensor], part: float) -> None:
    """Move tensors in place by a part of the distance to others."""
    for own, other in zip(averaged, current, strict=True):
        array = check.writable(own._to_write("update_parameters()"), "averaged")
        pieces = blocks(1, array, check.readable(other._array, "parameter", array.shape))
        for mean, value, difference in pieces:
            np.subtract(value, mean, out=difference)
            difference *= part
            mean += difference


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those of the model.

    Call `update_parameters` after each step (EMA) or at the end of each of the last epochs (SWA),
    and evaluate with this module. The first call copies. Save the result as `module`
    (``fd.save(averaged.module, path)``).

    Differences from ``torch.optim.swa_utils.AveragedModel``: averaging functions get the number of
    updates as an int.

    Parameters
    ----------
    model : Module
        It is copied.
    device : optional
        None or "cpu".
    avg_fn : callable, optional
        ``avg_fn(averaged, parameter, n)`` returns the new average of a parameter; n is the number
        of updates so far.
    multi_avg_fn : callable, optional
        ``multi_avg_fn(averaged, parameters, n)`` changes a list of averages in place. Without both
        functions, the average is the mean of all updates (`get_swa_avg_fn`).
    use_buffers : bool, default False
        Whether buffers (the statistics of batch norms) are averaged too. Otherwise they are copied
        at each update.

    Attributes
    ----------
    module : Module
        The copy.
    n_averaged : int array ()
        The number of updates.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, or both functions are given.

    References
    ----------
    P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov, A. G. Wilson, "Averaging weights leads to
    wider optima and better generalization", UAI 2018, arXiv:1803.05407.

    B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM
    Journal on Control and Optimization 30(4), 1992, doi:10.1137/0330046.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    >>> model = fd.nn.Linear(2, 1)
    >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    >>> optimizer = fd.optim.SGD(model.parameters(), lr=0.1)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     (model(fd.tensor([[1.0, 2.0]])) ** 2).mean().backward()
    ...     optimizer.step()
    ...     ema.update_parameters(model)
    >>> ema(fd.tensor([[1.0, 2.0]])).shape
    (1, 1)
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AverageOfOne | None = None,
        multi_avg_fn: AverageOfAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(f"model must be a Module, got {check.describe(model)}")
        if device is not None and str(device) != "cpu":
            raise ValueError(f"device must be None or 'cpu', got {device!r}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("avg_fn must be None where multi_avg_fn is given, got both")
        for function, name in ((avg_fn, "avg_fn"), (multi_avg_fn, "multi_avg_fn")):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, got {check.describe(function)}")
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", np.zeros((), np.int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = check.flag(use_buffers, "use_buffers")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of the model into the average.

        Parameters
        ----------
        model : Module
            With the parameters and buffers of the one that was copied.

        Raises
        ------
        TypeError, ValueError
            `model` is no Module, or its parameters or buffers have other shapes. Nothing is
            changed then.
        """
        if not isinstance(model, Module):
            raise TypeError(f"model must be a Module, got {check.describe(model)}")
        sets = [
            _pairs(getattr(self.module, each)(), getattr(model, each)(), each)
            for each in ("parameters", "buffers")
        ]
        noted(self._update, *sets, self.n_averaged)

    def _update(self, parameters: list[Any], buffers: list[Any], count: Any) -> None:
        """Average pairs of (own, given), and count; recordings note the arrays among these."""
        n = int(_array(count))
        averaged = parameters + buffers if self.use_buffers else parameters
        if n == 0:
            _copy(averaged)
        else:
            with no_grad():
                self._average([p for p in averaged if _is_float(p[0])], n)
                counts = [p for p in averaged if not _is_float(p[0])]
                # Integers are averaged as real numbers, and cut.
                means = [tuple(wrap(_array(each).astype(np.float32)) for each in p) for p in counts]
                self._average(means, n)
                _copy([(own, mean) for (own, _), (mean, _) in zip(counts, means, strict=True)])
        if not self.use_buffers:
            _copy(buffers)
        np.add(_array(count), 1, out=_written(count))

    def _average(self, pairs: list[Any], n: int) -> None:
        """Change the first of each pair of tensors."""
        if not pairs:
            return
        own = [each.detach() for each, _ in pairs]
        given = [each.detach() for _, each in pairs]
        if self.avg_fn is None:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(own, given, n)
            return
        results = [self.avg_fn(mean, value, n) for mean, value in zip(own, given, strict=True)]
        for mean, result in zip(own, results, strict=True):
            new = _array(result)
            if new.shape != mean.shape:
                raise ValueError(
                    f"avg_fn must return an average of shape {mean.shape}, got {new.shape}"
                )
            np.copyto(_written(mean), new)


def _pairs(own: Iterable[Any], given: Iterable[Any], what: str) -> list[Any]:
    """Pairs of tensors or arrays of the same shapes."""
    ours, theirs = list(own), list(given)
    shapes = [[_array(each).shape for each in values] for values in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"model must have {what} of the shapes {shapes[0]}, which were copied, got {shapes[1]}"
        )
    return list(zip(ours, theirs, strict=True))


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _is_float(value: Any) -> bool:
    return bool(_array(value).dtype == np.float32)


def _written(value: Any) -> Any:
    """The array of a tensor or array, for writing."""
    return value._to_write("update_parameters()") if isinstance(value, Tensor) else value


def _copy(pairs: list[Any]) -> None:
    for own, given in pairs:
        np.copyto(_written(own), _array(given), casting="unsafe")
