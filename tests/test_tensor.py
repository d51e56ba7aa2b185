"""A Tensor behaves as the NumPy array it holds: operators, dtypes, indexing, text, copies."""

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import Tensor
from tinygrad_np.errors import AutogradError, BackwardError, DtypeError

OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
]  # fmt: skip
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
OTHERS = [2, 1.5, True, np.float64(1.5), np.float32(1.5), np.int64(2), np.array(1.5), np.array([[0.5], [2.0]])]
X = np.array([[0.5, 1.5, 2.5], [3.5, 4.5, 1.5]])


def parameter(array=X, **options):
    return Tensor(array, requires_grad=True, **options)


def plain(value):
    return value.data if isinstance(value, Tensor) else value


# -- operators --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("other", OTHERS, ids=lambda o: f"{type(o).__name__}{np.shape(o)}")
@pytest.mark.parametrize("op", OPERATORS, ids=lambda f: f.__name__)
def test_operators_are_numpys_on_both_sides(op, other, dtype):
    x = X.astype(dtype)
    for got, expected in [(op(parameter(x), other), op(x, other)), (op(other, parameter(x)), op(other, x))]:
        assert plain(got).dtype == expected.dtype
        np.testing.assert_array_equal(plain(got), expected)


@pytest.mark.parametrize("other", [*OTHERS, parameter(np.full((2, 3), 1.5))], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("op", COMPARISONS, ids=lambda f: f.__name__)
def test_comparisons_give_plain_booleans(op, other):
    got = op(parameter(), other)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, op(X, plain(other)))


def test_an_array_on_the_left_of_any_operator_keeps_the_graph():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul):
        t = parameter(np.array([[1.0, 2.0], [0.5, 1.0]]))
        out = op(a, t)
        assert isinstance(out, Tensor), op
        assert out.requires_grad


def test_unary_operators_and_matmul():
    t = parameter(X - 2)
    np.testing.assert_array_equal((-t).data, -(X - 2))
    np.testing.assert_array_equal((+t).data, X - 2)
    np.testing.assert_array_equal(abs(t).data, abs(X - 2))
    np.testing.assert_array_equal((t @ X.T).data, (X - 2) @ X.T)
    np.testing.assert_array_equal((X.T @ t).data, X.T @ (X - 2))


def test_python_sum_works():
    np.testing.assert_array_equal(sum(parameter()).data, X.sum(axis=0))


# -- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [(1.5, np.float32), (2, np.float32), (np.float64(1.5), np.float64), (np.array(1.5), np.float64),
     (np.arange(3), np.float64), (np.arange(3, dtype=np.int16), np.float32), (np.array(1, np.float16), np.float32)],
)  # fmt: skip
def test_float32_meets_other_numbers(other, expected):
    t = Tensor(np.ones(3, np.float32), requires_grad=True)
    out = t * other
    assert out.dtype == expected
    out.sum().backward()
    # A gradient has its own tensor's dtype, whatever the computation was done in.
    assert t.grad.dtype == np.float32


def test_dtype_of_the_data():
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor([1, 2], dtype=np.float32, requires_grad=True).dtype == np.float32
    assert Tensor(1.0).dtype == np.float64
    assert Tensor(np.float16(1)).dtype == np.float16


def test_astype_is_recorded_and_its_gradient_comes_back_in_the_first_dtype():
    t = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    wide = t.astype(np.float64)
    assert wide.dtype == np.float64
    (wide * wide).sum().backward()
    assert t.grad.dtype == np.float32
    np.testing.assert_array_equal(t.grad.data, [2, 4])


def test_astype_to_whole_numbers_leaves_the_graph():
    out = parameter().astype(int)
    assert not getattr(out, "requires_grad", False)
    np.testing.assert_array_equal(plain(out), X.astype(int))


# -- methods and properties -------------------------------------------------------------------

