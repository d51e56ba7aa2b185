"""Backward: gradients against closed forms, how they add up, what they share, and higher orders."""

import math
from itertools import pairwise

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import Tensor, grad
from tinygrad_np.engine.op import op
from tinygrad_np.errors import BackwardError

# -- values -----------------------------------------------------------------------------------


def test_the_gradient_of_one_number():
    x = parameter(0.7)
    np.log(1 + np.exp(np.sin(x) * x**2)).backward()
    u = math.sin(0.7) * 0.49
    equal(x.grad, (math.cos(0.7) * 0.49 + 1.4 * math.sin(0.7)) / (1 + math.exp(-u)))
    assert x.grad.shape == ()


def test_a_quadratic_form():
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(4, 4)), rng.normal(size=4)
    a, t = parameter(A), parameter(x)
    (t @ a @ t).backward()
    equal(t.grad, (A + A.T) @ x)
    equal(a.grad, np.outer(x, x))


def test_a_layer_with_a_broadcast_bias():
    rng = np.random.default_rng(1)
    W, x, b = parameter(rng.normal(size=(3, 4))), rng.normal(size=(4, 5)), parameter(rng.normal(size=(3, 1)))
    (np.sum((W @ x + b) ** 2) / 2).backward()
    z = W.data @ x + b.data
    equal(W.grad, z @ x.T)
    equal(b.grad, z.sum(axis=1, keepdims=True))


def test_a_network_against_the_numbers_of_pytorch():
    W, b = parameter([[0.1, -0.2], [0.4, 0.3]]), parameter([0.5, -0.5])
    X = np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 3.0]])
    loss = tg.cross_entropy(np.tanh(X @ W + b), np.array([1, 0, 1]))
    loss.backward()
    equal(loss, 0.9063885846903453)
    equal(W.grad, [[0.1319052471884993, -0.3494612948248731], [0.14462988973179364, -0.969668744790104]])
    equal(b.grad, [-0.0005072478195622884, -0.3123436280530315])


@pytest.mark.parametrize("depth", [1, 2, 30])
def test_diamonds_count_every_path(depth):
    x = y = parameter(1.0)
    for _ in range(depth):
        y = y + y
    y.backward()
    # 2**30 paths, each walked as part of `depth` nodes.
    equal(x.grad, 2.0**depth)


def test_paths_of_different_length_meet():
    x = parameter(0.5)
    a = np.exp(x)
    b = np.sin(np.cos(a))
    (a * b + x * a + b).backward()
    e = math.exp(0.5)
    db = math.cos(math.cos(e)) * -math.sin(e) * e
    equal(x.grad, e * math.sin(math.cos(e)) + e * db + e + 0.5 * e + db)


def test_a_tensor_used_many_times_by_one_op():
    x = parameter([1.0, 2.0])
    np.concatenate([x, x * 3, x]).sum().backward()
    equal(x.grad, [5, 5])
    y = parameter([1.0, 2.0])
    np.einsum("i,i,i->", y, y, y).backward()
    equal(y.grad, [3, 12])


# -- cotangents and what may be called --------------------------------------------------------


def test_a_cotangent_weights_the_entries():
    x = parameter([1.0, 2.0, 3.0])
    (x**2).backward([1.0, 10.0, 100.0])
    equal(x.grad, [2, 40, 600])


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones(2, int), Tensor(np.ones(2)), [1, 1], np.array([True, True])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [lambda x: x, lambda x: x * 3], ids=["leaf", "result"])
def test_gradients_have_their_tensors_dtype_whatever_the_cotangent(f, dtype, cotangent):
    x = parameter(np.ones(2, dtype))
    y = f(x).retain_grad()
    y.backward(cotangent)
    assert (x.grad.dtype, y.grad.dtype) == (dtype, dtype)
    equal(y.grad, [1, 1])


def test_one_entry_of_any_shape_needs_no_cotangent():
    x = parameter([[3.0]])
    (x * x).backward()
    equal(x.grad, [[6.0]])


def test_backward_on_a_leaf():
    x = parameter(3.0)
    x.backward()
    equal(x.grad, 1.0)


# -- adding up --------------------------------------------------------------------------------


