"""Vision transformers: a twin in float64, dropout, training, Monte Carlo passes, files."""

import math
import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference
from helpers.monte_carlo import passes_one_at_a_time

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((5, 2, 12, 8)).astype(np.float32)
SIZES = {
    "image_size": (12, 8),
    "patch_size": (4, 2),
    "embed_dim": 12,
    "depth": 2,
    "num_heads": 3,
    "mlp_ratio": 2.5,
    "in_channels": 2,
}
PATCHES = 12


def small(**arguments):
    return models.vit(4, **{**SIZES, **arguments})


def timm_state(seed=1, classes=4, distilled=False, bias=True):
    """Random weights of a network of SIZES under timm's names and in timm's shapes."""
    rng = np.random.default_rng(seed)
    e, hidden, tokens = 12, 30, PATCHES + 1 + distilled
    shapes = {
        "cls_token": (1, 1, e),
        "pos_embed": (1, tokens, e),
        "patch_embed.proj.weight": (e, 2, 4, 2),
        "patch_embed.proj.bias": (e,),
        "norm.weight": (e,),
        "norm.bias": (e,),
        "head.weight": (classes, e),
        "head.bias": (classes,),
    }
    if distilled:
        shapes["dist_token"] = (1, 1, e)
        shapes["head_dist.weight"], shapes["head_dist.bias"] = (classes, e), (classes,)
    for i in range(2):
        products = {"attn.qkv": (3 * e, e), "attn.proj": (e, e), "mlp.fc1": (hidden, e)}
        for name, shape in {**products, "mlp.fc2": (e, hidden)}.items():
            shapes[f"blocks.{i}.{name}.weight"] = shape
            if bias or name != "attn.qkv":
                shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
        for name in ("norm1", "norm2"):
            shapes[f"blocks.{i}.{name}.weight"] = shapes[f"blocks.{i}.{name}.bias"] = (e,)
    return {name: rng.standard_normal(s).astype(np.float32) * 0.5 for name, s in shapes.items()}


