"""NumPy's door: the table of rules, and what happens to a call that has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, InPlaceError, NoRuleError

RULES: dict[Any, Callable[..., Any]] = {}
"""From a NumPy function (or a ufunc and the name of its method) to what runs it on tensors."""


def is_tensor(value: Any) -> bool:
    """Whether `value` is a Tensor; the class itself is defined later, on top of this table."""
    return hasattr(value, "requires_grad") and hasattr(value, "node")


def is_batch(value: Any) -> bool:
    """Whether `value` is a Batched; the class itself is defined later, on top of this table."""
    return hasattr(value, "level") and hasattr(value, "value")


def find_tensors(values: Any) -> Iterator[Any]:
    """The tensors among arguments, also inside lists, tuples and dicts."""
    for value in values.values() if isinstance(values, dict) else values:
        if type(value) is np.ndarray:
            continue
        if is_batch(value):
            value = value.value  # an outer tensor may stand for the examples
        if is_tensor(value):
            yield value
        elif is_batch(value):
            yield from find_tensors((value,))
        elif isinstance(value, list | tuple | dict):
            yield from find_tensors(value)


def bare(value: Any) -> Any:
    """Arguments with the arrays of the tensors in their place, also inside lists, tuples and dicts."""
    if type(value) is np.ndarray:
        return value  # the most frequent case
    if is_tensor(value):
        value = value.data
    if is_batch(value):
        return type(value)(bare(value.value), value.level)
    if isinstance(value, dict):
        return {key: bare(v) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(bare, value))
    if type(value) is slice:
        return slice(bare(value.start), bare(value.stop), bare(value.step))
    return value


def rebuilt(like: Any, values: Any) -> Any:
    """A tuple, list or namedtuple like another, of other values."""
    return type(like)(*values) if hasattr(like, "_fields") else type(like)(values)


def function_name(function: Any) -> str:
    """How a reader writes it: `np.linalg.inv`, `np.add.reduce`."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = (getattr(function, "__module__", None) or "numpy").split("._")[0]
    if module.startswith(__package__.split(".")[0]):
        return f"tg.{function.__name__.lstrip('_')}"
    return f"{module}.{function.__name__}".replace("numpy.", "np.", 1)


def call_without_rule(function: Callable[..., Any], args: tuple, options: dict) -> Any:
    """Run a function that has no rule: on constants it may, else its gradient would be cut."""
    name = function_name(function)
    refuse_out(name, options)
    wanting = next((t for t in find_tensors([args, options]) if t.requires_grad), None)
    if wanting is None:
        return function(*bare(args), **bare(options))
    raise NoRuleError(
        f"{name} has no derivative rule here, and {wanting.describe()} requires grad: calling it would cut the "
        "gradient silently.  Write it with functions that have one, declare a rule (see 'How to add an op' in the "
        "README), or take the tensor out of the graph on purpose: t.detach() or t.data."
    )


def refuse_out(name: str, options: dict) -> None:
    """`out=` is a write that the tape cannot follow."""
    if options.get("out") is not None:
        raise InPlaceError(
            f"{name}(..., out=...) writes its result into an existing array, and the tape cannot follow a write.  "
            f"Leave out= away: y = {name}(...)."
        )


def ufunc_inputs(ufunc: np.ufunc, inputs: tuple, options: dict) -> list[Any]:
    """The inputs of a ufunc with its keywords taken into account, or a refusal."""
    name = function_name(ufunc)
    refuse_out(name, options)
    if options.get("where", True) is not True:
        raise NoRuleError(
            f"{name}(..., where=...) leaves the other entries undefined.  Write np.where(mask, {name}(...), other) "
            "to say what they are."
        )
    # These change neither the result nor its gradient.
    harmless = {"out", "where", "casting", "order", "subok", "dtype"}
    if unknown := [key for key in options if key not in harmless]:
        raise NoRuleError(f"{name} with {', '.join(unknown)}= has no derivative rule here.  Leave it away.")
    dtype = options.get("dtype")
    if dtype is None:
        return list(inputs)
    casting = options.get("casting") or "same_kind"
    return [converted(x, dtype, name, casting) if is_tensor(x) else np.asarray(x, dtype) for x in inputs]


def converted(x: Any, dtype: Any, name: str, casting: Any = "same_kind") -> Any:
    """`x` for the dtype= of a function: cast where NumPy casts, and never to what cannot carry its gradient."""
    dtype = np.dtype(dtype)
    if not is_tensor(x):
        return np.asarray(x).astype(dtype, casting=casting)
    if not np.can_cast(x.dtype, dtype, casting) or (x.requires_grad and dtype.kind not in "fc"):
        raise DtypeError(
            f"{name}(..., dtype={dtype}) does not go with {x.describe()}: "
            + ("that dtype carries no gradient.  " if x.requires_grad else f"{casting!r} casting forbids it.  ")
            + "Leave dtype= away, choose a floating one, or cast what you mean yourself: t.detach().astype(...)."
        )
    return RULES["astype"](x, dtype)
