"""Cases of recurrent networks: layers, masks, a language model's step, Monte Carlo passes."""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks.convolution import floats, require
from fastdrop import nn, optim
from fastdrop.bench import cases
from fastdrop.bench.cases import STEADY, Case

torch = cases.torch()

# Steps, sequences, inputs, units and layers, as in the language models of the papers and smaller.
SHAPES = (
    (35, 20, 650, 650, 2),
    (70, 80, 400, 1150, 1),
    (128, 32, 128, 128, 1),
    (35, 20, 200, 200, 1),
    (28, 128, 28, 128, 1),
    (50, 1, 64, 64, 1),
)
MASKS = {
    "recurrent_dropout": {"recurrent_dropout": 0.5},
    "input and recurrent": {"input_dropout": 0.5, "recurrent_dropout": 0.5},
    "per gate": {"input_dropout": 0.5, "recurrent_dropout": 0.5, "per_gate": True},
    "update_dropout": {"update_dropout": 0.5},
    "zoneout": {"zoneout": 0.1},
    "weight_drop": {"weight_drop": 0.5},
    "variational": {"dropout": 0.5, "variational": True},
    "all": {
        "input_dropout": 0.5,
        "recurrent_dropout": 0.5,
        "update_dropout": 0.5,
        "zoneout": 0.1,
        "weight_drop": 0.5,
        "dropout": 0.5,
        "variational": True,
        "output_dropout": 0.5,
    },
}


def _passes(layer, x, gradient):
    """(forward alone, forward and backward) of a layer of either library."""
    library = torch if torch is not None and isinstance(layer, torch.nn.Module) else fd
    if library is fd:
        given, wanted = fd.Tensor(x, requires_grad=True), gradient
    else:
        given, wanted = torch.tensor(x, requires_grad=True), torch.tensor(gradient)

    def forward():
        with library.no_grad():
            return layer(given)[0]

    def both():
        layer.zero_grad()
        given.grad = None
        y = layer(given)[0]
        y.backward(wanted)
        return y

    return forward, both


def layer(kind: str, shape: tuple[int, ...]) -> Case:
    """Forward, and forward and backward, of a recurrent layer."""
    steps, sequences, inputs, units, layers = shape
    x, gradient = floats(steps, sequences, inputs), floats(steps, sequences, units)
    ours = getattr(nn, kind)(inputs, units, layers)
    about = f"{kind} of {layers} x {units} units, {steps} steps of {sequences} x {inputs}"
    found = {"fastdrop": _passes(ours, x, gradient)}
    if torch is not None:
        theirs = getattr(torch.nn, kind)(inputs, units, layers)
        theirs.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in ours.state_dict().items()}
        )
        found["PyTorch"] = _passes(theirs, x, gradient)
    candidates = {name: both for name, (_, both) in found.items()}
    candidates |= {f"{name}, forward": forward for name, (forward, _) in found.items()}

    def check():
        if torch is not None:
            one, two = (call() for _, call in found.values())
            require(np.abs(one.numpy() - two.detach().numpy()).max() < 1e-5, about)

    return Case(about, candidates, check, least=STEADY)


def masks() -> Case:
    """Forward and backward of an LSTM of 2 x 650 units with each kind of dropout."""
    steps, sequences, inputs, units, layers = SHAPES[0]
    x, gradient = floats(steps, sequences, inputs), floats(steps, sequences, units)
    candidates = {"fastdrop, no dropout": _passes(nn.LSTM(inputs, units, layers), x, gradient)[1]}
    for name, arguments in MASKS.items():
        lstm = nn.LSTM(inputs, units, layers, **arguments)
        candidates[f"fastdrop, {name}"] = _passes(lstm, x, gradient)[1]
    if torch is not None:
        candidates["PyTorch, no dropout"] = _passes(
            torch.nn.LSTM(inputs, units, layers), x, gradient
        )[1]
        candidates["PyTorch, variational by LSTMCell"] = _cell_loop(x, gradient, units, layers)

    def check():
        for name, call in candidates.items():
            require(np.isfinite(call().detach().numpy()).all(), name)

    return Case("LSTM of 2 x 650 units, forward and backward", candidates, check, least=STEADY)


