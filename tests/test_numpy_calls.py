"""Calls that the op table cannot make: writes, joins in brackets, functions of functions, ties, odd keywords."""

import math

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.errors import DetachError, DtypeError, InPlaceError, NoRuleError, ShapeError

M = np.array([[1.5, -0.5, 2.0, 0.3], [-1.0, 0.7, 1.1, -2.0], [0.4, 1.9, -1.3, 0.8]])
CUBE = np.random.default_rng(5).normal(size=(2, 3, 4))


def parameter(values=M):
    return tg.Tensor(values, requires_grad=True)


def assert_right(f, *arrays, like=None):
    """The value is that of `like` (NumPy's own `f`), and the gradient agrees with central differences."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(a, float) for a in arrays]
    expected = (like or f)(*arrays)
    tensors = [parameter(a) for a in arrays]
    out = f(*tensors)
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-13)
    weights = rng.normal(size=out.shape)
    out.backward(weights)
    directions = [rng.normal(size=a.shape) for a in arrays]

    def loss(step):
        return np.sum(weights * (like or f)(*[a + step * d for a, d in zip(arrays, directions, strict=True)]))

    got = sum(np.sum(t.grad.data * d) for t, d in zip(tensors, directions, strict=True) if t.grad is not None)
    np.testing.assert_allclose(got, (loss(1e-6) - loss(-1e-6)) / 2e-6, rtol=1e-6, atol=1e-7)


# -- writes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "advice"),
    [
        (lambda t: np.fill_diagonal(t, 0), "np.where"),
        (lambda t: np.put(t, [0], 1.0), "tg.index_update"),
        (lambda t: np.put_along_axis(t, np.array([[0]]), 1.0, 0), "tg.put_along_axis"),
        (lambda t: np.place(t, M > 0, [1.0]), "np.where"),
        (lambda t: np.putmask(t, M > 0, 1.0), "np.where"),
        (lambda t: np.copyto(t, 1.0), "np.where"),
        (lambda t: np.copyto(np.zeros((3, 4)), t), "tg.full"),
        (lambda t: np.add.at(t, [0], 1.0), "tg.index_add"),
        (lambda t: np.subtract.at(np.zeros((3, 4)), [0, 1, 2], t), "tg.index_add"),
        (lambda t: np.multiply.at(t, [0], 2.0), "tg.index_update"),
        (lambda t: np.lib.stride_tricks.sliding_window_view(t, 2, 0, writeable=True), "writeable="),
    ],
)
def test_a_write_into_a_recorded_tensor_is_refused_with_the_way_out(write, advice):
    t = parameter()
    with pytest.raises(InPlaceError, match=advice):
        write(t)
    np.testing.assert_array_equal(t.data, M)


def test_writes_into_what_is_not_recorded_work():
    t = tg.Tensor(np.zeros(3))
    np.copyto(t, [1.0, 2.0, 3.0])
    np.add.at(t, [0, 0], tg.Tensor(1.0))
    np.put(t, [1], 9.0)
    np.testing.assert_array_equal(t.data, [3.0, 9.0, 3.0])


def test_of_values_put_to_one_place_only_the_last_has_a_gradient():
    t, values = parameter([1.0, 2.0, 3.0]), parameter([10.0, 20.0])
    updated = tg.index_update(t, [1, 1], values)
    np.testing.assert_array_equal(updated.data, [1.0, 20.0, 3.0])
    updated.sum().backward()
    np.testing.assert_array_equal(t.grad.data, [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(values.grad.data, [0.0, 1.0])


def test_values_added_to_one_place_all_have_a_gradient():
    t, values = parameter([1.0, 2.0, 3.0]), parameter([10.0, 20.0])
    added = tg.index_add(t, [1, 1], values)
    np.testing.assert_array_equal(added.data, [1.0, 32.0, 3.0])
    added[1].backward()
    np.testing.assert_array_equal(values.grad.data, [1.0, 1.0])


def test_index_update_refuses_values_that_do_not_fit():
    with pytest.raises(ShapeError, match="index_update"):
        tg.index_update(parameter(), 0, np.ones(3))


# -- joining ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        lambda a, b: (a, 0, b),
        lambda a, b: (a, slice(1, 4), b),
        lambda a, b: (a, b, slice(0, 5, 3j)),
        lambda a, b: ("0,2", a, b),
        lambda a, b: ("0,2,0", a, b),
        lambda a, b: ("-1,3,1", a, b),
        lambda a, b: a,
    ],
)
def test_r_joins_as_numpys_does(key):
    assert_right(lambda a, b: tg.r_[key(a, b)], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], like=lambda a, b: np.r_[key(a, b)])


def test_c_joins_as_numpys_does():
    key = lambda a, b: (a, slice(0, 1, 3j), b)
    assert_right(lambda a, b: tg.c_[key(a, b)], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], like=lambda a, b: np.c_[key(a, b)])


def test_python_numbers_in_r_take_the_dtype_of_the_tensors():
    assert tg.r_[parameter(np.ones(2, np.float32)), 2.5].dtype == np.float32


def test_r_refuses_to_make_a_matrix():
    with pytest.raises(ValueError, match="whole numbers"):
        tg.r_["r", parameter()]


def test_nested_lists_of_tensors_make_one_tensor():
    assert_right(
        lambda a, b: tg.array([a, [b, 1.0]]), [1.0, 2.0], 3.0, like=lambda a, b: np.array([a, [b.item(), 1.0]])
    )


def test_parts_of_different_shapes_make_no_array():
    with pytest.raises(ShapeError, match=r"\(1,\), \(3, 4\)"):
        tg.array([parameter(), [1.0]])


def test_full_takes_its_dtype_and_shape_from_the_call():
    assert tg.full((2, 2), 3).dtype == np.full((2, 2), 3).dtype
    with pytest.raises(ShapeError):
        tg.full((2, 2), parameter([1.0, 2.0, 3.0]))


# -- functions of functions ---------------------------------------------------------------------


def scaled(v, low):
    return v * v if v > low else 3 * v


def inner(u, v):
    return np.sum(u * v)


def test_vectorize_broadcasts():
    assert_right(tg.vectorize(scaled), M, [0.1, 0.2, 0.4, 0.5], like=np.vectorize(scaled))


def test_vectorize_with_a_signature():
    signature = "(n),(n)->()"
    like = np.vectorize(inner, signature=signature)
    assert_right(tg.vectorize(inner, signature=signature), CUBE, M[0], like=like)


def test_vectorize_leaves_what_is_excluded_whole():
    def polynomial(p, v):
        return sum(c * v**i for i, c in enumerate(p))

    ours, numpys = (module.vectorize(polynomial, excluded=[0]) for module in (tg, np))
    assert_right(lambda v: ours([1.0, 2.0, 3.0], v), M, like=lambda v: numpys([1.0, 2.0, 3.0], v))


@pytest.mark.parametrize("call", [lambda t: tg.vectorize(math.sin)(t), lambda t: np.vectorize(scaled)(t, 0.0)])
def test_what_would_cut_the_gradient_says_so(call):
    with pytest.raises(DetachError):
        call(parameter())


def test_a_ufunc_made_of_a_python_function_is_refused():
    with pytest.raises(NoRuleError):
        np.frompyfunc(scaled, 2, 1)(parameter(), 0.0)


def test_a_bad_branch_of_piecewise_does_not_spoil_the_others():
    t = parameter([-1.0, 4.0])
    np.piecewise(t, [t.data > 0], [np.sqrt, lambda v: -v]).sum().backward()
    np.testing.assert_array_equal(t.grad.data, [-1.0, 0.25])


# -- methods of ufuncs --------------------------------------------------------------------------

KEYWORDS = [
    {"axis": (0, 2)},
    {"axis": -1, "keepdims": True},
    {"axis": (1, 2), "where": CUBE > -0.5, "initial": 0.2},
    {"axis": ()},
    {"axis": (0, -1), "keepdims": True, "where": CUBE[:1] > 0, "initial": 0.1},
]


@pytest.mark.parametrize("options", KEYWORDS)
@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot]
)
def test_reduce_with_every_keyword(ufunc, options):
    assert_right(lambda a: ufunc.reduce(a, **options), CUBE)
    assert ufunc.reduce(parameter(CUBE), dtype=np.float32, **options).dtype == np.float32


@pytest.mark.parametrize("values", [[1.0, 3.0, 3.0, 2.0, 3.0], [2.0, 2.0]])
def test_entries_that_tie_for_a_running_maximum_share_it_equally(values):
    t = parameter(values)
    weights = np.arange(1.0, len(values) + 1)
    np.maximum.accumulate(t).backward(weights)
    expected = np.zeros(len(values))
    for i in range(len(values)):
        part = np.asarray(values[: i + 1])
        leads = part == part.max()
        expected[: i + 1] += weights[i] * leads / leads.sum()
    np.testing.assert_allclose(t.grad.data, expected, rtol=1e-14)


def test_a_masked_entry_too_large_for_the_exponential_does_no_harm():
    t = parameter([1.0, 2.0, 3000.0])
    np.logaddexp.reduce(t, where=np.array([True, True, False]), initial=-np.inf).backward()
    np.testing.assert_allclose(t.grad.data, np.append(np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum(), 0), rtol=1e-14)


def test_products_over_segments_with_zeros():
    x = [2.0, 0.0, 3.0, 0.0, 5.0, 1.0, 0.0]
    assert_right(lambda a: np.multiply.reduceat(a, [0, 3, 5]), x)
    assert_right(np.cumprod, x)


@pytest.mark.parametrize("values", [[2.0, 3.0, 2.0], [0.5, 2.0]])
def test_power_reduce_is_the_last_of_accumulate(values):
    # NumPy's own reduce gives 4 for [2, 3, 2].
    assert_right(np.power.reduce, values, like=lambda a: np.power.accumulate(a)[-1])


# -- padding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0, 1, (2, 1), ((5, 0), (0, 9)), np.array([[1, 2], [3, 4]])])
@pytest.mark.parametrize(
    "mode",
    ["constant", "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect", "symmetric", "wrap"],
)
def test_every_mode_of_pad(mode, width):
    assert_right(lambda a: np.pad(a, width, mode), M)


def test_what_pad_cannot_do():
    with pytest.raises(NoRuleError, match="concatenate"):
        np.pad(parameter(), 1, lambda *args: None)
    with pytest.raises(ValueError, match="no mode 'foo'"):
        np.pad(parameter(), 1, "foo")
    with pytest.raises(ValueError, match="stat_length"):
        np.pad(parameter(), 1, "edge", stat_length=2)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, buffer: np.sum(t, 0, None, buffer),
        lambda t, buffer: np.max(t, 0, buffer),
        lambda t, buffer: np.std(t, 0, None, buffer),
        lambda t, buffer: np.take(t, [0], 0, buffer),
        lambda t, buffer: np.concatenate([t, t], 0, buffer),
        lambda t, buffer: np.dot(t, t, out=buffer),
        lambda t, buffer: np.add(t, t, buffer),
    ],
)
def test_out_is_refused_by_position_too(call):
    buffer = np.zeros(2)
    with pytest.raises(InPlaceError, match="out="):
        call(tg.Tensor([1.0, 2.0], requires_grad=True), buffer)
    np.testing.assert_array_equal(buffer, 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.concatenate([t, t], dtype=int),
        lambda t: np.stack([t, t], dtype=np.int64),
        lambda t: np.add(t, 1, dtype=int),
        lambda t: np.add.reduce(t, dtype=int),
        lambda t: np.fmax.reduce(t, dtype=int),
        lambda t: np.insert(np.array([1, 2]), 1, t),
        lambda t: np.concatenate([t, t], dtype=np.float32, casting="no"),
    ],
)
def test_a_dtype_that_would_cut_the_gradient_is_refused(call):
    with pytest.raises(DtypeError, match="dtype"):
        call(tg.Tensor([1.5, 2.5], requires_grad=True))
