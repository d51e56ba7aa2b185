"""What happens at a kink, a tie or a jump of the slope: the choices, each made once.

Entries that tie share the gradient equally.  Where a slope is infinite, or has no direction, it is 0.  An interval
is closed: on its bound the gradient passes.  Where a slope jumps it is that of the side the value is on, for abs the
middle, and for relu 0, as for other activations that of the piece to the left.  A branch not taken gets 0, whatever
the cotangent is there.  So the gradient is finite wherever there is a subgradient.  The README's section "Kinks and
traps" lists the functions.

`where` cannot undo an infinite slope further up: in `np.where(x > 0, np.log(x), 0)` at x = 0 the zero
that it sends back meets the slope 1/0 of log.  Make the argument safe before the function instead:
`np.log(np.where(x > 0, x, 1))`.
"""

import numpy as np

from ..engine.arrays import conjugate
from ..engine.door import bare, is_batch
from ..engine.op import composite, elementwise, op


def _step(x):
    """1 where x is above 0, else 0, in x's dtype; its own derivative is zero, so a plain array."""
    x = bare(x)
    if not isinstance(x, np.ndarray | np.generic):
        return np.greater(x, 0).astype(x.dtype)
    # A boolean mask would be converted entry by entry at every product: 3 times the cost.
    return np.greater(x, 0, out=np.empty_like(x))


def _share(x, y):
    """The part of a maximum's gradient that goes to x: 1 where it is larger, a half at a tie."""
    x, y = bare(x), bare(y)
    if is_batch(x) or is_batch(y):
        return np.greater(x, y) + 0.5 * np.equal(x, y)
    if hasattr(x, "call_of") or hasattr(y, "call_of"):
        ties = np.equal(x, y)
        return np.greater(x, y) + 0.5 * ties if ties.any() else np.greater(x, y)
    part = np.greater(x, y, out=np.empty(np.broadcast(x, y).shape, np.result_type(x, y, np.float16)))
    ties = np.equal(x, y)
    if ties.any():
        part += 0.5 * ties
    return part


def _direction(x):
    """The slope of |x|: the sign of x, or what a change of a complex x is multiplied with."""
    return conjugate(np.sign(x))


def _known(x, y, share):
    """x's share, and all of it where x is a number and y is not: fmax and fmin then give x."""
    return np.where(np.isnan(bare(y)), ~np.isnan(bare(x)), share)


def _shares(g, x, y):
    """What goes to each of two of which the larger is taken; nan is neither."""
    if not isinstance(g, np.ndarray | np.generic):
        return g * _share(x, y), g * _share(y, x)
    one, other = np.greater(x, y), np.less(x, y)
    if not np.logical_or(one, other).all():
        return g * _share(x, y), g * _share(y, x)
    one = g * np.asarray(one, g.dtype)
    return one, g - one


elementwise(np.maximum, x=lambda x, y: _share(x, y), y=lambda x, y: _share(y, x), together=_shares)
elementwise(
    np.minimum,
    x=lambda x, y: _share(y, x),
    y=lambda x, y: _share(x, y),
    together=lambda g, x, y: _shares(g, x, y)[::-1],
)
elementwise(np.fmax, x=lambda x, y: _known(x, y, _share(x, y)), y=lambda x, y: _known(y, x, _share(y, x)))
elementwise(np.fmin, x=lambda x, y: _known(x, y, _share(y, x)), y=lambda x, y: _known(y, x, _share(x, y)))
elementwise(np.absolute, x=lambda x: _direction(x))
elementwise(np.fabs, x=lambda x: np.sign(x))
elementwise(np.copysign, x=lambda x, y: np.sign(x) * np.copysign(1, bare(y)), y=None)


@elementwise(x=lambda out: _step(out))
def relu(x):
    """max(x, 0); the gradient at 0 is 0.

    >>> import tinygrad_np as tg
    >>> x = tg.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> tg.relu(x).sum().backward()
    >>> x.grad
    Tensor([0., 0., 1.])
    """
    # If you write this as np.maximum(x, 0), the gradient at 0 is a half: a tie.
    return np.maximum(x, 0)


@elementwise(x=lambda out: -out * out)
def inverse_or_zero(x):
    """1 / x, and 0 where x is 0: the slope of sqrt and its kin, with their subgradient at 0."""
    x = np.asarray(x)
    if x.all():
        # Several times as fast as with where=.
        return np.divide(1, x)
    return np.divide(1, x, out=np.zeros(x.shape, np.result_type(x, np.float16)), where=x != 0)


elementwise(np.sqrt, x=lambda out: inverse_or_zero(2 * out), sample=(0.5, 2))
elementwise(np.cbrt, x=lambda out: inverse_or_zero(3 * out * out))


def infinite_at_zero(out):
    """A length as a divisor: at 0, where it has no direction, the gradient is 0."""
    # Multiplying by 1 / out would overflow where out is tiny, and x / out does not.
    if hasattr(out, "call_of") and out.all():
        return out  # what only passes for an array is read, and reads better so
    return np.where(out == 0, np.inf, out)


elementwise(np.hypot, x=lambda x, out: x / infinite_at_zero(out), y=lambda y, out: y / infinite_at_zero(out))


