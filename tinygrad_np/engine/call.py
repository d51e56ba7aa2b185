"""The function behind each op: runs it on arrays, and records a node where a gradient is wanted.

Its text is written once per op from a template, because what costs in an autograd for small arrays is
generality: a loop over the inputs, a test that comes out the same at every call.  For
`elementwise(np.multiply, x=lambda y: y, y=lambda x: x)` the template gives

    def call(x, y):
        if isinstance(x, Tensor):
            x_value, x_node = x.data, x.node
        else:                                            # arrays and numbers as they are, lists converted
            x_value, x_node = x if type(x) in plain_types else as_array(x), None
        ...                                              # the same for y
        try:
            out = function(x_value, y_value)
        except Exception as error:                       # for the examples of a batch there may be a way
            out = recover(op, error, (x_value, y_value), (), {})
        wanted = 0
        if x_node is not None and x_node.requires_grad:
            wanted |= 1
        if y_node is not None and y_node.requires_grad:
            wanted |= 2
        if not wanted or not (mode := recording_now()):
            return unrecorded(op, out, (x, y), (), {})
        if wanted == 3:
            kept = (x_value, y_value)
        elif wanted == 1:
            kept = (y_value,)                            # what the rule for x names
        elif wanted == 2:
            kept = (x_value,)
        if type(out) is not ndarray:                     # NumPy gives scalars for results without axes
            if type(out) is not Batched:
                out = asarray(out)
            elif levelled := at_one_level(out, (x, y)):  # an outer tensor among the examples of a batch
                return op.call(*levelled)
        pattern = patterns[wanted] or op.pattern(wanted)
        inputs = (x_node or constant_node(x), y_node or constant_node(y))
        ...                                              # a new node, and a tensor that holds it
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from ..errors import AutogradError, DtypeError, NoRuleError, ShapeError
from .batched import BATCH_RULES, Batched, at_one_level, run_batched
from .door import bare, find_tensors, rebuilt, refuse_out
from .tape import PROJECTION, SMALL, Node, births, held, leaf, recording
from .tensor import Tensor, constant

_UNPACK = """
    if isinstance({x}, Tensor):
        {x}_value, {x}_node = {x}.data, {x}.node
    else:
        {x}_value, {x}_node = {x} if type({x}) in plain_types else as_array({x}), None"""
_WANTED = """
    if {x}_node is not None and {x}_node.requires_grad:
        wanted |= {bit}"""
_ONE_RESULT = """
    if type(out) is not ndarray:
        if type(out) is not Batched:
            out = asarray(out)
        elif levelled := at_one_level(out, ({names},)):
            return op.call(*levelled{passed})"""
_MANY_RESULTS = """
    if type(out[0]) is Batched and (levelled := at_one_level(out[0], ({names},))):
        return op.call(*levelled{passed})"""
# Written out in every call: as a function it would cost 5 % of a small op.
_RECORD = """
    node = Node()
    node.born = next(births)
    node.rule = pattern
    node.inputs = inputs
    node.kept = kept
    node.meta = meta
    node.shape = shape = out.shape
    node.value = out if type(out) is ndarray and out.base is None and out.size <= SMALL else held(out)
    node.dtype = dtype = out.dtype
    if dtype.kind != "f" and dtype.kind != "c":
        raise no_numbers(pattern.op, dtype)
    node.requires_grad = True
    node.name = node.owner = node.trace = node.cotangent = None
    if mode is not True:
        mode.recorded(node, out)
    tensor = new(Tensor)
    tensor.data = out
    tensor.node = node
    tensor.grad = None
    return tensor
"""
_CALL = """
def call({parameters}):{unpack}{bare}
    try:
        out = function({values}{passed})
    except Exception as error:
        out = recover(op, error, ({values},), {meta})
    wanted = 0{wanted}
    if not wanted or not (mode := recording_now()):
        return unrecorded(op, out, ({names},), {meta}){kept}{result}
    pattern = patterns[wanted] or op.pattern(wanted)
    inputs = ({nodes},)
    meta = {node_meta}
"""


_AT_FIRST = """
def call(*args, **options):
    take_shape(call)
    return call(*args, **options)
