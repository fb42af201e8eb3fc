"""Forward passes: draws, sites and row numbers; threads and errors."""

import threading

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from helpers import twin
from helpers.core_calls import Calls

RNG = np.random.default_rng(0)


X = RNG.standard_normal((9, 20)).astype(np.float32)


def test_mask_keys_do_not_depend_on_fusion():
    class Model(nn.Module):
        def __init__(self, read):
            super().__init__()
            self.fc, self.drop, self.last, self.read = (
                nn.Linear(20, 30),
                nn.Dropout(0.4),
                nn.Dropout(0.2),
                read,
            )

        def forward(self, x):
            h = F.relu(self.fc(x))
            if self.read:
                h.data  # noqa: B018 (no product is left to fuse with)
            return self.last(F.dropout(self.drop(h), 0.1) + 1)

    fd.manual_seed(3)
    one = Model(False)
    two = Model(True)
    two.load_state_dict(one.state_dict())
    for _ in range(2):
        with fd.mask_state(instance=0):
            a, b = one(X), two(X)
        assert np.array_equal(a.data == 0, b.data == 0) and np.allclose(a.data, b.data, rtol=1e-6)


def test_exception_closes_the_pass_and_keeps_the_draw():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.5)

        def forward(self, x):
            h = self.drop(F.relu(self.fc(x)))
            if x.shape[0] == 3:
                raise ZeroDivisionError
            return h

    model = Broken()
    first = model(X).data.copy()
    with pytest.raises(ZeroDivisionError):
        model(X[:3])
    assert model.draw == 1 and fd.random.current() is None
    model.draw = 0
    assert np.array_equal(model(X).data, first)


def test_functional_calls_outside_a_module_are_passes_of_their_own():
    masks = [F.dropout(np.ones((5, 40)), 0.5).data != 0 for _ in range(2)]
    for draw, mask in enumerate(masks):
        assert np.array_equal(mask, K.keep_mask(5, 40, 0.5, draw=draw, instance=2**24 - 1))


def test_row_numbers_must_match_the_batch():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    for state in ({"rows": [1, 2]}, {"rows": range(10)}, {"row0": 2**32 - 8}):
        with fd.mask_state(**state):
            for call in (lambda: model(X), lambda: F.dropout(X, 0.5)):
                with pytest.raises(ValueError, match="input"):
                    call()
    with fd.mask_state(row0=2**32 - 9):
        assert model(X).shape == (9, 30)


def test_each_thread_has_its_own_pass():
    ready, problems = threading.Barrier(2, timeout=20), []

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.5)

        def forward(self, x):
            h = self.fc(x)
            ready.wait()  # both are inside their forward now
            return self.drop(F.relu(h))

    def run(model, kept):
        try:
            w, b = (q.data for q in model.parameters())
            with fd.random.own_run(0):
                y = model(X).data
            assert np.abs(y - np.maximum(X @ w.T + b, 0) * kept).max() < 1e-5
        except BaseException as error:
            problems.append(error)

    kept = twin.dropout(np.ones((9, 30), np.float32), 0.5)
    threads = [threading.Thread(target=run, args=(Slow(), kept)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not problems


def test_inner_module_belongs_to_the_pass_of_the_outermost_module(monkeypatch):
    inner = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    model = nn.Sequential(nn.Dropout(0.0), inner)
    inner.draw = 5
    calls = Calls(monkeypatch)
    out = model(X)
    assert calls.taken() == ["gemm"] and model.draw == 1 and inner.draw == 5
    w, b = (q.data for q in inner.parameters())
    kept = twin.dropout(
        np.ones((9, 30), np.float32), 0.5, site=1, draw=0
    )  # the first dropout has site 0, though it draws nothing
    assert np.abs(out.data - np.maximum(X @ w.T + b, 0) * kept).max() < 1e-5
    out = inner(X)
    assert inner.draw == 6
    assert (
        np.abs(
            out.data
            - np.maximum(X @ w.T + b, 0)
            * twin.dropout(np.ones((9, 30), np.float32), 0.5, site=0, draw=5, instance=1)
        ).max()
        < 1e-5
    )
