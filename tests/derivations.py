"""What the tests of derive() have in common."""

import numpy as np

import tinygrad_np as tg
from tinygrad_np.derive import derive

R = np.random.default_rng(1)


def parameter(*shape, seed=0):
    return tg.Tensor(np.random.default_rng([seed, *shape]).normal(size=shape), requires_grad=True)


def agrees(loss, names):
    """Runs the derived source, and compares with autograd; returns the derivation."""
    derivation = derive(loss, names)
    value, gradients = derivation.run()
    loss.backward()
    assert np.allclose(value, loss.item(), rtol=1e4 * np.finfo(loss.dtype).eps)
    parameters = {name: t for name, t in names.items() if isinstance(t, tg.Tensor) and t.is_leaf and t.requires_grad}
    assert parameters.keys() == gradients.keys()
    for name, t in parameters.items():
        assert gradients[name].shape == t.shape
        assert gradients[name].dtype == t.dtype
        tolerance = 1e4 * np.finfo(t.dtype).eps
        np.testing.assert_allclose(gradients[name], t.grad.data, rtol=tolerance, atol=tolerance)
    return derivation
