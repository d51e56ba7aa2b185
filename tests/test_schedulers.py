"""Schedules of rates: PyTorch's values, alone, one after another and together."""

import json
import warnings

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import optim
from tinygrad_np.errors import RangeError

STEPS = 100
TWO_GROUPS = [0.1, 0.03]


def ours(kind="SGD", rates=TWO_GROUPS, **options):
    groups = [{"params": [tg.Tensor([1.0], requires_grad=True)], "lr": rate} for rate in rates]
    return getattr(optim, kind)(groups, **options)


def theirs(torch, kind="SGD", rates=TWO_GROUPS, **options):
    groups = [{"params": [torch.tensor([1.0], requires_grad=True)], "lr": rate} for rate in rates]
    return getattr(torch.optim, kind)(groups, **options)


def chained(S, optimizer, *makers):
    return S.ChainedScheduler([make(S, optimizer) for make in makers])


def in_turn(milestones, *makers):
    return lambda S, optimizer: S.SequentialLR(optimizer, [make(S, optimizer) for make in makers], milestones)


CASES = {
    "step": lambda S, o: S.StepLR(o, 7, 0.8),
    "multi-step": lambda S, o: S.MultiStepLR(o, [40, 3, 3, 90], 0.5),
    "exponential": lambda S, o: S.ExponentialLR(o, 0.97),
    "constant": lambda S, o: S.ConstantLR(o, 0.25, 9),
    "constant defaults": lambda S, o: S.ConstantLR(o),
    "linear": lambda S, o: S.LinearLR(o, 0.1, 0.7, 30),
    "linear defaults": lambda S, o: S.LinearLR(o),
    "linear to zero": lambda S, o: S.LinearLR(o, 1.0, 0.0, 20),
    "polynomial": lambda S, o: S.PolynomialLR(o, 80, 1.7),
    "polynomial defaults": lambda S, o: S.PolynomialLR(o),
    "cosine": lambda S, o: S.CosineAnnealingLR(o, 100),
    "cosine over and over": lambda S, o: S.CosineAnnealingLR(o, 30, 0.01),
    "lambda": lambda S, o: S.LambdaLR(o, lambda t: 0.95**t),
    "lambdas": lambda S, o: S.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: (t + 1) / 50]),
    "warm restarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 13),
    "warm restarts longer": lambda S, o: S.CosineAnnealingWarmRestarts(o, 5, 2, 0.001),
    "one cycle": lambda S, o: S.OneCycleLR(o, 0.5, 110),
    "one cycle linear": lambda S, o: S.OneCycleLR(o, [0.5, 1.0], epochs=10, steps_per_epoch=11, pct_start=0.41,
                                                  anneal_strategy="linear", div_factor=10.0, final_div_factor=50.0),
    "one cycle of three": lambda S, o: S.OneCycleLR(o, 0.5, 101, three_phase=True, cycle_momentum=False),
    "one cycle at once": lambda S, o: S.OneCycleLR(o, 0.5, 101, pct_start=0.0),
    "warm-up and cosine": in_turn([10], lambda S, o: S.LinearLR(o, 0.1, total_iters=10),
                                  lambda S, o: S.CosineAnnealingLR(o, 90, 0.002)),
    "three in turn": in_turn([20, 55], lambda S, o: S.ConstantLR(o, 0.1, 20), lambda S, o: S.ExponentialLR(o, 0.9),
                             lambda S, o: S.CosineAnnealingWarmRestarts(o, 15)),
    "from the second": in_turn([0], lambda S, o: S.ConstantLR(o, 0.1, 20), lambda S, o: S.StepLR(o, 9)),
    "chained": lambda S, o: chained(S, o, lambda S, o: S.ConstantLR(o, 0.1, 15), lambda S, o: S.ExponentialLR(o, 0.98)),
    "chained four": lambda S, o: chained(S, o, lambda S, o: S.LinearLR(o, 0.2, total_iters=11),
                                         lambda S, o: S.MultiStepLR(o, [30, 60]), lambda S, o: S.PolynomialLR(o, 150),
                                         lambda S, o: S.CosineAnnealingLR(o, 120, 0.001)),
}  # fmt: skip


