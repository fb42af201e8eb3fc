"""Files of texts with labels, and how a model file remembers their preparation."""

import gzip
import io
import json

import numpy as np
import pytest

from fastdrop.data import Vocabulary, read_labelled_text, split_words
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.text_preprocessing import TextPreparation

ROWS = [
    ("A fine, fine film!", "pos"),
    ('He said "no".', "neg"),
    ("fine; but\nlong", "neg"),
    ("über\u2019s film", "pos"),
]
TOKENS = [
    ["a", "fine", ",", "fine", "film", "!"],
    ["he", "said", '"', "no", '"', "."],
    ["fine", ";", "but", "long"],
    ["über\u2019s", "film"],
]


def csv_text(separator=","):
    quoted = ['"' + text.replace('"', '""') + '"' for text, _ in ROWS]
    lines = [
        separator.join([str(i), text, label])
        for i, (text, (_, label)) in enumerate(zip(quoted, ROWS, strict=True))
    ]
    return "\n".join([separator.join(["id", "review", "label"]), *lines, ""])


def decoded(data):
    return [data.vocabulary.decode(numbers) for numbers in data.sequences]


@pytest.mark.parametrize("separator", [",", ";", "|"])
@pytest.mark.parametrize("zipped", [False, True])
def test_csv_with_a_header(tmp_path, separator, zipped):
    path = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    raw = csv_text(separator).encode()
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    data = read_labelled_text(path, "review", "label")
    assert decoded(data) == TOKENS
    assert data.labels.tolist() == [1, 0, 0, 1] and data.classes == ["neg", "pos"]
    assert data.lengths.tolist() == [6, 6, 4, 2] and data.lengths.dtype == np.int64
    assert data.vocabulary.tokens[:4] == ["<pad>", "<unk>", "fine", "film"]
    by_number = read_labelled_text(path, 1, -1, header=True) if separator == "," else data
    assert decoded(by_number) == TOKENS


def test_lines_with_tabs(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text('3\tSo, "so" good; really\n-1\t"quoted ""text"""\n\n3\t"open\n')
    data = read_labelled_text(path)
    assert data.classes == [-1, 3] and data.labels.tolist() == [1, 0, 1]
    assert decoded(data) == [
        ["so", ",", '"', "so", '"', "good", ";", "really"],
        ["quoted", '"', "text", '"'],
        ['"', "open"],
    ]
    (tmp_path / "b.tsv").write_text("label\ttext\npos\tgood, good\nneg\tbad\n")
    data = read_labelled_text(tmp_path / "b.tsv", "text", "label")
    assert decoded(data) == [["good", ",", "good"], ["bad"]]


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"label": label, "n": 1, "review": text} for text, label in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_labelled_text(path, "review", "label")
    assert decoded(data) == TOKENS and data.labels.tolist() == [1, 0, 0, 1]


