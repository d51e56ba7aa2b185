"""States of models: what is saved under which name, and what is loaded, or refused as a whole."""

import numpy as np
import pytest
from tensors import equal, parameter

from tinygrad_np import nn
from tinygrad_np.errors import StateError


class Scale(nn.Module):
    """Multiplies by its one parameter."""

    def __init__(self):
        self.factor = parameter(np.array([1.0, 2.0, 3.0]))

    def forward(self, x):
        return x * self.factor


def test_a_state_is_a_copy():
    model = Scale()
    state = model.state_dict()
    state["factor"][:] = 0
    equal(model.factor, [1, 2, 3])
    model.load_state_dict(state)
    equal(model.factor, np.zeros(3))
    state["factor"][:] = 1
    equal(model.factor, np.zeros(3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("0.weight"), ["'0.weight' of shape (4, 3) is missing"]),
        (lambda s: s.update(extra=np.ones(2)), ["'extra' is not in the model"]),
        (lambda s: s.update({"0.weight": np.ones((3, 4))}), ["'0.weight' has shape (3, 4) instead of (4, 3)"]),
        (lambda s: s.update({"0.weight": np.ones((4, 3), complex)}), ["dtype complex128", "float32"]),
        (
            lambda s: s.update({"model.0.weight": s.pop("0.weight")}),
            ["not in the model (it has '0.weight')", "missing"],
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change, words):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, nn.Linear(4, 1, rng=1))
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with pytest.raises(StateError) as caught:
        model.load_state_dict(state)
    for word in [*words, "Nothing was loaded", "strict=False"]:
        assert word in str(caught.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict_loads_what_is_there():
    model = nn.Linear(3, 2, rng=0)
    bias = model.bias.data.copy()
    model.load_state_dict({"weight": np.ones((2, 3)), "other": np.ones(1)}, strict=False)
    equal(model.weight, np.ones((2, 3)))
    equal(model.bias, bias)
    with pytest.raises(StateError, match="instead of"):
        model.load_state_dict({"weight": np.ones((3, 3))}, strict=False)


def test_a_model_may_be_loaded_from_its_own_arrays():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1))
    first, second = (layer.weight.data.copy() for layer in model)
    model.load_state_dict({"0.weight": model[1].weight, "1.weight": model[0].weight.data}, strict=False)
    equal(model[0].weight, second)
    equal(model[1].weight, first)


def test_one_parameter_is_not_loaded_from_two_different_ones():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1))
    model[1].weight = model[0].weight
    state = model.state_dict()
    state["0.weight"] = state["0.weight"] + 1
    with pytest.raises(StateError, match=r"'0\.weight' and '1\.weight' are one array in the model"):
        model.load_state_dict(state)
    state["1.weight"] = state["0.weight"]
    state["0.bias"][0] = state["1.bias"][0] = np.nan
    model.load_state_dict(state)
    equal(model[1].weight, state["0.weight"])


def test_read_only_arrays_are_saved_and_stay():
    model = nn.Sequential(Scale())
    model.table = nn.functional.sinusoidal_positions(4, 2)
    state = {name: array * 2 if name == "0.factor" else array for name, array in model.state_dict().items()}
    model.load_state_dict(state)
    equal(model[0].factor, state["0.factor"])
    state["table"] = state["table"] + 1
    with pytest.raises(StateError, match="'table' is read-only in the model"):
        model.load_state_dict(state)


@pytest.mark.parametrize("parts", [{"a.b": np.ones(2), "a": {"b": np.ones(3)}}, {1: np.ones(2), "1": np.ones(3)}])
def test_two_arrays_of_one_name_make_no_state(parts):
    model = Scale()
    model.parts = parts
    with pytest.raises(StateError, match=r"two arrays at 'parts\.(a\.b|1)', of shapes \(2,\) and \(3,\)"):
        model.state_dict()


def test_many_faults_are_counted():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)])
    with pytest.raises(StateError, match="and 5 more"):
        model.load_state_dict({})


def test_a_file_name_is_no_state():
    with pytest.raises(TypeError, match=r"load_state_dict\(tg\.load\(path\)\)"):
        nn.Linear(2, 2).load_state_dict("model.npz")
