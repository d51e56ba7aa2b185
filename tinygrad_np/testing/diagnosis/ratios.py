"""Patterns of gradients that are right up to a constant factor."""

from __future__ import annotations

from .case import Case, Finding, proportion


def _factor(case: Case, mistake: str) -> Finding | None:
    if case.hand.shape != case.right.shape:
        return None
    c = proportion(case.hand, case.right, case.tolerance)
    if c is None:
        return None
    for factor in case.factors(c):
        if factor.mistake == mistake:
            return Finding(mistake, f"it is {factor.words}.", case.line)
    return None


def batch_factor(case: Case) -> Finding | None:
    """1/m missing, or applied twice."""
    return _factor(case, "batch_factor")


def entry_mean(case: Case) -> Finding | None:
    """A mean over all entries against a mean over the samples."""
    return _factor(case, "entry_mean")


def factor_two(case: Case) -> Finding | None:
    """The 2 of a square, extra or missing."""
    return _factor(case, "factor_two")


def full_data_factor(case: Case) -> Finding | None:
    """Divided by the number of samples of the whole data, inside a batch."""
    return _factor(case, "full_data_factor")


def sign(case: Case) -> Finding | None:
    """The wrong sign, alone or with another factor."""
    return _factor(case, "sign")


def accumulated(case: Case) -> Finding | None:
    """A gradient that was added to without being cleared: it is 2, 3, 4 times the right one."""
    if case.hand.shape != case.right.shape or not case.node.is_leaf:
        return None
    c = proportion(case.hand, case.right, case.tolerance)
    times = next((n for n in (2, 3, 4) if c and abs(c - n) < n * case.tolerance), None)
    if times is None:
        return None
    text = f"it is {times} times the right one: {times} backward passes added up, with no clearing to zero between."
    return Finding("accumulated", text, case.line)
