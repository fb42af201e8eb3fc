"""CosineLogLR, the learning rate waves of RealMLP."""

import math

import pytest

import fastdrop as fd
from fastdrop.optim.lr_scheduler import CosineLogLR


@pytest.mark.parametrize("cycles", [1, 4])
def test_the_rate_of_each_step(cycles):
    optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.04)
    scheduler = CosineLogLR(optimizer, 60, cycles)
    for step in range(65):
        wave = math.log2(1 + (2**cycles - 1) * min(step / 60, 1))
        expected = 0.02 * (1 - math.cos(2 * math.pi * wave))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-12)
        scheduler.step()


def test_each_wave_is_twice_as_long_as_the_one_before():
    optimizer = fd.optim.SGD([{"params": [fd.Parameter([1.0])], "lr": 0.5}], lr=0.1)
    scheduler = CosineLogLR(optimizer, 150)
    rates = []
    for _ in range(150):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert all(rates[step] == pytest.approx(0.0, abs=1e-9) for step in (0, 10, 30, 70))
    assert max(rates) <= 0.5 and sorted(rates)[-1] > 0.499


def test_it_resumes():
    make = lambda: fd.optim.SGD([fd.Parameter([1.0])], lr=0.1)  # noqa: E731
    optimizer, other = make(), make()
    scheduler = CosineLogLR(optimizer, 20)
    for _ in range(7):
        scheduler.step()
    resumed = CosineLogLR(other, 20)
    resumed.load_state_dict(scheduler.state_dict())
    scheduler.step(), resumed.step()
    assert resumed.get_last_lr() == scheduler.get_last_lr()


@pytest.mark.parametrize(("given", "name"), [((0,), "total_steps"), ((5, 0), "cycles")])
def test_arguments(given, name):
    with pytest.raises(ValueError, match=name):
        CosineLogLR(fd.optim.SGD([fd.Parameter([1.0])], lr=0.1), *given)
