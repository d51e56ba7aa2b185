"""tinygrad_np: reverse-mode automatic differentiation for people who think in NumPy.

Write NumPy on `Tensor`s; `loss.backward()` or `grad(f)` gives the gradients; `draw(loss)` the picture.
"""

import importlib
from typing import Any

from . import errors, testing
from .derive import derive
from .engine.debug import debug
from .engine.inspection import inspect
from .engine.profile import profile
from .engine.scopes import scope
from .engine.tape import Node, Tape, no_grad
from .engine.tensor import Tensor, tape
from .graph import draw
from .ops.creation import array, c_, full, put_along_axis, r_
from .ops.index import index_add, index_update
from .ops.kinks import relu
from .ops.losses import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, mse
from .ops.mapping import vectorize
from .ops.nn import linear, log_softmax, logsumexp, sigmoid, softmax, softplus
from .transforms import (
    checkpoint,
    custom_gradient,
    elementwise_grad,
    ggnvp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)

__version__ = "0.1.0"

__all__ = [
    # tensors and the tape
    "Tensor", "Tape", "Node", "tape", "no_grad", "debug", "profile", "inspect", "scope",
    # functions of functions
    "grad", "value_and_grad", "elementwise_grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "ggnvp", "vmap",
    "checkpoint", "custom_gradient", "stop_gradient",
    # what NumPy lacks; everything else is called by NumPy's name
    "relu", "sigmoid", "softplus", "softmax", "log_softmax", "logsumexp", "linear",
    "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse",
    # where NumPy's own way in asks a tensor for bare numbers
    "array", "full", "r_", "c_", "vectorize", "index_update", "index_add", "put_along_axis",
    # writing models
    "nn", "optim", "data", "training", "fit", "save", "load",
    # pictures, derivations, tests, errors
    "draw", "derive", "testing", "errors", "special",
]  # fmt: skip


# Loaded when first used: SciPy is needed for one of them, and who derives formulas needs no layers.
_LATER = {
    "special": ".special", "nn": ".nn", "optim": ".optim", "data": ".data", "training": ".training", "fit": ".training",
    "save": ".serialize", "load": ".serialize",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LATER[name], __name__)
    found = globals()[name] = getattr(module, name, module)
    return found
