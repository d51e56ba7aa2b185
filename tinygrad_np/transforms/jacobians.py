"""Jacobians, Hessians, and the products with them that never form them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial, wraps
from itertools import accumulate
from typing import Any

import numpy as np

from ..engine.batched import Batched, levels
from ..engine.tape import ancestors
from ..engine.tensor import Tensor
from ..errors import BackwardError, BatchError, DetachError, DtypeError
from .arguments import Arguments, check_callable, given_back, pulled, pushed, reaches_outside, record, split_aux
from .gradients import Argnums, grad, jvp, one_like, vjp
from .trees import is_setting, tree_leaves, tree_map

_CHUNK = 1 << 22
"""How many entries the largest array of a walk for many rows at once may have."""


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, *, mode: str = "auto", has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives all derivatives of `f`: an array of shape `result.shape + argument.shape`.

    Results and arguments may be lists, tuples, dicts and dataclasses of arrays: the result then has the
    form of the results, with the form of the arguments in each place.  `mode` is "reverse" (one pass over
    the tape for all results), "forward" (for all entries of the arguments), or "auto": whichever has
    fewer.  All passes run at once where the ops allow it.  Complex arguments raise DtypeError.

    >>> import numpy as np
    >>> from tinygrad_np import jacobian
    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x**2)(np.array([1.0, 10.0]))
    array([[ 2., 40.],
           [ 6., 80.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'the mode of a Jacobian is "auto", "forward" or "reverse", not {mode!r}.')

    check_callable(f, "jacobian")

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        given = Arguments(args, argnums, "jacobian")
        _check_real(given)
        with record() as outside, given:
            out, aux = split_aux(f(*given.args, **options), has_aux, "jacobian")
            if is_setting(out):
                raise BackwardError(f"jacobian needs a function that gives arrays, and this one gave {out!r}.")
            outs = [o if hasattr(o, "dtype") else np.asarray(o) for o in tree_leaves(out)]
            others = reaches_outside([*outs, *tree_leaves(aux)], given.nodes)
            lift = outside and others
            blocks = _blocks(mode, outs, given, lift, others)
        back = partial(given_back, tensors=given.tensors_given, lift=lift)
        found = iter([[back(block) for block in row] for row in blocks])

        def one_result(_: Any) -> Any:
            row = iter(next(found))
            return given.map(lambda node: next(row))

        result = tree_map(one_result, out)
        return (result, tree_map(back, aux)) if has_aux else result

    return call


def _blocks(mode: str, outs: list[Any], given: Arguments, lift: bool, prune: bool) -> list[list[Any]]:
    complex_result = any(o.dtype.kind == "c" for o in outs)  # a cotangent knows only one of the two parts
    if complex_result or _is_forward(mode, outs, given):
        try:
            return _columns(outs, given, lift)
        except DetachError:
            # A custom gradient whose code is not NumPy's can only be pulled back.
            if mode == "forward" or complex_result:
                raise
    return _rows(outs, given, lift, prune)


def _check_real(given: Arguments) -> None:
    for node in given.nodes:
        if node.dtype.kind == "c":
            raise DtypeError(
                f"{given.transform} of a function of complex numbers, here of shape {node.shape}: one number per pair "
                "of entries does not say how the real and the imaginary part move.  Write the function of the real and "
                "the imaginary part, f(x + 1j * y), or use vjp and jvp."
            )


def _is_forward(mode: str, outs: list[Any], given: Arguments) -> bool:
    if mode != "auto":
        return mode == "forward"
    return sum(math.prod(node.shape) for node in given.nodes) < sum(o.size for o in outs)


def _rows(outs: list[Any], given: Arguments, lift: bool, prune: bool) -> list[list[Any]]:
    """For each result the block of each argument, by cotangents that pick one entry of a result each."""
    sizes = [o.size for o in outs]
    targets = list(given.nodes)

    def walk(starts: list[Any]) -> list[Any]:
        found = pulled(list(zip(outs, starts, strict=True)), given.nodes, lift, prune)
        return [found[node] for node in targets]

    # One number has one row: nothing to do at once.
    whole = _all_passes(walk, outs, _largest(outs)) if sum(sizes) != 1 else _single_pass(walk, outs)
    ends = [0, *accumulate(sizes)]
    return [
        [block[start:stop].reshape(o.shape + node.shape) for block, node in zip(whole, targets, strict=True)]
        for o, start, stop in zip(outs, ends[:-1], ends[1:], strict=True)
    ]


def _columns(outs: list[Any], given: Arguments, lift: bool) -> list[list[Any]]:
    """For each result the block of each argument, by tangents that move one entry of an argument each."""
    nodes = list(given.nodes)

    def walk(starts: list[Any]) -> list[Any]:
        found = pushed(outs, dict(zip(nodes, starts, strict=True)), lift)
        still = [np.zeros(o.shape, o.dtype if o.dtype.kind in "fc" else float) for o in outs]
        roots: list[Any] = [getattr(o, "node", None) for o in outs]
        return [found.get(root, zero) for root, zero in zip(roots, still, strict=True)]

    whole = _all_passes(walk, list(given.nodes.values()), _largest(outs))
    ends = [0, *accumulate(math.prod(node.shape) for node in nodes)]
    return [
        [
            np.moveaxis(block[start:stop], 0, -1).reshape(o.shape + node.shape)
            for node, start, stop in zip(nodes, ends[:-1], ends[1:], strict=True)
        ]
        for o, block in zip(outs, whole, strict=True)
    ]


def _largest(outs: list[Any]) -> int:
    """The entries of the largest array behind the results."""
    roots = [o.node for o in outs if isinstance(o, Tensor) and o.node is not None]
    shapes = [shape for node in ancestors(roots) for shape in _shapes(node.shape)]
    return max(map(math.prod, shapes), default=1)


def _shapes(shape: Any) -> Any:
    return shape if shape and isinstance(shape[0], tuple) else (shape,)


def _single_pass(walk: Callable[[list[Any]], list[Any]], starts: list[Any]) -> list[Any]:
    return [found[None] for found in walk(list(map(one_like, starts)))]


def _all_passes(walk: Callable[[list[Any]], list[Any]], like: list[Any], largest: int) -> list[Any]:
    """What `walk` gives for starts that are 1 in one entry and 0 elsewhere, for each entry, stacked."""
    total = sum(x.size for x in like)
    results = []
    step = max(1, min(total, _CHUNK // max(largest, 1)))
    for first in range(0, total, step):
        starts = list(_units(like, first, min(first + step, total)))
        try:
            results.append(_batched_walk(walk, starts))
        except BatchError:
            each = [walk([s[i] for s in starts]) for i in range(len(starts[0]))]
            results.append([np.stack(found) for found in zip(*each, strict=True)])
    if not results:
        return [np.broadcast_to(x, (0, *np.shape(x))) for x in walk([np.zeros(x.shape, x.dtype) for x in like])]
    return results[0] if len(results) == 1 else [np.concatenate(parts) for parts in zip(*results, strict=True)]


def _units(like: list[Any], first: int, last: int) -> Iterator[Any]:
    """For each array the part of the rows `first` to `last` of an identity matrix that lies in it."""
    start = 0
    for x in like:
        rows = np.eye(last - first, x.size, first - start, dtype=x.dtype)
        start += x.size
        yield rows.reshape(last - first, *x.shape)


def _batched_walk(walk: Callable[[list[Any]], list[Any]], starts: list[Any]) -> list[Any]:
    level = next(levels)
    n = len(starts[0])

    def whole(x: Any) -> Any:
        if isinstance(x, Tensor) and type(x.data) is Batched:
            x = x.data
        if type(x) is Batched and x.level == level:
            return x.value
        same = np.broadcast_to(x, (n, *np.shape(x)))
        return same.copy() if isinstance(same, np.ndarray) else same

    return [whole(x) for x in walk([Batched(s, level) for s in starts])]


def hessian(f: Callable[..., Any], argnums: Argnums = 0, *, mode: str = "forward") -> Callable[..., Any]:
    """A function that gives the second derivatives of `f`, of shape `argument.shape + argument.shape`.

    `f` gives one number.  Several arguments, or nested ones, give the blocks of each with each.  It is the
    Jacobian of the gradient, by default forward over reverse.

    >>> import numpy as np
    >>> from tinygrad_np import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode=mode)


