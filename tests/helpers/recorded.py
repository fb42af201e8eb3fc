"""Training with and without `fd.record`, to compare them."""

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn import functional as F
from helpers.training import bits

BATCH = 12
CALLS = 9
# The first call has no gradients yet: the second one is recorded anew, and the third is the check.
USUAL = CALLS - 3


def batches(count=CALLS, rows=BATCH, dtype=np.float32, labels=np.int64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, rows, 6)).astype(dtype)
    return [(each, (each[:, 0] > 0).astype(labels) + (each[:, 1] > 0.5)) for each in x]


def network():
    return nn.Sequential(
        nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3)
    )


class Trained:
    """A model with an optimiser, and the usual step."""

    def __init__(self, model=network, optimizer=lambda p: optim.SGD(p, 0.1, momentum=0.9)):
        self.model = model()
        self.optimizer = optimizer(self.model.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def run(recorded, make=Trained, data=None, between=lambda i, trained: None):
    """(bits, losses, gradients, draw, the step) after a step for each batch."""
    fd.manual_seed(1)
    trained = make()
    step = fd.record(trained.step) if recorded else trained.step
    losses = []
    for i, batch in enumerate(batches() if data is None else data):
        between(i, trained)
        losses.append(step(*batch))
    values = [each.tolist() if isinstance(each, fd.Tensor) else each for each in losses]
    gradients = [None if p.grad is None else p.grad.tolist() for p in trained.model.parameters()]
    return (bits(trained.model), values, gradients, trained.model.draw), step


def same(replays, **given):
    """A recorded step gives what the step gives, and `replays` of the calls are replays."""
    expected, _ = run(False, **given)
    found, step = run(True, **given)
    assert found == expected
    assert (step.replays, step.refused) == (replays, None)
    return step


def refused(message, make=Trained, **given):
    expected, _ = run(False, make=make, **given)
    found, step = run(True, make=make, **given)
    assert found == expected and step.replays == 0
    assert message in step.refused and message in step.explain()


def of(step):
    """A class as `Trained` with another step."""
    return type("Other", (Trained,), {"step": step})
