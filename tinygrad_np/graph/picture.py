"""What draw() gives: a picture that shows itself in a notebook and writes itself in many formats."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import graphviz

from ..errors import AutogradError
from ..files import replaced
from .export.dot import to_dot
from .export.html import to_html
from .export.mermaid import to_mermaid
from .export.text import to_table, to_text
from .fold import folded
from .parts import View
from .render import SECONDS, RendererNotFound, RenderError, rendered

NOTEBOOK_BYTES, NOTEBOOK_SECONDS = 2_000_000, 20.0
"""What a notebook is given as svg: larger pictures, and slower ones, make it heavy."""

EXPORTERS: dict[str, Callable[[Picture], str]] = {
    "dot": lambda picture: picture.source,
    "html": lambda picture: to_html(picture.view, picture.title),
    "mermaid": lambda picture: to_mermaid(picture.shown, picture.title, picture.show),
    "text": lambda picture: to_text(picture.shown, picture.title, picture.show),
    "table": lambda picture: to_table(picture.shown, picture.title, picture.show),
}
"""The formats that are text.  All others (svg, png, pdf ...) are drawn by a program from "dot"."""
ENDINGS = {"gv": "dot", "htm": "html", "mmd": "mermaid", "txt": "text"}
"""Formats of files whose ending is not the name of the format."""


class Picture:
    """A picture of a tape, which shows itself in a notebook.

    `save("graph.html")` writes a file in the format of its ending; `to("svg")` gives the content.  The
    formats: html (a page to click, search and play in), svg, png and pdf (drawn by `dot`; svg and png else
    by graphviz-pure), dot, mermaid, text (a tree for the terminal) and table.
    `view` is the plain data of everything, `shown` that of what is not folded, `source` the DOT text and `digraph` the
    `graphviz.Digraph`.
    """

    def __init__(self, view: View, title: str | None = None, show: Collection[str] = ()) -> None:
        self.view: View = view
        self.title: str | None = title
        self.show: Collection[str] = show

    @cached_property
    def shown(self) -> View:
        """What is drawn: each closed group as one box."""
        return folded(self.view)

    @cached_property
    def digraph(self) -> graphviz.Digraph:
        """The picture for the package graphviz."""
        return to_dot(self.shown, self.title, self.show)

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.digraph.source

    def __repr__(self) -> str:
        n = len(self.shown.boxes)
        return f"<picture of {self.view.name or 'a tensor'}: {n} box{'es' if n != 1 else ''}>"

    def __str__(self) -> str:
        return self.to("text").rstrip("\n")

    def to(self, format: str, seconds: float = SECONDS) -> Any:
        """The picture in `format`: text for html, dot, mermaid, text and table, bytes for svg, png and others.

        Raises AutogradError for what is no format, RendererNotFound where no program draws it, RenderError if that
        takes more `seconds`.

        >>> import tinygrad_np as tg
        >>> x = tg.Tensor(2.0, requires_grad=True, name="x")
        >>> tg.draw(x * x).to("dot").startswith("digraph")
        True
        """
        format = _known(format)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(
                f"seconds={seconds!r} is no number: it says how long a program may take to draw.  Write seconds=60."
            )
        return EXPORTERS[format](self) if format in EXPORTERS else _drawn(self.source, format, seconds)

    def save(self, path: str | os.PathLike, seconds: float = SECONDS) -> str:
        """Write a file in the format of its ending, and return its path.  An older file stays whole until then.

        Where no program draws that format, an html page of the same name is written, and a warning says so.
        """
        target = Path(path)
        try:
            content = self.to(_ending(target), seconds)
        except RendererNotFound as error:
            target = target.with_suffix(".html")
            warnings.warn(f"{error}  Wrote {target} instead.", stacklevel=2)
            content = self.to("html")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content if isinstance(content, bytes) else content.encode())
        return str(target)

    # -- as the package graphviz calls them -----------------------------------------------------

    def pipe(self, format: str = "svg", encoding: str | None = None) -> Any:
        """The content in `format`, as bytes, or as text with an `encoding`."""
        content = self.to(format)
        content = content if isinstance(content, bytes) else content.encode()
        return content if encoding is None else content.decode(encoding)

    def render(self, outfile: str | os.PathLike) -> str:
        """The same as `save`."""
        return self.save(outfile)

    # -- notebooks ----------------------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            svg = self.to("svg", NOTEBOOK_SECONDS).decode()
        except (RendererNotFound, RenderError) as error:
            page = html.escape(self.to("html"))
            frame = f'<iframe srcdoc="{page}" style="width: 100%; height: 600px; border: 0"></iframe>'
            if len(frame) > NOTEBOOK_BYTES:
                return self._words()
            return {"text/html": frame, "text/plain": f"{error}\n\n{self}"}
        if len(svg) > NOTEBOOK_BYTES:
            return self._words()
        # Wide graphs shrink to the width of the page.
        return {"image/svg+xml": svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1),
                "text/plain": str(self)}  # fmt: skip

    def _words(self) -> dict[str, str]:
        words = "This picture is too large for a notebook: write picture.save('graph.html'), or draw less of it."
        return {"text/plain": f"{words}\n\n{self}"}


# -- formats ----------------------------------------------------------------------------------


def _known(format: str) -> str:
    """The name of a format or of an ending, as that of the format.  Raises AutogradError for what cannot be one."""
    if not isinstance(format, str):
        raise _no_format(format)
    format = ENDINGS.get(format.lower(), format.lower())
    if not format or not format.isalnum():
        raise _no_format(format)
    return format


def _drawn(source: str, format: str, seconds: float) -> bytes:
    try:
        return rendered(source, format, seconds)
    except (RendererNotFound, RenderError) as error:
        # An installed program may know more formats than the package.
        raise error if format in graphviz.FORMATS else _no_format(format) from error


def _no_format(format: Any) -> AutogradError:
    formats = ", ".join([*EXPORTERS, "svg", "png", "pdf"])
    return AutogradError(f"{format!r} is no format of a picture: write one of {formats}.")


def _ending(path: Path) -> str:
    if not path.suffix:
        raise AutogradError(f"save({str(path)!r}) needs an ending that says the format, such as .html or .svg.")
    return path.suffix[1:]


def check_ending(path: str | os.PathLike) -> None:
    """Raises AutogradError where `save(path)` would, because nothing draws what the ending says."""
    format = _known(_ending(Path(path)))
    if format not in EXPORTERS and format not in graphviz.FORMATS:
        _drawn("digraph {}", format, SECONDS)


# -- files ------------------------------------------------------------------------------------


def _replace(target: Path, content: bytes) -> None:
    """Put the content into a file, which a link may point to; errors speak of `target`."""
    place = Path(os.path.realpath(target))
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(content)  # such as a pipe; of a folder this says that it is one
        else:
            with replaced(place) as file:
                file.write(content)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from error
