"""`fd.record`: a replay gives the bits of the step, or the step runs as before and says why."""

import gc
import threading
import weakref

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn import functional as F
from fastdrop.optim import lr_scheduler
from fastdrop.train import record as record_function
from helpers.training import bits

BATCH = 12
CALLS = 9


def batches(count=CALLS, rows=BATCH, dtype=np.float32, labels=np.int64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, rows, 6)).astype(dtype)
    return [(each, (each[:, 0] > 0).astype(labels) + (each[:, 1] > 0.5)) for each in x]


def network():
    return nn.Sequential(
        nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3)
    )


class Trained:
    """A model with an optimiser, and the usual step."""

    def __init__(self, model=network, optimizer=lambda p: optim.SGD(p, 0.1, momentum=0.9)):
        self.model = model()
        self.optimizer = optimizer(self.model.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def run(recorded, make=Trained, data=None, between=lambda i, trained: None):
    """(bits, losses, gradients, draw, the step) after a step for each batch."""
    fd.manual_seed(1)
    trained = make()
    step = fd.record(trained.step) if recorded else trained.step
    losses = []
    for i, batch in enumerate(batches() if data is None else data):
        between(i, trained)
        losses.append(step(*batch))
    values = [each.tolist() if isinstance(each, fd.Tensor) else each for each in losses]
    gradients = [None if p.grad is None else p.grad.tolist() for p in trained.model.parameters()]
    return (bits(trained.model), values, gradients, trained.model.draw), step


def same(replays, **given):
    """A recorded step gives what the step gives, and `replays` of the calls are replays."""
    expected, _ = run(False, **given)
    found, step = run(True, **given)
    assert found == expected
    assert (step.replays, step.refused) == (replays, None)
    return step


def refused(message, make=Trained, **given):
    expected, _ = run(False, make=make, **given)
    found, step = run(True, make=make, **given)
    assert found == expected and step.replays == 0
    assert message in step.refused and message in step.explain()


def of(step):
    """A class as `Trained` with another step."""
    return type("Other", (Trained,), {"step": step})


# ---- what is replayed ----

# The first call has no gradients yet: the second one is recorded anew, and the third is the check.
USUAL = CALLS - 3


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


def test_labels_that_are_left_out():
    data = batches()
    for i in (0, 4, 7):
        data[i][1][: i + 1] = -100
    same(USUAL, data=data)


def sequences():
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 11, (3, 8)), rng.integers(0, 11, (3, 8))) for _ in range(CALLS)]


def of_sequences(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x).reshape(-1, 11), y.reshape(-1))
    loss.backward()
    self.optimizer.step()
    return loss


def test_a_transformer():
    def model():
        return fd.models.gpt(11, 8, n_layer=2, n_head=2, n_embd=8, dropout=0.1)

    same(USUAL, make=lambda: of(of_sequences)(model, optim.AdamW), data=sequences())


def test_token_numbers_are_checked_in_replays():
    fd.manual_seed(1)
    trained = of(of_sequences)(lambda: fd.models.gpt(11, 8, n_layer=1, n_head=1, n_embd=8))
    step, data = fd.record(trained.step), sequences()
    for batch in data[:5]:
        step(*batch)
    with pytest.raises(ValueError, match="from 0 to 10, got . to 11"):
        step(np.clip(data[5][0] + 3, 0, 11), data[5][1])


def test_recurrent_layers_run_as_before():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(11, 6)
            self.layer = nn.LSTM(6, 8, num_layers=2, dropout=0.2, batch_first=True)
            self.head = nn.Linear(8, 11)

        def forward(self, x):
            return self.head(self.layer(self.words(x))[0])

    refused("computes with NumPy", make=lambda: of(of_sequences)(Recurrent), data=sequences())


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
    import sys

    return sys.modules["fastdrop.train.record"]


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


def of_the_deviation(self, x, y):
    self.optimizer.zero_grad()
    output = self.model(x)
    loss = F.cross_entropy(output, y) + fd.std(output)
    loss.backward()
    self.optimizer.step()
    return loss


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (reading, "item()"),
        (deciding, "a comparison"),
        (accuracy, "position of the extreme"),
        (number, "returns 1.0 (float)"),
        (with_graph, "a tensor with a graph"),
        (own_update, "Tensor.data"),
        (printing, "as text"),
        (fixed_masks, "mask_state"),
        (scaled, "bits of the step"),
        (counting, "changes options of layers"),
        (of_the_deviation, "std computes with NumPy"),
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
        (lambda: nn.Residual(nn.Linear(12, 12), p=0.3), "chooses samples"),
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
