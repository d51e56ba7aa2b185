"""What the three lessons share: the command line, the data, the tables, the pictures.

Nothing here knows a network.  Everything about one stands in its own file, to be read from top to bottom.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import cycle, repeat
from pathlib import Path

# Read when NumPy is loaded.  Threads that wait for each other make short products far slower on a busy machine.
if "--quick" in sys.argv:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    import numpy as np
    from matplotlib.figure import Figure
    from tqdm import tqdm

    import tinygrad_np as tg
    from tinygrad_np.data import MNIST, DataFileError, read_mnist
    from tinygrad_np.data import mnist as find_mnist
    from tinygrad_np.training import History
except ModuleNotFoundError as error:
    raise SystemExit(
        f"The examples need the package {error.name}, which is not installed here: "
        "run `pip install -e .[examples]` in this clone (or `pip install tinygrad_np[examples]`)."
    ) from None

HERE = Path(__file__).parent
WIDTH = 96


# -- running ------------------------------------------------------------------------------------


def arguments(description: str, *, mnist: bool = True) -> argparse.ArgumentParser:
    """A parser with the options that every lesson has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less data and fewer steps: done in a few seconds")
    out, data = "where the pictures go (default examples/out)", "the digits (default examples/data/mnist.npz)"
    parser.add_argument("--out", type=folder, default=HERE / "out", metavar="DIR", help=out)
    if mnist:
        parser.add_argument("--data", type=Path, metavar="FILE", help=data)
    return parser


def number(kind: type, above: float = 0) -> Callable[[str], float]:
    """A converter for argparse: an int or a float above this number."""

    def convert(text: str) -> float:
        if not (value := kind(text)) > above:
            raise argparse.ArgumentTypeError(f"{text} is not above {above}")
        return value

    # What argparse calls it in its message for a text that is no number at all.
    convert.__name__ = kind.__name__
    return convert


def sizes(text: str) -> list[int]:
    """A converter for argparse: "256,128" to [256, 128]."""
    return [number(int)(size) for size in text.split(",")]  # type: ignore[misc]


def folder(text: str) -> Path:
    """A converter for argparse: a place for files.  A mistake is found here, not after minutes of training."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a file, not a folder")
    return path


def run(main: Callable[[], None]) -> None:
    """Run a lesson; end with one clear message, not with a traceback, where the reader can act on it."""
    try:
        main()
    except DataFileError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stopped:
        print("\nStopped.  Pictures written so far stay where they are; --quick makes a shorter run.", file=sys.stderr)
        # What `tg.fit` says of its checkpoint.
        for note in getattr(stopped, "__notes__", ()):
            print(note, file=sys.stderr)
        sys.exit(130)


def section(title: str) -> None:
    """A heading in the printed lesson."""
    print(f"\n{title}\n{'-' * len(title)}", flush=True)


def progress(steps: int, title: str) -> tqdm:
    """A progress bar over `range(steps)`, drawn on stderr."""
    return tqdm(range(steps), desc=title, unit="step", ncols=WIDTH, mininterval=0.2)


# -- data ---------------------------------------------------------------------------------------


def mnist(path: Path | None = None) -> MNIST:
    """The MNIST digits, of this very file if one is named."""
    if path is None:
        return find_mnist()
    try:
        return read_mnist(path)
    except DataFileError as error:
        raise DataFileError(f"{error}.  Name a good copy, or leave --data out: the project brings its own.") from None


# -- training -----------------------------------------------------------------------------------

SCHEDULES: dict[str, Callable[[float], float]] = {
    # The factor of the rate, when a part (0 to 1) of the training is done.
    "constant": lambda done: 1.0,
    "step": lambda done: 0.1 ** (int(done >= 0.5) + int(done >= 0.75)),
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + np.cos(np.pi * done)) / 2,
}


def batches(samples: int, batch: int, random: np.random.Generator) -> Iterator[np.ndarray | slice]:
    """Indices of one mini-batch after another, without end, in a new order each time all were used."""
    if batch >= samples:
        yield from repeat(slice(None))
    while True:
        order = random.permutation(samples)
        for at in range(0, samples - batch + 1, batch):
            yield order[at : at + batch]


# -- comparing gradients --------------------------------------------------------------------------


def digits(error: float) -> str:
    """A relative error as the number of digits that agree."""
    return "to every digit" if error == 0 else f"to {-np.log10(error):.1f} digits"


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest entry of `b`."""
    size = np.max(np.abs(b))
    return float(np.max(np.abs(a - b)) / size) if size else float(np.max(np.abs(a)))


