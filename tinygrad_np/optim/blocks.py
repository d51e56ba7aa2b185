"""Parameters as an optimizer sees them: lines of entries, with their state, cut into blocks that stay in the cache.

An update is about ten cheap operations on the same entries.  Done on whole arrays each of them goes through main
memory; done on blocks of 256 KiB their operands stay near the processor, and one block's scratch serves everything.
Small parameters are trained together, as one line, because for them the calls themselves take longest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..engine.tape import written
from ..engine.tensor import Tensor
from .group import check_gradient

BLOCK_BYTES = 1 << 18
SMALL_BYTES = 1 << 15
"""Parameters of up to so many bytes are trained together."""


class Block(NamedTuple):
    """A piece of a line, of one size: the parameter, its gradient's place, three arrays of scratch, the state."""

    p: np.ndarray
    piece: slice
    scratch: list[np.ndarray]
    arrays: dict[str, np.ndarray]


class Workspace:
    """Scratch that all parameters of an optimizer share, by dtype."""

    def __init__(self) -> None:
        self._blocks: dict[np.dtype, list[np.ndarray]] = {}
        self._whole: dict[np.dtype, np.ndarray] = {}

    def blocks(self, dtype: np.dtype) -> list[np.ndarray]:
        """Three arrays of one block."""
        if dtype not in self._blocks:
            length = BLOCK_BYTES // dtype.itemsize
            self._blocks[dtype] = [np.empty(length, dtype) for _ in range(3)]
        return self._blocks[dtype]

    def whole(self, dtype: np.dtype, size: int) -> np.ndarray:
        """An array of `size` entries; the same memory for all who ask."""
        if dtype not in self._whole or self._whole[dtype].size < size:
            self._whole[dtype] = np.empty(size, dtype)
        return self._whole[dtype][:size]


class Slot:
    """A parameter and the arrays of its state, which have its memory order as it was at first.

    `axes` are the parameter's axes from the slowest to the fastest in memory: transposed so, its entries and those of
    its state lie in one line.
    """

    def __init__(self, parameter: Tensor, name: str | None) -> None:
        self.parameter = parameter
        # Not the tensor's own name: a model may give it another one when it is first called.
        self.given_name = name or ""
        self.shape, self.dtype, self.size = parameter.data.shape, parameter.data.dtype, parameter.data.size
        strides = parameter.data.strides
        self.axes = tuple(sorted(range(len(strides)), key=lambda axis: -abs(strides[axis])))
        self._straight = self.axes == tuple(range(len(strides)))
        self._turned_shape = tuple(self.shape[axis] for axis in self.axes)
        self._back = tuple(int(axis) for axis in np.argsort(self.axes))
        self.state: dict[str, np.ndarray] = {}

    def describe(self) -> str:
        """A few words for messages."""
        name = self.given_name or self.parameter.name
        return repr(name) if name else f"the parameter of shape {self.shape}"

    def check(self) -> None:
        """Raise if the parameter's array or gradient is not one that a step can be taken with."""
        data = self.parameter.data
        if data.shape != self.shape or data.dtype != self.dtype:
            raise ValueError(
                f"{self.describe()} had shape {self.shape} and dtype {self.dtype} when the optimizer was made, and has "
                f"{data.shape} and {data.dtype} now: the optimizer's state does not fit any more, so no parameter was "
                "changed.  Make a new optimizer after changing what it trains."
            )
        if not data.flags.writeable:
            raise ValueError(
                f"the array of {self.describe()} cannot be written any more, so no parameter was changed.  "
                "Write tensor.data = tensor.data.copy()."
            )
        gradient = self.parameter.grad
        fits = isinstance(gradient, Tensor) and gradient.data.shape == self.shape and gradient.data.dtype == self.dtype
        if not fits and gradient is not None:
            check_gradient(self.parameter, self.describe())

    def line(self, array: np.ndarray) -> np.ndarray | None:
        """All entries as a view of one axis, in the order of this slot; None if memory does not allow that."""
        turned = array if self._straight else array.transpose(self.axes)
        return turned.reshape(-1) if turned.flags.c_contiguous and turned.dtype == self.dtype else None

    def shaped(self, line: np.ndarray) -> np.ndarray:
        """A line of entries as an array of the parameter's shape, without copying."""
        return line.reshape(self._turned_shape).transpose(self._back)

    def gradient(self, workspace: Workspace) -> np.ndarray:
        """The gradient's line: itself where memory allows, else copied into scratch."""
        array = self.parameter.grad.data  # type: ignore[union-attr]
        line = self.line(array)
        if line is None:
            line = workspace.whole(self.dtype, array.size)
            np.copyto(self.shaped(line), array, casting="unsafe")
        return line


