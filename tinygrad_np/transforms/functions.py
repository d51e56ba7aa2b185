"""Whole functions as one entry of the tape: recomputed when needed, or with a gradient of their own."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from ..engine.arrays import conjugate
from ..engine.batched import Batched
from ..engine.call import record_results
from ..engine.pattern import push_by_pulling
from ..engine.tape import Node, ancestors, births, recording, running_again
from ..engine.tensor import Tensor, as_tensor, constant, lifted
from ..engine.walk import Lift, pull_back, push_forward
from ..errors import AutogradError, BackwardError, BatchError, DetachError
from .arguments import plain, record, requires_grad
from .trees import tree_leaves, tree_map


class FunctionRule:
    """What stands on the tape for a call of a function: the rule of one call, not of an op.

    It looks like the `Pattern` of an op with several results.
    """

    kind, fresh, results = "function", False, True
    inputs: ClassVar[tuple[str, ...]] = ()
    metadata: ClassVar[dict[str, Any]] = {}

    def __init__(self, function: Callable[..., Any], wanted: tuple[int, ...]) -> None:
        self.function, self.wanted = function, wanted
        self.name = getattr(function, "__name__", "function").strip("<>")
        self.title = self.name

    @property
    def op(self) -> FunctionRule:
        """The tape asks for the op of a rule."""
        return self

    def only(self, wanted: tuple[int, ...]) -> FunctionRule:
        """The rule for fewer inputs."""
        return self if wanted == self.wanted else type(self)(self.function, wanted)

    def lift(self, kept: tuple, node: Node, lift: Lift) -> tuple:
        """The arguments are kept as tensors; what is kept last tells whether to record."""
        return (*kept[:-1], True)


def stop_gradient(value: Any) -> Any:
    """The same numbers, of which nothing flows back: to a gradient they are constants.

    Tensors, and lists, tuples, dicts and dataclasses of them; arrays are what they are already.

    >>> import numpy as np
    >>> from tinygrad_np import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)  # not 2 x
    np.float64(3.0)
    """
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor | Batched) else leaf, value)


def _refuse_batches(name: str, args: Any) -> None:
    """A batch of an outer transform's tensors hides that they require grad: each example has to show it."""
    if any(type(leaf) is Batched and leaf.requires_grad for leaf in tree_leaves(args)):
        raise BatchError(f"{name} takes one example at a time where an outer gradient flows through the batch.")