def hvp(f: Callable[..., Any]) -> Callable[..., Any]:
    """The Hessian of `f` times a vector, without the Hessian: `hvp(f)(x, v, *args)`.

    The derivatives are with respect to the first argument; `v` has its form and shapes.  The order of the
    arguments is that of `hessp` in `scipy.optimize.minimize`.

    >>> import numpy as np
    >>> from tinygrad_np import hvp
    >>> hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """

    @wraps(f)
    def call(x: Any, v: Any, *args: Any, **options: Any) -> Any:
        return jvp(lambda x: grad(f)(x, *args, **options), (x,), (v,))[1]

    return call


def ggnvp(f: Callable[..., Any], loss: Callable[[Any], Any]) -> Callable[..., Any]:
    """The generalized Gauss-Newton matrix of `loss(f(x))` times a vector: `ggnvp(f, loss)(x, v, *args)`.

    The matrix is Jᵀ H J with the Jacobian J of `f` and the Hessian H of `loss` at `f(x)`: the Hessian of
    the whole without the curvature of `f` (Schraudolph 2002, Fast Curvature Matrix-Vector Products).

    >>> import numpy as np
    >>> from tinygrad_np import ggnvp
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> ggnvp(lambda x: A @ x, lambda y: np.sum(y**2) / 2)(np.zeros(2), np.array([1.0, 0.0]))  # A.T @ A @ v
    array([10., 14.])
    """

    @wraps(f)
    def call(x: Any, v: Any, *args: Any, **options: Any) -> Any:
        def model(x: Any) -> Any:
            return f(x, *args, **options)

        y, moved = jvp(model, (x,), (v,))
        _, curved = jvp(grad(loss), (y,), (moved,))
        return vjp(model, x)[1](curved)[0]

    return call
