"""Layers, functions and training steps give PyTorch's numbers for the same weights and masks."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn, optim

torch = pytest.importorskip("torch")
torch_functional = torch.nn.functional


@pytest.fixture(autouse=True)
def torch_seeded():
    torch.manual_seed(0)


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
    theirs = run(
        snippet,
        nn=torch.nn,
        optim=torch.optim,
        F=torch_functional,
        top=torch,
        x=torch.from_numpy(X),
        y=torch.from_numpy(Y),
    )
    ours = run(snippet, nn=nn, optim=optim, F=F, top=fd, x=X, y=Y)
    assert 1.5 < ours["loss"].item() < 3.5
    assert ours["model"].load_state_dict(theirs["model"].state_dict()) == ([], [])
    proba = F.softmax(ours["model"](X)).numpy()
    assert (
        np.abs(
            proba
            - torch_functional.softmax(theirs["model"](torch.from_numpy(X)), -1).detach().numpy()
        ).max()
        < 1e-5
    )
    state = {
        key: torch.from_numpy(value.copy()) for key, value in ours["model"].state_dict().items()
    }
    theirs["model"].load_state_dict(state)


class Masked(torch.nn.Module):
    """Dropout with fastdrop's masks of one site. Each call uses the next draw."""

    def __init__(self, p, site):
        super().__init__()
        self.p, self.site, self.draw = p, site, 0

    def forward(self, x):
        kept = torch.from_numpy(
            K.keep_mask(len(x), x.shape[1], self.p, site=self.site, draw=self.draw)
        )
        self.draw += 1
        return torch.where(kept, x / (1 - self.p), 0)


def models(activation):
    ours = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(784, 60),
        getattr(nn, activation)(),
        nn.Dropout(0.5),
        nn.Linear(60, 50),
        nn.BatchNorm1d(50),
        getattr(nn, activation)(),
        nn.Dropout(0.3),
        nn.LayerNorm(50),
        nn.Linear(50, 10),
    )
    t = torch.nn
    theirs = t.Sequential(
        Masked(0.2, 0),
        t.Linear(784, 60),
        getattr(t, activation)(),
        Masked(0.5, 1),
        t.Linear(60, 50),
        t.BatchNorm1d(50),
        getattr(t, activation)(),
        Masked(0.3, 2),
        t.LayerNorm(50),
        t.Linear(50, 10),
    )
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    "activation", ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "SELU", "SiLU", "GELU"]
)
def test_training_with_the_same_masks(activation):
    ours, theirs = models(activation)
    o, t = (
        optim.SGD(ours.parameters(), lr=0.05, momentum=0.9),
        torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9),
    )
    for step in range(4):
        a, b = (
            F.cross_entropy(ours(X), Y, label_smoothing=0.1),
            torch_functional.cross_entropy(
                theirs(torch.from_numpy(X)), torch.from_numpy(Y), label_smoothing=0.1
            ),
        )
        assert a.item() == pytest.approx(b.item(), rel=2e-4 if step else 1e-5)
        o.zero_grad(), t.zero_grad()
        a.backward(), b.backward()
        if step == 0:
            for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
                assert (
                    np.abs(p.grad.data - q.grad.numpy()).max()
                    < 1e-5 * max(1, np.abs(q.grad.numpy()).max()) + 1e-6
                ), name
        o.step(), t.step()
    ours.eval(), theirs.eval()
    for module in theirs.modules():
        if isinstance(module, Masked):
            module.p = 0.0
    assert np.abs(ours(X).data - theirs(torch.from_numpy(X)).detach().numpy()).max() < 2e-3


A, B = (
    RNG.standard_normal((7, 5)).astype(np.float32),
    RNG.standard_normal((7, 5)).astype(np.float32),
)
LABELS = RNG.integers(0, 5, 7)
WEIGHT = np.float32([1, 2, 0.5, 3, 1])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("mse_loss", (B,), {}),
        ("l1_loss", (B,), {}),
        ("huber_loss", (B,), {"delta": 0.5}),
        ("smooth_l1_loss", (B,), {"beta": 0.5}),
        ("cross_entropy", (LABELS,), {}),
        ("cross_entropy", (LABELS,), {"weight": WEIGHT, "label_smoothing": 0.2}),
        ("cross_entropy", (np.abs(B),), {"weight": WEIGHT, "label_smoothing": 0.1}),
        ("nll_loss", (LABELS,), {"weight": WEIGHT}),
        (
            "binary_cross_entropy_with_logits",
            (np.abs(B) % 1,),
            {"weight": WEIGHT, "pos_weight": WEIGHT},
        ),
        ("gaussian_nll_loss", (B, np.abs(A) + 0.1), {"full": True}),
    ],
)
def test_losses(name, args, options, reduction):
    x, tx = fd.tensor(A, requires_grad=True), torch.tensor(A, requires_grad=True)
    given = {
        key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in options.items()
    }
    a, b = (
        getattr(F, name)(x, *args, **options, reduction=reduction),
        getattr(torch_functional, name)(
            tx, *map(torch.from_numpy, args), **given, reduction=reduction
        ),
    )
    assert np.abs(a.data - b.detach().numpy()).max() < 2e-5
    a.sum().backward(), b.sum().backward()
    assert np.abs(x.grad.data - tx.grad.numpy()).max() < 2e-5


