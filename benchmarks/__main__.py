"""`python -m benchmarks`: a training step of each document against hand-written NumPy and the peers.

Each library runs in a process of its own; the processes take turns, and each figure is the median
over the rounds of the ratio within a round.  Peers that are not installed are left out.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

from . import memory, scaling
from .worker import LIBRARIES

MODULES = {"tinygrad_np": "tinygrad_np", "torch": "torch", "autograd": "autograd", "mygrad": "mygrad", "jax.jit": "jax"}
# Job, dtypes, the hand-written job it is measured against, steps per turn, what is aimed for.
TABLE = [
    ("D1", "float64", 1, "1.00"),
    ("D1", "float32", 1, "1.10"),
    ("D1 as written", "float64", 1, ""),
    ("D2", "float64", 3000, "1.30"),
    ("D2 fused", "float64", 3000, "1.12"),
    ("D2 as written", "float64", 1000, ""),
    ("D3", "float64", 1, "1.00"),
    ("D3", "float32", 1, ""),
    ("D3 as written", "float64", 1, ""),
    ("MLP", "float64", 20, "0.95"),
    ("MLP", "float32", 20, "0.95"),
    ("CNN", "float64", 5, "0.60"),
    ("CNN", "float32", 5, "0.50"),
    ("RNN", "float64", 10, "1.12"),
    ("RNN", "float32", 10, "1.12"),
    ("RNN-all", "float64", 10, "1.12"),
    ("RNN-all", "float32", 10, "1.12"),
    ("RNN layer", "float32", 10, ""),
    ("chain", "float64", 40, ""),
]


class Worker:
    """A library in its own process."""

    module = "benchmarks.worker"

    def __init__(self, library, threads):
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(threads)
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, library],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        ready = self.process.stdout.readline().split()
        self.jobs = [name.replace("_", " ") for name in ready[1:]]

    def seconds(self, job, dtype, repetitions):
        """Seconds per step, over that many."""
        # The threads of BLAS go on spinning for a while, on the processors that this turn needs.
        time.sleep(0.15)
        self.process.stdin.write(f"{job.replace(' ', '_')} {dtype} {repetitions}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def measured(workers, job, dtype, repetitions, rounds):
    """Seconds per step of each library, one list of rounds each; the libraries take turns."""
    base = job.split(" ")[0]
    asked = {}
    for name, worker in workers.items():
        own = job if job in worker.jobs else base
        if own in worker.jobs:
            asked[name] = own
            worker.seconds(own, dtype, repetitions)  # warm-up, and the data
    times = {name: [] for name in asked}
    for _ in range(rounds):
        for name, own in asked.items():
            times[name].append(workers[name].seconds(own, dtype, repetitions))
    return times


def ratio(times, name, against):
    return statistics.median(a / b for a, b in zip(times[name], times[against], strict=True))


def machine(threads):
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    kernel = os.environ.get("OPENBLAS_CORETYPE", "chosen by OpenBLAS for this processor")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {blas['name']} {blas['version']}")
    print(f"BLAS kernel: {kernel}; threads: {threads} of {os.cpu_count()} processors")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns each library gets (default 15)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for BLAS and torch")
    parser.add_argument("--only", help="run the rows that start with this")
    parser.add_argument("--libraries", help="comma-separated; by default all that are installed")
    arguments = parser.parse_args()
    machine(arguments.threads)
    chosen = arguments.libraries.split(",") if arguments.libraries else list(LIBRARIES)
    installed = [n for n in LIBRARIES if n == "hand" or (n in chosen and importlib.util.find_spec(MODULES[n]))]
    workers = {name: Worker(name, arguments.threads) for name in installed}
    try:
        steps(workers, arguments)
    finally:
        for worker in workers.values():
            worker.stop()
    if not arguments.only:
        scaling.main()
        memory.main()


def steps(workers, arguments):
    """The table of training steps: times hand-written NumPy, or tinygrad_np where there is none."""
    print("\none step, times hand-written NumPy (the chain: microseconds per multiply, forward and backward)")
    print(f"{'':16} {'':8} {'hand':>10} " + " ".join(f"{n:>12}" for n in workers if n != "hand") + "   aim")
    for job, dtype, repetitions, aim in TABLE:
        if arguments.only and not job.startswith(arguments.only):
            continue
        times = measured(workers, job, dtype, repetitions, arguments.rounds)
        cells = []
        for name in workers:
            if name == "hand":
                continue
            if name not in times:
                cells.append(f"{'':>12}")
            elif "hand" in times:
                cells.append(f"{ratio(times, name, 'hand'):12.2f}")
            else:
                cells.append(f"{statistics.median(times[name]) * 1e3:12.2f}")
        hand = f"{statistics.median(times['hand']) * 1e6:7.0f} us" if "hand" in times else ""
        print(f"{job:16} {dtype:8} {hand:>10} {' '.join(cells)}   {aim}", flush=True)
        if job == "chain":
            peers = [n for n in ("torch", "autograd", "mygrad") if n in times]
            print("  ratio to " + ", ".join(f"{n} {ratio(times, 'tinygrad_np', n):.2f}" for n in peers))


if __name__ == "__main__":
    main()
