"""``fastdrop train --report``: the numbers of the page, and what a browser makes of it."""

import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import cli
from fastdrop.cli import evidence, scores, table_data
from helpers.commands import read, table
from helpers.pages import Page, rendered

CLASSES = [
    "--data",
    "t.csv",
    "--hidden",
    "16",
    "--epochs",
    "15",
    "--lr",
    "0.01",
    "--dropout",
    "0.2",
]
NUMBERS = [
    "--data",
    "n.csv",
    "--hidden",
    "16",
    "--epochs",
    "15",
    "--lr",
    "0.01",
    "--dropout",
    "0.2",
]
SECTIONS = [
    "Scores on test rows",
    "Training curves",
    "Confusion matrix",
    "Calibration",
    "Uncertainty and error",
    "Most uncertain rows",
    "Importance of the columns",
]


def numbers_table(path, rows=150):
    rng = np.random.default_rng(0)
    a, b, town = rng.normal(size=rows), rng.normal(size=rows), rng.choice(["N", "S"], rows)
    y = 2e5 + 5e4 * a + 2e4 * (town == "N") + 5e3 * rng.normal(size=rows)
    lines = [f"{p:.3f},{q:.3f},{t},{v:.0f}\n" for p, q, t, v in zip(a, b, town, y)]
    path.write_text("a,b<i>,town,price\n" + "".join(lines))


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """Run ``fastdrop train`` with a report: (the page, the task, the text of the page)."""
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "t.csv", 200)
    numbers_table(tmp_path / "n.csv")

    def run(arguments, *more):
        state = fd.random.get_state()
        arguments = ["train", *arguments, "--quiet", "--report", "r.html", *more]
        assert cli.main(arguments) == 0
        assert "report: r.html" in capsys.readouterr().out
        options = cli.parser().parse_args(arguments)
        fd.manual_seed(options.seed)
        data = table_data.table_data(options)
        task = data.split(options.test_fraction) if options.folds is None else data
        fd.random.set_state(state)
        text = (tmp_path / "r.html").read_text()
        page = Page(text)
        page.check_self_contained()
        return page, task, text

    return run


def test_the_page_of_classes_has_the_numbers_of_the_test_rows(made, tmp_path):
    page, task, _ = made(CLASSES)
    assert page.headings == SECTIONS
    predictor, y = fd.load("t.safetensors"), task.test_targets
    rows = [read((tmp_path / "t.csv").read_text())[i] for i in task.rows]
    p = predictor.predict_proba(rows)
    mc = predictor.mc_predict(rows, evidence.PASSES, progress=False)
    # The scores
    for line, probabilities in zip(page.tables["scores"][2:], (p, mc.mean), strict=True):
        found = scores.class_scores(probabilities, y)
        assert line[1:] == [scores.format_score(name, found[name]) for name in scores.CLASS_SCORES]
    # The confusion matrix
    matrix = np.zeros((2, 2), int)
    np.add.at(matrix, (y, p.argmax(1)), 1)
    head, *lines = page.tables["confusion"]
    assert head == ["true class", "no", "yes", "right"]
    assert [[int(cell) for cell in line[1:3]] for line in lines] == matrix.tolist()
    assert [line[0] for line in lines] == ["no", "yes"]
    # The calibration
    for line, probabilities in zip(page.tables["calibration"][1:], (p, mc.mean), strict=True):
        found = fd.calibration(probabilities, y)
        expected = [found.confidence, found.accuracy, found.ece, found.mce, found.nll, found.brier]
        np.testing.assert_allclose([float(cell) for cell in line[1:]], expected, atol=6e-5)
    # The error of groups of rows
    groups = np.array_split(np.argsort(mc.entropy, kind="stable"), 10)
    np.testing.assert_allclose(
        page.numbers("uncertainty", "error (% of rows)"),
        [100 * np.mean(p.argmax(1)[group] != y[group]) for group in groups],
        rtol=1e-3,
    )
    assert page.numbers("uncertainty", "rows") == [len(group) for group in groups]
    np.testing.assert_allclose(
        page.numbers("uncertainty", "mean entropy (nats)"),
        [mc.entropy[group].mean() for group in groups],
        rtol=2e-3,
    )
    # The most uncertain rows, with the cells of the file
    order = np.argsort(-mc.entropy, kind="stable")[:20]
    head, *lines = page.tables["uncertain-rows"]
    assert head == ["row", "prediction", "true", "entropy", "mutual information", "colour", "size"]
    assert [int(line[0]) for line in lines] == task.rows[order].tolist()
    for line, n in zip(lines, order, strict=True):
        assert line[2] == rows[n]["label"] and line[5] == rows[n]["colour"]
        assert float(line[6]) == float(rows[n]["size"])
        assert line[1].split()[0] == ["no", "yes"][p[n].argmax()]
        np.testing.assert_allclose(float(line[3]), mc.entropy[n], atol=6e-5)
        np.testing.assert_allclose(float(line[4]), mc.mutual_information[n], atol=6e-5)
    # The importances: both columns matter, and the categories of one are permuted together.
    found = evidence.permutation_importances([(task, predictor.model)], "log_loss", 0)
    head, *lines = page.tables["importances"]
    assert head == ["column", "increase of the log loss", "standard deviation"]
    assert {line[0] for line in lines} == {"colour", "size"}
    assert [line[1:] for line in lines] == [
        [scores.plain(column.mean), scores.plain(column.std)] for column in found
    ]
    assert min(column.mean for column in found) > 0.1


