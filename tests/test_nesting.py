"""Transforms inside each other, on every function of the op table, against one example after the other."""

import warnings

import numpy as np
import pytest
from test_ops import DIFFERENTIABLE, Case, all_argnums

import tinygrad_np as tg
from tinygrad_np.errors import LoopWarning
from tinygrad_np.transforms.trees import tree_leaves

COMPARABLE = [
    p for p in DIFFERENTIABLE
    if Case(*p.values).arrays and not any(value is np.float32 for value in p.values[1].options.values())
]  # fmt: skip


def of_all(f, batch):
    """What f gives for each example, stacked."""
    return [np.stack(each) for each in zip(*[f(*[b[i] for b in batch]) for i in range(len(batch[0]))], strict=True)]


def gradient_of_vmap(f, argnums, batch):
    return tg.grad(lambda *b: np.sum(tg.vmap(f)(*b)), argnums)(*batch), of_all(tg.grad(f, argnums), batch)


def gradient_of_vmap_of_gradient(f, argnums, batch):
    def inner(*xs):
        return sum(np.sum(np.real(np.sin(g))) for g in tg.grad(f, argnums)(*xs))

    return gradient_of_vmap(inner, argnums, batch)


def vmap_of_vmap_of_gradient(f, argnums, batch):
    g = tg.grad(f, argnums)
    batches = [np.stack([b, 1.01 * b]) for b in batch]
    return tg.vmap(tg.vmap(g))(*batches), of_all(lambda *bs: of_all(g, bs), batches)


def vmap_of_forward_over_reverse(f, argnums, batch):
    def second(*xs):
        return tg.jvp(tg.grad(f, argnums), xs, tuple(np.cos(x) for x in xs))[1]

    return tg.vmap(second)(*batch), of_all(second, batch)


def an_outer_variable(f, argnums, batch):
    def with_w(w, xs):
        return sum(np.sum(np.real(np.sin(g))) for g in tg.grad(lambda *ys: f(*[y * w for y in ys]), argnums)(*xs))

    at_once = tg.grad(lambda w: np.sum(tg.vmap(lambda *xs: with_w(w, xs))(*batch)))(1.0)
    return [at_once], [tg.grad(lambda w: sum(with_w(w, [b[i] for b in batch]) for i in range(len(batch[0]))))(1.0)]


NESTINGS = [
    gradient_of_vmap, gradient_of_vmap_of_gradient, vmap_of_vmap_of_gradient, vmap_of_forward_over_reverse,
    an_outer_variable,
]  # fmt: skip


@pytest.mark.parametrize("nested", NESTINGS)
@pytest.mark.parametrize(("function", "call"), COMPARABLE)
def test_nested_transforms(function, call, nested):
    case = Case(function, call)
    batch = [np.stack([a, 0.97 * a, 1.02 * a]) for a in case.arrays]
    if function is np.angle and nested is an_outer_variable:
        pytest.skip("the angle of w z is that of z: what is left is rounding")
    if isinstance(case.weighted(*case.arrays), int):
        pytest.skip("nothing in the result has a derivative")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", LoopWarning)
        got, expected = nested(case.weighted, all_argnums(case.arrays), batch)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-6, atol=1e-8 * max(1, np.max(np.abs(e), initial=0)))


@pytest.mark.parametrize(("function", "call"), COMPARABLE)
def test_both_modes_give_one_jacobian(function, call):
    case = Case(function, call)
    if sum(a.size for a in case.arrays) > 40 or any(a.dtype.kind == "c" for a in case.arrays):
        pytest.skip("large, or complex")

    def real_results(*xs):
        return [o for o in tree_leaves(case(*xs)) if getattr(o, "dtype", np.dtype(bool)).kind == "f"]

    reverse, forward = (
        list(tree_leaves(tg.jacobian(real_results, all_argnums(case.arrays), mode=mode)(*case.arrays)))
        for mode in ("reverse", "forward")
    )
    for r, f in zip(reverse, forward, strict=True):
        np.testing.assert_allclose(r, f, rtol=1e-8, atol=1e-9)
