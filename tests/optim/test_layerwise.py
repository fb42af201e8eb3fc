"""Learning rates that fall with the distance from the output."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn


def rates(model, groups):
    """{name: (lr, weight_decay)} of all parameters."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def test_rates_of_bert():
    model = fd.models.bert(20, 8, 3, 2, pooling="pooler", num_classes=2)
    found = rates(model, fd.optim.layerwise_groups(model, 2.0, 0.5, 0.1))
    assert found.keys() == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        depth = 4
        if name.startswith("layers.layers."):
            depth = 3 - int(name.split(".")[2])
        elif name.startswith(("pooler", "classifier")):
            depth = 0
        assert found[name] == (2.0 * 0.5**depth, 0.1 if parameter.ndim > 1 else 0.0), name


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (
            fd.models.gpt(20, 8, 2, 2, 8),
            {"wte.weight": 3, "h.layers.1.linear1.weight": 1, "h.norm.weight": 0},
        ),
        (
            fd.models.vit(3, 8, 4, 8, 2, 2),
            {"positions": 3, "layers.layers.0.norm1.bias": 2, "head.weight": 0},
        ),
        (
            nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2)),
            {"0.weight": 3, "2.bias": 2, "3.weight": 1},
        ),
    ],
)
def test_depths_of_other_models(model, wanted):
    found = rates(model, fd.optim.layerwise_groups(model, 1.0, 0.5))
    assert {name: found[name][0] for name in wanted} == {n: 0.5**d for n, d in wanted.items()}


def test_given_layers_and_frozen_parameters():
    model = fd.models.resnet20(3)
    with pytest.raises(ValueError, match=r"one longest list .*'layer1\.' and 'layer2\.'"):
        fd.optim.layerwise_groups(model, 1.0, 0.5)
    layers = [model.layer1, model.layer2, model.layer3]
    model.conv1.weight.requires_grad_(False)
    found = rates(model, fd.optim.layerwise_groups(model, 1.0, 0.5, layers=layers))
    assert "conv1.weight" not in found
    wanted = {"layer1.0.conv1.weight": 3, "layer3.2.conv2.weight": 1, "fc.weight": 0}
    assert {name: found[name][0] for name in wanted} == {n: 0.5**d for n, d in wanted.items()}


def test_a_step_and_warm_up_use_the_rates():
    """SGD moves each weight by its group's rate times the gradient."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = fd.optim.SGD(fd.optim.layerwise_groups(model, 1.0, 0.25, 0.0))
    warm_up = fd.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    model(np.ones((1, 2))).sum().backward()
    optimizer.step()
    for name, p in model.named_parameters():
        rate = 0.5 * 0.25 ** (2 - int(name[0]))
        np.testing.assert_allclose(before[name] - p.data, rate * p.grad.data, atol=1e-6)
    warm_up.step()
    warm_up.step()
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.0625, 0.25]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1.0, 0.5), ValueError, "lr"),
        ((1.0, 0.0), ValueError, "decay"),
        ((1.0, 1.5), ValueError, "decay"),
        ((1.0, 0.5, -1.0), ValueError, "weight_decay"),
    ],
)
def test_refused_numbers(arguments, error, message):
    with pytest.raises(error, match=message):
        fd.optim.layerwise_groups(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), *arguments)


def test_refused_models_and_layers():
    with pytest.raises(TypeError, match="model must be a Module, got 3"):
        fd.optim.layerwise_groups(3, 1.0, 0.5)
    with pytest.raises(ValueError, match="got a model without one"):
        fd.optim.layerwise_groups(nn.Linear(2, 2), 1.0, 0.5)
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="got a ReLU at 1 that has none"):
        fd.optim.layerwise_groups(model, 1.0, 0.5, layers=[model[0], nn.ReLU()])
    with pytest.raises(TypeError, match="layers must hold Modules, got 5"):
        fd.optim.layerwise_groups(model, 1.0, 0.5, layers=[5])
    with pytest.raises(ValueError, match="at least one module"):
        fd.optim.layerwise_groups(model, 1.0, 0.5, layers=[])
