"""Prepared models: raw rows in any form, answers in labels and in the units of the target."""

import decimal
import types

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn
from fastdrop.cli import main
from fastdrop.data import Standardizer, Vocabulary
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.text_preprocessing import TextPreparation
from fastdrop.predictor import Predictor

MEAN, SCALE = 3.0e6, 2.0e5  # of the target
COLUMNS = {
    "kind": "csv",
    "names": ["id", "size", "colour", "price"],
    "width": 4,
    "target": 3,
    "features": [{"place": 1, "values": None}, {"place": 2, "values": ["blue", "red"]}],
}


def regression(names=True):
    """A known function: price = MEAN + SCALE * ((size - 100) / 10 + 2 * red - blue)."""
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.0))
    model[0].weight.data[...] = [[1, -1, 2]]
    model[0].bias.data[...] = 0
    inputs = Standardizer(np.array([100.0, 0, 0]), np.array([10.0, 1, 1]))
    origin = COLUMNS | ({} if names else {"names": None})
    return Predictor(model, Preparation(3, origin, inputs, None, Standardizer(MEAN, SCALE)))


def price(size, colour):
    return MEAN + SCALE * ((size - 100) / 10 + (2 if colour == "red" else -1))


ROWS = [(110.0, "red"), (80.0, "blue"), (105.0, "blue")]
PRICES = [price(*row) for row in ROWS]


def forms():
    """The rows in all forms that people have."""
    sizes, colours = [row[0] for row in ROWS], [row[1] for row in ROWS]
    yield "inputs alone", [list(row) for row in ROWS]
    yield "tuples", list(ROWS)
    yield "without the target", [[i, *row] for i, row in enumerate(ROWS)]
    yield "with the target", [[i, *row, 0.0] for i, row in enumerate(ROWS)]
    yield "objects", np.array([list(row) for row in ROWS], object)
    yield "texts", np.array([[str(size), colour] for size, colour in ROWS])
    yield "dict of columns", {"colour": colours, "unused": [None] * 3, "size": np.array(sizes)}
    yield "list of dicts", [{"colour": colour, "size": size} for size, colour in ROWS]
    yield "named fields", np.array(ROWS, [("size", "f8"), ("colour", "U4")])
    yield "decimals", [[decimal.Decimal(str(size)), colour] for size, colour in ROWS]
    yield (
        "rows of a library",
        types.SimpleNamespace(
            to_dicts=lambda: [{"size": size, "colour": colour} for size, colour in ROWS]
        ),
    )


@pytest.mark.parametrize("form", [name for name, _ in forms()])
def test_rows_in_any_form(form):
    rows = dict(forms())[form]
    found = regression().predict(rows)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, PRICES, rtol=1e-6)
    np.testing.assert_allclose(fd.predict(regression(), rows, 2), PRICES, rtol=1e-6)
    if form not in ("dict of columns", "list of dicts", "named fields", "rows of a library"):
        np.testing.assert_allclose(regression(names=False).predict(rows), PRICES, rtol=1e-6)


def test_tables_of_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"colour": ["red", "blue", "blue"], "size": [110, 80, 105], "x": [1, 2, 3]}
    )
    for table in (
        frame,
        frame[["size", "colour"]],
        frame.astype({"size": "Int64", "colour": "string"}),
        frame.astype({"size": "float32", "colour": "category"}),
        pd.DataFrame([list(row) for row in ROWS]),  # columns 0 and 1
        frame.set_index("x"),
    ):
        np.testing.assert_allclose(regression().predict(table), PRICES, rtol=1e-6)
    assert regression().predict(frame.iloc[1]).tolist() == pytest.approx(PRICES[1:2])
    assert regression().predict(frame[:0]).shape == (0,)
    with pytest.raises(ValueError, match="no column 'size'"):
        regression().predict(frame[["colour"]])
    with pytest.raises(ValueError, match=r"row 1 \(from 0\), column 'size'.*missing"):
        regression().predict(frame.assign(size=[1.0, None, 2.0]))
    doubled = pd.concat([frame, frame[["size"]]], axis=1)
    with pytest.raises(ValueError, match="'size' occurs twice"):
        regression().predict(doubled)


