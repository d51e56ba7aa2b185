"""The formulas and backward rules that a picture shows of layers, word by word."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.graph.rules import backward_rules, formula


def param(*shape):
    return tg.Tensor(1.5 + np.arange(np.prod(shape, dtype=int)).reshape(shape), requires_grad=True)


x, y = param(3, 4), param(4)
F = tg.nn.functional
images, filters = param(2, 2, 6, 6), param(3, 2, 3, 3)


@pytest.mark.parametrize(
    ("tensor", "names", "expected"),
    [
        (lambda: F.linear(x, param(2, 4), param(2)), ["x", "W", "b"],
         ["x @ Wᵀ + b", "dx = g @ W", "dW = gᵀ @ x", "db = sum(g, axis=0)"]),
        (lambda: F.linear(y, param(2, 4)), ["x", "W", "None"], ["x @ Wᵀ", "dx = g @ W", "dW = outer(g, x)"]),
        (lambda: F.linear(param(5, 3, 4), param(2, 4), param(2)), ["x", "W", "b"],
         ["x @ Wᵀ + b", "dx = g @ W", "dW = sum(gᵀ @ x, axis=0)", "db = sum(g, axis=(0, 1))"]),
        (lambda: F.conv2d(images, filters, param(3)), "xwb",
         ["conv(x, w, b)", "dx = transposed convolution of g with w", "dw = x correlated with g",
          "db = sum(g, axis=(0, 2, 3))"]),
        (lambda: F.conv2d(images, filters, stride=(1, 2), padding=1), ["x", "w", "None"],
         ["conv(x, w, stride=(1, 2), padding=((1, 1), (1, 1)))", "dx = transposed convolution of g with w",
          "dw = x correlated with g"]),
        (lambda: F.max_pool2d(images, 2), "x",
         ["max_pool(x, kernel=(2, 2))", "dx = g where x is the maximum of its window (ties share)"]),
        (lambda: F.max_pool2d(images, 2, stride=1), "x",
         ["max_pool(x, kernel=(2, 2), stride=(1, 1))", "dx = g where x is the maximum of its window (ties share)"]),
        (lambda: F.avg_pool2d(images, 3), "x",
         ["avg_pool(x, kernel=(3, 3))", "dx = for each entry, the sum of g / 9 over the windows it is in"]),
        (lambda: F.embedding(np.array([1, 1]), x), "W",
         ["W[[1, 1]]", "dW = g, added up for each row over the places it was taken to"]),
        (lambda: F.leaky_relu(x), "x", ["leaky_relu(x)", "dx = g * where(x > 0, 1, 0.01)"]),
        (lambda: F.elu(x, 0.5), "x", ["elu(x, alpha=0.5)", "dx = g * where(x > 0, 1, 0.5 * exp(x))"]),
        (lambda: F.silu(x), "x", ["silu(x)", "dx = g * sigmoid(x) * (1 + x * (1 − sigmoid(x)))"]),
    ],
)  # fmt: skip
def test_words_of_layers(tensor, names, expected):
    node = tensor().node
    assert [formula(node, list(names)), *backward_rules(node, list(names))] == expected


def test_names_in_a_formula_are_short_where_paths_say_the_same():
    model = tg.nn.Sequential(tg.nn.Linear(4, 2))
    words = str(tg.draw(model(x.data).sum()))
    assert "x @ weightᵀ + bias" in words
    assert "dbias = sum(g, axis=0)" in words
