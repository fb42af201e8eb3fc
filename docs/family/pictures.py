"""Draws the pictures of the pages in docs/family.

    python docs/family/pictures.py [NAME ...]

Without names all pictures are drawn. They are written to docs/family/pictures/NAME.png. Every mask
is drawn by the library itself: a layer in training mode maps an array of ones to its output, and an
element is dropped where that output is 0.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import numpy as np
from matplotlib.colors import ListedColormap

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn, optim

FOLDER = pathlib.Path(__file__).with_name("pictures")
sys.path.insert(0, str(FOLDER.parent))

from drawing import (  # noqa: E402
    DROPPED,
    KEPT,
    OTHER,
    SMALL,
    histogram,
    legend,
    maps,
    mask,
    normal_curve,
    output,
    panels,
    show,
    two_colours,
)


def dropout():
    figure, axes = panels(3)
    show(axes[0], mask(nn.Dropout(0.3), (16, 24)), "Dropout(0.3)", "unit", "sample")
    shared = mask(nn.Dropout(0.3, share=(0,)), (16, 24))
    show(axes[1], shared, "Dropout(0.3, share=(0,)): one mask a batch", "unit", "sample")
    steps = mask(nn.Dropout(0.3, share=(1,)), (4, 8, 24)).reshape(32, 24)
    show(axes[2], steps, "Dropout(0.3, share=(1,)) of (4, 8, 24)", "unit", "sample (8 steps each)")
    for edge in (7.5, 15.5, 23.5):
        axes[2].axhline(edge, color=OTHER, linewidth=1.5)
    axes[2].set_yticks([3.5, 11.5, 19.5, 27.5], range(4))
    two_colours(figure)
    return figure


def spatial_dropout():
    figure, axes = panels(2)
    maps(
        axes[0],
        mask(nn.SpatialDropout2d(0.3), (3, 6, 10, 10)),
        "SpatialDropout2d(0.3): whole channels",
    )
    maps(axes[1], mask(nn.Dropout(0.3), (3, 6, 10, 10)), "Dropout(0.3): single elements")
    two_colours(figure)
    return figure


def dropblock():
    figure, axes = panels(3)
    shape = (2, 4, 20, 20)
    maps(axes[0], mask(nn.DropBlock2d(0.2, 5), shape, seed=2), "DropBlock2d(0.2, 5)")
    coupled = mask(nn.DropBlock2d(0.2, 5, couple_channels=True), shape, seed=2)
    maps(axes[1], coupled, "the same, couple_channels=True")
    maps(axes[2], mask(nn.SpatialDropout2d(0.2), shape, seed=2), "SpatialDropout2d(0.2)")
    two_colours(figure)
    return figure


def alpha_dropout():
    figure, axes = panels(3)
    kept = output(nn.AlphaDropout(0.3), np.ones((16, 24), np.float32)) > 0
    show(axes[0], kept, "AlphaDropout(0.3)", "unit", "sample")
    x = np.ones((3, 4, 8, 8), np.float32)
    feature = output(nn.FeatureAlphaDropout(0.3), x)
    maps(axes[1], (feature > 0).astype(float), "FeatureAlphaDropout(0.3)")
    rng = np.random.default_rng(0)
    for name, layer, colour in (
        ("no dropout", nn.Identity(), "#559977"),
        ("AlphaDropout(0.1)", nn.AlphaDropout(0.1), OTHER),
        ("Dropout(0.1)", nn.Dropout(0.1), DROPPED),
    ):
        h, variances = rng.standard_normal((512, 256)).astype(np.float32), []
        for i in range(16):
            w = rng.standard_normal((256, 256)).astype(np.float32) / 16
            h = output(layer, fd.selu(h @ w.T), draw=i)
            variances.append(h.var())
        axes[2].plot(range(1, 17), variances, color=colour, label=name, linewidth=1.2)
    axes[2].set_title("variance through SELU layers", fontsize=SMALL)
    axes[2].set_xlabel("layer", fontsize=SMALL)
    axes[2].set_ylabel("variance of the activations", fontsize=SMALL)
    axes[2].tick_params(labelsize="x-small")
    axes[2].set_ylim(0, None)
    axes[2].legend(fontsize="x-small")
    two_colours(figure, r"dropped ($a \alpha' + b$)", "kept ($a x + b$)")
    return figure


def gaussian_dropout():
    figure, axes = panels(2)
    factor = output(nn.GaussianDropout(0.2), np.ones((128, 200), np.float32))
    image = show(
        axes[0],
        factor[:16, :24],
        "GaussianDropout(0.2), input 1",
        "unit",
        "sample",
        cmap="PuOr",
        vmin=-0.5,
        vmax=2.5,
    )
    figure.colorbar(image, ax=axes[0], label="factor")
    width = histogram(
        axes[1], factor, f"{factor.size:,} factors, and N(1, p / (1 - p))", "factor", -1, 3
    )
    normal_curve(axes[1], 1.0, 0.5, factor.size, width, -1, 3)
    return figure


def gaussian_noise():
    figure, axes = panels(2)
    x = np.sin(np.linspace(0, 4 * np.pi, 96, dtype=np.float32))[None]
    noise = output(nn.GaussianNoise(0.3), np.zeros((128, 200), np.float32))
    axes[0].plot(x[0], color=DROPPED, label="x")
    axes[0].plot(
        output(nn.GaussianNoise(0.3), x)[0],
        ".",
        color=OTHER,
        markersize=4,
        label="GaussianNoise(0.3)(x)",
    )
    axes[0].set_xlabel("unit", fontsize=SMALL)
    axes[0].set_ylabel("value", fontsize=SMALL)
    axes[0].set_title("one sample", fontsize=SMALL)
    axes[0].tick_params(labelsize="x-small")
    axes[0].legend(fontsize="x-small", loc="upper right")
    width = histogram(
        axes[1], noise, f"{noise.size:,} noise terms, and N(0, 0.3²)", "output - input", -1.2, 1.2
    )
    normal_curve(axes[1], 0.0, 0.3, noise.size, width, -1.2, 1.2)
    return figure


def stochastic_depth():
    figure, axes = panels(2)
    depth, samples = 16, 24
    rates = nn.drop_path_rates(0.5, depth)
    for axis, mode in zip(axes, ("row", "batch"), strict=True):
        runs = [mask(nn.DropPath(p, mode=mode), (samples, 1), draw=i) for i, p in enumerate(rates)]
        show(
            axis,
            np.hstack(runs),
            f'drop_path_rates(0.5, 16), mode="{mode}"',
            "residual block",
            "sample",
        )
    two_colours(figure, "branch skipped", "branch computed")
    return figure


def token_dropout():
    figure, axes = panels(2)
    tokens = mask(nn.TokenDropout(0.3), (4, 12, 16)).reshape(48, 16)
    show(axes[0], tokens, "TokenDropout(0.3) of (4, 12, 16)", "feature", "sample (12 tokens each)")
    for edge in (11.5, 23.5, 35.5):
        axes[0].axhline(edge, color=OTHER, linewidth=1.5)
    axes[0].set_yticks([5.5, 17.5, 29.5, 41.5], range(4))
    kept = np.zeros((4, 64))
    kept[np.arange(4)[:, None], K.patch_indices(4, 64, 32, seed=1)] = 1
    maps(axes[1], kept.reshape(1, 4, 8, 8), "PatchDropout(0.5): 32 of 64 patches of an image")
    axes[1].set_xlabel("sample (8 x 8 patches each)", fontsize=SMALL)
    axes[1].set_ylabel("")
    axes[1].set_yticks([])
    two_colours(figure)
    return figure


def word_dropout():
    figure, axes = panels(2)
    text = ["the", "cat", "saw", "the", "dog", "and", "the", "dog", "saw", "the", "cat", "run"]
    words = sorted(set(text))
    ids = np.array([[words.index(w) for w in text], [words.index(w) for w in reversed(text)]])
    for axis, per_sample in zip(axes, (False, True), strict=True):
        layer = nn.Embedding(len(words), 4, dropout=0.4, per_sample=per_sample)
        kept = (output(layer, ids, seed=5) != 0).any(-1).astype(int)
        show(
            axis,
            kept,
            f"Embedding(dropout=0.4, per_sample={per_sample})",
            "position in the text",
            "sample",
        )
        axis.set_yticks([0, 1])
        for n in range(2):
            for i, token in enumerate(ids[n]):
                colour = "black" if kept[n, i] else "white"
                axis.text(
                    i,
                    n,
                    words[token],
                    ha="center",
                    va="center",
                    rotation=90,
                    color=colour,
                    fontsize=SMALL,
                )
    two_colours(figure, "word dropped at every occurrence", "word kept")
    return figure


def dropconnect():
    figure, axes = panels(4)
    show(axes[0], K.dropconnect_mask(16, 20, 0.5, seed=1), "one mask a pass", "input", "output")
    masks = K.dropconnect_mask(16, 20, 0.5, samples=3, seed=1)
    for n in range(3):
        show(axes[n + 1], masks[n], f"per_sample=True, sample {n}", "input", "")
    two_colours(figure, "weight dropped", "weight kept")
    return figure


def weight_drop():
    figure, axes = panels(4)
    inner = nn.Linear(20, 16)
    layer = nn.WeightDrop(inner, "weight", 0.5)
    for draw in range(3):
        kept = (output(layer, np.eye(20, dtype=np.float32), draw) != inner.bias.numpy()).T
        show(
            axes[draw],
            kept,
            f"weight, training step {draw}",
            "input",
            "output" if draw == 0 else "",
        )
    show(axes[3], np.ones((16, 1)), "bias, every step", "", "")
    axes[3].set_xticks([])
    two_colours(figure, "weight dropped", "kept")
    return figure


def recurrent_dropout():
    figure, axes = panels(3)
    x = np.random.default_rng(0).standard_normal((24, 1, 20)).astype(np.float32)
    fd.manual_seed(0)
    y = nn.LSTM(20, 20, output_dropout=0.3)(x)[0].numpy()[:, 0]
    show(axes[0], y != 0, "variational: h", "unit", "step")
    h = nn.RNN(20, 20, zoneout=0.3)(x)[0].numpy()[:, 0]
    show(axes[1], np.diff(h, axis=0) != 0, "zoneout: new state", "unit", "")
    layer = nn.RNN(20, 20, bias=False, weight_drop=0.3)
    eye = 1e-3 * np.eye(20, dtype=np.float32)
    h = layer(np.zeros((1, 20, 20), np.float32), eye[None])[0].numpy()[0]
    show(axes[2], h.T != 0, "weight_drop: W_hh", "from", "to")
    two_colours(figure, "dropped, or state kept", "kept")
    return figure


def attention_dropout():
    figure, axes = panels(2)
    layer = nn.MultiheadAttention(16, 2, dropout=0.3, batch_first=True)
    x = np.random.default_rng(0).standard_normal((1, 24, 16)).astype(np.float32)
    fd.manual_seed(0)
    weights = layer(x, x, x, average_attn_weights=False)[1].numpy()[0]
    for head, axis in enumerate(axes):
        show(axis, weights[head] != 0, f"weights of head {head}", "key", "query")
    two_colours(figure)
    return figure


def targeted_dropout():
    figure, axes = panels(2)
    fd.manual_seed(0)
    three = ListedColormap([DROPPED, OTHER, KEPT])
    for axis, kind in zip(axes, ("weight", "unit"), strict=True):
        layer = nn.TargetedLinear(24, 16, bias=False, targeted=0.5, p=0.6, kind=kind)
        eye = np.eye(24, dtype=np.float32)
        trained = output(layer, eye).T != 0
        pruned = layer.prune().to_dense().weight.numpy() != 0
        state = np.where(pruned, 2, np.where(trained, 1, 0))
        title = f'targeted=0.5, p=0.6, kind="{kind}"'
        show(axis, state, title, "input", "output", cmap=three, vmin=0, vmax=2)
    legend(
        figure,
        [
            (DROPPED, "candidate, dropped"),
            (OTHER, "candidate, kept this step"),
            (KEPT, "no candidate"),
        ],
    )
    return figure


def concrete_dropout():
    figure, axes = panels(2)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1))
    kept = output(nn.ConcreteDropout(0.3), np.ones((64, 200), np.float32)) * 0.7
    image = show(
        axes[0],
        kept[:16, :24],
        "ConcreteDropout(0.3), t = 0.1",
        "unit",
        "sample",
        cmap="cividis",
        vmin=0,
        vmax=1,
    )
    figure.colorbar(image, ax=axes[0], label="kept share 1 - z")
    for t, colour in ((0.1, DROPPED), (2 / 3, OTHER)):
        layer = nn.ConcreteDropout(0.3, temperature=t)
        share = output(layer, np.ones((64, 200), np.float32)) * 0.7
        axes[1].hist(
            share.ravel(),
            bins=40,
            range=(0, 1),
            histtype="step",
            color=colour,
            linewidth=1.3,
            label=f"t = {t:.2g}",
        )
    axes[1].set_yscale("log")
    axes[1].set_title(f"{share.size:,} elements", fontsize=SMALL)
    axes[1].set_xlabel("kept share 1 - z", fontsize=SMALL)
    axes[1].set_ylabel("count in a bin", fontsize=SMALL)
    axes[1].tick_params(labelsize="x-small")
    axes[1].legend(fontsize="x-small")
    return figure


def variational_dropout():
    figure, axes = panels(2)
    fd.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 24)).astype(np.float32)
    y = x[:, :4] @ rng.standard_normal((4, 12)).astype(np.float32)
    y += 0.3 * rng.standard_normal(y.shape).astype(np.float32)
    layer = nn.VariationalLinear(24, 12)
    optimizer, steps = optim.Adam(layer.parameters(), lr=0.005), 8000
    decay = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    warm_up = fd.schedules.Linear(0, 1, 500)
    for step in range(steps):
        rows = rng.integers(0, len(x), 100)
        error = layer(x[rows]) - y[rows]
        loss = (error * error).sum(1).mean() / (2 * 0.09) + nn.kl(layer) * (warm_up(step) / len(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    values = layer.log_alpha().numpy()
    image = show(
        axes[0],
        values,
        "inputs 0 to 3 matter, the others are noise",
        "input",
        "output",
        cmap="cividis",
    )
    figure.colorbar(image, ax=axes[0], label=r"$\log\,\alpha$")
    axes[0].axvline(3.5, color=OTHER, linewidth=1.5)
    kept = values < layer.threshold
    title = f"after training: {100 * layer.sparsity():.0f} % of the weights are zero"
    show(axes[1], kept, title, "input", "output")
    two_colours(figure, r"zero ($\log\,\alpha \geq 3$)", "kept by prune()")
    return figure


def monte_carlo_dropout():
    figure, axis = panels(1, width=6.5)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1))
    fd.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (200, 1)).astype(np.float32)
    x = x[np.abs(x[:, 0]) > 0.8]
    y = np.sin(2 * x) + 0.1 * rng.standard_normal(x.shape).astype(np.float32)
    hidden = [nn.Linear(1, 128), nn.ReLU(), nn.Dropout(0.1)]
    hidden += [nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.1)]
    model = nn.Sequential(*hidden, nn.Linear(128, 1))
    fd.fit(model, (x, y), epochs=400, batch_size=50, progress=False)
    new = np.linspace(-5, 5, 201, dtype=np.float32)[:, None]
    mc = fd.mc_predict(model, new, samples=200, seed=1, masks="shared", keep=True, progress=False)
    for t in range(8):
        axis.plot(
            new,
            mc.passes[:, t],
            color="#999999",
            linewidth=0.5,
            label="one pass" if t == 0 else None,
        )
    mean, deviation = mc.mean[:, 0], mc.std[:, 0]
    band = {"color": KEPT, "alpha": 0.8, "linewidth": 0}
    axis.fill_between(
        new[:, 0], mean - 2 * deviation, mean + 2 * deviation, label="mean ± 2 std", **band
    )
    axis.plot(new, mean, color=DROPPED, label="mean of 200 passes")
    axis.plot(x, y, ".", color=OTHER, markersize=3, label=f"training data ({len(x)})")
    axis.set_xlabel("input x", fontsize=SMALL)
    axis.set_ylabel("output", fontsize=SMALL)
    axis.set_ylim(-3, 3)
    axis.tick_params(labelsize="x-small")
    axis.legend(fontsize="x-small", loc="lower right", ncols=2)
    return figure


def schedules():
    figure, axis = panels(1, width=6.5)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1))
    steps = np.arange(0, 1201)
    for text, schedule, colour in (
        ("Linear(0, 0.5, 800, delay=200)", fd.schedules.Linear(0, 0.5, 800, delay=200), DROPPED),
        ("Cosine(0, 0.5, 800, delay=200)", fd.schedules.Cosine(0, 0.5, 800, delay=200), OTHER),
        ("Curriculum(0.5, gamma=10 / 1200)", fd.schedules.Curriculum(0.5, 10 / 1200), "#557766"),
    ):
        axis.plot(steps, [schedule(step) for step in steps], color=colour, label=text)
    axis.set_xlabel("training step", fontsize=SMALL)
    axis.set_ylabel("rate p", fontsize=SMALL)
    axis.tick_params(labelsize="x-small")
    axis.legend(fontsize="x-small")
    return figure


PICTURES = (
    dropout, spatial_dropout, dropblock, alpha_dropout, gaussian_dropout, gaussian_noise,
    stochastic_depth, token_dropout, word_dropout, dropconnect, recurrent_dropout, weight_drop,
    targeted_dropout, concrete_dropout, variational_dropout, monte_carlo_dropout, schedules,
    attention_dropout,
)  # fmt: skip


def main() -> None:
    names = {picture.__name__.replace("_", "-"): picture for picture in PICTURES}
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/family.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    chosen = parser.parse_args().names or list(names)
    for name in chosen:
        if name not in names:
            parser.error(f"unknown picture {name!r}, expected one of {', '.join(names)}")
        path = FOLDER / f"{name}.png"
        names[name]().savefig(path, dpi=110, metadata={"Software": None})
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
