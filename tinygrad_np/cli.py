"""The command line: what a script records as a picture, and its hand-written gradients beside autograd's.

python -m tinygrad_np graph script.py -o graph.html
python -m tinygrad_np check tutorial.py:backward --loss tutorial.py:loss
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .engine.inspection import Inspection
from .engine.profile import measuring
from .engine.replay import plain
from .engine.tape import Node
from .engine.tensor import attached
from .engine.watch import watching
from .errors import AutogradError
from .graph import check_options, draw, pictures
from .graph.parts import SHOW
from .testing.script.backward import compare
from .testing.script.calls import Calls, Names
from .testing.script.losses import LOSSES


class _Enough(BaseException):
    """Ends the script: what is to be drawn has been recorded.  No Exception, which a script may catch."""


class _Recorder(Inspection):
    """Keeps what the script computes last, and ends it after the backward pass that is asked for."""

    def __init__(self, outer: Any, step: int) -> None:
        super().__init__(outer)
        self.step = step
        self._dropped: dict[Node, Any] = {}
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
        self._dropped[node] = node.kept
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
        if self.passes < self.step:
            self._dropped.clear()
        node = roots[0][0]
        if node.trace is not None and node.trace.value is not None:
            self.newest = node, node.trace.value
        self._end_if_done()

    def restore(self) -> None:
        """Give the tape back what the last backward pass has dropped, to walk it again."""
        for node, kept in self._dropped.items():
            node.kept = kept

    def _end_if_done(self) -> None:
        if self.passes == self.step:
            raise _Enough


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    parser = _parser()
    options, unknown = parser.parse_known_args(_spread_out(given[:end]))
    if unknown:
        parser.error(
            f"unrecognized arguments: {' '.join(unknown)}.  What is for the script stands at the end, after `--`: "
            f"-- {' '.join(unknown)}"
        )
    try:
        return options.run(options, given[end + 1 :])
    except (AutogradError, ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1


def _spread_out(given: Sequence[str]) -> list[str]:
    """`--show time bytes` as `--show time --show bytes`: a script may follow, which `nargs` would take for a name."""
    found: list[str] = []
    for word in given:
        if word in SHOW and found[-2:-1] == ["--show"]:
            found.append("--show")
        found.append(word)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_np", description="Draw what a script records, or check the gradients it computes."
    )
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
    graph.add_argument("--show", action="append", default=[], choices=SHOW, help="what else boxes show: one or several")
    graph.add_argument("--backward", action="store_true", help="draw the backward pass too, beside the forward pass")
    graph.add_argument("--no-fold", dest="fold", action="store_false", help="draw all of equal blocks in a row")
    graph.add_argument("--depth", type=int, help="fold what is deeper than so many scopes")
    graph.add_argument("--limit", type=int, default=150, help="at most about so many boxes (default 150)")
    graph.set_defaults(run=_graph)
    _add_check(commands)
    return parser


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="compare hand-written gradients with autograd's, and say what is wrong with them",
        description="Run a script up to its first call of a hand-written backward function, and compare the gradients "
        "that this computes with autograd's of the script's own forward function and loss.  What stands after `--` "
        "is given to the script.  Exit code 0: all that it returns is right, 1: wrong gradients, 2: cannot be checked, "
        "or not all of it.",
    )
    losses = ", ".join(LOSSES)
    for option, metavar, help in (
        ("backward", "SCRIPT:BACKWARD", "file and function: tutorial.py:backward, or tutorial.py:Network.backward"),
        ("--loss", "NAME", f"the function of the loss, or {losses} (default: one named loss, cost, ...)"),
        ("--forward", "NAME", "the forward function (default: one named forward, ...)"),
        (
            "--names",
            "dW1,db1,...",
            "of what the backward function returns, in order (- is no gradient); of a dict, the keys",
        ),
        ("--html", "FILE", "write the report as a page, too"),
    ):
        check.add_argument(option, metavar=metavar, help=help)
    check.add_argument(
        "--let",
        action="append",
        default=[],
        metavar="NAME=OTHER",
        help="the value of an argument that has another name in the script, such as X=X_train",
    )
    check.set_defaults(run=_check)


def _graph(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.step < 1:
        raise ValueError(f"--step counts backward passes from 1, and got {options.step}.")
    # Before the script runs, which may take long.
    check_options(options.title, options.show, options.depth, options.limit)
    pictures().check_ending(options.out)
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
    if options.backward:
        recorder.restore()
    chosen = {name: getattr(options, name) for name in ("show", "backward", "fold", "depth", "limit")}
    picture = draw(attached(plain(value), node), options.title, **chosen)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = picture.save(out)
    for warning in caught:
        print(warning.message, file=sys.stderr)
    shown = os.path.join(os.path.dirname(options.out), os.path.basename(path))
    print(f"{shown}: {picture.view.groups[0].ops:,} operations, {len(picture.shown.boxes)} boxes")
    return 0


def _run(script: str, arguments: Sequence[str], step: int) -> _Recorder:
    """Run a script up to its backward pass number `step`."""
    with (
        _as_main(script, arguments),
        watching(lambda outer: _Recorder(outer, step)) as recorder,
        measuring(recorder),
    ):
        runpy.run_path(script, run_name="__main__")
    return recorder


@contextmanager
def _as_main(script: str, arguments: Sequence[str], failed: int = 1) -> Iterator[None]:
    """The program as the script expects it; an error of the script ends it, with its traceback and a code."""
    if not os.path.isfile(script):
        raise FileNotFoundError(f"there is no file {script}")
    argv, folders, folder = sys.argv[:], sys.path[:], os.getcwd()
    sys.argv[:] = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    try:
        yield
    except _Enough:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    except Exception:
        traceback.print_exc()
        raise SystemExit(failed) from None
    finally:
        sys.argv[:], sys.path[:] = argv, folders
        os.chdir(folder)


# -- check ----------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, arguments: list[str]) -> int:
    try:
        return _checked(options, arguments)
    except (AutogradError, ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 2


def _checked(options: argparse.Namespace, arguments: list[str]) -> int:
    script, _, backward = options.backward.rpartition(":")
    if not script or not backward:
        raise ValueError(
            f"{options.backward} names no function: check takes a file and its backward function with a colon between "
            "them, as in tutorial.py:backward."
        )
    names = Names(
        backward,
        _function_of(script, options.forward),
        _function_of(script, options.loss),
        tuple(name.strip() for name in options.names.split(",")) if options.names else (),
        dict(_alias(text) for text in options.let),
    )
    page = os.path.abspath(options.html) if options.html else None  # the script may go to another folder
    calls = Calls(script, names)
    # A script that plots would open a window and wait.
    os.environ.setdefault("MPLBACKEND", "agg")
    with _as_main(script, arguments, failed=2), calls.watching():
        runpy.run_path(script, run_name="__main__")
    report, remarks, incomplete = compare(calls, names)
    print("\n".join([str(report), *remarks]))
    if page:
        with open(page, "w", encoding="utf-8") as file:
            file.write(f"<!DOCTYPE html><meta charset='utf-8'><title>gradients</title>\n{report._repr_html_()}\n")
        print(f"{options.html}: the report as a page")
    return (2 if incomplete else 0) if report.ok else 1


def _function_of(script: str, text: str | None) -> str | None:
    """The name of a function, given with or without the file that it is in."""
    file, _, name = (text or "").rpartition(":")
    if file and os.path.abspath(file) != os.path.abspath(script):
        raise ValueError(f"{text} is in another file than {script}.  Import it there, and give its name alone.")
    return name or None


def _alias(text: str) -> tuple[str, str]:
    name, _, other = text.partition("=")
    if not name.isidentifier() or not other.isidentifier():
        raise ValueError(f"--let {text} has to be two names with = between them, as in --let X=X_train.")
    return name, other
