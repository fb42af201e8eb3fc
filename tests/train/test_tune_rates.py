"""The search for dropout rates: its steps, its decisions, its reproducibility."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim, random, schedules
from fastdrop.inspection.gap import judge_gap
from fastdrop.train.trial import Trial
from fastdrop.train.tune import next_rate


def regression(seed=1):
    """(few, many) samples: y is the sum of four numbers, and x has 25 noisy copies of each.

    A network that is trained with few samples learns the noise.
    """
    rng = np.random.default_rng(seed)

    def draw(n):
        z = rng.standard_normal((n, 4))
        return (np.repeat(z, 25, 1) + 2 * rng.standard_normal((n, 100))).astype(np.float32), z.sum(
            1
        ) + rng.standard_normal(n)

    return draw(200), draw(1000)


def classes(n=600, features=6):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((n, features)).astype(np.float32)
    return x, x[:, :3].argmax(1)


def wide(p):
    return fd.models.mlp(100, [256], 1, dropout=(0.4 * p, p))


def test_overfitting_raises_the_rate():
    few, many = regression()
    tuning = fd.tune_rates(wide, few, validation=many, batch_size=20, progress=False)
    rates = [trial.rate for trial in tuning.trials]
    assert rates == [0.2, 0.3, 0.4, 0.5][: len(rates)] and len(rates) >= 2 and tuning.rate > 0.2
    assert all(trial.verdict == "overfits" for trial in tuning.trials)
    assert tuning.trials[0].decision == "raise to 0.3" and tuning.trials[-1].decision.startswith(
        "stop"
    )
    fd.manual_seed(0)
    without = wide(0.0)
    fd.fit(without, few, epochs=15, batch_size=20, progress=False)
    assert tuning.best.validation["rmse"] < fd.evaluate(without, many)["rmse"] - 0.02
    assert (
        tuning.best.validation["rmse"]
        == min(trial.validation["rmse"] for trial in tuning.trials)
        == fd.evaluate(tuning.model, many)["rmse"]
    )
    assert tuning.best.training == fd.evaluate(tuning.model, few) and not tuning.model.training
    assert tuning.rates == {"0": pytest.approx(0.4 * tuning.rate), "3": tuning.rate}
    trial = tuning.best
    assert trial.gap == pytest.approx(1 - trial.training["rmse"] / trial.validation["rmse"])


def test_underfitting_lowers_the_rate():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 10)).astype(np.float32)
    data = x, (x @ rng.standard_normal((10, 4))).argmax(1)
    tuning = fd.tune_rates(
        lambda p: fd.models.mlp(10, [8], 4, dropout=p),
        data,
        start=0.4,
        validation=0.5,
        epochs=3,
        batch_size=64,
        gaps=(0.03, 0.1),
    )
    rates = [trial.rate for trial in tuning.trials]
    assert (
        rates == [0.4, 0.3, 0.2, 0.1, 0.0][: len(rates)] and len(rates) >= 2 and tuning.rate < 0.4
    )
    assert tuning.trials[0].verdict == "underfits" and tuning.trials[0].decision == "lower to 0.3"
    assert (
        tuning.best.validation["accuracy"] > tuning.trials[0].validation["accuracy"]
        and tuning.measure == "accuracy"
    )


def test_the_result_depends_on_the_arguments_only():
    """Trials and weights are the same for every random state, and the state does not change."""
    data = classes()
    fd.manual_seed(5)
    random.generator("init").random(3)
    before = random.get_state()
    one = fd.tune_rates(lambda p: fd.models.mlp(6, [32], 3, dropout=p), data, epochs=3, seed=7)
    assert random.get_state() == before
    fd.manual_seed(9)
    two = fd.tune_rates(lambda p: fd.models.mlp(6, [32], 3, dropout=p), data, epochs=3, seed=7)
    assert one.trials == two.trials and one.best == two.best and str(one) == str(two)
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert np.array_equal(a.data, b.data)
    other = fd.tune_rates(lambda p: fd.models.mlp(6, [32], 3, dropout=p), data, epochs=3, seed=8)
    assert other.trials[0].validation != one.trials[0].validation
    state = random.get_state()
    with pytest.raises(ZeroDivisionError):
        fd.tune_rates(lambda p: 1 / 0, data)
    assert random.get_state() == state


def test_trials_have_the_same_initial_weights_and_split():
    """A trial is a run of `fit` after `manual_seed`."""
    data, first = classes(), []

    def build(p):
        model = fd.models.mlp(6, [16], 3, dropout=p)
        first.append([parameter.data.copy() for parameter in model.parameters()])
        return model

    tuning = fd.tune_rates(
        build,
        data,
        epochs=2,
        gaps=(-1.0, -0.9),
        start=0.1,
        max_trials=3,
        seed=3,
        optimizer=lambda model: optim.SGD(model.parameters(), lr=0.05),
        batch_size=50,
    )
    assert len(tuning.trials) == len(first) >= 2
    assert all(
        np.array_equal(a, b) for other in first[1:] for a, b in zip(first[0], other, strict=True)
    )
    fd.manual_seed(3)
    train, held = fd.data.Dataset(*data).split(0.2)
    for trial in tuning.trials:
        fd.manual_seed(3)
        model = fd.models.mlp(6, [16], 3, dropout=trial.rate)
        fd.fit(
            model,
            train,
            epochs=2,
            batch_size=50,
            optimizer=optim.SGD(model.parameters(), lr=0.05),
            progress=False,
        )
        assert (
            fd.evaluate(model, held) == trial.validation
            and fd.evaluate(model, train) == trial.training
        )
        assert (trial.gap, trial.verdict) == judge_gap(
            "accuracy", trial.training["accuracy"], trial.validation["accuracy"], (-1.0, -0.9)
        )


def test_a_module_is_copied_and_its_constant_rates_are_set():
    """Layers get the rate, or a fraction where lower rates are recommended.

    Rates of 0, schedules, and rates with another meaning stay.
    """
    ramp = schedules.Linear(0.0, 0.3, 100)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(6, 32),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Dropout(ramp),
        nn.TokenDropout(0.15),
        nn.Dropout(0.0),
        nn.ConcreteDropout(0.1),
        nn.Linear(32, 3),
    )
    model(np.ones((2, 6), np.float32))
    weights, draw = {name: array.copy() for name, array in model.state_dict().items()}, model.draw
    tuning = fd.tune_rates(model, classes(), epochs=1, start=0.5, max_trials=1)
    assert (
        tuning.rates == {"1": 0.2, "4": 0.5, "6": 0.15, "7": 0.0}
        and tuning.model[5].p is not ramp
        and tuning.model[5].p == ramp
    )
    assert model[1].p == 0.1 and model[4].p == 0.3 and model.draw == draw and model.training
    assert all(np.array_equal(array, weights[name]) for name, array in model.state_dict().items())
    assert (
        not np.array_equal(tuning.model[2].weight.data, weights["2.weight"])
        and not tuning.model.training
    )
    again = fd.tune_rates(model, classes(), epochs=1, start=0.5, max_trials=1)
    assert again.trials == tuning.trials
    channels = nn.Sequential(nn.SpatialDropout2d(0.1), nn.Flatten(), nn.Linear(48, 3))
    x, y = np.random.default_rng(0).standard_normal((40, 3, 4, 4)), np.arange(40) % 3
    assert fd.tune_rates(channels, (x, y), epochs=1, max_trials=1).rates == {"0": 0.12}


def test_the_rate_of_attention_is_set():
    """The weights of the softmax get the rate of the other places of a transformer's layer."""
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.1, batch_first=True)
    model = nn.Sequential(nn.Unflatten(1, (1, 6)), layer, nn.Flatten(), nn.Linear(6, 3))
    tuning = fd.tune_rates(model, classes(), epochs=1, start=0.3, max_trials=1)
    assert tuning.model[1].self_attn.dropout == 0.3 and layer.self_attn.dropout == 0.1
    assert tuning.rates["1.self_attn"] == 0.3 and set(tuning.rates.values()) == {0.0, 0.3}


