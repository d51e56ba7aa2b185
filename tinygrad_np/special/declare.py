"""Declaring a function of scipy: its derivative rules, its name here and its place behind NumPy's door."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.door import bare
from ..engine.op import SAMPLES, composite, elementwise

HOME = __name__.rpartition(".")[0]


def special(
    function: Any,
    summary: str,
    example: str,
    value: complex,
    /,
    *,
    orders: tuple[str, ...] = (),
    sample: Any = None,
    name: str | None = None,
    **rules: Any,
) -> Any:
    """A ufunc of scipy on arrays and tensors, with a partial derivative for each of its arguments.

    `orders` names the leading arguments without a rule: a tensor that requires grad is refused there.
    `example` and the `value` it gives, rounded to 6 digits, end the docstring; `name` is the name here if not scipy's.

    >>> import scipy.special as sc
    >>> from tinygrad_np.special.declare import special
    >>> exp10 = special(sc.exp10, "10**x.", "exp10(2.0)", 100.0, x=lambda out: out * 2.302585092994046)
    >>> float(exp10(2.0))
    100.0
    """
    name = name or function.__name__
    if orders:
        made = _with_orders(function, name, orders, sample, rules)
    else:
        made = elementwise(_stub(name, tuple(rules)), run=function, also=(function,), sample=sample, **rules)
        # The table of the tests then compares with scipy's own function.
        SAMPLES[function] = SAMPLES.pop(made)
        entitled(made, name)
    made.__doc__ = _docstring(summary, function, orders, example, value)
    return made


def _with_orders(function: Any, name: str, orders: tuple[str, ...], sample: Any, rules: dict[str, Any]) -> Any:
    """The op has its arrays first, as the engine wants, and the function its orders, as scipy has them."""
    count, arrays = len(orders), tuple(rules)

    def run(*values: Any) -> Any:
        return function(*values[len(arrays) :], *values[: len(arrays)])

    _named(run, f"_{name}", (*arrays, *orders))
    inner = entitled(elementwise(run, name=name, **rules), name)

    def call(*values: Any) -> Any:
        # Rules compute with the orders, which a list cannot.
        before = [np.asarray(v) if isinstance(v, list | tuple) else v for v in values[:count]]
        return inner(*values[count:], *before)

    _named(call, name, (*orders, *arrays))
    return composite(function, sample=sample)(call)


def arrays_first(name: str, **rules: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator for the op behind a function with keywords: its arrays lead, what has no rule follows."""

    def declare(run: Callable[..., Any]) -> Any:
        run.__name__ = f"_{name}"
        return entitled(elementwise(run, name=name, **rules), name)

    return declare


def at_home(function: Any) -> Any:
    """The function with the public module as its own, which is where its example runs."""
    function.__module__ = HOME
    return function


def sine(x: Any) -> Any:
    """sin(πx), exactly 0 at whole numbers: so that zeros of the sine cancel poles without a rest."""
    whole = np.rint(np.real(bare(x)))
    return (1 - 2 * (whole % 2)) * np.sin(np.pi * (x - whole))


def cosine(x: Any) -> Any:
    """cos(πx), exactly 1 or -1 at whole numbers."""
    whole = np.rint(np.real(bare(x)))
    return (1 - 2 * (whole % 2)) * np.cos(np.pi * (x - whole))


def entitled(call: Any, name: str) -> Any:
    """The function of an op, with the name that messages and tapes show."""
    call.op.title, call.op.name = f"tg.special.{name}", name
    return call


def _stub(name: str, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """A function that has the name and the home of what is declared; it is never run."""

    def stub(*values: Any) -> None: ...

    _named(stub, name, arguments)
    return stub


def _named(function: Any, name: str, arguments: tuple[str, ...]) -> None:
    function.__name__ = function.__qualname__ = name
    function.__module__ = HOME
    function.__signature__ = _signature(arguments)


def _signature(names: tuple[str, ...]) -> inspect.Signature:
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])


def _docstring(summary: str, function: Any, orders: tuple[str, ...], example: str, value: complex) -> str:
    name = example.partition("(")[0]
    parts = [summary, f"Entry by entry, with broadcasting, and with the dtypes of scipy.special.{function.__name__}."]
    if orders:
        parts[1] += (
            f"\n{' and '.join(orders)}: numbers or arrays without a rule; a tensor that requires grad is a NoRuleError."
        )
    shown = np.round(value, 6).item()
    parts.append(f">>> from tinygrad_np.special import {name}\n>>> {example}.round(6).item()\n{shown}")
    return "\n\n".join(parts) + "\n"