def test_tables_as_people_have_them(tmp_path, monkeypatch):
    """Missing values, flags, dates: the same answers as the command line, for rows in any form."""
    pd = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.uniform(50, 200, 60).round(1),
            "rooms": rng.integers(0, 9, 60).astype(float),
            "flag": rng.random(60) > 0.5,
            "colour": rng.choice(["red", "blue", None], 60),
            "day": pd.date_range("2020-01-01", periods=60),
        }
    )
    frame.loc[5:20, "rooms"] = np.nan
    frame["price"] = 1000 * frame["size"] + 5e4 * frame["flag"]
    frame.to_csv("point.csv", index=False)
    frame.to_csv("comma.csv", index=False, sep=";", decimal=",")
    options = ["--target", "price", "--epochs", "2", "--hidden", "4", "--quiet"]
    for name in ("point.csv", "comma.csv"):
        assert main(["train", "--data", name, *options, "--out", "m.safetensors"]) == 0
        assert main(["predict", "m.safetensors", name, "--out", "o.npz"]) == 0
        predictor, expected = fd.load("m.safetensors"), np.load("o.npz")["prediction"]
        for rows in (
            frame,
            frame.drop(columns="price"),
            frame.convert_dtypes(),
            frame.astype(object),
            frame.to_dict("records"),
            {column: frame[column] for column in frame},
            frame.to_numpy(object),
        ):
            np.testing.assert_allclose(predictor.predict(rows), expected, rtol=1e-12)


def test_data_sets_are_encoded_already(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"{i},{'red' if i % 2 else 'blue'},{i}" for i in range(20)]
    path.write_text("\n".join(["size,colour,price", *lines]))
    train = fd.data.load_csv(path, task="regression")
    predictor = Predictor(nn.Linear(3, 1), Preparation.fit(train))
    rows = [[i, "red" if i % 2 else "blue"] for i in range(20)]
    np.testing.assert_array_equal(predictor.samples(train), predictor.samples(rows))
    path.write_text("\n".join(["size,colour,price", *lines]).replace("blue", "zebra"))
    with pytest.raises(ValueError, match="encoded otherwise"):
        predictor.predict(fd.data.load_csv(path, task="regression"))


def test_rows_without_a_table_behind():
    predictor = classifier()
    expected = predictor.predict_proba(X)
    for rows in (X.tolist(), X.astype(object), X.astype(">f8"), X.astype(int), fd.tensor(X)):
        np.testing.assert_allclose(predictor.predict_proba(rows), expected, rtol=1e-5)
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(predictor.predict_proba(torch.tensor(X)), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="row 0: expected a number"):
        predictor.predict(np.array([["a", 1]], object))
    with pytest.raises(ValueError, match="finite"):
        predictor.predict(np.array([[None, 1]], object))
    with pytest.raises(ValueError, match="samples of 2 numbers"):
        predictor.predict([[1, 2, 3]])


def test_functions_of_networks_say_where_the_network_is():
    with pytest.raises(TypeError, match=r"Predictor\) \(its attribute 'model' is one\)"):
        fd.evaluate(classifier(), (X, np.array([0, 1, 2])))


def test_one_row():
    for row in ({"size": 110, "colour": "red"}, {"colour": "red", "size": "110"}):
        assert regression().predict(row).tolist() == pytest.approx(PRICES[:1])
        assert regression().predict([row]).tolist() == pytest.approx(PRICES[:1])


