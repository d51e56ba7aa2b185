"""Recurrent layers: what one layer does over a whole sequence, as one op.

The steps are the first axis.  `x` holds what the inputs of each step give its gates, linear(inputs, weight_ih, bias):
one product for all steps, and so one for their gradient, since it does not wait for the state.  The ops do what does.

Their rules are backpropagation through time (Werbos, 1990): from the last step to the first, the gradient of each
state is that of its result, and what comes back from the step after it.  That is a linear recurrence, and the
derivative of a linear recurrence is one too.  What the gates were is not kept, but computed anew from the states, for
all steps at once: that needs no loop.
"""

import numpy as np

from ..engine.op import op
from .nn import affine, floating, sigmoid
from .products import as_rows, product


def _before(first, states):
    """The state that each step starts from."""
    return np.concatenate([first[None], states[:-1]])


def _backwards(*sequences):
    """The steps of all, from the last to the first."""
    return zip(*[reversed(np.unstack(s)) for s in sequences], strict=True)


def _forwards(steps):
    """Steps that were computed from the last to the first, as a sequence."""
    return np.stack(steps[::-1])


def _arguments(gates, x, weight, *states):
    """The arrays in one dtype, `weight` transposed; states must fit the sequence."""
    arrays = [floating(a) for a in (x, weight, *states)]
    dtype = np.result_type(*arrays)
    x, weight, *before = [a.astype(dtype, copy=False) for a in arrays]
    size = weight.shape[-1]
    if not x.ndim or not len(x):
        raise ValueError("a sequence has one step or more, along the first axis of x")
    if weight.shape != (gates * size, size) or x.shape[-1] != gates * size:
        raise ValueError(
            f"x has {gates} entries per state along its last axis, and weight is ({gates} * states, states)"
        )
    if any(s.shape != (*x.shape[1:-1], size) for s in before):
        raise ValueError(f"a state before the first step has shape {(*x.shape[1:-1], size)} here, as one step")
    # Products with a transposed matrix take half as long again.
    return x, np.ascontiguousarray(weight.T), *before


# -- Elman's -------------------------------------------------------------------------------------


def _started(states, reverse):
    """What each step starts from, if that is 0 before the first."""
    zero = np.zeros((1, *states.shape[1:]), states.dtype)
    return np.concatenate([states[1:], zero] if reverse else [zero, states[:-1]])


def _linear_pull(g, b, slope, weight, out, reverse):
    """The gradients of b, slope and weight: that of the sums s / slope is the same recurrence the other way."""
    d = _linear(g, slope, weight.mT, not reverse)
    start = _started(out, reverse)
    d_slope = (g + product(_started(d, not reverse), weight.mT)) * (b + product(start, weight))
    return d, d_slope, product(as_rows(start).mT, as_rows(d))


@op(
    name="linear_recurrence",
    b=lambda g, b, slope, weight, out, reverse: _linear_pull(g, b, slope, weight, out, reverse)[0],
    slope=lambda g, b, slope, weight, out, reverse: _linear_pull(g, b, slope, weight, out, reverse)[1],
    weight=lambda g, b, slope, weight, out, reverse: _linear_pull(g, b, slope, weight, out, reverse)[2],
    together=_linear_pull,
)
def _linear(b, slope, weight, reverse=False):
    """s_t = slope_t * (b_t + s_(t-1) @ weight), from 0, or from the last step to the first."""
    out = np.empty(b.shape, b.dtype)
    order = slice(None, None, -1 if reverse else 1)
    s = None
    for b_t, slope_t, out_t in zip(b[order], slope[order], out[order], strict=True):
        if s is not None:
            s = product(s, weight)
            b_t = np.add(s, b_t, s)
        s = np.multiply(b_t, slope_t, out_t)
    return out


_SLOPES = {"tanh": lambda h: 1 - h * h, "relu": lambda h: np.greater(h, 0).astype(h.dtype)}


def _rnn_pull(g, h, weight, out, nonlinearity):
    """The gradients of x, h and weight."""
    d = _linear(g, _SLOPES[nonlinearity](out), weight, True)
    # Not one product with all states, because it costs more to copy them.
    d_weight = product(as_rows(d[1:]).mT, as_rows(out[:-1])) + product(as_rows(d[:1]).mT, as_rows(h[None]))
    return d, product(d[0], weight), d_weight


