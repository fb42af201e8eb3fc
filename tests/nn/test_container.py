"""Sequential and ModuleList."""

from collections import OrderedDict

import numpy as np
import pytest

from fastdrop import nn

X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)


def test_sequential_and_module_list():
    layers = [nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1)]
    s = nn.Sequential(*layers)
    assert (
        len(s) == 3
        and s[-1] is layers[2]
        and list(s) == layers
        and isinstance(s[:2], nn.Sequential)
        and len(s[:2]) == 2
    )
    assert s.append(nn.Identity()) is s and len(s) == 4
    s[1] = nn.Tanh()
    assert isinstance(s[1], nn.Tanh)
    del s[0]
    assert len(s) == 3 and list(s._modules) == ["0", "1", "2"]
    with pytest.raises(IndexError, match="index"):
        s[3]
    with pytest.raises(TypeError, match="module"):
        nn.Sequential(3)
    named = nn.Sequential(OrderedDict([("a", nn.Linear(8, 2)), ("b", nn.ReLU())]))
    assert list(named.state_dict()) == ["a.weight", "a.bias"] and named.a is named[0]
    many = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(many) == 3 and len(list(nn.Sequential(many).parameters())) == 6
    with pytest.raises(TypeError, match="forward"):
        many(X)
