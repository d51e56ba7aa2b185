"""derive() on every op of the table: what it writes out is right, and what it cannot write out it refuses."""

import numpy as np
import pytest
from test_ops import DIFFERENTIABLE, Case

import tinygrad_np as tg
from tinygrad_np.derive import DeriveError, derive

REAL = [
    p for p in DIFFERENTIABLE
    if all(a.dtype == np.float64 for a in Case(*p.values).arrays) and Case(*p.values).arrays
]  # fmt: skip


def derived(function, call):
    """Whether a derivation was found, which then agrees with autograd."""
    case = Case(function, call)
    tensors = [tg.Tensor(a, requires_grad=True, name=f"x{i}") for i, a in enumerate(case.arrays)]
    loss = case.weighted(*tensors)
    if not isinstance(loss, tg.Tensor) or not loss.requires_grad:
        return None  # nothing that depends on the arrays
    try:
        derivation = derive(loss, {})
    except DeriveError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "Please report" not in refusal
    if refusal:
        return False
    value, gradients = derivation.run()
    loss.backward()
    assert np.allclose(value, loss.item(), rtol=1e-6, equal_nan=True)
    for tensor in tensors:
        if tensor.grad is not None and tensor.name in gradients:
            assert gradients[tensor.name].shape == tensor.shape
            scale = 1 + np.abs(tensor.grad.data).max(initial=0)
            np.testing.assert_allclose(gradients[tensor.name] / scale, tensor.grad.data / scale, atol=1e-9)
        elif tensor.grad is not None:
            assert not tensor.grad.data.any()
    return True


@pytest.mark.parametrize(("function", "call"), REAL)
def test_a_derivation_is_right_or_refused(function, call):
    with np.errstate(all="ignore"):
        derived(function, call)


def test_most_functions_can_be_derived():
    by_function = {}
    with np.errstate(all="ignore"):
        for function, call in (p.values for p in REAL):
            if not by_function.get(function):
                by_function[function] = derived(function, call)
    found = list(by_function.values())
    # Quantiles, histograms, decompositions and most of scipy.special are no short formulas.
    assert found.count(True) >= 250
