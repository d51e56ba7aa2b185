"""The models' data and starting parameters, the same for every library."""

import itertools

import numpy as np

from ..problems import DATA

RATE = 0.05
BATCHES = 16


def digits(dtype, batch, shape):
    """Batches of digits of this shape with their labels, again and again."""
    with np.load(DATA) as data:
        images, labels = data["x_train"][: batch * BATCHES], data["y_train"][: batch * BATCHES].astype(np.int64)
    images = (images / np.asarray(255, dtype)).astype(dtype).reshape(-1, *shape)
    slices = [slice(i, i + batch) for i in range(0, batch * BATCHES, batch)]
    return itertools.cycle([(images[s], labels[s]) for s in slices])


def drawn(dtype, *shapes):
    """Weights (outputs, ...), each followed by a bias of zeros."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])) for shape in shapes]
    return [p.astype(dtype) for w in weights for p in (w, np.zeros(len(w)))]


def mlp(dtype):
    """784-128-64-10 with relu, batches of 64."""
    return digits(dtype, 64, (784,)), drawn(dtype, (128, 784), (64, 128), (10, 64))


def cnn(dtype):
    """8 and 16 channels of 3 x 3, each with relu and a pool of 2 x 2, then 10 classes; batches of 32."""
    return digits(dtype, 32, (1, 28, 28)), drawn(dtype, (8, 1, 3, 3), (16, 8, 3, 3), (10, 400))
