"""``fastdrop train`` on tables: test files, groups, folds, class weights, metrics."""

import csv
import re

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import cli
from fastdrop.cli import scores, table_data
from helpers.commands import archive, read, table

QUICK = ["--hidden", "8", "--epochs", "3", "--dropout", "0.1", "--quiet"]


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Run the command in this process: (lines of standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=0):
        state = fd.random.get_state()
        try:
            assert cli.main(["train", *QUICK, *map(str, arguments)]) == status
        finally:
            fd.random.set_state(state)
        out, err = capsys.readouterr()
        assert len(err.splitlines()) == (status != 0), err
        return out.splitlines(), err

    return run


def options_of(*arguments):
    return cli.parser().parse_args(["train", *map(str, arguments)])


def row_of(lines, label):
    """The cells of the first line that begins with a label, without it."""
    line = next(line.strip() for line in lines if line.strip().startswith(label))
    return re.split(r"\s{2,}", line.removeprefix(label).strip())


def rewrite(path, change):
    """Replace the rows of a table; `change` gets each row and its number."""
    rows = read(path.read_text())
    rows = [change(dict(row), i) for i, row in enumerate(rows)]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_scores_beside_a_baseline(train, tmp_path):
    table(tmp_path / "t.csv")
    out, _ = train("--data", "t.csv", "--compare")
    begin = out.index("test data, 24 samples")
    assert out[begin + 1].split() == ["error", "balanced", "accuracy", "AUC", "log", "loss"]
    kinds = [line.split("  ")[1] for line in out[begin + 2 : begin + 5]]
    assert kinds[0].startswith("always ") and kinds[1:] == ["without dropout", "dropout 0.1"]
    # The scores are those of the saved network on the rows of the test.
    fd.manual_seed(0)
    task = table_data.table_data(options_of("--data", "t.csv")).split(0.2)
    predictor = fd.load("t.safetensors")
    rows = [read((tmp_path / "t.csv").read_text())[i] for i in task.rows]
    expected = scores.class_scores(predictor.predict_proba(rows), task.test_targets)
    assert row_of(out, "dropout 0.1") == [
        scores.format_score(name, value) for name, value in expected.items()
    ]


def test_a_test_file(train, tmp_path):
    table(tmp_path / "t.csv", 100)
    table(tmp_path / "whole.csv", 150)
    rows = read((tmp_path / "whole.csv").read_text())[100:]
    with open(tmp_path / "test.csv", "w", newline="") as file:
        # Other columns, another order.
        writer = csv.writer(file)
        writer.writerow(["label", "other", "size", "colour"])
        writer.writerows([row["label"], 7, row["size"], row["colour"]] for row in rows)
    out, _ = train("--data", "t.csv", "--test", "test.csv", "--out", "one")
    assert any("100 training samples, 50 test samples" in line for line in out)
    told = fd.load("one").predict(rows)
    error = np.mean([a != row["label"] for a, row in zip(told, rows)])
    assert row_of(out, "dropout 0.1")[0] == f"{100 * error:.2f} %"
    # A validation part comes from the training rows alone: the test file changes nothing else.
    train("--data", "t.csv", "--test", "test.csv", "--early-stopping", "3", "--out", "two")
    train("--data", "t.csv", "--test", "t.csv", "--early-stopping", "3", "--out", "three", status=2)
    (tmp_path / "copy.csv").write_bytes((tmp_path / "t.csv").read_bytes())
    train("--data", "t.csv", "--test", "copy.csv", "--early-stopping", "3", "--out", "three")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour,size\nred,0.5\n", "no column 'label', the target"),
        ("colour,size,label\nred,0.5,perhaps\n", "the class 'perhaps' did not occur"),
        ("colour,size,label\npink,0.5,yes\n", "line 2, column 1: the category 'pink'"),
        ("colour,size,label\nred,0.5,\n", "line 2: the target, column 3 ('label'), is missing"),
        ("colour,size,label\n", "holds no line of data"),
        ("red,0.5\n", "must have 3 columns, with the target, got 2"),
    ],
)
def test_wrong_test_files(train, tmp_path, text, words):
    table(tmp_path / "t.csv", 60)
    (tmp_path / "wrong.csv").write_text(text)
    _, err = train("--data", "t.csv", "--test", "wrong.csv", status=2)
    assert words in err and "'wrong.csv'" in err


def test_a_test_file_without_names_and_classes_with_a_point(train, tmp_path):
    """As the files adult.data and adult.test of the census data."""
    table(tmp_path / "t.csv", 80)
    lines = (tmp_path / "t.csv").read_text().splitlines()[1:]
    (tmp_path / "a.data").write_text("\n".join(lines[:50]) + "\n")
    (tmp_path / "a.csv").write_text("".join(f"{line}.\n" for line in lines[50:]))
    out, _ = train("--data", "a.data", "--test", "a.csv")
    assert any("50 training samples, 30 test samples" in line for line in out)


