"""A training loop by hand: optimisers, parameter groups, schedulers, an optimiser of one's own."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler


class SignSGD(optim.Optimizer):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0, "max_norm": None})

    def _update(
        self,
        p: npt.NDArray[np.float32],
        g: npt.NDArray[np.float32],
        state: dict[str, Any],
        group: dict[str, Any],
    ) -> None:
        p -= group["lr"] * np.sign(g)


x, y = np.ones((8, 3), np.float32), np.zeros((8, 1), np.float32)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.VariationalLinear(4, 1))
groups: list[dict[str, Any]] = [
    {"params": model[0].parameters(), "lr": 0.1},
    {"params": model[2].parameters()},
]

optimizers: list[optim.Optimizer] = [
    optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True),
    optim.Adam(model.parameters(), betas=(0.9, 0.99)),
    optim.AdamW(model.named_parameters(), weight_decay=0.1),
    optim.RMSprop(model.parameters(), alpha=0.9),
    SignSGD(model.parameters()),
]
for optimizer in optimizers:
    scheduler = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, total_iters=2),
            lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
        ],
        milestones=[2],
    )
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y) + 1e-3 * nn.kl(model)
        loss.backward()
        optimizer.step()
        scheduler.step()
        plateau.step(loss.item())
    assert_type(scheduler.get_last_lr(), list[float])
    optimizer.load_state_dict(optimizer.state_dict())
    scheduler.load_state_dict(scheduler.state_dict())

ramp: fd.schedules.Schedule = fd.schedules.Curriculum(0.5, gamma=0.01)
assert_type(ramp(10), float)
