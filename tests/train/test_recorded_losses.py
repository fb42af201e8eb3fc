"""Recorded steps with losses that NumPy computes: the bits of the steps."""

import numpy as np
import pytest

import fastdrop.nn.functional as F
from helpers.recorded import USUAL, Trained, batches, same


def one_hot(y):
    return (y[:, None] == np.arange(3)).astype(np.float32)


def signs(y):
    return 2 * one_hot(y) - 1


LOSSES = {
    "binary_cross_entropy": (one_hot, lambda s, t: F.binary_cross_entropy(F.sigmoid(s), t)),
    "kl_div": (one_hot, lambda s, t: F.kl_div(F.log_softmax(s), t, "batchmean")),
    "poisson_nll_loss": (one_hot, F.poisson_nll_loss),
    "gaussian_nll_loss": (one_hot, lambda s, t: F.gaussian_nll_loss(s, t, F.softplus(s))),
    "soft_margin_loss": (signs, F.soft_margin_loss),
    "hinge_embedding_loss": (signs, F.hinge_embedding_loss),
    "multilabel_soft_margin_loss": (one_hot, F.multilabel_soft_margin_loss),
    "multi_margin_loss": (lambda y: y, F.multi_margin_loss),
    "focal_loss": (lambda y: y, F.focal_loss),
    "focal_loss of decisions": (one_hot, lambda s, t: F.focal_loss(s, t, 2.0, 0.25)),
    "mse_loss": (one_hot, lambda s, t: F.mse_loss(s, t, weight=t)),
    "cosine_similarity": (signs, lambda s, t: -F.cosine_similarity(s, t).mean()),
    "normalize": (signs, lambda s, t: F.soft_margin_loss(F.normalize(s), t)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    targets, loss_of = LOSSES[name]

    class WithLoss(Trained):
        def step(self, x, y):
            self.optimizer.zero_grad()
            loss = loss_of(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            return loss

    data = [(x, np.ascontiguousarray(targets(y))) for x, y in batches()]
    same(USUAL, make=WithLoss, data=data)
