"""Steps of `fit` by replay: the same bits as the steps themselves, or no replay at all."""

import gc
import threading
import weakref
from fractions import Fraction

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, nn, optim
from fastdrop.autograd import recording
from fastdrop.nn import functional as F
from fastdrop.optim import lr_scheduler
from fastdrop.train import loop, recorded_steps
from helpers.fitted import COMPUTED, REAL, X, Y, network, relu_dropout, run, same
from helpers.training import bits


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.Adam,
        optim.AdamW,
        optim.SGD,
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda p: optim.RMSprop(p, momentum=0.5),
        optim.ASGD,
        lambda p: optim.Adam(p, clip_grad_norm=0.1, max_norm=0.5),
    ],
)
def test_optimisers(optimizer, monkeypatch):
    same(monkeypatch, COMPUTED, optimizer=optimizer)


def test_a_layer_that_computes_with_numpy_is_refused(monkeypatch):
    layer = {"p": 0.3, "per_sample": False, "mask_bias": True}
    same(monkeypatch, 15, model=lambda: network(nn.DropConnectLinear(12, 12, **layer)))


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.3, "max_norm": 1.0},
        {"drop_last": True, "computed": 2},
        {"shuffle": False},
        {"validation": 0.3, "early_stopping": 2, "epochs": 6},
        {"schedule": lambda o: lr_scheduler.CosineAnnealingLR(o, 15), "scheduler_every": "step"},
        {"schedule": lambda o: lr_scheduler.StepLR(o, 1, 0.5)},
        {"batch_size": 19, "computed": 2},
        {"batch_size": 1, "computed": 2},
        {"epochs": 0, "computed": 0},
    ],
)
def test_options(options, monkeypatch):
    same(monkeypatch, options.pop("computed", COMPUTED), **options)


@pytest.mark.parametrize(("outputs", "y"), [(2, REAL), (1, REAL[:, 0]), (3, np.eye(3)[Y])])
def test_real_targets(outputs, y, monkeypatch):
    same(monkeypatch, COMPUTED, model=lambda: relu_dropout(outputs), y=y)


@pytest.mark.parametrize(
    "options",
    [
        {"model": lambda: network(nn.PReLU())},
        {"model": lambda: network(nn.Dropout(fd.schedules.Linear(0.1, 0.5, 10)))},
        {"model": lambda: nn.Sequential(type("Own", (nn.Linear,), {})(6, 3))},
        {"loss": lambda output, target: F.cross_entropy(output, target)},
        {"mixup": 0.2},
    ],
)
def test_what_is_not_known_is_computed(options, monkeypatch):
    same(monkeypatch, 0, **options)


def test_layers_whose_forward_was_replaced_are_computed(monkeypatch):
    def model():
        made = relu_dropout()
        forward = made[0].forward
        made[0].forward = lambda x: forward(x) * float(np.random.default_rng(0).random())
        return made

    same(monkeypatch, 0, model=model)


def test_changes_between_epochs_are_seen(monkeypatch):
    def change(epoch):
        model = epoch.model
        if epoch.number == 1:
            model[0].weight.requires_grad = False
            model[2].p = 0.6
        elif epoch.number == 2:
            model[1] = nn.Tanh()
            model[3].weight.data = model[3].weight.data * 0.5
            epoch.optimizer.param_groups[0]["lr"] = 0.05

    # Recorded in the first epoch and again in the two after a change; a check before the first
    # replay of each recording, of which that of the few samples of the last batch comes late.
    same(monkeypatch, 3 * 2 + 3 + 1, callbacks=change, epochs=4)


def seed(epoch):
    if epoch.number == 2:
        fd.manual_seed(7)


def fraction(epoch):
    epoch.model[2].p = Fraction(1, epoch.number + 2)


def shared_axes(epoch):
    if epoch.number == 1:
        epoch.model[2].share = [0]
    else:
        epoch.model[2].share[0] = 1


def parametric(epoch):
    epoch.model[1] = nn.PReLU()


def own_rate(epoch):
    epoch.model[2].p = lambda draw: 0.3 if draw < 13 else 0.6


def own_forward(epoch):
    forward, calls = epoch.model[0].forward, iter(range(1, 100))
    if epoch.number == 1:
        epoch.model[0].forward = lambda x: forward(x) * (1.0 if next(calls) < 6 else 0.5)


