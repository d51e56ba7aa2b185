"""Activations: values and gradients are PyTorch's, also on the kinks, and finite at the largest numbers."""

import math

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np.errors import NoRuleError, RangeError, ShapeError
from tinygrad_np.ops import activations
from tinygrad_np.ops.activations.normal import normal_density, normal_distribution
from tinygrad_np.testing import check_grad

KINKS = [-3, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 3, 6]
X = np.concatenate([np.random.default_rng(0).normal(scale=2.5, size=30), KINKS, [-1e4, -50, 50, 1e4]])
G = np.random.default_rng(1).uniform(0.5, 1.5, X.size)
TABLE = np.random.default_rng(2).normal(scale=2, size=(3, 4, 6))

# From a name to the function, and PyTorch's.
ENTRIES = {
    "relu6": (activations.relu6, lambda F, x: F.relu6(x)),
    "leaky_relu": (activations.leaky_relu, lambda F, x: F.leaky_relu(x)),
    "leaky_relu 0.3": (lambda x: activations.leaky_relu(x, 0.3), lambda F, x: F.leaky_relu(x, 0.3)),
    "leaky_relu 2": (lambda x: activations.leaky_relu(x, 2), lambda F, x: F.leaky_relu(x, 2)),
    "leaky_relu -1": (lambda x: activations.leaky_relu(x, -1.0), lambda F, x: F.leaky_relu(x, -1.0)),
    "elu": (activations.elu, lambda F, x: F.elu(x)),
    "elu 0.5": (lambda x: activations.elu(x, alpha=0.5), lambda F, x: F.elu(x, 0.5)),
    "celu": (activations.celu, lambda F, x: F.celu(x)),
    "celu 2": (lambda x: activations.celu(x, 2.0), lambda F, x: F.celu(x, 2.0)),
    "selu": (activations.selu, lambda F, x: F.selu(x)),
    "gelu": (activations.gelu, lambda F, x: F.gelu(x)),
    "gelu tanh": (lambda x: activations.gelu(x, approximate="tanh"), lambda F, x: F.gelu(x, approximate="tanh")),
    "silu": (activations.silu, lambda F, x: F.silu(x)),
    "mish": (activations.mish, lambda F, x: F.mish(x)),
    "softsign": (activations.softsign, lambda F, x: F.softsign(x)),
    "tanhshrink": (activations.tanhshrink, lambda F, x: F.tanhshrink(x)),
    "softshrink": (activations.softshrink, lambda F, x: F.softshrink(x)),
    "softshrink 1": (lambda x: activations.softshrink(x, 1), lambda F, x: F.softshrink(x, 1)),
    "hardshrink": (activations.hardshrink, lambda F, x: F.hardshrink(x)),
    "hardshrink 1": (lambda x: activations.hardshrink(x, lambd=1), lambda F, x: F.hardshrink(x, 1)),
    "hardtanh": (activations.hardtanh, lambda F, x: F.hardtanh(x)),
    "hardtanh -3 0.5": (lambda x: activations.hardtanh(x, -3, 0.5), lambda F, x: F.hardtanh(x, -3, 0.5)),
    "hardsigmoid": (activations.hardsigmoid, lambda F, x: F.hardsigmoid(x)),
    "hardswish": (activations.hardswish, lambda F, x: F.hardswish(x)),
    "threshold": (lambda x: activations.threshold(x, 0.5, 20), lambda F, x: F.threshold(x, 0.5, 20)),
    "logsigmoid": (activations.logsigmoid, lambda F, x: F.logsigmoid(x)),
}
ALONG_AN_AXIS = {
    "softmin": (lambda x: activations.softmin(x, 1), lambda F, x: F.softmin(x, 1)),
    "glu": (activations.glu, lambda F, x: F.glu(x)),
    "glu 1": (lambda x: activations.glu(x, axis=1), lambda F, x: F.glu(x, 1)),
    "swiglu": (activations.swiglu, lambda F, x: x.chunk(2, -1)[0] * F.silu(x.chunk(2, -1)[1])),
    "geglu": (activations.geglu, lambda F, x: x.chunk(2, -1)[0] * F.gelu(x.chunk(2, -1)[1])),
}
ALL = {name: f for name, (f, _) in {**ENTRIES, **ALONG_AN_AXIS}.items()}


