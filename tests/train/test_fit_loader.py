"""`fit` and `evaluate` over loaders."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.data import DataLoader, TensorDataset
from fastdrop.data import transforms as T

rng = np.random.default_rng(0)
X = rng.integers(0, 256, (60, 1, 8, 8), np.uint8)
Y = (X[:, 0, :4].mean((1, 2)) > X[:, 0, 4:].mean((1, 2))).astype(np.int64)


def loader(*more, **options):
    steps = [T.RandomHorizontalFlip(), T.Normalize(0.5, 0.25), *more]
    return DataLoader(TensorDataset(X, Y), 16, shuffle=True, transform=T.Compose(steps), **options)


def network():
    fd.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 2)
    )


def train(epochs=6, batches=None, **options):
    model = network()
    history = fd.fit(
        model,
        batches or loader(num_workers=1),
        epochs=epochs,
        validation=DataLoader(TensorDataset(X, Y), 32, transform=T.Normalize(0.5, 0.25)),
        progress=False,
        **options,
    )
    return model, history


def same(a, b):
    return all((a.state_dict()[k] == b.state_dict()[k]).all() for k in a.state_dict())


def test_training_over_a_loader_learns_and_repeats_itself():
    model, history = train(20)
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr", "time"]
    assert history["val_accuracy"][-1] > 0.75
    again, _ = train(20, loader(num_workers=0))
    assert same(model, again)
    figures = fd.evaluate(
        model, DataLoader(TensorDataset(X, Y), 7, transform=T.Normalize(0.5, 0.25))
    )
    assert figures["accuracy"] == pytest.approx(history["val_accuracy"][-1])
    x = T.Normalize(0.5, 0.25)(X)
    assert fd.evaluate(model, (x, Y))["loss"] == pytest.approx(figures["loss"], abs=1e-5)


def test_a_run_over_a_loader_continues_bit_for_bit(tmp_path):
    whole, _ = train(4)

    class Stop(Exception):
        pass

    def stop(epoch):
        if epoch.number == 2:
            raise Stop

    for every in ("epoch", 3):
        path = tmp_path / f"{every}"
        with pytest.raises(Stop):
            train(4, checkpoint=path, checkpoint_every=every, callbacks=stop)
        resumed, history = train(4, checkpoint=path, resume=True)
        assert same(whole, resumed) and history.epochs == 4


def test_mixed_targets():
    for mix in (T.MixUp(num_classes=2), T.CutMix(num_classes=2)):
        _, history = train(2, loader(mix))
        assert np.isfinite(history["loss"]).all() and "accuracy" in history


def test_options_that_belong_to_the_loader():
    for options in ({"batch_size": 4}, {"drop_last": True}, {"mixup": 0.2}):
        with pytest.raises(ValueError, match="DataLoader"):
            train(1, **options)
    with pytest.raises(ValueError, match="random_split"):
        fd.fit(network(), loader(), validation=0.2, progress=False)
    with pytest.raises(ValueError, match="sample_weight"):
        fd.fit(network(), loader(), sample_weight=np.ones(60), progress=False)
    with pytest.raises(ValueError, match="batches"):
        fd.fit(network(), DataLoader(TensorDataset(X)), progress=False)
    with pytest.raises(ValueError, match="same kind of targets"):
        real = DataLoader(TensorDataset(X, Y.astype(np.float32)), 16)
        fd.fit(network(), loader(), validation=real, progress=False)


def test_a_batch_of_one_for_batch_norm_is_found_before_the_training():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    with pytest.raises(ValueError, match="batch_size"):
        fd.fit(model, DataLoader(TensorDataset(X, Y), 59), progress=False)