def test_archives_for_the_test(train, tmp_path):
    archive(tmp_path / "a.npz")
    held = np.load(tmp_path / "a.npz")
    np.savez(tmp_path / "train.npz", x=held["x_train"], y=held["y_train"])
    np.savez(tmp_path / "test.npz", x=held["x_test"], y=held["y_test"])
    one, _ = train("--data", "a.npz", "--out", "one")
    two, _ = train("--data", "train.npz", "--test", "test.npz", "--out", "two")
    assert row_of(one, "dropout 0.1") == row_of(two, "dropout 0.1")
    _, err = train("--data", "a.npz", "--test", "test.npz", status=2)
    assert "--test must be left out: 'a.npz' holds test data" in err
    table(tmp_path / "t.csv", 60)
    _, err = train("--data", "t.csv", "--test", "test.npz", status=2)
    assert "must be files of the same kind" in err


def with_groups(path, rows=120):
    """A table with a column "person" of 12 people of 10 rows each."""
    table(path, rows)
    rewrite(path, lambda row, i: {"person": f"p{i % 12}", **row})


def test_groups_stay_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_groups(tmp_path / "t.csv")
    options = options_of("--data", "t.csv", "--group", "person", "--validation", "0.25")
    fd.manual_seed(3)
    data = table_data.table_data(options)
    people = np.array([row["person"] for row in read((tmp_path / "t.csv").read_text())])
    task = data.split(0.25)
    held = set(people[task.rows])
    others = set(np.delete(people, task.rows))
    assert len(held) == 3 and not held & others and len(task.train) == 90
    assert task.preparation.features == 4  # the group is no input
    options.class_weight = None
    train, validation = task.parts(options)
    x = {tuple(row) for row in validation.x.tolist()}
    assert len(validation) in (20, 30) and len(train) + len(validation) == 90
    assert not x & {tuple(row) for row in train.x.tolist()}
    known = np.delete(people, task.rows)
    inside = np.isin(
        np.arange(90), [i for i, row in enumerate(task.train.x.tolist()) if tuple(row) in x]
    )
    assert not set(known[inside]) & set(known[~inside])


@pytest.mark.parametrize("count", [3, 5])
def test_folds_hold_each_row_once(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    with_groups(tmp_path / "t.csv")
    fd.manual_seed(1)
    data = table_data.table_data(options_of("--data", "t.csv", "--ignore", "person"))
    tasks = list(data.folds(count))
    rows = np.concatenate([task.rows for task in tasks])
    np.testing.assert_array_equal(np.sort(rows), np.arange(120))
    shares = [np.bincount(task.test_targets, minlength=2) for task in tasks]
    assert np.ptp(shares, axis=0).max() <= 1  # the same shares of the classes
    for task in tasks:
        np.testing.assert_array_equal(task.raw_test.x, data.data.x[task.rows])
        assert len(task.train) == 120 - len(task.test)
    data = table_data.table_data(options_of("--data", "t.csv", "--group", "person"))
    people = np.array([row["person"] for row in read((tmp_path / "t.csv").read_text())])
    held = [set(people[task.rows]) for task in data.folds(count)]
    assert sum(map(len, held)) == 12 and set().union(*held) == set(people)


def test_missing_values_are_filled_from_the_training_rows_of_each_fold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [
        f"{'' if i % 9 == 0 else v:},{'ab'[i % 2]}" for i, v in enumerate(rng.integers(0, 99, 60))
    ]
    (tmp_path / "t.csv").write_text("v,y\n" + "\n".join(lines) + "\n")
    data = table_data.table_data(options_of("--data", "t.csv"))
    whole = data.data.x.copy()
    for task in data.folds(3):
        known = np.delete(whole, task.rows, 0)
        median = np.median(known[known[:, 1] == 0, 0])
        missing = task.raw_test.x[:, 1] == 1
        assert missing.any() and (task.raw_test.x[missing, 0] == median).all()
    np.testing.assert_array_equal(data.data.x, whole)


def test_cross_validation(train, tmp_path):
    table(tmp_path / "t.csv")
    out, _ = train("--data", "t.csv", "--folds", "4", "--metric", "auc", "--test-fraction", "0.5")
    assert any("120 training samples, network 4-8-2" in line for line in out)
    begin = out.index("4 folds, mean (standard deviation of auc)")
    assert out[begin + 1].split()[0] == "AUC*" and out[begin + 2].strip().startswith("always")
    # The numbers are the means of networks trained on the folds, from the same seed.
    options = options_of(*QUICK, "--data", "t.csv", "--metric", "auc")
    options.__dict__.update(
        hidden=[8], activation="relu", optimizer="adam", batch_size=64, weight_decay=0.0, warmup=0.0
    )
    fd.manual_seed(0)
    found = []
    for task in table_data.table_data(options).folds(4):
        model, _ = task.learn(0.1, 0, options)
        found.append(task.scores(model)["auc"])
    cells = row_of(out, "dropout 0.1")
    assert cells[0] == f"{np.mean(found):.4f}"
    assert cells[-1] == f"({np.std(found, ddof=1):.4f})"
    # The model is that of all rows.
    everything = table_data.table_data(options).whole()
    model, _ = everything.learn(0.1, 0, options)
    saved = fd.load("t.safetensors").model.state_dict()
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, saved[key])


