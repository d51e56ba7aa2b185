"""Modules that hold others, and those that change shapes alone."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import ShapeError


def named():
    return nn.Sequential({"first": nn.Linear(3, 4), "act": np.tanh, "last": nn.Linear(4, 2)})


def test_layers_by_place_name_and_slice():
    model = named()
    assert model["first"] is model[0] is model[-3] is model[np.int64(0)]
    assert model["act"] is np.tanh
    assert list(model[1:]) == [model[1], model[2]]
    assert model[1:]["last"] is model[2]
    plain = nn.Sequential(np.sin, np.cos)
    assert plain["1"] is plain[1] is np.cos


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ("head", KeyError, "no layer 'head'.*first, act, last"),
        ("forward", KeyError, "no layer 'forward'"),
        ("_names", KeyError, "no layer '_names'"),
        (3, IndexError, "3 layers, and none at 3.*first, act, last"),
        (-4, IndexError, "none at -4"),
        (1.0, TypeError, r"no layer 1\.0.*a place, a slice, or one of the names"),
        (True, TypeError, "no layer True"),
    ],
)
def test_layers_that_are_not_there(index, error, words):
    with pytest.raises(error, match=words):
        named()[index]


@pytest.mark.parametrize("sizes", [(2, 3, 4), (2, -1, 4), (-1, 3, 4), [24], (1, 24, 1)])
@pytest.mark.parametrize("axis", [1, -2])
def test_unflatten_is_reshape_of_one_axis(sizes, axis):
    x = np.arange(5.0 * 24 * 2).reshape(5, 24, 2)
    whole = tuple(24 // -np.prod(sizes) if size == -1 else size for size in sizes)
    np.testing.assert_array_equal(nn.Unflatten(axis, sizes)(x), x.reshape(5, *whole, 2))


def test_unflatten_takes_back_flatten():
    x = np.arange(120.0).reshape(5, 2, 3, 4)
    np.testing.assert_array_equal(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 3, 4)))(x), x)


def test_unflatten_without_samples():
    assert nn.Unflatten(1, (3, -1))(np.zeros((0, 12))).shape == (0, 3, 4)
    assert nn.Unflatten(0, (-1, 2))(np.zeros((0, 3))).shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("axis", "sizes", "words"),
    [
        (1, (5, 5), r"axis 1 into \(5, 5\).*\(2, 24\) it is 24 long"),
        (1, (5, -1), r"\(5, -1\).*24 long"),
        (1, (0, -1), r"\(0, -1\).*24 long"),
        (2, (4, 6), r"no axis 2.*\(2, 24\)"),
        (1, (-1, -1), r"\(-1, -1\).*at most one"),
        (1, (-2, 12), r"\(-2, 12\)"),
    ],
)
def test_unflatten_refuses_what_does_not_fit(axis, sizes, words):
    with pytest.raises(ShapeError, match=words):
        nn.Unflatten(axis, sizes)(np.zeros((2, 24)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU), r"number 1 is the class ReLU.*Write ReLU\(\.\.\.\)"),
        (lambda: nn.Sequential([nn.Linear(2, 2)]), r"number 0 is \[Linear\(2, 2\)\].*Sequential\(\*layers\)"),
        (lambda: nn.ReLU(inplace=True), r"ReLU has no setting 'inplace': it calls relu\(x\)"),
    ],
)
def test_slips_are_named_where_the_model_is_built(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_a_layer_can_be_replaced_and_added():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    model(np.ones((1, 3), np.float32))
    model[2] = nn.Linear(4, 5, rng=2)
    assert model.append(nn.ReLU()) is model
    model["0"] = nn.Identity()
    assert [name for name, _ in model.named_parameters()] == ["2.weight", "2.bias"]
    loss = np.sum(model(np.ones((2, 4), np.float32)))
    labels = [group.label for group in tg.draw(loss).view.groups if group.kind == "scope"]
    assert labels == ["Sequential", "2", "3"]  # what stands before needs no gradient
    assert len(model) == 4
    with pytest.raises(IndexError, match="has 4 layers, and none at 4"):
        model[4] = nn.ReLU()
    with pytest.raises(TypeError, match="class ReLU"):
        model.append(nn.ReLU)
