"""Patterns of gradients that are wrong only in some places: not finite, zero, constant, or without some samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from .case import Case, Finding, best
from .layers import after_output
from .network import Use


def not_finite(case: Case) -> Finding | None:
    """nan or inf: the first one, and the probability of 0 or 1 that it may come from."""
    bad = ~np.isfinite(case.hand)
    if not bad.any() or not np.isfinite(case.right).all():
        return None
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    value = float(case.hand[first].real)
    text = (
        f"{int(bad.sum())} of {bad.size} entries are not finite, the first at {list(first)}: {value}.{_saturated(case)}"
    )
    return Finding("not_finite", text, case.line)


def _saturated(case: Case) -> str:
    """Where a probability on the tape, in the dtype that it was computed in, is exactly 0 or 1."""
    for node in after_output(case.network):
        value = case.network.values.get(node)
        if value is None or not value.shape or not node.requires_grad or np.any(value < 0) or np.any(value > 1):
            continue
        at = np.argwhere(np.isin(value.astype(node.dtype), (0, 1)))
        if len(at):
            place = [int(i) for i in at[0]]
            return (
                f"  {case.names.of(node)} is exactly {value[tuple(at[0])]:.0f} at {place}: dividing by it, or its "
                "logarithm, is infinite.  Use the gradient at the layer before (p - y), which needs neither."
            )
    return ""


def all_zero(case: Case) -> Finding | None:
    """Nothing arrives at all."""
    if np.any(case.hand) or not np.any(case.right):
        return None
    text = (
        f"it is 0 everywhere, and the right one is not (up to {np.max(np.abs(case.right)):.3g}): nothing arrives here."
    )
    return Finding("all_zero", text, case.line)


def broadcast_back(case: Case) -> Finding | None:
    """One number, or one row, in the place of many."""
    if case.hand.shape != case.right.shape:
        return None
    return (_constant_where_right_is_not(case) if case.hand.size > 1 else None) or best(_spread_before(case))


def _spread_before(case: Case) -> Iterator[Finding | None]:
    """The gradient of a layer that this one comes through, summed or averaged along an axis and spread again."""
    for node in case.on_the_way:
        for axis, total in product(range(len(node.shape)), (np.sum, np.mean)):
            name = case.names.gradient(node) or "the gradient of a layer before"
            text = f"{name} was summed or averaged over axis {axis} and broadcast back, and this comes from it."
            spread = lambda g, axis=axis, total=total: np.ones_like(g) * total(g, axis=axis, keepdims=True)
            yield case.finding("broadcast_back", text, case.with_change(node, spread), at=node)


def _constant_where_right_is_not(case: Case) -> Finding | None:
    axes = [i for i in range(case.hand.ndim) if _constant(case.hand, i) and not _constant(case.right, i)]
    if not axes or not np.any(case.hand):
        return None
    if len(axes) == sum(n > 1 for n in case.hand.shape):
        number = float(case.hand.ravel()[0])
        text = f"every entry is {number:.4g}: one number was broadcast back to shape {case.hand.shape}."
    else:
        over = axes[0] if len(axes) == 1 else tuple(axes)
        text = f"it is constant along axis {over}, and the right one is not: a sum or mean over it was broadcast back."
    return Finding("broadcast_back", text, case.line)


def _constant(array: np.ndarray, axis: int) -> bool:
    return array.shape[axis] > 1 and bool(np.all(np.abs(np.diff(array, axis=axis)) <= 1e-9 * np.max(np.abs(array))))


# -- rows, columns, samples ---------------------------------------------------------------------------


def some_rows(case: Case) -> Finding | None:
    """Some samples or units only."""
    return _without_samples(case) or _wrong_lines(case)


def _without_samples(case: Case) -> Finding | None:
    """The sum over all samples but some at the end, at the start, or one."""
    if case.hand.shape != case.right.shape:
        return None
    return best(found for use in case.uses for found in _sums_of_some(case, use))


def _sums_of_some(case: Case, use: Use) -> Iterator[Finding | None]:
    if len(use.batch) != 1 or use.node not in case.network.reached_by(case.node):
        return
    arriving, axis = case.arriving(use.node), use.batch[0]
    m = arriving.shape[axis]
    if not 2 < m <= 300:
        return
    for samples in _choices(m):
        mask = np.zeros([m if i == axis else 1 for i in range(arriving.ndim)])
        np.moveaxis(mask, axis, 0)[list(samples)] = 1
        missing = [i for i in range(m) if i not in samples]
        text = f"only {len(samples)} of {m} samples are in it: {_listed('sample', missing)} missing."
        yield case.finding("some_rows", text, case.network.moved_back(use.node, arriving * mask, case.node))


def _choices(m: int) -> Iterator[range | list[int]]:
    """The samples that a loop with a wrong end goes over, or all but one."""
    for count in range(m - 1, 0, -1):
        yield range(count)
        yield range(m - count, m)
    for i in range(1, m - 1):
        yield [j for j in range(m) if j != i]


def _wrong_lines(case: Case) -> Finding | None:
    """Wrong entries that fill whole rows or columns, while the others are right."""
    if case.hand.shape != case.right.shape or case.hand.ndim == 0 or case.hand.size < 2:
        return None
    top = np.max(np.abs(case.right))
    for scale in case.scales:
        wrong = np.abs(case.hand / scale - case.right) > case.tolerance * top
        for axis in range(wrong.ndim):
            whole = wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis))
            if 0 < whole.sum() <= whole.size / 2:
                return Finding("some_rows", _lines(case, axis, np.flatnonzero(whole), wrong), case.line)
    return None


def _lines(case: Case, axis: int, lines: np.ndarray, wrong: np.ndarray) -> str:
    what = (
        ("row" if axis == 0 else "column") if wrong.ndim == 2 else "entry" if wrong.ndim == 1 else f"axis {axis}, index"
    )
    zero = not np.any(np.take(case.hand, lines, axis))
    return (
        f"{_listed(what, [int(i) for i in lines])} {'0' if zero else 'wrong'}, and the other "
        f"{wrong.shape[axis] - len(lines)} right: some samples or units are left out or treated otherwise."
    )


def _listed(what: str, places: list[int]) -> str:
    """ "rows 3, 5 and 6 are", of a few of them."""
    if len(places) == 1:
        return f"{what} {places[0]} is"
    plural = "entries" if what == "entry" else f"{what}s"
    shown = ", ".join(map(str, places[:6])) + (" ..." if len(places) > 6 else "")
    return f"{plural} {shown} are"
