"""What all transforms share: fresh nodes for arguments, one walk, and results as the caller wants them.

Each transform starts from fresh nodes that stand for the arguments and asks for the gradient at
exactly those nodes.  That is why nesting needs no levels: an inner gradient cannot mistake an outer
variable for its own.  Arrays in, arrays out; tensors in (or tensors used inside), tensors out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.batched import Batched, as_example
from ..engine.call import as_array
from ..engine.op import linear
from ..engine.tape import Node, leaf, recording
from ..engine.tensor import Tensor, as_tensor, attached, constant, lifted
from ..engine.walk import pull_back, push_forward
from ..errors import DtypeError, ShapeError
from .trees import is_setting, tree_leaves, tree_map

# The identity, so that an argument that already has a graph gets a node of its own.
_argument = linear(lambda x: x[...], transpose=lambda g: g, name="argument")


@contextmanager
def record() -> Iterator[bool]:
    """Record inside, whatever no_grad() outside says; gives whether the outside recorded."""
    outside = recording.get()
    token = recording.set(outside or True)
    try:
        yield bool(outside)
    finally:
        recording.reset(token)


def plain(value: Any) -> Any:
    """The array of a tensor, anything else as an array (or batch of arrays)."""
    if isinstance(value, Tensor):
        return value.data
    return as_array(value)


def fresh(value: Any, transform: str) -> Tensor:
    """A tensor with a node of its own for an argument."""
    value = as_example(value)
    if isinstance(value, Tensor) and value.requires_grad:
        return _argument(value)
    array = plain(value)
    if array.dtype.kind not in "fc":
        raise DtypeError(
            f"{transform} differentiates with respect to floating-point or complex arrays, and got dtype {array.dtype} "
            f"(shape {array.shape}).  Make them floating, np.asarray(x, float), or pass them in another "
            "argument, or in none: f can use what is around it."
        )
    return attached(array, leaf(array, requires_grad=True))


class Arguments:
    """The arguments of a function with fresh tensors in the place of those to differentiate."""

    def __init__(self, args: Iterable[Any], argnums: Any, transform: str) -> None:
        args = list(args)
        self.transform = transform
        self.one = isinstance(argnums, int | np.integer)
        for i in (argnums,) if self.one or not hasattr(argnums, "__iter__") else argnums:
            if not isinstance(i, int | np.integer):
                raise TypeError(
                    f"argnums counts positional arguments from 0, as 0 or (0, 2), and {argnums!r} does not."
                )
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
        self.tensors = [tree_map(lambda value: fresh(value, transform), value) for value in self.given]
        for i, arg in zip(wanted, self.given, strict=True):
            if is_setting(arg):
                raise DtypeError(
                    f"{transform} differentiates with respect to arrays, and argument {i} holds none: "
                    f"{str(arg)[:60]!r} ({type(arg).__name__}).  Name another argument in argnums."
                )
        by_position = dict(zip([i % len(args) for i in wanted], self.tensors, strict=True))
        # Lists and dicts of its own, for the function may change them.
        self.args = [tree_map(lambda t: t, by_position[i]) if i in by_position else v for i, v in enumerate(args)]
        self.nodes = {tensor.node: tensor for tensor in tree_leaves(self.tensors)}
        self.tensors_given = any(isinstance(value, Tensor) for value in tree_leaves(self.given))

    def __enter__(self) -> Arguments:
        return self

    def __exit__(self, *_: Any) -> None:
        # Nothing else differentiates with respect to these leaves: to outer transforms they are constants.
        for node in self.nodes:
            if node.is_leaf:
                node.requires_grad = False

    def unwrapped(self, results: list[Any]) -> Any:
        """One result per argument, as the caller asked: alone for one argnum, else a tuple."""
        return results[0] if self.one else tuple(results)

    def map(self, f: Callable[[Node], Any]) -> Any:
        """`f` of the node of each argument, in the form of the arguments."""
        return self.unwrapped([tree_map(lambda t: f(t.node), tree) for tree in self.tensors])


def check_callable(f: Any, transform: str) -> None:
    """Refuse what is no function, where it is given and not where it is called."""
    if not callable(f):
        raise TypeError(
            f"{transform} takes a function and gives a function, {transform}(f)(x); it was given a {type(f).__name__}."
        )


def split_aux(out: Any, has_aux: bool, transform: str) -> tuple[Any, Any]:
    """What a function gave, as the value to differentiate and what it gave besides."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        shown = f"a tuple of length {len(out)}" if isinstance(out, tuple) else f"a {type(out).__name__}"
        raise TypeError(
            f"{transform} with has_aux=True needs a function that gives (value, aux), and this one gave {shown}.  "
            "Return a pair, or leave has_aux= away."
        )
    return out


