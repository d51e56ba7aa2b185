"""Mistakes planted in hand-written backpropagation are named right, and right gradients are left alone."""

import numpy as np
import pytest
from planted import KEYS, MISTAKES, NETWORKS, as_arrays, as_functions, cases, correct

from tinygrad_np.testing import assert_grads_match, compare_grads
from tinygrad_np.testing.compare import GradientMismatch

CASES = cases()
FROM_ARRAYS = [case for case in CASES if case.mistake.only != "functions"]
FROM_FUNCTIONS = [case for case in CASES if case.mistake.only != "arrays"][::7]
CORRECT = 200


def named(report):
    """The mistakes that the report gives for the first wrong gradient."""
    return [finding.mistake for finding in report.findings.get(report.first_wrong, [])]


def check(case, report, first):
    if case.mistake.key == "rounding":
        assert report.ok, f"\n{report}"
        return
    assert not report.ok
    assert first, "nothing is wrong here"
    assert report.first_wrong in first, f"{report.first_wrong} instead of {' or '.join(first)}:\n{report}"
    found = named(report)
    assert len(found) <= 2
    assert set(found) & set(case.keys), f"\n{report}"
    assert report.why


# -- the corpus ---------------------------------------------------------------------------------


def test_every_mistake_is_planted_somewhere():
    assert len(KEYS) == 31
    assert {case.mistake for case in CASES} == set(MISTAKES)


@pytest.mark.parametrize("net", [*NETWORKS, *map(correct, range(20))], ids=str)
def test_without_a_mistake_the_hand_written_gradients_are_the_numeric_ones(net):
    arrays = {name: array.astype(np.float64) for name, array in net.arrays(1).items()}
    right = net.backward(net.forward(arrays))
    rng = np.random.default_rng(0)
    for name in [name for name in arrays if name[0] in "Wb"]:
        direction = rng.normal(size=arrays[name].shape)
        moved = [net.forward(arrays | {name: arrays[name] + h * direction})["loss"] for h in (1e-6, -1e-6)]
        expected = (moved[0] - moved[1]) / 2e-6
        np.testing.assert_allclose(np.sum(right[f"d{name}"] * direction), expected, rtol=1e-5, atol=1e-7)


# -- named right ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FROM_ARRAYS, ids=str)
def test_is_named_right(case):
    check(case, compare_grads(*case.as_arrays(), numeric=False), case.first())


@pytest.mark.parametrize("case", FROM_FUNCTIONS, ids=str)
def test_is_named_right_from_functions(case):
    check(case, compare_grads(*case.as_functions(), numeric=False), case.first())


# -- no false alarms ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(CORRECT))
def test_right_gradients_are_left_alone(seed):
    net = correct(seed)
    report = compare_grads(*as_arrays(net, net.arrays(seed), intermediates=seed % 3 > 0), numeric=seed % 10 == 0)
    assert report.ok, f"{net!r}\n{report}"
    assert not report.findings


@pytest.mark.parametrize("seed", range(0, CORRECT, 8))
def test_right_functions_are_left_alone(seed):
    net = correct(seed)
    report = compare_grads(*as_functions(net, net.arrays(seed)), numeric=False)
    assert report.ok, f"{net!r}\n{report}"


@pytest.mark.parametrize("net", NETWORKS, ids=str)
def test_right_networks_pass_the_assertion(net):
    assert_grads_match(*as_arrays(net, net.arrays(3)))


def test_two_mistakes_at_once_are_told_apart():
    # The published digits: biases summed over everything, and m from before the split.
    net = next(net for net in NETWORKS if net.name == "D1 split")
    scalars, smaller = (
        next(m.edits(net) for m in MISTAKES if m.variant == variant)
        for variant in ("np.sum(dZ) / m for every db", "divided by 42 where the batch has 41")
    )
    report = compare_grads(*as_arrays(net, net.arrays(), {**smaller, **scalars}))
    found = {name: [finding.mistake for finding in findings] for name, findings in report.findings.items()}
    summed, divided = ["summed_over_everything"], ["full_data_factor"]
    assert found == {"dW2": divided, "db2": summed, "dW1": divided, "db1": summed}


def test_a_planted_mistake_fails_the_assertion():
    case = cases("transposed")[0]
    with pytest.raises(GradientMismatch) as caught:
        assert_grads_match(*case.as_arrays())
    assert caught.value.report.first_wrong in case.first()
    assert case.first()[0] in str(caught.value)