"""


def fixed_call(op: Any) -> Callable[..., Any]:
    """The function of an op with a fixed number of arrays; its text is written and compiled when it is first called."""
    scope = {
        **_RECORDING, "as_array": as_array, "function": op.function, "op": op, "recover": recover,
        "Batched": Batched, "at_one_level": at_one_level, "recording_now": recording.get,
        "unrecorded": unrecorded, "constant_node": constant_node, "plain": plain,
        "record_results": record_results, "patterns": op.patterns,
        # A Python number stays one where it takes the array's dtype; other rules want axes.
        "plain_types": _ARRAYS | {int, float, bool, complex} if op.numbers else _ARRAYS,
        "take_shape": lambda call: _take_shape(call, _call_source(op)),
    }  # fmt: skip
    return build(_AT_FIRST, scope, "call")


def _take_shape(call: Any, source: str) -> None:
    # The function itself changes, and not what names it: methods and tables hold it already.
    written = build(source, {}, "call")
    call.__defaults__, call.__code__ = written.__defaults__, written.__code__


def _call_source(op: Any) -> str:
    names = op.inputs
    optional = {name: "=None" for name in names if name in op.optional}
    parameters = [name + optional.get(name, "") for name in names]
    has_meta = bool(op.metadata)
    passed = ", *meta, **options" if has_meta else ""
    # Filled in first: its names are the same as those of the call.
    result = (_MANY_RESULTS if op.results else _ONE_RESULT).format(names=", ".join(names), passed=passed)
    source = _CALL.format(
        parameters=", ".join(parameters + (["*meta", "**options"] if has_meta else [])),
        unpack="".join(_UNPACK.format(x=x) for x in names),
        bare="\n    if meta or options:\n        meta, options = plain(op, meta, options)" if has_meta else "",
        values=", ".join(f"{x}_value" for x in names),
        passed=passed,
        meta="meta, options" if has_meta else "(), {}",
        wanted="".join(_WANTED.format(x=x, bit=1 << i) for i, x in enumerate(names) if x in op.rules),
        names=", ".join(names),
        kept=_kept_source(op),
        result=result,
        nodes=", ".join(f"{x}_node or constant_node({x})" for x in names),
        node_meta="(meta, options) if meta or options else None" if has_meta else "None",
    )
    return source + ("    return record_results(pattern, inputs, kept, meta, out, mode)" if op.results else _RECORD)


def _kept_source(op: Any) -> str:
    """Which arrays are kept, by which inputs are wanted."""
    lines: list[str] = []
    masks = [mask for mask in range(1, 1 << len(op.inputs)) if op.reachable(mask)]
    # Most often all or one of the inputs want a gradient.
    for mask in masks[-1:] + masks[:-1]:
        kept = ", ".join("out" if name == "out" else f"{name}_value" for name in op.keep(mask))
        test = "if" if not lines else "elif"
        lines.append(f"\n    {test} wanted == {mask}:\n        kept = ({kept}{',' if kept else ''})")
    return "".join(lines)


def build(source: str, scope: dict[str, Any], name: str) -> Any:
    """The function `name` that `source` defines, with `scope` as its globals."""
    exec(_compiled(source), scope)
    return scope[name]


@cache
def _compiled(source: str) -> CodeType:
    # Ops of the same form share their text, and so the cost of compiling it.
    return compile(source, "<rule>", "exec")


def variadic_call(op: Any) -> Callable[..., Any]:
    """The function of an op with any number of arrays; metadata by keyword only."""

    def call(*arrays: Any, **options: Any) -> Any:
        values = tuple([x.data if isinstance(x, Tensor) else as_array(x) for x in arrays])
        if options:
            options = bare(options)
        try:
            out = op.run(*values, **options)
        except Exception as error:
            out = recover(op, error, values, (), options)
        wanted = tuple([i for i, x in enumerate(arrays) if isinstance(x, Tensor) and x.requires_grad])
        if not wanted or not (mode := recording.get()):
            return unrecorded(op, out, arrays, (), options)
        if type(out) is Batched and (levelled := at_one_level(out, arrays)):
            return call(*levelled, **options)
        out = whole(out)
        inputs = tuple([x.node if isinstance(x, Tensor) and x.node else constant_node(x) for x in arrays])
        kept = tuple([values if name == "arrays" else out for name in op.keep(wanted)])
        return record(op.pattern(wanted), inputs, kept, ((), options), out, mode)

    return call


def record_results(pattern: Any, inputs: tuple, kept: tuple, meta: Any, outs: Any, mode: Any) -> Any:
    """Tensors for the results of an op with several: each a projection of the op's node."""
    arrays = tuple(map(whole, outs))
    # The op's own node has a tuple of shapes; `record` reads what it needs from any array.
    parent = record(pattern, inputs, kept, meta, np.empty(0), True).node
    parent.shape = tuple([array.shape for array in arrays])
    parent.dtype = tuple([array.dtype for array in arrays])
    if mode is not True:
        mode.recorded(parent, arrays)
    results = [record(PROJECTION, (parent,), (), i, array, mode) for i, array in enumerate(arrays)]
    return rebuilt(outs, results)


def whole(out: Any) -> Any:
    """A result as an array: NumPy gives scalars for results without axes."""
    return out if type(out) is np.ndarray or type(out) is Batched else np.asarray(out)


def as_array(value: Any) -> Any:
    """An input that is no tensor, number or plain array; kinds of array that mean something else are refused.

    What has a method `call_of` passes for an array, as far as functions of NumPy go; there `recover` asks it.
    """
    if type(value) is Batched or hasattr(value, "call_of"):
        return value
    if isinstance(value, np.ma.MaskedArray | np.matrix):
        raise DtypeError(
            f"a {type(value).__name__} of shape {value.shape} would lose its mask, or what its `*` means, here.  "
            "Write np.where(mask, ...) with plain arrays, or np.asarray(matrix) and `@`."
        )
    return np.asarray(value)


