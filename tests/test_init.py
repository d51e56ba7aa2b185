"""How parameters start: distributions against their formulas, structures against PyTorch."""

import math

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np.errors import DtypeError, InPlaceError, RangeError, ShapeError
from tinygrad_np.nn import init

COUNT = 20_000


def distance(sample, cdf):
    """How far the share of the sample below each of its values is from the truth, at most (Kolmogorov and Smirnov)."""
    sample = np.sort(sample.ravel())
    truth = np.array([cdf(x) for x in sample])
    share = np.arange(len(sample) + 1) / len(sample)
    return max(np.abs(truth - share[1:]).max(), np.abs(truth - share[:-1]).max())


def normal_cdf(x):
    # Of |x|, where no digits are lost, and mirrored.
    return math.erfc(-x / math.sqrt(2)) / 2


def follows(sample, cdf):
    """Whether the sample is from this distribution, by a test that turns away one in ten thousand of those that are."""
    return distance(sample, cdf) < 2.2 / math.sqrt(sample.size)


def test_the_test_of_distributions_can_fail():
    sample = np.random.default_rng(0).normal(0, 1, COUNT)
    assert follows(sample, normal_cdf)
    assert not follows(sample * 1.05, normal_cdf)
    assert not follows(sample + 0.05, normal_cdf)


def test_uniform():
    sample = init.uniform(np.empty(COUNT), -0.5, 1.5, rng=0)
    assert -0.5 <= sample.min() <= sample.max() <= 1.5
    assert follows(sample, lambda x: (x + 0.5) / 2)


def test_normal():
    assert follows(init.normal(np.empty(COUNT), 3.0, 0.5, rng=0), lambda x: normal_cdf((x - 3) / 0.5))


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0.0, 1.0, -2.0, 2.0),
        (0.0, 0.02, -2.0, 2.0),
        (0.0, 1.0, -0.3, 0.1),
        (1.0, 2.0, 1.2, math.inf),
        (0.0, 1.0, 0.3, 0.6),
        (0.0, 1.0, 0.6, 0.8),
        (0.0, 1.0, 4.0, math.inf),
        (-1.0, 0.5, -math.inf, -4.0),
        (0.0, 1.0, 6.0, 6.1),
        (5.0, 1.0, -1.0, 1.0),
    ],
)
def test_truncated_normal(mean, std, a, b):
    sample = init.trunc_normal(np.empty(COUNT), mean, std, a, b, rng=0)
    assert a <= sample.min() <= sample.max() <= b
    # The upper tail as the lower one of the mirror image, whose digits are not lost beside 1.
    if a > mean:
        sample, mean, a, b = -sample, -mean, -b, -a
    low, high = normal_cdf((a - mean) / std), normal_cdf((b - mean) / std)
    assert follows(sample, lambda x: (normal_cdf((x - mean) / std) - low) / (high - low))


def test_truncated_normal_without_spread_is_its_mean():
    assert (init.trunc_normal(np.empty(3), 0.5, 0.0) == 0.5).all()
    assert (init.trunc_normal(np.empty(3), 5.0, 0.0) == 2.0).all()
    assert init.trunc_normal(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(("value", "fill"), [(0, init.zeros), (1, init.ones), (0.25, lambda w: init.constant(w, 0.25))])
def test_constants(value, fill):
    w = tg.Tensor(np.full((2, 3), 7.0, np.float32), requires_grad=True)
    assert fill(w) is w
    assert w.dtype == np.float32
    assert (w.data == value).all()


# -- by the sizes of a layer ---------------------------------------------------------------------

# Outputs, inputs, kernel.
KERNEL = (40, 60, 3, 5)
FAN_IN, FAN_OUT = 60 * 15, 40 * 15


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (init.xavier_normal, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda w, rng: init.xavier_normal(w, 3.0, rng=rng), 3 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda w, rng: init.kaiming_normal(w, nonlinearity="relu", rng=rng), math.sqrt(2 / FAN_IN)),
        (lambda w, rng: init.kaiming_normal(w, 2.0, "fan_out", rng=rng), math.sqrt(2 / 5 / FAN_OUT)),
        (lambda w, rng: init.kaiming_normal(w, nonlinearity="tanh", rng=rng), 5 / 3 / math.sqrt(FAN_IN)),
    ],
)
def test_normal_by_size(fill, std):
    assert follows(fill(np.empty(KERNEL), rng=0)[:, :20], lambda x: normal_cdf(x / std))


@pytest.mark.parametrize(
    ("fill", "bound"),
    [
        (init.xavier_uniform, math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda w, rng: init.xavier_uniform(w, 3.0, rng=rng), 3 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda w, rng: init.kaiming_uniform(w, nonlinearity="relu", rng=rng), math.sqrt(6 / FAN_IN)),
        (lambda w, rng: init.kaiming_uniform(w, math.sqrt(5), rng=rng), 1 / math.sqrt(FAN_IN)),
        (lambda w, rng: init.kaiming_uniform(w, 0.0, "fan_out", "linear", rng=rng), math.sqrt(3 / FAN_OUT)),
    ],
)
def test_uniform_by_size(fill, bound):
    sample = fill(np.empty(KERNEL), rng=0)
    assert np.abs(sample).max() <= bound
    assert follows(sample[:, :20], lambda x: (x + bound) / 2 / bound)


GAINS = ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
         "conv_transpose2d", "conv_transpose3d"]  # fmt: skip


