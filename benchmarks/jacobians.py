"""`python -m benchmarks.jacobians`: Jacobians and Hessians against HIPS autograd and jax.

Every function is written once, in NumPy's names, and given the NumPy of each library.  Each library runs
in a process of its own; all results are compared first, so that nobody is timed on a wrong answer; then
the processes take turns, and each figure is the median over the rounds of the ratio within a round.
Peers that are not installed are left out.  All in float64; the compilation by jax.jit is not counted.
"""

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .__main__ import Worker, machine, ratio

# -- the functions ----------------------------------------------------------------------------


class Problem(NamedTuple):
    """`make(xp)` gives the function in the NumPy of a library; the derivative is "jacobian" or "hessian"."""

    make: Callable[[Any], Callable[[Any], Any]]
    derivative: str
    point: np.ndarray


def _data(*shape):
    return np.random.default_rng(0).standard_normal(shape)


HIDDEN = 32


def mlp_of_input(xp):
    W1, b1, W2 = _data(HIDDEN, 10) / 3, _data(HIDDEN), _data(10, HIDDEN) / 6
    return lambda x: W2 @ xp.tanh(W1 @ x + b1)


def mlp_of_weights(xp):
    x, split = _data(10), HIDDEN * 10

    def f(w):
        W1, b1 = xp.reshape(w[:split], (HIDDEN, 10)), w[split : split + HIDDEN]
        W2 = xp.reshape(w[split + HIDDEN :], (10, HIDDEN))
        return W2 @ xp.tanh(W1 @ x + b1)

    return f


def rosenbrock(xp):
    return lambda x: xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def logistic_loss(xp):
    X = _data(200, 20)
    signs = np.where(X @ np.ones(20) > 0, 1.0, -1.0)
    return lambda w: xp.mean(xp.log1p(xp.exp(-signs * (X @ w)))) + 0.05 * xp.sum(w**2)


def recurrent(xp):
    W, inputs = _data(8, 8) / 3, _data(20, 8)

    def f(h):
        for x in inputs:
            h = xp.tanh(W @ h + x)
        return h

    return f


def exponentials(xp):
    def f(x):
        for _ in range(10):
            x = xp.exp(-x)
        return x

    return f


def matrix_function(xp):
    return lambda A: A @ A.T @ xp.linalg.inv(A)


def residuals(xp):
    t = np.linspace(0, 5, 200)
    y = 2 * np.exp(-t) + 0.5 * np.sin(3 * t)
    return lambda p: p[0] * xp.exp(-p[1] * t) + p[2] * xp.sin(p[3] * t) + p[4] - y


def trilinear(xp):
    T, y = _data(15, 15, 15), _data(15)
    return lambda x: xp.einsum("ijk,i,j,k->", T, x, x, y)


def matrix_product(xp):
    A, B = _data(8, 6), _data(6, 8)
    return lambda X: xp.einsum("ij,jk,kl->il", A, X, B)


def logsumexps(xp):
    def f(x):
        top = xp.max(x, axis=1, keepdims=True)
        return xp.sum(xp.log(xp.sum(xp.exp(x - top), axis=1)) + top[:, 0])

    return f


def runge_kutta(xp):
    """A step of the Lorenz-96 model."""
    step = 0.01

    def slope(x):
        return (xp.roll(x, -1) - xp.roll(x, 2)) * xp.roll(x, 1) - x + 8

    def f(x):
        k1 = slope(x)
        k2 = slope(x + step / 2 * k1)
        k3 = slope(x + step / 2 * k2)
        k4 = slope(x + step * k3)
        return x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return f


PROBLEMS = {
    "MLP, input 10": Problem(mlp_of_input, "jacobian", _data(10)),
    "MLP, weights 672": Problem(mlp_of_weights, "jacobian", _data(HIDDEN * 21) / 3),
    "RNN, 20 steps of 8": Problem(recurrent, "jacobian", _data(8)),
    "10 exps of 50": Problem(exponentials, "jacobian", _data(50)),
    "A @ A.T @ inv(A), 6x6": Problem(matrix_function, "jacobian", _data(6, 6) + 5 * np.eye(6)),
    "residuals 200x5": Problem(residuals, "jacobian", np.array([1.5, 0.8, 0.4, 2.9, 0.1])),
    "einsum of 3, 8x6x6x8": Problem(matrix_product, "jacobian", _data(6, 6)),
    "RK4 step of 40": Problem(runge_kutta, "jacobian", 8 + _data(40)),
    "Rosenbrock 10": Problem(rosenbrock, "hessian", _data(10)),
    "Rosenbrock 100": Problem(rosenbrock, "hessian", _data(100)),
    "logistic loss 200x20": Problem(logistic_loss, "hessian", _data(20) / 5),
    "trilinear form 15": Problem(trilinear, "hessian", _data(15)),
    "logsumexp 10x5": Problem(logsumexps, "hessian", _data(10, 5)),
}

# -- the libraries ----------------------------------------------------------------------------
# Each gives its variants: from a problem to a function without arguments that computes the derivative.


def ours():
    tg = importlib.import_module("tinygrad_np")

    def variant(**options):
        def derivative(problem):
            compute = getattr(tg, problem.derivative)(problem.make(np), **options)
            return lambda: compute(problem.point)

        return derivative

    return {"default": variant(), "reverse": variant(mode="reverse"), "forward": variant(mode="forward")}