def _rnn_samples(r):
    return [
        r(r.real(3, 2, 2), r.real(2, 2), r.real(2, 2)),
        r(r.real(3, 2, 2), r.real(2, 2), r.real(2, 2), "relu"),
        r(r.real(1, 2, 3), r.real(2, 3), r.real(3, 3), nonlinearity="tanh"),
        r(r.real(3, 2), r.real(2), r.real(2, 2)),
        r(r.real(2, 2, 1, 2), r.real(2, 1, 2), r.real(2, 2)),
    ]


@op(
    fresh=True,
    x=lambda g, h, weight, out, nonlinearity: _rnn_pull(g, h, weight, out, nonlinearity)[0],
    h=lambda g, h, weight, out, nonlinearity: _rnn_pull(g, h, weight, out, nonlinearity)[1],
    weight=lambda g, h, weight, out, nonlinearity: _rnn_pull(g, h, weight, out, nonlinearity)[2],
    together=_rnn_pull,
    sample=_rnn_samples,
)
def rnn(x, h, weight, nonlinearity="tanh"):
    """h_t = tanh(x_t + h_(t-1) @ weight.T), or with relu, for all steps: Elman's network.

    (Elman, Finding structure in time, 1990.)

    `x` is (steps, ..., states), `h` the state before the first step (..., states), `weight` (states, states).
    Returns all states, (steps, ..., states).  Raises ShapeError if these do not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn import functional as F
    >>> F.rnn(np.ones((3, 1)), np.zeros(1), np.array([[-1.0]])).ravel().round(4)
    array([0.7616, 0.234 , 0.6446])
    """
    if nonlinearity not in _SLOPES:
        raise ValueError(f"nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
    x, weight, h = _arguments(1, x, weight, h)
    out = np.empty_like(x, order="C")
    for x_t, out_t in zip(x, out, strict=True):
        z = np.add(product(h, weight), x_t, out_t)
        h = np.tanh(z, z) if nonlinearity == "tanh" else np.maximum(z, 0, out=z)
    return out


# -- LSTM ----------------------------------------------------------------------------------------


def _lstm_gates(z):
    """The input gate, the forget gate, the candidate and the output gate, from their sums."""
    size = z.shape[-1] // 4
    both = sigmoid(z[..., : 2 * size])
    return both[..., :size], both[..., size:], np.tanh(z[..., 2 * size : 3 * size]), sigmoid(z[..., 3 * size :])


def _lstm_pull(g, x, h, c, weight, out):
    """The gradients of x, h, c and weight: all gates' are that of the cell or of the state, times a slope."""
    h_before, c_before = _before(h, out[0]), _before(c, out[1])
    i, f, n, o = _lstm_gates(x + product(h_before, weight.mT))
    shown = np.tanh(out[1])
    to_cell = o * (1 - shown * shown)
    slopes = [n * i * (1 - i), c_before * f * (1 - f), i * (1 - n * n), shown * o * (1 - o)]
    back_h, back_c, steps = 0, 0, []
    for g_h, g_c, to_cell_t, f_t, slopes_t in _backwards(*g, to_cell, f, np.concatenate(slopes, axis=-1)):
        dh = g_h + back_h
        dc = g_c + back_c + dh * to_cell_t
        steps.append(np.concatenate([dc, dc, dc, dh], axis=-1) * slopes_t)
        back_h, back_c = product(steps[-1], weight), dc * f_t
    dx = _forwards(steps)
    return dx, back_h, back_c, product(as_rows(dx).mT, as_rows(h_before))


@op(
    results=True,
    fresh=True,
    x=lambda g, x, h, c, weight, out: _lstm_pull(g, x, h, c, weight, out)[0],
    h=lambda g, x, h, c, weight, out: _lstm_pull(g, x, h, c, weight, out)[1],
    c=lambda g, x, h, c, weight, out: _lstm_pull(g, x, h, c, weight, out)[2],
    weight=lambda g, x, h, c, weight, out: _lstm_pull(g, x, h, c, weight, out)[3],
    together=_lstm_pull,
    sample=lambda r: [
        r(r.real(3, 2, 8), r.real(2, 2), r.real(2, 2), r.real(8, 2)),
        r(r.real(1, 8), r.real(2), r.real(2), r.real(8, 2)),
    ],
)
def lstm(x, h, c, weight):
    """Long short-term memory for all steps.

    (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al., 2000, and without peepholes.)

    With z_t = x_t + h_(t-1) @ weight.T in four parts, for i, f, n and o in this order:

        c_t = sigmoid(z_f) * c_(t-1) + sigmoid(z_i) * tanh(z_n)
        h_t = sigmoid(z_o) * tanh(c_t)

    `x` is (steps, ..., 4 * states), `h` and `c` are (..., states) before the first step, `weight` is
    (4 * states, states).  Returns all h and all c, each (steps, ..., states).  Raises ShapeError if these do not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn import functional as F
    >>> h, c = F.lstm(np.zeros((5, 8, 4 * 3)), np.zeros((8, 3)), np.ones((8, 3)), np.zeros((12, 3)))
    >>> c[:, 0, 0]
    array([0.5    , 0.25   , 0.125  , 0.0625 , 0.03125])
    """
    x, weight, h, c = _arguments(4, x, weight, h, c)
    hs, cs = (np.empty((*x.shape[:-1], weight.shape[0]), x.dtype) for _ in range(2))
    for x_t, h_t, c_t in zip(x, hs, cs, strict=True):
        z = product(h, weight)
        i, f, n, o = _lstm_gates(np.add(z, x_t, z))
        c = np.add(f * c, i * n, c_t)
        h = np.multiply(o, np.tanh(c), h_t)
    return hs, cs


# -- GRU -----------------------------------------------------------------------------------------


def _gru_gates(x, hidden):
    """The reset gate, the update gate, the candidate, and what the state gives the candidate."""
    size = x.shape[-1] // 3
    both = sigmoid(x[..., : 2 * size] + hidden[..., : 2 * size])
    r, h_n = both[..., :size], hidden[..., 2 * size :]
    return r, both[..., size:], np.tanh(x[..., 2 * size :] + r * h_n), h_n


def _gru_pull(g, x, h, weight, bias, out):
    """The gradients of x, h, weight and bias: all gates' are that of the state, times a slope."""
    before = _before(h, out)
    r, z, n, h_n = _gru_gates(x, affine(before, weight, bias))
    slope_n = (1 - z) * (1 - n * n)
    slopes = [slope_n * h_n * r * (1 - r), (before - n) * z * (1 - z)]
    to_x, to_hidden = (np.concatenate([*slopes, last], axis=-1) for last in (slope_n, slope_n * r))
    back, steps = 0, []
    for g_t, z_t, to_hidden_t in _backwards(g, z, to_hidden):
        dh = g_t + back
        steps.append(np.concatenate([dh, dh, dh], axis=-1))
        back = dh * z_t + product(steps[-1] * to_hidden_t, weight)
    dh = _forwards(steps)
    d_hidden = dh * to_hidden
    return dh * to_x, back, product(as_rows(d_hidden).mT, as_rows(before)), d_hidden


@op(
    fresh=True,
    x=lambda g, x, h, weight, bias, out: _gru_pull(g, x, h, weight, bias, out)[0],
    h=lambda g, x, h, weight, bias, out: _gru_pull(g, x, h, weight, bias, out)[1],
    weight=lambda g, x, h, weight, bias, out: _gru_pull(g, x, h, weight, bias, out)[2],
    bias=lambda g, x, h, weight, bias, out: _gru_pull(g, x, h, weight, bias, out)[3],
    together=_gru_pull,
    sample=lambda r: [
        r(r.real(3, 2, 6), r.real(2, 2), r.real(6, 2), r.real(6)),
        r(r.real(3, 2, 6), r.real(2, 2), r.real(6, 2)),
        r(r.real(1, 6), r.real(2), r.real(6, 2), r.real(6)),
    ],
)
def gru(x, h, weight, bias=None):
    """Gated recurrent units for all steps.

    (Cho et al., 2014; with the reset gate after the product, as in PyTorch and cuDNN.)

    With v_t = h_(t-1) @ weight.T + bias, and x_t and v_t in three parts, for r, z and n in this order:

        r, z = sigmoid(x_r + v_r), sigmoid(x_z + v_z)
        n = tanh(x_n + r * v_n)
        h_t = (1 - z) * n + z * h_(t-1)

    `x` is (steps, ..., 3 * states), `h` (..., states) before the first step, `weight` (3 * states, states), `bias`
    (3 * states,).  Returns all states, (steps, ..., states).  Raises ShapeError if these do not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn import functional as F
    >>> F.gru(np.zeros((3, 6)), np.ones(2), np.zeros((6, 2)))[:, 0]
    array([0.5  , 0.25 , 0.125])
    """
    if bias is not None:
        x = x.astype(np.result_type(x, bias), copy=False)
    x, weight, h = _arguments(3, x, weight, h)
    out = np.empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    for x_t, h_t in zip(x, out, strict=True):
        hidden = product(h, weight)
        _, z, n, _ = _gru_gates(x_t, hidden if bias is None else hidden + bias)
        h = np.add(n, z * (h - n), h_t)
    return out