def test_gains_are_pytorchs():
    def theirs(torch):
        gain = torch.nn.init.calculate_gain
        return [np.array([*map(gain, GAINS), gain("leaky_relu", 0.3)])]

    ours = [*map(init.calculate_gain, GAINS), init.calculate_gain("leaky_relu", 0.3)]
    np.testing.assert_allclose(ours, torch_values("init", "gains", theirs)[0], 1e-15)


def test_signals_keep_their_size_through_many_layers():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 128))
    for _ in range(30):
        x = np.maximum(x @ init.kaiming_normal(np.empty((128, 128)), nonlinearity="relu", rng=rng).T, 0)
    # Before the last relu 1 of x**2 on average, half of it after; with a gain of 1 it would be 2**-30.
    assert 0.1 < np.mean(x**2) < 10


# -- structures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (3, 2, 2, 2), (9, 2, 2)])
def test_orthogonal(shape):
    w = init.orthogonal(np.empty(shape), 3.0, rng=0).reshape(shape[0], -1)
    if w.shape[0] > w.shape[1]:
        w = w.T
    np.testing.assert_allclose(w @ w.T, 9 * np.eye(len(w)), atol=1e-12)


def test_orthogonal_is_even_over_all_turns():
    # Without the signs of R's diagonal, the first entry would always be negative.
    rng = np.random.default_rng(0)
    firsts = np.array([init.orthogonal(np.empty((3, 3)), rng=rng)[:, 0] for _ in range(4000)])
    # A coordinate of a point on a sphere is uniform (Archimedes).
    for coordinate in firsts.T:
        assert follows(coordinate, lambda x: (x + 1) / 2)


@pytest.mark.parametrize(
    ("shape", "groups"), [((3, 2, 3), 1), ((2, 3, 3, 4), 1), ((4, 2, 3, 1, 2), 2), ((6, 3, 5), 3), ((6, 1, 2), 2)]
)
def test_dirac_is_pytorchs(shape, groups):
    theirs = torch_values("init", f"dirac {shape} {groups}", lambda t: [t.nn.init.dirac_(t.empty(shape), groups)])
    np.testing.assert_array_equal(init.dirac(np.empty(shape), groups), theirs[0])


def test_eye():
    np.testing.assert_array_equal(init.eye(np.empty((2, 3))), [[1, 0, 0], [0, 1, 0]])


def test_sparse():
    w = init.sparse(np.empty((10, 2000)), 0.25, 0.5, rng=0)
    assert ((w == 0).sum(axis=0) == 3).all()
    assert follows(w[w != 0], lambda x: normal_cdf(x / 0.5))
    # Each place is as likely to be 0 as any other.
    assert np.abs((w == 0).mean(axis=1) - 0.3).max() < 0.04


# -- filling -------------------------------------------------------------------------------------

RANDOM = [init.uniform, init.normal, init.trunc_normal, init.xavier_uniform, init.xavier_normal, init.kaiming_uniform,
          init.kaiming_normal, init.orthogonal, lambda w, rng: init.sparse(w, 0.5, rng=rng)]  # fmt: skip


@pytest.mark.parametrize("fill", RANDOM)
def test_tensors_are_filled_in_place_and_seeds_fix_the_numbers(fill):
    layer = tg.nn.Linear(4, 3)
    array = layer.weight.data
    assert fill(layer.weight, rng=5) is layer.weight
    assert layer.weight.data is array
    assert layer.weight.requires_grad
    assert layer.weight.dtype == np.float32
    again, other = fill(np.empty((3, 4), np.float32), rng=np.random.default_rng(5)), fill(np.empty((3, 4)), rng=6)
    np.testing.assert_array_equal(array, again)
    assert not np.array_equal(array, other.astype(np.float32))
    # And without a seed, no two are the same.
    assert not np.array_equal(fill(np.empty((3, 4)), rng=None), fill(np.empty((3, 4)), rng=None))


def test_columns_of_a_larger_array_are_filled():
    w = np.zeros((4, 6))
    init.ones(w[:, ::2])
    np.testing.assert_array_equal(w, np.tile([1.0, 0.0], (4, 3)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: init.uniform(np.empty(3), 1.0, 0.0), RangeError, "Swap"),
        (lambda: init.normal(np.empty(3), 0.0, -1.0), RangeError, "std=-1.0"),
        (lambda: init.trunc_normal(np.empty(3), a=2.0, b=2.0), RangeError, "not below b=2.0"),
        (lambda: init.xavier_uniform(np.empty(3)), ShapeError, "2 axes or more"),
        (lambda: init.kaiming_normal(np.empty((0, 3))), ShapeError, "has none"),
        (lambda: init.kaiming_normal(np.empty((2, 3)), mode="fan"), ValueError, "'fan_in' or 'fan_out', not 'fan'"),
        (lambda: init.kaiming_normal(np.empty((2, 3)), nonlinearity="mish"), ValueError, "mish"),
        (lambda: init.orthogonal(np.empty(3)), ShapeError, r"\(3,\)"),
        (lambda: init.eye(np.empty((2, 3, 4))), ShapeError, "2 axes"),
        (lambda: init.dirac(np.empty((2, 3))), ShapeError, "3 to 5 axes"),
        (lambda: init.dirac(np.empty((4, 3, 3)), 3), RangeError, "3 do not divide 4"),
        (lambda: init.sparse(np.empty((4, 3)), 1.5), RangeError, r"sparsity=1\.5"),
        (lambda: init.zeros([1.0, 2.0]), TypeError, "list"),
        (lambda: init.zeros(np.arange(3)), DtypeError, "int64"),
        (lambda: init.zeros(tg.Tensor([1.0], requires_grad=True) * 2), InPlaceError, "leaf"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
