"""Learning rates of all schedules, alone and together, against those of PyTorch."""

import copy
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import optim
from fastdrop.optim import lr_scheduler

LRS = (0.8, 0.05)  # of the groups


def optimizer_of(library, kind="SGD"):
    """An optimiser of two groups: fd's or torch's."""
    zeros = [library.nn.Parameter(library.tensor([0.0])) for _ in LRS]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(zeros, LRS, strict=True)]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(library.optim, kind)(groups, lr=0.1, **options)


# Each makes schedulers from the module and an optimiser; all of them are stepped.
SCHEDULES = {
    "constant": lambda s, o: [s.ConstantLR(o, 0.25, 4)],
    "polynomial": lambda s, o: [s.PolynomialLR(o, 9, 0.7)],
    "polynomial, linear": lambda s, o: [s.PolynomialLR(o)],
    "multiplicative": lambda s, o: [s.MultiplicativeLR(o, lambda t: 1 - 0.5 / (1 + t))],
    "multiplicative, a list": lambda s, o: [
        s.MultiplicativeLR(o, [lambda t: 0.9, lambda t: 1 + 1 / (1 + t)])
    ],
    "lambdas": lambda s, o: [s.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: 0.9**t])],
    "restarts": lambda s, o: [s.CosineAnnealingWarmRestarts(o, 5)],
    "restarts, growing": lambda s, o: [s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01)],
    "one cycle": lambda s, o: [s.OneCycleLR(o, 2.0, total_steps=25)],
    "one cycle, three phases": lambda s, o: [
        s.OneCycleLR(
            o,
            [2.0, 0.1],
            epochs=5,
            steps_per_epoch=5,
            pct_start=0.35,
            anneal_strategy="linear",
            base_momentum=[0.7, 0.8],
            max_momentum=0.9,
            div_factor=10.0,
            final_div_factor=100.0,
            three_phase=True,
        )
    ],
    "cyclic": lambda s, o: [s.CyclicLR(o, 0.01, 0.1, 4)],
    "cyclic, halved": lambda s, o: [
        s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 3, 2, mode="triangular2", max_momentum=0.95)
    ],
    "cyclic, exponential": lambda s, o: [
        s.CyclicLR(o, 0.01, 0.1, 3, 4, mode="exp_range", gamma=0.97)
    ],
    "cyclic, a function": lambda s, o: [
        s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations")
    ],
    "constant and polynomial": lambda s, o: [s.ConstantLR(o, 0.25, 4), s.PolynomialLR(o, 30, 2.0)],
    "four": lambda s, o: [
        s.LinearLR(o, 0.3, 0.9, 6),
        s.MultiplicativeLR(o, lambda t: 0.97),
        s.CosineAnnealingLR(o, 40, 0.001),
        s.MultiStepLR(o, [3, 3, 8], 0.5),
    ],
    "restarts and step": lambda s, o: [
        s.StepLR(o, 4, 0.5),
        s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    ],
    "chained": lambda s, o: [
        s.ChainedScheduler([s.ConstantLR(o, 0.1, 7), s.ExponentialLR(o, 0.9)]),
    ],
    "chained, with an optimiser": lambda s, o: [
        s.ChainedScheduler([s.StepLR(o, 2), s.PolynomialLR(o, 50), s.ExponentialLR(o, 1.1)], o),
    ],
    "sequence": lambda s, o: [
        s.SequentialLR(
            o,
            [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 8, 0.01), s.ConstantLR(o, 0.1, 3)],
            [4, 13],
        )
    ],
    "sequence, without closed forms": lambda s, o: [
        s.SequentialLR(
            o,
            [
                s.PolynomialLR(o, 5),
                s.MultiplicativeLR(o, lambda t: 1.05),
                s.LambdaLR(o, lambda t: 1 / (2 + t)),
                s.CosineAnnealingWarmRestarts(o, 2, 2),
            ],
            [3, 8, 12],
        )
    ],
    "chained in a sequence": lambda s, o: [
        s.SequentialLR(
            o,
            [
                s.ChainedScheduler([s.LinearLR(o, 0.5, 1.0, 9), s.StepLR(o, 2, 0.95)]),
                s.MultiplicativeLR(o, lambda t: 0.9),
            ],
            [6],
        )
    ],
    "a sequence in a chain": lambda s, o: [
        s.ChainedScheduler(
            [
                s.SequentialLR(o, [s.ConstantLR(o, 0.5, 9), s.StepLR(o, 2, 0.5)], [30]),
                s.ExponentialLR(o, 0.9),
            ]
        )
    ],
}
STEPS = 25


def figures(optimizer):
    """The learning rate and the momentum of each group."""
    return [
        [group["lr"], group["betas"][0] if "betas" in group else group["momentum"]]
        for group in optimizer.param_groups
    ]