def with_gradients(torch, f, arrays, weights=None):
    """PyTorch's value of a function, and the gradients of its weighted sum."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = f(torch.nn.functional, *tensors)
    (out if weights is None else out * torch.tensor(weights)).sum().backward()
    return [out, *[t.grad for t in tensors]]


def ours(f, arrays, weights=None):
    tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors)
    np.sum(out if weights is None else out * weights).backward()
    return [out.data, *[t.grad.data for t in tensors]]


def agree(got, expected, rtol=1e-12, atol=1e-14):
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        np.testing.assert_allclose(g, e, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", ENTRIES)
def test_values_and_gradients_are_pytorchs(name):
    f, theirs = ENTRIES[name]
    expected = torch_values("activations", name, lambda torch: with_gradients(torch, theirs, [X], G))
    # PyTorch's hardsigmoid has 1/6 in single precision.
    agree(ours(f, [X], G), expected, rtol=1e-7 if name == "hardsigmoid" else 1e-12)


@pytest.mark.parametrize("name", ALONG_AN_AXIS)
def test_values_and_gradients_along_an_axis_are_pytorchs(name):
    f, theirs = ALONG_AN_AXIS[name]
    expected = torch_values("activations", name, lambda torch: with_gradients(torch, theirs, [TABLE]))
    agree(ours(f, [TABLE]), expected)


@pytest.mark.parametrize("shape", [(), (1,), (4,)])
def test_prelu_learns_what_pytorchs_does(shape):
    weight = np.random.default_rng(3).uniform(-1, 1, shape)
    expected = torch_values(
        "activations",
        f"prelu {shape}",
        lambda torch: with_gradients(torch, lambda F, x, w: F.prelu(x, w), [TABLE, weight]),
    )
    agree(ours(activations.prelu, [TABLE, weight]), expected)


def test_prelu_of_one_axis_has_one_channel():
    agree(
        ours(activations.prelu, [np.array([-2.0, 0.0, 3.0]), np.array([0.5])]),
        [np.array([-1.0, 0.0, 3.0]), np.array([0.5, 0.5, 1.0]), np.array([-2.0])],
    )


# -- precision --------------------------------------------------------------------------------


def finite_up_to_second_order(f, x):
    scale = np.asarray(2.0**-12, x.dtype)
    gradient = tg.grad(lambda x: np.sum(f(x) * scale))
    assert f(x).dtype == gradient(x).dtype == x.dtype
    for values in (f(x), gradient(x), tg.grad(lambda x: np.sum(gradient(x)))(x)):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", ENTRIES)
def test_everything_is_finite_at_the_largest_numbers(name, dtype):
    # selu is steeper than 1, and so are these: they would truly overflow.
    largest = 1e4 if name in ("selu", "leaky_relu 2") else float(np.finfo(dtype).max)
    small = float(np.finfo(dtype).tiny)
    x = np.array([-largest, -1e4, -50, -small, 0, small, 50, 1e4, largest], dtype)
    finite_up_to_second_order(ALL[name], x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", ALONG_AN_AXIS)
def test_gates_are_finite_at_large_numbers(name, dtype):
    # The product of two large numbers would truly overflow.
    x = np.array([[1, 1e4, -50, 1], [0, 1e-4, 1, -1e4]], dtype)
    finite_up_to_second_order(ALL[name], x)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ALL)
def test_in_lower_precision_the_numbers_are_the_same(name, dtype):
    x = TABLE.astype(dtype)
    value, gradient = ours(ALL[name], [x])
    assert value.dtype == gradient.dtype == dtype
    wide = ours(ALL[name], [x.astype(float)])
    eps = float(np.finfo(dtype).eps)
    agree([value, gradient], wide, rtol=16 * eps, atol=4 * eps)


@pytest.mark.parametrize("alpha", [0.5, np.float64(0.5), 1])
def test_parameters_do_not_change_the_dtype(alpha):
    x = np.array([-1, 0.5], np.float32)
    for f in (activations.elu, activations.celu, activations.leaky_relu, activations.softshrink):
        assert f(x, alpha).dtype == np.float32
        assert tg.grad(lambda x, f=f: np.sum(f(x, alpha)))(x).dtype == np.float32
    assert activations.hardtanh(x, -alpha, alpha).dtype == np.float32
    assert activations.threshold(x, alpha, alpha).dtype == np.float32


def test_large_arrays_are_computed_as_small_ones():
    x = np.random.default_rng(4).normal(scale=5, size=10_000)
    for f, _ in ENTRIES.values():
        np.testing.assert_allclose(f(x)[:100], f(x[:100].copy()), rtol=1e-14, atol=1e-300)


def test_whole_numbers_become_floating_ones():
    for f, _ in ENTRIES.values():
        np.testing.assert_array_equal(f(np.array([-2, 0, 1])), f(np.array([-2.0, 0.0, 1.0])))


@pytest.mark.parametrize("x", [-1.5, 0.0, 0.75, 2.5])
def test_numbers_stay_numbers(x):
    for name, (f, _) in ENTRIES.items():
        assert np.ndim(f(x)) == 0
        np.testing.assert_allclose(f(x), f(np.array([x]))[0], rtol=1e-15, err_msg=name)


def test_empty_arrays():
    for f in ALL.values():
        assert f(np.zeros((0, 4))).size == 0
        assert tg.grad(lambda x, f=f: np.sum(f(x)))(np.zeros((0, 4))).shape == (0, 4)


# -- the normal distribution ------------------------------------------------------------------


def upper_tail(x):
    """1 - Φ(x) in extended precision by its continued fraction, for x of at least 2."""
    x = np.asarray(x, np.longdouble)
    rest = np.zeros_like(x)
    for k in range(400, 0, -1):
        rest = k / (x + rest)
    return np.exp(-x * x / 2) / np.sqrt(2 * np.longdouble("3.14159265358979323846264338")) / (x + rest)


def test_the_tail_of_the_normal_distribution_keeps_all_digits():
    x = np.linspace(2, 37, 20_001)
    np.testing.assert_allclose(normal_distribution(-x) / upper_tail(x).astype(float), 1, rtol=2e-15)
    single = np.linspace(2, 12, 5001).astype(np.float32)
    np.testing.assert_allclose(normal_distribution(-single) / upper_tail(single).astype(float), 1, rtol=1e-6)


def test_the_middle_of_the_normal_distribution():
    x = np.linspace(-2, 2, 4001)
    np.testing.assert_allclose(normal_distribution(x), [0.5 * math.erfc(-v / math.sqrt(2)) for v in x], rtol=2e-15)
    np.testing.assert_allclose(normal_distribution(np.array([-np.inf, np.inf, 40])), [0, 1, 1])
    assert np.isnan(normal_distribution(np.nan))


def test_the_density_is_the_slope():
    check_grad(lambda x: np.sum(normal_distribution(x)), np.linspace(-5, 5, 21), order=2)
    assert normal_density(np.float16(300)) == 0
    np.testing.assert_allclose(normal_density(np.array([-1.0, 2.0])), np.exp([-0.5, -2]) / np.sqrt(2 * np.pi))


def test_gelu_keeps_its_digits_where_pytorchs_has_none():
    np.testing.assert_allclose(activations.gelu(-9.0), -9 * 0.5 * math.erfc(9 / math.sqrt(2)), rtol=1e-13)
    approximate = activations.gelu(-9.0, approximate="tanh")
    v = 2 * math.sqrt(2 / math.pi) * (9 + 0.044715 * 9**3)
    np.testing.assert_allclose(approximate, -9 * math.exp(-v), rtol=1e-12)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: activations.glu(x), ShapeError, r"axis -1.*\(2, 3\).*even number"),
        (lambda x: activations.swiglu(x[0, 0]), ShapeError, "two halves"),
        (lambda x: activations.prelu(x, np.ones(2)), ShapeError, "3 channels"),
        (lambda x: activations.prelu(x, np.ones((3, 1))), ShapeError, "vector of 3"),
        (lambda x: activations.gelu(x, approximate="erf"), ValueError, "erf"),
        (lambda x: activations.hardtanh(x, 1, -1), RangeError, "Swap"),
        (lambda x: activations.softshrink(x, -0.1), RangeError, "at least 0"),
        (lambda x: activations.hardshrink(x, -0.1), RangeError, "at least 0"),
        (lambda x: activations.celu(x, 0), RangeError, "above 0"),
    ],
)
def test_what_has_no_sense_is_refused(call, kind, words):
    for x in (np.ones((2, 3)), tg.Tensor(np.ones((2, 3)), requires_grad=True)):
        with pytest.raises(kind, match=words):
            call(x)


def test_a_learned_slope_is_not_cut_silently():
    with pytest.raises(NoRuleError, match="its other arguments"):
        activations.leaky_relu(tg.Tensor([1.0], requires_grad=True), tg.Tensor(0.1, requires_grad=True))
