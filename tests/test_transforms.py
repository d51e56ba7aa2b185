"""grad, value_and_grad, vjp and jvp: trees of arguments, what comes out, and how they nest."""

from collections import namedtuple

import numpy as np
import pytest
from tensors import equal

import tinygrad_np as tg
from tinygrad_np import Tensor, grad, jvp, value_and_grad, vjp
from tinygrad_np.engine.op import op
from tinygrad_np.errors import BackwardError, DtypeError, NoRuleError, ShapeError

X = np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]])
Pair = namedtuple("Pair", "w b")


def loss(p, x):
    return np.sum((x * p["w"] + p["b"]) ** 2)


# -- trees ------------------------------------------------------------------------------------


def test_dicts():
    value, g = value_and_grad(loss)({"w": 2.0, "b": np.array([1.0, 0.0])}, np.array([1.0, 3.0]))
    # The residuals are 3 and 6.
    equal(value, 45)
    assert set(g) == {"w", "b"}
    equal(g["w"], 2 * (3 * 1 + 6 * 3))
    equal(g["b"], [6, 12])


def test_nested_lists_tuples_and_namedtuples():
    def f(tree):
        (a, b), (c, rest) = tree["layers"], tree["rest"]
        return np.sum(a.w * b) + np.sum(a.b) * c * rest["d"]

    tree = {"layers": (Pair(np.ones(2), np.full(3, 2.0)), np.array([3.0, 4.0])), "rest": [5.0, {"d": 6.0}]}
    g = grad(f)(tree)
    assert type(g["layers"]) is tuple
    assert type(g["layers"][0]) is Pair
    assert type(g["rest"]) is list
    equal(g["layers"][0].w, [3, 4])
    equal(g["layers"][0].b, [30, 30, 30])
    equal(g["layers"][1], [1, 1])
    equal(g["rest"][0], 36)
    equal(g["rest"][1]["d"], 30)


def test_empty_trees():
    assert grad(lambda p, x: np.sum(x), argnums=0)({}, X) == {}
    assert jvp(lambda p: 1.0, ([],), ([],)) == (1.0, 0)


# -- which arguments --------------------------------------------------------------------------


def product(x, y, z=1.0):
    return np.sum(x * x * y * z)


@pytest.mark.parametrize(
    ("argnums", "expected"), [(0, 12), (1, 4), (-1, 4), ((0, 1), (12, 4)), ((1,), (4,)), ((1, 0), (4, 12))]
)
def test_argnums(argnums, expected):
    g = grad(product, argnums)(2.0, 3.0)
    assert isinstance(g, tuple) == isinstance(expected, tuple)
    equal(g, expected)


def test_keyword_arguments_are_passed_on():
    equal(grad(product)(2.0, 3.0, z=5.0), 60)


def test_an_argument_that_does_not_matter_has_gradient_zero():
    g = grad(lambda x, y: np.sum(x), argnums=(0, 1))(X, np.ones((4, 1), np.float32))
    equal(g[0], np.ones((2, 3)))
    equal(g[1], np.zeros((4, 1)))
    assert g[1].dtype == np.float32


def test_a_function_that_ignores_its_arguments():
    equal(grad(lambda x: 3.0)(X), np.zeros((2, 3)))
    value, tangent = jvp(lambda x: np.ones(2), (X,), (X,))
    equal(value, [1, 1])
    equal(tangent, [0, 0])


def test_whole_numbers_may_stand_where_nothing_is_differentiated():
    equal(grad(lambda x, labels: np.sum(x[labels]))(np.ones(3), np.array([0, 0, 2])), [2, 0, 1])


# -- what comes out ---------------------------------------------------------------------------


def plain(value):
    return not isinstance(value, Tensor)


def test_arrays_in_arrays_out():
    assert plain(grad(np.sum)(X))
    assert all(map(plain, value_and_grad(np.sum)(X)))
    value, pull = vjp(np.exp, X)
    assert plain(value)
    assert plain(pull(X)[0])
    assert all(map(plain, jvp(np.exp, (X,), (X,))))
    assert all(plain(grad(grad(f))(0.5)) for f in (np.sin, lambda x: x * x))
    f = lambda x, y: x * x * y
    assert plain(grad(lambda x, y: grad(f, 1)(x, y), 0)(2.0, 3.0))
    assert plain(grad(lambda x, y: grad(f, 0)(x, y), 1)(2.0, 3.0))
    assert plain(jvp(lambda x: jvp(lambda y: x * y, (1.0,), (1.0,))[1], (2.0,), (1.0,))[1])


def test_arrays_do_not_share_memory_with_the_arguments():
    x = np.ones(3)
    (g,) = grad(lambda x: np.sum(x), (0,))(x)
    assert not np.shares_memory(g, x)
    _, pull = vjp(lambda x: x, x)
    cotangent = np.full(3, 2.0)
    (g,) = pull(cotangent)
    assert not np.shares_memory(g, cotangent)


