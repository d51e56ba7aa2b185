"""The same steps in MyGrad, with its own fused losses."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from ..problems import CHAIN_LENGTH, RATE, chain, d1, d2, d3

mg.turn_memory_guarding_off()


def parameters(arrays):
    return [mg.tensor(a.copy()) for a in arrays]


def update(tensors):
    for t in tensors:
        t.data -= RATE * t.grad
        t.null_grad()


def bce(z, y):
    return mg.mean(mg.maximum(z, 0) - z * y + mg.log1p(mg.exp(-mg.abs(z))))


def d1_step(dtype):
    X, _, labels, arrays = d1(dtype)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = mg.maximum(W1 @ X + b1, 0)
        softmax_crossentropy((W2 @ A1 + b2).T, labels).backward()
        update(ps)

    return step


def d2_step(dtype):
    X, Y, arrays = d2(dtype)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        (bce(sigmoid(mg.matmul(X, W1) + b1) @ W2 + b2, Y) * 3).backward()
        update(ps)

    return step


def d3_step(dtype):
    X, Y, arrays = d3(dtype)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        bce(W2 @ sigmoid(W1 @ X.T + b1) + b2, Y).backward()
        update(ps)

    return step


def chain_step(dtype):
    x, c = chain(dtype)
    one = np.ones_like(c)

    def step():
        x_, y = mg.tensor(x), None
        y = x_
        for _ in range(CHAIN_LENGTH):
            y = y * c
        y.backward(one)

    return step


JOBS = {"D1": d1_step, "D2": d2_step, "D3": d3_step, "chain": chain_step}