# -- checkpoint -------------------------------------------------------------------------------


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, of which the tape keeps only the arguments: what it computes on the way is computed again.

    This trades time for memory: a chain of n steps in sqrt(n) checkpointed parts keeps about 2 sqrt(n)
    arrays instead of n, for one more forward pass (Chen et al. 2016, Training Deep Nets with Sublinear
    Memory Cost).  Tensors that `f` uses without taking them as arguments get their gradients too.  A
    function that gives other numbers when run again (it draws random ones) raises BackwardError.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> y = tg.checkpoint(lambda x: np.exp(np.sin(x) ** 2))(x)
    >>> len(tg.tape(y))  # x, the call and its result
    3
    """

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        mode = recording.get()
        if not mode:
            return f(*args, **options)
        _refuse_batches("checkpoint", [args, options])
        begin = next(births)
        out = f(*_own(args), **_own(options))
        outs = [o for o in tree_leaves(out) if isinstance(o, Tensor) and o.requires_grad and o.node.born > begin]
        if not outs:
            return out
        sources = _sources([o.node for o in outs], begin, f)
        rule = _Recomputed(f, tuple(range(len(sources))))
        arrays = [o.data for o in outs]
        kept = (args, options, list(map(_fingerprint, arrays)), begin, False)
        results = {id(o): r for o, r in zip(outs, record_results(rule, sources, kept, None, arrays, mode), strict=True)}
        return tree_map(lambda o: results.get(id(o), o), out)

    return call


def _own(tree: Any) -> Any:
    """Lists and dicts of its own for a function that may change them: it runs twice."""
    return tree_map(lambda leaf: leaf, tree)


def _sources(roots: list[Node], begin: int, f: Callable[..., Any]) -> tuple[Node, ...]:
    """The nodes from before that what was recorded since came from, and that want a gradient."""
    inside = ancestors(roots, begin)
    found = {i: None for node in inside for i in node.inputs if type(i) is Node and i.requires_grad and i.born < begin}
    for node in inside:
        if node.rule is None and node.requires_grad:
            raise AutogradError(
                f"{getattr(f, '__name__', 'a function')} under checkpoint makes {node.describe()}, which requires "
                "grad, and would make another one when run again.  Make it outside and use it inside."
            )
    return tuple(found)


def _fingerprint(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return None
    return array.shape, zlib.crc32(np.ascontiguousarray(array).data)


class _Recomputed(FunctionRule):
    """The rule of a call that is run again when a gradient needs what it computed."""

    keep = ("arguments", "options", "results", "born", "recorded")

    def pull(self, gs: list[Any], kept: tuple, node: Node) -> tuple:
        """Run the function again, and pull back through what that recorded."""
        with self._run_again(kept, node) as (outs, begin):
            roots = [(o.node, g) for o, g in zip(outs, gs, strict=True) if g is not None]
            lift = kept[-1]
            if lift:
                roots = [(node, as_tensor(g)) for node, g in roots]
            targets = [node.inputs[i] for i in self.wanted]
            found = pull_back(roots, dict.fromkeys(targets).keys(), lift=lifted if lift else None, since=begin)
        return tuple([found.get(t, np.zeros(t.shape, t.dtype)) for t in targets])

    def push(self, ts: tuple, kept: tuple, node: Node, used: Collection[int] = ()) -> list[Any]:
        """Run the function again, and push forward through what that recorded."""
        with self._run_again(kept, node) as (outs, begin):
            known = {node.inputs[i]: t for i, t in zip(self.wanted, ts, strict=True)}
            found = push_forward([o.node for o in outs], known, lift=lifted if kept[-1] else None, since=begin)
        return [found.get(o.node, np.zeros(o.shape, o.dtype)) for o in outs]

    @contextmanager
    def _run_again(self, kept: tuple, node: Node) -> Iterator[tuple[list[Tensor], int]]:
        args, options, fingerprints, _, _ = kept
        # A transform that is done with its arguments lets them require grad no more.
        finished = [i for i in node.inputs if not i.requires_grad]
        for i in finished:
            i.requires_grad = True
        try:
            with record():
                begin = next(births)
                token = running_again.set(True)
                try:
                    out = self.function(*_own(args), **_own(options))
                finally:
                    running_again.reset(token)
                outs = [
                    o for o in tree_leaves(out) if isinstance(o, Tensor) and o.requires_grad and o.node.born > begin
                ]
                if [_fingerprint(o.data) for o in outs] != fingerprints:
                    raise BackwardError(
                        f"{self.name} under checkpoint gave other numbers when it was run again for its gradient: it "
                        "draws random numbers, or uses something that has changed since.  Draw them outside and pass "
                        "them in; update parameters after backward()."
                    )
                if set(_sources([o.node for o in outs], begin, self.function)) != set(node.inputs):
                    raise BackwardError(
                        f"{self.name} under checkpoint used other tensors that require grad when it was run again for "
                        "its gradient.  Change requires_grad, and what it uses, after backward()."
                    )
                yield outs, begin
        finally:
            for i in finished:
                i.requires_grad = False


# -- a gradient of one's own --------------------------------------------------------------------


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` with the gradient that it says itself: it returns its value, and a function from the cotangent.

    `f(*args)` returns `(value, pull)`, and `pull(g)`, for g of the form of the value, returns the gradient
    of each argument in a tuple (alone for one argument; None for zero).  Both are given arrays, so they may
    use code that tinygrad_np knows nothing of.  For second derivatives `f` is run on tensors: if it and
    `pull` are written in NumPy, they are right; else a DetachError says so.  Gradients of a wrong shape
    raise BackwardError.  Tensors that require grad must be arguments, else DetachError.

    >>> import numpy as np, tinygrad_np as tg
    >>> @tg.custom_gradient
    ... def log_one_plus_exp(x):
    ...     e = np.exp(x)
    ...     return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    >>> tg.grad(log_one_plus_exp)(100.0)
    np.float64(1.0)
    """

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        _refuse_batches("custom_gradient", list(args))
        tensors = [leaf for leaf in tree_leaves(list(args)) if isinstance(leaf, Tensor)]
        out, pull = _called(f, tree_map(_bare, list(args)), options)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                raise DetachError(
                    f"{getattr(f, '__name__', 'a function')} with a custom gradient uses a tensor that requires grad "
                    "and that is no argument: its gradient would be cut silently.  Pass it as an argument."
                )
        mode = recording.get()
        wanted = tuple([i for i, t in enumerate(tensors) if t.requires_grad])
        if not mode or not wanted:
            return tree_map(lambda o: constant(plain(o)), out) if tensors else out
        nodes = tuple([t.node if t.node is not None else as_tensor(t.detach()).node for t in tensors])
        arrays = [np.asarray(plain(o)) for o in tree_leaves(out)]
        # Whole numbers (labels, an order) carry no gradient and stand beside the results that do.
        moving = [array for array in arrays if array.dtype.kind in "fc"]
        kept = (pull, out, args, options, False)
        recorded = iter(record_results(_Custom(f, wanted), nodes, kept, None, moving, mode))
        results = iter([next(recorded) if array.dtype.kind in "fc" else constant(array) for array in arrays])
        return tree_map(lambda _: next(results), out)

    return call


def _bare(leaf: Any) -> Any:
    return leaf.data[()] if isinstance(leaf, Tensor) else leaf


def _called(f: Callable[..., Any], args: list[Any], options: dict) -> tuple[Any, Callable[..., Any]]:
    result = f(*args, **options)
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        raise TypeError(
            f"{getattr(f, '__name__', 'a function')} with a custom gradient returned a {type(result).__name__}, not a "
            "pair (value, pull).  Return the value, and the function from its cotangent to the gradients of the "
            "arguments."
        )
    return result


