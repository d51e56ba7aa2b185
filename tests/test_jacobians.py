"""Jacobians and Hessians, both ways: against closed formulas, differences and SciPy."""

import dataclasses

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import Tensor, ggnvp, grad, hessian, hvp, jacobian, jvp, vjp, vmap
from tinygrad_np.errors import BackwardError, DtypeError, ShapeError
from tinygrad_np.testing import numeric_grad
from tinygrad_np.transforms import jacobians

RNG = np.random.default_rng(0)
X = np.array([0.5, 1.0, 2.0])
A = RNG.normal(size=(4, 3))

both_ways = pytest.mark.parametrize("mode", ["forward", "reverse"])
every_way = pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])


@dataclasses.dataclass
class Pair:
    a: object
    b: object


# -- values -------------------------------------------------------------------------------------


@every_way
def test_closed_formulas(mode):
    equal(jacobian(lambda x: A @ x, mode=mode)(X), A)
    equal(jacobian(lambda x: np.tanh(A @ x), mode=mode)(X), A / np.cosh(A @ X)[:, None] ** 2)
    equal(jacobian(lambda x: np.sum(x**2), mode=mode)(X), 2 * X)
    equal(jacobian(lambda t: t * X, mode=mode)(2.0), X)
    equal(jacobian(np.sin, mode=mode)(0.5), np.cos(0.5))
    # d(B x)_ij / dB_kl = delta_ik x_lj
    equal(jacobian(lambda B: B @ A, mode=mode)(np.ones((2, 4))), np.einsum("ik,lj->ijkl", np.eye(2), A))


@both_ways
def test_against_differences(mode):
    def f(x, scale=1.0):
        return np.linalg.solve(np.diag(x**2) + np.outer(x, np.sin(x)) + np.eye(3), x * scale)

    J = jacobian(f, mode=mode)(X, scale=3.0)
    rows = [numeric_grad(lambda x, i=i: f(x, 3.0)[i], X) for i in range(3)]
    np.testing.assert_allclose(J, rows, rtol=1e-7, atol=1e-9)


# -- forms --------------------------------------------------------------------------------------


@every_way
def test_trees_in_and_out(mode):
    def f(p, scale):
        return {"y": p.a * p.b["w"] * scale, "rest": (np.sum(p.b["w"]), [p.a])}

    J = jacobian(f, mode=mode)(Pair(2.0, {"w": X}), 3.0)
    assert isinstance(J["y"], Pair)
    equal(J["y"].a, 3 * X)
    equal(J["y"].b["w"], 6 * np.eye(3))
    equal(J["rest"][0].a, 0)
    equal(J["rest"][0].b["w"], np.ones(3))
    equal(J["rest"][1][0].a, 1)
    equal(J["rest"][1][0].b["w"], np.zeros(3))
    assert type(J["rest"]) is tuple
    assert type(J["rest"][1]) is list


@every_way
def test_argnums(mode):
    f = lambda x, y: np.outer(x, y)
    y = np.array([3.0, 5.0])
    by_x, by_y = np.einsum("ik,j->ijk", np.eye(3), y), np.einsum("i,jk->ijk", X, np.eye(2))
    equal(jacobian(f, mode=mode)(X, y), by_x)
    equal(jacobian(f, -1, mode=mode)(X, y), by_y)
    for argnums, expected in (((0, 1), (by_x, by_y)), ((1, 0), (by_y, by_x)), ((1,), (by_y,))):
        got = jacobian(f, argnums, mode=mode)(X, y)
        assert type(got) is tuple
        for g, e in zip(got, expected, strict=True):
            equal(g, e)


@every_way
def test_aux(mode):
    J, aux = jacobian(lambda x: (x**2, {"sum": np.sum(x), "text": "t"}), has_aux=True, mode=mode)(X)
    equal(J, np.diag(2 * X))
    assert (aux["text"], type(aux["sum"])) == ("t", np.float64)
    equal(aux["sum"], 3.5)
    with pytest.raises(TypeError, match="has_aux"):
        jacobian(np.sin, has_aux=True)(X)