BAD_ROWS = {
    "an unknown category": ([[1, "red"], [2, "pink"]], "row 1 .*'colour': the category 'pink'"),
    "no number": ({"size": ["1", "x"], "colour": ["red", "red"]}, "row 1 .*'size'.*got 'x'"),
    "infinity": ([[np.inf, "red"]], "row 0 .*'size': expected a finite number"),
    "a missing value": ([[None, "red"]], "row 0 .*missing value"),
    "a list in a cell": ([{"size": [1], "colour": "red"}], "expected a number or text"),
    "a missing name": ([{"size": 1, "colour": "red"}, {"size": 1}], "row 1: 'colour' is missing"),
    "no such column": ({"size": [1]}, "rows have no column 'colour'; they have size"),
    "unequal columns": ({"size": [1, 2], "colour": ["red"]}, "equal lengths, got size: 2"),
    "a value beside columns": ({"size": [1, 2], "colour": "red"}, "colour: one value"),
    "another width": ([[1, 2, 3, 4, "red"]], r"must have 2 columns \(size, colour\), got 5"),
    "unequal rows": ([[1, "red"], [2]], "same number of fields"),
    "one dimension": ([1.0, 2.0], "2 dimensions"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_rows_that_do_not_fit(case):
    rows, words = BAD_ROWS[case]
    for call in (regression().predict, regression().samples):
        with pytest.raises(ValueError, match=words):
            call(rows)


def test_names_that_the_model_does_not_know():
    for rows in ({"size": [1], "colour": ["red"]}, [{"size": 1, "colour": "red"}]):
        with pytest.raises(ValueError, match="by position, not by name"):
            regression(names=False).predict(rows)
    with pytest.raises(TypeError, match="sparse"):
        regression().predict(types.SimpleNamespace(toarray=None, nnz=3))


def classifier(labels=("no", "yes", "perhaps")):
    fd.manual_seed(3)
    inputs = Standardizer([10.0, 20.0], [2.0, 4.0])
    return Predictor(
        models.mlp(2, (8,), 3, dropout=0.5), Preparation(2, None, inputs, list(labels))
    )


X = np.array([[10.0, 21], [14, 13], [9, 30]])


@pytest.mark.parametrize("labels", [("no", "yes", "x"), (3, 1, 2), (1.5, 2.0, 0.5)])
def test_labels_and_probabilities(labels):
    predictor = classifier(labels)
    outputs = predictor.model.eval()(((X - [10, 20]) / [2, 4]).astype(np.float32)).data
    expected = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    np.testing.assert_allclose(predictor.predict_proba(X), expected, rtol=1e-5)
    assert predictor.predict(X).tolist() == [labels[i] for i in expected.argmax(1)]
    assert predictor.predict(X[0:0]).shape == (0,)
    assert predictor.classes == list(labels) and predictor.feature_names is None
    mc = predictor.mc_predict(X, 20, seed=4)
    direct = fd.mc_predict(predictor.model, predictor.samples(X), 20, 4, output="softmax")
    np.testing.assert_array_equal(mc.mean, direct.mean)
    np.testing.assert_array_equal(fd.mc_predict(predictor, X, 20, 4).entropy, direct.entropy)
    with pytest.raises(ValueError, match="for classes"):
        regression().predict_proba([[1, "red"]])


def test_passes_in_the_units_of_the_target():
    predictor = regression()
    predictor.model.append(nn.Dropout(0.5))
    mc = predictor.mc_predict(ROWS, 40, seed=1, keep=True, tau=0.25)
    assert mc.mean.shape == (3, 1) and mc.tau == 0.25
    raw = fd.mc_predict(predictor.model, predictor.samples(ROWS), 40, 1, output="raw")
    np.testing.assert_allclose(mc.mean, raw.mean * SCALE + MEAN, rtol=1e-6)
    np.testing.assert_allclose(mc.std, raw.std * SCALE, rtol=1e-6)
    same = fd.mc_predict(predictor, ROWS, samples=40, seed=1)
    np.testing.assert_array_equal(same.mean, mc.mean)
    many = predictor.mc_predict(ROWS, 10, tolerance=0.2 * SCALE, progress=False)
    assert many.counts.max() > 10
    with pytest.raises(ValueError, match="tolerance"):
        predictor.mc_predict(ROWS, 10, tolerance=-1)


def test_several_targets():
    target = Standardizer([100.0, -5.0], [10.0, 2.0])
    predictor = Predictor(nn.Linear(2, 2), Preparation(2, None, None, None, target))
    outputs = fd.predict(predictor.model, X)
    np.testing.assert_allclose(predictor.predict(X), outputs * [10, 2] + [100, -5], rtol=1e-6)


def test_outputs_that_are_not_finite_are_an_error():
    predictor = regression()
    predictor.model[0].bias.data[...] = np.nan
    with pytest.raises(ValueError, match=r"sample 0 \(from 0\) is not finite"):
        predictor.predict(ROWS)


def test_save_and_load(tmp_path):
    for predictor, rows in ((regression(), ROWS), (classifier(), X)):
        predictor.save(tmp_path / "m")
        again = fd.load(tmp_path / "m")
        assert type(again) is Predictor and repr(again) == repr(predictor)
        np.testing.assert_array_equal(again.predict(rows), predictor.predict(rows))
        assert isinstance(fd.io.load(tmp_path / "m"), nn.Module)  # the network alone
        filled = fd.load(tmp_path / "m", model=predictor.model)
        assert filled is predictor.model
    with pytest.raises(ValueError, match="info must be left out"):
        fd.save(classifier(), tmp_path / "m", info=1)
    assert "takes: size, colour" in repr(regression()) and "no, yes" in repr(classifier())


def test_other_information_is_no_preparation(tmp_path):
    for info in (None, {"classes": ["a", "b"]}, {"features": 3}, [1]):
        fd.save(nn.Linear(3, 2), tmp_path / "m", info=info)
        assert isinstance(fd.load(tmp_path / "m"), nn.Linear)
    prepared = Preparation(3, None, None, ["a", "b", "c"]).to_dict()
    fd.save(nn.Linear(3, 2), tmp_path / "m", info=prepared)
    with pytest.raises(ValueError, match="must give 3 numbers"):
        fd.load(tmp_path / "m")
    fd.save(nn.Linear(3, 2), tmp_path / "m", info=prepared | {"classes": 3})
    with pytest.raises(ValueError, match="does not say how its samples are prepared"):
        fd.load(tmp_path / "m")
    with pytest.raises(TypeError, match="preparation must be a Preparation"):
        Predictor(nn.Linear(3, 2), None)
    with pytest.raises(TypeError, match="model must be a Module"):
        Predictor(None, Preparation(3))


def test_the_command_line_gives_the_same_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a, b = rng.uniform(50, 200, 90), rng.choice(["red", "blue"], 90)
    y = 3000 * a + 20_000 * (b == "red")
    lines = [f"{p},{q},{r}" for p, q, r in zip(a, b, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]))
    options = ["--epochs", "3", "--hidden", "8", "--out", "m.safetensors", "--quiet"]
    assert main(["train", "--data", "t.csv", *options]) == 0
    assert main(["predict", "m.safetensors", "t.csv", "--out", "o.npz"]) == 0
    predictor = fd.load("m.safetensors")
    found = predictor.predict({"b": b, "a": a})
    np.testing.assert_allclose(found, np.load("o.npz")["prediction"], rtol=1e-12)
    assert main(["predict", "m.safetensors", "t.csv", "--mc", "5", "--out", "o.npz"]) == 0
    mc = predictor.mc_predict([[p, q] for p, q in zip(a, b, strict=True)], 5)
    np.testing.assert_allclose(mc.std[:, 0], np.load("o.npz")["std"], rtol=1e-6)


def test_few_long_texts_are_computed_at_a_time(monkeypatch):
    """So that the memory is bounded; the answers, random ones included, do not depend on it."""
    words = Vocabulary(["<pad>", "<unk>", "good", "bad"])
    fd.manual_seed(0)
    model = models.bert(4, 8, 1, 2, type_vocab_size=0, num_classes=2, dropout=0.5, padding_idx=0)
    predictor = Predictor(model, TextPreparation(words, ["no", "yes"]))
    texts = ["good", "bad bad bad bad", "bad good", "good", "bad"]
    sizes, forward = [], type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, x: sizes.append(np.shape(x)) or forward(self, x)
    )
    found = []
    for tokens in (1 << 16, 8):
        monkeypatch.setattr("fastdrop.predictor.predictor._TOKENS", tokens)
        mc = predictor.mc_predict(texts, 3)
        assert (predictor.predict(texts) == predictor.predict(texts, batch_size=1)).all()
        found.append((predictor.predict_proba(texts), mc.mean, mc.mutual_information))
        assert max(rows for rows, _ in sizes) == (5 if tokens > 8 else 3)
        assert max(rows * width for rows, width in sizes) <= tokens
        sizes.clear()
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_texts_are_computed_by_length(monkeypatch):
    """A batch is as wide as its longest text, and the answers are in the order of the texts."""
    words = Vocabulary(["<pad>", "<unk>", "good", "bad"])
    fd.manual_seed(0)
    model = models.bert(4, 8, 1, 2, type_vocab_size=0, num_classes=2, padding_idx=0)
    predictor = Predictor(model, TextPreparation(words, ["no", "yes"]))
    texts = ["good", "bad good bad bad", "bad good", "good", "bad bad good bad"]
    alone = np.concatenate([predictor.predict_proba(text) for text in texts])
    sizes, forward = [], type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, x: sizes.append(np.shape(x)) or forward(self, x)
    )
    np.testing.assert_allclose(predictor.predict_proba(texts, batch_size=2), alone, atol=1e-6)
    assert sizes == [(2, 4), (2, 2), (1, 1)]
    assert predictor.predict_proba([]).shape == (0, 2)
