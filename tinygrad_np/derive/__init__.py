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
    away, those are the variables of the caller, and then those of its module.  `loss` is one number that was
    recorded, before or after backward(); the numbers are those that its tensors hold now.
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
        raise AutogradError(
            f"derive() reads what a Tensor came from, and got {type(loss).__name__}.  Give it the loss itself."
        )
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
        names = {**frame.f_locals, **{name: x for name, x in frame.f_globals.items() if name not in frame.f_locals}}
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names):
        raise AutogradError(
            f"derive() takes names as a dict from names to tensors and arrays, not {type(names).__name__}.  Write "
            "derive(loss, locals()), or leave it away for the variables of the caller."
        )
    try:
        reading = Reading(loss, names)
        derivation = Derivation(Lines(reading))
    except AutogradError:
        raise
    except Exception as error:
        raise DeriveError(
            f"this tape cannot be written out ({type(error).__name__}: {error}).  Please report this; loss.backward() "
            "is not affected."
        ) from error
    _check(derivation, reading)
    return derivation


def _check(derivation: Derivation, reading: Reading) -> None:
    """Run what was derived, and compare: a wrong formula is worse than none."""
    try:
        with np.errstate(all="ignore"):
            loss, found = derivation.run()
    except Exception as error:
        raise DeriveError(
            f"the derivation does not run ({type(error).__name__}: {error}), so it is not shown.  Please report this; "
            "loss.backward() is not affected."
        ) from error
    right = reading.replay.gradients()
    pairs = [(f"d{v.name}", found[v.name], right[node]) for v, node in reading.parameters.items()]
    pairs.append((reading.names.of(reading.root), np.asarray(loss, reading.root.dtype), reading.replay.result.data))
    largest = max(_largest(number) for _, _, number in pairs)
    rounding = max(
        float(np.finfo(tensor.dtype).eps) for tensor in reading.replay.tensors.values() if tensor.requires_grad
    )
    for name, text, number in pairs:
        apart = _distance(np.asarray(text), number, largest, rounding)
        if apart:
            raise DeriveError(
                f"the derivation of {name} gives {apart}, so it is not shown.  Please report this; loss.backward() is "
                "not affected."
            )


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def _distance(found: np.ndarray, right: np.ndarray, largest: float, rounding: float) -> str:
    """How two arrays differ that should be equal to rounding; empty if they do not."""
    if (found.shape, found.dtype) != (right.shape, right.dtype):
        return f"shape {found.shape}, {found.dtype}, instead of {right.shape}, {right.dtype}"
    # What cancels to nothing leaves the rounding of what was `largest` on the way.
    tolerance = min(1e5 * rounding, 0.01) * max(_largest(right), 1e-3 * largest)
    apart = np.abs(found - right)[np.isfinite(right)].max(initial=0)
    return "" if apart <= tolerance else f"other numbers than backward(), up to {apart:.3g} apart"
