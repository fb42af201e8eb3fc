"""Evaluation is a state of the context that predicts, and training inside of a forward pass."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn.evaluating import evaluating, training

F = fd.functional
X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def network():
    """A model that is no chain of dense layers, so that its layers are called one by one."""
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 3))


class Calls(nn.Module):
    """Calls a function in the forward pass."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function, self.inside = function, nn.ModuleList(modules)

    def forward(self, x):
        self.function()
        for module in self.inside:
            x = module(x)
        return x


def modes(model):
    return [module.training for module in model.modules()]


# ---- modes of a context ----


def test_another_thread_trains_the_model_during_a_prediction():
    model, found = network(), []
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def train():
        found.extend(modes(model))
        F.mse_loss(model(X), np.zeros((6, 3))).backward()
        optimizer.step()

    def in_another_thread():
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
        assert not any(modes(model))

    fd.predict(Calls(in_another_thread, model), X)
    assert found == [True] * 5 and all(modes(model))
    assert model.draw == 1 and model[0].weight.grad is not None


def test_modes_set_inside_hold_until_the_end_of_the_prediction():
    found = []

    def forward():
        was = model.training
        model.eval()
        model.train(was)  # the usual way to put a mode back
        found.append(modes(model))
        model[2].train()
        model[1].training = True
        found.append(modes(model))

    model = network()
    model[3].eval()
    before = modes(model)
    outputs = fd.predict(Calls(forward, model), X)
    assert found[0] == [False] * 5 and found[1] == [False, False, True, True, False]
    assert modes(model) == before == [True, True, True, True, False]
    assert (outputs != fd.predict(model, X)).any()  # the dropout layer drew masks


def test_predictions_inside_of_predictions():
    model = network().train()
    expected = fd.predict(model, X)
    answers = []

    def forward():
        answers.append(fd.predict(model, X))
        answers.append(fd.predict(outer, X) if len(answers) == 1 else expected)
        with evaluating(outer), training(model[2]):
            assert modes(model) == [False, False, False, True, False]
        assert not any(modes(outer))

    outer = Calls(forward, model)
    answers.append(fd.predict(outer, X))
    assert all(np.array_equal(answer, expected) for answer in answers) and all(modes(outer))


def test_a_prediction_inside_of_a_training_step_changes_nothing():
    def forward():
        answers.append(fd.predict(model, X))
        answers.append(fd.mc_predict(model, X, 3, seed=1, progress=False).mean)
        assert fd.is_grad_enabled() and all(modes(model))

    model, answers = network(), []
    outer = Calls(lambda: None, model)
    expected = [outer(X).numpy() for _ in range(2)]
    outer.draw, outer.function = 0, forward
    found = [outer(X).numpy() for _ in range(2)]
    assert np.array_equal(found, expected) and (found[0] != found[1]).any()
    assert np.array_equal(answers[0], answers[2]) and np.array_equal(answers[1], answers[3])
    assert outer.draw == 2 and model.draw == 0


def test_modules_that_a_forward_pass_creates_are_evaluated():
    class Late(nn.Module):
        def forward(self, x):
            self.drop = nn.Dropout(0.5)
            modes.append(self.drop.training)
            return self.drop(x)

    modes = []
    model = Late()
    assert np.array_equal(fd.predict(model, X), X)
    assert modes == [False] and model.drop.training


def test_copies_made_during_a_prediction_have_the_mode_of_the_model(tmp_path):
    copies = []

    def forward():
        copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)])
        fd.save(model, tmp_path / "model.fastdrop")

    model = network()
    model[1].eval()
    expected = modes(model)
    fd.predict(Calls(forward, model), X)
    assert [modes(each) for each in copies] == [expected] * 3
    assert fd.load(tmp_path / "model.fastdrop").training


def test_modules_pickled_by_version_0_1_keep_their_mode():
    model = nn.Dropout(0.5)
    state = model.__dict__.copy()
    del state["_training"]
    loaded = nn.Dropout.__new__(nn.Dropout)
    loaded.__setstate__(state | {"training": False})
    assert loaded.training is False and "training" not in vars(loaded)
    assert loaded.train().training is True


def test_training_is_asked_for_before_init():
    class Model(nn.Module):
        def __init__(self):
            self.training  # noqa: B018

    with pytest.raises(AttributeError, match=r"must call super\(\).__init__\(\) before training"):
        Model()


def test_an_error_during_a_prediction_leaves_the_modes():
    def fail():
        raise KeyboardInterrupt

    model = Calls(fail, network())
    with pytest.raises(KeyboardInterrupt):
        fd.predict(model, X)
    assert all(modes(model)) and fd.is_grad_enabled() and fd.random.current() is None


