"""The same numbers as PyTorch, given the same weights and masks."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn, optim

torch = pytest.importorskip("torch")
tF = torch.nn.functional

RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 784)).astype(np.float32)
Y = RNG.integers(0, 10, 16)

SNIPPET = """
class MyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 512)
        self.dropout1 = nn.Dropout(p=0.5)
        self.fc2 = nn.Linear(512, 10)
    def forward(self, x):
        return self.fc2(self.dropout1(F.relu(self.fc1(x))))

model = MyModel()
opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loss = F.cross_entropy(model(x), y)      # x, y: NumPy arrays or Tensors
opt.zero_grad(); loss.backward(); opt.step()
model.eval()
"""


def run(snippet, **names):
    exec(snippet, names)
    return names


@pytest.mark.parametrize("snippet", [SNIPPET, SNIPPET.replace("F.relu", "top.relu")])
def test_the_usual_snippet(snippet):
    theirs = run(snippet, nn=torch.nn, optim=torch.optim, F=tF, top=torch, x=torch.from_numpy(X), y=torch.from_numpy(Y))
    ours = run(snippet, nn=nn, optim=optim, F=F, top=fd, x=X, y=Y)
    assert 1.5 < ours["loss"].item() < 3.5
    assert ours["model"].load_state_dict(theirs["model"].state_dict()) == ([], [])
    proba = F.softmax(ours["model"](X)).numpy()
    assert np.abs(proba - tF.softmax(theirs["model"](torch.from_numpy(X)), -1).detach().numpy()).max() < 1e-5
    state = {key: torch.from_numpy(value.copy()) for key, value in ours["model"].state_dict().items()}
    theirs["model"].load_state_dict(state)


class Masked(torch.nn.Module):
    """Dropout with fastdrop's mask of a site and a counting draw."""

    def __init__(self, p, site):
        super().__init__()
        self.p, self.site, self.draw = p, site, 0

    def forward(self, x):
        kept = torch.from_numpy(K.keep_mask(len(x), x.shape[1], self.p, site=self.site, draw=self.draw))
        self.draw += 1
        return torch.where(kept, x / (1 - self.p), 0)


def models(activation):
    ours = nn.Sequential(nn.Dropout(0.2), nn.Linear(784, 60), getattr(nn, activation)(), nn.Dropout(0.5), nn.Linear(60, 50), nn.BatchNorm1d(50),
                         getattr(nn, activation)(), nn.Dropout(0.3), nn.LayerNorm(50), nn.Linear(50, 10))
    t = torch.nn
    theirs = t.Sequential(Masked(0.2, 0), t.Linear(784, 60), getattr(t, activation)(), Masked(0.5, 1), t.Linear(60, 50), t.BatchNorm1d(50),
                          getattr(t, activation)(), Masked(0.3, 2), t.LayerNorm(50), t.Linear(50, 10))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("activation", ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "SELU", "SiLU", "GELU"])
def test_training_with_the_same_masks(activation):
    ours, theirs = models(activation)
    o, t = optim.SGD(ours.parameters(), lr=0.05, momentum=0.9), torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for step in range(4):
        a, b = F.cross_entropy(ours(X), Y, label_smoothing=0.1), tF.cross_entropy(theirs(torch.from_numpy(X)), torch.from_numpy(Y), label_smoothing=0.1)
        assert a.item() == pytest.approx(b.item(), rel=2e-4 if step else 1e-5)
        o.zero_grad(), t.zero_grad()
        a.backward(), b.backward()
        if step == 0:
            for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
                assert np.abs(p.grad.data - q.grad.numpy()).max() < 1e-5 * max(1, np.abs(q.grad.numpy()).max()) + 1e-6, name
        o.step(), t.step()
    ours.eval(), theirs.eval()
    for module in theirs.modules():
        if isinstance(module, Masked):
            module.p = 0.0
    assert np.abs(ours(X).data - theirs(torch.from_numpy(X)).detach().numpy()).max() < 2e-3


A, B = RNG.standard_normal((7, 5)).astype(np.float32), RNG.standard_normal((7, 5)).astype(np.float32)
LABELS = RNG.integers(0, 5, 7)
WEIGHT = np.float32([1, 2, 0.5, 3, 1])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "args", "options"), [
    ("mse_loss", (B,), {}), ("l1_loss", (B,), {}), ("huber_loss", (B,), {"delta": 0.5}), ("smooth_l1_loss", (B,), {"beta": 0.5}),
    ("cross_entropy", (LABELS,), {}), ("cross_entropy", (LABELS,), {"weight": WEIGHT, "label_smoothing": 0.2}), ("cross_entropy", (np.abs(B),), {"weight": WEIGHT, "label_smoothing": 0.1}),
    ("nll_loss", (LABELS,), {"weight": WEIGHT}), ("binary_cross_entropy_with_logits", (np.abs(B) % 1,), {"weight": WEIGHT, "pos_weight": WEIGHT}),
    ("gaussian_nll_loss", (B, np.abs(A) + 0.1), {"full": True})])
def test_losses(name, args, options, reduction):
    x, tx = fd.tensor(A, requires_grad=True), torch.tensor(A, requires_grad=True)
    given = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
    a, b = getattr(F, name)(x, *args, **options, reduction=reduction), getattr(tF, name)(tx, *map(torch.from_numpy, args), **given, reduction=reduction)
    assert np.abs(a.data - b.detach().numpy()).max() < 2e-5
    a.sum().backward(), b.sum().backward()
    assert np.abs(x.grad.data - tx.grad.numpy()).max() < 2e-5


def test_functions_that_torch_has_at_top_level():
    for name in ("relu", "sigmoid", "tanh", "exp", "abs", "sqrt", "selu", "sum", "mean", "std", "var", "flatten", "squeeze", "neg"):
        positive = np.abs(A) + 0.1
        assert np.abs(getattr(fd, name)(positive).data - getattr(torch, name)(torch.from_numpy(positive)).numpy()).max() < 1e-5, name
    assert np.abs(fd.softmax(A, 1).data - torch.softmax(torch.from_numpy(A), 1).numpy()).max() < 1e-6
    assert np.abs(fd.matmul(A, B.T).data - (A @ B.T)).max() < 1e-5
    assert fd.cat([A, B]).shape == (14, 5) and fd.stack([A, B], 1).shape == (7, 2, 5)
