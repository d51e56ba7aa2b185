"""Groups of parameters, what optimizers refuse, and going on from a saved state."""

import copy
import json

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import optim
from tinygrad_np.errors import DtypeError, RangeError, ShapeError

KINDS = {
    "SGD": {"momentum": 0.9},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "RMSprop": {"centered": True, "momentum": 0.5, "eps": 1e-3},
    "Adagrad": {"initial_accumulator_value": 0.1},
    "Adadelta": {},
    "Lion": {},
    "LBFGS": {"max_iter": 3, "history_size": 4},
}


def parameter(*shape, dtype=np.float64, seed=0):
    return tg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True, dtype=dtype)


def trained(optimizer, parameters, steps, seed):
    """Steps with gradients that depend on the parameters and on `seed`."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        noise = [rng.normal(size=p.shape) for p in parameters]

        def closure(noise=noise):
            for p, own in zip(parameters, noise, strict=True):
                p.grad = tg.Tensor((p.data + own).astype(p.dtype))
            return sum(float(np.sum(p.data**2 / 2 + p.data * n)) for p, n in zip(parameters, noise, strict=True))

        optimizer.step(closure)


# -- groups -------------------------------------------------------------------------------------


def test_groups_have_hyperparameters_of_their_own_as_in_pytorch():
    def run(adam, make, data):
        a, b, c = make([1.0, 2.0]), make([3.0]), make([4.0])
        optimizer = adam([{"params": [a], "lr": 0.5}, {"params": [b, c], "betas": (0.5, 0.9)}], weight_decay=0.1)
        for t in range(5):
            for p in (a, b, c):
                p.grad = data(p) * 2 + t
            if t == 3:
                optimizer.param_groups[1]["lr"] = 0.25
            optimizer.step()
        return [a, b, c]

    def with_torch(torch):
        make = lambda values: torch.tensor(values, dtype=torch.float64, requires_grad=True)
        return run(torch.optim.Adam, make, lambda p: p.detach())

    wanted = torch_values("optim", "groups", with_torch)
    ours = run(optim.Adam, lambda values: tg.Tensor(values, requires_grad=True), lambda p: tg.Tensor(p.data))
    for mine, other in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(mine.data, other, rtol=1e-13)


def test_a_rate_is_one_array_for_good():
    optimizer = optim.Adam([parameter(3)], lr=0.1)
    (group,) = optimizer.groups
    rate, betas = group.arrays["lr"], group.arrays["betas"]
    group["lr"] = 0.5
    group.betas = (0.5, 0.6)
    group["lr"] *= 2
    assert optimizer.param_groups[0] is group
    assert (group["lr"], group.lr, group["betas"]) == (1.0, 1.0, (0.5, 0.6))
    assert group.arrays["lr"] is rate
    assert group.arrays["betas"] is betas
    assert (rate.dtype, rate.shape, rate.item(), betas.tolist()) == (np.float64, (), 1.0, [0.5, 0.6])


def test_a_momentum_switched_on_later_starts_from_the_gradient_of_then():
    w = tg.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    w.grad = tg.Tensor([1.0])
    optimizer.step()
    optimizer.groups[0].momentum = 0.5
    optimizer.step()
    optimizer.step()
    np.testing.assert_array_equal(w.data, [1.0 - 1.0 - 1.0 - 1.5])


def test_pairs_frozen_tensors_and_groups_added_later():
    a, b, frozen = parameter(2), parameter(3), tg.Tensor([1.0], name="frozen")
    optimizer = optim.SGD([("first", a), ("ice", frozen)], lr=0.5)
    optimizer.add_param_group({"params": b, "lr": 0.25})
    a_before, b_before = a.data.copy(), b.data.copy()
    a.grad, b.grad, frozen.grad = tg.Tensor(np.ones(2)), tg.Tensor(np.ones(3)), tg.Tensor([1.0])
    optimizer.step()
    np.testing.assert_array_equal(a.data, a_before - 0.5)
    np.testing.assert_array_equal(b.data, b_before - 0.25)
    assert frozen.data == [1.0]
    assert [len(group.params) for group in optimizer.groups] == [2, 1]
    assert optimizer.state_dict()["groups"][0]["names"] == ["first", "ice"]


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda w: optim.SGD([]), ValueError, "no parameters"),
        (lambda w: optim.SGD(p for p in ()), ValueError, "no parameters"),
        (lambda w: optim.SGD([tg.Tensor([1.0])]), ValueError, "requires grad"),
        (lambda w: optim.SGD([w, w]), ValueError, "twice"),
        (lambda w: optim.SGD([{"params": [w]}, {"params": [w]}]), ValueError, "twice"),
        (lambda w: optim.SGD([w * 2]), ValueError, "multiply"),
        (lambda w: optim.SGD([np.ones(3)]), TypeError, "ndarray of shape"),
        (lambda w: optim.SGD(w), TypeError, "iterable"),
        (lambda w: optim.SGD({"w": w}), TypeError, "items"),
        (lambda w: optim.SGD([{"params": [w]}, w]), TypeError, "do not mix"),
        (lambda w: optim.SGD([{"params": [w], "rate": 0.1}]), ValueError, "'rate'"),
        (lambda w: optim.SGD([w], lr=-0.1), RangeError, "lr=-0.1"),
        (lambda w: optim.SGD([w], lr=np.nan), RangeError, "lr=nan"),
        (lambda w: optim.SGD([w], lr="fast"), TypeError, "lr='fast'"),
        (lambda w: optim.SGD([w], lr=[0.1, 0.2]), TypeError, "a number"),
        (lambda w: optim.SGD([w], momentum=-1), RangeError, "momentum=-1"),
        (lambda w: optim.SGD([w], nesterov=True), ValueError, "momentum above 0"),
        (lambda w: optim.SGD([w], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "dampening=0"),
        (lambda w: optim.Adam([w], betas=(0.9, 1.0)), RangeError, r"\[0, 1\)"),
        (lambda w: optim.Adam([w], betas=0.9), TypeError, "two numbers"),
        (lambda w: optim.Adam([w], eps=-1e-8), RangeError, "eps"),
        (lambda w: optim.AdamW([w], weight_decay=-1), RangeError, "weight_decay"),
        (lambda w: optim.Adadelta([w], rho=1.5), RangeError, "rho"),
        (lambda w: optim.Adagrad([w], initial_accumulator_value=-1), RangeError, "initial_accumulator_value"),
        (lambda w: optim.LBFGS([w], max_iter=0), ValueError, "max_iter=0"),
        (lambda w: optim.LBFGS([w], tolerance_curvature=-1.0), RangeError, "tolerance_curvature=-1"),
        (lambda w: optim.LBFGS([w], line_search_fn="armijo"), ValueError, "armijo"),
        (lambda w: optim.LBFGS([{"params": [w]}, {"params": [parameter(2)]}]), ValueError, "one group"),
        (lambda w: optim.LBFGS([w, parameter(2, dtype=np.float32)]), ValueError, "float32, float64"),
        (lambda w: optim.LBFGS([w]).step(), TypeError, "closure"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(parameter(3))


def test_groups_refuse_too():
    group = optim.Adam([parameter(3)], lr=0.1).groups[0]
    with pytest.raises(RangeError, match="lr=-1"):
        group["lr"] = -1
    with pytest.raises(ValueError, match="learning_rate"):
        group["learning_rate"] = 1.0
    with pytest.raises(AttributeError, match="learning_rate"):
        _ = group.learning_rate
    with pytest.raises(TypeError, match="taken away"):
        del group["lr"]
    assert group["lr"] == 0.1


@pytest.mark.parametrize(
    ("gradient", "error"),
    [
        (tg.Tensor(np.ones(4)), ShapeError),
        (tg.Tensor(np.ones((3, 1))), ShapeError),
        (tg.Tensor(np.ones(3) * 1j), DtypeError),
        (np.ones(3), TypeError),
    ],
)
def test_a_wrong_gradient_is_found_before_anything_is_changed(gradient, error):
    a, b = parameter(5), parameter(3)
    a.name, b.name = "a", "b"
    optimizer = optim.Adam([a, b])
    before = copy.deepcopy([optimizer.state[p] for p in (a, b)]), a.data.copy()
    a.grad, b.grad = tg.Tensor(np.ones(5)), gradient
    with pytest.raises(error, match="'b'"):
        optimizer.step()
    np.testing.assert_array_equal(a.data, before[1])
    for state, old in zip([optimizer.state[p] for p in (a, b)], before[0], strict=True):
        assert all(np.array_equal(state[name], old[name]) for name in old)


def test_a_parameter_of_another_dtype_than_its_state_is_refused():
    a, w = parameter(2), parameter(3)
    optimizer = optim.Adam([a, w])
    a.grad, before = tg.Tensor(np.ones(2)), a.data.copy()
    w.data, w.grad = w.data.astype(np.float32), tg.Tensor(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="float32 now"):
        optimizer.step()
    w.data = np.broadcast_to(1.0, 3)
    with pytest.raises(ValueError, match="cannot be written"):
        optimizer.step()
    np.testing.assert_array_equal(a.data, before)


def test_copies_are_refused_because_they_would_train_nothing():
    optimizer = optim.SGD([parameter(3)])
    with pytest.raises(TypeError, match="load_state_dict"):
        copy.deepcopy(optimizer)
    assert copy.copy(optimizer.groups[0])["lr"] == 1e-3


# -- saving -------------------------------------------------------------------------------------


def plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return isinstance(value, np.ndarray | int | float | str)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_going_on_from_a_saved_state_is_bit_for_bit(kind, dtype):
    def make():
        parameters = [parameter(*shape, dtype=dtype, seed=i) for i, shape in enumerate([(70, 40), (4,), (2, 3), ()])]
        return parameters, getattr(optim, kind)(parameters, lr=0.1, **KINDS[kind])

    parameters, optimizer = make()
    trained(optimizer, parameters, 4, seed=1)
    saved, weights = optimizer.state_dict(), [p.data.copy() for p in parameters]
    assert plain(saved)
    kept = copy.deepcopy(saved)
    optimizer.groups[0]["lr"] = 0.05
    trained(optimizer, parameters, 4, seed=2)
    # Training on does not change what was saved.
    assert repr(saved) == repr(kept)

    again, other = make()
    trained(other, again, 2, seed=3)
    for p, array in zip(again, weights, strict=True):
        p.data[...] = array
    other.load_state_dict(saved)
    assert other.groups[0]["lr"] == 0.1
    other.groups[0]["lr"] = 0.05
    trained(other, again, 4, seed=2)
    for p, q in zip(parameters, again, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert repr(other.state_dict()) == repr(optimizer.state_dict())


def test_a_state_with_a_momentum_that_came_later_and_a_parameter_that_waits():
    a, b = parameter(3), parameter(4)
    optimizer = optim.SGD([a, b], lr=0.1)
    trained(optimizer, [a], 2, seed=1)
    optimizer.groups[0]["momentum"] = 0.9
    trained(optimizer, [a], 2, seed=2)
    again = [tg.Tensor(p.data, requires_grad=True) for p in (a, b)]
    other = optim.SGD(again, lr=0.1, momentum=0.9)
    other.load_state_dict(optimizer.state_dict())
    trained(optimizer, [a, b], 3, seed=3)
    trained(other, again, 3, seed=3)
    for p, q in zip((a, b), again, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_arrays_that_a_saved_state_did_not_need_start_anew():
    w = parameter(3)
    saved = optim.SGD([w], lr=0.5).state_dict()
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    trained(optimizer, [w], 2, seed=1)
    optimizer.load_state_dict(saved)
    assert (optimizer.groups[0].lr, optimizer.groups[0].momentum) == (0.5, 0.0)
    np.testing.assert_array_equal(optimizer.state[w]["momentum_buffer"], np.zeros(3))


def test_a_state_goes_through_json_and_arrays_of_files():
    w = parameter(3)
    optimizer = optim.Adam([w], amsgrad=True)
    trained(optimizer, [w], 3, seed=1)
    saved = optimizer.state_dict()
    groups = json.loads(json.dumps(saved["groups"]))
    groups[0]["amsgrad"] = np.array(groups[0]["amsgrad"])
    other = optim.Adam([parameter(3)], lr=0.7)
    other.load_state_dict({**saved, "groups": groups})
    assert other.groups[0].amsgrad is True
    assert repr(other.state_dict()) == repr(saved)


def changed(path, value):
    def change(state):
        *way, last = path
        for key in way:
            state = state[key]
        if value is None:
            del state[last]
        else:
            state[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(["optimizer"], "SGD"), "SGD cannot go on in Adam"),
        (changed(["state"], None), "'state' is missing"),
        (changed(["groups"], []), "0 groups"),
        (changed(["groups", 0, "lr"], -1.0), "lr=-1"),
        (changed(["groups", 0, "lr"], None), "'lr'"),
        (changed(["groups", 0, "speed"], 1.0), "'speed'"),
        (changed(["groups", 0, "names"], ["a"]), "parameters in group 0"),
        (changed(["groups", 0, "names"], ["b", "a"]), "'b' where group 0 has 'a'"),
        (changed(["state"], [{}]), "1 parameters"),
        (changed(["state", 1, "exp_avg"], np.ones(4)), r"'exp_avg' of 'b' has shape \(4,\)"),
        (changed(["state", 1, "exp_avg"], None), "'exp_avg' is missing"),
        (changed(["state", 1, "velocity"], np.ones(3)), "'velocity'"),
        (changed(["state", 1, "step"], np.array(1.5)), "no count"),
        (changed(["state", 1, "exp_avg"], np.array(["x", "y", "z"])), "float64 numbers"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, words):
    a, b = parameter(2), parameter(3)
    optimizer = optim.Adam([("a", a), ("b", b)], lr=0.3)
    saved = optimizer.state_dict()
    trained(optimizer, [a, b], 2, seed=1)
    before = repr(optimizer.state_dict())
    saved["groups"][0]["eps"] = 0.5
    saved["state"][0]["step"][...] = 7
    change(saved)
    with pytest.raises((ValueError, TypeError), match=words):
        optimizer.load_state_dict(saved)
    assert repr(optimizer.state_dict()) == before


def test_a_history_that_does_not_fit_changes_nothing():
    w = parameter(3)
    optimizer = optim.LBFGS([w], max_iter=3)
    trained(optimizer, [w], 2, seed=1)
    before = repr(optimizer.state_dict())
    for history in (None, {}, {**optimizer.state_dict()["history"], "last": np.ones(2)}):
        with pytest.raises(ValueError, match="history"):
            optimizer.load_state_dict({**optimizer.state_dict(), "history": history})
    assert repr(optimizer.state_dict()) == before


@pytest.mark.parametrize("make", [lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9), lambda ps: optim.Adam(ps, lr=0.1)])
def test_what_is_unfrozen_later_is_trained_from_then_on(make):
    def run(tensors, frozen_for, steps=6):
        optimizer = make(tensors)
        for step in range(steps):
            tensors[0].requires_grad = step >= frozen_for
            optimizer.zero_grad()
            sum(np.sum((t - 3) ** 2) for t in tensors).backward()
            optimizer.step()
        return optimizer

    first = [tg.Tensor([1.0, 2.0], requires_grad=False), tg.Tensor(5.0, requires_grad=True)]
    optimizer = run(first, frozen_for=2)
    alone = [tg.Tensor([1.0, 2.0], requires_grad=True)]
    run(alone, frozen_for=0, steps=4)
    np.testing.assert_array_equal(first[0].data, alone[0].data)
    copies = [tg.Tensor(t.data.copy(), requires_grad=True) for t in first]
    other = make(copies)
    other.load_state_dict(optimizer.state_dict())
    for tensors, each in ((first, optimizer), (copies, other)):
        each.zero_grad()
        sum(np.sum((t - 3) ** 2) for t in tensors).backward()
        each.step()
    np.testing.assert_array_equal(first[0].data, copies[0].data)
