"""The same steps with tinygrad_np doing the backpropagation."""

import numpy as np

import tinygrad_np as tg

from ..models import ours as models
from ..problems import CHAIN_LENGTH, RATE, chain, d1, d2, d3
from ..recurrent import ours as recurrent


def parameters(arrays):
    return [tg.Tensor(a, requires_grad=True) for a in arrays]


def update(tensors):
    for t in tensors:
        t.data -= RATE * t.grad.data
        t.grad = None


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def d1_step(dtype):
    """The document's layers, and its softmax with cross-entropy as one op."""
    X, _, labels, arrays = d1(dtype)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = np.maximum(W1.dot(X) + b1, 0)
        tg.cross_entropy(W2.dot(A1) + b2, labels, axis=0).backward()
        update(ps)

    return step


def d1_as_written(dtype):
    """Everything as the document writes it, and -mean(log) of the right class."""
    X, Y, _, arrays = d1(dtype)
    m = X.shape[1]
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = np.maximum(W1.dot(X) + b1, 0)
        Z2 = W2.dot(A1) + b2
        A2 = np.exp(Z2) / sum(np.exp(Z2))
        (-np.sum(Y * np.log(A2)) / m).backward()
        update(ps)

    return step


def d2_step(dtype):
    """dot, +, sigmoid; the loss on the pre-activation."""
    X, Y, arrays = d2(dtype)
    X, Y = tg.Tensor(X), tg.Tensor(Y)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = tg.sigmoid(X.dot(W1) + b1)
        # The document's gradient is that of the sum over the outputs: 3 times the mean.
        (tg.binary_cross_entropy_with_logits(A1.dot(W2) + b2, Y)).backward(THREE)
        update(ps)

    return step


THREE = np.array(3.0)


def d2_fused(dtype):
    """A layer as one op."""
    X, Y, arrays = d2(dtype)
    X, Y = tg.Tensor(X), tg.Tensor(Y)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = tg.sigmoid(tg.linear(X, W1, b1))
        tg.binary_cross_entropy_with_logits(tg.linear(A1, W2, b2), Y).backward(THREE)
        update(ps)

    return step


def d2_as_written(dtype):
    """sigmoid and the loss from primitives, all as the document writes it."""
    X, Y, arrays = d2(dtype)
    X, Y = tg.Tensor(X), tg.Tensor(Y)
    m = X.shape[0]
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = sigmoid(X.dot(W1) + b1)
        A2 = sigmoid(A1.dot(W2) + b2)
        (-np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m).backward()
        update(ps)

    return step


def d3_step(dtype):
    """dot, +, sigmoid and the document's cost as one op on the pre-activation."""
    X, Y, arrays = d3(dtype)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = tg.sigmoid(np.dot(W1, X.T) + b1)
        tg.binary_cross_entropy_with_logits(np.dot(W2, A1) + b2, Y).backward()
        update(ps)

    return step


def d3_as_written(dtype):
    """All as the document writes it."""
    X, Y, arrays = d3(dtype)
    m = X.shape[0]
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = sigmoid(np.dot(W1, X.T) + b1)
        A2 = sigmoid(np.dot(W2, A1) + b2)
        (-np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m).backward()
        update(ps)

    return step


def chain_step(dtype):
    x, c = chain(dtype)
    one = np.ones_like(c)
    x, c = tg.Tensor(x, requires_grad=True), tg.Tensor(c)

    def step():
        x.grad = None
        y = x
        for _ in range(CHAIN_LENGTH):
            y = y * c
        y.backward(one)

    return step


JOBS = {
    "D1": d1_step, "D1 as written": d1_as_written, "D2": d2_step, "D2 fused": d2_fused,
    "D2 as written": d2_as_written, "D3": d3_step, "D3 as written": d3_as_written, "chain": chain_step,
    **models.JOBS, **recurrent.JOBS,
}  # fmt: skip
