"""Functions that derivations bring along: what takes more than a line of NumPy.

Their texts stand above the derivation, and are run here, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

HELPERS: dict[Any, str] = {}
"""From a function to its text."""
NEEDED: dict[Any, tuple[Any, ...]] = {}
"""And to those that it calls."""


def helper(text: str, *needs: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a derivation brings along, from its text, with those that it calls."""
    scope: dict[str, Any] = {"np": np, "math": math, **{needed.__name__: needed for needed in needs}}
    exec(text, scope)
    function = scope[text.split("(")[0].removeprefix("def ")]
    HELPERS[function], NEEDED[function] = text.strip(), needs
    return function


sigmoid = helper("""def sigmoid(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)  # = 1 / (1 + exp(-z)), without overflow
""")
softmax = helper("""def softmax(z, axis=None):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
""")
logsumexp = helper("""def logsumexp(z, axis=None, keepdims=False):
    top = z.max(axis=axis, keepdims=True)
    total = np.log(np.exp(z - top).sum(axis=axis, keepdims=True)) + top
    return total if keepdims else total.squeeze(axis)
""")
inverse_or_zero = helper("""def inverse_or_zero(x):
    return np.divide(1, x, out=np.zeros_like(x), where=x != 0)
""")
one_hot = helper("""def one_hot(labels, classes, axis):
    return np.moveaxis(np.eye(classes, dtype=np.int8)[labels], -1, axis)
""")
put: Any = helper("""def put(values, index, shape):
    out = np.zeros(shape, values.dtype)
    np.add.at(out, index, values)  # adds up where an index comes more than once
    return out
""")
put_along_axis = helper("""def put_along_axis(values, index, axis, shape):
    out = np.zeros(shape, values.dtype)
    np.put_along_axis(out, index, values, axis)
    return out
""")
overlap_add = helper("""def overlap_add(windows, length, axis):
    shape = list(windows.shape[:-1])
    shape[axis], (count, width) = length, (shape[axis], windows.shape[-1])
    out = np.zeros(shape, windows.dtype)
    for k in range(width):  # each window lies one further than the one before
        part = [slice(None)] * out.ndim
        part[axis] = slice(k, k + count)
        out[tuple(part)] += windows[..., k]
    return out
""")

# -- activations ----------------------------------------------------------------------------------

normal_distribution = helper("""def normal_distribution(x):
    erfc = np.vectorize(math.erfc, otypes=[x.dtype])
    return erfc(-x / math.sqrt(2)) / 2
""")
normal_density = helper("""def normal_density(x):
    return np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
""")
gelu_tanh = helper("""def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
""")
gelu_tanh_slope = helper("""def gelu_tanh_slope(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 0.134145 * x**2)
""")

# -- convolution and pooling ----------------------------------------------------------------------

windows_at = helper("""def windows_at(lengths, kernel, stride, dilation):  # what each entry of the kernel meets
    for at in np.ndindex(*kernel):
        axes = zip(lengths, kernel, at)
        yield at, (..., *[slice(i * dilation, n - dilation * (k - 1 - i), stride) for n, k, i in axes])
""")
conv = helper("""def conv(x, w, stride=1, padding=0, dilation=1):
    x = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * (x.ndim - 2))
    parts = windows_at(x.shape[2:], w.shape[2:], stride, dilation)
    return sum(np.einsum("nc...,oc->no...", x[part], w[(..., *at)]) for at, part in parts)
""", windows_at)  # fmt: skip
conv_input = helper("""def conv_input(y, w, space, stride=1, padding=0, dilation=1):  # the transpose of conv
    out = np.zeros((len(y), w.shape[1], *[n + 2 * padding for n in space]), y.dtype)
    for at, part in windows_at(out.shape[2:], w.shape[2:], stride, dilation):
        out[part] += np.einsum("no...,oc->nc...", y, w[(..., *at)])
    return out[(..., *[slice(padding, padding + n) for n in space])]
""", windows_at)  # fmt: skip
conv_weight = helper("""def conv_weight(x, y, kernel, stride=1, padding=0, dilation=1):
    x = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * (x.ndim - 2))
    axes = [0, *range(2, x.ndim)]
    products = [np.tensordot(y, x[part], (axes, axes)) for _, part in windows_at(x.shape[2:], kernel, stride, dilation)]
    return np.stack(products, axis=-1).reshape(y.shape[1], x.shape[1], *kernel)
""", windows_at)  # fmt: skip
max_pool = helper("""def max_pool(x, kernel, stride, dilation=1):
    parts = windows_at(x.shape[-len(kernel) :], kernel, stride, dilation)
    return np.max([x[part] for _, part in parts], axis=0)
""", windows_at)  # fmt: skip
max_unpool = helper("""def max_unpool(y, x, top, kernel, stride, dilation=1):
    parts = [part for _, part in windows_at(x.shape[-len(kernel) :], kernel, stride, dilation)]
    share = (y / sum(x[part] == top for part in parts)).astype(y.dtype)  # among entries that tie
    out = np.zeros(x.shape, y.dtype)
    for part in parts:
        out[part] += share * (x[part] == top)
    return out
""", windows_at)  # fmt: skip
avg_pool = helper("""def avg_pool(x, kernel, stride):
    parts = windows_at(x.shape[-len(kernel) :], kernel, stride, 1)
    return np.mean([x[part] for _, part in parts], axis=0)
""", windows_at)  # fmt: skip
avg_unpool = helper("""def avg_unpool(y, kernel, stride, shape):
    parts = [part for _, part in windows_at(shape[-len(kernel) :], kernel, stride, 1)]
    out = np.zeros(shape, y.dtype)
    for part in parts:
        out[part] += y / len(parts)
    return out
""", windows_at)  # fmt: skip
