"""`fd.record`: a replay gives the bits of the step, whatever changes between two calls."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.autograd import recording
from fastdrop.nn import functional as F
from fastdrop.optim import lr_scheduler
from helpers.recorded import CALLS, USUAL, Trained, batches, network, of, run, same
from helpers.training import bits

# ---- what is replayed ----


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD,
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        optim.Adam,
        optim.AdamW,
        optim.ASGD,
        lambda p: optim.RMSprop(p, momentum=0.5),
        lambda p: optim.Adam(p, clip_grad_norm=0.1, max_norm=0.5),
    ],
)
def test_optimisers(optimizer):
    same(USUAL, make=lambda: Trained(optimizer=optimizer))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("labels", [np.int64, np.int32, np.uint8])
def test_types_of_arrays(dtype, labels):
    same(USUAL, data=batches(dtype=dtype, labels=labels))


def test_tensors_as_arguments():
    data = [(fd.Tensor(x), fd.tensor(y)) for x, y in batches()]
    same(USUAL, data=data)


def test_shapes_have_recordings_of_their_own():
    small, large = batches(rows=5), batches()
    data = [batch for pair in zip(small, large) for batch in pair]
    # Gradients are missing in the first call only.
    step = same(2 * CALLS - 5, data=data)
    assert "Recordings: 2" in step.explain()


def test_results_are_tensors_of_their_own():
    fd.manual_seed(1)
    trained = Trained()
    step = fd.record(trained.step)
    losses = [step(*batch) for batch in batches()]
    first = [loss.item() for loss in losses]
    step(*batches(seed=5)[0])
    assert [loss.item() for loss in losses] == first and len(set(first)) == CALLS


def several(self, x, y):
    self.optimizer.zero_grad()
    output = self.model(x)
    loss = F.cross_entropy(output, y)
    loss.backward()
    self.optimizer.step()
    return loss, {"output": [output]}, None


def test_structures_of_results():
    fd.manual_seed(1)
    trained = of(several)()
    step = fd.record(trained.step)
    for batch in batches():
        loss, found, nothing = step(*batch)
        assert abs(F.cross_entropy(found["output"][0], batch[1]).item() - loss.item()) < 1e-6
        assert nothing is None
    assert step.replays == USUAL


def zero_at_the_end(self, x, y):
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    self.optimizer.step()
    self.optimizer.zero_grad()
    return loss


def zeros_in_place(self, x, y):
    self.optimizer.zero_grad(set_to_none=False)
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    self.optimizer.step()
    return loss


def clipped(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(self.model, 0.1)
    nn.utils.clip_grad_value_(self.model.parameters(), 0.01)
    self.optimizer.step()
    nn.utils.max_norm_(self.model, 0.7)
    return loss


def update_of_the_last_gradients(self, x, y):
    self.optimizer.step()
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    return loss


def two_passes(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x) + self.model(x), y)
    loss.backward()
    self.optimizer.step()
    return loss


def functional_dropout(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(F.dropout(x, 0.2)) + F.dropout(self.model(x), 0.1), y)
    loss.backward()
    self.optimizer.step()
    return loss


def two_halves(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x[:6]), y[:6])
    loss.backward()
    F.cross_entropy(self.model(x[6:]), y[6:]).backward()
    self.optimizer.step()
    return loss


@pytest.mark.parametrize(
    ("step", "replays"),
    [
        (zero_at_the_end, CALLS - 2),
        (zeros_in_place, USUAL),
        (clipped, USUAL),
        (update_of_the_last_gradients, USUAL),
        (two_passes, USUAL),
        (functional_dropout, USUAL),
        (two_halves, USUAL),
    ],
)
def test_steps(step, replays):
    same(replays, make=of(step))


def test_gradients_that_are_accumulated_over_calls():
    def accumulate(self, x, y):
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        return loss

    def between(i, trained):
        if i % 3 == 0:
            trained.optimizer.step()
            trained.optimizer.zero_grad()

    # Two kinds of calls: without gradients, and with some. The first recording of the former is
    # not kept, since the next call has gradients.
    same(CALLS - 5, make=of(accumulate), between=between)


def test_schedulers_inside_and_outside():
    def with_scheduler(self, x, y):
        loss = Trained.step(self, x, y)
        self.scheduler.step()
        return loss

    class Scheduled(Trained):
        def __init__(self):
            super().__init__()
            self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, 20)

    same(USUAL, make=Scheduled, between=lambda i, trained: trained.scheduler.step())
    inside = type("Inside", (Scheduled,), {"step": with_scheduler})
    same(USUAL, make=inside)
    rates = []
    for recorded in (False, True):
        fd.manual_seed(1)
        trained = inside()
        step = fd.record(trained.step) if recorded else trained.step
        for batch in batches():
            step(*batch)
        rates.append((trained.optimizer.param_groups[0]["lr"], trained.scheduler.last_epoch))
    assert rates[0] == rates[1] and rates[0][1] == CALLS
    assert trained.scheduler.optimizer is trained.optimizer


class Own(nn.Module):
    """A module of the user, whose forward has Python that does not depend on the data."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)])
        self.scale, self.drop = 0.5, nn.Dropout(0.2)

    def forward(self, x):
        for layer in self.layers[:2]:
            x = F.relu(layer(x)) if self.scale else layer(x)
        return self.layers[2](self.drop(x))


