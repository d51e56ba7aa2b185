"""Profiling: the time and the bytes of each op, forward and backward."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from .batched import unbatched
from .op import OPS, Op, Variadic
from .tape import PROJECTION, Node
from .watch import Watcher, watching

profiling: ContextVar[Profile | None] = ContextVar("tinygrad_np.profiling", default=None)
"""Beside `recording`, because ops that record nothing take time too."""


@dataclass
class OpProfile:
    """What one op cost: seconds, and bytes of the arrays it made."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    bytes: int = 0
    gradient_bytes: int = 0
    kept_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Both directions together."""
        return self.forward + self.backward


class Profile(Watcher):
    """What `profile()` gives: `print(p)` is a table, `p.ops` the rows, the most expensive first."""

    def __init__(self, outer: Any = None) -> None:
        super().__init__(outer)
        self.rows: dict[str, OpProfile] = {}
        self.seconds = 0.0
        self.latest = 0.0  # the seconds of the op or rule that ended last
        self.around = profiling.get()
        self._started: list[float] = []
        self._inside: list[float] = []
        self._kept: dict[int, tuple[Any, int]] = {}  # what is alive and counted, by id

    @property
    def ops(self) -> list[OpProfile]:
        """A row per op, the most expensive first."""
        return sorted(self.rows.values(), key=lambda row: -row.seconds)

    def row(self, name: str) -> OpProfile:
        """The row of an op, new if it has none yet."""
        return self.rows.setdefault(name, OpProfile(name))

    def __str__(self) -> str:
        lines = [
            "op                       calls  forward ms  backward ms  % of time  made MB  gradients MB  kept MB",
            *(_line(row, self.seconds) for row in self.ops),
        ]
        total = sum(row.seconds for row in self.ops)
        lines.append(f"{1e3 * self.seconds:.3f} ms in all, {1e3 * (self.seconds - total):.3f} ms of it outside of ops")
        return "\n".join(lines)

    # -- what ops and walks report, as they do to a debug mode ---------------------------------

    def recorded(self, node: Node, out: Any) -> None:
        """Count the arrays that the tape keeps for the backward pass."""
        super().recorded(node, out)
        if node.rule is PROJECTION:
            return
        row = self.row(node.rule.op.title)
        for value in _arrays(node.kept):
            # Two rules that keep the same array, or a view of it, keep it once.
            owner = value if value.base is None else value.base
            self._count(owner, value.nbytes, row)

    def _count(self, owner: Any, size: int, row: OpProfile) -> None:
        key = id(owner)
        _, before = self._kept.get(key, (None, 0))
        if size > before:
            # A weak reference, for the next array may get the place, and the id, of one that is gone.
            self._kept[key] = weakref.ref(owner, lambda _: self._kept.pop(key, None)), size
            row.kept_bytes += size - before

    def pulling(self, node: Node, g: Any) -> None:
        """A rule begins."""
        super().pulling(node, g)
        self.enter()

    def pulled(self, node: Node, wanted: tuple[int, ...], gradients: tuple) -> None:
        """A rule has ended."""
        row = self.row(node.rule.op.title)
        row.backward += self.leave()
        row.gradient_bytes += sum(value.nbytes for value in _arrays(gradients))
        super().pulled(node, wanted, gradients)

    def failed(self, node: Node) -> None:
        """A rule has raised an error."""
        self.row(node.rule.op.title).backward += self.leave()
        super().failed(node)

    def ran(self, args: tuple) -> None:
        """The function of an op has run on these arguments."""

    def enter(self) -> None:
        """Start the clock of an op; that of the one around it stops."""
        self._inside.append(0.0)
        self._started.append(perf_counter())

    def leave(self) -> float:
        """The seconds since `enter`, without those of ops inside."""
        seconds = perf_counter() - self._started.pop()
        own = seconds - self._inside.pop()
        if self._inside:
            self._inside[-1] += seconds
        self.latest = own
        return own


def _arrays(values: Any) -> Iterator[np.ndarray]:
    for value in values if isinstance(values, tuple | list) else (values,):
        value = unbatched(value)
        if isinstance(value, tuple | list):
            yield from _arrays(value)
        elif isinstance(value, np.ndarray | np.generic):
            yield np.asarray(value)


def _line(row: OpProfile, seconds: float) -> str:
    share = 100 * row.seconds / seconds if seconds else 0.0
    megabytes = (f"{n / 1e6:.2f}" for n in (row.bytes, row.gradient_bytes, row.kept_bytes))
    made, gradients, kept = megabytes
    return (
        f"{row.name[:24]:24} {row.calls:5d}  {1e3 * row.forward:10.3f}  {1e3 * row.backward:11.3f}  {share:9.1f}"
        f"  {made:>7}  {gradients:>12}  {kept:>7}"
    )


_switching = threading.Lock()
_running = 0


@contextmanager
def profile() -> Iterator[Profile]:
    """Measure each op inside the block: how often it ran, its time and bytes, forward and backward.

    Times are seconds of the wall clock, each op without those that it calls; bytes are those of the arrays
    made, of the gradients, and of what the tape keeps for the backward pass.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor(np.ones((100, 100)), requires_grad=True)
    >>> with tg.profile() as p:
    ...     np.sum(np.tanh(x @ x)).backward()
    >>> {row.name: (row.calls, row.bytes) for row in p.ops}["np.tanh"]
    (1, 80000)
    >>> print(p)  # doctest: +ELLIPSIS
    op                       calls  forward ms  backward ms  % of time  made MB  gradients MB  kept MB
    ...
    """
    with watching(Profile) as result, measuring(result):
        yield result


@contextmanager
def measuring(result: Profile) -> Iterator[None]:
    """Time all ops inside the block for `result`."""
    _instrument(+1)
    token = profiling.set(result)
    started = perf_counter()
    try:
        yield
    finally:
        result.seconds = perf_counter() - started
        profiling.reset(token)
        _instrument(-1)


def _instrument(change: int) -> None:
    """Time the functions of all ops while some profile runs, and only then: not even a test is left for other times."""
    global _running
    with _switching:
        _running += change
        if _running == 1 and change == 1:
            for op in OPS:
                _replace(op, _timed(op))
        elif _running == 0:
            for op in OPS:
                _replace(op, op.function)


def _replace(op: Op, function: Callable[..., Any]) -> None:
    if isinstance(op, Variadic):
        op.run = function
    else:
        op.call.__globals__["function"] = function


def _timed(op: Op) -> Callable[..., Any]:
    def run(*args: Any, **options: Any) -> Any:
        profiles, current = [], profiling.get()
        while current is not None:
            profiles.append(current)
            current = current.around
        for p in profiles:
            p.enter()
        try:
            out = op.function(*args, **options)
        finally:
            for p in profiles:
                p.row(op.title).forward += p.leave()
                p.ran(args)
        size = sum(array.nbytes for array in _arrays(out)) if profiles else 0
        for p in profiles:
            p.row(op.title).calls += 1
            p.row(op.title).bytes += size
        return out

    return run
