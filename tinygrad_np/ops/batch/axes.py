"""Functions of entries, and functions along axes."""

from __future__ import annotations

import numpy as np

from ...engine.batched import BATCH_RULES, Batched
from ...engine.door import bare
from ...errors import BatchError
from .. import losses, nn, norms, reduce
from .arguments import aligned, bound, is_batch, length, lengthened, rule, shifted, signature, whole_of

# -- entries --------------------------------------------------------------------------------------


@rule(
    "elementwise", np.where, np.clip, np.round, np.around, np.isclose, np.nan_to_num, np.real, np.imag, np.isneginf,
    np.isposinf, np.fix, np.copy, np.iscomplex, np.isreal,
)  # fmt: skip
def entries(function, level, args, options):
    """Axes are matched from the right, so that of the examples has to stay in front."""
    if function is np.where and len(args) == 1:
        raise BatchError("each example has its own number of places.")
    ndim = max([x.ndim if type(x) is Batched else np.ndim(x) for x in args])
    if options:
        ndim = max([ndim, *[x.ndim for x in options.values() if type(x) is Batched]])
        options = {key: aligned(x, level, ndim) for key, x in options.items()}
    return function(*[aligned(x, level, ndim) for x in args], **options)


@rule(np.zeros_like, np.ones_like, np.empty_like)
def _like(function, level, args, options):
    return function(np.broadcast_to(np.zeros((), args[0].dtype), args[0].shape), *args[1:], **options)


for _name in ("shape", "ndim", "size"):
    BATCH_RULES[getattr(np, _name)] = lambda f, level, args, options, name=_name: getattr(args[0], name)
BATCH_RULES[np.iscomplexobj] = lambda f, level, args, options: args[0].dtype.kind == "c"
BATCH_RULES[np.isrealobj] = lambda f, level, args, options: args[0].dtype.kind != "c"


@rule(np.result_type)
def _result_type(function, level, args, options):
    return function(*[x.dtype if type(x) is Batched else x for x in args])


# -- functions along axes -------------------------------------------------------------------------


def _over_axes(function, level, call, default):
    """Run with the axes shifted; without axes, over all of each example."""
    first, *rest = call
    if any(type(call[k]) is Batched for k in rest if k != "where"):
        raise BatchError("other arguments than the array and the mask are the same for all examples.")
    n = length(call.values(), level)
    array = call[first] = lengthened(call[first], level, n)
    ndim = array.ndim - 1
    axis = call.get("axis", default)
    call["axis"] = tuple(range(1, ndim + 1)) if axis is None else shifted(axis, ndim)
    if "where" in call:
        call["where"] = aligned(call["where"], level, ndim)
    return function(**call) if first != "array" else function(call.pop("array"), **call)


@rule(
    np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.all, np.any, np.amax, np.amin,
    np.count_nonzero, nn.softmax, nn.log_softmax, nn.logsumexp,
)  # fmt: skip
def _reduction(function, level, args, options):
    call = bound(function, args, options)
    return _over_axes(function, level, call, signature(function).parameters["axis"].default)


_METHOD_PARAMETERS = ("array", "axis", "dtype", "out", "keepdims", "initial", "where")


def _ufunc_reduce(key, level, args, options):
    ufunc, method = key
    call = {**dict(zip(_METHOD_PARAMETERS, args, strict=False)), **options}
    call = {k: v for k, v in call.items() if k != "out" and v is not np._NoValue and (k != "dtype" or v is not None)}
    if method == "accumulate":
        call["array"] = call["array"].value
        call["axis"] = shifted(call.get("axis", 0), call["array"].ndim - 1)
        return ufunc.accumulate(call.pop("array"), **call)
    return _over_axes(ufunc.reduce, level, call, 0)


for _ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.logical_and, np.logical_or):
    for _method in ("reduce", "accumulate"):
        BATCH_RULES[_ufunc, _method] = _ufunc_reduce


@rule(
    np.cumsum, np.cumprod, np.argmax, np.argmin, np.sort, np.argsort, np.partition, np.argpartition,
    np.diff, np.flip, np.roll, np.cumulative_sum, np.cumulative_prod,
)  # fmt: skip
def _along_one(function, level, args, options):
    """Without an axis, these see an example as one row."""
    call = bound(function, args, options)
    first, *rest = call
    if not is_batch(call[first], level) or any(
        type(call[k]) is Batched or np.ndim(call[k]) for k in rest if k not in ("axis", "kth", "shift")
    ):
        raise BatchError(f"np.{function.__name__} has no rule for a batch of its other arguments.")
    array, ndim = call.pop(first).value, args[0].ndim
    axis = call.pop("axis", signature(function).parameters["axis"].default)
    if axis is None and function is np.flip:
        axis = tuple(range(ndim))
    if axis is None and ndim != 1:
        if function is not np.roll and call.get("keepdims"):
            raise BatchError(f"np.{function.__name__} has no rule for a batch with keepdims and without axis.")
        result = function(array.reshape(array.shape[0], -1), axis=1, **call)
        return result.reshape(array.shape) if function is np.roll else result
    return function(array, axis=shifted(0 if axis is None else axis, ndim), **call)


