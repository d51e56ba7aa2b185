"""Watching what is recorded: what debug(), profile(), inspect() and scope() have in common.

Inside of them, `recording` holds a `Watcher` instead of True.  Ops and walks report to it, and it to the
one around it; outside nothing is called, so that it costs nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .tape import Node, recording

# Files of this package and of NumPy, and the text of generated functions.
_OURS = (os.path.join(os.path.dirname(os.path.dirname(__file__)), ""), os.path.join(np.__path__[0], ""), "<rule")


class Trace:
    """What watchers noted of a node; None for what nobody asked for.

    `line` is that of the program, as `file:line`; `sums` are check sums of what its rule needs; `scope` is the
    innermost scope, and `calls` are those of the modules that it is the result of; `seconds` and `back_seconds` are
    the times of the op and of its rule; `value` is the result, `gradient` what came back to it, and `gradients`
    what went on to each input.
    """

    # Defaults, and no __slots__: most notes are of one kind, and only what is noted is written.
    line: str | None = None
    sums: list[int] | None = None
    scope: Any = None
    calls: tuple[Any, ...] = ()
    seconds: float | None = None
    back_seconds: float | None = None
    value: Any = None
    gradient: Any = None
    gradients: dict[int, Any] | None = None

    def __str__(self) -> str:
        return f" recorded at {self.line}" if self.line else ""


def trace_of(node: Node) -> Trace:
    """The notes on a node, empty at first."""
    if node.trace is None:
        node.trace = Trace()
    return node.trace


class Watcher:
    """What ops and walks report to, inside a block; each report goes on to the watcher around it."""

    def __init__(self, outer: Any = None) -> None:
        self.outer = outer

    def recorded(self, node: Node, out: Any) -> None:
        """An op gave `out`, and `node` is its entry on the tape."""
        if self.outer is not None:
            self.outer.recorded(node, out)

    def pulling(self, node: Node, g: Any) -> None:
        """The rule of `node` is about to pull back its cotangent."""
        if self.outer is not None:
            self.outer.pulling(node, g)

    def pulled(self, node: Node, wanted: tuple[int, ...], gradients: tuple) -> None:
        """It has given the gradients of the wanted inputs."""
        if self.outer is not None:
            self.outer.pulled(node, wanted, gradients)

    def failed(self, node: Node) -> None:
        """It has raised an error instead."""
        if self.outer is not None:
            self.outer.failed(node)

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        """A backward pass from these roots has found these gradients."""
        if self.outer is not None:
            self.outer.walked(roots, found)


W = TypeVar("W", bound=Watcher)


@contextmanager
def watching(make: Callable[[Any], W]) -> Iterator[W]:
    """Report to `make(outer)` inside the block; inside no_grad() nothing is recorded and nobody told."""
    outside = recording.get()
    watcher = make(None if outside is True or outside is False else outside)
    token = recording.set(watcher if outside is not False else False)
    try:
        yield watcher
    finally:
        recording.reset(token)


def user_frame() -> tuple[Any, int]:
    """The frame of the user's code that is running, and how many levels above the caller of this it is."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, depth = frame.f_back, depth + 1
    return frame, depth


def caller() -> str:
    """The line of the user's code that is running, as `file:line`."""
    frame, _ = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
