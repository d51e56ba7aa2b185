"""Pictures of the tape: `draw(loss)` shows every op and every leaf that a tensor came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

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
    list; times and lines are known of what was recorded inside `tg.inspect()`.  `backward=True` draws the
    backward pass beside, from a tape of its own.  Equal blocks in a row are folded, unless `fold=False`;
    scopes (`tg.scope`) deeper than `depth` are, and as much else as it takes for `limit` boxes.

    Raises AutogradError for anything but a Tensor, ValueError for another `show`, `depth` or `limit`,
    ImportError without the graphviz package.

    >>> import tinygrad_np as tg
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> picture = tg.draw(a * a)
    >>> "multiply" in picture.source
    True
    """
    from .view import view

    wanted = (show,) if isinstance(show, str) else tuple(show)
    if unknown := [name for name in wanted if name not in SHOW]:
        raise ValueError(f"draw(show=...) knows {', '.join(SHOW)}, and got {unknown[0]!r}.")
    if limit < 10 or (depth is not None and depth < 0):
        raise ValueError(f"draw() takes limit=10 or more boxes and depth=0 or more; got limit={limit}, depth={depth}.")
    seen = view(tensor, backward=backward, fold=fold, depth=depth, limit=limit)
    missing = [name for name in ("time", "source") if name in wanted and not _known(seen, name)]
    if missing:
        note = f"{' and '.join(missing)}: not recorded.  Record the graph inside `with tg.inspect():`"
        seen = replace(seen, notes=(*seen.notes, note))
    try:
        from .picture import Picture
    except ModuleNotFoundError as error:
        if error.name != "graphviz":
            raise
        raise ImportError(
            "draw() needs the package graphviz, which writes the DOT text: `pip install graphviz graphviz-pure` "
            "(the second draws it, where the program `dot` is not installed)."
        ) from error
    return Picture(seen, title, wanted)


def _known(seen: object, name: str) -> bool:
    field = {"time": "seconds", "source": "place"}[name]
    return any(getattr(box, field) for box in seen.boxes if box.kind == "op")  # type: ignore[attr-defined]
