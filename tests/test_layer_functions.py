"""Normalization, dropout and tables where they could go wrong: extremes, chance, and mistakes."""

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import RangeError, ShapeError
from tinygrad_np.nn import functional as F

# -- normalization ----------------------------------------------------------------------------


def normal(x, axis, eps=1e-5):
    """In double precision, by the definition."""
    x = x.astype(float)
    mean = x.mean(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axis, keepdims=True) + eps)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e6])
def test_far_from_zero_no_digits_are_lost(offset):
    # Small whole numbers: so far out they are single precision's own.
    x = (offset + np.random.default_rng(0).integers(-4, 5, (6, 50))).astype(np.float32)
    for got, expected in [
        (F.layer_norm(x, 50), normal(x, 1)),
        (F.batch_norm(x, training=True), normal(x, 0)),
        (F.group_norm(x, 5), normal(x.reshape(6, 5, 10), 2).reshape(6, 50)),
        (F.instance_norm(x[None]), normal(x, 1)[None]),
    ]:
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_gradients_far_from_zero_are_those_near_it():
    x = np.random.default_rng(0).integers(-4, 5, (6, 50)).astype(np.float32)
    g = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    near, far = (tg.grad(lambda x: (F.layer_norm(x, 50) * g).sum())(x + np.float32(offset)) for offset in (0, 1e6))
    np.testing.assert_allclose(far, near, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_equal_entries_give_zero_and_finite_gradients(dtype, value):
    x = parameter(np.full((3, 7), value, dtype))
    out = F.layer_norm(x, 7)
    np.testing.assert_allclose(out.data, 0, atol=1e-6)
    out.backward(np.arange(21.0).reshape(3, 7).astype(dtype))
    assert x.grad.dtype == dtype
    # Any step away from equal entries is scaled by 1 / sqrt(eps).
    centred = np.arange(7) - 3.0
    np.testing.assert_allclose(x.grad.data, np.tile(centred, (3, 1)) / np.sqrt(1e-5), rtol=2e-3)


@pytest.mark.parametrize("function", [lambda x: F.layer_norm(x, 64), lambda x: F.rms_norm(x, 64)])
def test_half_precision_does_not_overflow(function):
    x = (np.random.default_rng(0).normal(size=(2, 64)) * 5000).astype(np.float16)
    assert float(np.max(np.abs(x))) ** 2 > 65_504  # squares overflow
    t = parameter(x)
    out = function(t)
    assert out.dtype == np.float16
    np.testing.assert_allclose(out.data, function(x.astype(float)), atol=2e-3)
    (out**2).sum().backward()
    assert np.isfinite(t.grad.data).all()


def test_eps_keeps_small_entries_small():
    x = np.array([[1e-3, -1e-3]])
    np.testing.assert_allclose(F.layer_norm(x, 2, eps=1.0), x, rtol=1e-5)
    np.testing.assert_allclose(F.rms_norm(x, 2), [[1, -1]], rtol=1e-6)
    np.testing.assert_allclose(F.rms_norm(x, 2, eps=1.0), x, rtol=1e-5)


def test_batch_norm_moves_its_statistics_in_place():
    layer = nn.BatchNorm1d(2, momentum=0.25, dtype=np.float64)
    mean, var = layer.running_mean, layer.running_var
    x = np.array([[1.0, 10.0], [3.0, 30.0]])
    layer(x)
    assert layer.running_mean is mean
    equal(mean, [0.5, 5.0])
    equal(var, [0.75 + 0.25 * 2, 0.75 + 0.25 * 200])
    assert layer.num_batches_tracked == 1
    layer.eval()(x)
    equal(mean, [0.5, 5.0])
    equal(layer(x), (x - mean) / np.sqrt(var + 1e-5))
    layer.train().reset_parameters(np.random.default_rng(0))
    equal(mean, [0.0, 0.0])


def test_batch_norm_refuses_single_entries_and_other_shapes():
    with pytest.raises(ShapeError, match=r"more than one entry per channel.*\(1, 3\).*model\.eval\(\)"):
        nn.BatchNorm1d(3)(np.ones((1, 3)))
    assert nn.BatchNorm1d(3).eval()(np.ones((1, 3), np.float32)).shape == (1, 3)
    with pytest.raises(ShapeError, match=r"4 channels in x of shape \(2, 4\).*\(3,\)"):
        nn.BatchNorm1d(3)(np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"BatchNorm2d takes arrays with 4 axes.*\(2, 4\)"):
        nn.BatchNorm2d(4)(np.ones((2, 4)))


def test_batch_norm_counts_a_batch_once_under_checkpoint():
    x = np.random.default_rng(0).normal(size=(6, 3))
    once, twice = nn.BatchNorm1d(3, dtype=np.float64), nn.BatchNorm1d(3, dtype=np.float64)
    once(x)
    tg.checkpoint(twice)(parameter(x)).sum().backward()
    assert twice.weight.grad is not None
    for name, array in twice.state_dict().items():
        np.testing.assert_array_equal(array, once.state_dict()[name])


def test_batch_norm_of_no_samples_has_nothing_to_count():
    layer = nn.BatchNorm1d(3)
    x = parameter(np.ones((0, 3), np.float32))
    layer(x).sum().backward()
    assert x.grad.shape == (0, 3)
    equal(layer.running_mean, np.zeros(3))
    equal(layer.running_var, np.ones(3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: F.layer_norm(np.ones((2, 3)), 4), ShapeError, r"the shape \(4,\), and x has shape \(2, 3\)"),
        (lambda: F.layer_norm(np.ones(3), (2, 3)), ShapeError, r"\(2, 3\)"),
        (lambda: F.group_norm(np.ones((2, 6)), 4), RangeError, "6 channels do not go into 4 groups"),
        (lambda: nn.GroupNorm(4, 6), RangeError, "6 channels do not go into 4 groups"),
        (lambda: F.instance_norm(np.ones((2, 3))), ShapeError, r"at least 3 axes, and x has shape \(2, 3\)"),
        (lambda: nn.LayerNorm(0), RangeError, "above 0, not 0"),
    ],
)
def test_norms_refuse_what_does_not_fit(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -- dropout ----------------------------------------------------------------------------------


def test_dropout_drops_its_share_and_scales_the_rest():
    x = parameter(np.random.default_rng(0).uniform(1, 2, (200, 100)))
    out = F.dropout(x, 0.3, rng=1)
    dropped = out.data == 0
    assert abs(dropped.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / dropped.size)
    np.testing.assert_allclose(out.data[~dropped], x.data[~dropped] / 0.7, rtol=1e-12)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.where(dropped, 0, 1 / 0.7), rtol=1e-12)


