"""A small run with everything that has a state; as a program, `python training_run.py FILE EPOCHS [SECONDS]` trains it.

SECONDS are slept in each batch, so that there is time to interrupt it.
"""

import sys
import time

import numpy as np

import tinygrad_np as tg
from tinygrad_np import nn, optim
from tinygrad_np.data import DataLoader
from tinygrad_np.serialize import save
from tinygrad_np.training import EarlyStopping, accuracy, fit

EPOCHS = 4


def line(n=12, dtype=float):
    x = np.linspace(-1, 1, n).astype(dtype)
    return x, (2 * x + 1).astype(dtype)


def linear_model():
    w, b = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    return (lambda x: w * x + b), w, b


def noisy(x, y, rng):
    return x + rng.normal(scale=0.1, size=x.shape).astype(np.float32), y


def parts(seed=0, hidden=8):
    """Model, loader, optimizer and everything else for fit()."""
    r = np.random.default_rng(99)
    x = r.normal(size=(60, 4)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    model = nn.Sequential(
        nn.Linear(4, hidden, rng=seed), nn.BatchNorm1d(hidden), np.tanh, nn.Dropout(0.3, rng=seed),
        nn.Linear(hidden, 2, rng=1),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.StepLR(optimizer, 2, 0.7)
    train = DataLoader(x[:40], y[:40], batch_size=8, shuffle=True, rng=seed, transform=noisy)
    return {
        "model": model, "loader": train, "loss": tg.cross_entropy, "optimizer": optimizer, "scheduler": scheduler,
        "validation": DataLoader(x[40:], y[40:], batch_size=8), "metrics": {"accuracy": accuracy},
        "early_stopping": EarlyStopping(50), "progress": False,
    }  # fmt: skip


def result(run, history):
    """All that a run leaves, but the time it took."""
    numbers = {name: values for name, values in history.columns.items() if name != "seconds"}
    rng = [generator.bit_generator.state for _, generator in run["model"].named_generators()]
    state = {"rng": rng, "loader": run["loader"].state_dict(), "optimizer": run["optimizer"].state_dict()}
    return {**state, "model": run["model"].state_dict(), "history": numbers}


def uninterrupted(make=parts, epochs=EPOCHS, **options):
    run = make()
    return result(run, fit(**run, epochs=epochs, **options))


if __name__ == "__main__":
    file, epochs, seconds = sys.argv[1], int(sys.argv[2]), float((*sys.argv[3:], 0)[0])
    run = parts()
    if seconds:
        run["metrics"]["slow"] = lambda output, target: time.sleep(seconds) or 0.0
        print("ready", flush=True)
    else:
        run["metrics"]["slow"] = lambda output, target: 0.0
    history = fit(**run, epochs=epochs, checkpoint=file)
    save(file + ".result.npz", result(run, history))
