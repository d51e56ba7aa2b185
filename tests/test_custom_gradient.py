"""custom_gradient: the gradient it says, for any form of arguments, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
from tensors import equal, parameter

from tinygrad_np import Tensor, custom_gradient, grad, hessian, jvp, vjp, vmap
from tinygrad_np.errors import BackwardError, DetachError

X = np.array([0.5, 1.0, 2.0])
SIN, COS = np.sin(X), np.cos(X)


@custom_gradient
def product(x, y):
    return x * y, lambda g: (g * y, g * x)


@custom_gradient
def bare_sine(x):
    """Code that is not NumPy's."""
    return math.sin(x), lambda g: g * math.cos(x)


def test_values_and_gradients():
    assert product(2.0, 3.0) == 6
    assert type(product(2.0, 3.0)) is float
    assert not product(Tensor(2.0), 3.0).requires_grad
    equal(grad(product, (0, 1))(2.0, 3.0), (3, 2))
    equal(grad(lambda x: product(x, x))(3.0), 6)
    x = parameter(2.0)
    product(x, Tensor(3.0)).backward()
    equal(x.grad, 3)


def test_the_gradient_is_the_one_it_says():
    clipped = custom_gradient(lambda x: (x, lambda g: np.clip(g, -1, 1)))
    equal(grad(lambda x: np.sum(100 * clipped(x)))(X), np.ones(3))
    rounded = custom_gradient(lambda x: (np.round(x), lambda g: g))
    equal(grad(lambda x: np.sum(rounded(x) ** 2))(X), 2 * np.round(X))


def test_second_derivatives_and_forward_mode_if_written_in_numpy():
    square = custom_gradient(lambda x: (x * x, lambda g: g * 2 * x))
    equal(grad(grad(grad(lambda x: square(x) * x)))(3.0), 6)
    for mode in ("forward", "reverse"):
        equal(hessian(lambda x: np.sum(square(x) * x), mode=mode)(X), np.diag(6 * X))
        equal(hessian(product, (0, 1), mode=mode)(2.0, 3.0), ((0, 1), (1, 0)))
    equal(jvp(square, (X,), (SIN,))[1], 2 * X * SIN)
    equal(jvp(product, (2.0, 3.0), (1.0, 10.0))[1], 23)


def test_code_outside_numpy_has_one_derivative():
    equal(grad(bare_sine)(0.5), np.cos(0.5))
    equal(jvp(bare_sine, (0.5,), (2.0,))[1], 2 * np.cos(0.5))
    with pytest.raises(DetachError):
        grad(grad(bare_sine))(0.5)
    with pytest.raises(DetachError):
        bare_sine(parameter(0.5)).backward(create_graph=True)


@pytest.mark.filterwarnings("ignore::tinygrad_np.errors.LoopWarning")
def test_vmap_of_a_custom_gradient():
    equal(vmap(grad(product, (0, 1)), in_axes=(0, None))(X, 2.0), (np.full(3, 2.0), X))
    equal(grad(lambda y: np.sum(vmap(lambda x: product(x, y))(X)))(2.0), np.sum(X))
    equal(vmap(grad(bare_sine))(X), COS)


@dataclasses.dataclass
class Pair:
    a: object
    b: object


DICT, PAIR = {"a": 2.0, "b": 3.0}, Pair(2.0, 3.0)


@pytest.mark.parametrize(
    ("arg", "f", "expected"),
    [
        (DICT, lambda p: (p["a"] * p["b"], lambda g: {"a": g * p["b"], "b": g * p["a"]}), {"a": 3, "b": 2}),
        (DICT, lambda p: (p["a"] * p["b"], lambda g: {"b": g * p["a"], "a": g * p["b"]}), {"a": 3, "b": 2}),
        (DICT, lambda p: (p["a"] * p["b"], lambda g: ({"a": g * p["b"], "b": None},)), {"a": 3, "b": 0}),
        (PAIR, lambda p: (p.a * p.b, lambda g: Pair(g * p.b, g * p.a)), Pair(3, 2)),
        (PAIR, lambda p: (p.a * p.b, lambda g: Pair(None, g * p.a)), Pair(0, 2)),
        (DICT, lambda p: (p["a"] * p["b"], lambda g: None), {"a": 0, "b": 0}),
        ([2.0, (3.0,)], lambda p: (p[0] * p[1][0], lambda g: ([g * p[1][0], (g * p[0],)],)), [3, (2,)]),
    ],
    ids=["dict", "keys in another order", "None in a dict", "dataclass", "None in a dataclass", "None", "list"],
)
def test_gradients_of_trees(arg, f, expected):
    got = grad(custom_gradient(f))(arg)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("setting", [None, "mode", np.sin, 3])
def test_settings_among_the_arguments(setting):
    f = custom_gradient(lambda x, setting, k=1: (x * k, lambda g: (g * k, None)))
    equal(grad(f)(2.0, setting, k=3.0), 3)


def test_several_results():
    @custom_gradient
    def both(x):
        def pull(g):
            return g["s"] * np.cos(x) - g["rest"][0] * np.sin(x)

        return {"s": np.sin(x), "rest": (np.cos(x), 5.0, None, "text")}, pull

    def f(x):
        out = both(x)
        assert out["rest"][2:] == (None, "text")
        return np.sum(out["s"] + 10 * out["rest"][0])

    equal(grad(f)(X), COS - 10 * SIN)
    # Nothing is computed from the cosine: its cotangent is zero.
    equal(grad(lambda x: np.sum(both(x)["s"]))(X), COS)


def test_a_result_of_whole_numbers_stands_beside():
    ranked = custom_gradient(lambda x: ((2 * x, np.argsort(x)), lambda g: 2 * g[0]))
    equal(grad(lambda x: np.sum(ranked(x)[0]))(X), np.full(3, 2.0))


def test_the_convention_for_complex_numbers_is_that_of_vjp():
    z = 0.5 + 0.25j
    square = custom_gradient(lambda z: (z * z, lambda g: g * np.conj(2 * z)))
    for f in (square, lambda z: z * z):
        equal(vjp(f, z)[1](1j)[0], 1j * np.conj(2 * z))
        equal(jvp(f, (z,), (1j,))[1], 2j * z)


def test_the_gradient_takes_the_dtype_of_its_argument():
    g = grad(custom_gradient(lambda x: (x * 2, lambda g: np.float64(2) * g)))(np.float32(2))
    assert (g, g.dtype) == (2, np.float32)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda x, y: (x * y, lambda g: (np.sum(g), g)), BackwardError, r"shape \(\).*shape \(3,\)"),
        (lambda x, y: (x * y, lambda g: g), BackwardError, "for 2 arguments"),
        (lambda x, y: (x * y, lambda g: (g, g, g)), BackwardError, "3 gradients for 2 arguments"),
        (lambda x, y: x * y, TypeError, r"not a pair \(value, pull\)"),
    ],
)
def test_what_a_custom_gradient_may_not_give(f, error, message):
    with pytest.raises(error, match=message):
        grad(lambda x, y: np.sum(custom_gradient(f)(x, y)), (0, 1))(X, X)


W = parameter(2.0)


@pytest.mark.parametrize("f", [lambda x: (x * W, lambda g: g * 2), lambda x: (x * 2, lambda g: g * W)])
def test_a_tensor_that_is_no_argument(f):
    with pytest.raises(DetachError, match=r"argument"):
        custom_gradient(f)(parameter(1.0)).backward()
