"""``fastdrop predict --html``: the page holds what the command answers."""

import numpy as np
import pytest

from fastdrop.data.readers.decode import column_places, decoded_rows
from fastdrop.predictor.load import load_predictor
from helpers.commands import read
from helpers.pages import Page


def page_of(path):
    page = Page(path.read_text())
    page.check_self_contained()
    return page


@pytest.mark.parametrize("passes", [None, 8])
def test_answers_of_classes(folder, predict, passes):
    more = [] if passes is None else ["--mc", passes]
    out, _ = predict("classes", "t.csv", "--html", "p.html", *more)
    answers, inputs = read(out), read((folder / "t.csv").read_text())
    page = page_of(folder / "p.html")
    head, *lines = page.tables["rows"]
    measures = [] if passes is None else ["entropy", "mutual information"]
    assert head == ["row", "prediction", "probability", *measures, "colour", "size"]
    for line, answer, given in zip(lines, answers, inputs, strict=True):
        assert line[1] == answer["prediction"]
        likely = max(float(answer[label]) for label in ("no", "yes", "ä"))
        assert float(line[2].split()[0]) == pytest.approx(100 * likely, abs=0.06)
        assert line[-2] == given["colour"] and float(line[-1]) == float(given["size"])
        if passes:
            assert float(line[3]) == pytest.approx(float(answer["entropy"]), rel=1e-3)
    told = [answer["prediction"] for answer in answers]
    counts = {line[0]: int(line[1]) for line in page.tables["classes"][1:]}
    assert counts == {label: told.count(label) for label in ("no", "yes", "ä")}
    assert dict(page.tables["summary"][1:])["passes with dropout"] == str(passes or "none")
    uncertain = page.tables["uncertain-rows"][1:]
    assert len(uncertain) == 20 and all(line == lines[int(line[0])] for line in uncertain)
    if passes:
        entropies = [float(answer["entropy"]) for answer in answers]
        assert {int(line[0]) for line in uncertain} == set(np.argsort(entropies)[-20:].tolist())


def test_answers_of_numbers(folder, predict):
    out, _ = predict("numbers", "x.npy", "--html", "p.html", "--mc", 5, "--out", "a.csv")
    assert out == ""
    answers, page = read((folder / "a.csv").read_text()), page_of(folder / "p.html")
    head, *lines = page.tables["rows"]
    assert head == ["row", "prediction", "std", "0", "1", "2"]
    x = np.load(folder / "x.npy")
    for line, answer, row in zip(lines, answers, x, strict=True):
        told = [float(cell) for cell in line[1:]]
        expected = [float(answer["prediction"]), float(answer["std"]), *row]
        np.testing.assert_allclose(told, expected, rtol=1e-3)
    spread = [float(answer["std"]) for answer in answers]
    order = [int(line[0]) for line in page.tables["uncertain-rows"][1:]]
    assert order == np.argsort(-np.array(spread), kind="stable")[:20].tolist()
    predict("numbers", "x.npy", "--html", "q.html")
    assert "uncertain-rows" not in page_of(folder / "q.html").tables


def test_raw_outputs_and_skipped_rows(folder, predict):
    predict("raw", "x.csv", "--html", "p.html")
    page = page_of(folder / "p.html")
    assert page.tables["rows"][0][:2] == ["row", "prediction"]
    assert all(len(line[1].split(", ")) == 2 for line in page.tables["rows"][1:])
    stdin = b"colour,size\nred,0.5\npink,0.5\nred,0.25\n"
    predict("classes", "-", "--html", "s.html", "--on-error", "skip", stdin=stdin, status=1)
    page = page_of(folder / "s.html")
    summary = dict(page.tables["summary"][1:])
    assert summary["rows"] == "2, and 1 skipped" and summary["input"] == "standard input"
    assert [line[0] for line in page.tables["rows"][1:]] == ["0", "2"]
    assert [line[-1] for line in page.tables["rows"][1:]] == ["0.5", "0.25"]


def test_of_many_rows_the_first_are_shown(folder, predict):
    x = np.random.default_rng(0).normal(5, 2, (700, 3))
    np.save("many.npy", x)
    predict("numbers", "many.npy", "--html", "p.html")
    page = page_of(folder / "p.html")
    assert len(page.tables["rows"]) == 501 and "500 of 700 rows" in page.text
    np.save("none.npy", x[:0])
    predict("numbers", "none.npy", "--html", "p.html")
    assert dict(page_of(folder / "p.html").tables["summary"][1:])["rows"] == "0"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("p.pdf", "--html must end in .html, got 'p.pdf'"),
        ("none/p.html", "there is no folder 'none'"),
    ],
)
def test_wrong_names(folder, predict, path, words):
    assert words in predict("numbers", "x.npy", "--html", path, status=2)[1]


def test_the_page_is_another_file(folder, predict):
    (folder / "x.html").write_bytes((folder / "x.csv").read_bytes())
    _, err = predict("raw", "x.html", "--html", "x.html", status=2)
    assert "--html and the input must be different files" in err


def test_cells_of_all_kinds(folder):
    """Numbers of a sample become the cells of the file again."""
    from fastdrop.data.readers.csv import load_csv

    lines = [
        "n,share,flag,day,moment,hour,colour",
        "1.5,5 %,true,2024-02-29,2024-02-29T12:30,09:05,red",
        "-20,12.5 %,false,1969-12-31,1970-01-01T00:01,23:59,",
        ",7 %,true,2000-01-01,2000-01-01T18:00,00:00,blue",
    ]
    rows = lines[1:] * 4
    (folder / "k.csv").write_text(
        lines[0] + ",y\n" + "".join(f"{row},{'ab'[i % 2]}\n" for i, row in enumerate(rows))
    )
    data = load_csv("k.csv")
    names = [name for name, _ in column_places(data.origin, data.x.shape[1])]
    assert names == lines[0].split(",")
    found = decoded_rows(data.origin, data.x[:3])
    assert found == [
        ["1.5", "5 %", "true", "2024-02-29", "2024-02-29 12:30", "09:05", "red"],
        ["-20", "12.5 %", "false", "1969-12-31", "1970-01-01 00:01", "23:59", "(missing)"],
        ["(missing)", "7 %", "true", "2000-01-01", "2000-01-01 18:00", "00:00", "blue"],
    ]
    predictor, _ = load_predictor("numbers")
    assert column_places(predictor.preparation.origin, 2) == [
        ("0", slice(0, 1)),
        ("1", slice(1, 2)),
    ]


def test_pictures_have_their_names(folder, predict):
    import fastdrop as fd
    from fastdrop.data import Dataset
    from fastdrop.data.image_preprocessing import ImagePreparation

    images = np.random.default_rng(0).integers(0, 255, (6, 1, 16, 16), np.uint8)
    made = ImagePreparation.of_images(Dataset(images, [0, 1] * 3, ["a", "b"]))
    fd.save(fd.models.lenet5(2, in_channels=1, size=16), "images", info=made.to_dict())
    np.save("i.npy", images)
    out, _ = predict("images", "i.npy", "--html", "p.html")
    head, *lines = page_of(folder / "p.html").tables["rows"]
    assert head == ["row", "file", "prediction", "probability"]
    expected = [(answer["file"], answer["prediction"]) for answer in read(out)]
    assert [tuple(line[1:3]) for line in lines] == expected and expected[0][0].startswith("i.npy")