def test_importances_are_the_loss_of_permuted_columns(made):
    _, task, _ = made(NUMBERS)
    model = fd.load("n.safetensors").model
    found = {c.name: c for c in evidence.permutation_importances([(task, model)], "rmse", 5)}
    generator = np.random.default_rng(5)
    x, y, places = task.test.x, task.test_targets, [("a", [0]), ("b<i>", [1]), ("town", [2, 3])]
    before = scores.number_scores(task.predictions(model, x), y)["rmse"]
    for name, part in places:
        changes = []
        for _ in range(evidence.REPEATS):
            order, changed = generator.permutation(len(x)), x.copy()
            for place in part:
                changed[:, place] = x[order, place]
            after = scores.number_scores(task.predictions(model, changed), y)["rmse"]
            changes.append(after - before)
        assert found[name].mean == pytest.approx(np.mean(changes))
        assert found[name].std == pytest.approx(np.std(changes))
    assert found["a"].mean > found["town"].mean > abs(found["b<i>"].mean)
    downwards = evidence.permutation_importances([(task, model)], "r2", 5)
    assert downwards[0].name == "a" and downwards[0].mean > 0.5


def test_the_page_of_numbers_is_in_the_targets_units(made, tmp_path):
    page, task, text = made(NUMBERS)
    assert page.headings == [s if s != "Confusion matrix" else "Predictions" for s in SECTIONS]
    predictor, y = fd.load("n.safetensors"), task.test_targets
    rows = [read((tmp_path / "n.csv").read_text())[i] for i in task.rows]
    told, mc = predictor.predict(rows), predictor.mc_predict(rows, evidence.PASSES, progress=False)
    head, base, *lines = page.tables["scores"]
    assert head == ["", "R2", "RMSE", "MAE"] and base[0].startswith("always the mean, ")
    for line, prediction in zip(lines, (told, mc.mean[:, 0]), strict=True):
        found = scores.number_scores(prediction, y)
        np.testing.assert_allclose(
            [float(cell) for cell in line[1:]], [found[n] for n in ("r2", "rmse", "mae")], rtol=1e-3
        )
        assert not any("e" in cell for cell in line[1:])
    groups = np.array_split(np.argsort(mc.std[:, 0], kind="stable"), 10)
    np.testing.assert_allclose(
        page.numbers("uncertainty", "RMSE"),
        [math.sqrt(np.mean((told - y)[group] ** 2)) for group in groups],
        rtol=1e-3,
    )
    assert "b&lt;i&gt;" in text and "<i>" not in text  # names of columns are text
    spread = page.numbers("calibration", "predicted std")[0]
    assert spread > np.sqrt(mc.variance.mean())  # the noise is in it
    # Two points for the diagonal, and one for each row.
    assert len([1 for tag, _ in page.elements if tag == "circle"]) >= len(y)


