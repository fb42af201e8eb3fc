"""The precision of matrix products: the modes, and the layers that follow them."""

import asyncio
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.nn import functional as F
from helpers import bf16

medium, highest = fd.float32_matmul_precision("medium"), fd.float32_matmul_precision("highest")


@pytest.fixture(autouse=True)
def computes_in_bf16():
    """Emulated where this machine has no kernels of its own; the default precision afterwards."""
    if fd.bf16_isa() is None:
        _core.set_bf16_isa("emulated")
    yield
    _core.set_bf16_isa(None)
    fd.set_float32_matmul_precision("highest")


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def now():
    return fd.get_float32_matmul_precision()


def product(a, b, ta=False, tb=False, **options):
    c = np.empty((a.shape[ta], b.shape[1 - tb]), np.float32)
    _core.gemm(c, a, ta, b, tb, bf16=True, **options)
    return c


# ---- the modes ----


def test_the_precision_of_the_process():
    assert now() == "highest"
    for precision in ("medium", "high", "highest"):
        fd.set_float32_matmul_precision(precision)
        assert now() == precision
        assert _core.modes.bf16_products == (precision == "medium")


def test_blocks_nest_and_end_with_exceptions():
    fd.set_float32_matmul_precision("high")
    with fd.float32_matmul_precision("medium"):
        with fd.float32_matmul_precision("highest"):
            assert now() == "highest"
            fd.set_float32_matmul_precision("medium")  # of the process, not of the block
            assert now() == "highest"
        assert now() == "medium"
        with pytest.raises(KeyError), fd.float32_matmul_precision("high"), fd.no_grad():
            raise KeyError
        assert now() == "medium" and fd.is_grad_enabled()
        fd.set_float32_matmul_precision("high")
        assert now() == "medium"
    assert now() == "high"


def test_one_block_may_be_entered_again():
    with medium, highest, medium:
        assert now() == "medium"
    with highest:
        assert now() == "highest"
    assert now() == "highest"


def test_decorators_of_functions_and_generators():
    @fd.float32_matmul_precision("medium")
    def inside():
        return now()

    @fd.float32_matmul_precision("medium")
    def twice():
        yield now()
        yield now()

    assert inside() == "medium" and now() == "highest"
    values = twice()
    assert next(values) == "medium" and now() == "highest"
    assert next(values) == "medium" and now() == "highest"


def test_a_block_belongs_to_its_thread_and_task():
    seen = {}

    def look(name):
        seen[name] = now()

    with medium:
        thread = threading.Thread(target=look, args=("block",))
        thread.start()
        thread.join()
    fd.set_float32_matmul_precision("high")
    thread = threading.Thread(target=look, args=("process",))
    thread.start()
    thread.join()
    assert seen == {"block": "highest", "process": "high"}

    async def in_block(start, end):
        with medium:
            start.set()
            await end.wait()
            return now()

    async def both():
        start, end = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(in_block(start, end))
        await start.wait()
        outside = now()
        end.set()
        return outside, await task

    assert asyncio.run(both()) == ("high", "medium")


@pytest.mark.parametrize("function", [fd.set_float32_matmul_precision, fd.float32_matmul_precision])
def test_wrong_names(function):
    with pytest.raises(
        ValueError, match="precision must be one of 'highest', 'high', 'medium', got 'low'"
    ):
        function("low")
    with pytest.raises(TypeError, match="precision must be one of 'highest', 'high', 'medium'"):
        function(16)
    assert now() == "highest"


def test_the_description_names_the_instructions():
    assert fd.runtime.config()["bf16 products"] == fd.bf16_isa()
    before = fd.isa()
    for name in fd.available_isas():
        _core.set_isa(name)
        _core.set_bf16_isa(None)
        expected = {"avx2": "none (float32)", "neon": "none (float32)", "scalar": "emulated"}
        found = fd.runtime.config()["bf16 products"]
        assert found == expected.get(name, fd.bf16_isa() or "none (float32)")
    _core.set_isa(before)


# ---- layers ----


