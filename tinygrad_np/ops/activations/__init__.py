"""Activations, by PyTorch's names; `relu` is in `kinks.py`, `sigmoid`, `softplus` and `softmax` are in `nn.py`.

All are finite and have finite slopes, for every finite x.  At a kink the slope is that of the piece to the left, as
relu's is 0 at 0; and where a flat piece begins on the right (`relu6`, `hardtanh`, `hardsigmoid`), it is 0, too.
Parameters such as `alpha` are numbers that leave the dtype as it is.
"""

from .gates import geglu, gelu, glu, logsigmoid, mish, silu, softmin, softsign, swiglu, tanhshrink
from .pieces import (
    celu,
    elu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    prelu,
    relu6,
    selu,
    softshrink,
    threshold,
)

__all__ = [
    "celu", "elu", "geglu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "logsigmoid", "mish", "prelu", "relu6", "selu", "silu", "softmin", "softshrink", "softsign", "swiglu",
    "tanhshrink", "threshold",
]  # fmt: skip
