"""Every layer, by the table: gradients, states, dtypes, seeds, and how it is shown."""

import copy
import pickle

import numpy as np
import pytest
from layers import LAYERS, build, inputs_of
from sampler import Sampler

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.testing import check_module

NAMES = list(LAYERS)
BARE = [name for name in NAMES if not list(build(name).children())]


def arrays(out):
    """The arrays of what a layer returns."""
    if isinstance(out, tuple):
        return [array for x in out for array in arrays(x)]
    return [out.data if isinstance(out, tg.Tensor) else out]


def same(out, other):
    for a, b in zip(arrays(out), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_first_and_second_order(name):
    check_module(build(name), *inputs_of(name, Sampler()), order=2, entries=20)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_makes_another_one_the_same(name):
    layer, other, given = build(name, 0), build(name, 1), inputs_of(name, Sampler())
    layer(*given)  # running statistics move
    other.load_state_dict(layer.state_dict())
    same(other.eval()(*given), layer.eval()(*given))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_the_dtype_stays(name, dtype):
    layer, given = build(name, dtype=dtype), inputs_of(name, Sampler(), dtype)
    given = [tg.Tensor(x, requires_grad=True) if getattr(x, "dtype", None) == dtype else x for x in given]
    out = layer(*given)
    assert {x.dtype for x in arrays(out)} == {np.dtype(dtype)}
    (out if isinstance(out, tg.Tensor) else out[0]).sum().backward()
    grads = [p.grad for p in [*layer.parameters(), *given] if isinstance(p, tg.Tensor)]
    assert {g.dtype for g in grads if g is not None} <= {np.dtype(dtype)}
    assert all(g is not None for g in grads)


@pytest.mark.parametrize("name", NAMES)
def test_built_in_single_precision(name):
    layer = LAYERS[name][0]()
    assert {p.dtype for p in layer.parameters()} <= {np.dtype(np.float32)}
    if "Loss" not in name:  # their weights are what the user gave
        assert {b.dtype for _, b in layer.named_buffers() if b.dtype.kind == "f"} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_all(name):
    given = inputs_of(name, Sampler())
    make = LAYERS[name][0]
    layers = [make().astype(np.float64).seed(seed) for seed in (3, 3, 4)]
    outs = [layer(*given) for layer in layers]
    same(outs[0], outs[1])
    drawn = any(p.data.std() for p in layers[0].parameters()) or any(layers[0].named_generators())
    if drawn:
        assert any(np.any(a != b) for a, b in zip(arrays(outs[0]), arrays(outs[2]), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_running_changes_nothing(name):
    layer, given = build(name).eval(), inputs_of(name, Sampler())
    before = layer.state_dict()
    same(layer(*given), layer(*given))
    for path, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[path])


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_the_same_and_apart(name):
    layer, given = build(name), inputs_of(name, Sampler())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert not {id(p) for p in other.parameters()} & {id(p) for p in layer.parameters()}
        same(other(*given), copy.deepcopy(layer)(*given))


@pytest.mark.parametrize("name", BARE)
def test_its_text_builds_it_again(name):
    layer = LAYERS[name][0]()
    if "array" in repr(layer):
        pytest.skip("arrays are not written out")
    again = eval(repr(layer) if repr(layer).endswith(")") else f"{layer!r}()", vars(nn))
    assert repr(again) == repr(layer)
    assert [(n, a.shape) for n, a in again.state_dict().items()] == [
        (n, a.shape) for n, a in layer.state_dict().items()
    ]
