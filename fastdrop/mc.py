"""Monte Carlo dropout: how sure a network is, from passes with different masks."""

from __future__ import annotations

import warnings

import numpy as np

from fastdrop import _arrays, nn, random
from fastdrop.arithmetic import softmax_of
from fastdrop.tensor import PassTensor, as_tensor, no_grad, reading_passes, side_by_side

_TINY = 1e-12


class MCWarning(UserWarning):
    """A model's passes are computed one by one, which takes longer."""


class MCPrediction:
    """What T passes say. Averages are of probabilities (classification) or outputs (regression), over the passes.

    Attributes
    ----------
    mean, variance, std : arrays (N, ...)
        Mean, variance and standard deviation over the passes.
    entropy : array (N,)
        Predictive entropy, -sum_c mean_c log mean_c, in nats. Classification only, as are the next three.
    expected_entropy : array (N,)
        Mean over the passes of the entropy of each.
    mutual_information : array (N,)
        entropy - expected_entropy, at least 0: what the masks disagree about (BALD; Houlsby et al., 2011).
    variation_ratio : array (N,)
        1 - the share of the passes that choose the most chosen class.
    samples : int
        T.
    """

    def __init__(self, samples, mean, variance, entropies=None, votes=None):
        self.samples, self.mean, self.variance = samples, mean, variance
        self._entropies, self._votes = entropies, votes

    @property
    def std(self):
        return np.sqrt(self.variance)

    def _classification(self, what):
        if self._entropies is None:
            raise AttributeError(f"{what} is of classifications; these outputs were taken as they are (output='raw')")

    @property
    def entropy(self):
        self._classification("entropy")
        return _entropy(self.mean)

    @property
    def expected_entropy(self):
        self._classification("expected_entropy")
        return self._entropies

    @property
    def mutual_information(self):
        self._classification("mutual_information")
        return np.maximum(self.entropy - self._entropies, 0.0)

    @property
    def variation_ratio(self):
        self._classification("variation_ratio")
        return 1.0 - self._votes.max(-1) / self.samples


def _entropy(p):
    return -(p * np.log(np.maximum(p, _TINY))).sum(-1)


