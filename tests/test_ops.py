"""The op table: every op is checked in every way, from the samples declared beside its rule."""

import copy
import importlib.util
from itertools import product

import numpy as np
import pytest
from sampler import Call, Sampler

import tinygrad_np as tg
from tinygrad_np.engine.door import RULES, function_name
from tinygrad_np.engine.op import SAMPLES
from tinygrad_np.engine.tape import PROJECTION
from tinygrad_np.transforms.trees import tree_leaves as _leaves
from tinygrad_np.transforms.trees import tree_map as _map

if importlib.util.find_spec("scipy"):
    importlib.import_module("tinygrad_np.special")  # declares its functions for the table

PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 3), ()),
         ((2, 1, 3), (4, 1)), ((0, 3), (1, 3)), ((1,), (1, 1)), ((), ())]  # fmt: skip


def kind_of(function):
    return getattr(getattr(RULES.get(function, function), "op", None), "kind", None)


def elementwise_calls(function, r, sample):
    low, high = sample or (-2, 2)
    draw = (lambda *shape: r.real(*shape)) if sample is None else (lambda *shape: r.between(low, high, *shape))
    if len(RULES.get(function, function).op.inputs) == 1:
        return [Call(draw(*shape)) for shape in [(3, 4), (), (0, 2), (1,), (2, 1, 3)]]
    return [Call(draw(*a), draw(*b)) for a, b in PAIRS] + [Call(draw(2, 3), 1.5), Call(0.5, draw(2, 3))]


def calls_of(function):
    r, sample = Sampler(), SAMPLES[function]
    if callable(sample):
        return sample(r)
    return elementwise_calls(function, r, sample) if kind_of(function) == "elementwise" else []


TABLE = [
    pytest.param(function, call, id=f"{function_name(function)}({call})")
    for function in SAMPLES
    for call in calls_of(function)
]
DIFFERENTIABLE = [p for p in TABLE if getattr(RULES.get(p.values[0]), "kind", None) != "constant"]


def is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


class Case:
    """A function of the float arrays of a call, which may sit inside lists, and those arrays."""

    def __init__(self, function, call):
        self.function, self.call = function, call
        self.tree = [list(call.args), call.options]
        self.arrays = [leaf for leaf in _leaves(self.tree) if is_float(leaf)]

    def __call__(self, *arrays):
        given = iter(arrays)
        args, options = _map(lambda leaf: next(given) if is_float(leaf) else leaf, self.tree)
        return self.function(*args, **options)

    def weighted(self, *arrays):
        """One number: the results summed with fixed random weights."""
        rng = np.random.default_rng(7)
        outs = [out for out in _leaves(self(*arrays)) if hasattr(out, "dtype") and out.dtype.kind in "fc"]
        return sum(np.sum(np.real(out * weights(rng, out))) for out in outs)


def weights(rng, out):
    """Random weights for the entries of a result, complex for a complex one."""
    real = rng.uniform(0.5, 1.5, np.shape(out))
    return real + 1j * rng.uniform(0.5, 1.5, np.shape(out)) if out.dtype.kind == "c" else real


def slope(f, arrays, directions, h=1e-4):
    """The derivative of f along the directions, by differences of fourth order."""

    def at(step):
        return f(*[a + step * d for a, d in zip(arrays, directions, strict=True)])

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def directions_for(arrays, seed=1):
    rng = np.random.default_rng(seed)

    def draw(shape):
        return rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)

    return [draw(a.shape) + 1j * draw(a.shape) if a.dtype.kind == "c" else draw(a.shape) for a in arrays]


def inner(xs, ys):
    """The change along `ys` of a loss with gradients `xs`: x + iy counts as the pair (x, y)."""
    return sum(float(np.sum((np.conj(x) * y).real)) for x, y in zip(xs, ys, strict=True))


def all_argnums(arrays):
    return tuple(range(len(arrays)))


