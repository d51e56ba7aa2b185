"""Numeric gradients against derivatives known from calculus, and the tolerances that go with them."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import errors
from tinygrad_np.testing import NumericGradient, digits, numeric_grad, scaled_error, tolerance

SMOOTH = {
    "exp": (np.exp, np.exp, 0.7),
    "sin, fast": (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x), 0.7),
    "log, near its edge": (np.log, lambda x: 1 / x, 1e-3),
    "quartic at its bottom": (lambda x: x**4, lambda x: 4 * x**3, 0.0),
    "cubic at its saddle": (lambda x: x**3, lambda x: 3 * x**2, 0.0),
    "second derivative jumps": (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), 0.0),
    "large": (lambda x: x**2, lambda x: 2 * x, 1e8),
    "constant": (lambda x: 3.0 + 0 * x, lambda x: 0 * x, 1.0),
    "cancelling": (lambda x: (x + 1e8) - 1e8, lambda x: 1 + 0 * x, 0.3),
    "in float32 inside": (lambda x: np.exp(np.float32(x)), np.exp, 0.7),
    "corner 2e-6 away": (lambda x: np.abs(x - 2e-6), lambda x: -1 + 0 * x, 0.0),
}

KINKS = {
    "abs": (np.abs, 0.0),
    "relu": (tg.relu, 0.0),
    "tie of a maximum": (lambda x: np.maximum(x, 3 - x), 1.5),
    "steep beside a corner": (lambda x: 1e3 * x + np.abs(x), 0.0),
    "small corner on a large value": (lambda x: 1e3 + 0.01 * np.abs(x), 0.0),
    "jump": (np.floor, 2.0),
    "jump beside a slope": (lambda x: 5 * x + (x > 1), 1.0),
    "infinite slope": (lambda x: np.cbrt(x), 0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_from_calculus_lie_within_the_estimated_error(name):
    f, derivative, x = SMOOTH[name]
    value, error, kink = numeric_grad(f, x, full=True)
    assert not kink
    assert abs(value - derivative(np.float64(x))) <= error + 1e-300
    slope = abs(derivative(np.float64(x)))
    assert error <= (1e-2 if "float32" in name else 1e-4) * max(slope, 1), "an estimate that says nothing"


@pytest.mark.parametrize("name", KINKS)
def test_kinks_and_jumps_are_found(name):
    f, x = KINKS[name]
    assert numeric_grad(f, x, full=True).kinks
    assert not numeric_grad(f, x + 0.25, full=True).kinks


@pytest.mark.parametrize("distance", np.linspace(-2.4e-5, 2.4e-5, 25))
def test_a_corner_near_the_entry_is_found_or_does_no_harm(distance):
    value, error, kink = numeric_grad(lambda x: np.abs(x - distance), 0.0, full=True)
    assert kink or abs(value + np.sign(distance)) <= error


@pytest.mark.parametrize("exponent", np.linspace(-13, -6, 29))
def test_results_that_were_rounded_coarsely_do_not_pass_for_exact(exponent):
    grain = 10.0**exponent
    value, error, kink = numeric_grad(lambda x: np.round(x / grain) * grain, 0.3, full=True)
    assert kink or abs(value - 1) <= error


def test_only_the_entry_on_the_kink_is_marked():
    x = np.array([[0.0, 1.0], [-1.0, 0.0]])
    result = numeric_grad(lambda x: np.sum(np.abs(x)), x, full=True)
    assert isinstance(result, NumericGradient)
    np.testing.assert_array_equal(result.kinks, x == 0)
    np.testing.assert_allclose(result.values, np.sign(x), atol=1e-9)
    assert result.errors.shape == (2, 2)


def test_one_argument_of_several_and_some_entries():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([[4.0, 5.0], [6.0, 7.0]])
    f = lambda a, b: np.sum(a**2) * np.sum(b**3)
    np.testing.assert_allclose(numeric_grad(f, a, b, argnum=-1), 14 * 3 * b**2, rtol=1e-8)
    np.testing.assert_allclose(numeric_grad(f, a, b, argnum=1, entries=[3, 0]), 42 * np.array([49.0, 16.0]), rtol=1e-8)
    full = numeric_grad(f, a, b, argnum=1, entries=[3], full=True)
    assert [part.shape for part in full] == [(1,)] * 3


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 1), (3, 2)])
@pytest.mark.parametrize("full", [True, False])
def test_shapes(shape, full):
    x = np.linspace(1, 2, int(np.prod(shape))).reshape(shape)
    got = numeric_grad(lambda x: np.sum(x**3), x, full=full)
    np.testing.assert_allclose(got[0] if full else got, 3 * x**2, rtol=1e-8)
    assert np.shape(got[0] if full else got) == shape


def test_complex_entries_point_uphill():
    z = np.array([1 + 2j, -0.5j])
    f = lambda z: np.sum(np.abs(z) ** 2)
    np.testing.assert_allclose(numeric_grad(f, z), 2 * z, rtol=1e-8)
    np.testing.assert_allclose(numeric_grad(f, z, full=True).values, 2 * z, rtol=1e-8)


def test_float32_is_computed_in_float64():
    x, y = np.array([0.1, 0.7], np.float32), np.array([1.5, 2.5], np.float32)
    got = numeric_grad(lambda x, y: np.sum(np.sin(x) * y), x, y)
    np.testing.assert_allclose(got, np.cos(x.astype(float)) * y, rtol=1e-9)


def test_tensors_are_taken_as_their_numbers():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    np.testing.assert_allclose(numeric_grad(lambda x: tg.Tensor(x * 2).sum() + w.sum(), w), [2, 2], rtol=1e-8)
    assert w.grad is None


def test_arguments_stay_as_they_are():
    x = np.array([1.0, 2.0])
    seen = []
    numeric_grad(lambda x: seen.append(x.copy()) or np.sum(x**2), x, full=True)
    np.testing.assert_array_equal(x, [1.0, 2.0])
    np.testing.assert_array_equal(seen[0], x)
    assert sum(not np.array_equal(s, x) for s in seen) == 8, "four points beside the middle one, for each entry"


# -- the complex step -----------------------------------------------------------------------------


def test_complex_step_is_exact():
    x = np.linspace(0.3, 2, 7)
    got = numeric_grad(lambda x: np.sum(np.exp(x) / np.sqrt(np.sin(x) ** 3 + 2)), x, method="complex")
    s, c = np.sin(x), np.cos(x)
    exact = np.exp(x) / np.sqrt(s**3 + 2) * (1 - 1.5 * s**2 * c / (s**3 + 2))
    np.testing.assert_allclose(got, exact, rtol=4e-16 * 4)
    assert got.dtype == float


def test_complex_step_with_everything_else():
    full = numeric_grad(lambda a, b: np.sum(a) * np.sum(b**3), 2.0, np.array([1.0, 3.0]), argnum=1, entries=[1],
                        method="complex", full=True)  # fmt: skip
    np.testing.assert_allclose(full.values, [54.0], rtol=1e-15)
    assert not full.kinks.any()
    assert (full.errors <= 1e-13).all()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.abs(x)),
        lambda x: np.sum(np.real(x) ** 2),
        lambda x: np.sum(np.abs(x) * x),
        lambda x: np.sum(x * np.conj(x)),
        lambda x: np.sum(np.exp(x)) + np.abs(x[2]) * 1e-3,
        lambda x: np.sum(np.floor(x)),
        lambda x: np.sum(np.maximum(x, 0.5)),
        lambda x: np.sum(np.where(x == x.real, x**2, x)),
    ],
)
def test_complex_step_refuses_what_is_not_analytic(f):
    with pytest.raises((errors.RangeError, errors.DtypeError), match="method='central'"):
        numeric_grad(f, np.array([0.5, -1.0, 2.0]), method="complex")


def test_complex_step_refuses_complex_arguments():
    with pytest.raises(errors.DtypeError, match="is complex"):
        numeric_grad(lambda z: np.sum(z.real), np.array([1j]), method="complex")


# -- functions that cannot be differenced ---------------------------------------------------------

X = np.array([0.5, 1.5])


def changes_its_argument(x):
    x *= 2
    return np.sum(x)


def changes_its_argument_later(x, calls=None):
    if x[1] != 1.5:
        x[0] = 7.0
    return np.sum(x)


def random_one(rng):
    return lambda x: np.sum(x) + rng.normal() * 1e-3


@pytest.mark.parametrize(
    ("f", "x", "error", "words"),
    [
        (np.sin, X, errors.ShapeError, "check_grad"),
        (lambda x: np.sum(x) + 1j, X, errors.DtypeError, "complex"),
        (lambda x: {"loss": 1.0}, X, errors.DtypeError, "dict"),
        (lambda x: None, X, errors.DtypeError, "NoneType"),
        (lambda x: [1.0, [2.0]], X, errors.DtypeError, "list"),
        (np.sum, np.array([1, 2]), errors.DtypeError, "int64"),
        (np.sum, 3, errors.DtypeError, "floating"),
        (lambda x: np.sum(np.log(x)), np.array([1.0, -1.0]), errors.NonFiniteError, "at the point itself"),
        (lambda x: np.sum(np.sqrt(x)), np.array([[1.0, 1e-9]]), errors.NonFiniteError, r"entry \[0, 1\]"),
        (np.sum, np.array([1.0, np.nan]), errors.NonFiniteError, r"nan at \[1\]"),
        (np.sum, np.array([np.inf, 1.0]), errors.NonFiniteError, r"inf at \[0\]"),
        (changes_its_argument, X, errors.InPlaceError, r"at \[0\] stood 0.5, and now 1.0"),
        (changes_its_argument_later, X, errors.InPlaceError, "now 7.0"),
        (random_one(np.random.default_rng(0)), X, errors.AutogradError, "random"),
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_refused(f, x, error, words, full):
    with pytest.raises(error, match=words) as caught:
        numeric_grad(f, x, full=full)
    assert str(caught.value).count(".") >= 2, "what happened, why, and what to write instead"


def test_a_function_that_changes_another_argument():
    def writes(x, y):
        y[0] = x[0]
        return np.sum(x * y)

    y = np.array([3.0, 4.0])
    with pytest.raises(errors.InPlaceError, match="argument 1"):
        numeric_grad(writes, X, y)
    np.testing.assert_array_equal(y, [3.0, 4.0])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"entries": [True, False]}, errors.DtypeError, "flatnonzero"),
        ({"entries": [0, 2]}, IndexError, "reach from 0 to 2"),
        ({"argnum": 1}, IndexError, "argument 1"),
        ({"step": 0.0}, errors.RangeError, "step=0"),
        ({"method": "forward"}, ValueError, "central"),
    ],
)
def test_refused_options(options, error, words):
    with pytest.raises(error, match=words):
        numeric_grad(np.sum, X, **options)


def test_a_random_function_with_a_seed_inside_is_fine():
    f = lambda x: np.sum(x * np.random.default_rng(0).normal(size=2))
    np.testing.assert_allclose(numeric_grad(f, X), np.random.default_rng(0).normal(size=2), rtol=1e-8)


# -- tolerances -----------------------------------------------------------------------------------


def test_the_loosest_dtype_decides():
    half, single, double = (tolerance(d) for d in (np.float16, np.float32, np.float64))
    assert half.rtol > single.rtol > double.rtol
    assert half.atol > single.atol > double.atol
    assert tolerance(np.float64, tg.Tensor([1.0], dtype=np.float32), np.zeros(2)) == single
    assert tolerance(np.complex64) == tolerance("float32") == single
    assert tolerance(np.complex128, np.arange(3), True, 1.0) == tolerance() == double
    assert tolerance(np.float64, rtol=0.5) == (0.5, double.atol)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tolerances_allow_rounding_and_not_a_percent_more_than_needed(dtype):
    assert 5 * np.finfo(dtype).eps < tolerance(dtype).rtol < 0.05


@pytest.mark.parametrize("bad", [{"rtol": -1.0}, {"atol": np.nan}, {"rtol": np.inf}])
def test_impossible_tolerances_are_refused(bad):
    with pytest.raises(errors.RangeError, match=next(iter(bad))):
        tolerance(np.float64, **bad)


@pytest.mark.parametrize("nothing", ["no dtype", [[1.0], [1.0, 2.0]], None, object])
def test_tolerance_of_what_holds_no_numbers(nothing):
    with pytest.raises((errors.DtypeError, ValueError)):
        tolerance(nothing)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [0.0, -10.0], 1.25),
        ([0.0, 3.0], [0.0, 0.0], 3.0),
        ([], [], 0.0),
        ([np.nan], [np.nan], np.inf),
        ([1.0], [np.inf], np.inf),
        ([3 + 4j], [0j], 5.0),
    ],
)
def test_scaled_error(a, b, expected):
    assert scaled_error(a, b) == expected


def test_scaled_error_of_small_dtypes_and_other_shapes():
    assert scaled_error(np.array([60000], np.float16), np.array([-60000], np.float16)) == 2.0
    assert scaled_error(np.array([0], np.uint8), np.array([1], np.uint8)) == 1.0
    with pytest.raises(errors.ShapeError):
        scaled_error(np.zeros((2, 1)), np.zeros(2))


def test_digits():
    assert [digits(e) for e in (0.0, 1e-17, 1e-3, 0.5, 1.0, np.inf, np.nan)] == [
        "to every digit", "to every digit", "to 3.0 digits", "to 0.3 digits", "to no digit", "to no digit",
        "to no digit",
    ]  # fmt: skip
