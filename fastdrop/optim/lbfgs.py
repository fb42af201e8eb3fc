"""The L-BFGS optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import enable_grad
from fastdrop.autograd.recording import refuse
from fastdrop.optim.line_search import Point, strong_wolfe
from fastdrop.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array, Shape
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.optim.optimizer import Params

_COUNTS, _NUMBERS = ("func_evals", "n_iter"), ("t", "H_diag", "prev_loss")
_ARRAYS, _LISTS = ("d", "prev_flat_grad"), ("old_dirs", "old_stps")
_KEYS = {*_COUNTS, *_NUMBERS, *_ARRAYS, *_LISTS, "ro"}


class LBFGS(Optimizer):
    r"""L-BFGS: steps along an estimate of the Newton direction, for whole data sets.

    The direction is :math:`d = -H g`, where the inverse Hessian H is estimated from the last
    `history_size` changes of the parameters and of the gradient. `step` needs a function that
    computes the loss and its gradient; it is called up to `max_eval` times. Masks of dropout must
    be the same in all calls of a step (`fastdrop.random.mask_state`); `fastdrop.fit` sees to that.

    There is one group of parameters. The loss may not be maximized.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of one dict
        The parameters to update.
    lr : float, at least 0, default 1
        Factor of the direction.
    max_iter : int, at least 1, default 20
        Largest number of iterations of a step.
    max_eval : int, at least 1, optional
        Largest number of evaluations of a step. Default: 1.25 `max_iter`.
    tolerance_grad : float, at least 0, default 1e-7
        The largest element of the gradient that ends a step.
    tolerance_change : float, at least 0, default 1e-9
        The change of the loss or of a parameter that ends a step.
    history_size : int, at least 1, default 100
        Number of changes that are kept, each as large as all parameters.
    line_search_fn : {"strong_wolfe"}, optional
        Whether each iteration searches along its direction. None: it goes `lr` far.

    Raises
    ------
    TypeError, ValueError
        An option has the wrong type or is out of range, or `params` is empty, has several groups,
        holds a tensor that cannot be updated, or holds one twice.

    References
    ----------
    D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45, 1989, doi:10.1007/BF01589116.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([1.0, 2.0])
    >>> optimizer = fd.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 3.0) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> first = optimizer.step(closure)
    >>> first.item()
    5.0
    >>> w.data.round(3)
    array([3., 3.], dtype=float32)
    """

    needs_closure = True

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = check.integer(max_iter, "max_iter", 1) * 5 // 4
        super().__init__(
            params,
            dict(
                lr=lr,
                max_iter=max_iter,
                max_eval=max_eval,
                tolerance_grad=tolerance_grad,
                tolerance_change=tolerance_change,
                history_size=history_size,
                line_search_fn=line_search_fn,
                max_norm=None,
            ),
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("params must be one group for LBFGS, got several")
        super().add_param_group(param_group)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("max_iter", "max_eval", "history_size"):
            check.integer(group[name], name, 1)
        for name in ("tolerance_grad", "tolerance_change"):
            check.real(group[name], name, low=0.0)
        if group["line_search_fn"] is not None:
            check.choice(group["line_search_fn"], "line_search_fn", ("strong_wolfe",))
        for name in ("max_norm", "clip_grad_norm", "maximize"):
            if group[name]:
                raise ValueError(f"{name} must be left out for LBFGS, got {group[name]}")

    # ---- all parameters as one vector ----

    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Float32Array:
        parts = []
        for p in self._params():
            if p.grad is None:
                parts.append(np.zeros(p.numel(), np.float32))
            else:
                parts.append(check.readable(p.grad._array, "grad", p.shape).reshape(-1))
        return np.concatenate(parts)

    def _written(self) -> list[Float32Array]:
        """The flat arrays of the parameters, for writing."""
        found = []
        for p in self._params():
            check.writable(p._array, "params")
            found.append(p._to_write("the optimiser's step()").reshape(-1))
        return found

    def _move(self, t: float, direction: Float32Array) -> None:
        start = 0
        for array in self._written():
            array += np.float32(t) * direction[start : start + array.size]
            start += array.size

    # ---- a step ----

    def minimize(self, loss: Tensor) -> None:
        """Not possible: a step needs several losses. Call ``step(closure)``.

        Parameters
        ----------
        loss : Tensor
            It is not used.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("minimize() takes one loss, and LBFGS needs several: call step(closure)")

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is None:
            raise TypeError("closure must be a function that returns the loss, got None")
        refuse("LBFGS decides by numbers how often it computes the loss")
        group, evaluate = self.param_groups[0], enable_grad()(closure)
        state = self.state.setdefault(self._params()[0], {})
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        result = evaluate()
        loss, gradient, evaluations = float(result), self._gradient(), 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return result
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(gradient, state, group["history_size"])
            state.update(d=direction, prev_flat_grad=gradient, prev_loss=loss)
            first = state["n_iter"] == 1
            t = min(1.0, 1.0 / float(np.abs(gradient).sum())) if first else 1.0
            t *= group["lr"]
            state["t"] = t
            slope = float(gradient @ direction)
            if slope > -group["tolerance_change"]:
                break
            before, calls = loss, 0
            if group["line_search_fn"] is not None:
                kept = [array.copy() for array in self._written()]

                def along(t: float, kept: Any = kept, direction: Any = direction) -> Any:
                    self._move(t, direction)
                    found = float(evaluate()), self._gradient()
                    for array, value in zip(self._written(), kept, strict=True):
                        array[...] = value
                    return found

                start = Point(0.0, loss, gradient, slope)
                most = group["max_eval"] - evaluations
                point, calls = strong_wolfe(along, direction, start, t, most)
                t, loss, gradient = point.t, point.loss, point.gradient
                state["t"] = t
                self._move(t, direction)
            else:
                self._move(t, direction)
                if iteration < group["max_iter"]:
                    loss, gradient, calls = float(evaluate()), self._gradient(), 1
            evaluations += calls
            state["func_evals"] += calls
            if (
                evaluations >= group["max_eval"]
                or (calls and _largest(gradient) <= group["tolerance_grad"])
                or abs(t) * _largest(direction) <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return result

    def _direction(
        self, gradient: Float32Array, state: dict[str, Any], history: int
    ) -> Float32Array:
        """The next direction, after the last change was taken into the history."""
        if state["n_iter"] == 1 or "d" not in state:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        y, s = gradient - state["prev_flat_grad"], state["d"] * np.float32(state["t"])
        ys = float(y @ s)
        if ys > 1e-10:
            for key, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / ys)):
                state[key] = [*state[key], value][-history:]
            state["H_diag"] = ys / float(y @ y)
        q, shares = -gradient, []
        changes = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        for y, s, ro in reversed(changes):
            shares.append(float(s @ q) * ro)
            q -= np.float32(shares[-1]) * y
        q *= np.float32(state["H_diag"])
        for (y, s, ro), share in zip(changes, reversed(shares), strict=True):
            q += np.float32(share - float(y @ q) * ro) * s
        return q

    # ---- state ----

    def _checked_state(self, entries: Any, shape: Shape, whose: str) -> dict[str, Any]:
        """A validated copy of the state, which is that of the first parameter."""
        if not isinstance(entries, Mapping):
            raise TypeError(
                f"state_dict's state {whose} must be a dict, got {check.describe(entries)}"
            )
        given = {key: value for key, value in entries.items() if key != "al"}  # PyTorch's scratch
        if given and not {*_COUNTS} <= given.keys() <= _KEYS:
            raise ValueError(
                f"state_dict's state {whose} must hold {', '.join(sorted(_KEYS))}, "
                f"got {', '.join(map(str, given))}"
            )
        if len(given) not in (0, len(_COUNTS), len(_KEYS)):
            missing = min(_KEYS - given.keys())
            raise ValueError(f"state_dict's state {whose} must hold {missing}, which is missing")
        size = sum(p.numel() for p in self._params())
        copied = {key: self._checked_entry(given[key], key, size, whose) for key in given}
        if "ro" in copied and {len(copied[key]) for key in _LISTS} != {len(copied["ro"])}:
            raise ValueError(f"state_dict's ro {whose} must be as long as old_dirs and old_stps")
        return copied

    def _checked_entry(self, value: Any, key: str, size: int, whose: str) -> Any:
        name = f"state_dict's {key} {whose}"
        if key in _COUNTS:
            return check.integer(value, name, 0, 2**62)
        if key in _NUMBERS:
            return check.real(value.item() if hasattr(value, "item") else value, name)
        if key in _ARRAYS:
            array = np.array(check.floats(value, name))
            if array.shape != (size,):
                raise ValueError(f"{name} must have shape {(size,)}, got {array.shape}")
            return array
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"{name} must be a list, got {check.describe(value)}")
        kind = "t" if key == "ro" else "d"  # numbers or arrays
        return [self._checked_entry(each, kind, size, whose) for each in value]


def _largest(array: Float32Array) -> float:
    """The largest magnitude."""
    return float(np.abs(array).max(initial=0.0))