def test_tensors_in_tensors_out():
    t = Tensor(X)
    assert isinstance(grad(np.sum)(t), Tensor)
    value, pull = vjp(np.exp, t)
    assert isinstance(value, Tensor)
    assert isinstance(pull(X)[0], Tensor)
    assert all(isinstance(v, Tensor) for v in jvp(np.exp, (t,), (X,)))


def test_the_dtype_of_the_argument_is_the_dtype_of_the_gradient():
    x = X.astype(np.float32)
    value, g = value_and_grad(lambda x: np.sum(np.exp(x)))(x)
    assert value.dtype == g.dtype == np.float32
    for f in (np.exp, np.max, np.std):
        assert jvp(f, (x,), (X,))[1].dtype == np.float32


def test_a_gradient_of_a_parameter_used_inside_is_recorded():
    w = Tensor(3.0, requires_grad=True)
    inner = grad(lambda x: w * x**2)(2.0)
    assert isinstance(inner, Tensor)
    equal(inner, 12)
    inner.backward()
    equal(w.grad, 4)
    with tg.no_grad():
        bare = grad(lambda x: w * x**2)(2.0)
    assert not isinstance(bare, Tensor)
    assert bare == inner.data == 12


def test_the_arguments_grad_is_left_alone():
    w = Tensor(3.0, requires_grad=True)
    equal(grad(lambda w: w * w)(w), 6)
    assert w.grad is None


# -- under no_grad ----------------------------------------------------------------------------


def test_transforms_work_under_no_grad():
    w = Tensor(3.0, requires_grad=True)
    with tg.no_grad():
        equal(grad(lambda x: x**3)(2.0), 12)
        equal(grad(grad(lambda x: x**3))(2.0), 12)
        equal(jvp(lambda x: x**3, (2.0,), (1.0,))[1], 12)
        equal(vjp(lambda x: x**3, 2.0)[1](1.0)[0], 12)
        inner = grad(lambda x: w * x**2)(2.0)
        assert not getattr(inner, "requires_grad", False)
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad


def test_no_grad_inside_a_differentiated_function_hides_its_block():
    def f(x):
        with tg.no_grad():
            scale = np.max(np.abs(x))
        return np.sum(x / scale)

    equal(grad(f)(np.array([1.0, -4.0])), [0.25, 0.25])


def test_recording_is_restored_after_an_error():
    w = Tensor(3.0, requires_grad=True)

    def fails(x):
        raise ZeroDivisionError

    with tg.no_grad():
        with pytest.raises(ZeroDivisionError):
            grad(fails)(1.0)
        assert not (w * 2).requires_grad


# -- vjp --------------------------------------------------------------------------------------


def test_vjp_is_the_transposed_jacobian():
    rng = np.random.default_rng(0)
    A, x, g = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=3)
    y, pull = vjp(lambda A, x: np.sin(A @ x), A, x)
    equal(y, np.sin(A @ x))
    dA, dx = pull(g)
    equal(dx, A.T @ (g * np.cos(A @ x)))
    equal(dA, np.outer(g * np.cos(A @ x), x))


def test_vjp_can_be_pulled_many_times():
    _, pull = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    jacobian = [pull(row)[0] for row in np.eye(2)]
    equal(jacobian, [[2, 0], [0, 4]])


def test_vjp_of_several_results():
    value, pull = vjp(lambda x: {"a": x * x, "b": (np.sum(x), 7.0)}, np.array([1.0, 2.0]))
    equal(value["b"][0], 3)
    (g,) = pull({"a": np.array([1.0, 10.0]), "b": (5.0, 1.0)})
    equal(g, [2 + 5, 40 + 5])


@pytest.mark.parametrize(
    ("f", "cotangent", "expected"),
    [
        (lambda x: (x, 2 * x), (1.0, 1.0), 3),
        (lambda x: (2 * x, x), (1.0, 10.0), 12),
        (lambda x: (x, x), (1.0, 10.0), 11),
        (lambda x: (lambda y: (y, np.exp(y), y))(3 * x), (1.0, 0.0, 10.0), 33),
    ],
    ids=["argument first", "argument last", "argument twice", "result twice"],
)
def test_vjp_where_results_are_arguments_or_one_another(f, cotangent, expected):
    equal(vjp(f, 0.5)[1](cotangent)[0], expected)


# -- jvp --------------------------------------------------------------------------------------


def test_jvp_is_the_jacobian_times_the_tangent():
    rng = np.random.default_rng(1)
    A, x, dA, dx = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=4)
    value, tangent = jvp(lambda A, x: np.sin(A @ x), (A, x), (dA, dx))
    equal(value, np.sin(A @ x))
    equal(tangent, np.cos(A @ x) * (dA @ x + A @ dx))


def test_jvp_of_trees():
    value, tangent = jvp(
        lambda p: {"y": p["a"] * p["b"], "z": p["a"]}, ({"a": 2.0, "b": X},), ({"a": 1.0, "b": np.ones((2, 3))},)
    )
    equal(value["y"], 2 * X)
    equal(tangent["y"], X + 2)
    equal(tangent["z"], 1)


cube = op(lambda x: x**3, name="cube", x=lambda g, x: g * 3 * x**2)
powers = op(
    lambda x: (x**2, x**3), name="powers", results=True, x=lambda g, x: g[0] * 2 * x + g[1] * 3 * x**2
)  # fmt: skip


