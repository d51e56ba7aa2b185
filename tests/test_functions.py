"""checkpoint and stop_gradient: the numbers, the memory, and what they refuse."""

import math
import tracemalloc

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import checkpoint, grad, hessian, jacobian, jvp, stop_gradient, vjp, vmap
from tinygrad_np.errors import AutogradError, BackwardError

X = np.array([0.5, 1.0, 2.0])
SIN, COS = np.sin(X), np.cos(X)


class Counted:
    """A function that counts its calls."""

    def __init__(self, f):
        self.f, self.calls, self.__name__ = f, 0, "counted"

    def __call__(self, *args, **options):
        self.calls += 1
        return self.f(*args, **options)


# -- checkpoint: what it saves and what it costs ------------------------------------------------


def steps(x, length):
    for _ in range(length):
        x = np.tanh(x) * 1.01
    return x


def peak_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_largest_memory_of_a_deep_chain_is_that_of_its_parts():
    x = parameter(np.linspace(-1, 1, 50_000))

    def step(part):
        y = x
        for _ in range(8):
            y = part(y)
        y.sum().backward()

    # Without, 64 results are kept; with, the results of 8 parts and what one part makes.
    without = peak_of(lambda: step(lambda y: steps(y, 8))) / x.nbytes
    reference, x.grad = x.grad, None
    saved = peak_of(lambda: step(checkpoint(lambda y: steps(y, 8)))) / x.nbytes
    equal(x.grad, reference.data)
    assert without > 64
    assert saved < 24


def test_the_tape_has_the_call_and_its_results():
    x, w = parameter(X, name="x"), parameter(2.0, name="w")
    y = checkpoint(lambda x: np.exp(np.sin(w * x) ** 2))(x)
    assert {node.name for node in tg.tape(y) if node.is_leaf} == {"x", "w"}
    assert len(tg.tape(y)) == 4


def test_the_function_runs_twice_for_a_gradient_and_once_without():
    f = Counted(np.sin)
    y = checkpoint(f)(parameter(X))
    assert f.calls == 1
    y.sum().backward()
    assert f.calls == 2
    with tg.no_grad():
        checkpoint(f)(parameter(X))
    checkpoint(f)(X)
    assert f.calls == 4


def test_parts_that_no_gradient_goes_through_do_not_run_again():
    f = Counted(np.sin)
    x = parameter(X)
    used, _ = x * 2, checkpoint(f)(x)
    used.sum().backward()
    assert f.calls == 1


# -- checkpoint: the same numbers ---------------------------------------------------------------


def test_parameters_that_are_no_arguments_get_their_gradients():
    x, w = parameter(X), parameter(2.0)
    checkpoint(lambda x: np.sin(w * x))(x).sum().backward()
    equal(x.grad, 2 * np.cos(2 * X))
    equal(w.grad, np.sum(X * np.cos(2 * X)))


def test_an_input_that_came_from_another_input():
    # h came from w: what w gets through h is not the business of the call.
    x, w = parameter(X), parameter(2.0)
    checkpoint(lambda h: h * w)(x * w).sum().backward()
    equal(w.grad, 4 * np.sum(X))
    equal(x.grad, np.full(3, 4.0))


def powers(wrap, count):
    times = wrap(lambda x, w: x * w)

    def f(w, x):
        for _ in range(count):
            x = times(x, w)
        return np.sum(x)

    return f


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_recurrence_with_shared_weights(order):
    f = powers(checkpoint, 6)
    for _ in range(order):
        f = grad(f)
    equal(f(1.5, X), math.perm(6, order) * 1.5 ** (6 - order) * np.sum(X))


def test_a_long_recurrence_runs_each_part_twice():
    step = Counted(lambda x, w: x * w)
    equal(grad(powers(lambda _: checkpoint(step), 60))(1.0, X), 60 * np.sum(X))
    assert step.calls == 120


def test_a_long_recurrence_in_forward_mode_runs_each_part_twice():
    step = Counted(lambda x, w: x * w)
    # Few, so that a number of calls that doubles with each part fails instead of never ending.
    equal(jvp(powers(lambda _: checkpoint(step), 10), (1.0, X), (1.0, 0 * X))[1], 10 * np.sum(X))
    assert step.calls == 20


def test_several_nested_results_and_options():
    @checkpoint
    def f(tree, *, scale=1.0):
        return {"s": np.sin(tree["a"]) * scale, "rest": (tree["b"] * tree["a"], "text", 7.0, None)}

    def loss(tree):
        out = f(tree, scale=3.0)
        assert out["rest"][1:] == ("text", 7.0, None)
        return np.sum(out["s"]) + 2 * np.sum(out["rest"][0])

    g = grad(loss)({"a": X, "b": 5.0})
    equal(g["a"], 3 * COS + 10)
    equal(g["b"], 2 * np.sum(X))


def test_results_of_which_one_is_not_used_or_one_is_used_twice():
    both = checkpoint(lambda x: (np.sin(x), np.cos(x)))
    equal(grad(lambda x: both(x)[0])(0.5), np.cos(0.5))
    equal(grad(lambda x: both(x)[1])(0.5), -np.sin(0.5))
    twice = checkpoint(lambda x: (lambda s: (s, s))(np.sin(x)))
    equal(grad(lambda x: twice(x)[0] * twice(x)[1])(0.5), 2 * np.sin(0.5) * np.cos(0.5))


