"""Gradients of the parts of an array, put together."""

from __future__ import annotations

from typing import Any

import numpy as np

from .expressions import Call, Expr, scale
from .functions import call
from .helpers import put


def joined(x: Expr) -> Expr:
    """A sum of arrays, each zero but for one of the slices that an axis was cut into, as their concatenation."""
    pieces = []
    for monomial, c in x.terms.items():
        atom = next(iter(monomial))[0] if len(monomial) == 1 else None
        if not isinstance(atom, Call) or atom.function is not put or (atom, 1) not in monomial:
            return x
        found = _slice(atom.args[1], x.shape)
        if found is None or atom.shape != x.shape:
            return x
        pieces.append((*found, scale(atom.args[0], c)))
    pieces.sort(key=lambda piece: piece[1])
    axes = {axis for axis, *_ in pieces}
    ends = [0, *(stop for _, _, stop, _ in pieces)]
    if len(pieces) < 2 or len(axes) > 1 or [start for _, start, _, _ in pieces] != ends[:-1]:
        return x
    (axis,) = axes
    if ends[-1] != x.shape[axis]:
        return x
    like = np.broadcast_to(np.zeros((), x.dtype), x.shape)
    return call(np.concatenate, like, [piece[3] for piece in pieces], axis=axis)


def _slice(index: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The axis that an index cuts, and from where to where; None if it does anything else."""
    parts = index if isinstance(index, tuple) else (index,)
    if Ellipsis in [p if p is Ellipsis else None for p in parts]:
        at = next(i for i, p in enumerate(parts) if p is Ellipsis)
        parts = (*parts[:at], *[slice(None)] * (len(shape) - len(parts) + 1), *parts[at + 1 :])
    if not all(isinstance(p, slice) and p.step in (None, 1) for p in parts) or len(parts) > len(shape):
        return None
    bounds = [p.indices(n) for p, n in zip(parts, shape, strict=False)]
    cut = [(axis, start, stop) for axis, (start, stop, _) in enumerate(bounds) if (start, stop) != (0, shape[axis])]
    return cut[0] if len(cut) == 1 else None
