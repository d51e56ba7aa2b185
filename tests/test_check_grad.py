"""check_grad on right gradients, and on wrong ones planted with custom_gradient."""

import re

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import errors
from tinygrad_np.testing import GradientCheckError, check_grad

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, 0.5], [-0.3, 2.0], [0.7, -1.2]])
SQUARE = np.array([[1.0, 2.0], [-0.5, 3.0]])


def planted(value, pull):
    """A function with a gradient of its own, here a wrong one: `pull(g, *args)`."""

    @tg.custom_gradient
    def wrong(*args):
        return value(*args), lambda g: pull(g, *args)

    return wrong


# -- right gradients pass -------------------------------------------------------------------------

RIGHT = {
    "vector result": (lambda x: np.tanh(x @ W), [X]),
    "two arguments": (lambda x, w: np.sum(np.exp(x @ w)), [X, W]),
    "several results": (lambda x: {"a": np.sin(x), "b": [x.sum(), np.argmax(x)]}, [X]),
    "0-d": (np.sin, [np.array(1.0)]),
    "a number": (np.exp, [1.0]),
    "an empty array beside": (lambda x, y: np.sum(x**3) + np.sum(y), [X, np.zeros((0, 2))]),
    "broadcasting": (lambda x, b: x * b, [X, np.array([1.0, 2.0, 3.0])]),
    "complex": (lambda z, x: np.abs(z @ z) ** 2 * x, [SQUARE + 1j, np.array([1.0, 2.0])]),
    "complex result": (lambda z: np.exp(z) * 1j, [SQUARE + 1j]),
    "labels": (lambda x, y: tg.cross_entropy(x, y), [X, np.array([2, 0])]),
    "structures": (lambda p, x: x @ p["W"] + p["b"][0], [{"W": W, "b": [np.ones(2)]}, X]),
    "large": (lambda x: tg.relu(x @ np.linspace(-1, 1, 900).reshape(30, 30)), [np.linspace(-1, 2, 210).reshape(7, 30)]),
    "large and complex": (lambda z: np.sum(np.abs(z) ** 2) * z[:3], [np.linspace(-1, 1, 100) * (2 + 1j)]),
    "tiny values": (lambda x: 1e-12 * np.sum(x**2), [X]),
    "huge values": (lambda x: 1e12 * np.sum(x**2), [X]),
    "a gradient of 0": (lambda x: np.sum(tg.softmax(x)), [X]),
    "no argument used": (lambda x, y: np.sum(x**2), [X, W]),
    "not contiguous": (lambda x: np.sin(x), [X.T[::-1]]),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name, order):
    f, arrays = RIGHT[name]
    assert check_grad(f, *arrays, order=order).error < 1e-6


@pytest.mark.parametrize("modes", [("forward",), ("reverse",), ["reverse", "forward"]])
@pytest.mark.parametrize("name", ["two arguments", "several results", "complex", "large"])
def test_each_mode_alone(name, modes):
    f, arrays = RIGHT[name]
    assert check_grad(f, *arrays, modes=modes).modes == tuple(modes)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.complex64])
@pytest.mark.parametrize("seed", range(5))
def test_other_dtypes(dtype, seed):
    f = lambda x, w: np.mean(np.tanh(x @ w) * 3, axis=0)
    check_grad(f, X.astype(dtype), W.astype(dtype), seed=seed)


def test_single_precision_inside():
    # Differences of float32 numbers are good to three digits, and the check knows.
    check_grad(lambda x: np.sum(np.exp(x.astype(np.float32)) * 2), X, rtol=1e-2)


def test_third_order():
    assert "orders 1 to 3" in str(check_grad(lambda x: np.sum(x**4), X, order=3))


# -- wrong ones do not ----------------------------------------------------------------------------

BUFFER = np.zeros(X.shape)


def in_a_buffer(g, x):
    BUFFER[...] = g * np.cos(x)
    return BUFFER


def kept_and_changed(x):
    slope = np.cos(x)

    def pull(g):
        slope[...] *= 2
        return g * slope / 2

    return np.sin(x), pull


def writes_into_g(g, x):
    g *= np.cos(x)
    return g


def writes_into_x(g, x):
    x += 1e-3
    return g * np.cos(x)


