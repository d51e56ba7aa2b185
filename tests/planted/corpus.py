"""A planted mistake as data, and what is made of one: arrays, gradients, functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import tinygrad_np as tg
from planted.networks import Network, Step, Values

Edits = Mapping[str, Step]
"""A step's name and the formula that stands in its place.

"loss" is the value that the program reports; "before" runs first and may do to the arrays what it likes.
"""


class Mistake(NamedTuple):
    """A way to write backpropagation wrong."""

    key: str
    variant: str
    edits: Callable[[Network], Edits]
    fits: Callable[[Network], bool] = lambda net: True
    also: tuple[str, ...] = ()
    """Other keys that say the same of these numbers: -2 is a sign and a factor."""
    setup: Callable[[Network, dict[str, np.ndarray]], None] | None = None
    """Changes the arrays in place before anything is computed, such as to put zeros where a kink is."""
    only: str = ""
    """"functions": it needs a hand-written function to call; "arrays": it cannot be seen in other numbers."""

    def __str__(self) -> str:
        return f"{self.key}: {self.variant}"


class Planted(NamedTuple):
    """A mistake in a network, with numbers."""

    mistake: Mistake
    network: Network
    arrays: dict[str, np.ndarray]

    def __str__(self) -> str:
        return f"{self.mistake}, {self.network}"

    # -- arguments for compare_grads ------------------------------------------------------------

    def as_arrays(self, intermediates: bool = True) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """`hand`, `tensors` and `loss`: the gradients as arrays, beside a recorded loss."""
        return as_arrays(self.network, self.arrays, self.mistake.edits(self.network), intermediates)

    def as_functions(self) -> tuple[Callable, dict[str, np.ndarray], Callable]:
        """The same as functions that can be called again, with other numbers."""
        return as_functions(self.network, self.arrays, self.mistake.edits(self.network))

    # -- what to expect -------------------------------------------------------------------------

    @property
    def keys(self) -> tuple[str, ...]:
        """The names that are right for it."""
        return (self.mistake.key, *self.mistake.also)

    def wrong(self, either_way: bool = True) -> list[str]:
        """The gradients (and "loss") that differ from the right ones, in the order in which they are computed.

        `either_way`: an intermediate may or may not have the 1/m in it, and both are right.
        """
        right, planted = self._gradients({}), self._gradients(self.mistake.edits(self.network))
        m = self.network.samples
        tolerance = 1e-4 if self.network.dtype == np.float32 else 1e-9

        def differs(name: str) -> bool:
            factors = [1, m, 1 / m] if either_way and name[1] not in "Wbo" else [1]
            return not any(_alike(planted[name], right[name] * factor, tolerance) for factor in factors)

        return [name for name in right if differs(name)]

    def first(self, intermediates: bool = True) -> tuple[str, ...]:
        """The first wrong one, as the report should say it; the loss comes before everything.

        dW and db of a layer are equally far from the loss: where both are wrong, either may come first.
        """
        if self.mistake.key == "accumulated":
            # The first call is right, and the next adds to it.
            return f"dW{self.network.depth}", f"db{self.network.depth}"
        seen = [name for name in self.wrong() if intermediates or name[:2] in ("dW", "db", "lo")]
        beside = f"db{seen[0][2:]}" if seen and seen[0][1] == "W" else ""
        found = [name for name in seen if name in (seen[0], beside)]
        if intermediates:
            found += self.wrong(either_way=False)[:1]
        # The loss from damaged arrays is another one already.
        return (*found, "loss") if self.mistake.key == "changed_in_place" else tuple(found)

    def _gradients(self, edits: Edits) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            v = self.network.forward({name: array.copy() for name, array in self.arrays.items()})
        gradients = self.network.backward(v, edits)
        return {"loss": v["loss"], **gradients}


def _alike(a: Any, b: Any, tolerance: float) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if not np.isfinite(b).all():
        return bool(np.isfinite(a).all())  # the plain formulas break down here, and these do not
    return bool(np.all(np.abs(a - b) <= tolerance * max(np.max(np.abs(b)), 1e-30)))


def planted(mistake: Mistake, network: Network, seed: int = 0) -> Planted:
    """The mistake in the network, with random numbers."""
    arrays = network.arrays(seed)
    if mistake.setup:
        mistake.setup(network, arrays)
    return Planted(mistake, network, arrays)


def as_arrays(
    network: Network, arrays: Mapping[str, np.ndarray], edits: Edits | None = None, intermediates: bool = True
) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Hand-written gradients, Tensors by name, and the recorded loss.

    The hand-written code works on the very arrays of the Tensors, as it does where somebody adds Tensors to a
    program that was there before.
    """
    data = {name: array.copy() for name, array in arrays.items()}
    tensors: dict[str, Any] = {name: tg.Tensor(a, requires_grad=name[0] in "Wb", name=name) for name, a in data.items()}
    with np.errstate(all="ignore"):
        loss, found = network.loss(**tensors)
        v = network.forward({name: tensor.data for name, tensor in tensors.items()})
    gradients = network.backward(v, edits)
    if not intermediates:
        gradients = {name: g for name, g in gradients.items() if name[:2] in ("dW", "db")}
    return {"loss": v["loss"], **gradients}, {**tensors, **found}, loss


def as_functions(
    network: Network, arrays: Mapping[str, np.ndarray], edits: Edits | None = None
) -> tuple[Callable, dict[str, np.ndarray], Callable]:
    """A function from arrays to hand-written gradients, the arrays, and a function from Tensors to the loss."""

    def hand(**given: Any) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            v: Values = network.forward(given)
        gradients = network.backward(v, edits)
        return {"loss": v["loss"], **gradients}

    return hand, {name: array.copy() for name, array in arrays.items()}, network.loss
