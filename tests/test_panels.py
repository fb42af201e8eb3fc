"""Panels that are packed once, thinned weights, and the thinned networks of shared masks."""

import gc

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, mc, nn

RNG = np.random.default_rng(0)
SHAPES = [(1, 1024, 784), (3, 37, 1000), (50, 10, 1024), (200, 1025, 385), (5, 7, 0), (2, 33, 16), (4, 0, 9), (1, 1, 1)]


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kept_panels_give_the_same_bits(shape, each_isa):
    m, n, k = shape
    x, w, b = floats(m, k), floats(n, k), floats(n)
    for _ in each_isa():
        panels = np.full(_core.panels_length(n, k), np.float32(np.nan))
        _core.pack(panels, w)
        expected, found = np.empty((m, n), np.float32), np.empty((m, n), np.float32)
        _core.gemm(expected, x, False, w, True, b, 1)
        _core.gemm(found, x, False, None, True, b, 1, panels=panels)
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_thinned_operands(shape, share, each_isa):
    m, n, k = shape
    x, w, kept, rows = floats(m, 2 * k)[:, :k], floats(n, k), RNG.random(k) < share, np.flatnonzero(RNG.random(n) < share).astype(np.int32)
    bits = np.zeros(4 * (k // 128 + 1) + 2, np.uint32)
    bits.view(np.uint8)[:-(-k // 8)] = np.packbits(kept, bitorder="little")
    for _ in each_isa():
        thin = np.full((m + 2, kept.sum()), np.float32(77))
        _core.compress(thin[1:-1], x, bits)
        assert np.array_equal(thin[1:-1], x[:, kept]) and (thin[0] == 77).all() and (thin[-1] == 77).all()
        panels = np.full(_core.panels_length(len(rows), int(kept.sum())), np.float32(np.nan))
        _core.pack(panels, w, rows, bits, int(kept.sum()), 2.0)
        apart = np.full((m, 2 * len(rows) + 1), np.float32(77))
        _core.gemm(apart[:, :len(rows)], np.ascontiguousarray(thin[1:-1]), False, None, True, panels=panels)
        wide, bound = x.astype(np.float64) @ (2 * w * kept).T, np.abs(x).astype(np.float64) @ np.abs(2 * w).T
        assert (np.abs(apart[:, :len(rows)] - wide[:, rows]) <= 1e-6 * bound[:, rows]).all() and (apart[:, len(rows):] == 77).all()


def test_nothing_is_kept_that_somebody_could_change():
    layer, x = nn.Linear(40, 30).eval(), floats(2, 40)
    weight = layer.weight

    def predict():
        with fd.no_grad():
            return layer(x).data.copy()

    def exact():
        w, b = weight._data, layer.bias._data
        return x.astype(np.float64) @ w.T + b

    first = predict()
    assert weight._panels is not None and np.array_equal(predict(), first)
    held = weight.data  # whoever asks may write, now or later
    assert weight._panels is None
    for change in (lambda: np.multiply(held, 2, out=held), lambda: held.__setitem__((0, 0), 9), lambda: layer.load_state_dict({"weight": held + 1, "bias": layer.bias.data})):
        change()
        assert np.abs(predict() - exact()).max() < 1e-4 and weight._panels is None
    view = held[1:]
    del held
    gc.collect()
    view[...] = 3
    assert np.abs(predict() - exact()).max() < 1e-4 and weight._panels is None
    del view
    predict()
    assert weight._panels is not None
    weight.data = floats(30, 40)
    assert np.abs(predict() - exact()).max() < 1e-4
    own = floats(30, 40)
    weight.data = own  # shared with the caller
    predict()
    assert weight._panels is None
    own[...] = 1
    assert np.abs(predict() - exact()).max() < 1e-4
    optimizer = fd.optim.SGD(layer.parameters(), lr=0.5)
    del own
    predict()
    layer.train()
    layer(x).sum().backward()
    optimizer.step()
    layer.eval()
    assert np.abs(predict() - exact()).max() < 1e-4
    other = nn.Linear(40, 30)
    other.load_state_dict(layer.state_dict())
    assert np.array_equal(predict(), other(x).data)


def test_another_instruction_set_packs_again(each_isa):
    layer, x = nn.Linear(100, 50), floats(1, 100)
    with fd.no_grad():
        for _ in each_isa():
            wide = x.astype(np.float64) @ layer.weight._data.T + layer.bias._data
            assert np.abs(layer(x).data - wide).max() < 1e-4 and np.array_equal(layer(x).data, layer(np.repeat(x, 200, 0)).data[:1])


class Branches(nn.Module):
    """What a dropout gave is used twice, and kept; normalisation stands between."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.a, self.b, self.last, self.drop = nn.Linear(12, 60), nn.LayerNorm(60), nn.Linear(60, 50), nn.Linear(60, 50), nn.Linear(50, 3), nn.Dropout(0.4)

    def forward(self, x):
        h = self.drop(fd.relu(self.first(self.drop(x))))
        self.kept = self.drop(fd.tanh(self.a(h)))
        return self.last(self.kept + self.drop(fd.relu(self.b(self.drop(self.norm(h))))))


def deep(*rates):
    layers = []
    for p in rates:
        layers += [nn.Linear(12 if not layers else 40, 40), nn.GELU(), nn.Dropout(p)]
    return nn.Sequential(*layers, nn.Linear(40, 2, bias=False))


@pytest.mark.parametrize("build", [lambda: deep(0.5, 0.5), lambda: deep(0.1, 0.9, 0.3), lambda: deep(0.5, 1.0, 0.5), lambda: deep(0.0, 0.5), lambda: nn.Sequential(nn.Dropout(0.2), deep(0.5, 0.5)),
                                   lambda: nn.Sequential(deep(0.3), nn.Dropout(0.5)), Branches], ids=["two", "three", "nothing kept", "p = 0", "input", "last", "branches"])
def test_thinned_networks_equal_whole_ones(build, monkeypatch):
    fd.manual_seed(1)
    model, x = build().eval(), floats(37, 12)
    options = {"samples": 9, "seed": 3, "masks": "shared", "output": "raw", "keep": True}
    thin = fd.mc_predict(model, x, **options)
    for batch_size in (1, 10, 37, 100):
        assert np.array_equal(fd.mc_predict(model, x, batch_size=batch_size, **options).passes, thin.passes)
    assert np.array_equal(fd.mc_predict(model, x, **{**options, "samples": 1}).passes, thin.passes[:, :1])
    monkeypatch.setattr(mc, "_MANY", 1000)
    whole = fd.mc_predict(model, x, **options)
    assert np.abs(thin.passes - whole.passes).max() < 1e-5 and (thin.std.max() > 0 or "1.0" in repr(model))


def test_dropped_units_are_not_multiplied(monkeypatch):
    seen = []
    gemm = _core.gemm

    def spy(c, a, *arguments, **options):
        seen.append((a.shape[1], c.shape[1]))
        return gemm(c, a, *arguments, **options)

    model = nn.Sequential(nn.Linear(12, 400), nn.ReLU(), nn.Dropout(0.5), nn.Linear(400, 300), nn.ReLU(), nn.Dropout(0.5), nn.Linear(300, 3))
    monkeypatch.setattr(_core, "gemm", spy)
    fd.mc_predict(model, floats(20, 12), 6, masks="shared")
    inner = [shape for shape in seen if shape[1] not in (400, 3)]
    assert seen.count((12, 400)) == 1 and len(inner) == 6 and all(150 < k < 250 and 110 < n < 190 for k, n in inner)
