"""L-BFGS: quasi-Newton steps from the last few gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..counts import count
from ..engine.tape import written
from ..engine.tensor import Tensor
from .blocks import Slot, as_pairs
from .group import Group
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer

NARROWEST = 1e-9


class LBFGS(Optimizer):
    """L-BFGS: Newton's direction, with the curvature guessed from the last steps and changes of the gradient.

    With steps s_i = p_(i+1) - p_i, changes y_i = g_(i+1) - g_i, and r_i = 1 / (y_i . s_i), newest first and then
    back again (the two-loop recursion):

        q = -g;  a_i = r_i * (s_i . q),  q = q - a_i * y_i;     d = q * (s . y) / (y . y) of the newest
        d = d + s_i * (a_i - r_i * (y_i . d));                  p <- p + t * d

    t is lr (in the first iteration at most lr / sum(|g|)), or with line_search_fn="strong_wolfe" what that search
    finds from there.  Nocedal, Updating quasi-Newton matrices with limited storage, 1980; Nocedal and Wright,
    Numerical optimization, 2006, algorithm 7.4.

    `step(closure)` does up to `max_iter` iterations with up to `max_eval` evaluations (max_iter * 5 // 4 if None); the
    closure clears the gradients, computes the loss, calls backward() and returns the loss.  It ends early when no entry
    of the gradient exceeds `tolerance_grad`, or the loss or the parameters change by less than `tolerance_change`.  All
    parameters are of one dtype, in one group.  Raises RangeError or ValueError for arguments that make no sense.

    A pair with s . y up to `tolerance_curvature` is not remembered.  That is an absolute number, PyTorch's, and near
    its minimum a mean over many samples has none above it: the directions stay as they are, and the last digits take
    long.  There give 0, so that whatever is above zero counts.

    After a step, `iterations` and `evaluations` say how many it made, and `ended_by` names the argument that ended it:
    "tolerance_grad", "tolerance_change", "max_iter" or "max_eval"; None before, and where the closure raised.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([-1.0, 2.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> np.round(w.data, 4)
    array([1., 1.])
    >>> optimizer.ended_by
    'tolerance_change'
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        tolerance_curvature: float = 1e-10,
    ) -> None:
        limits = {
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "history_size": history_size,
        }
        numbers = {
            "lr": lr,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "tolerance_curvature": tolerance_curvature,
        }
        self.history = History()
        self.iterations = self.evaluations = 0
        self.ended_by: str | None = None
        super().__init__(parameters, **numbers, **limits, line_search_fn=line_search_fn)
        self._every = [slot for slots in self._slots for slot in slots]
        if len({slot.dtype for slot in self._every}) > 1:
            dtypes = ", ".join(sorted({str(slot.dtype) for slot in self._every}))
            raise ValueError(
                f"LBFGS got parameters of dtypes {dtypes}, and takes them all as one vector.  Give them one dtype."
            )
        self._size = sum(slot.size for slot in self._every)
        self._dtype = self._every[0].dtype

    def check(self, group: Group) -> None:
        """Counts are whole numbers, and there is one line search."""
        if self.groups:
            raise ValueError(
                "LBFGS got more than one group of parameters, and it takes one step for all of them.  "
                "Give one list of tensors, or use one optimizer for each."
            )
        for key in ("max_iter", "max_eval", "history_size"):
            count(key, group[key])
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"line_search_fn={group['line_search_fn']!r} is not known.  Give "
                "'strong_wolfe', or None for steps of lr."
            )

    # -- parameters and gradients as one vector -----------------------------------------------

    def _parts(self, whole: np.ndarray) -> Iterator[tuple[Slot, np.ndarray]]:
        start = 0
        for slot in self._every:
            yield slot, whole[start : start + slot.size]
            start += slot.size

    def _gather(self) -> np.ndarray:
        whole = np.zeros(self._size, self._dtype)
        for slot, part in self._parts(whole):
            slot.check()
            if slot.parameter.grad is not None:
                np.copyto(slot.shaped(part), slot.parameter.grad.data, casting="unsafe")
        return as_pairs(whole)

    def _position(self) -> np.ndarray:
        whole = np.empty(self._size, self._dtype)
        for slot, part in self._parts(whole):
            np.copyto(slot.shaped(part), slot.parameter.data)
        return as_pairs(whole)

    def _move_to(self, position: np.ndarray) -> None:
        for slot, part in self._parts(position.view(self._dtype)):
            np.copyto(slot.parameter.data, slot.shaped(part))
            written(slot.parameter)

    # -- steps --------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; returns what the closure returned at the start.

        `closure()` clears the gradients, computes the loss, calls backward() and returns the loss.
        """
        if closure is None:
            raise TypeError(
                "LBFGS.step() got no closure, and it evaluates the loss several times in a step.  Write a function "
                "that calls optimizer.zero_grad(), computes the loss, calls loss.backward() and returns the loss."
            )
        self.iterations, self.evaluations, self.ended_by = 0, 1, None
        loss = closure()
        point = Point(0.0, _number(loss), self._gather(), 0.0)
        if _largest(point.gradient) <= self.groups[0]["tolerance_grad"]:
            self.ended_by = "tolerance_grad"
            return loss
        for run in self._runs[0]:
            run.count()
        self.ended_by = self._iterate(closure, point)
        return loss

    def _iterate(self, closure: Callable[[], Any], point: Point) -> str:
        """Iterations from `point`, the place where the closure was called; returns what ended them."""
        group, history = self.groups[0], self.history
        for left in reversed(range(group["max_iter"])):
            self.iterations += 1
            direction = history.direction(point.gradient, group["history_size"], group["tolerance_curvature"])
            length = group["lr"] * (min(1.0, 1 / float(np.abs(point.gradient).sum())) if history.iterations == 1 else 1)
            history.length = length
            before = point._replace(step=0.0, slope=float(point.gradient.dot(direction)))
            if before.slope > -group["tolerance_change"]:
                return "tolerance_change"
            limit = group["max_eval"] - self.evaluations
            point, used = self._advance(closure, before, direction, length, left, limit)
            history.length = point.step
            self.evaluations += used
            # Without an evaluation at the new place, nothing is known of it.
            if used and (reason := self._reached(before, point, direction)):
                return reason
            if self.evaluations >= group["max_eval"]:
                return "max_eval"
        return "max_iter"

    def _reached(self, before: Point, point: Point, direction: np.ndarray) -> str | None:
        """The tolerance that was kept with this step, if one was."""
        group = self.groups[0]
        if _largest(point.gradient) <= group["tolerance_grad"]:
            return "tolerance_grad"
        step, change = _largest(direction * point.step), abs(point.value - before.value)
        if step <= group["tolerance_change"] or change < group["tolerance_change"]:
            return "tolerance_change"
        return None

    def _advance(
        self, closure: Callable[[], Any], before: Point, direction: np.ndarray, length: float, left: int, limit: int
    ) -> tuple[Point, int]:
        """Move along `direction`: the point reached, and how often the closure was called."""
        group, origin = self.groups[0], self._position()

        def evaluate(step: float) -> Point:
            self._move_to(origin + step * direction)
            try:
                value = _number(closure())
            except BaseException:
                self._move_to(origin)
                raise
            gradient = self._gather()
            return Point(step, value, gradient, float(gradient.dot(direction)))

        if group["line_search_fn"] is None:
            if left:
                return evaluate(length), 1
            # The next step() starts with an evaluation here; on another batch this one would be of no use.
            self._move_to(origin + length * direction)
            return before._replace(step=length), 0
        point, used = strong_wolfe(evaluate, before, length, limit, _largest(direction), NARROWEST)
        self._move_to(origin + point.step * direction)
        return point, used

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As of any optimizer, with "history": the last directions, steps and changes of the gradient."""
        return {**super().state_dict(), "history": self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned, bit for bit; raises before anything is changed."""
        history = History.loaded(state.get("history"), as_pairs(np.empty(self._size, self._dtype)))
        super().load_state_dict(state)
        self.history = history


def _number(loss: Any) -> float:
    return float(loss.detach() if isinstance(loss, Tensor) else loss)


def _largest(entries: np.ndarray) -> float:
    return float(np.max(np.abs(entries), initial=0.0))


class History:
    """What L-BFGS remembers: the last step, and pairs of steps and changes of the gradient."""

    def __init__(self) -> None:
        self.iterations = 0
        self.length = 0.0
        self.scale = 1.0
        self.last: np.ndarray | None = None
        self.gradient: np.ndarray | None = None
        self.steps: list[np.ndarray] = []
        self.changes: list[np.ndarray] = []
        self.curvatures: list[float] = []

    def direction(self, gradient: np.ndarray, size: int, least: float) -> np.ndarray:
        """The next direction, by the two-loop recursion."""
        self.iterations += 1
        if self.last is not None and self.gradient is not None:
            self._remember(self.last * self.length, gradient - self.gradient, size, least)
        self.gradient = gradient
        self.last = d = -gradient
        pairs = list(zip(self.steps, self.changes, self.curvatures, strict=True))
        weights = []
        for step, change, curvature in reversed(pairs):
            weights.append(float(step.dot(d)) / curvature)
            d -= weights[-1] * change
        d *= self.scale
        for (step, change, curvature), weight in zip(pairs, reversed(weights), strict=True):
            d += (weight - float(change.dot(d)) / curvature) * step
        return d

    def _remember(self, step: np.ndarray, change: np.ndarray, size: int, least: float) -> None:
        curvature, square = float(change.dot(step)), float(change.dot(change))
        if curvature <= least or not square:
            return
        self.steps.append(step)
        self.changes.append(change)
        self.curvatures.append(curvature)
        for remembered in (self.steps, self.changes, self.curvatures):
            del remembered[:-size]
        self.scale = curvature / square

    def state_dict(self) -> dict[str, Any]:
        """The numbers and arrays; pairs are rows."""
        state: dict[str, Any] = {"iterations": self.iterations, "length": self.length, "scale": self.scale}
        if self.last is not None and self.gradient is not None:
            state |= {"last": self.last.copy(), "gradient": self.gradient.copy()}
        if self.steps:
            state |= {"steps": np.stack(self.steps), "changes": np.stack(self.changes)}
            state["curvatures"] = np.array(self.curvatures)
        return state

    @staticmethod
    def loaded(state: Any, like: np.ndarray) -> History:
        """A History of what `state_dict()` returned, for vectors as `like`; ValueError if it does not fit."""
        history = History()
        try:
            history.iterations = int(state["iterations"])
            history.length, history.scale = float(state["length"]), float(state["scale"])
            if "last" in state:
                history.last, history.gradient = (np.array(state[key], like.dtype) for key in ("last", "gradient"))
            for key in ("steps", "changes") if "steps" in state else ():
                setattr(history, key, [np.array(row, like.dtype) for row in state[key]])
            history.curvatures = np.asarray(state.get("curvatures", []), float).tolist()
            vectors = [*history.steps, *history.changes, history.last, history.gradient]
            fits = all(vector is None or vector.shape == like.shape for vector in vectors)
            fits = fits and len(history.steps) == len(history.changes) == len(history.curvatures)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"the saved history of LBFGS cannot be read ({error!r}).  Give what state_dict() returned."
            ) from error
        if not fits:
            raise ValueError(
                f"the saved history of LBFGS is not one of {like.size} entries, as the parameters have here.  Make the "
                "optimizer of the same parameters as when it was saved."
            )
        return history