def rates(scheduler, optimizer, steps=STEPS, act=lambda t: None):
    """The rates at t = 0, 1, ..., `steps`, with the momenta if there are any."""
    shown = []
    for t in range(steps + 1):
        if t:
            optimizer.step()
            act(t)
            scheduler.step()
        shown.append([float(group["lr"]) for group in optimizer.param_groups])
        assert list(scheduler.get_last_lr()) == shown[-1]
        shown[-1] += [group["momentum"] for group in optimizer.param_groups if "momentum" in group]
    return np.array(shown)


@pytest.mark.parametrize("case", CASES)
def test_a_hundred_steps_are_those_of_pytorch(case):
    def with_torch(torch):
        optimizer = theirs(torch, momentum=0.9)
        with warnings.catch_warnings():
            # PyTorch warns of its own way of calling the parts of a sequence.
            warnings.simplefilter("ignore")
            return [rates(CASES[case](torch.optim.lr_scheduler, optimizer), optimizer)]

    (wanted,) = torch_values("schedulers", case, with_torch)
    optimizer = ours(momentum=0.9)
    arrays = [group.arrays["lr"] for group in optimizer.groups]
    mine = rates(CASES[case](optim, optimizer), optimizer)
    np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-16)
    assert all(group.arrays["lr"] is array for group, array in zip(optimizer.groups, arrays, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "threshold": 0.1},
        {"threshold_mode": "abs", "threshold": 0.3, "cooldown": 4, "patience": 3, "factor": 0.7},
        {"mode": "max", "threshold_mode": "abs", "patience": 0, "min_lr": [0.01, 0.02], "factor": 0.5},
        {"patience": 1, "eps": 0.015, "factor": 0.8, "cooldown": 1},
    ],
    ids=str,
)
def test_a_plateau_is_found_as_in_pytorch(options):
    metrics = np.random.default_rng(6).normal(size=STEPS).cumsum() / 5 + 3
    metrics[50] = np.nan

    def run(optimizer, scheduler):
        shown = []
        for metric in metrics:
            scheduler.step(metric)
            shown.append([float(group["lr"]) for group in optimizer.param_groups])
        return np.array(shown)

    def with_torch(torch):
        optimizer = theirs(torch)
        return [run(optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options))]

    (wanted,) = torch_values("schedulers", f"plateau {options}", with_torch)
    optimizer = ours()
    np.testing.assert_allclose(run(optimizer, optim.ReduceLROnPlateau(optimizer, **options)), wanted, rtol=1e-12)
    assert wanted[-1, 0] < TWO_GROUPS[0]


def test_the_first_of_adams_betas_is_cycled():
    def run(optimizer, module):
        scheduler = module.OneCycleLR(optimizer, 0.1, 20, base_momentum=[0.8, 0.6], max_momentum=0.9)
        shown = []
        for _ in range(19):
            optimizer.step()
            scheduler.step()
            shown.append([*optimizer.param_groups[0]["betas"], *optimizer.param_groups[1]["betas"]])
        return np.array(shown)

    (wanted,) = torch_values(
        "schedulers", "cycled betas", lambda torch: [run(theirs(torch, "Adam"), torch.optim.lr_scheduler)]
    )
    np.testing.assert_allclose(run(ours("Adam"), optim), wanted, rtol=1e-12)


@pytest.mark.parametrize("case", ["step", "linear", "cosine", "polynomial"])
def test_schedulers_stepped_side_by_side_multiply_and_keep_what_users_set(case):
    """Also when the rate is changed by hand."""

    def run(optimizer, module):
        first = CASES[case](module, optimizer)
        second = module.ExponentialLR(optimizer, 0.99)

        def act(t):
            if t == 25:
                optimizer.param_groups[0]["lr"] *= 0.5
            second.step()

        shown = []
        for t in range(1, 60):
            optimizer.step()
            act(t)
            first.step()
            shown.append([float(group["lr"]) for group in optimizer.param_groups])
        return np.array(shown)

    (wanted,) = torch_values(
        "schedulers", f"side by side {case}", lambda torch: [run(theirs(torch), torch.optim.lr_scheduler)]
    )
    np.testing.assert_allclose(run(ours(), optim), wanted, rtol=1e-12)