# In the first epoch one size of batches (20 samples) is checked, the other one only recorded.
@pytest.mark.parametrize(
    ("change", "computed"),
    [
        (seed, 2 * COMPUTED),
        (fraction, 4 * 3),  # recorded again in each epoch: 20 samples, their check, 15 samples
        (shared_axes, 3 + 3 + 4),
        (parametric, 3 + 3 * 5),  # all steps are computed from the second epoch on
        (own_rate, 3 + 3 * 5),
        (own_forward, 3 + 3 * 5),
    ],
)
def test_steps_after_other_changes(change, computed, monkeypatch):
    same(monkeypatch, computed, epochs=4, callbacks=change)


def test_a_change_of_the_precision_of_products(monkeypatch):
    def change(epoch):
        fd.set_float32_matmul_precision("medium" if epoch.number == 2 else "highest")

    if fd.bf16_isa() is None:
        _core.set_bf16_isa("emulated")
    try:
        same(monkeypatch, COMPUTED + 3, epochs=3, callbacks=change)
        with fd.float32_matmul_precision("medium"):
            same(monkeypatch, COMPUTED)
            assert run(True, monkeypatch)[0] != bits_in_float32(monkeypatch)
    finally:
        _core.set_bf16_isa(None)


def bits_in_float32(monkeypatch):
    with fd.float32_matmul_precision("highest"):
        return run(True, monkeypatch)[0]


def test_an_option_that_is_set_before_a_check(monkeypatch):
    """The check of the only batch comes after momentum has been turned on."""

    def change(epoch):
        epoch.optimizer.param_groups[0]["momentum"] = 0.9

    for optimizer in (lambda p: optim.SGD(p, 0.1), optim.RMSprop):
        same(monkeypatch, 2 + 2, optimizer=optimizer, batch_size=95, epochs=5, callbacks=change)


