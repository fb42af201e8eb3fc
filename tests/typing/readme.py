"""The program of README.md, with annotations. A test compares the two."""

import numpy as np

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim

rng = np.random.default_rng(0)
x, y = rng.random((32, 784), np.float32), rng.integers(0, 10, 32)  # 32 samples of 10 classes

fd.manual_seed(0)


class MyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 512)
        self.dropout1 = nn.Dropout(p=0.5)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x: fd.Tensor) -> fd.Tensor:
        return self.fc2(self.dropout1(F.relu(self.fc1(x))))


model = MyModel()
opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loss = F.cross_entropy(model(x), y)  # NumPy arrays or Tensors
opt.zero_grad()
loss.backward()
opt.step()
model.eval()
proba = F.softmax(model(x)).numpy()

mc = fd.mc_predict(model, x, samples=50, seed=1)  # .mean, .std, .entropy, .mutual_information ...
fd.save(model, "model.safetensors")
model = fd.load("model.safetensors")