@pytest.mark.parametrize(("function", "call"), TABLE)
def test_value_is_numpys(function, call):
    case = Case(function, call)
    before = copy.deepcopy(case.arrays)
    expected = list(_leaves(case(*case.arrays)))
    got = list(_leaves(case(*[tg.Tensor(a, requires_grad=True) for a in case.arrays])))
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        g = g.data if isinstance(g, tg.Tensor) else g
        if isinstance(e, str | np.dtype):
            assert g == e
            continue
        assert np.shape(g) == np.shape(e)
        np.testing.assert_allclose(g, e, rtol=1e-13, atol=1e-14)
        assert np.asarray(g).dtype == np.asarray(e).dtype
    for a, b in zip(case.arrays, before, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="the forward pass wrote into its input")


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_first_derivative(function, call):
    case = Case(function, call)
    if not case.arrays:
        pytest.skip("nothing to differentiate in this call")
    before = copy.deepcopy(case.arrays)
    _, grads = tg.value_and_grad(case.weighted, all_argnums(case.arrays))(*case.arrays)
    directions = directions_for(case.arrays)
    if call.options.get("dtype") == np.float32:
        numeric = slope(case.weighted, case.arrays, directions, h=0.1)
        np.testing.assert_allclose(inner(grads, directions), numeric, rtol=1e-5)
    else:
        numeric = slope(case.weighted, case.arrays, directions)
        np.testing.assert_allclose(inner(grads, directions), numeric, rtol=1e-8, atol=1e-9)
    for a, b, g in zip(case.arrays, before, grads, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="the backward pass wrote into its input")
        assert np.shape(g) == a.shape
        assert g.dtype == a.dtype
        assert not np.shares_memory(g, a)


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_forward_mode_agrees_with_reverse_mode(function, call):
    case = Case(function, call)
    if not case.arrays:
        pytest.skip("nothing to differentiate in this call")
    tangents = directions_for(case.arrays, seed=2)
    _, out_tangent = tg.jvp(case.weighted, tuple(case.arrays), tuple(tangents))
    grads = tg.grad(case.weighted, all_argnums(case.arrays))(*case.arrays)
    single = call.options.get("dtype") == np.float32
    np.testing.assert_allclose(out_tangent, inner(grads, tangents), rtol=1e-6 if single else 1e-10, atol=1e-12)


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_second_derivative(function, call):
    case = Case(function, call)
    if not case.arrays:
        pytest.skip("nothing to differentiate in this call")
    check_next_order(slope_along(case.weighted, case.arrays, seed=3), case.arrays)


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_third_derivative(function, call):
    case = Case(function, call)
    if not case.arrays:
        pytest.skip("nothing to differentiate in this call")
    second = slope_along(slope_along(case.weighted, case.arrays, seed=3), case.arrays, seed=5)
    try:
        check_next_order(second, case.arrays)
    except tg.errors.BackwardError as error:
        # The determinant of a singular matrix has two, and refuses the third.
        if "no derivative of this order here" not in str(error):
            raise


def slope_along(f, arrays, seed):
    """One number from the gradient of f, not linear in it so that no derivative is lost by symmetry."""
    directions = directions_for(arrays, seed)
    # Within a period of the sine, or differences would miss it.
    scale = max([1.0, *[np.max(np.abs(g), initial=0) for g in tg.grad(f, all_argnums(arrays))(*arrays)]])

    def along(*xs):
        grads = tg.grad(f, all_argnums(arrays))(*xs)
        return sum(np.sum(np.real(np.sin(g / scale) * d)) for g, d in zip(grads, directions, strict=True))

    return along