@every_way
def test_results_that_do_not_depend_on_the_argument(mode):
    J = jacobian(lambda x: (np.ones(2), x, 7.0, 7, np.arange(2), x), mode=mode)(X)
    for got, expected in zip(J, [np.zeros((2, 3)), np.eye(3), 0 * X, 0 * X, np.zeros((2, 3)), np.eye(3)], strict=True):
        equal(got, expected)
        assert got.shape == expected.shape
        assert got.dtype == np.float64
    equal(jacobian(lambda x: 3.0, mode=mode)(X), np.zeros(3))


@every_way
@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("m", [0, 3])
def test_empty_arrays(mode, n, m):
    J = jacobian(lambda x, y: np.outer(x, y), (0, 1), mode=mode)(np.ones(n), np.ones(m))
    assert [block.shape for block in J] == [(n, m, n), (n, m, m)]
    assert hessian(lambda x: np.sum(x**3), mode=mode)(np.ones((n, m))).shape == (n, m, n, m)
    assert jacobian(lambda p: X, mode=mode)({}) == {}
    assert jacobian(lambda x: [], mode=mode)(X) == []


@every_way
def test_chunks(monkeypatch, mode):
    f = lambda x, y: (np.sin(x) * np.sum(y), A @ x, np.sum(x) * y)
    args = X, np.array([[1.0, 2.0]])
    whole = jacobian(f, (0, 1), mode=mode)(*args)
    sizes = []
    walk = jacobians._batched_walk
    monkeypatch.setattr(jacobians, "_batched_walk", lambda w, starts: sizes.append(len(starts[0])) or walk(w, starts))
    # The largest array has 12 entries: two rows at a time.
    monkeypatch.setattr(jacobians, "_CHUNK", 24)
    for got, expected in zip(jacobian(f, (0, 1), mode=mode)(*args), whole, strict=True):
        for g, e in zip(got, expected, strict=True):
            equal(g, e)
    assert len(sizes) > 1
    assert max(sizes) == 2
    y = X[:, None] * np.ones(1)
    equal(jacobian(np.sin, mode=mode)(y)[:, 0, :, 0], np.diag(np.cos(X)))


@both_ways
def test_dtypes_and_what_comes_out(mode):
    J = jacobian(lambda x: np.sin(x), mode=mode)(X.astype(np.float32))
    assert (type(J), J.dtype) == (np.ndarray, np.float32)
    assert type(jacobian(np.sin, mode=mode)(0.5)) is np.float64
    J = jacobian(np.sin, mode=mode)(Tensor(X))
    assert isinstance(J, Tensor)
    equal(J, np.diag(np.cos(X)))
    H = hessian(lambda x: np.sum(x**3), mode=mode)(X.astype(np.float32))
    assert H.dtype == np.float32


# -- in and around other transforms -------------------------------------------------------------


@both_ways
def test_a_parameter_used_inside(mode):
    w = parameter(2.0)
    J = jacobian(lambda x: w**3 * x**2, mode=mode)(X)
    equal(J, np.diag(16 * X))
    J.sum().backward()
    equal(w.grad, np.sum(12 * 2 * X))
    with tg.no_grad():
        assert not getattr(jacobian(lambda x: w * x, mode=mode)(X), "requires_grad", False)


@both_ways
def test_nesting(mode):
    J = lambda f: jacobian(f, mode=mode)
    cubes = lambda x: np.sum(x**3)
    third = np.zeros((3, 3, 3))
    np.einsum("iii->i", third)[:] = 6
    equal(J(J(J(cubes)))(X), third)
    equal(grad(lambda x: np.sum(J(np.sin)(x) ** 2))(X), -np.sin(2 * X))
    equal(vjp(J(np.sin), X)[1](np.ones((3, 3)))[0], -np.sin(X))
    equal(jvp(J(np.sin), (X,), (X,))[1], np.diag(-np.sin(X) * X))
    equal(J(grad(cubes))(X), np.diag(6 * X))
    equal(J(lambda x: jvp(np.sin, (x,), (X,))[1])(X), np.diag(-np.sin(X) * X))
    batch = np.stack([X, 2 * X])
    equal(vmap(J(np.sin))(batch), np.stack([np.diag(np.cos(x)) for x in batch]))
    equal(J(vmap(lambda x: np.sum(x**2)))(batch), [[2 * X, 0 * X], [0 * X, 4 * X]])
    equal(vmap(J(lambda x: np.ones(2)))(batch), np.zeros((2, 2, 3)))


