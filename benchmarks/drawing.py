"""How long pictures take: `python -m benchmarks.drawing`.

Each is timed from draw() to the finished file, the smallest of three runs, in seconds.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import tinygrad_np as tg

KEPT: list[tg.Tensor] = []
"""Tensors that belong to the graphs: without them the pictures would show no values."""


def parameter(rng, name, *shape):
    tensor = tg.Tensor(0.3 * rng.normal(size=shape), requires_grad=True, name=name)
    KEPT.append(tensor)
    return tensor


def loop(ops):
    """The same two ops again and again."""
    x = parameter(np.random.default_rng(0), "x", 3)
    for _ in range(ops // 2):
        x = x * 1.0001 + 0.0001
    return x.sum()


def irregular(ops):
    """No two stretches alike."""
    rng = np.random.default_rng(0)
    functions = [np.sin, np.cos, np.tanh, np.abs, np.square, np.negative, np.exp]
    x = parameter(rng, "x", 3)
    for i in rng.integers(len(functions), size=ops):
        x = functions[i](x) if functions[i] is not np.exp else np.exp(-np.abs(x))
    return x.sum()


def shared(ops):
    """Each result used twice: pictures that follow every path would double at each op."""
    x = parameter(np.random.default_rng(0), "x", 3)
    for _ in range(ops):
        x = x + x
    return x.sum()


def rnn(steps):
    """A tanh cell with shared weights."""
    rng = np.random.default_rng(0)
    Wx, Wh, Wy = parameter(rng, "Wx", 5, 16), parameter(rng, "Wh", 16, 16), parameter(rng, "Wy", 16, 5)
    h = np.zeros((8, 16))
    for _ in range(steps):
        h = np.tanh(rng.normal(size=(8, 5)) @ Wx + h @ Wh)
    return tg.cross_entropy(h @ Wy, np.arange(8) % 5)


CASES = {
    "loop, 10,000 ops": (loop, 10_000, {}),
    "irregular, 10,000 ops": (irregular, 10_000, {}),
    "each result used twice, 1,000 ops": (shared, 1000, {}),
    "RNN, 50 steps": (rnn, 50, {}),
    "RNN, 50 steps, nothing folded": (rnn, 50, {"limit": 10_000, "fold": False}),
}


def main():
    formats = ["html", "mmd", "txt", *(["svg"] if shutil.which("dot") else [])]
    print(f"{'':36}{'boxes':>7}{''.join(f'{name:>8}' for name in formats)}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (build, size, options) in CASES.items():
            out = build(size)
            out.backward()
            boxes = len(tg.draw(out, **options).shown.boxes)
            times = [smallest(out, options, Path(folder, f"graph.{format}")) for format in formats]
            print(f"{name:36}{boxes:7}{''.join(f'{seconds:8.2f}' for seconds in times)}")


def smallest(out, options, path):
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        tg.draw(out, **options).save(path)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
