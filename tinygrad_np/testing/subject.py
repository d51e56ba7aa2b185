"""What `check_grad` looks at: a function of arrays in any structure, as one from a list of arrays to a list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from ..engine.door import bare
from ..engine.tensor import Tensor
from ..errors import DtypeError, InPlaceError
from ..transforms.gradients import grad
from ..transforms.trees import tree_leaves, tree_map
from .arguments import check_place
from .numeric import wide


class Subject:
    """`f` as a function of the arrays that are differentiated.

    `leaves`: those arrays; `labels`: what to call each; `run(*leaves)`: the floating results, a list.
    """

    def __init__(self, f: Callable[..., Any], arrays: tuple, argnums: int | Sequence[int] | None) -> None:
        self.name = getattr(f, "__name__", type(f).__name__)
        self._f, self._arrays = f, list(arrays)
        leaves = list(tree_leaves(self._arrays))
        wanted = _wanted(self._arrays, argnums, self.name)
        self._chosen = [i for i, owner in enumerate(_owners(self._arrays)) if wanted(owner, leaves[i])]
        self.leaves = [np.array(bare(leaves[i])) for i in self._chosen]
        self.labels = _labels(f, self._arrays, self._chosen)
        self._others = [(a, a.copy()) for a in map(bare, leaves) if isinstance(a, np.ndarray)]
        if not self.leaves:
            raise DtypeError(
                f"check_grad has nothing to differentiate {self.name} with respect to: among {len(leaves)} arrays and "
                f"numbers ({', '.join(str(np.asarray(bare(x)).dtype) for x in leaves) or 'none'}) no floating one "
                "requires grad.  Make them floating, and tensors with requires_grad=True."
            )

    def run(self, *given: Any, in_float64: bool = False) -> list[Any]:
        """The results that can carry a gradient, for tensors or arrays in the place of the leaves."""
        at = dict(zip(self._chosen, given, strict=True))
        position = count()

        def place(leaf: Any) -> Any:
            i = next(position)
            return at[i] if i in at else wide(leaf) if in_float64 else leaf

        out = self._f(*tree_map(place, self._arrays))
        return [o for o in tree_leaves(out) if _is_floating(o)]

    def wide(self, *given: Any) -> list[np.ndarray]:
        """The results for plain arrays, everything in float64."""
        return [np.asarray(bare(o)) for o in self.run(*given, in_float64=True)]

    def values(self) -> list[np.ndarray]:
        """The results at the point itself, in float64."""
        with np.errstate(all="ignore"):
            outs = self.wide(*[wide(x.copy()) for x in self.leaves])
        self.check_unchanged()
        if not outs:
            raise DtypeError(
                f"{self.name} gives no floating-point numbers, and others have no derivative.  Return the array or "
                "the loss itself; of several results the whole numbers are left out."
            )
        return outs

    def gradient(self, cotangents: list[np.ndarray], rng: np.random.Generator) -> Subject:
        """The gradient as a subject of its own: one number, its entries weighted at random."""
        result = Subject.__new__(Subject)
        result.__dict__.update(self.__dict__)
        run, everything = self.run, tuple(range(len(self.leaves)))
        weights = [draw(rng, x.shape, wide(x).dtype) for x in self.leaves]

        def slope(*given: Any, in_float64: bool = False) -> list[Any]:
            def number(*leaves: Any) -> Any:
                pairs = zip(cotangents, run(*leaves, in_float64=in_float64), strict=True)
                return sum(np.sum(np.real(np.conj(c) * o)) for c, o in pairs)

            gradients = grad(number, everything)(*given)
            return [sum(np.sum(np.real(np.conj(w) * g)) for w, g in zip(weights, gradients, strict=True))]

        result.run = slope  # type: ignore[method-assign]
        return result

    def check_unchanged(self) -> None:
        """Raise InPlaceError if the caller's own arrays have changed."""
        for now, before in self._others:
            if not np.array_equal(now, before, equal_nan=now.dtype.kind in "fc"):
                where = tuple(int(i) for i in np.argwhere(np.asarray(now != before))[0])
                raise InPlaceError(
                    f"{self.name} wrote into an array it was given: at {list(where)} stood {before[where]}, and now "
                    f"{now[where]}.  Its caller does not expect that.  Work on a copy: x = x.copy()."
                )


def _wanted(arrays: list[Any], argnums: int | Sequence[int] | None, name: str) -> Callable[[int, Any], bool]:
    if argnums is None:
        return lambda owner, leaf: _is_floating(leaf) and not (isinstance(leaf, Tensor) and not leaf.requires_grad)
    several = isinstance(argnums, tuple | list | range | np.ndarray)
    numbers: list[Any] = list(argnums) if several else [argnums]  # type: ignore[arg-type]
    for i in numbers:
        check_place(i, "argnums", name, len(arrays))
        if not -len(arrays) <= i < len(arrays):
            raise IndexError(
                f"argnums names argument {i} of {name}, and it is given {len(arrays)}.  Count from 0, up to "
                f"{len(arrays) - 1}."
            )
        if not any(map(_is_floating, tree_leaves(arrays[i]))):
            dtypes = ", ".join(str(np.asarray(bare(x)).dtype) for x in tree_leaves(arrays[i]))
            raise DtypeError(
                f"argnums names argument {i} of {name}, which holds no floating-point numbers ({dtypes or 'nothing'}): "
                "they have no derivative.  Make them floating, np.asarray(x, float), or name another argument."
            )
    chosen = {i % len(arrays) for i in numbers}
    return lambda owner, leaf: owner in chosen and _is_floating(leaf)


def _owners(arrays: list[Any]) -> list[int]:
    """The argument that each leaf belongs to."""
    return [i for i, argument in enumerate(arrays) for _ in tree_leaves(argument)]


def _labels(f: Callable[..., Any], arrays: list[Any], chosen: list[int]) -> list[str]:
    try:
        names = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):  # ufuncs have no signature
        names = []
    owners, leaves = _owners(arrays), list(tree_leaves(arrays))
    labels = []
    for i in chosen:
        owner = owners[i]
        name = getattr(leaves[i], "name", None) or (names[owner] if owner < len(names) else None)
        place = f", array {i - owners.index(owner)} in it" if owners.count(owner) > 1 else ""
        labels.append(f"argument {owner}{f' ({name})' if name else ''}{place}")
    return labels


def _is_floating(value: Any) -> bool:
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    return dtype.kind in "fc"


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Random weights of both signs, none near 0."""

    def real() -> Any:
        return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)

    drawn = real() + 1j * real() if np.dtype(dtype).kind == "c" else real()
    return np.asarray(drawn).astype(dtype)


def unit_tangent(x: np.ndarray, i: int, unit: complex) -> np.ndarray:
    """A tangent that moves one entry."""
    tangent = np.zeros(x.shape, x.dtype)
    tangent.flat[i] = unit
    return tangent
