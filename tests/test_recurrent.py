"""Recurrent layers and cells, against PyTorch and against differences."""

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import RangeError, ShapeError
from tinygrad_np.nn import functional as F
from tinygrad_np.testing import check_grad
from tinygrad_np.testing.modules import with_parameters

INPUTS, STATES, STEPS, BATCH = 2, 3, 4, 2
KINDS = ("RNN", "LSTM", "GRU")
# Settings of the layer, and the shape of the input.
OPTIONS = {
    "plain": ({}, (STEPS, BATCH)),
    "deep and in both directions": ({"num_layers": 2, "bidirectional": True}, (STEPS, BATCH)),
    "batch first": ({"batch_first": True}, (BATCH, STEPS)),
    "deep and batch first": ({"num_layers": 3, "batch_first": True, "bidirectional": True}, (BATCH, STEPS)),
    "no bias": ({"bias": False, "num_layers": 2}, (STEPS, BATCH)),
    "one sequence": ({"bidirectional": True}, (STEPS,)),
    "one sequence, batch first": ({"batch_first": True}, (STEPS,)),
    "one step": ({"num_layers": 2, "bidirectional": True}, (1, BATCH)),
}


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape) for shape in shapes]


def state_dict(layer):
    """Parameters from a seed, by name."""
    names = sorted(layer.state_dict())
    return dict(zip(names, drawn([layer.state_dict()[name].shape for name in names], 1), strict=True))


def states_of(given):
    return list(given) if isinstance(given, tuple) else [given]


def weighted(results, xp):
    """One number from all results, with weights that tell their entries apart."""
    total = 0.0
    for k, result in enumerate(results):
        weights = np.cos(np.arange(np.prod(tuple(result.shape))) + k).reshape(tuple(result.shape))
        total = total + (result * xp(weights)).sum()
    return total


def run(layer, arrays, xp, options):
    """What a layer of either library returns, and the gradients of its input, its first states and its parameters."""
    x, *first = arrays
    state = None if not first else tuple(first) if len(first) == 2 else first[0]
    results = layer(x, state, **options) if state is not None else layer(x, **options)
    results = [results] if not isinstance(results, tuple) else [a for r in results for a in states_of(r)]
    weighted(results, xp).backward()
    parameters = [p for _, p in sorted(layer.named_parameters())]
    return [*results, *[a.grad for a in (*arrays, *parameters)]]


def torch_run(torch, kind, settings, arrays):
    layer = getattr(torch.nn, kind)(INPUTS, STATES, **settings).double()
    layer.load_state_dict({k: torch.tensor(v) for k, v in state_dict(layer).items()})
    return flat(run(layer, [torch.tensor(a, requires_grad=True) for a in arrays], torch.tensor, {}))


def our_run(kind, settings, arrays, dtype=np.float64, **options):
    layer = getattr(nn, kind)(INPUTS, STATES, dtype=dtype, **settings)
    layer.load_state_dict({k: v.astype(dtype) for k, v in state_dict(layer).items()})
    tensors = [tg.Tensor(a.astype(dtype), requires_grad=True) for a in arrays]
    return run(layer, tensors, lambda a: np.asarray(a, dtype), options)


def flat(results):
    """All entries in one array, and all shapes in another: many small arrays would fill the file that records them."""
    arrays = [a.detach().numpy() if hasattr(a, "numpy") else a.data for a in results]
    return np.concatenate([a.ravel() for a in arrays]), np.array([n for a in arrays for n in (a.ndim, *a.shape)])


def agree(ours, theirs, rtol=1e-12):
    (ours, our_shapes), (theirs, their_shapes) = flat(ours), theirs
    np.testing.assert_array_equal(our_shapes, their_shapes)
    np.testing.assert_allclose(ours, theirs, rtol, rtol)


