"""The two directions of a rule: pulling a cotangent back, pushing a tangent forward.

A `Pattern` is an op's rule for one set of wanted inputs.  Its functions are built when first used,
from the names that the rules name, so that a walk does no looking up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any

import numpy as np

from .batched import Batched, level_of, operands, repeated
from .call import build, record
from .tape import PROJECTION, Node, leaf, recording
from .tensor import Tensor, as_tensor, attached, lifted
from .walk import Lift, fit, pull_back


class Pattern:
    """The rule of an op for one set of wanted inputs: how to pull back, how to push forward."""

    __slots__ = ("_narrower", "_push", "fresh", "keep", "op", "pull", "wanted")

    def __init__(self, op: Any, wanted: tuple[int, ...], keep: tuple[str, ...]) -> None:
        self.op, self.wanted, self.keep = op, wanted, keep
        self.pull = op.build_pull(wanted, keep)
        self.fresh = op.fresh
        self._push: Any = None
        self._narrower: dict[tuple[int, ...], Pattern] = {wanted: self}

    def only(self, wanted: tuple[int, ...]) -> Pattern:
        """The rule for fewer inputs, reading the same kept arrays."""
        if wanted not in self._narrower:
            self._narrower[wanted] = Pattern(self.op, wanted, self.keep)
        return self._narrower[wanted]

    def lift(self, kept: tuple, node: Node, lift: Lift) -> tuple:
        """The kept arrays as tensors, where they came from something recorded."""
        return tuple([self._lifted(name, value, node, lift) for name, value in zip(self.keep, kept, strict=True)])

    def _lifted(self, name: str, value: Any, node: Node, lift: Lift) -> Any:
        if name == "arrays":
            return tuple([lift(x, source) for x, source in zip(value, node.inputs, strict=True)])
        i = self.op.source(name)
        if i is not None:
            return lift(value, node.inputs[i])
        if not self.op.results:
            return lift(value, node)
        return [record(PROJECTION, (node,), (), k, x, True) for k, x in enumerate(value)]

    def push(self, ts: tuple, kept: tuple, node: Node, used: Collection[int] = ()) -> Any:
        """The tangent of the result, given those of the wanted inputs; of several, at least those `used`."""
        if self._push is None:
            has_rule = self.op.kind != "op" or all(self.op.inputs[i] in self.op.jvps for i in self.wanted)
            self._push = self.op.build_push(self.wanted, self.keep) if has_rule else False
        return self._push(ts, kept, node) if self._push else push_by_pulling(self, ts, kept, node, used)


# -- pulling back -----------------------------------------------------------------------------


def parameter_names(rule: Any) -> tuple[str, ...]:
    """The names that a rule names; none for a number."""
    if not callable(rule):
        return ()
    code = getattr(rule, "__code__", None)
    if code is None:
        return tuple(inspect.signature(rule).parameters)
    return code.co_varnames[: code.co_argcount]


# What `lambda y: y` compiles to: such a rule needs no call.
_IDENTITY = (lambda y: y).__code__.co_code


def build_pull(op: Any, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
    """`pull(g, kept, node)`: the gradients of the wanted inputs, from the text of their rules' names."""
    scope: dict[str, Any] = {"zeros_for_missing": _zeros_for_missing}
    targets = [op.inputs[i] for i in wanted]
    terms = []
    for i, x in zip(wanted, targets, strict=True):
        rule = scope[f"rule_{x}"] = op.rules[x]
        applied = _applied(f"rule_{x}", op.named[x], i)
        if getattr(getattr(rule, "__code__", None), "co_code", None) == _IDENTITY and len(op.named[x]) == 1:
            applied = op.named[x][0]
        if op.kind != "elementwise":
            terms.append(applied)
        elif callable(rule):
            terms.append(f"g * {applied}")
        else:
            terms.append({1: "g", -1: "-g"}.get(rule, f"g * rule_{x}"))
    named = {n for x in targets for n in op.named[x]}
    if op.together and len(wanted) > 1 and named >= set(parameter_names(op.together)) - {"g"}:
        # What the gradients have in common is computed once.
        scope["together"] = op.together
        every = _applied("together", parameter_names(op.together), 0)
        order = list(op.rules)
        if len(wanted) < len(order):
            scope["chosen"] = itemgetter(*[order.index(x) for x in targets])
            every = f"chosen({every})"
        terms = [f"*{every}"]
    lines = ["def pull(g, kept, node):", *_unpacked(op, keep, named, scope)]
    if op.results:
        lines.append("    g = zeros_for_missing(g, node)")
    lines.append(f"    return ({', '.join(terms)},)" if terms else "    return ()")
    return build("\n".join(lines), scope, "pull")


def _applied(function: str, named: tuple[str, ...], i: int) -> str:
    return f"{function}({', '.join(f'node.inputs[{i}].shape' if n == 'shape' else n for n in named)})"


