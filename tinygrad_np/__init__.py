"""tinygrad_np: reverse-mode automatic differentiation for people who think in NumPy.

Write NumPy on `Tensor`s; `loss.backward()` or `grad(f)` gives the gradients; `draw(loss)` the picture.
"""

from . import errors, testing
from .engine.debug import debug
from .engine.tape import Node, Tape, no_grad
from .engine.tensor import Tensor, tape
from .graph import draw
from .ops.kinks import relu
from .ops.losses import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, mse
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
    "Tensor", "Tape", "Node", "tape", "no_grad", "debug",
    # functions of functions
    "grad", "value_and_grad", "elementwise_grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "ggnvp", "vmap",
    "checkpoint", "custom_gradient", "stop_gradient",
    # what NumPy lacks; everything else is called by NumPy's name
    "relu", "sigmoid", "softplus", "softmax", "log_softmax", "logsumexp", "linear",
    "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse",
    # pictures, tests, errors
    "draw", "testing", "errors",
]  # fmt: skip
