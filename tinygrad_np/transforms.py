"""Functions of functions: gradients and tangents of what you write on arrays.

Each transform starts from fresh nodes that stand for the arguments and asks for the gradient at
exactly those nodes.  That is why nesting needs no levels: an inner gradient cannot mistake an outer
variable for its own.  Arrays in, arrays out; tensors in (or tensors used inside), tensors out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np

from .engine.call import record
from .engine.op import linear
from .engine.tape import Node, ancestors, leaf, recording
from .engine.tensor import Tensor, as_tensor, attached, lifted
from .engine.walk import pull_back, push_forward
from .errors import BackwardError, DtypeError, ShapeError

# The identity, so that an argument that already has a graph gets a node of its own.
_argument = linear(lambda x: x.view(), transpose=lambda g: g, name="argument")


@contextmanager
def _recording() -> Iterator[bool]:
    """Record inside, whatever no_grad() outside says; gives whether the outside recorded."""
    outside = recording.get()
    token = recording.set(outside or True)
    try:
        yield bool(outside)
    finally:
        recording.reset(token)


def _fresh(value: Any, transform: str) -> Tensor:
    """A tensor with a node of its own for an argument."""
    if isinstance(value, Tensor) and value.requires_grad:
        return _argument(value)
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fc":
        raise DtypeError(
            f"{transform} differentiates with respect to floating-point arrays, and got dtype {array.dtype} "
            f"(shape {array.shape}).  Write {transform}(f)(np.asarray(x, float)), or choose other arguments by argnums."
        )
    return attached(array, leaf(array, requires_grad=True))
