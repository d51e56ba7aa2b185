"""The backward pass of a tape, written out as a person would: NumPy source, formulas, and the rules they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..engine.watch import user_frame
from ..errors import AutogradError, BackwardError
from .derivation import DeriveError, Reading
from .lines import Line, Lines
from .source import Derivation

__all__ = ["Derivation", "DeriveError", "Line", "derive"]


def derive(loss: Tensor, names: Mapping[str, Any] | None = None) -> Derivation:
    """The backpropagation of `loss`, written out as NumPy: `print` it, run it, or take its LaTeX.

    Arrays are called as their tensors are named, else as in `names`, a dict from names to tensors and arrays; left
    away, those are the variables of the caller.  `loss` is one number that was recorded, before or after backward().
    Raises DeriveError for what is no formula, such as a function under checkpoint.

    >>> import numpy as np, tinygrad_np as tg
    >>> X, Y = np.ones((5, 3)), np.zeros((5, 2))
    >>> W = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    >>> Z = X @ W
    >>> loss = ((Z - Y) ** 2).sum() / 5
    >>> for line in tg.derive(loss).backward_lines:
    ...     print(line.name, "=", line.text)
    dZ = 2 * (Z - Y) / m
    dW = X.T @ dZ
    """
    if not isinstance(loss, Tensor):
        raise AutogradError(f"derive() reads what a Tensor came from, and got {type(loss).__name__}.")
    if loss.node is None or not loss.requires_grad:
        raise BackwardError(
            f"{loss.describe()} does not depend on anything that requires grad, so there is nothing to derive.  Make "
            "the parameters with Tensor(..., requires_grad=True), and compute outside no_grad()."
        )
    if loss.is_leaf:
        raise BackwardError(
            f"{loss.describe()} was not computed from anything: its gradient is 1, and there is no more to say."
        )
    if loss.size != 1:
        raise BackwardError(
            f"derive() writes out the gradient of one number, and {loss.describe()} has {loss.size:,} entries.  Sum "
            "it, or take its mean, first."
        )
    if names is None:
        frame, _ = user_frame()
        names = dict(frame.f_locals)
    reading = Reading(loss, names)
    derivation = Derivation(Lines(reading))
    _check(derivation, reading)
    return derivation


def _check(derivation: Derivation, reading: Reading) -> None:
    """Run what was derived, and compare: a wrong formula is worse than none."""
    with np.errstate(all="ignore"):
        _, found = derivation.run()
    right = reading.replay.gradients()
    wanted = {v.name: right[node] for v, node in reading.inputs.items() if v.name in found}
    scale = max(np.abs(g[np.isfinite(g)]).max(initial=0) for g in wanted.values()) or 1.0
    for name, g in wanted.items():
        apart = np.abs(found[name] - g)[np.isfinite(g)].max(initial=0)
        if not apart <= 1e5 * np.finfo(g.dtype).eps * scale:
            raise DeriveError(
                f"the derivation of d{name} gives other numbers than backward(), up to {apart:.3g} apart, so it is not "
                "shown.  Please report this; loss.backward() is not affected."
            )
