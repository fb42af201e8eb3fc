"""Stochastic depth: DropPath, the rates over depth, and Residual."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)


def test_drop_path_modes_and_rates():
    x = np.ones((50, 3), np.float32)
    row = K.drop_path(x, 0.5, seed=2)
    assert {tuple(r) for r in row.tolist()} == {(0, 0, 0), (2, 2, 2)}
    kept = [K.drop_path(x, 0.5, mode="batch", seed=2, draw=draw)[:, 0] for draw in range(40)]
    assert all((k == k[0]).all() for k in kept) and {k[0] for k in kept} == {0, 2}
    np.testing.assert_array_equal(
        [k[0] != 0 for k in kept],
        [reference.keep_mask([2**32 - 1], 1, 0.5, seed=2, draw=d)[0, 0] for d in range(40)],
    )
    assert K.drop_path(x, 0.5, scale_by_keep=False, seed=2).max() == 1
    assert nn.drop_path_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3]) and nn.drop_path_rates(
        0.4, 4, "first"
    ) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert nn.drop_path_rates(0.3, 1) == [0.0] and nn.drop_path_rates(0.3, 0) == []


class Counting(nn.Module):
    """A branch that notes with how many rows it was called."""

    def __init__(self, *layers):
        super().__init__()
        self.layers, self.rows = nn.Sequential(*layers), []

    def forward(self, x):
        self.rows.append(len(x))
        return self.layers(x)


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("scale", [True, False])
def test_residual_computes_the_kept_samples_only(mode, scale):
    """Value and gradients are those of x + DropPath(branch(x)), with dropout in the branch."""
    branch = Counting(nn.Linear(6, 20), nn.ReLU(), nn.Dropout(0.4), nn.Linear(20, 6))
    residual = nn.Sequential(nn.Residual(branch, 0.5, mode, scale))

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.path, self.branch = nn.DropPath(0.5, mode, scale), branch

        def forward(self, x):
            return x + self.path(self.branch(x))

    x = RNG.standard_normal((40, 6)).astype(np.float32)
    seen = set()
    for draw in range(8):
        results = []
        for model in (residual, Plain()):
            t = fd.tensor(x, requires_grad=True)
            with fd.mask_state(draw=draw, row0=3, instance=0):
                branch.rows.clear()
                y = model(t)
                seen.update(branch.rows or [0])
            model.zero_grad()
            (y * y).sum().backward()
            results.append(
                (
                    y.data,
                    t.grad.data,
                    *(
                        np.zeros(p.shape) if p.grad is None else p.grad.data
                        for p in branch.parameters()
                    ),
                )
            )
            if model is residual:
                kept = np.broadcast_to(
                    reference.keep_mask(
                        [2**32 - 1] if mode == "batch" else np.arange(40) + 3,
                        1,
                        0.5,
                        seed=0,
                        draw=draw,
                    )[:, 0],
                    40,
                )
                assert sum(branch.rows) == kept.sum()
        np.testing.assert_array_equal(results[0][0], results[1][0])
        for ours, plain in zip(results[0][1:], results[1][1:], strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
    assert len(seen) > 1


def test_residual_around_batch_norm_and_in_evaluation():
    norm = Counting(nn.Linear(6, 6), nn.BatchNorm1d(6))
    model = nn.Residual(norm, 0.5)
    x = RNG.standard_normal((40, 6)).astype(np.float32)
    y = model(x).data
    assert norm.rows == [40]
    unchanged = (y == x).all(1)
    np.testing.assert_array_equal(~unchanged, reference.keep_mask(np.arange(40), 1, 0.5)[:, 0])
    model.eval()
    np.testing.assert_allclose(model(x).data, x + norm.layers(x).data, rtol=1e-6)
    assert fd.mc_predict(model, x, 5, output="raw").std.max() > 0 and norm.rows[-1] < 40
    with pytest.raises(ValueError, match="shape"):
        nn.Residual(nn.Linear(6, 5), 0.5)(x)
    boom = nn.Residual(Counting(nn.Linear(5, 6)), 0.5)
    holder = nn.Sequential(boom, nn.Dropout(0.5))
    with pytest.raises(ValueError, match="features"):
        holder(x)
    with pytest.raises(TypeError, match="module"):
        nn.Residual(3)


def test_residual_is_saved_and_loaded(tmp_path):
    model = nn.Sequential(
        nn.Residual(
            nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2)),
            fd.schedules.Linear(0, 0.5, 9),
            shortcut=nn.Linear(3, 3),
        )
    )
    fd.save(model, tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    assert repr(again) == repr(model)
    x = np.ones((4, 3), np.float32)
    with fd.mask_state(draw=7, instance=0):
        np.testing.assert_array_equal(again(x).data, model(x).data)
