"""Methods that tensors of PyTorch have: each error says what to write, and what it says is right."""

import re

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.engine.protocols import HABITS

X = np.arange(1.0, 13.0).reshape(2, 6)
SCOPE = {
    "np": np, "tg": tg, "t": tg.Tensor(X.reshape(2, 2, 3)), "other": tg.Tensor(np.ones((2, 2, 3))), "axis": 1,
    "shape": (4, 2, 2, 3), "start": 0, "stop": 1, "index": 1, "count": 2, "low": 2.0, "high": 5.0, "value": 0.0,
    "mask": X.reshape(2, 2, 3) > 4,
}  # fmt: skip


def advice(name, tensor=None):
    with pytest.raises(AttributeError, match=f"a Tensor has no '{name}'") as caught:
        getattr(tg.Tensor(X) if tensor is None else tensor, name)
    return str(caught.value)


@pytest.mark.parametrize("name", HABITS)
def test_what_is_advised_runs(name):
    written = re.search(r"Write (.*)\.$", advice(name))[1]
    scope = {**SCOPE, "t": tg.Tensor(X.reshape(2, 2, 3))}
    if name in ("mm", "bmm"):
        scope["other"] = tg.Tensor(np.ones((2, 3, 4)))
    if name == "gather":
        scope["index"] = np.zeros((2, 1, 3), int)
    for way in written.split(" or "):
        exec(f"result = {way}" if " = " not in way else way, scope)
    assert scope.get("result", 0) is not None or name == "grad_fn"


@pytest.mark.parametrize(
    ("name", "written", "right"),
    [
        ("view", "t.reshape(2, -1)", X),
        ("unsqueeze", "np.expand_dims(t, axis)", X.reshape(2, 1, 2, 3)),
        ("permute", "t.transpose(1, 0, 2)", np.moveaxis(X.reshape(2, 2, 3), 0, 1)),
        ("clamp", "np.clip(t, low, high)", np.minimum(np.maximum(X, 2), 5).reshape(2, 2, 3)),
        ("masked_fill", "np.where(mask, value, t)", (X * (X <= 4)).reshape(2, 2, 3)),
    ],
)
def test_it_is_what_the_method_does(name, written, right):
    assert written in advice(name)
    np.testing.assert_array_equal(eval(written, SCOPE).data, right)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cuda", "no devices.*Leave it away"),
        ("to", r"t\.astype\(np\.float32\)"),
        ("float", r"t\.astype\(np\.float32\)"),
        ("long", r"t\.astype\(np\.int64\)"),
        ("add_", r"cannot be recorded.*t\.data\[\.\.\.\] = "),
        ("exp", r"Write np\.exp\(t\)"),
        ("nowhere", r"a Tensor has no 'nowhere'\.$"),
        ("ndarray", r"a Tensor has no 'ndarray'\.$"),
        ("__array_interface__", r"a Tensor has no '__array_interface__'\.$"),
    ],
)
def test_others(name, why):
    assert re.search(why, advice(name))
    assert not hasattr(tg.Tensor(X), name)
    assert getattr(tg.Tensor(X), name, 3) == 3
