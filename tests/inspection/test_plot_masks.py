"""Pictures of masks."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.inspection.plot_masks import drawn_mask


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout(0.5), (20, 30)),
        (nn.SpatialDropout2d(0.4), (1, 9, 6, 6)),
        (nn.DropBlock2d(0.2, 5), (1, 4, 20, 20)),
        (nn.DropPath(0.5), (12, 8)),
        (nn.DropConnectLinear(10, 12, p=0.5), ()),
        (nn.TargetedLinear(10, 12), ()),
        (nn.Embedding(12, 4, dropout=0.5), ()),
        (nn.TokenDropout(0.5), (3, 8, 5)),
        (nn.GaussianDropout(0.3), (10, 10)),
        (nn.Dropout(0.5), (7,)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else None,
)
def test_plot_masks(layer, shape, tmp_path):
    layer.eval()
    mask = drawn_mask(layer, shape, draw=1)
    if not isinstance(layer, nn.GaussianDropout):
        assert 0.1 < (np.abs(mask) < 1e-3).mean() < 0.8
    picture = fd.plot_masks(layer, shape, tmp_path / "m.png", draws=2)
    assert (
        (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"
        and len(picture.axes) == 2
        and not layer.training
    )
    if isinstance(layer, nn.DropConnectLinear):
        from fastdrop import kernels as K

        np.testing.assert_array_equal(np.abs(mask) > 1e-3, K.dropconnect_mask(12, 10, 0.5, draw=1))
    with pytest.raises(TypeError, match="layer"):
        fd.plot_masks(3, shape)


@pytest.mark.parametrize(
    ("layer", "shape", "names"),
    [
        (nn.Dropout(0.5), (20, 30), ("unit", "sample", "")),
        (nn.Dropout(0.5), (7,), ("unit", "", "")),
        (nn.SpatialDropout2d(0.4), (1, 9, 6, 5), ("column", "row", "channel")),
        (nn.DropBlock1d(0.2, 3), (3, 4, 20), ("position", "channel", "sample")),
        (nn.HeadDropout(0.5), (1, 8, 5, 6), ("unit", "position", "head")),
        (nn.TokenDropout(0.5), (3, 8, 5), ("unit", "token", "sample")),
        (nn.Dropout(0.5), (3, 8, 5), ("unit", "axis 1", "sample")),
        (nn.DropConnectLinear(10, 12, p=0.5), (), ("input feature", "output unit", "")),
        (nn.Embedding(12, 4, dropout=0.5), (), ("embedding dimension", "token id", "")),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else None,
)
def test_pictures_name_the_layer_and_the_axes(layer, shape, names):
    pytest.importorskip("matplotlib")
    picture = fd.plot_masks(layer, shape, draws=2)
    first, second = picture.axes
    assert (first.get_xlabel(), first.get_ylabel()) == names[:2]
    assert (first.get_title(), second.get_title()) == ("pass 0", "pass 1")
    title = picture.get_suptitle().replace("\n", " ")
    assert title.startswith(f"{type(layer).__name__}({layer.extra_repr()}) ")
    assert "black 0, white" in title
    assert ("one map for each" in title) == bool(names[2]) and title.endswith(names[2])
