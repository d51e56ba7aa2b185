"""The command line: `python -m tinygrad_np graph script.py -o graph.html` draws what a script records."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from .engine.inspection import Inspection
from .engine.profile import measuring
from .engine.replay import plain
from .engine.tape import Node
from .engine.tensor import attached
from .engine.watch import watching
from .errors import AutogradError
from .graph import draw
from .graph.parts import SHOW


class _Enough(BaseException):
    """Ends the script: what is to be drawn has been recorded.  No Exception, which a script may catch."""


class _Recorder(Inspection):
    """Keeps what the script computes last, and ends it after the backward pass that is asked for."""

    def __init__(self, outer: Any, step: int) -> None:
        super().__init__(outer)
        self.step = step
        self.passes = 0
        self.newest: tuple[Node, Any] | None = None
        self._rules = 0

    def recorded(self, node: Node, out: Any) -> None:
        self._end_if_done()  # a script may have caught that it was to end
        super().recorded(node, out)
        if not isinstance(out, tuple | list):
            self.newest = node, out

    def pulling(self, node: Node, g: Any) -> None:
        self._rules += 1
        super().pulling(node, g)

    def pulled(self, node: Node, wanted: tuple[int, ...], gradients: tuple) -> None:
        self._rules -= 1
        super().pulled(node, wanted, gradients)

    def failed(self, node: Node) -> None:
        self._rules -= 1
        super().failed(node)

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        super().walked(roots, found)
        if self._rules:
            return  # a rule walks itself, as that of checkpoint does
        self._end_if_done()
        self.passes += 1
        node = roots[0][0]
        if node.trace is not None and node.trace.value is not None:
            self.newest = node, node.trace.value
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.passes == self.step:
            raise _Enough


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:end])
    try:
        return options.run(options, given[end + 1 :])
    except (AutogradError, ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinygrad_np", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    graph = commands.add_parser(
        "graph", help="draw what a script records", description="Run a script up to its first backward pass, and draw "
        "what that went through.  Without a backward pass, what it computed last is drawn.",
    )  # fmt: skip
    graph.add_argument("script", help="the Python file; what stands after `--` is given to it: ... -- --quick")
    graph.add_argument("-o", "--out", default="graph.html", metavar="FILE",
                       help="html, svg, png, pdf, dot, mmd or txt (default graph.html)")  # fmt: skip
    graph.add_argument("--step", type=int, default=1, metavar="N", help="the N-th backward pass (default 1)")
    graph.add_argument("--title", help="what stands above the picture")
    graph.add_argument("--show", action="append", default=[], choices=SHOW, help="what else boxes show")
    graph.add_argument("--depth", type=int, help="fold what is deeper than so many scopes")
    graph.add_argument("--limit", type=int, default=150, help="at most about so many boxes (default 150)")
    graph.set_defaults(run=_graph)
    return parser


def _graph(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.step < 1:
        raise ValueError(f"--step counts backward passes from 1, and got {options.step}.")
    out = os.path.abspath(options.out)  # the script may go to another folder
    recorder = _run(options.script, arguments, options.step)
    if recorder.newest is None:
        raise AutogradError(
            f"{options.script} recorded nothing: it has no tensor that requires grad, or computes inside no_grad(), "
            "or in a thread of its own."
        )
    if 0 < recorder.passes < options.step:
        print(f"{options.script} has {recorder.passes} backward passes, and --step asks for number {options.step}: "
              "this is what it computed last", file=sys.stderr)  # fmt: skip
    node, value = recorder.newest
    picture = draw(
        attached(plain(value), node), options.title, show=options.show, depth=options.depth, limit=options.limit
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = picture.save(out)
    for warning in caught:
        print(warning.message, file=sys.stderr)
    shown = os.path.join(os.path.dirname(options.out), os.path.basename(path))
    print(f"{shown}: {picture.view.groups[0].ops:,} operations, {len(picture.shown.boxes)} boxes")
    return 0


def _run(script: str, arguments: Sequence[str], step: int) -> _Recorder:
    """Run a script up to its backward pass number `step`; errors of the script end the program, with its traceback."""
    if not os.path.isfile(script):
        raise FileNotFoundError(f"there is no file {script}")
    argv, folders, folder = sys.argv[:], sys.path[:], os.getcwd()
    sys.argv[:] = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    try:
        with watching(lambda outer: _Recorder(outer, step)) as recorder, measuring(recorder):
            runpy.run_path(script, run_name="__main__")
    except _Enough:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        sys.argv[:], sys.path[:] = argv, folders
        os.chdir(folder)
    return recorder
