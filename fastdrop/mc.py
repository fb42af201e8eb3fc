"""Monte Carlo dropout: how sure a network is, from passes with different masks."""

from __future__ import annotations

import numpy as np

from fastdrop import _arrays, nn, random
from fastdrop.arithmetic import softmax_of
from fastdrop.tensor import no_grad

_TINY = 1e-12


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
    counter are left as they were. The passes run one after the other.

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
        Samples computed at a time; bounds the memory.
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
            pieces = _pieces(model, x, batch_size, samples, seed, masks, output)
    finally:
        for module, training in modes:
            object.__setattr__(module, "training", training)
    joined = [None if parts[0] is None else np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return MCPrediction(samples, *joined)


def _pieces(model, x, batch_size, samples, seed, masks, output):
    """The figures of all batches; from the start again with the softmax when probabilities were followed by a batch of others."""
    pieces = []
    for start in range(0, max(len(x), 1), batch_size):
        output, *figures = _piece(model, x[start:start + batch_size], start, samples, seed, masks, output)
        if not figures:
            return _pieces(model, x, batch_size, samples, seed, masks, output)
        pieces.append(figures)
    return pieces


def _piece(model, x, row0, samples, seed, masks, output):
    """What is averaged; mean, variance (Welford's updates), mean entropy and votes of one batch.

    "auto" becomes "softmax", "raw" or "shares" (probabilities); "softmax" alone when "shares" came and does not hold here.
    """
    mean = variance = entropies = votes = None
    for t in range(samples):
        with random.monte_carlo(t, seed, row0, masks):
            y = model(x).data.astype(np.float64)
        if t == 0:
            several = y.ndim == 2 and y.shape[1] > 1
            if output == "softmax" and not several:
                raise ValueError(f"output='softmax' needs two or more scores a sample, got outputs of shape {y.shape}")
            shares = several and bool((y >= 0).all() and np.abs(y.sum(1) - 1).max(initial=0) < 1e-4)
            if output == "auto":
                output = "shares" if shares else "softmax" if several else "raw"
            elif output == "shares" and not shares:
                return ("softmax",)
            mean, variance = np.zeros_like(y), np.zeros_like(y)
            entropies, votes = (None, None) if output == "raw" else (np.zeros(len(y)), np.zeros_like(y))
        if output == "softmax":
            y = softmax_of(y, 1)
        delta = y - mean
        mean += delta / (t + 1)
        variance += delta * (y - mean)
        if entropies is not None:
            entropies += (_entropy(y) - entropies) / (t + 1)
            votes[np.arange(len(y)), y.argmax(1)] += 1
    return output, mean, variance / samples, entropies, votes
