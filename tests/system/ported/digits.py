"""Handwritten digits with a DataLoader: the accuracy on test data."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset, random_split


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


def main():
    torch.manual_seed(1)
    x, y = load_digits(return_X_y=True)
    x, y = torch.from_numpy((x / 16).astype(np.float32)), torch.from_numpy(y.astype(np.int64))
    train_data, test_data = random_split(TensorDataset(x, y), [1400, len(x) - 1400])
    train_loader = DataLoader(train_data, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_data, batch_size=500)
    model = Net().to(torch.device("cpu"))
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.7)
    for _ in range(30):
        train(model, train_loader, optimizer)
        scheduler.step()
    loss, accuracy = test(model, test_loader)
    assert loss < 0.3
    return accuracy


score = main()
