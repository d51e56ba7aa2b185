"""Convolution over any number of axes, and its two transposes.

`conv(x, w)` is linear in each of its arrays, so that its gradients are the two other ways to contract three
arrays of these shapes, whose gradients are again among the three:

    conv(x, w)              samples and weights to outputs
    conv_input(y, w)        outputs and weights to samples: a transposed convolution
    conv_weight(x, y)       samples and outputs to weights

Each is a matrix product with columns, that have for each place of the output all that its weights meet.
"""

from __future__ import annotations

import numpy as np

from ..engine.op import multilinear, op
from ..errors import RangeError, ShapeError
from .places import Places, each, inputs_of, outputs_of, paddings, weights_of
from .reduce import operand

# -- as ops --------------------------------------------------------------------------------------

_EVERY = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
_SECOND = {"stride": (2,), "padding": ((1, 2),), "dilation": (2,), "groups": 2}
_PLANE = {"stride": (1, 2), "padding": ((1, 1), (0, 1)), "dilation": (2, 1), "groups": 1}


@op(
    fresh=True,
    x=lambda g, w, shape, stride, padding, dilation, groups: conv_input(
        g, w, shape[2:], stride, padding, dilation, groups
    ),
    w=lambda g, x, shape, stride, padding, dilation, groups: conv_weight(
        x, g, shape[2:], stride, padding, dilation, groups
    ),
    b=lambda g: np.sum(g, axis=(0, *range(2, g.ndim))),
    jvps={
        "x": lambda t, w, stride, padding, dilation, groups: conv(t, w, None, stride, padding, dilation, groups),
        "w": lambda t, x, stride, padding, dilation, groups: conv(x, t, None, stride, padding, dilation, groups),
    },
    sample=lambda r: [
        r(r.real(2, 3, 5), r.real(4, 3, 2), r.real(4), **_EVERY),
        r(r.real(2, 4, 7), r.real(6, 2, 3), **_SECOND),
        r(r.real(2, 2, 4, 5), r.real(3, 2, 2, 2), r.real(3), **_PLANE),
    ],
)
def conv(x, w, b=None, stride=(1,), padding=((0, 0),), dilation=(1,), groups=1):
    """Samples (N, C, *space) and weights (O, C / groups, *kernel) to outputs (N, O, *out), plus b (O,)."""
    at = Places(x.shape[2:], w.shape[2:], stride, padding, dilation)
    out = outputs_of(x, w, at, groups)
    if b is not None:
        b = b.reshape(-1, *[1] * (out.ndim - 1))
        out = np.add(out, b, out=out if np.result_type(out, b) == out.dtype else None)
    return np.moveaxis(out, -1, 0)


@multilinear(
    y=lambda g, w, stride, padding, dilation, groups: conv(g, w, None, stride, padding, dilation, groups),
    w=lambda g, y, shape, stride, padding, dilation, groups: conv_weight(
        g, y, shape[2:], stride, padding, dilation, groups
    ),
    sample=lambda r: [
        r(r.real(2, 4, 4), r.real(4, 3, 2), space=(5,), **_EVERY),
        r(r.real(2, 6, 3), r.real(6, 2, 3), space=(7,), **_SECOND),
        r(r.real(2, 3, 4, 3), r.real(3, 2, 2, 2), space=(4, 5), **_PLANE),
    ],
)
def conv_input(y, w, space=(), stride=(1,), padding=((0, 0),), dilation=(1,), groups=1):
    """Outputs (N, O, *out) and weights (O, C / groups, *kernel) to samples (N, C, *space)."""
    return inputs_of(y, w, Places(space, w.shape[2:], stride, padding, dilation), groups)


@multilinear(
    x=lambda g, y, shape, stride, padding, dilation, groups: conv_input(
        y, g, shape[2:], stride, padding, dilation, groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: conv(x, g, None, stride, padding, dilation, groups),
    sample=lambda r: [
        r(r.real(2, 3, 5), r.real(2, 4, 4), kernel=(2,), **_EVERY),
        r(r.real(2, 4, 7), r.real(2, 6, 3), kernel=(3,), **_SECOND),
        r(r.real(2, 2, 4, 5), r.real(2, 3, 4, 3), kernel=(2, 2), **_PLANE),
    ],
)
def conv_weight(x, y, kernel=(), stride=(1,), padding=((0, 0),), dilation=(1,), groups=1):
    """Samples (N, C, *space) and outputs (N, O, *out) to weights (O, C / groups, *kernel)."""
    return weights_of(x, y, Places(x.shape[2:], kernel, stride, padding, dilation), groups)


# -- PyTorch's names -----------------------------------------------------------------------------


def _settings(title, axes, x, weight, bias, channels, groups):
    """Refuse arrays that do not fit each other; whether `x` is one sample without its axis."""
    if weight.ndim != axes + 2 or x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{title} takes samples (N, C, {'L' if axes == 1 else '*space'}) and weights with {axes + 2} axes, not "
            f"shapes {x.shape} and {weight.shape}.  Give images without channels one by x[:, None]."
        )
    of_x = x.shape[-axes - 1]
    of_weight, outputs = channels
    if of_x != of_weight:
        raise ShapeError(
            f"{title} takes as many channels as its weights are for, {of_weight} with shape {weight.shape}"
            f"{f' in {groups} groups' if groups > 1 else ''}, and samples of shape {x.shape} have {of_x}, on axis "
            f"{x.ndim - axes - 1}.  Channels stand before the axes of space: np.moveaxis(x, -1, 1), or x[:, None] for "
            "images without."
        )
    if outputs % groups or of_x % groups:
        raise ShapeError(
            f"{title} splits channels into groups, and {groups} groups do not divide the {of_x} channels of samples of "
            f"shape {x.shape} and the {outputs} that weights of shape {weight.shape} give.  Take another number."
        )
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"{title} takes a bias of shape ({outputs},), one per output channel, not {bias.shape}.")
    return x.ndim == axes + 1


