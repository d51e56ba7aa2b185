"""Comparing hand-written gradients with autograd's, and saying why one is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..engine.tape import recording
from ..engine.tensor import Tensor
from ..errors import AutogradError, ShapeError
from .diagnosis import arguments, rerun
from .diagnosis.case import Finding
from .diagnosis.judge import Judge, Judgement
from .diagnosis.loss_value import changed_data, other_value, same_loss
from .diagnosis.names import Names, hand_written, names_of
from .diagnosis.network import Network
from .diagnosis.votes import Vote, poll
from .report import Comparison, Row


class GradientMismatch(AssertionError):
    """Hand-written gradients that differ from autograd's; `report` is the Comparison."""

    def __init__(self, report: Comparison) -> None:
        super().__init__(f"\n{report}")
        self.report = report


def assert_grads_match(hand: Any, tensors: Any = None, loss: Any = None, **options: Any) -> None:
    """Raise GradientMismatch, with the report, unless all hand-written gradients are right; see `compare_grads`.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.testing import assert_grads_match
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> assert_grads_match({"dw": 2 * w.data}, loss=np.sum(w**2))
    """
    report = compare_grads(hand, tensors, loss, **options)
    if not report.ok:
        raise GradientMismatch(report)


def compare_grads(
    hand: Mapping[str, Any] | Callable[..., Any],
    tensors: Any = None,
    loss: Any = None,
    *,
    numeric: bool = True,
    shapes: Mapping[str, str] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
) -> Comparison:
    """Compare hand-written gradients with autograd's, and with numeric ones, and say why one is wrong.

    `hand` has the gradients by name: "dW1" (or "W1") is that of the tensor W1, "dZ1" of an intermediate Z1, and
    "loss" the value of your own loss.  `tensors` are the tensors by name, `locals()` for instance, or a Module;
    without, the names on the tape are taken.  `loss` is the recorded loss, before or after backward().
    Any shape and dtype; nothing is changed, neither tape nor `.grad` nor arrays.

    With functions it can try other sizes, which tells causes apart that look alike: `hand(**arrays)` gives the
    gradients, `loss(**tensors)` the loss (or the loss and a dict of intermediates), and `tensors` are the arrays.
    `shapes={"X": "nm", "W": "hn"}` says which sizes go together; equal ones do without.

    `numeric=False` leaves out the numeric check of autograd; `rtol` and `atol` replace the tolerance of the dtype.
    Raises AutogradError for names that are not there, for nothing to compare and for a loss that was not
    recorded; DtypeError for gradients that are no numbers and arguments of other types.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.testing import compare_grads
    >>> X, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 0.0, 2.0])
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> report = compare_grads({"dw": X.T @ (X @ w.data - y)}, loss=np.mean((X @ w - y) ** 2) / 2)
    >>> report.first_wrong, report.findings["dw"][0].mistake
    ('dw', 'batch_factor')
    """
    if hasattr(tensors, "named_parameters"):  # a Module, whose package need not be loaded for that
        tensors = dict(tensors.named_parameters())
    arguments.check(hand, tensors, loss, shapes, seed, rtol, atol)
    token = recording.set(True)
    try:
        with np.errstate(all="ignore"):
            if callable(hand):
                return compare_functions(hand, tensors, loss, shapes or {}, numeric, seed, rtol, atol)
            return compare_arrays(hand, tensors, loss, numeric, seed, rtol, atol)
    finally:
        recording.reset(token)


def compare_arrays(
    hand: Mapping[str, Any], tensors: Mapping[str, Any] | None, loss: Any, numeric: bool, seed: int,
    rtol: float | None, atol: float | None,
) -> Comparison:  # fmt: skip
    """Compare gradients that are there already."""
    hands = hand_written(hand)
    if not hands:
        raise AutogradError(
            "there is nothing to compare: `hand` holds no gradient, and a check that checks nothing must fail.  Give "
            'a dict such as {"dW1": dW1, "db1": db1}.'
        )
    network = _network(_recorded(loss))
    names = Names(network, tensors)
    judge = Judge(network, names, hands, dict(tensors or {}), rtol, atol)
    stop = _loss_first(hand, network, names)
    if stop is not None:
        return stop
    votes = poll(network, [entry.node for entry in judge.entries], seed) if numeric else {}
    return _report(judge, judge.judgements(), votes, seed, "loss" in hand)


def _network(loss: Tensor) -> Network:
    """The network as it was recorded, also where an optimizer has given tensors other arrays since."""
    network = Network(loss)
    recorded, again = float(loss.item()), float(network.values[network.root].item())
    if not same_loss(again, recorded, network):
        held = {node: node.value for node in network.nodes if node.is_leaf and isinstance(node.value, np.ndarray)}
        before = Network(loss, held)
        if same_loss(float(before.values[before.root].item()), recorded, before):
            return before
    return network


