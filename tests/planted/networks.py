"""Small networks twice: plain NumPy with backpropagation written out by hand, and the same loss on Tensors.

The hand-written half knows nothing of tinygrad_np.  Its backward pass is a list of named steps, so that a
mistake can be planted by giving one step another formula: what follows is then computed from the wrong result,
as in a real program.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import tinygrad_np as tg

Values = dict[str, Any]
"""Everything that a hand-written program has computed so far, by name."""
Step = Callable[[Values], Any]

LEAK = 0.1


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z, axis):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


ACTIVATIONS = {
    "relu": lambda z: z * (z > 0),
    "leaky": lambda z: np.where(z > 0, z, z.dtype.type(LEAK) * z),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "linear": lambda z: z,
}
SLOPES = {
    # From the pre-activation z and the activation a: people use whichever is shorter.
    "relu": lambda z, a: z > 0,
    "leaky": lambda z, a: np.where(z > 0, z.dtype.type(1), z.dtype.type(LEAK)),
    "sigmoid": lambda z, a: a * (1 - a),
    "tanh": lambda z, a: 1 - a**2,
    "linear": lambda z, a: np.ones_like(z),
}
WRITTEN_OUT = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky": lambda z: np.where(z.data > 0, z, LEAK * z),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "linear": lambda z: z,
}
AS_OPS = WRITTEN_OUT | {"relu": tg.relu, "sigmoid": tg.sigmoid}

LOSSES = {
    # As NumPy writes them, for arrays and Tensors alike; m is the number of samples.
    "cross_entropy": lambda A, Y, m: -np.sum(Y * np.log(A)) / m,
    "binary": lambda A, Y, m: -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m,
    "squared_sum": lambda A, Y, m: np.sum((A - Y) ** 2) / m,
    "squared_mean": lambda A, Y, m: np.mean((A - Y) ** 2),
    "squared_half": lambda A, Y, m: np.sum((A - Y) ** 2) / (2 * m),
}
FACTOR = {
    # Of A - Y, in the derivative of a squared error with respect to A, for one sample.
    "squared_sum": lambda A, axis: 2,
    "squared_mean": lambda A, axis: 2 / A.shape[axis],
    "squared_half": lambda A, axis: 1,
}


class Network(NamedTuple):
    """A network of dense layers, its loss, and the habits of whoever wrote it."""

    name: str
    widths: tuple[int, ...]
    samples: int
    hidden: str | tuple[str, ...] = "relu"
    output: str = "softmax"
    cost: str = "cross_entropy"
    layout: str = "columns"
    """Samples in "columns" or in "rows"; "transposed": they come in rows and stand in columns inside."""
    dtype: Any = np.float64
    style: str = "numpy"
    """How the taped loss is written: with NumPy only, with "ops" such as tg.softmax, or "fused" from the logits."""
    through_dA: bool = False
    """Whether the hand-written code starts at dA, or at a dZ with the output's derivative already in it."""
    mean_first: bool = False
    """Whether 1/m stands in the first step, or in each dW and db."""
    flat_bias: bool = False
    """Biases of shape (n,), which only samples in rows allow."""
    decay: float = 0.0

    def __str__(self) -> str:
        return self.name

    @property
    def depth(self) -> int:
        """How many layers have weights."""
        return len(self.widths) - 1

    @property
    def rows(self) -> bool:
        """Whether samples stand in rows inside the network."""
        return self.layout == "rows"

    @property
    def sample_axis(self) -> int:
        return 0 if self.rows else 1

    @property
    def unit_axis(self) -> int:
        return 1 if self.rows else 0

    def activation(self, layer: int) -> str:
        if layer == self.depth:
            return self.output
        return self.hidden if isinstance(self.hidden, str) else self.hidden[layer - 1]

    # -- data -------------------------------------------------------------------------------

    def arrays(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Parameters W1, b1, ... and data X, Y."""
        rng = np.random.default_rng(seed)
        arrays = {}
        for layer, (inputs, outputs) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            W, b = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), 0.3 * rng.normal(size=(outputs, 1))
            arrays[f"W{layer}"] = W.T if self.rows else W
            arrays[f"b{layer}"] = b[:, 0] if self.flat_bias else (b.T if self.rows else b)
        X = rng.normal(size=(self.samples, self.widths[0]))
        Y = self._labels(rng)
        arrays["X"] = X if self.layout != "columns" else X.T
        arrays["Y"] = Y if self.rows else Y.T
        return {name: np.ascontiguousarray(array, dtype=self.dtype) for name, array in arrays.items()}

    def _labels(self, rng: np.random.Generator) -> np.ndarray:
        outputs = self.widths[-1]
        if self.output in ("linear", "tanh"):
            return 0.5 * rng.normal(size=(self.samples, outputs))
        if outputs == 1:
            return rng.integers(0, 2, (self.samples, 1))
        # Every class once, as far as there are samples: else a class that never occurs hides mistakes.
        labels = rng.permutation(np.arange(self.samples) % outputs)
        return np.eye(outputs)[labels]

    # -- on Tensors -------------------------------------------------------------------------

    def loss(self, **tensors: Any) -> tuple[Any, dict[str, Any]]:
        """The recorded loss, and the intermediates by name."""
        activations = WRITTEN_OUT if self.style == "numpy" else AS_OPS
        A, found = tensors["X"].T if self.layout == "transposed" else tensors["X"], {}
        for layer in range(1, self.depth + 1):
            W, b = tensors[f"W{layer}"], tensors[f"b{layer}"]
            Z = found[f"Z{layer}"] = (A @ W if self.rows else W @ A) + b
            if layer == self.depth and self.style == "fused" and self.output != "linear":
                return self._fused(Z, tensors["Y"]) + self._decay(tensors), found
            name = self.activation(layer)
            A = self._softmax(Z) if name == "softmax" else activations[name](Z)
            found[f"A{layer}"] = A
        return LOSSES[self.cost](A, tensors["Y"], A.shape[self.sample_axis]) + self._decay(tensors), found

    def _softmax(self, Z: Any) -> Any:
        if self.style != "numpy":
            return tg.softmax(Z, axis=self.unit_axis)
        e = np.exp(Z)
        return e / np.sum(e, axis=self.unit_axis, keepdims=True)

    def _fused(self, Z: Any, Y: Any) -> Any:
        if self.cost == "cross_entropy":
            return tg.cross_entropy(Z, Y, axis=self.unit_axis)
        return tg.binary_cross_entropy_with_logits(Z, Y) * Z.shape[self.unit_axis]

    def _decay(self, arrays: Mapping[str, Any]) -> Any:
        if not self.decay:
            return 0
        return self.decay / 2 * sum(np.sum(arrays[f"W{layer}"] ** 2) for layer in range(1, self.depth + 1))

    # -- by hand ----------------------------------------------------------------------------

    def forward(self, arrays: Mapping[str, np.ndarray]) -> Values:
        """The arrays, every intermediate, m, and the loss: what the hand-written backward pass starts from."""
        v: Values = dict(arrays)
        v["A0"] = v["X"].T if self.layout == "transposed" else v["X"]
        v["m"] = v["A0"].shape[self.sample_axis]
        for layer in range(1, self.depth + 1):
            A, W = v[f"A{layer - 1}"], v[f"W{layer}"]
            Z = v[f"Z{layer}"] = (A @ W if self.rows else W @ A) + v[f"b{layer}"]
            name = self.activation(layer)
            v[f"A{layer}"] = softmax(Z, self.unit_axis) if name == "softmax" else ACTIVATIONS[name](Z)
        v["loss"] = LOSSES[self.cost](v[f"A{self.depth}"], v["Y"], v["m"]) + self._decay(v)
        return v

    def slope(self, v: Values, layer: int) -> Any:
        """The derivative of a hidden activation, as an array."""
        return SLOPES[self.activation(layer)](v[f"Z{layer}"], v[f"A{layer}"])

    def weights(self, dZ: Any, A: Any) -> Any:
        """The gradient of W, without 1/m, from what stands on both sides of it."""
        return A.T @ dZ if self.rows else dZ @ A.T

    def back(self, W: Any, dZ: Any) -> Any:
        """The gradient of the layer before."""
        return dZ @ W.T if self.rows else W.T @ dZ

    def over_samples(self, dZ: Any) -> Any:
        """The sum over samples, in the shape of a bias."""
        return dZ.sum(axis=self.sample_axis, keepdims=not self.flat_bias)

    def per_sample(self, v: Values) -> Any:
        """What dW and db are divided by."""
        return 1 if self.mean_first else v["m"]

    def steps(self) -> dict[str, Step]:
        """The right backward pass: a formula for each gradient, in the order in which they are computed."""
        steps: dict[str, Step] = dict(self._output_steps())
        for layer in range(self.depth, 0, -1):
            steps[f"dW{layer}"] = lambda v, n=layer: (
                self.weights(v[f"dZ{n}"], v[f"A{n - 1}"]) / self.per_sample(v) + self.decay * v[f"W{n}"]
            )
            steps[f"db{layer}"] = lambda v, n=layer: self.over_samples(v[f"dZ{n}"]) / self.per_sample(v)
            if layer > 1:
                steps[f"dA{layer - 1}"] = lambda v, n=layer: self.back(v[f"W{n}"], v[f"dZ{n}"])
                steps[f"dZ{layer - 1}"] = lambda v, n=layer - 1: v[f"dA{n}"] * self.slope(v, n)
        return steps

    def _output_steps(self) -> dict[str, Step]:
        n = self.depth
        first = lambda v: v["m"] if self.mean_first else 1
        if not self.through_dA:
            factor = FACTOR.get(self.cost, lambda A, axis: 1)
            return {f"dZ{n}": lambda v: factor(v[f"A{n}"], self.unit_axis) * (v[f"A{n}"] - v["Y"]) / first(v)}
        return {
            f"dA{n}": lambda v: self._dA(v[f"A{n}"], v["Y"]) / first(v),
            f"dZ{n}": lambda v: self._dZ(v[f"dA{n}"], v[f"Z{n}"], v[f"A{n}"]),
        }

    def _dA(self, A: Any, Y: Any) -> Any:
        if self.cost == "cross_entropy":
            return -Y / A
        if self.cost == "binary":
            return -Y / A + (1 - Y) / (1 - A)
        return FACTOR[self.cost](A, self.unit_axis) * (A - Y)

    def _dZ(self, dA: Any, Z: Any, A: Any) -> Any:
        if self.output == "softmax":
            return A * (dA - np.sum(dA * A, axis=self.unit_axis, keepdims=True))
        return dA * SLOPES[self.output](Z, A)

    def backward(self, v: Values, edits: Mapping[str, Step] | None = None) -> dict[str, Any]:
        """The hand-written gradients, each step's, with other formulas for some of them."""
        chosen = edits or {}
        steps = self.steps()
        assert set(chosen) <= set(steps) | {"loss", "before"}, f"{self.name} has no {set(chosen) - set(steps)}"
        with np.errstate(all="ignore"):
            if "before" in chosen:
                chosen["before"](v)
            for name in steps:
                v[name] = chosen.get(name, steps[name])(v)
            if "loss" in chosen:
                v["loss"] = chosen["loss"](v)
        return {name: v[name] for name in steps}


D1 = Network("D1", (13, 7, 5), 11)
D2 = Network("D2", (13, 5, 3), 7, "sigmoid", "sigmoid", "binary", "rows")
D2_SQUARED = D2._replace(name="D2 squared", cost="squared_mean", through_dA=True)
D3 = Network("D3", (13, 7, 1), 11, "sigmoid", "sigmoid", "binary", "transposed", through_dA=True)

NETWORKS = [
    D1,
    D2,
    D2_SQUARED,
    D3,
    D1._replace(name="D1 rows", layout="rows", style="ops"),
    D1._replace(name="D1 logits", style="fused", mean_first=True),
    D1._replace(name="D1 float32", dtype=np.float32),
    D1._replace(name="D1 square", widths=(13, 5, 5), style="ops"),
    Network("softmax and dA", (11, 7, 5), 13, "tanh", style="ops", through_dA=True),
    Network("softmax and dA rows", (11, 5, 3), 7, "relu", layout="rows", through_dA=True, flat_bias=True),
    D2._replace(name="D2 columns", layout="columns", style="ops"),
    D3._replace(name="D3 logits", style="fused", through_dA=False),
    D3._replace(name="D3 float32", dtype=np.float32, style="ops"),
    Network("tanh regression", (5, 7, 3), 11, "tanh", "linear", "squared_half", "rows", flat_bias=True),
    Network("regression", (5, 11, 3), 7, "relu", "linear", "squared_sum", through_dA=True, style="ops"),
    Network("one output", (5, 7, 1), 11, "tanh", "linear", "squared_mean", "rows", mean_first=True),
    Network("tanh twice", (7, 5, 3), 11, "tanh", "tanh", "squared_mean", through_dA=True),
    Network("deep", (13, 7, 7, 5), 11, ("relu", "tanh"), style="ops"),
    Network("deep sigmoid", (11, 7, 7, 3), 13, "sigmoid", "sigmoid", "binary", "rows", through_dA=True),
    Network("deeper", (11, 7, 7, 7, 3), 13, ("tanh", "sigmoid", "tanh"), layout="rows", style="fused"),
    Network("deep float32", (11, 7, 7, 5), 13, "tanh", "softmax", layout="rows", dtype=np.float32, flat_bias=True),
    Network("decay", (13, 7, 5), 11, style="ops", decay=0.1),
    Network("decay rows", (7, 5, 3), 11, "tanh", "linear", "squared_sum", "rows", decay=0.03),
    Network("leaky", (11, 7, 3), 13, "leaky", style="ops"),
    Network("softmax squared", (11, 7, 5), 13, "sigmoid", "softmax", "squared_mean", through_dA=True),
    Network("linear regression", (5, 1), 7, (), "linear", "squared_mean", "rows"),
    Network("logistic regression", (5, 1), 11, (), "sigmoid", "binary", "rows", style="ops"),
    D1._replace(name="D1 split", samples=41, style="ops"),
]
