"""Patterns of the derivative of an activation: missing, applied twice, or taken at the wrong place.

A candidate is a whole backward pass with another slope at one activation, or at all: so the mistake is named
also where only the gradients of parameters far behind it are given.  Slopes are multiplied, never divided by:
they have zeros.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...engine.tape import Node
from .case import Case, Finding, best
from .formulas import SLOPES
from .layers import Activation, slope_at
from .network import Rule

Slope = Callable[[Activation], np.ndarray | None]
"""The wrong slope that stands in the place of the right one; None where it would be the same or is not defined."""

OF_A: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sigmoid": lambda a: a * (1 - a), "tanh": lambda a: 1 - a**2}
"""Derivatives as functions of the activation a, which is how people write them."""


def activation_missing(case: Case) -> Finding | None:
    """The gradient goes through the activation unchanged."""
    text = "the derivative of the {kind} at {z} is missing: multiply by {slope}."
    return _pattern(case, "activation_missing", text, lambda x: np.ones(x.slope.shape))


def activation_twice(case: Case) -> Finding | None:
    """The derivative is multiplied in two times."""
    text = "the derivative of the {kind} at {z} is applied twice: multiply by {slope} only once."
    return _pattern(case, "activation_twice", text, lambda x: x.slope**2)


def derivative_at_activation(case: Case) -> Finding | None:
    """The derivative as a function of z, given a."""
    text = "the derivative of the {kind} is taken at {a}, which is past it; take it at {z}."
    return _pattern(case, "derivative_at_activation", text, lambda x: slope_at(case.network, x, x.a))


def activation_formula_at_z(case: Case) -> Finding | None:
    """The derivative as a function of a, given z: z(1 - z)."""
    text = "the derivative {slope} of the {kind} is a formula for {a}, and was given {z}."
    wrong: Slope = lambda x: OF_A[x.kind](x.z) if x.kind in OF_A else None
    return _pattern(case, "activation_formula_at_z", text, wrong)


def wrong_layer(case: Case) -> Finding | None:
    """The derivative at the z, or with the a, of another layer of the same width."""
    return best(_at_other(case, node) for node in case.layers)


def _at_other(case: Case, other: Node) -> Finding | None:
    value = case.network.values[other]

    def of_z(x: Activation) -> np.ndarray | None:
        mine = other in (x.before, x.after) or value.shape != x.z.shape
        slope = None if mine else slope_at(case.network, x, value)
        # Of relu at values that are all positive it is 1: then the derivative is missing, and no other is taken.
        return None if slope is None or np.all(slope == slope.flat[0]) else slope

    def of_a(x: Activation) -> np.ndarray | None:
        mine = other in (x.before, x.after) or value.shape != x.z.shape
        return None if mine or x.kind not in OF_A else OF_A[x.kind](value)

    text = f"the derivative of the {{kind}} at {{z}} is taken with {case.names.of(other)}, of another layer."
    return best(_pattern(case, "wrong_layer", text, wrong) for wrong in (of_z, of_a))


def _pattern(case: Case, mistake: str, text: str, wrong: Slope) -> Finding | None:
    """One activation with the wrong slope; if none explains the gradient, all of them."""
    swapped = [(x, slope) for x, slope in ((x, wrong(x)) for x in on_the_way(case)) if _differs(x, slope)]
    single = best(_candidate(case, mistake, text, [pair]) for pair in swapped)
    if single and not single.factor:
        return single
    return best([single, _candidate(case, mistake, text, swapped) if len(swapped) > 1 else None])


def on_the_way(case: Case) -> list[Activation]:
    """The activations that the gradient comes through, the nearest first."""
    reached = case.network.reached_by(case.node) | {case.node}
    return [x for x in case.activations if x.before in reached]


def _differs(activation: Activation, slope: np.ndarray | None) -> bool:
    return slope is not None and not np.allclose(slope, activation.slope, rtol=1e-9, atol=0)


def _candidate(case: Case, mistake: str, text: str, swapped: list) -> Finding | None:
    rules = {x.after: through(x, slope) for x, slope in swapped}
    nearest = swapped[0][0]
    names = {key: case.names.of(node) for key, node in (("z", nearest.before), ("a", nearest.after))}
    named = case.names.known(nearest.before) and case.names.known(nearest.after)
    slope = SLOPES.get(nearest.kind if named else "", "its slope").format(**names)
    sentence = text.format(kind=nearest.kind or "activation", slope=slope, **names)
    if len(swapped) > 1:
        sentence += "  So it is at every activation on the way."
    return case.finding(mistake, sentence, case.with_rules(rules), at=nearest.before)


def through(activation: Activation, slope: np.ndarray) -> Rule:
    """The rule of an activation with another slope."""
    return lambda g: {activation.before: g * slope}