class Noisy(optim.Optimizer):
    """Gradient descent with noise of its own generator, and a list in its state."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.01, "weight_decay": 0.0, "max_norm": None})
        self.rng = np.random.default_rng(0)

    def _update(self, p, g, state, group):
        state.setdefault("norms", []).append(float((g * g).sum()))
        p -= group["lr"] * (g + self.rng.standard_normal(p.shape).astype(np.float32))


class Shrinking(optim.SGD):
    """SGD that halves the weights in each seventh step."""

    steps = 0

    def step(self):
        super().step()
        self.steps += 1
        if self.steps % 7 == 0:
            for p in self.param_groups[0]["params"]:
                p.data *= 0.5


def of_two_parameters(params):
    return optim.SGD(list(params)[:2], 0.1)


@pytest.mark.parametrize("optimizer", [Noisy, Shrinking, of_two_parameters])
def test_optimisers_that_are_not_known(optimizer, monkeypatch):
    same(monkeypatch, 0, optimizer=optimizer, clip_norm=0.5)


def test_an_optimiser_whose_step_was_replaced(monkeypatch):
    def optimizer(params):
        params = list(params)
        made, shrinking = optim.SGD(params), Shrinking(params)
        made.step, made.zero_grad = shrinking.step, shrinking.zero_grad
        return made

    same(monkeypatch, 0, optimizer=optimizer)


def test_gradients_that_are_kept_do_not_change(monkeypatch):
    kept = {False: [], True: []}
    for replayed, gradients in kept.items():

        def keep(epoch, gradients=gradients):
            gradients += [p.grad for p in epoch.model.parameters()]

        run(replayed, monkeypatch, callbacks=keep)
    for expected, found in zip(kept[False], kept[True], strict=True):
        assert np.array_equal(expected.data, found.data)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (np.zeros((2, 2), np.float32), "must have shape"),
        (np.zeros((12, 6)), "must be float32"),
        (np.frombuffer(bytes(4 * 12 * 6), np.float32).reshape(12, 6), "must be writable"),
    ],
)
def test_wrong_states_of_the_optimiser_are_refused(entry, message, monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)

    def change(epoch):
        epoch.optimizer.state[epoch.model[0].weight]["exp_avg"] = entry

    with pytest.raises(ValueError if "float32" not in message else TypeError, match=message):
        fd.fit(relu_dropout(), (X, Y), batch_size=20, epochs=2, callbacks=change, progress=False)


def test_weights_that_became_read_only_are_refused(monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    model = relu_dropout()
    with pytest.raises(ValueError, match="params must be writable"):
        fd.fit(
            *(model, (X, Y)),
            callbacks=lambda epoch: model[0].weight.data.setflags(write=False),
            progress=False,
        )


def test_a_fixed_draw_does_not_advance(monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    model = network(nn.ReLU())
    with fd.mask_state(draw=5):
        fd.fit(model, (X, Y), batch_size=20, epochs=2, progress=False)
    assert model.draw == 0


def test_nothing_of_a_run_is_left(monkeypatch):
    """Without garbage collection too: the recordings hold no cycle of references."""
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    runs = []

    made = loop.TrainingRun.__init__

    def make(self, options):
        runs.append(weakref.ref(self))
        made(self, options)

    monkeypatch.setattr(loop.TrainingRun, "__init__", make)
    gc.disable()
    try:
        fd.fit(relu_dropout(), (X, Y), batch_size=20, epochs=2, progress=False)
        assert [run() for run in runs] == [None]
    finally:
        gc.enable()


def test_an_interrupted_check_leaves_the_state_as_it_was(monkeypatch):
    """The check makes a step twice: an interruption in it has made none."""
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    update, calls = optim.Adam._update, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4 + 4 + 2:  # the recorded step, the replay of the check, in its step
            raise KeyboardInterrupt
        update(*args)

    def train(model, epochs):
        fd.fit(model, (X, Y), batch_size=95, epochs=epochs, progress=False)

    models = []
    for _ in range(2):
        fd.manual_seed(1)
        models.append(relu_dropout())
    train(models[0], 1)
    monkeypatch.setattr(optim.Adam, "_update", interrupted)
    fd.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        train(models[1], 3)
    assert bits(models[0]) == bits(models[1]) and models[1].draw == 1


def test_a_recording_that_misses_something_is_refused(monkeypatch):
    class Doubled(nn.ReLU):
        def forward(self, x):
            y = super().forward(x)
            return fd.tensor(y._array * 2.0) + y  # NumPy, which a recording does not notice

    monkeypatch.setattr(recorded_steps, "FIXED_IN_STEPS", recorded_steps.FIXED_IN_STEPS | {Doubled})
    # The first step, the one of the check, and all the others.
    same(monkeypatch, 15 + 1, model=lambda: network(Doubled()))


def test_a_loss_that_is_not_finite_ends_the_run(monkeypatch):
    weights = []
    for replayed in (False, True):
        monkeypatch.setattr(recorded_steps, "REPLAYED", replayed)
        fd.manual_seed(1)
        model = relu_dropout(2)
        with pytest.raises(FloatingPointError, match="in epoch 1, step") as caught:
            fd.fit(model, (X, REAL), optimizer=optim.SGD(model.parameters(), 1e3), batch_size=5,
                   progress=False)  # fmt: skip
        weights.append((bits(model), str(caught.value)))
    assert weights[0] == weights[1]


def test_labels_out_of_range_are_refused(monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    y = np.where(np.arange(95) == 70, 3, Y)  # a class that the network does not have
    with pytest.raises(ValueError, match="from 0 to 2"):
        fd.fit(relu_dropout(), (X, y), batch_size=5, shuffle=False, progress=False)


def test_a_run_is_continued_in_the_middle_of_an_epoch(monkeypatch, tmp_path):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)

    def train(epochs, **options):
        fd.manual_seed(1)
        model = relu_dropout()
        fd.fit(model, (X, Y), epochs=epochs, batch_size=10, progress=False, **options)
        return bits(model)

    whole = train(4)
    train(2, checkpoint=tmp_path / "run", checkpoint_every=7)
    assert train(4, checkpoint=tmp_path / "run", resume=True) == whole


def test_threads_train_at_the_same_time(monkeypatch):
    monkeypatch.setattr(recorded_steps, "REPLAYED", True)
    found = {}

    def train(seed):
        with fd.random.own_run(seed):
            model = relu_dropout()
            fd.fit(model, (X, Y), epochs=5, batch_size=10, progress=False)
            found.setdefault(seed, []).append(bits(model))

    for seed in (0, 1, 2, 3):
        train(seed)
    threads = [threading.Thread(target=train, args=(seed,)) for seed in (0, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(alone == beside for alone, beside in found.values())


def test_a_fork_ends_the_recording_of_another_thread():
    """The child has no such thread: without an end it would hold the lock for ever."""
    recorded, forked = threading.Event(), threading.Event()

    def hold():
        def wait():
            recorded.set()
            forked.wait()

        recording.record(wait)

    thread = threading.Thread(target=hold)
    thread.start()
    recorded.wait()
    assert recording.record(int)[1] is None
    lock = recording._lock
    recording._after_fork()
    child = recording.record(int)[1]
    recording._lock = lock  # the other thread is there, after all
    forked.set()
    thread.join()
    assert child is not None and child.calls == []
    assert recording.record(int)[1] is not None
