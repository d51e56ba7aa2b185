"""The documents' data and starting parameters, the same for every library."""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent.parent / "examples" / "data" / "mnist.npz"
RATE = 0.1
LETTERS = (
    "001100 010010 111111 100001 100001",
    "011110 010010 011110 010010 011110",
    "011110 010000 010000 010000 011110",
)


def d1(dtype):
    """784-10-10 on 41,000 digits, samples in columns: X, Y (one-hot), labels, parameters."""
    with np.load(DATA) as data:
        images, labels = data["x_train"][:41000], data["y_train"][:41000]
    # Transposed after scaling, as in the document: the memory holds a sample after the other.
    X = (images.reshape(-1, 784) / np.asarray(255, dtype)).astype(dtype).T
    Y = np.eye(10, dtype=dtype)[labels].T
    rng = np.random.default_rng(0)
    shapes = [(10, 784), (10, 1), (10, 10), (10, 1)]
    return X, Y, labels.astype(np.int64), [rng.uniform(-0.5, 0.5, s).astype(dtype) for s in shapes]


def d2(dtype):
    """30-5-3 on the letters A, B, C, samples in rows: X, Y, parameters."""
    X = np.array([[int(c) for c in letter.replace(" ", "")] for letter in LETTERS], dtype)
    rng = np.random.default_rng(42)
    W1, W2 = rng.standard_normal((30, 5)) * 0.01, rng.standard_normal((5, 3)) * 0.01
    parameters = [W1, np.zeros((1, 5)), W2, np.zeros((1, 3))]
    return X, np.eye(3, dtype=dtype), [p.astype(dtype) for p in parameters]


def d3(dtype):
    """784-196-1 on 12,700 digits 1 and 2, samples in rows: X, Y (1, m), parameters."""
    with np.load(DATA) as data:
        chosen = np.isin(data["y_train"], (1, 2))
        images, labels = data["x_train"][chosen][:12700], data["y_train"][chosen][:12700]
    X = (images.reshape(-1, 784) / 255).astype(dtype)
    Y = (labels == 2).astype(dtype)[None]
    rng = np.random.default_rng(42)
    W1, W2 = rng.standard_normal((196, 784)) / 28, rng.standard_normal((1, 196)) / 14
    parameters = [W1, np.zeros((196, 1)), W2, np.zeros((1, 1))]
    return X, Y, [p.astype(dtype) for p in parameters]


CHAIN_LENGTH = 1000


def chain(dtype):
    """1,000 multiplies of a 4x4 array by another."""
    rng = np.random.default_rng(0)
    return rng.uniform(0.5, 1.5, (4, 4)).astype(dtype), np.ones((4, 4), dtype)