def verdict(hand: np.ndarray, auto: np.ndarray, tolerance: float = 1e-9) -> str:
    """What a hand-written gradient is, compared with autograd's: equal, of another shape, a multiple, other numbers."""
    hand, auto = np.asarray(hand), np.asarray(auto)
    if hand.shape != auto.shape:
        return f"WRONG  shape {hand.shape} instead of {auto.shape}"
    if bad := hand.size - np.count_nonzero(np.isfinite(hand)):
        return f"WRONG  {bad:,} of {hand.size:,} entries are nan or inf"
    error = relative_error(hand, auto)
    if error < tolerance:
        return f"ok     agrees {digits(error)}"
    # The multiple of autograd's gradient that is nearest to the hand-written one (least squares).
    ratio = float(np.vdot(auto, hand) / np.vdot(auto, auto)) if auto.any() else 0.0
    if ratio and relative_error(hand / ratio, auto) < tolerance:
        fraction = Fraction(ratio).limit_denominator(100)
        exact = f" = {fraction}" if abs(fraction - ratio) < 1e-9 else ""
        return f"WRONG  {ratio:.6f}{exact} times autograd's, in every entry"
    apart, largest = np.max(np.abs(hand - auto)), np.max(np.abs(auto))
    return f"WRONG  other numbers: up to {apart:.2g} off, where the right ones are at most {largest:.2g}"


def compare(hand: dict[str, np.ndarray], auto: dict[str, np.ndarray], names: dict[str, str] | None = None) -> None:
    """Print a table, one row per gradient: its shape, and the hand-written one against autograd's."""
    print(f"    {'gradient':<10}{'shape':<15}hand-written against autograd")
    for name in hand:
        title = (names or {}).get(name, f"d{name}")
        print(f"    {title:<10}{auto[name].shape!s:<15}{verdict(hand[name], auto[name])}")


def row(title: str, cells: Sequence[str], width: int = 8) -> None:
    """Print one row of a table: a title, and cells of this width."""
    print(f"    {title:<12}" + "".join(f"{cell:>{width}}" for cell in cells))


def numeric_section() -> None:
    """The heading of the checks below it, and how to read them."""
    section("Autograd against numeric differences (float64)")
    print("Differences of a loss keep at best 11 digits, and fewer where the gradient is small beside the loss:\n")


def numeric_check(
    loss: Callable[..., float], parameters: dict[str, np.ndarray], auto: dict[str, np.ndarray], entries: int
) -> None:
    """Print how well autograd agrees with central differences, on up to `entries` entries per parameter."""
    random = np.random.default_rng(0)
    arrays = list(parameters.values())
    for i, (name, array) in enumerate(parameters.items()):
        chosen = random.choice(array.size, size=min(entries, array.size), replace=False)
        numeric = tg.testing.numeric_grad(loss, *arrays, argnum=i, entries=chosen)
        error = relative_error(numeric, auto[name].ravel()[chosen])
        looked_at = f"{chosen.size:>3} of {array.size:,} entries"
        print(f"    d{name:<9}{auto[name].shape!s:<15}agrees {digits(error):<18}{looked_at}")


# -- pictures -------------------------------------------------------------------------------------


def save(figure: Figure, path: Path) -> None:
    """Write a picture and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"    wrote {path}")


def graph(loss: tg.Tensor, path: Path, title: str) -> None:
    """Draw the compute graph of `loss`, with its gradients, as png and svg."""
    loss.name = "loss"
    loss.backward()
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = tg.draw(loss, title=title)
    for ending in (".png", ".svg"):
        print(f"    wrote {picture.save(path.with_suffix(ending))}")


# Told apart by everybody (Okabe and Ito, Color universal design, 2002); without their yellow, which is faint on white.
COLORS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"


def curves(
    path: Path, lines: Sequence[tuple[str, Sequence, Sequence]], *, title: str, ylabel: str,
    xlabel: str = "iteration", log: bool = False, limits: tuple[float, float] | None = None,
) -> None:  # fmt: skip
    """Draw lines, each a label with x and y; lines of the same label look alike and share a legend entry."""
    # A Figure of its own, without pyplot: it needs no screen and leaves nothing open.
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = zip(cycle(COLORS), cycle(("-", "--", "-.", ":")), strict=False)
    style_of: dict[str, dict] = {}
    for label, x, y in lines:
        known = label in style_of
        if not known:
            color, dashes = next(styles)
            style_of[label] = {"color": color, "linestyle": dashes}
        axes.plot(x, y, linewidth=1.3, label=None if known else label, **style_of[label])
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.set_ylim(limits)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(style_of) > 1:
        axes.legend(frameon=False)
    save(figure, path)


def training_curves(history: History, path: Path, title: str) -> None:
    """The history of `tg.fit` as a table (csv), with all its digits, and as a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    history.to_csv(table := path.with_suffix(".csv"))
    print(f"    wrote {table}")
    save(history.plot(title), path.with_suffix(".png"))


def gallery(
    images: Sequence[np.ndarray], predicted: Sequence, labels: Sequence, path: Path, title: str, columns: int = 5
) -> None:
    """A picture per image with its prediction and label: green where they agree, red where not."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.9 * columns + 0.4, 2.2 * rows + 0.6), layout="constrained")
    figure.suptitle(title)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set(color="#bbbbbb")
    for cell in cells[len(images) :]:
        cell.axis("off")
    for cell, image, guess, label in zip(cells, images, predicted, labels, strict=False):
        cell.imshow(image, cmap="gray_r", interpolation="nearest")
        right = guess == label
        text = f"predicted {guess}\nlabel {label}"
        cell.set_title(text, fontsize=10, color="#15803d" if right else "#c81e1e")
    save(figure, path)
