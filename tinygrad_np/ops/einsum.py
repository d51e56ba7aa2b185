"""np.einsum: sums of products over named axes."""

from __future__ import annotations

import math
from functools import lru_cache
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from ..engine.op import composite, variadic
from ..errors import NoRuleError, ShapeError
from .reduce import operand, spread

_LARGE = 32768
"""From this many products on, planning a contraction by matrix products pays."""


def _einsum_vjp(g, i, arrays, shapes, subscripts, optimize):
    """The same sum with `g` in the place of the array: output and input change roles."""
    left, output = subscripts.split("->")
    terms = left.split(",")
    term, shape = terms[i], shapes[i]
    terms[i] = output
    found = "".join(label for label in term if any(label in other for other in terms))
    slope = _einsum(*arrays[:i], g, *arrays[i + 1 :], subscripts=f"{','.join(terms)}->{found}", optimize=bool(optimize))
    # A label that only this array has was summed away; one of length 1 everywhere else was broadcast.
    sizes = dict(zip(found, slope.shape, strict=True))
    known = tuple([sizes.get(label, 1) for label in term])
    to = tuple([m if m != 1 else n for m, n in zip(known, shape, strict=True)])
    if slope.shape == to:
        return slope
    return spread(slope.reshape(known), to, tuple([k for k, n in enumerate(to) if n != known[k]]), keepdims=True)


@variadic(kind="multilinear", vjp=_einsum_vjp, public=np.einsum)
def _einsum(*arrays, subscripts="", optimize=False):
    if not optimize and len(arrays) > 1:
        # Without a plan NumPy never uses matrix products.
        sizes = {}
        for term, array in zip(subscripts.split("->")[0].split(","), arrays, strict=True):
            sizes.update({label: n for label, n in zip(term, np.shape(array), strict=False) if n > 1})
        optimize = math.prod(sizes.values()) >= _LARGE
    if optimize is True and len(arrays) > 2:
        optimize = _plan(subscripts, tuple([np.shape(array) for array in arrays]))
    return np.einsum(subscripts, *arrays, optimize=optimize)


@lru_cache(maxsize=1024)
def _plan(subscripts, shapes):
    """The order of contractions: NumPy looks for it anew at each call, which can take longer than they do."""
    return np.einsum_path(subscripts, *[np.broadcast_to(0.0, shape) for shape in shapes], optimize=True)[0]


def _labels(sublist):
    """A list of axis numbers as text, in NumPy's order: numbers sort as their letters do."""
    return "".join("..." if k is Ellipsis else (ascii_uppercase + ascii_lowercase)[k] for k in sublist)


def _parsed(operands):
    """The arrays, the labels of each, and those of the result (None: implicit)."""
    if not isinstance(operands[0], str):
        pairs = len(operands) // 2 * 2
        output = _labels(operands[-1]) if len(operands) > pairs else None
        return operands[:pairs:2], [_labels(sublist) for sublist in operands[1:pairs:2]], output
    left, arrow, output = operands[0].replace(" ", "").partition("->")
    arrays, terms = operands[1:], left.split(",")
    if len(arrays) != len(terms):
        raise ShapeError(
            f"np.einsum({operands[0]!r}, ...) names the axes of {len(terms)} arrays, and got {len(arrays)}.  "
            "Separate the axes of different arrays by commas."
        )
    return arrays, terms, output if arrow else None


def _explicit(arrays, terms, output):
    """Labels without `...`, and always those of the result."""
    # How many axes each ellipsis stands for.
    counts = [a.ndim - len(term) + 3 if "..." in term else 0 for a, term in zip(arrays, terms, strict=True)]
    unused = [label for label in ascii_letters if label not in "".join(terms)]
    dots = "".join(unused[: max(counts, default=0)])
    if output is None:
        letters = "".join(terms).replace(".", "")
        output = "..." + "".join(sorted(label for label in set(letters) if letters.count(label) == 1))
    elif dots and "..." not in output:
        raise ShapeError(
            f"np.einsum was given the result {output!r}, which leaves out the axes that '...' stands for.  "
            "Write '...' in the result too, or name those axes."
        )
    # Axes align at their ends, as in broadcasting.
    terms = [term.replace("...", dots[len(dots) - n :]) for term, n in zip(terms, counts, strict=True)]
    return terms, output.replace("...", dots)


def _without_repeats(array, term):
    """The diagonal where a label is repeated: the sum itself then has each label once per array."""
    for label in dict.fromkeys(term):
        while term.count(label) > 1:
            i = term.index(label)
            j = term.index(label, i + 1)
            if array.shape[i] != array.shape[j]:
                raise ShapeError(
                    f"np.einsum takes the diagonal along {label!r}, but axes {i} and {j} of shape {array.shape} "
                    "have different lengths.  Use different labels."
                )
            array = np.diagonal(array, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + label
    return array, term


def _einsum_calls(r):
    x, y, z = r.real(2, 3), r.real(3, 4), r.real(4, 2)
    return [
        *[r(subscripts, x) for subscripts in ("ij->ji", "ij->i", "ij->", "ij", "ba", "...j->...", "i...->...")],
        *[r(subscripts, x, y) for subscripts in ("ij,jk->ik", "ij,jk", "ij,jk->", "ij,jk->j", "ij,jk->kij")],
        r("ij,kl->il", x, y),
        *[r(subscripts, r.real(3, 3)) for subscripts in ("ii->i", "ii", "ii->")],
        r("iji->j", r.real(2, 3, 2)),
        r("iij,jj->i", r.real(2, 2, 3), r.real(3, 3)),
        *[r("ij,jk,kl->il", x, y, z, optimize=optimize) for optimize in (False, True, "greedy")],
        r("i,i,i->i", r.real(3), r.real(3), r.real(3)),
        r("ij,ij->", x, r.real(2, 3)),
        r("ij,ij->i", x, r.real(1, 3)),
        r("ij,ij->", r.real(1, 3), x),
        r("...ij,...jk->...ik", r.real(5, 1, 2, 3), r.real(4, 3, 2)),
        r("...ij,jk", r.real(2, 2, 3), y),
        r("...,...->...", r.real(2, 3), r.real()),
        r("i,->i", r.real(3), r.real()),
        r(x, [0, 1], y, [1, 2], [0, 2]),
        r(x, [1, 0], y, [0, 2]),
        r(r.real(2, 2, 3), [Ellipsis, 0, 1], y, [1, 2], [Ellipsis, 2]),
        r(" ij , jk -> ik ", x, y),
        r("ij,jk->ik", r.real(40, 30), r.real(30, 40)),
        r("ij,jk->ik", r.real(2, 0), r.real(0, 3)),
    ]


@composite(np.einsum, sample=_einsum_calls)
def einsum(*operands: Any, out: None = None, optimize: Any = False, **options: Any) -> Any:
    """np.einsum in all its forms: explicit, implicit, with `...`, repeated labels, lists of axes."""
    if unknown := [key for key, value in options.items() if key not in ("order", "casting") and value is not None]:
        raise NoRuleError(f"np.einsum with {unknown[0]}= has no derivative rule here.  Convert the arrays before.")
    arrays, terms, output = _parsed(operands)
    arrays = [operand(array) for array in arrays]
    terms, output = _explicit(arrays, terms, output)
    plain = [_without_repeats(array, term) for array, term in zip(arrays, terms, strict=True)]
    subscripts = ",".join([term for _, term in plain]) + "->" + output
    return _einsum(*[array for array, _ in plain], subscripts=subscripts, optimize=optimize)