def check_next_order(f, arrays):
    gradients = tg.grad(f, all_argnums(arrays))(*arrays)
    directions = directions_for(arrays, seed=4)
    scale = max([1.0, *[np.max(np.abs(g), initial=0) for g in gradients]])
    numeric = slope(f, arrays, directions)
    np.testing.assert_allclose(inner(gradients, directions), numeric, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_gradients_keep_the_dtype(function, call, dtype):
    case = Case(function, call)
    if not case.arrays or (dtype is np.float16 and ("linalg" in function_name(function) or function is np.polyfit)):
        pytest.skip("nothing to differentiate, or a dtype that NumPy's own function refuses")
    arrays = [a.astype(np.complex64 if a.dtype.kind == "c" else dtype) for a in case.arrays]
    expected = [np.asarray(e).dtype for e in _leaves(case(*arrays))]
    tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
    outs = list(_leaves(case(*tensors)))
    assert [o.dtype if hasattr(o, "dtype") else np.asarray(o).dtype for o in outs] == expected
    for out in outs:
        if isinstance(out, tg.Tensor) and out.requires_grad:
            out.backward(np.ones(out.shape), retain_graph=True)
    assert all(t.grad is None or t.grad.dtype == t.dtype for t in tensors)


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_complex_arguments(function, call):
    case = Case(function, call)
    if not case.arrays or any(a.dtype.kind == "c" for a in case.arrays):
        pytest.skip("nothing to differentiate, or the other tests have complex arguments")
    rng = np.random.default_rng(3)
    arrays = [a + 1j * rng.uniform(0.2, 0.8, a.shape) for a in case.arrays]
    try:
        expected = list(_leaves(case(*arrays)))
    except (TypeError, np.linalg.LinAlgError, np.exceptions.ComplexWarning, tg.errors.AutogradError):
        pytest.skip("NumPy's own function has no complex version")
    for got, e in zip(_leaves(case(*[tg.Tensor(a, requires_grad=True) for a in arrays])), expected, strict=True):
        np.testing.assert_allclose(got.data if isinstance(got, tg.Tensor) else got, e, rtol=1e-12, atol=1e-13)
    grads = tg.grad(case.weighted, all_argnums(arrays))(*arrays)
    directions = directions_for(arrays)
    numeric = slope(case.weighted, arrays, directions)
    np.testing.assert_allclose(inner(grads, directions), numeric, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_only_named_arrays_are_kept(function, call):
    case = Case(function, call)
    if kind_of(function) is None or not case.arrays:
        pytest.skip("a composite keeps what its parts keep")
    out = next(_leaves(case(*[tg.Tensor(a, requires_grad=True) for a in case.arrays])))
    if not isinstance(out, tg.Tensor) or not out.requires_grad:
        pytest.skip("the derivative is zero in this call, so nothing is recorded")
    node = out.node if out.node.rule is not PROJECTION else out.node.inputs[0]
    assert len(node.kept) == len(node.rule.keep)
    kept = {id(array) for array in node.kept if is_float(array)}
    rules = [rule for rule in node.rule.op.rules.values() if callable(rule)]
    named = {name for rule in rules for name in rule.__code__.co_varnames[: rule.__code__.co_argcount]}
    if "out" not in named and node.rule.op.kind in ("elementwise", "linear"):
        assert id(out.data) not in kept


@pytest.mark.parametrize("layout", ["fortran", "strided", "reversed"])
@pytest.mark.parametrize(("function", "call"), DIFFERENTIABLE)
def test_memory_layout_does_not_matter(function, call, layout):
    case = Case(function, call)
    if not any(a.ndim for a in case.arrays):
        pytest.skip("no axes to lay out")
    relaid = [laid_out(a, layout) for a in case.arrays]
    expected = tg.grad(case.weighted, all_argnums(case.arrays))(*case.arrays)
    got = tg.grad(case.weighted, all_argnums(case.arrays))(*relaid)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-13)


def laid_out(a, layout):
    if not a.ndim:
        return a
    if layout == "fortran":
        return np.asfortranarray(a)
    if layout == "strided":
        return np.repeat(a, 2, axis=-1)[..., ::2]
    return np.ascontiguousarray(a[::-1])[::-1]


def test_the_table_covers_every_rule():
    tested = {p.values[0] for p in TABLE}
    missing = [
        function_name(f)
        for f, call in RULES.items()
        if not isinstance(f, tuple | str) and f not in tested and call not in [RULES.get(t) for t in tested]
        and function_name(f).startswith("np.") and getattr(call, "kind", None) != "write"
    ]  # fmt: skip
    assert not missing


def test_at_least_a_hundred_numpy_functions():
    assert sum(function_name(f).startswith("np.") for f in RULES if not isinstance(f, tuple | str)) >= 100


@pytest.mark.parametrize("scalar", [2, 1.5, np.float64(1.5), np.float32(1.5), np.array(1.5)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_numbers_on_either_side_keep_numpys_dtype(scalar, side):
    operators = [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum]
    for f, dtype in product(operators, [np.float32, np.float64]):
        x = np.array([0.5, 1.0, 2.0], dtype)
        t = tg.Tensor(x, requires_grad=True)
        got = f(scalar, t) if side == "left" else f(t, scalar)
        expected = f(scalar, x) if side == "left" else f(x, scalar)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.data, expected)