def test_functions_at_top_level():
    for name in (
        "relu",
        "sigmoid",
        "tanh",
        "exp",
        "abs",
        "sqrt",
        "selu",
        "sum",
        "mean",
        "std",
        "var",
        "flatten",
        "squeeze",
        "neg",
    ):
        positive = np.abs(A) + 0.1
        assert (
            np.abs(
                getattr(fd, name)(positive).data
                - getattr(torch, name)(torch.from_numpy(positive)).numpy()
            ).max()
            < 1e-5
        ), name
    assert (
        np.abs(fd.softmax(A, 1).data - torch.softmax(torch.from_numpy(A), 1).numpy()).max() < 1e-6
    )
    assert np.abs(fd.matmul(A, B.T).data - (A @ B.T)).max() < 1e-5
    assert fd.cat([A, B]).shape == (14, 5) and fd.stack([A, B], 1).shape == (7, 2, 5)


def compare(ours, theirs, *arrays, tolerance=2e-5):
    """Assert that two functions have the same values and gradients (of a weighted sum)."""
    a, b = (
        [fd.tensor(x, requires_grad=True) for x in arrays],
        [torch.tensor(np.float32(x), requires_grad=True) for x in arrays],
    )
    out, other = ours(*a), theirs(*b)
    assert out.shape == tuple(other.shape)
    assert np.allclose(
        out.data, other.detach().numpy(), rtol=tolerance, atol=tolerance, equal_nan=True
    )
    weights = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    out.backward(weights), other.backward(torch.from_numpy(weights))
    for x, y in zip(a, b, strict=True):
        assert np.allclose(
            x.grad.data, y.grad.numpy(), rtol=tolerance, atol=tolerance, equal_nan=True
        )


EDGES = np.float32([-200, -90, -20, -5, -1, -1e-3, -1e-30, 0, 1e-30, 1e-3, 1, 5, 20, 90, 200])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu", {}),
        ("leaky_relu", {}),
        ("leaky_relu", {"negative_slope": 0.3}),
        ("leaky_relu", {"negative_slope": 0.0}),
        ("sigmoid", {}),
        ("tanh", {}),
        ("selu", {}),
        ("silu", {}),
        ("gelu", {}),
    ],
)
def test_activations(name, options):
    ours, theirs = getattr(F, name), getattr(torch_functional, name)
    for x in (A, EDGES, RNG.standard_normal((3, 700)) * 4):
        compare(lambda t: ours(t, **options), lambda t: theirs(t, **options), x)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(dim):
    compare(lambda t: F.softmax(t, dim=dim), lambda t: torch_functional.softmax(t, dim=dim), A * 20)
    compare(
        lambda t: F.log_softmax(t, dim=dim),
        lambda t: torch_functional.log_softmax(t, dim=dim),
        A * 20,
    )


@pytest.mark.parametrize("options", [{}, {"dim": 1}, {"dim": (0, 2)}, {"dim": -1, "keepdim": True}])
@pytest.mark.parametrize("name", ["sum", "mean", "std", "var", "amax", "amin"])
def test_reductions(name, options):
    x = RNG.standard_normal((4, 5, 6))
    compare(
        lambda t: getattr(fd, name)(t, **options),
        lambda t: getattr(torch, name)(t, **(options or {"dim": (0, 1, 2)})),
        x,
    )
    if name in ("sum", "mean", "std", "var"):
        compare(lambda t: getattr(t, name)(**options), lambda t: getattr(t, name)(**options), x)


def test_tensor_methods():
    x = RNG.standard_normal((2, 3, 4)) + 0.01
    for call in (
        lambda t: t.flatten(1),
        lambda t: t.flatten(),
        lambda t: t.reshape(3, -1),
        lambda t: t.view(-1),
        lambda t: t.permute(2, 0, 1),
        lambda t: t.transpose(0, -1),
        lambda t: t.unsqueeze(1).squeeze(1),
        lambda t: t[:, 1],
        lambda t: t[..., -1:],
        lambda t: t[1][None],
        lambda t: t.abs().sqrt(),
        lambda t: t.clamp(min=-0.2),
        lambda t: t.clamp(max=0.2),
        lambda t: t.max(dim=1, keepdim=True)[0],
        lambda t: t.min(2).values,
        lambda t: t.max(),
        lambda t: t**3,
        lambda t: 2**t,
        lambda t: t.exp().log(),
        lambda t: 1 / t,
        lambda t: t @ t.transpose(1, 2),
        lambda t: t[0] @ t[1].transpose(0, 1),
        lambda t: t.softmax(1),
        lambda t: t.std(1),
        lambda t: (t * t).mean().sqrt(),
        lambda t: t.tanh().sigmoid().relu(),
    ):
        compare(call, call, x)
    t = fd.tensor(x)
    assert (
        t.shape == t.size() == (2, 3, 4)
        and t.size(-1) == 4
        and t.numel() == 24
        and t.argmax() == torch.tensor(x).argmax()
    )
    assert np.array_equal(t.argmax(1), torch.tensor(x).argmax(1).numpy())


