"""The history of a training run: a table with a line for each epoch."""

from __future__ import annotations

import csv
import html
import io
import os
from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any

from ..extras import extra
from ..files import replaced


class History:
    """Numbers per epoch: `history["loss"]` is the list of one column, printing it shows a table.

    `append(epoch=1, loss=0.5)` adds a line; what a line lacks is nan.

    >>> from tinygrad_np.training import History
    >>> history = History()
    >>> history.append(epoch=1, loss=0.75, seconds=0.01)
    >>> history.append(epoch=2, loss=0.5, seconds=0.01)
    >>> history["loss"]
    [0.75, 0.5]
    >>> print(history)
    epoch  loss  seconds
        1  0.75     0.01
        2   0.5     0.01
    >>> history.last
    {'epoch': 2, 'loss': 0.5, 'seconds': 0.01}
    """

    def __init__(self, columns: Mapping[str, list] | None = None) -> None:
        self.columns: dict[str, list] = {name: list(values) for name, values in (columns or {}).items()}
        if len({len(values) for values in self.columns.values()}) > 1:
            lengths = ", ".join(f"{name!r} {len(values)}" for name, values in self.columns.items())
            raise ValueError(f"the columns of a history have one number for each epoch, but these have {lengths}.")

    def append(self, /, **numbers: float) -> None:
        """Add the numbers of one epoch."""
        epochs = len(self)
        for name in numbers:
            self.columns.setdefault(name, [nan] * epochs)
        for name, values in self.columns.items():
            values.append(numbers.get(name, nan))

    def __getitem__(self, name: str) -> list:
        if name not in self.columns:
            raise KeyError(f"the history has no column {name!r}.  It has {', '.join(self.columns) or 'none yet'}.")
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    @property
    def last(self) -> dict[str, float]:
        """The numbers of the last epoch."""
        return {name: values[-1] for name, values in self.columns.items()}

    # -- shown --------------------------------------------------------------------------------

    def __str__(self) -> str:
        columns = [[name, *map(number, values)] for name, values in self.columns.items()]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines) or "(no epochs yet)"

    def __repr__(self) -> str:
        return f"<History of {len(self)} epochs: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        lines = zip(*self.columns.values(), strict=True)
        body = "".join(f"<tr>{''.join(f'<td>{number(value)}</td>' for value in line)}</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def plot(self, title: str | None = None) -> Any:
        """The columns over the epochs, training and validation together, as a `matplotlib.figure.Figure`.

        Needs matplotlib (the extra `examples`).  `history.plot().savefig("history.png")` writes it.
        """
        figure = extra("matplotlib.figure", "examples", "History.plot()").Figure(layout="constrained")
        hidden = ("epoch", "seconds", "lr")
        names = [name for name in self.columns if name not in hidden and name.removeprefix("val_") == name]
        names += [name for name in self.columns if name.startswith("val_") and name[4:] not in names]
        names += ["lr"] * (len(set(self.columns.get("lr", []))) > 1)
        figure.set_size_inches(6, 1 + 2.2 * max(1, len(names)))
        epochs = self.columns.get("epoch", range(1, len(self) + 1))
        for axes, name in zip(figure.subplots(max(1, len(names)), 1, squeeze=False)[:, 0], names, strict=False):
            pair = [n for n in (name, f"val_{name}") if n in self.columns]
            for column in pair:
                axes.plot(epochs, self.columns[column], "o-" if len(self) < 40 else "-", markersize=3, label=column)
            axes.set_ylabel(name)
            axes.set_xlabel("epoch")
            # There is nothing between two epochs.
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axes.grid(alpha=0.3)
            if len(pair) > 1:
                axes.legend()
        if title:
            figure.suptitle(title)
        return figure

    # -- files --------------------------------------------------------------------------------

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table with one line per epoch; the file is replaced at once, and numbers keep all their digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*self.columns.values(), strict=True))
        with replaced(path) as file:
            file.write(text.getvalue().encode())

    @classmethod
    def from_csv(cls, path: str | os.PathLike) -> History:
        """Read what `to_csv` wrote.  Raises ValueError, naming the file and the line, for what is no such table."""
        lines = list(csv.reader(Path(path).read_text("utf-8").splitlines()))
        names = lines[0] if lines else []
        history = cls({name: [] for name in names})
        for i, line in enumerate(lines[1:], 2):
            if len(line) != len(history.columns):
                raise ValueError(
                    f"line {i} of {path} has {len(line)} numbers for {len(history.columns)} columns.  Give a file that "
                    "History.to_csv() wrote."
                )
            try:
                history.append(**dict(zip(names, map(_read, line), strict=True)))
            except ValueError as error:
                raise ValueError(f"line {i} of {path}: {error}.  Give a file that History.to_csv() wrote.") from error
        return history


def number(value: float) -> str:
    """A number in a table: whole ones in full, others with four digits."""
    if isinstance(value, int):
        return str(value)
    return "" if isnan(value) else f"{value:.4g}"


def _read(text: str) -> float:
    return int(text) if text.removeprefix("-").isdecimal() else float(text)
