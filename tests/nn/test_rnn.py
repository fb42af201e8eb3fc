"""RNN, LSTM and GRU: against PyTorch, and with every mask against a loop over cells in float64."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers import recurrent_twin
from helpers.mask_reference import keep_mask, keep_scale

torch = pytest.importorskip("torch")

KINDS = ("LSTM", "GRU", "RNN")
ARGUMENTS = (
    {},
    {"num_layers": 3},
    {"bidirectional": True, "num_layers": 2},
    {"batch_first": True, "bias": False},
)
pytestmark = pytest.mark.filterwarnings("ignore:dropout acts between the layers")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def states_of(kind, result):
    return list(result) if kind == "LSTM" else [result]


def close(ours, theirs, tolerance=2e-6):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max(initial=0) <= tolerance * (
        1 + np.abs(theirs).max(initial=0)
    )


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("kind", (*KINDS, "relu"))
@pytest.mark.parametrize("sizes", [(7, 9), (33, 70), (3, 1)])
def test_against_torch(kind, arguments, sizes):
    if kind == "relu":
        kind, arguments = "RNN", {**arguments, "nonlinearity": "relu"}
    theirs, ours = (getattr(n, kind)(*sizes, **arguments) for n in (torch.nn, nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    count = arguments.get("num_layers", 1) * (2 if arguments.get("bidirectional") else 1)
    samples = 6 if arguments.get("batch_first") else 4
    given = [numbers(6, 4, sizes[0]), *(numbers(count, samples, sizes[1], seed=s) for s in (1, 2))]
    given = given if kind == "LSTM" else given[:2]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    expected, expected_states = theirs(a[0], tuple(a[1:]) if kind == "LSTM" else a[1])
    found, found_states = ours(b[0], tuple(b[1:]) if kind == "LSTM" else b[1])
    close(found, expected)
    weight = numbers(*expected.shape, seed=3)
    losses = [(expected * torch.tensor(weight)).sum(), (found * weight).sum()]
    for one, two in zip(
        states_of(kind, expected_states), states_of(kind, found_states), strict=True
    ):
        close(two, one)
        weight = numbers(*one.shape, seed=4)
        losses[0] = losses[0] + (one * torch.tensor(weight)).sum()
        losses[1] = losses[1] + (two * weight).sum()
    losses[0].backward()
    losses[1].backward(retain_graph=True)
    for one, two in zip(a, b, strict=True):
        close(two.grad, one.grad)
    for (name, one), (other, two) in zip(
        theirs.named_parameters(), ours.named_parameters(), strict=True
    ):
        close(two.grad, one.grad, 1e-5)
        assert name == other
        two.grad = None
    losses[1].backward()  # the graph was retained
    for one, two in zip(theirs.parameters(), ours.parameters(), strict=True):
        close(two.grad, one.grad, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch_axis(kind):
    layer = getattr(nn, kind)(5, 4, num_layers=2)
    x = numbers(3, 5)
    y, state = layer(x)
    whole, whole_state = layer(x[:, None])
    assert (y.numpy() == whole.numpy()[:, 0]).all()
    for one, two in zip(states_of(kind, state), states_of(kind, whole_state), strict=True):
        assert (one.numpy() == two.numpy()[:, 0]).all()


MASKS = (
    {"input_dropout": 0.3},
    {"recurrent_dropout": 0.4},
    {"input_dropout": 0.3, "recurrent_dropout": 0.4, "per_gate": True},
    {"input_dropout": 0.3, "recurrent_dropout": 0.4, "per_gate": False},
    {"update_dropout": 0.3},
    {"update_dropout": 0.3, "update_per_step": False},
    {"zoneout": 0.2},
    {"zoneout": (0.3, 0.1)},
    {"weight_drop": 0.5},
    {"dropout": 0.5},
    {"dropout": 0.5, "variational": True},
    {"output_dropout": 0.5},
    {
        "input_dropout": 0.2,
        "recurrent_dropout": 0.3,
        "update_dropout": 0.1,
        "zoneout": 0.15,
        "weight_drop": 0.2,
        "dropout": 0.4,
        "variational": True,
        "output_dropout": 0.1,
        "per_gate": True,
    },
)


def allowed(kind, masks):
    masks = dict(masks)
    if kind == "RNN":
        masks.pop("update_dropout", None)
    if kind != "LSTM" and isinstance(masks.get("zoneout"), tuple):
        masks["zoneout"] = masks["zoneout"][1]
    return masks


def twin_of(layer, x, h0, c0, training=True, draw=0, samples=None):
    """Tensors with gradients in float64, and the twin's results."""
    parameters = {
        name: torch.tensor(p.numpy().astype(np.float64), requires_grad=True)
        for name, p in layer.named_parameters()
    }
    given = [
        None if v is None else torch.tensor(v.astype(np.float64), requires_grad=True)
        for v in (x, h0, c0)
    ]
    sequences = [given[0][:, b] for b in range(x.shape[1])]
    y, h, c = recurrent_twin.run(
        torch,
        layer,
        parameters,
        sequences,
        [len(x)] * x.shape[1],
        given[1],
        given[2],
        samples,
        draw,
        training,
    )
    return parameters, given, torch.stack(y, 1), h, c


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_mask_against_a_loop_over_cells(kind, masks, bidirectional):
    fd.manual_seed(0)
    masks = allowed(kind, masks)
    layer = getattr(nn, kind)(6, 37, num_layers=2, bidirectional=bidirectional, **masks)
    count = 4 if bidirectional else 2
    x, h0, c0 = numbers(4, 3, 6), numbers(count, 3, 37, seed=1), numbers(count, 3, 37, seed=2)
    c0 = c0 if kind == "LSTM" else None
    parameters, given, expected, *expected_states = twin_of(layer, x, h0, c0)
    a = fd.Tensor(x, requires_grad=True)
    b = [fd.Tensor(s, requires_grad=True) for s in (h0, c0) if s is not None]
    found, found_states = layer(a, tuple(b) if kind == "LSTM" else b[0])
    close(found, expected)
    weight = numbers(*expected.shape, seed=3)
    loss, twin_loss = (found * weight).sum(), (expected * torch.tensor(weight)).sum()
    for one, two in zip(expected_states, states_of(kind, found_states), strict=False):
        close(two, one)
        weight = numbers(*one.shape, seed=4)
        loss, twin_loss = (
            loss + (two * weight).sum(),
            twin_loss + (one * torch.tensor(weight)).sum(),
        )
    loss.backward()
    twin_loss.backward()
    close(a.grad, given[0].grad, 1e-5)
    for one, two in zip(given[1:], b, strict=False):
        close(two.grad, one.grad, 1e-5)
    for name, p in layer.named_parameters():
        close(p.grad, parameters[name].grad, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_zoneout_in_evaluation_is_the_expectation(kind):
    layer = getattr(nn, kind)(6, 5, zoneout=0.25).eval()
    x, h0, c0 = numbers(4, 3, 6), numbers(1, 3, 5, seed=1), numbers(1, 3, 5, seed=2)
    parameters, given, expected, *_ = twin_of(
        layer, x, h0, c0 if kind == "LSTM" else None, training=False
    )
    a = fd.Tensor(x, requires_grad=True)
    found, _ = layer(a, (h0, c0) if kind == "LSTM" else h0)
    close(found, expected)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    close(a.grad, given[0].grad, 1e-5)
    for name, p in layer.named_parameters():
        close(p.grad, parameters[name].grad, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(5, 13), (20, 300)])