METHODS = {
    "sum": lambda t: t.sum(axis=1, keepdims=True),
    "mean": lambda t: t.mean(axis=0),
    "prod": lambda t: t.prod(),
    "var": lambda t: t.var(axis=1, ddof=1),
    "std": lambda t: t.std(),
    "max": lambda t: t.max(axis=-1),
    "min": lambda t: t.min(),
    "cumsum": lambda t: t.cumsum(axis=1),
    "cumprod": lambda t: t.cumprod(0),
    "all": lambda t: (t > 1).all(axis=0),
    "any": lambda t: t.any(),
    "argmax": lambda t: t.argmax(axis=1),
    "argmin": lambda t: t.argmin(),
    "argsort": lambda t: t.argsort(axis=0),
    "nonzero": lambda t: t.nonzero()[1],
    "round": lambda t: t.round(),
    "clip": lambda t: t.clip(1.0, 3.0),
    "ravel": lambda t: t.ravel(),
    "flatten": lambda t: t.flatten(),
    "squeeze": lambda t: t[:1].squeeze(axis=0),
    "swapaxes": lambda t: t.swapaxes(0, 1),
    "repeat": lambda t: t.repeat(2, axis=1),
    "take": lambda t: t.take([0, 2, 2], axis=1),
    "diagonal": lambda t: t.diagonal(1),
    "trace": lambda t: t.trace(),
    "dot": lambda t: t.dot(X.T),
    "copy": lambda t: t.copy(),
    "reshape": lambda t: t.reshape(3, 2),
    "reshape_tuple": lambda t: t.reshape((3, -1)),
    "transpose": lambda t: t.transpose(),
    "transpose_axes": lambda t: t.transpose(1, 0),
    "T": lambda t: t.T,
    "mT": lambda t: t.mT,
    "getitem": lambda t: t[1, ::-1],
    "getitem_mask": lambda t: t[X > 1],
    "getitem_newaxis": lambda t: t[..., None, 0],
    "getitem_array": lambda t: t[[1, 0, 1], np.array([2, 2, 0])],
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_numpys(name):
    got, expected = METHODS[name](parameter()), METHODS[name](X)
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(plain(got), expected, rtol=1e-14)
    assert np.asarray(plain(got)).dtype == np.asarray(expected).dtype


def test_properties():
    t = parameter()
    for name in ("shape", "ndim", "size", "dtype", "nbytes", "itemsize"):
        assert getattr(t, name) == getattr(X, name)
    assert t.is_leaf
    assert not (t * 2).is_leaf
    assert t.tolist() == X.tolist()
    assert t[0, 1].item() == 1.5


def test_a_tensor_can_be_an_index():
    np.testing.assert_array_equal(parameter()[Tensor([1, 0])].data, X[[1, 0]])
    assert [10, 20, 30][Tensor(1)] == 20


def test_methods_and_functions_give_the_same_graph():
    t = parameter()
    for ours, numpys in [(t.sum(axis=0), np.sum(t, axis=0)), (t.reshape(6), np.reshape(t, 6)), (t.T, np.transpose(t))]:
        assert ours.node.op_name == numpys.node.op_name
        assert ours.node.inputs == numpys.node.inputs


# -- one number, containers, text -------------------------------------------------------------


def test_len_bool_float_and_int():
    assert len(parameter()) == 2
    assert float(Tensor(1.75)) == 1.75
    assert int(Tensor(1.75)) == 1
    assert parameter(1.75).item() == 1.75
    assert bool(parameter(0.5))
    assert not parameter(0.0)
    with pytest.raises(TypeError):
        len(parameter(1.0))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(parameter())
    with pytest.raises(TypeError):
        float(Tensor(X))


def test_iterating_gives_rows_that_are_recorded():
    t = parameter()
    first, second = t
    assert [len(first), len(second)] == [3, 3]
    (2 * first + 3 * second).sum().backward()
    np.testing.assert_array_equal(t.grad.data, [[2, 2, 2], [3, 3, 3]])
    with pytest.raises((TypeError, ValueError)):
        iter(parameter(1.0))


def test_membership():
    assert 4.5 in parameter()
    assert 7.0 not in parameter()


def test_tensors_are_told_apart_by_identity_in_sets_and_dicts():
    a, b = parameter(1.0), parameter(1.0)
    assert len({a, b}) == 2
    assert {a: "a", b: "b"}[b] == "b"


def test_formatting_one_number():
    t = parameter(3.14159)
    assert f"{t:.2f}" == "3.14"
    assert f"{t * 2:8.3f}" == "   6.283"
    assert "3.14159" in f"{t}"


def test_repr_says_what_it_is():
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor(np.float32(1))) == "Tensor(1., dtype=float32)"
    assert repr(parameter([1.0], name="w")) == "Tensor([1.], name='w', requires_grad=True)"
    assert repr(parameter([1.0]) * 2) == "Tensor([2.], op=multiply)"
    assert "\n" in repr(parameter())
    assert str(Tensor([1.0, 2.0])) == "[1. 2.]"


# -- making, copying, naming ------------------------------------------------------------------


def test_a_parameter_copies_the_callers_array_and_data_shares_it():
    array = np.ones(3)
    w, x = Tensor(array, requires_grad=True), Tensor(array)
    assert not np.shares_memory(w.data, array)
    assert np.shares_memory(x.data, array)


