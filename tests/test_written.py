"""Parameters that are written into between the forward and the backward pass: an error, never a wrong gradient."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import nn, optim
from tinygrad_np.errors import BackwardError


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4, rng=0, dtype=float), nn.Tanh(), nn.Linear(4, 2, rng=1, dtype=float))


X, LABELS = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])


def two_losses(model):
    scores = model(X)
    return tg.cross_entropy(scores, LABELS), np.mean(scores**2)


def step(model, loss):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss.backward(retain_graph=True)
    optimizer.step()


def load(model, loss):
    model.load_state_dict({name: array * 0.9 for name, array in model.state_dict().items()})


def average(model, loss):
    ema = optim.EMA(model.parameters(), 0.5)
    ema.averages[0] *= 2
    with ema.applied():
        pass


@pytest.mark.parametrize("change", [step, load, average])
def test_a_gradient_from_numbers_that_are_gone_is_refused(model, change):
    first, second = two_losses(model)
    change(model, first)
    model.zero_grad()
    with pytest.raises(BackwardError, match=r"'2\.weight'.*written into.*Call backward\(\) of all losses before step"):
        second.backward()
    assert all(p.grad is None for p in model.parameters())


def test_what_needs_no_weights_is_right_still(model):
    # The gradient of the last layer's own weight is made from its inputs.
    model[0].requires_grad_(False)
    first, second = two_losses(model)
    expected = tg.grad(lambda w: np.mean(nn.functional.linear(np.tanh(model[0](X)), w, model[2].bias.data) ** 2))(
        model[2].weight.data.copy()
    )
    step(model, first)
    model.zero_grad()
    second.backward()
    np.testing.assert_allclose(model[2].weight.grad.data, expected)


def test_what_is_computed_after_it_is_right(model):
    step(model, two_losses(model)[0])
    model.zero_grad()
    _, loss = two_losses(model)
    loss.backward()
    assert model[2].weight.grad is not None


def test_arrays_that_were_replaced_are_still_those_of_the_graph(model):
    _, loss = two_losses(model)
    loss.backward(retain_graph=True)
    expected = [p.grad.data for p in model.parameters()]
    for p in model.parameters():
        p.data = p.data + 1.0
    model.zero_grad()
    loss.backward()
    for p, gradient in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad.data, gradient)


def test_arrays_kept_together_are_looked_at_too():
    a, b = (tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name) for name in "ab")
    loss = np.sum(np.einsum("ij,jk,kl->il", a, b, a))
    optimizer = optim.SGD([a, b], lr=0.1)
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(BackwardError, match="written into"):
        loss.backward()
