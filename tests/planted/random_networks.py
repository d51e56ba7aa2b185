"""Random networks whose hand-written gradients are right: nothing may be said against them."""

import numpy as np

from planted.networks import ACTIVATIONS, Network

OUTPUTS = [
    ("softmax", "cross_entropy"), ("softmax", "squared_mean"), ("sigmoid", "binary"), ("sigmoid", "squared_mean"),
    ("tanh", "squared_sum"), ("linear", "squared_sum"), ("linear", "squared_mean"), ("linear", "squared_half"),
]  # fmt: skip


def correct(seed: int) -> Network:
    """A network drawn at random: depth, widths, activations, loss, layout, dtype, and how its author writes.

    Widths and the number of samples are small and often equal, so that causes coincide as they do in practice.
    """
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 5))
    output, cost = OUTPUTS[rng.integers(len(OUTPUTS))]
    layout = ("columns", "rows", "transposed")[rng.integers(3)]
    exact = cost in ("cross_entropy", "binary") or output == "linear"
    widths = [int(width) for width in rng.integers(1, 9, depth + 1)]
    if output == "softmax":
        widths[-1] = max(widths[-1], 2)
    names = [name for name in ACTIVATIONS if name != "linear"]
    through_dA = bool(rng.random() < 0.5) or not exact
    # A loss on the logits has no probabilities on its tape.
    styles = ("numpy", "ops") if through_dA and output != "linear" else ("numpy", "ops", "fused")
    return Network(
        f"correct {seed}",
        tuple(widths),
        int(rng.integers(1, 12)),
        tuple(str(name) for name in rng.choice(names, depth - 1)),
        output,
        cost,
        layout,
        np.float32 if rng.random() < 0.3 else np.float64,
        str(rng.choice(styles)),
        through_dA=through_dA,
        mean_first=bool(rng.random() < 0.4),
        flat_bias=layout == "rows" and bool(rng.random() < 0.5),
        decay=float(rng.choice([0, 0, 0, 0.1, 0.01])),
    )