def no_numbers(op: Any, dtype: np.dtype) -> DtypeError:
    """The error for a result that depends on a tensor that requires grad, and cannot carry a gradient."""
    return DtypeError(
        f"{op.title} of a tensor that requires grad gives dtype {dtype} here, which cannot carry a gradient.  Leave "
        "its dtype= away or choose a floating one, use floating arrays beside it, or take the tensor out: t.detach()."
    )


def constant_node(value: Any) -> Any:
    """What stands on the tape for an input that needs no gradient: a leaf, or the plain number."""
    if type(value) is float or type(value) is int or value is None:
        return value
    if isinstance(value, Tensor):
        if value.node is None:
            value.node = leaf(value.data)
        return value.node
    return leaf(whole(value))


def unrecorded(op: Any, out: Any, inputs: tuple, meta: tuple, options: dict) -> Any:
    """The result where nothing is recorded: a tensor if any input was one, else as NumPy gave it."""
    for value in inputs:
        if isinstance(value, Tensor):
            first = out[0] if isinstance(out, tuple | list) else out
            if type(first) is Batched and (levelled := at_one_level(first, inputs)):
                return op.call(*levelled, *meta, **options)
            return rebuilt(out, map(constant, out)) if isinstance(out, tuple | list) else constant(out)
    return out


def plain(op: Any, meta: tuple, options: dict) -> tuple[tuple, dict]:
    """Metadata with arrays in place of tensors; a tensor that requires grad has no place there."""
    if op.out_at is not None and len(meta) > op.out_at:
        refuse_out(op.title, {"out": meta[op.out_at]})
    if "out" not in options and _is_plain(meta) and _is_plain(tuple(options.values())):
        return meta, options
    for tensor in find_tensors((meta, options)):
        if tensor.requires_grad:
            raise NoRuleError(
                f"{op.title} has a derivative with respect to {', '.join(op.rules) or 'its arrays'}, but none with "
                f"respect to its other arguments, and {tensor.describe()} is one of them and requires grad.  Pass "
                "t.detach(), or write the function with others that have one."
            )
    refuse_out(op.title, options)
    return bare(meta), bare(options)


_ATOMS = frozenset({int, float, bool, str, type(None), type(Ellipsis), type, np.ndarray, np.dtype})


def _is_plain(value: Any) -> bool:
    """Whether there is certainly no tensor inside; most metadata are a few numbers."""
    kind = type(value)
    if kind is tuple or kind is list:
        for v in value:
            if type(v) not in _ATOMS and not _is_plain(v):
                return False
        return True
    if kind is slice:
        return type(value.start) in _ATOMS and type(value.stop) in _ATOMS and type(value.step) in _ATOMS
    return kind in _ATOMS


def recover(op: Any, error: Exception, values: tuple, meta: tuple, options: dict) -> Any:
    """What an op gives that does not run on its arguments as they are; else its error.

    For a batch there is its own rule for batches, and who only passes for an array may know better.
    """
    stand_in = next((v for v in values if hasattr(v, "call_of")), None)
    if stand_in is not None:
        return stand_in.call_of(op, values, meta, options)
    level = max([v.level for v in (*values, *meta) if type(v) is Batched], default=0)
    if not level:
        raise failed(op, error, values, meta, options) from None
    function = op.public if op.public in BATCH_RULES else op.call
    return run_batched(function, level, (*values, *meta), options)


def failed(op: Any, error: Exception, values: tuple, meta: tuple, options: dict) -> Exception:
    """What an op raises instead of NumPy's error: with its name and the shapes it was given."""
    if isinstance(error, AutogradError):
        return error
    shapes = " and ".join(_short(v) for v in values if v is not None)
    extra = "".join(f", {_short(v)}" for v in meta) + "".join(f", {k}={_short(v)}" for k, v in options.items())
    message = f"{op.title} does not work on {shapes}{extra[:200]}: {str(error).rstrip()}"
    if type(error) is ValueError:
        return ShapeError(message + op.advice)
    # The class that NumPy users catch (IndexError, LinAlgError, TypeError ...) stays.
    error.add_note(message)
    return error


def _short(value: Any) -> str:
    """An argument in a message: of an array the shape."""
    return str(value.shape) if isinstance(value, np.ndarray) else repr(value)[:60]


_ARRAYS = frozenset({np.ndarray, type(None)})
_RECORDING = {"new": object.__new__, "Node": Node, "Tensor": Tensor, "births": births, "ndarray": np.ndarray,
              "SMALL": SMALL, "held": held, "asarray": np.asarray, "no_numbers": no_numbers}  # fmt: skip
# A tensor for `out`, with its entry on the tape: for calls that are not built from the template.
record = build("def record(pattern, inputs, kept, meta, out, mode):" + _RECORD, dict(_RECORDING), "record")
