"""Convolutional layers and networks: names, recipes, masks, Monte Carlo passes, files."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim


def images(n=6, channels=3, size=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, channels, size, size)).astype(np.float32)


def network(p=0.5):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(p),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 3),
        nn.Tanh(),
        nn.Dropout(p),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def step_by_step(model, x):
    """The same network as calls in a forward of one's own."""
    layers = list(model)

    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    steps = Steps()
    steps.draw = 0
    return steps(x)


def test_state_names_and_shapes():
    layer = nn.Conv2d(4, 6, (3, 2), groups=2)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {
        "weight": (6, 2, 3, 2),
        "bias": (6,),
    }
    assert repr(layer) == "Conv2d(4, 6, kernel_size=(3, 2), stride=(1, 1), groups=2)"
    assert nn.ConvTranspose2d(4, 6, 3, bias=False).weight.shape == (4, 6, 3, 3)
    bound = 1 / np.sqrt(2 * 3 * 2)
    assert 0.5 * bound < np.abs(layer.weight.data).max() <= bound


@pytest.mark.parametrize("training", [False, True])
def test_a_recipe_equals_its_steps(training):
    fd.manual_seed(0)
    model, x = network(), images()
    results = []
    for run in (model, lambda t: step_by_step(model, t)):
        model.train(training)
        model.draw = 0
        given = fd.tensor(x, requires_grad=True)
        with fd.random.mask_state(draw=0, instance=0):
            y = run(given)
        for p in model.parameters():
            p.grad = None
        (y * y).sum().backward()
        results.append(
            [y.data.copy(), given.grad.data, *(p.grad.data.copy() for p in model.parameters())]
        )
    for a, b in zip(*results):
        assert np.allclose(a, b, atol=1e-5)


def test_masks_are_the_same_in_both_formats():
    x = images()
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for layer in (nn.Dropout(0.3), nn.Dropout2d(0.3), nn.DropBlock2d(0.3, 3), nn.AlphaDropout(0.3)):
        results = []
        for array in (x, last):
            with fd.random.mask_state(draw=0, instance=0):
                results.append(layer(array).numpy())
        assert np.array_equal(*results)
        assert (results[0] != x).any()


def test_a_convolution_with_dropout_has_the_mask_of_the_contract():
    model, x = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Dropout(0.5)), images()
    with fd.random.mask_state(draw=3, instance=0):
        y = model(x).numpy()
    z = np.maximum(model[0](x).numpy(), 0)
    with fd.random.mask_state(draw=3, instance=0):
        expected = nn.Sequential(nn.Identity(), nn.Dropout(0.5))(np.ascontiguousarray(z)).numpy()
    assert np.array_equal(y, expected)


def test_central_differences():
    fd.manual_seed(1)
    x = fd.tensor(images(2, 2, 5), requires_grad=True)
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    weights = np.random.default_rng(3).standard_normal((2, 3, 3, 3))
    layer(x).backward(weights)
    step, w = 1e-2, layer.weight.data.copy()
    rng = np.random.default_rng(4)
    for _ in range(10):
        at = tuple(int(rng.integers(n)) for n in w.shape)
        values = []
        for sign in (1, -1):
            changed = w.copy()
            changed[at] += sign * step
            values.append(float((F.conv2d(x, changed, None, 2, 1).data * weights).sum()))
        assert abs((values[0] - values[1]) / (2 * step) - layer.weight.grad.data[at]) < 1e-2


def test_training_lowers_the_loss_and_does_not_depend_on_threads():
    x = images(64, seed=5)
    y = (x[:, 0].mean((1, 2)) > 0).astype(np.int64)
    weights, threads = [], fd.get_num_threads()
    try:
        for n in (1, 2):
            fd.set_num_threads(n)
            fd.manual_seed(0)
            model = network(0.1)
            optimizer = optim.Adam(model.parameters(), lr=0.01)
            losses = []
            for _ in range(30):
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            assert losses[-1] < 0.7 * losses[0]
            weights.append(model[0].weight.data.copy())
    finally:
        fd.set_num_threads(threads)
    assert np.array_equal(*weights)


def test_monte_carlo_passes_equal_passes_one_by_one():
    model, x = network().eval(), images(3)
    together = fd.mc_predict(model, x, samples=6, seed=2)
    again = fd.mc_predict(model, x, samples=6, seed=2, batch_size=1)
    assert np.allclose(together.mean, again.mean, atol=1e-5)
    assert together.std.max() > 0


def test_a_file_gives_the_same_predictions(tmp_path):
    model, x = network().eval(), images()
    fd.save(model, tmp_path / "cnn.safetensors")
    with fd.no_grad():
        assert np.array_equal(
            fd.load(tmp_path / "cnn.safetensors").eval()(x).numpy(), model(x).numpy()
        )


def test_a_weight_of_another_shape_is_an_error():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    y = model(images())
    model[0].weight.data = np.zeros((4, 3, 1, 1), np.float32)
    with pytest.raises(RuntimeError):
        y.sum().backward()