def _unpacked(op: Any, keep: tuple[str, ...], named: set[str], scope: dict[str, Any]) -> list[str]:
    """Lines that give the kept arrays and the named metadata their names."""
    lines = [f"    {', '.join(keep)}, = kept"] if keep else []
    # In a rule, `out` is the result and `shape` that of the input, also where NumPy has keywords so called.
    meta = [n for n in op.metadata if n in named and n not in ("out", "shape")]
    if meta:
        scope["bind"] = _binder(op, tuple(meta))
        lines.append(f"    {', '.join(meta)}, = bind(node.meta)")
    return lines


def _binder(op: Any, names: tuple[str, ...]) -> Callable[[Any], tuple]:
    """Finds metadata by name in what the call was given, with the defaults of the signature."""
    defaults = {f"default_{n}": default for n, default in op.metadata.items()}
    parameters = ", ".join(f"{n}=default_{n}" for n in op.metadata)
    signature = build(f"def bound({parameters}, **_):\n    return {', '.join(names)},", defaults, "bound")
    without = signature()
    return lambda meta: without if meta is None else signature(*meta[0], **meta[1])


def _zeros_for_missing(gs: list[Any], node: Node) -> list[Any]:
    """Results that nothing was computed from have a zero cotangent."""
    return [
        np.zeros(shape, dtype) if g is None else g for g, shape, dtype in zip(gs, node.shape, node.dtype, strict=True)
    ]


# -- pushing forward --------------------------------------------------------------------------


def build_push(op: Any, wanted: tuple[int, ...], keep: tuple[str, ...]) -> Callable[..., Any]:
    """`push(ts, kept, node)`: the tangent of the result, a sum over the wanted inputs."""
    scope: dict[str, Any] = {"call": op.call, "no_meta": ((), {})}
    targets = [op.inputs[i] for i in wanted]
    terms, named = [], set()
    for k, (i, x) in enumerate(zip(wanted, targets, strict=True)):
        if op.kind in ("linear", "multilinear"):
            arrays = ", ".join(f"ts[{k}]" if n == x else n for n in op.inputs)
            named |= set(op.inputs)
            terms.append(f"call({arrays}, *meta, **options)" if op.metadata else f"call({arrays})")
            continue
        rule = scope[f"rule_{x}"] = op.jvps[x] if op.kind == "op" else op.rules[x]
        names = parameter_names(rule)
        named |= set(names)
        if op.kind == "op":
            terms.append(_applied(f"rule_{x}", tuple(f"ts[{k}]" if n == "t" else n for n in names), i))
        else:
            terms.append(f"ts[{k}] * " + (_applied(f"rule_{x}", names, i) if callable(rule) else f"rule_{x}"))
    lines = ["def push(ts, kept, node):", *_unpacked(op, keep, named, scope)]
    if op.metadata and op.kind in ("linear", "multilinear"):
        lines.append("    meta, options = node.meta or no_meta")
    lines.append(f"    return {' + '.join(terms)}")
    return build("\n".join(lines), scope, "push")


def push_by_pulling(pattern: Any, ts: tuple, kept: tuple, node: Node, used: Collection[int] = ()) -> Any:
    """The tangent where only a vjp is written: pulling back is linear in the cotangent, so its own
    transpose, which is one more backward pass, pushes forward.
    """
    several = pattern.op.results
    zeros = (
        [np.zeros(s, d) for s, d in zip(node.shape, node.dtype, strict=True)]
        if several
        else [np.zeros(node.shape, node.dtype)]
    )
    token = recording.set(True)
    try:
        # On the level of the batch that the rule works on: else the probe would be a value like any other there.
        top = max(operands((kept, node.meta or ())), key=level_of, default=None)
        zeros = [repeated_on(z, top) for z in zeros]
        probes = {i: attached(z, leaf(z, requires_grad=True)) for i, z in enumerate(zeros) if i in used or not several}
        # A result that nobody uses may be one that has no derivative.
        pulled = pattern.pull([probes.get(i, z) for i, z in enumerate(zeros)] if several else probes[0], kept, node)
        pulled = [fit(as_tensor(p), node.inputs[i]) for i, p in zip(pattern.wanted, pulled, strict=True)]
        outer = any(type(t) is Tensor and t.requires_grad for t in operands((*ts, *kept)))
        roots = [(p.node, as_tensor(t) if outer else t) for p, t in zip(pulled, ts, strict=True) if p.requires_grad]
        found = pull_back(roots, {p.node for p in probes.values()}, lift=lifted if outer else None)
    finally:
        recording.reset(token)
    tangents = [found.get(probes[i].node, z) if i in probes else z for i, z in enumerate(zeros)]
    return tangents if several else tangents[0]


def repeated_on(zero: Any, like: Any) -> Any:
    """`zero` as what it is beside `like`: one example, if that is one."""
    if not level_of(like):
        return zero
    return repeated(zero, like if type(like) is Batched else like.data)
