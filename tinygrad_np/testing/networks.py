"""Small networks of dense layers to check gradients on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import RangeError
from ..ops.kinks import relu
from ..ops.losses import binary_cross_entropy_with_logits, cross_entropy, mse
from ..ops.nn import sigmoid, softplus

ACTIVATIONS: dict[str, Callable] = {"relu": relu, "tanh": np.tanh, "sigmoid": sigmoid, "softplus": softplus}
LOSSES: dict[str, Callable] = {
    "mse": lambda z, y, axis: mse(z, y),
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": lambda z, y, axis: binary_cross_entropy_with_logits(z, y),
}
LAYOUTS = ("rows", "columns")

ROOM = 0.1
"""How far the pre-activations of hidden layers stay away from 0, the kink of relu."""


class DenseNetwork:
    """A network of dense layers with parameters and data drawn from a seed, and its loss.

    `widths` goes from the number of features to that of outputs.  With `layout="rows"` a layer is `A @ W + b` with
    `X` of shape (samples, features) and `b` of shape (width,); with "columns" it is `W @ A + b` with `X` of shape
    (features, samples) and `b` of shape (width, 1).  `parameters` holds the Tensors W1, b1, W2, b2 ..., which require
    grad, and `data` the arrays X and Y.  `activation` follows each layer but the last.

    RangeError for a layout, an activation or an objective it does not know, or for fewer than two samples.

    >>> from tinygrad_np.testing.networks import DenseNetwork
    >>> network = DenseNetwork(samples=7, widths=(5, 3, 2), layout="columns", objective="cross_entropy")
    >>> {name: parameter.shape for name, parameter in network.parameters.items()}
    {'W1': (3, 5), 'b1': (3, 1), 'W2': (2, 3), 'b2': (2, 1)}
    >>> network.loss().backward()
    >>> network.parameters["b2"].grad.shape
    (2, 1)
    """

    def __init__(
        self,
        samples: int,
        widths: tuple[int, ...],
        activation: str = "relu",
        layout: str = "rows",
        objective: str = "mse",
        dtype: Any = np.float64,
        seed: int = 0,
    ) -> None:
        for what, given, known in (
            ("activation", activation, ACTIVATIONS),
            ("layout", layout, LAYOUTS),
            ("objective", objective, LOSSES),
        ):
            if given not in known:
                raise RangeError(f"no {what} is called {given!r}.  There are {', '.join(known)}.")
        if samples < 2 or len(widths) < 2 or min(widths) < 1:
            raise RangeError(
                f"{samples} samples and widths {widths} make no network.  Give two samples or more, and at least the "
                "number of features and that of outputs."
            )
        self.samples, self.widths, self.seed = samples, tuple(widths), seed
        self.activation, self.layout, self.objective = activation, layout, objective
        self.dtype = np.dtype(dtype)
        self.parameters: dict[str, Tensor] = {}
        self.data: dict[str, np.ndarray] = {}
        self._fill(np.random.default_rng(seed))

    def __repr__(self) -> str:
        return (
            f"DenseNetwork(samples={self.samples}, widths={self.widths}, activation={self.activation!r}, "
            f"layout={self.layout!r}, objective={self.objective!r}, dtype={self.dtype}, seed={self.seed})"
        )

    @property
    def layers(self) -> int:
        """How many dense layers there are."""
        return len(self.widths) - 1

    def forward(self, **given: Any) -> dict[str, Any]:
        """Pre-activations and activations Z1, A1, Z2 ... by name; `given` replaces parameters or data by name."""
        values = {**self.parameters, **self.data, **given}
        unknown = given.keys() - self.parameters.keys() - self.data.keys()
        if unknown:
            raise TypeError(f"this network has no {', '.join(sorted(unknown))}: it has {', '.join(values)}.")
        found: dict[str, Any] = {}
        a = values["X"]
        for i in range(1, self.layers + 1):
            z = self._product(a, values[f"W{i}"]) + values[f"b{i}"]
            found[f"Z{i}"] = _named(z, f"Z{i}")
            if i < self.layers:
                a = found[f"A{i}"] = _named(ACTIVATIONS[self.activation](z), f"A{i}")
        return found

    def loss(self, **given: Any) -> Any:
        """The loss, one number: a Tensor with a tape, or a plain number where `given` has arrays for all parameters."""
        scores = self.forward(**given)[f"Z{self.layers}"]
        return _named(LOSSES[self.objective](scores, given.get("Y", self.data["Y"]), axis=self._class_axis), "loss")

    @property
    def _class_axis(self) -> int:
        return 1 if self.layout == "rows" else 0

    def _product(self, a: Any, w: Any) -> Any:
        return a @ w if self.layout == "rows" else w @ a

    def _placed(self, samples_in_rows: np.ndarray) -> np.ndarray:
        array = samples_in_rows if self.layout == "rows" else samples_in_rows.T
        return np.ascontiguousarray(array, self.dtype)

    def _fill(self, rng: np.random.Generator) -> None:
        self.data["X"] = a = self._placed(rng.normal(size=(self.samples, self.widths[0])).round(2))
        for i, (inputs, outputs) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            w = self._placed((rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).round(2))
            z = self._product(a, w)
            b = self._placed(rng.normal(size=(1, outputs)).round(2) if i == self.layers else self._bias(z))
            b = b[0] if self.layout == "rows" else b
            a = ACTIVATIONS[self.activation](z + b)
            self.parameters[f"W{i}"] = Tensor(w, requires_grad=True, name=f"W{i}")
            self.parameters[f"b{i}"] = Tensor(b, requires_grad=True, name=f"b{i}")
        self.data["Y"] = self._placed(self._targets(rng))

    def _bias(self, z: np.ndarray) -> np.ndarray:
        """For each unit, what puts 0 into the widest gap of its pre-activations: some samples on, some off."""
        values = np.sort(z if self.layout == "rows" else z.T, axis=0)
        gaps = np.diff(values, axis=0)
        widest = np.argmax(gaps, axis=0)
        units = np.arange(len(widest))
        middle = (values[widest, units] + values[widest + 1, units]) / 2
        all_on = values[0] - 2 * ROOM
        return -np.where(gaps[widest, units] > 2.5 * ROOM, middle, all_on)[None]

    def _targets(self, rng: np.random.Generator) -> np.ndarray:
        outputs = self.widths[-1]
        if self.objective == "cross_entropy":
            return np.eye(outputs)[rng.integers(0, outputs, self.samples)]
        if self.objective == "binary_cross_entropy":
            return rng.integers(0, 2, (self.samples, outputs))
        return rng.normal(size=(self.samples, outputs)).round(2)


def _named(value: Any, name: str) -> Any:
    if isinstance(value, Tensor):
        value.name = name
    return value