def test_next_rate():
    assert next_rate("overfits", True, [0.2], 0.1, 0.5, 8) == (0.3, "raise to 0.3")
    assert next_rate("underfits", True, [0.3], 0.1, 0.5, 8) == (0.2, "lower to 0.2")
    assert next_rate("fits", True, [0.2], 0.1, 0.5, 8) == (
        None,
        "stop: neither overfits nor underfits",
    )
    assert next_rate("overfits", False, [0.2, 0.3], 0.1, 0.5, 8) == (
        None,
        "stop: no better than the best before",
    )
    assert next_rate("underfits", True, [0.2, 0.3], 0.1, 0.5, 8) == (None, "stop: 0.2 was tried")
    assert next_rate("overfits", True, [0.4, 0.5], 0.1, 0.5, 8) == (None, "stop: the range ends")
    assert next_rate("overfits", True, [0.45], 0.1, 0.5, 8) == (0.5, "raise to 0.5")
    assert next_rate("underfits", True, [0.05], 0.1, 0.5, 8) == (0.0, "lower to 0")
    assert next_rate("overfits", True, [0.2], 0.1, 0.5, 1) == (
        None,
        "stop: max_trials, 0.3 would be next",
    )


def test_judge_gap():
    assert (
        judge_gap("accuracy", 0.99, 0.9) == (pytest.approx(0.09), "overfits")
        and judge_gap("accuracy", 0.9, 0.9)[1] == "underfits"
    )
    assert (
        judge_gap("rmse", 0.5, 1.0) == (0.5, "overfits")
        and judge_gap("rmse", 0.95, 1.0)[1] == "fits"
        and judge_gap("rmse", 1.0, 1.0)[1] == "underfits"
    )
    assert judge_gap("loss", 0.5, 1.0, (0.6, 0.7)) == (0.5, "underfits")