@pytest.mark.parametrize(
    "function", [F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout]
)
def test_nothing_and_all_are_exact(function):
    x = np.full((2, 3, 2, 2, 2), np.inf)
    assert function(x, 0.0) is x
    assert function(x, 0.5, training=False) is x
    np.testing.assert_array_equal(function(x, 1.0), np.zeros(x.shape))
    t = parameter(np.ones((2, 3, 2, 2, 2), np.float32))
    function(t, 1.0).sum().backward()
    np.testing.assert_array_equal(t.grad.data, np.zeros(t.shape))
    for p in (-0.1, 1.1, np.nan):
        with pytest.raises(RangeError, match="from 0 to 1"):
            function(x, p)
        with pytest.raises(RangeError, match="from 0 to 1"):
            function(x, p, training=False)


@pytest.mark.parametrize(
    ("layer", "axes"),
    [(nn.Dropout1d, 1), (nn.Dropout2d, 2), (nn.Dropout3d, 3), (nn.FeatureAlphaDropout, 3), (nn.FeatureAlphaDropout, 1)],
)
def test_whole_channels_are_dropped(layer, axes):
    out = layer(0.5, rng=0)(np.ones((40, 10, *[2] * axes)))
    channels = out.reshape(400, -1)
    assert np.all(channels == channels[:, :1])
    assert 140 < np.sum(channels[:, 0] == channels[0, 0]) < 260


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=400_000)
    for p in (0.1, 0.5):
        out = F.alpha_dropout(x, p, rng=1)
        assert abs(out.mean()) < 0.01
        assert abs(out.var() - 1) < 0.02


def test_a_layers_numbers_go_on_and_start_again_with_its_state():
    layer = nn.Dropout(0.5, rng=3)
    first, second = layer(np.ones(50)), layer(np.ones(50))
    assert np.any(first != second)
    np.testing.assert_array_equal(nn.Dropout(0.5, rng=3)(np.ones(50)), first)
    assert nn.Dropout(0.5)(np.ones(3, np.float32)).dtype == np.float32


def test_each_example_of_vmap_has_its_own_numbers():
    x = np.ones((3, 2, 40))
    each = np.stack([layer(example) for layer in [nn.Dropout(0.5, rng=3)] for example in x])
    np.testing.assert_array_equal(tg.vmap(nn.Dropout(0.5, rng=3))(x), each)
    np.testing.assert_array_equal(tg.vmap(tg.vmap(nn.Dropout(0.5, rng=3)))(x), each)


