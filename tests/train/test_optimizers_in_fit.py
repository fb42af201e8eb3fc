"""All optimisers and schedules in `fit`, in `fd.record` and in checkpoints."""

import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.models import mlp
from fastdrop.optim import lr_scheduler
from fastdrop.train import fit
from helpers.recorded import USUAL, Trained, same
from helpers.training import BATCH, Stop, bits, digits

OPTIMIZERS = {
    "Adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.01),
    "Adadelta": lambda p: optim.Adadelta(p, weight_decay=0.1),
    "Adamax": optim.Adamax,
    "NAdam": lambda p: optim.NAdam(p, decoupled_weight_decay=True, weight_decay=0.1),
    "RAdam": lambda p: optim.RAdam(p, betas=(0.8, 0.9)),
    "Rprop": optim.Rprop,
    "Adafactor": lambda p: optim.Adafactor(p, clip_grad_norm=0.5),
    "Muon": lambda p: optim.Muon([each for each in p if each.ndim == 2], max_norm=0.8),
    "Lion": lambda p: optim.Lion(p, 1e-3, weight_decay=0.1),
    "amsgrad": lambda p: optim.AdamW(p, amsgrad=True),
    "centered": lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    "maximize": lambda p: optim.SGD(p, 1e-3, momentum=0.5, maximize=True),
}
SCHEDULES = {
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=60),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 3),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.9),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.PolynomialLR(o, 60)]
    ),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [
            lr_scheduler.LinearLR(o, 0.1, total_iters=3),
            lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
        ],
        [3],
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recorded_steps(name):
    same(USUAL, make=lambda: Trained(optimizer=OPTIMIZERS[name]))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_schedules_inside_of_recorded_steps(name, kind):
    def make():
        options = {"momentum": 0.9} if kind is optim.SGD else {}
        trained = Trained(optimizer=lambda p: kind(p, 0.1, **options))
        scheduler = SCHEDULES[name](trained.optimizer)
        inner = trained.step

        def step(x, y):
            loss = inner(x, y)
            scheduler.step()
            return loss

        trained.step = step
        return trained

    same(USUAL, make=make)


def run(seed, optimizer, scheduler=lambda o: None, callback=None, **keywords):
    fd.manual_seed(seed)
    model = mlp(6, (16,), 3, dropout=0.5)
    o = optimizer(list(model.parameters()))
    fit(
        model,
        digits(),
        optimizer=o,
        scheduler=scheduler(o),
        scheduler_every="step",
        epochs=3,
        batch_size=BATCH,
        progress=False,
        callbacks=[] if callback is None else [callback],
        **keywords,
    )
    return bits(model), [group["lr"] for group in o.param_groups]


def stop_after_two(event):
    if event.number == 2:
        raise Stop


def check_resume(tmp_path, optimizer, scheduler=lambda o: None):
    path = tmp_path / "c"
    expected = run(1, optimizer, scheduler)
    with pytest.raises(Stop):
        run(1, optimizer, scheduler, stop_after_two, checkpoint=path, checkpoint_every=5)
    assert run(7, optimizer, scheduler, checkpoint=path, resume=True) == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_checkpoints_of_optimizers(name, tmp_path):
    check_resume(tmp_path, OPTIMIZERS[name])


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW])
def test_checkpoints_of_schedules(name, kind, tmp_path):
    check_resume(tmp_path, lambda p: kind(p, 0.1), SCHEDULES[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_minimize_is_the_three_calls(name):
    found = []
    for whole in (True, False):
        fd.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = OPTIMIZERS[name](list(model.parameters()))
        for step in range(4):
            loss = (model(fd.tensor([[0.1 * step] * 6] * 3)) ** 2).mean()
            if whole:
                optimizer.minimize(loss)
            else:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        found.append(bits(model))
    assert found[0] == found[1]