@both_ways
def test_inner_variables_are_not_confused_with_outer_ones(mode):
    J = lambda f: jacobian(f, mode=mode)
    equal(J(lambda x: x * J(lambda y: x + y)(1.0))(3.0), 1)
    equal(J(lambda x: x * J(lambda y: x * y)(1.0))(3.0), 6)
    equal(grad(lambda x: x * J(lambda y: x * y)(x))(3.0), 6)
    # The inner Jacobian is diag(cos(x)) sum(x), where the sum is a constant to it.
    got = J(lambda x: J(lambda y: np.sin(y) * np.sum(x))(x) @ x)(X)
    equal(got, np.outer(X * np.cos(X), np.ones(3)) + np.diag(np.sum(X) * (np.cos(X) - X * np.sin(X))))


@both_ways
def test_an_argument_that_escapes_is_a_constant_afterwards(mode):
    escaped = []
    equal(jacobian(lambda x: (escaped.append(x), 2 * x)[1], mode=mode)(X), 2 * np.eye(3))
    assert not escaped[0].requires_grad


# -- Hessians and products ----------------------------------------------------------------------


@both_ways
def test_hessian(mode):
    f = lambda x: np.sum(np.exp(A @ x))
    H = A.T @ np.diag(np.exp(A @ X)) @ A
    equal(hessian(f, mode=mode)(X), H)
    equal(hessian(lambda x: np.sum(x), mode=mode)(X), np.zeros((3, 3)))
    equal(hessian(lambda x: 3.0, mode=mode)(X), np.zeros((3, 3)))


@both_ways
def test_blocks_of_a_hessian(mode):
    H = hessian(lambda p: p["a"] ** 2 * np.sum(p["b"] ** 2), mode=mode)({"a": 2.0, "b": X})
    equal(H["a"]["a"], 2 * np.sum(X**2))
    equal(H["a"]["b"], 8 * X)
    equal(H["b"]["a"], 8 * X)
    equal(H["b"]["b"], 8 * np.eye(3))
    H = hessian(lambda a, b: a**2 * np.sum(b**2), (0, 1), mode=mode)(2.0, X)
    equal(H[0][0], 2 * np.sum(X**2))
    equal(H[0][1], 8 * X)
    equal(H[1][1], 8 * np.eye(3))


def test_hvp():
    f = lambda x, scale, shift=0.0: scale * np.sum(np.exp(A @ x + shift))
    v = RNG.normal(size=3)
    expected = 2 * A.T @ (np.exp(A @ X + 0.5) * (A @ v))
    equal(hvp(f)(X, v, 2.0, shift=0.5), expected)
    product = hvp(lambda p: p.a**2 * np.sum(p.b))(Pair(2.0, X), Pair(1.0, X))
    equal(product.a, 2 * np.sum(X) + 4 * np.sum(X))
    equal(product.b, np.full(3, 4.0))
    equal(hvp(lambda x: np.sum(x))(X, X), 0 * X)
    equal(hvp(lambda x: np.sum(x**3))(X, np.array([1, 0, 0])), [6 * X[0], 0, 0])
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        hvp(np.sum)(X, np.ones(2))


def test_ggnvp():
    v, y = RNG.normal(size=3), np.array([0.1, 0.2, 0.3, 0.4])
    J = np.diag(1 / np.cosh(A @ X) ** 2) @ A
    H = np.diag(12 * (np.tanh(A @ X) - y) ** 2)
    f, loss = lambda x, scale: np.tanh(scale * (A @ x)), lambda z: np.sum((z - y) ** 4)
    np.testing.assert_allclose(ggnvp(f, loss)(X, v, 1.0), J.T @ H @ J @ v, rtol=1e-12)
    got = ggnvp(lambda p: {"z": p["a"] * p["b"]}, lambda out: np.sum(out["z"] ** 2))(
        {"a": 2.0, "b": X}, {"a": 1.0, "b": X}
    )
    # The Jacobian is [b, a I], and the Hessian 2 I.
    equal(got["a"], 2 * X @ (X + 2 * X))
    equal(got["b"], 4 * (X + 2 * X))
    equal(ggnvp(np.sin, np.sum)(X, X), 0 * X)


