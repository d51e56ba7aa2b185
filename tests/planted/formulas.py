"""Mistakes in the formula itself: derivatives, losses, labels, weights, and places where numbers break."""

from collections.abc import Callable
from typing import Any

import numpy as np

from planted.corpus import Mistake
from planted.habits import changed, first, parameters, plain, squared
from planted.networks import ACTIVATIONS, FACTOR, LOSSES, SLOPES, Network, Step, Values

CURVED = ("sigmoid", "tanh")


def hidden(formula: Callable[[Network, Values, int], Any], which: str) -> Callable[[Network], dict[str, Step]]:
    """Another formula for dZ of the "last" or the "first" hidden layer, or of "every" one."""

    def edits(net: Network) -> dict[str, Step]:
        layers = {"last": [net.depth - 1], "first": [1], "every": range(net.depth - 1, 0, -1)}[which]
        return {f"dZ{n}": lambda v, n=n: formula(net, v, n) for n in layers}

    return edits


def output(formula: Callable[[Network, Values, int], Any]) -> Callable[[Network], dict[str, Step]]:
    """Another formula for dZ of the output layer."""
    return lambda net: {f"dZ{net.depth}": lambda v: formula(net, v, net.depth)}


def deep(net: Network) -> bool:
    return net.depth > 1


def curved(layer: int) -> Callable[[Network], bool]:
    """Whether a hidden layer (the first, or -1 for the last) is a sigmoid or tanh."""
    return lambda net: deep(net) and net.activation(net.depth - 1 if layer == -1 else layer) in CURVED


def curved_output(net: Network) -> bool:
    return net.through_dA and net.output in CURVED


def binary_at_once(net: Network) -> bool:
    return net.cost == "binary" and not net.through_dA


# -- 12 to 16: the derivative of the activation ---------------------------------------------------


def at_activation(net: Network, v: Values, n: int) -> Any:
    name, A = net.activation(n), v[f"A{n}"]
    return v[f"dA{n}"] * SLOPES[name](A, ACTIVATIONS[name](A))


def formula_at_z(net: Network, v: Values, n: int) -> Any:
    return v[f"dA{n}"] * SLOPES[net.activation(n)](None, v[f"Z{n}"])


def slope_of_layer(other: Callable[[int], int]) -> Callable[[Network, Values, int], Any]:
    return lambda net, v, n: v[f"dA{n}"] * SLOPES[net.activation(n)](v[f"Z{other(n)}"], v[f"A{other(n)}"])


missing = lambda net, v, n: v[f"dA{n}"]
twice = lambda net, v, n: v[f"dA{n}"] * net.slope(v, n) ** 2
not_relu = lambda n: lambda net: deep(net) and net.activation(n if n > 0 else net.depth - 1) != "relu"
equal_widths = lambda net: net.depth > 2 and net.widths[1] == net.widths[2]

