"""The conventions at kinks, ties and overflow: each choice once, with its number.

The table is in the docstring of tinygrad_np/ops/kinks.py.  Warnings are errors here, so that no case passes
by way of a division by zero.
"""

import numpy as np
import pytest

import tinygrad_np as tg

INF = np.inf


def gradient(f, *arrays):
    """The gradient of sum(f) with respect to each array."""
    return tg.grad(lambda *xs: np.sum(f(*xs)), tuple(range(len(arrays))))(*[np.asarray(a, float) for a in arrays])


def row(name, f, *arrays, gives):
    return pytest.param(f, arrays, gives, id=name)


TABLE = [
    # -- ties are shared equally --
    row("maximum", np.maximum, [1, 2, 3], [2, 2, 2], gives=([0, 0.5, 1], [1, 0.5, 0])),
    row("minimum", np.minimum, [1, 2, 3], [2, 2, 2], gives=([1, 0.5, 0], [0, 0.5, 1])),
    row("maximum of a number", lambda x: np.maximum(x, 0), [-1, 0, 1], gives=([0, 0.5, 1],)),
    row("maximum of itself", lambda x: np.maximum(x, x), [1, -2], gives=([1, 1],)),
    row("fmax", np.fmax, [1, 2, np.nan, 4], [2, 2, 5, np.nan], gives=([0, 0.5, 0, 1], [1, 0.5, 1, 0])),
    row("fmin", np.fmin, [1, 2, np.nan, 4], [2, 2, 5, np.nan], gives=([1, 0.5, 0, 1], [0, 0.5, 1, 0])),
    row("max", np.max, [1, 3, 3, 2], gives=([0, 0.5, 0.5, 0],)),
    row("min", np.min, [[1, 1], [1, 2]], gives=([[1 / 3, 1 / 3], [1 / 3, 0]],)),
    row("max by axis", lambda x: np.max(x, axis=1), [[1, 1, 0], [0, 5, 2]], gives=([[0.5, 0.5, 0], [0, 1, 0]],)),
    row("max with initial", lambda x: np.max(x, initial=3.0), [1, 3], gives=([0, 0.5],)),
    row("max below initial", lambda x: np.max(x, initial=9.0), [1, 3], gives=([0, 0],)),
    row("max with where", lambda x: np.max(x, where=[True, False, True], initial=0), [4, 9, 4], gives=([0.5, 0, 0.5],)),
    # -- slopes that jump --
    row("relu", tg.relu, [-1, 0, -0.0, 2], gives=([0, 0, 0, 1],)),
    row("abs", np.abs, [-2, 0, 3], gives=([-1, 0, 1],)),
    row("fabs", np.fabs, [-2, 0, 3], gives=([-1, 0, 1],)),
    row("clip", lambda x: np.clip(x, -1, 2), [-2, -1, 0, 2, 3], gives=([0, 1, 1, 1, 0],)),
    row("clip to arrays", np.clip, [0, 1, 5], [1, 1, 1], [3, 3, 3], gives=([0, 1, 0], [1, 0, 0], [0, 0, 1])),
    # -- infinite slopes, or none: a subgradient --
    row("sqrt", np.sqrt, [0, 4], gives=([0, 0.25],)),
    row("cbrt", np.cbrt, [0, 8], gives=([0, 1 / 12],)),
    row("hypot", np.hypot, [0, 3], [0, 4], gives=([0, 0.6], [0, 0.8])),
    row("arctan2", np.arctan2, [0, 1], [0, 0], gives=([0, 0], [0, -1])),
    row("norm", np.linalg.norm, [0, 0, 0], gives=([0, 0, 0],)),
    row("norm by axis", lambda x: np.linalg.norm(x, axis=1), [[0, 0], [3, 4]], gives=([[0, 0], [0.6, 0.8]],)),
    row("std", np.std, [2, 2, 2], gives=([0, 0, 0],)),
    row("std by axis", lambda x: np.std(x, axis=1), [[5, 5], [1, 3]], gives=([[0, 0], [-0.5, 0.5]],)),
    row("var", np.var, [2, 2, 2], gives=([0, 0, 0],)),
    row("std of one", np.std, 7, gives=(0,)),
    # -- powers --
    row("x**0", lambda x: x**0, [0, -1, 2], gives=([0, 0, 0],)),
    row("x**0 with an array", lambda x: x ** np.zeros(3), [0, -1, 2], gives=([0, 0, 0],)),
    row("x**1", lambda x: x**1, [0, -1, 2], gives=([1, 1, 1],)),
    row("x**2", lambda x: x**2, [0, -1, 2], gives=([0, -2, 4],)),
    row("x**3", lambda x: x**3.0, [0, -1, 2], gives=([0, 3, 12],)),
    row("x**-1", lambda x: x**-1, [-1, 2], gives=([-1, -0.25],)),
    row("0**p", np.power, [0, 0], [2, 1], gives=([0, 1], [0, 0])),
    row("number**p", lambda p: 0.0**p, [2, 1], gives=([0, 0],)),
    # -- products --
    row("prod without zeros", np.prod, [2, 3, 4], gives=([12, 8, 6],)),
    row("prod with one zero", np.prod, [2, 0, 4], gives=([0, 8, 0],)),
    row("prod with two zeros", np.prod, [0, 3, 0], gives=([0, 0, 0],)),
    row("prod by axis", lambda x: np.prod(x, axis=0), [[2, 0], [0, 0]], gives=([[0, 0], [2, 0]],)),
    row("cumprod with a zero", np.cumprod, [2, 0, 4], gives=([1, 10, 0],)),
    # -- overflow --
    row("sigmoid", tg.sigmoid, [-1000, 0, 1000], gives=([0, 0.25, 0],)),
    row("softplus", tg.softplus, [-1000, 0, 1000], gives=([0, 0.5, 1],)),
    row("tanh", np.tanh, [-1000, 0, 1000], gives=([0, 1, 0],)),
    row("logsumexp of large", tg.logsumexp, [1e4, 1e4, -1e4], gives=([0.5, 0.5, 0],)),
    row("logsumexp with -inf", tg.logsumexp, [-INF, 0, 0], gives=([0, 0.5, 0.5],)),
    row("softmax of large", lambda x: tg.softmax(x)[0], [1e4, 1e4], gives=([0.25, -0.25],)),
    row("softmax with -inf", lambda x: tg.softmax(x)[1], [-INF, 0, 0], gives=([0, 0.25, -0.25],)),
    row("log_softmax of large", lambda x: tg.log_softmax(x)[1], [1e4, -1e4], gives=([-1, 1],)),
    row("logaddexp of large", np.logaddexp, [1e4, -1e4], [1e4, 0], gives=([0.5, 0], [0.5, 1])),
    row("loss on logits", lambda z: tg.binary_cross_entropy_with_logits(z, np.array([0.0, 1.0])), [1000, -1000],
        gives=([0.5, -0.5],)),
    row("cross entropy of large", lambda z: tg.cross_entropy(z, np.array([1])), [[1e4, -1e4]], gives=([[1, -1]],)),
    row("binary cross entropy at 0 and 1", lambda p: tg.binary_cross_entropy(p, np.array([0.0, 1.0])), [0, 1],
        gives=([0.5, -0.5],)),
    # -- choosing --
    row("where", lambda x, y: np.where([True, False], x, y), [1, 2], [3, 4], gives=([1, 0], [0, 1])),
    row("where made safe", lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0), [0, 2], gives=([0, 0.5],)),
    row("repeated indices", lambda x: x[[0, 0, 2]], [1, 2, 3], gives=([2, 0, 1],)),
    row("repeated indices, weighted", lambda x: x[[1, 1, 0]] * np.array([1, 10, 100]), [1, 2], gives=([100, 11],)),
    row("repeated take", lambda x: np.take(x, [[2, 2], [2, 0]]), [1, 2, 3], gives=([1, 0, 3],)),
    row("sort with ties", lambda x: np.sort(x) * np.array([1, 2, 4]), [5, 5, 1], gives=([2, 4, 1],)),
    row("floor", np.floor, [0.5, 1], gives=([0, 0],)),
    row("sign", lambda x: np.sign(x) * x, [-2, 0, 3], gives=([-1, 0, 1],)),
    row("remainder", lambda x: np.remainder(x, 2), [0, 2, 3], gives=([1, 1, 1],)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "arrays", "gives"), TABLE)
