"""Layers under vmap: all examples at once, as one after the other, and so are the gradients of each example."""

import numpy as np
import pytest
from layers import LAYERS, build, inputs_of
from sampler import Sampler

import tinygrad_np as tg
from tinygrad_np.testing.modules import with_parameters
from tinygrad_np.transforms.trees import tree_leaves

# Some losses, lengths, and edges need numbers of single examples: there vmap takes a loop, and says so.
LOOPS = ("Loss", "padded", "Conv2d with settings", "Conv2d with edges")
NAMES = [name for name in LAYERS if not any(word in name for word in LOOPS)]


def arrays(tree):
    return [np.asarray(leaf.data if isinstance(leaf, tg.Tensor) else leaf) for leaf in tree_leaves(tree)]


def is_float(x):
    return x.dtype.kind == "f"


def first(out):
    return out[0] if isinstance(out, tuple) else out


@pytest.mark.parametrize("what", ["value", "gradients"])
@pytest.mark.parametrize("name", NAMES)
def test_all_examples_at_once(name, what):
    layer, (x, *others) = build(name).eval(), inputs_of(name, Sampler())
    parameters = {path: p.data for path, p in layer.named_parameters()}

    def loss(parameters, x):
        return (first(with_parameters(layer, parameters)(x, *others)) ** 2).sum()

    functions = {
        "value": lambda x: layer(x, *others),
        "gradients": lambda x: tg.grad(loss, [i for i in (0, 1) if (parameters, is_float(x))[i]])(parameters, x),
    }
    f, examples = functions[what], np.stack([x, 0.9 * x, 1.1 * x] if is_float(x) else [x, x[::-1], 1 - x % 2])
    expected = [arrays(f(example)) for example in examples]
    for found, *each in zip(arrays(tg.vmap(f)(examples)), *expected, strict=True):
        np.testing.assert_allclose(found, np.stack(each), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d", "MaxPool2d", "RNN"])
def test_a_batch_of_batches(name):
    layer, (x,) = build(name).eval(), inputs_of(name, Sampler())
    examples = np.stack([np.stack([x, 2 * x]), np.stack([-x, 3 * x])])
    found = arrays(first(tg.vmap(tg.vmap(lambda x: first(layer(x))))(examples)))[0]
    expected = [[first(layer(x)) for x in row] for row in examples]
    np.testing.assert_allclose(found, [[arrays(x)[0] for x in row] for row in expected], rtol=1e-9, atol=1e-11)
