"""`fd.record`: what cannot be replayed runs as before; errors, blocks and threads."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn import functional as F
from fastdrop.train import record as record_function
from helpers.recorded import USUAL, Trained, batches, of, refused, run
from helpers.training import bits

# ---- what cannot be recorded ----


def reading(self, x, y):
    return Trained.step(self, x, y).item()


def deciding(self, x, y):
    loss = Trained.step(self, x, y)
    return loss if loss > 1.0 else loss * 2.0


def accuracy(self, x, y):
    self.optimizer.zero_grad()
    output = self.model(x)
    loss = F.cross_entropy(output, y)
    loss.backward()
    self.optimizer.step()
    return loss, float((output.argmax(1) == y).mean())


def number(self, x, y):
    Trained.step(self, x, y)
    return 1.0


def with_graph(self, x, y):
    Trained.step(self, x, y)
    return self.model(x)


def own_update(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    for p in self.model.parameters():
        p.data -= 0.1 * p.grad.data
    return loss


def printing(self, x, y):
    loss = Trained.step(self, x, y)
    assert f"{loss:.3f}"
    return loss


def fixed_masks(self, x, y):
    with fd.mask_state(draw=3):
        return Trained.step(self, x, y)


def scaled(self, x, y):
    return Trained.step(self, np.log1p(abs(x)), y)


def counting(self, x, y):
    self.model.scale = getattr(self.model, "scale", 0) + 1
    return Trained.step(self, x, y)


def of_the_input(self, x, y):
    self.optimizer.zero_grad()
    x = fd.tensor(x, requires_grad=True)
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    self.optimizer.step()
    return loss


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (reading, "item()"),
        (deciding, "as a truth value"),
        (accuracy, "float()"),
        (number, "returns 1.0 (float)"),
        (with_graph, "a tensor with a graph"),
        (own_update, "Tensor.data"),
        (printing, "as text"),
        (fixed_masks, "mask_state"),
        (scaled, "bits of the step"),
        (counting, "changes options of layers"),
        (of_the_input, "no parameter of its modules"),
    ],
)
def test_steps_that_are_refused(step, message):
    refused(message, make=of(step))


def model_with(layer):
    return lambda: nn.Sequential(nn.Linear(6, 12), layer(), nn.Linear(12, 3))


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return x + self.rng.standard_normal(x.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.Dropout(fd.schedules.Linear(0.1, 0.5, 10)), "Dropout has a schedule"),
        (
            lambda: nn.Residual(nn.Linear(12, 12), p=0.3),
            "DropPath computes a branch for the kept samples",
        ),
        (Noisy, "bits of the step"),
        (lambda: nn.DropConnectLinear(12, 12, p=0.3, per_sample=False, mask_bias=True), "NumPy"),
    ],
)
def test_layers_that_are_refused(layer, message):
    refused(message, make=lambda: Trained(model_with(layer)))


class Sign(optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 0.01, "weight_decay": 0.0, "max_norm": None})

    def _update(self, p, g, state, group):
        p -= group["lr"] * np.sign(g)


def test_optimisers_of_ones_own_are_refused():
    refused("Sign is no optimiser of fastdrop.optim", make=lambda: Trained(optimizer=Sign))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (np.array(["a"]), "holds no numbers"),
        (fd.tensor([1.0], requires_grad=True), "requires a gradient"),
        (object(), "must be an array"),
    ],
)
def test_arguments_that_are_refused(argument, message):
    step = fd.record(lambda argument: None)
    assert step(argument) is None and message in step.refused


def test_only_functions_can_be_recorded():
    with pytest.raises(TypeError, match="step must be a function, got 3"):
        fd.record(3)


def test_the_name_and_the_text_of_the_step():
    @fd.record
    def step(x):
        """About it."""

    assert (
        step.__name__ == "step"
        and step.__doc__ == "About it."
        and isinstance(step, fd.train.RecordedStep)
    )


def test_what_changes_in_each_call_is_given_up():
    def between(i, trained):
        trained.model[2].p = 0.01 * (i + 1)

    expected, _ = run(False, data=batches(30), between=between)
    found, step = run(True, data=batches(30), between=between)
    assert found == expected and "changes from call to call" in step.refused


def test_many_kinds_of_arguments_run_as_before():
    data = [batches(1, rows=rows)[0] for rows in [*range(2, 20), *range(2, 20)]]
    expected, _ = run(False, data=data)
    found, step = run(True, data=data)
    assert found == expected and step.refused is None
    assert f"Recordings: {record_module().MOST}" in step.explain()


def record_module():
    return sys.modules["fastdrop.train.record"]


# ---- errors, blocks, threads ----


def test_a_step_inside_of_blocks_runs_as_before():
    def between(i, trained):
        trained.block = fd.mask_state(row0=4) if i == 5 else fd.mask_state()

    def step(self, x, y):
        return Trained.step(self, x, y)

    def in_block(recorded):
        fd.manual_seed(1)
        trained = Trained()
        made = fd.record(trained.step) if recorded else trained.step
        for i, batch in enumerate(batches()):
            if i == 5:
                with fd.mask_state(row0=4):
                    made(*batch)
            else:
                made(*batch)
        return bits(trained.model), made

    expected, found = in_block(False), in_block(True)
    assert expected[0] == found[0] and found[1].replays == USUAL - 1


def test_an_error_in_a_replay_is_that_of_the_step():
    wrong = batches(1)[0][1].copy()
    wrong[3] = 5

    for when in (2, 5):  # in the check, and in a replay
        found = []
        for recorded in (False, True):
            fd.manual_seed(1)
            trained = Trained()
            step = fd.record(trained.step) if recorded else trained.step
            for i, (x, y) in enumerate(batches()):
                if i == when:
                    with pytest.raises(ValueError, match="class numbers from 0 to 2, got 0 to 5"):
                        step(x, wrong)
                step(x, y)
            found.append((bits(trained.model), trained.model.draw))
        assert found[0] == found[1]


def test_the_draws_end_as_in_the_step():
    fd.manual_seed(1)
    trained = Trained()
    step = fd.record(trained.step)
    for batch in batches(5):
        step(*batch)
    assert step.replays == 2
    trained.model.draw = 2**32 - 1
    step(*batches(1)[0])
    with pytest.raises(RuntimeError, match="draws must stay below"):
        step(*batches(1)[0])


def test_a_recorded_step_inside_of_another_one():
    def nested(trained):
        inner = fd.record(trained.step)
        return inner, lambda x, y: inner(x, y)

    results = []
    for outer in (False, True):
        fd.manual_seed(1)
        trained = Trained()
        inner, step = nested(trained)
        step = fd.record(step) if outer else step
        for batch in batches():
            step(*batch)
        results.append(bits(trained.model))
    assert results[0] == results[1] and step.replays == USUAL and inner.replays == 0


def test_threads():
    found = {}

    def train(number):
        with fd.random.own_run(number):
            trained = Trained()
            step = fd.record(trained.step)
            for batch in batches(40):
                step(*batch)
            found.setdefault(number, []).append(bits(trained.model))

    for number in range(3):
        train(number)
    threads = [threading.Thread(target=train, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(alone == beside for alone, beside in found.values())


def test_nothing_is_left_of_a_step():
    trained = Trained()
    step = fd.record(trained.step)
    for batch in batches():
        step(*batch)
    model = weakref.ref(trained.model)
    gc.collect()
    gc.disable()
    try:
        del step, trained
        assert model() is None
    finally:
        gc.enable()


def test_record_is_the_function_of_both_places():
    assert fd.record is record_function is fd.train.record