def mc_predict(model, x, samples: int = 50, seed: int = 0, *, masks: str = "per_sample", batch_size: int = 1024,
               output: str = "auto") -> MCPrediction:
    """Predict with T random thinned networks: the mean is the prediction, the spread how unsure the network is.

    Pass t of sample n draws its masks at (seed, draw t, row n) in the Monte Carlo domain of the mask contract: the result is
    a function of (model, x, seed), whatever the batch size and number of threads, and pass t of 100 is pass t of 20.
    Everything but dropout is in evaluation mode (batch norm uses its running statistics); the model's mode and its draw
    counter are left as they were.

    What comes before the first dropout is computed once; then the passes are rows of one computation, the input's rows meeting their
    masks where the product packs them. Where a model does something that is not known to work row by row (`mean` over axes,
    indexing, a stochastic layer other than dropout), passes run one by one, and a warning (`MCWarning`) says why.

    Parameters
    ----------
    model : Module with at least one stochastic layer
    x : array (N, ...)
    samples : int
        T, the number of passes.
    seed : int in [0, 2**64)
    masks : {"per_sample", "shared"}
        A mask for each sample, or in each pass one for all: then a pass is one function, and predictions are joint.
    batch_size : int
        Rows (samples times passes) computed at a time; bounds the memory.
    output : {"auto", "softmax", "raw"}
        What to average: the softmax of the outputs, or the outputs. "auto": the softmax of two or more scores a sample
        unless those of all samples are probabilities already, anything else as it is.

    Returns
    -------
    MCPrediction

    Raises
    ------
    ValueError
        The model has no stochastic layer: all passes would be the same.

    References
    ----------
    Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a Module, got {_arrays.describe(model)}")
    if not any(m.n_sites for m in model.modules()):
        raise ValueError("model must have a stochastic layer (Dropout, ...): without one all passes are the same")
    samples, seed = _arrays.integer(samples, "samples", 1), _arrays.integer(seed, "seed", 0, _arrays.U64_MAX)
    batch_size = _arrays.integer(batch_size, "batch_size", 1)
    _arrays.choice(masks, "masks", ("per_sample", "shared"))
    _arrays.choice(output, "output", ("auto", "softmax", "raw"))
    x = _arrays.floats(x, "x", minimum_ndim=1)
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        with no_grad():
            pieces = _pieces(_Passes(model, seed, masks), x, batch_size, samples, output)
    finally:
        for module, training in modes:
            object.__setattr__(module, "training", training)
    joined = [None if parts[0] is None else np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return MCPrediction(samples, *joined)


class _Passes:
    """Computes passes: side by side as rows of one computation, or, once the model has shown that it cannot, one by one."""

    def __init__(self, model, seed, masks):
        self.model, self.seed, self.masks = model, seed, masks
        self.one_by_one = False

    def __call__(self, x, row0, first, count) -> np.ndarray:
        """Outputs (N, count, ...) in float64 of passes from `first` on."""
        if count > 1 and len(x) and not self.one_by_one:
            try:
                return self._side_by_side(x, row0, first, count)
            except random.CannotCarry as reason:
                self.one_by_one = True
                warnings.warn(f"mc_predict computes the passes of this model one by one: {reason}", MCWarning, stacklevel=5)
        outputs = []
        for t in range(first, first + count):
            with random.monte_carlo(t, self.seed, row0, self.masks):
                outputs.append(self.model(x).data)
        return np.stack(outputs, axis=1).astype(np.float64)

    def _side_by_side(self, x, row0, first, count):
        with random.monte_carlo(first, self.seed, row0, self.masks, count, len(x)), side_by_side(count):
            y = self.model(x)
            with reading_passes():
                array = as_tensor(y, "the model's output").data
        if type(y) is PassTensor:
            return array.reshape(len(x), count, *array.shape[1:]).astype(np.float64)
        return np.repeat(array[:, None], count, axis=1).astype(np.float64)  # nothing was drawn (p = 0)


def _pieces(passes, x, batch_size, samples, output):
    """The figures of all batches; from the start again with the softmax when probabilities were followed by a batch of others."""
    pieces = []
    rows, at_once = max(1, batch_size // samples), min(samples, batch_size)
    for start in range(0, max(len(x), 1), rows):
        output, *figures = _piece(passes, x[start:start + rows], start, samples, at_once, output)
        if not figures:
            return _pieces(passes, x, batch_size, samples, output)
        pieces.append(figures)
    return pieces


def _piece(passes, x, row0, samples, at_once, output):
    """What is averaged; mean, variance, mean entropy and votes of one batch.

    Sums run over the passes one after the other, also where many come at once: the cut does not show. They are of differences
    from pass 0. "auto" becomes "softmax", "raw" or "shares" (probabilities); "softmax" alone when "shares" came and does not hold here.
    """
    base = sums = squares = entropies = votes = None
    for t in range(0, samples, at_once):
        y = passes(x, row0, t, min(at_once, samples - t))
        if t == 0:
            first = y[:, 0]
            several = first.ndim == 2 and first.shape[1] > 1
            if output == "softmax" and not several:
                raise ValueError(f"output='softmax' needs two or more scores a sample, got outputs of shape {first.shape}")
            shares = several and bool((first >= 0).all() and np.abs(first.sum(1) - 1).max(initial=0) < 1e-4)
            if output == "auto":
                output = "shares" if shares else "softmax" if several else "raw"
            elif output == "shares" and not shares:
                return ("softmax",)
        if output == "softmax":
            y = softmax_of(y, -1)
        if t == 0:
            base = y[:, 0].copy()
            sums, squares = np.zeros_like(base), np.zeros_like(base)
            entropies, votes = (None, None) if output == "raw" else (np.zeros(len(base)), np.zeros_like(base))
        difference = y - base[:, None]
        sums, squares = _add_up(sums, difference), _add_up(squares, difference * difference)
        if entropies is not None:
            entropies = _add_up(entropies, _entropy(y))
            chosen = y.argmax(-1)
            np.add.at(votes, (np.arange(len(y))[:, None], chosen), 1)
    mean = sums / samples
    return output, base + mean, np.maximum(squares / samples - mean * mean, 0.0), None if entropies is None else entropies / samples, votes


def _add_up(total, values):
    """total + values[:, 0] + values[:, 1] + .., in this order."""
    return np.add.accumulate(np.concatenate([total[:, None], values], axis=1), axis=1)[:, -1]
