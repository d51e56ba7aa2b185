"""A chain of a million ops: no recursion, and a cost per op that hardly grows."""

import os
import subprocess
import sys
import time

import numpy as np

import tinygrad_np as tg


def per_op(length, repetitions):
    """Best seconds per op of forward, backward and freeing a chain of multiplies on 4x4 arrays."""
    x, c = tg.Tensor(np.ones((4, 4)), requires_grad=True), np.ones((4, 4))
    c = tg.Tensor(c)
    best = np.inf
    for _ in range(repetitions):
        start = time.perf_counter()
        y = x
        for _ in range(length):
            y = y * c
        y.backward(c.data)
        del y
        best = min(best, (time.perf_counter() - start) / length)
    return best


def import_time(rounds=9):
    """Milliseconds that `import tinygrad_np` takes on top of `import numpy`, a process each; the median."""
    code = "import numpy, time; s = time.perf_counter(); import tinygrad_np; print(time.perf_counter() - s)"
    # As installed: with the modules compiled, which this variable would prevent.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        for _ in range(rounds)
    ]
    return float(np.median([float(run.stdout) for run in runs])) * 1e3


def main():
    short = per_op(1000, 50)
    long = per_op(1_000_000, 2)
    print(f"\nchain of 1,000 multiplies: {short * 1e6:.2f} us per op, forward, backward and freeing")
    print(f"chain of 1,000,000: {long * 1e6:.2f} us per op, {long / short:.2f} times that (aim 2.5)")
    print(f"import tinygrad_np, after numpy: {import_time():.0f} ms (aim 50)")


if __name__ == "__main__":
    main()
