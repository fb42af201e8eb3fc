"""RNN, LSTM and GRU: against PyTorch, and with every mask against a loop over cells in float64."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers import recurrent_twin
from helpers.recurrent_cases import (
    KINDS,
    MASKS,
    allowed,
    close,
    has_c,
    made,
    numbers,
    states_for,
    states_of,
)

torch = pytest.importorskip("torch")

ARGUMENTS = (
    {},
    {"num_layers": 3},
    {"bidirectional": True, "num_layers": 2},
    {"batch_first": True, "bias": False},
)
pytestmark = [
    pytest.mark.filterwarnings("ignore:dropout acts between the layers"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("kind", (*KINDS, "relu"))
@pytest.mark.parametrize("sizes", [(7, 9), (33, 70), (3, 1)])
def test_against_torch(kind, arguments, sizes):
    if kind == "relu":
        kind, arguments = "RNN", {**arguments, "nonlinearity": "relu"}
    sizes = (sizes[0], max(sizes[1], 2 if kind == "projected" else 1))
    theirs, ours = (made(n, kind, *sizes, **arguments) for n in (torch.nn, nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    count = arguments.get("num_layers", 1) * (2 if arguments.get("bidirectional") else 1)
    samples = 6 if arguments.get("batch_first") else 4
    given = [numbers(6, 4, sizes[0]), *states_for(kind, count, samples, sizes[1])]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    expected, expected_states = theirs(a[0], tuple(a[1:]) if has_c(kind) else a[1])
    found, found_states = ours(b[0], tuple(b[1:]) if has_c(kind) else b[1])
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
    layer = made(nn, kind, 5, 4, num_layers=2)
    x = numbers(3, 5)
    y, state = layer(x)
    whole, whole_state = layer(x[:, None])
    assert (y.numpy() == whole.numpy()[:, 0]).all()
    for one, two in zip(states_of(kind, state), states_of(kind, whole_state), strict=True):
        assert (one.numpy() == two.numpy()[:, 0]).all()


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
    layer = made(nn, kind, 6, 37, num_layers=2, bidirectional=bidirectional, **masks)
    count = 4 if bidirectional else 2
    x = numbers(4, 3, 6)
    h0, c0 = [*states_for(kind, count, 3, 37), None][:2]
    parameters, given, expected, *expected_states = twin_of(layer, x, h0, c0)
    a = fd.Tensor(x, requires_grad=True)
    b = [fd.Tensor(s, requires_grad=True) for s in (h0, c0) if s is not None]
    found, found_states = layer(a, tuple(b) if has_c(kind) else b[0])
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
    layer = made(nn, kind, 6, 5, zoneout=0.25).eval()
    x = numbers(4, 3, 6)
    h0, c0 = [*states_for(kind, 1, 3, 5), None][:2]
    parameters, given, expected, *_ = twin_of(layer, x, h0, c0, training=False)
    a = fd.Tensor(x, requires_grad=True)
    found, _ = layer(a, (h0, c0) if has_c(kind) else h0)
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
    layer = made(
        nn,
        kind,
        *sizes,
        num_layers=2,
        recurrent_dropout=0.3,
        input_dropout=0.2,
        zoneout=0.1,
        dropout=0.2,
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
def test_gradients_of_many_rows_are_those_of_their_parts(kind):
    """Products go through the rows in pieces: 900 rows here, 180 in each part."""
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1])
    layer = made(nn, kind, 5, 9, num_layers=2, **masks)
    x = numbers(30, 30, 5)

    def gradients(parts):
        layer.zero_grad()
        found = []
        for part in parts:
            layer.draw = 0
            a = fd.Tensor(x[:, part], requires_grad=True)
            with fd.mask_state(rows=np.arange(30, dtype=np.uint32)[part]):
                y, _ = layer(a)
            (y * y).sum().backward()
            found.append(a.grad.numpy())
        return np.concatenate(found, 1), [p.grad.numpy().copy() for p in layer.parameters()]

    dx, whole = gradients([slice(None)])
    its_dx, parts = gradients([slice(i, i + 6) for i in range(0, 30, 6)])
    assert (dx == its_dx).all()
    for one, two in zip(whole, parts, strict=True):
        assert np.abs(one - two).max() < 1e-5 * np.abs(one).max()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_nothing_is_kept_and_no_bit_changes(kind, bidirectional):
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1])
    layer = made(nn, kind, 5, 37, num_layers=2, bidirectional=bidirectional, **masks)
    x = numbers(40, 20, 5)
    lengths = np.arange(20, 40)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    for given in (x, packed):
        layer.draw = 0
        y, state = layer(given)
        layer.draw = 0
        with fd.no_grad():
            again, its_state = layer(given)
        y, again = (v.data if given is packed else v for v in (y, again))
        for one, two in zip(
            (y, *states_of(kind, state)), (again, *states_of(kind, its_state)), strict=True
        ):
            assert (one.numpy() == two.numpy()).all()


def test_a_weight_that_is_used_twice():
    layer = nn.LSTM(6, 6)
    layer.weight_hh_l0 = layer.weight_ih_l0
    other = nn.LSTM(6, 6)
    other.load_state_dict(layer.state_dict() | {"weight_hh_l0": layer.weight_ih_l0.numpy()})
    x = numbers(4, 3, 6)
    for model in (layer, other):
        (model(x)[0] ** 2).sum().backward()
    both = other.weight_ih_l0.grad.numpy() + other.weight_hh_l0.grad.numpy()
    assert np.abs(layer.weight_ih_l0.grad.numpy() - both).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_plain_layer(kind):
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1]) | {"zoneout": 0.0}
    layer = made(nn, kind, 6, 5, num_layers=2, **masks)
    plain = made(nn, kind, 6, 5, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    x = numbers(4, 3, 6)
    assert (layer.eval()(x)[0].numpy() == plain(x)[0].numpy()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_pickling_and_deep_copies(kind):
    fd.manual_seed(0)
    layer = made(nn, kind, 6, 5, weight_drop=0.5, recurrent_dropout=0.2)
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


def test_a_recurrent_layer_without_rates_has_no_passes():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x):
            return self.recurrent(x)[0][:, -1]

    with pytest.raises(ValueError, match="must have a stochastic layer"):
        fd.mc_predict(Last(), numbers(4, 6, 3), 3)


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
        (lambda: nn.LSTM(3, 4, proj_size=4), "proj_size must be below hidden_size"),
        (lambda: nn.RNNBase("GRU", 3, 4, proj_size=2), "only an LSTM has a projection"),
        (lambda: nn.LSTM(3, 4, proj_size=-1), "proj_size"),
        (
            lambda: nn.LSTM(3, 4, proj_size=2)(np.ones((5, 2, 3)), (np.ones((1, 2, 4)),) * 2),
            "h_0 must have shape",
        ),
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


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_weights_of_another_shape_are_noticed(name):
    layer = nn.GRU(3, 4)
    getattr(layer, name).data = np.zeros((2,) * getattr(layer, name).ndim)
    with pytest.raises(ValueError, match=f"{name[:-3]} must have shape"):
        layer(np.ones((5, 2, 3)))