@rule(
    np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft, np.fft.fftshift, np.fft.ifftshift,
)  # fmt: skip
def _fourier(function, level, args, options):
    call = bound(function, args, options)
    first, a = next(iter(call.items()))
    several = "axes" in signature(function).parameters
    name = "axes" if several else "axis"
    if call.get(name) is None:
        call[name] = range(a.ndim) if several else -1
    return function(**{**call, first: a.value, name: shifted(call[name], a.ndim)})


@rule(np.take_along_axis)
def _take_along_axis(function, level, args, options):
    call = bound(function, args, options)
    n = length(call.values(), level)
    arr, indices = (lengthened(call[name], level, n) for name in ("arr", "indices"))
    axis = call.get("axis", -1)
    if axis is None:
        return function(arr.reshape(n, -1), indices, 1)
    # Both sides broadcast, except along the axis.
    return function(arr, indices, shifted(axis, arr.ndim - 1))


@rule(np.take)
def _take(function, level, args, options):
    call = bound(function, args, options)
    a, indices, axis = call.pop("a"), call.pop("indices"), call.pop("axis", None)
    if not is_batch(indices, level):
        if axis is None:
            return np.take(a.value.reshape(a.value.shape[0], -1), indices, 1, **call)
        return np.take(a.value, indices, shifted(axis, a.ndim), **call)
    if not is_batch(a, level):
        taken = np.take(a, indices.value, axis, **call)
        return taken if axis is None else np.moveaxis(taken, shifted(axis, np.ndim(a)) - 1, 0)
    if call or (axis is not None and a.ndim != 1):
        raise BatchError("np.take has no rule for a batch of arrays with indices of their own along an axis.")
    n = a.value.shape[0]
    picked = np.take_along_axis(a.value.reshape(n, -1), indices.value.reshape(n, -1), 1)
    return picked.reshape(indices.value.shape)


@rule(np.repeat)
def _repeat(function, level, args, options):
    call = bound(function, args, options)
    (first, array), (other, by), *_ = call.items()
    if not is_batch(array, level) or is_batch(by, level):
        raise BatchError(f"np.{function.__name__} has no rule for a batch of {other}.")
    axis = call.pop("axis", None)
    value = array.value if axis is not None else array.value.reshape(array.value.shape[0], -1)
    call[first] = value
    return function(**call, axis=1 if axis is None else shifted(axis, array.ndim))


# -- ops that compute on arrays only --------------------------------------------------------------


def _decomposed(written):
    """A rule for what is one op for arrays: run it as others, each of which has a rule."""
    return lambda function, level, args, options: whole_of(written(*args, **options), level)


def _check_labels(labels, shape, axis):
    """As the op does it; of a batch, for the smallest and the largest label of all examples."""
    if type(labels) is not Batched:
        losses.class_index(np.asarray(labels), shape, axis)
    elif labels.value.size:
        for extreme in (np.min, np.max):
            losses.class_index(np.full(labels.shape, extreme(bare(labels.value))), shape, axis)


def _cross_entropy(logits, labels, axis=-1):
    scores = nn.log_softmax(logits, axis)
    if np.shape(labels) == np.shape(logits):
        # 0 log 0 is 0.
        picked = np.sum(labels * np.where((labels == 0) & np.isneginf(scores), 0, scores), axis=axis)
    else:
        _check_labels(labels, logits.shape, axis)
        picked = np.squeeze(np.take_along_axis(scores, np.expand_dims(labels, axis), axis), axis)
    return -np.mean(picked)


def _binary_cross_entropy_with_logits(logits, labels):
    losses.check_same_shape("binary_cross_entropy_with_logits", logits, labels)
    return np.mean(nn.softplus(logits) - logits * labels)


def _mse(p, y):
    losses.check_same_shape("mse", p, y)
    return np.mean((p - y) ** 2)


def _softmax_minus_one_hot(x, labels, axis):
    shape = [n if i == axis % x.ndim else 1 for i, n in enumerate(x.shape)]
    classes = np.arange(x.shape[axis]).reshape(shape)
    return nn.softmax(x, axis) - (classes == np.expand_dims(labels, axis))


BATCH_RULES[losses._softmax_minus_one_hot] = _decomposed(_softmax_minus_one_hot)
BATCH_RULES[losses.cross_entropy] = _decomposed(_cross_entropy)
BATCH_RULES[losses.binary_cross_entropy_with_logits] = _decomposed(_binary_cross_entropy_with_logits)
BATCH_RULES[losses.mse] = _decomposed(_mse)


@rule(norms._norm2)
def _norm2(function, level, args, options):
    call = bound(function, args, options)
    return _over_axes(np.linalg.norm, level, call, None) if call["x"].ndim else np.abs(call["x"].value)


@rule(reduce._recorded_spread)
def _spread(function, level, args, options):
    call = bound(function, args, options)
    a, to, axis, keepdims = call["a"], call["to"], call.get("axis"), call.get("keepdims", False)
    n = a.value.shape[0]
    if axis is None:
        return np.broadcast_to(a.value.reshape((n, *[1] * len(to))), (n, *to))
    return reduce.spread(a.value, (n, *to), shifted(axis, len(to)), keepdims)
