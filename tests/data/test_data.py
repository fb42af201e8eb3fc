"""Data sets, batches, splits, standardisation, and reading tables and archives."""

import gzip
import io
import zipfile

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import Dataset, Standardizer, batches, load_csv, load_npz, split
from fastdrop.data.readers.columns import RowEncoder
from fastdrop.data.readers.rows import csv_rows
from fastdrop.data.readers.source import Lines, Source


def numbered(n=10):
    return np.arange(n * 3, dtype=np.float32).reshape(n, 3), np.arange(n)


def test_every_epoch_visits_all_samples_in_a_new_order():
    fd.manual_seed(3)
    x, y = numbered()
    loader = batches(x, y, 4)
    epochs = []
    for _ in range(2):
        pieces = list(loader)
        assert [len(xb) for xb, _ in pieces] == [4, 4, 2] and len(loader) == 3
        order = np.concatenate([yb for _, yb in pieces])
        np.testing.assert_array_equal(np.concatenate([xb for xb, _ in pieces]), x[order])
        assert sorted(order) == list(range(10))
        epochs.append(order)
    assert (epochs[0] != epochs[1]).any()
    fd.manual_seed(3)
    np.testing.assert_array_equal(np.concatenate([yb for _, yb in batches(x, y, 4)]), epochs[0])


def test_batches_without_shuffling_are_views():
    x, y = numbered()
    pieces = list(batches(x, y, 4, shuffle=False, drop_last=True))
    assert len(pieces) == 2 and np.shares_memory(pieces[0][0], x)
    assert [xb.shape for xb in batches(x, batch_size=20)] == [(10, 3)]


def test_batches_reuse_memory_only_when_asked():
    x, y = numbered()
    kept = list(batches(x, y, 5))
    assert not np.shares_memory(kept[0][0], kept[1][0])
    reused = list(batches(x, y, 5, reuse=True))
    assert np.shares_memory(reused[0][0], reused[1][0])


def test_an_epoch_continues_in_the_middle():
    x, y = numbered()
    loader = batches(x, y, 3)
    order = loader.new_order()
    whole = [yb.copy() for _, yb in loader.epoch(order)]
    rest = [yb.copy() for _, yb in loader.epoch(order, start=2)]
    assert len(rest) == 2 and all((a == b).all() for a, b in zip(whole[2:], rest))


def test_kinds_of_input():
    x, y = numbered()
    xb, yb = next(iter(batches(x.astype(np.float64)[:, ::-1], y.astype(np.uint8), 4)))
    assert xb.dtype == np.float32 and xb.flags.c_contiguous and yb.dtype == np.int64
    assert next(iter(batches(fd.tensor(x), y / 2, 4)))[1].dtype == np.float32


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((np.ones((3, 2)), np.ones(2)), ValueError, "y must have one row"),
        ((np.array(["a"]),), TypeError, "x must hold real numbers"),
        ((np.ones((3, 2), bool),), TypeError, "x must hold real numbers"),
        ((np.float32(1),), ValueError, "x must have at least 1 dimension"),
        ((np.array([[1.0], [np.nan]]),), ValueError, r"x must be finite.*row 1"),
        ((np.ones((2, 1)), np.array([1.0, np.inf])), ValueError, r"y must be finite.*row 1"),
        ((np.ones((2, 1)), np.array([-1, 0])), ValueError, "class numbers from 0"),
        ((np.ones((2, 1)), np.array([[1], [0]])), ValueError, "y must have 1 dimension"),
        ((np.ones((2, 1)), np.array([2, 0]), ["a", "b"]), ValueError, "from 0 to 1"),
        ((np.ones((2, 1)), np.array([0.5, 0]), ["a", "b"]), ValueError, "classes"),
    ],
)
def test_dataset_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        Dataset(*arguments)


