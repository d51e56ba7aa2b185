"""Reading a tape as the derivation of its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..engine.door import rebuilt
from ..engine.replay import Replay
from ..engine.tape import PROJECTION, Node
from ..engine.tensor import Tensor
from ..engine.walk import fit
from ..errors import AutogradError
from .data import Data
from .expressions import Call, Expr, Variable, add, cost, expression, number, simplified
from .naming import Names, letter_of
from .parts import joined
from .recognition import recognized
from .rewriting import Definitions
from .sizes import Share, Size, guessed, samples, sized
from .symbol import Symbol, Unreadable, as_expr, looking, written
from .written import SIMPLER

SHORT, SHORTER = 8, 3
"""A gradient that is used once stands inside the next line, if it costs no more to read than so many atoms; the
second number is for lines that are no arithmetic, such as products of matrices."""


class DeriveError(AutogradError):
    """A tape that no derivation can be written for."""


@dataclass
class Step:
    """A line: the variable that it defines, the entry of the tape, and which rules of calculus it took."""

    variable: Variable
    node: Node
    rules: list[tuple[Node, int]] = field(default_factory=list)

    @property
    def expr(self) -> Expr:
        """What the variable is."""
        assert self.variable.definition is not None
        return self.variable.definition


class Reading:
    """The forward and the backward pass of a tape as steps, oldest first."""

    def __init__(self, loss: Tensor, names: Mapping[str, Any]) -> None:
        self.replay = Replay(loss)
        if any(np.issubdtype(np.result_type(*_dtypes(node)), np.complexfloating) for node in self.replay.nodes):
            raise DeriveError(
                "derive() is for real numbers, and there are complex ones on this tape: derive its parts."
            )
        self.nodes = self.replay.nodes
        self.root = self.nodes[-1]
        self.names = Names(self.nodes, self.root, names)
        self.m = _samples(self.nodes)
        self.data = Data(self.names, names)
        self.definitions = Definitions()
        self.variables: dict[Node, Variable] = {}
        self.parameters: dict[Variable, Node] = {}
        self.transparent: set[Node] = set()
        self.looked: set[str] = set()
        self.forward: list[Step] = []
        self.backward: list[Step] = []
        self.gradients: dict[Node, Variable] = {}
        self.seen = recognized(self.nodes)
        with samples(self.m):
            for node in self.nodes:
                self._read(node)
            self._derive()
            self._complete()
        self.data.forget()

    @property
    def inputs(self) -> list[Variable]:
        """What the forward pass starts from: data, then parameters."""
        return [*self.data.variables, *self.parameters]

    def _value(self, node: Node) -> np.ndarray:
        return self.replay.tensors[node].data

    # -- forward ------------------------------------------------------------------------------

    def _read(self, node: Node) -> None:
        """A variable for the entry, and its definition."""
        if node.is_leaf:
            self.variables[node] = self._input(node, self._value(node))
            return
        if node not in self.replay.tensors:
            return  # an op with several results: each has an entry of its own
        definition = self._formula(node).expr
        variable = Variable("", self._value(node), self.definitions.folded(definition))
        self.variables[node] = variable
        # A product of matrices and its bias are one step to a reader, and so are a scale and a shift.
        with_bias = node.op_name == "scaled" or (node.op_name == "add" and letter_of(node) == "Z")
        named = node in self.names.by_user or node is self.root or with_bias
        if not named and _is_plain(variable.definition):
            self.transparent.add(node)
            return
        self.forward.append(Step(variable, node))
        self.definitions.define(variable)

    def _input(self, node: Node, value: np.ndarray) -> Variable:
        """A parameter, or data, which may have been made of other data."""
        if not node.requires_grad:
            return Variable("", value, self.data.of_leaf(node, value), is_input=True)
        variable = Variable(self.names.of(node), value, is_input=True)
        self.parameters[variable] = node
        return variable

    def _meta(self, node: Node) -> tuple[tuple, dict]:
        """The metadata of an op, with symbols for arrays that have a name."""

        def symbols(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return self.data.of_metadata(value)
            return rebuilt(value, map(symbols, value)) if isinstance(value, tuple | list) else value

        args, options = node.meta or ((), {})
        return symbols(args), {key: symbols(value) for key, value in options.items()}

    def _formula(self, node: Node) -> Symbol:
        made = self._whole(node.inputs[0])[node.meta] if node.rule is PROJECTION else self._whole(node)
        return made if isinstance(made, Symbol) else Symbol(as_expr(made), made)

    def _whole(self, parent: Node) -> Any:
        """What an op computed; of several results all."""
        args, options = self._meta(parent)
        try:
            return written(
                parent.rule.op, tuple(self._argument(parent, i) for i in range(len(parent.inputs))), args, options
            )
        except Unreadable as error:
            raise DeriveError(f"{parent.describe()} cannot be written as a line of NumPy: {error}.") from error

    def _argument(self, node: Node, i: int) -> Any:
        """An input as a symbol; a number that its user wrote may be that of the samples."""
        x = self._symbol(node.inputs[i])
        plain = x.expr.number if isinstance(x, Symbol) and not x.ndim else x
        if (
            node.op_name not in ("divide", "multiply")
            or isinstance(plain, bool)
            or not isinstance(plain, int | float | Fraction)
        ):
            return x
        found = guessed(float(plain), divisor=node.op_name == "divide" and i == 1)
        return found if isinstance(found, Size | Share) else x

    def _symbol(self, x: Any) -> Any:
        if not isinstance(x, Node):
            return x
        variable = self.variables[x]
        seen_through = x in self.transparent or (variable.is_input and variable.definition is not None)
        return Symbol(variable.definition if seen_through else expression(variable), variable.value)  # type: ignore[arg-type]

    # -- backward -----------------------------------------------------------------------------

    def _derive(self) -> None:
        waiting: dict[Node, list[tuple[Expr, list[tuple[Node, int]]]]] = {}
        several: dict[Node, dict[int, Symbol]] = {}
        one = number(1, self.root.shape, self.root.dtype)
        waiting[self.root] = [(one, [])]
        for node in reversed(self.nodes):
            if node in several:
                zeros = map(_zero, node.shape, node.dtype)
                gs = [several[node].get(i, zero) for i, zero in enumerate(zeros)]
                self._pull(node, gs, [], waiting)
                continue
            if node not in waiting or not node.requires_grad:
                continue
            found = waiting.pop(node)
            total = joined(self.definitions.folded(simplified(add(*[g for g, _ in found]))))
            total = Expr(simplified(total).terms, node.shape, node.dtype)
            rules = [rule for _, taken in found for rule in taken]
            if node.is_leaf:
                self.gradients[node] = self._step(node, total, rules)
                continue
            if node.rule is PROJECTION:
                g = self._named(node, total, rules)
                several.setdefault(node.inputs[0], {})[node.meta] = g
                continue
            self._pull_through(node, total, rules, waiting)

    def _complete(self) -> None:
        """A line of zeros for each parameter that nothing comes back to."""
        for node in self.parameters.values():
            if node not in self.gradients:
                self.gradients[node] = self._step(node, number(0, node.shape, node.dtype), [])

    def _pull_through(self, node: Node, total: Expr, rules: list, waiting: dict) -> None:
        """On to the inputs: written out where what comes in cancels against the rule, else by a name of its own."""
        written_out = Symbol(total, self._example(total, node))
        if _is_short(total):
            return self._pull(node, written_out, rules, waiting)
        variable = Variable("", written_out.example, total, is_gradient=True)
        inline = self._pulled(node, written_out)
        apart = self._pulled(node, Symbol(expression(variable), variable.value))
        one, other = (sum(cost(d) for _, d in pulled) for pulled in (inline, apart))
        # A name costs a line; a single use saves the name.
        shorter = one - other - cost(total) + (len(inline) == 1)
        inside = SHORT if node.rule.op.kind == "elementwise" else SHORTER
        if shorter < 0 or (len(inline) == 1 and (other == 1 or (shorter == 0 and cost(total) <= inside))):
            return self._wait(node, inline, rules, waiting)
        return self._pull(node, self._named(node, total, rules), [], waiting)

    def _named(self, node: Node, total: Expr, rules: list) -> Symbol:
        if _is_short(total):
            return Symbol(total, self._example(total, node))
        variable = self._step(node, total, rules)
        return Symbol(expression(variable), variable.value)

    def _example(self, total: Expr, node: Node) -> np.ndarray:
        rng = np.random.default_rng(len(self.backward))
        return np.asarray(rng.normal(size=node.shape).astype(node.dtype))

    def _step(self, node: Node, total: Expr, rules: list) -> Variable:
        variable = Variable("", self._example(total, node), total, is_gradient=True)
        self.backward.append(Step(variable, node, rules))
        return variable

    def _pull(self, node: Node, g: Any, rules: list, waiting: dict) -> None:
        self._wait(node, self._pulled(node, g), rules, waiting)

    def _wait(self, node: Node, pulled: list[tuple[int, Expr]], rules: list, waiting: dict) -> None:
        for i, d in pulled:
            source = self.seen[node].source if node in self.seen else node.inputs[i]
            waiting.setdefault(source, []).append((d, [*rules, (node, i)]))

    def _pulled(self, node: Node, g: Any) -> list[tuple[int, Expr]]:
        """What goes on to each input, of its shape."""
        seen = self.seen.get(node)
        if seen is not None:
            return [(0, self._fitted(seen.pull(g, self._symbol(node)), seen.source))]
        kept = tuple(self._kept(name, node) for name in node.rule.keep)
        seen_by_rule: Any = SimpleNamespace(
            inputs=[_of_shape(x) for x in node.inputs], meta=self._meta(node), shape=node.shape, dtype=node.dtype
        )
        pulled = []
        looks: list[bool] = []
        token = looking.set(looks)
        try:
            for i in node.rule.wanted:
                d = self._simpler(node, i, g)
                if d is None:
                    (d,) = node.rule.only((i,)).pull(g, kept, seen_by_rule)
                pulled.append((i, self._fitted(d, node.inputs[i])))
        except Unreadable as error:
            raise DeriveError(
                f"the backward rule of {node.describe()} cannot be written as a formula: {error}.  Write the "
                "function with others, or derive the parts before and after it."
            ) from error
        finally:
            looking.reset(token)
        if looks:
            self.looked.add(node.op_name)
        return pulled

    def _simpler(self, node: Node, i: int, g: Any) -> Any:
        holds, rule = SIMPLER.get((node.op_name, node.rule.op.inputs[i] if node.rule.op.inputs else ""), (None, None))
        if holds is None or rule is None:
            return None
        arrays = [self._symbol(x) for x in node.inputs]
        args, options = self._meta(node)
        metadata = {**dict(zip(node.rule.op.metadata, args, strict=False)), **options}
        return rule(g, *arrays, **metadata) if holds(*arrays, **metadata) else None

    def _kept(self, name: str, node: Node) -> Any:
        if name == "arrays":
            return tuple(self._argument(node, i) for i in range(len(node.inputs)))
        i = node.rule.op.source(name)
        if i is not None:
            x = self._argument(node, i)
            return x if isinstance(x, Symbol) or x is None or node.rule.op.numbers else np.asarray(x)
        if node.rule.op.results:
            used = {n.meta: n for n in self.nodes if n.rule is PROJECTION and n.inputs[0] is node}
            whole = self._whole(node)
            return [self._symbol(used[i]) if i in used else whole[i] for i in range(len(node.shape))]
        return self._symbol(node)

    @staticmethod
    def _fitted(d: Any, node: Node) -> Expr:
        if not isinstance(d, Symbol):
            d = Symbol(as_expr(np.asarray(d)), d)
        return fit(d, node).expr


def _zero(shape: tuple[int, ...], dtype: Any) -> Symbol:
    return Symbol(number(0, shape, dtype), np.zeros(shape, dtype))


def _is_short(x: Expr) -> bool:
    """Whether something is as good as a name of its own."""
    return x.number is not None or (len(x.terms) == 1 and cost(x) <= 2)


def _samples(nodes: Sequence[Node]) -> Variable | None:
    """The number of samples, as a variable: the one length that data has and no parameter."""
    learned = {n for node in nodes if node.is_leaf and node.requires_grad for n in node.shape}
    given = {n for node in nodes if node.is_leaf and not node.requires_grad for n in node.shape if n > 1}
    found = given - learned
    # As weak as a number of Python: it leaves the dtype of others alone.
    return Variable("m", np.asarray(found.pop()), dtype=np.float16) if len(found) == 1 else None


def _of_shape(x: Any) -> Any:
    return SimpleNamespace(shape=sized(x.shape), dtype=x.dtype) if isinstance(x, Node) else x


def _dtypes(node: Node) -> tuple:
    return node.dtype if isinstance(node.dtype, tuple) else (node.dtype,)


def _is_plain(x: Expr | None) -> bool:
    """Whether something is as good as a name: a short sum, or an array with its axes in another order."""
    if x is None or x.number is not None or cost(x) > 5:
        return False
    calls = [atom for atom in x.atoms() if isinstance(atom, Call)]
    return all(c.function in (np.transpose, np.reshape) for c in calls) and all(
        e in (1, -1, 2) for monomial in x.terms for _, e in monomial
    )
