"""What a backward pass leaves on the tape: small gradients, of large ones the size; true, and changed by nobody."""

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np.engine.tape import SMALL
from tinygrad_np.engine.walk import root_mean_square

RNG = np.random.default_rng(0)
BIG = SMALL + 1


def rms(array):
    """The root mean square, with numbers that neither overflow nor vanish in it."""
    return float(np.sqrt(np.mean(np.abs(np.asarray(array)).astype(np.longdouble) ** 2)))


STAGES = [
    lambda v: np.sin(v) * v,
    lambda v: v.reshape(2, -1) if v.ndim == 1 else v.T,
    lambda v: np.concatenate([v, np.exp(v * 0.1)]),
    lambda v: v @ np.ones((v.shape[-1], 2)) / v.shape[-1],
    lambda v: np.stack(np.split(v, 2))[::-1],
    lambda v: v - np.mean(v, axis=-1, keepdims=True),
    lambda v: np.maximum(v, 0.2) + v[..., :1],
    lambda v: v**2 + v,
]


def rest(stages):
    def f(v):
        for stage in stages:
            v = stage(v)
        return np.sum(v * v)

    return f


@pytest.mark.parametrize("how", ["backward", "retain_graph", "create_graph", "inspect", "debug"])
@pytest.mark.parametrize("size", [4, 512, 2 * SMALL])
def test_cotangents_are_the_gradients_of_what_follows(how, size):
    x = parameter(RNG.normal(size=size))
    blocks = {"inspect": tg.inspect, "debug": tg.debug}
    with blocks.get(how, lambda: tg.scope("plain"))():
        hidden = [x]
        for stage in STAGES:
            hidden.append(stage(hidden[-1]))
        y = rest([])(hidden[-1])
        y.backward(**({how: True} if "graph" in how else {}))
    seen = 0
    for i, h in enumerate(hidden[1:], start=1):
        expected = tg.grad(rest(STAGES[i:]))(h.data)
        noted = h.node.cotangent
        if h.size <= SMALL:
            assert noted.shape == h.shape
            np.testing.assert_allclose(noted, expected, rtol=1e-12, atol=1e-14)
        else:
            assert type(noted) is float
            assert noted == pytest.approx(rms(expected), rel=1e-12)
        seen += 1
        if how == "inspect":
            np.testing.assert_allclose(h.node.trace.gradient, expected, rtol=1e-12, atol=1e-14)
    assert seen == len(STAGES)


LARGE = {
    "normal": RNG.normal(size=BIG),
    "squares overflow": np.full(BIG, 1e200),
    "squares vanish": np.full(BIG, 1e-200),
    "zero": np.zeros(BIG),
    "near the largest": np.arange(BIG) * 1e305,
    "one of the smallest": np.where(np.arange(BIG) == 7, 1e-320, 0.0),
    "float32": RNG.normal(size=BIG).astype(np.float32) * np.float32(1e30),
    "float16": RNG.normal(size=BIG).astype(np.float16) * np.float16(300),
    "backwards": RNG.normal(size=(BIG, 2))[:, ::-2],
    "transposed": RNG.normal(size=(3, 700)).T,
    "broadcast": np.broadcast_to(RNG.normal(size=(40, 1)), (40, 40)),
    "complex": RNG.normal(size=BIG) + 1j * RNG.normal(size=BIG),
}