def _conv(axes):
    title = f"conv{axes}d"

    def function(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        x, weight, bias = operand(x), operand(weight), None if bias is None else operand(bias)
        (groups,) = each(groups, 1, "groups", title)
        channels = weight.shape[1] * groups if weight.ndim > 1 else 0, weight.shape[0] if weight.ndim else 0
        one = _settings(title, axes, x, weight, bias, channels, groups)
        stride, dilation = each(stride, axes, "stride", title), each(dilation, axes, "dilation", title)
        padding = paddings(padding, weight.shape[2:], stride, dilation, title)
        out = conv(x[None] if one else x, weight, bias, stride, padding, dilation, groups)
        return out[0] if one else out

    return _named(function, title, _CONV, axes)


def _conv_transpose(axes):
    title = f"conv_transpose{axes}d"

    def function(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        x, weight, bias = operand(x), operand(weight), None if bias is None else operand(bias)
        (groups,) = each(groups, 1, "groups", title)
        channels = weight.shape[0] if weight.ndim else 0, weight.shape[1] * groups if weight.ndim > 1 else 0
        one = _settings(title, axes, x, weight, bias, channels, groups)
        stride, dilation = each(stride, axes, "stride", title), each(dilation, axes, "dilation", title)
        padding = paddings(padding, weight.shape[2:], stride, dilation, title)
        more = each(output_padding, axes, "output_padding", title, least=0)
        if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
            raise RangeError(f"{title} takes output_padding below the stride {stride} or the dilation, not {more}.")
        # What is added at the end is cut off less there; only what is then missing has no weight that meets it.
        sides = [(before, max(after - m, 0)) for (before, after), m in zip(padding, more, strict=True)]
        empty = [max(m - after, 0) for (_, after), m in zip(padding, more, strict=True)]
        lengths = zip(x.shape[-axes:], weight.shape[2:], stride, sides, dilation, strict=True)
        space = tuple((n - 1) * s - sum(p) + d * (k - 1) + 1 for n, k, s, p, d in lengths)
        if min(space) < 1:
            raise ShapeError(
                f"{title} of samples of shape {x.shape} with a kernel of shape {weight.shape[2:]} and padding "
                f"{padding} would be of shape {space}: the padding cuts everything off.  Pad less."
            )
        out = conv_input(x[None] if one else x, weight, space, stride, tuple(sides), dilation, groups)
        if any(empty):
            out = np.pad(out, [(0, 0)] * 2 + [(0, n) for n in empty])
        if bias is not None:
            out = out + bias.reshape(-1, *[1] * axes)
        return out[0] if one else out

    return _named(function, title, _CONV_TRANSPOSE, axes)


def _named(function, title, text, axes):
    function.__name__ = function.__qualname__ = title
    function.__doc__ = text.format(title=title, space=", ".join("LHWD"[1 if axes > 1 else 0 :][:axes]),
                                   one=", ".join(["4"] * axes), out=", ".join(["3"] * axes),
                                   kernel=", ".join(["2"] * axes), back=", ".join(["5"] * axes))  # fmt: skip
    return function


_CONV = """Cross-correlation of samples (N, C, {space}) with weights (O, C / groups, *kernel), plus bias (O,).

    What deep learning calls convolution: the kernel is not turned round.  `stride`, `padding` (zeros on both sides,
    or "same" or "valid") and `dilation` are one number, or one per axis.  A sample may come without its axis.
    Raises ShapeError for channels that do not fit, or a kernel larger than the samples.
    (Dumoulin and Visin, A guide to convolution arithmetic, 2016.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import {title}
    >>> {title}(np.ones((2, 3, {one})), np.ones((5, 3, {kernel}))).shape
    (2, 5, {out})
    """

_CONV_TRANSPOSE = """The transpose of convolution: samples (N, C, {space}), weights (C, O / groups, *kernel), bias (O,).

    As a linear map of its samples it is the transposed matrix of the convolution with the same weights, stride,
    padding and dilation; `output_padding` says which of the sizes that this convolution maps to that of `x` is meant.
    Raises ShapeError for channels that do not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import {title}
    >>> {title}(np.ones((2, 3, {one})), np.ones((3, 6, {kernel}))).shape
    (2, 6, {back})
    """

conv1d, conv2d, conv3d = map(_conv, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_conv_transpose, (1, 2, 3))