DERIVATIVES = [
    Mistake("activation_missing", "in the last hidden layer", hidden(missing, "last"), deep),
    Mistake("activation_missing", "in every hidden layer", hidden(missing, "every"), deep),
    Mistake("activation_missing", "in the first layer", hidden(missing, "first"), lambda net: net.depth > 2),
    # Without it a squared error has the gradient of a cross-entropy, up to its factor.
    Mistake("activation_missing", "at the output", output(missing), curved_output, also=("other_loss",)),
    Mistake("activation_twice", "in the last hidden layer", hidden(twice, "last"), not_relu(-1)),
    Mistake("activation_twice", "in the first layer", hidden(twice, "first"), not_relu(1)),
    # A - Y has the derivative of the sigmoid in it already; with one more it is that of the squared error / 2.
    Mistake("activation_twice", "(A - Y) A (1 - A) at the output",
            lambda net: changed(net, [f"dZ{net.depth}"], lambda g, v: g * SLOPES["sigmoid"](None, v[f"A{net.depth}"])),
            binary_at_once, also=("other_loss",)),
    Mistake("activation_twice", "at the output",
            lambda net: changed(net, [f"dZ{net.depth}"], lambda g, v: g * SLOPES[net.output](None, v[f"A{net.depth}"])),
            curved_output, also=("other_loss",)),
    Mistake("derivative_at_activation", "in the last hidden layer", hidden(at_activation, "last"), curved(-1)),
    Mistake("derivative_at_activation", "in the first layer", hidden(at_activation, "first"), curved(1)),
    Mistake("derivative_at_activation", "at the output", output(at_activation), curved_output),
    Mistake("activation_formula_at_z", "in the last hidden layer", hidden(formula_at_z, "last"), curved(-1)),
    Mistake("activation_formula_at_z", "in the first layer", hidden(formula_at_z, "first"), curved(1)),
    Mistake("activation_formula_at_z", "at the output", output(formula_at_z), curved_output),
    Mistake("wrong_layer", "the layer above", hidden(slope_of_layer(lambda n: n + 1), "first"), equal_widths),
    Mistake("wrong_layer", "the layer below", lambda net: {
        "dZ2": lambda v: slope_of_layer(lambda n: 1)(net, v, 2)}, equal_widths),
    Mistake("wrong_layer", "relu at the output's Z", hidden(slope_of_layer(lambda n: n + 1), "last"),
            lambda net: net.depth == 2 and net.widths[1] == net.widths[2]),
]  # fmt: skip

# -- 17, 18, 19: losses and labels ----------------------------------------------------------------


def other_dZ(net: Network, v: Values, cost: str) -> Any:
    """dZ as if the loss were another one."""
    n, m = net.depth, v["m"] if net.mean_first else 1
    other = net._replace(cost=cost)
    A, Y = v[f"A{n}"], v["Y"]
    return other._dZ(other._dA(A, Y), v[f"Z{n}"], A) / m


def reported(cost: str) -> Callable[[Network], dict[str, Step]]:
    """The gradients of one loss, and another one printed."""
    return lambda net: {"loss": lambda v: LOSSES[cost](v[f"A{net.depth}"], v["Y"], v["m"])}


def other_labels(shift: int, loss_too: bool = False) -> Callable[[Network], dict[str, Step]]:
    def edits(net: Network) -> dict[str, Step]:
        right = net.steps()[first(net)]

        def shifted(v: Values) -> Values:
            return v | {"Y": np.roll(v["Y"], shift, axis=net.unit_axis)}

        found = {first(net): lambda v: right(shifted(v))}
        if loss_too:
            found["loss"] = lambda v: net.forward({name: shifted(v)[name] for name in (*net.arrays(), "Y")})["loss"]
        return found

    return edits


classes = lambda net: net.output == "softmax" and net.cost == "cross_entropy"
diagonal = lambda net, v, n: (
    net._dA(v[f"A{n}"], v["Y"]) * v[f"A{n}"] * (1 - v[f"A{n}"]) / (v["m"] if net.mean_first else 1)
)

LOSS_MISTAKES = [
    Mistake("other_loss", "A - Y where a squared error is recorded",
            output(lambda net, v, n: (v[f"A{n}"] - v["Y"]) / (v["m"] if net.mean_first else 1)),
            lambda net: squared(net) and net.output in ("sigmoid", "softmax")),
    Mistake("other_loss", "the squared error's where a cross-entropy is recorded",
            output(lambda net, v, n: other_dZ(net, v, "squared_mean")),
            lambda net: net.cost in ("binary", "cross_entropy")),
    Mistake("other_loss", "the squared error's, from its dA",
            lambda net: changed(net, [f"dA{net.depth}"], lambda g, v: FACTOR["squared_sum"](g, 0)
                                * (v[f"A{net.depth}"] - v["Y"])),
            lambda net: net.cost in ("binary", "cross_entropy") and net.through_dA),
    Mistake("other_loss", "the squared error printed", reported("squared_mean"),
            lambda net: net.cost in ("binary", "cross_entropy") and not net.decay),
    Mistake("other_loss", "a cross-entropy printed", reported("binary"),
            lambda net: squared(net) and net.output == "sigmoid"),
    Mistake("diagonal_softmax", "dA A (1 - A)", output(diagonal),
            lambda net: net.output == "softmax" and net.through_dA),
    Mistake("diagonal_softmax", "-Y (1 - A) at once", output(diagonal),
            lambda net: net.output == "softmax" and not net.through_dA),
    Mistake("label_off_by_one", "classes counted from 1", other_labels(1), classes),
    Mistake("label_off_by_one", "one too low", other_labels(-1), classes),
    Mistake("label_off_by_one", "in the loss too", other_labels(1, loss_too=True), classes),
]  # fmt: skip

