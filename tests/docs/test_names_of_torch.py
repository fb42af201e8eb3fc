"""How many of PyTorch's public names fastdrop has: 95 % of those not left out on purpose."""

import importlib
import inspect
import re

import pytest
from docs.names_left_out import LEFT_OUT

import fastdrop as fd

torch = pytest.importorskip("torch")
OURS = {
    "torch.nn": "fastdrop.nn",
    "torch.nn.functional": "fastdrop.nn.functional",
    "torch.optim": "fastdrop.optim",
    "torch.optim.lr_scheduler": "fastdrop.optim.lr_scheduler",
    "torch.linalg": "fastdrop.linalg",
    "torch.nn.utils": "fastdrop.nn.utils",
    "torch.nn.utils.parametrizations": "fastdrop.nn.utils.parametrizations",
    "torch.utils.data": "fastdrop.data",
    "torch.Tensor": None,
}


def names_of(module):
    """The public names: of Tensor all, of some modules the classes, of others the functions too."""
    if module == "torch.Tensor":
        return {name for name in dir(torch.Tensor) if not name.startswith("_")}
    place = importlib.import_module(module)
    only_classes = module in ("torch.nn", "torch.optim", "torch.optim.lr_scheduler")
    wanted = inspect.isclass if only_classes else callable
    return {
        name for name in dir(place) if not name.startswith("_") and wanted(getattr(place, name))
    }


def left_out(module, name):
    return any(
        re.fullmatch(pattern, name)
        for places in LEFT_OUT.values()
        for place in ("*", module)
        for pattern in places.get(place, ())
    )


@pytest.mark.parametrize("module", OURS)
def test_most_names_are_there(module):
    place = fd.Tensor if OURS[module] is None else importlib.import_module(OURS[module])
    wanted = {name for name in names_of(module) if not left_out(module, name)}
    missing = sorted(name for name in wanted if not hasattr(place, name))
    share = 1 - len(missing) / len(wanted)
    print(f"{module}: {share:.0%} of {len(wanted)} names; missing: {', '.join(missing)}")
    assert share >= 0.95, missing