def test_balanced_classes(train, tmp_path):
    """With 4 % of one class a network answers with the other, unless classes are balanced."""
    rng = np.random.default_rng(0)
    y = rng.random(500) < 0.04
    x = rng.normal(size=500) + 1.5 * y
    (tmp_path / "t.csv").write_text(
        "x,y\n" + "".join(f"{a:.4f},{'ny'[b]}\n" for a, b in zip(x, y.astype(int)))
    )
    options = ["--data", "t.csv", "--epochs", "20", "--lr", "0.01", "--metric", "balanced_accuracy"]
    plain, _ = train(*options)
    balanced, _ = train(*options, "--class-weight", "balanced", "--label-smoothing", "0.05")
    given, _ = train(*options, "--class-weight", '{"n": 0.5, "y": 12.5}')
    accuracy = [
        float(row_of(out, "dropout 0.1")[0].split("%")[0]) for out in (plain, balanced, given)
    ]
    assert accuracy[0] < 65 and accuracy[1] > 70 and accuracy[2] > 70


def test_early_stopping_by_a_metric(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "t.csv")
    options = options_of("--data", "t.csv", *QUICK, "--early-stopping", "2", "--validation", "0.2")
    options.__dict__.update(
        hidden=[8],
        activation="relu",
        optimizer="adam",
        batch_size=16,
        weight_decay=0.0,
        warmup=0.0,
        epochs=12,
    )
    task = table_data.table_data(options).split(0.2)
    for metric, figure, best in (
        ("auc", "val_auc", np.argmax),
        ("log_loss", "val_log_loss", np.argmin),
        ("error", "val_accuracy", np.argmax),
    ):
        options.metric = metric
        _, history = task.learn(0.1, 0, options)
        assert history.best_epoch == best(history[figure]) + 1, metric


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--metric", "rmse"],
            "--metric must be error, balanced_accuracy, auc, log_loss for classes",
        ),
        (
            ["--task", "regression", "--target", "size", "--metric", "auc"],
            "--metric must be r2, rmse",
        ),
        (["--target", "size", "--class-weight", "balanced"], "--class-weight is for classes"),
        (["--folds", "1"], "--folds must be at least 2, got 1"),
        (["--folds", "200"], "--folds must be at most the 60 rows"),
        (["--folds", "3", "--checkpoint", "c"], "--checkpoint is for a single run"),
        (["--group", "smell"], "got 'smell'"),
        (["--group", "label"], "--group must be another column than the target, got 'label'"),
        (["--group", "2"], "--group must be another column than the target, got '2'"),
        (["--report", "r.pdf"], "--report must end in .html, got 'r.pdf'"),
        (["--report", "no/r.html"], "no folder 'no'"),
        (["--class-weight", "maybe=2"], "--class-weight must name classes of no, yes, got 'maybe'"),
        (["--class-weight", "balanced", "--mixup", "0.2"], "mixup must be 0 together with"),
    ],
)
def test_wrong_options(train, tmp_path, arguments, words):
    table(tmp_path / "t.csv", 60)
    _, err = train("--data", "t.csv", *arguments, status=2)
    assert words in err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("sheet.xlsx", "", "got 'sheet.xlsx' (save the sheet as CSV)"),
        ("t.csv", "a,y\n1,0.5\n2,0.5\n3,0.5\n", "two different values of the target, got 0.5"),
    ],
)
def test_files_that_nothing_is_learned_from(train, tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    _, err = train("--data", name, status=2)
    assert words in err


def test_options_of_tables_are_refused_elsewhere(train, tmp_path):
    (tmp_path / "t.txt").write_text("to be or not to be\n" * 50)
    _, err = train("--data", "t.txt", "--model", "lstm", "--folds", "3", status=2)
    assert "--folds is for tables, not for images, texts or series" in err
    for name in ("--test", "--group"):
        assert f"{name} is for --data FILE" in train(name, "t.txt", status=2)[1]
    archive(tmp_path / "a.npz")
    _, err = train("--data", "a.npz", "--group", "0", status=2)
    assert "--group is for tables with a column of groups" in err


@pytest.mark.parametrize("quote", ["'", '"""'])
def test_quotes_around_classes_are_no_part_of_them(train, tmp_path, quote):
    """As in mammography.csv, which was made from an ARFF file."""
    rows = "".join(f"{i % 7},{quote}{('-1', '1')[i % 2]}{quote}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(rows)
    out, _ = train("--data", "t.csv")
    assert fd.load("t.safetensors").classes == [-1, 1]
    assert any(line.strip().startswith(("always -1", "always 1")) for line in out)
    (tmp_path / "t.csv").write_text(rows.replace("-1", "it's").replace(quote, "", 1))
    train("--data", "t.csv")  # not all of them are quoted: the quotes stay
    assert any(quote[0] in str(label) for label in fd.load("t.safetensors").classes)
