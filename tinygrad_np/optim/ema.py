"""Averages of the parameters over the steps of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..engine.tape import written
from ..errors import RangeError, ShapeError
from .group import check_trainable, read


class EMA:
    """The exponential moving average of parameters, which often does better than the parameters themselves.

        average <- decay * average + (1 - decay) * p            after each step

    starting from the parameters as they are.  `parameters`: tensors or (name, tensor) pairs; `decay` in [0, 1).  With
    `warmup`, decay is at most (1 + n) / (10 + n) at update number n = 1, 2, ..., so that the start is soon
    forgotten.  Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; Tarvainen and
    Valpola, Mean teachers are better role models, 2017.  Raises RangeError for another decay.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> average = optim.EMA([w], decay=0.9)
    >>> w.data += 1.0
    >>> average.update()
    >>> with average.applied():
    ...     print(w.data)
    [1.1 2.1]
    >>> w.data
    array([2., 3.])
    """

    def __init__(self, parameters: Iterable[Any], decay: float, warmup: bool = False) -> None:
        if not 0 <= decay < 1:
            raise RangeError(
                f"decay={decay!r} makes no average of what was and what is.  Give one in [0, 1), as 0.999."
            )
        self.decay, self.warmup = float(decay), warmup
        pairs = [pair for members, _ in read(parameters) for pair in members]
        self.parameters = list({id(tensor): tensor for _, tensor in pairs}.values())
        for tensor in self.parameters:
            check_trainable(tensor)
        self.averages = [tensor.data.copy() for tensor in self.parameters]
        self._scratch = [np.empty_like(average) for average in self.averages]
        self.updates = 0
        self._applied = False

    def update(self) -> None:
        """Take the parameters as they are now into the average; call it after each step."""
        self._refuse_while_applied("update()")
        self._check_shapes()
        self.updates += 1
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        for tensor, average, change in zip(self.parameters, self.averages, self._scratch, strict=True):
            np.subtract(tensor.data, average, out=change)
            change *= 1 - decay
            average += change

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside of the `with`, the parameters are the averages; after it, also after an exception, what they were.

        Arrays stay the same objects; what is written into them inside is lost.
        """
        self._refuse_while_applied("applied()")
        self._check_shapes()
        kept = [tensor.data.copy() for tensor in self.parameters]
        arrays = [tensor.data for tensor in self.parameters]
        self._applied = True
        try:
            for tensor, average in zip(self.parameters, self.averages, strict=True):
                np.copyto(tensor.data, average)
                written(tensor)
            yield
        finally:
            for tensor, array, values in zip(self.parameters, arrays, kept, strict=True):
                np.copyto(array, values)
                tensor.data = array
                written(tensor)
            self._applied = False

    def state_dict(self) -> dict[str, Any]:
        """The averages (copies), and how many updates they hold."""
        averages = [average.copy() for average in self.averages]
        return {"decay": self.decay, "warmup": self.warmup, "updates": self.updates, "averages": averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned; raises ValueError or ShapeError before anything is changed."""
        missing = [key for key in ("decay", "warmup", "updates", "averages") if key not in state]
        if missing:
            raise ValueError(
                f"this is not a state of EMA: {missing[0]!r} is missing.  Give what state_dict() returned."
            )
        saved = [np.asarray(array) for array in state["averages"]]
        if len(saved) != len(self.averages):
            raise ValueError(
                f"the saved state has {len(saved)} averages, and there are {len(self.averages)} parameters here.  "
                "Make the EMA of the parameters it was saved with."
            )
        for number, (array, average) in enumerate(zip(saved, self.averages, strict=True)):
            if array.shape != average.shape:
                raise ShapeError(
                    f"saved average number {number} has shape {array.shape}, and its parameter {average.shape}.  "
                    "Make the EMA of the parameters it was saved with, in the same order."
                )
        for array, average in zip(saved, self.averages, strict=True):
            np.copyto(average, array, casting="same_kind")
        self.decay, self.warmup, self.updates = float(state["decay"]), bool(state["warmup"]), int(state["updates"])

    def _refuse_while_applied(self, what: str) -> None:
        if self._applied:
            raise RuntimeError(
                f"{what} inside of `with ema.applied()`: the parameters are the averages there, and averaging them "
                f"with themselves is no update.  Call {what} after the block."
            )

    def _check_shapes(self) -> None:
        for tensor, average in zip(self.parameters, self.averages, strict=True):
            if tensor.shape != average.shape:
                raise ShapeError(
                    f"{tensor.describe()} had shape {average.shape} when its average was made.  Make a new EMA after "
                    "changing what it averages."
                )