def test_a_report_of_many_samples_tells_of_a_part(made, monkeypatch):
    """Rows from the whole of the test data, evenly spaced."""
    page, _, _ = made(CLASSES)
    monkeypatch.setattr("fastdrop.cli.training_task.TrainingTask.most_reported", 14)
    part, task, _ = made(CLASSES)
    count = len(task.rows)
    assert ["test", f"14 of {count} samples, evenly spaced"] in part.tables["summary"]
    chosen = task.rows[np.linspace(0, count - 1, 14).astype(int)]
    told = {row[0]: row for row in part.tables["uncertain-rows"][1:]}
    assert sorted(map(int, told)) == sorted(chosen.tolist())
    whole = {row[0]: row for row in page.tables["uncertain-rows"][1:]}
    both = told.keys() & whole.keys()
    assert both and all(told[row][5:] == whole[row][5:] for row in both)


def test_a_network_without_dropout(made):
    page, _, _ = made(NUMBERS, "--dropout", "0", "--hidden", "4")
    assert "The network has no dropout, so it gives no intervals." in page.text
    assert "uncertain-rows" not in page.tables and len(page.tables["scores"]) == 3
    page, _, _ = made(CLASSES, "--dropout", "0", "--hidden", "4")
    assert page.tables["uncertain-rows"][0][3:5] == ["entropy", "colour"]


def test_folds_answer_each_row_once(made, tmp_path):
    page, data, _ = made(CLASSES, "--folds", "3", "--metric", "auc", "--early-stopping", "3")
    assert sum(page.numbers("uncertainty", "rows")) == 200
    rows = read((tmp_path / "t.csv").read_text())
    lines = page.tables["uncertain-rows"][1:]
    assert all(line[2] == rows[int(line[0])]["label"] for line in lines)
    assert sum(int(cell) for line in page.tables["confusion"][1:] for cell in line[1:3]) == 200
    assert page.tables["importances"][0][1] == "decrease of the AUC"
    assert len(data.data) == 200


def test_hostile_names_are_text(made, tmp_path):
    evil = "<script>alert(1)</script>"
    (tmp_path / "t.csv").write_text(
        f'"{evil}",y\n'
        + "".join(f'"{"<b>" if i % 3 else "a&b"}","{evil if i % 2 else "no"}"\n' for i in range(60))
    )
    page, _, text = made(CLASSES)
    assert "<script" not in text and evil in page.tables["confusion"][0]
    assert evil in page.tables["uncertain-rows"][0]
    assert {line[-1] for line in page.tables["uncertain-rows"][1:]} == {"<b>", "a&b"}


def test_the_demonstration_has_a_report_too(tmp_path, monkeypatch):
    pytest.importorskip("sklearn.datasets")
    monkeypatch.chdir(tmp_path)
    state = fd.random.get_state()
    assert (
        cli.main(["train", "--epochs", "1", "--hidden", "8", "--quiet", "--report", "r.html"]) == 0
    )
    fd.random.set_state(state)
    page = Page((tmp_path / "r.html").read_text())
    page.check_self_contained()
    counts = [[int(cell) for cell in line[1:-1]] for line in page.tables["confusion"][1:]]
    assert np.shape(counts) == (10, 10) and np.sum(counts) == 539
    assert len(page.tables["importances"]) == 65


@pytest.mark.parametrize("arguments", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_a_browser_shows_the_report(made, tmp_path, arguments):
    page, _, _ = made(arguments)
    document, picture = rendered(tmp_path / "r.html", tmp_path)
    assert Page(document).tables == page.tables
    assert document.count("<svg") >= 4
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"), int)
    blue = (pixels[..., 2] - pixels[..., 0] > 60).mean(1)
    # Charts and shaded cells stand in many places of the page.
    assert pixels.shape[:2] == (3000, 1000) and (blue > 0).sum() > 200
