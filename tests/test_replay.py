"""Recording a tape again: every value and gradient, other numbers in leaves, after backward() too."""

import gc

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.engine.replay import Replay


def network(dtype=np.float64):
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(60, 30)).astype(dtype), random.normal(size=(60, 20)).astype(dtype)
    w = tg.Tensor(random.normal(size=(30, 20)).astype(dtype), requires_grad=True, name="w")
    b = tg.Tensor(np.zeros(20, dtype), requires_grad=True, name="b")
    return X, Y, w, b, ((np.tanh(X @ w + b) - Y) ** 2).mean()


def test_values_and_gradients_of_every_entry_after_backward():
    X, Y, w, b, loss = network()
    loss.backward()
    again = Replay(loss)
    z = X @ w.data + b.data
    dz = 2 * (np.tanh(z) - Y) * (1 - np.tanh(z) ** 2) / Y.size
    gradients = again.gradients()
    by_op = {node.op_name: node for node in again.nodes}
    assert again.result.item() == loss.item()
    np.testing.assert_array_equal(again.tensors[by_op["tanh"]].data, np.tanh(z))
    np.testing.assert_allclose(gradients[by_op["add"]], dz, rtol=1e-12)
    np.testing.assert_allclose(gradients[w.node], X.T @ dz, rtol=1e-12)
    np.testing.assert_array_equal(gradients[w.node], w.grad.data)
    assert loss.node.kept is None  # the tape itself is as it was


def test_other_numbers_in_a_leaf_and_another_dtype():
    X, Y, w, b, loss = network(np.float32)
    moved = Replay(loss, {w.node: 2 * w.data}, dtype=np.float64).result
    expected = ((np.tanh(X.astype(float) @ (2.0 * w.data.astype(float)) + b.data) - Y) ** 2).mean()
    assert moved.dtype == np.float64
    assert abs(moved.item() - expected) < 1e-14


def test_other_numbers_in_the_middle():
    _, Y, w, _, loss = network()
    node = next(node for node in tg.tape(loss) if node.op_name == "tanh")
    again = Replay(loss, {node: np.zeros((60, 20))})
    assert again.result.item() == (Y**2).mean()
    np.testing.assert_allclose(again.gradients()[node], -2 * Y / Y.size, rtol=1e-12)
    assert not again.gradients()[w.node].any()  # nothing depends on it any more


def test_several_results_of_one_op():
    a = tg.Tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    values, vectors = np.linalg.eigh(a)
    loss = (values * [1.0, 2.0]).sum() + vectors[0, 0] ** 2
    loss.backward()
    again = Replay(loss)
    np.testing.assert_allclose(again.gradients()[a.node], a.grad.data, rtol=1e-12)
    results = [node for node in again.nodes if node.op_name == "result"]
    np.testing.assert_array_equal(again.gradients()[results[0]], [1, 2])


def test_does_not_disturb_hooks_gradients_or_scopes():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    called = []
    w.register_hook(called.append)
    loss = (w * w).sum()
    with tg.no_grad():
        assert Replay(loss).gradients()[w.node].tolist() == [2, 4]
    assert not called
    assert w.grad is None


def test_data_that_is_gone_is_named():
    w = tg.Tensor(np.ones((40, 40)), requires_grad=True)
    data = np.ones((40, 40))
    loss = (w + data).sum()
    assert Replay(loss).result.item() == 3200
    del data
    gc.collect()
    with pytest.raises(tg.errors.AutogradError, match=r"data of shape \(40, 40\) that `add` .* is gone"):
        Replay(loss)


def test_functions_without_a_tape_are_refused():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(tg.errors.AutogradError, match="under checkpoint"):
        Replay(tg.checkpoint(np.sin)(w))
    with pytest.raises(tg.errors.AutogradError, match="nothing that was recorded"):
        Replay(tg.Tensor(1.0) * 2)