def pulled(
    roots: list[tuple[Any, Any]], targets: dict[Node, Tensor], lift: bool, prune: bool = True
) -> dict[Node, Any]:
    """The gradient at each target; zero where nothing leads to it."""
    started = [
        (out.node, conjugate(_cotangent(g, out, lift)))
        for out, g in roots
        if isinstance(out, Tensor) and (out.requires_grad or out.node in targets)
    ]
    # If nothing else requires grad, every entry of the tape leads to a target.
    found = pull_back(started, targets.keys(), lift=lifted if lift else None, prune=prune)
    return {node: conjugate(found.get(node, np.zeros(node.shape, node.dtype))) for node in targets}


def _cotangent(g: Any, out: Tensor, lift: bool) -> Any:
    array = plain(g)
    if array.dtype.kind == "c" and out.dtype.kind != "c":
        raise DtypeError(f"the cotangent of {out.describe()} holds real numbers, not {array.dtype}.")
    if lift and type(g) is not Batched:
        return as_tensor(g)
    return array if array.dtype == out.dtype else array.astype(out.dtype)


def pushed(outs: list[Any], tangents: dict[Node, Any], lift: bool) -> dict[Node, Any]:
    """The tangents of those outputs that depend on the nodes of `tangents`."""
    known = {node: _tangent(t, node, lift) for node, t in tangents.items()}
    roots = [o.node for o in outs if isinstance(o, Tensor) and o.node is not None]
    return push_forward(roots, known, lift=lifted if lift else None)


def _tangent(t: Any, node: Node, lift: bool) -> Any:
    array = plain(t)
    if array.dtype.kind == "c" and node.dtype.kind != "c":
        raise DtypeError(
            f"the tangent of a real argument of shape {node.shape} holds real numbers, not {array.dtype}.  Make the "
            "argument complex to move it off the real axis."
        )
    if lift and type(t) is not Batched:
        return as_tensor(t)
    return array if array.dtype == node.dtype else array.astype(node.dtype)


def reaches_outside(outs: list[Any], targets: dict[Node, Tensor]) -> bool:
    """Whether something else requires grad too: an outer transform's variable, or a parameter."""
    since = min((node.born for node in targets), default=0)
    if any(node.rule is not None for node in targets):
        return True
    stack = [out.node for out in outs if isinstance(out, Tensor) and out.requires_grad]
    seen = {*targets, *stack}
    while stack:
        node = stack.pop()
        if node in targets:
            continue
        if node.rule is None or node.born < since:
            return True
        for source in node.inputs:
            if type(source) is Node and source.requires_grad and source not in seen:
                if source.born < since:
                    return True
                seen.add(source)
                stack.append(source)
    return False


def requires_grad(values: Iterable[Any]) -> bool:
    """Whether some value is a tensor that an outer gradient flows to."""
    return any(isinstance(v, Tensor) and v.requires_grad for v in values)


def given_back(value: Any, tensors: bool, lift: bool) -> Any:
    """A result as the caller wants it: recorded if something outside depends on it, else without a graph."""
    if lift:
        return as_tensor(value)
    array = value.data if isinstance(value, Tensor) else value
    if tensors:
        return constant(array)
    return array[()] if isinstance(array, np.ndarray) else array


def check_shapes(values: list[Any], expected: list[Any], what: str) -> None:
    """Compare the shapes of two lists of arrays."""
    if any(v is None for v in values):
        raise TypeError(f"the {what} holds None where an array is expected: write np.zeros_like(x) for no change.")
    shapes, others = [np.shape(v) for v in values], [np.shape(v) for v in expected]
    if shapes != others:
        raise ShapeError(f"the {what} has shapes {shapes}, where {others} are expected: give one like it.")
