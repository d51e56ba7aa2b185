"""What `check_grad` checks without differences: the form of gradients, and that two walks agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.door import bare
from ..transforms.gradients import jvp, vjp
from .numeric import index
from .subject import Subject, draw
from .tolerance import tolerance


class Walks:
    """The backward and forward passes of a function with fixed cotangents.

    `fail(happened, advice)` makes the error to raise.
    """

    def __init__(
        self, subject: Subject, cotangents: list[np.ndarray], outs: list[np.ndarray],
        fail: Callable[[str, str], Exception],
    ) -> None:  # fmt: skip
        self.subject, self.cotangents, self.outs, self.fail = subject, cotangents, outs, fail
        self.eps = max(float(np.finfo(x.dtype).eps) for x in [*subject.leaves, *outs])
        self.size = sum(float(np.sum(np.abs(c) * np.abs(o))) for c, o in zip(cotangents, outs, strict=True))

    # -- reverse mode ---------------------------------------------------------------------------

    def reverse(self) -> list[np.ndarray]:
        """The gradients, after everything about them that needs no differences."""
        given, (outs, pull) = self._pulling(self.subject.leaves)
        sent = [c.astype(np.asarray(o).dtype) for c, o in zip(self.cotangents, outs, strict=True)]
        before = [c.copy() for c in sent]
        self._check_values(outs)
        grads = pull(list(sent))
        self._check_form(grads)
        self._check_unchanged(given, self.subject.leaves, "argument")
        self._check_unchanged(sent, before, "cotangent")
        self._check_memory(grads, [*given, *sent])
        self._check_same(
            grads, pull(list(sent)), "walking the tape a second time gives another gradient",
            "What a rule keeps is changed by using it: write its arithmetic without in-place operations.",
        )  # fmt: skip
        self._check_same(
            pull([c / 2 for c in sent]), [g / 2 for g in grads], "half the cotangent does not give half the gradient",
            "A backward rule is linear in its cotangent g: multiply by it once.",
        )  # fmt: skip
        self._check_two_calls(grads, sent)
        return grads

    def _pulling(self, leaves: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[Any, Any]]:
        given = [leaf.copy() for leaf in leaves]
        return given, _pulling(self.subject.run, given)

    def _check_values(self, outs: list[Any]) -> None:
        if len(outs) != len(self.outs) or any(np.shape(a) != b.shape for a, b in zip(outs, self.outs, strict=True)):
            raise self.fail(
                f"it gave results of shapes {[np.shape(o) for o in outs]} for tensors, and "
                f"{[o.shape for o in self.outs]} for arrays.",
                "A function is checked against itself on plain arrays: make both the same.",
            )
        # Of all results: one of them may be nothing but rounding.
        scale = max((float(np.max(np.abs(o), initial=0.0)) for o in self.outs), default=0.0)
        for got, expected in zip(outs, self.outs, strict=True):
            loosest = tolerance(np.asarray(got), *self.subject.leaves)
            if not np.allclose(got, expected, rtol=loosest.rtol, atol=loosest.rtol * scale):
                worst = np.unravel_index(np.argmax(np.abs(np.asarray(got) - expected)), expected.shape)
                raise self.fail(
                    f"its value at {index(worst)} is {np.asarray(got)[worst]} for tensors, and {expected[worst]} for "
                    "plain arrays in float64.",
                    "Something depends on what it is given, or draws random numbers: make both the same.",
                )

    def _check_form(self, grads: list[np.ndarray]) -> None:
        for leaf, g, label in zip(self.subject.leaves, grads, self.subject.labels, strict=True):
            if g.shape != leaf.shape or g.dtype != leaf.dtype:
                raise self.fail(
                    f"with respect to {label} it has shape {g.shape} and dtype {g.dtype}, and the array "
                    f"{leaf.shape} and {leaf.dtype}.",
                    "A gradient is like its array: sum over broadcast axes, and cast back.",
                )
            if not np.isfinite(g).all():
                where = np.argwhere(~np.isfinite(g))[0]
                raise self.fail(
                    f"with respect to {label} it is {g[tuple(where)]} at {index(where)}, where the function itself is "
                    f"finite (the entry is {leaf[tuple(where)]}).",
                    "Look for 0 * inf or 0 / 0 in the backward pass; tg.debug() names the op.",
                )

    def _check_unchanged(self, now: list[np.ndarray], before: list[np.ndarray], what: str) -> None:
        for i, (a, b) in enumerate(zip(now, before, strict=True)):
            if not np.array_equal(a, b):
                where = np.argwhere(np.asarray(a != b))[0]
                which = self.subject.labels[i] if what == "argument" else f"the cotangent of result {i}"
                raise self.fail(
                    f"computing it changed {which}: at {index(where)} stood {b[tuple(where)]}, now {a[tuple(where)]}.",
                    "A rule shares its arrays with others: write g = g * x instead of g *= x.",
                )

    def _check_memory(self, grads: list[np.ndarray], others: list[np.ndarray]) -> None:
        for i, g in enumerate(grads):
            for other in [*grads[i + 1 :], *others]:
                if np.shares_memory(g, other):
                    raise self.fail(
                        f"with respect to {self.subject.labels[i]} it shares memory with another array.",
                        "An optimizer that writes into it would change both: return a copy.",
                    )

    def _check_same(self, grads: Sequence[Any], expected: Sequence[Any], happened: str, advice: str) -> None:
        for g, e, label in zip(grads, expected, self.subject.labels, strict=True):
            scale = np.max(np.abs(e), initial=0.0)
            distance = np.abs(np.asarray(g) - e)
            if np.max(distance, initial=0.0) > 1e3 * self.eps * scale:
                where = np.unravel_index(np.argmax(distance), distance.shape)
                numbers = (
                    f"with respect to {label} at {index(where)}: {np.asarray(g)[where]} and {np.asarray(e)[where]}"
                )
                raise self.fail(f"{happened}, {numbers}.", advice)

    def _check_two_calls(self, grads: list[np.ndarray], sent: list[np.ndarray]) -> None:
        """Two calls on one tape, at points and with cotangents that differ, are independent."""
        leaves, n = self.subject.leaves, len(grads)
        moved = [(x + 1e-5 * np.maximum(1, np.abs(x))).astype(x.dtype) for x in leaves]
        turned = [c / 2 for c in sent]
        with np.errstate(all="ignore"):  # the edge of where the function is defined may be near
            alone = _pulling(self.subject.run, [x.copy() for x in moved])[1](turned)

        def both(*given: Any) -> list[Any]:
            return [*self.subject.run(*given[:n]), *self.subject.run(*given[n:])]

        with np.errstate(all="ignore"):
            together = _pulling(both, [x.copy() for x in [*leaves, *moved]])[1]([*sent, *turned])
        for found, expected in ((together[:n], grads), (together[n:], alone)):
            self._check_same(
                found, expected, "two calls on one tape give other gradients than each alone",
                "Something is kept between calls (a buffer, an attribute): make a new array each time.",
            )  # fmt: skip

    # -- forward mode ---------------------------------------------------------------------------

    def pushed(self, tangents: list[np.ndarray]) -> tuple[float, float]:
        """The derivative of the weighted results along tangents, by jvp, and the size of what was added."""
        given = [leaf.copy() for leaf in self.subject.leaves]
        outs, ts = bare(jvp(self.subject.run, tuple(given), tuple(tangents)))
        self._check_unchanged(given, self.subject.leaves, "argument")
        for o, t in zip(outs, ts, strict=True):
            if np.shape(t) != np.shape(o) or not np.isfinite(t).all():
                raise self.fail(
                    f"in forward mode a result of shape {np.shape(o)} has a tangent of shape {np.shape(t)}"
                    f"{'' if np.isfinite(t).all() else ' with nan or inf'}.",
                    "A tangent is like its result, and finite where it is: look at the forward rule.",
                )
        terms = [np.conj(c) * t for c, t in zip(self.cotangents, ts, strict=True)]
        return float(sum(np.sum(np.real(p)) for p in terms)), float(sum(np.sum(np.abs(p)) for p in terms))

    def check_transposes(self, grads: list[np.ndarray], rng: np.random.Generator) -> None:
        """Raise unless forward mode is the transpose of reverse mode: <c, J t> is <Jᵀ c, t>."""
        tangents = [draw(rng, x.shape, x.dtype) for x in self.subject.leaves]
        forward, size = self.pushed(tangents)
        terms = [np.conj(g) * t for g, t in zip(grads, tangents, strict=True)]
        reverse = float(sum(np.sum(np.real(p)) for p in terms))
        size += float(sum(np.sum(np.abs(p)) for p in terms))
        # In float64 to 10 digits, in float32 to 4.
        if (
            not abs(forward - reverse)
            <= min(0.05, 1e3 * self.eps + self.eps**0.625) * size + 100 * self.eps * self.size
        ):
            raise self.fail(
                f"along a random direction forward mode (jvp) says {forward:.9g} and reverse mode (vjp) {reverse:.9g}.",
                "One is the transpose of the other, so the two rules of an op do not fit: check each alone with "
                "modes=('reverse',) and modes=('forward',) to see which is wrong.",
            )


def _pulling(f: Callable[..., Any], given: list[np.ndarray]) -> tuple[Any, Callable[[list[np.ndarray]], list[Any]]]:
    """`vjp` in arrays: where `f` uses the weights of a model, its results and gradients depend on those too."""
    outs, pull = vjp(f, *given)
    return bare(outs), lambda cotangents: [np.asarray(bare(g)) for g in pull(cotangents)]
