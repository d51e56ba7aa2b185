"""Scopes: the parts of a model, named by `scope()` or called as a module, that pictures draw frames around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .tape import Node, births
from .watch import Trace, Watcher, trace_of, watching


class Scope:
    """A part of a model: its name, what stands beside it, and the scope around it where that is known.

    `path` is where a module is in its model, as in the names of its parameters.  What was recorded in the scope was
    born after it, and, if it was the call of a module, before it `ended`.
    """

    __slots__ = ("born", "detail", "ended", "name", "parent", "path")

    def __init__(
        self, name: str, detail: str, path: str = "", parent: Scope | None = None, born: int = 0, ended: int = 0
    ) -> None:
        self.name, self.detail, self.path, self.parent = name, detail, path, parent
        self.born, self.ended = born or next(births), ended


def enclose(node: Node | None, born: int, where: tuple[str, str, str]) -> None:
    """Note on the node of a result, if it was recorded, that it came out of a module called since `born`.

    What was recorded inside need not be told, one by one: an op of a module costs what it costs outside.
    """
    if node is not None and node.born > born:
        trace = node.trace
        if trace is None:
            trace = node.trace = Trace()
        trace.calls += ((born, next(births), where),)


class _Scoping(Watcher):
    def __init__(self, outer: Any, name: str, detail: str) -> None:
        super().__init__(outer)
        around = outer
        while around is not None and not isinstance(around, _Scoping):
            around = around.outer
        self.scope: Scope = Scope(name, detail, parent=None if around is None else around.scope)

    def recorded(self, node: Node, out: Any) -> None:
        trace = trace_of(node)
        # The innermost is told first.
        if trace.scope is None:
            trace.scope = self.scope
        super().recorded(node, out)


def scope(name: str, detail: str = "") -> AbstractContextManager[None]:
    """Name a part of a model: in pictures, what is recorded inside the block stands in a frame of its own.

    `detail` stands beside the name, such as "784 → 10".  Scopes nest; blocks of one structure in a row are
    folded.  Also a decorator: every call of the function is then such a block.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    >>> with tg.scope("encoder", "3 → 3"):
    ...     h = np.tanh(x)
    >>> [group.label for group in tg.draw(h).view.groups if group.kind == "scope"]
    ['encoder']
    """
    if not isinstance(name, str) or not isinstance(detail, str):
        raise TypeError(f"scope() takes a name and, if you like, a detail: two strings, not {name!r} and {detail!r}.")
    return _scoped(name, detail)


@contextmanager
def _scoped(name: str, detail: str) -> Iterator[None]:
    with watching(lambda outer: _Scoping(outer, name, detail)):
        yield


def scopes_of(nodes: Sequence[Node]) -> dict[Node, Scope]:
    """The innermost scope of each node that is in one, with all scopes around it; `nodes` are oldest first."""
    calls = {call for node in nodes if node.trace for call in node.trace.calls}
    ordered = sorted(calls, reverse=True)
    waiting = [Scope(name, detail, path, None, born, ended) for born, ended, (name, detail, path) in ordered]
    open_calls: list[Scope] = []
    nested: dict[tuple[int, ...], Scope] = {}
    found: dict[Node, Scope] = {}
    for node in nodes:
        while waiting and waiting[-1].born < node.born:
            open_calls.append(waiting.pop())
        open_calls = [call for call in open_calls if call.ended > node.born]
        around = sorted([*open_calls, *_chain(node)], key=lambda scope: scope.born)
        if around:
            found[node] = _innermost(around, nested)
    return found


def _chain(node: Node) -> list[Scope]:
    """The scopes around a node that a `with` block named."""
    found, scope = [], node.trace.scope if node.trace else None
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found


def _innermost(around: list[Scope], nested: dict[tuple[int, ...], Scope]) -> Scope:
    """The last of these scopes, the outermost first, as one that knows those around it."""
    key: tuple[int, ...] = ()
    inner = None
    for scope in around:
        key = (*key, id(scope))
        if key not in nested:
            nested[key] = Scope(scope.name, scope.detail, scope.path, inner)
        inner = nested[key]
    assert inner is not None
    return inner
