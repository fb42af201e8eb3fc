"""The pages of the dropout family: complete, with pictures, and right about Monte Carlo passes."""

import importlib.util
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels, nn
from fastdrop.nn import functional

FAMILY = Path(__file__).resolve().parents[2] / "docs" / "family"
PAGES = {path.stem: path for path in sorted(FAMILY.glob("*.md"))}
MEMBERS = [name for name in PAGES if name not in ("index", "schedules", "monte-carlo-dropout")]

pytestmark = pytest.mark.skipif(
    not FAMILY.is_dir(), reason="the documentation is not beside the tests"
)


def text(page):
    return PAGES[page].read_text(encoding="utf-8")


def test_the_index_links_every_page():
    linked = set(re.findall(r"\]\(([\w-]+)\.md\)", text("index")))
    listed = set(re.search(r"```\{toctree\}\n:hidden:\n\n(.*?)```", text("index"), re.S)[1].split())
    assert linked == listed == PAGES.keys() - {"index"}


def test_names_in_the_table_exist():
    rows = [line for line in text("index").splitlines() if line.startswith("| [")]
    assert len(rows) == len(MEMBERS)
    for row in rows:
        _, layers, functions, arrays, _ = (cell.strip() for cell in row.strip("|").split("|"))
        for cell, prefix, module in (
            (layers, "", nn),
            (functions, "F.", functional),
            (arrays, "K.", kernels),
        ):
            for name in re.findall(r"`([^`]+)`", cell):
                first, *others = name.partition("(")[0].removeprefix(prefix).split("/")
                stem = first.removesuffix("1d")
                for attribute in (first, *(stem + other for other in others)):
                    assert hasattr(module, attribute), f"{module.__name__}.{attribute}"