@pytest.mark.parametrize("case", LARGE)
def test_the_size_of_large_gradients(case):
    g = LARGE[case]
    x = parameter(np.ones(g.shape, g.dtype))
    y = x * 1
    y.backward(g)
    assert type(y.node.cotangent) is float
    assert y.node.cotangent == pytest.approx(rms(g), rel=1e-3 if case == "float16" else 1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_size_of_gradients_that_are_not_finite(bad):
    x = parameter(np.ones(BIG))
    y = x * 1
    y.backward(np.where(np.arange(BIG) == 3, bad, 1.0))
    assert not np.isfinite(y.node.cotangent)
    assert np.isnan(y.node.cotangent) == np.isnan(bad)


def test_gradients_that_are_returned_leave_nothing():
    seen = []
    for way in (tg.grad, tg.jacobian, tg.value_and_grad):
        way(lambda v: [seen.append(np.sin(v)), np.sum(seen[-1] * 3)][1])(np.ones(2))
    assert [h.node.cotangent for h in seen] == [None] * 3


def test_gradients_as_hooks_leave_them():
    x = parameter([1.0, 2.0])
    with tg.inspect():
        h = np.sin(x)
        h.register_hook(lambda g: g * 10)
        x.register_hook(lambda g: g + 1)
        np.sum(h * 3).backward()
    equal(h.node.cotangent, [30.0, 30.0])
    equal(h.node.trace.gradient, [30.0, 30.0])
    equal(h.node.trace.gradients[0], 30 * np.cos(x.data))
    equal(x.node.trace.gradient, 30 * np.cos(x.data) + 1)


# -- nobody else changes them -----------------------------------------------------------------


@pytest.mark.parametrize("inspected", [True, False])
def test_writing_into_ones_own_cotangent(inspected):
    x, g = parameter([1.0, 2.0]), np.array([3.0, 4.0])
    with tg.inspect() if inspected else tg.scope("plain"):
        y = x * 2
        y.backward(g)
    g[:] = 99
    equal(y.node.cotangent, [3.0, 4.0])
    if inspected:
        equal(y.node.trace.gradient, [3.0, 4.0])
        equal(y.node.trace.gradients[0], [6.0, 8.0])


@pytest.mark.parametrize("inspected", [True, False])
@pytest.mark.parametrize("op", [lambda x: x * 2, lambda x: x + 0, lambda x: x.reshape(2, 1).T, np.sin])
def test_writing_into_grad(inspected, op):
    x = parameter([1.0, 2.0])
    with tg.inspect() if inspected else tg.scope("plain"):
        h = op(x).retain_grad()
        y = h * 3
        np.sum(y).backward()
    gradient = x.grad.data.copy()
    for t in (x, h):
        t.grad.data[:] = 99
        t.grad = None
    equal(h.node.cotangent, np.full(h.shape, 3.0))
    equal(y.node.cotangent, np.ones(h.shape))
    if inspected:
        equal(h.node.trace.gradient, np.full(h.shape, 3.0))
        equal(h.node.trace.gradients[0].ravel(), gradient)
        equal(y.node.trace.gradients[0], np.full(h.shape, 3.0))
        equal(x.node.trace.gradient, gradient)


def test_the_arrays_of_small_gradients_hold_no_large_ones(no_collector):
    small, large = parameter(np.ones(5)), parameter(np.ones(100_000))
    h = np.sin(small)
    both = np.concatenate([h, large * 2])
    np.sum(np.exp(both)).backward()
    part = np.sum(np.exp(large)[:5])
    for held in (h.node.cotangent, part.node.inputs[0].value):
        while held is not None and held.base is not None:
            held = held.base
        assert held is None or held.size <= SMALL


@pytest.mark.parametrize("size", [3e-23, 5e-23, 1e-30, 1.0, 1e30])
def test_the_size_of_a_gradient_in_single_precision(size):
    # The squares leave the range of float32, or its full precision, where the numbers are still normal.
    entries = np.full(2000, size, np.float32)
    entries[::2] *= -3
    assert root_mean_square(entries) == pytest.approx(size * 5**0.5, rel=1e-6)
    assert root_mean_square(entries.reshape(40, 50).T) == pytest.approx(size * 5**0.5, rel=1e-6)


def test_what_is_held_does_not_change_with_the_parameter():
    w = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    row = w.reshape(4)
    out = row.sum()
    w.data -= 0.5
    assert row.node.value.tolist() == [1, 2, 3, 4]
    assert out.item() == 10


def test_a_hook_may_write_into_its_array_again():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = w * 1.0
    buffer = np.zeros(2)
    y.register_hook(lambda g: np.add(g.data, 1, out=buffer))
    y.sum().backward()
    buffer[:] = 99
    assert y.node.cotangent.tolist() == [2, 2]
