"""Bad input: each mistake gives its own class of error, and a message with what, why and what to write."""

import inspect
import re

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import Tensor, errors
from tinygrad_np.engine.op import elementwise, linear, multilinear, op, variadic
from tinygrad_np.errors import (
    AutogradError,
    BackwardError,
    DetachError,
    DtypeError,
    InPlaceError,
    NonFiniteError,
    NoRuleError,
    RuleError,
    ShapeError,
)


def parameter(*shape, name=None):
    return Tensor(np.ones(shape), requires_grad=True, name=name)


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))


def test_the_tree_of_classes_fits_pythons():
    bases = {
        "ShapeError": ValueError, "DtypeError": TypeError, "NoRuleError": TypeError, "DetachError": TypeError,
        "InPlaceError": TypeError, "BackwardError": RuntimeError, "NonFiniteError": FloatingPointError,
        "RuleError": TypeError, "BatchError": TypeError, "RangeError": ValueError, "StateError": ValueError,
    }  # fmt: skip
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    defined -= {"LoopWarning"}
    assert issubclass(errors.LoopWarning, UserWarning)
    assert defined == {"AutogradError", *bases}
    for name, base in bases.items():
        assert issubclass(getattr(errors, name), (AutogradError, base))
        assert issubclass(getattr(errors, name), base)


# -- shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: parameter(2, 3) @ np.ones((2, 3)), ["np.matmul", "(2, 3) and (2, 3)"]),
        (lambda: np.ones((4, 5)) @ parameter(3, 2), ["np.matmul", "(4, 5) and (3, 2)"]),
        (lambda: parameter(2, 3) + np.ones(4), ["np.add", "(2, 3) and (4,)"]),
        (lambda: np.multiply(np.ones((2, 3)), parameter(2)), ["np.multiply", "(2, 3) and (2,)"]),
        (lambda: np.dot(parameter(2, 3), parameter(4)), ["np.", "(2, 3) and (4,)"]),
        (lambda: parameter(2, 3).reshape(4), ["np.reshape", "(2, 3)", "4"]),
        (lambda: np.concatenate([parameter(2, 3), parameter(4)]), ["np.concatenate", "(2, 3) and (4,)"]),
        (lambda: np.stack([parameter(2), parameter(3)]), ["stack", "(2,)", "(3,)"]),
        (lambda: np.einsum("ij,jk", parameter(2, 3), np.ones((4, 2))), ["einsum", "(2, 3) and (4, 2)", "ij,jk"]),
        (lambda: tg.linear(parameter(2, 3), parameter(2, 3)), ["linear", "(2, 3) and (2, 3)"]),
        (lambda: tg.mse(parameter(3), np.ones((3, 1))), ["mse", "(3,)", "(3, 1)", "broadcasting"]),
        (lambda: tg.cross_entropy(parameter(4, 3), np.zeros(5, int)), ["cross_entropy", "(4, 3)", "(5,)"]),
    ],
)
def test_shapes_that_do_not_fit(call, words):
    text = message(ShapeError, call)
    assert [word for word in words if word not in text] == [], text


def test_numpys_own_classes_can_still_be_caught():
    with pytest.raises(IndexError, match="out of bounds"):
        parameter(2, 3)[5]
    with pytest.raises(np.linalg.LinAlgError, match=r"[Ss]ingular"):
        np.linalg.inv(Tensor(np.zeros((2, 2)), requires_grad=True))
    text = message(np.exceptions.AxisError, lambda: parameter(2, 4).sum(axis=3))
    assert "np.sum does not work on (2, 4), axis=3" in text
    with pytest.raises(TypeError):
        parameter(2) + "text"


def test_labels_that_are_no_class():
    text = message(IndexError, lambda: tg.cross_entropy(parameter(2, 3), np.array([1, 3])))
    assert "3" in text
    assert "classes" in text


# -- backward ---------------------------------------------------------------------------------


def test_backward_on_more_than_one_number():
    text = message(BackwardError, lambda: (parameter(2, 3, name="W") * 2).backward())
    for word in ("one number", "(2, 3)", "6", "sum()", "mean()", "backward(g)"):
        assert word in text


def test_backward_without_anything_that_requires_grad():
    for call in (lambda: Tensor(1.0).backward(), lambda: parameter().detach().backward()):
        text = message(BackwardError, call)
        assert "requires_grad=True" in text
        assert "shape ()" in text


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones((3, 2)), 1.0, np.ones((1, 2, 3)), Tensor(np.ones(6))])
def test_a_cotangent_of_the_wrong_shape(cotangent):
    text = message(ShapeError, lambda: (parameter(2, 3) * 2).backward(cotangent))
    assert str(np.shape(cotangent)) in text
    assert "(2, 3)" in text


@pytest.mark.parametrize("cotangent", [np.array(["a", "b"]), np.array([None, None])])
def test_a_cotangent_that_holds_no_numbers(cotangent):
    assert str(cotangent.dtype) in message(DtypeError, lambda: (parameter(2) * 2).backward(cotangent))