@pytest.mark.parametrize("shape", [(8, 5), (4, 5, 6), (1, 5, 2)])
def test_norms(shape):
    x, w, b = RNG.standard_normal(shape) * 3 + 1, RNG.standard_normal(5), RNG.standard_normal(5)
    mean, var = np.float32(RNG.standard_normal(5)), np.float32(RNG.uniform(0.5, 2, 5))
    for training in (True, False):
        ours = mean.copy(), var.copy()
        theirs = torch.from_numpy(mean.copy()), torch.from_numpy(var.copy())

        def our_norm(x, w, b, statistics=ours, training=training):
            return F.batch_norm(x, *statistics, w, b, training, 0.3, 1e-4)

        def their_norm(x, w, b, statistics=theirs, training=training):
            return torch_functional.batch_norm(x, *statistics, w, b, training, 0.3, 1e-4)

        compare(our_norm, their_norm, x, w, b, tolerance=1e-4)
        for one, two in zip(ours, theirs, strict=True):
            assert np.abs(one - two.numpy()).max() < 1e-6
    w, b = RNG.standard_normal(shape[1:]), RNG.standard_normal(shape[1:])
    compare(
        lambda x, w, b: F.layer_norm(x, shape[1:], w, b, 1e-4),
        lambda x, w, b: torch_functional.layer_norm(x, shape[1:], w, b, 1e-4),
        x,
        w,
        b,
        tolerance=1e-4,
    )


def test_dense_layers_of_any_shape():
    w, b = RNG.standard_normal((7, 5)), RNG.standard_normal(7)
    for shape in ((5,), (3, 5), (2, 3, 5), (0, 5)):
        compare(F.linear, torch_functional.linear, RNG.standard_normal(shape), w, b)
    compare(F.linear, torch_functional.linear, A, w)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
        ("Adam", {"lr": 0.01}),
        ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
        ("RMSprop", {"lr": 0.01, "momentum": 0.5}),
    ],
)
def test_training_a_small_network(name, options):
    t = torch.nn
    theirs = t.Sequential(
        t.Linear(20, 32), t.Tanh(), t.Linear(32, 16), t.Sigmoid(), t.Linear(16, 3)
    )
    ours = nn.Sequential(
        nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 16), nn.Sigmoid(), nn.Linear(16, 3)
    )
    ours.load_state_dict(theirs.state_dict())
    one, two = (
        getattr(optim, name)(ours.parameters(), **options),
        getattr(torch.optim, name)(theirs.parameters(), **options),
    )
    x, y = RNG.standard_normal((40, 20)).astype(np.float32), RNG.integers(0, 3, 40)
    for step in range(5):
        batch = slice(8 * step, 8 * step + 8)
        a, b = (
            F.cross_entropy(ours(x[batch]), y[batch]),
            torch_functional.cross_entropy(
                theirs(torch.from_numpy(x[batch])), torch.from_numpy(y[batch])
            ),
        )
        assert a.item() == pytest.approx(b.item(), rel=1e-4)
        one.zero_grad(), two.zero_grad()
        a.backward(), b.backward()
        one.step(), two.step()
    for key, value in theirs.state_dict().items():
        assert np.abs(ours.state_dict()[key] - value.numpy()).max() < 1e-4, key
    assert np.abs(ours(x).data - theirs(torch.from_numpy(x)).detach().numpy()).max() < 2e-4


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_one_step_with_a_given_mask(p):
    ours, theirs = (
        run(SNIPPET.replace("p=0.5", f"p={p}"), nn=nn, optim=optim, F=F, x=X, y=Y)["model"].train(),
        torch.nn.ModuleDict({"fc1": torch.nn.Linear(784, 512), "fc2": torch.nn.Linear(512, 10)}),
    )
    theirs.load_state_dict(
        {key: torch.from_numpy(value.copy()) for key, value in ours.state_dict().items()}
    )
    assert ours.draw == 1
    kept = torch.from_numpy(K.keep_mask(16, 512, p, seed=fd.initial_seed(), site=0, draw=1))
    x = torch.from_numpy(X).requires_grad_(True)
    b = torch_functional.cross_entropy(
        theirs["fc2"](torch.where(kept, torch.relu(theirs["fc1"](x)) / (1 - p), 0)),
        torch.from_numpy(Y),
    )
    b.backward()
    inside = fd.tensor(X, requires_grad=True)
    ours.zero_grad()
    a = F.cross_entropy(ours(inside), Y)
    a.backward()
    assert a.item() == pytest.approx(b.item(), rel=1e-5)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert np.abs(p.grad.data - q.grad.numpy()).max() < 1e-5, name
    assert np.abs(inside.grad.data - x.grad.numpy()).max() < 1e-6