def _recorded(loss: Any) -> Tensor:
    """The loss, if it is a tensor that was recorded."""
    if not isinstance(loss, Tensor) or loss.node is None or not loss.requires_grad:
        what = loss.describe() if isinstance(loss, Tensor) else f"of type {type(loss).__name__}"
        raise AutogradError(
            f"the loss is {what}, and has no tape behind it.  Give the Tensor that was computed from parameters with "
            "requires_grad=True, outside no_grad(), and not float(loss) or loss.item()."
        )
    if loss.size != 1:
        raise ShapeError(f"a loss is one number, and this one has shape {loss.shape}.  Sum or average it first.")
    return loss


def _loss_first(hand: Mapping[str, Any], network: Network, names: Names) -> Comparison | None:
    """A report of the losses only, if they differ: gradients of different losses differ for that reason."""
    recorded = float(network.loss.item())
    if not np.isfinite(recorded):
        text = (
            f"the recorded loss is {recorded}, and no gradient of that can be checked: the logarithm of 0 or of a "
            "negative number, 0 / 0 or an overflow.  Find where with tg.debug(), which names the op, and mend the loss."
        )
        note = "The gradients are not compared: there is nothing to compare them with."
        return Comparison(
            [Row("loss", "WRONG", text)], {"loss": [Finding("not_finite", text)]}, f"loss {recorded}", notes=[note]
        )
    changed = changed_data(network, names)
    if changed:
        return _stopped(changed, f"loss {recorded:.5g}")
    if "loss" not in hand:
        return None
    yours = hand_written({"your loss": hand["loss"]})["your loss"]
    if yours.size == 1 and same_loss(float(yours.ravel()[0]), recorded, network):
        return None
    if yours.size != 1:
        text = f"your loss has shape {yours.shape}, and a loss is one number: it is not summed or averaged."
        return _stopped(Finding("not_reduced", text), f"loss {recorded:.5g}")
    value = float(yours.ravel()[0])
    return _stopped(other_value(value, network), f"loss {recorded:.5g}, yours {value:.5g}")


def _stopped(finding: Finding, loss: str) -> Comparison:
    note = "The gradients are not compared: those of different losses differ for that reason alone."
    return Comparison([Row("loss", "WRONG", finding.text)], {"loss": [finding]}, loss, notes=[note])


FACTORS = {"batch_factor", "entry_mean", "factor_two", "full_data_factor", "sign", "accumulated"}
"""Mistakes that are a constant factor, which their text gives."""

# -- the report --------------------------------------------------------------------------------------


def _report(
    judge: Judge, judgements: list[Judgement], votes: Mapping[Any, Vote], seed: int, own_loss: bool
) -> Comparison:
    said: dict[tuple[str, str], str] = {}
    rows, findings = [], {}
    for judgement, entry in zip(judgements, judge.entries, strict=True):
        vote = votes.get(entry.node)
        outvoted = vote is not None and judgement.status != "ok" and vote.sides_with(entry.hand)
        if outvoted:
            rows.append(Row(entry.name, "WRONG", vote.accusation(entry.name)))  # type: ignore[union-attr]
        else:
            rows.append(_row(judgement, said, judge.network.sizes_coincide))
        if judgement.findings:
            findings[judgement.name] = list(judgement.findings)
    value = float(judge.network.loss.item())
    loss = f"loss {value:.5g}, same as yours" if own_loss else f"loss {value:.5g}"
    return Comparison(rows, findings, loss, *_numeric(judge, votes, seed))


def _row(judgement: Judgement, said: dict[tuple[str, str], str], alike: bool = False) -> Row:
    """A row of the report; what was said of a gradient above is not said again.

    `alike` says that sizes coincide, so that others may tell two explanations apart.
    """
    if not judgement.findings:
        return Row(judgement.name, judgement.status, judgement.text)
    first = judgement.findings[0]
    # Of a constant factor, only the same one is the same mistake.
    key = (first.mistake, first.text if first.mistake in FACTORS else first.factor)
    if key in said and first.mistake != "unknown":
        return Row(
            judgement.name, "WRONG", f"the same as {said[key]}: {first.mistake.replace('_', ' ')}", first.correction
        )
    said[key] = judgement.name
    text = first.text
    if len(judgement.findings) > 1:
        more = "; with sizes that all differ (7 samples, 5 units, 3 classes) they can" if alike else ""
        text += f"  Or: {judgement.findings[1].text}  These cannot be told apart here{more}."
    return Row(judgement.name, "WRONG", text, first.correction)


def _numeric(judge: Judge, votes: Mapping[Any, Vote], seed: int) -> tuple[str, list[str]]:
    """What the numeric check of autograd says, and where it disagrees."""
    if not votes:
        return "", []
    doubts = [vote.doubt(judge.names.keys[node]) for node, vote in votes.items() if not vote.agrees]
    entries = sum(vote.entries for vote in votes.values())
    error = max((vote.error for vote in votes.values() if vote.agrees), default=0.0)
    looked = f"{len(votes)} random directions and {entries} entries, seed {seed}"
    # Of a gradient that is nothing but rounding, no digit is the same.
    how = f"agrees to {error:.0e}" if error < 0.1 else "agrees, both are nothing but rounding"
    text = f"numeric check of autograd: {how} ({looked})"
    return ("" if len(doubts) == len(votes) else text), doubts


