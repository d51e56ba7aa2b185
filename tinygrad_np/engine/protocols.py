"""What Python asks of a tensor: numbers, containers, text, copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DetachError, InPlaceError
from .door import RULES, is_tensor

_DEVICES = "arrays are in the computer's memory, and there are no devices.  Leave it away"
_WRITES = "what writes into a tensor cannot be recorded.  Write t.data[...] = ... between steps"
_DTYPE = "dtypes are NumPy's.  Write t.astype"
HABITS = {
    "view": "t.reshape(2, -1)", "view_as": "t.reshape(other.shape)", "permute": "t.transpose(1, 0, 2)",
    "t": "t.T", "dim": "t.ndim", "numel": "t.size", "nelement": "t.size", "contiguous": "t", "clone": "t.copy()",
    "unsqueeze": "t[:, None] or np.expand_dims(t, axis)", "expand": "np.broadcast_to(t, shape)",
    "expand_as": "np.broadcast_to(t, other.shape)", "narrow": "t[:, start:stop]", "select": "t[:, index]",
    "unbind": "np.unstack(t)", "chunk": "np.array_split(t, count)", "cat": "np.concatenate([t, other])",
    "clamp": "np.clip(t, low, high)", "clamp_min": "np.maximum(t, low)", "clamp_max": "np.minimum(t, high)",
    "masked_fill": "np.where(mask, value, t)", "masked_select": "t[mask]", "index_select": "np.take(t, index, axis)",
    "gather": "np.take_along_axis(t, index, axis)", "scatter": "tg.index_update(t, index, value)",
    "mul": "t * other", "div": "t / other", "sub": "t - other", "pow": "t ** other", "mm": "t @ other",
    "bmm": "t @ other", "eq": "t == other", "ne": "t != other", "rsqrt": "1 / np.sqrt(t)",
    "norm": "np.linalg.norm(t)", "relu": "tg.relu(t)", "sigmoid": "tg.sigmoid(t)", "softmax": "tg.softmax(t, axis)",
    "log_softmax": "tg.log_softmax(t, axis)", "requires_grad_": "t.requires_grad = True", "grad_fn": "t.node",
}  # fmt: skip
"""What PyTorch's methods are here."""
REASONS = {
    **dict.fromkeys(("cpu", "cuda", "device", "is_cuda"), _DEVICES),
    **dict.fromkeys(("float", "double", "half"), f"{_DTYPE}(np.float32), (np.float64) or (np.float16)"),
    **dict.fromkeys(("long", "int", "bool"), f"{_DTYPE}(np.int64) or (bool)"),
    "to": "there are no devices, and dtypes are NumPy's.  Write t.astype(np.float32), or leave it away",
    "type": f"{_DTYPE}(np.float32), and t.dtype for what it is",
    "type_as": f"{_DTYPE}(other.dtype)",
}


def _instead_of(name: str) -> str:
    """The rest of the sentence that a Tensor has no such attribute: why, and what to write."""
    if name in HABITS:
        return f": its methods are those of NumPy's arrays.  Write {HABITS[name]}."
    if name in REASONS:
        return f": {REASONS[name]}."
    if name.endswith("_") and not name.startswith("_"):
        return f": {_WRITES}."
    if callable(getattr(np, name, None)) and not isinstance(getattr(np, name), type):
        return f": it is a function of NumPy.  Write np.{name}(t)."
    return "."


class PythonProtocols:
    """The part of Tensor that has nothing to do with gradients, but for refusing to lose them."""

    __slots__ = ()

    data: Any
    node: Any
    name: Any
    requires_grad: Any
    is_leaf: Any
    shape: Any
    dtype: Any
    describe: Any

    def item(self, *index: int) -> Any:
        """The only entry, or the one at an index, as a Python number."""
        return self.data.item(*index)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a Tensor has no {name!r}{_instead_of(name)}")

    def tolist(self) -> Any:
        """The entries as nested lists of Python numbers."""
        return self.data.tolist()

    def __float__(self) -> float:
        return float(self._number("float(t)"))

    def __int__(self) -> int:
        return int(self._number("int(t)"))

    def __index__(self) -> int:
        return self.data.__index__()

    def __complex__(self) -> complex:
        return complex(self._number("complex(t)"))

    def _number(self, what: str) -> np.ndarray:
        # Not only float(t) comes here: array[i] = t and math.sin(t) do, and would cut the gradient in silence.
        if self.requires_grad:
            raise DetachError(
                f"{what} was asked of {self.describe()}, which requires grad: its gradient would be cut silently.  "
                "Write t.item() for the number, np.sin(t) for math.sin(t), np.stack([...]) for array[i] = t."
            )
        return self.data

    def __bool__(self) -> bool:
        return bool(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        if not self.data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        # One op with a result per row: a getitem per row would make a full-size gradient for each.
        return iter(RULES[np.unstack](self))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __getitem__(self, index: Any) -> Any:
        return RULES["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.requires_grad or (is_tensor(value) and value.requires_grad):
            raise InPlaceError(
                f"t[{index!r}] = ... writes into {self.describe()}, which is recorded: the tape cannot follow a "
                "write.  Write tg.index_update(t, index, value) for a new tensor, or t.data[...] = ... to change "
                "a parameter between steps."
            )
        self.data[index] = value.data if is_tensor(value) else value

    def __repr__(self) -> str:
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        notes = [f"dtype={self.dtype}"] if self.dtype != np.float64 else []
        if self.name:
            notes.append(f"name={self.name!r}")
        if self.requires_grad:
            notes.append("requires_grad=True" if self.is_leaf else f"op={self.node.op_name}")  # type: ignore[union-attr]
        return f"Tensor({', '.join([text, *notes])})"

    def __format__(self, spec: str) -> str:
        return format(self.data[()], spec) if spec else str(self)

    def __str__(self) -> str:
        return str(self.data) if not self.requires_grad else repr(self)

    def __reduce__(self) -> tuple:
        if not self.is_leaf:
            raise DetachError(
                f"{self.describe()} was computed, and a copy or a pickle has no graph.  Write t.copy() to stay in the "
                "graph, or copy and pickle t.detach()."
            )
        return type(self), (self.data, self.requires_grad, self.name)
