"""The state of a model as a dict of arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tape import written
from ..engine.tensor import Tensor
from ..errors import DtypeError, StateError
from .tree import Part, array_of, entries, is_parameter, once, walk

LISTED = 5
"""How many faults of a state an error names."""


def state_dict(part: Part) -> dict[str, np.ndarray]:
    """Copies of all parameters and buffers, by path."""
    return {path: array.copy(order="C") for path, array in _arrays(part).items()}


def load_state_dict(part: Part, state: Mapping[str, Any], strict: bool) -> None:
    """Write arrays into the parameters and buffers of these paths, after all of them were found to fit."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict() takes a dict of arrays by name, as state_dict() gives, not {type(state).__name__}.  "
            "Read a file first: model.load_state_dict(tg.load(path))."
        )
    own = _arrays(part)
    # Copies, as they may be this model's own arrays.
    given = {path: np.array(array_of(value)) for path, value in state.items()}
    faults = [fault for path in own if path in given if (fault := _misfit(path, own[path], given[path]))]
    faults += _contradictions(own, given)
    if strict:
        faults += [f"{path!r} of shape {own[path].shape} is missing" for path in own if path not in given]
        faults += [f"{path!r} is not in the model{_nearest(path, own)}" for path in given if path not in own]
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise StateError(
            f"the state does not fit this {type(part).__name__}: {'; '.join(faults[:LISTED])}{more}.  Nothing was "
            "loaded.  Build the model as it was when the state was saved, or load what fits with strict=False, "
            "after taking out the arrays that do not."
        )
    for path, value in entries(part):
        if path in given and own[path].flags.writeable:
            own[path][...] = given[path]
            if isinstance(value, Tensor):
                written(value)


def _arrays(part: Part) -> dict[str, np.ndarray]:
    """The arrays of all parameters and buffers by path; two of one path would be one in a state."""
    found: dict[str, np.ndarray] = {}
    for path, value in entries(part):
        if path in found:
            raise StateError(
                f"this {type(part).__name__} has two arrays at {path!r}, of shapes {found[path].shape} and "
                f"{value.shape}, and a state only one for each name.  Call the attributes and keys something else: "
                "without dots, and not 1 and '1'."
            )
        found[path] = array_of(value)
    return found


def _misfit(path: str, own: np.ndarray, given: np.ndarray) -> str:
    if own.shape != given.shape:
        return f"{path!r} has shape {given.shape} instead of {own.shape}"
    if not np.can_cast(given.dtype, own.dtype, "same_kind"):
        return f"{path!r} has dtype {given.dtype}, which does not go into {own.dtype}"
    if not own.flags.writeable and not np.array_equal(own, given):
        return f"{path!r} is read-only in the model, and has other values there"
    return ""


def _contradictions(own: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> list[str]:
    """The names of one array of the model under which the state has different ones."""
    first: dict[int, str] = {}
    faults = []
    for path in own:
        if path in given:
            other = first.setdefault(id(own[path]), path)
            if not np.array_equal(given[path], given[other], equal_nan=given[path].dtype.kind in "fc"):
                faults.append(f"{other!r} and {path!r} are one array in the model, and two different ones in the state")
    return faults


def _nearest(path: str, own: Mapping[str, Any]) -> str:
    """The name that was probably meant: the same one at another place."""
    alike = [other for other in own if other.endswith(f".{path}") or path.endswith(f".{other}")]
    return f" (it has {alike[0]!r})" if len(alike) == 1 else ""


def cast(part: Part, dtype: npt.DTypeLike) -> None:
    """Turn all floating parameters and buffers to another floating dtype."""
    to = np.dtype(dtype)
    if to.kind != "f":
        raise DtypeError(f"a model is of a floating dtype, not {to}.  Write model.astype(np.float32) or np.float64.")
    buffers: dict[int, np.ndarray] = {}
    for _, found in list(once(walk(part))):
        if isinstance(found, Tensor) and is_parameter(found) and found.dtype.kind == "f":
            found.data = found.data.astype(to)
            found.grad = None
            # The tape is told by a new node: the old one is that of the old dtype.
            found.requires_grad = found.requires_grad
        elif isinstance(found, Part):
            vars(found).update({name: _cast_buffers(value, to, buffers) for name, value in vars(found).items()})


def _cast_buffers(value: Any, to: np.dtype, done: dict[int, np.ndarray]) -> Any:
    """The value with its arrays in the dtype; one that is at several places stays one."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        if id(value) not in done:
            done[id(value)] = value.astype(to)
        return done[id(value)]
    if isinstance(value, dict):
        value.update({key: _cast_buffers(item, to, done) for key, item in value.items()})
    elif isinstance(value, list):
        value[:] = [_cast_buffers(item, to, done) for item in value]
    elif type(value) is tuple:
        return tuple(_cast_buffers(item, to, done) for item in value)
    return value
