"""Functions of functions: gradients, tangents, Jacobians and batches of what you write on arrays."""

from .functions import checkpoint, custom_gradient, stop_gradient
from .gradients import elementwise_grad, grad, jvp, value_and_grad, vjp
from .jacobians import ggnvp, hessian, hvp, jacobian
from .vmap import vmap

__all__ = [
    "checkpoint", "custom_gradient", "elementwise_grad", "ggnvp", "grad", "hessian", "hvp", "jacobian", "jvp",
    "stop_gradient", "value_and_grad", "vjp", "vmap",
]  # fmt: skip