def trajectory(library, schedules, kind="SGD", assign_at=None):
    optimizer = optimizer_of(library, kind)
    schedulers = schedules(library.optim.lr_scheduler, optimizer)
    found = [figures(optimizer)]
    for i in range(STEPS):
        if i == assign_at:
            optimizer.param_groups[0]["lr"] = 0.3
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        found.append(figures(optimizer))
    return np.array(found)


# PyTorch's own SequentialLR steps a chain before the optimiser.
@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_rates_and_momentum_are_those_of_torch(name, kind):
    torch = pytest.importorskip("torch")
    expected = trajectory(torch, SCHEDULES[name], kind)
    found = trajectory(fd, SCHEDULES[name], kind)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert len({tuple(each) for each in found[:, :, 0].tolist()}) > 1


def test_an_assignment_is_kept_or_replaced_as_by_torch():
    torch = pytest.importorskip("torch")
    for name in (
        "constant",
        "polynomial",
        "multiplicative",
        "restarts",
        "one cycle",
        "cyclic",
        "chained",
    ):
        expected = trajectory(torch, SCHEDULES[name], assign_at=3)
        found = trajectory(fd, SCHEDULES[name], assign_at=3)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_loaded_state_goes_on(name):
    first = optimizer_of(fd)
    before = SCHEDULES[name](lr_scheduler, first)
    for _ in range(9):
        for scheduler in before:
            scheduler.step()
    states = copy.deepcopy([first.state_dict(), *(s.state_dict() for s in before)])
    second = optimizer_of(fd)
    after = SCHEDULES[name](lr_scheduler, second)
    for part, state in zip([second, *after], states, strict=True):
        part.load_state_dict(state)
    assert figures(second) == figures(first)
    for _ in range(9):
        for one, other in zip(before, after, strict=True):
            one.step()
            other.step()
        assert figures(second) == figures(first)


RESUMED = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 7]},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 20, "eta_min": 0.01},
    "LinearLR": {"total_iters": 9},
    "ConstantLR": {"total_iters": 7},
    "PolynomialLR": {"total_iters": 30},
    "LambdaLR": {"lr_lambda": lambda t: 1 / (1 + t)},
    "MultiplicativeLR": {"lr_lambda": lambda t: 0.9},
    "CosineAnnealingWarmRestarts": {"T_0": 4},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 30},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4},
}


@pytest.mark.parametrize("name", RESUMED)
def test_last_epoch_goes_on(name):
    torch = pytest.importorskip("torch")

    def rates(library):
        optimizer = optimizer_of(library)
        make = getattr(library.optim.lr_scheduler, name)
        scheduler = make(optimizer, **RESUMED[name])
        for _ in range(5):
            optimizer.step()
            scheduler.step()
        resumed = optimizer_of(library)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        again = make(resumed, **RESUMED[name], last_epoch=scheduler.last_epoch)
        found = [figures(resumed)]
        for _ in range(8):
            resumed.step()
            again.step()
            found.append(figures(resumed))
        return np.array(found)

    np.testing.assert_allclose(rates(fd), rates(torch), rtol=1e-9)


def test_last_epoch_needs_the_initial_rates():
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer_of(fd), 2, last_epoch=3)
    groups = [{"params": [fd.Parameter([0.0])], "lr": 0.25, "initial_lr": 0.5}]
    optimizer = optim.SGD(groups)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=0)
    assert scheduler.last_epoch == 1 and optimizer.param_groups[0]["lr"] == 0.25
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.125


def test_positions_between_two_steps():
    torch = pytest.importorskip("torch")

    def rates(library):
        optimizer = optimizer_of(library)
        s = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 2, 0.01)
        found = []
        for position in (0.5, 1.25, 2.75, 3.0, 6.5, 9.0, 20.5):
            s.step(position)
            found.append(figures(optimizer))
        s.step()
        return [*found, figures(optimizer)]

    np.testing.assert_allclose(rates(fd), rates(torch), rtol=1e-9)


def test_a_step_that_is_given():
    optimizer = optimizer_of(fd)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    scheduler.step(3)
    assert optimizer.param_groups[0]["lr"] == 0.1 and scheduler.last_epoch == 3


def test_a_schedule_written_for_torch():
    """A subclass that defines get_lr from the group's learning rate."""

    def rates(library):
        class Halved(library.optim.lr_scheduler.LRScheduler):
            def get_lr(self):
                if self.last_epoch == 0:
                    return list(self.base_lrs)
                return [group["lr"] * 0.5 for group in self.optimizer.param_groups]

        optimizer = optimizer_of(library)
        scheduler, found = Halved(optimizer), []
        for _ in range(4):
            optimizer.step()
            scheduler.step()
            found.append([rate[0] for rate in figures(optimizer)])
        return found

    assert rates(fd) == [[lr * 0.5**t for lr in LRS] for t in range(1, 5)]
    assert rates(fd) == rates(pytest.importorskip("torch"))


