"""Complex numbers and their parts.

A cotangent g of a complex result z stands for dL = Re(sum(g dz)), so each rule is the plain transpose of
what the function does to a small change dz, and the walk takes the real part for a real input.

Users see it conjugated, dL/dx + i dL/dy: the direction in which a real loss grows fastest, as in PyTorch.

>>> import numpy as np, tinygrad_np as tg
>>> tg.grad(lambda z: np.abs(z) ** 2)(3 + 4j)  # 2z
np.complex128(6+8j)
"""

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, constant, linear
from .elementwise import DEGREE

_SAMPLE = lambda r: [r(r.complex(3, 4)), r(r.complex()), r(r.real(3))]

# Re(g conj(dz)) = Re(conj(g) dz): the only map here that is not complex-linear.
linear(np.conjugate, run=lambda x: np.conjugate(x), transpose=lambda g: np.conj(g), sample=_SAMPLE)
linear(np.real, transpose=lambda g: g, sample=_SAMPLE)
# Im(dz) = Re(-1j dz).
linear(np.imag, transpose=lambda g: g * -1j, sample=_SAMPLE)


@composite(np.angle, sample=lambda r: [*_SAMPLE(r), r(r.complex(3), deg=True)])
def angle(z, deg=False):
    """The argument of z, in radians or degrees; its gradient at 0, where it has no direction, is 0."""
    radians = np.arctan2(np.imag(z), np.real(z))
    return radians / DEGREE if deg else radians


@composite(np.real_if_close, sample=lambda r: [r(r.complex(3)), r(r.real(3))])
def real_if_close(a, tol=100):
    """The real part where all imaginary parts are within `tol` rounding errors of 0."""
    return np.real(a) if np.isrealobj(np.real_if_close(bare(a), tol)) else a


constant(np.iscomplex, np.isreal, sample=_SAMPLE)
