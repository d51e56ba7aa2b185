"""Short words that several test files share."""

import numpy as np

from tinygrad_np import Tensor


def parameter(array, **options):
    """A leaf that requires grad."""
    return Tensor(array, requires_grad=True, **options)


def equal(got, expected):
    """Entries agree to rounding; a tensor counts by its values."""
    np.testing.assert_allclose(got.data if isinstance(got, Tensor) else got, expected, rtol=1e-13, atol=1e-14)