# -- errors -------------------------------------------------------------------------------------


@every_way
def test_complex_arguments_are_refused_and_complex_results_are_not(mode):
    with pytest.raises(DtypeError, match=r"complex.*\(3,\).*vjp and jvp"):
        jacobian(lambda z: z * z, mode=mode)(X * 1j)
    equal(jacobian(lambda x: np.exp(1j * x), mode=mode)(X), np.diag(1j * np.exp(1j * X)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jacobian(np.sin, mode="backward"), ValueError, "backward"),
        (lambda: jacobian(np.sin)(np.arange(3)), DtypeError, "jacobian.*int64.*float"),
        (lambda: jacobian(np.sin, 1)(X), IndexError, "argument 1"),
        (lambda: hessian(np.sin)(X), BackwardError, "one number"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("nothing", [None, "text"])
def test_a_forgotten_return_says_so(nothing):
    with pytest.raises((BackwardError, TypeError, DtypeError)):
        jacobian(lambda x: nothing)(X)


# -- with SciPy ---------------------------------------------------------------------------------


def rosen(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_the_hessian_of_rosenbrocks_function():
    optimize = pytest.importorskip("scipy.optimize")
    x, v = RNG.normal(size=6), RNG.normal(size=6)
    np.testing.assert_allclose(grad(rosen)(x), optimize.rosen_der(x), rtol=1e-11)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(hessian(rosen, mode=mode)(x), optimize.rosen_hess(x), rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(hvp(rosen)(x, v), optimize.rosen_hess_prod(x, v), rtol=1e-10)


@pytest.mark.parametrize("second", [{"hess": hessian(rosen)}, {"hessp": hvp(rosen)}])
def test_minimize(second):
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(rosen, np.zeros(4), jac=grad(rosen), method="trust-ncg", tol=1e-9, **second)
    assert found.success
    np.testing.assert_allclose(found.x, np.ones(4), rtol=1e-6)


def test_least_squares():
    optimize = pytest.importorskip("scipy.optimize")
    t = np.linspace(0, 3, 20)
    residuals = lambda p: p[0] * np.exp(-p[1] * t) - 2.0 * np.exp(-0.7 * t)
    found = optimize.least_squares(residuals, np.ones(2), jac=jacobian(residuals))
    np.testing.assert_allclose(found.x, [2.0, 0.7], rtol=1e-7)


def test_solve_ivp():
    integrate = pytest.importorskip("scipy.integrate")
    M = np.array([[-1.0, 1.0], [0.0, -50.0]])
    f = lambda t, y: M @ y + 0.0 * y**2
    found = integrate.solve_ivp(f, (0, 1), [1.0, 1.0], method="BDF", jac=jacobian(f, 1), rtol=1e-8, atol=1e-10)
    assert found.success
    # Solved by eigenvalues: y1 = exp(-50 t), and y0 a mixture of exp(-t) and exp(-50 t).
    np.testing.assert_allclose(found.y[:, -1], [(1 + 1 / 49) * np.exp(-1), 0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("result", [None, "text"])
def test_a_function_that_returns_nothing_is_refused(result):
    with pytest.raises(tg.errors.BackwardError, match="gives arrays"):
        tg.jacobian(lambda x: result)(np.ones(2))


def test_a_custom_gradient_of_other_code_is_pulled_back_by_itself():
    @tg.custom_gradient
    def doubled(x):
        return np.array([2 * v for v in x.tolist()]), lambda g: np.array([2 * v for v in g.tolist()])

    # Fewer columns than rows: "auto" would go forward, which this code cannot.
    np.testing.assert_array_equal(
        tg.jacobian(lambda x: np.concatenate([doubled(x), x]))(np.ones(2)), np.concatenate([2 * np.eye(2), np.eye(2)])
    )
    with pytest.raises(tg.errors.DetachError):
        tg.jacobian(doubled, mode="forward")(np.ones(2))