def arrays_for(kind, settings, shape, given):
    """The input, and the first states if they are given."""
    count = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    batch = shape[settings.get("batch_first", False) == 0 :][:1] if len(shape) == 2 else ()
    first = [(count, *batch, STATES)] * (2 if kind == "LSTM" else 1) if given else []
    return drawn([(*shape, INPUTS), *first])


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from given states"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_results_and_gradients_are_pytorchs(kind, options, given):
    settings, shape = OPTIONS[options]
    arrays = arrays_for(kind, settings, shape, given)
    theirs = torch_values("recurrent", f"{kind} {options} {given}", lambda t: torch_run(t, kind, settings, arrays))
    agree(our_run(kind, settings, arrays), theirs)


def test_relu_is_pytorchs():
    settings = {"nonlinearity": "relu", "num_layers": 2}
    arrays = arrays_for("RNN", settings, (STEPS, BATCH), True)
    theirs = torch_values("recurrent", "relu", lambda t: torch_run(t, "RNN", settings, arrays))
    agree(our_run("RNN", settings, arrays), theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_stays_single(kind):
    settings, shape = OPTIONS["deep and in both directions"]
    arrays = arrays_for(kind, settings, shape, True)
    ours = our_run(kind, settings, arrays, np.float32)
    assert {a.dtype for a in ours} == {np.dtype(np.float32)}
    agree(ours, flat(our_run(kind, settings, arrays)), 2e-5)


@pytest.mark.parametrize("shape", [(BATCH,), ()], ids=["batch", "one"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_are_pytorchs(kind, bias, shape):
    arrays = drawn([(*shape, INPUTS)] + [(*shape, STATES)] * (2 if kind == "LSTMCell" else 1))
    settings = {"bias": bias}
    key = f"{kind} {bias} {len(shape)}"
    theirs = torch_values("recurrent", key, lambda t: torch_run(t, kind, settings, arrays))
    agree(our_run(kind, settings, arrays), theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_cell_step_by_step_is_the_layer(kind):
    layer, cell = getattr(nn, kind)(INPUTS, STATES, rng=0), getattr(nn, f"{kind}Cell")(INPUTS, STATES)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = drawn([(STEPS, BATCH, INPUTS)])[0].astype(np.float32)
    output, last = layer(x)
    state = None
    for x_t, out_t in zip(x, output.data, strict=True):
        state = cell(x_t, state)
        np.testing.assert_allclose(states_of(state)[0].data, out_t, 1e-5, 1e-6)
    for a, b in zip(states_of(state), states_of(last), strict=True):
        np.testing.assert_allclose(a.data, b.data[0], 1e-5, 1e-6)


# -- padded sequences ----------------------------------------------------------------------------

LENGTHS = [2, 4, 1]


def torch_packed(torch, kind, settings, arrays):
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    batch_first = settings.get("batch_first", False)

    class Packed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = getattr(torch.nn, kind)(INPUTS, STATES, **settings).double()
            self.layer.load_state_dict({k: torch.tensor(v) for k, v in state_dict(self.layer).items()})

        def forward(self, x, state):
            packed = pack(x, torch.tensor(LENGTHS), batch_first, enforce_sorted=False)
            output, last = self.layer(packed, state)
            return pad(output, batch_first)[0], last

    return flat(run(Packed(), [torch.tensor(a, requires_grad=True) for a in arrays], torch.tensor, {}))


@pytest.mark.parametrize("settings", [{"num_layers": 2, "bidirectional": True}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_packed_sequences(kind, settings):
    shape = (3, STEPS) if settings.get("batch_first") else (STEPS, 3)
    arrays = arrays_for(kind, settings, shape, True)
    key = f"{kind} packed {len(settings)}"
    theirs = torch_values("recurrent", key, lambda t: torch_packed(t, kind, settings, arrays))
    agree(our_run(kind, settings, arrays, lengths=LENGTHS), theirs)


@pytest.mark.parametrize("bad", [7.0, np.nan, np.inf])
def test_padding_does_not_matter(bad):
    layer = nn.RNN(INPUTS, STATES, num_layers=2, nonlinearity="relu", bidirectional=True, rng=0)
    x = drawn([(STEPS, 3, INPUTS)])[0].astype(np.float32)
    other = x.copy()
    for k, length in enumerate(LENGTHS):
        other[length:, k] = bad
    found = []
    for given in (x, other):
        output, h_n = layer(given, lengths=np.array(LENGTHS))
        layer.zero_grad()
        (output.sum() + h_n.sum()).backward()
        found.append([output.data, h_n.data, *[p.grad.data for p in layer.parameters()]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("lengths", "error"),
    [([2, 1], ShapeError), ([1.0, 2.0, 3.0], ShapeError), ([0, 1, 2], RangeError), ([1, 2, 5], RangeError)],
)
def test_lengths_that_do_not_fit_are_refused(lengths, error):
    with pytest.raises(error, match="lengths"):
        nn.RNN(INPUTS, STATES)(np.ones((STEPS, 3, INPUTS)), lengths=lengths)


# -- derivatives of higher order, and ways to run ------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_second_order(kind, steps):
    layer = getattr(nn, kind)(2, 2, bidirectional=True, rng=0, dtype=np.float64)
    names = [name for name, _ in layer.named_parameters()]
    state = drawn([(2, 1, 2)] * layer.states)

    def through(x, states, weights):
        run = with_parameters(layer, dict(zip(names, weights, strict=True)))
        output, last = run(x, states[0] if len(states) == 1 else tuple(states))
        return [output, *states_of(last)]

    weights = drawn([value.shape for value in layer.state_dict().values()], 2)
    check_grad(through, *drawn([(steps, 1, 2)], 3), state, weights, order=2, entries=10)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_examples_are_as_those_of_one_array(name):
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[name]
    x, h, weight = drawn([(5, 3, gates * 2), (5, 2), (gates * 2, 2)])
    first = [h, h] if name == "lstm" else [h]
    function = (lambda *args: F.lstm(*args)[0]) if name == "lstm" else getattr(F, name)
    together = function(x.swapaxes(0, 1), *first, weight)
    alone = tg.vmap(function, in_axes=(*[0] * (1 + len(first)), None))(x, *first, weight)
    np.testing.assert_allclose(alone, together.swapaxes(0, 1), 1e-13)
    # With other weights for each example there is no such array.
    with pytest.warns(tg.errors.LoopWarning):
        alone = tg.vmap(function)(x, *first, np.stack([weight] * 5))
    np.testing.assert_allclose(alone, together.swapaxes(0, 1), 1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_recorded_without_gradients(kind):
    layer = getattr(nn, kind)(INPUTS, STATES, num_layers=2, rng=0)
    x = np.ones((STEPS, BATCH, INPUTS), np.float32)
    recorded = layer(x)[0]
    with tg.no_grad():
        plain = layer(x)[0]
    assert not plain.requires_grad
    np.testing.assert_array_equal(plain.data, recorded.data)
    layer.requires_grad_(False)
    assert not layer(x)[0].requires_grad


def test_dropout_is_between_layers_in_training_only():
    layer = nn.LSTM(INPUTS, STATES, num_layers=2, dropout=0.5, rng=0)
    x = np.ones((STEPS, BATCH, INPUTS), np.float32)
    first, second = layer(x)[0].data, layer(x)[0].data
    assert not np.array_equal(first, second)
    layer.eval()
    plain = nn.LSTM(INPUTS, STATES, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(layer(x)[0].data, plain(x)[0].data)
    # All that goes to the second layer dropped: it sees zeros.
    layer.train().dropout = 1.0
    alone = nn.LSTM(STATES, STATES)
    alone.load_state_dict({f"{k[:-1]}0": v for k, v in layer.state_dict().items() if k.endswith("1")})
    zeros = np.zeros((STEPS, BATCH, STATES), np.float32)
    np.testing.assert_array_equal(layer(x)[0].data, alone(zeros)[0].data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_fixes_everything(kind):
    x = np.ones((STEPS, BATCH, INPUTS), np.float32)
    a, b = (getattr(nn, kind)(INPUTS, STATES, num_layers=2, dropout=0.5, rng=7) for _ in range(2))
    np.testing.assert_array_equal(a(x)[0].data, b(x)[0].data)
    c = getattr(nn, kind)(INPUTS, STATES, num_layers=2, dropout=0.5)
    assert not np.array_equal(a.weight_hh_l1.data, c.weight_hh_l1.data)
    assert np.abs(c.weight_hh_l1.data).max() <= 1 / np.sqrt(STATES)
    np.testing.assert_array_equal(a.seed(3)(x)[0].data, c.seed(3)(x)[0].data)


# -- refusals ------------------------------------------------------------------------------------


def test_inputs_and_states_of_other_shapes_are_refused():
    layer = nn.LSTM(INPUTS, STATES, num_layers=2, batch_first=True)
    with pytest.raises(ShapeError, match=r"\(batch, steps, inputs\) with 2 inputs, and got shape \(4, 2, 5\)"):
        layer(np.ones((STEPS, BATCH, 5)))
    with pytest.raises(ShapeError, match="4, 4, 4, 2"):
        layer(np.ones((4, 4, 4, INPUTS)))
    right, wrong = np.ones((2, 5, STATES)), np.ones((1, 5, STATES))
    with pytest.raises(ShapeError, match=r"each of shape \(2, 5, 3\) .* got \(2, 5, 3\) and \(1, 5, 3\)"):
        layer(np.ones((5, STEPS, INPUTS)), (right, wrong))
    with pytest.raises(ShapeError, match="c_0"):
        layer(np.ones((5, STEPS, INPUTS)), right)
    with pytest.raises(ShapeError, match=r"h_0 of shape \(5, 3\)"):
        nn.GRUCell(INPUTS, STATES)(np.ones((5, INPUTS)), np.ones((4, STATES)))
    with pytest.raises(ShapeError, match="one step or more"):
        nn.RNN(INPUTS, STATES)(np.ones((0, BATCH, INPUTS)))


def test_settings_without_sense_are_refused():
    with pytest.raises(RangeError, match="hidden_size"):
        nn.LSTM(INPUTS, 0)
    with pytest.raises(RangeError, match="num_layers"):
        nn.GRU(INPUTS, STATES, num_layers=1.5)
    with pytest.raises(RangeError, match=r"p=1\.5"):
        nn.GRU(INPUTS, STATES, dropout=1.5)
    with pytest.raises(ValueError, match="'sin'"):
        nn.RNN(INPUTS, STATES, nonlinearity="sin")
    with pytest.raises(ValueError, match="'sin'"):
        nn.RNNCell(INPUTS, STATES, nonlinearity="sin")


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.rnn(np.ones((3, 2, 4)), np.ones((2, 4)), np.ones((3, 4))),
        lambda: F.rnn(np.ones((3, 2, 4)), np.ones((1, 4)), np.ones((4, 4))),
        lambda: F.rnn(np.ones((3, 2, 4)), np.ones((2, 4)), np.ones((4, 4)), "sin"),
        lambda: F.lstm(np.ones((3, 2, 4)), np.ones((2, 4)), np.ones((2, 4)), np.ones((4, 4))),
        lambda: F.gru(np.ones((3, 2, 6)), np.ones((2, 2)), np.ones((6, 2)), np.ones(5)),
    ],
)
def test_functions_refuse_what_does_not_fit(call):
    with pytest.raises(ShapeError):
        call()


def test_shown():
    layer = nn.RNN(3, 5, num_layers=2, nonlinearity="relu", dropout=0.5)
    assert repr(layer) == "RNN(3, 5, num_layers=2, nonlinearity='relu', dropout=0.5)"
    assert repr(nn.LSTMCell(3, 5, bias=False)) == "LSTMCell(3, 5, bias=False)"