WRONG = {
    "factor": (np.sin, lambda g, x: 3 * g * np.cos(x), [X], "Everywhere it is 3 times"),
    "a small factor": (np.sin, lambda g, x: 1.0001 * g * np.cos(x), [X], "wrong in 6 of 6"),
    "sign": (np.sin, lambda g, x: -g * np.cos(x), [X], "Everywhere it is -1 times"),
    "one entry": (np.sin, lambda g, x: g * (np.cos(x) + (x == 2.0)), [X], r"entry \[0, 2\]"),
    "cut": (lambda x: np.sin(x), lambda g, x: None, [X], "0 everywhere"),
    "g left out": (np.sin, lambda g, x: np.cos(x), [X], "half the cotangent"),
    "buffer": (np.sin, in_a_buffer, [X], "two calls on one tape"),
    "cotangent changed": (np.sin, writes_into_g, [X], "changed the cotangent"),
    "argument changed": (np.sin, writes_into_x, [X], r"changed argument 0.*x = |changed argument 0"),
    "transposed": (
        lambda x, w: x @ w, lambda g, x, w: (g @ w, x.T @ g), [SQUARE, SQUARE.T + 0.5], "argument 0"
    ),
    "inputs swapped": (lambda x, y: x - y, lambda g, x, y: (-g, g), [X, 2 * X], "Everywhere it is -1 times"),
    "mean for sum": (np.sum, lambda g, x: g * np.ones(x.shape) / x.size, [X], "0.166667 times"),
    "nan": (np.square, lambda g, x: g * x * np.where(x > 1.9, np.nan, 2), [X], r"nan at \[0, 2\]"),
    "3x for x**2": (np.square, lambda g, x: 3 * g * x, [X], "1.5 times"),
}  # fmt: skip


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_caught(name, order):
    value, pull, arrays, words = WRONG[name]
    with pytest.raises(GradientCheckError, match=words):
        check_grad(planted(value, pull), *arrays, order=order)


@pytest.mark.parametrize("name", ["factor", "sign", "one entry", "transposed", "inputs swapped", "cut"])
def test_wrong_rules_are_caught_without_entries_in_large_arrays_and_in_single_precision(name):
    value, pull, arrays, _ = WRONG[name]
    for options in ({"entries": 0}, {"modes": ("forward",)}, {"modes": ("reverse",), "directions": 0}):
        with pytest.raises(GradientCheckError):
            check_grad(planted(value, pull), *arrays, **options)
    with pytest.raises(GradientCheckError):
        check_grad(planted(value, pull), *[a.astype(np.float32) for a in arrays])


def test_a_tape_that_is_worn_by_walking_it():
    with pytest.raises(GradientCheckError, match="a second time"):
        check_grad(tg.custom_gradient(kept_and_changed), X)


def test_gradients_that_share_memory(monkeypatch):
    # The engine never gives such ones, whatever a rule returns.
    shared = np.ones(3)
    monkeypatch.setattr("tinygrad_np.testing.walks.vjp", lambda f, *xs: (f(*xs), lambda gs: (shared, shared[:])))
    with pytest.raises(GradientCheckError, match=r"argument 0 .*shares memory"):
        check_grad(lambda x, y: np.sum(x + y), np.arange(3.0), np.ones(3))


def test_forward_mode_that_does_not_fit_reverse_mode(monkeypatch):
    right = tg.jvp
    monkeypatch.setattr(
        "tinygrad_np.testing.walks.jvp", lambda f, xs, ts: (f(*xs), [1.001 * t for t in right(f, xs, ts)[1]])
    )
    with pytest.raises(GradientCheckError, match=r"forward mode \(jvp\) says"):
        check_grad(np.sin, X)


def test_scale_hides_nothing():
    for scale in (1e-14, 1e14):
        with pytest.raises(GradientCheckError):
            check_grad(planted(lambda x: scale * np.sin(x), lambda g, x: 1.01 * scale * g * np.cos(x)), X)


def test_one_wrong_entry_of_many_is_seen_by_a_direction():
    big = np.linspace(-1, 1, 5000)
    wrong = planted(np.sin, lambda g, x: g * np.cos(x) * np.where(np.arange(5000) == 4321, 2, 1))
    with pytest.raises(GradientCheckError, match="Along a random direction"):
        check_grad(wrong, big)


def first_order_only(g, x):
    return g * (x + tg.stop_gradient(x))


def test_a_wrong_second_derivative_is_caught_at_order_2_only():
    f = planted(np.square, first_order_only)
    check_grad(f, X)
    with pytest.raises(GradientCheckError, match=r"second derivative of wrong.*0\.5 times"):
        check_grad(f, X, order=2)


