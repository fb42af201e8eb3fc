"""`fastdrop.mc_predict`: its figures, its reproducibility, its arguments."""

import importlib.util
import threading
import tracemalloc

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers import twin
from helpers.monte_carlo import X, classifier


@pytest.fixture(autouse=True)
def thinned_networks_of_any_size(monkeypatch):
    monkeypatch.setattr("fastdrop.uncertainty.monte_carlo.THINNED_FROM", 0)


def softmax_of_passes(model, samples, seed, shared=False):
    """The probabilities (T, N, C) of each pass, from masks of the NumPy reference."""
    w1, b1, _, _, w2, b2 = (p.data.astype(np.float64) for p in model.parameters())
    found = []
    for t in range(samples):
        rows = np.full(len(X), 2**32 - 1) if shared else None
        kept = twin.dropout(
            np.ones((len(X), 40), np.float32), 0.5, rows=rows, seed=seed, draw=t, domain=16
        ).astype(np.float64)
        h = np.maximum(X @ w1.T + b1, 0) * kept / np.sqrt(1 + 1e-5)
        z = np.exp(h @ w2.T + b2)
        found.append(z / z.sum(1, keepdims=True))
    return np.array(found)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_figures_against_passes_by_numpy(masks):
    model = classifier()
    exact = softmax_of_passes(model, 12, 5, masks == "shared")
    mc = fd.mc_predict(model, X, samples=12, seed=5, masks=masks)
    mean = exact.mean(0)
    entropy = -(mean * np.log(mean)).sum(1)
    expected = -(exact * np.log(exact)).sum(2).mean(0)
    votes = np.array([np.bincount(v, minlength=3) for v in exact.argmax(2).T])
    for ours, value in (
        (mc.mean, mean),
        (mc.variance, exact.var(0)),
        (mc.std, exact.std(0)),
        (mc.entropy, entropy),
        (mc.expected_entropy, expected),
        (mc.mutual_information, np.maximum(entropy - expected, 0)),
        (mc.variation_ratio, 1 - votes.max(1) / 12),
    ):
        assert ours.shape == value.shape and np.abs(ours - value).max() < 1e-5


def test_the_result_is_a_function_of_model_data_and_seed():
    model = classifier()
    whole = fd.mc_predict(model, X, samples=7, seed=1)
    before = fd.random.get_state()
    for options in ({"batch_size": 5}, {"batch_size": 1}):
        again = fd.mc_predict(model, X, samples=7, seed=1, **options)
        assert np.array_equal(again.mean, whole.mean) and np.array_equal(
            again.entropy, whole.entropy
        )
    assert not np.array_equal(fd.mc_predict(model, X, samples=7, seed=2).mean, whole.mean)
    assert model.training and model.draw == 0 and fd.random.get_state() == before
    assert not model[3].num_batches_tracked


def test_regression_and_probabilities():
    model = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 1)).eval()
    mc = fd.mc_predict(model, X, samples=5)
    assert mc.mean.shape == (23, 1) and mc.std.max() > 0 and not model.training
    with pytest.raises(AttributeError, match="classification"):
        mc.entropy  # noqa: B018
    scores = classifier()
    shares = nn.Sequential(*scores, nn.Softmax(1))
    assert np.abs(fd.mc_predict(scores, X, 5).mean - fd.mc_predict(shares, X, 5).mean).max() < 1e-6
    assert np.abs(fd.mc_predict(scores, X, 5, output="raw").mean.sum(1) - 1).max() > 1e-3
    assert fd.mc_predict(scores, X[:0], 5).mean.shape == (0, 3)


def test_functional_dropout_in_a_forward_function():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(8, 3), nn.Dropout(0.1)

        def forward(self, x):
            return self.drop(self.fc(fd.functional.dropout(x, 0.5, training=self.training)))

    assert fd.mc_predict(Model(), X, samples=4).std.min() > 0


def test_what_is_averaged_depends_on_all_rows():
    model = nn.Sequential(nn.Dropout(0.0), nn.Identity())
    shares = np.random.default_rng(1).dirichlet(np.ones(8), 15).astype(np.float32)
    for x in (np.concatenate([shares, X]), np.concatenate([X, shares]), shares):
        whole = fd.mc_predict(model, x, 3)
        assert (
            np.abs(whole.mean - (x if x is shares else fd.functional.softmax(x, 1).data)).max()
            < 1e-6
        )
        for batch_size in (15, 4, 1):
            again = fd.mc_predict(model, x, 3, batch_size=batch_size)
            assert np.array_equal(again.mean, whole.mean) and np.array_equal(
                again.entropy, whole.entropy
            )