def test_models_of_ones_own():
    same(USUAL, make=lambda: Trained(Own))


def test_two_models_and_two_optimisers():
    class Two(Trained):
        def __init__(self):
            super().__init__()
            self.other = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
            self.second = optim.Adam(self.other.parameters())

        def step(self, x, y):
            self.optimizer.zero_grad()
            self.second.zero_grad()
            loss = F.cross_entropy(self.other(self.model(x)), y)
            loss.backward()
            self.optimizer.step()
            self.second.step()
            return loss

    same(USUAL, make=Two)


def test_a_teacher_that_is_not_trained():
    class Distilled(Trained):
        def __init__(self):
            super().__init__()
            self.teacher = network().eval()

        def step(self, x, y):
            with fd.no_grad():
                target = self.teacher(x)
            self.optimizer.zero_grad()
            loss = F.mse_loss(self.model(x), target)
            loss.backward()
            self.optimizer.step()
            return loss

    def between(i, trained):
        if i > 5:
            for p in trained.teacher.parameters():
                p._to_write("a test")[...] *= np.float32(0.9)

    same(USUAL, make=Distilled, between=between)


def test_arrays_that_a_function_of_the_step_changes():
    """Running statistics that belong to no module are moved once in each call."""

    class WithStatistics(Trained):
        def __init__(self):
            super().__init__()
            self.mean, self.variance = fd.tensor(np.zeros(3)), fd.tensor(np.ones(3))

        def step(self, x, y):
            self.optimizer.zero_grad()
            output = F.batch_norm(self.model(x), self.mean, self.variance, training=True)
            loss = F.cross_entropy(output, y)
            loss.backward()
            self.optimizer.step()
            return loss

    found = []
    for recorded in (False, True):
        fd.manual_seed(1)
        trained = WithStatistics()
        step = fd.record(trained.step) if recorded else trained.step
        for batch in batches():
            step(*batch)
        found.append((bits(trained.model), trained.mean.tolist(), trained.variance.tolist()))
    assert found[0] == found[1] and step.replays == USUAL


def test_labels_that_are_left_out():
    data = batches()
    for i in (0, 4, 7):
        data[i][1][: i + 1] = -100
    same(USUAL, data=data)


# ---- changes between calls ----


def rate(i, trained):
    if i == 5:
        trained.model[2].p = 0.6


def mode(i, trained):
    trained.model.train(i != 5)


def frozen(i, trained):
    if i == 5:
        trained.model[0].weight.requires_grad = False
        trained.model[0].weight.grad = None


def other_layer(i, trained):
    if i == 5:
        trained.model[1] = nn.Sigmoid()


