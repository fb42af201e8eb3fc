import numpy as np
import pytest

import fastdrop as fd
from fastdrop.nn import functional as F

rng = np.random.default_rng(0)


@pytest.mark.parametrize("isa", fd.available_isas())
@pytest.mark.parametrize("threads", [1, 3])
def test_all(isa, threads):
    old = fd.isa()
    for shape in [
        (3, 1, 5, 7),
        (2, 3, 1, 1),
        (2, 16, 4, 4),
        (3, 17, 7, 7),
        (2, 64, 32, 32),
        (1, 130, 9, 11),
        (4, 300, 3, 5),
        (2, 5, 40),
        (2, 6, 3, 4, 5),
    ]:
        x = rng.standard_normal(shape).astype("f")
        axes = len(shape) - 2
        for p in (0.05, 0.1, 0.25, 0.5, 0.9):

            def run(cl):
                fd.manual_seed(3)
                fd.set_num_threads(threads)
                a = (
                    fd.Tensor(x.copy())
                    if not cl
                    else fd.Tensor(np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1))
                )
                a.requires_grad = True
                outs = [
                    F.dropout(a, p),
                    getattr(F, f"dropout{axes}d")(a, p),
                    getattr(F, f"drop_block{axes}d")(a, p, 3),
                    F.alpha_dropout(a, p),
                    F.feature_alpha_dropout(a, p),
                    F.drop_path(a, p),
                ]
                for i, o in enumerate(outs):
                    (o * float(i + 1)).sum().backward()
                return [o.numpy() for o in outs] + [
                    a.grad.numpy() if hasattr(a.grad, "numpy") else a.grad
                ]

            for i, (u, v) in enumerate(zip(run(0), run(1))):
                assert np.array_equal(u, v), (shape, p, i, np.abs(u - v).max())