def test_prediction_inside_the_forward_of_another_module():
    class Careful(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.first, self.model, self.last = nn.Dropout(0.5), model, nn.Dropout(0.5)

        def forward(self, x):
            before = self.first(x).data
            mc = fd.mc_predict(self.model, X, 4, seed=3)
            return before, mc, self.last(x).data

    model, ones = classifier(), np.ones((23, 8), np.float32)
    outside = fd.mc_predict(model, X, 4, seed=3)
    before, inside, after = Careful(model)(ones)
    assert (
        np.array_equal(inside.mean, outside.mean)
        and np.array_equal(inside.variance, outside.variance)
        and outside.std.min() > 0
    )
    assert np.array_equal(before, twin.dropout(ones, 0.5)) and np.array_equal(
        after, twin.dropout(ones, 0.5, site=2)
    )


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda m: fd.mc_predict(nn.Linear(8, 3), X), ValueError, "model"),
        (lambda m: fd.mc_predict(3, X), TypeError, "model"),
        (lambda m: fd.mc_predict(m, X, 0), ValueError, "samples"),
        (lambda m: fd.mc_predict(m, X, seed=-1), ValueError, "seed"),
        (lambda m: fd.mc_predict(m, X, masks="all"), ValueError, "masks"),
        (lambda m: fd.mc_predict(m, X + 1j), TypeError, "x"),
        (lambda m: fd.mc_predict(m, X, batch_size=0), ValueError, "batch_size"),
        (lambda m: fd.mc_predict(m, X, output="logits"), ValueError, "output"),
        (
            lambda m: fd.mc_predict(nn.Sequential(m, nn.Linear(3, 1)), X, output="softmax"),
            ValueError,
            "softmax",
        ),
        (lambda m: fd.mc_predict(m, X[:, :5]), ValueError, "input"),
    ],
)
def test_errors_leave_everything_as_it_was(call, error, word):
    model = classifier()
    with pytest.raises(error, match=word):
        call(model)
    assert all(m.training for m in model.modules())


def test_parts_of_a_larger_array():
    model = classifier()
    whole = fd.mc_predict(model, X, 6, seed=9)
    parts = [fd.mc_predict(model, X[i : i + 5], 6, seed=9, row0=i) for i in range(0, 23, 5)]
    assert np.array_equal(np.concatenate([part.mean for part in parts]), whole.mean)
    assert np.array_equal(
        np.concatenate([part.mutual_information for part in parts]), whole.mutual_information
    )


def test_progress_is_shown_for_long_work_on_a_terminal(monkeypatch, capsys):
    from fastdrop._utils import progress

    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    model = classifier()
    fd.mc_predict(model, X, 6)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    fd.mc_predict(model, X, 6, progress=False)
    assert capsys.readouterr().err == ""
    fd.mc_predict(model, X, 6, batch_size=12)
    assert (
        "/138" if importlib.util.find_spec("tqdm") else "100 %"
    ) in capsys.readouterr().err  # 23 samples, 6 passes


def test_a_model_in_training_mode_predicts_in_several_threads():
    """Each thread predicts in evaluation mode, and the model stays in training mode."""
    model, begun, go_on, second = classifier(), threading.Event(), threading.Event(), []
    expected = fd.predict(model, X)

    class Calls(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            self.function()
            return x

    late = nn.Sequential(Calls(lambda: (begun.set(), go_on.wait(10))), model)
    thread = threading.Thread(target=lambda: second.append(fd.predict(late, X)))
    early = nn.Sequential(Calls(lambda: (thread.start(), begun.wait(10))), model)
    assert (
        np.array_equal(fd.predict(early, X), expected)
        and early.training
        and late.training
        and model.training
    )
    assert (
        np.array_equal(fd.mc_predict(model, X, 4).mean, fd.mc_predict(model, X, 4).mean)
        and model.training
    )
    go_on.set()
    thread.join()
    assert np.array_equal(second[0], expected) and all(m.training for m in late.modules())


@pytest.mark.parametrize(
    "use",
    [lambda h: h.sum(), lambda h: fd.tensor(np.ones((2, 3))), lambda h: (h, h)],
    ids=["sum", "rows", "tuple"],
)
@pytest.mark.parametrize("batch_size", [1, 4096])
def test_a_model_must_return_a_row_for_each_sample(use, batch_size):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return use(self.drop(x))

    with pytest.raises((TypeError, ValueError), match="model must return one"):
        fd.mc_predict(Model(), X, 3, batch_size=batch_size)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_the_batch_size_bounds_the_memory(masks):
    def peak(samples):
        tracemalloc.start()
        fd.mc_predict(model, X[:4], samples, masks=masks, batch_size=50)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    model = classifier()
    peak(100)
    assert (
        peak(5000) < peak(100) + 200_000
    )  # the hidden units of all passes at once would take 3.2 MB
