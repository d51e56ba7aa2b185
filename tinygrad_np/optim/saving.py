"""The state of an optimizer as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ShapeError
from .blocks import Slot
from .group import RANGES, Group, in_range


def state_dict(optimizer: Any) -> dict[str, Any]:
    """What `Optimizer.state_dict` returns."""
    groups = []
    for group, slots, runs in zip(optimizer.groups, optimizer._slots, optimizer._runs, strict=True):
        groups.append({**plain_values(group), "names": [slot.given_name for slot in slots]})
        for run in runs:
            # What was switched on since the last step, so that a state has all that its hyperparameters need.
            optimizer._create(group, run)
    slots = [slot for members in optimizer._slots for slot in members]
    state = [{name: array.copy() for name, array in slot.state.items()} for slot in slots]
    return {"optimizer": type(optimizer).__name__, "groups": groups, "state": state}


def plain_values(group: Group) -> dict[str, Any]:
    """The hyperparameters as numbers, strings and lists; None is left out."""
    values = {key: value for key, value in group.items() if key != "params" and value is not None}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def load_state_dict(optimizer: Any, state: Mapping[str, Any]) -> None:
    """What `Optimizer.load_state_dict` does: everything is checked before anything is written."""
    kind = type(optimizer).__name__
    require_keys(state, ("optimizer", "groups", "state"), kind)
    if str(state["optimizer"]) != kind:
        raise ValueError(
            f"the state of {state['optimizer']} cannot go on in {kind}: their arrays mean different things.  "
            "Make the optimizer that was saved."
        )
    saved = state["groups"]
    require_number("groups", len(saved), len(optimizer.groups), kind)
    for number, (group, slots, values) in enumerate(zip(optimizer.groups, optimizer._slots, saved, strict=True)):
        check_values(group, slots, values, f"group {number}")
    members = [(slot, values) for slots, values in zip(optimizer._slots, saved, strict=True) for slot in slots]
    require_number("parameters", len(state["state"]), len(members), kind)
    for (slot, values), arrays in zip(members, state["state"], strict=True):
        check_arrays(optimizer, slot, optimizer.used(values), arrays)
    names = {name for arrays in state["state"] for name in arrays}
    for group, runs, values in zip(optimizer.groups, optimizer._runs, saved, strict=True):
        group.update({key: scalar(key, value) for key, value in values.items() if key != "names"})
        for run in runs:
            for name in optimizer.arrays:
                # Also those that are not in the state: they start anew.
                if name in names or run.has(name):
                    run.start(name, optimizer.fill(group, name))
    for (slot, _), arrays in zip(members, state["state"], strict=True):
        for name, array in arrays.items():
            np.copyto(slot.state[name], array, casting="unsafe")


def require_keys(state: Any, keys: tuple[str, ...], kind: str) -> None:
    """Raise unless `state` is a mapping with these keys."""
    missing = [key for key in keys if key not in state] if isinstance(state, Mapping) else list(keys)
    if missing:
        found = ", ".join(map(str, state)) if isinstance(state, Mapping) else f"a {type(state).__name__}"
        raise ValueError(
            f"this is not a state of {kind}: {missing[0]!r} is missing, and there is {found or 'nothing'}.  "
            "Give what state_dict() returned."
        )


def require_number(what: str, saved: int, here: int, kind: str) -> None:
    """Raise if two numbers of things differ."""
    if saved != here:
        raise ValueError(
            f"the saved state has {saved} {what}, and this {kind} has {here}: it cannot be told what belongs "
            "to what.  Make the optimizer of the same parameters in the same groups as when it was saved."
        )


def scalar(key: str, value: Any) -> Any:
    """A hyperparameter as it was before it went through a file, where a flag may have become a 0-d array."""
    return value if key in RANGES or not isinstance(value, np.ndarray | np.generic) else value.item()


def check_values(group: Group, slots: list[Slot], values: Any, where: str) -> None:
    """Raise if saved hyperparameters or names do not fit `group`."""
    require_keys(values, ("names",), where)
    require_number(f"parameters in {where}", len(values["names"]), len(slots), "optimizer")
    for slot, name in zip(slots, values["names"], strict=True):
        if name and slot.given_name and str(name) != slot.given_name:
            raise ValueError(
                f"the saved state has the parameter {str(name)!r} where {where} has {slot.given_name!r}.  Give the "
                "parameters in the order they were saved in."
            )
    for key, value in values.items():
        if key in RANGES:
            in_range(key, value)
        elif key != "names" and key not in group:
            raise ValueError(f"the saved state sets {key!r}, which {where} does not have.  It has {', '.join(group)}.")
    missing = [key for key in plain_values(group) if key not in values and key != "initial_lr"]
    if missing:
        raise ValueError(f"the saved state of {where} lacks {missing[0]!r}.  Give what state_dict() returned.")


def check_arrays(optimizer: Any, slot: Slot, needed: tuple[str, ...], arrays: Any) -> None:
    """Raise if saved arrays do not fit a parameter, or lack one of those `needed` by the saved hyperparameters."""
    require_keys(arrays, ("step", *needed), f"{type(optimizer).__name__} for {slot.describe()}")
    for name, array in arrays.items():
        if name not in ("step", *optimizer.arrays):
            raise ValueError(
                f"the saved state of {slot.describe()} has {name!r}, which {type(optimizer).__name__} does not keep.  "
                f"It keeps {', '.join(('step', *optimizer.arrays))}."
            )
        shape = () if name == "step" else slot.shape
        if np.shape(array) != shape:
            raise ShapeError(
                f"the saved {name!r} of {slot.describe()} has shape {np.shape(array)}, and {shape} is needed.  Make "
                "the optimizer of parameters with the shapes they had when it was saved."
            )
        kinds = "iu" if name == "step" else "fiuc" if slot.dtype.kind == "c" else "fiu"
        if np.asarray(array).dtype.kind not in kinds:
            raise TypeError(
                f"the saved {name!r} of {slot.describe()} is of dtype {np.asarray(array).dtype}, which is no "
                f"{'count' if name == 'step' else f'array of {slot.dtype} numbers'}.  Give what state_dict() returned."
            )