# -- 20, 21, 28: weights ----------------------------------------------------------------------------


def stepped(rate: float) -> Callable[[Network], dict[str, Step]]:
    """The gradient of the layer before from weights that have taken their step already."""

    def edits(net: Network) -> dict[str, Step]:
        n = net.depth
        return {f"dA{n - 1}": lambda v: net.back(v[f"W{n}"] - net.dtype(rate) * v[f"dW{n}"], v[f"dZ{n}"])}

    return edits


def stepped_in_place(net: Network) -> dict[str, Step]:
    n = net.depth

    def dA(v: Values) -> Any:
        v[f"W{n}"] -= net.dtype(0.1) * v[f"dW{n}"]
        return net.back(v[f"W{n}"], v[f"dZ{n}"])

    return {f"dA{n - 1}": dA}


def centred_in_place(net: Network) -> dict[str, Step]:
    def before(v: Values) -> None:
        v["X"] -= v["X"].mean()

    return {"before": before}


def decayed(factor: Callable[[Network, Values], float]) -> Callable[[Network], dict[str, Step]]:
    def edits(net: Network) -> dict[str, Step]:
        names = [name for name in parameters(net) if name[1] == "W"]
        steps = net.steps()
        return {
            name: lambda v, name=name: steps[name](v) + net.dtype(factor(net, v)) * v[name.removeprefix("d")]
            for name in names
        }

    return edits


WEIGHTS = [
    Mistake("updated_weights", "rate 0.1", stepped(0.1), deep),
    Mistake("updated_weights", "rate 1", stepped(1.0), deep),
    Mistake("updated_weights", "rate 0.01", stepped(0.01), deep),
    Mistake("changed_in_place", "W updated in place before the layer before", stepped_in_place, deep,
            also=("updated_weights",)),
    Mistake("changed_in_place", "X centred in place", centred_in_place),
    Mistake("weight_decay", "extra", decayed(lambda net, v: 0.01), plain),
    Mistake("weight_decay", "extra, divided by m", decayed(lambda net, v: 0.5 / v["m"]), plain),
    Mistake("weight_decay", "missing", decayed(lambda net, v: -net.decay), lambda net: net.decay > 0),
    Mistake("weight_decay", "twice", decayed(lambda net, v: net.decay), lambda net: net.decay > 0),
]  # fmt: skip

# -- 22, 23, 24, 25: places where numbers break ---------------------------------------------------


def blank_sample(net: Network, arrays: dict[str, np.ndarray]) -> None:
    """Zeros for one sample and for the first biases: its pre-activations are exactly 0."""
    arrays["b1"][:] = 0
    arrays["X"][(0, slice(None)) if net.layout != "columns" else (slice(None), 0)] = 0


def large_weights(net: Network, arrays: dict[str, np.ndarray]) -> None:
    arrays[f"W{net.depth}"] *= net.dtype(300_000)


def slope_one_at_zero(net: Network, v: Values, n: int) -> Any:
    return v[f"dA{n}"] * np.where(v[f"Z{n}"] == 0, net.dtype(1), net.slope(v, n))


