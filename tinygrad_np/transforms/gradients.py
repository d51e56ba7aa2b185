"""Functions of functions, first order: gradients, and products with the Jacobian from either side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from ..engine.batched import Batched
from ..engine.tensor import Tensor
from ..errors import BackwardError
from .arguments import (
    Arguments,
    check_callable,
    check_shapes,
    given_back,
    plain,
    pulled,
    pushed,
    reaches_outside,
    record,
    requires_grad,
    split_aux,
)
from .trees import tree_leaves, tree_map

Argnums = int | tuple[int, ...]


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the value of `f` and its gradient with respect to argument(s) `argnums`.

    Arguments are arrays, or lists, tuples, dicts and dataclasses of them; the gradient has the same form.
    `f` must give one real number, else BackwardError; integer arguments raise DtypeError.  With `has_aux`,
    `f` gives (number, anything), and the result is ((number, anything), gradient).

    >>> import numpy as np
    >>> from tinygrad_np import value_and_grad
    >>> loss = lambda p, x: np.sum((x * p["w"] + p["b"]) ** 2)
    >>> value_and_grad(loss)({"w": 2.0, "b": 1.0}, np.array([0.0, 1.0]))
    (np.float64(10.0), {'w': np.float64(6.0), 'b': np.float64(8.0)})
    """

    check_callable(f, "grad")

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        given = Arguments(args, argnums, "grad")
        with record() as outside, given:
            out, aux = split_aux(f(*given.args, **options), has_aux, "grad")
            _check_one_number(out)
            others = reaches_outside([out], given.nodes)
            lift = outside and others
            gradients = pulled([(out, one_like(out))], given.nodes, lift, prune=others)
            # What is given besides may depend on something outside although the value does not.
            lift_aux = has_aux and outside and reaches_outside(list(tree_leaves(aux)), given.nodes)
        back = partial(given_back, tensors=given.tensors_given, lift=lift)
        grads = given.map(lambda node: back(gradients[node]))
        if not has_aux:
            return back(out), grads
        return (back(out), tree_map(partial(given_back, tensors=given.tensors_given, lift=lift_aux), aux)), grads

    return call


