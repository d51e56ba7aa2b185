"""vmap: a function of one example, run on all examples at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..engine.batched import Batched, level_of, levels, running, stack
from ..engine.tensor import Tensor
from ..errors import BatchError, LoopWarning, ShapeError
from .trees import tree_leaves, tree_map


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    """A function that runs `f`, written for one example, on all examples at once.

    `in_axes` says where the examples lie in each argument: an axis, None for an argument that is the same
    for all, or a tuple of these with one entry per argument; `out_axes` where they lie in the results.
    Arguments and results may be lists, tuples, dicts and dataclasses of arrays.  `f` runs once; only if it
    does what cannot be done to all examples at once (a condition on a number, code outside NumPy), it runs
    once per example, and a LoopWarning says why; an op without a rule for batches is run in a loop by itself.
    Inside, `x += v` makes a new array, as for tensors, and a number drawn at random is the same for all.
    Arguments of different lengths raise ShapeError.

    >>> import numpy as np
    >>> from tinygrad_np import grad, vmap
    >>> loss = lambda w, x, y: (w @ x - y) ** 2
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> vmap(grad(loss), in_axes=(None, 0, 0))(np.ones(2), x, np.zeros(3))  # a gradient per example
    array([[  6.,  12.],
           [ 42.,  56.],
           [110., 132.]])
    """

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            raise TypeError(
                f"vmap was given {', '.join(options)} by keyword, and in_axes cannot say where their examples lie.  "
                "Pass them by position, or bind them before: vmap(lambda x: f(x, key=value))."
            )
        axes = _axes_of(args, in_axes)
        n = _number_of_examples(args, axes)
        try:
            return _at_once(f, args, axes, n, out_axes)
        except BatchError as error:
            warnings.warn(
                f"vmap runs {getattr(f, '__name__', 'the function')} {n} times, one example after the other: {error}",
                LoopWarning,
                stacklevel=2,
            )
        return _one_by_one(f, args, axes, n, out_axes)

    return call


def _axes_of(args: tuple, in_axes: Any) -> list[Any]:
    """The axis of the examples for each argument."""
    if not isinstance(in_axes, tuple | list):
        return [in_axes] * len(args)
    if len(in_axes) != len(args):
        raise ShapeError(
            f"vmap was given in_axes for {len(in_axes)} arguments, and the call has {len(args)}.  Give one axis, or "
            "one (None for an argument without examples) per argument."
        )
    return list(in_axes)


def _number_of_examples(args: tuple, axes: list[Any]) -> int:
    lengths: dict[int, Any] = {}
    for i, (arg, axis) in enumerate(zip(args, axes, strict=True)):
        for leaf in tree_leaves(arg) if axis is not None else ():
            shape = np.shape(leaf)
            if not -len(shape) <= axis < len(shape):
                raise ShapeError(
                    f"vmap looks for the examples on axis {axis} of argument {i}, which has shape {shape}.  Write "
                    "in_axes=None for what is the same for all examples, or give it such an axis."
                )
            lengths.setdefault(shape[axis], (i, shape))
    if len(lengths) != 1:
        found = ", ".join(f"argument {i} of shape {shape}" for i, shape in lengths.values())
        raise ShapeError(
            f"vmap needs one number of examples, and got {sorted(lengths) or 'no argument with examples'}"
            f"{f' ({found})' if found else ''}.  Write in_axes=None for an argument that is the same for all examples."
        )
    return next(iter(lengths))


def _at_once(f: Callable[..., Any], args: tuple, axes: list[Any], n: int, out_axes: int) -> Any:
    level = next(levels)

    def batch(leaf: Any, axis: int) -> Batched:
        array: Any = leaf if isinstance(leaf, Tensor | Batched) else np.asarray(leaf)
        return Batched(np.moveaxis(array, axis, 0) if axis else array, level)

    def whole(out: Any) -> Any:
        if isinstance(out, Tensor) and type(out.data) is Batched and out.data.level == level:
            out = out.data  # a constant of the function
        if type(out) is Batched and out.level == level:
            value = out.value
        else:
            value = np.broadcast_to(out, (n, *np.shape(out)))
            value = value.copy() if isinstance(value, np.ndarray) else value
        return np.moveaxis(value, 0, out_axes) if out_axes else value

    examples = [
        tree_map(lambda leaf, axis=axis: batch(leaf, axis), arg) if axis is not None else arg
        for arg, axis in zip(args, axes, strict=True)
    ]
    token = running.set(next(leaf for leaf in tree_leaves(examples) if level_of(leaf) == level))
    try:
        return tree_map(whole, f(*examples))
    finally:
        running.reset(token)


def _one_by_one(f: Callable[..., Any], args: tuple, axes: list[Any], n: int, out_axes: int) -> Any:
    if not n:
        raise BatchError("a function that runs once per example gives no result, and no shape, for 0 examples.")

    def example(leaf: Any, axis: int, i: int) -> Any:
        array = leaf if isinstance(leaf, Tensor | Batched) else np.asarray(leaf)
        one = array[(slice(None),) * (axis % array.ndim) + (i,)]
        # A copy of an array, for the function may write into it.
        return one.copy() if isinstance(one, np.ndarray) else one

    results = [
        f(*[
            tree_map(lambda leaf, axis=axis, i=i: example(leaf, axis, i), arg) if axis is not None else arg
            for arg, axis in zip(args, axes, strict=True)
        ])
        for i in range(n)
    ]  # fmt: skip
    return tree_map(lambda *leaves: stack(list(leaves), out_axes), *results)
