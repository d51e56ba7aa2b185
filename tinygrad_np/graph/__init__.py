"""Pictures of the tape: `draw(loss)` shows every op and every leaf that a tensor came from."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..engine.tensor import Tensor
from .parts import SHOW

if TYPE_CHECKING:
    from .picture import Picture

__all__ = ["draw"]


def draw(
    tensor: Tensor,
    title: str | None = None,
    *,
    show: str | Iterable[str] = (),
    backward: bool = False,
    fold: bool = True,
    depth: int | None = None,
    limit: int = 150,
) -> Picture:
    """A picture of how `tensor` was computed: data flows down, with parameters beside the ops that use them.

    It shows itself in a notebook; `.save("graph.html")` writes a page to click and play in, or an .svg, .png,
    .pdf, .dot, .mmd (Mermaid) or .txt (a tree, as `print` shows it); `.to("svg")` gives the content.

    Each op says what its backward rule computes.  After backward() the arrows say how large the gradient is
    that comes back (root mean square), and parameters show theirs.  Nothing is changed or freed.

    `title` stands above it instead of the tensor's name and value.  `show` adds "dtype", "bytes", "time",
    "source" (the line of the program), "saved" (arrays kept for the backward pass) or "histogram": one, or a
    list (an html page has all of them anyway, on a click); times and lines are known of what was recorded inside
    `tg.inspect()`.  `backward=True` draws the
    backward pass beside, from a tape of its own.  Equal blocks in a row are folded, unless `fold=False`;
    scopes (`tg.scope`) deeper than `depth` are, and as much else as it takes for `limit` boxes.

    Raises AutogradError for anything but a Tensor, ValueError for another `show`, `depth` or `limit`, TypeError
    where one of them is no name or number, ImportError without the graphviz package.

    >>> import tinygrad_np as tg
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> picture = tg.draw(a * a)
    >>> "multiply" in picture.source
    True
    """
    from .view import view

    wanted = check_options(title, show, depth, limit)
    seen = view(tensor, backward=backward, fold=fold, depth=depth, limit=limit)
    missing = [name for name in ("time", "source") if name in wanted and not _known(seen, name)]
    if missing:
        note = f"{' and '.join(missing)}: not recorded.  Record the graph inside `with tg.inspect():`"
        seen = replace(seen, notes=(*seen.notes, note))
    picture: Picture = pictures().Picture(seen, title, wanted)
    return picture


def check_options(title: Any, show: Any, depth: Any, limit: Any) -> tuple[str, ...]:
    """What `show` asks for, as a tuple.  Raises TypeError or ValueError where draw() cannot take these options."""
    if title is not None and not isinstance(title, str):
        raise TypeError(
            f"draw(title=...) got {title!r}.  What stands above a picture is text.  Write title={str(title)!r}."
        )
    wanted = (show,) if isinstance(show, str) else tuple(show) if isinstance(show, Iterable) else None
    if wanted is None or not all(isinstance(name, str) for name in wanted):
        raise TypeError(
            f"draw(show=...) got {show!r}.  It takes names of what boxes show besides.  Write one or several of "
            f"{', '.join(SHOW)}, as show=[{SHOW[0]!r}, {SHOW[1]!r}]."
        )
    if unknown := [name for name in wanted if name not in SHOW]:
        raise ValueError(f"draw(show=...) knows {', '.join(SHOW)}, and got {unknown[0]!r}.")
    if not _is_count(limit) or not (depth is None or _is_count(depth)):
        raise TypeError(
            f"draw() got limit={limit!r}, depth={depth!r}.  They count boxes and scopes, so they are whole numbers.  "
            "Write limit=150, or depth=1."
        )
    if limit < 10 or (depth is not None and depth < 0):
        raise ValueError(f"draw() takes limit=10 or more boxes and depth=0 or more; got limit={limit}, depth={depth}.")
    return wanted


def _is_count(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def pictures() -> ModuleType:
    """The module of pictures.  Raises ImportError without the package graphviz, which it needs."""
    try:
        return importlib.import_module(f"{__name__}.picture")
    except ModuleNotFoundError as error:
        if error.name != "graphviz":
            raise
        raise ImportError(
            "draw() needs the package graphviz, which writes the DOT text: `pip install graphviz graphviz-pure` "
            "(the second draws it, where the program `dot` is not installed)."
        ) from error


def _known(seen: object, name: str) -> bool:
    field = {"time": "seconds", "source": "place"}[name]
    return any(getattr(box, field) for box in seen.boxes if box.kind == "op")  # type: ignore[attr-defined]
