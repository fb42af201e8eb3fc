"""A Module with two inputs: submodules, a parameter, a buffer, a list of blocks, a schedule."""

from collections.abc import Iterator
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn


class TwoInputs(nn.Module):
    def __init__(self, width: int, blocks: int = 2) -> None:
        super().__init__()
        self.left = nn.Linear(4, width)
        self.right = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(0.5))
        self.scale = nn.Parameter(np.ones(width))
        self.blocks = nn.ModuleList(
            nn.Residual(nn.Linear(width, width), p) for p in nn.drop_path_rates(0.2, blocks)
        )
        self.out = nn.DropConnectLinear(width, 1, p=fd.schedules.Linear(0.0, 0.5, steps=100))
        self.register_buffer("offset", np.zeros(width))

    def forward(self, a: fd.Tensor, b: fd.Tensor, *, gate: float = 1.0) -> fd.Tensor:
        hidden = F.relu(self.left(a)) + gate * self.right(b)
        for block in self.blocks:
            hidden = block(hidden)
        return self.out((hidden + self.offset) * self.scale)


def all_names(model: nn.Module) -> Iterator[str]:
    for name, parameter in model.named_parameters():
        assert_type(parameter, nn.Parameter)
        yield name


def double_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        module.weight.data *= 2.0


model = TwoInputs(8).train()
assert_type(model, TwoInputs)
output = model(np.ones((2, 4)), np.ones((2, 3)), gate=0.5)
assert_type(output, fd.Tensor)
assert_type(output.shape, tuple[int, ...])
assert output.shape == (2, 1)

output.sum().backward()
assert_type(model.left.weight, nn.Parameter)
assert_type(model.left.weight.grad, fd.Tensor | None)
assert model.left.weight.grad is not None
assert_type(model.right[0], nn.Module)
assert_type(model.right[:2], nn.Sequential)
assert len(model.blocks) == 2
assert "left.weight" in set(all_names(model))

model.draw = 3
before = model.state_dict()
assert_type(before["left.weight"], npt.NDArray[Any])
assert not model.load_state_dict(before).missing_keys
assert_type(model.apply(double_weights), TwoInputs)
assert_type(model.eval(), TwoInputs)

recurrent = nn.WeightDrop(nn.Linear(3, 3), ["weight"], 0.2)
nn.init.uniform_(nn.Linear(3, 3).weight, -0.1, 0.1)
assert_type(nn.utils.clip_grad_norm_(model, 1.0), float)
assert_type(nn.Dropout(0.5).p, float | fd.schedules.Schedule)
