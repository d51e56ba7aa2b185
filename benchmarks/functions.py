"""`python -m benchmarks.functions`: value and gradient of single functions, times NumPy's own value.

Two ratios are printed: that of the backward pass alone, and that of both passes, which is what somebody
pays who had the value before and now wants the gradient too.  The aims (3 for functions of entries and
reductions, 4 for products and solving) are read as the second and stricter one.  For products nothing
else makes sense: two gradients of the size of the value are 2 backward and 3 together, whatever the
library, so that 4 backward would be no aim at all.  Where a function returns a view, NumPy does nothing
and any ratio is infinite: there the forward pass is a copy of the argument.

A function that reads its argument once and computes next to nothing takes as long as the memory does, and
so does each array that its gradient has to write: there hand-written NumPy misses the aim too.  For such
functions its ratio is printed beside ours, as "by hand".

The clock counts the processor time of this thread, on one thread of BLAS: what else the machine does
then changes little.

A function that misses its aim is marked: `total`, or `backward` where the backward pass alone already
does.  Those without an aim (decompositions, sorting and so on) are shown for scale.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_np as tg

from .__main__ import machine

rng = np.random.default_rng(0)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Row(NamedTuple):
    """A function of arrays, and the arrays.

    `yardstick` is what to measure against if not the function itself; `by_hand` computes value and gradients
    from the cotangent and the arrays, in plain NumPy.
    """

    name: str
    function: Callable[..., Any]
    arrays: tuple
    yardstick: Callable[..., Any] | None = None
    by_hand: Callable[..., Any] | None = None


def real(*shape):
    return rng.standard_normal(shape)


def positive(*shape):
    return rng.uniform(0.5, 2, shape)


# -- value and gradients in plain NumPy -------------------------------------------------------


def quotient(g, x, y):
    value, slope = x / y, g / y
    return value, slope, slope * -value


def larger(g, x, y):
    value, first = np.maximum(x, y), g * (x > y)
    return value, first, g - first, (x == y).any()


def largest(g, x, axis):
    value, slope = np.max(x, axis=axis, keepdims=True), np.zeros(x.shape)
    places = np.flatnonzero(x == value)
    slope.reshape(-1)[places] = np.broadcast_to(np.reshape(g, value.shape), x.shape).flat[places]
    return value, slope


def power(g, x, y):
    value = x**y
    return value, g * (y * x ** (y - 1)), g * (value * np.log(x))


def size(g, x):
    value = np.linalg.norm(x)
    return value, x * (g / value)


def determinant(g, a):
    value = np.linalg.det(a)
    return value, g * value * np.linalg.inv(a).T


# -- the functions ----------------------------------------------------------------------------


def elementwise():
    """Functions of entries, with and without broadcasting."""
    x, y, row, column = real(500, 1000), real(500, 1000), real(1000), real(500, 1)
    mask, above = x > 0, positive(500, 1000)
    return [
        Row("x + y", lambda x, y: x + y, (x, y)),
        Row("x + row", lambda x, y: x + y, (x, row)),
        Row("x * y", lambda x, y: x * y, (x, y), by_hand=lambda g, x, y: (x * y, g * y, g * x)),
        Row("x * row", np.multiply, (x, row), by_hand=lambda g, x, y: (x * y, g * y, (g * x).sum(axis=0))),
        Row("x * column", np.multiply, (x, column), by_hand=lambda g, x, y: (x * y, g * y, (g * x).sum(axis=1))),
        Row("x / y", lambda x, y: x / y, (x, above), by_hand=quotient),
        Row("x ** 2", lambda x: x**2, (x,), by_hand=lambda g, x: (x**2, g * (2 * x))),
        Row("x ** 3", lambda x: x**3, (x,)),
        Row("x ** y", lambda x, y: x**y, (above, y), by_hand=power),
        Row("exp", np.exp, (x,)),
        Row("log", np.log, (above,)),
        Row("sin", np.sin, (x,)),
        Row("tanh", np.tanh, (x,)),
        Row("sqrt", np.sqrt, (above,)),
        Row("abs", np.abs, (x,), by_hand=lambda g, x: (np.abs(x), g * np.sign(x))),
        Row("arctan2", np.arctan2, (x, y)),
        Row("hypot", np.hypot, (x, y)),
        Row("logaddexp", np.logaddexp, (x, y)),
        Row("maximum", np.maximum, (x, y), by_hand=larger),
        Row("maximum(x, 0)", lambda x: np.maximum(x, 0), (x,)),
        Row("where", lambda x, y: np.where(mask, x, y), (x, y)),
        Row("clip", lambda x: np.clip(x, -1, 1), (x,), by_hand=lambda g, x: (np.clip(x, -1, 1), g * (abs(x) <= 1))),
    ]


def reductions():
    """Reductions of all entries, along rows and along columns; running sums and products."""
    x, near_one = real(500, 1000), rng.uniform(0.9, 1.1, (500, 1000))
    return [
        Row("sum", np.sum, (x,)),
        Row("sum axis 0", lambda x: np.sum(x, axis=0), (x,)),
        Row("sum axis 1", lambda x: np.sum(x, axis=1), (x,)),
        Row("mean", np.mean, (x,)),
        Row("mean axis 1", lambda x: np.mean(x, axis=1), (x,)),
        Row("var", np.var, (x,)),
        Row("var axis 0", lambda x: np.var(x, axis=0), (x,)),
        Row("std axis 1", lambda x: np.std(x, axis=1), (x,)),
        Row("prod axis 1", lambda x: np.prod(x, axis=1), (near_one,)),
        Row("max", np.max, (x,), by_hand=lambda g, x: largest(g, x, None)),
        Row("max axis 0", lambda x: np.max(x, axis=0), (x,), by_hand=lambda g, x: largest(g, x, 0)),
        Row("max axis 1", lambda x: np.max(x, axis=1), (x,), by_hand=lambda g, x: largest(g, x, 1)),
        Row("norm", np.linalg.norm, (x,), by_hand=size),
        Row("norm axis 1", lambda x: np.linalg.norm(x, axis=1), (x,)),
        Row("logaddexp.reduce", lambda x: np.logaddexp.reduce(x, axis=1), (x,)),
        Row("cumsum axis 1", lambda x: np.cumsum(x, axis=1), (x,)),
        Row("cumprod axis 1", lambda x: np.cumprod(x, axis=1), (near_one,)),
    ]


def products():
    """Products of arrays, and matrices solved, inverted and reduced to a number."""
    square, other, matrix, vector = real(300, 300), real(300, 300), real(1500, 1000), real(1000)
    batch, stack = real(200, 40, 40), real(200, 40, 40)
    regular = real(200, 200) + 20 * np.eye(200)
    a, b, c = real(60, 80), real(80, 100), real(100, 70)
    cube = real(60, 70, 80)
    return [
        Row("matmul", np.matmul, (square, other)),
        Row("matmul batch", np.matmul, (batch, stack)),
        Row("matrix @ vector", np.matmul, (matrix, vector), by_hand=lambda g, a, b: (a @ b, g[:, None] * b, g @ a)),
        Row("inner product", np.dot, (real(500_000), real(500_000)), by_hand=lambda g, a, b: (a @ b, g * b, g * a)),
        Row("outer", np.outer, (real(700), real(700))),
        Row("einsum ij,jk->ik", lambda a, b: np.einsum("ij,jk->ik", a, b, optimize=True), (square, other)),
        Row("einsum bij,bjk->bik", lambda a, b: np.einsum("bij,bjk->bik", a, b, optimize=True), (batch, stack)),
        Row("einsum three arrays", lambda *abc: np.einsum("ij,jk,kl->il", *abc, optimize=True), (a, b, c)),
        Row("einsum without optimize", lambda a, b: np.einsum("ij,jk->ik", a, b), (a, b)),
        Row("tensordot", lambda a, b: np.tensordot(a, b, ([2, 1], [0, 1])), (cube, real(80, 70, 60))),
        Row("solve", np.linalg.solve, (regular, real(200, 50))),
        Row("solve vector", np.linalg.solve, (regular, real(200))),
        Row("inv", np.linalg.inv, (regular,)),
        Row("det", np.linalg.det, (regular / 20,), by_hand=determinant),
    ]


def decompositions():
    """Decompositions of matrices."""
    matrix = real(100, 100)
    symmetric = matrix + matrix.T
    return [
        Row("cholesky", np.linalg.cholesky, (matrix @ matrix.T + 100 * np.eye(100),)),
        Row("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), (real(120, 80),)),
        Row("eigh", lambda a: tuple(np.linalg.eigh(a)), (symmetric,)),
        Row("eigvalsh", np.linalg.eigvalsh, (symmetric,)),
        Row("qr", lambda a: tuple(np.linalg.qr(a)), (real(200, 100),)),
    ]


def picking():
    """Indexing, joining and reordering."""
    x, table = real(500, 1000), real(5000, 64)
    rows, mask = rng.integers(0, 5000, 8000), x > 0
    along = rng.integers(0, 1000, (500, 300))
    return [
        Row("x[:, 100:900]", lambda x: x[:, 100:900], (x,), np.copy),
        Row("x[rows]", lambda x: x[rows], (table,)),
        Row("take axis 1", lambda x: np.take(x, along[0], axis=1), (x,)),
        Row("x[mask]", lambda x: x[mask], (x,)),
        Row("take_along_axis", lambda x: np.take_along_axis(x, along, axis=1), (x,)),
        Row("repeat", lambda x: np.repeat(x, 3, axis=1), (real(300, 500),)),
        Row("tile", lambda x: np.tile(x, (2, 3)), (real(300, 300),)),
        Row("concatenate", lambda *xs: np.concatenate(xs, axis=1), (real(500, 400), real(500, 600))),
        Row("stack", lambda *xs: np.stack(xs, axis=-1), (real(500, 300), real(500, 300))),
        Row("pad", lambda x: np.pad(x, 20), (x,)),
        Row("pad reflect", lambda x: np.pad(x, 20, mode="reflect"), (x,)),
        Row("x.T", np.transpose, (x,), np.copy),
        Row("transpose, copied", lambda x: np.transpose(x, (2, 0, 1)).reshape(-1), (real(80, 70, 90),)),
        Row("roll", lambda x: np.roll(x, 7, axis=1), (x,)),
        Row("sort", np.sort, (real(100, 1000),)),
        Row("median", lambda x: np.median(x, axis=1), (real(100, 1000),)),
        Row("percentile", lambda x: np.percentile(x, [10, 90]), (real(100_000),)),
    ]


def signals():
    """Fourier transforms, convolution, interpolation."""
    x, places = real(200, 1024), np.linspace(0, 1, 1000)
    queries = rng.uniform(0, 1, 50_000)
    return [
        Row("fft", np.fft.fft, (x,)),
        Row("rfft", np.fft.rfft, (x,)),
        Row("fft2", np.fft.fft2, (real(300, 300),)),
        Row("convolve", np.convolve, (real(20_000), real(200))),
        Row("interp", lambda y: np.interp(queries, places, y), (real(1000),)),
    ]


def networks():
    """What NumPy lacks, against the usual way to write it."""
    x, labels = real(500, 1000), rng.integers(0, 1000, 500)

    def softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def logsumexp(x):
        top = x.max(axis=-1, keepdims=True)
        return np.log(np.exp(x - top).sum(axis=-1)) + top[:, 0]

    return [
        Row("relu", tg.relu, (x,), lambda x: np.maximum(x, 0)),
        Row("sigmoid", tg.sigmoid, (x,), lambda x: 1 / (1 + np.exp(-x))),
        Row("softmax", lambda x: tg.softmax(x, axis=-1), (x,), softmax),
        Row("softmax as written", softmax, (x,)),
        Row("logsumexp", lambda x: tg.logsumexp(x, axis=-1), (x,), logsumexp),
        Row(
            "cross_entropy", lambda x: tg.cross_entropy(x, labels, axis=-1), (x,),
            lambda x: np.mean(logsumexp(x) - x[np.arange(500), labels]),
        ),
    ]  # fmt: skip


FAMILIES = {
    elementwise: 3.0, reductions: 3.0, networks: 3.0, products: 4.0, decompositions: None, picking: None, signals: None,
}  # fmt: skip


def cotangent(result):
    """A random array like a result, or one for each of several."""
    if isinstance(result, tuple):
        return tuple(map(cotangent, result))
    result = np.asarray(result)
    g = np.asarray(rng.standard_normal(result.shape))
    return g + 0j if result.dtype.kind == "c" else g


def both_passes(row, g):
    """Seconds of the backward pass, and of both, from fresh leaves to their gradients."""
    leaves = [tg.Tensor(a, requires_grad=True) for a in row.arrays]  # copies the arrays: not part of the value
    start = time.thread_time()
    if isinstance(g, tuple):
        result, pull = tg.vjp(row.function, *row.arrays)
        middle = time.thread_time()
        pull(g)
    else:
        result = row.function(*leaves)
        middle = time.thread_time()
        result.backward(g)
    end = time.thread_time()
    return end - middle, end - start


def seconds(function, arrays):
    start = time.thread_time()
    result = function(*arrays)
    elapsed = time.thread_time() - start
    del result  # freeing it is not part of computing it
    return elapsed


def measured(row, rounds):
    """Medians: the milliseconds of NumPy's own value; backward, both passes and those by hand, each times that."""
    numpys = row.yardstick or row.function
    g = cotangent(row.function(*row.arrays))
    rows = []
    for _ in range(rounds + 2):  # the first two warm up
        forward = seconds(numpys, row.arrays)
        backward, total = both_passes(row, g)
        by_hand = seconds(row.by_hand, (g, *row.arrays)) if row.by_hand else math.nan
        rows.append((forward * 1e3, backward / forward, total / forward, by_hand / forward))
    return [statistics.median(figures) for figures in zip(*rows[2:], strict=True)]


