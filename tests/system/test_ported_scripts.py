"""Scripts for PyTorch and scikit-learn do the same when only their imports are changed."""

import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "ported"
LEAST = {"digits": 0.95, "two_inputs": 0.8, "grid_search": 0.93}
IMPORTS = {  # the lines of imports alone
    r"from sklearn\.neural_network import MLPClassifier": (
        "from fastdrop.sklearn import DropoutClassifier as MLPClassifier"
    ),
    r"import torch$": "import fastdrop as torch",
    r"import torch\.nn\.functional as F": "import fastdrop.nn.functional as F",
    r"from torch\.utils\.data import": "from fastdrop.data import",
    r"from torch": "from fastdrop",
}


@pytest.mark.parametrize("ported", [False, True])
@pytest.mark.parametrize("name", LEAST)
def test_scripts(name, ported):
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    changed = text
    for pattern, line in IMPORTS.items():
        changed = re.sub(f"^{pattern}", line, changed, flags=re.M)
    # The step of a pipeline has the name of its class.
    changed = changed.replace("mlpclassifier__", "dropoutclassifier__")
    assert not re.search(r"^(import|from) torch", changed, re.M)
    names = {}
    exec(compile(changed if ported else text, f"{name}.py", "exec"), names)
    assert names["score"] > LEAST[name]
