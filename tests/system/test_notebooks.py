"""Notebooks: objects as HTML, and bars in place of lines on stderr."""

import sys
import types

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop._utils.notebook import NotebookBar, in_notebook
from fastdrop._utils.progress import Meter
from fastdrop._utils.svg import Chart, ticks
from fastdrop.train import History
from helpers.pages import Page


def read(value):
    """The HTML of an object, read as a page; it loads nothing and runs nothing."""
    page = Page(value._repr_html_().replace("<table>", "<table id='t'>", 1))
    page.check_self_contained()
    return page


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 6))
    return x, (x[:, 0] + 0.3 * rng.standard_normal(120) > 0).astype(int)


# ---- objects ----


def test_a_model_shows_its_layers_and_parameters():
    model = nn.Sequential(
        nn.Linear(4, 3), nn.Dropout(0.25), nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    )
    model[2].requires_grad_(False)
    text = read(model).text
    assert "Sequential - 27 parameters, 12 frozen, training mode" in text
    assert "0: Linear(in_features=4, out_features=3, bias=True) - 15 parameters" in text
    assert "1: Dropout(p=0.25" in text and "2: Sequential - 12 parameters, 12 frozen" in text
    model.eval()
    tags = [attributes for tag, attributes in read(model).elements if tag == "details"]
    assert "evaluation mode" in read(model).text
    assert [("open" in attributes) for attributes in tags] == [True, False]
    assert "12 parameters" in read(nn.Linear(3, 3)).text


def test_tied_weights_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def extra_repr(self):
            return "<script>&"

    text = Tied()._repr_html_()
    assert "15 parameters" in text and "&lt;script&gt;&amp;" in text and "<script" not in text


def test_a_history_shows_curves_and_epochs(data):
    fd.manual_seed(0)
    model = fd.models.mlp(6, [8], 2, dropout=0.2)
    history = fd.fit(
        model, data, epochs=5, validation=0.25, early_stopping=1, progress=False, batch_size=16
    )
    page = read(history)
    head, *lines = page.tables["t"]
    assert head == ["epoch", *history] and len(lines) == history.epochs
    for number, line in enumerate(lines):
        assert float(line[1]) == pytest.approx(history["loss"][number], rel=1e-3)
        assert line[2] == f"{100 * history['accuracy'][number]:.2f} %"
    assert f"{history.epochs} epochs" in page.text
    assert f"the best is epoch {history.best_epoch}" in page.text
    assert ("stopped early" in page.text) == history.stopped
    assert sum(tag == "polyline" for tag, _ in page.elements) == 4
    assert "no epochs" in read(History()).text
    uneven = read(History({"<b>": [1.0, 2.0], "loss": [float("nan")]}))
    assert uneven.tables["t"][0] == ["epoch", "<b>", "loss"]
    assert uneven.tables["t"][2] == ["2", "2", ""]


def test_predictions_show_the_most_uncertain_inputs(data):
    fd.manual_seed(0)
    mc = fd.mc_predict(fd.models.mlp(6, [8], 2, dropout=0.5), data[0], 10, progress=False)
    page = read(mc)
    head, *lines = page.tables["t"]
    assert head == ["input", "class", "probability", "entropy", "mutual information"]
    order = np.argsort(-mc.entropy, kind="stable")[:10]
    assert [int(line[0]) for line in lines] == order.tolist()
    for line, n in zip(lines, order, strict=True):
        assert int(line[1]) == mc.mean[n].argmax()
        expected = [mc.mean[n].max(), mc.entropy[n], mc.mutual_information[n]]
        np.testing.assert_allclose([float(cell) for cell in line[2:]], expected, rtol=1e-3)
    assert "MCPrediction(120 inputs, 10 passes, probabilities of shape (2,))" in page.text
    mc = fd.mc_predict(fd.models.mlp(6, [8], 1, dropout=0.5), data[0], 10, progress=False)
    head, *lines = read(mc).tables["t"]
    assert head == ["input", "mean", "std"]
    assert float(lines[0][2]) == pytest.approx(mc.std.max(), rel=1e-3)
    several = fd.mc_predict(fd.models.mlp(6, [8], 3, dropout=0.5), data[0], 5, output="raw")
    assert "outputs of shape (3,)" in read(several).text and "t" not in read(several).tables


def test_calibrations_show_their_figures(data):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 80)
    found = fd.calibration(p, rng.integers(0, 3, 80))
    head, line = read(found).tables["t"]
    assert head == ["accuracy", "confidence", "ECE", "MCE", "NLL", "Brier", "area"]
    expected = [getattr(found, name.lower()) for name in head]
    np.testing.assert_allclose([float(cell) for cell in line], expected, rtol=1e-3)
    bars = [attributes for tag, attributes in read(found).elements if tag == "rect"]
    assert len(bars) == (found.bin_count > 0).sum()
    found = fd.calibration((np.zeros(50), np.ones(50)), rng.normal(size=50))
    head, line = read(found).tables["t"]
    expected = [found.error, found.nll, found.rmse, found.std]
    np.testing.assert_allclose([float(cell) for cell in line], expected, rtol=1e-3)


