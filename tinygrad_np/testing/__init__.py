"""Comparing gradients: numeric ones, checks of derivatives, and what is wrong with a hand-written one.

`strategies` (for hypothesis) and `check_module` (for models) are loaded on use.
"""

from __future__ import annotations

import importlib
from typing import Any

from .compare import GradientMismatch, assert_grads_match, compare_grads
from .gradcheck import GradientCheck, GradientCheckError, check_grad
from .numeric import NumericGradient, numeric_grad
from .tolerance import Tolerance, digits, scaled_error, tolerance

__all__ = [
    # hand-written gradients
    "compare_grads", "assert_grads_match", "GradientMismatch",
    # derivatives of any function
    "check_grad", "check_module", "GradientCheck", "GradientCheckError", "numeric_grad", "NumericGradient",
    # how close is close
    "tolerance", "Tolerance", "scaled_error", "digits",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Only who uses them needs hypothesis, or layers.
    if name == "strategies":
        return importlib.import_module(".strategies", __name__)
    if name == "check_module":
        return importlib.import_module(".modules", __name__).check_module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