def other_array(i, trained):
    if i == 5:
        trained.model[3].weight.data = np.full((12, 12), 0.1, np.float32)


def seed(i, trained):
    if i == 5:
        fd.manual_seed(3)


def instance(i, trained):
    if i == 5:
        fd.random.set_instances({trained.model: 7})


def options(i, trained):
    if i == 5:
        trained.optimizer.param_groups[0].update(lr=0.03, momentum=0.5, weight_decay=0.1)


def draw(i, trained):
    if i == 5:
        trained.model.draw = 100


def new_state(i, trained):
    if i == 5:
        trained.optimizer.load_state_dict(trained.optimizer.state_dict())


def no_state(i, trained):
    if i == 5:
        trained.optimizer.state.clear()


def no_gradients(i, trained):
    if i == 5:
        trained.optimizer.zero_grad()


def evaluated(i, trained):
    trained.model.eval()
    fd.predict(trained.model, np.ones((3, 6)))
    trained.model.train()


def weights(i, trained):
    trained.model.load_state_dict({k: v * 0.9 for k, v in trained.model.state_dict().items()})


# How many replays there are: a change in call 5 costs two (it is recorded, and checked).
@pytest.mark.parametrize(
    ("between", "replays"),
    [
        (rate, USUAL - 2),
        (mode, USUAL - 3),  # and again after it
        (frozen, USUAL - 2),
        (other_layer, USUAL - 2),
        (other_array, USUAL - 2),
        (seed, USUAL - 2),
        (instance, USUAL - 2),
        (options, USUAL),
        (draw, USUAL),
        (new_state, USUAL - 2),
        (no_state, USUAL - 2),
        (no_gradients, USUAL - 1),  # the recording of the first call is checked
        (evaluated, USUAL),
        (weights, USUAL),
    ],
)
def test_changes_between_calls(between, replays):
    same(replays, between=between)


def test_a_new_group_of_parameters():
    class Grown(Trained):
        def __init__(self):
            super().__init__(optimizer=lambda p: optim.SGD(list(p)[:2], 0.1))

    def between(i, trained):
        if i == 5:
            trained.optimizer.add_param_group({"params": trained.model[3].weight, "lr": 0.2})

    # Gradients of the other parameters grow: zero_grad does not know them.
    same(USUAL - 2, make=Grown, between=between)


def test_the_same_batch_again_and_then_others():
    """What a check with the same batch cannot tell is checked with the first other batch."""
    x, y = batches()[0]
    step = same(USUAL - 1, data=[(x, y)] * 5 + batches(4, seed=3))
    assert step.refused is None

    class Scaled(Trained):
        def step(self, x, y):
            return Trained.step(self, x / np.float32(2.0), y)

    expected, _ = run(False, make=Scaled, data=[(x, y)] * 5 + batches(4, seed=3))
    found, step = run(True, make=Scaled, data=[(x, y)] * 5 + batches(4, seed=3))
    assert found == expected and "bits of the step" in step.refused and step.replays == 2


def test_numbers_and_objects_as_arguments():
    def step(model, optimizer, batch, *, weight):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"]) * weight
        loss.backward()
        optimizer.step()
        return loss

    results = []
    for make in (lambda f: f, fd.record):
        fd.manual_seed(1)
        trained, made = Trained(), make(step)
        losses = [
            made(trained.model, trained.optimizer, {"x": x, "y": y}, weight=w).item()
            for w in (1.0, 0.5)
            for x, y in batches()
        ]
        results.append((bits(trained.model), losses))
    assert results[0] == results[1]
    assert (made.refused, made.replays) == (None, 2 * CALLS - 5)


def test_a_read_only_view_is_computed_anew():
    x = np.float32([1.0, 2.0])
    y, calls = recording.record(lambda: recording.computed(np.broadcast_to, x, (3, 2)))
    assert y.tolist() == [[1.0, 2.0]] * 3
    x[:] = 5.0
    calls.replay()
    assert y.tolist() == [[5.0, 5.0]] * 3
