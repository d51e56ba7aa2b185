"""The Tensor: an array, the node it came from, and a gradient.

Operators and methods look their rule up in the table behind NumPy's door, which starts empty and is
filled by `op.py`: that is how they can be methods here although ops make tensors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AutogradError, BackwardError, DetachError, DtypeError, ShapeError
from .arrays import as_numbers, checked, conjugate
from .batched import Batched
from .door import RULES, bare, call_without_rule, function_name, refuse_out, ufunc_inputs
from .late import COMPARISONS, comparison, in_place, late
from .protocols import PythonProtocols
from .tape import SMALL, Node, Owner, Tape, births, leaf, recording
from .walk import cast, pull_back

# Threads that train the same parameters must not lose each other's gradients.
_depositing = threading.Lock()


class Tensor(PythonProtocols):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    `data`: anything `np.asarray` takes.  With `requires_grad=True` it must be of a floating or complex
    dtype, and it is copied, because training may write into it; otherwise an array is shared, not copied.
    `name` is what pictures, tapes and errors call it.

    >>> import numpy as np, tinygrad_np as tg
    >>> W = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    >>> loss = np.sum(W ** 2)
    >>> loss.backward()
    >>> W.grad
    Tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ("__weakref__", "data", "grad", "node")
    __hash__ = object.__hash__

    data: Any  # an ndarray; a Batched inside of vmap
    node: Any  # a Node; None for a constant that has no name
    grad: Tensor | None

    def __init__(
        self, data: Any, requires_grad: bool = False, name: str | None = None, dtype: npt.DTypeLike | None = None
    ) -> None:
        if isinstance(data, Tensor):
            if data.requires_grad:
                raise DetachError(
                    f"Tensor({data.describe()}) would cut it out of its graph silently.  Write "
                    "Tensor(t.detach()) to do so on purpose, or t.copy() to stay in the graph."
                )
            data = data.data
        self.data = checked(as_numbers(data, dtype, copy=requires_grad), requires_grad)
        self.grad = None
        self.node = leaf(self.data, requires_grad, name)
        self.node.owner = Owner(self)

    # -- what it is ---------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor.  Can be set on leaves of a floating dtype."""
        return self.node is not None and self.node.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.node is not None and self.node.rule is not None:
            raise AutogradError(
                f"requires_grad of {self.describe()} follows from how it was computed.  Write t.detach() "
                "for a tensor without a graph; set requires_grad on the leaves."
            )
        checked(self.data, value)
        # A new node: graphs recorded earlier saw this tensor as it was then.
        hooks = self.node.owner.hooks if self.node is not None and self.node.owner is not None else None
        self.node = leaf(self.data, value, self.name)
        self.node.owner = Owner(self)
        self.node.owner.hooks = hooks

    @property
    def is_leaf(self) -> bool:
        """True for parameters and data, False for what an op recorded."""
        return self.node is None or self.node.rule is None

    @property
    def name(self) -> str | None:
        """The name shown in pictures, tapes and errors; can be set at any time."""
        return None if self.node is None else self.node.name

    @name.setter
    def name(self, name: str | None) -> None:
        if self.node is None:
            self.node = leaf(self.data)
        self.node.name = name

    shape = property(lambda self: self.data.shape, doc="The length of each axis.")
    ndim = property(lambda self: self.data.ndim, doc="The number of axes.")
    size = property(lambda self: self.data.size, doc="The number of entries.")
    dtype = property(lambda self: self.data.dtype, doc="The dtype of the array.")
    nbytes = property(lambda self: self.data.nbytes, doc="The bytes of the array.")
    itemsize = property(lambda self: self.data.itemsize, doc="The bytes of one entry.")
    base = property(lambda self: self.data.base, doc="The array whose memory this one shares, or None.")
    real = property(lambda self: RULES[np.real](self), doc="The real part.")
    imag = property(lambda self: RULES[np.imag](self), doc="The imaginary part.")
    T = property(lambda self: RULES[np.transpose](self), doc="The axes reversed.")
    mT = property(lambda self: RULES[np.matrix_transpose](self), doc="The last two axes swapped.")

    def describe(self) -> str:
        """One line for messages: name, shape and dtype."""
        name = f" {self.name!r}" if self.name else ""
        return f"the tensor{name} of shape {self.shape} and dtype {self.dtype}"

    # -- gradients ----------------------------------------------------------------------------

    def backward(self, cotangent: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf that requires one.

        A tensor of one entry starts from 1; any other needs a `cotangent` of its own shape, and the
        gradient is that of `(self * cotangent).sum()`.  What rules kept is dropped on the way, unless
        `retain_graph`; with `create_graph` the gradients are recorded and can be differentiated again.
        Raises BackwardError if nothing requires grad, if the tensor is not one number, or if the tape
        was used up; ShapeError if the cotangent has another shape.
        """
        node = self.node
        if node is None or not node.requires_grad:
            raise BackwardError(
                f"{self.describe()} does not depend on anything that requires grad, so backward() has nowhere "
                "to go.  Make the parameters with Tensor(..., requires_grad=True), and compute outside no_grad()."
            )
        g = self._cotangent(cotangent)
        if not create_graph:
            gradients = pull_back([(node, g)], free=not retain_graph)
        else:
            token = recording.set(recording.get() or True)
            try:
                gradients = pull_back([(node, as_tensor(g))], lift=lifted)
            finally:
                recording.reset(token)
        with _depositing:
            self._deposit(gradients, create_graph)

    @staticmethod
    def _deposit(gradients: dict[Node, Any], create_graph: bool) -> None:
        for node, gradient in gradients.items():
            owner = node.owner() if node.owner is not None else None
            if node.owner is None or owner is None:
                continue  # nobody is left to hold it
            # For z = x + iy users get dL/dx + i dL/dy, which points uphill, as in PyTorch: 2z for |z|**2.
            gradient = conjugate(gradient)
            node.owner.accumulated = owner.grad is not None
            if owner.grad is not None:
                if not isinstance(owner.grad, Tensor) or owner.grad.shape != owner.shape:
                    raise BackwardError(
                        f".grad of {owner.describe()} is None or a Tensor of its shape, not {owner.grad!r}."
                    )
                # Out of place: somebody may hold the gradient of the last step.
                gradient = owner.grad + gradient if create_graph else owner.grad.data + gradient
            owner.grad = as_tensor(gradient)

    def _cotangent(self, cotangent: Any) -> Any:
        if cotangent is None:
            if self.dtype.kind == "c":
                raise BackwardError(
                    f"backward() starts from a real number, and {self.describe()} is complex: no direction is the "
                    "steepest.  Make it real, as np.abs(z) ** 2 or z.real does, or give a complex cotangent."
                )
            if self.data.size != 1:
                raise BackwardError(
                    f"backward() starts from one number, but {self.describe()} has {self.data.size}.  Reduce it "
                    "first (loss.sum().backward() or .mean()), or give a cotangent of its shape: t.backward(g)."
                )
            return np.ones(self.data.shape, self.data.dtype) if self.data.ndim else self.data.dtype.type(1)
        cotangent = np.asarray(cotangent)[()] if not isinstance(cotangent, Tensor) else cotangent
        if cotangent.shape != self.data.shape:
            raise ShapeError(
                f"a cotangent of shape {cotangent.shape} does not fit {self.describe()}: it holds one weight "
                f"for each entry.  Give one of shape {self.data.shape}."
            )
        if cotangent.dtype.kind not in ("fiubc" if self.dtype.kind == "c" else "fiub"):
            raise DtypeError(f"the cotangent of {self.describe()} holds real numbers, not {cotangent.dtype}.")
        if cotangent.dtype != self.dtype:
            return conjugate(cotangent.astype(self.dtype))
        # A small one stays on the tape, and its owner may write into it.
        return conjugate(cotangent.copy() if cotangent.size <= SMALL else cotangent)

    def retain_grad(self) -> Tensor:
        """Keep this tensor's gradient too, although it is not a leaf.  Returns the tensor."""
        if not self.requires_grad or self.node is None:
            raise BackwardError(f"{self.describe()} does not require grad, so there is none to retain.")
        if self.node.owner is None:
            self.node.owner = Owner(self)
        self.node.owner.retains = True
        return self

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Hook:
        """Call `hook(gradient)` when a backward pass reaches this tensor; it may return another gradient.

        The hook gets the whole gradient of this tensor, as a Tensor of its shape.  What it returns, unless
        None, goes on instead, and becomes `.grad`.  Hooks run in the order they were registered, in
        backward() and in grad(), vjp() and the like (in jacobian() once, for all rows).  `.remove()` of what
        this returns ends that.  Raises BackwardError if the tensor does not require grad, ShapeError if a
        hook returns another shape.

        >>> import tinygrad_np as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 3
        >>> hook = y.register_hook(lambda g: print("dL/dy =", g))
        >>> _ = x.register_hook(lambda g: g * 10)
        >>> y.sum().backward()
        dL/dy = [1. 1.]
        >>> x.grad
        Tensor([30., 30.])
        """
        if not self.requires_grad or self.node is None:
            raise BackwardError(f"{self.describe()} does not require grad, so no gradient comes by for a hook.")
        owner = self.node.owner
        if owner is None:
            owner = self.node.owner = Owner(self)
            owner.retains = False
        if owner.hooks is None:
            owner.hooks = {}
        key = next(births)
        owner.hooks[key] = partial(_hooked, hook)
        return Hook(owner.hooks, key)

    def zero_grad(self) -> None:
        """Forget the gradient: the next backward() starts afresh."""
        self.grad = None

    def detach(self) -> Tensor:
        """A tensor that shares this one's array and has no graph."""
        return constant(bare(self))

    def numpy(self) -> np.ndarray:
        """The array itself, out of the graph.  Shared, not copied."""
        return self.data

    # -- NumPy's door -------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        called = method == "__call__"
        rule = RULES.get(ufunc if called else (ufunc, method))
        if rule is None:
            return call_without_rule(ufunc if called else getattr(ufunc, method), inputs, options)
        if called and options:
            constant_rule = getattr(rule, "kind", None) == "constant"
            return rule(*inputs, **options) if constant_rule else rule(*ufunc_inputs(ufunc, inputs, options))
        return rule(*inputs, **options)

    def __array_function__(self, function: Callable, types: Any, args: tuple, options: dict) -> Any:
        rule = RULES.get(function)
        if rule is None:
            return call_without_rule(function, args, options)
        if "out" in options:
            refuse_out(function_name(function), options)
            options = {key: value for key, value in options.items() if key != "out"}
        return rule(*args, **options)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise DetachError(
                f"NumPy asked for the bare array of {self.describe()}, which requires grad: its gradient would be "
                "cut silently.  Call a function of NumPy on the tensor itself: np.dot(a, t) instead of a.dot(t), "
                "tg.array([...]) instead of np.array([...]); leave np.asarray(t) away.  Or take it out on purpose: "
                "t.data, or t.detach().  (What tg.grad gives for a model depends on its weights: call it in no_grad().)"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    # -- operators and methods: NumPy's functions ---------------------------------------------

    __neg__, __pos__, __abs__ = late(np.negative), late(np.positive), late(np.absolute)
    __add__, __radd__ = late(np.add), late(np.add, reflected=True)
    __sub__, __rsub__ = late(np.subtract), late(np.subtract, reflected=True)
    __mul__, __rmul__ = late(np.multiply), late(np.multiply, reflected=True)
    __truediv__, __rtruediv__ = late(np.divide), late(np.divide, reflected=True)
    __floordiv__, __rfloordiv__ = late(np.floor_divide), late(np.floor_divide, reflected=True)
    __divmod__, __rdivmod__ = late(np.divmod), late(np.divmod, reflected=True)
    __mod__, __rmod__ = late(np.remainder), late(np.remainder, reflected=True)
    __pow__, __rpow__ = late(np.power), late(np.power, reflected=True)
    __matmul__, __rmatmul__ = late(np.matmul), late(np.matmul, reflected=True)
    __iadd__, __isub__ = in_place(np.add), in_place(np.subtract)
    __imul__, __itruediv__ = in_place(np.multiply), in_place(np.divide)
    __ipow__, __imod__, __ifloordiv__ = in_place(np.power), in_place(np.remainder), in_place(np.floor_divide)
    __lt__, __le__, __gt__, __ge__, __eq__, __ne__ = map(comparison, COMPARISONS)  # type: ignore[assignment]
    sum, prod, mean, var, std = late(np.sum), late(np.prod), late(np.mean), late(np.var), late(np.std)
    max, min, cumsum, cumprod = late(np.max), late(np.min), late(np.cumsum), late(np.cumprod)
    all, any, argmax, argmin, argsort = late(np.all), late(np.any), late(np.argmax), late(np.argmin), late(np.argsort)
    nonzero, searchsorted, round, clip = late(np.nonzero), late(np.searchsorted), late(np.round), late(np.clip)
    ravel, squeeze, swapaxes = late(np.ravel), late(np.squeeze), late(np.swapaxes)
    repeat, take, diagonal, trace = late(np.repeat), late(np.take), late(np.diagonal), late(np.trace)
    dot, copy, conj, conjugate = late(np.dot), late(np.copy), late(np.conj), late(np.conj)

    def __round__(self, decimals: int = 0) -> Any:
        return RULES[np.round](self, decimals)

    compress, choose, argpartition = late(np.compress), late(np.choose), late(np.argpartition)

    def flatten(self, order: str = "C") -> Tensor:
        """A copy with one axis."""
        return RULES[np.ravel](self, order).copy()

    def astype(self, dtype: npt.DTypeLike, **options: Any) -> Any:
        """The same entries in another dtype; a plain array if that dtype cannot carry a gradient."""
        return RULES["astype"](self, dtype, **options)

    def reshape(self, *shape: Any, **options: Any) -> Tensor:
        """The same entries in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
        return RULES[np.reshape](self, shape[0] if len(shape) == 1 else shape, **options)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes permuted (reversed without arguments): `t.transpose(1, 0)` or `t.transpose((1, 0))`."""
        return RULES[np.transpose](self, axes[0] if len(axes) == 1 else axes or None)


class Hook:
    """What register_hook() returns: remove() ends it."""

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Call the hook no more.  Removing it twice does nothing."""
        self._hooks.pop(self._key, None)


def _hooked(hook: Callable[[Tensor], Any], g: Any, node: Node) -> Any:
    """What a user's hook makes of a gradient on its way."""
    shown = conjugate(as_tensor(g))
    if type(shown.data) is np.ndarray:
        # Others may share this array: the forward pass, another gradient, the cotangent of the caller.
        view = shown.data.view()
        view.flags.writeable = False
        shown = attached(view, shown.node)
    changed = hook(shown)
    if changed is None:
        return g
    changed = conjugate(as_tensor(changed))
    if changed.shape != node.shape:
        raise ShapeError(
            f"a hook on {node.describe()} returned a gradient of shape {changed.shape}.  A gradient has the "
            "shape of its tensor; return None to leave it as it is."
        )
    if changed.dtype.kind == "c" and node.dtype.kind != "c":
        raise DtypeError(
            f"a hook on {node.describe()} returned {changed.dtype} numbers: a real tensor has a real gradient."
        )
    # A copy: the user may write into his array again.
    result = changed if isinstance(g, Tensor) else changed.data.copy()
    return result if result.dtype == node.dtype else cast(result, node.dtype)


_new = object.__new__


def constant(array: Any) -> Tensor:
    """A tensor without a graph that shares `array`."""
    tensor = _new(Tensor)
    tensor.data = array if type(array) is np.ndarray or type(array) is Batched else np.asarray(array)
    tensor.node = tensor.grad = None
    return tensor


def as_tensor(value: Any) -> Tensor:
    """`value` itself if it is a tensor, else a constant."""
    return value if isinstance(value, Tensor) else constant(value)


def attached(array: Any, node: Node) -> Tensor:
    """A tensor that shares `array` and came from `node`."""
    tensor = constant(array)
    tensor.node = node
    return tensor


def lifted(array: Any, node: Node) -> Any:
    """What the backward pass works with when it is recorded itself."""
    return attached(array, node) if type(node) is Node and node.requires_grad else array


def tape(tensor: Tensor) -> Tape:
    """The record behind `tensor`: iterable, indexable, printable, one line per entry.

    >>> import tinygrad_np as tg
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> [node.op_name for node in tg.tape(a * 3 + 1)]
    ['parameter', 'multiply', 'add']
    """
    if not isinstance(tensor, Tensor):
        raise AutogradError(f"tape() reads the record of a Tensor, and got {type(tensor).__name__}.")
    return Tape([tensor.node or leaf(tensor.data)])