def test_forward_that_is_not_the_transpose_of_reverse():
    f = planted(np.sin, lambda g, x: g * np.cos(x) + 0 * np.sum(g))
    check_grad(f, X)
    nonlinear = planted(np.sin, lambda g, x: g * np.abs(g) * np.cos(x))
    with pytest.raises(GradientCheckError):
        check_grad(nonlinear, X)


def test_a_cut_inside_an_ordinary_function():
    with pytest.raises(GradientCheckError, match="cut on the way"):
        check_grad(lambda x: np.sum(tg.stop_gradient(x) ** 2), X)
    with pytest.raises(GradientCheckError):
        check_grad(lambda x: np.sum(tg.stop_gradient(x) * x), X)


def test_other_numbers_for_tensors_than_for_arrays():
    with pytest.raises(GradientCheckError, match="for tensors"):
        check_grad(lambda x: x * (2 if isinstance(x, tg.Tensor) else 3), X)
    with pytest.raises(GradientCheckError, match="for tensors"):
        check_grad(lambda x: x.sum() if isinstance(x, tg.Tensor) else x, X)


# -- what the message says ------------------------------------------------------------------------


def test_the_message_names_everything():
    def model(x, weights):
        return np.sum(x @ planted(np.sin, lambda g, w: 2 * g * np.cos(w))(weights))

    with pytest.raises(GradientCheckError) as caught:
        check_grad(model, X, W, seed=7)
    text = str(caught.value)
    assert isinstance(caught.value, AssertionError)
    for words in ("gradient of model", "argument 1 (weights)", "shape (3, 2)", "seed 7", "wrong in 6 of 6", "2 times"):
        assert words in text
    # A loss is not weighted, so the numbers are its own.
    i, j, claimed, right = re.search(r"entry \[(\d), (\d)\] reverse mode says (\S+), differences (\S+)", text).groups()
    exact = (np.cos(W) * X.sum(axis=0)[:, None])[int(i), int(j)]
    np.testing.assert_allclose([float(claimed), float(right)], [2 * exact, exact], rtol=1e-6)


def test_a_named_tensor_and_an_array_inside_a_structure_are_named():
    bad = planted(np.sin, lambda g, x: 2 * g * np.cos(x))
    with pytest.raises(GradientCheckError, match=r"argument 0 \(gain\)"):
        check_grad(lambda t: bad(t), tg.Tensor(X, requires_grad=True, name="gain"))
    with pytest.raises(GradientCheckError, match=r"argument 0 \(p\), array 1 in it"):
        check_grad(lambda p: p[0].sum() + bad(p[1]).sum(), [X, W])


def test_the_seed_decides_what_is_looked_at():
    seen = []

    def f(x):
        seen.append(np.asarray(tg.stop_gradient(x)).copy()) if isinstance(x, np.ndarray) else None
        return np.sum(x**2)

    runs = []
    for seed in (1, 1, 2):
        seen.clear()
        check_grad(f, np.linspace(1, 2, 200), seed=seed)
        runs.append(np.array(seen))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_what_was_checked_is_said():
    small = check_grad(lambda x: np.sum(np.abs(x)), np.array([0.0, 1.0, -2.0]), seed=3)
    assert (small.size, small.entries, small.directions, small.kinks) == (3, 2, 0, 1)
    assert "2 entries (all)" in str(small)
    assert "1 left out on kinks" in str(small)
    assert "seed 3" in str(small)
    large = check_grad(lambda x: np.sum(x**2), np.ones((20, 20)), entries=10, directions=3)
    assert (large.size, large.entries, large.directions) == (400, 10, 3)
    assert "10 entries (sampled) and 3 directions" in str(large)


# -- what cannot be checked -----------------------------------------------------------------------


def test_kinks_are_left_out_whatever_the_convention():
    for at_zero in (0.0, 0.5, 1.0):
        relu = planted(lambda x: np.maximum(x, 0), lambda g, x, s=at_zero: g * np.where(x == 0, s, x > 0))
        assert check_grad(relu, np.array([-1.0, 0.0, 2.0])).kinks == 1


def test_another_direction_is_taken_where_one_runs_into_a_kink():
    # A corner 4e-6 away in every entry: a direction comes near it if its entries do not cancel.
    report = check_grad(lambda x: np.abs(np.sum(x) - 4e-6), np.zeros(400), directions=12, entries=5)
    assert report.directions >= 10


