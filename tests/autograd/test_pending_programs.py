"""Random forward passes: fused results equal results that are read after every step."""

import random

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

ACTIVATIONS = (
    F.relu,
    lambda t: F.leaky_relu(t, 0.1),
    lambda t: F.leaky_relu(t, -0.3),
    F.sigmoid,
    F.tanh,
    F.selu,
    F.silu,
    F.gelu,
)
STEPS = (
    "linear",
    "activation",
    "dropout",
    "free dropout",
    "scaled weight",
    "add",
    "mul",
    "norm",
    "no_grad",
    "detach",
    "keep",
    "forget",
)
OFTEN = (9, 6, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1)


class Program(nn.Module):
    """Runs steps (name, operand, other, variant); operands are the tensors made so far."""

    def __init__(self, steps, width, read):
        super().__init__()
        self.steps, self.read, self.kept = steps, read, []
        self.dense = nn.ModuleList(
            [nn.Linear(width, width), nn.Linear(width, width, bias=False), nn.Linear(width, width)]
        )
        self.drops = nn.ModuleList(
            [nn.Dropout(0.5), nn.Dropout(0.25, inverted=False), nn.Dropout(1.0)]
        )
        self.norm = nn.LayerNorm(width)

    def step(self, name, t, u, k):
        if name == "scaled weight":  # a weight that is no parameter
            return F.linear(t, self.dense[0].weight * 0.5, self.dense[0].bias)
        if name == "no_grad":
            with fd.no_grad():
                return (self.dense[2], self.drops[0], F.relu)[k % 3](t)
        if name == "keep":
            self.kept.append(t)
        return {
            "linear": lambda: self.dense[k % 3](t),
            "activation": lambda: ACTIVATIONS[k % 8](t),
            "dropout": lambda: self.drops[k % 16 % 3](t),
            "free dropout": lambda: F.dropout(t, 0.3),
            "add": lambda: t + u,
            "mul": lambda: t * u * 0.3,
            "norm": lambda: self.norm(t),
            "detach": t.detach,
            "keep": lambda: t,
            "forget": lambda: u,
        }[name]()

    def forward(self, x):
        made = [x]
        self.kept = []
        for name, operand, other, k in self.steps:
            t, u = made[operand % len(made)], made[other % len(made)]
            if name == "forget":
                made[operand % len(made)] = u
            made.append(self.step(name, t, u, k))
            if self.read:
                made[-1].data  # noqa: B018 (nothing is left to fuse with)
        return made[-1] + made[-2]


def history(model, array, wants_grad):
    """The results, kept tensors and gradients of three passes (one without zeroing before)."""
    x = fd.tensor(array, requires_grad=wants_grad)
    leaves = [x, *model.parameters()]
    seen, held = [], []
    for step in range(3):
        with fd.mask_state(instance=0):
            out = model(x)
        if out.requires_grad:
            (out * out).sum().backward()
        values = [out, *model.kept]
        held += [(t.data, t.data.copy()) for t in values]
        seen.append(
            [t.data.copy() for t in values]
            + [None if t.grad is None else t.grad.data.copy() for t in leaves]
        )
        if step != 1:
            for leaf in leaves:
                leaf.grad = None
    assert all(
        np.array_equal(now, then, equal_nan=True) for now, then in held
    )  # memory that is held is not used again
    return [part for parts in seen for part in parts]


@pytest.mark.parametrize("seed", range(150))
def test_random_programs(seed):
    rng = random.Random(seed)
    steps = [
        (name, rng.choice([-1, -1, -1, -1, rng.randrange(9)]), rng.randrange(9), rng.randrange(24))
        for name in rng.choices(STEPS, OFTEN, k=rng.randrange(2, 10))
    ]
    width = rng.choice([5, 70, 130])
    array = (
        np.random.default_rng(seed)
        .standard_normal((*rng.choice([(), (3,), (70,), (0,), (4, 6), (20, 9)]), width))
        .astype(np.float32)
    )
    fused, read = Program(steps, width, False), Program(steps, width, True)
    read.load_state_dict(fused.state_dict())
    for one, two in zip(
        history(fused, array, seed % 2 == 0), history(read, array, seed % 2 == 0), strict=True
    ):
        assert (one is None) == (two is None), steps
        if one is not None:
            assert np.abs(one - two).max(initial=0) <= 2e-4 * max(1, np.abs(two).max(initial=0)), (
                steps
            )