def test_a_second_backward_after_freeing():
    w = parameter(2, name="w")
    loss = (w * w).sum()
    loss.backward()
    before = w.grad.data.copy()
    text = message(BackwardError, loss.backward)
    assert "already" in text
    assert "retain_graph=True" in text
    np.testing.assert_array_equal(w.grad.data, before)


def test_forward_mode_after_freeing():
    w = parameter(2)
    hidden = w * w
    hidden.sum().backward()
    assert "retain_graph" in message(BackwardError, lambda: (hidden * 2).sum().backward())


# -- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [[1, 2], np.arange(3, dtype=np.uint8), [True, False], 3])
def test_whole_numbers_cannot_require_grad(data):
    text = message(DtypeError, lambda: Tensor(data, requires_grad=True))
    assert str(np.asarray(data).dtype) in text
    assert "dtype=float" in text
    assert not Tensor(data).requires_grad


@pytest.mark.parametrize(
    "data",
    [np.array([1, "a"], object), "text", ["a", "b"], None, np.array(["2020-01-01"], "datetime64[D]"), {"a": 1}],
)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_tensor_holds_numbers(data, requires_grad):
    assert str(np.asarray(data).dtype) in message(DtypeError, lambda: Tensor(data, requires_grad=requires_grad))


def test_ragged_lists():
    text = message(AutogradError, lambda: Tensor([[1.0], [1.0, 2.0]]))
    assert "equally long" in text


@pytest.mark.parametrize("other", [np.array([None, None]), ["a", "b"], np.array(["a", "b"])])
def test_objects_and_text_do_not_mix_with_tensors(other):
    with pytest.raises(TypeError):
        parameter(2) * other
    with pytest.raises(TypeError):
        other * parameter(2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.abs(x * 1j),
        lambda x: np.abs(1j * x),
        lambda x: np.abs(x * np.array(1j)),
        lambda x: np.abs(x * np.complex64(1j)),
        lambda x: np.abs(x.astype(complex) * 1j),
        lambda x: np.abs(np.stack([x, np.array(1j)])).sum(),
    ],
    ids=["number", "reflected", "array", "scalar", "astype", "stack"],
)
def test_real_parameters_among_complex_numbers(f):
    # |1j x| = |x| has the slope 1 at 2; the wrong conjugate gives -1.
    assert tg.grad(f)(2.0) == 1


def test_the_gradient_of_a_complex_leaf_points_uphill():
    # |z| grows fastest in the direction z / |z|: 0.6 + 0.8j at 3 + 4j.
    z = Tensor(3 + 4j, requires_grad=True)
    np.abs(z).backward()
    assert z.grad.item() == pytest.approx(0.6 + 0.8j)


def test_a_complex_loss_is_refused():
    z = Tensor(3 + 4j, requires_grad=True)
    with pytest.raises(BackwardError, match="complex"):
        (z * z).backward()
    with pytest.raises(BackwardError, match="real number"):
        tg.grad(lambda z: z * z)(3 + 4j)


def result_or_message(call):
    try:
        return call()
    except AutogradError as error:
        return str(error)


# -- no rule, no write, no silent detaching ---------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda t: np.roots(t[0]), "np.roots"),
        (lambda t: np.frompyfunc(lambda x: x, 1, 1)(t), "np."),
    ],
)
def test_functions_without_a_rule(call, name):
    text = message(NoRuleError, lambda: call(parameter(2, 2, name="W")))
    for word in (name, "no derivative rule", "(2,", "How to add an op", "detach()"):
        assert word in text


def test_functions_without_a_rule_work_on_tensors_that_need_no_gradient():
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_allclose(np.corrcoef(Tensor(x)), np.corrcoef(x))


def test_keywords_without_a_rule():
    t = parameter(2)
    assert "np.where(mask" in message(NoRuleError, lambda: np.exp(t, where=np.array([True, False])))
    assert "signature" in message(NoRuleError, lambda: np.exp(t, signature="d->d"))


def test_a_tensor_that_requires_grad_where_only_metadata_goes():
    text = message(NoRuleError, lambda: np.sum(Tensor(np.ones(3)), initial=parameter()))
    assert "np.sum" in text
    assert "detach()" in text


@pytest.mark.parametrize(
    "call",
    [
        lambda t, out: np.exp(t, out=out),
        lambda t, out: np.add(t, 1, out),
        lambda t, out: np.sum(t, axis=0, out=out),
        lambda t, out: t.mean(axis=0, out=out),
        lambda t, out: np.matmul(t, t, out=out),
        lambda t, out: np.concatenate([t, t], out=out),
        lambda t, out: np.clip(t, 0, 1, out=out),
        lambda t, out: out.__iadd__(t),
    ],
)
def test_out_is_refused(call):
    out = np.full((2, 2), 7.0)
    text = message(InPlaceError, lambda: call(parameter(2, 2), out))
    assert "Leave out= away" in text
    np.testing.assert_array_equal(out, np.full((2, 2), 7.0))


