"""A model as text: its tree, and the table of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.tape import no_grad
from .tree import Part, array_of, children, entries, is_buffer, once, own_parameters, walk


def tree(part: Any) -> str:
    """The class of each part with its settings, indented as they are in each other."""
    parts = [(name, value) for name, value in children(part) if value is not part]
    if not parts:
        return part.summary_line()
    lines = [f"({name}): {tree(inner)}".replace("\n", "\n  ") for name, inner in parts]
    settings = part.extra_repr()
    return f"{type(part).__name__}({settings}\n" + "".join(f"  {line}\n" for line in lines) + ")"


@dataclass(frozen=True)
class Row:
    """A part of a model: its path, what it is, the shapes it returned and those of its own parameters.

    `parameters` counts their entries, `frozen` those that are not trained, `nbytes` their bytes.
    """

    path: str
    module: str
    output: str
    shapes: str
    parameters: int
    frozen: int
    nbytes: int


@dataclass(frozen=True)
class Summary:
    """The table of a model: `print(model.summary())`."""

    rows: tuple[Row, ...]
    parameters: int
    frozen: int
    nbytes: int
    buffer_bytes: int

    def __str__(self) -> str:
        shown = any(row.output for row in self.rows)
        cells = [("part", "module", *(["output"] if shown else []), "own parameters", "entries", "bytes")]
        for row in self.rows:
            output = [row.output] if shown else []
            entries = f"{row.parameters:,}" if row.shapes else ""
            cells.append((row.path, row.module, *output, row.shapes, entries, f"{row.nbytes:,}" if row.shapes else ""))
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = ["  ".join(_aligned(cell, width, i >= len(widths) - 2) for i, (cell, width) in
                           enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]  # fmt: skip
        frozen = f", {self.frozen:,} of them frozen" if self.frozen else ""
        buffers = f"; buffers: {self.buffer_bytes:,} bytes" if self.buffer_bytes else ""
        total = f"{self.parameters:,} parameters{frozen}, {self.nbytes:,} bytes{buffers}"
        return "\n".join([*lines, total])

    __repr__ = __str__


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)


def summary(part: Any, inputs: tuple[Any, ...]) -> Summary:
    """The table of a model; with an example input, also the shapes that its parts return."""
    outputs = _outputs(part, inputs) if inputs else {}
    rows = tuple(_row(path, module, outputs) for path, module in part.named_modules())
    parameters = [p for _, p in part.named_parameters()]
    buffers = sum(array_of(value).nbytes for _, value in once(entries(part)) if is_buffer(value))
    return Summary(
        rows, sum(p.size for p in parameters), sum(p.size for p in parameters if not p.requires_grad),
        sum(p.nbytes for p in parameters), buffers,
    )  # fmt: skip


def _row(path: str, module: Any, outputs: dict[int, str]) -> Row:
    own = dict(once(own_parameters(module)))
    shapes = ", ".join(f"{name} {value.shape}" for name, value in own.items())
    settings = module.summary_line() if not list(children(module)) else type(module).__name__
    frozen = sum(p.size for p in own.values() if not p.requires_grad)
    size, nbytes = sum(p.size for p in own.values()), sum(p.nbytes for p in own.values())
    return Row(path, settings, outputs.get(id(module), ""), shapes, size, frozen, nbytes)


def _outputs(part: Any, inputs: tuple[Any, ...]) -> dict[int, str]:
    """The shape of what each part returned last, in a run that changes nothing."""
    found: dict[int, str] = {}
    modules = [module for _, module in once(walk(part)) if isinstance(module, Part)]
    training = {id(module): module.training for module in modules}  # type: ignore[attr-defined]
    hooks = [module.register_forward_hook(_noting(found)) for module in modules]  # type: ignore[attr-defined]
    try:
        with no_grad():
            part.eval()(*inputs)
    finally:
        for module, hook in zip(modules, hooks, strict=True):
            module.training = training[id(module)]  # type: ignore[attr-defined]
            hook.remove()
    return found


def _noting(found: dict[int, str]) -> Any:
    def note(module: Any, inputs: Any, out: Any) -> None:
        found[id(module)] = _shapes(out)

    return note


def _shapes(out: Any) -> str:
    if isinstance(out, tuple | list):
        return ", ".join(_shapes(item) for item in out if item is not None)
    return str(np.shape(out)) if not isinstance(out, dict) else ", ".join(f"{k} {_shapes(v)}" for k, v in out.items())
