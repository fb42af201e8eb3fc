"""Reductions of each row carry batched Monte Carlo passes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn


class _Reduced(nn.Module):
    def __init__(self, reduce) -> None:
        super().__init__()
        self.dropout, self.reduce = nn.Dropout(0.5), reduce

    def forward(self, x):
        return self.reduce(self.dropout(x))


@pytest.mark.parametrize(
    "reduce",
    [
        lambda t: t.sum(1),
        lambda t: t.mean(1),
        lambda t: t.mean((1, -1), keepdim=True),
        lambda t: fd.amax(t, 1),
        lambda t: fd.amin(t, -1),
    ],
)
def test_passes_of_a_reduction_are_those_of_single_samples(reduce):
    x = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32)
    model = _Reduced(reduce)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no pass is computed alone
        together = fd.mc_predict(model, x, 6, seed=1, keep=True).passes
        single = [
            fd.mc_predict(model, x[i : i + 1], 6, seed=1, row0=i, keep=True).passes
            for i in range(5)
        ]
    np.testing.assert_array_equal(together, np.concatenate(single, axis=0))
