"""Write the files of this folder. Run once, at commit 58bcd89; they are never written again.

They stand for files that users have: later versions must read them and give the same answers.
Usage: python tests/io/frozen/make_files.py FOLDER
"""

import json
import pathlib
import sys

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.cli import main
from fastdrop.io import load_with_info

ROWS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def training_run(seed):
    """A model, an optimiser and a scheduler, as a user makes them before loading a checkpoint."""
    fd.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(fd.schedules.Linear(0.1, 0.6, 6)),
        nn.Linear(8, 3),
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return model, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)


def train(run, steps):
    """The loss of each of so many training steps."""
    model, optimizer, scheduler = run
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(ROWS), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def fitted(path, epochs, resume):
    """The training losses of a run of `fd.fit` with a checkpoint."""
    model, optimizer, scheduler = training_run(3)
    history = fd.fit(
        model,
        (np.repeat(ROWS, 4, axis=0), np.repeat(LABELS, 4)),
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=epochs,
        batch_size=5,
        checkpoint=path,
        resume=resume,
        progress=False,
    )
    return history["loss"]


def layers():
    """One layer of each class that a model file can hold."""
    return nn.ModuleList(
        [
            nn.ReLU(),
            nn.LeakyReLU(0.3),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.SELU(),
            nn.SiLU(),
            nn.GELU(),
            nn.Softmax(1),
            nn.LogSoftmax(1),
            nn.Linear(3, 4, bias=False),
            nn.Dropout(0.25, share=(1, -1)),
            nn.AlphaDropout(0.25),
            nn.FeatureAlphaDropout(0.25),
            nn.GaussianDropout(0.25),
            nn.SpatialDropout1d(0.25),
            nn.SpatialDropout2d(0.25),
            nn.SpatialDropout3d(0.25),
            nn.GaussianNoise(0.3),
            nn.TokenDropout(0.3),
            nn.PatchDropout(0.3, prefix_tokens=2),
            nn.DropPath(0.3, mode="batch"),
            nn.Residual(nn.Linear(3, 3), p=0.3),
            nn.DropBlock1d(0.3, 4),
            nn.DropBlock2d(0.3, 4, couple_channels=True),
            nn.DropBlock3d(0.3, 4),
            nn.DropConnectLinear(3, 4, p=0.3, activation="relu", inference="gaussian", samples=7),
            nn.WeightDrop(nn.Linear(3, 3), ["weight"], 0.3),
            nn.TargetedLinear(3, 4, targeted=0.3, p=0.25, kind="unit"),
            nn.ConcreteDropout(0.3, temperature=0.2),
            nn.VariationalLinear(3, 4, alpha="neuron"),
            nn.Embedding(5, 3, padding_idx=2, dropout=0.3),
            nn.SparseLinear(3, 4, nonzeros=5),
            nn.LayerNorm([3], eps=1e-3),
            nn.BatchNorm1d(3, momentum=None),
            nn.Flatten(0, 1),
            nn.Identity(),
        ]
    )


def small_model():
    """A network with dropout whose passes carry."""
    fd.manual_seed(1)
    model = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(8, 3),
    )
    model(ROWS)  # moves the running statistics
    return model


def answers_of_model(model):
    """Outputs that a loaded model must give again: evaluation, training masks, Monte Carlo."""
    with fd.random.mask_state(seed=5, draw=7), fd.no_grad():
        trained = model.train()(ROWS).numpy()
    model.eval()
    return {
        "evaluation": fd.predict(model, ROWS).tolist(),
        "training": trained.tolist(),
        "passes": fd.mc_predict(model, ROWS, 4, seed=1, keep=True).passes.tolist(),
    }


def run(folder):
    folder = pathlib.Path(folder)
    answers = {}
    model = small_model()
    fd.save(model, folder / "model.safetensors", info={"classes": ["a", "b", "c"]})
    answers["model"] = answers_of_model(load_with_info(folder / "model.safetensors")[0])
    fd.manual_seed(2)
    every = layers()
    fd.save(every, folder / "layers.safetensors")
    answers["layers"] = {"repr": repr(every), "keys": sorted(every.state_dict())}
    state = training_run(0)
    train(state, 3)
    fd.save_checkpoint(folder / "checkpoint.safetensors", *state, extra={"note": [1, "x"]})
    answers["checkpoint"] = {"losses": train(state, 4)}
    fitted(folder / "fit.safetensors", 2, False)
    copy = folder / "copy.safetensors"
    copy.write_bytes((folder / "fit.safetensors").read_bytes())
    answers["fit"] = fitted(copy, 4, True)
    copy.unlink()
    table = folder / "table.csv"
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{'red' if a > 0 else 'blue'},{2 * a + 1:.3f}" for a in rng.normal(size=60)]
    table.write_text("size,colour,price\n" + "\n".join(lines) + "\n")
    arguments = ["train", "--data", table, "--target", "price", "--epochs", "3", "--hidden", "8"]
    main([str(word) for word in [*arguments, "--out", folder / "prices.safetensors"]])
    out = folder / "out.csv"
    main([str(word) for word in ["predict", folder / "prices.safetensors", table, "--out", out]])
    answers["prices"] = out.read_text().splitlines()[:6]
    out.unlink()
    (folder / "answers.json").write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    run(sys.argv[1])
