"""Maps read at the places of a grid: PyTorch's values and gradients."""

import numpy as np
import pytest

import fastdrop.nn.functional as F
from helpers.against_torch import compare

torch = pytest.importorskip("torch")
T = torch.nn.functional

RNG = np.random.default_rng(0)
CASES = [
    (mode, padding, aligned, size)
    for mode in ("bilinear", "nearest", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for aligned in (False, True)
    for size in ((4, 5), (1, 3), (3, 4, 2))
    if mode != "bicubic" or len(size) == 2
]


@pytest.mark.parametrize(("mode", "padding", "aligned", "size"), CASES)
def test_grid_sample(mode, padding, aligned, size):
    axes = len(size)
    x = RNG.standard_normal((2, 3, *size)).astype(np.float32)
    for shape in ((3, 6, 2)[-axes:], (7, 1, 2)[:axes]):
        grid = RNG.uniform(-2.7, 2.7, (2, *shape, axes)).astype(np.float32)
        options = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
        compare(
            lambda x, grid, o=options: F.grid_sample(x, grid, **o),
            lambda x, grid, o=options: T.grid_sample(x, grid, **o),
            *(x, grid),
            rtol=1e-4,
            atol=1e-4,
            grad_rtol=1e-3,
            grad_atol=1e-3,
        )


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 3), (2, 3, 4, 2, 3)])
@pytest.mark.filterwarnings("ignore")
def test_affine_grid(size, aligned):
    axes = len(size) - 2
    theta = RNG.standard_normal((2, axes, axes + 1)).astype(np.float32)
    compare(
        lambda t: F.affine_grid(t, size, aligned), lambda t: T.affine_grid(t, size, aligned), theta
    )


def test_the_identity_gives_the_map_itself():
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    theta = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    for aligned in (None, False, True):
        grid = F.affine_grid(theta, x.shape, aligned)
        y = F.grid_sample(x, grid, align_corners=aligned)
        np.testing.assert_allclose(y.data, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{"scale_factor": 2}, {"size": (7, 3)}])
@pytest.mark.filterwarnings("ignore")
def test_old_names_of_interpolate(options):
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    for name in ("upsample", "upsample_nearest", "upsample_bilinear"):
        compare(
            lambda x, n=name: getattr(F, n)(x, **options),
            lambda x, n=name: getattr(T, n)(x, **options),
            x,
        )


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda x, g: F.grid_sample(x, g, "linear"), "mode"),
        (lambda x, g: F.grid_sample(x, g, padding_mode="wrap"), "padding_mode"),
        (lambda x, g: F.grid_sample(x, g[:1]), "input and grid"),
        (lambda x, g: F.grid_sample(x[0], g[0]), "input and grid"),
        (lambda x, g: F.grid_sample(x[:, :, None], np.ones((2, 1, 1, 1, 3)), "bicubic"), "bicubic"),
        (lambda x, g: F.affine_grid(np.ones((1, 2, 3)), (2, 1, 3, 3)), "theta"),
        (lambda x, g: F.affine_grid(np.ones((1, 2, 3)), (1, 3, 3)), "size"),
        (lambda x, g: F.affine_grid(np.ones((1, 2, 3)), (1, 1, 0, 3)), "size"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call(np.ones((2, 3, 4, 5)), np.zeros((2, 3, 3, 2)))