@pytest.mark.parametrize("backward", ["medium", "highest"])
def test_a_dense_layer_and_its_gradients(backward):
    """The gradients have the precision of the call, wherever backward is called."""
    x, w, b = (
        fd.tensor(floats(*shape, seed=i), requires_grad=True)
        for i, shape in enumerate(((9, 33), (20, 33), (20,)))
    )
    g = floats(9, 20, seed=7)
    with medium:
        y = F.linear(x, w, b)
    assert np.array_equal(y.numpy(), product(x.numpy(), w.numpy(), tb=True, bias=b.numpy()))
    with fd.float32_matmul_precision(backward):
        y.backward(fd.tensor(g))
    assert np.array_equal(x.grad.numpy(), product(g, w.numpy()))
    assert np.array_equal(w.grad.numpy(), product(g, x.numpy(), ta=True))
    assert np.array_equal(b.grad.numpy(), g.sum(0, dtype=np.float32))


def test_a_block_of_float32_inside():
    x, w = floats(9, 33), floats(20, 33, seed=1)
    fd.set_float32_matmul_precision("medium")
    with highest:
        exact = F.linear(x, w)
    y = F.linear(x, w).numpy()
    wide = x.astype(np.float64) @ w.T
    assert np.abs(exact.numpy() - wide).max() < 1e-5
    assert 1e-3 < np.abs(y - wide).max() < 2.01 * bf16.UNIT * (np.abs(x) @ np.abs(w.T)).max()


def test_dropout_is_drawn_in_the_product_as_in_float32():
    """dropout(x) W^T, ReLU and dropout: the masks are those of float32."""
    layer = nn.Linear(50, 40)
    model = nn.Sequential(nn.Dropout(0.2), layer, nn.ReLU(), nn.Dropout(0.5))
    x = fd.tensor(floats(30, 50), requires_grad=True)
    found = {}
    for precision in ("highest", "medium"):
        model.draw = 0
        with fd.float32_matmul_precision(precision):
            y = model(x)
        y.sum().backward()
        found[precision] = y.numpy(), x.grad.numpy(), layer.weight.grad.numpy()
        x.grad = None
        model.zero_grad()
    exact, (y, dx, dw) = found["highest"], found["medium"]
    assert np.array_equal(dx == 0, exact[1] == 0) and (dx == 0).any()
    assert np.allclose(y, exact[0], atol=0.06)
    signs_agree = ((y > 0) == (exact[0] > 0)).mean()
    assert signs_agree > 0.99
    assert np.linalg.norm(dw - exact[2]) < 0.1 * np.linalg.norm(exact[2])
    assert not np.array_equal(dw, exact[2])


@pytest.mark.parametrize("rows", [1, 7, 64, 200])
def test_kept_panels_give_the_bits_of_the_recorded_product(rows):
    model = nn.Sequential(nn.Linear(33, 40), nn.ReLU(), nn.Linear(40, 7)).eval()
    x = floats(rows, 33)
    for precision in ("highest", "medium", "highest", "medium"):
        with fd.float32_matmul_precision(precision):
            recorded = model(fd.tensor(x, requires_grad=True)).numpy()
            with fd.no_grad():
                for _ in range(3):
                    assert np.array_equal(model(x).numpy(), recorded), precision
                    assert np.array_equal(model[0](x).numpy(), model[0](fd.tensor(x)).numpy())
    w, b = (p.numpy() for p in model[0].parameters())
    with fd.no_grad(), medium:
        assert np.array_equal(model[0](x).numpy(), product(x, w, tb=True, bias=b))


def test_without_kernels_products_and_panels_are_in_float32(isa):
    """Also those that were asked for in bf16 before the kernels were changed."""
    x, w = floats(5, 33), floats(40, 33, seed=1)
    _core.set_bf16_isa(None)
    panels = np.empty(_core.panels_length(40, 33, True), np.float32)
    _core.pack(panels, w, True)
    found = np.empty((5, 40), np.float32)
    _core.gemm(found, x, False, None, True, panels=panels, bf16=True)
    assert np.array_equal(found, product(x, w, tb=True))
    error = np.abs(found - x.astype(np.float64) @ w.T).max()
    assert (error < 1e-4) == (fd.bf16_isa() is None)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_updates_inside_of_the_product_have_the_same_bits(momentum):
    """`minimize` updates a weight in the product that is its gradient."""
    x, y, found = floats(40, 33), floats(40, 5, seed=1), []
    for inside in (False, True):
        fd.manual_seed(0)
        model = nn.Sequential(nn.Dropout(0.2), nn.Linear(33, 20), nn.ReLU(), nn.Linear(20, 5))
        optimizer = fd.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
        for _ in range(3):
            with medium:
                loss = F.mse_loss(model(x), y)
            if inside:
                optimizer.minimize(loss)
            else:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        found.append([p.numpy() for p in model.parameters()])
    assert all(map(np.array_equal, *found))


