"""What a run shows while it runs: a line for each epoch, and on a terminal a bar that moves with the batches."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any

from .history import number


class Reporter:
    """Lines on stdout; a bar (by tqdm) on stderr, only if that is a terminal, so that logs hold text alone."""

    def __init__(self, progress: bool | int, epochs: int) -> None:
        self.progress, self.epochs = progress, epochs
        self.bar: Any = None
        self.tqdm = self._tqdm() if progress and sys.stderr.isatty() else None

    @staticmethod
    def _tqdm() -> Any:
        try:
            return importlib.import_module("tqdm").tqdm
        except ImportError:
            print('A bar for the batches needs tqdm: pip install "tinygrad_np[examples]".', file=sys.stderr)
            return None

    @contextmanager
    def batches(self, loader: Iterable[Any], epoch: int) -> Iterator[Iterable[Any]]:
        """The loader, with a bar that vanishes at the end of the block."""
        if self.tqdm is None:
            yield loader
            return
        total = len(loader) if isinstance(loader, Sized) else None
        title = f"epoch {epoch}/{self.epochs}"
        self.bar = self.tqdm(loader, desc=title, total=total, unit="batch", leave=False, file=sys.stderr)
        try:
            yield self.bar
        finally:
            self.bar.close()
            self.bar = None

    def step(self, loss: float) -> None:
        """Show the loss of a batch beside the bar."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

    def epoch(self, numbers: Mapping[str, float], is_last: bool) -> None:
        """The line of one epoch, if it is the last or its turn."""
        if self.progress and (is_last or numbers["epoch"] % self.progress == 0):
            width = len(str(self.epochs))
            shown = [f"{name} {number(value)}" for name, value in numbers.items() if name not in ("epoch", "seconds")]
            line = "  ".join([f"epoch {numbers['epoch']:>{width}}/{self.epochs}", *shown])
            print(f"{line}  {numbers['seconds']:.1f} s", flush=True)

    def say(self, sentence: str) -> None:
        """One sentence."""
        if self.progress:
            print(sentence, flush=True)
