"""Ops of networks, written with the functions that NumPy has: layers, activations, and what losses are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .helpers import (
    avg_pool,
    avg_unpool,
    conv,
    conv_input,
    conv_weight,
    gelu_tanh,
    gelu_tanh_slope,
    max_pool,
    max_unpool,
    normal_density,
    normal_distribution,
    put,
    sigmoid,
    softmax,
)
from .symbol import ARRAYS, Symbol, Unreadable, applied, item

LAYERS: dict[str, Callable[..., Any]] = {}
"""How ops are written, by their name."""
SLOPES: dict[tuple[str, str], tuple[Callable[..., bool], Callable[..., Any]]] = {}
"""By op and input: where the first holds of the inputs, the second is the rule."""

# -- activations ----------------------------------------------------------------------------------

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _one(function: Any) -> Callable[..., Any]:
    return lambda x: applied(function, (x,), {})


_sigmoid, _normal, _density = _one(sigmoid), _one(normal_distribution), _one(normal_density)


def _silu_slope(x: Any) -> Any:
    return _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))


def _mish_slope(x: Any) -> Any:
    gate = np.tanh(np.logaddexp(x, 0))
    return gate + x * _sigmoid(x) * (1 - gate**2)


LAYERS.update(
    {
        "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, x, float(negative_slope) * x),
        "prelu": lambda x, weight: np.where(x > 0, x, weight * x),
        "elu": lambda x, alpha=1.0: np.where(x > 0, x, float(alpha) * np.expm1(x)),
        "celu": lambda x, alpha=1.0: np.where(x > 0, x, float(alpha) * np.expm1(x / float(alpha))),
        "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x)),
        "relu6": lambda x: np.clip(x, 0, 6),
        "hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.clip(x, float(min_val), float(max_val)),
        "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
        "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        "hardshrink": lambda x, lambd=0.5: np.where(np.abs(x) > float(lambd), x, 0),
        "softshrink": lambda x, lambd=0.5: x - np.clip(x, -float(lambd), float(lambd)),
        "softsign": lambda x: x / (1 + np.abs(x)),
        "tanhshrink": lambda x: x - np.tanh(x),
        "logsigmoid": lambda x: -np.logaddexp(-x, 0),
        "normal_distribution": _normal,
        "normal_density": _density,
        "silu": lambda x: x * _sigmoid(x),
        "silu_slope": _silu_slope,
        "gelu": lambda x: x * _normal(x),
        "gelu_slope": lambda x: _normal(x) + x * _density(x),
        "gelu_tanh": _one(gelu_tanh),
        "gelu_tanh_slope": _one(gelu_tanh_slope),
        "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
        "mish_slope": _mish_slope,
    }
)


def _always(*_: Any, **__: Any) -> bool:
    return True


SLOPES.update(
    {
        # g stands in both branches, so that numbers in them take its dtype.
        ("leaky_relu", "x"): (_always, lambda g, x, negative_slope=0.01: np.where(x > 0, g, float(negative_slope) * g)),
        ("prelu", "x"): (_always, lambda g, x, weight: np.where(x > 0, g, weight * g)),
        ("prelu", "weight"): (_always, lambda g, x, weight: np.where(x > 0, 0, g * x)),
        ("elu", "x"): (_always, lambda g, x, alpha=1.0: np.where(x > 0, g, float(alpha) * g * np.exp(x))),
        ("celu", "x"): (_always, lambda g, x, alpha=1.0: np.where(x > 0, g, g * np.exp(x / float(alpha)))),
        ("selu", "x"): (_always, lambda g, x: SELU_SCALE * np.where(x > 0, g, SELU_ALPHA * g * np.exp(x))),
        ("hardsigmoid", "x"): (_always, lambda g, x: g * ((x > -3) & (x < 3)) / 6),
    }
)

# -- layers ---------------------------------------------------------------------------------------


def _standardized(x: Any, axis: tuple[int, ...], eps: float = 1e-5) -> tuple[Any, Any, Any]:
    along = axis if len(axis) > 1 else axis[0]
    mean, variance = (f(x, axis=along, keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(variance + eps), mean, variance


def _over_root_mean_square(x: Any, axis: tuple[int, ...], eps: float = 1e-5) -> tuple[Any, Any]:
    square = np.mean(x**2, axis=axis, keepdims=True)
    return x / np.sqrt(square + eps), square


def _attention_weights(query: Any, key: Any, scale: float, added: Any = None, allowed: Any = None) -> Any:
    scores = scale * (query @ np.matrix_transpose(key))
    if added is not None:
        scores = scores + added
    if allowed is not None:
        mask = allowed.example if isinstance(allowed, Symbol) else allowed
        if not mask.any(axis=-1).all():
            raise Unreadable("there are queries for which no key is left")
        scores = np.where(allowed, scores, -np.inf)
    return applied(softmax, (scores, -1), {})


def _loop(advice: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Unreadable(f"it is a loop over the steps of a sequence{advice}")

    return refuse


LAYERS.update(
    {
        "affine": lambda x, weight, bias=None: x @ weight.T if bias is None else x @ weight.T + bias,
        "scaled": lambda x, weight, bias=None: x * weight if bias is None else x * weight + bias,
        "standardized": _standardized,
        "over_root_mean_square": _over_root_mean_square,
        "embedding": lambda weight, numbers: applied(item, (weight, numbers), {}),
        "summed_rows": lambda rows, numbers, into: applied(put, (rows, numbers, into), {}),
        "attention_weights": _attention_weights,
        **{name: _loop("") for name in ("linear_recurrence", "ctc", "ctc_posteriors")},
        **{name: _loop("; steps written with np.tanh and tg.sigmoid are formulas") for name in ("rnn", "lstm", "gru")},
    }
)

# -- convolution and pooling ----------------------------------------------------------------------


ARRAYS.update({conv: 2, conv_input: 2, conv_weight: 2, max_unpool: 3})


def _same(what: str, values: tuple[Any, ...]) -> Any:
    """The one number that all axes have."""
    flat = {n for value in values for n in (value if isinstance(value, tuple) else (value,))}
    if len(flat) != 1:
        raise Unreadable(f"{what}={values} differs between the axes, or between their ends")
    return flat.pop()


def _places(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    """The settings of a convolution that are not the plain ones, each as one number."""
    if groups != 1:
        raise Unreadable("a convolution in groups has no short formula")
    given = {"stride": _same("stride", stride), "padding": _same("padding", padding),
             "dilation": _same("dilation", dilation)}  # fmt: skip
    return {name: n for name, n in given.items() if n != (0 if name == "padding" else 1)}


def _conv(x: Any, w: Any, b: Any = None, stride: Any = (1,), padding: Any = (0,), dilation: Any = (1,),
          groups: int = 1) -> Any:  # fmt: skip
    out = applied(conv, (x, w), _places(stride, padding, dilation, groups))
    return out if b is None else out + b.reshape((-1, *[1] * (x.ndim - 2)))


def _contraction(function: Any) -> Callable[..., Any]:
    """What takes two arrays and the lengths of the axes of the third."""

    def call(a: Any, b: Any, lengths: Any = (), stride: Any = (1,), padding: Any = (0,), dilation: Any = (1,),
             groups: int = 1, **named: Any) -> Any:  # fmt: skip
        lengths = tuple(map(int, next(iter(named.values()), lengths)))
        return applied(function, (a, b, lengths), _places(stride, padding, dilation, groups))

    return call


def _windows(stride: Any, dilation: Any = (1,)) -> tuple[int, dict[str, int]]:
    """How far windows are apart, and their dilation unless it is 1."""
    wide = _same("dilation", dilation)
    return _same("stride", stride), {} if wide == 1 else {"dilation": wide}


def _max_pool(x: Any, kernel: Any, stride: Any, dilation: Any = (1,)) -> Any:
    apart, wide = _windows(stride, dilation)
    return applied(max_pool, (x, kernel, apart), wide)


def _max_unpool(y: Any, x: Any, top: Any, kernel: Any, stride: Any, dilation: Any = (1,)) -> Any:
    apart, wide = _windows(stride, dilation)
    return applied(max_unpool, (y, x, top, kernel, apart), wide)


LAYERS.update(
    {
        "conv": _conv,
        "conv_input": _contraction(conv_input),
        "conv_weight": _contraction(conv_weight),
        "max_pool": _max_pool,
        "max_unpool": _max_unpool,
        "avg_pool": lambda x, kernel, stride: applied(avg_pool, (x, kernel, _same("stride", stride)), {}),
        "avg_unpool": lambda y, shape, kernel, stride: applied(
            avg_unpool, (y, kernel, _same("stride", stride), shape), {}
        ),
    }
)

# -- losses ---------------------------------------------------------------------------------------


def _positive(*arrays: Any) -> bool:
    return all(bool((a.example > 0).all()) for a in arrays)


def _divergence(log_input: Any, target: Any) -> Any:
    if _positive(target):
        return target * (np.log(target) - log_input)
    absent = target == 0
    return target * (np.log(np.where(absent, 1, target)) - np.where(absent, 0, log_input))


def _huber(d: Any, delta: float = 1.0) -> Any:
    near = np.clip(d, -float(delta), float(delta))
    return near * (d - near / 2)


LAYERS.update(
    {
        "entropies": lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)),
        "divergence": _divergence,
        "huber": _huber,
    }
)


def _inside(p: Any, y: Any) -> bool:
    return bool((p.example > 0).all() and (p.example < 1).all())


SLOPES.update(
    {
        ("entropies", "p"): (_inside, lambda g, p, y: g * ((1 - y) / (1 - p) - y / p)),
        ("divergence", "target"): (
            lambda _, target: _positive(target),
            lambda g, log_input, target: g * (np.log(target) + 1 - log_input),
        ),
    }
)
