"""What all optimizers have in common: groups, state, blocks, saving.  A variant says its formula only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..engine.tensor import Tensor
from . import saving
from .blocks import Run, Slot, Workspace, runs_of
from .group import Group, check_trainable, read, read_group


class Optimizer:
    """The part of an optimizer that does not depend on its formula.

    `parameters`: an iterable of Tensors, of (name, Tensor) pairs, or of groups
    `{"params": [...], "lr": 0.1}`; those that do not require grad are left alone as long as they do not.  A variant
    is a subclass that names its `arrays` of state, turns hyperparameters into `numbers`, once per step, and says in
    `update` what happens to some entries `p` of a parameter with gradient `g`, in place, with
    `a` and `b` as scratch:

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> class SignDescent(optim.Optimizer):
    ...     def __init__(self, parameters, lr=0.1):
    ...         super().__init__(parameters, lr=lr)
    ...     def numbers(self, group, step):
    ...         return (group["lr"],)
    ...     def update(self, p, g, a, b, numbers):
    ...         (lr,) = numbers
    ...         np.sign(g, out=a)
    ...         a *= lr
    ...         p -= a
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([w])
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)

    `weight_decay` and `maximize`, if the variant has them, are applied here: to the gradient, or, with
    `decoupled_decay`, to the parameter.  `state[tensor]` is a dict of the arrays: "step" (a 0-d int64 count),
    and those the variant names, of the parameter's dtype and shape.
    """

    arrays: ClassVar[tuple[str, ...]] = ()
    decoupled_decay: ClassVar[bool] = False

    def __init__(self, parameters: Iterable[Any], **defaults: Any) -> None:
        self.defaults = defaults
        self.groups: list[Group] = []
        self._slots: list[list[Slot]] = []
        self._runs: list[list[Run]] = []
        self._workspace = Workspace()
        for members, own in read(parameters):
            self._add(members, own)
        if not any(slot.parameter.requires_grad for slots in self._slots for slot in slots):
            raise ValueError(
                "none of the tensors that the optimizer got requires grad, so there is nothing to train.  "
                "Make them with Tensor(..., requires_grad=True)."
            )

    # -- what a variant says ------------------------------------------------------------------

    def check(self, group: Group) -> None:
        """Raise if the hyperparameters of `group` do not go together."""

    def used(self, group: Group) -> tuple[str, ...]:
        """Those of `arrays` that `group` needs."""
        return self.arrays

    def fill(self, group: Group, name: str) -> float:
        """What the state array `name` starts from."""
        return 0.0

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """What `update` needs to know in step number `step`, which starts from 1: floats, and True, False or None."""
        raise NotImplementedError

    def update(self, *operands: Any, **arrays: Any) -> None:
        """One step of some entries, in place: `update(p, g, a, b, numbers, exp_avg=..., ...)`.

        `p`: entries of a parameter; `g`: of its gradient, not to be written; `a`, `b`: scratch of the same size;
        `numbers`: the floats of `numbers()` as 0-d arrays of the dtype of `p`; then the state arrays by name.
        """
        raise NotImplementedError

    # -- what users call ----------------------------------------------------------------------

    @property
    def param_groups(self) -> list[Group]:
        """The groups, by PyTorch's name."""
        return self.groups

    @property
    def state(self) -> dict[Tensor, dict[str, np.ndarray]]:
        """The state arrays of each parameter."""
        return {slot.parameter: slot.state for slots in self._slots for slot in slots}

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters from now on: `{"params": [...], "lr": 0.1}`."""
        self._add(*read_group(group))

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: `.grad` becomes None."""
        for group in self.groups:
            for parameter in group.params:
                parameter.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, in place; returns what `closure()` returns, if given.

        Arrays stay the same objects, and after the first step no others are made.  Raises ShapeError, DtypeError,
        TypeError or ValueError if a gradient does not fit its parameter, before anything is changed.
        """
        loss = closure() if closure is not None else None
        for slots in self._slots:
            for slot in slots:
                slot.check()
        # As in PyTorch, inf and nan in a gradient arrive in the parameters without a word here.
        with np.errstate(all="ignore"):
            for group, runs in zip(self.groups, self._runs, strict=True):
                self._step_group(group, runs)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """All of the state as dicts and lists of arrays, numbers and strings; the arrays are copies.

        `{"optimizer": "Adam", "groups": [{"lr": 0.001, ..., "names": [...]}], "state": [{"step": ...}, ...]}`, with one
        entry of "state" for each parameter, in the order of the groups.
        """
        return saving.state_dict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned, bit for bit.

        Raises ValueError, ShapeError or TypeError, naming what does not fit, before anything is changed.
        """
        saving.load_state_dict(self, state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} cannot be copied or pickled: it would not train the copies of its parameters.  "
            "Make one for the copied parameters, and give it state_dict() in load_state_dict()."
        )

    def __repr__(self) -> str:
        groups = "\n".join(f"  {group!r}" for group in self.groups)
        return f"{type(self).__name__}(\n{groups}\n)"

    # -- how a step is done -------------------------------------------------------------------

    def _add(self, members: list[tuple[str | None, Tensor]], own: dict[str, Any]) -> None:
        unknown = [key for key in own if key not in self.defaults]
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no {unknown[0]!r}, which a group of parameters sets: it would be "
                f"ignored.  A group may set {', '.join(self.defaults)}."
            )
        seen = {id(parameter) for group in self.groups for parameter in group.params}
        for _, tensor in members:
            if id(tensor) in seen:
                raise ValueError(
                    f"{tensor.describe()} is given twice, and would be stepped twice with one gradient.  "
                    "Give each tensor once."
                )
            seen.add(id(tensor))
        members = [(name, tensor) for name, tensor in members if tensor.dtype.kind in "fc"]
        for _, tensor in members:
            check_trainable(tensor)
        group = Group([tensor for _, tensor in members], {**self.defaults, **own})
        self.check(group)
        slots = [Slot(tensor, name) for name, tensor in members]
        runs = runs_of([slot for slot in slots if slot.parameter.requires_grad])
        for run in runs:
            self._create(group, run)
        # What is frozen now may be trained later; until then it has no gradient, and needs no state.
        runs += [Run([slot]) for slot in slots if not slot.parameter.requires_grad]
        self.groups.append(group)
        self._slots.append(slots)
        self._runs.append(runs)

    def _create(self, group: Group, run: Run) -> tuple[str, ...]:
        """Make the state arrays that `group` needs now, and `run` has not; returns their names."""
        names = self.used(group)
        for name in names:
            if not run.has(name):
                run.start(name, self.fill(group, name))
        return names

    def _step_group(self, group: Group, runs: list[Run]) -> None:
        if not all(run.together() for run in runs):
            # For good: once they have made different numbers of steps, they never are together again.
            runs[:] = [part for run in runs for part in ([run] if run.together() else run.split())]
        maximize = group.options.get("maximize", False)
        decay = group["weight_decay"] if "weight_decay" in group.arrays else 0.0
        shrink = 1 - group["lr"] * decay if self.decoupled_decay and decay else None
        coupled = decay if decay and shrink is None else None
        converted: dict[Any, tuple[Any, ...]] = {}
        for run in runs:
            first = run.slots[0].parameter
            if first.grad is None or not first.requires_grad:
                continue
            key = run.real, run.count()
            if key not in converted:
                own = (coupled, shrink, *self.numbers(group, key[1]))
                converted[key] = tuple([_operand(number, run.real) for number in own])
            self._step_run(run, self._create(group, run), maximize, *converted[key])

    def _step_run(
        self, run: Run, names: tuple[str, ...], maximize: bool, decay: Any, shrink: Any, *numbers: Any
    ) -> None:
        gradient = run.gradient(self._workspace)
        for p, piece, (a, b, c), arrays in run.blocks(self._workspace, names):
            g = gradient[piece]
            if decay is not None:
                np.multiply(p, decay, out=c)
                g = np.subtract(c, g, out=c) if maximize else np.add(c, g, out=c)
            elif maximize:
                g = np.negative(g, out=c)
            if shrink is not None:
                p *= shrink
            self.update(p, g, a, b, numbers, **arrays)
        run.finish()


def _operand(number: Any, dtype: np.dtype) -> Any:
    """A float as ufuncs take it fastest: a 0-d array of the other operand's dtype."""
    return np.array(number, dtype) if isinstance(number, float) else number
