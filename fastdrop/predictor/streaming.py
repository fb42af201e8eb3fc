"""Prediction step by step, with a state that is carried on: `StreamingPredictor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.passes import PassTensor, reading_passes
from fastdrop.autograd.tensor import Tensor
from fastdrop.models.sequence_models import SequenceModel
from fastdrop.nn.evaluating import evaluating

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["StreamingPredictor"]


class StreamingPredictor:
    """Predicts after each step of a sequence, and carries the state of the recurrent layers on.

    A step costs the same however long the sequence is, and so does the memory. The prediction is
    that of the model for the whole sequence so far, to the last bit.

    With `samples`, T Monte Carlo passes go on side by side, each with states of its own. The masks
    of a pass stay the same through the sequence (Gal and Ghahramani), and those of each step
    (zoneout) have the number of the step: the prediction is that of
    ``fd.mc_predict(model, sequence, T, seed)``.

    Parameters
    ----------
    model : SequenceModel
        Not bidirectional.
    samples : int, optional
        T, the number of passes; None: one prediction without dropout.
    seed : int, default 0
        Of the masks.
    output : {"auto", "raw", "softmax", "sigmoid", "gaussian"}, default "auto"
        What the passes are averaged as; see `fastdrop.mc_predict`.

    Attributes
    ----------
    steps : int
        Steps so far.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, or the model cannot be computed step by step.

    References
    ----------
    Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    NeurIPS 2016, arXiv:1512.05287.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> model = fd.models.sequence_regressor(2, dropout=0.1, recurrent_dropout=0.1)
    >>> sensor = fd.predictor.StreamingPredictor(model, samples=20)
    >>> for values in np.ones((100, 2)):
    ...     mc = sensor.step(values)
    >>> sensor.steps, mc.mean.shape, mc.std.shape
    (100, (1, 1), (1, 1))
    """

    def __init__(
        self,
        model: SequenceModel,
        samples: int | None = None,
        seed: int = 0,
        *,
        output: str = "auto",
    ) -> None:
        if not isinstance(model, SequenceModel):
            raise TypeError(f"model must be a SequenceModel, got {check.describe(model)}")
        if model.bidirectional:
            raise ValueError(
                "model must not be bidirectional: its other direction begins at the end of the "
                "sequence"
            )
        self.model = model
        self.samples = None if samples is None else check.integer(samples, "samples", 1)
        self.seed = check.integer(seed, "seed", 0, 2**64 - 1)
        self.output = check.choice(
            output, "output", ("auto", "softmax", "sigmoid", "raw", "gaussian")
        )
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self.steps = 0
        self._shape: tuple[int, ...] | None = None
        self._state: tuple[Float32Array, ...] | None = None

    def step(self, values: ArrayLike) -> Float32Array | MCPrediction:
        """The prediction after one more step.

        Parameters
        ----------
        values : array (features,) or (N, features)
            Of one sequence, or of N sequences side by side; numbers of tokens, an integer or (N,),
            for a model with an embedding.

        Returns
        -------
        float32 array (outputs,) or (N, outputs), or MCPrediction
            With `samples` the passes' mean, std and so on, (1, outputs) for one sequence.

        Raises
        ------
        ValueError
            The shape differs from that of the steps before, or a value is missing or infinite.
        """
        x, single = self._checked(values)
        if self.samples is None:
            with evaluating(self.model), no_grad():
                y, state = self._call(x)
            found: Any = y.numpy()[0] if single else y.numpy()
        else:
            found, state = self._passes(x, self.samples)
        self._state, self._shape, self.steps = state, np.shape(values), self.steps + 1
        return found

    def _checked(self, values: Any) -> tuple[Any, bool]:
        """The input of the model, (N, 1, features) or (N, 1), and whether it is one sequence."""
        if self.model.embedding is not None:
            x = np.asarray(values)
            if x.dtype.kind not in "iu" or x.ndim > 1:
                raise ValueError(
                    f"values must be the number of a token or (N,) of them, got "
                    f"{check.describe(values)}"
                )
            single = x.ndim == 0
        else:
            x = check.floats(values, "values")
            single, features = x.ndim == 1, self.model.in_features
            if x.ndim not in (1, 2) or x.shape[-1] != features:
                raise ValueError(
                    f"values must have shape ({features},) or (N, {features}), got {x.shape}"
                )
            if not np.isfinite(x).all():
                raise ValueError(
                    f"values must be finite, but those of step {self.steps} (from 0) are not; a "
                    "step may be left out, or have the values before"
                )
        if self._shape is not None and x.shape != self._shape:
            raise ValueError(
                f"values must have the shape of the steps before, {self._shape}, got {x.shape}; "
                "reset() begins new sequences"
            )
        return (x[None] if single else x)[:, None], single

    def _call(self, x: Any) -> tuple[Tensor, tuple[Float32Array, ...]]:
        """The output of the model, and the arrays of its new state."""
        given: Any = self._state
        if given is not None:
            given = tuple(Tensor(array) for array in given)
            given = given if len(given) > 1 else given[0]
        found: Any = self.model(x, given, first_step=self.steps)
        y, state = found
        with reading_passes():
            parts = state if isinstance(state, tuple) else (state,)
            return y, tuple(part.data for part in parts)

    def _passes(self, x: Any, samples: int) -> tuple[MCPrediction, tuple[Float32Array, ...]]:
        """The prediction of all passes, whose rows n * samples + t are pass t of sequence n."""
        from fastdrop.uncertainty.moments import PassMoments, choose_output
        from fastdrop.uncertainty.prediction import MCPrediction

        n = len(x)
        block = random.monte_carlo(0, self.seed, 0, "per_sample", passes=samples, samples=n)
        try:
            with evaluating(self.model), no_grad(), block:
                y, state = self._call(x)
                with reading_passes():
                    array = y.data.astype(np.float64)
        except random.CannotCarry as error:
            raise ValueError(
                f"model must allow passes side by side for a prediction step by step: {error}"
            ) from None
        if type(y) is not PassTensor:
            raise ValueError("model must have dropout for passes to differ, got none")
        array = array.reshape(n, samples, *array.shape[1:])
        moments = PassMoments(choose_output(array[:, 0], self.output) or "raw", samples, True)
        moments.add(array, 0)
        moments.finish()
        found = MCPrediction(
            samples,
            moments.counts,
            moments.mean,
            moments.variance,
            entropies=moments.entropies,
            votes=moments.votes,
            noise=moments.noise,
            passes=moments.passes,
            log_variances=moments.log_variances,
        )
        return found, state

    def state_dict(self) -> dict[str, Any]:
        """What goes on with the sequence in another process: nested lists of arrays and numbers.

        Returns
        -------
        dict
        """
        state = None if self._state is None else [array.copy() for array in self._state]
        shape = None if self._shape is None else list(self._shape)
        return {"steps": self.steps, "shape": shape, "samples": self.samples, "state": state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Parameters
        ----------
        state : dict
            Of a predictor with the same model, `samples` and seed.

        Raises
        ------
        KeyError, TypeError, ValueError
            The state does not fit.
        """
        steps, shape = check.integer(state["steps"], "steps", 0), state["shape"]
        if state["samples"] != self.samples:
            raise ValueError(
                f"state must be of {self.samples} samples, got one of {state['samples']}"
            )
        arrays = None
        if state["state"] is not None:
            arrays = tuple(np.array(check.floats(array, "state")) for array in state["state"])
            tokens = self.model.embedding is not None
            sequences = 1 if len(shape) < (1 if tokens else 2) else check.integer(shape[0], "shape")
            expected = (
                self.model.num_layers,
                sequences * (self.samples or 1),
                self.model.hidden_size,
            )
            count = 2 if self.model.cell == "lstm" else 1
            if [array.shape for array in arrays] != [expected] * count:
                raise ValueError(
                    f"state must hold {count} arrays of shape {expected}, got "
                    f"{[array.shape for array in arrays]}"
                )
        self.steps, self._state = steps, arrays
        self._shape = None if shape is None else tuple(shape)
