"""A training script whose imports alone differ from PyTorch's reaches the same accuracy."""

import importlib
import sys

import numpy as np
import pytest

SCRIPT = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.drop = nn.Dropout(0.2)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.drop(x)
        return F.log_softmax(self.fc2(x), dim=1)


def train(model, loader, optimizer):
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()


def test(model, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(1)
            correct += int((pred == target).sum())
    return test_loss / len(loader.dataset), correct / len(loader.dataset)


def main(train_x, train_y, test_x, test_y):
    torch.manual_seed(1)
    train_loader = DataLoader(TensorDataset(train_x, train_y), batch_size=64, shuffle=True)
    test_loader = DataLoader(TensorDataset(test_x, test_y), batch_size=500)
    model = Net().to("cpu")
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.7)
    for epoch in range(12):
        train(model, train_loader, optimizer)
        scheduler.step()
    return test(model, test_loader)
"""

IMPORTS = {
    "torch": {
        "torch": "torch",
        "nn": "torch.nn",
        "optim": "torch.optim",
        "F": "torch.nn.functional",
        "data": "torch.utils.data",
        "lr_scheduler": "torch.optim.lr_scheduler",
    },
    "fastdrop": {
        "torch": "fastdrop",
        "nn": "fastdrop.nn",
        "optim": "fastdrop.optim",
        "F": "fastdrop.nn.functional",
        "data": "fastdrop.data",
        "lr_scheduler": "fastdrop.optim.lr_scheduler",
    },
}


@pytest.mark.parametrize("library", IMPORTS)
def test_digits_with_a_data_loader(library):
    datasets = pytest.importorskip("sklearn.datasets")
    pytest.importorskip(library)
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order].astype(np.int64)
    names = {name: importlib.import_module(path) for name, path in IMPORTS[library].items()}
    for name in ("DataLoader", "TensorDataset"):
        names[name] = getattr(names["data"], name)
    names["StepLR"] = names["lr_scheduler"].StepLR
    exec(compile(SCRIPT, "the script", "exec"), names)
    parts = (x[:1400], y[:1400], x[1400:], y[1400:])
    if library == "torch":
        parts = tuple(map(sys.modules["torch"].from_numpy, parts))
    loss, accuracy = names["main"](*parts)
    assert accuracy > 0.95 and loss < 0.25
