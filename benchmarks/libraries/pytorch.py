"""The same steps in PyTorch, eager: its own fused losses, as its users write it."""

import torch
import torch.nn.functional as F

from ..models import pytorch as models
from ..problems import CHAIN_LENGTH, RATE, chain, d1, d2, d3
from ..recurrent import pytorch as recurrent


def parameters(arrays):
    return [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]


@torch.no_grad()
def update(tensors):
    for t in tensors:
        t -= RATE * t.grad
        t.grad = None


def d1_step(dtype):
    X, _, labels, arrays = d1(dtype)
    X, labels = torch.from_numpy(X), torch.from_numpy(labels)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = torch.relu(W1 @ X + b1)
        F.cross_entropy((W2 @ A1 + b2).T, labels).backward()
        update(ps)

    return step


def d2_step(dtype):
    X, Y, arrays = d2(dtype)
    X, Y = torch.from_numpy(X), torch.from_numpy(Y)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = torch.sigmoid(X @ W1 + b1)
        (F.binary_cross_entropy_with_logits(A1 @ W2 + b2, Y) * 3).backward()
        update(ps)

    return step


def d3_step(dtype):
    X, Y, arrays = d3(dtype)
    X, Y = torch.from_numpy(X), torch.from_numpy(Y)
    ps = W1, b1, W2, b2 = parameters(arrays)

    def step():
        A1 = torch.sigmoid(W1 @ X.T + b1)
        F.binary_cross_entropy_with_logits(W2 @ A1 + b2, Y).backward()
        update(ps)

    return step


def chain_step(dtype):
    x, c = map(torch.from_numpy, chain(dtype))
    x.requires_grad_()
    one = torch.ones_like(c)

    def step():
        x.grad = None
        y = x
        for _ in range(CHAIN_LENGTH):
            y = y * c
        y.backward(one)

    return step


JOBS = {"D1": d1_step, "D2": d2_step, "D3": d3_step, "chain": chain_step, **models.JOBS, **recurrent.JOBS}
