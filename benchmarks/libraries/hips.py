"""The same steps in HIPS autograd, in its own NumPy."""

import autograd.numpy as anp
from autograd import grad, make_vjp

from ..problems import CHAIN_LENGTH, RATE, chain, d1, d2, d3


def sigmoid(z):
    return 1 / (1 + anp.exp(-z))


def bce(z, y):
    return anp.mean(anp.maximum(z, 0) - z * y + anp.log1p(anp.exp(-anp.abs(z))))


def stepper(loss, arrays):
    gradient = grad(loss)
    state = list(arrays)

    def step():
        for i, g in enumerate(gradient(state)):
            state[i] = state[i] - RATE * g

    return step


def d1_step(dtype):
    X, Y, _, arrays = d1(dtype)
    m = X.shape[1]

    def loss(p):
        Z2 = anp.dot(p[2], anp.maximum(anp.dot(p[0], X) + p[1], 0)) + p[3]
        top = anp.max(Z2, axis=0)
        return anp.sum(top + anp.log(anp.sum(anp.exp(Z2 - top), axis=0)) - anp.sum(Z2 * Y, axis=0)) / m

    return stepper(loss, arrays)


def d2_step(dtype):
    X, Y, arrays = d2(dtype)
    return stepper(lambda p: 3 * bce(anp.dot(sigmoid(anp.dot(X, p[0]) + p[1]), p[2]) + p[3], Y), arrays)


def d3_step(dtype):
    X, Y, arrays = d3(dtype)
    return stepper(lambda p: bce(anp.dot(p[2], sigmoid(anp.dot(p[0], X.T) + p[1])) + p[3], Y), arrays)


def chain_step(dtype):
    x, c = chain(dtype)

    def product(y):
        for _ in range(CHAIN_LENGTH):
            y = y * c
        return y

    def step():
        pull, _ = make_vjp(product)(x)
        pull(c)

    return step


JOBS = {"D1": d1_step, "D2": d2_step, "D3": d3_step, "chain": chain_step}