class _Custom(FunctionRule):
    """The rule of a call whose function brought its own."""

    keep = ("pull", "value", "arguments", "options", "recorded")

    def pull(self, gs: list[Any], kept: tuple, node: Node) -> tuple:
        """What the user's function makes of the cotangents, checked."""
        pull, _, args, options, recorded = kept
        if recorded:
            pull = _called(self.function, list(args), options)[1]
        gs = [np.zeros(s, d) if g is None else conjugate(g) for g, s, d in zip(gs, node.shape, node.dtype, strict=True)]
        found = self._pulled(pull, gs, kept, node, recorded or any(isinstance(g, Tensor) for g in gs))
        if requires_grad(gs):
            # The numbers alone tell whether something was lost between a cotangent and its gradient.
            ones = [np.ones(s, d) for s, d in zip(node.shape, node.dtype, strict=True)]
            for gradient, expected in zip(found, self._pulled(kept[0], ones, kept, node, False), strict=True):
                if not requires_grad([gradient]) and np.any(expected):
                    raise DetachError(
                        f"the pull of {self.name} takes the numbers out of its cotangent (item, tolist, .data ...): it "
                        "works for a gradient, but not for forward mode or higher derivatives.  Write it with NumPy's "
                        "functions."
                    )
        return found

    def _pulled(self, pull: Callable[..., Any], gs: list[Any], kept: tuple, node: Node, recorded: bool) -> tuple:
        _, out, args, _, _ = kept
        each = iter(gs)
        gradients = pull(tree_map(lambda o: next(each) if plain(o).dtype.kind in "fc" else np.zeros(np.shape(o)), out))
        per_tensor = enumerate(self._per_tensor(gradients, args))
        return tuple([self._checked(g, i, node, recorded) for i, g in per_tensor if i in self.wanted])

    def _per_tensor(self, gradients: Any, args: tuple) -> list[Any]:
        """The gradients of the tensors among the arguments, in their order."""
        if len(args) == 1 and not (isinstance(gradients, tuple) and len(gradients) == 1):
            gradients = (gradients,)
        if not isinstance(gradients, tuple | list) or len(gradients) != len(args):
            raise BackwardError(
                f"the pull of {self.name} gave {_count(gradients)} for {len(args)} arguments.  Return a tuple with one "
                "gradient (or None) per argument."
            )
        found: list[Any] = []
        for gradient, arg in zip(gradients, args, strict=True):
            found += [g for leaf, g in _along(arg, gradient, self.name) if isinstance(leaf, Tensor)]
        return found

    def _checked(self, gradient: Any, i: int, node: Node, recorded: bool) -> Any:
        source = node.inputs[i]
        if gradient is None:
            return np.zeros(source.shape, source.dtype)
        if not recorded and isinstance(gradient, Tensor):
            if gradient.requires_grad:
                raise DetachError(
                    f"the pull of {self.name} uses a tensor that requires grad and that is no argument: its gradient "
                    "would be cut silently.  Pass it as an argument."
                )
            gradient = gradient.data
        gradient = gradient if isinstance(gradient, Tensor) else np.asarray(gradient)
        if gradient.shape != source.shape:
            raise BackwardError(
                f"the pull of {self.name} gave a gradient of shape {gradient.shape} for an argument of shape "
                f"{source.shape}.  A gradient has the shape of its argument: sum it where the function broadcast."
            )
        return conjugate(gradient)

    def push(self, ts: tuple, kept: tuple, node: Node, used: Collection[int] = ()) -> Any:
        """The transpose of `pull`, which is linear."""
        return push_by_pulling(self, ts, kept, node, used)


def _count(gradients: Any) -> str:
    return f"{len(gradients)} gradients" if isinstance(gradients, tuple | list) else f"a {type(gradients).__name__}"


def _along(arg: Any, gradient: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """Each leaf of an argument with what stands in its place in the gradient; None stands for a tree of zeros."""
    if isinstance(arg, dict):
        branches = [(value, None if gradient is None else _at(gradient, key, name)) for key, value in arg.items()]
    elif isinstance(arg, list | tuple):
        if gradient is not None and not (isinstance(gradient, list | tuple) and len(gradient) == len(arg)):
            raise _other_form(gradient, arg, name)
        branches = list(zip(arg, gradient if gradient is not None else [None] * len(arg), strict=True))
    elif dataclasses.is_dataclass(arg) and not isinstance(arg, type):
        fields = [field.name for field in dataclasses.fields(arg)]
        if gradient is not None and type(gradient) is not type(arg):
            raise _other_form(gradient, arg, name)
        branches = [(getattr(arg, k), getattr(gradient, k, None)) for k in fields]
    else:
        yield arg, gradient
        return
    for branch, part in branches:
        yield from _along(branch, part, name)


def _at(gradient: Any, key: Any, name: str) -> Any:
    if not isinstance(gradient, dict):
        raise _other_form(gradient, {key: 0}, name)
    return gradient.get(key)


def _other_form(gradient: Any, arg: Any, name: str) -> BackwardError:
    return BackwardError(
        f"the pull of {name} gave {_count(gradient)} for an argument that is a {type(arg).__name__} of {len(arg)}.  "
        "Return the gradients in the form of the argument."
    )
