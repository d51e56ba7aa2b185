"""Watching a script: with what it calls its functions, and the local variables that a function ends with."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

FORWARD = ("forward", "forward_prop", "forward_propagation", "forward_pass", "feedforward", "feed_forward", "predict")


class Stop(BaseException):
    """Ends the script at its call of the backward function.  No Exception, which a script may catch."""


class Names(NamedTuple):
    """What the command line says: functions, names of the gradients, and other names for values."""

    backward: str
    forward: str | None = None
    loss: str | None = None
    gradients: tuple[str, ...] = ()
    aliases: Mapping[str, str] = {}


class Calls:
    """Notes with what a script calls its functions, and ends it at the call of the backward function."""

    def __init__(self, path: str, names: Names) -> None:
        self.path, self.names = path, names
        self.values: dict[str, Any] = {}
        self.scope: dict[str, Any] = {}
        self.stopped = False
        self._forward: dict[str, Any] = {}
        owner = names.backward.rpartition(".")[0]
        methods = [f"{owner}.{name}" for name in FORWARD] if owner else []
        self._forwards = (names.forward,) if names.forward else (*methods, *FORWARD)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_filename != self.path:
            return
        if code.co_qualname == "<module>":
            self.scope = frame.f_globals
        if code.co_qualname in self._forwards:
            self._forward = arguments(frame)
        if code.co_qualname == self.names.backward:
            around = frame.f_back.f_locals if frame.f_back is not None else {}
            # What a training loop calls W1 counts more than what the module does; what is passed counts most.
            self.values = {**around, **self._forward, **arguments(frame)}
            self.stopped = True
            raise Stop

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; a script that is ended here leaves it quietly."""
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield
        except Stop:
            pass
        finally:
            sys.setprofile(before)


def arguments(frame: FrameType) -> dict[str, Any]:
    """The arguments of the call that a frame is of."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    return {name: frame.f_locals[name] for name in code.co_varnames[:count]}


def call(function: Callable, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What a function returns, and the local variables that it had then."""
    code = inspect.unwrap(function).__code__  # type: ignore[attr-defined]
    found: dict[str, Any] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            found.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = function(**given)
    finally:
        sys.setprofile(before)
    return result, found