def test_the_gradient_at_a_kink(f, arrays, gives):
    for got, expected in zip(gradient(f, *arrays), gives, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("f", "arrays", "gives"), TABLE)
def test_forward_mode_makes_the_same_choice(f, arrays, gives):
    given = [np.asarray(a, float) for a in arrays]
    tangents = [np.linspace(0.5, 1.5, a.size).reshape(a.shape) for a in given]
    _, tangent = tg.jvp(lambda *xs: np.sum(f(*xs)), tuple(given), tuple(tangents))
    expected = sum(np.sum(np.asarray(g) * t) for g, t in zip(gives, tangents, strict=True))
    np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "x", "second"),
    [
        (lambda x: x**2, 0.0, 2),
        (lambda x: x**3, 0.0, 0),
        (lambda x: x**1, 0.0, 0),
        (lambda x: x**0, 0.0, 0),
        (tg.relu, 0.0, 0),
        (np.abs, 0.0, 0),
        (lambda x: np.maximum(x, 0.0), 0.0, 0),
        (np.sqrt, 0.0, 0),
        (tg.sigmoid, 1000.0, 0),
        (tg.softplus, -1000.0, 0),
        (lambda x: np.sum(np.stack([x, x * 0, x * 3]).prod()), 2.0, 0),
    ],
)
def test_the_second_derivative_at_a_kink_is_finite(f, x, second):
    np.testing.assert_allclose(tg.grad(tg.grad(f))(x), second, atol=1e-12)


