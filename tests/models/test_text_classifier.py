"""Text classifiers of padded texts, against PyTorch's packed sequences."""

import numpy as np
import pytest

import fastdrop as fd

RNG = np.random.default_rng(0)
TEXTS = [RNG.integers(1, 30, n) for n in (4, 1, 9, 6)]


def padded(steps):
    x = np.zeros((len(TEXTS), steps), np.int64)
    for row, text in zip(x, TEXTS, strict=True):
        row[: len(text)] = text
    return x


def model(**options):
    fd.manual_seed(0)
    return fd.models.text_classifier(30, 3, 7, 5, padding_idx=0, **options)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_and_gradients_are_those_of_packed_sequences(cell, bidirectional):
    torch = pytest.importorskip("torch")
    ours = model(cell=cell, num_layers=2, bidirectional=bidirectional)
    layer = getattr(torch.nn, cell.upper())(7, 5, 2, batch_first=True, bidirectional=bidirectional)
    layer.load_state_dict(
        {n: torch.tensor(w) for n, w in ours.recurrent.state_dict().items()}, strict=True
    )
    table = torch.tensor(ours.embedding.weight.numpy().copy(), requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        table[torch.tensor(padded(11))],
        [len(t) for t in TEXTS],
        batch_first=True,
        enforce_sorted=False,
    )
    _, state = layer(packed)
    h = (state[0] if cell == "lstm" else state)[-2 if bidirectional else -1 :]
    last = torch.cat(list(h), 1)
    expected = last @ torch.tensor(ours.head.weight.numpy()).T + torch.tensor(
        ours.head.bias.numpy()
    )
    found = ours.eval()(padded(11))
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    for name, parameter in ours.recurrent.named_parameters():
        np.testing.assert_allclose(
            parameter.grad, getattr(layer, name).grad.numpy(), rtol=2e-4, atol=2e-6, err_msg=name
        )
    gradient = table.grad.numpy().copy()
    gradient[0] = 0.0  # padding
    np.testing.assert_allclose(ours.embedding.weight.grad, gradient, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.filterwarnings("ignore::fastdrop.uncertainty.MCWarning")
def test_the_answer_does_not_depend_on_the_padding(bidirectional):
    ours = model(bidirectional=bidirectional, dropout=0.3, recurrent_dropout=0.2)
    short, long = (fd.predict(ours, padded(steps)) for steps in (9, 14))
    assert (short == long).all()
    for row, text in enumerate(TEXTS):
        assert (fd.predict(ours, text[None])[0] == short[row]).all()
    one, two = (fd.mc_predict(ours, padded(s), 6, seed=3, progress=False) for s in (9, 14))
    assert (one.mean == two.mean).all() and (one.std == two.std).all() and (one.std > 0).all()


def test_passes_are_computed_side_by_side(recwarn):
    ours = model(dropout=0.3, recurrent_dropout=0.2)
    found = fd.mc_predict(ours, padded(9), 5, seed=1, keep=True, progress=False)
    assert not recwarn
    rows = [
        fd.mc_predict(ours, padded(9)[i : i + 1], 5, seed=1, row0=i, progress=False).mean[0]
        for i in range(4)
    ]
    np.testing.assert_allclose(found.mean, rows, rtol=1e-6)


def test_a_text_of_padding_alone_counts_as_one_step():
    ours = model().eval()
    assert (ours(np.zeros((1, 4), int)).numpy() == ours(np.zeros((1, 1), int)).numpy()).all()


def test_a_file_knows_the_padding(tmp_path):
    ours = model(dropout=0.2).eval()
    fd.save(ours, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert again.padding_idx == 0
    assert (again(padded(12)).numpy() == ours(padded(12)).numpy()).all()


def test_the_first_vectors_are_small_and_that_of_padding_is_zero():
    table = model().embedding.weight.numpy()
    assert (table[0] == 0).all() and 0.2 < np.abs(table[1:]).max() <= 0.25
    assert fd.models.text_classifier(30, 3).embedding.weight.numpy()[0].any()


def test_padding_needs_tokens():
    with pytest.raises(ValueError, match="padding_idx must be None without vocab_size"):
        fd.models.SequenceModel(3, 2, padding_idx=0)
    with pytest.raises(ValueError, match="padding_idx"):
        fd.models.text_classifier(5, 2, padding_idx=5)
