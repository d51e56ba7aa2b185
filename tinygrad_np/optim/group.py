"""Groups of parameters with their hyperparameters, and how `parameters` is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import DtypeError, RangeError, ShapeError

INFINITY = float("inf")

RANGES: dict[str, tuple[float, float, str]] = {
    "lr": (0, INFINITY, "at least 0"),
    "betas": (0, 1, "in [0, 1)"),
    "momentum": (0, INFINITY, "at least 0"),
    "dampening": (-INFINITY, INFINITY, "finite"),
    "weight_decay": (0, INFINITY, "at least 0"),
    "eps": (0, INFINITY, "at least 0"),
    "alpha": (0, INFINITY, "at least 0"),
    "rho": (0, np.nextafter(1, 2), "in [0, 1]"),
    "lr_decay": (0, INFINITY, "at least 0"),
    "initial_accumulator_value": (0, INFINITY, "at least 0"),
    "tolerance_grad": (0, INFINITY, "at least 0"),
    "tolerance_change": (0, INFINITY, "at least 0"),
    "tolerance_curvature": (0, INFINITY, "at least 0"),
    # what schedulers write down
    "initial_lr": (0, INFINITY, "at least 0"),
}
"""The hyperparameters that are numbers: low <= value < high, in words."""


class Group(MutableMapping[str, Any]):
    """Parameters that are trained with the same hyperparameters; a mapping, and attributes too.

    `group["lr"]` and `group.lr` read a number as a Python float, and assigning one writes it into
    `group.arrays["lr"]`, a float64 array that stays the same object for as long as the optimizer lives.
    `group.params` lists the tensors.  Raises RangeError for a number outside of its range, ValueError for a
    name that the optimizer does not have.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> group = optim.Adam([w], lr=0.1).groups[0]
    >>> rate = group.arrays["lr"]
    >>> group["lr"] = 0.5
    >>> rate, group.betas
    (array(0.5), (0.9, 0.999))
    """

    arrays: dict[str, np.ndarray]
    options: dict[str, Any]
    params: list[Tensor]

    def __init__(self, params: list[Tensor], values: Mapping[str, Any]) -> None:
        vars(self).update(params=params, arrays={}, options={})
        for key, value in values.items():
            if key not in RANGES:
                self.options[key] = value
        self.update({key: value for key, value in values.items() if key in RANGES})

    def __getitem__(self, key: str) -> Any:
        if key == "params":
            return self.params
        if key in self.arrays:
            value = self.arrays[key].tolist()
            return tuple(value) if isinstance(value, list) else value
        return self.options[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in RANGES:
            numbers = in_range(key, value)
            if key in self.arrays:
                self.arrays[key][...] = numbers
            else:
                self.arrays[key] = np.array(numbers)
        elif key in self.options:
            self.options[key] = value
        else:
            raise ValueError(
                f"this group has no {key!r}: the optimizer would never look at it.  It has {', '.join(self)}."
            )

    def __delitem__(self, key: str) -> None:
        raise TypeError(f"{key!r} cannot be taken away from a group: the optimizer needs it.  Assign another value.")

    def __iter__(self) -> Iterator[str]:
        return iter(["params", *self.arrays, *self.options])

    def __len__(self) -> int:
        return 1 + len(self.arrays) + len(self.options)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            # Asked for by copy and the like, perhaps before there is anything to look it up in.
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"this group has no {key!r}.  It has {', '.join(self)}.") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __repr__(self) -> str:
        numbers = ", ".join(f"{key}={value!r}" for key, value in self.items() if key != "params")
        return f"Group({len(self.params)} parameters, {numbers})"


def in_range(key: str, value: Any) -> np.ndarray:
    """The number (for `betas` the two numbers) as a float64 array, if it is one that `key` may have."""
    low, high, words = RANGES[key]
    shape, wanted = ((2,), "two numbers") if key == "betas" else ((), "a number")
    try:
        numbers = np.asarray(value)
        fits = numbers.shape == shape and numbers.dtype.kind in "fiu"
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise TypeError(f"{key}={value!r} does not say how to train: {key} is {wanted}, {words}.")
    numbers = numbers.astype(np.float64)
    if not (np.all(numbers >= low) and np.all(numbers < high)):
        raise RangeError(f"{key}={value!r} is out of range: no step would make sense with it.  {key} is {words}.")
    return numbers


# -- reading `parameters` ---------------------------------------------------------------------


def read(parameters: Any) -> list[tuple[list[tuple[str | None, Tensor]], dict[str, Any]]]:
    """The groups in `parameters`: (name, tensor) pairs and the hyperparameters of its own, for each."""
    if isinstance(parameters, Tensor | Mapping) or not isinstance(parameters, Iterable):
        what = parameters.describe() if isinstance(parameters, Tensor) else f"a {type(parameters).__name__}"
        way_out = "d.items() or [group]" if isinstance(parameters, Mapping) else "[tensor] or model.parameters()"
        raise TypeError(f"an optimizer got {what}, and takes an iterable of the tensors to train.  Write {way_out}.")
    entries = list(parameters)
    if not entries:
        raise ValueError(
            "an optimizer got no parameters, so there is nothing to train.  A generator is empty once it has been "
            "read: write list(model.parameters()) to use it twice."
        )
    if any(isinstance(entry, Mapping) for entry in entries):
        return [read_group(entry) for entry in entries]
    return [([pair(entry) for entry in entries], {})]


def read_group(group: Any) -> tuple[list[tuple[str | None, Tensor]], dict[str, Any]]:
    """The pairs and hyperparameters of one {"params": ..., "lr": ...}."""
    if not isinstance(group, Mapping) or "params" not in group:
        raise TypeError(
            f"a group of parameters cannot be read from {described(group)}: groups and bare tensors do not mix.  "
            'Write {"params": [tensor, ...], "lr": 0.1} for each group.'
        )
    members = group["params"]
    members = [members] if isinstance(members, Tensor) else list(members)
    return [pair(entry) for entry in members], {key: value for key, value in group.items() if key != "params"}


def pair(entry: Any) -> tuple[str | None, Tensor]:
    """(name, tensor) of a tensor or of such a pair."""
    name, tensor = None, entry
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
        name, tensor = entry
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"an optimizer cannot train {described(tensor)}: only a Tensor has a gradient.  "
            "Write Tensor(array, requires_grad=True)."
        )
    return name, tensor


def described(value: Any) -> str:
    """A few words about something that is no tensor."""
    if isinstance(value, np.ndarray):
        return f"an ndarray of shape {value.shape}"
    return f"a {type(value).__name__}"


def check_trainable(tensor: Tensor) -> None:
    """Raise if `tensor` is not a leaf whose array can be written."""
    if not tensor.is_leaf:
        raise ValueError(
            f"{tensor.describe()} was computed by {tensor.node.op_name}, so it is not a parameter: training it would "
            "be undone by computing it again.  Give the leaves it was computed from, or Tensor(t.detach(), True)."
        )
    if type(tensor.data) is not np.ndarray or not tensor.data.flags.writeable:
        raise ValueError(
            f"the array of {tensor.describe()} cannot be written, and a step writes into it.  "
            "Write tensor.data = tensor.data.copy() first."
        )


def check_gradient(tensor: Tensor, name: str) -> None:
    """Raise if `.grad` of `tensor` is not a gradient of it."""
    gradient = tensor.grad
    if not isinstance(gradient, Tensor):
        raise TypeError(f".grad of {name} is None or a Tensor, not {described(gradient)}.  Write Tensor(gradient).")
    if gradient.shape != tensor.data.shape:
        raise ShapeError(
            f".grad of {name} has shape {gradient.shape}, and the parameter {tensor.data.shape}: entries would not "
            "meet their own slope, so no parameter was changed.  Give a gradient of the parameter's shape."
        )
    if gradient.dtype.kind not in ("fiuc" if tensor.dtype.kind == "c" else "fiu"):
        raise DtypeError(
            f".grad of {name} is of dtype {gradient.dtype}, and the parameter of {tensor.dtype}, so no parameter was "
            f"changed.  Give a gradient of dtype {tensor.dtype}."
        )
