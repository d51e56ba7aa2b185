"""The documents' own training steps: forward and backward written by hand in NumPy.

Only the bias sums of D1 are the right ones, by axis; what is constant between steps (one-hot labels)
is computed once.
"""

import numpy as np

from ..models import hand as models
from ..problems import RATE, d1, d2, d3
from ..recurrent import hand as recurrent


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def d1_step(dtype):
    X, Y, _, (W1, b1, W2, b2) = d1(dtype)
    m = X.shape[1]

    def step():
        nonlocal W1, b1, W2, b2
        Z1 = W1.dot(X) + b1
        A1 = np.maximum(Z1, 0)
        Z2 = W2.dot(A1) + b2
        A2 = np.exp(Z2) / sum(np.exp(Z2))
        dZ2 = A2 - Y
        dW2 = 1 / m * dZ2.dot(A1.T)
        db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
        dW1 = 1 / m * dZ1.dot(X.T)
        db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
        W1 = W1 - RATE * dW1
        b1 = b1 - RATE * db1
        W2 = W2 - RATE * dW2
        b2 = b2 - RATE * db2

    return step


def d2_step(dtype):
    X, Y, (W1, b1, W2, b2) = d2(dtype)
    m = X.shape[0]

    def step():
        nonlocal W1, b1, W2, b2
        A1 = sigmoid(X.dot(W1) + b1)
        A2 = sigmoid(A1.dot(W2) + b2)
        dZ2 = A2 - Y
        dW2 = A1.T.dot(dZ2) / m
        db2 = np.sum(dZ2, axis=0, keepdims=True) / m
        dA1 = dZ2.dot(W2.T)
        dZ1 = dA1 * A1 * (1 - A1)
        dW1 = X.T.dot(dZ1) / m
        db1 = np.sum(dZ1, axis=0, keepdims=True) / m
        W1 = W1 - RATE * dW1
        b1 = b1 - RATE * db1
        W2 = W2 - RATE * dW2
        b2 = b2 - RATE * db2

    return step


def d3_step(dtype):
    X, Y, (W1, b1, W2, b2) = d3(dtype)
    m = X.shape[0]

    def step():
        nonlocal W1, b1, W2, b2
        Z1 = np.dot(W1, X.T) + b1
        A1 = sigmoid(Z1)
        Z2 = np.dot(W2, A1) + b2
        A2 = sigmoid(Z2)
        cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
        dA2 = -np.divide(Y, A2) + np.divide(1 - Y, 1 - A2)
        s2 = sigmoid(Z2)
        dZ2 = dA2 * s2 * (1 - s2)
        dW2 = np.dot(dZ2, A1.T) / m
        db2 = np.sum(dZ2, axis=1, keepdims=True) / m
        dA1 = np.dot(W2.T, dZ2)
        s1 = sigmoid(Z1)
        dZ1 = dA1 * s1 * (1 - s1)
        dW1 = np.dot(dZ1, X) / m
        db1 = np.sum(dZ1, axis=1, keepdims=True) / m
        W1 = W1 - RATE * dW1
        b1 = b1 - RATE * db1
        W2 = W2 - RATE * dW2
        b2 = b2 - RATE * db2
        return cost

    return step


JOBS = {"D1": d1_step, "D2": d2_step, "D3": d3_step, **models.JOBS, **recurrent.JOBS}