# ---- processes and signals ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_during_predictions_of_other_threads_predicts_and_trains():
    model, stop = network(), threading.Event()

    def predict():
        while not stop.is_set():
            fd.predict(model, X)

    expected = fd.predict(model, X)
    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of a fork with threads
            for _ in range(10):
                child = os.fork()
                if child == 0:
                    signal.alarm(30)
                    same = np.array_equal(fd.predict(model, X), expected)
                    os._exit(not (same and all(modes(model))))
                statuses.append(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_fork_while_another_thread_imports_a_part_of_the_library():
    code = """
import os, signal, sys, threading, warnings
import numpy as np, fastdrop as fd
warnings.simplefilter("ignore")
begun = threading.Event()
thread = threading.Thread(target=lambda: (begun.set(), fd.predict))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    fd.predict(fd.models.mlp(4, [8], 2), np.ones((2, 4)))
    os._exit(0)
thread.join()
sys.exit(os.waitpid(child, 0)[1] != 0)
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_signal_handler_may_predict_with_the_model_that_is_predicting_or_training():
    model = network()
    expected = fd.predict(model, X)
    answers = []

    def handler(number, frame):
        answers.append(np.array_equal(fd.predict(model, X), expected))
        signal.setitimer(signal.ITIMER_REAL, 0.002)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        for n in range(400):
            if n % 2:
                assert np.array_equal(fd.predict(model, X), expected)
            else:
                F.mse_loss(model(X), np.zeros((6, 3))).backward()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(answers) and all(modes(model)) and model.draw == 200


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_an_interrupt_at_any_moment_leaves_nothing_behind():
    model, target = network(), np.zeros((6, 3))
    random = np.random.default_rng(0)

    def steps():
        fd.predict(model, X)
        with fd.no_grad(), fd.mask_state(draw=3), fd.random.own_run(4):
            model(X)
        fd.mc_predict(model, X, 3, progress=False)
        F.mse_loss(model(X), target).backward()

    def interrupt(number, frame):
        raise KeyboardInterrupt

    steps()
    interrupts = 0
    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # the test tools have callbacks of the collector, which must not be interrupted
    try:
        for _ in range(500):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3))
                try:
                    steps()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
            assert all(modes(model))
            assert fd.random.current() is None and not fd.random.is_busy()
            assert fd.is_grad_enabled() and not fd.random.batched_passes()
            assert fd.random.modes.run is None and not fd.random.modes.reads_passes
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    assert interrupts


# ---- training another model in a forward pass ----


def train_with_fit(model):
    fd.fit(model, (X, np.zeros((6, 3), np.float32)), epochs=2, progress=False)


def train_by_hand(model):
    with fd.enable_grad():
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        model.train()
        for _ in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(X), np.zeros((6, 3))).backward()
            optimizer.step()
        model.eval()


@pytest.mark.parametrize("train", [train_with_fit, train_by_hand])
@pytest.mark.parametrize("outside", ["training", "prediction"])
def test_a_forward_pass_trains_another_model(train, outside):
    inner = network()
    before, draws = inner[0].weight.numpy().copy(), []

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            first = self.drop(x)
            inner.draw = 0
            train(inner)
            draws.append(inner.draw)
            return first + self.drop(x)

    outer = Outer()
    if outside == "training":
        outer(X)
        assert outer.draw == 1
    else:
        assert np.array_equal(fd.predict(outer, X), X + X)
    assert draws == [2] and not inner.training and outer.training
    assert (inner[0].weight.numpy() != before).any()


def test_fit_inside_of_a_pass_ignores_what_is_fixed_for_the_pass():
    """Each step of the inner model has new masks, though the outer pass repeats a draw."""
    inner, states = network(), []

    def watch(epoch):
        states.append((fd.random.current(), dict(fd.random.modes.overrides)))

    def forward():
        data = (X, np.zeros((6, 3), np.float32))
        fd.fit(inner, data, epochs=2, progress=False, callbacks=watch)

    with fd.mask_state(draw=5, row0=100):
        Calls(forward)(X)
    assert states == [(None, {})] * 2 and inner.draw == 2


def test_fit_trains_a_part_of_a_model_that_predicts():
    model = network()
    before = model[0].weight.numpy().copy()
    fd.predict(Calls(lambda: train_with_fit(model), model), X)
    assert (model[0].weight.numpy() != before).any() and all(modes(model))


# ---- tools that set modes ----


def test_masks_are_plotted_and_statistics_renewed_without_writing_modes():
    seen, layer = [], nn.BatchNorm1d(4)
    model = nn.Sequential(layer, nn.Dropout(0.5), Calls(lambda: seen.append(modes(model))))

    def batches():
        yield X

    fd.recalibrate_batchnorm(model, batches())
    assert seen == [[False, True, False, False, False]] and all(modes(model))
    model.eval()
    model[1].train()
    fd.recalibrate_batchnorm(model, batches())
    assert modes(model) == [False, False, True, False, False]
