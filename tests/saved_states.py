"""What the tests of saved files share: which formats there are, and when two states are the same."""

import os

import numpy as np
import pytest

try:
    import safetensors.numpy as st_numpy
except ImportError:
    st_numpy = None

needs_safetensors = pytest.mark.skipif(st_numpy is None, reason="needs safetensors")
ENDINGS = ["npz", pytest.param("safetensors", marks=needs_safetensors)]
posix = pytest.mark.skipif(os.name != "posix", reason="rights, links and signals as POSIX has them")


def same(a, b):
    """Whether two states are equal in everything: types, order of keys, dtypes, shapes and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return (a.dtype.str, a.shape, a.tobytes()) == (b.dtype.str, b.shape, b.tobytes())
    return repr(a) == repr(b)
