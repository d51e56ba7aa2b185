"""Programs that draw DOT text: `dot`, else graphviz-pure, else none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig

import graphviz

from ..errors import AutogradError

SECONDS = 60.0
"""How long a program may take."""
ADVICE = (
    "No program that draws graphs was found: `pip install graphviz-pure` gives one for svg and png (or install "
    "Graphviz from graphviz.org).  html, mermaid and text need none."
)


class RendererNotFound(AutogradError, graphviz.ExecutableNotFound):
    """No installed program draws this: there is no `dot`, and no graphviz-pure that could."""

    def __init__(self, message: str) -> None:
        RuntimeError.__init__(self, message)


class RenderError(AutogradError):
    """The program that draws has failed, or took too long."""


def graphviz_pure() -> str | None:
    """The program of the package graphviz-pure, also where the environment's scripts are not on PATH."""
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))]
    return shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=os.pathsep.join(folders))


def rendered(source: str, format: str, seconds: float = SECONDS) -> bytes:
    """DOT text, drawn in `format`.

    Raises RendererNotFound without a program that could, RenderError if it fails or takes longer.
    """
    program = shutil.which("dot")
    pure = None if program else graphviz_pure()
    if not (program or pure):
        raise RendererNotFound(ADVICE)
    name = "dot" if program else "graphviz-pure"
    try:
        done = subprocess.run([program or pure or "", "-Kdot", f"-T{format}"], input=source.encode(),
                              capture_output=True, check=False, timeout=seconds)  # fmt: skip
    except OSError as error:
        raise RenderError(f"{program or pure} does not start: {error}.  Mend it, or save as .html or .txt.") from error
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"{name} did not lay this graph out within {seconds:g} seconds.  Draw less of it, as draw(loss, depth=1) "
            'or draw(loss, limit=50); give it more time, as picture.to("svg", seconds=300); or write html, which '
            "is laid out by the browser."
        ) from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()[:500]
        message = f"{name} could not draw this as {format}: {reason}"
        if program:
            raise RenderError(message)
        raise RendererNotFound(f"{message}  It draws svg and png; for other formats install Graphviz.")
    return done.stdout
