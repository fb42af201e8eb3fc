"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import idle
from fastdrop.autograd.packed_weights import PackedTensor
from fastdrop.autograd.recording import note_gradient, noted
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


class Parameter(PackedTensor):
    """A tensor that a module trains.

    Modules register parameters that are assigned to their attributes. The memory of the gradient is
    used again in the next step. Products with few rows keep a packed copy of the array
    (`packed_weights.py`).

    Parameters
    ----------
    data : array or Tensor
        float32 arrays are used as they are, unless they are read-only. Other real numbers are
        converted.
    requires_grad : bool, default True
        Whether `backward` computes its gradient.

    Examples
    --------
    >>> import fastdrop as fd
    >>> w = fd.Parameter([[1.0, 2.0]])
    >>> (w * w).sum().backward()
    >>> w.grad.tolist()
    [[2.0, 4.0]]
    """

    __slots__ = ("_spare", "_update_by")

    _spare: list[Float32Array]  # the memory of the last gradient, or nothing

    # While `Optimizer.minimize` runs: _update_by(gradient) updates the parameter in backward. The
    # gradient is a product or a sum of parts, which is not stored, see `_core.sgd`.
    _update_by: Callable[[tuple[Any, ...] | list[Any]], None] | None

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)
        self._data = check.owned(self._data)
        self._spare = []
        self._update_by = None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        old = self._grad
        _set_grad(self, value)
        if value is None and old is not None:
            array = old.data
            if array.flags.owndata and array.flags.writeable:
                self._spare = [array]

    def gradient_into(self, write: Callable[[Float32Array, bool], None]) -> None:
        """Let a function write the gradient into the parameter's own memory.

        This needs no fresh memory pages and no second copy.

        Parameters
        ----------
        write : callable
            write(out, accumulate): writes the gradient to out, or adds it where accumulate is True.

        Raises
        ------
        TypeError, ValueError
            When `grad` has another shape than the parameter, or is read-only.
        """
        note_gradient(self)
        shape = self._data.shape
        if self._grad is not None:
            write(check.writable(self._grad.data, "grad", shape), True)
            return
        out = idle(self._spare)
        if out is None or out.shape != shape or out.dtype != np.float32:
            out = np.empty(shape, np.float32)
        self._spare = []
        write(out, False)
        self._grad = wrap(out)

    def _accumulate(self, part: Float32Array) -> None:
        self._check_gradient(part.shape)

        def write(out: Float32Array, accumulate: bool) -> None:
            if accumulate:
                noted(np.add, out, part, out)
            elif part.flags.c_contiguous and out.flags.c_contiguous and part.dtype == out.dtype:
                _core.copy(out, part)
            else:
                noted(np.copyto, out, part)

        self.gradient_into(write)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


_set_grad: Any = Tensor.grad.fset  # type: ignore[attr-defined]
