"""Mistakes in factors, shapes and sums: the formula is right, what is done around it is not."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from planted.corpus import Mistake
from planted.networks import Network, Step, Values


def parameters(net: Network) -> list[str]:
    return [f"d{kind}{layer}" for layer in range(net.depth, 0, -1) for kind in "Wb"]


def changed(net: Network, names: Iterable[str], change: Callable[[Any, Values], Any]) -> dict[str, Step]:
    """For each of these gradients its right formula, and something done to the result."""
    steps = net.steps()
    return {name: lambda v, right=steps[name]: change(right(v), v) for name in names}


def first(net: Network) -> str:
    return next(iter(net.steps()))


def last_W(net: Network) -> str:
    return f"dW{net.depth}"


def last_b(net: Network) -> str:
    return f"db{net.depth}"


def bias(kind: str, formula: Callable[[Network, Any, Any], Any]) -> Callable[[Network], dict[str, Step]]:
    """Another formula for the "last", the "first" or "every" db, of the network, dZ and what to divide by."""

    def edits(net: Network) -> dict[str, Step]:
        layers = {"last": [net.depth], "first": [1], "every": range(net.depth, 0, -1)}[kind]
        return {f"db{n}": lambda v, n=n: formula(net, v[f"dZ{n}"], net.per_sample(v)) for n in layers}

    return edits


def scaled(names: Callable[[Network], list[str]], factor: Callable[[Network, Values], float]) -> Callable:
    return lambda net: changed(net, names(net), lambda g, v: g * net.dtype(factor(net, v)))


def plain(net: Network) -> bool:
    return not net.decay


def squared(net: Network) -> bool:
    return net.cost.startswith("squared")


def several_outputs(net: Network) -> bool:
    return net.widths[-1] > 1


def no_softmax(net: Network) -> bool:
    return net.output != "softmax"


def late(net: Network) -> bool:
    return plain(net) and not net.mean_first


def early(net: Network) -> bool:
    return plain(net) and net.mean_first


# -- 1, 2, 3, 4, 29: factors ----------------------------------------------------------------------

by_m = lambda net, v: v["m"]
by_1_m = lambda net, v: 1 / v["m"]
outputs = lambda net, v: v[f"A{net.depth}"].shape[net.unit_axis]
by_1_outputs = lambda net, v: 1 / outputs(net, v)
only_first = lambda net: [first(net)]

FACTORS = [
    Mistake("batch_factor", "1/m missing everywhere", scaled(parameters, by_m), plain),
    Mistake("batch_factor", "1/m missing in the last db", scaled(lambda net: [last_b(net)], by_m), plain),
    Mistake("batch_factor", "1/m missing in dW1", scaled(lambda net: ["dW1"], by_m), plain),
    Mistake("batch_factor", "1/m once more in every dW and db", scaled(parameters, by_1_m), plain),
    Mistake("batch_factor", "1/m at dZ and again at dW and db", scaled(only_first, by_1_m), late),
    Mistake("batch_factor", "1/m missing at dZ, which alone had it", scaled(only_first, by_m), early),
    Mistake("batch_factor", "1/m again in the first layer", scaled(lambda net: ["dZ1"], by_1_m),
            lambda net: plain(net) and net.depth > 1),
    Mistake("entry_mean", "2 (A - Y) for a mean over all entries", scaled(only_first, outputs),
            lambda net: net.cost == "squared_mean" and several_outputs(net)),
    Mistake("entry_mean", "divided by Y.size for a mean over samples",
            scaled(parameters, by_1_outputs),
            lambda net: plain(net) and net.cost != "squared_mean" and several_outputs(net)),
    Mistake("entry_mean", "np.mean over everything in dZ", scaled(only_first, by_1_outputs),
            lambda net: net.mean_first and net.cost != "squared_mean" and several_outputs(net)),
    Mistake("factor_two", "the 2 of the square forgotten", scaled(only_first, lambda net, v: 0.5),
            lambda net: squared(net) and net.cost != "squared_half"),
    Mistake("factor_two", "a 2 that the loss does not have", scaled(only_first, lambda net, v: 2),
            lambda net: not squared(net) or net.cost == "squared_half"),
    Mistake("factor_two", "gradients of two calls added up", scaled(parameters, lambda net, v: 2), plain),
    Mistake("sign", "Y - A", scaled(only_first, lambda net, v: -1)),
    Mistake("sign", "minus in the last dW", scaled(lambda net: [last_W(net)], lambda net, v: -1), plain),
    Mistake("sign", "minus in db1", scaled(lambda net: ["db1"], lambda net, v: -1)),
    Mistake("sign", "Y - A with a 2 too much", scaled(only_first, lambda net, v: -2)),
    Mistake("sign", "minus, and 1/m missing", scaled(parameters, lambda net, v: -v["m"]), plain),
    Mistake("full_data_factor", "divided by 42 where the batch has 41",
            scaled(parameters, lambda net, v: v["m"] / 42), lambda net: net.samples == 41, only="arrays"),
    Mistake("full_data_factor", "divided by 60000", scaled(parameters, lambda net, v: v["m"] / 60_000), plain),
    Mistake("full_data_factor", "divided by 500 in the first layer",
            scaled(lambda net: ["dW1", "db1"], lambda net, v: v["m"] / 500), late),
]  # fmt: skip


def accumulating(net: Network) -> dict[str, Step]:
    """Gradients that live outside the function, and that nobody sets back to zero."""
    kept: dict[str, Any] = {}

    def add(name: str, g: Any) -> Any:
        before = kept.get(name)
        kept[name] = g if before is None or before.shape != g.shape else before + g
        return kept[name]

    steps = net.steps()
    return {name: lambda v, name=name: add(name, steps[name](v)) for name in parameters(net)}


ACCUMULATED = Mistake("accumulated", "+= into arrays that live outside", accumulating, plain, only="functions")

# -- 5, 6: the right numbers elsewhere ------------------------------------------------------------


def reshaped_X(net: Network) -> dict[str, Step]:
    def dW1(v: Values) -> Any:
        A, dZ = v["A0"], v["dZ1"]
        turned = A.reshape(A.shape[::-1])
        return (turned @ dZ if net.rows else dZ @ turned) / net.per_sample(v)

    return {"dW1": dW1}


PLACES = [
    Mistake("transposed", "A dZᵀ for the last dW",
            lambda net: changed(net, [last_W(net)], lambda g, v: g.T), several_outputs),
    Mistake("transposed", "dW1", lambda net: changed(net, ["dW1"], lambda g, v: g.T)),
    Mistake("reshaped", "A dZᵀ, then reshape",
            lambda net: changed(net, [last_W(net)], lambda g, v: g.T.reshape(g.shape)), several_outputs),
    Mistake("reshaped", "dW1 of A dZᵀ, then reshape",
            lambda net: changed(net, ["dW1"], lambda g, v: g.T.reshape(g.shape)), lambda net: net.widths[1] > 1),
    Mistake("reshaped", "units in the other order",
            lambda net: changed(net, ["dW1"], lambda g, v: g[:, ::-1] if net.rows else g[::-1]),
            lambda net: net.widths[1] > 1),
    Mistake("reshaped", "dA reshaped for want of a transpose",
            lambda net: changed(net, [f"dA{net.depth - 1}"], lambda g, v: g.T.reshape(g.shape)),
            lambda net: net.depth > 1),
    Mistake("reshaped", "X.reshape where X.T is meant", reshaped_X, plain),
]  # fmt: skip

# -- 7 to 11: sums --------------------------------------------------------------------------------

SUMS = [
    Mistake("summed_over_everything", "np.sum(dZ) / m for every db",
            bias("every", lambda net, dZ, m: np.sum(dZ) / m), several_outputs),
    Mistake("summed_over_everything", "np.sum(dZ) / m for the first db",
            bias("first", lambda net, dZ, m: np.sum(dZ) / m), lambda net: net.widths[1] > 1),
    Mistake("summed_over_everything", "np.sum(dZ) for the last db",
            bias("last", lambda net, dZ, m: np.sum(dZ)), several_outputs),
    Mistake("summed_over_everything", "np.mean(dZ) for the first db",
            bias("first", lambda net, dZ, m: np.mean(dZ)), lambda net: late(net) and net.widths[1] > 1),
    Mistake("summed_over_everything", "np.sum(dZ, keepdims=True) / m",
            bias("first", lambda net, dZ, m: np.sum(dZ, keepdims=True) / m), lambda net: net.widths[1] > 1),
    Mistake("wrong_axis", "over the units, with keepdims",
            bias("last", lambda net, dZ, m: dZ.sum(axis=net.unit_axis, keepdims=True) / m)),
    Mistake("wrong_axis", "over the units, without keepdims",
            bias("first", lambda net, dZ, m: dZ.sum(axis=net.unit_axis) / m)),
    Mistake("wrong_axis", "mean over the units",
            bias("first", lambda net, dZ, m: dZ.mean(axis=net.unit_axis, keepdims=True)),
            lambda net: net.widths[1] > 1),
    Mistake("not_reduced", "db = dZ / m", bias("last", lambda net, dZ, m: dZ / m)),
    Mistake("not_reduced", "db = dZ", bias("first", lambda net, dZ, m: dZ)),
    Mistake("keepdims", "sum without keepdims", bias("last", lambda net, dZ, m: dZ.sum(axis=net.sample_axis) / m),
            lambda net: not net.flat_bias),
    Mistake("keepdims", "sum without keepdims, in every layer",
            bias("every", lambda net, dZ, m: dZ.sum(axis=net.sample_axis) / m), lambda net: not net.flat_bias),
    Mistake("keepdims", "sum with keepdims for a bias of one axis",
            bias("every", lambda net, dZ, m: dZ.sum(axis=0, keepdims=True) / m), lambda net: net.flat_bias),
    Mistake("broadcast_back", "one number in every entry of db1",
            lambda net: changed(net, ["db1"], lambda g, v: np.full_like(g, np.sum(g))),
            lambda net: net.depth > 1),
    Mistake("broadcast_back", "the mean of all in every entry of db1",
            lambda net: changed(net, ["db1"], lambda g, v: np.full_like(g, np.mean(g))),
            lambda net: net.depth > 1),
    Mistake("broadcast_back", "dA summed over the units and spread again",
            lambda net: changed(net, [f"dA{net.depth - 1}"], lambda g, v: np.ones_like(g)
                                * g.sum(axis=net.unit_axis, keepdims=True)), lambda net: net.depth > 1),
    Mistake("broadcast_back", "dZ averaged over the samples and spread again",
            lambda net: changed(net, [f"dZ{net.depth}"], lambda g, v: np.ones_like(g)
                                * g.mean(axis=net.sample_axis, keepdims=True))),
    Mistake("broadcast_back", "dW1 averaged over the inputs and spread again",
            lambda net: changed(net, ["dW1"], lambda g, v: np.ones_like(g)
                                * g.mean(axis=net.sample_axis, keepdims=True))),
]  # fmt: skip

# -- 26, 27: zeros and parts ----------------------------------------------------------------------


def without_the_last(axis: int) -> Callable[[Any, Values], Any]:
    """Zeros in the last entry along an axis: a loop that ends one too early."""

    def change(g: Any, v: Values) -> Any:
        g = np.array(g)
        np.moveaxis(g, axis, 0)[-1] = 0
        return g

    return change


def some_samples(stop: Callable[[int], int]) -> Callable[[Network], dict[str, Step]]:
    """The last dW of the first samples only."""

    def edits(net: Network) -> dict[str, Step]:
        n = net.depth

        def dW(v: Values) -> Any:
            part = (slice(stop(v["m"])), slice(None))[:: 1 if net.rows else -1]
            return net.weights(v[f"dZ{n}"][part], v[f"A{n - 1}"][part]) / net.per_sample(v)

        return {f"dW{n}": dW}

    return edits


PARTS = [
    Mistake("all_zero", "dW1 never filled in", lambda net: changed(net, ["dW1"], lambda g, v: np.zeros_like(g))),
    Mistake("all_zero", "a mask that is never true",
            lambda net: changed(net, ["dZ1"], lambda g, v: g * (v["Z1"] > 0) * (v["Z1"] < 0)),
            lambda net: net.activation(1) == "relu"),
    Mistake("all_zero", "whole-number division of the mask",
            lambda net: changed(net, ["dZ1"], lambda g, v: g * ((v["A1"] > 0).astype(int) // 2)),
            lambda net: net.depth > 1),
    Mistake("some_rows", "the last unit left out of dW1",
            lambda net: changed(net, ["dW1"], without_the_last(net.unit_axis)), lambda net: net.widths[1] > 1),
    Mistake("some_rows", "the last input left out of dW1",
            lambda net: changed(net, ["dW1"], without_the_last(net.sample_axis))),
    Mistake("some_rows", "the last output left out of db",
            lambda net: changed(net, [last_b(net)], without_the_last(net.unit_axis if not net.flat_bias else 0)),
            several_outputs),
    Mistake("some_rows", "the last sample left out of dZ",
            lambda net: changed(net, [f"dZ{net.depth}"], without_the_last(net.sample_axis))),
    Mistake("some_rows", "the last sample left out of dW", some_samples(lambda m: m - 1), plain),
    Mistake("some_rows", "only the first half of the samples in dW", some_samples(lambda m: m // 2), plain),
]  # fmt: skip

HABITS: list[Mistake] = [*FACTORS, ACCUMULATED, *PLACES, *SUMS, *PARTS]
