"""``fastdrop tune``: the rule's trials, Optuna's, what is printed and saved."""

import shlex
import sys
import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import cli
from fastdrop.cli import scores, table_data, tuning_search
from fastdrop.cli.training_task import fill_defaults
from fastdrop.cli.tuning_search import Found, Search
from helpers.commands import read, table
from helpers.pages import Page

QUICK = ["--data", "t.csv", "--hidden", "16", "--epochs", "4", "--lr", "0.01"]


@pytest.fixture
def tune(tmp_path, monkeypatch, capsys):
    """Run the command in a folder with a table: (standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "t.csv", 150)

    def run(*arguments, status=0):
        state = fd.random.get_state()
        try:
            assert cli.main(["tune", *QUICK, *map(str, arguments)]) == status
        finally:
            fd.random.set_state(state)
        return capsys.readouterr()

    return run


def search_of(*arguments):
    """The search of these options, and its task."""
    options = cli.parser().parse_args(["tune", *QUICK, *map(str, arguments)])
    fill_defaults(options)
    fd.manual_seed(options.seed)
    task = table_data.table_data(options).split(options.test_fraction)
    return Search(task, options), task


def trials_of(out):
    """The cells of the table of trials."""
    lines = out.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("trial "))
    end = lines.index("", begin)
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()]
        for line in lines[begin + 1 : end]
    ]


def test_the_best_network_is_saved_and_tested(tune, tmp_path):
    out, err = tune("--trials", 9)
    trials = trials_of(out)
    assert 3 <= len(trials) <= 9 and len(err.splitlines()) == len(trials)
    assert trials[0][1].strip() == "0.08, 0.2" and "trial 1 of at most 9: dropout 0.08, 0.2" in err
    (star,) = [line for line in trials if line[0].strip().endswith("*")]
    losses = [float(line[5]) for line in trials]
    assert float(star[5]) == min(losses)
    # The test rows judge the saved network, which is that of the best trial.
    search, task = search_of("--trials", 9)
    tuning_search.search_by_rule(search)
    assert [len(search.train), len(search.held_out), len(task.test)] == [96, 24, 30]
    predictor = fd.load("t.safetensors")
    rows = [read((tmp_path / "t.csv").read_text())[i] for i in task.rows]
    found = scores.class_scores(predictor.predict_proba(rows), task.test_targets)
    shown = [scores.format_score(name, value) for name, value in found.items()]
    line = next(line for line in out.splitlines() if line.strip().startswith("dropout 0."))
    assert all(text in line for text in shown)
    for key, value in search.best.model.state_dict().items():
        np.testing.assert_array_equal(value, predictor.model.state_dict()[key])


def test_the_command_for_the_whole_training_can_be_typed(tune, capsys):
    options = ["--target", "label", "--columns", "size=category", "colour=ignore", "--seed", 3]
    out, _ = tune("--trials", 2, "--quiet", *options, "--columns", "size=number")
    line = next(line for line in out.splitlines() if "# on all training rows" in line)
    words = shlex.split(line, comments=True)
    assert words[:4] == ["fastdrop", "train", "--data", "t.csv"]
    given = cli.parser().parse_args(words[1:])
    assert given.columns == ["size=category", "colour=ignore", "size=number"]
    assert (given.target, given.seed, given.hidden, given.epochs) == ("label", 3, [16], 4)
    assert len(given.dropout) == 2 and given.lr > 0


class Fake(Search):
    """A search whose trials are a function of rates and learning rate."""

    def __init__(self, run, limit, higher=False):
        self.run, self.limit, self.higher = run, limit, higher
        self.classes, self.metric, self.lr = True, "log_loss", 0.001
        self.options = cli.parser().parse_args(["tune", *QUICK, "--quiet"])
        self.options.weight_decay = 0.0
        self.trials, self.best, self._known = [], None, {}

    def _run(self, rates, lr, decay):
        score, verdict = self.run(rates, lr)
        return Found(rates, lr, decay, score, 0.9, 0.8, verdict, "", object())


def bowl(rates, lr):
    """Best at a rate of 0.45, an input of 0.1, and a learning rate of 0.01."""
    distance = (rates[1] - 0.45) ** 2 + (rates[0] - 0.1) ** 2 + np.log(lr / 0.01) ** 2 / 50
    return distance, "overfits" if rates[1] < 0.45 else "underfits"


def test_the_rule_raises_the_rate_while_the_network_overfits():
    search = Fake(bowl, 40)
    tuning_search.search_by_rule(search)
    tried = [(found.rates[1], found.lr) for found in search.trials]
    assert tried[:4] == [(0.2, 0.001), (0.3, 0.001), (0.4, 0.001), (0.5, 0.001)]
    assert search.trials[0].rates[0] == pytest.approx(0.08)  # two fifths
    assert search.trials[0].decision == "raise to 0.3"
    best = search.best
    assert abs(best.rates[1] - 0.45) <= 0.05 and abs(best.rates[0] - 0.1) <= 0.05
    assert 0.01 / 1.6 < best.lr < 0.01 * 1.6 and len(search.trials) < 40
    assert len(set(tried)) <= len(search.trials)
    keys = [(found.rates, found.lr) for found in search.trials]
    assert len(set(keys)) == len(keys)  # no trial is made twice
    assert [found.model is not None for found in search.trials].count(True) == 1


@pytest.mark.parametrize("limit", [1, 2, 5, 8])
def test_the_rule_ends_without_trials(limit):
    search = Fake(bowl, limit)
    tuning_search.search_by_rule(search)
    assert len(search.trials) == limit and search.trials[-1].decision == "stop: --trials"
    assert search.best.score == min(found.score for found in search.trials)


def test_a_network_that_underfits_gets_lower_rates():
    search = Fake(lambda rates, lr: (sum(rates) + lr, "underfits"), 30)
    tuning_search.search_by_rule(search)
    assert [found.rates[1] for found in search.trials[:3]] == [0.2, 0.1, 0.0]
    assert search.best.rates == (0.0, 0.0) and search.best.lr < 0.001


def test_trials_that_diverge_are_never_the_best():
    def run(rates, lr):
        return (np.nan, "diverged") if lr > 5e-4 else (1.0, "fits")

    search = Fake(run, 30)
    tuning_search.search_by_rule(search)
    assert search.best.lr <= 5e-4 and search.best.score == 1.0
    assert search.trials[0].verdict == "diverged" and search.trials[0].model is None
    higher = Fake(lambda rates, lr: (rates[1], "overfits"), 30, higher=True)
    tuning_search.search_by_rule(higher)
    assert higher.best.rates[1] == max(found.rates[1] for found in higher.trials) > 0.5


def test_a_regression_in_the_targets_units(tune, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    lines = "".join(f"{a:.3f},{5e4 * a + 2e5:.0f}\n" for a in x)
    (tmp_path / "t.csv").write_text("x,price\n" + lines)
    out, _ = tune("--trials", 3, "--quiet")
    head = next(line for line in out.splitlines() if line.startswith("trial "))
    assert head.split("  ")[-1].strip() == "then" and "validation RMSE" in head
    for line in trials_of(out):
        assert 1e3 < float(line[4]) < 1e5
    search, _ = search_of("--trials", 3)
    tuning_search.search_by_rule(search)
    for found in search.trials:  # the score is the figure beside it, in the same units
        assert found.score == pytest.approx(found.validation, rel=1e-4)


def test_ctrl_c_keeps_the_trials_that_ended(tune, monkeypatch, tmp_path):
    """The best of two trials is reported and saved as that of a search with two trials."""
    whole, _ = tune("--trials", 2, "--out", "two.safetensors")
    run = Search._run

    def interrupted(self, *arguments):
        if len(self.trials) == 2:
            raise KeyboardInterrupt
        return run(self, *arguments)

    monkeypatch.setattr(Search, "_run", interrupted)
    more = ["--out", "one.safetensors", "--report", "r.html"]
    out, err = tune("--trials", 9, *more, status=130)
    assert "interrupted after 2 trials" in err and "report: r.html" in out
    assert [row[:6] for row in trials_of(out)] == [row[:6] for row in trials_of(whole)]
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    page = Page((tmp_path / "r.html").read_text())
    found = fd.load(one)
    task = search_of()[1]
    assert page.tables["scores"][2][1] == scores.format_score(
        "error", task.scores(found.model)["error"]
    )


def test_ctrl_c_before_the_first_trial_ended(tune, monkeypatch, tmp_path):
    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "_run", interrupted)
    _, err = tune(status=130)
    assert err == "fastdrop tune: interrupted\n" and not (tmp_path / "t.safetensors").exists()


def test_optuna_samples_each_rate(tune):
    pytest.importorskip("optuna")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, _ = tune("--sampler", "optuna", "--trials", 5, "--quiet", "--hidden", "8,8")
        again, _ = tune("--sampler", "optuna", "--trials", 5, "--quiet", "--hidden", "8,8")
    trials = trials_of(out)
    assert len(trials) == 5 and out == again
    rates = [[float(p) for p in line[1].split(",")] for line in trials]
    assert rates[0] == [0.08, 0.2, 0.2] and all(len(set(each)) == 3 for each in rates[1:])
    assert "--weight-decay" in out and all(line[-1].startswith("weight decay") for line in trials)


def test_optuna_is_an_extra(tune, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    _, err = tune("--sampler", "optuna", status=2)
    assert "pip install optuna, or pip install 'fastdrop-nn[tune]'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trials", "0"], "--trials must be at least 1, got 0"),
        (["--validation", "1"], "--validation must be between 0 and 1, got 1.0"),
        (["--hidden", ""], "--hidden must hold at least one width"),
        (["--metric", "mae"], "--metric must be error, balanced_accuracy"),
        (["--out", "no/m"], "no folder 'no'"),
        (["--out", "t.csv"], "--data and --out must be different files"),
        (["--data", "t.txt.gz"], "No such file or directory: 't.txt.gz'"),
        (["--group", "all"], "--group must name a column with at least two different values"),
    ],
)
def test_wrong_options(tune, arguments, words, tmp_path):
    head, *lines = (tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([f"all,{head}", *(f"1,{line}" for line in lines)]))
    _, err = tune(*arguments, status=2)
    assert words in err and len(err.splitlines()) == 1


def test_all_trials_diverge(tune):
    _, err = tune("--optimizer", "sgd", "--lr", "1e30", "--trials", 2, "--quiet", status=1)
    assert "no trial ended with a finite loss: give a smaller --lr" in err


def test_it_needs_data(capsys):
    assert cli.main(["tune"]) == 2
    assert "fastdrop tune needs --data FILE" in capsys.readouterr().err