def keep_freed_memory():
    """Make malloc hand out again what it was given back, as in any process that has freed a large array.

    Until then it returns arrays of some MB to the system, and the first touch of a new page costs more than
    what is computed: the ratios would depend on which rows have run before.
    """
    np.empty(31 << 20, np.uint8)


def verdict(backward, total, aim):
    if aim is None or total <= aim:
        return ""
    return "misses: backward" if backward > aim else "misses: total"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.functions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="how often each function runs (default 25)")
    parser.add_argument("--only", default="", help="run the functions whose names contain this")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        # BLAS reads these when NumPy is imported, which has happened.
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.functions", *sys.argv[1:]], environment)
    machine(1)
    keep_freed_memory()
    print("\nvalue and gradient of float64 arrays, times NumPy's own value")
    print(f"{'':26} {'entries':>16} {'NumPy':>9} {'backward':>9} {'both':>6} {'by hand':>8} {'aim':>4}")
    missed = []
    for family, aim in FAMILIES.items():
        for row in family():
            if arguments.only not in row.name:
                continue
            forward, backward, total, by_hand = measured(row, arguments.rounds)
            word = verdict(backward, total, aim)
            if word:
                missed.append(row.name)
            entries = " ".join(str(a.size) for a in row.arrays)
            goal = "" if aim is None else f"{aim:.0f}"
            hand = "" if math.isnan(by_hand) else f"{by_hand:.2f}"
            figures = f"{forward:6.2f} ms {backward:9.2f} {total:6.2f} {hand:>8} {goal:>4}"
            print(f"{row.name:26} {entries:>16} {figures} {word}", flush=True)
    print(f"\n{len(missed)} miss their aim: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
