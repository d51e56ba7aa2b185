"""Peak memory of 100 chained ops on a 10 MB array, and what is left after `del`."""

import gc
import tracemalloc

import numpy as np

import tinygrad_np as tg

SIZE = 10_000_000 // 8


def chain_peak(ops=100):
    """Peak of value and gradient, and what is left, in arrays of 10 MB."""
    x = tg.Tensor(np.linspace(-1, 1, SIZE), requires_grad=True)
    gc.disable()
    tracemalloc.start()
    y = x
    for _ in range(ops // 2):
        y = np.tanh(y) * 0.9
    loss = y.sum()
    del y
    loss.backward()
    x.grad = None
    _, peak = tracemalloc.get_traced_memory()
    del loss
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return peak / (SIZE * 8), left / (SIZE * 8)


def main():
    peak, left = chain_peak()
    print(f"100 ops on a 10 MB array, value and gradient: peak {peak:.1f} arrays (aim 55), left after del {left:.3f}")


if __name__ == "__main__":
    main()
