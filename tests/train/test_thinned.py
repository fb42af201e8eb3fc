"""Thinned training: the same steps as with masks of the contract that are written out."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim, random
from fastdrop.nn import functional as F
from fastdrop.sklearn import DropoutClassifier
from fastdrop.train import recorded_steps
from fastdrop.train.loop import TrainingRun
from helpers import mask_reference as reference
from helpers.core_calls import Calls
from helpers.training import Stop, bits, digits, figures, interrupted_at

SEED = 5
X, Y = digits(95)
WIDE = np.random.default_rng(0).standard_normal((47, 300), dtype=np.float32)
LABELS = np.arange(47) % 3


class WrittenOut(nn.Module):
    """The layers of a Sequential, with each mask as an array of 0 and 2^32 / q."""

    def __init__(self, layers, kind):
        super().__init__()
        self.layers, self.kind = nn.ModuleList(layers), kind

    def mask(self, p, site, count, units):
        kept = reference.keep_mask(
            [reference.SHARED_ROW], units, p, seed=SEED, site=site, draw=self.draw
        )
        rows = np.repeat(kept, count, 0)
        if self.kind == "pair":
            rows[1::2] = ~rows[1::2]
        return rows * reference.keep_scale(p)

    def forward(self, x):
        site = 0
        for layer in self.layers:
            if isinstance(layer, nn.Dropout):
                if self.training and layer.p:
                    x = x * self.mask(layer.p, site, *x.shape).astype(np.float32)
                site += 1
            else:
                x = layer(x)
        return x


def layers(*rates, activation=nn.ReLU, sizes=(6, 20, 17, 3), bias=True, last=()):
    found = [nn.Dropout(rates[0])]
    for i, p in enumerate(rates[1:]):
        found += [nn.Linear(sizes[i], sizes[i + 1], bias=bias), activation(), nn.Dropout(p)]
    return [*found, nn.Linear(*sizes[-2:], bias=bias), *last]


def run(build, thinned=None, kind=None, optimizer=optim.SGD, data=(X, Y), **given):
    """(weights and gradients, figures) of a run; `kind`: with masks that are written out."""
    fd.manual_seed(SEED)
    found = build()
    model = nn.Sequential(*found) if kind is None else WrittenOut(found, kind)
    options = {"epochs": 3, "batch_size": 20, "progress": False} | given
    made = optimizer(model.parameters(), lr=0.1)
    history = fd.fit(model, data, optimizer=made, thinned=thinned, **options)
    return [a for p in model.parameters() for a in (p.data, p.grad.data)], figures(history)


def compare(build, thinned, exact=True, **given):
    expected, found = run(build, kind=thinned, **given), run(build, thinned, **given)
    for a, b in zip(expected[0], found[0], strict=True):
        if exact:
            assert np.array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for name, values in expected[1].items():
        np.testing.assert_allclose(values, found[1][name], rtol=0 if exact else 1e-5)


OPTIMISERS = {
    "momentum": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
    "nesterov, decay": lambda p, lr: optim.SGD(
        p, lr=lr, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "Adam": lambda p, lr: optim.Adam(p, lr=lr / 10, weight_decay=0.01),
    "AdamW": lambda p, lr: optim.AdamW(p, lr=lr / 10),
    "RMSprop": lambda p, lr: optim.RMSprop(p, lr=lr / 100),
}


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_steps_have_the_bits_of_masks_that_are_written_out(thinned, optimizer):
    """95 samples in batches of 20: the last one has 15, so a pair has 8 and 7."""
    compare(lambda: layers(0.0, 0.5, 0.5), thinned, optimizer=OPTIMISERS[optimizer])


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize(
    "given",
    [
        {"clip_norm": 0.5},
        {"max_norm": 0.5},
        {"sample_weight": np.linspace(0.2, 3, 95)},
        {"mixup": 0.3},
        {"batch_size": 1, "epochs": 1},
        {"data": fd.data.DataLoader(fd.data.Dataset(X, Y), batch_size=16), "batch_size": None},
    ],
    ids=lambda given: next(iter(given)),
)
def test_options_of_fit(thinned, given):
    compare(lambda: layers(0.0, 0.5, 0.5), thinned, **given)


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: layers(0.5, 0.5, 0.5),
        lambda: layers(0.0, 0.5, 0.0),
        lambda: layers(0.5, 0.0, 0.5),
        lambda: layers(0.0, 0.5, 0.5, bias=False),
        lambda: layers(0.0, 0.5, 0.5, last=[nn.Dropout(0.5)]),
        lambda: layers(0.0, 0.5, 0.5, last=[nn.Dropout(0.5), nn.LayerNorm(3)]),
        lambda: layers(0.0, 0.5, 0.5, activation=nn.Identity),
        lambda: layers(0.5, 0.5, 0.5, sizes=(300, 700, 401, 3)),
        lambda: [nn.Linear(300, 40), nn.LayerNorm(40), nn.ReLU(), *layers(0.5, sizes=(40, 3))],
        lambda: [nn.Linear(300, 20), nn.BatchNorm1d(20), *layers(0.5, 0.5, sizes=(20, 20, 3))],
    ],
    ids=[
        *("input", "second at 0", "input, first at 0", "no bias", "last", "before a norm"),
        *("no activation", "several pieces", "after a norm", "after batch norm"),
    ],
)
def test_networks(thinned, build):
    fd.manual_seed(0)
    first = next(layer for layer in build() if isinstance(layer, nn.Linear))
    data = (WIDE, LABELS) if first.in_features == 300 else (X, Y)
    compare(build, thinned, data=data)


@pytest.mark.parametrize(
    "rates", [(0.0, 0.3, 0.8), (0.2, 0.5, 0.5), (0.2, 1.0, 0.5), (1e-12, 0.01, 0.99)], ids=str
)
def test_rates_of_one_network(rates):
    compare(lambda: layers(*rates), "batch", exact=rates[0] != 1e-12)


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize(
    "activation",
    [nn.Tanh, nn.Sigmoid, nn.SELU, nn.SiLU, nn.GELU, nn.LeakyReLU, lambda: nn.GELU("tanh")],
    ids=lambda a: getattr(a, "__name__", "tanh form"),
)
def test_activations(thinned, activation):
    compare(lambda: layers(0.0, 0.5, 0.5, activation=activation), thinned, exact=False)
    # The activation ends the network, and is of an input that keeps all units.
    compare(
        lambda: layers(0.0, 0.5, 0.5, activation=activation, last=[activation()]),
        thinned,
        exact=False,
    )
    compare(lambda: layers(0.0, 0.0, 0.5, activation=activation), thinned, exact=False)


def test_bits_on_every_instruction_set_and_number_of_threads(each_thread_count, isa):
    def build():
        return layers(0.0, 0.5, 0.5, sizes=(300, 700, 401, 3))

    found = []
    for _ in each_thread_count():
        compare(build, "pair", data=(WIDE, LABELS), epochs=1)
        found.append(run(build, "batch", data=(WIDE, LABELS), epochs=1)[0])
    assert all(np.array_equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_shared_masks_of_the_dropout_layer_are_those_of_one_network():
    """`nn.Dropout(share=(0,))` has the row 4294967295 as well."""

    def shared():
        return [
            nn.Dropout(layer.p, share=(0,)) if isinstance(layer, nn.Dropout) else layer
            for layer in layers(0.2, 0.5, 0.5)
        ]

    expected, found = run(shared), run(lambda: layers(0.2, 0.5, 0.5), "batch")
    assert all(np.array_equal(a, b) for a, b in zip(expected[0], found[0]))


def test_kept_units_alone_are_computed(monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", False)
    calls = Calls(monkeypatch)
    shapes, gemm = [], fd._core.gemm

    def spy(c, a, ta, *rest, **named):
        shapes.append((c.shape, a.shape[0] if ta else a.shape[1]))
        return gemm(c, a, ta, *rest, **named)

    monkeypatch.setattr(fd._core, "gemm", spy)
    fd.manual_seed(SEED)
    model = nn.Sequential(*layers(0.0, 0.5, 0.5, sizes=(300, 200, 100, 3)))
    fd.fit(model, (WIDE, LABELS), epochs=1, batch_size=47, progress=False, thinned="batch")
    kept = [
        int(reference.keep_mask([reference.SHARED_ROW], units, 0.5, seed=SEED, site=site).sum())
        for site, units in ((1, 200), (2, 100))
    ]
    a, b = kept
    forward = [((47, a), 300), ((47, b), a), ((47, 3), b)]
    backward = [((3, b), 47), ((47, b), 3), ((b, a), 47), ((47, a), b), ((a, 300), 47)]
    assert shapes == forward + backward
    assert calls.taken().count("dropout") == 0


class Branches(nn.Module):
    """Dropout outside of a Sequential, of one result that is used twice, and a functional one."""

    def __init__(self):
        super().__init__()
        self.first, self.a, self.b = nn.Linear(6, 20), nn.Linear(20, 20), nn.Linear(20, 3)
        self.drop, self.kind = nn.Dropout(0.5), None

    def dropped(self, h, call):
        if self.kind is None or not self.training:
            return self.drop(h)
        kept = reference.keep_mask(
            [reference.SHARED_ROW], 20, 0.5, seed=SEED, draw=self.draw, call=call
        )
        rows = np.repeat(kept, len(h), 0)
        if self.kind == "pair":
            rows[1::2] = ~rows[1::2]
        return h * (2 * rows).astype(np.float32)

    def forward(self, x):
        h = self.dropped(F.gelu(self.first(x)), 0)
        return self.b(h + self.dropped(F.relu(self.a(h)), 1))


@pytest.mark.parametrize("thinned", ["batch", "pair"])
def test_a_forward_function_of_the_user(thinned):
    weights = []
    for kind, given in ((thinned, None), (None, thinned)):
        fd.manual_seed(SEED)
        model = Branches()
        model.kind = kind
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        fd.fit(
            model, (X, Y), optimizer=optimizer, epochs=2, batch_size=15, progress=False,
            thinned=given,
        )  # fmt: skip
        weights.append([p.data for p in model.parameters()])
    for a, b in zip(*weights):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def step(model, x, thinned, **state):
    model.zero_grad()
    with fd.mask_state(draw=0, **state), random.training_networks(thinned):
        out = model(x)
    out.sum().backward()
    return out.numpy(), [p.grad.data.copy() for p in model.parameters()]


def test_parity_of_the_pair_is_that_of_row_numbers():
    """A batch that is cut over processes trains the networks of the whole batch."""
    model = nn.Sequential(*layers(0.0, 0.5, 0.5))
    whole, gradients = step(model, X[:15], "pair")
    first = step(model, X[:5], "pair")
    second = step(model, X[5:15], "pair", row0=5)
    assert np.array_equal(np.concatenate([first[0], second[0]]), whole)
    for a, b, both in zip(first[1], second[1], gradients):
        np.testing.assert_allclose(a + b, both, rtol=1e-4, atol=1e-5)
    numbers = [4, 1, 7, 0, 2, 3]
    chosen = step(model, X[numbers], "pair", rows=numbers)
    assert np.array_equal(chosen[0], whole[numbers])
    dense = WrittenOut(model, "pair")
    dense.kind, dense.mask = "pair", lambda p, site, count, units: (
        2 * np.where(
            np.array(numbers)[:, None] % 2 == 0,
            m := reference.keep_mask([reference.SHARED_ROW], units, p, site=site),
            ~m,
        )
    )  # fmt: skip
    expected = step(dense, X[numbers], None)
    for a, b in zip(expected[1], chosen[1]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize(
    "frozen", [(), (2,), (0,), (0, 1), (0, 1, 2, 3), (4, 5), range(6)], ids=str
)
def test_gradient_of_the_input_and_of_frozen_weights(thinned, frozen):
    for rates in ((0.0, 0.5, 0.5), (0.5, 0.5, 0.5)):
        for wanted in (True, False):
            if not wanted and len(frozen) == 6:
                continue
            model = nn.Sequential(*layers(*rates))
            parameters = list(model.parameters())
            for i in frozen:
                parameters[i].requires_grad = False
            results = []
            for m, kind in ((WrittenOut(model, thinned), None), (model, thinned)):
                m.train()
                m.zero_grad()
                x = fd.Tensor(X[:9], requires_grad=wanted)
                fd.manual_seed(SEED)
                with fd.mask_state(draw=0), random.training_networks(kind):
                    out = m(x)
                (out * out).sum().backward()
                found = [None if t.grad is None else t.grad.tolist() for t in (x, *parameters)]
                assert [g is None for g in found[1:]] == [i in frozen for i in range(6)]
                assert (found[0] is None) == (not wanted)
                results.append((out.tolist(), found))
            assert results[0] == results[1]


def test_gradients_accumulate_and_shared_weights_add():
    fd.manual_seed(SEED)
    linear = nn.Linear(8, 8)
    chain = [linear, nn.ReLU(), nn.Dropout(0.5), linear, nn.ReLU(), nn.Dropout(0.5), linear]
    model, x = nn.Sequential(*chain), np.linspace(-1, 1, 40, dtype=np.float32).reshape(5, 8)
    gradients = []
    for m, kind in ((WrittenOut(chain, "batch"), None), (model, "batch")):
        m.train()
        m.zero_grad()
        for draw in (0, 1):
            m.draw = draw
            with random.training_networks(kind):
                m(x).sum().backward()
        gradients.append([linear.weight.grad.numpy().copy(), linear.bias.grad.numpy().copy()])
    for a, b in zip(*gradients):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_writes_after_the_forward_pass_do_not_change_the_gradient():
    model = nn.Sequential(*layers(0.0, 0.5, 0.5))
    expected = step(model, X[:9], "batch")[1]
    model.zero_grad()
    x = X[:9].copy()
    with fd.mask_state(draw=0), random.training_networks("batch"):
        out = model(x)
    x[:] = 7
    out.data[:] = 9
    out.sum().backward()
    assert all(np.array_equal(a, p.grad.data) for a, p in zip(expected, model.parameters()))


@pytest.mark.parametrize("thinned", ["batch", "pair"])
def test_resumed_runs_have_the_same_bits(tmp_path, thinned):
    def train(loss=F.cross_entropy, thinned=thinned, **given):
        fd.manual_seed(SEED)
        model = nn.Sequential(*layers(0.0, 0.5, 0.5))
        history = fd.fit(
            model, (X, Y), loss=loss, epochs=3, batch_size=20, progress=False, thinned=thinned,
            **given,
        )  # fmt: skip
        return bits(model), figures(history)

    path = tmp_path / "state"
    with pytest.raises(Stop):
        train(interrupted_at(8), checkpoint=path, checkpoint_every=1)
    with pytest.raises(ValueError, match=r"was made with thinned = .*, this run has None"):
        train(thinned=None, checkpoint=path, resume=True)
    assert train(checkpoint=path, resume=True) == train()


@pytest.mark.parametrize(
    ("given", "rates", "message"),
    [
        ({"thinned": "half"}, (0.5,), "thinned must be one of 'batch', 'pair', got 'half'"),
        ({"thinned": "pair"}, (0.2,), "p must be 0.5 .* got 0.2"),
        ({"thinned": "batch"}, (), "thinned must be None for a model without nn.Dropout"),
    ],
    ids=["kind", "rate", "no dropout"],
)
def test_errors(given, rates, message):
    model = nn.Sequential(nn.Linear(6, 8), *map(nn.Dropout, rates), nn.Linear(8, 3))
    before = bits(model)
    with pytest.raises(ValueError, match=message):
        fd.fit(model, (X, Y), progress=False, **given)
    assert bits(model) == before
    with pytest.raises(TypeError, match="thinned must be one of"):
        fd.fit(model, (X, Y), progress=False, thinned=True)


def test_schedules_of_rates():
    """The rate may change from step to step: in the twin it is that of the step's draw."""
    ramp = fd.schedules.Linear(0.0, 0.5, steps=10)

    class Scheduled(WrittenOut):
        def mask(self, p, site, count, units):
            return super().mask(p(self.draw), site, count, units)

    weights = []
    for kind in (Scheduled, nn.Sequential):
        fd.manual_seed(SEED)
        found = [nn.Linear(6, 30), nn.ReLU(), nn.Dropout(ramp), nn.Linear(30, 3)]
        model = Scheduled(found, "batch") if kind is Scheduled else nn.Sequential(*found)
        thinned = None if kind is Scheduled else "batch"
        fd.fit(model, (X, Y), epochs=3, batch_size=20, progress=False, thinned=thinned)
        weights.append([p.data for p in model.parameters()])
    assert all(np.array_equal(a, b) for a, b in zip(*weights))


