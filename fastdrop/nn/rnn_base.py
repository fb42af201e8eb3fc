"""What the recurrent layers share: parameters, states, sequences and masks."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.passes import PassTensor, carries, with_passes
from fastdrop.autograd.recurrent_gradients import RecurrentMasks
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.functional.recurrent import (
    CELLS,
    HIDDEN,
    INPUT,
    OUTPUT,
    SITES,
    UPDATE,
    WEIGHTS,
    ZONE_C,
    ZONE_H,
    flat_steps,
    gates_of,
    mask_of_steps,
    recurrent,
    sequence_dropout,
    sequence_mask,
    unflat_steps,
    weight_mask,
)
from fastdrop.nn import init
from fastdrop.nn.module import Module
from fastdrop.nn.utils.rnn import PackedSequence, checked
from fastdrop.random.forward_pass import CannotCarry

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.schedules import Schedule

NO_MASKS = RecurrentMasks()


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters, states, sequences and masks.

    Parameters
    ----------
    mode : {"RNN_TANH", "RNN_RELU", "GRU", "LSTM"}
        The cell.
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size
        See `LSTM`.
    input_dropout, recurrent_dropout, output_dropout, variational, per_gate, update_dropout
        See `LSTM`.
    update_per_step, zoneout, weight_drop
        See `LSTM`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> from fastdrop import nn
    >>> isinstance(nn.GRU(3, 4), nn.RNNBase)
    True
    """

    mode: str
    dropout: float | Schedule
    input_dropout: float | Schedule
    recurrent_dropout: float | Schedule
    output_dropout: float | Schedule
    update_dropout: float | Schedule
    weight_drop: float | Schedule
    zoneout: float | Schedule | tuple[float | Schedule, float | Schedule]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float | Schedule = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        input_dropout: float | Schedule = 0.0,
        recurrent_dropout: float | Schedule = 0.0,
        output_dropout: float | Schedule = 0.0,
        variational: bool = False,
        per_gate: bool | None = None,
        update_dropout: float | Schedule = 0.0,
        update_per_step: bool = True,
        zoneout: float | Schedule | tuple[float | Schedule, float | Schedule] = 0.0,
        weight_drop: float | Schedule = 0.0,
    ) -> None:
        super().__init__()
        self.mode = check.choice(mode, "mode", tuple(CELLS))
        self.input_size = check.integer(input_size, "input_size", 1)
        self.hidden_size = check.integer(hidden_size, "hidden_size", 1)
        self.num_layers = check.integer(num_layers, "num_layers", 1)
        self.bias = check.flag(bias, "bias")
        self.batch_first = check.flag(batch_first, "batch_first")
        self.bidirectional = check.flag(bidirectional, "bidirectional")
        self.proj_size = self._checked_projection(proj_size)
        self.dropout = schedules.rate(dropout, "dropout")
        self.input_dropout = schedules.rate(input_dropout, "input_dropout")
        self.recurrent_dropout = schedules.rate(recurrent_dropout, "recurrent_dropout")
        self.output_dropout = schedules.rate(output_dropout, "output_dropout")
        self.update_dropout = schedules.rate(update_dropout, "update_dropout")
        self.weight_drop = schedules.rate(weight_drop, "weight_drop")
        self.variational = check.flag(variational, "variational")
        self.update_per_step = check.flag(update_per_step, "update_per_step")
        self.per_gate = mode == "GRU" if per_gate is None else check.flag(per_gate, "per_gate")
        self.zoneout = self._zoneout(zoneout)
        if gates_of(mode) == 1 and self.update_dropout != 0.0:
            raise ValueError(
                "update_dropout must be 0 for an RNN: it drops what a gate lets into the state"
            )
        if self.dropout != 0.0 and num_layers == 1:
            warnings.warn(
                "dropout acts between the layers, so it does nothing with num_layers=1; "
                "output_dropout acts on the output of the last layer",
                stacklevel=3,
            )
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: self._directions]:
                self._names.append(self._add_weights(layer, f"_l{layer}{suffix}"))
        self.reset_parameters()

    def _checked_projection(self, proj_size: int) -> int:
        size = check.integer(proj_size, "proj_size", 0)
        if size and self.mode != "LSTM":
            raise ValueError(
                f"proj_size must be 0 for a {self.mode}: only an LSTM has a projection"
            )
        if size >= self.hidden_size:
            raise ValueError(
                f"proj_size must be below hidden_size ({self.hidden_size}), got {proj_size}"
            )
        return size

    @property
    def _outs(self) -> int:
        """The size of h."""
        return self.proj_size or self.hidden_size

    def _zoneout(self, zoneout: Any) -> Any:
        """The argument, after a check."""
        if not isinstance(zoneout, (tuple, list)):
            return schedules.rate(zoneout, "zoneout")
        if self.mode != "LSTM" or len(zoneout) != 2:
            raise ValueError(
                "zoneout must be a rate, or with an LSTM two: of the cell and of the output; got "
                f"{zoneout!r}"
            )
        return schedules.rate(zoneout[0], "zoneout"), schedules.rate(zoneout[1], "zoneout")

    def _add_weights(self, layer: int, suffix: str) -> list[str]:
        rows = gates_of(self.mode) * self.hidden_size
        inputs = self.input_size if layer == 0 else self._outs * self._directions
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self._outs),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            setattr(self, name + suffix, Parameter(np.empty(shape, np.float32)))
        return [name + suffix for name in shapes]

    @property
    def _zone_rates(self) -> tuple[float | Schedule, float | Schedule]:
        """The rates of c and of h."""
        return self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout, self.zoneout)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def n_sites(self) -> int:  # type: ignore[override]
        """The number of mask sites: eight for each layer and direction."""
        return SITES * self.num_layers * self._directions

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def reset_parameters(self) -> None:
        """Draw all parameters again, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Accepted so that PyTorch code runs; has no effect."""

    # ---- forward ----

    def _run(
        self, input: Any, h0: Any, c0: Any, first_step: Any
    ) -> tuple[Any, Tensor, Tensor | None]:
        """The output and the last states."""
        first_step = check.integer(first_step, "first_step", 0, 2**31)
        if isinstance(input, PackedSequence):
            return self._run_packed(input, h0, c0, first_step)
        return self._run_padded(input, h0, c0, first_step)

    def _run_packed(
        self, packed: PackedSequence, h0: Any, c0: Any, first_step: int
    ) -> tuple[PackedSequence, Tensor, Tensor | None]:
        x, rows, order, back = checked(packed)
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ValueError(
                f"input must be a PackedSequence of rows of {self.input_size} numbers, got data of "
                f"shape {x.shape}"
            )
        if random.batched_passes():
            raise CannotCarry("the rows of a PackedSequence are not the samples")
        sequences = int(rows[0])
        h0 = self._first_state(h0, "h_0", sequences, self._outs, False)
        c0 = self._first_state(c0, "c_0", sequences, self.hidden_size, False)
        if order is not None:
            h0, c0 = (None if s is None else s[:, order] for s in (h0, c0))
        draws = random.draws(self.training)
        y, h, c = self._layers(x, rows, h0, c0, order, draws, first_step)
        if back is not None:
            h, c = h[:, back], None if c is None else c[:, back]
        return PackedSequence(y, rows, order, back), h, c

    @carries
    def _run_padded(
        self, input: Tensor | ArrayLike, h0: Any, c0: Any, first_step: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        x = as_tensor(input, "input")
        given, single = x.shape, x.ndim == 2
        if single:
            x = F.unsqueeze(x, 0 if self.batch_first else 1)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            layout = "(N, T, input_size)" if self.batch_first else "(T, N, input_size)"
            raise ValueError(
                f"input must have shape {layout} or (T, input_size), with input_size "
                f"{self.input_size}, got {given}"
            )
        draws = random.draws(self.training)
        if draws and random.batched_passes() and type(x) is not PassTensor and self.has_masks:
            if not self.batch_first:
                raise CannotCarry("the samples of a recurrent layer are axis 1 (batch_first=False)")
            x = with_passes(x)
        steps, sequences = x.shape[0], x.shape[1]
        if self.batch_first:
            steps, sequences = sequences, steps
        if steps == 0:
            raise ValueError(f"input must have at least one step, got shape {x.shape}")
        rows = np.full(steps, sequences, np.int64)
        h0 = self._first_state(h0, "h_0", sequences, self._outs, single)
        c0 = self._first_state(c0, "c_0", sequences, self.hidden_size, single)
        flat = flat_steps(x, self.batch_first)
        y, h, c = self._layers(flat, rows, h0, c0, None, draws, first_step)
        y = unflat_steps(y, steps, self.batch_first)
        if single:
            y = F.squeeze(y, 0 if self.batch_first else 1)
            h, c = F.squeeze(h, 1), None if c is None else F.squeeze(c, 1)
        return y, h, c

    def _first_state(
        self, state: Any, name: str, sequences: int, size: int, single: bool
    ) -> Tensor | None:
        """The given state (layers * directions, sequences, size); None where it is 0."""
        if state is None:
            return None
        count = self.num_layers * self._directions
        state = as_tensor(state, name)
        expected = (count, *(() if single else (sequences,)), size)
        if state.shape != expected:
            raise ValueError(f"{name} must have shape {expected}, got {state.shape}")
        return F.unsqueeze(state, 1) if single else state

    def _layers(
        self,
        x: Tensor,
        rows: npt.NDArray[np.int64],
        h0: Tensor | None,
        c0: Tensor | None,
        order: npt.NDArray[np.int64] | None,
        draws: bool,
        first_step: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """All layers, of rows of steps. order: the sample of each sequence."""
        all_h, all_c = [], []
        some, masks = self.has_masks, self._masks
        lstm, parameters = self.mode == "LSTM", self._parameters
        zeros = [
            wrap(np.zeros((int(rows[0]), size), np.float32))
            for size in (self._outs, self.hidden_size)
        ]
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self._directions):
                number = layer * self._directions + direction
                weights: Any = [parameters[name] for name in self._names[number]]
                if not self.bias:
                    weights[2:2] = (None, None)
                if not self.proj_size:
                    weights.append(None)
                y, h, c = recurrent(
                    x,
                    zeros[0] if h0 is None else _layer_of(h0, number),
                    None if not lstm else zeros[1] if c0 is None else _layer_of(c0, number),
                    tuple(weights),
                    self.mode,
                    rows,
                    direction == 1,
                    masks(number, layer, rows, order, draws, first_step) if some else NO_MASKS,
                )
                all_h.append(h)
                all_c.append(c)
                if draws and some:
                    y = self._drop_output(y, number, layer, rows, order, first_step)
                outputs.append(y)
            x = outputs[0] if len(outputs) == 1 else F.cat(outputs, 1)
        return x, _stacked(all_h), _stacked(all_c) if lstm else None

    # ---- masks ----

    @property
    def has_masks(self) -> bool:
        """Whether some rate is not 0."""
        return any(
            rate != 0.0
            for rate in (
                self.dropout if self.num_layers > 1 else 0.0,
                self.input_dropout,
                self.recurrent_dropout,
                self.output_dropout,
                self.update_dropout,
                self.weight_drop,
                *self._zone_rates,
            )
        )

    def _masks(
        self,
        number: int,
        layer: int,
        rows: npt.NDArray[np.int64],
        order: npt.NDArray[np.int64] | None,
        draws: bool,
        first_step: int,
    ) -> RecurrentMasks:
        """The masks of one direction of a layer."""
        if not draws:
            kept = [1.0 - check.rate(random.rate_now(rate)) for rate in self._zone_rates]
            return RecurrentMasks(fresh_c=kept[0], fresh_h=kept[1])
        sequences, site = int(rows[0]), number * SITES

        def drop(rate: float | Schedule, offset: int) -> Drop | None:
            p = check.rate(random.rate_now(rate))
            return sequence_mask(self, p, site + offset, sequences, order)

        inputs = drop(self.input_dropout, INPUT) if layer == 0 else None
        p = check.rate(random.rate_now(self.weight_drop))
        height = gates_of(self.mode) * self.hidden_size
        return RecurrentMasks(
            None if inputs is None else mask_of_steps(inputs, rows),
            drop(self.recurrent_dropout, HIDDEN),
            drop(self.update_dropout, UPDATE),
            drop(self._zone_rates[0], ZONE_C) if self.mode == "LSTM" else None,
            drop(self._zone_rates[1], ZONE_H),
            weight_mask(self, p, site + WEIGHTS, height),
            self.per_gate,
            self.update_per_step,
            first_step=first_step,
        )

    def _drop_output(
        self,
        y: Tensor,
        number: int,
        layer: int,
        rows: npt.NDArray[np.int64],
        order: npt.NDArray[np.int64] | None,
        first_step: int,
    ) -> Tensor:
        """The dropout between two layers, or of the last one's output."""
        last = layer == self.num_layers - 1
        p = check.rate(random.rate_now(self.output_dropout if last else self.dropout))
        drop = sequence_mask(self, p, number * SITES + OUTPUT, int(rows[0]), order)
        if drop is None:
            return y
        each_step = not (last or self.variational)
        return sequence_dropout(y, rows, drop, each_step, first_step)

    _shown: ClassVar[dict[str, Any]] = {
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "proj_size": 0,
        "input_dropout": 0.0,
        "recurrent_dropout": 0.0,
        "output_dropout": 0.0,
        "variational": False,
        "update_dropout": 0.0,
        "update_per_step": True,
        "zoneout": 0.0,
        "weight_drop": 0.0,
    }

    def extra_repr(self) -> str:
        more = [
            f"{name}={getattr(self, name)}"
            for name, default in self._shown.items()
            if getattr(self, name) != default
        ]
        if self.per_gate != (self.mode == "GRU"):
            more.append(f"per_gate={self.per_gate}")
        return ", ".join([str(self.input_size), str(self.hidden_size), *more])


def _layer_of(state: Tensor, number: int) -> Tensor:
    """state[number], without a copy where there is one layer."""
    if state.shape[0] > 1:
        return state[number]
    return record(state._array[0], (state,), lambda g: (g[None],))


def _stacked(states: list[Any]) -> Tensor:
    """The states of all layers as one tensor, without a copy where there is one layer."""
    if len(states) > 1:
        return F.stack(states)
    return record(states[0]._array[None], (states[0],), lambda g: (g[0],))