def test_a_product_with_zeros_has_an_exact_hessian():
    # d2(xyz)/dxdy = z, where x and y are both 0.
    x = np.array([0.0, 0.0, 5.0])
    rows = [tg.grad(lambda x, i=i: tg.grad(np.prod)(x)[i])(x) for i in range(3)]
    np.testing.assert_allclose(rows, [[0, 5, 0], [5, 0, 0], [0, 0, 0]], atol=1e-12)


def test_where_cannot_undo_an_infinite_slope_but_never_passes_a_bad_cotangent():
    # The branch not taken gets exactly 0, whatever comes back for it.
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, pull = tg.vjp(lambda x, y: np.where([True, False], x, y), x, y)
    dx, dy = pull(np.array([np.nan, np.inf]))
    assert np.isnan(dx[0])
    assert dx[1] == 0
    assert dy[0] == 0
    assert np.isinf(dy[1])


def test_the_document_example_of_kinks_is_true():
    with np.errstate(all="ignore"):
        (bad,) = gradient(lambda x: np.where(x > 0, np.log(x), 0), [0.0, 2.0])
    assert np.isnan(bad[0])
    assert bad[1] == 0.5


def test_descending_from_a_kink_keeps_everything_finite():
    w = tg.Tensor(np.zeros((3, 2)), requires_grad=True)
    for _ in range(3):
        w.zero_grad()
        loss = np.linalg.norm(w) + np.std(w) + np.sum(np.sqrt(tg.relu(w))) + np.max(np.abs(w))
        loss.backward()
        assert np.isfinite(w.grad.data).all()
        with tg.no_grad():
            w -= 0.1 * w.grad
