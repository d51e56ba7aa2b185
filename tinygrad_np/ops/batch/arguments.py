"""Arguments of a function as one example has them, and as the whole batch does."""

from __future__ import annotations

import inspect
from functools import cache

import numpy as np

from ...engine.batched import BATCH_RULES, Batched


def rule(*functions):
    """Use the decorated function for these on a batch."""

    def register(run):
        BATCH_RULES.update(dict.fromkeys(functions, run))
        return run

    return register


def is_batch(x, level):
    """Whether `x` has one value for each example; all else is the same for all."""
    return type(x) is Batched and x.level == level


def values(args, level):
    """Arguments with the whole batches in the place of examples."""
    if isinstance(args, list | tuple):
        return type(args)(values(x, level) for x in args)
    return args.value if is_batch(args, level) else args


def whole_of(result, level):
    """A whole batch, of a result that is one already."""
    return result.value if is_batch(result, level) else result


def length(args, level):
    """The number of examples."""
    for x in args:
        if is_batch(x, level):
            return x.value.shape[0]
        if isinstance(x, list | tuple) and (found := length(x, level)) is not None:
            return found
    return None


def lengthened(x, level, n):
    """A whole batch, of copies where `x` is the same for all."""
    return x.value if is_batch(x, level) else np.broadcast_to(x, (n, *np.shape(x)))


def aligned(x, level, ndim):
    """A whole batch whose examples have `ndim` axes, by axes of length 1 in front; all else as it is."""
    if type(x) is not Batched or x.level != level:
        return x
    whole = x.value
    missing = ndim + 1 - whole.ndim
    return whole if not missing else whole.reshape((whole.shape[0], *[1] * missing, *whole.shape[1:]))


def shifted(axis, ndim):
    """An axis, or several, of an example as those of the batch."""
    if isinstance(axis, tuple | list | range):
        return tuple([shifted(a, ndim) for a in axis])
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return int(axis) % ndim + 1


@cache
def signature(function):
    """The signature of a function, looked up once."""
    return inspect.signature(function)


def bound(function, args, options):
    """The arguments by name, without those left at their defaults."""
    call = signature(function).bind(*args, **options)
    return call.arguments
