"""The same steps with this package's layers."""

import tinygrad_np as tg
from tinygrad_np import nn

from .problem import CLASSES, INPUTS, RATE, STATES, sequences


class Model(nn.Module):
    """Classes after the last step."""

    def __init__(self, parameters):
        Wx, Wh, b, Wy, by = parameters
        dtype = Wx.dtype
        self.rnn, self.head = nn.RNN(INPUTS, STATES, dtype=dtype), nn.Linear(STATES, CLASSES, dtype=dtype)
        state = {"rnn.weight_ih_l0": Wx.T, "rnn.weight_hh_l0": Wh.T, "rnn.bias_ih_l0": b, "rnn.bias_hh_l0": 0 * b}
        self.load_state_dict({**state, "head.weight": Wy.T, "head.bias": by})
        # One bias, as by hand: two would learn twice as fast.
        self.rnn.bias_hh_l0.requires_grad = False

    def forward(self, x):
        """Scores (batch, classes)."""
        return self.head(self.rnn(x)[0][-1])


class StepsModel(Model):
    """Classes at every step."""

    def forward(self, x):
        """Scores (steps, batch, classes)."""
        return self.head(self.rnn(x)[0])


def training_step(dtype, kind, chosen):
    X, labels, arrays = sequences(dtype)
    labels = labels[chosen]
    model = kind(arrays)
    parameters = [p for p in model.parameters() if p.requires_grad]

    def step():
        loss = tg.cross_entropy(model(X), labels)
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad.data
            p.grad = None
        return loss.data

    return step


JOBS = {
    "RNN": lambda dtype: training_step(dtype, Model, -1),
    "RNN-all": lambda dtype: training_step(dtype, StepsModel, slice(None)),
}