# -- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("entries", "picked"), [(5, 400), (400, 5), (50, 60), (3, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_rows_add_up(entries, picked, dtype):
    rng = np.random.default_rng(0)
    weight = parameter(rng.normal(size=(entries, 7)).astype(dtype))
    indices = rng.integers(0, entries, (2, picked))
    g = rng.normal(size=(2, picked, 7)).astype(dtype)
    out = F.embedding(indices, weight)
    np.testing.assert_array_equal(out.data, weight.data[indices])
    out.backward(g)
    expected = np.zeros((entries, 7))
    np.add.at(expected, indices, g.astype(float))
    np.testing.assert_allclose(weight.grad.data, expected, rtol=1e-4 if dtype == np.float32 else 1e-11, atol=1e-5)
    assert weight.grad.dtype == dtype


@pytest.mark.parametrize(
    ("indices", "error", "words"),
    [
        ([0, 5], IndexError, "from 0 to 4.* 1 of the numbers .* outside, such as 5"),
        ([-1, -2, 0], IndexError, "2 of the numbers .* such as -1"),
        ([0.0, 1.0], TypeError, r"dtype float64.*astype\(int\)"),
        ([True, False], TypeError, "dtype bool"),
    ],
)
def test_only_numbers_of_rows_are_taken(indices, error, words):
    with pytest.raises(error, match=words):
        nn.Embedding(5, 2, rng=0)(np.array(indices))
    with pytest.raises(error, match="one_hot"):
        F.one_hot(np.array(indices), 5)


def test_the_padding_row_starts_at_zero_and_stays():
    layer = nn.Embedding(4, 3, padding_idx=-1, rng=0)
    equal(layer.weight.data[3], np.zeros(3))
    layer(np.array([3, 1, 3])).sum().backward()
    equal(layer.weight.grad.data, np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3, [0.0] * 3]))
    layer.seed(1)
    equal(layer.weight.data[3], np.zeros(3))
    with pytest.raises(RangeError, match="padding_idx=4 is none of the 4 rows"):
        nn.Embedding(4, 3, padding_idx=4)


def test_one_hot_has_a_row_of_the_identity_for_each_number():
    labels = np.array([[2, 0], [1, 1]])
    np.testing.assert_array_equal(F.one_hot(labels), np.eye(3)[labels])
    np.testing.assert_array_equal(F.one_hot(labels, 5, dtype=int), np.eye(5, dtype=int)[labels])
    assert F.one_hot(np.zeros((0,), int), 3).shape == (0, 3)


def test_positions_are_sines_and_cosines_of_the_papers_frequencies():
    table = F.sinusoidal_positions(7, 6, np.float64)
    for t in range(7):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert table[t, 2 * i : 2 * i + 2].tolist() == pytest.approx([np.sin(angle), np.cos(angle)], abs=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1
    with pytest.raises(RangeError, match="features=5 is not even"):
        nn.SinusoidalPositions()(np.ones((3, 5)))
    with pytest.raises(ShapeError, match=r"up to 4 places, and x has shape \(5, 2\)"):
        nn.LearnedPositions(4, 2)(np.ones((5, 2)))


def test_bilinear_is_a_sum_over_pairs():
    rng = np.random.default_rng(0)
    x1, x2, weight, bias = (rng.normal(size=shape) for shape in [(5, 2), (5, 3), (4, 2, 3), (4,)])
    equal(F.bilinear(x1, x2, weight, bias), np.einsum("ni,oij,nj->no", x1, weight, x2) + bias)
    with pytest.raises(ShapeError, match=r"\(5, 3\), \(5, 2\) and \(4, 2, 3\) do not go together"):
        F.bilinear(x2, x1, weight)
    with pytest.raises(ShapeError, match="takes pairs"):
        F.bilinear(x1[:4], x2, weight)


# -- names ------------------------------------------------------------------------------------


def test_every_name_is_there():
    assert all(callable(getattr(F, name)) for name in F.__all__)
    assert all(hasattr(nn, name) for name in nn.__all__)
    assert len(set(nn.__all__)) == len(nn.__all__)
    assert len(set(F.__all__)) == len(F.__all__)


def test_losses_keep_their_class_weights_in_the_state():
    loss = nn.CrossEntropyLoss(weight=np.array([1.0, 3.0]), reduction="sum")
    assert list(loss.state_dict()) == ["weight"]
    assert repr(loss) == "CrossEntropyLoss(weight=array(2,), reduction='sum')"
    equal(loss(np.zeros((2, 2)), np.array([0, 1])), 4 * np.log(2))
