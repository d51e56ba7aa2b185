"""The hand-written backward pass of somebody's script, beside autograd's of the script's own forward pass.

The script is run up to its first call of the backward function: what it is called with are the numbers to
compare.  Then its forward function runs once more, on Tensors, and its loss is recorded; the backward function
runs on arrays, and the gradients are the local variables (`dZ2`, `dW2`, ...) that it had when it returned.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from ...engine.tensor import Tensor, tape
from ...errors import AutogradError
from ..compare import compare_grads
from ..report import Comparison
from .calls import FORWARD, Calls, Names, call
from .losses import LOSSES, is_label, is_prediction, label_among
from .results import SKIPPED, Result, bases, is_number, is_update, results
from .trees import Leaf, arrays_in, mapped

COST = ("loss", "cost", "compute_loss", "compute_cost", "loss_function", "cost_function", "loss_fn", "cost_fn",
        "get_loss", "get_cost", "calculate_loss", "cross_entropy", "binary_cross_entropy", "mse")  # fmt: skip


class Compared(NamedTuple):
    """The report, remarks on how it came about, and whether gradients were returned that it says nothing of."""

    report: Comparison
    remarks: list[str]
    incomplete: bool


# -- comparing ------------------------------------------------------------------------------------


def compare(calls: Calls, names: Names) -> Compared:
    """Compare the gradients of the script that `calls` watched.

    Raises AutogradError where the script has no such functions, where a value for an argument is missing, or
    where nothing that the backward function computes is the gradient of something.
    """
    script = _Script(calls, names)
    hand = script.by_hand()
    loss = script.recorded(hand)
    compared = script.matched(hand)
    left = script.unchecked(compared, loss)
    with np.errstate(all="ignore"):
        report = compare_grads(compared, script.tensors, loss)
    return Compared(report, script.remarks, bool(left))


class _Script:
    def __init__(self, calls: Calls, names: Names) -> None:
        self.names, self.scope, self.path = names, calls.scope, calls.path
        self.remarks: list[str] = []
        self.backward = self._function(names.backward)
        self.forward = self._chosen(names.forward, FORWARD)
        self.loss = None if names.loss in LOSSES and names.loss not in self.scope else self._chosen(names.loss, COST)
        given = {**self.scope, **calls.values}
        self.values = {name: value for name, value in given.items() if not name.startswith("__")}
        self.called = calls.stopped
        self.tensors: dict[str, Any] = {}
        self.returned: list[Result] = []
        self.local: dict[str, Any] = {}
        self.given: dict[str, Any] = {}

    # -- functions of the script ----------------------------------------------------------------

    def _function(self, name: str) -> Callable:
        found: Any = self.scope.get(name.split(".")[0])
        for part in name.split(".")[1:]:
            found = getattr(found, part, None)
        if not callable(found):
            own = ", ".join(self._own()) or "none"
            losses = (
                f", and the losses that need no function are {', '.join(LOSSES)}" if name == self.names.loss else ""
            )
            raise AutogradError(
                f"{os.path.basename(self.path)} has no function {name}: its functions are {own}{losses}.  Name one of "
                "them; a method is named with its class, as in tutorial.py:Network.backward."
            )
        return found

    def _own(self) -> list[str]:
        """The functions that the script itself defines."""
        return [name for name, value in self.scope.items() if isinstance(value, FunctionType) and self._is_own(value)]

    def _is_own(self, function: Callable) -> bool:
        code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
        return code is not None and code.co_filename == self.path

    def _chosen(self, name: str | None, usual: Sequence[str]) -> Callable | None:
        """The function of this name, or the first that has one of the usual names; a method of the same class too."""
        if name is not None:
            return self._function(name)
        owner = self.names.backward.rpartition(".")[0]
        for candidate in usual:
            holder = self.scope.get(owner) if owner else None
            if holder is not None and callable(getattr(holder, candidate, None)):
                return getattr(holder, candidate)
            if candidate in self.scope and self._is_own(self.scope[candidate]):
                return self.scope[candidate]
        return None

    # -- values for arguments -------------------------------------------------------------------

    def _bound(
        self, function: Callable, known: Mapping[str, Any], prediction: Any = None, of_prediction: bool = False
    ) -> dict[str, Any]:
        """A value for each argument of a function: by its name, or by what its name means.

        `of_prediction`: it is a loss, whose one argument without a value can only be the prediction.
        """
        given, missing = {}, []
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            source = self.names.aliases.get(name, name)
            if source in known:
                given[name] = known[source]
            elif prediction is not None and is_prediction(name):
                given[name] = prediction
            elif is_label(name) and (labels := label_among(known)):
                given[name] = known[labels]
            elif parameter.default is parameter.empty:
                missing.append(name)
        if of_prediction and prediction is not None and len(missing) == 1:
            given[missing.pop()] = prediction
        if missing:
            raise AutogradError(self._no_value(function, missing[0], known))
        return given

    def _no_value(self, function: Callable, name: str, known: Mapping[str, Any]) -> str:
        arrays = ", ".join(k for k, v in known.items() if isinstance(v, np.ndarray | Tensor)) or "no arrays"
        reason = "" if self.called else f", and the script never calls {self.names.backward}()"
        return (
            f"{function.__name__}() takes {name}, and there is no value of that name{reason}.  There are {arrays}: "
            f"say which one it is with --let {name}=NAME, or call the function in the script."
        )

    # -- both ways ------------------------------------------------------------------------------

    def by_hand(self) -> dict[str, Any]:
        """Every array that the backward function computes, by name."""
        known, prediction = self._with_parts(self.values), None
        if self.forward is not None and not self.called:
            result, local = self._run(self.forward, self._fresh(self._bound(self.forward, known)))
            known = {**self._with_parts(local), **self._with_parts({"result": result}), **known}
            prediction = result if isinstance(result, np.ndarray) else None
        given = self._bound(self.backward, known, prediction)
        # Twice with the same arguments and without a reset between: what lives outside shows.
        with self._own_globals():
            first, changed = self._gradients(given)
            kept = self.returned, self.local
            again, _ = self._gradients(given)
            self.returned, self.local = kept
        if changed:
            self.remarks.append(
                f"{self.names.backward}() changes {', '.join(changed)} in place: what is computed from it later is "
                "computed from other numbers.  Work on a copy."
            )
        if other := [name for name in first if not _same(first[name], again.get(name))]:
            self.remarks.append(
                f"{self.names.backward}() gives other numbers for {', '.join(other)} when it is called again with the "
                "same arguments: it is random, or changes what lives outside of it."
            )
        self.values = known
        return first

    def _gradients(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        fresh = self._fresh(given)
        before = arrays_in(fresh)
        kept = {name: array.copy() for name, array in before.items()}
        result, local = self._run(self.backward, fresh)
        changed = [name for name, array in before.items() if not _same(array, kept[name])]
        self.local = {**self.scope, **local}
        self.given = {**{name: value for name, value in self.scope.items() if name not in local}, **kept}
        named = results(result, self.local, self.names.gradients, self.names.backward)
        # Copies: with the next call the function may write into what it has returned.
        self.returned = [r._replace(value=np.array(r.value)) for r in named]
        own = {name: np.array(value) for name, value in arrays_in(local).items() if name not in before}
        return {**own, **{r.name: r.value for r in self.returned if r.name is not None and r.bases()}}, changed

    def recorded(self, hand: Mapping[str, Any]) -> Tensor:
        """The loss on Tensors; `tensors` then has them and the intermediates by name."""
        wanted = set().union(*[bases(name) for name in hand], *[result.bases() for result in self.returned])
        memo: dict[Any, Any] = {}

        def tensor(name: str, value: Any) -> Any:
            number = is_number(value)
            if name not in wanted if number else value.dtype.kind != "f" or not value.size:
                return value
            # The same number, 0 for instance, may be that of several parameters; an array is that of one.
            key = name if number else id(value)
            if key not in memo:
                memo[key] = Tensor(np.array(value, float if number else None), requires_grad=name in wanted, name=name)
                self.tensors.setdefault(name, memo[key])
            return memo[key]

        found: dict[str, Any] = {}
        with self._own_globals(), np.errstate(all="ignore"):
            self._into_globals(wanted, tensor)
            result = None
            if self.forward is not None:
                given = self._bound(self.forward, self.values)
                result, local = self._run(self.forward, {k: mapped(v, tensor, k) for k, v in given.items()})
                parts = {
                    name: value for name, value in arrays_in(local).items() if not self._is_of_a_layer(name, value)
                }
                found = {**parts, **local}
            loss = self._loss({**self.values, **found}, result, tensor)
        if not any(t.requires_grad for t in self.tensors.values()):
            raise AutogradError(self._nothing(hand))
        if not isinstance(loss, Tensor) or loss.node is None or loss.size != 1:
            raise AutogradError(self._no_loss(loss))
        # A name in the forward function may be that of an argument, or of what it made of it: the one that was used.
        used = {id(node) for node in tape(loss)}
        computed = {name: value for name, value in found.items() if isinstance(value, Tensor)}
        self.tensors = {**computed, **{name: t for name, t in self.tensors.items() if id(t.node) in used}}
        return loss if loss.shape == () else np.sum(loss)

    def _is_of_a_layer(self, name: str, value: Any) -> bool:
        """Whether something inside of an object has, by chance, the name of what the script passes on.

        A layer's own output `self.y` is not the labels `y`.
        """
        passed = self.values.get(name)
        if not isinstance(passed, np.ndarray):
            return False
        return passed.shape != np.shape(value) or (is_label(name) and not _same(passed, getattr(value, "data", value)))

    def _loss(self, known: Mapping[str, Any], result: Any, tensor: Leaf) -> Any:
        newest = _newest(result)
        if self.loss is not None:
            given = self._bound(self.loss, known, newest, of_prediction=True)
            # The script's own array of predictions has no tape; the Tensor of the same numbers has.
            given = {name: newest if _is_value_of(newest, value) else value for name, value in given.items()}
            return self._run(self.loss, {name: mapped(value, tensor, name) for name, value in given.items()})[0]
        if self.names.loss is None and newest is not None and newest.size == 1 and newest.shape == ():
            return newest
        if self.names.loss is None:
            raise AutogradError(
                f"{os.path.basename(self.path)} has no function for the loss that its gradients are of: none is named "
                f"{', '.join(COST[:4])} ...  Name one with --loss NAME, or one of these: {', '.join(LOSSES)}."
            )
        labels = self.names.aliases.get("Y") or label_among(known)
        if newest is None or labels is None or labels not in known:
            raise AutogradError(
                f"--loss {self.names.loss} needs predictions and labels: the forward function has to return the one, "
                "and the other has to be named Y, y, labels or targets.  Say which it is with --let Y=NAME."
            )
        parameters = [t for t in self.tensors.values() if t.requires_grad and t.node.is_leaf]
        units = {size for t in parameters for size in t.shape} | {1}
        return LOSSES[self.names.loss](newest, mapped(known[labels], tensor, labels), units)

    def _no_loss(self, loss: Any) -> str:
        got = f"shape {loss.shape}" if isinstance(loss, Tensor) else f"{type(loss).__name__} {str(loss)[:40]}"
        return (
            f"the loss has to be one number computed from the parameters, and what came out is {got}: either it is a "
            "value per sample, or a function on the way gave its numbers to something that is not NumPy (float(), "
            "math.log).  Name the function of the loss with --loss, and that of the forward pass with --forward."
        )

    def matched(self, hand: Mapping[str, Any]) -> dict[str, Any]:
        """The gradients of something that is on the tape, each under the name of that with a d before it."""
        found: dict[str, Any] = {}
        gradients = [(bases(name), value) for name, value in hand.items()]
        for candidates, value in [*gradients, *[(result.bases(), result.value) for result in self.returned]]:
            base = next((b for b in candidates if b in self.tensors), None)
            if base is not None and self.tensors[base].requires_grad:
                found[f"d{base}"] = value
        if not found:
            raise AutogradError(self._nothing(hand))
        return found

    def unchecked(self, compared: Mapping[str, Any], loss: Tensor) -> list[Result]:
        """What the backward function returns and nobody has looked at, though it may be a gradient."""
        left = [r for r in self.returned if not self._is_compared(r, compared) and not self._is_other(r, loss)]
        gradients = {name.removeprefix("d"): value for name, value in compared.items()}
        parameters = {name: self.tensors[name].data for name in gradients}
        rates = [value for value in self.local.values() if is_number(value)]
        left = [r for r in left if not is_update(r.value, parameters, gradients, rates)]
        if left:
            shown = ", ".join(f"{r.name or 'without a name'}, of shape {r.value.shape}" for r in left)
            self.remarks.append(
                f"Not compared: {len(left)} of the {len(self.returned)} arrays that {self.names.backward}() returns "
                f"({shown}): nothing that the loss is computed from goes with them, and they may be wrong.  Name all "
                f"results with --names dW1,db1,... in their order, with {SKIPPED} for what is no gradient; of a dict, "
                "name the keys that are to be compared."
            )
        return left

    def _is_compared(self, result: Result, compared: Mapping[str, Any]) -> bool:
        named = [f"d{base}" for base in result.bases() if f"d{base}" in compared]
        unnamed = result.name is None and result.value.any()
        return any(_same(result.value, compared[name]) for name in (compared if unnamed else named))

    def _is_other(self, result: Result, loss: Tensor) -> bool:
        """Whether a returned value is a parameter, an intermediate or the loss, and no gradient."""
        if result.said and self.names.gradients:
            return False
        if result.name is not None and not result.said:
            recorded, given = self.tensors.get(result.name), self.given.get(result.name)
            if recorded is not None and (given is not None or _same(result.value, recorded.data)):
                return True
            if _same(result.value, given):
                return True
        return result.name in COST or (result.value.size == 1 and np.isclose(result.value, loss.item()).all())

    def _nothing(self, hand: Mapping[str, Any]) -> str:
        return (
            f"nothing to compare: {self.names.backward}() computes {', '.join(hand) or 'nothing'}, and no gradient "
            f"among them is that of an array here ({', '.join(self.tensors) or 'none'}).  The gradient of W1 has to be "
            "named dW1, grad_W1 or W1_grad: name the results in their order with --names dW1,db1,..."
        )

    # -- small things ---------------------------------------------------------------------------

    def _run(self, function: Callable, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        try:
            return call(function, given)
        except Exception as error:
            raise AutogradError(
                f"{function.__name__}(){_line(error, self.path)} raised {type(error).__name__}: {error}"
            ) from error

    @staticmethod
    def _fresh(given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: mapped(value, _copied, name) for name, value in given.items()}

    @staticmethod
    def _with_parts(values: Mapping[str, Any]) -> dict[str, Any]:
        """The values, and what stands in dicts, lists and objects among them, by their own names."""
        return {**arrays_in(values), **values}

    @contextmanager
    def _own_globals(self) -> Iterator[None]:
        """The module's variables as they are, for a while: functions may set them and write into their arrays."""
        before = dict(self.scope)
        for name in self._used_by_functions() & set(before):
            if isinstance(before[name], np.ndarray):
                self.scope[name] = before[name].copy()
        try:
            yield
        finally:
            self.scope.clear()
            self.scope.update(before)

    def _used_by_functions(self) -> set[str]:
        functions: list[Any] = [self.scope[name] for name in self._own()]
        functions += [f for f in (self.backward, self.forward, self.loss) if f is not None]
        codes = [getattr(inspect.unwrap(f), "__code__", None) for f in functions]
        return {name for code in codes if code is not None for name in code.co_names}

    def _into_globals(self, wanted: set[str], tensor: Leaf) -> None:
        """Tensors in the place of the module's own parameters, for functions that do not take them as arguments."""
        for name in wanted & set(self.scope):
            if (isinstance(self.scope[name], np.ndarray) or is_number(self.scope[name])) and name in self.values:
                self.scope[name] = tensor(name, self.values[name])


def _copied(_: str, value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") if b is not None else False


def _newest(result: Any) -> Tensor | None:
    """The Tensor among the results that was computed last: the prediction, beside pre-activations and caches."""
    found = [value for value in arrays_in({"result": result}).values() if isinstance(value, Tensor)]
    return max((t for t in found if t.node is not None), key=lambda t: t.node.born, default=None)


def _is_value_of(tensor: Tensor | None, value: Any) -> bool:
    return tensor is not None and isinstance(value, np.ndarray) and np.array_equal(tensor.data, value)


def _line(error: BaseException, path: str) -> str:
    """Where in the script an error was raised."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f", at {os.path.basename(path)}:{line},"
