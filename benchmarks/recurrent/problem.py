"""Data and starting parameters, the same for every library."""

import numpy as np

STEPS, BATCH, INPUTS, STATES, CLASSES = 32, 32, 64, 64, 10
RATE = 0.1


def sequences(dtype):
    """X (steps, batch, inputs), a label per step and sequence, and Wx, Wh, b, Wy, by: for products x @ W."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS, BATCH, INPUTS))
    labels = rng.integers(0, CLASSES, (STEPS, BATCH))
    shapes = [(INPUTS, STATES), (STATES, STATES), (STATES,), (STATES, CLASSES), (CLASSES,)]
    bound = STATES**-0.5
    return X.astype(dtype), labels, [rng.uniform(-bound, bound, s).astype(dtype) for s in shapes]
