"""One call of an op, and the words for its metadata, its axes and what it broadcast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...engine.tape import Node
from ..words import argument, index, number

_FEW = 6
"""Arrays of indices of up to this many entries are written out."""

_POOLS = {"max_pool", "max_unpool", "pool_at_largest", "avg_pool", "avg_unpool"}


@dataclass(frozen=True)
class Call:
    """One call of an op: its node, and what the reader calls each input."""

    node: Node
    names: tuple[str, ...]

    @cached_property
    def op(self) -> Any:
        """The op that was called."""
        return self.node.rule.op

    @cached_property
    def given(self) -> dict[str, Any]:
        """The metadata that this call was given, by name."""
        args, options = self.node.meta or ((), {})
        given = {**dict(zip(self.op.metadata, args, strict=False)), **options}
        return {name: value for name, value in given.items() if value is not np._NoValue}

    @cached_property
    def values(self) -> dict[str, Any]:
        """All metadata: those given, else the defaults."""
        return {**self.op.metadata, **self.given}

    @cached_property
    def at_default(self) -> tuple[str, ...]:
        """The metadata that need not be said."""
        return tuple([name for name, value in self.values.items() if self._is_plain(name, value)])

    def _is_plain(self, name: str, value: Any) -> bool:
        if self.op.name in _POOLS and name in ("kernel", "stride"):
            # Of windows the shape is always said, and how far they are apart unless they lie side by side.
            return name == "stride" and value == self.values["kernel"]
        return is_default(value, self.op.metadata.get(name))

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Keywords that a rule need not name: what is the default everywhere, and not of this op alone."""
        return tuple([name for name in self.at_default if name != "axis" or self.values["axis"] is None])

    def place(self, name: str) -> int:
        """Which input has this name in the op's signature."""
        return self.op.inputs.index(name)

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of an input; () for a plain number."""
        return getattr(self.node.inputs[i], "shape", ())

    def fields(self, i: int) -> dict[str, str]:
        """What a template about input `i` may name."""
        shape = self.shape(i)
        fields = {name: value_text(name, value) for name, value in self.values.items()}
        fields |= {"shape": str(shape), "size": str(math.prod(shape))}
        if self.op.inputs:
            fields |= dict(zip(self.op.inputs, self.names, strict=False))
        return fields


def is_default(value: Any, default: Any) -> bool:
    """Whether a piece of metadata is what it is without being given.

    >>> is_default(0.1, 0.1), is_default(1, 1.0), is_default((1, 1), (1,)), is_default((1, 2), (1,))
    (True, False, True, False)
    """
    if value is default:
        return True
    if isinstance(value, tuple) and isinstance(default, tuple) and len(default) == 1:
        # One entry for each axis: the default is for one axis.
        return all(type(entry) is type(default[0]) and entry == default[0] for entry in value)
    # Arrays compare entry by entry, so only plain values are compared.
    return isinstance(value, bool | int | float | str) and type(value) is type(default) and value == default


def value_text(name: str, value: Any) -> str:
    """Metadata as it stands in a formula: arrays written out if they have few entries, else as what they are."""
    if name in ("index", "indices"):
        return _index_text(value)
    if isinstance(value, np.ndarray) and value.ndim:
        return "mask" if value.dtype.kind == "b" else name
    return argument(tuple(value) if isinstance(value, range) else value)


def _index_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_index_text, value)) or "()"
    if isinstance(value, list | np.ndarray) and np.ndim(value):
        return _array_text(np.asarray(value))
    return "None" if value is None else index(value)


def _array_text(array: np.ndarray) -> str:
    if array.dtype.kind == "b":
        return "mask"
    if array.size > _FEW or array.ndim > 1:
        return "indices" if array.dtype.kind in "iu" else "values"
    return f"[{', '.join(map(number, array))}]"


# -- axes -------------------------------------------------------------------------------------


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front; all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted({a % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)) if ndim}))


def along(call: Call) -> str:
    """ " along axis 0", or nothing where all axes are meant."""
    axis = call.values.get("axis")
    if axis is None:
        return ""
    return f" along {axes_named(tuple(axis) if isinstance(axis, tuple | list) else (axis,))}"


def axes_named(axes: tuple[int, ...]) -> str:
    """ "axis 0", "axes (0, 2)"."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


def fitted(text: str, shape: tuple[int, ...], into: tuple[int, ...]) -> str:
    """The gradient `text`, of this shape, summed over the axes that the input was broadcast along.

    >>> fitted("g", (4, 10), (10,)), fitted("g", (4, 10), (4, 1)), fitted("g", (4, 10), ())
    ('sum(g, axis=0)', 'sum(g, axis=1, keepdims=True)', 'sum(g)')
    """
    if shape == into:
        return text
    if text.startswith("−"):
        return "−" + fitted(text[1:], shape, into)
    if not into:
        return f"sum({text})"
    more = len(shape) - len(into)
    lead = tuple(range(more))
    ones = tuple([i for i in range(more, len(shape)) if into[i - more] == 1 != shape[i]])
    if lead and ones:
        return f"reshape(sum({text}, axis={(*lead, *ones)}), {into})"
    if ones:
        return f"sum({text}, axis={_axis_text(ones)}, keepdims=True)"
    return f"sum({text}, axis={_axis_text(lead)})" if lead else text


def _axis_text(axes: tuple[int, ...]) -> str:
    return str(axes[0] if len(axes) == 1 else axes)


def words(call: Call, i: int) -> dict[str, str]:
    """The fields of a gradient in words."""
    shape, values = call.shape(i), call.values
    fields = {**call.fields(i), "along": along(call)}
    fields["matrices"] = ", for each matrix" if len(shape) > 2 else ""
    if "where" in values:
        masked = values["where"] is not True
        fields["among"] = along(call) + (" in the mask" if masked else "")
        fields["along"] += ", 0 outside the mask" if masked else ""
        count = math.prod([shape[a] for a in axes_of(values["axis"], len(shape))])
        ddof = values.get("correction") if values.get("correction") is not None else values.get("ddof", 0)
        fields["count"] = "count" if masked else str(max(count, 1))
        fields["freedom"] = f"(count − {ddof})" if masked and ddof else fields["count"]
        if not masked and ddof:
            fields["freedom"] = str(max(count - ddof, 0))
        what = along(call) or (" for every entry" if shape else "")
        fields["repeated"] = (f", repeated{what}" if what else "") + (", 0 outside the mask" if masked else "")
    fields["times"] = f" * {argument(values['initial'])}" if values.get("initial") is not None else ""
    if values.get("kernel"):
        fields["window"] = str(math.prod(values["kernel"]))
    if "ord" in values:
        fields["power"] = number(values["ord"] - 1)
    if "endpoint" in values:
        fields["steps"] = str(max(values["num"] - bool(values["endpoint"]), 1))
    return fields