def test_after_its_last_step_one_cycle_stays_where_it_is():
    # PyTorch goes on along the line there, below zero.
    optimizer = ours()
    scheduler = optim.OneCycleLR(optimizer, 0.5, 10, anneal_strategy="linear", cycle_momentum=False)
    shown = rates(scheduler, optimizer, 10)
    np.testing.assert_allclose(shown[9, :2], 0.5 / 25 / 1e4)
    np.testing.assert_array_equal(shown[10], shown[9])


def test_warm_restarts_go_to_parts_of_an_epoch():
    def run(optimizer, module):
        scheduler = module.CosineAnnealingWarmRestarts(optimizer, 3, 2)
        shown = []
        for epoch in [0.5, 2.75, 3.25, None, 10.5, None, 26, None]:
            optimizer.step()
            scheduler.step(epoch)
            shown.append([float(group["lr"]) for group in optimizer.param_groups])
        return np.array(shown)

    (wanted,) = torch_values(
        "schedulers", "parts of an epoch", lambda torch: [run(theirs(torch), torch.optim.lr_scheduler)]
    )
    np.testing.assert_allclose(run(ours(), optim), wanted, rtol=1e-12)


@pytest.mark.parametrize("at", [1, 17, 40])
@pytest.mark.parametrize("case", CASES)
def test_going_on_from_a_saved_state_is_bit_for_bit(case, at):
    optimizer = ours(momentum=0.9)
    scheduler = CASES[case](optim, optimizer)
    rates(scheduler, optimizer, at)
    saved = json.loads(json.dumps(scheduler.state_dict()))
    kept = optimizer.state_dict()
    wanted = rates(scheduler, optimizer, 45)

    optimizer = ours(momentum=0.9, rates=[0.7, 0.8])
    scheduler = CASES[case](optim, optimizer)
    optimizer.load_state_dict(kept)
    scheduler.load_state_dict(saved)
    np.testing.assert_array_equal(rates(scheduler, optimizer, 45), wanted)


@pytest.mark.parametrize("kind", ["StepLR", "CosineAnnealingLR", "LinearLR"])
def test_a_rate_set_to_zero_by_hand_and_back_goes_on_as_in_pytorch(kind):
    arguments = {"StepLR": (2, 0.5), "CosineAnnealingLR": (20,), "LinearLR": (0.5, 1.0, 10)}[kind]

    def run(optimizer, schedulers):
        scheduler, written = getattr(schedulers, kind)(optimizer, *arguments), []
        for t in range(8):
            if t in (3, 5):
                for group, rate in zip(optimizer.param_groups, (0.0, 0.4) if t == 3 else (0.3, 0.2), strict=True):
                    group["lr"] = rate
            optimizer.step()
            scheduler.step()
            written.append([group["lr"] for group in optimizer.param_groups])
        return written

    (wanted,) = torch_values(
        "schedulers", f"zero by hand {kind}", lambda torch: [run(theirs(torch), torch.optim.lr_scheduler)]
    )
    np.testing.assert_allclose(run(ours(), optim), wanted, rtol=1e-12)


def test_lengths_are_whole_numbers_of_numpy_too():
    scheduler = optim.CosineAnnealingLR(ours(), np.int64(4))
    scheduler.step()
    assert json.loads(json.dumps(scheduler.state_dict()))["last_epoch"] == 1


def test_a_plateau_goes_on_from_its_state():
    optimizer = ours()
    scheduler = optim.ReduceLROnPlateau(optimizer, patience=2, cooldown=2)
    for metric in [3.0, 2.0, 2.5, tg.Tensor(2.5, requires_grad=True), 2.5, 2.5]:
        scheduler.step(metric)
    other_optimizer = ours()
    other = optim.ReduceLROnPlateau(other_optimizer, patience=2, cooldown=2)
    other_optimizer.load_state_dict(optimizer.state_dict())
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    for metric in [2.5, 2.5, 1.9, 2.5, 2.5, 2.5]:
        scheduler.step(metric)
        other.step(metric)
        assert other.last_lr() == scheduler.last_lr()
    assert other.last_lr()[0] == pytest.approx(1e-3)


