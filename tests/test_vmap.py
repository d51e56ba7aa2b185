"""vmap: the results of one example after the other, without running the function more than once."""

import warnings

import numpy as np
import pytest
from test_ops import DIFFERENTIABLE, Case, all_argnums

import tinygrad_np as tg
from tinygrad_np.errors import LoopWarning, ShapeError
from tinygrad_np.transforms.trees import tree_leaves

N = 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = RNG.normal(size=N)
A = RNG.normal(size=(4, 3))
W = RNG.normal(size=3)


def arrays(tree):
    return [np.asarray(leaf.data if isinstance(leaf, tg.Tensor) else leaf) for leaf in tree_leaves(tree)]


def one_by_one(f, *args):
    results = [arrays(f(*[a[i] for a in args])) for i in range(len(args[0]))]
    return [np.stack(each) for each in zip(*results, strict=True)]


@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_every_function_gives_what_it_gives_for_each_example(function, call, what):
    case = Case(function, call)
    if not case.arrays:
        pytest.skip("nothing to have examples of in this call")
    batch = [np.stack([a, 0.97 * a, 1.02 * a]) for a in case.arrays]

    def numbers(*xs):
        return [out for out in tree_leaves(case(*xs)) if hasattr(out, "dtype") and not isinstance(out, np.dtype)]

    f = numbers if what == "value" else tg.grad(case.weighted, all_argnums(case.arrays))
    with warnings.catch_warnings():
        # Which functions need the loop is tested below: here only the numbers count.
        warnings.simplefilter("ignore", LoopWarning)
        got = arrays(tg.vmap(f)(*batch))
    single = any(value is np.float32 for value in call.options.values())
    for g, expected in zip(got, one_by_one(f, *batch), strict=True):
        np.testing.assert_allclose(g, expected, rtol=1e-4 if single else 1e-9, atol=1e-10)


def model(p, x):
    hidden = tg.relu(p["W"] @ x + p["b"])
    return tg.log_softmax(hidden)[0] + np.sum(np.tanh(hidden)[1:])


AT_ONCE = {
    "a network": lambda x: model({"W": A, "b": np.ones(4)}, x),
    "per-example gradients": lambda x: tg.grad(model)({"W": A, "b": np.ones(4)}, x),
    "cross-entropy": lambda x: tg.grad(lambda W: tg.cross_entropy(W @ x, np.array(2)))(A),
    "cross-entropy with weights": lambda x: tg.grad(lambda W: tg.cross_entropy(W @ x, np.full(4, 0.25)))(A),
    "logits": lambda x: tg.binary_cross_entropy_with_logits(x, np.array([0.0, 1.0, 1.0])),
    "hessian": lambda x: tg.hessian(lambda x: np.sum(np.exp(x) * x[::-1]))(x),
    "jacobian": lambda x: tg.jacobian(lambda x: np.tanh(A @ x))(x),
    "jvp": lambda x: tg.jvp(np.sin, (x,), (x,)),
    "jvp of a norm": lambda x: tg.jvp(np.linalg.norm, (x,), (x * x,)),
    "einsum": lambda x: np.einsum("i,j,ji->ij", x, W, np.ones((3, 3))),
    "einsum with an ellipsis": lambda x: np.einsum("...i,ji->...j", x, A),
    "outer, dot, inner": lambda x: (np.outer(x, x), np.dot(A, x), np.inner(x, W), np.tensordot(A, x, 1)),
    "solve": lambda x: np.linalg.solve(np.diag(np.ones(3)) * 3 + np.outer(x, x), x),
    "reductions": lambda x: (x.sum(), x.mean(), x.std(), np.max(x), np.prod(x), np.cumsum(x), np.argsort(x)),
    "shapes": lambda x: np.concatenate([x[None, :], np.stack([x, x])]).T.reshape(-1).reshape(3, 3)[1:, ::2],
    "indices": lambda x: (x[[0, 2, 0]], x[1], x[..., None], x[np.array([True, False, True])]),
    "where": lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0),
    "sorting": lambda x: np.take_along_axis(x, np.argsort(x), 0),
    "fft": lambda x: np.abs(np.fft.fft(x)) + np.fft.irfft(np.fft.rfft(x), 3),
    "an index per example": lambda x: np.take(x, np.argsort(x)),
    "an entry per example": lambda x: x[np.argmax(np.abs(x))],
    "checkpoint": lambda x: tg.grad(lambda x: np.sum(tg.checkpoint(np.sin)(x) ** 2))(x),
    "a constant": lambda x: np.ones(2),
}


