"""What a backward rule is for the shapes and the metadata of one call."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from ..words import argument, number
from .calls import Call, along, axes_named, fitted, value_text

_BASIC = (int, slice, np.integer, type(None), EllipsisType)


def _matmul(call: Call, i: int) -> str:
    (a, b), (shape_a, shape_b), out = call.names[:2], (call.shape(0), call.shape(1)), call.node.shape
    if not shape_a or not shape_b:
        return fitted(f"g * {(b, a)[i]}", out, call.shape(i))
    if len(shape_a) == len(shape_b) == 1:
        return f"g * {(b, a)[i]}"
    if call.op.name == "dot" and len(shape_b) > 2:
        return f"tensordot of g and {(b, a)[i]} over the axes {(b, a)[i]} has left"
    if i == 0:
        return _left_factor(b, shape_a, shape_b, out)
    return _right_factor(a, shape_a, shape_b, out)


def _left_factor(b: str, shape_a: tuple, shape_b: tuple, out: tuple) -> str:
    if len(shape_b) == 1:
        return f"outer(g, {b})" if len(shape_a) == 2 else f"g[..., None] * {b}"
    if len(shape_a) == 1:
        return f"{b} @ g" if len(shape_b) == 2 else fitted(f"matvec({b}, g)", (*out[:-1], *shape_a), shape_a)
    return fitted(f"g @ {b}ᵀ", (*out[:-1], shape_a[-1]), shape_a)


def _right_factor(a: str, shape_a: tuple, shape_b: tuple, out: tuple) -> str:
    if len(shape_b) == 1:
        return f"{a}ᵀ @ g" if len(shape_a) == 2 else fitted(f"matvec({a}ᵀ, g)", (*out[:-1], *shape_b), shape_b)
    if len(shape_a) == 1:
        return f"outer({a}, g)" if len(shape_b) == 2 else f"{a}[:, None] * g[..., None, :]"
    return fitted(f"{a}ᵀ @ g", (*out[:-2], *shape_b[-2:]), shape_b)


def _linear(call: Call, i: int) -> str:
    if i == 2:
        return fitted("g", call.node.shape, call.shape(2))
    # A bias that makes the result larger is summed over first.
    product = (*np.broadcast_shapes(call.shape(0)[:-2], call.shape(1)[:-2]), call.shape(0)[-2], call.shape(1)[-1])
    g = fitted("g", call.node.shape, product)
    if i == 0:
        return fitted(f"{g} @ {call.names[1]}ᵀ", (*product[:-1], call.shape(0)[-1]), call.shape(0))
    return fitted(f"{call.names[0]}ᵀ @ {g}", (*product[:-2], *call.shape(1)[-2:]), call.shape(1))


def _affine(call: Call, i: int) -> str:
    shape, outputs = call.shape(0), call.shape(1)
    if i == 0:
        return f"g @ {call.names[1]}"
    if i == 2:
        return fitted("g", call.node.shape, call.shape(2))
    if len(shape) == 1:
        return f"outer(g, {call.names[0]})"
    return fitted(f"gᵀ @ {call.names[0]}", (*shape[:-2], *outputs), outputs)


def _attention(call: Call, i: int) -> str:
    names, shape = call.names[:2], call.node.shape
    product = fitted(f"{('S', 'Sᵀ')[i]} @ {names[1 - i]}", (*shape[:-2], *call.shape(i)[-2:]), call.shape(i))
    return f"{argument(call.values['scale'])} * {product}, S = out * (g − sum(g * out, axis=-1, keepdims=True))"


def _conv(call: Call, i: int) -> str | None:
    # The channels are axis 1.
    return f"sum(g, axis={(0, *range(2, len(call.node.shape)))})" if i == 2 else None


def _rnn(call: Call, i: int) -> str | None:
    if i:
        return None
    x, _, weight = call.names
    slope = "(1 − out[t]²)" if call.values["nonlinearity"] == "tanh" else "(out[t] > 0)"
    return f"(g[t] + d{x}[t+1] @ {weight}) * {slope}, from the last step t to the first"


def _power(call: Call, i: int) -> str | None:
    (x, _), (_, exponent) = call.names, call.node.inputs
    if i or not isinstance(exponent, int | float):
        return None
    short: dict[float, str] = {1: "g", 2: f"2 * g * {x}", 3: f"3 * g * {x}²"}
    factor, rest = (number(k).replace("-", "−") for k in (exponent, exponent - 1))
    return fitted(short.get(exponent) or f"{factor} * g * {x} ** {rest}", call.node.shape, call.shape(0))


def _cross_entropy(call: Call, i: int) -> str:
    scores, labels = call.names[:2]
    shape, axis = call.shape(0), call.values["axis"]
    m = max(1, math.prod(shape) // max(1, shape[axis]))
    keyword = "" if axis == -1 else f", axis={axis}"
    if i == 1:
        return f"−g * log_softmax({scores}{keyword}) / {m}"
    p = f"softmax({scores}{keyword})"
    if call.shape(1) == shape:
        return f"g * ({p} * n − {labels}) / {m}, n = sum({labels}, axis={axis})"
    return f"g * ({p} − onehot({labels})) / {m}"


def _concatenate(call: Call, i: int) -> str:
    axis = call.values["axis"]
    if axis is None:
        start = sum(math.prod(call.shape(k)) for k in range(i))
        return f"reshape(g[{start}:{start + math.prod(call.shape(i))}], {call.shape(i)})"
    start = sum(call.shape(k)[axis] for k in range(i))
    return f"g[{_at(axis, call.node.shape, f'{start}:{start + call.shape(i)[axis]}')}]"


def _stack(call: Call, i: int) -> str:
    return f"g[{_at(call.values['axis'], call.node.shape, str(i))}]"


def _at(axis: int, shape: tuple[int, ...], part: str) -> str:
    return ":, " * (axis % len(shape)) + part


def _getitem(call: Call, i: int) -> str:
    given = call.values["index"]
    return f"g {'at' if _picks_once(given) else 'added up at'} [{value_text('index', given)}], 0 elsewhere"


def _picks_once(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, _BASIC) or np.asarray(part).dtype.kind == "b" for part in parts)


def _index_update(call: Call, i: int) -> str:
    given = call.values["index"]
    text = value_text("index", given)
    if i == 0:
        return f"g, but 0 at [{text}]"
    picked = np.broadcast_to(0, call.shape(0))[given].shape
    return fitted(f"g[{text}]", picked, call.shape(1)) + ("" if _picks_once(given) else ", 0 where written over")


def _broadcast_to(call: Call, i: int) -> str:
    return fitted("g", call.node.shape, call.shape(i))


def _transpose(call: Call, i: int) -> str:
    axes = call.values["axes"]
    if axes is None:
        return "gᵀ" if len(call.shape(0)) == 2 else "transpose(g)"
    return f"transpose(g, {tuple(np.argsort([a % len(call.shape(0)) for a in np.atleast_1d(axes)]).tolist())})"


def _roll(call: Call, i: int) -> str:
    shift, axis = call.values["shift"], call.values["axis"]
    keyword = "" if axis is None else f", axis={axis}"
    return f"roll(g, {argument(np.negative(shift).tolist())}{keyword})"


def _solve(call: Call, i: int) -> str:
    a = call.names[0]
    vector = len(call.shape(1)) == 1
    back = f"solve({a}ᵀ, g)"
    if vector and len(call.shape(0)) == 2:
        return back if i else f"−outer({back}, out)"
    text = back if i else f"−{back} @ outᵀ"
    if len(call.shape(0)) == 2 and len(call.shape(1)) < 3:
        return text
    return f"{text}, {'for each system' if len(call.shape(i)) == len(call.node.shape) else 'summed over the systems'}"


def _einsum(call: Call, i: int) -> str:
    left, _, result = call.values["subscripts"].partition("->")
    terms = left.split(",")
    others = [k for k in range(len(terms)) if k != i]
    # How long each axis is without this array: an axis of length 1 may have been broadcast.
    sizes = dict(zip(result, call.node.shape, strict=True))
    for k in others:
        sizes |= {label: max(n, sizes.get(label, 1)) for label, n in zip(terms[k], call.shape(k), strict=True)}
    kept = "".join([label for label in terms[i] if label in sizes])
    if others or kept != result:
        arrays = ", ".join(["g", *[call.names[k] for k in others]])
        text = f"einsum('{','.join([result, *[terms[k] for k in others]])}->{kept}', {arrays})"
    else:
        text = "g"
    lengths = dict(zip(terms[i], call.shape(i), strict=True))
    text = fitted(text, tuple([max(sizes[label], lengths[label]) for label in kept]), tuple([lengths[x] for x in kept]))
    repeated = tuple([k for k, label in enumerate(terms[i]) if sizes.get(label, 1) < lengths[label]])
    return f"{text}, repeated along {axes_named(repeated)}" if repeated else text


def _fourier(call: Call, i: int) -> str:
    name, shape, axis = call.op.name, call.shape(0), call.values["axis"]
    length = shape[axis]
    n = call.values["n"] or length
    options = "" if axis == -1 else f", axis={axis}"
    options += "" if call.values["norm"] in (None, "backward") else f", norm={call.values['norm']!r}"
    real = np.dtype(call.node.inputs[0].dtype).kind != "c"
    if name in ("irfft", "hfft"):
        text = f"{'ihfft' if name == 'irfft' else 'rfft'}(g{options})"
        text, n = (f"real({text})" if real else text) + ", doubled for paired frequencies", length
    elif name in ("rfft", "ihfft"):
        back = {"rfft": "fft", "ihfft": "ifft"}[name]
        text = f"real({back}(g, n={n}{options}))"
    else:
        text = f"real({name}(g{options}))" if real else f"{name}(g{options})"
    return text if n == length else f"{text}, {'cut' if n > length else 'padded'} to length {length}"


def _qr(call: Call, i: int) -> str | None:
    rows, columns = call.shape(0)[-2:]
    return None if rows >= columns else f"rule of qr for the first {rows} columns, Q @ gR for the others"


def _imag(call: Call, i: int) -> str:
    return "−1j * g" if call.node.inputs[0].dtype.kind == "c" else "0 * g"


def _clip(call: Call, i: int) -> str:
    (a, low, high), (_, least, most) = call.names, call.node.inputs
    # A bound that was not given is infinite.
    no_low, no_high = isinstance(least, float) and least == -np.inf, isinstance(most, float) and most == np.inf
    if i == 0:
        conditions = [] if no_low else [f"({a} >= {low})"]
        conditions += [] if no_high else [f"({a} <= {high})"]
    elif i == 1:
        conditions = [f"({a} < {low})"] + ([] if no_high else [f"({low} <= {high})"])
    else:
        conditions = [" | ".join([f"({a} > {high})"] + ([] if no_low else [f"({low} > {high})"]))]
    text = " & ".join(conditions)
    one = len(conditions) == 1 and "|" not in text
    text = "g" if not conditions else f"g * {text}" if one else f"g * ({text})"
    return fitted(text, call.node.shape, call.shape(i))


def _norm(call: Call, i: int) -> str | None:
    return f"g * sign({call.names[0]}){along(call)}" if call.values.get("ord") == 1 else None


def _real_or_complex(call: Call, i: int) -> str | None:
    if call.node.inputs[0].dtype.kind != "c":
        return None
    return fitted(f"g * conj({call.names[0]}) / out", call.node.shape, call.shape(0))


BY_SHAPE: dict[str, Callable[[Call, int], str | None]] = {
    "matmul": _matmul,
    "dot": _matmul,
    "linear": _linear,
    "affine": _affine,
    "attention_weights": _attention,
    "conv": _conv,
    "rnn": _rnn,
    "power": _power,
    "clip": _clip,
    "imag": _imag,
    "norm": _norm,
    "absolute": _real_or_complex,
    "cross_entropy": _cross_entropy,
    "concatenate": _concatenate,
    "stack": _stack,
    "getitem": _getitem,
    "index_update": _index_update,
    "broadcast_to": _broadcast_to,
    "transpose": _transpose,
    "roll": _roll,
    "solve": _solve,
    "einsum": _einsum,
    "qr": _qr,
    **dict.fromkeys(("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"), _fourier),
}