def test_repeated_rows_of_monte_carlo_passes():
    model = nn.Sequential(nn.Dropout(0.3), nn.Linear(20, 10)).train()
    x = floats(6, 20)
    with medium:
        found = fd.mc_predict(model, x, samples=5, seed=3).mean
        again = fd.mc_predict(model, x, samples=5, seed=3).mean
        single = fd.mc_predict(model, x[2:3], samples=5, seed=3, row0=2).mean
    exact = fd.mc_predict(model, x, samples=5, seed=3).mean
    assert np.array_equal(found, again) and np.array_equal(found[2:3], single)
    assert not np.array_equal(found, exact)
    assert np.allclose(found, exact, atol=0.05)


def test_the_product_of_two_matrices():
    a = fd.tensor(floats(8, 30), requires_grad=True)
    b = fd.tensor(floats(30, 11, seed=1), requires_grad=True)
    g = floats(8, 11, seed=2)
    with medium:
        c = fd.matmul(a, b)
    c.backward(fd.tensor(g))
    assert np.array_equal(c.numpy(), product(a.numpy(), b.numpy()))
    assert np.array_equal(a.grad.numpy(), product(g, b.numpy(), tb=True))
    assert np.array_equal(b.grad.numpy(), product(a.numpy(), g, ta=True))


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_linear_cross_entropy_has_the_gradients_of_its_parts(reduction):
    x = fd.tensor(floats(50, 33), requires_grad=True)
    w = fd.tensor(floats(20, 33, seed=1), requires_grad=True)
    t = np.random.default_rng(2).integers(0, 20, 50)
    with medium:
        loss = F.linear_cross_entropy(x, w, t, reduction=reduction)
        expected = F.cross_entropy(F.linear(x, w), t, reduction=reduction)
    loss.sum().backward()
    dx, dw = x.grad.numpy(), w.grad.numpy()
    x.grad = w.grad = None
    expected.sum().backward()
    assert np.allclose(loss.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)
    assert np.allclose(dx, x.grad.numpy(), atol=1e-4)
    assert np.allclose(dw, w.grad.numpy(), atol=1e-4)
    with highest:
        exact = F.linear_cross_entropy(x, w, t, reduction=reduction).numpy()
    assert np.abs(loss.numpy() - exact).max() > 1e-3


def test_dropconnect_with_one_mask_a_pass():
    layer = nn.DropConnectLinear(33, 20, p=0.5, per_sample=False)
    x = fd.tensor(floats(9, 33), requires_grad=True)
    with medium:
        y = layer(x)
    y.sum().backward()
    dx = x.grad.numpy()
    layer.draw, x.grad = 0, None
    exact = layer(x)
    exact.sum().backward()
    for found, right in ((y.numpy(), exact.numpy()), (dx, x.grad.numpy())):
        assert not np.array_equal(found, right)
        assert np.allclose(found, right, atol=0.1)


@pytest.mark.parametrize(
    "model",
    [
        lambda: nn.Conv2d(3, 8, 3),
        lambda: nn.LSTM(5, 6),
        lambda: nn.DropConnectLinear(6, 5, p=0.5, per_sample=True),
    ],
    ids=["convolution", "recurrence", "dropconnect"],
)
def test_other_layers_stay_in_float32(model):
    model = model().eval()
    shape = {nn.Conv2d: (2, 3, 9, 9), nn.LSTM: (4, 3, 5)}.get(type(model), (7, 6))
    x = floats(*shape)

    def outputs():
        model.train()
        model.draw = 0
        y = model(fd.tensor(x, requires_grad=True))
        y = y[0] if isinstance(y, tuple) else y
        model.zero_grad()
        y.sum().backward()
        return [y.numpy().copy(), *(p.grad.numpy().copy() for p in model.parameters())]

    exact = outputs()
    with medium:
        found = outputs()
    assert all(map(np.array_equal, found, exact))
