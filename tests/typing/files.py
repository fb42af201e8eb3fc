"""Models and checkpoints in files."""

import pathlib
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.models import mlp

model = mlp(4, [8], 2, dropout=0.5)
path = pathlib.Path("network.safetensors")

fd.save(model, path, info={"classes": ["no", "yes"]})
loaded: nn.Module = fd.load(path)
assert_type(fd.load(path, mlp(4, [8], 2, dropout=0.5)), nn.Sequential)
again, info = fd.io.load_with_info(str(path))
assert info == fd.io.read_info(path)

fd.io.save_file({"a": np.ones(3)}, "arrays.safetensors")
assert_type(fd.io.load_file("arrays.safetensors"), dict[str, npt.NDArray[Any]])

optimizer = optim.SGD(model.parameters(), lr=0.1)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2)
fd.save_checkpoint("run.ckpt", model, optimizer, scheduler, extra={"epoch": 3})
assert fd.load_checkpoint("run.ckpt", model, optimizer, scheduler) == {"epoch": 3}
