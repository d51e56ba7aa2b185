"""Kinks and traps: what the package returns where a derivative is not one number, and why.

`ROWS` is the one table of these choices.  `test_kinks.py` runs the checks of every row; the README prints the rows.
To print the README's section: python tests/kinks.py
"""

from __future__ import annotations

import numpy as np
from kink_rows import UNCHECKED, check, row, single
from network_kinks import NETWORKS

import tinygrad_np as tg
from tinygrad_np.errors import BackwardError, NoRuleError

INF, NAN, PI = np.inf, np.nan, np.pi
SINGULAR = (np.linalg.LinAlgError, BackwardError)
WEIGHTS = np.array([1, 2, 4])
TINY = 2.0**-1070


def special(name):
    # Late, as the table is printed without SciPy, too.
    return lambda *args: getattr(tg.special, name)(*args)


def first_vector(a):
    """An entry of a vector of equal eigenvalues: any basis would do."""
    return np.linalg.eigh(a)[1][0, 0]


def square_root(a):
    w, v = np.linalg.eigh(a)
    return (v * np.sqrt(w)) @ v.T


# fmt: off
TIES = [
    row("`maximum`, `minimum`", "both equal", "½ to each", "the middle of the subgradients; no side is preferred",
        check(np.maximum, [1, 2, 3], [2, 2, 2], gives=([0, 0.5, 1], [1, 0.5, 0]), second=([0, 0, 0], [0, 0, 0])),
        check(np.minimum, [1, 2, 3], [2, 2, 2], gives=([1, 0.5, 0], [0, 0.5, 1])),
        check(lambda x: np.maximum(x, 0), [-1, 0, 1], gives=([0, 0.5, 1],), second=([0, 0, 0],)),
        check(lambda x: np.maximum(x, x), [1, -2], gives=([1, 1],)),
        check(np.maximum, [-0.0], [0.0], gives=([0.5], [0.5]))),
    row("`fmax`, `fmin`", "both equal; one is nan", "½ to each; all to the number", "nan is never the result",
        check(np.fmax, [1, 2, NAN, 4], [2, 2, 5, NAN], gives=([0, 0.5, 0, 1], [1, 0.5, 1, 0])),
        check(np.fmin, [1, 2, NAN, 4], [2, 2, 5, NAN], gives=([1, 0.5, 0, 1], [0, 0.5, 1, 0])),
        check(np.fmax.reduce, [1, NAN, 3, 3], gives=([0, 0, 0.5, 0.5],))),
    row("`max`, `min`, `ptp`, `maximum.reduce`", "k entries tie, `initial` counted", "1/k to each",
        "does not depend on the order of the entries",
        check(np.max, [1, 3, 3, 2], gives=([0, 0.5, 0.5, 0],), second=([0, 0, 0, 0],)),
        check(np.min, [[1, 1], [1, 2]], gives=([[1 / 3, 1 / 3], [1 / 3, 0]],)),
        check(lambda x: np.max(x, axis=1), [[1, 1, 0], [0, 5, 2]], gives=([[0.5, 0.5, 0], [0, 1, 0]],)),
        check(lambda x: np.max(x, initial=3.0), [1, 3], gives=([0, 0.5],)),
        check(lambda x: np.max(x, initial=9.0), [1, 3], gives=([0, 0],)),
        check(lambda x: np.max(x, where=[True, False, True], initial=0), [4, 9, 4], gives=([0.5, 0, 0.5],)),
        check(np.ptp, [1, 1, 3, 3], gives=([-0.5, -0.5, 0.5, 0.5],)),
        check(np.maximum.reduce, [INF, INF, 3], gives=([0.5, 0.5, 0],))),
    row("`maximum.accumulate`", "entries tie", "equal shares of those tied so far", "each result is a maximum",
        check(np.maximum.accumulate, [1, 1, 0], gives=([2, 1, 0],))),
    row("`median`, `percentile`, `quantile`", "entries tie", "the share of a place, split among the equal entries",
        "as `max` at 100 % and `min` at 0 %",
        check(np.median, [1, 2, 2, 5], gives=([0, 0.5, 0.5, 0],), second=([0, 0, 0, 0],)),
        check(np.median, [3, 1, 3], gives=([0.5, 0, 0.5],)),
        check(np.median, [2, 2, 2, 2], gives=([0.25] * 4,)),
        check(lambda x: np.percentile(x, 0), [1, 1, 2], gives=([0.5, 0.5, 0],)),
        check(lambda x: np.quantile(x, 1), [1, 2, 2], gives=([0, 0.5, 0.5],))),
    row("`sort`, `partition`", "entries tie", "to each that of the place it went to", "any order of equals is a sort",
        check(lambda x: np.sort(x, stable=True) * WEIGHTS, [5, 5, 1], gives=([2, 4, 1],), second=([0, 0, 0],)),
        check(lambda x: np.sort(x) * [1, 3, 3], [5, 5, 1], gives=([3, 3, 1],)),
        check(lambda x: np.partition(x, 1) * [1, 3, 3], [5, 5, 1], gives=([3, 3, 1],)),
        check(lambda x: np.sort(x) * WEIGHTS, [NAN, 1, 3], gives=([4, 1, 2],))),
    row("`unique`", "equal entries", "all to the first", "NumPy's `return_index` names the first",
        check(np.unique, [1, 1, 2], gives=([1, 0, 1],))),
    row("`max`, `maximum`, `median`", "an entry is nan", "0", "the value is nan, and no entry is equal to nan",
        check(np.max, [1, NAN, 3], gives=([0, 0, 0],)),
        check(np.maximum, [1, NAN, 3], [2, 2, NAN], gives=([0, 0, 0], [1, 0, 0])),
        check(np.median, [1, NAN, 2], gives=([0, 0, 0],))),
    row("`linalg.norm(x, inf)`, `norm(A, 2)`, `cond`", "largest values tie", "equal shares", "as `max`; 0 at cond 1",
        single(lambda x: np.linalg.norm(x, INF), [1, -1, 0], gives=([0.5, -0.5, 0],), second=([0, 0, 0],)),
        single(lambda a: np.linalg.norm(a, 2), np.eye(2), gives=(np.eye(2) / 2,)),
        single(lambda a: np.linalg.norm(a, 1), [[1, -1], [0, 0]], gives=([[0.5, -0.5], [0, 0]],)),
        single(np.linalg.cond, np.eye(2), gives=(np.zeros((2, 2)),))),
]
JUMPS = [
    row("`tg.relu`", "0", "0", "the usual choice for networks: an idle unit stays idle",
        check(tg.relu, [-1, 0, -0.0, 2], gives=([0, 0, 0, 1],), second=([0] * 4,))),
    row("`abs`, `fabs`, `copysign`", "0", "0", "the middle of [-1, 1]",
        check(np.abs, [-2, 0, 3], gives=([-1, 0, 1],), second=([0, 0, 0],)),
        check(np.fabs, [-2, 0, 3], gives=([-1, 0, 1],)),
        check(lambda x: np.copysign(x, -1), [-2, 0, 3], gives=([1, 0, -1],)),
        check(lambda x: np.sign(x) * x, [-2, 0, 3], gives=([-1, 0, 1],))),
    row("`clip`", "on a bound; bounds crossed", "to the entry; to the upper bound", "a closed interval; as the value",
        check(lambda x: np.clip(x, -1, 2), [-2, -1, 0, 2, 3], gives=([0, 1, 1, 1, 0],), second=([0] * 5,)),
        check(np.clip, [0, 1, 5], [1, 1, 1], [3, 3, 3], gives=([0, 1, 0], [1, 0, 0], [0, 0, 1])),
        check(np.clip, [0, 2, 5], [3] * 3, [1] * 3, gives=([0] * 3, [0] * 3, [1] * 3))),
    row("`remainder`, `fmod`", "multiples", "1 in x, minus the whole quotient in y", "the side the value is on",
        check(np.remainder, [0, 2, 3, -1], [2] * 4, gives=([1] * 4, [0, -1, -1, 1])),
        check(np.fmod, [0, 2, 3, -1, -4], [2] * 5, gives=([1] * 5, [0, -1, -1, 0, 2]))),
    row("`floor`, `rint`, `sign`, `//`, `heaviside`", "everywhere", "0: they give plain arrays", "steps are flat",
        check(np.floor, [0.5, 1], gives=([0, 0],)),
        check(lambda x: np.floor(x) * x + np.heaviside(x, 0.5) * x, [0.5, 1], gives=([1, 2],)),
        check(lambda x: x // 2 * x, [4, 5], gives=([2, 2],))),
    row("`modf`, `unwrap`; `frexp`", "jumps", "1; 2 to minus the exponent", "the side the value is on",
        check(lambda x: np.modf(x)[0], [1, -1, 0, 0.5], gives=([1] * 4,)),
        check(lambda x: np.frexp(x)[0], [1, 4, 0], gives=([0.5, 0.125, 1],)),
        check(np.unwrap, [0, PI, 7], gives=([1, 1, 1],))),
    row("`interp` in x", "on a knot; outside", "the slope to its right, at the last knot to its left; 0",
        "constant outside",
        check(lambda x: np.interp(x, [0, 1, 2], [0, 1, 3]), [-1, 0, 1, 2, 3], gives=([0, 1, 2, 2, 0],))),
    row("`quantile` in q", "on an entry", "slope to the right, at q = 1 to the left", "as `interp`",
        check(lambda q: np.quantile(np.array([1.0, 2.0, 5.0]), q), [0, 0.5, 1], gives=([2, 6, 6],))),
]
INFINITE = [
    row("`sqrt`, `cbrt`, `x**p` with 0 < p < 1", "0", "0", "no finite slope fits, and 0 keeps descent finite",
        check(np.sqrt, [0, 4], gives=([0, 0.25],), second=([0, -1 / 32],)),
        check(np.cbrt, [0, 8], gives=([0, 1 / 12],), second=([0, -1 / 144],)),
        check(lambda x: x**0.5, [0, 4], gives=([0, 0.25],), second=([0, -1 / 32],)),
        check(lambda x: np.float_power(x, 1 / 3), [0, 8], gives=([0, 1 / 12],)),
        check(lambda x: np.sqrt(x * x), [0, -2], gives=([0, -1],), second=([0, 0],))),
    row("`arcsin`, `arccos`, `arccosh`", "±1", "0", "as `sqrt`: value finite, slope infinite",
        check(np.arcsin, [-1, 0, 1], gives=([0, 1, 0],), second=([0, 0, 0],)),
        check(np.arccos, [-1, 0, 1], gives=([0, -1, 0],)),
        check(np.arccosh, [1, 2], gives=([0, 3**-0.5],), second=([0, -2 * 3**-1.5],))),
    row("`hypot`, `arctan2`, complex `abs` and `angle`", "the origin", "0", "no direction",
        check(np.hypot, [0, 3, 0], [0, 4, 3], gives=([0, 0.6, 0], [0, 0.8, 1]),
            second=([0, 0.032, 1 / 3], [0, -0.024, 0])),
        check(np.arctan2, [0, 1], [0, 0], gives=([0, 0], [0, -1])),
        check(lambda x: np.abs(x + 0j), [0, -2], gives=([0, -1],)),
        check(lambda x: np.angle(x * 1j), [0, 2], gives=([0, 0],)),
        check(np.hypot.reduce, [0, 0], gives=([0, 0],))),
    row("`linalg.norm`, any order", "0", "0", "no direction, and 0 is a subgradient",
        single(np.linalg.norm, [0, 0, 0], gives=([0, 0, 0],), second=([0, 0, 0],)),
        single(lambda x: np.linalg.norm(x, axis=1), [[0, 0], [3, 4]], gives=([[0, 0], [0.6, 0.8]],)),
        single(lambda x: np.linalg.norm(x, 3), [0, 0], gives=([0, 0],)),
        single(lambda x: np.linalg.norm(x, 1), [0, -1], gives=([0, -1],)),
        single(lambda a: np.linalg.norm(a, "nuc"), np.zeros((2, 2)), gives=(np.zeros((2, 2)),)),
        single(lambda a: np.linalg.norm(a, 2), np.zeros((2, 3)), gives=(np.zeros((2, 3)),))),
    row("`std`, `var`", "equal entries, or one", "0", "the minimum, also where rounding makes it 1e-17",
        check(np.std, [2, 2, 2], gives=([0, 0, 0],), second=([0, 0, 0],)),
        check(np.std, [0.1, 0.1, 0.1], gives=([0, 0, 0],)),
        check(lambda x: np.std(x, axis=1), [[5, 5], [1, 3]], gives=([[0, 0], [-0.5, 0.5]],)),
        check(np.std, 7, gives=(0,)),
        check(np.nanstd, [NAN, 2, 2], gives=([0, 0, 0],)),
        check(np.var, [2, 2, 2], gives=([0, 0, 0],), second=([0, 0, 0],))),
    row("`hypot`, `arctan2`, `arctan`, `arcsinh`", "tiny, huge", "right", "no squares that under- or overflow",
        check(np.hypot, [3 * TINY], [4 * TINY], gives=([0.6], [0.8]), second=UNCHECKED, dtypes=""),
        check(np.arctan2, [3e-200], [4e-200], gives=([1.6e199], [-1.2e199]), second=UNCHECKED, dtypes=""),
        check(lambda x: np.arctan2(1e200 + 1e200 * x, 1e200), [0], gives=([0.5],), second=UNCHECKED, dtypes=""),
        check(np.arctan2, [300], [400], gives=([0.0016], [-0.0012])),
        check(np.arcsinh, [400], gives=([160001**-0.5],)),
        check(np.arctan, [400], gives=([1 / 160001],))),
]
POWERS = [
    row("`x**0`", "0", "0", "the constant 1",
        check(lambda x: x**0, [0, -1, 2], gives=([0, 0, 0],), second=([0, 0, 0],)),
        check(lambda x: x ** np.zeros(3), [0, -1, 2], gives=([0, 0, 0],))),
    row("`x**n`, n whole", "x = 0, x < 0", "n x**(n - 1)", "exact, also for an array n of floats",
        check(lambda x: x**1, [0, -1, 2], gives=([1, 1, 1],), second=([0, 0, 0],)),
        check(lambda x: x**2, [0, -1, 2], gives=([0, -2, 4],), second=([2, 2, 2],)),
        check(lambda x: x**3.0, [0, -1, 2], gives=([0, 3, 12],), second=([0, -6, 12],)),
        check(lambda x: x**-1, [-1, 2], gives=([-1, -0.25],), second=([-2, 0.25],)),
        check(lambda x: x ** np.array([2.0, 3.0]), [-2, -2], gives=([-4, 12],), second=([2, -12],))),
    row("`0**p` in p", "p > 0; p = 0", "0", "exact; at p = 0 the slope is infinite",
        check(np.power, [0, 0], [2, 1], gives=([0, 1], [0, 0])),
        check(lambda p: 0.0**p, [2, 1, 0], gives=([0, 0, 0],), second=([0, 0, 0],))),
    row("`x**p` in p", "x < 0", "nan, and NumPy warns", "real powers of x < 0 exist at whole p only",
        check(lambda p: np.power(-2.0, p), [2, 3], gives=([NAN, NAN],), warns=True)),
]
PRODUCTS = [
    row("`prod`, `multiply.reduce`", "zeros", "the product of the others", "exact in every order: nothing is divided",
        check(np.prod, [2, 3, 4], gives=([12, 8, 6],), second=([7, 6, 5],)),
        check(np.prod, [2, 0, 4], gives=([0, 8, 0],), second=([4, 6, 2],)),
        check(np.prod, [0, 3, 0], gives=([0, 0, 0],), second=([3, 0, 3],)),
        check(np.prod, [0, 0, 0, 5], gives=([0, 0, 0, 0],), second=([0, 0, 0, 0],)),
        check(lambda x: np.prod(x, axis=0), [[2, 0], [0, 0]], gives=([[0, 0], [2, 0]],))),
    row("`cumprod`, `multiply.reduceat`", "zeros", "exact", "as `prod`",
        check(np.cumprod, [2, 0, 4], gives=([1, 10, 0],), second=([5, 7, 2],)),
        check(np.cumprod, [0, 0, 4], gives=([1, 0, 0],), second=([5, 5, 0],)),
        check(lambda x: np.multiply.reduceat(x, [0, 2]), [0, 3, 0, 0], gives=([3, 0, 0, 0],))),
    row("`linalg.det`", "singular, any rank", "the cofactors", "exact, and in second order",
        single(np.linalg.det, [[1, 2], [2, 4]], gives=([[4, -2], [-2, 1]],), second=([[1, -1], [-1, 1]],)),
        single(np.linalg.det, np.diag([1, 2, 0]), gives=(np.diag([0, 0, 2]),)),
        single(np.linalg.det, np.zeros((2, 2)), gives=(np.zeros((2, 2)),), second=([[1, -1], [-1, 1]],)),
        single(np.linalg.det, np.zeros((3, 3)), gives=(np.zeros((3, 3)),))),
]
OVERFLOW = [
    row("`tg.sigmoid`, `tg.softplus`, `tanh`", "±1000", "0; 0 or 1; 0", "finite for every finite x",
        check(tg.sigmoid, [-1000, 0, 1000], gives=([0, 0.25, 0],), second=([0, 0, 0],)),
        check(tg.softplus, [-1000, 0, 1000], gives=([0, 0.5, 1],), second=([0, 0.25, 0],)),
        check(np.tanh, [-1000, 0, 1000], gives=([0, 1, 0],), second=([0, 0, 0],))),
    row("`tg.logsumexp`, `tg.softmax`, `logaddexp`", "1e4", "exact", "the largest entry is taken out first",
        check(tg.logsumexp, [1e4, 1e4, -1e4], gives=([0.5, 0.5, 0],), second=([0, 0, 0],)),
        check(lambda x: tg.softmax(x)[0], [1e4, 1e4], gives=([0.25, -0.25],), second=([0, 0],)),
        check(lambda x: tg.log_softmax(x)[1], [1e4, -1e4], gives=([-1, 1],)),
        check(np.logaddexp, [1e4, -1e4], [1e4, 0], gives=([0.5, 0], [0.5, 1]))),
    row("`tg.logsumexp`, `tg.softmax`, `logaddexp`", "an entry -inf", "0 for it", "exp(-inf) = 0: a mask",
        check(tg.logsumexp, [-INF, 0, 0], gives=([0, 0.5, 0.5],), second=([0, 0, 0],)),
        check(lambda x: tg.softmax(x)[1], [-INF, 0, 0], gives=([0, 0.25, -0.25],)),
        check(lambda x: tg.log_softmax(x)[1], [-INF, 0, 0], gives=([0, 0.5, -0.5],)),
        check(np.logaddexp, [-INF], [0], gives=([0], [1]))),
    row("`tg.logsumexp`, `tg.softmax`, `logaddexp`", "all entries -inf", "0; softmax is 0 there",
        "a row masked out: no finite step changes it",
        check(tg.logsumexp, [-INF, -INF], gives=([0, 0],), second=([0, 0],)),
        check(lambda x: tg.softmax(x) * [[1], [2]], [[-INF, -INF], [0, 0]], gives=([[0, 0], [0, 0]],)),
        check(np.logaddexp, [-INF], [-INF], gives=([0], [0])),
        check(np.logaddexp.reduce, [-INF, -INF], gives=([0, 0],))),
    row("`tg.cross_entropy`, `..._with_logits`", "logits ±1e4", "probability minus label", "one op with its softmax",
        check(lambda z: tg.cross_entropy(z, np.array([1])), [[1e4, -1e4]], gives=([[1, -1]],), second=([[0, 0]],)),
        check(lambda z: tg.cross_entropy(z, np.array([1])), [[-INF, 0, 0]], gives=([[0, -0.5, 0.5]],)),
        check(lambda z: tg.binary_cross_entropy_with_logits(z, np.array([0.0, 1.0])), [1000, -1000],
            gives=([0.5, -0.5],))),
    row("`tg.binary_cross_entropy`", "p = y = 0 or 1", "finite; 0 in y", "0 log 0 = 0; the slope in y is infinite",
        check(lambda p: tg.binary_cross_entropy(p, np.array([0.0, 1.0])), [0, 1], gives=([0.5, -0.5],)),
        check(tg.binary_cross_entropy, [0, 1], [0, 1], gives=([0.5, -0.5], [0, 0]))),
]
CHOOSING = [
    row("`where`, `select`, `choose`, `piecewise`", "the branch not taken", "0", "never 0 times its cotangent",
        check(lambda x, y: np.where([True, False], x, y), [1, 2], [3, 4], gives=([1, 0], [0, 1])),
        check(lambda x: np.select([x > 0], [np.sqrt(x)], 0), [0, 4], gives=([0, 0.25],)),
        check(lambda x: np.choose([0, 1], [x, x * x]), [1, 2], gives=([1, 4],), second=([0, 2],)),
        check(lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda x: -x, np.sqrt]), [-1, 0, 4], gives=([-1, 0, 0.25],))),
    row("`where(x > 0, log(x), 0)`, `mean(x**2, where=m)`", "what is hidden is 0; nan", "nan",
        "0 times its slope: make it safe first, `log(where(x > 0, x, 1))`",
        check(lambda x: np.where(x > 0, np.log(x), 0), [0, 2], gives=([NAN, 0.5],), warns=True),
        check(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0), [0, 2], gives=([0, 0.5],)),
        check(lambda x: np.where(x > 0, 1 / np.where(x > 0, x, 1), 0), [0, 2], gives=([0, -0.25],))),
    row("`x[i]`, `take`", "repeated indices", "summed", "each use counts",
        check(lambda x: x[[0, 0, 2]], [1, 2, 3], gives=([2, 0, 1],), second=([0, 0, 0],)),
        check(lambda x: x[[1, 1, 0]] * np.array([1, 10, 100]), [1, 2], gives=([100, 11],)),
        check(lambda x: np.take(x, [[2, 2], [2, 0]]), [1, 2, 3], gives=([1, 0, 3],))),
    row("`tg.index_update`, `index_add`", "repeated indices", "to the last value; to all", "the last wins; all add up",
        check(lambda x, v: tg.index_update(x, [0, 0], v), [1, 2], [3, 4], gives=([0, 1], [0, 1])),
        check(lambda x, v: tg.index_add(x, [0, 0], v), [1, 2], [3, 4], gives=([1, 1], [1, 1]))),
    row("reductions with `where=`", "entries left out, also nan", "0", "they are not in the result",
        check(lambda x: np.sum(x, where=[True, False]), [1, NAN], gives=([1, 0],)),
        check(lambda x: np.prod(x, where=[True, False, True]), [2, NAN, 0], gives=([0, 0, 2],)),
        check(lambda x: np.mean(x, where=[True, True, False]), [2, 3, NAN], gives=([0.5, 0.5, 0],)),
        check(lambda x: np.std(x, where=[True, True, False]), [2, 4, NAN], gives=([-0.5, 0.5, 0],)),
        check(lambda x: np.max(x, where=[True, False], initial=-INF), [2, NAN], gives=([1, 0],))),
    row("`nansum`, `nanmax`, `nan_to_num`, ...", "nan", "0", "left out, or replaced by a constant",
        check(np.nansum, [NAN, 1], gives=([0, 1],)),
        check(np.nanprod, [NAN, 0, 2], gives=([0, 2, 0],)),
        check(np.nanmax, [1, NAN, 3], gives=([0, 0, 1],)),
        check(np.nanmedian, [1, NAN, 2], gives=([0.5, 0, 0.5],)),
        check(np.nan_to_num, [NAN, 1, -INF], gives=([0, 1, 0],))),
]
SHAPES = [
    row("`tile`", "fewer reps than axes", "summed over the copies", "the reps belong to the last axes",
        check(lambda x: np.tile(x, 3), [[1, 2], [3, 4]], gives=([[3, 3], [3, 3]],)),
        check(lambda x: np.tile(x, 2) * np.array([1, 10, 100, 1000]), [[1, 2]], gives=([[101, 1010]],))),
    row("`sinc`", "0", "0, second -π²/3", "by its series",
        check(np.sinc, [0, 1, 0.5], gives=([0, -1, -4 / PI],), second=([-PI**2 / 3, 2, 16 / PI - 2 * PI],))),
    row("`fft.*` with `norm=`", "everywhere", "scaled as the values are", "the transpose of a linear map",
        single(lambda x: np.real(np.fft.fft(x)[0]), [1, 2, 3, 4], gives=([1] * 4,), second=([0] * 4,)),
        single(lambda x: np.real(np.fft.fft(x, norm="ortho")[0]), [1, 2, 3, 4], gives=([0.5] * 4,)),
        single(lambda x: np.real(np.fft.fft(x, norm="forward")[0]), [1, 2, 3, 4], gives=([0.25] * 4,)),
        single(lambda x: np.fft.irfft(x)[0], [1, 2, 3], gives=([0.25, 0.5, 0.25],)),
        single(lambda x: np.fft.irfft(x, norm="forward")[0], [1, 2, 3], gives=([1, 2, 1],))),
    row("everything", "empty, 0-d", "of the same shape", "as NumPy; `max` of nothing is an error as there",
        check(np.sum, [], gives=([],), second=([],)),
        check(np.prod, [], gives=([],)),
        check(lambda x: np.max(x, initial=3.0), [], gives=([],)),
        check(lambda x: np.max(x, axis=1, keepdims=True), np.zeros((0, 3)), gives=(np.zeros((0, 3)),)),
        check(np.max, [], gives=ValueError),
        check(np.max, 3, gives=(1,), second=(0,)),
        check(np.prod, 0, gives=(1,)),
        check(np.cumprod, 3, gives=(1,)),
        check(tg.softmax, 3, gives=(0,)),
        single(np.linalg.norm, 0, gives=(0,))),
    row("everything", "float32, float16", "in the dtype of its tensor", "NumPy's promotion, and back",
        check(np.mean, [1, 3], gives=([0.5, 0.5],)),
        check(lambda x: x * np.float64(2), [1, 3], gives=([2, 2],))),
]
MATRICES = [
    row("`svdvals`, `eigvalsh`, `norm(A, 'nuc')`", "equal values", "right for what treats them alike",
        "it does not depend on the basis; one value alone gets a subgradient",
        single(np.linalg.svdvals, np.eye(2), gives=(np.eye(2),)),
        single(np.linalg.eigvalsh, np.eye(2), gives=(np.eye(2),)),
        single(lambda a: np.sum(np.linalg.svdvals(a) ** 2), np.ones((2, 3)), gives=(2 * np.ones((2, 3)),)),
        single(lambda a: np.linalg.norm(a, "nuc"), np.eye(2), gives=(np.eye(2),))),
    row("`eigh`, `svd`: vectors", "equal values", "finite: turns among equals count 0", "their basis is arbitrary",
        single(first_vector, np.eye(2), gives=(np.zeros((2, 2)),))),
    row("`eigh`, `svd`: vectors with values", "equal values", "`NoRuleError`", "the chain rule lacks what it needs",
        single(square_root, np.eye(2), gives=NoRuleError)),
    row("`inv`, `solve`, `slogdet`, `cholesky`", "singular", "an error", "no derivative; `det` has one",
        single(lambda a: np.linalg.slogdet(a)[1], [[1, 2], [2, 4]], gives=SINGULAR),
        single(np.linalg.inv, [[1, 2], [2, 4]], gives=SINGULAR),
        single(lambda a: np.linalg.solve(a, np.ones(2)), [[1, 2], [2, 4]], gives=SINGULAR),
        single(np.linalg.cholesky, np.zeros((2, 2)), gives=SINGULAR)),
    row("`cond`", "singular", "0", "the value is inf",
        single(np.linalg.cond, np.zeros((2, 2)), gives=(np.zeros((2, 2)),))),
    row("`pinv`, `lstsq`", "rank-deficient", "that at constant rank", "they jump where the rank changes",
        single(np.linalg.pinv, [[2, 0], [0, 0]], gives=([[-0.25, 0.25], [0.25, 0]],)),
        single(np.linalg.pinv, np.zeros((2, 3)), gives=(np.zeros((2, 3)),))),
]
SPECIAL = [
    row("`xlogy`, `xlog1py`, `entr`, `rel_entr`", "x = 0", "0", "the value is 0, and the slope infinite",
        check(special("xlogy"), [0, 0, 2], [0, 1, 1], gives=([0, 0, 0], [0, 0, 2])),
        check(special("xlog1py"), [0, 0], [-1, 0], gives=([0, 0], [0, 0])),
        check(special("entr"), [0, 1], gives=([0, -1],)),
        check(special("rel_entr"), [0, 1], [2, 1], gives=([0, 1], [0, -1]))),
    row("`kl_div` in y", "x = 0", "1", "exact: kl_div(0, y) = y",
        check(special("kl_div"), [0, 1], [2, 1], gives=([0, 0], [1, 0]))),
    row("`gammainc`, `betainc`, `jv`, `ellipe`, `spence`", "ends with infinite slope", "0", "as `sqrt`",
        check(lambda x: special("gammainc")(0.5, x), [0], gives=([0],)),
        check(lambda x: special("betainc")(0.5, 0.5, x), [0, 1], gives=([0, 0],)),
        check(lambda x: special("jv")(0.5, x), [0], gives=([0],)),
        check(special("ellipe"), [1, 0], gives=([0, -PI / 8],)),
        check(special("spence"), [0, 1], gives=([0, -1],))),
    row("`logit`, `erfinv`, `ndtri`", "their ends", "inf", "the value is infinite, too",
        check(special("logit"), [0, 0.5, 1], gives=([INF, 4, INF],), warns=True),
        check(special("erfinv"), [-1, 0, 1], gives=([INF, PI**0.5 / 2, INF],), warns=True)),
    row("`rgamma`", "0, -1, -2, ...", "(-1)^n n!", "exact",
        check(special("rgamma"), [0, -1, -2, -3], gives=([1, -1, 2, -6],))),
    row("`huber(d, r)`", "r = ±d", "±d in r", "both pieces have it",
        check(lambda r: special("huber")(1.0, r), [-1, 0, 1, 3], gives=([-1, 0, 1, 1],))),
]
# fmt: on

ROWS = {
    "Ties are shared equally": TIES,
    "Slopes that jump": JUMPS,
    "Infinite slopes give 0": INFINITE,
    "Powers": POWERS,
    "Products": PRODUCTS,
    "Overflow": OVERFLOW,
    "Activations and losses": NETWORKS,
    "Choosing entries": CHOOSING,
    "Shapes and dtypes": SHAPES,
    "Matrices": MATRICES,
    "`tg.special`": SPECIAL,
}
"""The rows by theme, in the order in which they are printed."""


def markdown() -> str:
    """The rows as one Markdown table."""
    lines = ["| call | where | gradient | why |", "|---|---|---|---|"]
    for theme, rows in ROWS.items():
        lines.append(f"| **{theme}** | | | |")
        lines += [f"| {r.call} | {r.where} | {r.gradient} | {r.why} |" for r in rows]
    return "\n".join(lines)


def section() -> str:
    """The README's section."""
    return f"""## Kinks and traps

Where a derivative does not exist, or a formula would give nan, this is what you get: finite wherever there is a
subgradient.  The tests run every row, in first and second order and in three precisions.

{markdown()}
"""


if __name__ == "__main__":
    print(section(), end="")