# -- functions ---------------------------------------------------------------------------------------


def compare_functions(
    hand: Callable[..., Any], arrays: Mapping[str, Any] | None, loss: Any, shapes: Mapping[str, str],
    numeric: bool, seed: int, rtol: float | None, atol: float | None,
) -> Comparison:  # fmt: skip
    """Compare functions: call each twice, and where something is wrong again with sizes that all differ."""
    if not arrays:
        raise AutogradError("`hand` is a function: give the arrays that it takes as `tensors`, a dict by name.")
    plain = {name: value.data if isinstance(value, Tensor) else value for name, value in arrays.items()}
    arguments.check_call(hand, "hand", plain)
    if callable(loss):
        arguments.check_call(loss, "loss", plain)
    first, second = rerun.call(hand, plain), rerun.call(hand, plain)
    recorded, again = (rerun.record(loss, plain, first.gradients) for _ in range(2))
    report = compare_arrays(first.gradients, recorded.tensors, recorded.loss, numeric, seed, rtol, atol)
    report.notes += _unsteady(_recorded(recorded.loss), _recorded(again.loss), first)
    if not report.ok:
        report = _told_apart(report, _at_other_sizes(hand, plain, loss, shapes, seed, rtol, atol))
    return _with_side_effects(report, first, rerun.grown(first, second))


def _unsteady(loss: Tensor, again: Tensor, first: rerun.Called) -> list[str]:
    """What was noticed of randomness and of writing into arguments."""
    notes = []
    if loss.item() != again.item() and not np.isnan(loss.item()):
        notes.append(
            f"The loss function gave {loss.item():.6g} and then {again.item():.6g} for the same arrays: it draws "
            "random numbers.  Draw them outside, and pass them in."
        )
    if first.changed:
        notes.append(
            f"The hand-written function writes into {names_of(first.changed)}: it was given copies here, but whoever "
            "calls it loses his numbers.  Work on a copy inside."
        )
    return notes


def _at_other_sizes(
    hand: Callable[..., Any], arrays: Mapping[str, Any], loss: Callable[..., Any], shapes: Mapping[str, str],
    seed: int, rtol: float | None, atol: float | None,
) -> Comparison | None:  # fmt: skip
    """The comparison with sizes that are primes, all different; None where the functions do not take others."""
    random = np.random.default_rng(seed)

    def runs(some: Mapping[str, Any]) -> bool:
        try:
            return np.size(rerun.record(loss, some, rerun.call(hand, some).gradients).loss) == 1
        # The user's own functions, at sizes that they may not be made for: anything may be raised.
        except Exception:
            return False

    other = rerun.at_prime_sizes(arrays, shapes or rerun.linked(arrays, runs, random), random)
    if other is None:
        return None
    try:
        called = rerun.call(hand, other)
        recorded = rerun.record(loss, other, called.gradients)
        return compare_arrays(called.gradients, recorded.tensors, recorded.loss, False, seed, rtol, atol)
    except Exception:
        return None  # for the same reason


def _told_apart(report: Comparison, other: Comparison | None) -> Comparison:
    """The report with those explanations that hold at other sizes too."""
    if other is None:
        return report
    said: dict[tuple[str, str], str] = {}
    for i, row in enumerate(report.rows):
        here = report.findings.get(row.name, [])
        found = [f for f in other.findings.get(row.name, []) if f.mistake != "unknown"]
        there = [f._replace(correction=here[0].correction) for f in found if here]
        if not here or (not there and len(here) < 2):
            continue
        both = [f for f in here if f.mistake in {g.mistake for g in there}]
        report.findings[row.name] = both or there or here
        report.rows[i] = _row(Judgement(row.name, row.status, row.text, report.findings[row.name]), said)
    return report


def _with_side_effects(report: Comparison, called: rerun.Called, grown: Mapping[str, float | None]) -> Comparison:
    """The report with what calling twice has shown."""
    for i, row in enumerate(report.rows):
        found = report.findings.get(row.name, [])
        if row.name in grown:
            finding = _second_call(grown[row.name])
            report.findings[row.name] = [finding, *found][:2]
            report.rows[i] = Row(row.name, "WRONG", finding.text)
        elif called.changed and row.status == "WRONG":
            text = f"the function writes into {names_of(called.changed)} before this is computed from it."
            finding = Finding("changed_in_place", text, row.correction)
            known = [f for f in found if f.mistake != "unknown"]
            report.findings[row.name] = [*known, finding][:2]
            if not known:
                report.rows[i] = Row(row.name, "WRONG", text, row.correction)
    return report


def _second_call(times: float | None) -> Finding:
    if times is None:
        text = (
            "a second call with the same arrays gives other numbers: the function draws random numbers, or remembers."
        )
        return Finding("unknown", text)
    text = (
        f"a second call with the same arrays gives {times:g} times the first: gradients are added to what the call "
        "before left.  Start from zeros in each call."
    )
    return Finding("accumulated", text)
