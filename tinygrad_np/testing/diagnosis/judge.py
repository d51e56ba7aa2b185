"""The procedure: from the loss backwards, which gradient is wrong, which only follows from a wrong one, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ...engine.tape import Node
from ..tolerance import scaled_error, tolerance
from . import diagnose
from .case import Case, Finding, equal
from .formulas import Lines
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
        self.fine: Gradients = {}
        self.noise: dict[float, dict[Node, float]] = {}
        self.scale = self._usual_scale()
        self.lines = Lines(network, names, self.activations, self._once_right())

    def _from_the_loss_back(self, entry: Entry) -> tuple[int, bool]:
        return -self.network.place(entry.node), entry.node.is_leaf

    def _usual_scale(self) -> float:
        """How many times autograd's the intermediates are: m, if that is what one of them is."""
        m = float(self.network.samples or 1)
        inner = [entry for entry in self.entries if not entry.node.is_leaf and entry.hand.shape == entry.node.shape]
        for entry, scale in product(inner, (1.0, m)):
            if _fits(entry) and self._near(entry, scale * self.network.gradients[entry.node]):
                return scale
        return self._linked_scale(m) or self._likely_scale(inner, m)

    def _linked_scale(self, m: float) -> float | None:
        """Where no intermediate is right: the scale by which parameters are made of them."""
        inner = {node: hand for node, hand in self.hands.items() if not node.is_leaf}
        leaves = [node for node in self.hands if node.is_leaf and self.network.reached_by(node) & inner.keys()]
        for scale in (m, 1.0):
            given = {node: hand / scale for node, hand in inner.items()}
            for node in leaves:
                hand = self.hands[node]
                if np.any(hand) and equal(hand, self.network.backward(node, given, {}), 1e-4):
                    return scale
        return None

    def _likely_scale(self, inner: Sequence[Entry], m: float) -> float:
        """The scale that brings the lengths together, of what is finite."""
        for entry in inner:
            finite = np.isfinite(entry.hand)
            hand, right = entry.hand[finite], self.network.gradients[entry.node][finite]
            if np.any(right) and np.any(hand):
                ratio = math.log(np.linalg.norm(hand) / np.linalg.norm(right))
                return m if abs(ratio - math.log(m)) < abs(ratio) else 1.0
        return 1.0

    def _once_right(self) -> Gradients:
        """The user's gradients, those that he has not handed in too, as they are once nothing is wrong."""
        found: Gradients = {}
        for entry in self.entries:
            right = self.network.gradients[entry.node]
            correct = np.all(np.isfinite(right)) and self._scale_of(entry, right) is not None
            # "Z1" for the gradient of Z1: in a line it would be the tensor.
            if entry.name not in self.names.nodes:
                found[entry.node] = entry.hand if correct else right * (1.0 if entry.node.is_leaf else self.scale)
        for name, node in self.names.nodes.items():
            array = self.names.arrays.get(f"d{name}")
            known = self.names.by_node[node] == name and node not in self.names.keys
            if known and array is not None and array.shape == node.shape:
                entry = Entry(f"d{name}", node, array)
                if _fits(entry) and self._scale_of(entry, self.network.gradients[node]) is not None:
                    found[node] = array
        return found

    # -- one gradient after the other ---------------------------------------------------------------

    def judgements(self) -> list[Judgement]:
        """What is said of each gradient, from the loss backwards."""
        found = [self._judge(entry) for entry in self.entries]
        if any(finding.mistake == "broadcast_to_square" for judgement in found for finding in judgement.findings):
            return [self._of_square(*pair) for pair in zip(found, self.entries, strict=True)]
        return found

    def _of_square(self, judgement: Judgement, entry: Entry) -> Judgement:
        """Where the residual is (m, m), the sum over all of it is m times too large for that reason."""
        m, right = self.network.samples or 1, self.network.gradients[entry.node]
        of_bias = any(use.kind == "sum" for use in self.network.uses(entry.node))
        if judgement.status != "WRONG" or not of_bias or not np.allclose(entry.hand.sum(), m * right.sum()):
            return judgement
        text = (
            f"it is summed over all {m} * {m} pairs of a prediction and a label, as (m, 1) and (m,) were broadcast: "
            "give the labels the shape of the predictions, y.reshape(-1, 1)."
        )
        return Judgement(entry.name, "WRONG", "", [Finding("broadcast_to_square", text)])

    def _judge(self, entry: Entry) -> Judgement:
        right = self.network.gradients[entry.node]
        if not np.all(np.isfinite(right)):
            return self._without_truth(entry, right)
        scale = self._scale_of(entry, right)
        if scale is not None:
            self._remember(entry, scale)
            self.fine[entry.node] = entry.hand / scale
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
        error = np.max(np.abs(entry.hand - right), initial=0.0)
        if allowed < error <= atol * max(self._scales(entry.node)):
            # A whole gradient may be so small.  Only where it is nothing but rounding is this no mistake.
            allowed += 100 * self._noise(entry)
        return bool(error <= allowed)

    def _noise(self, entry: Entry) -> float:
        """How much a gradient changes with the last digit of the numbers that it is computed from."""
        eps = _eps(entry)
        if eps not in self.noise:
            random, network = np.random.default_rng(0), self.network
            leaves = [node for node in network.nodes if node.is_leaf and network.values[node].dtype.kind in "fc"]
            moved = {
                n: network.values[n] * (1 + eps * random.choice([-1, 1], np.shape(network.values[n]))) for n in leaves
            }
            found = network.replayed(moved).gradients()
            self.noise[eps] = {
                n: float(np.max(np.abs(g - network.gradients[n]), initial=0.0)) for n, g in found.items()
            }
        return max(self._scales(entry.node)) * self.noise[eps].get(entry.node, 0.0)

    def _rounding(self, entry: Entry, top: float) -> float:
        """What the dtype of the tape costs autograd itself, with a margin; for a gradient as large as `top`."""
        exact = self.network.gradients[entry.node]
        lost = np.max(np.nan_to_num(np.abs(self.network.native[entry.node] - exact)), initial=0.0)
        return float(10 * lost * top / (np.max(np.abs(exact), initial=0.0) or 1))

    def _floor(self, entry: Entry) -> float:
        """What rounding makes of terms that cancel: a sum that is 0 comes out as some eps of its terms."""
        return float(100 * _eps(entry) * self.network.size_of_terms(entry.node) * max(self._scales(entry.node)))

    def _remember(self, entry: Entry, scale: float) -> None:
        if not entry.node.is_leaf and _fits(entry) and np.all(np.isfinite(entry.hand)):
            self.given[entry.node] = entry.hand / scale

    def _from_own(self, entry: Entry) -> np.ndarray:
        """What autograd makes of the user's own gradients further up."""
        return self.network.backward(entry.node, self.given, {}) if self.wrong else self.network.gradients[entry.node]

    def _follows(self, entry: Entry, expected: np.ndarray) -> bool:
        tolerance = 10 * self._tolerance(entry)
        # 1/m comes with all parameters or with none: to leave it out at one is a mistake of its own.
        divisor = self.scale if entry.node.is_leaf else 1.0
        for own in follow(entry.node, self.network, self.activations, self.all_hands):
            if equal(entry.hand, own / divisor, tolerance):
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
            again = diagnose(self._case(entry, self.network.gradients[entry.node], self.fine))
            return again if again[0].mistake != "unknown" else findings
        return findings

    def _case(self, entry: Entry, right: np.ndarray, given: Gradients) -> Case:
        mine = {node: g for node, g in given.items() if node is not entry.node}
        return Case(
            entry.name, entry.node, entry.hand, right, self.network, self.names, self.activations,
            self._tolerance(entry), self.lines, mine, self.fine, self._scales(entry.node), self.data, self.hands,
            self.scale,
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


def _eps(entry: Entry) -> float:
    dtypes = (entry.hand.dtype, entry.node.dtype, np.float64)
    return float(max(np.finfo(dtype).eps for dtype in dtypes if np.dtype(dtype).kind in "fc"))
