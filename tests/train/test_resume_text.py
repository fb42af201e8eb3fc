"""Training of a language model that stops in the middle of an epoch and goes on bit for bit."""

import numpy as np

import fastdrop as fd
from fastdrop import optim
from fastdrop.data import BPTTBatches


def parts(seed):
    fd.manual_seed(seed)
    model = fd.models.language_model(
        30,
        12,
        dropout=0.3,
        recurrent_dropout=0.2,
        zoneout=0.1,
        weight_drop=0.2,
        embedding_dropout=0.1,
        per_gate=True,
    )
    optimizer = optim.NTASGD(model.parameters(), lr=1.0, clip_grad_norm=0.5)
    text = np.random.default_rng(1).integers(0, 30, 400)
    return model, optimizer, BPTTBatches(text, 4, 9)


def train(model, optimizer, batches, state, count):
    """`count` steps; the state after them, and the losses."""
    losses = []
    while True:
        for tokens, targets in batches:
            loss, state = model.loss(tokens, targets, state)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == count:
                return state, losses
        optimizer.validated(np.mean(losses))
        state = None


def test_resuming_in_the_middle_of_an_epoch_with_carried_states(tmp_path):
    model, optimizer, batches = parts(0)
    state, _ = train(model, optimizer, batches, None, 5)
    extra = {"state": [s.numpy() for s in state], "batches": batches.state_dict()}
    fd.save_checkpoint(tmp_path / "run.checkpoint", model, optimizer, extra=extra)
    assert 0 < batches.position < batches.steps
    _, expected = train(model, optimizer, batches, state, 20)

    again, its_optimizer, its_batches = parts(7)
    extra = fd.load_checkpoint(tmp_path / "run.checkpoint", again, its_optimizer)
    its_batches.load_state_dict(extra["batches"])
    state = tuple(fd.Tensor(s) for s in extra["state"])
    _, found = train(again, its_optimizer, its_batches, state, 20)
    assert found == expected
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert (one.numpy() == two.numpy()).all()