def labels_without_axis(net: Network) -> dict[str, Step]:
    """Labels of shape (m,) beside outputs of shape (m, 1): their difference is (m, m)."""

    def before(v: Values) -> None:
        v["Y"] = v["Y"].ravel()

    return {"before": before, "loss": lambda v: LOSSES[net.cost](v[f"A{net.depth}"], v["Y"], v["m"])}


def through_probabilities(net: Network) -> dict[str, Step]:
    n = net.depth
    with_1_m = lambda g, v: g / v["m"] if net.mean_first else g
    if net.cost == "binary":
        return {f"dZ{n}": lambda v: with_1_m(net._dZ(net._dA(v[f"A{n}"], v["Y"]), v[f"Z{n}"], v[f"A{n}"]), v)}

    def naive(v: Values) -> Any:
        e = np.exp(v[f"Z{n}"])
        return e / e.sum(axis=net.unit_axis, keepdims=True)

    return {f"dZ{n}": lambda v: with_1_m(naive(v) - v["Y"], v)}


def stable_loss(net: Network) -> dict[str, Step]:
    """The loss from the logits, finite; the gradient by way of the probabilities."""
    n = net.depth

    def loss(v: Values) -> Any:
        Z, Y = v[f"Z{n}"], v["Y"]
        if net.cost == "binary":
            return np.sum(np.logaddexp(0, Z) - Z * Y) / v["m"] + net._decay(v)
        top = Z.max(axis=net.unit_axis, keepdims=True)
        log_total = top + np.log(np.exp(Z - top).sum(axis=net.unit_axis, keepdims=True))
        return np.sum(Y * (log_total - Z)) / v["m"] + net._decay(v)

    return through_probabilities(net) | {"loss": loss}


def single(net: Network) -> dict[str, Step]:
    """The backward pass in single precision."""

    def before(v: Values) -> None:
        for name, value in v.items():
            if isinstance(value, np.ndarray):
                v[name] = value.astype(np.float32)

    return {"before": before}


kinked = lambda net: deep(net) and net.activation(1) in ("relu", "leaky")
fused = lambda net: net.style == "fused" and net.output != "linear" and not net.through_dA

PLACES_TO_BREAK = [
    Mistake("kink_convention", "relu'(0) = 1", hidden(slope_one_at_zero, "first"), kinked, setup=blank_sample),
    Mistake("broadcast_to_square", "(m, 1) - (m,)", labels_without_axis,
            lambda net: net.depth == 1 and net.rows and net.widths[-1] == 1),
    Mistake("not_finite", "divided by a probability of 0, the loss too", through_probabilities, fused,
            setup=large_weights),
    Mistake("not_finite", "divided by a probability of 0", stable_loss, fused, setup=large_weights),
    Mistake("rounding", "the backward pass in float32", single, lambda net: net.dtype == np.float64),
]  # fmt: skip

# -- what nobody has a name for -------------------------------------------------------------------


def noisy(net: Network) -> dict[str, Step]:
    def change(g: Any, v: Values) -> Any:
        return g + np.random.default_rng(7).normal(size=g.shape).astype(net.dtype)

    return changed(net, [f"dW{net.depth}"], change)


UNKNOWN = [
    Mistake("unknown", "noise", noisy),
    Mistake("unknown", "a cosine in the place of the derivative",
            hidden(lambda net, v, n: v[f"dA{n}"] * np.cos(3 * v[f"Z{n}"]), "last"), deep),
    Mistake("unknown", "squared weights", lambda net: {
        f"dA{net.depth - 1}": lambda v: net.back(v[f"W{net.depth}"] ** 2, v[f"dZ{net.depth}"])}, deep),
]  # fmt: skip

FORMULAS: list[Mistake] = [*DERIVATIVES, *LOSS_MISTAKES, *WEIGHTS, *PLACES_TO_BREAK, *UNKNOWN]
