"""Networks with hand-written backpropagation, and the mistakes that people make in it, planted.

`MISTAKES` are data: `cases()` puts each into every network it fits.  `correct(seed)` is a random network whose
hand-written gradients are right.
"""

from collections.abc import Iterable

from planted.corpus import Mistake, Planted, as_arrays, as_functions, planted
from planted.formulas import FORMULAS
from planted.habits import HABITS
from planted.networks import D1, D2, D2_SQUARED, D3, NETWORKS, Network
from planted.random_networks import correct

MISTAKES: list[Mistake] = [*HABITS, *FORMULAS]
KEYS = list(dict.fromkeys(mistake.key for mistake in MISTAKES))


def cases(key: str | None = None, networks: Iterable[Network] = NETWORKS, seed: int = 0) -> list[Planted]:
    """Every mistake (or those of one key) in every network it fits and in which it changes something."""
    chosen = [mistake for mistake in MISTAKES if key in (None, mistake.key)]
    found = [planted(mistake, net, seed) for mistake in chosen for net in networks if mistake.fits(net)]
    if networks is NETWORKS:
        return found
    return [case for case in found if case.mistake.key in ("accumulated", "kink_convention") or case.wrong()]


__all__ = [
    "D1", "D2", "D2_SQUARED", "D3", "KEYS", "MISTAKES", "NETWORKS", "Mistake", "Network", "Planted",
    "as_arrays", "as_functions", "cases", "correct", "planted",
]  # fmt: skip
