"""Functions of functions: gradients and tangents of what you write on arrays.

Each transform starts from fresh nodes that stand for the arguments and asks for the gradient at
exactly those nodes.  That is why nesting needs no levels: an inner gradient cannot mistake an outer
variable for its own.  Arrays in, arrays out; tensors in (or tensors used inside), tensors out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import numpy as np

from .engine.arrays import conjugate
from .engine.op import linear
from .engine.tape import Node, ancestors, leaf, recording
from .engine.tensor import Tensor, as_tensor, attached, constant, lifted
from .engine.walk import pull_back, push_forward
from .errors import BackwardError, DtypeError, ShapeError

# The identity, so that an argument that already has a graph gets a node of its own.
_argument = linear(lambda x: x.view(), transpose=lambda g: g, name="argument")


@contextmanager
def _recording() -> Iterator[bool]:
    """Record inside, whatever no_grad() outside says; gives whether the outside recorded."""
    outside = recording.get()
    token = recording.set(outside or True)
    try:
        yield bool(outside)
    finally:
        recording.reset(token)


def _fresh(value: Any, transform: str) -> Tensor:
    """A tensor with a node of its own for an argument."""
    if isinstance(value, Tensor) and value.requires_grad:
        return _argument(value)
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fc":
        raise DtypeError(
            f"{transform} differentiates with respect to floating-point or complex arrays, and got dtype {array.dtype} "
            f"(shape {array.shape}).  Make them floating, np.asarray(x, float), or pass them in another "
            "argument, or in none: f can use what is around it."
        )
    return attached(array, leaf(array, requires_grad=True))


class _Arguments:
    """The arguments of a function with fresh tensors in the place of those to differentiate."""

    def __init__(self, args: tuple, argnums: int | tuple[int, ...], transform: str) -> None:
        self.one = isinstance(argnums, int | np.integer)
        wanted = (argnums,) if isinstance(argnums, int | np.integer) else tuple(argnums)
        for i in wanted:
            if not -len(args) <= i < len(args):
                raise IndexError(
                    f"{transform} is asked for argument {i} of a call with {len(args)} positional arguments.  "
                    "Pass the arguments to differentiate by position, and count from 0 in argnums."
                )
        if len({i % len(args) for i in wanted}) < len(wanted):
            raise IndexError(f"{transform} is asked twice for the same argument: argnums={argnums}.")
        self.given = [args[i] for i in wanted]
        self.tensors = [_map(lambda value: _fresh(value, transform), value) for value in self.given]
        by_position = dict(zip([i % len(args) for i in wanted], self.tensors, strict=True))
        self.args = [by_position.get(i, value) for i, value in enumerate(args)]
        self.nodes = {tensor.node: tensor for tensor in _leaves(self.tensors)}
        self.tensors_given = any(isinstance(value, Tensor) for value in _leaves(self.given))

    def finish(self) -> None:
        """Nothing else differentiates with respect to these leaves: to outer transforms they are constants."""
        for node in self.nodes:
            if node.is_leaf:
                node.requires_grad = False

    def unwrapped(self, results: list[Any]) -> Any:
        """One result per argument, as the caller asked: alone for one argnum, else a tuple."""
        return results[0] if self.one else tuple(results)


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """A function that gives the value of `f` and its gradient with respect to argument(s) `argnums`.

    Arguments are arrays, or lists, tuples and dicts of them; the gradient has the same form.  `f` must
    give one number, else BackwardError; integer arguments raise DtypeError.

    >>> import numpy as np
    >>> from tinygrad_np import value_and_grad
    >>> loss = lambda p, x: np.sum((x * p["w"] + p["b"]) ** 2)
    >>> value_and_grad(loss)({"w": 2.0, "b": 1.0}, np.array([0.0, 1.0]))
    (np.float64(10.0), {'w': np.float64(6.0), 'b': np.float64(8.0)})
    """

    @wraps(f)
    def call(*args: Any, **options: Any) -> tuple[Any, Any]:
        given = _Arguments(args, argnums, "grad")
        with _recording() as outside:
            out = f(*given.args, **options)
            _check_one_number(out)
            lift = outside and _reaches_outside([out], given.nodes)
            gradients = _pulled([(out, np.ones(np.shape(out)))], given.nodes, lift)
        given.finish()
        back = partial(_given_back, tensors=given.tensors_given, lift=lift)
        grads = [_map(lambda t: back(gradients[t.node]), tree) for tree in given.tensors]
        return back(out), given.unwrapped(grads)

    return call


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that gives the gradient of `f`; see `value_and_grad`.  Can be nested to any order.

    >>> from tinygrad_np import grad
    >>> grad(grad(grad(lambda x: x**4)))(2.0)
    np.float64(48.0)
    """

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        return value_and_grad(f, argnums)(*args, **options)[1]

    return call


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple]]:
    """The value of `f(*args)`, and a function from a cotangent of it to one gradient per argument.

    The cotangent has the form and shapes of the value; else ShapeError.

    >>> import numpy as np
    >>> from tinygrad_np import vjp
    >>> y, pull = vjp(lambda A, x: A @ x, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    >>> y
    array([3., 7.])
    >>> pull(np.array([1.0, 0.0]))[1]
    array([1., 2.])
    """
    given = _Arguments(args, tuple(range(len(args))), "vjp")
    with _recording() as outside:
        out = f(*given.args)
    outs = list(_leaves(out))
    lift = outside and _reaches_outside(outs, given.nodes)
    given.finish()

    def pull(cotangent: Any) -> tuple:
        gs = list(_leaves(cotangent))
        shapes, expected = [np.shape(g) for g in gs], [np.shape(o) for o in outs]
        if shapes != expected:
            raise ShapeError(f"the cotangent has shapes {shapes}, but the value has {expected}: give one like it.")
        with _recording() as outside:
            outer = outside and (lift or any(isinstance(g, Tensor) and g.requires_grad for g in gs))
            gradients = _pulled(list(zip(outs, gs, strict=True)), given.nodes, outer)
        tensors = given.tensors_given or any(isinstance(g, Tensor) for g in gs)
        back = partial(_given_back, tensors=tensors, lift=outer)
        return tuple(_map(lambda t: back(gradients[t.node]), tree) for tree in given.tensors)

    return _map(partial(_given_back, tensors=given.tensors_given, lift=lift), out), pull