def test_dropout_of_maps_draws_a_mask_for_each_sample():
    layer = nn.Dropout(0.5)
    for thinned in (None, "batch", "pair"):
        with fd.mask_state(draw=0), random.training_networks(thinned):
            found = layer(np.ones((6, 5, 4), np.float32)).numpy().reshape(6, -1)
        expected = reference.keep_mask(np.arange(6), 20, 0.5, instance=0)
        assert np.array_equal(found, 2 * expected)


def test_predictions_inside_a_step_are_not_thinned():
    model = nn.Sequential(*layers(0.0, 0.5, 0.5))
    expected = fd.mc_predict(model, X[:4], samples=3, seed=1).mean
    with random.training_networks("batch"):
        found = fd.mc_predict(model, X[:4], samples=3, seed=1).mean
    assert np.array_equal(expected, found)


def test_estimators_share_masks():
    found, options = {}, dict(dropout=0.5, max_iter=20, batch_size=20, random_state=0)
    for thinned in (None, "batch", "pair"):
        net = DropoutClassifier((16,), thinned=thinned, **options)
        found[thinned] = net.fit(X, Y).loss_curve_
        assert net.score(X, Y) > 0.6
    assert len({tuple(curve) for curve in found.values()}) == 3


@pytest.mark.parametrize("thinned", ["batch", "pair"])
@pytest.mark.parametrize(
    "build",
    [lambda: layers(0.5, 0.5, 0.5), lambda: [*layers(0.0, 0.5, 0.5), nn.ReLU(), nn.Dropout(0.5)]]
    + [lambda: [nn.Linear(6, 20), nn.LayerNorm(20), *layers(0.5, 0.5, sizes=(20, 20, 3))]],
    ids=["input", "last", "after a norm"],
)
def test_replayed_steps_have_the_same_bits(thinned, build, monkeypatch):
    """A full batch and the last one of each epoch are recorded, and checked once."""
    found, computed = {}, []
    train_on = TrainingRun._train_on
    monkeypatch.setattr(
        TrainingRun, "_train_on", lambda *args: computed.append(1) or train_on(*args)
    )
    for replayed in (False, True):
        monkeypatch.setattr(recorded_steps, "REPLAYED", replayed)
        computed.clear()
        found[replayed] = run(build, thinned, optimizer=OPTIMISERS["momentum"])
        assert len(computed) == (4 if replayed else 15)
    assert all(np.array_equal(a, b) for a, b in zip(found[False][0], found[True][0], strict=True))
    assert found[False][1] == found[True][1]