def test_bits_do_not_depend_on_threads_and_batch(kind, sizes):
    fd.manual_seed(0)
    layer = getattr(nn, kind)(
        *sizes, num_layers=2, recurrent_dropout=0.3, input_dropout=0.2, zoneout=0.1, dropout=0.2
    )
    x = numbers(6, 45, sizes[0])

    def results(part, rows):
        layer.zero_grad()
        layer.draw = 0
        a = fd.Tensor(x[:, part], requires_grad=True)
        with fd.mask_state(rows=rows):
            y, _ = layer(a)
        (y * y).sum().backward()
        return y.numpy(), a.grad.numpy(), layer.weight_hh_l1.grad.numpy().copy()

    before = fd.get_num_threads()
    try:
        fd.set_num_threads(1)
        one = results(slice(None), np.arange(45, dtype=np.uint32))
        few = results(slice(20, 31), np.arange(20, 31, dtype=np.uint32))
        fd.set_num_threads(4)
        four = results(slice(None), np.arange(45, dtype=np.uint32))
        few_of_four = results(slice(20, 31), np.arange(20, 31, dtype=np.uint32))
    finally:
        fd.set_num_threads(before)
    for a, b in zip(one, four, strict=True):
        assert (a == b).all()
    for a, b in zip(few, few_of_four, strict=True):
        assert (a == b).all()
    for a, b in zip(one[:2], few[:2], strict=True):
        assert (a[:, 20:31] == b).all()


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_plain_layer(kind):
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1]) | {"zoneout": 0.0}
    layer = getattr(nn, kind)(6, 5, num_layers=2, **masks)
    plain = getattr(nn, kind)(6, 5, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    x = numbers(4, 3, 6)
    assert (layer.eval()(x)[0].numpy() == plain(x)[0].numpy()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_pickling_and_deep_copies(kind):
    fd.manual_seed(0)
    layer = getattr(nn, kind)(6, 5, weight_drop=0.5, recurrent_dropout=0.2)
    x = numbers(4, 3, 6)
    layer(x)
    for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert list(other.state_dict()) == list(layer.state_dict())
        assert (other.eval()(x)[0].numpy() == layer.eval()(x)[0].numpy()).all()
        other.train()(x)
        layer.train()


class LastStep(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def test_monte_carlo_passes_are_rows_of_one_computation():
    fd.manual_seed(0)
    model = LastStep(nn.LSTM(2, 8, batch_first=True, recurrent_dropout=0.25, output_dropout=0.2))
    x = numbers(5, 7, 2)
    mc = fd.mc_predict(model, x, samples=6, seed=3, keep=True)
    assert mc.passes.shape == (5, 6, 1)
    assert np.unique(mc.passes[0]).size == 6
    one = fd.mc_predict(model, x[2:3], samples=6, seed=3, keep=True, row0=2)
    assert (one.passes[0] == mc.passes[2]).all()


def test_passes_with_dropped_weights_are_computed_one_by_one():
    fd.manual_seed(0)
    model = LastStep(nn.GRU(2, 8, batch_first=True, weight_drop=0.5))
    with pytest.warns(fd.uncertainty.MCWarning, match="one by one"):
        mc = fd.mc_predict(model, numbers(5, 7, 2), samples=4, keep=True)
    assert np.unique(mc.passes[0]).size == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LSTM(3, 0), "hidden_size"),
        (lambda: nn.RNN(3, 4, update_dropout=0.1), "update_dropout must be 0 for an RNN"),
        (lambda: nn.GRU(3, 4, zoneout=(0.1, 0.2)), "zoneout must be a rate"),
        (lambda: nn.LSTM(3, 4, recurrent_dropout=1.5), "recurrent_dropout"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "nonlinearity"),
        (lambda: nn.LSTM(3, 4)(np.ones((5, 2, 4))), "input must have shape"),
        (lambda: nn.LSTM(3, 4)(np.ones((0, 2, 3))), "at least one step"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), np.ones((1, 3, 4))), "h_0 must have shape"),
        (
            lambda: nn.LSTM(3, 4)(np.ones((5, 2, 3)), (np.ones((1, 2, 4)), np.ones((2, 2, 4)))),
            "c_0 must have shape",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_state_that_is_no_pair():
    with pytest.raises(TypeError, match="hx must be a pair"):
        nn.LSTM(3, 4)(np.ones((5, 2, 3)), np.ones((1, 2, 4)))


def test_dropout_of_one_layer_warns():
    with pytest.warns(UserWarning, match="does nothing with num_layers=1"):
        nn.LSTM(3, 4, dropout=0.5)


def test_an_empty_batch():
    layer = nn.GRU(3, 4)
    x = fd.Tensor(np.ones((5, 0, 3)), requires_grad=True)
    y, h = layer(x)
    assert y.shape == (5, 0, 4)
    assert h.shape == (1, 0, 4)
    y.sum().backward()
    assert (layer.weight_hh_l0.grad.numpy() == 0).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", (*KINDS, "relu"))
def test_cells_against_torch(kind, bias):
    more = {"nonlinearity": "relu"} if kind == "relu" else {}
    kind = "RNN" if kind == "relu" else kind
    theirs, ours = (getattr(n, kind + "Cell")(5, 7, bias, **more) for n in (torch.nn, nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    given = [numbers(3, 5), numbers(3, 7, seed=1), numbers(3, 7, seed=2)]
    given = given if kind == "LSTM" else given[:2]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    expected = states_of(kind, theirs(a[0], tuple(a[1:]) if kind == "LSTM" else a[1]))
    found = states_of(kind, ours(b[0], tuple(b[1:]) if kind == "LSTM" else b[1]))
    for one, two in zip(expected, found, strict=True):
        close(two, one)
    sum((x * x).sum() for x in expected).backward()
    sum(((x * x).sum() for x in found[1:]), (found[0] * found[0]).sum()).backward()
    for one, two in zip((*a, *theirs.parameters()), (*b, *ours.parameters()), strict=True):
        close(two.grad, one.grad, 1e-5)
    alone = states_of(kind, ours(given[0][0]))
    close(alone[0], states_of(kind, theirs(a[0][0]))[0])


def test_errors_of_cells():
    with pytest.raises(ValueError, match="input must have shape"):
        nn.GRUCell(3, 4)(np.ones((2, 4)))
    with pytest.raises(ValueError, match="h_0 must have shape"):
        nn.RNNCell(3, 4)(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(TypeError, match="hx must be a pair"):
        nn.LSTMCell(3, 4)(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_against_torch(kind, bidirectional):
    arguments = {"num_layers": 2, "bidirectional": bidirectional}
    theirs, ours = (getattr(n, kind)(5, 7, **arguments) for n in (torch.nn, nn))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    lengths = [2, 6, 1, 4]
    count = 4 if bidirectional else 2
    given = [numbers(6, 4, 5), numbers(count, 4, 7, seed=1), numbers(count, 4, 7, seed=2)]
    given = given if kind == "LSTM" else given[:2]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    one = torch.nn.utils.rnn.pack_padded_sequence(a[0], lengths, enforce_sorted=False)
    two = nn.utils.rnn.pack_padded_sequence(b[0], lengths, enforce_sorted=False)
    expected, expected_states = theirs(one, tuple(a[1:]) if kind == "LSTM" else a[1])
    found, found_states = ours(two, tuple(b[1:]) if kind == "LSTM" else b[1])
    expected = torch.nn.utils.rnn.pad_packed_sequence(expected)[0]
    found = nn.utils.rnn.pad_packed_sequence(found)[0]
    close(found, expected)
    loss, twin_loss = (found * found).sum(), (expected * expected).sum()
    for one, two in zip(
        states_of(kind, expected_states), states_of(kind, found_states), strict=True
    ):
        close(two, one)
        loss, twin_loss = loss + (two * two).sum(), twin_loss + (one * one).sum()
    loss.backward()
    twin_loss.backward()
    for one, two in zip((*a, *theirs.parameters()), (*b, *ours.parameters()), strict=True):
        close(two.grad, one.grad, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_are_their_samples_one_by_one(kind):
    """Bit for bit, with every mask."""
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1]) | {"weight_drop": 0.2}
    layer = getattr(nn, kind)(5, 7, num_layers=2, bidirectional=True, **masks)
    x, lengths = numbers(6, 4, 5), [2, 6, 1, 4]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, state = layer(packed)
    y = nn.utils.rnn.pad_packed_sequence(y)[0].numpy()
    for i, length in enumerate(lengths):
        layer.draw = 0
        with fd.mask_state(row0=i):
            one, one_state = layer(x[:length, i : i + 1])
        assert (y[:length, i] == one.numpy()[:, 0]).all()
        for all_states, alone in zip(
            states_of(kind, state), states_of(kind, one_state), strict=True
        ):
            assert (all_states.numpy()[:, i] == alone.numpy()[:, 0]).all()


@pytest.mark.parametrize("batch_first", [False, True])
def test_locked_dropout_has_one_mask_a_sequence(batch_first):
    fd.manual_seed(3)
    layer = nn.LockedDropout(0.4, batch_first)
    x = numbers(5, 4, 150)
    a = fd.Tensor(x, requires_grad=True)
    y = layer(a)
    samples = 5 if batch_first else 4
    kept = keep_mask(np.arange(samples), 150, 0.4, seed=3)
    scaled = kept * keep_scale(0.4)
    expected = x * (scaled[:, None] if batch_first else scaled[None])
    assert (y.numpy() == expected).all()
    (y * 2.0).sum().backward()
    every = scaled[:, None] if batch_first else scaled[None]
    assert (a.grad.numpy() == 2 * np.broadcast_to(every, x.shape)).all()
    layer.draw = 0
    one = x[0] if batch_first else x[:, 0]
    assert (layer(one).numpy() == one * scaled[0]).all()
    assert (layer.eval()(x).numpy() == x).all()


def test_locked_dropout_of_monte_carlo_passes():
    model = nn.Sequential(nn.LockedDropout(0.5, batch_first=True), nn.Flatten(), nn.Linear(15, 1))
    mc = fd.mc_predict(model, numbers(4, 5, 3), samples=6, keep=True)  # side by side: no warning
    assert np.unique(mc.passes).size > 4
    with pytest.raises(ValueError, match="input must have shape"):
        nn.LockedDropout(0.5)(np.ones(3))


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_weights_of_another_shape_are_noticed(name):
    layer = nn.GRU(3, 4)
    getattr(layer, name).data = np.zeros((2,) * getattr(layer, name).ndim)
    with pytest.raises(ValueError, match=f"{name[:-3]} must have shape"):
        layer(np.ones((5, 2, 3)))


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ((np.ones((3, 3)), [2, 1]), TypeError, "data must be a Tensor"),
        ((fd.Tensor(np.ones((3, 3))), []), ValueError, "batch_sizes must hold"),
        ((fd.Tensor(np.ones((3, 3))), [1, 2]), ValueError, "never increase"),
        ((fd.Tensor(np.ones((4, 3))), [2, 1]), ValueError, "3 rows of batch_sizes"),
        ((fd.Tensor(np.ones((3, 3))), [1.5, 1.5]), TypeError, "batch_sizes"),
        ((fd.Tensor(np.ones((3, 3))), [2, 1], [0]), ValueError, "sorted_indices must hold 2"),
        ((fd.Tensor(np.ones((3, 3))), [2, 1], [0, 5]), ValueError, "permutation"),
        ((fd.Tensor(np.ones((3, 2))), [2, 1]), ValueError, "rows of 3 numbers"),
    ],
)
def test_a_packed_sequence_of_ones_own_is_checked(parts, error, message):
    with pytest.raises(error, match=message):
        nn.LSTM(3, 4)(nn.utils.rnn.PackedSequence(*parts))


def test_a_packed_sequence_of_ones_own():
    x = numbers(3, 3)
    layer = nn.LSTM(3, 4)
    packed = nn.utils.rnn.PackedSequence(fd.Tensor(x), np.array([2, 1], np.int32), [1, 0])
    y, _ = layer(packed)
    first = layer(x[[0, 2], None])[0].numpy()[:, 0]
    assert (y.data.numpy()[[0, 2]] == first).all()
