"""Gradients made smaller before a step."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, constant
from ..errors import NonFiniteError, RangeError


def clip_grad_norm(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`; returns the norm before.

    `parameters`: a Tensor or an iterable of Tensors; those without a gradient do not count.  The norm is that of all
    entries as one vector: (sum |g| ** norm_type) ** (1 / norm_type), the largest for inf.  As in PyTorch, gradients are
    multiplied with max_norm / (norm + 1e-6) if that is below 1.  They are changed in place, except those that
    share memory with another array, which are replaced.  Raises RangeError for a negative `max_norm` or a
    `norm_type` that is no norm, NonFiniteError for a norm of inf or nan with `error_if_nonfinite`.
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> np.sum(w ** 2).backward()
    >>> optim.clip_grad_norm([w], max_norm=1.0)
    10.0
    >>> np.round(w.grad.data, 3)
    array([0.6, 0.8])
    """
    if not max_norm >= 0:
        raise RangeError(f"max_norm={max_norm!r} is no norm: gradients cannot become that small.  Give 0 or more.")
    if not norm_type > 0:
        raise RangeError(f"norm_type={norm_type!r} is no norm of a vector.  Give 1, 2, np.inf or another above 0.")
    owners = with_gradients(parameters)
    norm = _norm([_norm_of(owner.grad.data, norm_type) for owner in owners], norm_type)
    if error_if_nonfinite and not isfinite(norm):
        raise NonFiniteError(
            f"the gradients have the norm {norm}, so no scale makes it {max_norm}: the loss or its slope overflowed.  "
            "Look for the op in tg.debug(), or leave error_if_nonfinite away."
        )
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:
        with np.errstate(invalid="ignore"):
            _change(owners, lambda array, out: np.multiply(array, scale, out=out))
    return norm


def clip_grad_value(parameters: Any, clip_value: float) -> None:
    """Limit every entry of every gradient to [-clip_value, clip_value].

    `parameters`: a Tensor or an iterable of Tensors; those without a gradient are left alone.  Gradients are changed
    in place, except those that share memory with another array, which are replaced; nan stays.
    Raises RangeError for a negative `clip_value`.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([3.0, -0.2], requires_grad=True)
    >>> np.sum(w ** 2).backward()
    >>> optim.clip_grad_value([w], 1.0)
    >>> w.grad
    Tensor([ 1. , -0.4])
    """
    if not clip_value >= 0:
        raise RangeError(f"clip_value={clip_value!r} leaves no entry where it could be.  Give 0 or more.")
    owners = with_gradients(parameters)
    for owner in owners:
        if owner.dtype.kind == "c":
            raise TypeError(
                f"clip_grad_value() got {owner.describe()}: complex numbers have no order.  Use clip_grad_norm()."
            )
    _change(owners, lambda array, out: np.clip(array, -clip_value, clip_value, out=out))


def with_gradients(parameters: Any) -> list[Any]:
    """Those tensors that have a gradient, each once."""
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"a {type(tensor).__name__} has no gradient to clip.  Give tensors, as model.parameters() does."
            )
    return list({id(tensor): tensor for tensor in tensors if tensor.grad is not None}.values())


def _norm_of(array: np.ndarray, norm_type: float) -> float:
    if array.size == 0:
        return 0.0
    entries = array.ravel(order="K")
    if norm_type == 2.0:
        square = float(np.vdot(entries, entries).real)
        if 1e-30 < square < inf:
            return sqrt(square)
    size = np.abs(entries)
    largest = float(size.max())
    if norm_type == inf or largest == 0 or not isfinite(largest):
        return largest
    # Divided first, so that powers of huge and of tiny entries do not leave the range.
    size /= largest
    size **= norm_type
    return largest * float(size.sum(dtype=np.float64)) ** (1 / norm_type)


def _norm(norms: Iterable[float], norm_type: float) -> float:
    return _norm_of(np.array(list(norms), float), norm_type)


def _change(owners: list[Any], write: Any) -> None:
    """Call `write(array, out)` for each gradient, in place where nobody else looks at that memory."""
    arrays = [owner.grad.data for owner in owners]
    own = [array.base is None and array.flags.owndata and array.flags.writeable for array in arrays]
    # Views first: once their base is changed they would be changed twice.
    for owner, array, alone in zip(owners, arrays, own, strict=True):
        if not alone:
            owner.grad = constant(write(array, None))
    for array in {id(array): array for array, alone in zip(arrays, own, strict=True) if alone}.values():
        write(array, array)