def test_results_that_are_arguments_or_constants():
    equal(grad(checkpoint(lambda x: x))(2.0), 1)
    equal(checkpoint(lambda x: np.ones(2))(parameter(X)), [1, 1])
    assert type(checkpoint(np.sin)(X)) is np.ndarray


def test_checkpoints_in_checkpoints():
    f = checkpoint(lambda x: checkpoint(np.sin)(x) * checkpoint(np.exp)(x))
    equal(grad(f)(0.5), np.exp(0.5) * (np.sin(0.5) + np.cos(0.5)))
    equal(grad(grad(f))(0.5), 2 * np.exp(0.5) * np.cos(0.5))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_second_order(mode):
    f = lambda x: np.sum(checkpoint(lambda x: x**3)(x))
    equal(hessian(f, mode=mode)(X), np.diag(6 * X))
    equal(jacobian(checkpoint(np.sin), mode=mode)(X), np.diag(COS))


def test_create_graph():
    x = parameter(X)
    checkpoint(np.sin)(x).sum().backward(create_graph=True)
    gradient, x.grad = x.grad, None
    gradient.sum().backward()
    equal(x.grad, -SIN)


def test_forward_mode():
    value, tangent = jvp(checkpoint(np.sin), (X,), (X,))
    equal(value, SIN)
    equal(tangent, COS * X)
    equal(jvp(powers(checkpoint, 5), (1.5, X), (1.0, 0 * X))[1], 5 * 1.5**4 * np.sum(X))
    equal(jvp(lambda x: jvp(checkpoint(np.sin), (x,), (X,))[1], (X,), (X,))[1], -SIN * X**2)


def test_a_pullback_outlives_its_call():
    w = parameter(2.0)
    _, pull = vjp(checkpoint(lambda x: np.sin(w * x)), X)
    for _ in range(2):
        (g,) = pull(np.ones(3))
        equal(g, 2 * np.cos(2 * X))
    g.sum().backward()
    equal(w.grad, np.sum(np.cos(2 * X) - 2 * X * np.sin(2 * X)))


def test_vmap_and_complex_numbers():
    f = lambda x: np.sum(checkpoint(np.sin)(x) ** 2)
    equal(vmap(grad(f))(np.stack([X, 2 * X])), np.stack([np.sin(2 * X), np.sin(4 * X)]))
    # For a holomorphic h the gradient of |h|^2 is 2 h conj(h').
    z = 0.5 + 0.25j
    equal(grad(lambda z: np.abs(checkpoint(np.exp)(z)) ** 2)(z), 2 * np.exp(z) * np.conj(np.exp(z)))


def test_in_debug_mode_and_backward_under_no_grad():
    x = parameter(X)
    with tg.debug():
        checkpoint(np.sin)(x).sum().backward()
    equal(x.grad, COS)
    y, x.grad = checkpoint(lambda x: checkpoint(np.sin)(x))(x).sum(), None
    with tg.no_grad():
        y.backward()
    equal(x.grad, COS)


# -- checkpoint: what it refuses ----------------------------------------------------------------


def test_a_function_that_draws_random_numbers():
    rng = np.random.default_rng(0)
    y = checkpoint(lambda x: x * rng.normal(size=3))(parameter(X)).sum()
    with pytest.raises(BackwardError, match=r"lambda.*other numbers.*random"):
        y.backward()


def test_parameters_updated_before_backward():
    w = parameter(X)
    y = checkpoint(np.sin)(w).sum()
    w.data -= 0.1
    with pytest.raises(BackwardError, match=r"changed since.*after backward"):
        y.backward()


def test_a_parameter_that_requires_grad_no_more_is_not_cut_silently():
    x, w = parameter(X), parameter(2.0)
    y = checkpoint(lambda x: x * w)(x).sum()
    w.requires_grad = False
    try:
        y.backward()
    except AutogradError:
        return
    # Without checkpoint the graph is as it was recorded.
    equal(w.grad, np.sum(X))


def test_a_parameter_made_inside():
    with pytest.raises(AutogradError, match=r"parameter.*Make it outside"):
        checkpoint(lambda x: x * parameter(2.0))(parameter(X))


def test_a_tape_that_was_used_up():
    y = checkpoint(np.sin)(parameter(X)).sum()
    y.backward()
    with pytest.raises(BackwardError, match="retain_graph"):
        y.backward()


# -- stop_gradient ------------------------------------------------------------------------------


def test_stop_gradient():
    equal(grad(lambda x: x * stop_gradient(x))(3.0), 3)
    equal(jvp(lambda x: x * stop_gradient(x), (3.0,), (1.0,))[1], 3)
    equal(grad(lambda x: x * stop_gradient(grad(lambda y: y**3)(x)))(2.0), 12)
    assert stop_gradient({"a": [1.0, "text"], "b": None}) == {"a": [1.0, "text"], "b": None}
    tree = stop_gradient({"a": parameter(X), "b": [parameter(2.0)]})
    assert not tree["a"].requires_grad
    assert not tree["b"][0].requires_grad
    equal(grad(lambda p: p[0] * stop_gradient(p)[1])([2.0, 3.0]), [3, 0])
