"""Debug mode: nan and inf are named with their op and the line that recorded it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InPlaceError, NonFiniteError
from .batched import unbatched
from .door import bare
from .tape import Node
from .watch import Watcher, caller, trace_of, watching


class Debug(Watcher):
    """Looks at every value and gradient, and at what rules need."""

    def recorded(self, node: Node, out: Any) -> None:
        """Note the line that recorded `node`; refuse a value that is not finite."""
        super().recorded(node, out)
        trace = trace_of(node)
        trace.line = caller()
        trace.sums = [_checksum(value) for value in _needed(node)]
        _refuse_nonfinite(out, f"the value of {node.describe()}")

    def pulling(self, node: Node, g: Any) -> None:
        """Refuse to differentiate with arrays that were written into since they were recorded."""
        super().pulling(node, g)
        if node.trace is None or node.trace.sums is None:
            return
        names = (*[f"array {name!r}" for name in node.rule.keep], "array among the other arguments")
        for name, value, noted in zip(names, _needed(node), node.trace.sums, strict=True):
            if _checksum(value) != noted:
                raise InPlaceError(
                    f"the {name} that {node.describe()} needs for its gradient was written into afterwards, so "
                    "the gradient would be wrong.  Write into a copy (a = a.copy()), or after backward()."
                )

    def pulled(self, node: Node, wanted: tuple[int, ...], gradients: tuple) -> None:
        """Refuse gradients that are not finite."""
        super().pulled(node, wanted, gradients)
        for i, gradient in zip(wanted, gradients, strict=True):
            _refuse_nonfinite(bare(gradient), f"the gradient of input {i} of {node.describe()}")


@contextmanager
def debug() -> Iterator[None]:
    """Stop at the first nan or inf, forward or backward, and name the op and the line behind it.

    Also found: an array that a rule still needs, written into before backward().  Slower, as every value
    is looked at; meant for finding a mistake, not for training.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with tg.debug(), np.errstate(divide="ignore"):  # doctest: +ELLIPSIS
    ...     y = np.log(x)
    Traceback (most recent call last):
    tinygrad_np.errors.NonFiniteError: the value of `log` of shape (2,) ... has 1 inf among 2 entries...
    """
    with watching(Debug):
        yield


def _needed(node: Node) -> tuple:
    """What the rule of a node reads: the kept arrays, and its metadata, where an index may be an array."""
    return (*(node.kept or ()), node.meta)


def _checksum(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return hash(tuple(map(_checksum, value)))
    value = unbatched(value)
    if not isinstance(value, np.ndarray | np.generic):
        return 0
    return zlib.crc32(np.ascontiguousarray(value).tobytes())


def _refuse_nonfinite(value: Any, what: str) -> None:
    for array in value if isinstance(value, tuple | list) else (value,):
        array = unbatched(array)
        if array is None or np.isfinite(array).all():
            continue
        array = np.asarray(array)
        counts = {"nan": np.isnan(array).sum(), "inf": np.isinf(array).sum()}
        bad = " and ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0]) if array.ndim else ()
        raise NonFiniteError(
            f"{what} has {bad} among {array.size} entries, the first at index {first}.  No op before it had one: "
            "look at the range of its inputs (log or division at 0, exp of a large number, data that is not finite), "
            "or use a form that is stable there."
        )
