"""The loop over the batches of one epoch, for training and for evaluating."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..counts import count
from ..engine.tape import no_grad
from ..engine.tensor import Tensor
from ..errors import NonFiniteError, ShapeError
from ..nn.module import Module
from ..optim.clip import clip_grad_norm
from .arguments import check_optimizer
from .metrics import Averages, Metrics, bare


def train_epoch(
    model: Callable[..., Any],
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    *,
    metrics: Metrics | None = None,
    clip_norm: float | None = None,
    epoch: int = 1,
    after_step: Callable[[float], None] | None = None,
) -> dict[str, float]:
    """Train on each batch once; returns the means of the loss and the metrics over the samples.

    The arguments are those of `fit`; `epoch` is for messages, and `after_step(loss)` is called after each step.
    Raises NonFiniteError, before that step, if a loss is nan or inf.  Switching the model to training is left to the
    caller.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> from tinygrad_np.training import train_epoch
    >>> w = tg.Tensor(0.0, requires_grad=True)
    >>> batches = [(np.array([1.0, 2.0]), np.array([3.0, 6.0]))] * 20
    >>> means = train_epoch(lambda x: w * x, batches, tg.mse, optim.SGD([w], lr=0.1))
    >>> w.data.round(4).item()
    3.0
    """
    check_optimizer(optimizer)
    parameters = [parameter for group in optimizer.groups for parameter in group.params]
    means = Averages(metrics)
    for number, batch in enumerate(loader, 1):
        *inputs, target = as_sequence(batch)
        output = model(*inputs)
        value = loss(output, target)
        check_loss(value, epoch, number)
        optimizer.zero_grad()
        value.backward()
        if clip_norm is not None:
            clip_grad_norm(parameters, clip_norm)
        optimizer.step()
        means.add(value, output, target)
        if after_step is not None:
            after_step(float(value.data.item()))
    return means.results(loader)


def evaluate(
    model: Callable[..., Any],
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Any] | None = None,
    metrics: Metrics | None = None,
) -> dict[str, float]:
    """The means of the loss and the metrics over all samples, with the model in eval mode and nothing recorded.

    The arguments are those of `fit`.  The mode of the model is afterwards what it was.

    >>> import numpy as np
    >>> from tinygrad_np.training import accuracy, evaluate
    >>> scores, labels = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 2.0]]), np.array([0, 1, 1])
    >>> evaluate(lambda x: x, [(scores, labels)], metrics={"accuracy": accuracy})
    {'accuracy': 0.6666666666666666}
    """
    means = Averages(metrics, loss is not None)
    with mode([model, loss], training=False), no_grad():
        for batch in loader:
            *inputs, target = as_sequence(batch)
            output = model(*inputs)
            means.add(None if loss is None else loss(output, target), output, target)
    return means.results(loader)


def predict(model: Callable[..., Any], *inputs: Any, batch_size: int = 256) -> Any:
    """What a model says of many samples, as a plain array: in eval mode, nothing recorded, a batch at a time.

    `model`: a Module, a method of one, or any function; it is called with the same `batch_size` samples of all
    `inputs`, arrays with samples on their first axis, and its results are put together along theirs.  If it returns a
    tuple, list or dict of arrays, so does this.  The mode of the model is afterwards what it was.
    Raises ShapeError for inputs of different lengths, and for a result without one row for each sample.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.training import predict
    >>> model = tg.nn.Sequential(tg.nn.Linear(3, 2, rng=0), tg.nn.Dropout(0.5))
    >>> predict(model, np.ones((1000, 3), np.float32), batch_size=100).shape
    (1000, 2)
    """
    batch_size = count("batch_size", batch_size)
    arrays = [np.asarray(bare(x)) for x in inputs]
    samples = _samples(inputs, arrays)
    # Where there are no samples, the empty batch still tells the shape of the result.
    starts = range(0, max(samples, 1), batch_size)
    with mode([model, getattr(model, "__self__", None)], training=False), no_grad():
        parts = [bare(model(*(x[i : i + batch_size] for x in arrays))) for i in starts]
    return _joined(parts, [min(batch_size, samples - i) for i in starts])


def _samples(inputs: tuple[Any, ...], arrays: list[np.ndarray]) -> int:
    """How many samples there are in each of the inputs of predict()."""
    if not arrays:
        raise TypeError("predict() got a model and nothing to give it.  Write predict(model, x).")
    for given, array in zip(inputs, arrays, strict=True):
        if not array.ndim:
            raise TypeError(
                f"predict() got {type(given).__name__}, which has no axis of samples.  Give arrays, predict(model, x), "
                "with the samples on their first axis; the batches are made here."
            )
    if len({len(array) for array in arrays}) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ShapeError(
            f"predict() got inputs of shapes {shapes}, and their first axes count the same samples.  Give all inputs "
            "of each sample."
        )
    return len(arrays[0])


def _joined(parts: list[Any], samples: list[int]) -> Any:
    """The results of all batches as one, in the form that each has."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: _joined([part[key] for part in parts], samples) for key in first}
    if type(first) in (tuple, list):
        return type(first)(_joined(list(same), samples) for same in zip(*parts, strict=True))
    for part, wanted in zip(parts, samples, strict=True):
        if np.shape(part)[:1] != (wanted,):
            raise ShapeError(
                f"predict() gave the model {wanted} samples, and got {type(part).__name__} of shape {np.shape(part)}: "
                "there is no row for each.  Return arrays with the samples on the first axis."
            )
    return np.concatenate(parts)


@contextmanager
def mode(parts: Iterable[Any], training: bool) -> Iterator[None]:
    """All modules among `parts` in training or in eval mode; after the block each as it was."""
    modules = [module for part in parts if isinstance(part, Module) for module in part.modules()]
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = training
        yield
    finally:
        for module, was in zip(modules, before, strict=True):
            module.training = was


def as_sequence(batch: Any) -> tuple[Any, ...]:
    """The arrays of a batch: the last is the target."""
    arrays = tuple(batch.values()) if isinstance(batch, Mapping) else batch
    if not isinstance(arrays, tuple | list) or len(arrays) < 2:
        what = f"{len(arrays)} array(s)" if isinstance(arrays, tuple | list) else f"a {type(batch).__name__}"
        raise TypeError(
            f"a batch is {what}: it needs the inputs of the model and, last, the target.  Give both to the loader: "
            "DataLoader(x, y, ...); an autoencoder has the input twice, DataLoader(x, x, ...)."
        )
    return tuple(arrays)


def check_loss(value: Any, epoch: int, batch: int) -> None:
    """Raise unless backward() can start from this loss, and it is finite."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise TypeError(
            f"the loss is {type(value).__name__} {value!r}, which does not depend on anything that requires grad, so "
            "nothing can be learned.  The model's parameters are Tensors with requires_grad=True; compute with them, "
            "not with their .data, and return the loss as it is, without .item() or float()."
        )
    if not np.isfinite(value.data).all():
        raise NonFiniteError(
            f"the loss of epoch {epoch}, batch {batch} is {value.data}, so training stopped before that step.  Look at "
            "the batch; run the step inside of `with tg.debug():` to see which op made it.  Where the loss grew "
            "before, a smaller learning rate or clip_norm=1.0 helps."
        )