def test_last_epoch_goes_on_without_a_saved_scheduler():
    optimizer = ours()
    wanted = rates(optim.ExponentialLR(optimizer, 0.9), optimizer, 10)
    again = ours()
    optim.ExponentialLR(again, 0.9)
    going_on = optim.ExponentialLR(again, 0.9, last_epoch=6)
    np.testing.assert_allclose(rates(going_on, again, 3), wanted[7:], rtol=1e-14)
    with pytest.raises(ValueError, match="initial_lr"):
        optim.ExponentialLR(ours(), 0.9, last_epoch=6)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: optim.StepLR([o], 3), TypeError, "only an optimizer"),
        (lambda o: optim.StepLR(o, 0), ValueError, "step_size=0"),
        (lambda o: optim.LinearLR(o, 0.0), ValueError, "start_factor=0.0"),
        (lambda o: optim.LinearLR(o, total_iters=0), ValueError, "total_iters=0"),
        (lambda o: optim.ConstantLR(o, 2.0), ValueError, "factor=2.0"),
        (lambda o: optim.CosineAnnealingLR(o, 2.5), TypeError, "T_max=2.5"),
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0=0"),
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "-1"),
        (lambda o: optim.LambdaLR(o, [abs]), ValueError, "1 values of lr_lambda for 2 groups"),
        (lambda o: optim.LambdaLR(o, lambda t: -1.0), RangeError, "lr=-0.1"),
        (lambda o: optim.OneCycleLR(o, 0.1), ValueError, "total_steps"),
        (lambda o: optim.OneCycleLR(o, 0.1, 0), ValueError, "total_steps=0"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, pct_start=2.0), ValueError, "pct_start=2.0"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, anneal_strategy="square"), ValueError, "square"),
        (lambda o: optim.OneCycleLR(o, [0.1], 10), ValueError, "1 values of max_lr for 2"),
        (lambda o: optim.OneCycleLR(ours("Adagrad"), 0.1, 10), ValueError, "cycle_momentum=False"),
        (lambda o: [s := optim.OneCycleLR(o, 0.1, 2)] + [s.step() for _ in range(3)], ValueError, "is over"),
        (lambda o: optim.ReduceLROnPlateau(o, "least"), ValueError, "least"),
        (lambda o: optim.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor=1.0"),
        (lambda o: optim.ReduceLROnPlateau(o, patience=-1), ValueError, "patience=-1"),
        (lambda o: optim.SequentialLR(o, [optim.StepLR(o, 3)], [5]), ValueError, r"\[5\]"),
        (lambda o: optim.ChainedScheduler([]), ValueError, "no schedulers"),
        (lambda o: optim.ChainedScheduler([optim.ReduceLROnPlateau(o)]), TypeError, "metric"),
        (lambda o: optim.ChainedScheduler([optim.StepLR(o, 3), optim.StepLR(ours(), 3)]), ValueError, "several"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(ours(momentum=0.9))


def test_states_and_groups_that_do_not_fit_are_refused():
    optimizer = ours()
    scheduler = optim.StepLR(optimizer, 3)
    with pytest.raises(ValueError, match="it is one of ExponentialLR"):
        scheduler.load_state_dict(optim.ExponentialLR(ours(), 0.9).state_dict())
    with pytest.raises(ValueError, match="1 groups"):
        scheduler.load_state_dict(optim.StepLR(ours(rates=[0.1]), 3).state_dict())
    with pytest.raises(ValueError, match="missing"):
        scheduler.load_state_dict({})
    optimizer.add_param_group({"params": [tg.Tensor([1.0], requires_grad=True)]})
    with pytest.raises(ValueError, match="3 now"):
        scheduler.step()
