"""Tables as people have them: the files of `tables/`, read with pandas and without it."""

import io
import itertools
import pathlib
import shutil

import numpy as np
import pytest

from fastdrop.data import load_csv
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.columns import check_columns, fill_from_training
from fastdrop.data.readers.csv import read_table
from fastdrop.data.readers.separators import choose_separator
from fastdrop.data.readers.table import read_text_table

TABLES = pathlib.Path(__file__).parent / "tables"


@pytest.fixture(params=["pandas", "rows"])
def reader(request):
    """The two readers of training files."""
    if request.param == "pandas":
        pytest.importorskip("pandas")
    return request.param


# File: (samples, targets, words of the report)
EXPECTED = {
    "decimal-comma.csv": (
        [[1.5, 1250.75], [-0.25, 980], [1000.5, 12000.1]],
        [0, 1, 0],
        ["semicolon", "länge", "decimal comma; thousands by '.'"],
    ),
    "decimal-comma-no-header.csv": (
        [[1.5, 2.25], [3.5, 4.75], [5.5, 6.25]],
        [0, 1, 0],
        ["semicolon", "no names"],
    ),
    "thousands.csv": (
        [[1200, 0.5], [12345678, 1.5], [900, 2.5]],
        [0, 1, 0],
        ["thousands by comma"],
    ),
    "thousands-by-spaces.tsv": (
        [[1200, 1000.5], [12345678, 20], [900, 30]],
        [0, 1, 0],
        ["tab", "thousands by white space", 'thousands by "\'"'],
    ),
    "percent-and-money.csv": (
        [[0.05, 1.5], [0.125, 1000], [-0.01, -2.5]],
        [0, 1, 0],
        ["percent"],
    ),
    "flags.csv": (
        [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]],
        [0, 1, 0, 1],
        ["flag", "median, and an indicator"],
    ),
    "dates.csv": (
        [[1, 19782.5, 9.5], [10957, 19782.75, 18.01], [-1, 19783, 0]],
        [0, 1, 0],
        ["date", "time", "1970-01-02"],
    ),
    "white-space.data": ([[1.5, 2], [-2.5, 30], [3.25, 4]], [0, 1, 0], ["white space"]),
    "vertical-bars.txt": (
        [[1, 1, 0], [2, 0, 1], [3, 0, 1]],
        [0, 1, 0],
        ["vertical bar", "2: x, y, z"],
    ),
    "byte-order-mark.csv": ([[1, 2], [3, 4], [5, 6]], [0, 1, 0], ["a  ", "names in the first"]),
    "latin-1.csv": (
        [[1.5, 0, 1], [2.5, 1, 0], [3.5, 0, 1]],
        [0, 1, 0],
        ["Latin-1", "Größe", "2: Bonn, Köln"],
    ),
    "utf-16.txt": ([[1, 0, 1], [2, 1, 0], [3, 0, 1]], [0, 1, 0], ["tab", "2: b, é"]),
    "header-of-pandas.csv": (
        [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]],
        [0, 1, 0],
        ["names in the first line"],
    ),
    "index-of-pandas.csv": ([[0.5, 1], [2.5, 2], [4.5, 3]], [0, 1, 0], ["index"]),
    "index-and-header-of-pandas.csv": ([[0.5, 1], [2.5, 2], [4.5, 3]], [0, 1, 0], ["index"]),
    "write-table-of-r.txt": (
        [[1.5, 2, 0], [2.5, 3, 1], [3.5, 4, 0]],
        [0, 1, 0],
        ["white space", "index", "first car"],
    ),
    "row-names-of-r.csv": ([[1.5, 2], [2.5, 3], [3.5, 4]], [0, 1, 0], ["index", "x1"]),
    "separator-line.csv": ([[1.5, 2], [2.5, 3], [3.5, 4]], [0, 1, 0], ["semicolon"]),
    "quotes.csv": ([[1, 0, 1], [2, 1, 0], [3, 0, 1]], [0, 1, 0], ['say "z"']),
    "text-only.csv": (
        [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0]],
        [0, 1, 0],
        ["names in the first line", "2: blue, red"],
    ),
    "numbers.jsonl": (
        [[1.5, 0, 1, 1.5], [500.75, 1, 0, 2.5], [1000, 0, 1, 3.5]],
        [0, 1, 0],
        ["JSON lines", "flag", "decimal comma"],
    ),
    "odd-cells.csv": (
        [
            [1, 0, 0, 1, 0],
            [3.5, 1, 0, 0, 1],
            [2, 0, 0, 1, 0],
            [3.5, 1, 0, 0, 1],
            [3, 0, 1, 0, 0],
            [3.5, 1, 0, 0, 1],
            [4, 0, 1, 0, 0],
            [3.5, 1, 0, 0, 1],
            [5, 0, 0, 1, 0],
            [3.5, 1, 0, 0, 1],
            [6, 0, 0, 1, 0],
        ],
        [0, 1] * 5 + [0],
        ["as missing: '12o'", "  5  ", "3: (missing), u, v", "missing values are a category"],
    ),
}


