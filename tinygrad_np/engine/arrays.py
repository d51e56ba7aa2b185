"""What a Tensor can hold: one array of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BatchError, DetachError, DtypeError


def as_numbers(data: Any, dtype: npt.DTypeLike | None, copy: bool) -> np.ndarray:
    """`data` as one array of numbers, shared where possible unless `copy`."""
    if isinstance(data, np.ma.MaskedArray):
        raise DtypeError(
            f"a Tensor has no mask, and this masked array of shape {data.shape} would lose its own.  Write "
            "Tensor(a.filled(0)), and np.where(mask, ...) where the mask matters."
        )
    if dtype is not None and np.iscomplexobj(data) and np.dtype(dtype).kind not in "cO":
        raise DtypeError(
            f"a Tensor of dtype {np.dtype(dtype)} would lose the imaginary parts of this {type(data).__name__}.  "
            "Take the part you mean, np.real(z), np.imag(z) or np.abs(z), or leave dtype= away."
        )
    try:
        return np.array(data, dtype=dtype, copy=copy or None)
    except (DetachError, BatchError):
        raise
    except (ValueError, TypeError) as error:
        raise DtypeError(
            f"a Tensor holds numbers in one array, and this {type(data).__name__} does not make one: {error}  Make all "
            "rows equally long, and turn text into numbers first."
        ) from None


def checked(array: np.ndarray, requires_grad: bool) -> np.ndarray:
    """The array itself, if a tensor can hold it (and require grad)."""
    kind = array.dtype.kind
    if kind not in "fciub":
        raise DtypeError(
            f"a Tensor holds numbers, and this array of shape {array.shape} has dtype {array.dtype}.  A ragged "
            "list gives dtype object: make all rows equally long.  Turn text into numbers first."
        )
    if requires_grad and kind not in "fc":
        raise DtypeError(
            f"a tensor of dtype {array.dtype} cannot require grad: a function of whole numbers has no derivative.  "
            "Write Tensor(x, dtype=float, requires_grad=True), or give numbers with a decimal point."
        )
    return array


def conjugate(array: Any) -> Any:
    """An array or tensor with its imaginary part negated; a real one as it is, for nothing."""
    return np.conj(array) if array.dtype.kind == "c" else array


# glibc gives the memory of a large array back to the system when it is freed, and each page of the next one is fetched
# anew: a tenth of the step of a large network, a quarter of a recurrent one's.  It stops doing so once an array of this
# size, just below its limit of 32 MiB, was freed.  This one is never touched, so it takes none; up to 64 MiB that a
# program has freed may then stay with it.
np.empty((1 << 25) - (1 << 16), np.uint8)
