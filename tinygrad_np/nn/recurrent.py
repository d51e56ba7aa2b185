"""Recurrent layers, and single steps of them: PyTorch's names, shapes and order of gates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RangeError, ShapeError
from ..ops.dropout import check_probability, dropout
from ..randomness import Randomness
from . import functional as F
from .module import Module
from .parameters import check_sizes, draw_uniform, parameter

States = tuple[Any, ...]
_USUAL = {
    "num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
}  # fmt: skip


class _Steps(Module):
    """What a kind of network does at each step, and its weights."""

    gates = 1
    states = 1
    """How many states it has: an LSTM also has its cells."""
    input_size: int
    hidden_size: int

    def run(self, x: Any, states: States, suffix: str) -> States:
        """Each state at all steps, the one that is the result first; steps are the first axis of x."""
        raise NotImplementedError

    def _add_weights(self, suffix: str, inputs: int, bias: bool, dtype: npt.DTypeLike) -> None:
        rows = self.gates * self.hidden_size
        made = {
            "weight_ih": parameter((rows, inputs), dtype),
            "weight_hh": parameter((rows, self.hidden_size), dtype),
            "bias_ih": parameter((rows,), dtype) if bias else None,
            "bias_hh": parameter((rows,), dtype) if bias else None,
        }
        for name, value in made.items():
            setattr(self, name + suffix, value)

    def _weights(self, suffix: str) -> tuple[Any, Any, Any, Any]:
        own = vars(self)
        return tuple([own[name + suffix] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])  # type: ignore[return-value]

    def _sums(self, x: Any, suffix: str) -> tuple[Any, Any]:
        """What the inputs and both biases give the gates, and the weight for the states."""
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights(suffix)
        return F.linear(x, weight_ih, None if bias_ih is None else bias_ih + bias_hh), weight_hh

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw all weights and biases anew."""
        draw_uniform(rng, 1 / math.sqrt(self.hidden_size), *self.parameters())

    def extra_repr(self) -> str:
        """The sizes, and the settings that are not the usual ones."""
        own = vars(self)
        settings = [f", {name}={own[name]!r}" for name, usual in _USUAL.items() if own.get(name, usual) != usual]
        return f"{self.input_size}, {self.hidden_size}" + "".join(settings)

    def _as_states(self, given: Any, shape: tuple[int, ...], dtype: Any) -> States:
        """The states before the first step: zeros, unless they are given."""
        if given is None:
            return (np.zeros(shape, dtype),) * self.states
        states = (given,) if self.states == 1 else tuple(given)
        if len(states) != self.states or any(np.shape(s) != shape for s in states):
            found = " and ".join(str(np.shape(s)) for s in states)
            raise ShapeError(
                f"{type(self).__name__} starts from {_names(self.states)} of shape {shape} with this input, and got "
                f"{found}.  Leave it away to start from zeros."
            )
        return states

    def _as_given(self, states: States) -> Any:
        return states[0] if self.states == 1 else states

    def _check_input(self, x: Any, axes: tuple[int, ...], inputs: int, form: str) -> None:
        if np.ndim(x) not in axes or x.shape[-1] != inputs:
            raise ShapeError(
                f"{type(self).__name__} takes {form} with {inputs} inputs, and got shape {np.shape(x)}.  "
                "The last axis is that of the inputs."
            )


def _names(states: int) -> str:
    return "h_0" if states == 1 else "(h_0, c_0), each"


class _Elman(_Steps):
    nonlinearity: str

    def run(self, x: Any, states: States, suffix: str) -> States:
        gates, weight = self._sums(x, suffix)
        return (F.rnn(gates, *states, weight, self.nonlinearity),)

    def _choose(self, nonlinearity: str) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"{type(self).__name__} has nonlinearity='tanh' or 'relu', not {nonlinearity!r}.")
        self.nonlinearity = nonlinearity


class _LongShortTerm(_Steps):
    gates, states = 4, 2

    def run(self, x: Any, states: States, suffix: str) -> States:
        gates, weight = self._sums(x, suffix)
        return tuple(F.lstm(gates, *states, weight))