def test_a_second_file_has_the_numbers_of_the_first(tmp_path):
    (tmp_path / "a.txt").write_text("b\tone two two\na\tone\nc\tthree\n")
    (tmp_path / "b.txt").write_text("c\ttwo four\n")
    first = read_labelled_text(tmp_path / "a.txt", max_length=2)
    assert decoded(first) == [["one", "two"], ["one"], ["three"]]
    assert first.vocabulary.tokens == ["<pad>", "<unk>", "one", "two", "three"]
    second = read_labelled_text(
        tmp_path / "b.txt", vocabulary=first.vocabulary, classes=first.classes
    )
    assert decoded(second) == [["two", "<unk>"]] and second.labels.tolist() == [2]
    assert second.classes == ["a", "b", "c"]
    small = read_labelled_text(tmp_path / "a.txt", max_size=3, min_count=2)
    assert small.vocabulary.tokens == ["<pad>", "<unk>", "one"]
    letters = read_labelled_text(tmp_path / "a.txt", level="char", max_length=4)
    assert decoded(letters)[0] == ["o", "n", "e", " "]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("a.csv", "text,label\na,b\n", ("review", "label"), r"a\.csv' has no column 'review'"),
        ("a.csv", "text,label\na,b\n", ("text", "kind"), r"has no column 'kind' for target"),
        ("a.csv", "t,t,l\na,b,c\n", ("t", "l"), "'t' occurs twice"),
        ("a.csv", "t,l\na,b\nc\n", ("t", "l"), r"a\.csv', line 3: 1 fields, the first line has 2"),
        ("a.csv", 't,l\n"a\nb",c\nd,\n', ("t", "l"), r"line 4: the target, column l, is missing"),
        ("a.csv", 't,l\na,b\n"x"y,c\n', ("t", "l"), "line 3: ',' expected"),
        ("a.txt", "1\ta\n2\t \n", (), r"line 2: the text is empty"),
        ("a.txt", "1\ta\n2\n\n3\tb\tc\n", (), r"2 errors:\n  line 2: 1 fields.*\n  line 4: 3 fie"),
        ("a.txt", "1\ta\n", (1, -1), "must be different columns"),
        ("a.txt", "1\ta\n", (2, 0), "text"),
        ("a.txt", "\n", (), "holds no text"),
        ("a.csv", "t,l\n", ("t", "l"), "holds no text"),
        ("a.jsonl", '{"t": "a", "l": 1}\n{"t": "b"}\n', ("t", "l"), r"line 2: 'l' is missing"),
    ],
)
def test_errors_name_file_and_line(tmp_path, name, content, arguments, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labelled_text(tmp_path / name, *arguments)


def test_more_errors(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("pos\tgood\nneg\tschön\nneg\tb\xffd".encode("latin-1"))
    assert decoded(read_labelled_text(path))[1] == ["schön"]
    with pytest.raises(ValueError, match=r"line 1: the label 'pos' is none of the classes neg, x"):
        read_labelled_text(path, classes=["neg", "x"])
    with pytest.raises(ValueError, match=r"line 2: the vocabulary has no 'schön'"):
        read_labelled_text(path, vocabulary=Vocabulary(["good", "bÿd"]))
    path.write_bytes("pos\tschön\n".encode() + b"neg\tb\xffd\nneg\t\n")
    with pytest.raises(ValueError, match=r"line 2: not valid UTF-8(.|\n)*line 3: the text is"):
        read_labelled_text(path)
    with pytest.raises(ValueError, match="level"):
        read_labelled_text(path, level="syllable")
    with pytest.raises(ValueError, match="max_length"):
        read_labelled_text(path, max_length=0)
    with pytest.raises(FileNotFoundError):
        read_labelled_text(tmp_path / "none.txt")


def test_words_of_a_text():
    assert split_words("Don't \u2013 well-known, it\u2019s 3.5!") == [
        "don't", "\u2013", "well-known", ",", "it\u2019s", "3", ".", "5", "!",
    ]  # fmt: skip
    assert split_words(" \n") == []
    with pytest.raises(TypeError, match="must be a string"):
        split_words(3)


# ---- preparation ----


def preparation(**options):
    words = Vocabulary(["<pad>", "<unk>", "good", "bad"])
    columns = {"text": "review", "target": 0, "width": 3} | options.pop("columns", {})
    return TextPreparation(words, ["neg", "pos"], columns=columns, **options)


def test_a_preparation_is_remembered():
    one = preparation(max_length=3)
    state = json.loads(json.dumps(one.to_dict()))
    two = Preparation.from_dict(state)
    assert isinstance(two, TextPreparation) and two.to_dict() == one.to_dict()
    x = two.samples(["Good good bad good", "so bad"])
    assert x.dtype == np.float32 and x.tolist() == [[2, 2, 3], [1, 3, 0]]


def test_texts_in_tables():
    one = preparation()
    expected = [[2], [1]]
    assert one.samples("good").tolist() == [[2]]
    assert one.samples({"review": ["good", "x"], "n": [1, 2]}).tolist() == expected
    assert one.samples([{"review": "good"}, {"review": "x"}]).tolist() == expected
    assert one.samples({"review": "good"}).tolist() == [[2]]
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": [1, 2], "review": ["good", "x"]})
    assert one.samples(frame).tolist() == expected
    assert one.samples(frame["review"]).tolist() == expected
    for rows, error, message in (
        ({"text": ["good"]}, ValueError, "no column 'review'"),
        ([{"text": "good"}], ValueError, "no column 'review'"),
        (frame[["n"]], ValueError, "no column 'review'"),
        ([3], TypeError, "text 0"),
        (3, TypeError, "takes texts"),
        (["good", " "], ValueError, r"text 1 \(from 0\) is empty"),
    ):
        with pytest.raises(error, match=message):
            one.samples(rows)


@pytest.mark.parametrize(
    ("columns", "name", "content", "expected"),
    [
        ({}, "a.csv", 'review,x\n"good, bad",1\nbad,2\n', [[2, 1, 3], [3, 0, 0]]),
        ({}, "a.txt", "good, bad\nbad\n", [[2, 1, 3], [3, 0, 0]]),
        ({}, "a.jsonl", '{"review": "bad"}\n{"review": "good", "x": 1}\n', [[3], [2]]),
        ({"text": 2}, "a.tsv", "1\t2\tgood\n1\t2\tbad\n", [[2], [3]]),
        ({"text": 2}, "a.tsv", "2\tgood\n2\tbad\n", [[2], [3]]),
        ({"text": 0, "target": 1}, "a.csv", "good,2\nbad,3\n", [[2], [3]]),
        ({"text": 2}, "a.txt", "good\nbad\n", [[2], [3]]),
    ],
)
def test_blocks_of_files(tmp_path, columns, name, content, expected):
    (tmp_path / name).write_text(content)
    blocks = list(preparation(columns=columns).read_blocks(str(tmp_path / name)))
    assert [block.tolist() for block in blocks] == [expected]


def test_blocks_and_errors(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("good\n" * 256 + "bad bad\na\tb\nbad\n \t \n! good\n")
    errors = []
    blocks = list(preparation().read_blocks(str(path), errors.append))
    assert [b.shape for b in blocks] == [(256, 1), (1, 2), (2, 2)]
    assert len(errors) == 1 and "line 258: 2 fields" in str(errors[0])
    with pytest.raises(ValueError, match="line 258"):
        list(preparation().read_blocks(str(path)))
    for content, message in (
        ("", "holds no text"),
        ("a\tb\n", r"a\.txt' has 2 columns and no header with the column 'review'"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            list(preparation().read_blocks(str(path)))
    path.write_text("a\tb\tc\td\n")
    with pytest.raises(ValueError, match=r"must have 3 columns, or 2 without the label"):
        list(preparation(columns={"text": 2}).read_blocks(str(path)))


def test_texts_of_a_pipe(monkeypatch):
    class Input:
        buffer = io.BytesIO(b"good\nbad, bad\n")
        closed = False

    monkeypatch.setattr("sys.stdin", Input())
    blocks = list(preparation().read_blocks("-"))
    assert [row for block in blocks for row in block.tolist()] == [[2, 0, 0], [3, 1, 3]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": {"tokens": ["a", "b"]}}, "begin with '<pad>'"),
        ({"vocabulary": {}}, "entry 'tokens'"),
        ({"level": "syllable"}, "level"),
        ({"max_length": 0}, "max_length"),
        ({"columns": {"text": 5, "target": 0, "width": 2}}, "text"),
        ({"columns": {"text": "a", "target": -1, "width": 2}}, "target"),
    ],
)
def test_a_damaged_preparation(change, message):
    state = preparation().to_dict()
    state["origin"] = state["origin"] | change
    with pytest.raises(ValueError, match=message):
        Preparation.from_dict(state)