def test_assigning_into_a_recorded_tensor():
    t, data = parameter(2, name="w"), Tensor(np.zeros(2))
    for call in (lambda: t.__setitem__(0, 3.0), lambda: data.__setitem__(0, t[0])):
        text = message(InPlaceError, call)
        assert "tg.index_update" in text
        assert "(2,)" in text
    np.testing.assert_array_equal(t.data, [1, 1])
    data[0] = 3.0
    np.testing.assert_array_equal(data.data, [3, 0])


@pytest.mark.parametrize(
    "call",
    [
        np.asarray,
        np.array,
        lambda t: np.array([t, t]),
        lambda t: np.ones(2).dot(t),
        lambda t: np.ones(2).__setitem__(slice(None), t),
        lambda t: np.vectorize(lambda x: x * x)(t),
        lambda t: np.random.default_rng(0).permutation(t),
    ],
)
def test_no_array_is_taken_out_silently(call):
    text = message(DetachError, lambda: call(parameter(2, name="w")))
    for word in ("'w'", "(2,)", "t.data", "detach()"):
        assert word in text


def test_a_tensor_of_a_tensor():
    assert "detach()" in message(DetachError, lambda: Tensor(parameter(2)))
    assert Tensor(Tensor([1.0]), name="x").name == "x"


# -- debug mode -------------------------------------------------------------------------------


def line_of(text):
    """The line of this file that a message names, as it stands here."""
    (place,) = re.findall(rf"{re.escape(__file__)}:(\d+)", text)
    with open(__file__, encoding="utf-8") as file:
        return file.read().splitlines()[int(place) - 1].strip()


def test_nan_and_inf_forward_are_named_with_their_line():
    x = Tensor([1.0, 0.0, -1.0], requires_grad=True)

    def forward():
        with tg.debug(), np.errstate(all="ignore"):
            y = x * 2
            return np.log(y)  # here

    text = message(NonFiniteError, forward)
    assert "`log`" in text
    assert "1 nan and 1 inf among 3" in text
    assert "(1,)" in text
    assert line_of(text) == "return np.log(y)  # here"


def test_nan_backward_is_named_with_the_line_of_the_forward_pass():
    x = Tensor([4.0, 1e-320], requires_grad=True)

    def backward():
        with tg.debug(), np.errstate(all="ignore"):
            y = np.log(x)  # slope 1 / x
            y.sum().backward()

    text = message(NonFiniteError, backward)
    assert "gradient" in text
    assert "`log`" in text
    assert line_of(text) == "y = np.log(x)  # slope 1 / x"


def test_several_results_are_looked_at_too():
    x = Tensor([1.0, np.inf], requires_grad=True)

    def forward():
        with tg.debug():
            return np.unstack(x)

    assert "unstack" in message(NonFiniteError, forward)


def test_debug_mode_records_and_ends_with_its_block():
    x = Tensor([1.0, 0.0], requires_grad=True)
    with tg.debug():
        loss = (x * x).sum()
        loss.backward()
    np.testing.assert_array_equal(x.grad.data, [2, 0])
    with np.errstate(all="ignore"):
        assert np.isinf(np.log(x).data[1])


@pytest.mark.parametrize("write", [lambda x, a: x.data.__setitem__(0, 9.0), lambda x, a: a.__setitem__(0, 9.0)])
def test_debug_mode_never_gives_the_gradient_of_overwritten_arrays(write):
    x, a = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    with tg.debug():
        loss = (x * x * a).sum()
        write(x, a)
        assert "`multiply`" in message(AutogradError, loss.backward)


# -- declaring rules --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda: elementwise(np.log, x=lambda z: 1 / z), ["np.log", "'x'", "'z'", "out"]),
        (lambda: elementwise(np.sin, x=lambda g, x: g), ["np.sin", "'g'"]),
        (lambda: op(lambda x, axis=0: x, x=lambda g, axes: g), ["'axes'", "axis"]),
        (lambda: op(lambda x, y: x, y=lambda g: g), ["y", "first"]),
        (lambda: op(lambda x: x, y=lambda g: g), ["y"]),
        (lambda: linear(lambda x: x, transpose=lambda g, w: g), ["'w'"]),
        (lambda: multilinear(lambda a, b: a * b, a=lambda g, c: g, b=lambda g, a: g), ["'c'"]),
        (lambda: variadic(lambda *arrays: arrays[0], kind="linear", vjp=lambda g, k: g), ["'k'", "arrays"]),
    ],
)
def test_a_rule_that_names_what_it_cannot_have(declare, words):
    before = np.log(parameter(1) * 2)
    text = message(RuleError, declare)
    assert [word for word in words if word not in text] == [], text
    # The rule that was there before is still in force.
    before.backward()
    np.log(parameter(1) * 2).backward()


def test_a_rule_that_fails_names_its_op():
    broken = op(lambda x: x * 1.0, name="broken", x=lambda g: g @ g)
    with pytest.raises(BackwardError, match="`broken`") as caught:
        broken(parameter()).backward()
    assert isinstance(caught.value.__cause__, TypeError)
