"""Checking the gradients of a model, which holds its parameters instead of taking them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from ..engine.tensor import Tensor
from ..errors import DtypeError
from ..nn.module import Module
from ..nn.tree import held
from .gradcheck import GradientCheck, check_grad


def check_module(
    model: Module, *inputs: Any, loss: Callable[[Any], Any] | None = None, order: int = 1, **options: Any
) -> GradientCheck:
    """Check the derivatives of `model(*inputs)`, or of `loss` of that, with respect to its parameters and inputs.

    The parameters that require grad are differentiated, and of the `inputs` what `check_grad` would
    differentiate.  `loss` takes the result alone.  `options` are those of `check_grad` (modes, rtol, atol, seed,
    entries, directions); with many parameters, raise `entries`, of which each array gets its share.

    Every call runs a copy: the model stays as it is, dropout draws the same numbers each time, and running
    statistics do not move.  Training and running (`model.eval()`) differ: check both.

    Raises DtypeError for what is no Module, and all that `check_grad` raises.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.testing import check_module
    >>> model = tg.nn.Sequential(tg.nn.Linear(3, 4, rng=0), tg.nn.Tanh(), tg.nn.Linear(4, 2, rng=1)).astype(float)
    >>> x, y = np.random.default_rng(2).normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    >>> check = check_module(model, x, loss=lambda out: tg.cross_entropy(out, y), order=2)
    >>> check.function, check.size, check.entries
    ('Sequential', 41, 82)
    """
    _check(model, loss)
    trained = {path: p for path, p in model.named_parameters() if p.requires_grad}

    @wraps(model.forward)  # for the names of the inputs
    def run(*given: Any) -> Any:
        out = with_parameters(model, given[-1])(*given[:-1])
        return out if loss is None else loss(out)

    run.__name__ = type(model).__name__
    # By their paths: before the first call they may have no names.
    named = {path: Tensor(p.data, requires_grad=True, name=path) for path, p in trained.items()}
    return check_grad(run, *inputs, named, order=order, **options)


def with_parameters(model: Module, parameters: Mapping[str, Any]) -> Module:
    """A copy of a model with other tensors or arrays, by their paths, in the place of its parameters.

    A parameter that is used at several places is replaced at each; those that are not named are copied.
    """
    own = dict(model.named_parameters())
    # What deepcopy finds in its memo it takes for copied already.  Computed tensors have no copies.
    attributes = [x for part in model.modules() for _, x in held(part)]
    memo = {id(x): x for x in attributes if isinstance(x, Tensor) and not x.is_leaf}
    memo |= {id(own[path]): x if isinstance(x, Tensor) else Tensor(x) for path, x in parameters.items()}
    return copy.deepcopy(model, memo)


def _check(model: Any, loss: Any) -> None:
    if isinstance(model, type) and issubclass(model, Module):
        raise DtypeError(
            f"check_module was given the class {model.__name__}, and the parameters are made when one is built.  Write "
            f"check_module({model.__name__}(...), x)."
        )
    if not isinstance(model, Module):
        raise DtypeError(
            f"check_module takes a model and then its inputs, and the first is of type {type(model).__name__}: there "
            "are no parameters to be found in it.  Write check_grad(f, x) for a function."
        )
    if loss is not None and not callable(loss):
        raise DtypeError(
            f"loss= of check_module is of type {type(loss).__name__}: it is called with what the model gives, for "
            "other points too.  Write loss=lambda out: tg.mse(out, y), or leave it away."
        )