@pytest.mark.parametrize("f", AT_ONCE.values(), ids=AT_ONCE)
def test_all_at_once(f):
    # A LoopWarning would be an error here.
    for got, expected in zip(arrays(tg.vmap(f)(X)), one_by_one(f, X), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_the_function_runs_once():
    calls = []
    tg.vmap(lambda x: calls.append(1) or np.sin(x))(X)
    assert len(calls) == 1


# -- axes and structures ------------------------------------------------------------------------


def test_in_axes_and_out_axes():
    np.testing.assert_allclose(tg.vmap(np.dot, in_axes=(None, 0))(A, X), X @ A.T, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(tg.vmap(np.sum, in_axes=1)(X), X.sum(0))
    np.testing.assert_array_equal(tg.vmap(np.sum, in_axes=-1)(X), X.sum(0))
    np.testing.assert_array_equal(tg.vmap(np.sin, out_axes=1)(X), np.sin(X).T)
    np.testing.assert_array_equal(tg.vmap(np.sin, out_axes=-1)(X), np.sin(X).T)


def test_trees_go_in_and_out():
    out = tg.vmap(lambda p: {"sum": p["x"].sum() + p["y"][0], "pair": (p["x"], 2.0)})({"x": X, "y": [Y]})
    np.testing.assert_allclose(out["sum"], X.sum(1) + Y)
    np.testing.assert_array_equal(out["pair"][0], X)
    np.testing.assert_array_equal(out["pair"][1], np.full(N, 2.0))


def test_tensors_in_tensors_out():
    x = tg.Tensor(X, requires_grad=True)
    out = tg.vmap(lambda x: np.sum(x**2))(x)
    assert isinstance(out, tg.Tensor)
    out.backward(np.arange(N))
    np.testing.assert_allclose(x.grad.data, 2 * X * np.arange(N)[:, None])
    assert isinstance(tg.vmap(np.sum)(tg.Tensor(X)), tg.Tensor)
    assert isinstance(tg.vmap(np.sum)(X), np.ndarray)


def test_parameters_outside_get_their_gradients():
    w = tg.Tensor(W, requires_grad=True)
    np.sum(tg.vmap(lambda x: np.exp(w @ x))(X)).backward()
    np.testing.assert_allclose(w.grad.data, X.T @ np.exp(X @ W))


def test_no_examples_give_no_results():
    assert tg.vmap(lambda x: np.tanh(A @ x))(np.zeros((0, 3))).shape == (0, 4)


# -- nesting ------------------------------------------------------------------------------------


def loss(w, x, y):
    return (np.tanh(w @ x) - y) ** 2


def test_a_gradient_per_example():
    got = tg.vmap(tg.grad(loss), in_axes=(None, 0, 0))(W, X, Y)
    np.testing.assert_allclose(got, [tg.grad(loss)(W, x, y) for x, y in zip(X, Y, strict=True)], rtol=1e-12)


def test_gradient_of_vmap_of_gradient():
    def penalty(w):
        return np.sum(tg.vmap(tg.grad(loss), in_axes=(None, 0, 0))(w, X, Y) ** 2)

    def looped(w):
        return sum(np.sum(tg.grad(loss)(w, x, y) ** 2) for x, y in zip(X, Y, strict=True))

    np.testing.assert_allclose(tg.grad(penalty)(W), tg.grad(looped)(W), rtol=1e-10)
    np.testing.assert_allclose(tg.grad(penalty)(W), tg.testing.numeric_grad(penalty, W), rtol=1e-7)


def test_an_outer_variable_inside_an_inner_gradient():
    def f(p):
        return np.sum(tg.vmap(lambda x: tg.grad(lambda w: np.sum((w * p * x) ** 3))(x))(X))

    # d/dw sum (w p x)^3 at w = x is 3 p^3 x^5, entry by entry.
    np.testing.assert_allclose(tg.grad(f)(2.0), 9 * 4 * np.sum(X**5), rtol=1e-12)


def test_vmap_of_vmap():
    np.testing.assert_allclose(tg.vmap(lambda a: tg.vmap(lambda b: a @ b)(X))(X), X @ X.T, rtol=1e-14)
    pairs = tg.vmap(tg.vmap(lambda a, b: np.sum(np.sin(a * b)), in_axes=(None, 0)), in_axes=(0, None))(X, X)
    np.testing.assert_allclose(pairs, np.sin(X[:, None] * X).sum(-1), rtol=1e-14)


def test_jvp_of_vmap():
    out, tangent = tg.jvp(tg.vmap(lambda x: np.sum(x**2)), (X,), (np.ones_like(X),))
    np.testing.assert_allclose(out, np.sum(X**2, 1))
    np.testing.assert_allclose(tangent, 2 * X.sum(1))


# -- what cannot be done at once ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: x if x.sum() > 0 else -x, "each example has its own"),
        (lambda x: x * float(x[0]), "each example has its own"),
        (lambda x: np.convolve(x, [1.0, 2.0]), "np.convolve once per example"),
        (lambda x: x[np.abs(x) >= 0], "getitem once per example"),
        (lambda x: A[np.argmax(x)], "each example has its own"),
    ],
    ids=["condition", "float", "convolve", "mask", "an index into an array"],
)
def test_a_loop_says_so(f, reason):
    with pytest.warns(LoopWarning, match=reason):
        got = tg.vmap(f)(X)
    np.testing.assert_allclose(got, [f(x) for x in X])


def test_errors():
    with pytest.raises(ShapeError, match=r"\[3, 5\].*in_axes=None"):
        tg.vmap(np.add)(X, W)
    with pytest.raises(ShapeError, match=r"axis 2 of argument 0.*\(5, 3\)"):
        tg.vmap(np.sin, in_axes=2)(X)
    with pytest.raises(ShapeError, match="2 arguments, and the call has 1"):
        tg.vmap(np.sin, in_axes=(0, 0))(X)
    with pytest.raises(ShapeError, match="no argument with examples"):
        tg.vmap(np.sin, in_axes=None)(X)
    with pytest.warns(LoopWarning), pytest.raises(ShapeError, match=r"different shapes.*np\.where"):
        tg.vmap(lambda x: x[x > 0])(X)
    with pytest.raises(ValueError, match="core dimension"):
        tg.vmap(lambda x: x @ np.ones(7))(X)


def test_warnings_point_at_the_line_that_needs_the_loop():
    def f(x):
        return np.convolve(x, [1.0, 2.0])

    with pytest.warns(LoopWarning, match=r"np\.convolve") as caught:
        tg.vmap(f)(X)
    assert caught[0].filename == __file__
    assert caught[0].lineno == f.__code__.co_firstlineno + 1


def test_a_tensor_made_inside_has_its_own_graph():
    def slope(x):
        t = tg.Tensor(x, requires_grad=True)
        np.sum(t**2).backward()
        return t.grad

    with pytest.warns(LoopWarning):
        np.testing.assert_array_equal(np.asarray(tg.vmap(slope)(X)), 2 * X)
