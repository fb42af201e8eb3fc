"""The README's snippet, word for word."""

import pathlib
import re

import numpy as np
import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="no README beside the tests")
def test_the_readmes_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = [
        re.sub(r"^    ", "", block, flags=re.M)
        for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", README.read_text(), re.M)
    ]
    model_code = next(block for block in blocks if "class MyModel" in block)
    array_code = next(block for block in blocks if "K.dropout" in block)
    rng = np.random.default_rng(0)
    names = {"x": rng.random((32, 784)), "y": rng.integers(0, 10, 32), "__name__": "snippet"}
    exec(model_code, names)
    assert np.allclose(names["proba"].sum(1), 1, atol=1e-5)
    assert (
        names["mc"].mean.shape == (32, 10)
        and names["mc"].std.max() > 0
        and names["mc"].mutual_information.min() >= 0
    )
    assert type(names["model"]) is names["MyModel"] and not names["model"].training
    exec(array_code, {"x": names["x"], "w": rng.random((5, 784)), "b": np.zeros(5)})