def test_a_search_shows_its_trials(data):
    tuning = fd.tune_rates(
        lambda rate: fd.models.mlp(6, [8], 2, dropout=rate), data, epochs=2, progress=False
    )
    page = read(tuning)
    assert [line[0].rstrip("*") for line in page.tables["t"][1:]] == [
        f"{trial.rate:g}" for trial in tuning.trials
    ]


def test_a_predictor_shows_what_it_takes(data):
    from fastdrop.data import Dataset
    from fastdrop.data.preprocessing import Preparation

    made = Preparation.fit(Dataset(*data, classes=["<no>", "yes"]))
    predictor = fd.predictor.Predictor(fd.models.mlp(6, [8], 2), made)
    page = read(predictor)
    assert page.tables["t"] == [
        ["Predictor", ""],
        ["takes", "6 numbers"],
        ["answers", "one of the classes <no>, yes"],
    ]
    assert "Linear(in_features=6" in page.text


# ---- charts ----


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 30, [10, 20, 30]),
        (-3, 4, [-2, 0, 2, 4]),
        (0, 0.07, [0, 0.02, 0.04, 0.06]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    np.testing.assert_allclose(ticks(low, high), expected, atol=1e-12)


def test_a_chart_puts_marks_in_their_places():
    chart = Chart("<c>", "x", "y", (0, 10), (0, 2), (400, 200))
    chart.line([0, 5, 10, float("nan"), 10], [0, 1, 2, 0, float("inf")], "l", dots=True)
    chart.bars([0, 5, 10], [2.0, float("nan")])
    page = Page(str(chart))
    (line,) = [a["points"] for tag, a in page.elements if tag == "polyline"]
    points = [tuple(map(float, pair.split(","))) for pair in line.split()]
    left, bottom, right, top = 54, 160, 388, 12
    assert points == [(left, bottom), ((left + right) / 2, (bottom + top) / 2), (right, top)]
    assert sum(tag == "circle" for tag, _ in page.elements) == 3
    (bar,) = [a for tag, a in page.elements if tag == "rect"]
    assert float(bar["x"]) == left and float(bar["height"]) == bottom - top
    assert float(bar["width"]) == (right - left) / 2 - 1 and "<c>" in page.text
    assert "nan" not in str(Chart("", "", "", (float("nan"), 1), (0, float("inf"))))


# ---- progress ----


class Cell:
    """The output of a notebook's cell: what IPython displays in it, and replaces."""

    def __init__(self, monkeypatch, kernel=True):
        self.shown, self.texts = [], []
        shell = types.SimpleNamespace(kernel=object() if kernel else None)
        module, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
        module.get_ipython, module.display = lambda: shell, display
        display.HTML, display.display = lambda text: text, self._display
        monkeypatch.setitem(sys.modules, "IPython", module)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def _display(self, text, display_id):
        assert display_id is True
        place = len(self.shown)
        self.shown.append(text)
        self.texts.append(text)

        def update(new):
            self.shown[place] = new
            self.texts.append(new)

        return types.SimpleNamespace(update=update)


def test_it_is_a_notebook_only_with_a_kernel(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    Cell(monkeypatch, kernel=False)  # IPython in a terminal
    assert not in_notebook()
    Cell(monkeypatch)
    assert in_notebook()
    sys.modules["IPython"].get_ipython = lambda: None
    assert not in_notebook()


def test_fit_shows_one_bar_in_a_notebook(monkeypatch, capsys, data):
    cell = Cell(monkeypatch)
    model = fd.models.mlp(6, [8], 2)
    fd.fit(model, data, epochs=3, batch_size=30)
    assert capsys.readouterr().err == "" and len(cell.shown) == 1
    assert cell.shown[0].startswith("epoch 3/3  loss ") and "<progress" not in cell.shown[0]
    assert "<progress value='0' max='12'>" in cell.texts[0]
    assert "<progress value='12' max='12'>" in cell.texts[-2] and "12/12 steps" in cell.texts[-2]
    fd.fit(model, data, epochs=1, progress=False)
    assert len(cell.shown) == 1


def test_the_bar_of_other_work_disappears(monkeypatch, capsys):
    cell = Cell(monkeypatch)
    with Meter(4, "pass") as meter:
        meter.start -= 60  # it began long ago
        meter.advance(1)
        meter.advance(3)
    assert cell.shown == [""] and capsys.readouterr().err == ""
    assert "0/4 pass" in cell.texts[0] and "4/4 pass" in cell.texts[-2]
    with Meter(4, "pass") as meter:  # work that takes no time shows nothing
        meter.advance(4)
    with Meter(4, "pass", enabled=False) as meter:
        meter.start -= 60
        meter.advance(4)
    assert cell.shown == [""]


def test_the_text_of_a_bar_is_escaped(monkeypatch):
    cell = Cell(monkeypatch)
    bar = NotebookBar(2, "<unit>", keep=True)
    bar.write("a & b")
    bar.set_description_str("<i>")
    bar.update(2)
    assert "&lt;unit&gt;" in cell.shown[0] and "&lt;i&gt;" in cell.shown[0]
    assert cell.shown[0].startswith("a &amp; b<br><progress")
    bar.close()
    assert cell.shown == ["a &amp; b<br>&lt;i&gt;"]