def _cell_loop(x, gradient, units, layers):
    """Variational dropout in PyTorch: a loop over cells, with masks that stay in all steps."""
    cells = [torch.nn.LSTMCell(units, units) for _ in range(layers)]
    given, wanted = torch.tensor(x, requires_grad=True), torch.tensor(gradient)

    def both():
        given.grad = None
        shape = (x.shape[1], units)
        keep = [[torch.empty(shape).bernoulli_(0.5) * 2 for _ in range(2)] for _ in cells]
        states = [(torch.zeros(shape), torch.zeros(shape)) for _ in cells]
        outputs = []
        for step in given:
            y = step
            for i, cell in enumerate(cells):
                h, c = states[i]
                states[i] = cell(y * keep[i][0], (h * keep[i][1], c))
                y = states[i][0]
            outputs.append(y)
        y = torch.stack(outputs)
        for cell in cells:
            cell.zero_grad()
        y.backward(wanted)
        return y

    return both


def language_model() -> Case:
    """A training step of a language model: 2 x 650 units, 10,000 words, SGD with clipping."""
    steps, sequences, units, words = 35, 20, 650, 10_000
    rng = np.random.default_rng(0)
    tokens, targets = rng.integers(0, words, (2, steps, sequences))

    def ours(rate, variational):
        model = fd.models.language_model(
            words,
            units,
            dropout=rate,
            recurrent_dropout=rate if variational else 0.0,
            variational=variational,
        )
        optimizer, state = optim.SGD(model.parameters(), lr=1.0), [None]

        def step():
            loss, state[0] = model.loss(tokens, targets, state[0])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
            return loss.item()

        return step

    candidates = {
        "fastdrop, variational": ours(0.5, True),
        "fastdrop, each step": ours(0.5, False),
        "fastdrop, no dropout": ours(0.0, True),
    }
    if torch is not None:
        candidates["PyTorch, each step"] = _torch_step(tokens, targets, units, words)

    def check():
        for name, call in candidates.items():
            require(8 < np.mean([call() for _ in range(2)]) < 11, name)

    return Case(
        "step of a language model, 2 x 650, 35 steps of 20, 10,000 words",
        candidates,
        check,
        least=STEADY,
    )


def _torch_step(tokens, targets, units, words):
    n = torch.nn

    class Model(n.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.drop = n.Embedding(words, units), n.Dropout(0.5)
            self.lstm = n.LSTM(units, units, 2, dropout=0.5)
            self.decoder = n.Linear(units, words)

        def forward(self, x, state):
            y, state = self.lstm(self.drop(self.embedding(x)), state)
            return self.decoder(self.drop(y)), state

    model = Model()
    optimizer, state = torch.optim.SGD(model.parameters(), lr=1.0), [None]
    x, t = torch.tensor(tokens), torch.tensor(targets).reshape(-1)

    def step():
        scores, new = model(x, state[0])
        state[0] = tuple(s.detach() for s in new)
        loss = n.functional.cross_entropy(scores.reshape(-1, words), t)
        optimizer.zero_grad()
        loss.backward()
        n.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        return loss.item()

    return step


def monte_carlo() -> Case:
    """20 Monte Carlo passes of a forecaster, one window."""
    passes, x = 20, floats(1, 48, 1)

    def forecaster(n, more):
        class Forecaster(n.Module):
            def __init__(self):
                super().__init__()
                self.lstm = n.LSTM(1, 64, batch_first=True, **more)
                self.drop, self.head = n.Dropout(0.2), n.Linear(64, 1)

            def forward(self, x):
                return self.head(self.drop(self.lstm(x)[0][:, -1]))

        return Forecaster()

    model = forecaster(nn, {"recurrent_dropout": 0.2}).eval()
    candidates = {"fastdrop": lambda: fd.mc_predict(model, x, passes, seed=1).mean}
    if torch is not None:
        theirs, given = forecaster(torch.nn, {}), torch.from_numpy(x)

        def loop():
            with torch.inference_mode():
                return torch.stack([theirs(given) for _ in range(passes)]).mean(0)

        candidates["PyTorch, dropout of the output alone"] = loop

    def check():
        found = fd.mc_predict(model, x, passes, seed=1)
        require(found.std.min() > 0, "the passes of the forecaster")

    return Case(f"{passes} Monte Carlo passes of a forecaster", candidates, check, least=STEADY)
