"""What goes wrong when modules are written: parts not found, parameters that vanish, widths that do not fit."""

import contextlib
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import ShapeError


def test_an_error_says_which_part_it_comes_from():
    model = nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.ReLU(), nn.Linear(6, 2)))
    with pytest.raises(ShapeError) as caught:
        model(np.ones((3, 4), np.float32))
    assert caught.value.__notes__ == ["In Linear(6, 2) at '1.1', called with (3, 5)."]


@pytest.mark.parametrize(
    "lost",
    [np.ones((2, 3)), lambda weight: weight * 2, lambda weight: weight.detach(), 3.0],
    ids=["array", "computed", "detached", "number"],
)
def test_a_parameter_does_not_vanish(lost):
    layer = nn.Linear(3, 2, rng=0)
    value = lost(layer.weight) if callable(lost) else lost
    with pytest.raises(TypeError, match=r"Linear\.weight is a parameter of shape \(2, 3\).*layer|module\.weight\.data"):
        layer.weight = value
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_a_parameter_can_be_replaced_or_left_out():
    layer = nn.Linear(3, 2, rng=0)
    layer.weight = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(np.ones((1, 3))).data.tolist() == [[3.0, 3.0]]


class Watched(nn.Module):
    """Keeps what it computed, and its own running mean."""

    def __init__(self):
        self.layer = nn.Linear(3, 2, rng=0)
        self.mean = np.zeros(2)

    def forward(self, x):
        out = self.layer(x)
        self.hidden, self.several = out.data, {"out": [out.data]}
        self.mean = 0.9 * self.mean + 0.1 * out.data.mean(axis=0)
        return out


@pytest.mark.parametrize("around", [contextlib.nullcontext, tg.no_grad])
def test_what_a_call_keeps_is_no_buffer(around):
    model = Watched()
    names = list(model.state_dict())
    with around():
        model(np.ones((4, 3), np.float32))
    assert list(model.state_dict()) == names == ["layer.weight", "layer.bias", "mean"]
    assert model.state_dict()["mean"].any()
    model.extra = np.ones(2)
    assert "extra" in model.state_dict()


@dataclass
class Pair:
    """Two layers and a number."""

    first: nn.Module
    second: nn.Module
    rate: float = 0.5


def test_parts_in_other_containers_are_found_or_refused():
    model = nn.Module()
    model.pair, model.queue = Pair(nn.Linear(2, 2), nn.Linear(2, 1)), deque([nn.Linear(1, 1, bias=False)])
    names = [name for name, _ in model.named_parameters()]
    assert names == ["pair.first.weight", "pair.first.bias", "pair.second.weight", "pair.second.bias", "queue.0.weight"]
    model.layers = {nn.Linear(1, 1)}
    with pytest.raises(TypeError, match=r"in a set, where they have no names.*Keep them in a list"):
        list(model.parameters())