def twin(state, images, heads=3, patch=(4, 2), kept=None):
    """The scores of each head in float64, from timm's names. kept: patches (N, K) that stay."""
    w = {name: np.float64(array) for name, array in state.items()}
    erf = np.vectorize(math.erf)

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    tokens = [
        np.einsum(
            "nchw,echw->ne",
            np.float64(images[:, :, i : i + patch[0], j : j + patch[1]]),
            w["patch_embed.proj.weight"],
        )
        + w["patch_embed.proj.bias"]
        for i in range(0, images.shape[2], patch[0])
        for j in range(0, images.shape[3], patch[1])
    ]
    first = [w[name][0] for name in ("cls_token", "dist_token") if name in w]
    n, p = len(images), len(first)
    x = np.stack([*(np.repeat(f, n, 0) for f in first), *tokens], 1) + w["pos_embed"]
    if kept is not None:
        x = np.stack([np.concatenate([row[:p], row[p:][k]]) for row, k in zip(x, kept)])
    for i in range(2):
        block = f"blocks.{i}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.reshape(n, x.shape[1], 3, heads, -1).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        a = np.exp(scores - scores.max(-1, keepdims=True))
        y = (a / a.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(x.shape)
        x = x + linear(y, f"{block}.attn.proj")
        h = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        x = x + linear(0.5 * h * (1 + erf(h / math.sqrt(2))), f"{block}.mlp.fc2")
    x = norm(x, "norm")
    if not first:
        return [linear(x.mean(1), "head")]
    return [linear(x[:, i], name) for i, name in enumerate(["head", "head_dist"][:p])]


def with_timm(state, **arguments):
    model = small(**arguments)
    model.load_state_dict(fd.io.from_timm_names(model, state))
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_scores_are_those_of_the_twin_with_weights_under_timms_names(bias):
    state = timm_state(bias=bias)
    (wanted,) = twin(state, IMAGES)
    found = with_timm(state, qkv_bias=bias)(IMAGES).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


def test_deit_gives_the_mean_of_two_heads():
    state = timm_state(2, distilled=True)
    wanted = twin(state, IMAGES)
    model = with_timm(state, distilled=True).eval()
    tolerance = 2e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(model(IMAGES).numpy(), sum(wanted) / 2, atol=tolerance)
    for found, right in zip(model(IMAGES, both_heads=True), wanted, strict=True):
        np.testing.assert_allclose(found.numpy(), right, atol=tolerance)
    with pytest.raises(ValueError, match="distilled"):
        small()(IMAGES, both_heads=True)


def test_the_mean_of_the_tokens_without_a_class_token():
    state = timm_state()
    del state["cls_token"]
    state["pos_embed"] = state["pos_embed"][:, 1:]
    (wanted,) = twin(state, IMAGES)
    found = with_timm(state, class_token=False)(IMAGES).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    model = small(class_token=False)
    assert model.class_token_weight is None and model.positions.shape == (PATCHES, 12)
    assert model(IMAGES).shape == (5, 4)
    rolled = model.state_dict()
    rolled["positions"] = np.zeros((PATCHES, 12), np.float32)
    model.load_state_dict(rolled)
    # Without positions the order of the patches has no influence on the mean.
    swapped = np.concatenate([IMAGES[:, :, 4:], IMAGES[:, :, :4]], 2)
    np.testing.assert_allclose(model(IMAGES).numpy(), model(swapped).numpy(), atol=1e-5)


@pytest.mark.parametrize("distilled", [False, True])
def test_patch_dropout_removes_the_patches_of_the_mask(distilled):
    state = timm_state(3, distilled=distilled)
    model = with_timm(state, patch_dropout=0.5, distilled=distilled)
    lengths = []
    layer = model.layers.layers[0]
    forward = layer.forward
    object.__setattr__(layer, "forward", lambda x, *a: lengths.append(x.shape[1]) or forward(x, *a))
    fd.manual_seed(7)
    found = model(IMAGES).numpy()
    first = 1 + distilled
    assert lengths == [first + PATCHES // 2]
    # Sites are numbered in registration order: dropout of the embeddings, then PatchDropout.
    u = reference.keep_uniform32(np.arange(5), PATCHES, seed=7, site=1)
    kept = np.sort(np.argsort(u, axis=1, kind="stable")[:, : PATCHES // 2], axis=1)
    wanted = sum(twin(state, IMAGES, kept=kept)) / first
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    model.eval()(IMAGES)
    assert lengths[-1] == first + PATCHES


def test_rates_reach_their_layers():
    model = small(
        dropout=0.1,
        attention_dropout=0.2,
        drop_path_rate=0.3,
        patch_dropout=0.4,
        head_dropout=0.15,
        depth=3,
    )
    assert model.drop.p == 0.1 and model.patch_drop.p == 0.4
    for i, layer in enumerate(model.layers.layers):
        assert layer.self_attn.dropout == 0.2 and layer.head_dropout.p == 0.15
        assert layer.dropout.p == layer.dropout1.p == layer.dropout2.p == 0.1
        assert layer.drop_path1.p == layer.drop_path2.p == pytest.approx(0.15 * i)
        assert layer.linear1.out_features == 30 and layer.norm1.eps == 1e-6
    plain = small().train()
    assert all(getattr(m, "p", 0.0) == 0.0 for m in plain.modules())


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "drop_path_rate", "head_dropout"])
def test_each_rate_changes_training_only(rate):
    model = small(**{rate: 0.5})
    assert np.abs(model(IMAGES).numpy() - model(IMAGES).numpy()).max() > 1e-4
    model.eval()
    np.testing.assert_array_equal(model(IMAGES).numpy(), model(IMAGES).numpy())


@pytest.mark.parametrize("arguments", [{}, {"class_token": False}, {"distilled": True}])
def test_gradients_of_all_weights(arguments):
    """Along a random direction, against central differences of the twin."""
    state = timm_state(5, distilled="distilled" in arguments)
    if "class_token" in arguments:
        del state["cls_token"]
        state["pos_embed"] = state["pos_embed"][:, 1:]
    model = with_timm(state, patch_dropout=0.5, **arguments)
    weights = RNG.standard_normal((5, 4))
    fd.manual_seed(2)
    (model(IMAGES) * np.float32(weights)).sum().backward()
    u = reference.keep_uniform32(np.arange(5), PATCHES, seed=2, site=1)
    kept = np.sort(np.argsort(u, axis=1, kind="stable")[:, : PATCHES // 2], axis=1)
    gradients = {name: p.grad.data for name, p in model.named_parameters()}
    for theirs, ours in fd.io.timm_names(model).items():
        direction = RNG.standard_normal(state[theirs].shape)
        sums = []
        for step in (1e-5, -1e-5):
            moved = {**state, theirs: state[theirs] + step * direction}
            scores = twin(moved, IMAGES, kept=kept)
            sums.append((sum(scores) / len(scores) * weights).sum())
        exact = (sums[0] - sums[1]) / 2e-5
        found = (gradients[ours] * direction.reshape(gradients[ours].shape)).sum()
        size = np.linalg.norm(gradients[ours])
        assert abs(found - exact) < 2e-4 * max(1.0, size), theirs


def test_training_lowers_the_loss_and_the_file_gives_the_same(tmp_path):
    fd.manual_seed(0)
    model = small(
        dropout=0.1, attention_dropout=0.1, drop_path_rate=0.1, patch_dropout=0.25, distilled=True
    )
    rng = np.random.default_rng(3)
    y = np.arange(64) % 4
    x = rng.standard_normal((64, 2, 12, 8)).astype(np.float32)
    x += np.float32([[3, 0], [-3, 0], [0, 3], [0, -3]])[y][:, :, None, None]
    optimizer = fd.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert (model.eval()(x).numpy().argmax(1) == y).mean() > 0.95
    fd.save(model, tmp_path / "vit.safetensors")
    loaded = fd.load(tmp_path / "vit.safetensors").eval()
    np.testing.assert_array_equal(model(x).numpy(), loaded(x).numpy())
    assert loaded.image_size == (12, 8) and loaded.distilled


@pytest.mark.parametrize("arguments", [{}, {"distilled": True}, {"class_token": False}])
@pytest.mark.parametrize(
    "rates", [{"patch_dropout": 0.5}, {"dropout": 0.2, "attention_dropout": 0.1}]
)
def test_monte_carlo_passes_are_those_computed_one_by_one(rates, arguments):
    model = small(**rates, **arguments).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", fd.uncertainty.MCWarning)  # passes side by side
        found = fd.mc_predict(model, IMAGES, 6, seed=0, output="raw", keep=True).passes
    singly = passes_one_at_a_time(model, IMAGES, 6)
    np.testing.assert_allclose(found, singly, atol=1e-5)
    assert singly.std(1).max() > 1e-4


def test_sizes_of_the_named_networks():
    """Numbers of weights as timm has them."""
    for build, count in (
        (models.vit_tiny, 5_717_416),
        (models.vit_small, 22_050_664),
        (models.deit_tiny, 5_910_800),
    ):
        with nn.init.skipped():
            model = build()
        assert sum(p.numel() for p in model.parameters()) == count
        names = fd.io.timm_names(model)
        assert len(names) == len(model.state_dict())
        for name in ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.11.mlp.fc2.bias"):
            assert name in names
        assert ("dist_token" in names) == ("head_dist.bias" in names) == model.distilled


def test_initial_weights():
    model = models.vit_tiny(10)
    assert np.std(model.positions.data) == pytest.approx(0.02, rel=0.05)
    assert np.std(model.layers.layers[3].linear1.weight.data) == pytest.approx(0.02, rel=0.05)
    assert np.std(model.patches.weight.data) == pytest.approx((3 * 16 * 16) ** -0.5, rel=0.05)
    assert not model.head.bias.data.any() and (model.norm.weight.data == 1.0).all()
    layers = model.layers.layers
    assert np.abs(layers[0].linear1.weight.data - layers[1].linear1.weight.data).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 30, "patch_size": 4}, "patch_size must divide image_size.*4 x 4.*30 x 30"),
        ({"image_size": (12, 9)}, "patch_size must divide image_size"),
        ({"image_size": (12, 8, 3)}, "image_size must be a number or"),
        ({"num_heads": 5}, "num_heads must divide embed_dim"),
        ({"dropout": 1.5}, "1.5"),
        ({"drop_path_rate": -0.1}, "drop_path_rate"),
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"distilled": True, "class_token": False}, "class token"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize("shape", [(5, 2, 12, 12), (5, 3, 12, 8), (2, 12, 8)])
def test_images_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"must have shape \(N, 2, 12, 8\)"):
        small()(np.zeros(shape, np.float32))


def test_states_of_other_networks_are_refused():
    model, state = small(), timm_state()
    names = fd.io.timm_names(model)
    assert {name: fd.io.from_timm_names(model, state)[names[name]].size for name in state} == {
        name: array.size for name, array in state.items()
    }
    headless = {name: array for name, array in state.items() if not name.startswith("head")}
    found = fd.io.from_timm_names(model, headless)
    np.testing.assert_array_equal(found["head.weight"], model.head.weight.data)
    with pytest.raises(ValueError, match="'dist_token'"):
        fd.io.from_timm_names(model, timm_state(distilled=True))
    with pytest.raises(ValueError, match=r"'norm\.bias', which it lacks"):
        fd.io.from_timm_names(model, {k: a for k, a in state.items() if k != "norm.bias"})
    with pytest.raises(ValueError, match=r"'head.weight' must have shape \(4, 12\)"):
        fd.io.from_timm_names(model, timm_state(classes=7))
    with pytest.raises(TypeError, match="VisionTransformer"):
        fd.io.timm_names(models.lenet5())