@composite(np.sign, sample=lambda r: [r(r.real(3, 4)), r(0.0)])
def sign(x):
    """-1, 0 or 1, a plain array; of a complex number its direction z / |z|, which has a derivative."""
    if np.iscomplexobj(x):
        return x * inverse_or_zero(np.abs(x))
    return np.sign(bare(x))


def taken(g, condition):
    """The gradient where the condition holds, 0 elsewhere."""
    if type(g) is np.ndarray and g.size > 4096 and np.isfinite(g).all():
        # Many times as fast as np.where for a mask without runs.
        return g * np.not_equal(condition, 0)
    return np.where(condition, g, 0)


# A product with the mask would let nan * 0 through: np.where does not.
_where = op(
    lambda condition, x, y: np.where(condition, x, y),
    name="where",
    fresh=True,
    numbers=True,
    condition=None,
    x=lambda g, condition: taken(g, condition),
    y=lambda g, condition: taken(g, np.logical_not(condition)),
    jvps={
        "x": lambda t, condition: np.where(condition, t, 0),
        "y": lambda t, condition: np.where(condition, 0, t),
    },
)


@composite(
    np.where,
    sample=lambda r: [
        r(r.mask(3, 4), r.real(3, 4), r.real(4)),
        r(r.mask(4), 0.0, r.real(3, 4)),
        r(r.mask(2, 1), r.real(1, 3), r.real()),
        r(True, r.real(), r.real()),
    ],
)
def where(condition, *branches):
    """x where the condition holds, y elsewhere; with one argument, the places where it holds."""
    return _where(condition, *branches) if branches else np.nonzero(condition)


def _clip_run(a, a_min, a_max):
    # One pass; the method is the cheapest way to it.
    return a.clip(a_min, a_max) if type(a) is np.ndarray else np.clip(a, a_min, a_max)


_clip = elementwise(
    _clip_run,
    name="clip",
    a=lambda a, a_min, a_max: (a >= a_min) & (a <= a_max),
    a_min=lambda a, a_min, a_max: (a < a_min) & (a_min <= a_max),
    a_max=lambda a, a_min, a_max: (a > a_max) | (a_min > a_max),
)


@composite(
    np.clip,
    sample=lambda r: [
        r(r.real(3, 4), -0.7, 0.9),
        r(r.real(3, 4), None, r.real(4)),
        r(r.real(5), min=0.1),
        r(r.real(2, 3), r.real(3) - 3, r.real(2, 1) + 3),
    ],
)
def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """Entries limited to [a_min, a_max]; the gradient passes inside the closed interval."""
    low = a_min if a_min is not None else min
    high = a_max if a_max is not None else max
    return _clip(a, -np.inf if low is None else low, np.inf if high is None else high)


def _winners(a, out, axis, keepdims, initial, where):
    """Where the extreme entries are, and how many share each result; None if each has one to itself."""
    a, out = bare(a), bare(out)
    if axis is not None and not keepdims:
        out = np.expand_dims(out, axis)
    winners = a == out if where is True else (a == out) & where
    # A lane with nan has no winner, and could make up for a tie in another.
    if initial is None and not is_batch(winners) and np.count_nonzero(winners) == out.size and not np.isnan(out).any():
        return winners, None
    count = winners.sum(axis=axis, keepdims=True)
    if initial is not None:
        count = count + (out == initial)
    return winners, np.maximum(count, 1)


def _to_winners(g, a, out, axis, keepdims, initial, where):
    """`g` at the extreme entries of each lane, in equal parts where several tie, and 0 elsewhere."""
    winners, count = _winners(a, out, axis, keepdims, initial, where)
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    if count is not None:
        g = g / count
    if count is not None or not isinstance(g, np.ndarray | np.generic):
        return np.where(winners, g, 0)
    # Few places: writing to them takes a fraction of what a product with a mask does.
    slope = np.zeros(winners.shape, g.dtype)
    places = np.flatnonzero(winners)
    slope.reshape(-1)[places] = np.broadcast_to(g, winners.shape).flat[places]
    return slope


def _ties(a, out, axis, keepdims, initial, where):
    """Each entry's equal share in being the extreme one of its lane."""
    winners, count = _winners(a, out, axis, keepdims, initial, where)
    return winners if count is None else winners / count


def _extreme(function, also, ufunc):
    """The rule of np.max or np.min."""

    def run(a, axis=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        return ufunc.reduce(a, axis, None, None, bool(keepdims), initial, where)

    def pulled(g, a, out, axis, keepdims, initial, where):
        return _to_winners(g, a, out, axis, keepdims, initial, where)

    def pushed(t, a, out, axis, keepdims, initial, where):
        return np.sum(t * _ties(a, out, axis, keepdims, initial, where), axis=axis, keepdims=bool(keepdims))

    op(
        function,
        run=run,
        also=also,
        fresh=True,
        a=pulled,
        jvps={"a": pushed},
        sample=lambda r: [
            r(r.real(3, 4)),
            r(r.real(3, 4), 0),
            r(r.real(3, 4), axis=-1, keepdims=True),
            r(r.real(2, 3, 4), axis=(0, 2)),
            r(r.real(3, 4), axis=1, initial=0.3),
            r(r.real(3, 4), axis=0, where=r.mask(3, 4), initial=-5.0 if ufunc is np.maximum else 5.0),
            r(r.real()),
        ],
    )


_extreme(np.max, (np.amax,), np.maximum)
_extreme(np.min, (np.amin,), np.minimum)