def grad(f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of `f`; see `value_and_grad`.  Can be nested to any order.

    With `has_aux`, `f` gives (number, anything), and the result is (gradient, anything).  Where `f` uses something
    else that requires grad, as the weights of a model, so does the gradient: `with no_grad():` around the call, or
    `.data` of the result, gives the bare array.

    >>> from tinygrad_np import grad
    >>> grad(grad(grad(lambda x: x**4)))(2.0)
    np.float64(48.0)
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        value, gradient = both(*args, **options)
        return (gradient, value[1]) if has_aux else gradient

    return call


def elementwise_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The derivative, entry by entry, of a function that works entry by entry: `f'(x)` for arrays.

    It is the gradient of the sum of all results, so if an entry of the result depends on several
    entries of the argument, the derivatives add up.

    >>> import numpy as np
    >>> from tinygrad_np import elementwise_grad
    >>> elementwise_grad(np.tanh)(np.array([0.0, 100.0]))
    array([1., 0.])
    """
    return grad(
        wraps(f)(lambda *args, **options: sum(np.sum(out) for out in tree_leaves(f(*args, **options)))), argnums
    )


def vjp(f: Callable[..., Any], *args: Any, has_aux: bool = False) -> Any:
    """The value of `f(*args)`, and a function from a cotangent of it to one gradient per argument.

    The cotangent has the form and shapes of the value; else ShapeError.  With `has_aux`, `f` gives
    (value, anything), and the result is (value, function, anything).  For complex numbers the convention
    is that of PyTorch, as for `grad`: the cotangent of |z|**2 / 2 with respect to z is z.

    >>> import numpy as np
    >>> from tinygrad_np import vjp
    >>> y, pull = vjp(lambda A, x: A @ x, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    >>> y
    array([3., 7.])
    >>> pull(np.array([1.0, 0.0]))[1]
    array([1., 2.])
    """
    given = Arguments(args, tuple(range(len(args))), "vjp")
    with record() as outside, given:
        out, aux = split_aux(f(*given.args), has_aux, "vjp")
        outs = list(tree_leaves(out))
        lift = outside and reaches_outside([*outs, *tree_leaves(aux)], given.nodes)

    def pull(cotangent: Any) -> tuple:
        gs = list(tree_leaves(cotangent))
        check_shapes(gs, outs, "cotangent")
        with record() as outside:
            outer = outside and (lift or requires_grad(gs))
            gradients = pulled(list(zip(outs, gs, strict=True)), given.nodes, outer)
        tensors = given.tensors_given or any(isinstance(g, Tensor) for g in gs)
        return given.map(lambda node: given_back(gradients[node], tensors, outer))

    back = partial(given_back, tensors=given.tensors_given, lift=lift)
    return (tree_map(back, out), pull, tree_map(back, aux)) if has_aux else (tree_map(back, out), pull)


def jvp(f: Callable[..., Any], args: tuple, tangents: tuple, *, has_aux: bool = False) -> Any:
    """The value of `f(*args)` and its derivative along `tangents` (one per argument, of its shape).

    With `has_aux`, `f` gives (value, anything), and the result is (value, derivative, anything).

    >>> import numpy as np
    >>> from tinygrad_np import jvp
    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    if not (isinstance(args, tuple | list) and isinstance(tangents, tuple | list)):
        raise TypeError("jvp takes the arguments and their tangents as tuples: jvp(f, (x,), (t,)).")
    given = Arguments(args, tuple(range(len(args))), "jvp")
    check_shapes([None for t in tangents if t is None], [], "tuple of tangents")
    ts = list(tree_leaves(list(tangents)))
    check_shapes(ts, list(given.nodes.values()), "tuple of tangents")
    with record() as outside, given:
        out, aux = split_aux(f(*given.args), has_aux, "jvp")
        outs = list(tree_leaves(out))
        lift = outside and (reaches_outside([*outs, *tree_leaves(aux)], given.nodes) or requires_grad(ts))
        found = pushed(outs, dict(zip(given.nodes, ts, strict=True)), lift)
    back = partial(given_back, tensors=given.tensors_given or any(isinstance(t, Tensor) for t in ts), lift=lift)

    def tangent(o: Any) -> Any:
        t = found.get(o.node) if isinstance(o, Tensor) and o.node is not None else None
        return back(_still(o) if t is None else t)

    value, derivative = tree_map(back, out), tree_map(tangent, out)
    return (value, derivative, tree_map(back, aux)) if has_aux else (value, derivative)


def _still(o: Any) -> Any:
    """The tangent of a result that nothing moves."""
    dtype = getattr(o, "dtype", np.dtype(float))
    return np.zeros(np.shape(o), dtype if dtype.kind in "fc" else float)


def one_like(out: Any) -> Any:
    """The cotangent that a gradient starts from: 1, and for a batch of losses 1 for each."""
    data = plain(out)
    if type(data) is Batched:
        return Batched(np.ones(data.value.shape, data.dtype), data.level)
    return np.ones(data.shape, data.dtype)


def _check_one_number(out: Any) -> None:
    array = out.data if isinstance(out, Tensor) else out
    if isinstance(array, np.ndarray | np.generic | Batched | int | float | complex) and np.size(array) == 1:
        if np.iscomplexobj(array):
            raise BackwardError(
                f"grad needs a function that gives a real number, and this one gave {array}: no direction is the "
                "steepest for a complex one.  Return np.abs(z) ** 2 or z.real, or use vjp with a complex cotangent."
            )
        if (
            getattr(array, "dtype", np.dtype(type(array))).kind == "b"
            or getattr(array, "dtype", np.dtype(float)).kind in "iu"
        ):
            raise BackwardError(
                f"grad needs a function that gives a real number, and this one gave {array!r}: counting and comparing "
                "have no slope.  Return the loss itself, a floating-point number."
            )
        return
    shape = f" of shape {np.shape(array)}" if isinstance(array, np.ndarray | Batched) else ""
    raise BackwardError(
        f"grad needs a function that gives one number, and this one gave {type(out).__name__}{shape}.  Return the "
        "loss; sum or average it if it has axes, or use vjp with a cotangent."
    )
