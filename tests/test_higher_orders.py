"""Derivatives of derivatives: create_graph, nested gradients, ops with several results."""

import math

import numpy as np
import pytest
from tensors import equal, parameter

from tinygrad_np import Tensor, grad
from tinygrad_np.engine.op import op


def test_create_graph_to_third_order():
    x = parameter(2.0)
    y = x**5
    for expected in (80.0, 160.0, 240.0, 240.0, 120.0, 0.0):
        x.zero_grad()
        y.backward(create_graph=True)
        equal(x.grad, expected)
        y = x.grad
        if not y.requires_grad:
            break


def test_create_graph_on_arrays():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(3, 3))
    x = parameter(rng.normal(size=3))
    (x @ A @ x * np.sum(x)).backward(create_graph=True)
    v = rng.normal(size=3)
    gradient, x.grad = x.grad, None
    np.dot(gradient, v).backward()
    S, ones = A + A.T, np.ones(3)
    hessian = S * x.data.sum() + np.outer(S @ x.data, ones) + np.outer(ones, S @ x.data)
    equal(x.grad, hessian @ v)


def test_without_create_graph_gradients_are_constants():
    x = parameter(2.0)
    (x**3).backward()
    assert not x.grad.requires_grad
    x.zero_grad()
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad


def test_a_gradient_penalty():
    # f(w) = loss + |dloss/dw|^2 for loss = w^3: the derivative is 3 w^2 + 2 (3 w^2)(6 w).
    w = parameter(0.5)
    loss = w**3
    loss.backward(create_graph=True)
    gradient = w.grad
    w.zero_grad()
    (loss + gradient**2).backward()
    equal(w.grad, 3 * 0.25 + 36 * 0.125)


@pytest.mark.parametrize(
    ("f", "derivatives"),
    [
        (np.exp, [math.exp(0.4)] * 4),
        (np.sin, [math.cos(0.4), -math.sin(0.4), -math.cos(0.4), math.sin(0.4)]),
        (np.log, [1 / 0.4, -1 / 0.4**2, 2 / 0.4**3, -6 / 0.4**4]),
        (lambda x: 1 / x, [-1 / 0.4**2, 2 / 0.4**3, -6 / 0.4**4, 24 / 0.4**5]),
        (np.sqrt, [0.5 * 0.4**-0.5, -0.25 * 0.4**-1.5, 0.375 * 0.4**-2.5, -0.9375 * 0.4**-3.5]),
    ],
)
def test_four_derivatives(f, derivatives):
    for expected in derivatives:
        f = grad(f)
        equal(f(0.4), expected)


def test_nested_gradients_do_not_confuse_their_variables():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0) == 6
    assert grad(lambda x: x * grad(lambda y: x * y * y)(x))(3.0) == 54
    assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z**2)(y))(x))(3.0) == 8 * 3


def test_backward_inside_a_differentiated_function():
    w = parameter(2.0)

    def inner(x):
        (w * w * 5.0).backward()
        return x * w.grad.data

    assert grad(inner)(1.0) == 20


def test_pairs_of_derivatives_commute():
    f = lambda x, y: np.sin(x * y) * np.exp(x)
    xy = grad(lambda x, y: grad(f, 0)(x, y), 1)(0.3, 0.8)
    assert not isinstance(xy, Tensor)
    yx = grad(lambda x, y: grad(f, 1)(x, y), 0)(0.3, 0.8)
    p = 0.24
    equal(xy, math.exp(0.3) * (math.cos(p) - p * math.sin(p) + 0.3 * math.cos(p)))
    equal(yx, xy)


# -- ops with several results -----------------------------------------------------------------

sine_and_exp = op(
    lambda x: (np.sin(x), np.exp(x)),
    name="sine_and_exp",
    results=True,
    x=lambda g, x, out: g[0] * np.cos(x) + g[1] * out[1],
)
BOTH = {
    "first": (lambda s, e: s, lambda x: np.sin(x)),
    "second": (lambda s, e: e, lambda x: np.exp(x)),
    "both": (lambda s, e: s * e, lambda x: np.sin(x) * np.exp(x)),
    "one twice": (lambda s, e: s * e * e, lambda x: np.sin(x) * np.exp(x) ** 2),
    "nested": (lambda s, e: sine_and_exp(s)[1] * e, lambda x: np.exp(np.sin(x)) * np.exp(x)),
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("use", BOTH)
def test_several_results_used_in_part(use, order):
    combined, plain = BOTH[use]
    first, second = (lambda x: combined(*sine_and_exp(x))), plain
    for _ in range(order):
        first, second = grad(first), grad(second)
    equal(first(0.7), second(0.7))


def test_splitting_and_joining():
    x = parameter(np.arange(6.0))
    a, _, c = np.split(x, 3)
    (a * c).sum().backward()
    equal(x.grad, [4, 5, 0, 0, 0, 1])
