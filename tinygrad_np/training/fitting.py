"""fit(): epochs of training with everything around them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..counts import count
from .arguments import (
    check_functions,
    check_loaders,
    check_monitor,
    check_optimizer,
    check_progress,
    check_scheduler,
    check_trained,
    needs_number,
)
from .checkpoint import Checkpoint, Run
from .history import History
from .loop import evaluate, mode, train_epoch
from .metrics import Metrics
from .reporting import Reporter
from .stopping import EarlyStopping


def fit(
    model: Callable[..., Any],
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    *,
    epochs: int,
    validation: Iterable[Any] | None = None,
    metrics: Metrics | None = None,
    scheduler: Any = None,
    scheduler_every: str = "epoch",
    early_stopping: EarlyStopping | int | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = True,
    clip_norm: float | None = None,
    progress: bool | int = True,
    callback: Callable[[History], Any] | None = None,
) -> History:
    """Train a model for a number of epochs, and return what happened in each.

    Parameters
    ----------
    model
        A Module, or any function of the inputs.
    loader
        What gives batches, anew for each epoch: a DataLoader, a list.  A batch is a tuple or list (of a dict its
        values); the last array is the target, the others are the inputs: `loss(model(*inputs), target)`.
    loss
        A function that returns the mean over the samples of a batch, as a tensor of one number.
    optimizer
        The optimizer of the parameters.  (LBFGS, which evaluates the loss several times per step, needs a loop of its
        own.)
    epochs
        How many epochs in all, with those of a checkpoint that is gone on from.
    validation
        Batches to evaluate on after each epoch, in eval mode and without recording: columns `val_loss`, `val_...`.
    metrics
        `{"accuracy": accuracy}`: functions of the output and the target as arrays, means over a batch.  Their means
        over all samples, as they were while training, are in the history.
    scheduler, scheduler_every
        A scheduler whose `step()` is called after every "epoch" or "batch".  One whose step needs a number, as
        ReduceLROnPlateau, gets the validation loss of the epoch (without validation, the training loss).
    early_stopping
        `EarlyStopping(patience=5)`, or just the patience.
    checkpoint
        A file (.npz or .safetensors) that is replaced after each epoch.  It has all that training depends on: model,
        optimizer, scheduler, early stopping, history, and the random state of the loaders and of the model.  If the
        file is there already, training goes on from it, and the result is bit for bit that of a run without
        interruption; a file of another model or optimizer is refused, and never overwritten.  Not in it: other random
        generators (of a model that is a function, of a callback).  The rates in the file count, not those that the
        optimizer was made with.
    resume
        False starts anew, and overwrites the checkpoint, if it is one of this run; other files are left as they are.
    clip_norm
        Scale gradients down to this norm, all parameters together.
    progress
        Print a line for each epoch, or with a number for every so many and the last; False prints none.  The line comes
        when the checkpoint has the epoch.  On a terminal, with tqdm, there is also a bar for the batches.
    callback
        Called with the history after each epoch, before the checkpoint; training ends if it returns True.

    Returns
    -------
    History
        Columns `epoch`, `loss`, metrics, `val_loss`, `val_...`, `lr` (of the first group, in the last step of the
        epoch), `seconds`.  The gradients of the last batch are forgotten, so that a later backward() starts from none.

    Raises
    ------
    NonFiniteError
        A loss of nan or inf, naming epoch and batch, before that step.
    StateError
        The checkpoint belongs to another run; the message names the first difference.
    KeyboardInterrupt
        On Ctrl-C, as the program that called fit() should not go on as if training had ended.  The checkpoint is that
        of the last whole epoch, and calling fit() again goes on from there.  Whatever is raised has the history so
        far as its attribute `history`.  Modules are always left in the mode, training or eval, they were in.

    Examples
    --------
    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import data, nn, optim
    >>> from tinygrad_np.training import accuracy, fit
    >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> model = nn.Linear(2, 2, rng=1)
    >>> loader = data.DataLoader(x, y, batch_size=20, shuffle=True, rng=2)
    >>> history = fit(model, loader, tg.cross_entropy, optim.SGD(model.parameters(), lr=0.5),
    ...               epochs=20, metrics={"accuracy": accuracy}, progress=False)
    >>> history["accuracy"][-1] > 0.98
    True
    >>> history.columns.keys()
    dict_keys(['epoch', 'loss', 'accuracy', 'lr', 'seconds'])
    """
    epochs = count("epochs", epochs, 0)
    check_optimizer(optimizer)
    check_functions(model, loss, metrics, callback)
    check_trained([model, loss], optimizer)
    check_loaders(epochs, loader=loader, validation=validation)
    check_scheduler(scheduler, scheduler_every, optimizer)
    check_progress(progress)
    stopping = early_stopping
    if stopping is not None and not isinstance(stopping, EarlyStopping):
        stopping = EarlyStopping(stopping)
    if stopping is not None:
        check_monitor(stopping.monitor, metrics or {}, validation is not None)
    run = Run(model, loss, optimizer, scheduler, {"loader": loader, "validation": validation}, stopping)
    file = None if checkpoint is None else Checkpoint(checkpoint, run)
    report = Reporter(progress, epochs)
    after_step = _AfterStep(optimizer, report, scheduler if scheduler_every == "batch" else None)
    history = _start(run, file, resume, report)
    epoch = len(history)
    try:
        while epoch < epochs and not (stopping is not None and stopping.stopped):
            epoch += 1
            started = time.perf_counter()
            with mode([model, loss], training=True), report.batches(loader, epoch) as batches:
                options: dict[str, Any] = {
                    "metrics": metrics,
                    "clip_norm": clip_norm,
                    "epoch": epoch,
                    "after_step": after_step,
                }
                numbers = train_epoch(model, batches, loss, optimizer, **options)
            if validation is not None:
                results = evaluate(model, validation, loss, metrics)
                numbers |= {f"val_{name}": value for name, value in results.items()}
            numbers |= {"lr": after_step.rate, "seconds": time.perf_counter() - started}
            history.append(epoch=epoch, **numbers)
            if scheduler is not None and scheduler_every == "epoch":
                _step(scheduler, numbers)
            if stopping is not None:
                stopping.update(epoch, numbers[stopping.monitor], run.weights)
            wants_end = callback is not None and callback(history) is True
            # After the callback: what it changes is saved too.
            if file is not None:
                file.save(epoch, history)
            is_last = wants_end or epoch == epochs or (stopping is not None and stopping.stopped)
            # After the file: an epoch that was shown is not lost by Ctrl-C.
            report.epoch(history.last, is_last)
            if wants_end:
                break
    except BaseException as error:
        error.add_note(_what_is_left(epoch, epochs, file))
        error.history = history  # type: ignore[attr-defined]
        raise
    run.zero_grad()
    if stopping is not None and stopping.best_state is not None:
        run.load_weights(stopping.best_state)
        report.say(f"Back at epoch {stopping.best_epoch}, with the best {stopping.monitor}: {stopping.best:.4g}.")
    return history


def _start(run: Run, file: Checkpoint | None, resume: bool, report: Reporter) -> History:
    """The history so far: that of the checkpoint, to whose state everything is put, or none."""
    if run.stopping is not None:
        run.stopping.reset()
    saved = None if file is None else file.read()
    if file is not None and saved is not None and resume:
        file.restore(saved)
        report.say(f"Going on from {file.path}, after epoch {file.epoch}.")
        return History(saved["history"])
    history = History()
    if file is not None:
        # So that a path that cannot be written is found now, and what is stopped in epoch 1 can be started again.
        file.save(0, history)
    return history


class _AfterStep:
    """What follows each step of the optimizer.  `rate` is the one that the last step was made with."""

    def __init__(self, optimizer: Any, report: Reporter, scheduler: Any) -> None:
        self.optimizer, self.report, self.scheduler = optimizer, report, scheduler
        self.rate = 0.0

    def __call__(self, loss: float) -> None:
        self.report.step(loss)
        self.rate = float(self.optimizer.groups[0]["lr"])
        if self.scheduler is not None:
            self.scheduler.step()


def _step(scheduler: Any, numbers: dict[str, float]) -> None:
    if needs_number(scheduler):
        scheduler.step(numbers.get("val_loss", numbers["loss"]))
    else:
        scheduler.step()


def _what_is_left(epoch: int, epochs: int, file: Checkpoint | None) -> str:
    where = f"Training stopped in epoch {epoch} of {epochs}."
    if file is None:
        return f"{where}  Without checkpoint=..., the model is as its last step left it."
    when = f"after epoch {file.epoch}" if file.epoch else "before the first epoch"
    if file.epoch is None:
        when = f"after epoch {epoch}, or after the one before, as it was just being written"
    return f"{where}  {file.path} has everything as it was {when}: call fit() again to go on from there."
