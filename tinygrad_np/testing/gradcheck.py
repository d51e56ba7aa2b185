"""Checking the gradients that automatic differentiation gives against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import AutogradError, RangeError
from .arguments import check_function
from .numeric import Differences, Slope, index, wide
from .subject import Subject, draw, unit_tangent
from .tolerance import digits, tolerance
from .walks import Walks

_ORDINAL = {1: "gradient", 2: "second derivative", 3: "third derivative"}


class GradientCheckError(AutogradError, AssertionError):
    """A gradient that is wrong, or of which nothing could be checked."""


@dataclass(frozen=True)
class GradientCheck:
    """What a passed `check_grad` looked at; `str()` says it in a line."""

    function: str
    order: int
    modes: tuple[str, ...]
    seed: int
    size: int
    entries: int
    directions: int
    kinks: int
    noisy: int
    error: float

    def __str__(self) -> str:
        every = "all" if self.entries + self.kinks + self.noisy == self.size * self.order else "sampled"
        parts = [f"{self.entries:,} entries ({every})"] + [f"{self.directions} directions"] * bool(self.directions)
        left_out = [f"{self.kinks} left out on kinks"] * bool(self.kinks)
        left_out += [f"{self.noisy} left out for rounding"] * bool(self.noisy)
        return (
            f"{self.function}: {' and '.join(parts)} of {'first' if self.order == 1 else f'orders 1 to {self.order}'}"
            f"{' order' if self.order == 1 else ''} agree with differences {digits(self.error)}"
            f"{''.join(f', {words}' for words in left_out)}; {' and '.join(self.modes)} mode; seed {self.seed}"
        )


def check_grad(
    f: Callable[..., Any],
    *arrays: Any,
    order: int = 1,
    modes: Sequence[str] = ("reverse", "forward"),
    argnums: int | Sequence[int] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    entries: int = 60,
    directions: int = 2,
) -> GradientCheck:
    """Check the derivatives of `f(*arrays)` against differences, or raise GradientCheckError.

    `arrays`: arrays, tensors, numbers, or lists and dicts of them; the floating and complex ones are
    differentiated (of tensors those that require grad), or those that `argnums` names.  `f` gives an array
    of any shape, or several: they are weighted with random cotangents.  Up to `entries` entries are looked at
    one by one; if there are more, that many are drawn, and `directions` random directions per array see all.

    `order=2` checks the gradient, and then the gradient of the gradient: alone that would pass for the
    derivative 3x of x**2, since differences of 3x are 3.  `modes` are "reverse" (vjp) and "forward" (jvp); both
    must be transposes of each other to rounding.  Differences are taken in float64; `rtol` and `atol` are
    those of `tolerance` for the dtypes, `atol` times the largest entry of the gradient unless you give it, and
    the estimated error of each difference is added.

    Also checked: the values are the same for arrays as for tensors; gradients have the shape and dtype of
    their array, share no memory, and come out the same when the tape is walked twice and when it holds
    two calls; nothing writes into arguments or cotangents.  Entries on a kink have no one derivative: they
    are left out and counted, and if nothing is left, that is an error.

    Raises what `numeric_grad` raises for a function that is random, changes its arguments, or gives nan.

    >>> import numpy as np
    >>> from tinygrad_np.testing import check_grad
    >>> print(check_grad(lambda W, x: np.tanh(W @ x), np.eye(2), np.array([0.5, -1.0]), order=2).entries)
    12
    """
    check_function(f, "check_grad", arrays)
    _check_options(order, modes, seed, entries, directions)
    subject = Subject(f, arrays, argnums)
    reports, size = [], 0.0
    for k in range(1, order + 1):
        rng = np.random.default_rng([seed, k])
        check = _Check(subject, k, tuple(modes), rng, seed, rtol, atol, size)
        reports.append(check.run(entries, directions))
        subject, size = subject.gradient(check.cotangents, rng), check.size
    subject.check_unchanged()
    total = {name: sum(getattr(r, name) for r in reports) for name in ("entries", "directions", "kinks", "noisy")}
    entries_given, worst = sum(leaf.size for leaf in subject.leaves), max(r.error for r in reports)
    return GradientCheck(subject.name, order, tuple(modes), seed, entries_given, error=worst, **total)


def _check_options(order: int, modes: Sequence[str], seed: int, entries: int, directions: int) -> None:
    if isinstance(modes, str) or not modes or set(modes) - {"reverse", "forward"}:
        raise ValueError(
            f"modes={modes!r}: derivatives are computed in 'reverse' or 'forward' mode.  Write modes=('reverse',), "
            "('forward',), or both."
        )
    for name, value, least in (("order", order, 1), ("entries", entries, 0), ("directions", directions, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise RangeError(f"{name}={value!r}: it counts, from {least} on.  Give a whole number.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise RangeError(f"seed={seed!r}: errors name the seed to find the same numbers again.  Give a whole number.")


class _Measured(NamedTuple):
    """A difference, and what it is a difference of: an entry, or (without entry) a direction."""

    leaf: int
    entry: int | None
    slope: Slope
    claimed: complex
    size: float

    @property
    def distance(self) -> float:
        return abs(self.claimed - self.slope.value)


class _Report(NamedTuple):
    entries: int
    directions: int
    kinks: int
    noisy: int
    error: float


class _Check:
    """One order of one function."""

    def __init__(
        self, subject: Subject, order: int, modes: tuple[str, ...], rng: np.random.Generator, seed: int,
        rtol: float | None, atol: float | None, size: float,
    ) -> None:  # fmt: skip
        self.subject, self.modes, self.rng, self.absolute = subject, modes, rng, atol is not None
        self.what, self.seed = f"the {_ORDINAL.get(order, f'derivative of order {order}')} of {subject.name}", seed
        self.outs = subject.values()
        self.tol = tolerance(*subject.leaves, *self.outs, rtol=rtol, atol=atol)
        # A loss is not weighted, so that messages show its own gradient.
        loss = len(self.outs) == 1 and self.outs[0].size == 1 and self.outs[0].dtype.kind == "f"
        self.cotangents = [np.ones(o.shape) if loss else draw(rng, o.shape, o.dtype) for o in self.outs]
        self.weighted = "" if loss else " (of its results, weighted with random numbers)"
        everything = tuple(range(len(subject.leaves)))
        name = subject.name if order == 1 else f"the gradient of {subject.name}"
        self.differences = Differences(self._number, tuple(subject.leaves), everything, name, subject.labels)
        self.walks = Walks(subject, self.cotangents, self.outs, self._fail)
        # The numbers that a derivative was rounded with are as large as those of the order before.
        self.size = self.walks.size = self.differences.size = max(size, self.walks.size)
        self.eps = self.walks.eps
        self.grads: list[np.ndarray] | None = None

    def _number(self, *leaves: np.ndarray) -> float:
        """The results, weighted with the cotangents: one number to difference."""
        pairs = zip(self.cotangents, self.subject.wide(*leaves), strict=True)
        return float(sum(np.sum(np.real(np.conj(c) * o)) for c, o in pairs))

    def run(self, entries: int, directions: int) -> _Report:
        if "reverse" in self.modes:
            self.grads = self.walks.reverse()
        if "forward" in self.modes and self.grads is not None:
            for _ in range(max(1, directions)):
                self.walks.check_transposes(self.grads, self.rng)
        measured = self._measure(entries, directions)
        self.differences.check_arguments()
        return self._judge(measured)

    def _fail(self, happened: str, advice: str) -> GradientCheckError:
        return GradientCheckError(f"{self.what}: {happened}  {advice}  (seed {self.seed})")

    # -- differences ------------------------------------------------------------------------------

    def _measure(self, entries: int, directions: int) -> list[_Measured]:
        leaves = self.subject.leaves
        every = sum(x.size for x in leaves) <= entries
        share = max(1, entries // len(leaves)) if entries else 0
        found = []
        for k, x in enumerate(leaves):
            chosen = range(x.size) if every else self.rng.choice(x.size, min(share, x.size), replace=False)
            found += [self._entry(k, int(i)) for i in chosen]
            if not every and x.size:
                found += [self._direction(k) for _ in range(directions)]
        return found

    def _entry(self, k: int, i: int) -> _Measured:
        slope = self.differences.examined(k, i)
        if self.grads is not None:
            claimed = complex(self.grads[k].flat[i])
        else:
            claimed = 0.0
            for unit in (1, 1j) if self.subject.leaves[k].dtype.kind == "c" else (1,):
                claimed += unit * self.walks.pushed(self._only(k, unit_tangent(self.subject.leaves[k], i, unit)))[0]
        return _Measured(k, i, slope, claimed, abs(claimed))

    def _direction(self, k: int) -> _Measured:
        x = self.subject.leaves[k]
        for _ in range(4):  # somewhere in a big network a kink is near in most directions, but not in all
            d = draw(self.rng, x.shape, x.dtype) * np.maximum(1, np.abs(x)).astype(x.dtype)
            slope = self.differences.along(k, d)
            if not slope.kink:
                break
        if self.grads is None:
            claimed, size = self.walks.pushed(self._only(k, d))
            return _Measured(k, None, slope, claimed, size)
        terms = np.real(np.conj(wide(self.grads[k])) * d)
        return _Measured(k, None, slope, float(np.sum(terms)), float(np.sum(np.abs(terms))))

    def _only(self, k: int, tangent: np.ndarray) -> list[np.ndarray]:
        return [tangent if j == k else np.zeros_like(x) for j, x in enumerate(self.subject.leaves)]

    # -- the verdict ------------------------------------------------------------------------------

    def _judge(self, measured: list[_Measured]) -> _Report:
        smooth = [m for m in measured if not m.slope.kink]
        top = max([abs(m.slope.value) for m in smooth if m.entry is not None], default=0.0)
        # A difference whose own error is as large as what it measures can tell nothing.
        share, rounding = max(1e-3, 10 * self.tol.rtol), 1e-7 * self.size
        clear = [m for m in smooth if m.slope.error <= max(share * max(top, abs(m.slope.value)), rounding)]
        kinks, noisy = len(measured) - len(smooth), len(smooth) - len(clear)
        if not clear:
            raise self._fail(
                f"nothing of it could be checked: of {len(measured)} entries and directions {kinks} sit on a kink or "
                f"jump, {noisy} drown in rounding.",
                "A check that checks nothing must fail.  Give arrays with entries, away from kinks and ties, "
                "entries= or directions= above 0, and compute in float64.",
            )
        allowed = [self._allowed(m, top, clear) for m in clear]
        wrong = [(m, limit) for m, limit in zip(clear, allowed, strict=True) if not m.distance <= limit]
        if wrong:
            raise self._wrong(wrong, clear)
        alone = [m for m in clear if m.entry is not None]
        # A gradient that is 0 is compared with the function instead.
        scales = [max(top, abs(m.slope.value)) for m in clear]
        ratios = [
            m.distance / (s if s > 1e-7 * self.size else self.size or 1.0) for m, s in zip(clear, scales, strict=True)
        ]
        error = max(ratios)
        return _Report(len(alone), len(clear) - len(alone), kinks, noisy, error)

    def _allowed(self, m: _Measured, top: float, clear: list[_Measured]) -> float:
        scale = max(abs(other.slope.value) for other in clear if other.leaf == m.leaf)
        atol = self.tol.atol * (1.0 if self.absolute else scale)
        rounding = 20 * self.eps * (m.size + top) + 4 * self.eps * self.size
        return self.tol.rtol * abs(m.slope.value) + atol + rounding + m.slope.error

    def _wrong(self, wrong: list[tuple[_Measured, float]], clear: list[_Measured]) -> GradientCheckError:
        worst, limit = max(wrong, key=lambda pair: (pair[0].entry is not None, pair[0].distance))
        leaf = self.subject.leaves[worst.leaf]
        same = [m for m in clear if m.leaf == worst.leaf]
        place = "along a random direction"
        if worst.entry is not None:
            place = f"at entry {index(np.unravel_index(worst.entry, leaf.shape))}"
        mode = "reverse" if self.grads is not None else "forward"
        missed = sum(m.leaf == worst.leaf for m, _ in wrong)
        return self._fail(
            f"with respect to {self.subject.labels[worst.leaf]}, shape {leaf.shape}, it is wrong in {missed} of "
            f"{len(same)} places looked at{self.weighted}.  {place.capitalize()} {mode} mode says "
            f"{_shown(worst.claimed, leaf)}, differences {_shown(worst.slope.value, leaf)} "
            f"(good to {worst.slope.error:.1g}; allowed {limit:.1g})."
            f"{_pattern(same)}",
            "Look at the rule of the op that uses this argument; if the function is much steeper or flatter than its "
            "values suggest, give rtol= and atol=.",
        )


def _pattern(measured: list[_Measured]) -> str:
    """What all the places of one argument have in common, in a sentence."""
    claimed = np.array([m.claimed for m in measured])
    numeric = np.array([m.slope.value for m in measured])
    if not claimed.any():
        return "  It is 0 everywhere: the gradient is cut on the way (.data, detach, stop_gradient, a missing rule)."
    ratio = np.real(np.vdot(numeric, claimed)) / np.real(np.vdot(numeric, numeric) or 1.0)
    if len(measured) > 1 and np.allclose(claimed, ratio * numeric, rtol=1e-4, atol=1e-6 * np.abs(claimed).max()):
        return f"  Everywhere it is {ratio:.6g} times the right one."
    return ""


def _shown(value: complex, leaf: np.ndarray) -> str:
    return f"{value:.9g}" if leaf.dtype.kind == "c" else f"{np.real(value):.9g}"
