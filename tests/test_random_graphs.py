"""Random graphs, built step by step by Hypothesis, against an autograd on single Python floats."""

import os

import numpy as np
import scalar_autograd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from scalar_autograd import Scalar

import tinygrad_np as tg

SHAPES = [(), (1,), (3,), (2, 1), (2, 3), (1, 3)]
CI = bool(os.environ.get("CI"))


class Pair:
    """A tensor, and the same values as an object array of Scalars."""

    def __init__(self, tensor, scalars):
        self.tensor, self.scalars = tensor, np.asarray(scalars, object)
        assert self.tensor.shape == self.scalars.shape


def each(method, scalars):
    """A method of Scalar on every entry."""
    out = np.empty(scalars.shape, object)
    for i in np.ndindex(scalars.shape):
        out[i] = method(scalars[i])
    return out


UNARY = {
    "sin": (np.sin, Scalar.sin),
    "tanh": (np.tanh, Scalar.tanh),
    "square": (np.square, Scalar.square),
    "exp of tanh": (lambda t: np.exp(np.tanh(t)), lambda s: s.tanh().exp()),
    "log of 1 + square": (lambda t: np.log(1 + t**2), lambda s: (s.square() + 1.0).log()),
    "scaled": (lambda t: 0.5 * t, lambda s: s * 0.5),
}
BINARY = {
    "add": (np.add, Scalar.__add__),
    "subtract": (np.subtract, Scalar.__sub__),
    "multiply": (np.multiply, Scalar.__mul__),
    "safe divide": (lambda a, b: a / (1 + b * b), lambda a, b: a / (b.square() + 1.0)),
}
RESHAPING = {
    "ravel": np.ravel,
    "transpose": np.transpose,
    "reversed": lambda t: t[..., ::-1] if t.ndim else t,
    "first twice": lambda t: t[np.array([0, 0, -1])] if t.ndim else t,
    "added axis": lambda t: t[None] if t.ndim < 3 else t,
    "tile": lambda t: np.concatenate([np.ravel(t), np.ravel(t)]) if t.size < 6 else t,
}


def total(scalars):
    out = Scalar(0.0)
    for s in np.ravel(scalars):
        out = out + s
    return out


class Graphs(RuleBasedStateMachine):
    """Grows one graph; after each step, the gradient of everything at once is compared."""

    pairs = Bundle("pairs")

    def __init__(self):
        super().__init__()
        self.leaves, self.all = [], []

    def kept(self, tensor, scalars):
        # Products of products leave the range in which 64 bits are enough for a comparison.
        if tensor.size > 64 or not np.all(np.abs(tensor.data) < 1e3):
            return multiple()
        pair = Pair(tensor, scalars)
        self.all.append(pair)
        return pair

    @initialize(target=pairs, seed=st.integers(0, 1000))
    def starts(self, seed):
        return self.leaf((2, 3), seed)

    @rule(target=pairs, shape=st.sampled_from(SHAPES), seed=st.integers(0, 1000))
    def leaf(self, shape, seed):
        values = np.random.default_rng(seed).uniform(-2, 2, shape)
        scalars = np.empty(shape, object)
        for i in np.ndindex(shape):
            scalars[i] = Scalar(values[i])
        tensor = tg.Tensor(values, requires_grad=True)
        self.leaves.append(Pair(tensor, scalars))
        return self.kept(tensor, scalars)

    @rule(target=pairs, a=pairs, name=st.sampled_from(sorted(UNARY)))
    def unary(self, a, name):
        ours, theirs = UNARY[name]
        return self.kept(ours(a.tensor), each(theirs, a.scalars))

    @rule(target=pairs, a=pairs, b=pairs, name=st.sampled_from(sorted(BINARY)))
    def binary(self, a, b, name):
        ours, theirs = BINARY[name]
        try:
            x, y = np.broadcast_arrays(a.scalars, b.scalars)
        except ValueError:
            return multiple()
        out = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            out[i] = theirs(x[i], y[i])
        return self.kept(ours(a.tensor, b.tensor), out)

    @rule(target=pairs, a=pairs, name=st.sampled_from(sorted(RESHAPING)))
    def reshaping(self, a, name):
        return self.kept(RESHAPING[name](a.tensor), RESHAPING[name](a.scalars))

    @rule(target=pairs, a=pairs, axis=st.sampled_from([None, 0, -1]), keepdims=st.booleans())
    def summed(self, a, axis, keepdims):
        if not a.tensor.ndim:
            return multiple()
        return self.kept(
            np.sum(a.tensor, axis=axis, keepdims=keepdims), np.sum(a.scalars, axis=axis, keepdims=keepdims)
        )

    @rule(target=pairs, a=pairs, b=pairs)
    def product(self, a, b):
        x, y = a.tensor, b.tensor
        if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[0]:
            return multiple()
        return self.kept(x @ y, np.dot(a.scalars, b.scalars))

    @invariant()
    def values_and_gradients_agree(self):
        if not self.all:
            return
        root = total([s for pair in self.all[-3:] for s in np.ravel(pair.scalars)])
        loss = sum(np.sum(pair.tensor) for pair in self.all[-3:])
        np.testing.assert_allclose(loss.item(), root.value, rtol=1e-9, atol=1e-9)
        for leaf in self.leaves:
            leaf.tensor.zero_grad()
        loss.backward(retain_graph=True)
        gradients = scalar_autograd.backward(root)
        for leaf in self.leaves:
            expected = np.array([gradients.get(s, 0.0) for s in np.ravel(leaf.scalars)]).reshape(leaf.scalars.shape)
            got = leaf.tensor.grad
            got = np.zeros(leaf.tensor.shape) if got is None else got.data
            np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8 * (1 + np.max(np.abs(expected), initial=0)))


Graphs.TestCase.settings = settings(
    deadline=None, derandomize=CI, max_examples=40, stateful_step_count=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestRandomGraphs = Graphs.TestCase
