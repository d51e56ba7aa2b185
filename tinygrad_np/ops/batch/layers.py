"""Layers of networks: what is one op for arrays runs as others, each of which has a rule."""

from __future__ import annotations

import numpy as np

from ...engine.door import bare
from ...errors import BatchError
from .. import attention, convolution, embedding, nn, normalization, pooling, recurrent
from .arguments import bound, is_batch, length, lengthened, rule, whole_of


@rule(normalization.standardized)
def _standardized(function, level, args, options):
    def written(x, axis, eps=1e-5):
        mean = np.mean(x, axis=axis, keepdims=True)
        variance = np.mean((x - mean) ** 2, axis=axis, keepdims=True)
        return (x - mean) / np.sqrt(variance + eps), mean, variance

    return tuple(whole_of(result, level) for result in written(*args, **options))


@rule(normalization.over_root_mean_square)
def _over_root_mean_square(function, level, args, options):
    def written(x, axis, eps=1e-5):
        square = np.mean(x * x, axis=axis, keepdims=True)
        return x / np.sqrt(square + eps), square

    return tuple(whole_of(result, level) for result in written(*args, **options))


@rule(attention._weights)
def _attention_weights(function, level, args, options):
    def written(query, key, scale, added=None, allowed=None):
        scores = np.matmul(query * scale, key.mT)
        if added is not None:
            scores = scores + added
        return nn.softmax(scores if allowed is None else np.where(allowed, scores, -np.inf))

    return whole_of(written(*args, **options), level)


def _once(x, level):
    """What is one array repeated for all examples, such as weights, as that array."""
    if not is_batch(x, level):
        return x
    array = bare(x.value)
    return x.value[0] if type(array) is np.ndarray and array.strides[0] == 0 else x


# -- tables ---------------------------------------------------------------------------------------


@rule(embedding._rows_at)
def _rows_at(function, level, args, options):
    weight, numbers = args
    n, weight = length(args, level), _once(weight, level)
    numbers = lengthened(numbers, level, n)
    if not is_batch(weight, level):
        return function(weight, numbers)
    entries, features = weight.shape
    return function(np.reshape(weight.value, (n * entries, features)), _own_rows(numbers, entries))


@rule(embedding._summed_rows)
def _summed_rows(function, level, args, options):
    g, numbers, into = args
    n = length(args, level)
    g, numbers = lengthened(g, level, n), lengthened(numbers, level, n)
    return np.reshape(function(g, _own_rows(numbers, into[0]), (n * into[0], into[1])), (n, *into))


def _own_rows(numbers, entries):
    """The rows of each example, in the tables of all examples one after the other."""
    n = numbers.shape[0]
    return numbers + entries * np.reshape(np.arange(n), (n, *[1] * (numbers.ndim - 1)))


# -- convolution and pooling ----------------------------------------------------------------------

# Samples have their channels on axis 1, and weights on axis 0.
_CHANNELS = {
    convolution.conv: ({"x": 1, "w": 0}, 1),
    convolution.conv_input: ({"y": 1, "w": 0}, 1),
    convolution.conv_weight: ({"x": 1, "y": 1}, 0),
}


@rule(*_CHANNELS)
def _convolution(function, level, args, options):
    """The examples as more samples, or with other weights for each as groups of channels, which do not meet."""
    axes, of_result = _CHANNELS[function]
    call = bound(function.op.function, args, options)
    n, bias = length(call.values(), level), call.pop("b", None)
    call |= {name: _once(call[name], level) for name in axes}
    if "w" in axes and not is_batch(call["w"], level):
        axes, of_result = {next(iter(axes)): 0}, 0
    else:
        call["groups"] = n * call.get("groups", 1)
    call |= {name: _joined(lengthened(call[name], level, n), axis) for name, axis in axes.items()}
    arrays = [call.pop(name) for name in _CHANNELS[function][0]]
    out = _parted(function(*arrays, **call), of_result, n)
    if bias is None:
        return out
    return out + np.reshape(lengthened(bias, level, n), (n, 1, -1, *[1] * (out.ndim - 3)))


def _joined(x, axis):
    """The examples one after the other along an axis of theirs."""
    x = np.moveaxis(x, 0, axis)
    return np.reshape(x, (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :]))


def _parted(x, axis, n):
    """The examples that `_joined` put along an axis."""
    shape = (*x.shape[:axis], n, x.shape[axis] // n, *x.shape[axis + 1 :])
    return np.moveaxis(np.reshape(x, shape), axis, 0)


@rule(pooling.max_pool, pooling._max_unpool, pooling._pool_at_largest, pooling.avg_pool)
def _on_last_axes(function, level, args, options):
    n, arrays = length(args, level), len(function.op.inputs)
    return function(*[lengthened(x, level, n) for x in args[:arrays]], *args[arrays:], **options)


@rule(pooling.avg_unpool)
def _avg_unpool(function, level, args, options):
    call = bound(function.op.function, args, options)
    y = call.pop("y").value
    return function(y, **call | {"shape": (len(y), *call["shape"])})


# -- recurrent networks ---------------------------------------------------------------------------


@rule(recurrent.rnn, recurrent.lstm, recurrent.gru, recurrent._linear)
def _recurrent(function, level, args, options):
    """The examples as axis 1: after the steps, and before the states."""
    call = bound(function.op.function, args, options)
    n = length(call.values(), level)
    arrays = {name: call.pop(name) for name in function.op.inputs if name in call}
    for name, x in arrays.items():
        if name in ("weight", "bias"):
            arrays[name] = _once(x, level)
            if is_batch(arrays[name], level):
                raise BatchError("steps with other weights for each example are other products.")
        elif name in ("h", "c"):
            arrays[name] = lengthened(x, level, n)
        else:
            arrays[name] = np.moveaxis(lengthened(x, level, n), 0, 1)
    out = function(*arrays.values(), **call)
    return tuple(np.moveaxis(x, 1, 0) for x in out) if isinstance(out, tuple) else np.moveaxis(out, 1, 0)
