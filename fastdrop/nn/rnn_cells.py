"""One step of a recurrent layer: RNNCell, LSTMCell and GRUCell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.passes import PassTensor, carries, with_passes
from fastdrop.autograd.recurrent_gradients import RecurrentMasks
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.recurrent import gates_of, recurrent
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


class _Cell(Module):
    """What the cells share.

    Parameters
    ----------
    mode : str
        As in `RNNBase`.
    input_size, hidden_size : int
    bias : bool
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = check.integer(input_size, "input_size", 1)
        self.hidden_size = check.integer(hidden_size, "hidden_size", 1)
        self.bias = check.flag(bias, "bias")
        rows = gates_of(mode) * hidden_size
        self.weight_ih = Parameter(np.empty((rows, input_size), np.float32))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), np.float32))
        self.bias_ih = Parameter(np.empty(rows, np.float32)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, np.float32)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters again, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @carries
    def _step(self, input: Any, h0: Any, c0: Any) -> tuple[Tensor, Tensor | None]:
        """h and c after the step."""
        x = as_tensor(input, "input")
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"input must have shape (N, {self.input_size}) or ({self.input_size},), "
                f"got {x.shape}"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        states = [self._state(h0, "h_0", shape)]
        if self.mode == "LSTM":
            states.append(self._state(c0, "c_0", shape))
        if any(type(t) is PassTensor for t in (x, *states)):
            x, *states = (with_passes(t) for t in (x, *states))
        single = x.ndim == 1
        if single:
            x, *states = (F.unsqueeze(t, 0) for t in (x, *states))
        _, h, c = recurrent(
            x,
            states[0],
            states[1] if len(states) > 1 else None,
            (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, None),
            self.mode,
            np.array([x.shape[0]], np.int64),
            False,
            RecurrentMasks(),
        )
        if single:
            h, c = F.squeeze(h, 0), None if c is None else F.squeeze(c, 0)
        return h, c

    def _state(self, state: Any, name: str, shape: tuple[int, ...]) -> Tensor:
        if state is None:
            return Tensor(np.zeros(shape, np.float32))
        state = as_tensor(state, name)
        if state.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {state.shape}")
        return state

    def extra_repr(self) -> str:
        more = "" if self.bias else ", bias=False"
        return f"{self.input_size}, {self.hidden_size}{more}"


class LSTMCell(_Cell):
    """One step of an LSTM: ``h, c = cell(input, (h, c))``, with the formulas of `LSTM`.

    Input (N, input_size) or (input_size,), states (N, hidden_size) or (hidden_size,); without
    states they are 0. No dropout: `LSTM` has it.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
        Whether there are b_ih and b_hh.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter (4 hidden_size, input_size), (4 hidden_size, hidden_size)
        The rows are the gates i, f, g, o.
    bias_ih, bias_hh : Parameter (4 hidden_size,) or None

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> h, c = nn.LSTMCell(3, 5)(np.ones((2, 3)))
    >>> h.shape
    (2, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__("LSTM", input_size, hidden_size, bias)

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Tensor | ArrayLike, hx: Any = None
        ) -> tuple[Tensor, Tensor]: ...

    def forward(self, input: Tensor | ArrayLike, hx: Any = None) -> Any:
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"hx must be a pair (h_0, c_0), got {check.describe(hx)}")
        return self._step(input, *((None, None) if hx is None else hx))


class GRUCell(_Cell):
    """One step of a GRU: ``h = cell(input, h)``, with the formulas of `GRU`.

    Input (N, input_size) or (input_size,), state (N, hidden_size) or (hidden_size,); without a
    state it is 0. No dropout: `GRU` has it.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
        Whether there are b_ih and b_hh.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter (3 hidden_size, input_size), (3 hidden_size, hidden_size)
        The rows are the gates r, z, n.
    bias_ih, bias_hh : Parameter (3 hidden_size,) or None

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.GRUCell(3, 5)(np.ones((2, 3))).shape
    (2, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__("GRU", input_size, hidden_size, bias)

    def forward(self, input: Tensor | ArrayLike, hx: Any = None) -> Tensor:
        return self._step(input, hx, None)[0]


class RNNCell(_Cell):
    """One step of an `RNN`: ``h = cell(input, h)``, h = f(W_ih x + b_ih + W_hh h + b_hh).

    Input (N, input_size) or (input_size,), state (N, hidden_size) or (hidden_size,); without a
    state it is 0. No dropout: `RNN` has it.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
        Whether there are b_ih and b_hh.
    nonlinearity : {"tanh", "relu"}
        f.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter (hidden_size, input_size), (hidden_size, hidden_size)
    bias_ih, bias_hh : Parameter (hidden_size,) or None

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.RNNCell(3, 5, nonlinearity="relu")(np.ones((2, 3))).shape
    (2, 5)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"
    ) -> None:
        check.choice(nonlinearity, "nonlinearity", ("tanh", "relu"))
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor | ArrayLike, hx: Any = None) -> Tensor:
        return self._step(input, hx, None)[0]

    def extra_repr(self) -> str:
        more = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + more