def test_a_limit_for_each_group():
    torch = pytest.importorskip("torch")

    def rates(library):
        optimizer, found = optimizer_of(library), []
        plateau = library.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=0, factor=0.3, min_lr=[0.02, 0.01]
        )
        for _ in range(6):
            plateau.step(1.0)
            found.append(figures(optimizer))
        return found

    np.testing.assert_allclose(rates(fd), rates(torch), rtol=1e-12)
    with pytest.raises(ValueError, match="min_lr"):
        lr_scheduler.ReduceLROnPlateau(optimizer_of(fd), min_lr=[0.1])


def test_a_nested_sequence_begins_with_its_first_step():
    optimizer = optimizer_of(fd)
    inner = lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.ConstantLR(optimizer, 0.5, 9), lr_scheduler.ExponentialLR(optimizer, 0.5)],
        [2],
    )
    outer = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer, 0.25, 9), inner], [2]
    )
    found = []
    for _ in range(6):
        found.append(optimizer.param_groups[0]["lr"] / LRS[0])
        outer.step()
    assert found == [0.25, 0.25, 0.5, 0.5, 1.0, 0.5]


def test_a_chain_in_a_sequence_begins_with_its_first_step():
    """PyTorch's begins with the factor of step 1 of an ExponentialLR."""
    optimizer = optimizer_of(fd)
    chain = lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    )
    scheduler = lr_scheduler.SequentialLR(
        optimizer, [chain, lr_scheduler.StepLR(optimizer, 9)], [4]
    )
    found = []
    for _ in range(5):
        found.append(optimizer.param_groups[0]["lr"] / LRS[0])
        scheduler.step()
    assert found == [0.5, 0.25, 0.25, 0.125, 1.0]


def test_constant_factor_of_no_steps():
    optimizer = optimizer_of(fd)
    scheduler = lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=0)
    scheduler.step()
    assert scheduler.get_last_lr() == list(LRS)


def test_a_sequence_of_an_older_version():
    def make(optimizer):
        parts = [
            lr_scheduler.LinearLR(optimizer, 0.5, total_iters=4),
            lr_scheduler.ExponentialLR(optimizer, 0.5),
        ]
        return lr_scheduler.SequentialLR(optimizer, parts, [4])

    first, second = optimizer_of(fd), optimizer_of(fd)
    one, other = make(first), make(second)
    for _ in range(6):
        one.step()
    other.load_state_dict({"last_epoch": 6, "base_lrs": list(LRS)})
    for _ in range(3):
        np.testing.assert_allclose(figures(second), figures(first))
        one.step()
        other.step()


def test_groups_that_are_added_later():
    optimizer = optimizer_of(fd)
    schedulers = [
        lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t)),
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=0.01),
    ]
    optimizer.add_param_group({"params": [fd.Parameter([1.0])], "lr": 0.4})
    schedulers[0].step()
    assert optimizer.param_groups[2]["lr"] == 0.2
    schedulers[1].step(1.0)
    schedulers[1].step(1.0)
    assert optimizer.param_groups[2]["lr"] == 0.1


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda o: lr_scheduler.ConstantLR(o, 2.0), ValueError, "factor"),
        (lambda o: lr_scheduler.PolynomialLR(o, 0), ValueError, "total_iters"),
        (lambda o: lr_scheduler.MultiplicativeLR(o, 0.5), TypeError, "lr_lambda"),
        (lambda o: lr_scheduler.LambdaLR(o, [math.exp]), ValueError, "lr_lambda"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "total_steps"),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 5), ValueError, "max_lr"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, pct_start=2.0), ValueError, "pct_start"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="round"), ValueError, "mode"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 0), ValueError, "step_size_up"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, scale_fn=3), TypeError, "scale_fn"),
        (lambda o: lr_scheduler.ChainedScheduler([]), ValueError, "schedulers"),
        (lambda o: lr_scheduler.ChainedScheduler([o]), ValueError, "schedulers"),
        (lambda o: lr_scheduler.StepLR(o, 2, last_epoch=-2), ValueError, "last_epoch"),
        (
            lambda o: lr_scheduler.OneCycleLR(optim.Adagrad(o.param_groups[0]["params"]), 1.0, 5),
            ValueError,
            "cycle_momentum",
        ),
    ],
)
def test_errors_name_the_argument(call, error, word):
    with pytest.raises(error, match=word):
        call(optimizer_of(fd))


def test_more_steps_than_a_cycle_has():
    scheduler = lr_scheduler.OneCycleLR(optimizer_of(fd), 1.0, total_steps=3)
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ValueError, match="total_steps = 3"):
        scheduler.step()


def test_a_state_of_a_longer_cycle_is_refused():
    optimizer = optimizer_of(fd)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=3)
    before = figures(optimizer), scheduler.state_dict()
    with pytest.raises(ValueError, match="total_steps = 3"):
        scheduler.load_state_dict({**scheduler.state_dict(), "last_epoch": 7})
    assert (figures(optimizer), scheduler.state_dict()) == before
