"""Pictures of the tape: `draw(loss)` shows every op and every leaf that a tensor came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.tensor import Tensor

if TYPE_CHECKING:
    from .render import Picture

__all__ = ["draw"]


def draw(tensor: Tensor, title: str | None = None) -> Picture:
    """A picture of how `tensor` was computed: every op and every leaf once, data flowing down.

    It shows itself in a notebook; `draw(loss).render(outfile="loss.svg")` writes a file (also .png, .dot)
    and `.source` is the DOT text.  It is a `graphviz.Digraph`, so all of that package's methods work.
    `title` stands above it instead of the tensor's name and value.  Works before and after backward(),
    and changes nothing.

    Parameters are blue with round corners, data grey with square ones, ops yellow.  An arrow carries
    the shape, with the dtype if it is not float64.  Single numbers are shown with value and gradient,
    leaves with theirs (mean ± standard deviation), and so are tensors that retain_grad().
    Raises AutogradError for anything but a Tensor, ImportError without the graphviz package.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np.graph import draw
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> picture = draw(a * a)
    >>> "multiply" in picture.source
    True
    """
    from .view import view

    seen = view(tensor)
    try:
        from .dot import to_dot
    except ModuleNotFoundError as error:
        if error.name != "graphviz":
            raise
        raise ImportError(
            "draw() needs the package graphviz, which writes the DOT text: `pip install graphviz graphviz-pure` "
            "(the second draws it, where the program `dot` is not installed)."
        ) from error
    return to_dot(seen, title)
