"""The same steps in PyTorch, eager: as a loop over the steps, and with its own layer."""

import torch
import torch.nn.functional as F

from .problem import BATCH, INPUTS, RATE, STATES, sequences


def training_step(dtype, every, layer):
    X, labels, arrays = sequences(dtype)
    Wx, Wh, b, Wy, by = parameters = [torch.from_numpy(a).requires_grad_() for a in arrays]
    X, labels = torch.from_numpy(X), torch.from_numpy(labels)
    zeros = X.new_zeros(BATCH, STATES)
    if layer:
        rnn = torch.nn.RNN(INPUTS, STATES).to(X.dtype)
        with torch.no_grad():
            rnn.weight_ih_l0.copy_(Wx.T), rnn.weight_hh_l0.copy_(Wh.T)
            rnn.bias_ih_l0.copy_(b), rnn.bias_hh_l0.zero_()
        rnn.bias_hh_l0.requires_grad_(False)
        parameters = [rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, Wy, by]

    def states():
        if layer:
            return rnn(X)[0]
        h, hs = zeros, []
        for x in X:
            h = torch.tanh(x @ Wx + h @ Wh + b)
            hs.append(h)
        return torch.stack(hs) if every else hs

    def step():
        h = states()
        if every:
            loss = F.cross_entropy((h @ Wy + by).flatten(0, 1), labels.flatten())
        else:
            loss = F.cross_entropy(h[-1] @ Wy + by, labels[-1])
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p -= RATE * p.grad
                p.grad = None
        return loss.item()

    return step


JOBS = {
    "RNN": lambda dtype: training_step(dtype, False, False),
    "RNN layer": lambda dtype: training_step(dtype, False, True),
    "RNN-all": lambda dtype: training_step(dtype, True, False),
    "RNN-all layer": lambda dtype: training_step(dtype, True, True),
}
