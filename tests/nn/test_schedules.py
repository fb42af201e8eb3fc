"""Schedules of rates: their values, and the training step in layers, files and predictions."""

import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import models, nn, schedules
from fastdrop.io import architecture

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")


def test_rates_of_each_schedule():
    ramp = schedules.Linear(0.1, 0.5, steps=4, delay=2)
    assert [ramp(step) for step in (0, 2, 3, 4, 6, 100)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.5, 0.5]
    )
    assert ramp(6) == 0.5  # exactly
    smooth = schedules.Cosine(0.4, 0.0, steps=4)
    assert [smooth(step) for step in (0, 1, 2, 4)] == pytest.approx(
        [0.4, 0.2 + 0.2 * math.sqrt(0.5), 0.2, 0.0]
    )
    grown = schedules.Curriculum(0.5, gamma=0.01)
    assert (
        grown(0) == 0.0
        and grown(100) == pytest.approx(0.5 * (1 - math.exp(-1)))
        and grown(10**6) == 0.5
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: schedules.Linear(-0.1, 0.5, 3),
        lambda: schedules.Linear(0.1, 0.5, 0),
        lambda: schedules.Cosine(0.1, 2, 3),
        lambda: schedules.Curriculum(0.1, -1.0),
        lambda: schedules.Linear(0.1, 0.5, 3, delay=-1),
        lambda: nn.Dropout("0.5"),
    ],
)
def test_wrong_arguments_are_refused(build):
    with pytest.raises((TypeError, ValueError), match=r"start|end|steps|delay|gamma|p must"):
        build()


def test_a_layer_follows_the_draws_of_its_model():
    schedule = schedules.Linear(0.0, 0.6, steps=3)
    model = nn.Sequential(nn.Dropout(schedule))
    x = np.ones((4, 200), np.float32)
    for step in range(5):
        expected = K.dropout(x, schedule(step), seed=0, draw=step)
        np.testing.assert_array_equal(model(x).data, expected)
    model.draw = 1
    np.testing.assert_array_equal(model(x).data, K.dropout(x, schedule(1), seed=0, draw=1))
    with fd.mask_state(draw=7):
        np.testing.assert_array_equal(model(x).data, K.dropout(x, 0.6, seed=0, draw=7))
    assert model.eval()(x).data is x


def test_monte_carlo_uses_the_rate_that_training_has_reached():
    model = nn.Sequential(nn.Dropout(schedules.Linear(0.0, 0.6, steps=10)))
    model.draw = 5
    passes = fd.mc_predict(model, np.ones((50, 100), np.float32), samples=200, seed=1, output="raw")
    assert np.mean(passes.std) == pytest.approx(math.sqrt(0.3 / 0.7), rel=0.05)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Linear(0.0, 0.5, 100, delay=3),
        schedules.Cosine(0.2, 0.5, 10),
        schedules.Curriculum(0.5, 0.1),
    ],
    ids=lambda s: type(s).__name__,
)
def test_files_keep_schedules(schedule, tmp_path):
    assert schedules.from_dict(schedules.to_dict(schedule)) == schedule
    model = models.mlp(5, (7,), 2, dropout=schedule)
    fd.save(model, tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    assert again[2].p == schedule and repr(again) == repr(model)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"schedule": "os.system"},
        {"schedule": "Linear"},
        {"schedule": ["Linear"]},
        {"schedule": "Linear", "start": 0, "end": 1, "steps": 3, "delay": 0, "more": 1},
    ],
)
def test_files_with_unknown_schedules_are_refused(spec):
    with pytest.raises(ValueError, match="not a schedule"):
        schedules.from_dict(spec)
    with pytest.raises(ValueError, match=r"not a schedule|no layer"):
        architecture.build({"class": "Dropout", "arguments": {"p": spec}})


def test_user_defined_schedules_work_but_cannot_be_saved():
    class Mine(schedules.Schedule):
        def __call__(self, step):
            return 0.5

    model = nn.Sequential(nn.Dropout(Mine()))
    assert model(np.ones((2, 100), np.float32)).data.min() == 0
    with pytest.raises(ValueError, match="Mine"):
        architecture.architecture(model)
