"""What `compare_grads` is given, checked before anything is computed: each mistake in words, and what to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...errors import AutogradError, DtypeError, RangeError
from ..tolerance import tolerance

_HAND = 'Give a dict such as {"dW1": dW1, "db1": db1}, or a function that returns one.'


def check(hand: Any, tensors: Any, loss: Any, shapes: Any, seed: Any, rtol: Any, atol: Any) -> None:
    """Raise DtypeError, RangeError or AutogradError for arguments that `compare_grads` cannot take."""
    if hasattr(hand, "named_parameters"):
        raise DtypeError(
            f"`hand`, the gradients by name, is the model {type(hand).__name__}, which autograd differentiates: it is "
            'the second argument.  Write compare_grads({"dfc1.weight": ...}, model, loss).'
        )
    if not callable(hand) and not isinstance(hand, Mapping):
        raise DtypeError(f"`hand`, the gradients by name, is {_what(hand)}, which has no names.  {_HAND}")
    _check_tensors(tensors, loss)
    _check_shapes(shapes, tensors if callable(hand) else None)
    tolerance(rtol=rtol, atol=atol)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise RangeError(f"seed={seed!r}: random directions are drawn from it.  Give a whole number from 0 on.")


def _check_tensors(tensors: Any, loss: Any) -> None:
    if tensors is None or isinstance(tensors, Mapping):
        return
    if loss is None and (callable(tensors) or (isinstance(tensors, Tensor) and tensors.size == 1)):
        raise DtypeError(
            f"`tensors`, the second argument, is {_what(tensors)}, and no loss was given: it is the loss, most likely. "
            " Write compare_grads(hand, loss=loss)."
        )
    raise DtypeError(
        f"`tensors`, the tensors by name, is {_what(tensors)}, which has no names.  Give a dict such as "
        '{"W1": W1, "b1": b1} or locals(), or leave it away for tensors made with Tensor(..., name="W1").'
    )


# -- shapes ------------------------------------------------------------------------------------------


def _check_shapes(shapes: Any, arrays: Mapping[str, Any] | None) -> None:
    """`arrays`: those that the functions take; None where there are no functions to call at other sizes."""
    if shapes is None:
        return
    example = 'Write shapes={"X": "nm", "W": "hn"}, a letter for each axis.'
    if not isinstance(shapes, Mapping):
        raise DtypeError(f"shapes={shapes!r} is {_what(shapes)}, and says nothing of which array.  {example}")
    for name, letters in shapes.items():
        if not isinstance(letters, str):
            raise DtypeError(f"shapes[{name!r}] is {_what(letters)}, and has to be letters.  {example}")
    if arrays is None and shapes:
        raise AutogradError(
            "shapes= says at which other sizes functions are called again, and `hand` holds arrays, of one size.  Give "
            "functions, compare_grads(hand, arrays, loss, shapes=...), or leave shapes= away."
        )
    lengths: dict[str, tuple[int, str]] = {}
    for name, letters in shapes.items():
        _check_letters(name, letters, arrays or {}, lengths)


def _check_letters(name: str, letters: str, arrays: Mapping[str, Any], lengths: dict[str, tuple[int, str]]) -> None:
    if name not in arrays:
        there = ", ".join(map(str, arrays)) or "none"
        raise AutogradError(
            f"shapes names {name!r}, and there is no array of that name: there are {there}.  Give the letters under "
            "the name of an array, or leave them away."
        )
    shape = np.shape(arrays[name].data if isinstance(arrays[name], Tensor) else arrays[name])
    if len(letters) != len(shape):
        raise AutogradError(
            f"shapes[{name!r}] is {letters!r}, with {len(letters)} axes, and the array has shape {shape}.  Give one "
            "letter for each axis."
        )
    for letter, n in zip(letters, shape, strict=True):
        before, where = lengths.setdefault(letter, (n, name))
        if before != n:
            place = "" if where == name else f" in {where}"
            raise AutogradError(
                f"shapes says that axis {letter!r} is {before} long{place}, and in {name}, "
                f"of shape {shape}, it is {n}.  Give different letters to sizes that need not be equal."
            )


# -- functions ---------------------------------------------------------------------------------------


def check_call(function: Callable[..., Any], what: str, arrays: Mapping[str, Any]) -> None:
    """Raise DtypeError if a function does not take the arrays by their names; `what` it is: "hand" or "loss"."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(**arrays)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        advice = "give them arguments of just these names, with **others for what one of them has no use for."
        if not all(map(str.isidentifier, arrays)):
            path = next(array for array in arrays if not array.isidentifier())
            advice = (
                f"{path!r} can be no name of an argument.  Write def {what}(**arrays), and arrays[{path!r}] inside, or "
                "give `tensors` other names."
            )
        raise DtypeError(
            f"the function `{what}`, {name}{signature}, is called with the arrays {', '.join(arrays)} by name, and "
            f"does not take them: {error}.  Both functions get all arrays of `tensors`: {advice}"
        ) from None


def _what(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(value.describe())
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return "None" if value is None else f"of type {type(value).__name__}"