def test_the_table_of_trials():
    tuning = fd.tune_rates(
        lambda p: fd.models.mlp(6, [16], 3, dropout=p),
        classes(200),
        epochs=1,
        max_trials=2,
        gaps=(-2.0, -1.0),
    )
    lines = tuning.table().splitlines()
    assert (
        len(lines) == 1 + len(tuning.trials)
        and "validation accuracy" in lines[0]
        and sum("*" in line for line in lines) == 1
    )
    assert (
        "raise to 0.3" in lines[1]
        and lines[1].startswith("0.2")
        and f"{tuning.trials[0].validation['accuracy']:.4g}" in lines[1]
    )
    assert f"best rate {tuning.rate:g}" in repr(tuning) and isinstance(tuning.best, Trial)
    shares = np.eye(3, dtype=np.float32)[classes(200)[1]]  # a loss without an accuracy
    plain = fd.tune_rates(
        lambda p: fd.models.mlp(6, [16], 3, dropout=p),
        (classes(200)[0], shares),
        epochs=1,
        max_trials=1,
        loss="l1",
    )
    assert plain.measure == "rmse"


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (3, {}, "build must be a function"),
        (lambda p: 3, {}, "the result of build must be a Module"),
        (nn.Linear(6, 3), {}, "nothing to tune"),
        (wide, {"start": 0.6}, "start"),
        (wide, {"step": 0.0}, "step"),
        (wide, {"epochs": 0}, "epochs"),
        (wide, {"max_trials": 0}, "max_trials"),
        (wide, {"gaps": (0.2, 0.1)}, "gaps"),
        (wide, {"gaps": 0.1}, "gaps"),
        (wide, {"seed": -1}, "seed"),
        (wide, {"optimizer": optim.SGD}, "optimizer"),
        (wide, {"checkpoint": "x", "early_stopping": 3}, "checkpoint, early_stopping"),
        (wide, {"validation": 1.5}, "validation must be"),
        (wide, {"validation": True}, "validation must be"),
        (wide, {"lr": 1}, "lr"),
        (wide, {"highest": 2.0}, "highest"),
        (wide, {"progress": 1}, "progress"),
        (wide, {"validation": None}, "validation"),
    ],
)
def test_wrong_arguments(build, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fd.tune_rates(build, classes(50), **options)


def test_build_must_return_a_new_model():
    model = fd.models.mlp(6, [16], 3, dropout=0.2)
    with pytest.raises(ValueError, match="new model"):
        fd.tune_rates(lambda p: model, classes(300), epochs=2, gaps=(-2.0, -1.0), start=0.1)
