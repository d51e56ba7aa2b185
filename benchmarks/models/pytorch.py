"""The same steps in PyTorch, eager, as its users write them."""

import torch
from torch import nn, optim

from .problems import RATE, cnn, mlp


def filled(model, arrays):
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
    return model


def training(model, optimizer, batches):
    def step():
        x, labels = map(torch.from_numpy, next(batches))
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlp_step(dtype):
    batches, arrays = mlp(dtype)
    kind = getattr(torch, str(dtype))
    model = nn.Sequential(
        nn.Linear(784, 128, dtype=kind), nn.ReLU(), nn.Linear(128, 64, dtype=kind), nn.ReLU(),
        nn.Linear(64, 10, dtype=kind),
    )  # fmt: skip
    filled(model, arrays)
    return training(model, optim.Adam(model.parameters(), lr=1e-3), batches)


def cnn_step(dtype):
    batches, arrays = cnn(dtype)
    kind = getattr(torch, str(dtype))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, dtype=kind), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, dtype=kind), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 10, dtype=kind),
    )  # fmt: skip
    filled(model, arrays)
    return training(model, optim.SGD(model.parameters(), lr=RATE), batches)


JOBS = {"MLP": mlp_step, "CNN": cnn_step}