@pytest.mark.parametrize(
    "keywords, error",
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.0}, TypeError),
        ({"shuffle": 1}, TypeError),
        ({"drop_last": "no"}, TypeError),
        ({"batch_size": 11, "drop_last": True}, ValueError),
    ],
)
def test_batches_refuse(keywords, error):
    with pytest.raises(error, match=next(iter(keywords))):
        batches(*numbered(), **keywords)


def test_split():
    fd.manual_seed(0)
    x, y = numbered(20)
    rest, part = split((x, y), 0.25)
    assert len(rest) == 15 and len(part) == 5
    assert sorted([*rest.y, *part.y]) == list(range(20))
    np.testing.assert_array_equal(part.x, x[part.y])
    fd.manual_seed(0)
    np.testing.assert_array_equal(Dataset(x, y).split(0.25)[1].y, part.y)
    assert [len(s) for s in split((x[:2], y[:2]), 0.9)] == [1, 1]
    for fraction in (0, 1, float("nan"), "x"):
        with pytest.raises((ValueError, TypeError), match="fraction"):
            split((x, y), fraction)
    with pytest.raises(ValueError, match="at least two"):
        split((x[:1], y[:1]), 0.5)


def test_standardizer():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (20_000, 4)) * [1, 10, 0, 1e-3] + [0, 0, 0.1, 1e6]
    s = Standardizer.fit(x)
    np.testing.assert_allclose(s.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(s.scale, [*x.std(0)[:2], 1, x.std(0)[3]], rtol=1e-9)
    z = s.transform(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(
        z.mean(0, dtype=np.float64), 0, atol=1e-6
    )  # the last column too: float64 until the end
    np.testing.assert_allclose(z[:, [0, 1, 3]].std(0, dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_array_equal(z[:, 2], 0)
    np.testing.assert_allclose(s.inverse_transform(z), x, rtol=1e-6, atol=1e-5)
    again = Standardizer.from_dict(s.to_dict())
    assert again.mean.tobytes() == s.mean.tobytes() and again.scale.tobytes() == s.scale.tobytes()
    one = Standardizer.fit(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(one.transform(np.array([2.0, 3.0])), [0, 1])


@pytest.mark.parametrize("unit", [1e300, 1e39, 1e-300, 1e-320])
def test_standardizer_of_numbers_whose_squares_are_none(unit):
    x = np.arange(-2.0, 3.0)
    s = Standardizer.fit(unit * x)
    np.testing.assert_allclose(
        s.transform(unit * x), x / np.sqrt(2), rtol=1e-3, atol=1e-9
    )  # 1e-320 has three digits itself
    weighted = Standardizer.fit(unit * x, np.array([1, 0, 0, 0, 3.0]))
    np.testing.assert_allclose(weighted.mean, unit, rtol=1e-3)
    np.testing.assert_allclose(weighted.scale, unit * np.sqrt(3), rtol=1e-3)


def test_standardizer_refuses():
    with pytest.raises(ValueError, match="a mean and a variance that float64 can hold"):
        Standardizer.fit(np.array([-1.7e308, 1.7e308, 1.7e308, 1.7e308]))
    with pytest.raises(ValueError, match="x must hold at least one"):
        Standardizer.fit(np.ones((0, 3)))
    with pytest.raises(ValueError, match=r"x must have samples of shape \(2,\)"):
        Standardizer.fit(np.ones((3, 2))).transform(np.ones((3, 3)))
    with pytest.raises(ValueError, match="scale"):
        Standardizer(0.0, 0.0)
    with pytest.raises(ValueError, match="finite"):
        Standardizer.fit(np.array([[np.inf]]))


# ---- archives ----


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    x, y = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.array(list("ababba"))
    np.savez(path, x_train=x, y_train=y, x_test=x[:2], y_test=y[1:3, None])
    train, test = load_npz(path, flatten=True)
    np.testing.assert_array_equal(train.x, (x.reshape(6, 4) / 255).astype(np.float32))
    assert (
        train.classes == ["a", "b"]
        and train.y.tolist() == [0, 1, 0, 1, 1, 0]
        and test.y.tolist() == [1, 0]
    )
    assert load_npz(path)[0].x.shape == (6, 2, 2)
    np.savez(path, x=x.astype(np.float64), y=np.arange(6))
    train, test = load_npz(path, task="regression")
    assert test is None and train.x.dtype == np.float64 and train.y.dtype == np.float64
    assert load_npz(path)[0].is_classification
    np.savez(
        path, x_train=x, y_train=np.array([b"a", b"\xc3\xa4"] * 3), x_test=x[:2], y_test=["ä", "a"]
    )
    train, test = load_npz(path)
    assert train.classes == ["a", "ä"] and test.y.tolist() == [1, 0]  # bytes are UTF-8 text


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"a": np.ones(2)}, "it holds a"),
        (
            {"x_train": np.ones((2, 1)), "y_train": np.ones(2), "x_test": np.ones((2, 1))},
            "must hold arrays",
        ),
        ({"x": np.ones((2, 1)), "y": np.ones(3)}, "x and y: y must have one row"),
        ({"x": np.ones((2, 1)), "y": np.array([{}, 1])}, "cannot be read"),
        ({"x": np.array([[np.nan]]), "y": np.ones(1)}, "finite"),
        (
            {
                "x_train": np.ones((2, 1)),
                "y_train": [0, 1],
                "x_test": np.ones((1, 1)),
                "y_test": [2],
            },
            "label 2",
        ),
        ({"x": np.ones(()), "y": np.ones(1)}, "x must have at least 1 dimension"),
        ({"x": np.ones((2, 1)), "y": np.array([b"a", b"\xff"])}, "y: not valid UTF-8"),
    ],
)
def test_npz_refuses(tmp_path, arrays, words):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)
    for flatten in (False, True):
        with pytest.raises(ValueError, match=words) as caught:
            load_npz(path, flatten=flatten)
        assert "odd.npz" in str(caught.value)


