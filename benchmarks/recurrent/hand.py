"""Backpropagation through time written by hand, as tutorials write it for a batch; and with the products hoisted."""

import numpy as np

from .problem import BATCH, INPUTS, RATE, STATES, STEPS, sequences


def loss_and_slope(logits, labels, count):
    """The sum of the cross entropies over `count`, and its gradient."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(p[rows, labels]).sum() / count
    p[rows, labels] -= 1
    p /= count
    return loss, p


def update(parameters, gradients):
    for p, g in zip(parameters, gradients, strict=True):
        p -= RATE * g


def rnn_step(dtype):
    X, labels, parameters = sequences(dtype)
    Wx, Wh, b, Wy, by = parameters
    zeros = np.zeros((BATCH, STATES), dtype)

    def step():
        hs = [zeros]
        for x in X:
            hs.append(np.tanh(x @ Wx + hs[-1] @ Wh + b))
        loss, dy = loss_and_slope(hs[-1] @ Wy + by, labels[-1], BATCH)
        dWy, dby = hs[-1].T @ dy, dy.sum(axis=0)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = dy @ Wy.T
        for t in reversed(range(STEPS)):
            dz = dh * (1 - hs[t + 1] ** 2)
            dWx += X[t].T @ dz
            dWh += hs[t].T @ dz
            db += dz.sum(axis=0)
            dh = dz @ Wh.T
        update(parameters, [dWx, dWh, db, dWy, dby])
        return loss

    return step


def rnn_all_step(dtype):
    X, labels, parameters = sequences(dtype)
    Wx, Wh, b, Wy, by = parameters
    zeros, count = np.zeros((BATCH, STATES), dtype), STEPS * BATCH

    def step():
        loss, hs, dys = 0, [zeros], []
        for x, label in zip(X, labels, strict=True):
            hs.append(np.tanh(x @ Wx + hs[-1] @ Wh + b))
            part, dy = loss_and_slope(hs[-1] @ Wy + by, label, count)
            loss += part
            dys.append(dy)
        dWx, dWh, db, dWy, dby = gradients = [np.zeros_like(p) for p in parameters]
        back = np.zeros_like(zeros)
        for t in reversed(range(STEPS)):
            dWy += hs[t + 1].T @ dys[t]
            dby += dys[t].sum(axis=0)
            dz = (dys[t] @ Wy.T + back) * (1 - hs[t + 1] ** 2)
            dWx += X[t].T @ dz
            dWh += hs[t].T @ dz
            db += dz.sum(axis=0)
            back = dz @ Wh.T
        update(parameters, gradients)
        return loss

    return step


def hoisted(dtype, every):
    """The same with each product that does not wait for a state as one for all steps, in buffers made once."""
    X, labels, parameters = sequences(dtype)
    Wx, Wh, b, Wy, by = parameters
    count = STEPS * BATCH if every else BATCH
    flat_X, flat_labels = X.reshape(-1, INPUTS), labels.reshape(-1)
    hs, sums, dzs = np.zeros((STEPS + 1, BATCH, STATES), dtype), np.empty_like(X), np.empty_like(X)
    flat_h, flat_dz, before = hs[1:].reshape(-1, STATES), dzs.reshape(-1, STATES), hs[:-1].reshape(-1, STATES)
    flat_sums = sums.reshape(-1, STATES)
    ones = np.ones(STEPS * BATCH, dtype)
    if not every:
        flat_h, flat_labels = hs[-1], labels[-1]

    def step():
        np.dot(flat_X, Wx, flat_sums)
        np.add(flat_sums, b, flat_sums)
        for t in range(STEPS):
            h = np.dot(hs[t], Wh, hs[t + 1])
            np.add(h, sums[t], h)
            np.tanh(h, h)
        loss, dy = loss_and_slope(flat_h @ Wy + by, flat_labels, count)
        dWy, dby = flat_h.T @ dy, dy.sum(axis=0)
        dhs = (dy @ Wy.T).reshape(-1, BATCH, STATES)
        np.multiply(hs[1:], hs[1:], dzs)
        np.subtract(1, dzs, dzs)
        dh = dhs[-1]
        for t in reversed(range(STEPS)):
            dz = np.multiply(dzs[t], dh, dzs[t])
            if t:
                dh = dz.dot(Wh.T)
                if every:
                    dh += dhs[t - 1]
        update(parameters, [flat_X.T @ flat_dz, before.T @ flat_dz, ones.dot(flat_dz), dWy, dby])
        return loss

    return step


JOBS = {
    "RNN": rnn_step,
    "RNN hoisted": lambda dtype: hoisted(dtype, False),
    "RNN-all": rnn_all_step,
    "RNN-all hoisted": lambda dtype: hoisted(dtype, True),
}
