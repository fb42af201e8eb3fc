"""Embeddings of numbers: learned cosines of each feature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.periodic_embeddings import periodic_embeddings
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class PeriodicEmbeddings(Module):
    r"""Learned cosines of each feature, mixed by a dense layer of its own, beside the feature.

    Each number x of feature j becomes ``d_embedding`` numbers, the last of which is x itself:

    .. math:: (A_j \cos(2 \pi w_j x + b_j) + c_j,\; x)

    Input (N, n_features), output (N, n_features * d_embedding): first the mixtures of all features,
    feature by feature, then the features. These are the PBLD embeddings (periodic, bias, linear,
    DenseNet) of RealMLP. A dense network learns functions with steps and bumps in one feature much
    faster from them.

    Parameters
    ----------
    n_features : int
        Number of features.
    n_frequencies : int
        Cosines of each feature.
    d_embedding : int, at least 2
        Outputs of each feature.
    frequency_init_scale : float
        Standard deviation of the frequencies w at first. It should be tuned for features that are
        not of about unit scale.

    Attributes
    ----------
    frequency : Parameter (n_features, n_frequencies)
        w, normal at first.
    phase : Parameter (n_features, n_frequencies)
        b, uniform in ±pi at first.
    weight : Parameter (n_features, d_embedding - 1, n_frequencies)
        A, uniform in ±1 / sqrt(n_frequencies) at first.
    bias : Parameter (n_features, d_embedding - 1)
        c, uniform in the same interval at first.

    Raises
    ------
    ValueError
        When called: the input has not n_features columns.

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees
    on tabular data", NeurIPS 2024, arXiv:2407.04491; after Gorishniy, Rubachev, Babenko, "On
    embeddings for numerical features in tabular deep learning", NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.PeriodicEmbeddings(3)(np.zeros((5, 3))).shape
    (5, 12)
    """

    frequency: Parameter
    phase: Parameter
    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        n_features: int,
        n_frequencies: int = 16,
        d_embedding: int = 4,
        frequency_init_scale: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_features = check.integer(n_features, "n_features", 1)
        self.n_frequencies = check.integer(n_frequencies, "n_frequencies", 1)
        self.d_embedding = check.integer(d_embedding, "d_embedding", 2)
        self.frequency_init_scale = check.real(
            frequency_init_scale, "frequency_init_scale", low=0, open_low=True
        )
        mixtures = d_embedding - 1
        self.frequency = Parameter(np.empty((n_features, n_frequencies), np.float32))
        self.phase = Parameter(np.empty((n_features, n_frequencies), np.float32))
        self.weight = Parameter(np.empty((n_features, mixtures, n_frequencies), np.float32))
        self.bias = Parameter(np.empty((n_features, mixtures), np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again, from the generator "init" of the run."""
        init.normal_(self.frequency, 0.0, self.frequency_init_scale)
        init.uniform_(self.phase, -math.pi, math.pi)
        bound = 1 / math.sqrt(self.n_frequencies)
        init.uniform_(self.weight, -bound, bound)
        init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return periodic_embeddings(input, self.frequency, self.phase, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.n_features}, n_frequencies={self.n_frequencies}, d_embedding={self.d_embedding}"
        )