def test_grad_adds_up_until_it_is_zeroed():
    x = parameter([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    equal(x.grad, [5, 7])
    equal(first, [2, 4])
    x.zero_grad()
    assert x.grad is None
    (3 * x).sum().backward()
    equal(x.grad, [3, 3])


def test_only_leaves_that_require_it_get_a_gradient():
    x, data = parameter([1.0, 2.0]), Tensor([3.0, 4.0])
    y = x * data
    loss = y.sum()
    loss.backward()
    assert data.grad is None
    assert y.grad is None
    assert loss.grad is None
    equal(x.grad, [3, 4])


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = parameter([1.0, 2.0])
    y = (x * 3).retain_grad()
    z = y * y
    assert z.retain_grad() is z
    z.sum().backward()
    equal(y.grad, [6, 12])
    equal(z.grad, [1, 1])
    equal(x.grad, [18, 36])
    with pytest.raises(BackwardError, match="does not require grad"):
        Tensor(1.0).retain_grad()


def test_a_second_backward_needs_retain_graph():
    x = parameter([1.0, 2.0])
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    equal(x.grad, [4, 8])
    with pytest.raises(BackwardError, match="retain_graph=True"):
        loss.backward()
    equal(x.grad, [4, 8])


def test_two_losses_share_what_they_have_in_common():
    x = parameter([1.0, 2.0])
    hidden = np.exp(x)
    hidden.sum().backward(retain_graph=True)
    (hidden * 2).sum().backward()
    equal(x.grad, 3 * np.exp([1, 2]))


def test_a_parameter_updated_between_steps():
    w = parameter([1.0, -2.0])
    for _ in range(3):
        w.zero_grad()
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.25 * w.grad
    equal(w, np.array([1.0, -2.0]) / 8)


# -- gradients share nothing ------------------------------------------------------------------


def test_gradients_are_nobody_elses_arrays():
    cotangent = np.ones((2, 2))
    a, b, c, d = (parameter(np.full((2, 2), 2.0)) for _ in range(4))
    # Sums, views and transposes hand the same array on to several inputs.
    out = (a + b) + c.T + d.reshape(4).reshape(2, 2) + a[:]
    out.retain_grad()
    out.backward(cotangent)
    arrays = [t.grad.data for t in (a, b, c, d, out)] + [t.data for t in (a, b, c, d, out)] + [cotangent]
    for i, first in enumerate(arrays):
        for second in arrays[i + 1 :]:
            assert not np.shares_memory(first, second)
    assert all(t.grad.data.flags.writeable for t in (a, b, c, d, out))
    a.grad.data[...] = 7
    equal(b.grad, np.ones((2, 2)))
    np.testing.assert_array_equal(cotangent, np.ones((2, 2)))


def test_the_gradient_of_a_leaf_alone_is_a_copy_of_the_cotangent():
    x, cotangent = parameter(np.zeros(2)), np.ones(2)
    x.backward(cotangent)
    cotangent[0] = 5
    equal(x.grad, [1, 1])


def test_a_sum_gives_a_gradient_that_can_be_written_into():
    x = parameter(np.zeros((2, 3)))
    x.sum().backward()
    x.grad.data[0, 0] = 5
    equal(x.grad, [[5, 1, 1], [1, 1, 1]])


def test_adding_gradients_does_not_write_into_kept_arrays():
    x = parameter(np.array([1.0, 2.0]))
    y = np.exp(x)
    values = y.data.copy()
    (y + y + y * y + y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(y.data, values)
    np.testing.assert_array_equal(x.data, [1, 2])
    first = x.grad.data.copy()
    x.zero_grad()
    (y + y + y * y + y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, first)


both = op(
    lambda x, y: (x * 1.0, y * 1.0), name="both", results=True, x=lambda g: g[0], y=lambda g: g[1]
)  # fmt: skip
own = op(lambda x: np.exp(x), name="own", x=lambda g, out: out)


def test_a_rule_may_hand_on_one_of_its_cotangents():
    x, y, z = (parameter(np.ones(3)) for _ in range(3))
    older = x * 3
    a, _ = both(x, y)
    # What reaches x from `both` is also what reaches z; the second gradient of x comes after it.
    ((a + z) * 2 + older).sum().backward()
    equal(x.grad, [5, 5, 5])
    equal(z.grad, [2, 2, 2])


def test_a_rule_may_hand_on_an_array_of_the_forward_pass():
    x = parameter(np.zeros(3))
    older = x * 3
    out = own(x)
    (out.sum() + older.sum()).backward()
    equal(x.grad, [4, 4, 4])
    equal(out, [1, 1, 1])


# -- only the work that is needed -------------------------------------------------------------


def counting_product():
    """x * y, and how often the rule for each input has run."""
    calls = {"x": 0, "y": 0}

    def rule(name, other):
        def run(g, value):
            calls[name] += 1
            return g * value

        return (lambda g, y: run(g, y)) if other == "y" else (lambda g, x: run(g, x))

    return op(lambda x, y: x * y, name="product", x=rule("x", "y"), y=rule("y", "x")), calls


def test_data_that_needs_no_gradient_costs_no_backward_work():
    product, calls = counting_product()
    w, data = parameter(np.ones(3)), np.full(3, 2.0)
    product(data, product(w, Tensor(data))).sum().backward()
    assert calls == {"x": 1, "y": 1}
    equal(w.grad, np.full(3, 4.0))


def test_each_rule_runs_once_however_many_paths():
    product, calls = counting_product()
    x = y = parameter(1.0)
    for _ in range(12):
        y = product(y, y)
    y.backward()
    assert calls == {"x": 12, "y": 12}
    equal(x.grad, 2.0**12)


def test_a_transform_walks_only_to_its_own_argument():
    product, calls = counting_product()
    w = parameter(3.0)
    with tg.no_grad():
        assert grad(lambda x: product(x, product(w, w)))(2.0) == 9
    assert calls["y"] == 0
    assert w.grad is None


def test_a_detached_branch_is_not_walked():
    product, calls = counting_product()
    x = parameter(2.0)
    (product(x, x).detach() * x).backward()
    assert calls == {"x": 0, "y": 0}
    equal(x.grad, 4)


# -- the order of the walk -----------------------------------------------------------------------


def test_the_order_of_births_lets_the_walk_go_newest_first():
    x = parameter(1.0)
    seen = []
    tracer = op(lambda x, tag: x * 1.0, name="tracer", x=lambda g, tag: (seen.append(tag), g)[1])
    a = tracer(x, 1)
    b = tracer(x, 2)
    c = tracer(a, 3)
    (tracer(b, 4) + c + tracer(a, 5)).backward()
    assert all(newer > older for newer, older in pairwise(seen))
    assert sorted(seen) == [1, 2, 3, 4, 5]
