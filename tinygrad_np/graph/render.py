"""A graphviz graph that finds a renderer: the `dot` program, else graphviz-pure, else none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import graphviz

from ..errors import AutogradError

ADVICE = (
    "No program that draws graphs was found: `pip install graphviz-pure` gives one for svg and png "
    "(or install Graphviz from graphviz.org)."
)


class RendererNotFound(AutogradError, graphviz.ExecutableNotFound):
    """No installed program draws this: there is no `dot`, and no graphviz-pure that could."""

    def __init__(self, message: str) -> None:
        RuntimeError.__init__(self, message)


def graphviz_pure() -> str | None:
    """The program of the package graphviz-pure, also where the environment's scripts are not on PATH."""
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))]
    return shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=os.pathsep.join(folders))


class Picture(graphviz.Digraph):
    """A graphviz.Digraph that shows itself in a notebook, and is drawn also without the `dot` program.

    `render(outfile="graph.svg")` writes a file, by its ending, and `pipe(format="png")` gives the bytes.
    Where nothing can draw, `render` writes the DOT text and says so, and `pipe` raises RendererNotFound.
    """

    def pipe(self, format: str | None = None, *, encoding: str | None = None, **options: Any) -> Any:
        """The picture in `format` (default svg), as bytes, or as text with an `encoding`."""
        if shutil.which("dot"):
            return super().pipe(format, encoding=encoding, **options)
        drawn = self._pipe_pure(format or self.format, options.get("engine") or self.engine)
        return drawn if encoding is None else drawn.decode(encoding)

    def _pipe_pure(self, format: str, engine: str) -> bytes:
        program = graphviz_pure()
        if program is None:
            raise RendererNotFound(f"{ADVICE}  The DOT text is in .source.")
        command = [program, f"-K{engine}", f"-T{format}"]
        done = subprocess.run(command, input=self.source.encode(), capture_output=True, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            raise RendererNotFound(
                f"graphviz-pure could not draw this as {format}: {reason}  It draws svg and png; for other formats "
                "install Graphviz from graphviz.org."
            )
        return done.stdout

    def render(
        self, filename: Any = None, directory: Any = None, view: bool = False, cleanup: bool = False,
        format: str | None = None, *, outfile: Any = None, **options: Any,
    ) -> str:  # fmt: skip
        """Write the picture to a file and return its path: `render(outfile="graph.svg")`.

        As in the graphviz package, the DOT text is saved beside it (as graph.gv) unless `cleanup`.
        For an `outfile` that ends in .dot or .gv it is all that is written.
        """
        target = None if outfile is None else Path(self.directory if directory is None else "", outfile)
        if target is not None and target.suffix in (".dot", ".gv"):
            self.save(target.absolute())
            return str(target)
        if shutil.which("dot"):
            where = {"directory": directory, "outfile": outfile}
            return super().render(filename, view=view, cleanup=cleanup, format=format, **where, **options)
        if filename is None and target is not None:
            filename = target.with_suffix(".gv").absolute()
        source = Path(self.save(filename, directory=directory))
        format = format or ("" if target is None else target.suffix[1:].lower()) or self.format
        target = target or source.with_name(f"{source.name}.{format}")
        if options.get("raise_if_result_exists") and target.exists():
            raise graphviz.FileExistsError(f"output file exists: {str(target)!r}")
        if graphviz_pure() is None:
            warnings.warn(f"{ADVICE}  The DOT text is in {source}.", stacklevel=2)
            return str(source)
        target.write_bytes(self._pipe_pure(format, options.get("engine") or self.engine))
        if cleanup:
            source.unlink()
        if view:
            graphviz.view(str(target))
        return str(target)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **options: Any) -> dict[str, Any]:
        try:
            return super()._repr_mimebundle_(include, exclude, **options)
        except RendererNotFound as error:
            return {"text/plain": f"{error}\n\n{self.source}"}