def test_in_place_operators_rebind_as_for_numbers():
    t = start = parameter()
    t += 1
    assert t is not start
    assert t.requires_grad
    np.testing.assert_array_equal(start.data, X)
    np.testing.assert_array_equal(t.data, X + 1)
    t.sum().backward()
    np.testing.assert_array_equal(start.grad.data, np.ones_like(X))


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (operator.iadd, X + X / 2),
        (operator.isub, X - X / 2),
        (operator.imul, X * X / 2),
        (operator.itruediv, np.full_like(X, 2)),
    ],
)
@pytest.mark.parametrize("wrap", [np.asarray, Tensor])
def test_inside_no_grad_a_parameter_is_updated_itself(op, expected, wrap):
    t = start = parameter()
    with tg.no_grad():
        t = op(t, wrap(X / 2))
    assert t is start
    assert t.requires_grad
    np.testing.assert_allclose(t.data, expected)


def test_an_update_between_forward_and_backward_does_not_reach_the_graph():
    t = parameter()
    y = np.sum(t**2)
    with tg.no_grad():
        t -= 0.5
    y.backward()
    np.testing.assert_array_equal(t.grad.data, 2 * X)


def test_an_update_keeps_the_parameters_dtype():
    t = Tensor(np.ones(2, np.float32), requires_grad=True)
    with tg.no_grad():
        t -= np.float64(0.5) * np.ones(2)
    assert t.dtype == np.float32
    np.testing.assert_array_equal(t.data, [0.5, 0.5])


def test_detach_shares_the_array_and_has_no_graph():
    t = parameter()
    y = t * 2
    out = y.detach()
    assert np.shares_memory(out.data, y.data)
    assert not out.requires_grad
    assert y.requires_grad
    (t * t.detach()).sum().backward()
    np.testing.assert_array_equal(t.grad.data, X)


def test_names_can_be_set_at_any_time():
    t = parameter(name="w")
    assert t.name == "w"
    t.name = "v"
    assert t.name == "v"
    y = t * 2
    assert y.name is None
    y.name = "y"
    constant = y.detach()
    assert constant.name is None
    constant.name = "c"
    assert (y.name, constant.name) == ("y", "c")


def test_requires_grad_can_be_set_on_leaves():
    t = Tensor([1.0, 2.0], name="w")
    before = t * 3
    t.requires_grad = True
    assert t.requires_grad
    assert t.name == "w"
    assert not before.requires_grad
    (t * 3).sum().backward()
    np.testing.assert_array_equal(t.grad.data, [3, 3])
    t.requires_grad = False
    assert not (t * 3).requires_grad
    with pytest.raises(BackwardError):
        (t * 3).sum().backward()


def test_requires_grad_cannot_be_set_on_results_or_whole_numbers():
    y = parameter() * 2
    with pytest.raises(AutogradError, match="follows from how it was computed"):
        y.requires_grad = False
    whole = Tensor([1, 2])
    with pytest.raises(DtypeError, match="int64"):
        whole.requires_grad = True


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_leaves_of_their_own(copied):
    t = parameter(name="w")
    other = copied(t)
    assert other.is_leaf
    assert (other.name, other.requires_grad, other.dtype) == ("w", True, t.dtype)
    assert not np.shares_memory(other.data, t.data)
    np.testing.assert_array_equal(other.data, t.data)
    (other * 2).sum().backward()
    assert t.grad is None
    np.testing.assert_array_equal(other.grad.data, np.full_like(X, 2))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_was_computed_is_not_copied_out_of_its_graph(copied):
    with pytest.raises(tg.errors.DetachError, match=r"t\.copy\(\)"):
        copied(parameter() * 2)


def test_the_copy_method_stays_in_the_graph():
    t = parameter()
    t.copy().sum().backward()
    np.testing.assert_array_equal(t.grad.data, np.ones_like(X))


def test_numpy_takes_a_tensor_that_needs_no_gradient():
    t = Tensor(X)
    np.testing.assert_array_equal(np.asarray(t), X)
    np.testing.assert_array_equal(np.array([t, t]), np.array([X, X]))
    assert np.asarray(t, np.float32).dtype == np.float32


def test_comparing_with_what_has_its_own_way():
    assert tg.Tensor([0.1 + 0.2, 1.0]) == pytest.approx([0.3, 1.0])
    assert pytest.approx([0.3, 1.0]) == tg.Tensor([0.1 + 0.2, 1.0])
    assert tg.Tensor(2.0) != pytest.approx(2.1)
