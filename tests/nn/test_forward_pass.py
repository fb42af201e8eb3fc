"""Forward passes: numbering of sites, counting of draws, mask_state."""

import subprocess
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn


class Masks(nn.Module):
    """Returns the masks that its dropout layers draw for ones (n, 100)."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, n=5):
        return [layer(np.ones((n, 100))).data != 0 for layer in self.layers]


def test_sites_are_numbered_in_registration_order():
    nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.1)).eval()(np.ones((2, 2)))
    shared = nn.Dropout(0.5)
    model = Masks(
        nn.Dropout(0.5), nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.5))[1], shared, shared
    )
    for draw in range(3):
        masks = model()
        for mask, (site, call) in zip(masks, [(0, 0), (1, 0), (2, 0), (2, 1)], strict=True):
            assert np.array_equal(mask, K.keep_mask(5, 100, 0.5, site=site, call=call, draw=draw))
    model.layers.append(nn.Dropout(0.5))
    assert np.array_equal(model()[-1], K.keep_mask(5, 100, 0.5, site=3, draw=3))


def test_functional_dropout_inside_a_pass_has_the_site_after_the_layers():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Dropout(0.5), nn.Dropout(0.5)

        def forward(self, x):
            return [fd.functional.dropout(x, 0.5).data != 0 for _ in range(2)] + [
                self.b(x).data != 0
            ]

    masks = Model()(np.ones((5, 100)))
    assert np.array_equal(masks[0], K.keep_mask(5, 100, 0.5, site=2))
    assert np.array_equal(masks[1], K.keep_mask(5, 100, 0.5, site=2, call=1))
    assert np.array_equal(masks[2], K.keep_mask(5, 100, 0.5, site=1))


def test_stochastic_layer_that_is_not_registered_is_refused():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Dropout(0.5)]

        def forward(self, x):
            return self.layers[0](x)

    model = Model()
    with pytest.raises(RuntimeError, match=r"Dropout must be part of the module.*ModuleList"):
        model(np.ones((5, 100)))
    assert model.draw == 0
    model.layers = nn.ModuleList(model.__dict__.pop("layers"))
    assert np.array_equal(model(np.ones((5, 100))).data != 0, K.keep_mask(5, 100, 0.5))


def test_draw_advances_in_training_only():
    model = Masks(nn.Dropout(0.5))
    first = model()[0]
    assert model.draw == 1
    model.eval()
    model()
    assert model.draw == 1
    model.train()
    model.draw = 0
    assert np.array_equal(model()[0], first)
    for wrong, error in (
        (-1, ValueError),
        (2**32 + 1, ValueError),
        (1.0, TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match="draw"):
            model.draw = wrong
    assert model.draw == 1


def test_no_draw_is_used_twice_at_the_end_of_the_range(tmp_path):
    """After draw 2**32 - 1 there are no masks left: an error, not the masks of draw 0."""
    model = nn.Sequential(nn.BatchNorm1d(100), nn.Dropout(0.5))
    ones = np.ones((5, 100), np.float32)
    model.draw = 2**32 - 1
    model(ones)
    with pytest.raises(RuntimeError, match="draws"):
        model(ones)
    assert model.draw == 2**32 and model[0].num_batches_tracked == 1
    with fd.mask_state(draw=7):
        model(ones)
    assert np.array_equal(model.eval()(ones).shape, ones.shape)
    before = fd.random.get_state()
    fd.random.set_state({**before, "free_draw": 2**32 - 1})
    assert np.array_equal(
        fd.functional.dropout(ones, 0.5).data,
        K.dropout(ones, 0.5, draw=2**32 - 1, seed=before["seed"], instance=2**24 - 1),
    )
    with pytest.raises(RuntimeError, match="draws"):
        fd.functional.dropout(ones, 0.5)
    fd.save_checkpoint(tmp_path / "last", model)
    model.draw = 0
    fd.load_checkpoint(tmp_path / "last", model)
    assert model.draw == 2**32 and fd.random.get_state()["free_draw"] == 2**32
    fd.manual_seed(1)
    fd.functional.dropout(ones, 0.5)
    fd.random.set_state(before)


def test_mask_state_sets_draw_rows_and_seed():
    model = Masks(nn.Dropout(0.5))
    with fd.mask_state(draw=7):
        whole = model(10)[0]
        with fd.mask_state(row0=4):
            part = model(3)[0]
        with fd.mask_state(rows=[9, 2]):
            picked = model(2)[0]
    assert model.draw == 0
    assert np.array_equal(whole, K.keep_mask(10, 100, 0.5, draw=7))
    assert np.array_equal(part, whole[4:7]) and np.array_equal(picked, whole[[9, 2]])
    with fd.mask_state(seed=5):
        assert np.array_equal(model()[0], K.keep_mask(5, 100, 0.5, seed=5))
    with pytest.raises(ValueError, match="row0"), fd.mask_state(row0=-1):
        pass


def test_masks_do_not_depend_on_the_process_or_on_models_before():
    code = (
        "import fastdrop as fd, numpy as np, hashlib\n"
        "from fastdrop import nn\n"
        "{}fd.manual_seed(12)\n"
        "m = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64),"
        " nn.Dropout(0.2))\n"
        "outputs = [m(np.ones((4, 8))).data.tobytes() for _ in range(3)]\n"
        "print(hashlib.sha256(b''.join(outputs)).hexdigest())"
    )
    before = "nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3))(np.ones((2, 3)))\n"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code.format(extra)], capture_output=True, text=True, check=True
        ).stdout
        for extra in ("", before)
    }
    assert len(outputs) == 1 and len(outputs.pop()) == 65
