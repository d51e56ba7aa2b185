"""Traps that users of NumPy walk into: the right number, or a clear refusal, never a wrong gradient."""

import math
from threading import Thread

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import Tensor, grad
from tinygrad_np.engine.op import elementwise, op
from tinygrad_np.errors import AutogradError, DetachError, DtypeError, InPlaceError


def parameter(values=(1.0, 2.0, 3.0), dtype=float):
    return Tensor(np.array(values, dtype), requires_grad=True)


def filled(x):
    h = np.zeros(3)
    for i in range(3):
        h[i] = x[i] ** 2
    return np.sum(h)


@pytest.mark.parametrize("f", [filled, lambda x: np.sum(x) * math.sin(x[0]), lambda x: np.sum(x) * np.float64(x[1])])
def test_a_number_taken_out_of_the_graph_is_refused(f):
    # NumPy turns the TypeError of array[i] = t into a ValueError of its own, with ours as its cause.
    with pytest.raises((DetachError, ValueError)):
        grad(f)(np.array([1.0, 2.0, 3.0]))


def test_a_masked_array_is_refused():
    masked = np.ma.array([1.0, 2.0, 300.0], mask=[0, 0, 1])
    for f in [lambda: parameter() * masked, lambda: Tensor(masked)]:
        with pytest.raises(AutogradError, match="mask"):
            f()
    with pytest.raises(AutogradError):
        masked * parameter()


@pytest.mark.parametrize("function", [np.sum, np.prod, np.mean, np.cumsum])
@pytest.mark.parametrize("dtype", [int, bool])
def test_a_result_that_cannot_carry_a_gradient_is_refused(function, dtype):
    with pytest.raises(DtypeError, match=r"dtype"):
        function(parameter(), dtype=dtype)


def test_the_same_argument_twice_is_refused():
    for argnums in [(0, 0), (0, -2)]:
        with pytest.raises(IndexError, match="twice"):
            grad(lambda x, y: x * y, argnums)(2.0, 3.0)


def test_a_rule_of_the_wrong_shape_is_found():
    wrong = op(lambda x: np.sum(x * x), name="wrong", x=lambda g, x: np.ones(7))
    with pytest.raises(AutogradError, match=r"\(7,\).*\(3,\)"):
        grad(wrong)(np.ones(3))


def test_a_rule_may_give_an_array_that_it_shares():
    shared = np.full(3, 2.0)
    constant_slope = op(lambda x: np.sum(x * 2), name="slope", x=lambda g: shared)
    x = parameter()
    (constant_slope(x) + constant_slope(x) + np.sum(x * 5)).backward()
    np.testing.assert_array_equal(x.grad.data, [9, 9, 9])
    np.testing.assert_array_equal(shared, [2, 2, 2])


def test_a_rule_declared_again_holds_for_operators_too():
    x = parameter()
    before = x - x  # the operator has been used
    try:
        elementwise(np.subtract, x=7, y=-7)
        (x - 1.0).sum().backward()
        np.testing.assert_array_equal(x.grad.data, [7, 7, 7])
    finally:
        elementwise(np.subtract, x=1, y=-1)
    assert before.shape == (3,)


def test_threads_that_share_a_parameter_lose_no_gradient():
    w = parameter(np.zeros(3))
    work = lambda: [(w * 1.0).sum().backward() for _ in range(500)]
    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(w.grad.data, [2000, 2000, 2000])


def test_debug_mode_finds_an_index_that_was_written_into():
    x, i = parameter(), np.array([0, 1])
    with tg.debug():
        y = (x[i] * 1.0).sum()
        i[:] = [1, 2]
        with pytest.raises(InPlaceError, match="written into"):
            y.backward()


def test_debug_mode_does_not_switch_recording_on():
    with tg.no_grad(), tg.debug():
        assert not (parameter() * 2).requires_grad


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (np.mean, 1.0),
        (lambda x: tg.mse(x, np.zeros(100_000, "f2")), 1.0),
        (lambda x: tg.logsumexp(x), 1 + math.log(100_000)),
        (lambda x: tg.binary_cross_entropy_with_logits(x, np.ones(100_000, "f2")), math.log(1 + math.exp(-1))),
        (lambda x: tg.cross_entropy(np.stack([x, x]), np.zeros(100_000, int), axis=0), math.log(2)),
    ],
)
def test_half_precision_does_not_overflow_in_a_mean(f, value):
    x = parameter(np.ones(100_000), np.float16)
    out = f(x)
    assert out.dtype == np.float16
    assert out.item() == pytest.approx(value, rel=2e-3)
    out.backward()
    assert x.grad.dtype == np.float16
    assert np.isfinite(x.grad.data).all()


def test_a_mean_in_half_precision_has_a_gradient():
    x = parameter(np.ones(100_000), np.float16)
    np.mean(x).backward()
    np.testing.assert_allclose(x.grad.data, 1e-5, rtol=2e-2)


@pytest.mark.parametrize("integers", [np.uint8, np.int8, np.bool_])
def test_integers_beside_a_tensor_do_not_wrap(integers):
    ones = np.ones(2, integers)
    np.testing.assert_array_equal(grad(lambda t: np.sum(np.fmin(t, ones)))(np.array([0.5, 5.0])), [1, 0])
    zeros = np.zeros(2, integers)
    np.testing.assert_array_equal(grad(lambda t: np.sum(np.power(t, zeros)))(np.array([0.5, 1e10])), [0, 0])


def test_numbers_among_the_arguments_of_a_loss():
    np.testing.assert_allclose(grad(lambda z: tg.cross_entropy(z, 1))(np.zeros(2)), [0.5, -0.5])
    np.testing.assert_allclose(grad(lambda t: tg.mse(1.0, t))(3.0), 4.0)
    np.testing.assert_allclose(grad(lambda x: np.sum(tg.linear(x, np.ones((2, 2)), 0.5)))(np.ones((1, 2))), [[2, 2]])


def test_one_label_for_many_samples_is_refused():
    with pytest.raises(AutogradError, match=r"\(5, 3\)"):
        tg.cross_entropy(parameter(np.ones((5, 3))), np.array([1]))
