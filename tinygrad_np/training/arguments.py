"""What fit() is given, checked before an epoch is spent on it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..nn.module import Module
from ..optim import LBFGS, Optimizer

TAKEN = ("epoch", "loss", "lr", "seconds")
"""The columns that fit() gives a history."""


def check_optimizer(optimizer: Any) -> None:
    """Raise unless it is an optimizer that steps with the gradients of one backward pass."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"the optimizer is {described(optimizer)}, which trains nothing.  The order is fit(model, loader, loss, "
            "optimizer, epochs=...), with an optimizer as optim.SGD(model.parameters(), lr=0.1); a scheduler goes into "
            "scheduler=..."
        )
    if isinstance(optimizer, LBFGS):
        raise TypeError(
            "LBFGS evaluates the loss several times in a step, and fit() once.  Write a loop that calls "
            "optimizer.step(closure), or take another optimizer."
        )


def check_trained(parts: Iterable[Any], optimizer: Optimizer) -> None:
    """Raise if there are modules with trainable parameters, and the optimizer has none of them."""
    modules = [part for part in parts if isinstance(part, Module)]
    trainable = {id(p) for module in modules for p in module.parameters() if p.requires_grad}
    if trainable and not trainable & {id(p) for group in optimizer.groups for p in group.params}:
        raise ValueError(
            f"the optimizer has none of the {len(trainable)} parameters of the model that require grad, so the model "
            "would stay as it is.  Make the optimizer of model.parameters(), of this very model; or, to train "
            "something else through it, set requires_grad = False on its parameters."
        )


def check_functions(model: Any, loss: Any, metrics: Any, callback: Any) -> None:
    """Raise unless all of them can be called, and metrics have names."""
    if metrics is not None and not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics={metrics!r} has no names for the columns of the history.  Write "
            'metrics={"accuracy": accuracy}, with functions of the output and the target.'
        )
    for name in metrics or {}:
        if name in TAKEN or name.startswith("val_"):
            raise ValueError(f"the history has a column {name!r} of its own.  Give the metric another name.")
    named = {f"the metric {name!r}": metric for name, metric in (metrics or {}).items()}
    named |= {"the model": model, "the loss": loss} | ({} if callback is None else {"the callback": callback})
    for name, function in named.items():
        if isinstance(function, type) or not callable(function):
            made = f"{function.__name__}(...)" if isinstance(function, type) else "a function or a Module"
            raise TypeError(f"{name} is {described(function)}, which cannot be called with arrays.  Give {made}.")


def check_loaders(epochs: int, **loaders: Any) -> None:
    """Raise for what gives its batches once only, where they are needed more often."""
    for name, loader in loaders.items():
        if isinstance(loader, Iterator) and epochs > 1:
            raise ValueError(
                f"the {name} is {described(loader)}, which gives no batches after the first of {epochs} epochs, as it "
                "is used up then.  Give something that can be iterated over again, as a DataLoader or a list."
            )


def check_scheduler(scheduler: Any, every: str, optimizer: Optimizer) -> None:
    """Raise unless it schedules this optimizer, and can step as often as asked."""
    if every not in ("epoch", "batch"):
        raise ValueError(f'scheduler_every={every!r} is not known.  Give "epoch" or "batch".')
    if scheduler is None:
        return
    if isinstance(scheduler, type) or not hasattr(scheduler, "step"):
        raise TypeError(
            f"the scheduler is {described(scheduler)}, which has no rates to change.  Give a scheduler made of the "
            "optimizer, as optim.StepLR(optimizer, step_size=10)."
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            f"the {type(scheduler).__name__} changes the rates of another optimizer than the one that trains.  Make it "
            "of the optimizer that fit() is given."
        )
    if every == "batch" and needs_number(scheduler):
        raise ValueError(
            f"{type(scheduler).__name__} looks at the loss of an epoch, so it cannot step after every batch.  Leave "
            'scheduler_every="batch" away.'
        )


def needs_number(scheduler: Any) -> bool:
    """Whether `step()` has an argument that must be given, as that of ReduceLROnPlateau."""
    parameters = inspect.signature(scheduler.step).parameters.values()
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def check_monitor(monitor: str, metrics: Iterable[str], validates: bool) -> None:
    """Raise if early stopping looks at a column that the history will not have."""
    columns = ["loss", *metrics]
    columns += [f"val_{name}" for name in columns] if validates else []
    if monitor not in columns:
        raise ValueError(
            f"early stopping looks at {monitor!r}, and this run has {', '.join(columns)}.  Give validation=..., or "
            f"EarlyStopping(..., monitor={columns[0]!r})."
        )


def check_progress(progress: bool | int) -> None:
    """Raise unless it says which epochs to print."""
    if not isinstance(progress, int) or progress < 0:
        raise ValueError(
            f"progress={progress!r} does not say which epochs to print.  Give True for each, False for none, or an int "
            "for every so many."
        )


def described(value: Any) -> str:
    """A few words about something that is not what it should be."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isfunction(value):
        return f"the function {value.__name__}"
    return f"{value!r}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
