"""Patterns of gradients that have another shape than what they are the gradient of, and of sums over a wrong axis."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from .case import Case, Finding, best
from .network import Use


def instead(case: Case) -> str:
    """The two shapes."""
    return f"shape {case.hand.shape} instead of {case.right.shape}"


def broadcast_to_square(case: Case) -> Finding | None:
    """(m, 1) minus (m,): every sample compared with every other, instead of with its own label."""
    m = case.network.samples
    if not m or m < 2 or case.network.outputs != 1 or case.hand.shape == case.right.shape:
        return None
    if any(case.hand.shape == use.node.shape for use in case.uses):
        return None
    small = case.right.shape if case.right.ndim == 2 else (*case.right.shape, 1)
    grown = [h for h, r in zip(case.hand.shape, small, strict=False) if h != r]
    if case.hand.ndim != 2 or grown != [m] or case.hand.size < case.right.size * m:
        return None
    text = (
        f"{instead(case)}: (m, 1) and (m,) were broadcast to (m, m) with m = {m}, so every prediction is compared "
        "with every label.  Give the labels the shape of the predictions: y.reshape(-1, 1)."
    )
    return Finding("broadcast_to_square", text, case.line)


def summed_over_everything(case: Case) -> Finding | None:
    """np.sum without axis=: one number."""
    if case.hand.size != 1 or case.right.size == 1:
        return None
    total, number = float(case.right.sum()), float(case.hand.ravel()[0])
    arriving = case.names.gradient(case.uses[0].node) if case.uses else None
    text = f"{instead(case)}.  np.sum({arriving or '...'}) without axis= added up everything."
    factor = None
    if negligible(case.right.sum(), case.right, case.tolerance):
        text += f"  {_why_zero(case)}"
    elif total:
        factor = case.factor(number / total)
    more = f"  Besides, it is {factor.words}." if factor and factor.words else ""
    return Finding("summed_over_everything", text + more, case.line)


def _why_zero(case: Case) -> str:
    sums = (
        "Softmax sums to 1 for every sample, and so do the labels" if case.network.outputs > 1 else "The terms cancel"
    )
    return f"{sums}, so this is always 0: {case.of} never moves."


def keepdims(case: Case) -> Finding | None:
    """The right numbers in an array with more or fewer axes of length 1."""
    if case.hand.shape == case.right.shape or case.hand.size != case.right.size:
        return None
    if [n for n in case.hand.shape if n != 1] != [n for n in case.right.shape if n != 1]:
        return None
    missing = "keepdims=True is missing" if case.hand.ndim < case.right.ndim else "an axis of length 1 is left"
    text = f"the right numbers in {instead(case)}: {missing}, and {case.of} minus it broadcasts to another shape."
    return case.reshaped(case.hand.reshape(case.right.shape)).finding("keepdims", text, case.right)


def transposed_shape(case: Case) -> Finding | None:
    """The transpose, which its shape shows."""
    if case.hand.ndim != 2 or case.hand.shape == case.right.shape or case.hand.shape != case.right.shape[::-1]:
        return None
    text = f"{instead(case)}: it is the transpose of the right one."
    return case.reshaped(case.hand.T).finding("transposed", text, case.right)


def wrong_axis(case: Case) -> Finding | None:
    """Summed over another axis than that of the samples."""
    return best(_other_axes(case))


def _other_axes(case: Case) -> Iterator[Finding | None]:
    for use in case.uses:
        if use.kind != "sum" or use.node is case.node:
            continue
        arriving = case.arriving(use.node)
        for axes in _subsets(arriving.ndim):
            if set(axes) == set(use.batch) or len(axes) == arriving.ndim:
                continue
            if arriving.sum(axis=axes).size == case.hand.size:
                yield _summed(case, use, axes, arriving)


def _summed(case: Case, use: Use, axes: tuple[int, ...], arriving: np.ndarray) -> Finding | None:
    name = case.names.gradient(use.node) or "the gradient"
    over = axes[0] if len(axes) == 1 else axes
    right = use.batch[0] if len(use.batch) == 1 else use.batch
    text = f"{name} is summed over axis {over}; the samples are on axis {right}, so that is the one to sum over."
    if case.hand.shape != case.right.shape:
        text = f"{instead(case)}: {text}"
    other = arriving.sum(axis=axes).reshape(case.hand.shape)
    # Of softmax with cross-entropy, the sums over the classes are 0.
    if negligible(other, arriving, case.tolerance):
        cancelled = negligible(case.hand, arriving, case.tolerance)
        return Finding("wrong_axis", f"{text}  That sum is 0 for every sample.", case.line) if cancelled else None
    mean = arriving.mean(axis=axes).reshape(case.hand.shape)
    return best(case.finding("wrong_axis", text, candidate) for candidate in (other, mean))


def negligible(total: np.ndarray, terms: np.ndarray, tolerance: float) -> bool:
    """Whether sums are nothing but what rounding leaves of their terms."""
    return bool(np.max(np.abs(total), initial=0.0) <= 1e-3 * tolerance * np.sum(np.abs(terms)))


def _subsets(n: int) -> list[tuple[int, ...]]:
    return [axes for count in range(1, n + 1) for axes in combinations(range(n), count)]


def not_reduced(case: Case) -> Finding | None:
    """One gradient for each sample, not summed yet."""
    if case.hand.size <= case.right.size:
        return None
    return best(_reductions(case))


def _reductions(case: Case) -> Iterator[Finding | None]:
    for axes in _subsets(case.hand.ndim):
        summed = case.hand.sum(axis=axes)
        if summed.size == case.right.size:
            over = axes[0] if len(axes) == 1 else axes
            text = f"{instead(case)}: it is not summed over the samples yet (axis {over})."
            yield case.reshaped(summed.reshape(case.right.shape)).finding("not_reduced", text, case.right)
