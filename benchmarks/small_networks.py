"""Cases of training small networks, whose steps are mostly Python elsewhere."""

from __future__ import annotations

import warnings

import numpy as np

import fastdrop as fd
from benchmarks.convolution import require
from fastdrop.bench import cases
from fastdrop.bench.cases import Case
from fastdrop.train import recorded_steps

torch = cases.torch()

# Samples, features, hidden layers, batch size: the sizes of winequality-white and of two others.
SHAPES = {
    "4898x11": (4898, 11, (100,), 200),
    "12000x100": (12000, 100, (256, 256), 200),
    "20000x30": (20000, 30, (64, 64), 32),
}
EPOCHS = 10


def _computed(train):
    """The call with all steps computed by Python."""

    def call():
        before, recorded_steps.REPLAYED = recorded_steps.REPLAYED, False
        try:
            return train()
        finally:
            recorded_steps.REPLAYED = before

    return call


def estimators(
    samples: int, features: int, hidden: tuple[int, ...], batch: int, targets: str = "classes"
) -> Case:
    """`fit` of the estimators: ours with dropout 0.5, scikit-learn's without.

    targets: "classes", "numbers", "counts" (the Poisson loss) or "labels" (several a sample).
    """
    from sklearn import neural_network

    from fastdrop import sklearn

    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, features))
    y = {
        "classes": (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5),
        "numbers": x[:, 0] + np.sin(x[:, 1]),
        "counts": rng.poisson(np.exp(0.3 * x[:, 0])).astype(float),
        "labels": (x[:, :4] > 0).astype(int),
    }[targets]
    options = {"batch_size": batch, "max_iter": EPOCHS, "random_state": 0}
    if targets == "counts":
        options["loss"] = "poisson"
    kind = "Classifier" if y.dtype.kind == "i" else "Regressor"
    ours = getattr(sklearn, f"Dropout{kind}")(hidden, dropout=0.5, **options)
    theirs = getattr(neural_network, f"MLP{kind}")(hidden_layer_sizes=hidden, **options)

    def fit(model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that ten epochs are few
            return model.fit(x, y)

    candidates = {
        "fastdrop": lambda: fit(ours),
        "fastdrop, steps by Python": _computed(lambda: fit(ours)),
        "scikit-learn": lambda: fit(theirs),
    }

    def check():
        curves = [call().loss_curve_ for call in candidates.values()]
        require(curves[0] == curves[1] and len(curves[0]) == EPOCHS, "fastdrop")
        for curve in curves:
            require(curve[-1] < curve[0], "a loss")

    about = f"{EPOCHS} epochs of {samples} x {features}, hidden {hidden}, batches of {batch}"
    if targets != "classes":
        about += f", {targets}"
    return Case(about, candidates, check)


def single_samples(samples: int = 500) -> Case:
    """An epoch of 784-16-16-10 with dropout 0.2 in batches of one sample, Adam."""
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, 784), dtype=np.float32), rng.integers(0, 10, samples)
    model = fd.models.mlp(784, [16, 16], 10, dropout=0.2)
    optimizer = fd.optim.Adam(model.parameters())

    def ours():
        return fd.fit(model, (x, y), optimizer=optimizer, epochs=1, batch_size=1, progress=False)

    candidates = {"fastdrop": ours, "fastdrop, steps by Python": _computed(ours)}
    if torch is not None:
        candidates["PyTorch"] = _torch_loop(x, y, torch.optim.Adam)

    def check():
        require(abs(ours()["loss"][0] - np.log(10)) < 0.5, "fastdrop")
        if torch is not None:
            require(np.isfinite(candidates["PyTorch"]()), "PyTorch")

    return Case(f"{samples} steps of 784-16-16-10, batch 1, p = 0.2, Adam", candidates, check)


def _torch_loop(x, y, make_optimizer, **options):
    """An epoch of PyTorch's 784-16-16-10 with dropout 0.2 in batches of one sample."""
    layers = []
    for inputs, outputs in ((784, 16), (16, 16)):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(0.2)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(16, 10))
    optimizer = make_optimizer(model.parameters(), **options)
    xt, yt = torch.from_numpy(x), torch.from_numpy(y)

    def loop():
        for i in torch.randperm(len(x)).tolist():
            loss = torch.nn.functional.cross_entropy(model(xt[i : i + 1]), yt[i : i + 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return loop


def own_loop(samples: int = 500) -> Case:
    """The same epoch in a loop of one's own, whose step `fd.record` makes one call; SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, 784), dtype=np.float32), rng.integers(0, 10, samples)
    options = {"lr": 0.01, "momentum": 0.9}
    model = fd.models.mlp(784, [16, 16], 10, dropout=0.2)
    optimizer = fd.optim.SGD(model.parameters(), **options)

    def step(xb, yb):
        optimizer.zero_grad()
        loss = fd.nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        return loss

    recorded = fd.record(step)

    def loop(call):
        for i in rng.permutation(samples):
            loss = call(x[i : i + 1], y[i : i + 1])
        return loss.item()

    candidates = {
        "fastdrop": lambda: loop(recorded),
        "fastdrop, steps by Python": lambda: loop(step),
    }
    if torch is not None:
        candidates["PyTorch"] = _torch_loop(x, y, torch.optim.SGD, **options)

    def check():
        for name, call in candidates.items():
            require(np.isfinite(call()), name)
        require(recorded.refused is None and recorded.replays > 0, "fd.record")

    about = f"{samples} steps of 784-16-16-10, batch 1, p = 0.2, SGD, a loop of one's own"
    return Case(about, candidates, check)


# Samples, tokens of each, words, size of the vectors, units, batch size.
TEXTS = (800, 12, 200, 16, 32, 8)


def texts(samples: int, steps: int, words: int, width: int, units: int, batch: int) -> Case:
    """An epoch of `fit` of a classifier of texts: embedding, LSTM, dropout 0.2; Adam."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, words, (samples, steps)), rng.integers(0, 3, samples)
    model = fd.models.text_classifier(words, 3, width, units, dropout=0.2)
    optimizer = fd.optim.Adam(model.parameters())

    def ours():
        return fd.fit(
            model, (x, y), optimizer=optimizer, epochs=1, batch_size=batch, progress=False
        )

    candidates = {"fastdrop": ours, "fastdrop, steps by Python": _computed(ours)}
    if torch is not None:
        candidates["PyTorch"] = _torch_texts(x, y, words, width, units, batch)

    def check():
        require(abs(ours()["loss"][0] - np.log(3)) < 0.5, "fastdrop")
        if torch is not None:
            require(abs(candidates["PyTorch"]() - np.log(3)) < 1.0, "PyTorch")

    about = f"{samples // batch} steps of a classifier of texts, LSTM {width}-{units}, "
    return Case(about + f"{steps} tokens, batch {batch}, p = 0.2, Adam", candidates, check)


def _torch_texts(x, y, words: int, width: int, units: int, batch: int):
    """An epoch of PyTorch's classifier of texts."""

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.drop = torch.nn.Embedding(words, width), torch.nn.Dropout(0.2)
            self.layer = torch.nn.LSTM(width, units, batch_first=True)
            self.head = torch.nn.Linear(units, 3)

        def forward(self, tokens):
            y, _ = self.layer(self.drop(self.table(tokens)))
            return self.head(self.drop(y[:, -1]))

    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    xt, yt = torch.from_numpy(x), torch.from_numpy(y)

    def loop():
        for rows in torch.randperm(len(x)).split(batch):
            loss = torch.nn.functional.cross_entropy(model(xt[rows]), yt[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return loop
