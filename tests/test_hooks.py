"""Hooks: what they see, what they change, when they run, and what is left of them."""

import weakref

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import grad, hessian, jacobian, vjp
from tinygrad_np.errors import BackwardError, ShapeError

X = np.array([0.5, 1.0, 2.0])


def watched(tensor):
    """The gradients that come by at a tensor, as a list that grows."""
    seen = []
    tensor.register_hook(lambda g: seen.append(np.array(g.data)))
    return seen


# -- what a hook sees ---------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", [True, False])
def test_a_hook_sees_the_whole_gradient_once(leaf):
    x = parameter(X)
    h = x if leaf else x * 1
    seen = watched(h)
    (np.sum(h) + np.sum(h * h) + 3 * np.sum(h)).backward()
    assert len(seen) == 1
    equal(seen[0], 4 + 2 * X)
    equal(x.grad, 4 + 2 * X)


def test_each_backward_pass_comes_by_with_its_own_gradient():
    x = parameter(X)
    seen = watched(x)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    equal(seen, [np.full(3, 2.0), np.full(3, 3.0)])
    equal(x.grad, np.full(3, 5.0))


def test_what_is_not_reached_has_no_gradient_to_show():
    x = parameter(X)
    aside = watched(x * 2)
    (x * 3).sum().backward()
    assert aside == []