def test_all_files_of_the_folder_are_tested():
    assert {path.name for path in TABLES.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_files(name, reader):
    x, y, words = EXPECTED[name]
    data, report = read_table(TABLES / name, reader=reader)
    np.testing.assert_allclose(data.x, x, rtol=1e-15)
    assert data.y.tolist() == y
    assert all(word in str(report) for word in words), str(report)
    check_columns(data.origin, data.x.shape[1])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_model_reads_its_training_file_alike(name):
    """The description of the columns gives the samples of the file again, row by row."""
    data = load_csv(TABLES / name)
    made = Preparation.from_dict(Preparation.fit(data, standardize=False).to_dict())
    found = np.concatenate(list(made.read_blocks(str(TABLES / name))))
    np.testing.assert_array_equal(found, data.x.astype(np.float32))


def text_file(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows_of(data, text, name="stdin"):
    """What a model of this data set makes of other rows."""
    made = Preparation.fit(data, standardize=False)
    path = pathlib.Path(name)
    path.write_text(text)
    try:
        return np.concatenate(list(made.read_blocks(name))).tolist()
    finally:
        path.unlink()


def test_other_spellings_of_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = load_csv(TABLES / "decimal-comma.csv")
    assert rows_of(data, "preis;länge\n2.000,5;3\n") == [[3, 2000.5]]
    # A number of JSON is no text: its point is a decimal point.
    assert rows_of(data, '{"preis": 1.234, "länge": 2.5}\n', "n.jsonl") == [
        np.float32([2.5, 1.234]).tolist()
    ]
    with pytest.raises(ValueError, match=r"column 1: expected a finite number with a decimal com"):
        rows_of(data, "länge;preis\n1.25;3,5\n")
    data = load_csv(TABLES / "flags.csv")
    for text in ("true", "TRUE", "True", "1"):
        assert rows_of(data, f"a,b\n{text},false\n") == [[1, 0, 0]]
    assert rows_of(data, '{"a": false, "b": null}\n', "n.jsonl") == [[0, 1, 1]]
    with pytest.raises(ValueError, match="expected true or false, got 'yes'"):
        rows_of(data, "a,b\nyes,false\n")
    data = load_csv(TABLES / "odd-cells.csv")
    for text in ("12o", "-", "", "NULL", "#N/A"):
        assert rows_of(data, f"a,b\n{text},?\n") == [[3.5, 1, 1, 0, 0]]
    with pytest.raises(ValueError, match="expected a finite number, got '13o'"):
        rows_of(data, "a,b\n13o,u\n")
    data = load_csv(TABLES / "thousands.csv")
    assert rows_of(data, 'a,b\n"1,000",2\n') == [[1000, 2]]
    with pytest.raises(ValueError, match="column 2: expected a finite number, got '1,000'"):
        rows_of(data, 'a,b\n5,"1,000"\n')
    data = load_csv(TABLES / "percent-and-money.csv")
    with pytest.raises(ValueError, match=r"expected a percentage.*'5'"):
        rows_of(data, "share,price\n5,2\n")


def test_separators_and_headers_of_other_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = load_csv(TABLES / "white-space.data")
    for text in ("1.5 2\n", "  1.5   2 \n", "1.5,2\n", "1.5;2;1\n", "1.5|2\n", "1.5\t2\n"):
        assert rows_of(data, text) == [[1.5, 2]]
    data = load_csv(TABLES / "header-of-pandas.csv")
    assert rows_of(data, "0,1,2\n7,8,9\n") == rows_of(data, ",0,1\n0,7,8\n") == [[7, 8]]
    assert rows_of(data, "0,1,2\n1,2,3\n") == [[1, 2]]  # the names of the training file
    assert rows_of(data, "7,8\n1,0\n") == [[7, 8], [1, 0]]
    data = load_csv(TABLES / "decimal-comma-no-header.csv")
    assert rows_of(data, "0,1,2\n7,8,9\n") == [[7, 8]]
    assert rows_of(data, "0,1,2\n1,2,3\n2,3,4\n") == [[0, 1], [1, 2], [2, 3]]
    assert rows_of(data, "0,1,2\n") == [[0, 1]]
    assert rows_of(data, "0,1\n5,6\n") == [[0, 1], [5, 6]]
    data = load_csv(TABLES / "write-table-of-r.txt")
    assert rows_of(data, '"a" "b"\n"x" 1 2\n"y" 3 NA\n') == [[1, 2, 0], [3, 3, 1]]
    data = load_csv(TABLES / "decimal-comma-no-header.csv")
    assert rows_of(data, "1,5;2,25\n") == [[1.5, 2.25]]


def test_one_line_tells_the_separator_by_the_number_of_fields():
    assert choose_separator(["1,5;2,5;3,5\n"]) == ";"
    assert choose_separator(["a b,c d\n"]) == ","
    assert choose_separator(["a b,c d,e\n"], {3}) == ","
    assert choose_separator(["a,b;c,d\n"], {2}) == ";"
    assert choose_separator(["first name,last name\n", "Ada Maria,Love Lace\n"]) == ","
    assert choose_separator(["a b c\n", "1,5 2,5 3\n"]) == " "


def test_numbers_are_no_categories(tmp_path, reader):
    """Cells that look like numbers are numbers or an error, however few there are."""
    for cells, words in (
        (
            ["1", "2", "3", "a", "b", "c"],
            r"line 5, column 1 \('v'\): got 'a'.*3 numbers and 3 other",
        ),
        (["a", "b", "c", "7"], "1 numbers and 3 other"),
        (["31.12.2024", "30.12.2024"], "text that looks like numbers"),
        (["12/31/2024", "12/30/2024"], "text that looks like numbers"),
        (["1_000", "2_000"], "looks like numbers"),
        (["5 kg", "7 kg", "12.5 kg"], "looks like numbers"),
        (["1.5", "2.5", "1,5"], "mixes decimal points and decimal commas: '1.5', '1,5'"),
        (["5%", "6"], "mixes percentages and other numbers: '5%', '6'"),
        (["2024-01-01", "17", "18"], "looks like|numbers and"),
        (["1", "2", "inf"], "line 4, column 1: expected a finite number, got 'inf'"),
    ):
        text = "v;y\n" + "".join(f"{cell};{i % 2}\n" for i, cell in enumerate(cells))
        with pytest.raises(ValueError, match=words) as caught:
            read_table(text_file(tmp_path, text), reader=reader)
        assert "t.csv" in str(caught.value)


def test_text_with_digits_is_text(tmp_path, reader):
    for cells in (["18-25", "26-35", "65+"], ["1st", "2nd", "3rd"], ["2wd", "4wd"], ["A1", "B2"]):
        text = "v,y\n" + "".join(f"{cell},{i % 2}\n" for i, cell in enumerate(cells))
        data, _ = read_table(text_file(tmp_path, text), reader=reader)
        assert data.origin["features"][0]["values"] == cells


def test_spaces_around_fields_and_separators_at_the_end(tmp_path, reader):
    text = 'a, "b b", y\n1, "x, y", 0\n2 ,"z" , 1\n3, "z", 0\n'.replace('"z" ,', '"z",')
    data, _ = read_table(text_file(tmp_path, text), reader=reader)
    assert data.x.tolist() == [[1, 1, 0], [2, 0, 1], [3, 0, 1]] and data.classes == [0, 1]
    for text in ("a;b;y;\n1,5;2;0;\n2,5;3;1;\n", "1,5;2;0;;\n2,5;3;1;;\n"):
        data, _ = read_table(text_file(tmp_path, text), reader=reader)
        assert data.x.tolist() == [[1.5, 2], [2.5, 3]] and data.y.tolist() == [0, 1]


def test_the_report_of_a_wide_table_is_short(tmp_path, reader):
    row = ",".join(str(i) for i in range(400))
    text = "".join(f"{row},u,{i % 2}\n" for i in range(3))
    _, report = read_table(text_file(tmp_path, text), reader=reader)
    lines = str(report).splitlines()
    assert len(lines) == 53 and lines[-1] == "  and 352 more columns"
    assert lines[-3].split()[:2] == ["400", "category"] and lines[-2].endswith("target")


def test_the_user_decides_the_kind(tmp_path, reader):
    path = text_file(tmp_path, "code,n,y\n7,a,1.5\n8,5,2.5\n7,b,3.5\n9,6,4.5\n")
    data, report = read_table(
        path, reader=reader, columns={"code": "category", 1: "number"}, target="y"
    )
    np.testing.assert_array_equal(
        data.x, [[1, 0, 0, 5.5, 1], [0, 1, 0, 5, 0], [1, 0, 0, 5.5, 1], [0, 0, 1, 6, 0]]
    )
    assert not data.is_classification and "as missing: 'a', 'b'" in str(report)
    kinds = {"n": "ignore", "y": "category"}
    data, _ = read_table(path, reader=reader, columns=kinds)
    assert data.x.shape == (4, 1) and data.classes == ["1.5", "2.5", "3.5", "4.5"]
    with pytest.raises(ValueError, match=r"columns must be one of the columns.*'z'"):
        load_csv(path, columns={"z": "number"})
    with pytest.raises(ValueError, match=r"columns\['n'\] must be one of 'number', 'category'"):
        load_csv(path, columns={"n": "integer"})


def test_all_errors_at_once(tmp_path, reader):
    text = "a,b,y\n" + "".join(
        {3: "1,2\n", 5: f"{i},inf,1\n", 8: f"{i},2,\n"}.get(i, f"{i},{i},{i % 2}\n")
        for i in range(20)
    )
    with pytest.raises(ValueError) as caught:
        read_table(text_file(tmp_path, text), reader=reader)
    first, *errors = str(caught.value).splitlines()
    assert first.endswith("t.csv' has 3 errors:") and len(errors) == 3
    assert "line 5: 2 fields, the first line has 3" in errors[0]
    with pytest.raises(ValueError) as caught:
        read_table(text_file(tmp_path, "a,y\n" + "1,2\n1\n" * 15), reader=reader)
    lines = str(caught.value).splitlines()
    assert "has 15 errors" in lines[0] and len(lines) == 12 and lines[-1] == "  and 5 more"
    assert [line.split(":")[0] for line in lines[1:4]] == ["  line 3", "  line 5", "  line 7"]


def test_targets(tmp_path, reader):
    def read(values, **keywords):
        text = "a;y\n" + "".join(f"{i};{value}\n" for i, value in enumerate(values))
        return read_table(text_file(tmp_path, text), reader=reader, **keywords)[0]

    assert read(["1,5", "2,25", "1.000,5"]).y.tolist() == [1.5, 2.25, 1000.5]
    assert read(["True", "false", "TRUE"]).classes == ["false", "true"]
    assert read(["True", "False"]).classes == ["False", "True"]  # as they are written
    assert read(["1", "2", "3+", "2"], task="classification").classes == ["1", "2", "3+"]
    for values, words in (
        (["1.5", "2.5", "12o", "3.5"], "line 4: the target.*must be a number like most.*'12o'"),
        (["1", "x", "y", "z"], "line 2: the target.*is '1' among other text"),
        (["2024-01-01", "2024-01-02"], "holds a date"),
        (["1.5", "2,5"], "mixes numbers of different styles"),
    ):
        with pytest.raises(ValueError, match=words):
            read(values)


@pytest.mark.parametrize(
    "text, has_names",
    [
        ("2019,2020,2021\n1,2,yes\n3,4,no\n", True),  # a number above text
        ("2024-01,2024-02\n1,2\n3,4\n", True),  # dates above numbers
        ("a,b\n2024-01-01,x\n2024-01-02,x\n", True),
        ("0,1,2,3\n5,6,7,1\n8,9,1,0\n", True),
        ("0,1,2\n1,2,3\n2,3,4\n", False),  # it goes on like this
        ("0,1\n0.5,0.9\n1.5,0.2\n", False),  # x and cos(x)
        ("1,2\n3,4\n", False),
        ("x,\n5,a\n6,b\n7,a\n", True),
    ],
)
def test_headers(tmp_path, reader, text, has_names):
    data, _ = read_table(text_file(tmp_path, text), reader=reader)
    assert (data.origin["names"] is not None) == has_names


def test_files_that_are_no_tables(tmp_path, reader):
    for content, words in (
        (b"a,b,c,y\n", "no line of data below the header a, b, c, y"),
        (b"a;b;y", "no line of data below the header a, b, y"),
        (b"PAR1\0\0\x15\x04" * 20, "not a table of text"),
        (b"one\ntwo words\nand three words\n", "no comma, semicolon, tab.*separates"),
        ("é,1\n".encode() + b"\xe9,2\n", "line 2: not valid UTF-8"),  # two encodings
        (b"\xff\xfe1\x002", "not valid UTF-16"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            read_table(text_file(tmp_path, content), reader=reader)
        assert "t.csv" in str(caught.value)


def test_pandas_reads_what_it_reads_alike(tmp_path):
    pytest.importorskip("pandas")
    readers = {name: read_text_table(str(TABLES / name)).reader for name in EXPECTED}
    assert readers["thousands.csv"] == readers["decimal-comma.csv"] == "pandas"
    # Latin-1, white space and short rows are left to the other reader.
    assert readers["latin-1.csv"] == readers["white-space.data"] == "rows"
    assert readers["write-table-of-r.txt"] == readers["row-names-of-r.csv"] == "rows"


def test_both_readers_agree_on_random_tables(tmp_path):
    """Cells of all kinds, with quotes, spaces and empty cells: the same result or error."""
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    cells = ["1", "2.5", "-3e2", "", "NA", "x", '"a,b"', '" 7"', "true", "2024-05-06", "-", ' "q"']
    for trial in range(150):
        width, separator = int(rng.integers(2, 5)), rng.choice([",", ";", "\t", "|"])
        pool = rng.choice(cells, int(rng.integers(2, 5)))
        rows = [rng.choice(pool, width).tolist() for _ in range(8)]
        if trial % 3 == 0:
            rows.insert(0, [f"name{i}" for i in range(width)])
        if trial % 10 == 0:
            rows[4] = rows[4][:-1]
        path = text_file(tmp_path, "".join(separator.join(row) + "\n" for row in rows))
        results = []
        for reader in ("pandas", "rows"):
            try:
                data, report = read_table(path, reader=reader)
                results.append((data.x.tolist(), data.y.tolist(), data.origin, str(report)))
            except ValueError as error:
                results.append(str(error))
        assert results[0] == results[1], path.read_text()


def test_medians_come_from_the_training_rows():
    columns = {
        "features": [
            {"place": 0, "values": ["a", "b"]},
            {"place": 1, "values": None, "fill": 50.0},
            {"place": 2, "values": None},
        ]
    }
    train = np.array([[1, 0, 1, 0, 9], [1, 0, 2, 0, 9], [0, 1, 50, 1, 9], [0, 1, 6, 0, 9.0]])
    test = np.array([[1, 0, 100, 0, 9], [0, 1, 50, 1, 9.0]])
    fill_from_training(columns, train, test)
    assert columns["features"][1]["fill"] == 2
    assert train[:, 2].tolist() == [1, 2, 2, 6] and test[:, 2].tolist() == [100, 2]


def test_a_pipe_of_other_encodings(tmp_path, monkeypatch):
    """UTF-16 and Latin-1 arrive in pieces."""
    from fastdrop.data.readers.rows import CsvRows
    from fastdrop.data.readers.source import Lines, Source

    class Pieces(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(min(size, 3))

    expected = [(1, ["ä", "b"]), (2, ["1", "é"]), (3, ["2", "ß"])]
    text = "ä;b\n1;é\n2;ß\n"
    for encoding, size in itertools.product(("utf-16", "utf-8-sig", "latin-1"), (3,)):
        source = Source(Pieces(text.encode(encoding)), "pipe", is_file=size > 3)
        assert list(CsvRows(Lines(source))) == expected


def test_gzip_of_a_latin_1_file(tmp_path, reader):
    import gzip

    with open(TABLES / "latin-1.csv", "rb") as file, gzip.open(tmp_path / "t.csv.gz", "wb") as out:
        shutil.copyfileobj(file, out)
    data, _ = read_table(tmp_path / "t.csv.gz", reader=reader)
    assert data.origin["names"] == ["Größe", "Ort", "y"]