def hips():
    autograd, anp = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")

    def derivative(problem):
        compute = getattr(autograd, problem.derivative)(problem.make(anp))
        return lambda: compute(problem.point)

    return {"reverse": derivative}


def jax_variants():
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    transforms = {
        "reverse": {"jacobian": jax.jacrev, "hessian": lambda f: jax.jacrev(jax.jacrev(f))},
        "forward": {"jacobian": jax.jacfwd, "hessian": jax.hessian},
    }

    def variant(mode, compiled):
        def derivative(problem):
            compute = transforms[mode][problem.derivative](problem.make(jnp))
            compute = jax.jit(compute) if compiled else compute
            point = jnp.asarray(problem.point)
            return lambda: jax.block_until_ready(compute(point))

        return derivative

    kinds = {"": False, " jit": True}
    return {mode + kind: variant(mode, compiled) for mode in transforms for kind, compiled in kinds.items()}


LIBRARIES = {"tinygrad_np": ours, "autograd": hips, "jax": jax_variants}

# -- in a process of its own ------------------------------------------------------------------


def serve(library):
    """Answer lines `problem variant repetitions` with seconds per run, or with the value for 0 repetitions."""
    # The reply channel is the real stdout; whatever a library prints goes to stderr.
    reply, sys.stdout = sys.stdout, sys.stderr
    variants = LIBRARIES[library]()
    print("ready", *(name.replace(" ", "_") for name in variants), file=reply, flush=True)
    prepared = {}
    for line in sys.stdin:
        problem, variant, repetitions = line.split("\t")
        if (problem, variant) not in prepared:
            prepared[problem, variant] = variants[variant](PROBLEMS[problem])
        run = prepared[problem, variant]
        value = run()
        if repetitions := int(repetitions):
            start = time.perf_counter()
            for _ in range(repetitions):
                run()
            print((time.perf_counter() - start) / repetitions, file=reply, flush=True)
        else:
            print(json.dumps(np.asarray(value).tolist()), file=reply, flush=True)


class Library(Worker):
    """A library in its own process, which computes derivatives."""

    module = "benchmarks.jacobians"

    def asked(self, problem, variant, repetitions):
        """The answer to one line."""
        self.process.stdin.write(f"{problem}\t{variant}\t{repetitions}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


# -- asking them in turns ---------------------------------------------------------------------

TURN = 0.02
"""About how many seconds a turn takes."""


def compared(columns, problem):
    """Raise ValueError unless all libraries and their variants give the same derivative."""
    values = {name: np.array(library.asked(problem, variant, 0)) for name, (library, variant) in columns.items()}
    (first, expected), *others = values.items()
    for name, value in others:
        if value.shape != expected.shape or not np.allclose(value, expected, rtol=1e-8, atol=1e-10):
            raise ValueError(f"{problem}: {name} and {first} give different derivatives, {value} and {expected}.")


def measured(columns, problem, rounds):
    """Seconds per run of each library and variant, one list of rounds each; they take turns."""
    repetitions = {
        name: max(1, round(TURN / library.asked(problem, variant, 3))) for name, (library, variant) in columns.items()
    }
    times = {name: [] for name in columns}
    for _ in range(rounds):
        for name, (library, variant) in columns.items():
            times[name].append(library.asked(problem, variant, repetitions[name]))
    return times


def table(workers, arguments):
    """A row per function: microseconds, then everything times the first variant of tinygrad_np."""
    columns = {f"{name} {variant}": (w, variant) for name, w in workers.items() for variant in w.jobs}
    base = next(iter(columns))
    print(f"\nseconds of the others times those of {base}: above 1, they are slower")
    print(f"{'':32} {'us':>8} " + " ".join(f"{name.removeprefix('tinygrad_np '):>16}" for name in list(columns)[1:]))
    for problem, (_, derivative, _) in PROBLEMS.items():
        if arguments.only not in problem:
            continue
        compared(columns, problem)
        times = measured(columns, problem, arguments.rounds)
        ratios = " ".join(f"{ratio(times, name, base):16.2f}" for name in list(columns)[1:])
        print(f"{derivative:9}{problem:23} {statistics.median(times[base]) * 1e6:8.0f} {ratios}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jacobians", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns each variant gets (default 9)")
    parser.add_argument("--threads", type=int, default=1, help="threads for BLAS (default 1: the matrices are small)")
    parser.add_argument("--only", default="", help="run the functions whose names contain this")
    parser.add_argument("--libraries", help="comma-separated; by default all that are installed")
    arguments = parser.parse_args()
    machine(arguments.threads)
    chosen = arguments.libraries.split(",") if arguments.libraries else list(LIBRARIES)
    chosen = {"tinygrad_np", *chosen}
    installed = [n for n in LIBRARIES if n in chosen and importlib.util.find_spec(n)]
    workers = {name: Library(name, arguments.threads) for name in installed}
    try:
        table(workers, arguments)
    finally:
        for worker in workers.values():
            worker.stop()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in LIBRARIES:
        serve(sys.argv[1])
    else:
        main()