def test_every_stochastic_layer_has_a_page():
    kinds = {name: getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    layers = {name for name, kind in kinds.items() if getattr(kind, "n_sites", 0)}
    assert len(layers) > 20
    missing = layers - {
        name.partition("(")[0] for name in re.findall(r"nn\.(\w+)", "".join(map(text, MEMBERS)))
    }
    assert missing == set()


def test_the_pages_name_the_layers_that_take_no_schedule():
    kinds = {name: getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    without = {
        name
        for name, kind in kinds.items()
        if getattr(kind, "n_sites", 0) and "Schedule" not in str(inspect.signature(kind))
    }
    named = re.search(r"These take\s+no schedule: (.*?)\. ", text("index"), re.S)[1]
    assert set(re.findall(r"`(\w+)`", named)) == without


@pytest.mark.parametrize("page", MEMBERS)
def test_a_page_has_all_its_parts(page):
    headings = re.findall(r"^## (.*)$", text(page), re.M)
    assert headings[0] == "Formula"
    assert headings[1].startswith("When to use it")
    assert headings[2:6] == ["Example", "Picture", "Cost", "Monte Carlo passes"]
    assert page == "gaussian-noise" or headings[-1] in ("Paper", "Papers")
    assert "$$" in text(page) and "```python" in text(page)


def test_every_picture_is_shown_and_small():
    shown = set(re.findall(r"!\[[^]]+\]\(pictures/([\w-]+)\.png\)", "".join(map(text, PAGES))))
    files = {path.stem: path.stat().st_size for path in (FAMILY / "pictures").glob("*.png")}
    assert shown == files.keys() == PAGES.keys() - {"index"}
    assert max(files.values()) < 60_000


def test_the_script_draws_every_picture(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("pictures", FAMILY / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    names = {picture.__name__.replace("_", "-") for picture in pictures.PICTURES}
    assert names == PAGES.keys() - {"index"}
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    quick = ["dropout", "dropblock", "word-dropout", "targeted-dropout"]
    monkeypatch.setattr("sys.argv", ["pictures.py", *quick])
    pictures.main()
    assert {path.stem for path in tmp_path.iterdir()} == set(quick)
    assert capsys.readouterr().out.count("kB") == len(quick)
    blocks = pictures.mask(nn.DropBlock2d(0.2, 5), (2, 3, 20, 20))
    assert blocks.shape == (2, 3, 20, 20) and set(np.unique(blocks)) == {0, 1}


# ---- which passes are computed side by side ----

RNG = np.random.default_rng(0)
ROWS, SEQUENCES, MAPS = (
    RNG.standard_normal(shape).astype(np.float32) for shape in ((6, 8), (6, 5, 8), (6, 3, 8, 8))
)
TOKENS = RNG.integers(0, 10, (6, 5)).astype(np.float32)
SIDE_BY_SIDE = {
    "PatchDropout": (nn.PatchDropout(0.3), SEQUENCES),
    "Dropout": (nn.Dropout(0.3), ROWS),
    "Dropout, share=": (nn.Dropout(0.3, share=(1,)), ROWS),
    "SpatialDropout1d": (nn.SpatialDropout1d(0.3), SEQUENCES),
    "SpatialDropout2d": (nn.SpatialDropout2d(0.3), MAPS),
    "HeadDropout": (nn.HeadDropout(0.3), MAPS),
    "DropBlock": (nn.DropBlock2d(0.3, 2), MAPS),
    "AlphaDropout": (nn.AlphaDropout(0.3), ROWS),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout(0.3), MAPS),
    "GaussianDropout": (nn.GaussianDropout(0.3), ROWS),
    "GaussianNoise": (nn.GaussianNoise(0.3), ROWS),
    "DropPath": (nn.DropPath(0.3), ROWS),
    "TokenDropout": (nn.TokenDropout(0.3), SEQUENCES),
    "DropConnectLinear": (nn.DropConnectLinear(8, 3, p=0.3, inference="gaussian"), ROWS),
    "Flatten": (nn.Sequential(nn.SpatialDropout2d(0.3), nn.Flatten(), nn.Linear(192, 3)), MAPS),
    "Conv2d": (
        nn.Sequential(nn.Dropout(0.3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        MAPS,
    ),
    "MaxPool2d": (nn.Sequential(nn.SpatialDropout2d(0.3), nn.MaxPool2d(2)), MAPS),
    "BatchNorm1d": (
        nn.Sequential(
            nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.LayerNorm(8), nn.ReLU()
        ),
        ROWS,
    ),
}


class _Reshaped(nn.Module):
    """A reshape behind a layer that draws."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.SpatialDropout2d(0.3)

    def forward(self, x):
        return self.dropout(x).reshape(x.shape[0], -1)


ONE_BY_ONE = {
    "DropBlock": (nn.DropBlock2d(0.3, 2, normalize="batch"), MAPS),
    "ConcreteDropout": (nn.ConcreteDropout(0.3), ROWS),
    "VariationalLinear": (nn.VariationalLinear(8, 3), ROWS),
    "Residual": (nn.Residual(nn.Linear(8, 8), 0.3), ROWS),
    "Embedding": (nn.Embedding(10, 4, dropout=0.3), TOKENS),
    "DropConnectLinear": (nn.DropConnectLinear(8, 3, p=0.3), ROWS),
    "DropConnectConv2d": (nn.DropConnectConv2d(3, 4, 3, p=0.3), MAPS),
    "TargetedConv2d": (nn.TargetedConv2d(3, 4, 3), MAPS),
    "VariationalConv2d": (nn.VariationalConv2d(3, 4, 3), MAPS),
    "WeightDrop": (nn.WeightDrop(nn.Linear(8, 3), p=0.3), ROWS),
    "TargetedLinear": (nn.TargetedLinear(8, 3), ROWS),
    "reshape": (_Reshaped(), MAPS),
}


def column(number):
    rows = re.search(
        r"^\| side by side \| one by one \|\n(.*?)\n\n", text("monte-carlo-dropout"), re.M | re.S
    )
    return "\n".join(row.strip("|").split("|")[number] for row in rows[1].splitlines()[1:])


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_passes_that_the_page_says_are_computed_side_by_side(name):
    model, x = SIDE_BY_SIDE[name]
    assert f"`{name.partition(',')[0].removesuffix('2d').removesuffix('1d')}" in column(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mc = fd.mc_predict(model, x, samples=20, output="raw", progress=False)
    assert mc.variance.max() > 0


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_passes_that_the_page_says_run_one_by_one(name):
    model, x = ONE_BY_ONE[name]
    assert f"`{name}`" in column(1)
    with pytest.warns(UserWarning, match="one by one"):
        mc = fd.mc_predict(model, x, samples=20, output="raw", progress=False)
    assert mc.variance.max() > 0
