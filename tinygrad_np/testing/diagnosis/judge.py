"""The procedure: from the loss backwards, which gradient is wrong, which only follows from a wrong one, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.tape import Node
from ..tolerance import scaled_error, tolerance
from . import diagnose
from .case import Case, Finding, equal
from .layers import activations
from .names import Names, names_of
from .network import Gradients, Network
from .own import follow


class Judgement(NamedTuple):
    """What is said of one gradient: "ok", "WRONG" or "consequence", in which words, and which mistakes explain it."""

    name: str
    status: str
    text: str
    findings: Sequence[Finding] = ()


class Entry(NamedTuple):
    """A hand-written gradient, with the node it is of."""

    name: str
    node: Node
    hand: np.ndarray


class Judge:
    """Judges hand-written gradients against those of a network, the nearest to the loss first.

    `scale` is how many times autograd's the user's intermediates are: 1, or the number of samples where he divides
    by it only at the parameters.  `given` are his intermediates, brought to autograd's scale, and `wrong` those of
    his gradients that are, by node.
    """

    def __init__(
        self, network: Network, names: Names, hands: Mapping[str, np.ndarray], data: Mapping[str, Any],
        rtol: float | None, atol: float | None,
    ) -> None:  # fmt: skip
        self.network, self.names, self.data = network, names, data
        self.rtol, self.atol = rtol, atol
        entries = [Entry(name, names.find(name), hand) for name, hand in hands.items()]
        self.entries = sorted(entries, key=self._from_the_loss_back)
        names.keys.update({entry.node: entry.name for entry in entries})
        self.activations = activations(network, set(names.nodes.values()))
        self.hands = {entry.node: entry.hand for entry in entries if _fits(entry)}
        self.all_hands = {entry.node: entry.hand for entry in entries}
        self.given: Gradients = {}
        self.wrong: dict[Node, str] = {}
        self.scale = self._usual_scale()

    def _from_the_loss_back(self, entry: Entry) -> tuple[int, bool]:
        return -self.network.place(entry.node), entry.node.is_leaf

    def _usual_scale(self) -> float:
        """How many times autograd's the intermediates are: m, if that is what one of them is."""
        m = float(self.network.samples or 1)
        for entry in self.entries:
            if not entry.node.is_leaf and _fits(entry):
                if self._near(entry, self.network.gradients[entry.node]):
                    return 1.0
                if self._near(entry, m * self.network.gradients[entry.node]):
                    return m
        return self._likely_scale(m)

    def _likely_scale(self, m: float) -> float:
        """Where no intermediate is right: the scale that brings the lengths together."""
        for entry in self.entries:
            right = self.network.gradients[entry.node]
            if not entry.node.is_leaf and _fits(entry) and np.any(right) and np.any(entry.hand):
                ratio = math.log(np.linalg.norm(entry.hand) / np.linalg.norm(right))
                return m if abs(ratio - math.log(m)) < abs(ratio) else 1.0
        return 1.0

    # -- one gradient after the other ---------------------------------------------------------------

    def judgements(self) -> list[Judgement]:
        """What is said of each gradient, from the loss backwards."""
        return [self._judge(entry) for entry in self.entries]

    def _judge(self, entry: Entry) -> Judgement:
        right = self.network.gradients[entry.node]
        if not np.all(np.isfinite(right)):
            return self._without_truth(entry, right)
        scale = self._scale_of(entry, right)
        if scale is not None:
            self._remember(entry, scale)
            return Judgement(entry.name, "ok", self._agreement(entry, scale * right, scale))
        expected = self._from_own(entry)
        reasons = [name for node, name in self.wrong.items() if node in self.network.reached_by(entry.node)]
        self._remember(entry, self.scale)
        self.wrong[entry.node] = entry.name
        if reasons and self._follows(entry, expected):
            text = f"wrong only because of {names_of(reasons[-1:])}: it is what follows from it."
            return Judgement(entry.name, "consequence", text)
        findings = self._explain(entry, expected, bool(reasons))
        return Judgement(entry.name, "WRONG", "", findings)

    def _without_truth(self, entry: Entry, right: np.ndarray) -> Judgement:
        """Where autograd's gradient is not finite itself, there is none to compare with."""
        both = entry.hand.shape == right.shape and np.allclose(entry.hand, right, equal_nan=True)
        place = [int(i) for i in np.argwhere(~np.isfinite(right))[0]]
        text = f"autograd's gradient is not finite either, first at {place}: the loss has none at these numbers."
        if both:
            return Judgement(entry.name, "ok", text)
        return Judgement(entry.name, "WRONG", "", [Finding("not_finite", text.replace(" either", ""))])

    def _scales(self, node: Node) -> tuple[float, ...]:
        """The factors that are no mistake: those between two intermediates are for the parameters to mend."""
        m = self.network.samples
        return (1.0,) if node.is_leaf or not m or m == 1 else (1.0, float(m))

    def _scale_of(self, entry: Entry, right: np.ndarray) -> float | None:
        if not _fits(entry):
            return None
        return next((s for s in self._scales(entry.node) if self._near(entry, s * right)), None)

    def _near(self, entry: Entry, right: np.ndarray) -> bool:
        """Whether a gradient is right, as far as the dtype and the sums that it is made of allow."""
        rtol, atol = tolerance(entry.hand, entry.node.dtype, rtol=self.rtol, atol=self.atol)
        top = np.max(np.abs(right), initial=0.0)
        allowed = rtol * top + self._rounding(entry, top) + self._floor(entry) + (atol if self.atol is not None else 0)
        return bool(np.max(np.abs(entry.hand - right), initial=0.0) <= allowed)

    def _rounding(self, entry: Entry, top: float) -> float:
        """What the dtype of the tape costs autograd itself, with a margin; for a gradient as large as `top`."""
        exact = self.network.gradients[entry.node]
        lost = np.max(np.nan_to_num(np.abs(self.network.native[entry.node] - exact)), initial=0.0)
        return float(10 * lost * top / (np.max(np.abs(exact), initial=0.0) or 1))

    def _floor(self, entry: Entry) -> float:
        """What rounding makes of terms that cancel: a sum that is 0 comes out as some eps of its terms."""
        eps = max(np.finfo(d).eps for d in (entry.hand.dtype, entry.node.dtype, np.float64) if np.dtype(d).kind in "fc")
        return float(100 * eps * self.network.size_of_terms(entry.node) * max(self._scales(entry.node)))

    def _remember(self, entry: Entry, scale: float) -> None:
        if not entry.node.is_leaf and _fits(entry) and np.all(np.isfinite(entry.hand)):
            self.given[entry.node] = entry.hand / scale

    def _from_own(self, entry: Entry) -> np.ndarray:
        """What autograd makes of the user's own gradients further up."""
        return self.network.backward(entry.node, self.given, {}) if self.wrong else self.network.gradients[entry.node]

    def _follows(self, entry: Entry, expected: np.ndarray) -> bool:
        m = self.network.samples or 1
        tolerance = 10 * self._tolerance(entry)
        for own in follow(entry.node, self.network, self.activations, self.all_hands):
            if any(equal(entry.hand, own * factor, tolerance) for factor in (1, 1 / m)):
                return True
        if _fits(entry):
            return any(equal(entry.hand, s * expected, tolerance) for s in self._scales(entry.node))
        return False

    def _tolerance(self, entry: Entry) -> float:
        return tolerance(entry.hand, entry.node.dtype, rtol=self.rtol).rtol

    # -- why ------------------------------------------------------------------------------------------

    def _explain(self, entry: Entry, expected: np.ndarray, has_reasons: bool) -> list[Finding]:
        """The mistake made here; if there is none to see, the whole way from the loss is compared."""
        findings = diagnose(self._case(entry, expected, self.given))
        if has_reasons and findings[0].mistake == "unknown":
            again = diagnose(self._case(entry, self.network.gradients[entry.node], {}))
            return again if again[0].mistake != "unknown" else findings
        return findings

    def _case(self, entry: Entry, right: np.ndarray, given: Gradients) -> Case:
        mine = {node: g for node, g in given.items() if node is not entry.node}
        return Case(
            entry.name, entry.node, entry.hand, right, self.network, self.names, self.activations,
            self._tolerance(entry), mine, self._scales(entry.node), self.data, self.hands, self.scale > 1,
        )  # fmt: skip

    def _agreement(self, entry: Entry, right: np.ndarray, scale: float) -> str:
        error = scaled_error(entry.hand, right) if right.size else 0.0
        text = agreement(error, entry.hand.dtype, entry.node.dtype)
        if scale > 1 and np.any(right):
            return f"{text}: {scale:g} times autograd's, 1/m comes with the parameters"
        return text


def agreement(error: float, *dtypes: np.dtype) -> str:
    """How far two gradients agree, in digits; in less than double precision with what that allows."""
    coarse = [dtype for dtype in dtypes if dtype.kind in "fc" and np.finfo(dtype).eps > 1e-12]
    if error <= np.finfo(float).eps:
        return "to every digit"
    if error >= 1:
        return "to rounding: its terms cancel"
    if coarse:
        return f"to {-math.log10(error):.1f} digits, as {coarse[0]} allows"
    return f"to {-math.log10(error):.0f} digits"


def _fits(entry: Entry) -> bool:
    return entry.hand.shape == entry.node.shape and bool(np.all(np.isfinite(entry.hand)))
