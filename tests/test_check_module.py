"""check_module: right models pass, planted mistakes are found and named, and the model stays as it was."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import DtypeError
from tinygrad_np.testing import GradientCheckError, check_grad, check_module, numeric_grad

R = np.random.default_rng(0)
X, y = R.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])


def network(*between, dtype=float):
    return nn.Sequential(nn.Linear(3, 4, rng=0), *between, nn.Tanh(), nn.Linear(4, 2, rng=1)).astype(dtype)


def to_labels(out):
    return tg.cross_entropy(out, y)


class Scaled(nn.Module):
    """Multiplies by a factor, with a gradient that is `wrong` times the right one."""

    def __init__(self, wrong):
        self.factor, self.wrong = tg.Tensor([2.0, 3.0, 4.0], requires_grad=True), wrong

    def forward(self, x):
        @tg.custom_gradient
        def scaled(x, factor):
            return x * factor, lambda g: (g * factor, (self.wrong * g * x).sum(axis=0))

        return scaled(x, self.factor)


# -- functions that close over a model --------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("modes", [("reverse",), ("forward",), ("reverse", "forward")])
@pytest.mark.parametrize("order", [1, 2])
def test_check_grad_takes_the_parameters_of_a_model_as_constants(order, modes, dtype):
    model = network(dtype=dtype)
    check = check_grad(lambda x: to_labels(model(x)), X.astype(dtype), order=order, modes=modes)
    assert (check.size, check.entries) == (15, 15 * order)
    assert all(p.grad is None for p in model.parameters())


def test_check_grad_sees_a_wrong_gradient_beside_parameters():
    w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    cut = lambda x: np.sum(w * x) + np.sum(w * tg.stop_gradient(x) ** 2)
    with pytest.raises(GradientCheckError, match=r"with respect to argument 0 \(x\)"):
        check_grad(cut, np.ones(3))


# -- models -----------------------------------------------------------------------------------


def test_a_right_model_passes_with_respect_to_everything():
    check = check_module(network(), X, loss=to_labels)
    assert (check.function, check.size, check.entries) == ("Sequential", 15 + 26, 41)


@pytest.mark.parametrize("loss", [None, np.sum])
def test_a_wrong_gradient_of_a_parameter_is_named(loss):
    model = nn.Sequential(nn.Identity(), Scaled(1.5))
    check_grad(lambda x: model(x), X)  # of the input alone it is right
    with pytest.raises(GradientCheckError, match=r"\(1\.factor\).*Everywhere it is 1\.5 times the right one"):
        check_module(model, X, loss=loss, modes=["reverse"])
    check_module(nn.Sequential(nn.Identity(), Scaled(1)), X, loss=loss, modes=["reverse"])


def test_inputs_are_called_as_the_model_calls_them():
    class Cut(nn.Module):
        def forward(self, query, key):
            return query * tg.stop_gradient(key)

    with pytest.raises(GradientCheckError, match=r"argument 1 \(key\)"):
        check_module(Cut(), X, X + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_model_stays_as_it_is(dtype):
    model = network(nn.BatchNorm1d(4), nn.Dropout(0.3, rng=2), dtype=dtype)
    before, generator = model.state_dict(), dict(model.named_generators())["2.rng"].bit_generator.state
    assert check_module(model, X.astype(dtype), loss=to_labels).size == 15 + 26 + 8
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[path], strict=True)
    assert dict(model.named_generators())["2.rng"].bit_generator.state == generator
    assert all(p.grad is None for p in model.parameters())


def test_frozen_parameters_and_inputs_of_whole_numbers_are_constants():
    model = nn.Sequential(nn.Embedding(6, 3, rng=0), nn.Linear(3, 2, rng=1)).astype(float)
    model[1].requires_grad_(False)
    assert check_module(model, np.array([[0, 5], [2, 2]])).size == 18


def test_a_parameter_at_two_places_is_one():
    class Tied(nn.Module):
        def __init__(self):
            self.first = nn.Linear(3, 3, bias=False, rng=0).astype(float)
            self.others = [self.first.weight]

        def forward(self, x):
            return self.first(x) @ self.others[0]

    model = Tied()
    assert check_module(model, X, order=2).size == 15 + 9
    # If one of the places kept the old array, the differences would be those of half the function.
    model.first.weight.grad = None
    model(X).sum().backward()
    weight = model.first.weight
    right = numeric_grad(lambda w: (X @ w.T @ w).sum(), weight.data)
    np.testing.assert_allclose(weight.grad.data, right, rtol=1e-6)


def test_a_model_that_keeps_what_it_computed():
    class Keeping(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(3, 2, rng=0).astype(float)

        def forward(self, x):
            self.last = self.linear(x)
            return self.last

    model = Keeping()
    model(X)
    check_module(model, X)


@pytest.mark.parametrize(
    ("arguments", "options", "advice"),
    [
        ((nn.ReLU, X), {}, r"the class ReLU.*check_module\(ReLU\(\.\.\.\), x\)"),
        ((np.tanh, X), {}, r"of type ufunc.*check_grad\(f, x\)"),
        ((network(), X), {"loss": y}, r"loss= .*ndarray.*lambda out"),
    ],
)
def test_what_is_no_model(arguments, options, advice):
    with pytest.raises(DtypeError, match=advice):
        check_module(*arguments, **options)