class Run:
    """One parameter, or several small ones of one dtype, trained as one line.

    Several are trained in a copy, and so is a parameter with gaps in memory, such as every second column of an array.
    """

    def __init__(self, slots: list[Slot]) -> None:
        self.slots = slots
        self.dtype = slots[0].dtype
        # Complex numbers are trained as pairs of real ones, as in PyTorch.
        self.real = as_pairs(np.empty(0, self.dtype)).dtype
        self.size = sum(slot.size for slot in slots)
        self._places: list[slice] = []
        for slot in slots:
            start = self._places[-1].stop if self._places else 0
            self._places.append(slice(start, start + slot.size))
        self._lines: dict[str, np.ndarray] = {}
        self._adopt()
        self._copy, self._copied = self._duplicate(len(slots) > 1)
        self._gradient, self._gradients = self._duplicate(len(slots) > 1)
        self._cut: list[Block] = []
        self._cut_from: Any = None
        self._names: tuple[str, ...] = ()

    def _adopt(self) -> None:
        if len(self.slots) == 1 and self.slots[0].state:
            slot = self.slots[0]
            self.steps = slot.state["step"].reshape(1)
            own = {name: slot.line(array) for name, array in slot.state.items() if name != "step"}
            self._lines = {name: line for name, line in own.items() if line is not None}
            return
        self.steps = np.zeros(len(self.slots), np.int64)
        for number, slot in enumerate(self.slots):
            slot.state["step"] = self.steps[number : number + 1].reshape(())

    def _duplicate(self, wanted: bool) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """A line like this one, and its part for each parameter, in the parameter's shape; nothing unless wanted."""
        if not wanted:
            return None, []
        line = np.empty(self.size, self.dtype)
        return line, [slot.shaped(line[place]) for slot, place in zip(self.slots, self._places, strict=True)]

    def split(self) -> list[Run]:
        """A run for each parameter, with the same arrays of state."""
        return [Run([slot]) for slot in self.slots]

    def together(self) -> bool:
        """Whether all parameters have a gradient, and have made the same number of steps."""
        if len(self.slots) == 1:
            return True
        counts = self.steps.tolist()
        return counts.count(counts[0]) == len(counts) and all(slot.parameter.grad is not None for slot in self.slots)

    def start(self, name: str, fill: float) -> None:
        """Fill the state arrays of this name, which are made first where there are none: one for each parameter."""
        if name not in self._lines:
            self._lines[name] = line = np.zeros(self.size, self.dtype)
            for slot, place in zip(self.slots, self._places, strict=True):
                slot.state[name] = slot.shaped(line[place])
        # In complex numbers both parts, for they are trained as two numbers.
        as_pairs(self._lines[name]).fill(fill)

    def has(self, name: str) -> bool:
        """Whether there is a state array of this name."""
        return name in self._lines

    def count(self) -> int:
        """Count a step of all parameters, which have made the same number of steps, and return its number."""
        number = self.steps.item(0) + 1
        self.steps.fill(number)
        return number

    def gradient(self, workspace: Workspace) -> np.ndarray:
        """The gradients of all parameters in one line."""
        if self._gradient is None:
            return as_pairs(self.slots[0].gradient(workspace))
        for slot, part in zip(self.slots, self._gradients, strict=True):
            part[...] = slot.parameter.grad.data  # type: ignore[union-attr]
        return as_pairs(self._gradient)

    def blocks(self, workspace: Workspace, names: tuple[str, ...]) -> list[Block]:
        """The blocks, with the state arrays of these names; cut anew only if the arrays are others than before."""
        if len(self.slots) == 1:
            data = self.slots[0].parameter.data
            if self._cut_from is not data or self._names != names:
                line = self.slots[0].line(data)
                self._copy, self._copied = self._duplicate(line is None)
                self._cut_from, self._names = data, names
                self._cut = self._cutting(workspace, line if self._copy is None else self._copy)
        elif self._names != names or not self._cut:
            self._names = names
            self._cut = self._cutting(workspace, self._copy)
        for slot, part in zip(self.slots, self._copied, strict=False):
            part[...] = slot.parameter.data
        return self._cut

    def _cutting(self, workspace: Workspace, line: Any) -> list[Block]:
        whole, scratch = as_pairs(line), workspace.blocks(self.real)
        lines = {name: as_pairs(self._lines[name]) for name in self._names}
        cut = []
        for start in range(0, whole.size, scratch[0].size):
            piece = slice(start, min(start + scratch[0].size, whole.size))
            own = [array[: piece.stop - start] for array in scratch]
            cut.append(Block(whole[piece], piece, own, {name: state[piece] for name, state in lines.items()}))
        return cut

    def finish(self) -> None:
        """Write back what was trained in a copy, and note that the parameters are others now."""
        for slot, part in zip(self.slots, self._copied, strict=False):
            slot.parameter.data[...] = part
        for slot in self.slots:
            written(slot.parameter)


def runs_of(slots: list[Slot]) -> list[Run]:
    """Large parameters one by one, small ones together."""
    shared = sharing_memory(slots)
    alone: list[list[Slot]] = []
    together: dict[np.dtype, list[Slot]] = {}
    for slot in slots:
        if slot.parameter.data.nbytes > SMALL_BYTES or slot in shared:
            alone.append([slot])
        else:
            together.setdefault(slot.dtype, []).append(slot)
    return [Run(members) for members in [*alone, *together.values()]]


def sharing_memory(slots: list[Slot]) -> set[Slot]:
    """Parameters that may lie in the same memory, as tied ones: each must see what the step of another has changed."""
    bounds = [(*byte_bounds(slot.parameter.data), slot) for slot in slots if slot.size]
    found: set[Slot] = set()
    last_end, last = 0, None
    for start, end, slot in sorted(bounds, key=lambda bound: bound[:2]):
        if last is not None and start < last_end:
            found |= {slot, last}
        if end > last_end:
            last_end, last = end, slot
    return found


def as_pairs(line: np.ndarray) -> np.ndarray:
    """Complex entries as pairs of real ones, in the same memory."""
    return line.view(line.real.dtype) if line.dtype.kind == "c" else line