def test_npz_that_is_none(tmp_path):
    path = tmp_path / "odd.npz"
    for content in (b"", b"hello", b"PK\3\4 torn"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="odd.npz") as caught:
            load_npz(path)
        assert "allow_pickle" not in str(caught.value)  # NumPy's advice for what is no archive
    for save in (np.savez, np.savez_compressed):
        save(path, x=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 0]))
        whole = path.read_bytes()
        for length in range(0, len(whole), 3):
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match="odd.npz"):
                load_npz(path)
        for place in range(0, len(whole), 2):
            path.write_bytes(
                whole[:place] + bytes([whole[place] ^ (1 + place % 255)]) + whole[place + 1 :]
            )
            try:
                assert load_npz(path)[0].x.shape == (3, 2)
            except ValueError as error:
                assert "odd.npz" in str(error)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())
    with pytest.raises(ValueError, match="odd.npz"):
        load_npz(path)
    np.save(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(ValueError, match="no archive"):
        load_npz(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "none.npz")


# ---- tables ----


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_of_numbers(tmp_path):
    d = load_csv(table(tmp_path, "1,2,0\n3,4,1\n\n5,6.5,0\n"))
    np.testing.assert_array_equal(d.x, [[1, 2], [3, 4], [5, 6.5]])
    assert d.y.tolist() == [0, 1, 0] and d.classes == [0, 1] and d.origin["names"] is None


def test_csv_with_everything(tmp_path):
    text = '\ufeffid;"colour";size;price\n1;red;3;9.5\n2;?;4;8\n3;"blue";1e2;7,5\n'.replace(
        "7,5", "7.5"
    )
    path = table(tmp_path, gzip.compress(text.encode()), "t.csv.gz")
    d = load_csv(path, target="price")
    assert d.origin["names"] == ["id", "colour", "size", "price"] and not d.is_classification
    np.testing.assert_array_equal(
        d.x, [[1, 0, 0, 1, 3], [2, 1, 0, 0, 4], [3, 0, 1, 0, 100]]
    )  # ?, blue, red
    np.testing.assert_array_equal(d.y, [9.5, 8, 7.5])
    with pytest.raises(ValueError, match=r"line 3: the target, column 2 \('colour'\), is missing"):
        load_csv(path, target="colour")


def test_other_rows_by_the_same_columns(tmp_path):
    d = load_csv(table(tmp_path, "a,kind,y\n1,u,0.5\n2,v,1.5\n"), target="y")

    def rows(text):
        encode = RowEncoder(d.origin, 3, "new")
        first, *rest = csv_rows(Lines(Source(io.BytesIO(text.encode()), "new")))
        encode.locate_columns(first[1])
        samples = rest if encode.is_header(first[1]) else [first, *rest]
        return [encode(*row) for row in samples]

    assert rows("kind,a\nv,7\n") == [[7, 0, 1]]  # by name
    assert rows("a,kind,y\n7,v,3\n") == [[7, 0, 1]]  # with the target
    assert rows("7,v\n") == rows("7,v,3\n") == [[7, 0, 1]]  # by position
    for text, words in (
        ("7,w\n", "line 1.*'w' did not occur"),
        ("x,v\n", "line 1.*finite number"),
        ("7\n", "2 columns"),
    ):
        with pytest.raises(ValueError, match=words):
            rows(text)


def test_columns_to_ignore(tmp_path):
    d = load_csv(
        table(tmp_path, "id,a,y,kind\nx7,1,5.5,u\nx8,2,6.5,v\n"), target="y", ignore=["id"]
    )
    np.testing.assert_array_equal(d.x, [[1, 1, 0], [2, 0, 1]])
    for text in (
        "kind,a\nv,7\n",
        "x,7,9,v\n",
        "x,7,v\n",
    ):  # by name; by position with the target; without
        encode = RowEncoder(d.origin, 3, "new")
        first, *rest = csv_rows(Lines(Source(io.BytesIO(text.encode()), "new")))
        encode.locate_columns(first[1])
        assert encode(*(rest[0] if encode.is_header(first[1]) else first)) == [7, 0, 1]
    with pytest.raises(
        ValueError, match="ignore must be one of the columns.*'id', 'a', 'y', 'kind'"
    ):
        load_csv(tmp_path / "t.csv", ignore=["name"])
    with pytest.raises(ValueError, match="at least one other column"):
        load_csv(tmp_path / "t.csv", ignore=[0, 1, -2])


def test_lines_of_json(tmp_path):
    objects = '{"a": 1, "kind": "u", "y": 0.5}\n\n{"y": 1.5, "kind": null, "a": 1e2}\n{"a": 3, "kind": true, "y": 2}\n'
    d = load_csv(table(tmp_path, objects, "t.jsonl"), target="y")
    assert d.origin["names"] == ["a", "kind", "y"] and d.y.tolist() == [0.5, 1.5, 2]
    np.testing.assert_array_equal(d.x, [[1, 0, 0, 1], [100, 1, 0, 0], [3, 0, 1, 0]])  # "", true, u
    d = load_csv(table(tmp_path, gzip.compress(b'["a", "b", 1]\n["c", "d", 0]\n'), "t.ndjson.gz"))
    assert d.origin["names"] is None and d.classes == [0, 1] and d.x.shape == (2, 4)
    for text, words in (
        ("[1, 2]\n[1]\n", "line 2: 1 fields"),
        ('{"a": 1, "b": 2}\n{"a": 1}\n', "line 2: 'b' is missing"),
        ('{"a": 1, "b": 2}\n{"a": 1, "b": 2, "c": 3}\n', "line 2: 'c' is not in the first line"),
        ("[1, 2]\n{}\n", "line 2: expected an array"),
        ('{"a": 1, "b": 2}\n[1, 2]\n', "line 2: expected an object"),
        ("3\n", "line 1: expected an array"),
        ("[]\n", "line 1: expected an array"),
        ("[1, [2]]\n", "line 1, column 2: .*an array"),
        ('[1, {"b": 2}]\n', "line 1, column 2: .*an object"),
        ("[1, 2\n", "line 1: not valid JSON"),
        ("[1, NaN]\n", "line 1: .*NaN"),
        ('{"a": 1, "a": 2}\n', "line 1: .*'a' occurs twice"),
        ("[" * 5000 + "\n", "line 1: not valid JSON"),
        ("\n", "no line of data"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            load_csv(table(tmp_path, text, "t.jsonl"))
        assert "t.jsonl" in str(caught.value)


def test_header_and_task(tmp_path):
    assert load_csv(table(tmp_path, "a,b\nx,p\ny,q\nx,p\n")).origin["names"] == [
        "a",
        "b",
    ]  # texts alone
    assert load_csv(table(tmp_path, "x,p\ny,q\nx,p\n")).origin["names"] is None
    years = "".join(f"{i},{i}\n" for i in range(30))
    assert not load_csv(table(tmp_path, years)).is_classification
    assert load_csv(table(tmp_path, years), task="classification").is_classification
    assert len(load_csv(table(tmp_path, years), header=True)) == 29
    assert load_csv(table(tmp_path, "1,2.0\n2,1.0\n")).classes == [1, 2]
    years = "2019,2020,2021\n" + "1,2,yes\n3,4,no\n" * 2
    assert load_csv(table(tmp_path, years)).classes == ["2021", "no", "yes"]
    assert load_csv(table(tmp_path, years), header=True).classes == ["no", "yes"]
    lines = table(tmp_path, '{"a": 1, "b": 2}\n{"a": 2, "b": 1}\n', "t.jsonl")
    assert load_csv(lines, header=False).classes == [1, 2]  # objects have names, whatever one says


def test_integers_beyond_float64_are_classes_of_their_own(tmp_path):
    big = [2**53, 2**53 + 1, 10**18 + 1, 10**18 + 2, 10**30]
    data = load_csv(table(tmp_path, "".join(f"{i},{big[i % 5]}\n" for i in range(20))))
    assert data.classes == big and data.y.tolist() == [0, 1, 2, 3, 4] * 4
    assert not load_csv(
        table(tmp_path, "".join(f"{i},{10**18 + i}\n" for i in range(30)))
    ).is_classification  # 30 numbers, not a few


@pytest.mark.parametrize(
    "text, keywords, words",
    [
        ("", {}, "no line of data"),
        ("a,b\n", {"header": True}, "no line of data"),
        ("1,2\n3\n", {}, "line 2: 1 fields"),
        ("1\n2\n", {}, "at least one other column"),
        ("1,2\n,4\n", {}, "line 2, column 1.*missing"),
        ("1,2\ninf,4\n", {}, "line 2, column 1.*finite"),
        ("1,2\n1,?\n", {}, "line 2: the target, column 2, is missing"),
        ("1,a\n2,b\n", {"task": "regression"}, "line 1: the target of a regression.*'a'"),
        ("a,b\n1,2\n", {"target": "c"}, "target must be one of the columns.*'a', 'b'"),
        ("1,2\n", {"target": "c"}, "no header"),
        ("1,2\n", {"target": 2}, "target must be between"),
        ("1,2\n", {"task": "both"}, "task"),
        ("".join(f"name{i},1\n" for i in range(101)), {}, "101 different values"),
        (b"\xff\xfe1,2\n", {}, "UTF-8"),
        ('"a,b\n1,2', {}, "line"),
    ],
)
def test_csv_refuses(tmp_path, text, keywords, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        load_csv(table(tmp_path, text), **keywords)
    assert "t.csv" in str(caught.value) or set(keywords) & {"target", "task"}


def test_torn_gzip(tmp_path):
    whole = gzip.compress(b"1,2\n3,4\n" * 100)
    for content in (b"1,2\n", whole[:-9], whole[:10] + b"\xff" * 20):
        with pytest.raises(ValueError, match="t.csv.gz"):
            load_csv(table(tmp_path, content, "t.csv.gz"))