def jvp(f: Callable[..., Any], args: tuple, tangents: tuple) -> tuple[Any, Any]:
    """The value of `f(*args)` and its derivative along `tangents` (one per argument, of its shape).

    >>> import numpy as np
    >>> from tinygrad_np import jvp
    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    if not (isinstance(args, tuple | list) and isinstance(tangents, tuple | list)):
        raise TypeError("jvp takes the arguments and their tangents as tuples: jvp(f, (x,), (t,)).")
    given = _Arguments(tuple(args), tuple(range(len(args))), "jvp")
    ts = list(_leaves(list(tangents)))
    shapes, expected = [np.shape(t) for t in ts], [tensor.shape for tensor in given.nodes.values()]
    if shapes != expected:
        raise ShapeError(f"the tangents have shapes {shapes}, but the arguments {expected}: give one per argument.")
    with _recording() as outside:
        out = f(*given.args)
        outs = list(_leaves(out))
        lift = outside and (
            _reaches_outside(outs, given.nodes) or any(isinstance(t, Tensor) and t.requires_grad for t in ts)
        )
        known = {
            node: as_tensor(t) if lift else np.array(t.data if isinstance(t, Tensor) else t, node.dtype)
            for node, t in zip(given.nodes, ts, strict=True)
        }
        roots = [o.node for o in outs if isinstance(o, Tensor) and o.node is not None]
        pushed = push_forward(roots, known, lift=lifted if lift else None)
    given.finish()
    tensors = given.tensors_given or any(isinstance(t, Tensor) for t in ts)
    back = partial(_given_back, tensors=tensors, lift=lift)

    def tangent(o: Any) -> Any:
        found = pushed.get(o.node) if isinstance(o, Tensor) and o.node is not None else None
        return back(np.zeros(np.shape(o)) if found is None else found)

    return _map(back, out), _map(tangent, out)


def _check_one_number(out: Any) -> None:
    array = out.data if isinstance(out, Tensor) else out
    if isinstance(array, np.ndarray | np.generic | int | float | complex) and np.size(array) == 1:
        if np.iscomplexobj(array):
            raise BackwardError(
                f"grad needs a function that gives a real number, and this one gave {array}: no direction is the "
                "steepest for a complex one.  Return np.abs(z) ** 2 or z.real, or use vjp with a complex cotangent."
            )
        return
    shape = f" of shape {np.shape(array)}" if isinstance(array, np.ndarray) else ""
    raise BackwardError(
        f"grad needs a function that gives one number, and this one gave {type(out).__name__}{shape}.  Return the "
        "loss; sum or average it if it has axes, or use vjp with a cotangent."
    )


def _pulled(roots: list[tuple[Any, Any]], targets: dict[Node, Tensor], lift: bool) -> dict[Node, Any]:
    """The gradient at each target; zero where nothing leads to it."""
    started = [
        (out.node, conjugate(as_tensor(g) if lift else np.asarray(g.data if isinstance(g, Tensor) else g, out.dtype)))
        for out, g in roots
        if isinstance(out, Tensor) and (out.requires_grad or out.node in targets)
    ]
    found = pull_back(started, targets.keys(), lift=lifted if lift else None)
    return {node: conjugate(found.get(node, np.zeros(node.shape, node.dtype))) for node in targets}


def _reaches_outside(outs: list[Any], targets: dict[Node, Tensor]) -> bool:
    """Whether something else requires grad too: an outer transform's variable, or a parameter."""
    roots = [out.node for out in outs if isinstance(out, Tensor) and out.requires_grad]
    if any(node.rule is not None for node in targets):
        return True
    since = min((node.born for node in targets), default=0)
    inside = ancestors(roots, since)
    sources = [i for node in inside for i in node.inputs if type(i) is Node] + roots
    return any(i.requires_grad and i not in targets and (i.is_leaf or i.born < since) for i in sources)


def _given_back(value: Any, tensors: bool, lift: bool) -> Any:
    """A result as the caller wants it: recorded if something outside depends on it, else without a graph."""
    if lift:
        return as_tensor(value)
    array = value.data if isinstance(value, Tensor) else value
    if tensors:
        return constant(array)
    return array[()] if isinstance(array, np.ndarray) else array


def _map(f: Callable[[Any], Any], tree: Any) -> Any:
    """`f` on every leaf of nested dicts, lists and tuples."""
    if isinstance(tree, dict):
        return {key: _map(f, value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map(f, value) for value in tree]
    if isinstance(tree, tuple):
        values = [_map(f, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return f(tree)


def _leaves(tree: Any) -> Iterator[Any]:
    """The leaves of nested dicts, lists and tuples, in the order of `_map`."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value)
    else:
        yield tree
