"""What Python asks of a tensor: numbers, containers, text, copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DetachError, InPlaceError
from .door import RULES, is_tensor


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
        known = f"  Write np.{name}(t)." if hasattr(np.ndarray, name) and hasattr(np, name) else ""
        raise AttributeError(f"a Tensor has no {name!r}.{known}")

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