def test_jvp_of_an_op_without_a_forward_rule():
    x, t = np.array([1.0, 2.0]), np.array([10.0, 1.0])
    value, tangent = jvp(cube, (x,), (t,))
    equal(value, [1, 8])
    equal(tangent, [30, 12])
    equal(jvp(lambda x: cube(cube(x)), (1.1,), (1.0,))[1], 9 * 1.1**8)
    _, tangents = jvp(powers, (x,), (t,))
    equal(tangents[0], [20, 4])
    equal(tangents[1], [30, 12])


def test_higher_orders_of_an_op_without_a_forward_rule():
    equal(grad(lambda x: jvp(cube, (x,), (1.0,))[1])(2.0), 12)
    equal(jvp(grad(cube), (2.0,), (1.0,))[1], 12)
    equal(jvp(lambda x: jvp(cube, (x,), (1.0,))[1], (2.0,), (1.0,))[1], 12)
    equal(grad(lambda x: jvp(lambda y: powers(y)[0] * powers(y)[1], (x,), (1.0,))[1])(2.0), 20 * 8)


def test_forward_over_reverse_is_a_hessian_vector_product():
    rng = np.random.default_rng(2)
    A, x, v = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    f = lambda x: np.sum(np.exp(A @ x))
    _, product = jvp(grad(f), (x,), (v,))
    equal(product, A.T @ (np.exp(A @ x) * (A @ v)))
    # Reverse over forward and reverse over reverse give the same.
    equal(grad(lambda x: jvp(f, (x,), (v,))[1])(x), product)
    equal(grad(lambda x: np.dot(grad(f)(x), v))(x), product)


def test_nested_forward_mode_does_not_confuse_its_variables():
    derivative = lambda f: lambda x: jvp(f, (x,), (1.0,))[1]
    equal(derivative(lambda x: x * derivative(lambda y: x + y)(1.0))(3.0), 1)
    equal(derivative(lambda x: x * derivative(lambda y: x * y)(1.0))(3.0), 6)
    equal(grad(lambda x: x * derivative(lambda y: x * y)(1.0))(3.0), 6)
    equal(derivative(lambda x: x * grad(lambda y: x * y)(1.0))(3.0), 6)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(np.exp)(X), BackwardError, r"one number.*\(2, 3\).*vjp"),
        (lambda: grad(np.sum)(np.arange(3)), DtypeError, r"int64.*\(3,\).*float"),
        (lambda: grad(np.sum)("text"), DtypeError, "holds none.*text"),
        (lambda: jvp(np.sum, (np.arange(3),), (np.ones(3),)), DtypeError, "jvp.*int64"),
        (lambda: grad(np.sum, 1)(X), IndexError, r"argument 1 of a call with 1 positional"),
        (lambda: grad(np.sum, (0, -3))(X), IndexError, "argument -3"),
        (lambda: vjp(np.exp, X)[1](np.ones(3)), ShapeError, r"\(3,\).*\(2, 3\)"),
        (lambda: vjp(lambda x: (x, x), X)[1](X), ShapeError, r"\(2, 3\)"),
        (lambda: jvp(np.exp, (X,), (np.ones(3),)), ShapeError, r"\(3,\).*\(2, 3\)"),
        (lambda: jvp(np.exp, (X,), ()), ShapeError, r"tangents has shapes \[\], where \[\(2, 3\)\]"),
        (lambda: grad(lambda x: np.sum(np.roots(x)))(X[0]), NoRuleError, "np.roots"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("result", [lambda x: None, lambda x: "text", lambda x: [x], lambda x: (x * x, 1)])
def test_a_function_that_gives_no_number_says_so(result):
    # None is a forgotten return: a gradient of zero would hide it.
    with pytest.raises(BackwardError, match="one number"):
        grad(result)(1.0)


def test_a_function_may_change_the_containers_it_is_given():
    def f(p):
        p["a"] = p["a"] * 2
        p["more"] = [1.0]
        return np.sum(p["a"])

    given = {"a": np.ones(2)}
    equal(grad(f)(given)["a"], [2, 2])
    equal(grad(lambda p: tg.checkpoint(f)(p))(given)["a"], [2, 2])
    assert list(given) == ["a"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(3), TypeError, "takes a function"),
        (lambda: tg.jacobian(X), TypeError, "takes a function"),
        (lambda: grad(np.sum, argnums="q")(X), TypeError, "argnums"),
        (lambda: jvp(lambda x, y: x * y, (1.0, 2.0), (1.0, None)), TypeError, "None.*zeros_like"),
        (lambda: grad(lambda x: x.sum() > 0)(X), BackwardError, "real number.*slope"),
        (lambda: grad(np.argmax)(X), BackwardError, "real number.*slope"),
        (lambda: grad(np.sum)(np.ma.masked_array([1.0, 2.0], [0, 1])), DtypeError, "mask"),
        (lambda: tg.vmap(np.sum)(X, axis=0), TypeError, "by keyword"),
    ],
)
def test_misuse_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
