"""Declaring derivative rules, by kind.

    elementwise(np.multiply, x=lambda y: y, y=lambda x: x)     diagonal Jacobian: a partial per input
    linear(np.cumsum, transpose=lambda g, axis: ...)           linear in its first array
    multilinear(np.matmul, a=lambda g, b: ..., b=...)          linear in each array
    op(np.prod, a=lambda g, a, out, axis: ...)                 anything else: a vjp per input
    variadic(concatenate, lambda g, i, shapes, axis: ...)      any number of arrays
    composite(np.var)(function)                                written with other ops, no rule of its own
    constant(np.floor, ...)                                    derivative zero or none: plain arrays

The first five also decorate functions on arrays.  A rule is plain NumPy about one input, and what it
names is what is kept for the backward pass: inputs and metadata by the names in the function's
signature, `out` for the result, `g` for the incoming cotangent (of the shape of `out`), `shape` for
the shape of the input it is for.  Given arrays it computes; given tensors it is itself recorded, and
that is where higher derivatives come from.  A rule never un-broadcasts or casts: the walk does.

An input whose rule is None has derivative zero.
`sample` gives the calls that the op table of the tests checks the op with.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import RuleError
from .call import fixed_call, variadic_call
from .door import RULES, bare, function_name, refuse_out
from .late import unsettle
from .pattern import Pattern, build_pull, build_push, parameter_names
from .tape import Node

Rule = Callable[..., Any] | float | None
SAMPLES: dict[Any, Any] = {}
"""From a function with a rule to its `sample`."""
UNLISTED = object()
OPS: list[Op] = []
"""Every op declared, in order."""


class Op:
    """One differentiable function: its inputs, and a rule for each it has a derivative for."""

    def __init__(
        self,
        kind: str,
        function: Callable[..., Any],
        rules: dict[str, Rule],
        *,
        public: Any = None,
        name: str | None = None,
        jvps: dict[str, Callable[..., Any]] | None = None,
        results: bool = False,
        fresh: bool = False,
        numbers: bool = False,
        advice: str = "",
        together: Callable[..., Any] | None = None,
    ) -> None:
        self.kind, self.function, self.jvps, self.results = kind, function, jvps or {}, results
        self.call: Callable[..., Any]
        self.public = public or function
        # Products are new arrays; what another rule gives may be shared.
        self.fresh = fresh or kind in ("elementwise", "multilinear")
        self.numbers = numbers or kind == "elementwise"
        self.rules = {x: rule for x, rule in rules.items() if rule is not None}
        self.name = name or getattr(public or function, "__name__", "op").lstrip("_")
        self.title = f"tg.{name}" if name or public is None else function_name(public)
        if kind == "elementwise" and not advice:
            advice = "Axes are matched from the right, and each pair must be equal or have a 1."
        self.advice = f"  {advice}" if advice else ""
        self.inputs, self.optional, self.metadata = _signature(function, list(rules))
        self.out_at = list(self.metadata).index("out") if "out" in self.metadata else None
        self.patterns: list[Pattern | None] = [None] * (1 << len(self.inputs))
        self.named = {x: self._checked(x, rule) for x, rule in self.rules.items()}
        self.together = together
        if unknown := set(parameter_names(together)) - {"g"} - {n for named in self.named.values() for n in named}:
            raise RuleError(f"`together` of {self.title} may name what its rules name, not {unknown.pop()!r}.")

    def _checked(self, target: str, rule: Rule) -> tuple[str, ...]:
        """The names of a rule, or an error for one that it may not use."""
        if target not in self.inputs:
            raise RuleError(f"{self.title} has no input {target!r}; its inputs are {', '.join(self.inputs)}.")
        meaning = {"g": "the cotangent", **({"t": "the tangent"} if self.jvps else {})}
        for name in meaning.keys() & {*self.inputs, *self.metadata}:
            raise RuleError(
                f"{self.title} has a parameter called {name!r}, which in a rule means {meaning[name]}.  Call it "
                "something else."
            )
        allowed = {*self.inputs, *self.metadata, "out", "shape"}
        if self.kind != "elementwise":
            allowed.add("g")
        named = parameter_names(rule)
        if unknown := [n for n in named if n not in allowed]:
            raise RuleError(
                f"the rule of {self.title} for {target!r} names {unknown[0]!r}, which it cannot have.  "
                f"It may name {', '.join(sorted(allowed))}."
            )
        return named

    def wanted(self, mask: int) -> tuple[int, ...]:
        """The inputs whose bit is set."""
        return tuple(i for i in range(len(self.inputs)) if mask >> i & 1)

    def reachable(self, mask: int) -> bool:
        """Whether every input whose bit is set has a rule."""
        return all(self.inputs[i] in self.rules for i in self.wanted(mask))

    def keep(self, mask: int) -> tuple[str, ...]:
        """The arrays kept when these inputs want a gradient: what their rules name."""
        targets = [self.inputs[i] for i in self.wanted(mask)]
        named = {n for x in targets for n in self.named[x]}
        if self.kind == "multilinear":
            # Forward mode puts the tangent in the place of one input and needs all the others.
            named |= {n for x in targets for n in self.inputs if n != x}
        for x in targets:
            if x in self.jvps:
                named |= set(parameter_names(self.jvps[x]))
        return tuple(n for n in (*self.inputs, "out") if n in named)

    def pattern(self, mask: int) -> Pattern:
        """The rule for these wanted inputs, built when first met."""
        found = self.patterns[mask] = Pattern(self, self.wanted(mask), self.keep(mask))
        return found

    def build_pull(self, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
        """`pull(g, kept, node)`: the gradients of the wanted inputs."""
        return build_pull(self, wanted, keep)

    def build_push(self, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
        """`push(ts, kept, node)`: the tangent of the result."""
        return build_push(self, wanted, keep)

    def source(self, name: str) -> int | None:
        """Which input a kept array is, or None for the result."""
        return self.inputs.index(name) if name != "out" else None


class Variadic(Op):
    """An op with any number of arrays.

    Its one rule is told which input it is for, as `i`, or, if it does not name `i`, gives the gradients of
    all.  It may also name `arrays` (which keeps them all), `shapes`, `out` and metadata.
    """

    def __init__(self, kind: str, function: Callable[..., Any], rule: Callable[..., Any], public: Any) -> None:
        super().__init__(kind, function, {}, public=public)
        self.rule, self.names, self.run = rule, parameter_names(rule), function
        self.by_wanted: dict[tuple[int, ...], Pattern] = {}
        allowed = {"g", "i", "arrays", "shapes", "out", *self.metadata}
        if unknown := set(self.names) - allowed:
            raise RuleError(f"the rule of {self.title} may name {', '.join(sorted(allowed))}, not {unknown.pop()!r}.")

    def keep(self, wanted: Any) -> tuple[str, ...]:
        """The arrays kept: what the rule names."""
        return tuple(n for n in ("arrays", "out") if n in self.names)

    def pattern(self, wanted: Any) -> Pattern:
        """The rule for these wanted inputs, built when first met."""
        if wanted not in self.by_wanted:
            self.by_wanted[wanted] = Pattern(self, wanted, self.keep(wanted))
        return self.by_wanted[wanted]

    def build_pull(self, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
        """`pull(g, kept, node)`: the gradients of the wanted arrays."""

        def pull(g: Any, kept: tuple, node: Node) -> tuple:
            values = {**self.metadata, **node.meta[1], **dict(zip(keep, kept, strict=True)), "g": g}
            values["shapes"] = [getattr(x, "shape", ()) for x in node.inputs]
            if "i" not in self.names:
                every = self.rule(**{n: values[n] for n in self.names})
                return tuple([every[i] for i in wanted])
            return tuple([self.rule(**{n: i if n == "i" else values[n] for n in self.names}) for i in wanted])

        return pull

    def build_push(self, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
        """`push(ts, kept, node)`: the tangent of the result."""

        def push(ts: tuple, kept: tuple, node: Node) -> Any:
            moving, options = dict(zip(wanted, ts, strict=True)), node.meta[1]
            if self.kind == "multilinear":
                arrays = kept[0]
                terms = [self.call(*arrays[:i], t, *arrays[i + 1 :], **options) for i, t in moving.items()]
                return functools.reduce(lambda a, b: a + b, terms)
            still = [np.zeros(getattr(x, "shape", ()), node.dtype) for x in node.inputs]
            return self.call(*[moving.get(i, zero) for i, zero in enumerate(still)], **options)

        return push


# -- declaring --------------------------------------------------------------------------------


def _signature(function: Callable[..., Any], named: list[str]) -> tuple[tuple[str, ...], set[str], dict[str, Any]]:
    """The arrays that lead the signature, which of them may be left out, and the metadata."""
    if isinstance(function, np.ufunc):
        return tuple(named), set(), {}
    parameters = list(inspect.signature(function).parameters.values())
    inputs = [p.name for p in parameters if p.name in named]
    if inputs != [p.name for p in parameters[: len(inputs)]] or len(inputs) != len(named):
        raise RuleError(
            f"rules of {function.__name__} are for {', '.join(named)}, which must be the first arguments of its "
            f"signature ({', '.join(p.name for p in parameters)}): arrays lead, metadata follows."
        )
    optional = {p.name for p in parameters[: len(inputs)] if p.default is not p.empty}
    rest = [p for p in parameters[len(inputs) :] if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return tuple(inputs), optional, {p.name: _default(p) for p in rest}


def _default(parameter: inspect.Parameter) -> Any:
    # NumPy marks "not given" by a private object, which would pass for True.
    if parameter.default is parameter.empty or parameter.default is np._NoValue:
        return {"keepdims": False, "where": True}.get(parameter.name)
    return parameter.default


def _declare(kind: str, function: Any, options: dict[str, Any]) -> Any:
    """Make an op and hang it behind NumPy's door; without `function`, a decorator that does.

    Options: `run` computes the values if not `function` itself; `also` are other names of it; `jvps` are
    forward rules by input; `results` says that it returns several arrays, and `fresh` that its rules give
    new arrays that nothing else holds, or `g` itself; `numbers` that it takes Python numbers as they are, so
    that they adapt to the dtype of the arrays; `together` gives the gradients of all inputs in a tuple, where
    they have work in common; `advice` ends its error messages; `name`; `sample`.  The others are rules.
    """
    if function is None:
        return lambda f: _declare(kind, f, options)
    options = dict(options)
    run, also, sample = options.pop("run", None), options.pop("also", ()), options.pop("sample", None)
    settings = {
        key: options.pop(key)
        for key in ("name", "jvps", "results", "fresh", "numbers", "advice", "together")
        if key in options
    }
    made = Op(kind, run or function, options, public=function, **settings)
    if sample is None and function.__name__[0] in "_<":
        sample = UNLISTED
    return _register(made, fixed_call(made), function, also, sample)


def _register(made: Op, call: Any, function: Any, also: tuple, sample: Any) -> Any:
    OPS.append(made)
    made.call = functools.update_wrapper(call, function)
    call.op = made
    for name in (function, *also):
        RULES[name] = call
        unsettle(name)
    # What has no public name is tested through the composites that use it.
    if sample is not UNLISTED:
        SAMPLES[function if function_name(function).startswith("np.") else call] = sample
    return call


def elementwise(function: Any = None, /, **options: Any) -> Any:
    """A function of entries: for each input the partial derivative, a function or a number.

    >>> import numpy as np
    >>> from tinygrad_np.engine.op import elementwise
    >>> cube = elementwise(lambda x: x**3, x=lambda x: 3 * x**2, name="cube")
    >>> from tinygrad_np import Tensor
    >>> x = Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    Tensor(12.)
    """
    return _declare("elementwise", function, options)


def linear(function: Any = None, /, *, transpose: Callable[..., Any], **options: Any) -> Any:
    """A function that is linear in its first argument, by its transpose."""
    if function is None:
        return lambda f: linear(f, transpose=transpose, **options)
    run = options.get("run") or function
    first = next(iter(inspect.signature(run).parameters))
    return _declare("linear", function, {**options, first: transpose})


def multilinear(function: Any = None, /, **options: Any) -> Any:
    """A function that is linear in each of its arrays: the vjp for each."""
    return _declare("multilinear", function, options)


def op(function: Any = None, /, **options: Any) -> Any:
    """Any differentiable function: the vjp for each input, and `jvps={input: ...}` if worth it.

    Without a forward rule, forward mode transposes the vjp: one more backward pass.
    """
    return _declare("op", function, options)


def variadic(
    function: Any = None, /, *, kind: str, vjp: Callable[..., Any], public: Any = None, sample: Any = None
) -> Any:
    """A function of any number of arrays, "linear" in all together or "multilinear" in each.

    `public` is the function that messages name, where users reach this one through another.
    """
    if function is None:
        return lambda f: variadic(f, kind=kind, vjp=vjp, public=public, sample=sample)
    made = Variadic(kind, function, vjp, public or function)
    return _register(made, variadic_call(made), function, (), UNLISTED if sample is None else sample)


def composite(*functions: Any, sample: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A NumPy function written with others: it needs no rule of its own."""

    def register(written: Callable[..., Any]) -> Callable[..., Any]:
        title = function_name(functions[0] if functions else written)
        code = written.__code__
        parameters = code.co_varnames[: code.co_argcount]
        out_at = parameters.index("out") if "out" in parameters else sys.maxsize

        @functools.wraps(written)
        def call(*args: Any, **options: Any) -> Any:
            if len(args) > out_at:
                refuse_out(title, {"out": args[out_at]})
            if options:
                refuse_out(title, options)
            return written(*args, **options)

        for function in functions or (written,):
            RULES[function] = call
        SAMPLES[functions[0] if functions else call] = sample
        return call

    return register


def constant(*functions: Any, sample: Any = None) -> None:
    """NumPy functions whose derivative is zero or does not exist: they return plain arrays."""
    for function in functions:
        RULES[function] = _constant_call(function)
        SAMPLES[function] = sample


def _constant_call(function: Any) -> Callable[..., Any]:
    # A function and not functools.partial: it also has to work as a method of Tensor.
    def call(*args: Any, **options: Any) -> Any:
        if options:
            refuse_out(function_name(function), options)
        return function(*bare(args), **bare(options))

    call.kind = "constant"  # type: ignore[attr-defined]
    return functools.update_wrapper(call, function)