class _Gated(_Steps):
    gates = 3

    def run(self, x: Any, states: States, suffix: str) -> States:
        # The bias of the states stays apart: the reset gate is between it and the sum.
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights(suffix)
        return (F.gru(F.linear(x, weight_ih, bias_ih), *states, weight_hh, bias_hh),)


# -- layers --------------------------------------------------------------------------------------


class _Layers(_Steps):
    """One layer or more, forward or in both directions, over whole sequences."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(name, dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self._directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * len(self._directions)
            for direction in self._directions:
                self._add_weights(f"_l{layer}{direction}", inputs, bias, dtype)
        rng = np.random.default_rng(rng)
        self.reset_parameters(rng)
        self.dropout_rng = np.random.default_rng(rng.integers(2**63)) if dropout else None

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """The last layer's state at every step, and all layers' after the last step; see the class."""
        form = "(batch, steps, inputs)" if self.batch_first else "(steps, batch, inputs)"
        self._check_input(x, (2, 3), self.input_size, f"an array (steps, inputs) or {form}")
        swap = self.batch_first and x.ndim == 3
        if swap:
            x = x.swapaxes(0, 1)
        ends = _Ends() if lengths is None else _OwnEnds(lengths, x.shape[:-1])
        # Also of the input: what overflows in the padding would be nan in the gradients of the weights.
        x = ends.cleared(x)
        count = self.num_layers * len(self._directions)
        states = self._as_states(state, (count, *x.shape[1:-1], self.hidden_size), x.dtype)
        last: list[States] = []
        for layer in range(self.num_layers):
            if layer:
                x = dropout(x, self.dropout, self.training, rng=self.dropout_rng)
            outs = []
            for direction in self._directions:
                ran = self._one_direction(x, tuple([s[len(last)] for s in states]), f"_l{layer}{direction}", ends)
                outs.append(ran[0])
                last.append(ran[1])
            x = np.concatenate(outs, axis=-1) if self.bidirectional else outs[0]
        finals = tuple([np.stack(each) for each in zip(*last, strict=True)])
        return x.swapaxes(0, 1) if swap else x, self._as_given(finals)

    def _one_direction(self, x: Any, states: States, suffix: str, ends: _Ends) -> tuple[Any, States]:
        """The result at each step, and the states after the last step."""
        reverse = suffix.endswith("_reverse")
        ran = self.run(ends.reversed(x) if reverse else x, states, suffix)
        out = ends.reversed(ran[0]) if reverse else ran[0]
        return ends.cleared(out), tuple([ends.last(s) for s in ran])


class _Ends:
    """Where sequences end: here at the last step."""

    def reversed(self, x: Any) -> Any:
        """Each sequence from its last step to its first."""
        return x[::-1]

    def last(self, states: Any) -> Any:
        """The state of each sequence after its last step."""
        return states[-1]

    def cleared(self, out: Any) -> Any:
        """0 behind the ends."""
        return out


class _OwnEnds(_Ends):
    """Sequences of several lengths in one array (steps, batch), with padding behind them."""

    def __init__(self, lengths: Any, shape: tuple[int, ...]) -> None:
        lengths = np.asarray(lengths)
        if len(shape) != 2 or lengths.shape != shape[1:] or lengths.dtype.kind not in "iu":
            raise ShapeError(
                f"lengths is one whole number for each sequence of a batch, and got shape {lengths.shape}, dtype "
                f"{lengths.dtype}, with an input of {' by '.join(map(str, shape))} (steps by batch).  Cut a single "
                "sequence instead: x[:length]."
            )
        if lengths.size and not 1 <= lengths.min() <= lengths.max() <= shape[0]:
            raise RangeError(
                f"lengths from {lengths.min()} to {lengths.max()} do not fit an input of {shape[0]} steps.  Each is "
                "from 1 to the number of steps: leave empty sequences out."
            )
        step = np.arange(shape[0])[:, None]
        self.lengths, self.batch = lengths, np.arange(shape[1])
        self.inside = (step < lengths)[..., None]
        self.backwards = np.where(step < lengths, lengths - 1 - step, step)

    def reversed(self, x: Any) -> Any:
        """Each sequence from its last step to its first; its padding stays behind it."""
        return x[self.backwards, self.batch]

    def last(self, states: Any) -> Any:
        """The state of each sequence after its own last step."""
        return states[self.lengths - 1, self.batch]

    def cleared(self, out: Any) -> Any:
        """0 in the padding."""
        return np.where(self.inside, out, np.zeros((), out.dtype))


class RNN(_Elman, _Layers):
    """Elman's recurrent network.

    h_t = tanh(x_t @ weight_ih.T + bias_ih + h_(t-1) @ weight_hh.T + bias_hh), or with relu.

    Called with x (steps, batch, inputs), or (batch, steps, inputs) with `batch_first=True` (not the default, as in
    PyTorch), or (steps, inputs) of one sequence.  Returns `(output, h_n)`: the last layer's states at all steps, and
    the states of all layers and directions after the last step, (layers * directions, batch, states).

    `state` is h_0, of the shape of h_n, else zeros.  `lengths` are those of padded sequences: their outputs are then 0
    in the padding, and h_n is from each one's own last step.  `dropout` sets a share of what goes from layer to layer
    to 0 in training.  All parameters start uniform within 1 / sqrt(hidden_size) of 0.

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.RNN(3, 5, num_layers=2, bidirectional=True, rng=0)
    >>> output, h_n = layer(np.ones((7, 4, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 4, 10), (4, 4, 5))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self._choose(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng=rng, dtype=dtype
        )


class LSTM(_LongShortTerm, _Layers):
    """Long short-term memory (see `nn.functional.lstm`): gates i, f, g, o in the rows of the weights, in this order.

    Takes and returns what `RNN` does, with `(h_0, c_0)` in place of h_0 and `(output, (h_n, c_n))`.

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.LSTM(3, 5, batch_first=True, rng=0)
    >>> output, (h_n, c_n) = layer(np.ones((4, 7, 3), np.float32), lengths=[7, 2, 1, 5])
    >>> output.shape, h_n.shape, c_n.shape, bool((output[1, 2:].data == 0).all())
    ((4, 7, 5), (1, 4, 5), (1, 4, 5), True)
    """


class GRU(_Gated, _Layers):
    """Gated recurrent units (see `nn.functional.gru`): gates r, z, n in the rows of the weights, in this order.

    Takes and returns what `RNN` does.

    >>> import numpy as np, tinygrad_np as tg
    >>> output, h_n = tg.nn.GRU(3, 5, rng=0)(np.ones((7, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 5), (1, 5))
    """


# -- cells ---------------------------------------------------------------------------------------


class _Cell(_Steps):
    """One step."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._add_weights("", input_size, bias, dtype)
        self.reset_parameters(np.random.default_rng(rng))

    def forward(self, x: Any, state: Any = None) -> Any:
        """The state after one step, from that before: zeros, unless it is given."""
        self._check_input(x, (1, 2), self.input_size, "an array (inputs,) or (batch, inputs)")
        states = self._as_states(state, (*x.shape[:-1], self.hidden_size), x.dtype)
        # A sequence of one step.
        return self._as_given(tuple([s[0] for s in self.run(x[None], states, "")]))


class RNNCell(_Elman, _Cell):
    """One step of an `RNN`: x (batch, inputs) and the state before it to the state after it, (batch, states).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.RNNCell(3, 5, rng=0)(np.ones((4, 3), np.float32)).shape
    (4, 5)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self._choose(nonlinearity)
        super().__init__(input_size, hidden_size, bias, rng=rng, dtype=dtype)


class LSTMCell(_LongShortTerm, _Cell):
    """One step of an `LSTM`: x (batch, inputs) and (h, c) before it to (h, c) after it, each (batch, states).

    >>> import numpy as np, tinygrad_np as tg
    >>> h, c = tg.nn.LSTMCell(3, 5, rng=0)(np.ones((4, 3), np.float32))
    >>> h.shape, c.shape
    ((4, 5), (4, 5))
    """


class GRUCell(_Gated, _Cell):
    """One step of a `GRU`: x (batch, inputs) and the state before it to the state after it, (batch, states).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.GRUCell(3, 5, rng=0)(np.ones((4, 3), np.float32)).shape
    (4, 5)
    """
