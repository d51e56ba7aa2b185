"""The conventions at kinks, ties and overflow: every check of the table in kinks.py, and its print in the README.

Warnings are errors here, so that no case passes by way of a division by zero.
"""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
from kinks import ROWS, UNCHECKED, section

import tinygrad_np as tg

README = Path(__file__).parent.parent / "README.md"
TOLERANCES = {"d": 1e-12, "f": 1e-5, "e": 3e-3}
needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="SciPy is not installed")

CHECKS = [
    pytest.param(check, id=f"{row.call} | {row.where} | {i}", marks=needs_scipy if "special" in theme else ())
    for theme, rows in ROWS.items()
    for row in rows
    for i, check in enumerate(row.checks)
]


def raises(check):
    return not (isinstance(check.gives, tuple) and not isinstance(check.gives[0], type))


GRADIENTS = [p for p in CHECKS if not raises(p.values[0])]
WITHOUT_WARNING = [p for p in GRADIENTS if not p.values[0].warns]
ERRORS = [p for p in CHECKS if raises(p.values[0])]


def given(check, dtype="d"):
    return [np.asarray(a, dtype) for a in check.arrays]


def gradient(f, arrays):
    """The gradient of sum(f) with respect to each array."""
    return tg.grad(lambda *xs: np.sum(f(*xs)), tuple(range(len(arrays))))(*arrays)


def total_gradient(f):
    """The sum of all gradients of f, whose gradient is that of the row sums of the Hessian."""
    return lambda *xs: sum(np.sum(g) for g in gradient(f, xs))


def agree(got, expected, tolerance=1e-12):
    for g, e in zip(got, expected, strict=True):
        assert np.shape(g) == np.shape(e)
        np.testing.assert_allclose(g, np.asarray(e, float), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("check", GRADIENTS)
def test_the_gradient_at_a_kink(check):
    if not check.warns:
        agree(gradient(check.f, given(check)), check.gives)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agree(gradient(check.f, given(check)), check.gives)
    assert caught


@pytest.mark.parametrize("check", ERRORS)
def test_where_there_is_no_gradient_the_error_says_so(check):
    with pytest.raises(check.gives):
        gradient(check.f, given(check))


@pytest.mark.parametrize("check", WITHOUT_WARNING)
def test_forward_mode_makes_the_same_choice(check):
    arrays = given(check)
    tangents = [np.linspace(0.5, 1.5, a.size).reshape(a.shape) for a in arrays]
    _, tangent = tg.jvp(lambda *xs: np.sum(check.f(*xs)), tuple(arrays), tuple(tangents))
    expected = sum(np.sum(np.asarray(g) * t) for g, t in zip(check.gives, tangents, strict=True))
    np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("check", [p for p in WITHOUT_WARNING if p.values[0].second is not UNCHECKED])
def test_the_second_derivative_at_a_kink(check):
    got = gradient(total_gradient(check.f), given(check))
    if check.second is None:
        assert all(np.isfinite(g).all() for g in got)
    else:
        agree(got, check.second)


@pytest.mark.parametrize(
    ("check", "dtype"),
    [
        pytest.param(*p.values, dtype, id=f"{p.id} {np.dtype(dtype)}", marks=p.marks)
        for p in WITHOUT_WARNING
        for dtype in p.values[0].dtypes
    ],
)
def test_the_choice_does_not_depend_on_the_precision(check, dtype):
    got = gradient(check.f, given(check, dtype))
    assert [g.dtype for g in got] == [dtype] * len(got)
    agree(got, check.gives, TOLERANCES[dtype])


def test_the_readme_prints_the_table():
    text = README.read_text(encoding="utf-8")
    start = text.index("## Kinks and traps")
    end = text.find("\n## ", start)
    assert text[start : end if end > 0 else None].strip() == section().strip()


# -- what is not one gradient -----------------------------------------------------------------


def test_a_product_with_zeros_has_an_exact_hessian():
    # d2(xyz)/dxdy = z, where x and y are both 0.
    x = np.array([0.0, 0.0, 5.0])
    rows = [tg.grad(lambda x, i=i: tg.grad(np.prod)(x)[i])(x) for i in range(3)]
    np.testing.assert_allclose(rows, [[0, 5, 0], [5, 0, 0], [0, 0, 0]], atol=1e-12)


def test_a_stack_with_a_zero_has_a_second_derivative():
    f = lambda x: np.sum(np.stack([x, x * 0, x * 3]).prod())
    np.testing.assert_allclose(tg.grad(tg.grad(f))(2.0), 0, atol=1e-12)


def test_where_cannot_undo_an_infinite_slope_but_never_passes_a_bad_cotangent():
    # The branch not taken gets exactly 0, whatever comes back for it.
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, pull = tg.vjp(lambda x, y: np.where([True, False], x, y), x, y)
    dx, dy = pull(np.array([np.nan, np.inf]))
    assert np.isnan(dx[0])
    assert dx[1] == 0
    assert dy[0] == 0
    assert np.isinf(dy[1])


def test_small_and_large_arrays_of_half_precision_agree():
    # The large one takes another way through sigmoid.
    x = np.linspace(-20, 20, 5000).astype(np.float16)
    together, apart = tg.sigmoid(x), np.concatenate([tg.sigmoid(part) for part in np.split(x, 5)])
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_allclose(together, 1 / (1 + np.exp(-x.astype(float))), rtol=2e-3, atol=1e-7)


def test_descending_from_a_kink_keeps_everything_finite():
    w = tg.Tensor(np.zeros((3, 2)), requires_grad=True)
    for _ in range(3):
        w.zero_grad()
        loss = np.linalg.norm(w) + np.std(w) + np.sum(np.sqrt(tg.relu(w))) + np.max(np.abs(w))
        loss.backward()
        assert np.isfinite(w.grad.data).all()
        with tg.no_grad():
            w -= 0.1 * w.grad