@pytest.mark.parametrize(
    ("f", "arrays", "options"),
    [
        (tg.relu, [np.zeros(3)], {}),
        (np.sum, [np.zeros((0, 3))], {}),
        (np.sin, [X], {"entries": 0, "directions": 0}),
    ],
)
def test_a_check_that_checks_nothing_fails(f, arrays, options):
    with pytest.raises(GradientCheckError, match="nothing of it could be checked"):
        check_grad(f, *arrays, **options)


def test_numbers_that_drown_in_rounding_are_not_said_to_be_right():
    with pytest.raises(GradientCheckError, match="drown in rounding"):
        check_grad(lambda x: np.sum((x + 1e10) - 1e10), X)


def in_place(x):
    x *= 2
    return np.sum(x)


def in_place_beside(x, y):
    y += 1
    return np.sum(x * y)


def writes_when_given_tensors(x, y):
    y[0] += isinstance(x, tg.Tensor)
    return np.sum(x)


def random_one(rng):
    return lambda x: np.sum(x * rng.normal(size=x.shape))


@pytest.mark.parametrize(
    ("f", "arrays", "error", "words"),
    [
        (np.sum, [], errors.DtypeError, "nothing to differentiate"),
        (np.sum, [np.arange(3)], errors.DtypeError, "int64"),
        (np.sum, [tg.Tensor(X)], errors.DtypeError, "requires_grad=True"),
        (np.argmax, [X], errors.DtypeError, "no floating-point numbers"),
        (lambda x: np.log(x), [np.array([1.0, -1.0])], errors.NonFiniteError, "at the point itself"),
        (np.sum, [np.array([1.0, np.nan])], errors.NonFiniteError, r"argument 0 .*nan at \[1\]"),
        (np.sqrt, [np.array([1.0, 1e-9])], errors.NonFiniteError, r"entry \[1\] of argument 0"),
        (in_place, [X], errors.InPlaceError, r"argument 0 \(x\)"),
        (in_place_beside, [X, np.arange(3)], errors.InPlaceError, "wrote into an array"),
        (writes_when_given_tensors, [X, np.arange(3)], errors.InPlaceError, "wrote into an array"),
        (random_one(np.random.default_rng(0)), [X], errors.AutogradError, "random"),
    ],
)
def test_refused(f, arrays, error, words):
    with np.errstate(all="ignore"), pytest.raises(error, match=words):
        check_grad(f, *arrays)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"order": 0}, errors.RangeError),
        ({"modes": ("backward",)}, ValueError),
        ({"modes": "reverse"}, ValueError),
        ({"modes": ()}, ValueError),
        ({"argnums": 1}, IndexError),
        ({"rtol": -1}, errors.RangeError),
        ({"seed": -1}, errors.RangeError),
        ({"entries": 1.5}, errors.RangeError),
    ],
)
def test_refused_options(options, error):
    with pytest.raises(error, match=str(next(iter(options)))):
        check_grad(np.sin, X, **options)


def test_argnums_choose():
    bad = planted(lambda x, y: x * y, lambda g, x, y: (g * y, 2 * g * x))
    assert check_grad(bad, X, 2 * X, argnums=0).size == X.size
    assert check_grad(lambda x, y: x * y, X, 2 * X, argnums=(-1, 0)).size == 2 * X.size
    with pytest.raises(GradientCheckError, match="argument 1"):
        check_grad(bad, X, 2 * X, argnums=[1])
    with pytest.raises(errors.DtypeError, match="argument 1"):
        check_grad(lambda x, y: x * y, X, np.arange(3), argnums=1)


def test_tensors_that_require_no_grad_are_data():
    w = tg.Tensor(W, requires_grad=True)
    assert check_grad(lambda x, w: x @ w, tg.Tensor(X), w).size == W.size
    assert w.grad is None


def test_tolerances_given_are_absolute():
    slightly = planted(np.sin, lambda g, x: g * np.cos(x) + 1e-4 * np.sum(g))
    with pytest.raises(GradientCheckError):
        check_grad(slightly, X)
    check_grad(slightly, X, atol=1e-2)
    check_grad(slightly, X, rtol=1e-1)
    flat = planted(lambda x: 1e-6 * np.sin(x), lambda g, x: 2e-6 * g * np.cos(x))
    check_grad(flat, X, atol=1e-3)


def test_it_works_without_recording_outside():
    with tg.no_grad():
        check_grad(np.sin, X, order=2)
    with pytest.raises(GradientCheckError), tg.no_grad():
        check_grad(planted(np.sin, lambda g, x: 3 * g * np.cos(x)), X)