def test_a_root_is_reached_too():
    x = parameter(2.0)
    y = x * 5
    y.register_hook(lambda g: g * 3)
    y.backward()
    equal(x.grad, 15)
    x.grad = None
    x.register_hook(lambda g: g * 7)
    x.backward()
    equal(x.grad, 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_the_gradient_is_a_tensor_of_the_same_shape_and_dtype(dtype):
    x = parameter(X.astype(dtype))
    seen = []
    x.register_hook(seen.append)
    (np.abs(x * np.ones((2, 3))) ** 2).sum().backward()
    assert isinstance(seen[0], tg.Tensor)
    assert not seen[0].requires_grad
    assert (seen[0].shape, seen[0].dtype) == ((3,), dtype)


def test_complex_gradients_are_those_that_users_see():
    z = parameter(np.array([1 + 2j]))
    h = z * 2
    seen = watched(h)
    h.register_hook(lambda g: g * 1j)
    (np.abs(h) ** 2).sum().backward()
    equal(seen[0], 2 * h.data)
    # h = 2 z, and the gradient of z is twice what the hook left.
    equal(z.grad, 2 * 1j * 2 * h.data)


# -- what a hook changes ------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", [True, False])
def test_what_a_hook_returns_goes_on(leaf):
    x = parameter(X)
    h = x if leaf else x * 2
    h.register_hook(lambda g: g * 10)
    (h * X).sum().backward()
    equal(x.grad, (1 if leaf else 2) * 10 * X)


def test_the_order_is_that_of_registration():
    x = parameter(X)
    hooks = [x.register_hook(f) for f in (lambda g: g + 1, lambda g: None, lambda g: g * 10)]
    x.sum().backward()
    equal(x.grad, np.full(3, 20.0))
    hooks[0].remove()
    hooks[0].remove()
    x.grad = None
    x.sum().backward()
    equal(x.grad, np.full(3, 10.0))


def test_a_hook_may_remove_itself():
    x, seen = parameter(X), []

    def once(g):
        seen.append(1)
        hook.remove()

    hook = x.register_hook(once)
    for _ in range(3):
        x.sum().backward()
    assert seen == [1]


@pytest.mark.parametrize("retain_first", [True, False])
def test_a_retained_gradient_is_the_changed_one(retain_first):
    x = parameter(X)
    h = x * 2
    if retain_first:
        h.retain_grad()
    h.register_hook(lambda g: g * 10)
    if not retain_first:
        h.retain_grad()
    h.sum().backward()
    equal(h.grad, np.full(3, 10.0))
    equal(x.grad, np.full(3, 20.0))


def test_a_hook_alone_retains_nothing():
    h = parameter(X) * 2
    h.register_hook(lambda g: g)
    h.sum().backward()
    assert h.grad is None


@pytest.mark.parametrize("returned", [lambda g: g.data * 2, lambda g: [2, 2, 2], lambda g: g.astype(float) * 2])
def test_anything_that_makes_an_array_can_be_returned(returned):
    x = parameter(X.astype(np.float32))
    x.register_hook(returned)
    x.sum().backward()
    equal(x.grad, np.full(3, 2.0))
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize("wrong", [2.0, np.ones((1, 3)), np.ones(4)])
def test_another_shape_is_refused(leaf, wrong):
    x = parameter(X)
    h = x if leaf else x * 1
    h.register_hook(lambda g: wrong)
    with pytest.raises(ShapeError, match=r"hook.*\(3,\).*shape"):
        (h * 2).sum().backward()


def test_a_tensor_without_gradient_takes_no_hook():
    for tensor in (tg.Tensor(X), parameter(X).detach()):
        with pytest.raises(BackwardError, match="does not require grad"):
            tensor.register_hook(print)


@pytest.mark.parametrize("leaf", [True, False])
def test_an_error_in_a_hook_is_the_users(leaf):
    x = parameter(X)
    h = x if leaf else x * 1

    def fails(g):
        raise ZeroDivisionError("mine")

    h.register_hook(fails)
    with pytest.raises(ZeroDivisionError, match="mine"):
        (h * 2).sum().backward()
    assert x.grad is None


def test_a_write_into_what_a_hook_was_given_changes_nothing_else():
    x, y, weights, cotangent = parameter(X), parameter(X), np.full(3, 2.0), np.full(3, 3.0)

    def writes(g):
        try:
            g.data[...] = 0
        except ValueError:
            return  # read-only
        raise AssertionError("the array of a hook can be written into: others share it")

    left, right = x * 1, y * 1
    left.register_hook(writes)
    ((left + right) * weights).backward(cotangent)
    equal(y.grad, np.full(3, 6.0))
    equal(weights, np.full(3, 2.0))
    equal(cotangent, np.full(3, 3.0))


# -- where hooks run ----------------------------------------------------------------------------


def test_results_of_an_op_with_several():
    A = parameter(np.array([[2.0, 1.0], [0.0, 3.0]]))
    _, logabsdet = np.linalg.slogdet(A)
    seen = watched(logabsdet)
    logabsdet.register_hook(lambda g: g * 10)
    logabsdet.backward()
    equal(seen, [1])
    equal(A.grad, 10 * np.linalg.inv(A.data).T)

    x = parameter(X)
    p, q, r = np.unstack(x)
    seen = watched(p)
    p.register_hook(lambda g: g * 10)
    (p * q * r + p).backward()
    equal(seen, [3])
    equal(x.grad, [30, 1, 0.5])


def hooked_sine(x):
    h = 2 * x
    h.register_hook(lambda g: g * 10)
    return np.sin(h)


def test_in_transforms():
    equal(grad(lambda x: np.sum(hooked_sine(x)))(X), 20 * np.cos(2 * X))
    equal(vjp(hooked_sine, X)[1](X)[0], 20 * np.cos(2 * X) * X)
    equal(jacobian(hooked_sine, mode="reverse")(X), np.diag(20 * np.cos(2 * X)))
    # Forward mode has no gradients that a hook could see.
    equal(jacobian(hooked_sine, mode="forward")(X), np.diag(2 * np.cos(2 * X)))


def test_a_hook_that_looks_at_numbers_in_a_jacobian():
    def clipped(x):
        h = 2 * x
        h.register_hook(lambda g: g / max(1.0, float(np.linalg.norm(g.data))))
        return 5 * h

    equal(jacobian(clipped, mode="reverse")(X), 2 * np.eye(3))


def test_on_an_argument_of_a_transform():
    def f(x):
        x.register_hook(lambda g: g * 10)
        return np.sum(np.sin(x))

    equal(grad(f)(X), 10 * np.cos(X))
    # Forward over reverse: the only backward pass is the inner one.
    equal(hessian(f)(X), np.diag(-10 * np.sin(X)))


def test_with_create_graph_what_a_hook_does_is_differentiated():
    x = parameter(X)
    h = x * 1
    hook = h.register_hook(lambda g: g * g)
    (h**3).sum().backward(create_graph=True)
    equal(x.grad, 9 * X**4)
    gradient, x.grad = x.grad, None
    hook.remove()
    gradient.sum().backward()
    equal(x.grad, 36 * X**3)


def test_around_and_inside_a_checkpoint():
    def run(wrap):
        x, w = parameter(X), parameter(2.0)
        h = x * w
        seen = [watched(t) for t in (x, w, h)]
        for t in (x, w, h):
            t.register_hook(lambda g: g * 10)
        wrap(lambda h: hooked_sine(h) * w)(h).sum().backward()
        return x.grad.data, w.grad.data, *seen

    for got, expected in zip(run(tg.checkpoint), run(lambda f: f), strict=True):
        equal(got, expected)


def test_under_no_grad_debug_and_profile():
    for block in (tg.no_grad, tg.debug, tg.profile):
        x = parameter(X)
        y = (x * 2).sum()
        x.register_hook(lambda g: g * 10)
        with block():
            y.backward()
        equal(x.grad, np.full(3, 20.0))


def test_changing_requires_grad_keeps_the_hooks():
    x = parameter(X)
    hook = x.register_hook(lambda g: g * 10)
    x.requires_grad = False
    x.requires_grad = True
    x.sum().backward()
    equal(x.grad, np.full(3, 10.0))
    hook.remove()
    x.sum().backward()
    equal(x.grad, np.full(3, 11.0))


# -- what is left -------------------------------------------------------------------------------


def test_a_hook_outlives_its_tensor(no_collector):
    x = parameter(X)
    h = x * 2
    seen, tensor, node = watched(h), weakref.ref(h), weakref.ref(h.node)
    h.register_hook(lambda g: g * 10)
    y = h.sum()
    del h
    assert tensor() is None
    y.backward()
    equal(seen[0], np.ones(3))
    equal(x.grad, np.full(3, 20.0))
    del y
    assert node() is None


@pytest.mark.parametrize("backward", [True, False])
def test_nothing_is_left_without_the_collector(no_collector, backward):
    x = parameter(X)
    h = x * 2
    handle = h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g * 10)
    y = h.sum()
    if backward:
        y.backward()
    refs = [weakref.ref(t) for t in (x, h, y, x.node, h.node, y.node)]
    del x, h, y
    assert [ref() for ref in refs if ref() is not None] == []
    handle.remove()
