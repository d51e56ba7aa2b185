"""What losses do at extreme scores, in other dtypes, for no samples, and with arguments that do not fit."""

import warnings

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.errors import RangeError, ShapeError
from tinygrad_np.ops import losses

RNG = np.random.default_rng(0)
Z, Z2, Z3 = (RNG.normal(scale=2, size=(6, 4)) for _ in range(3))
P = RNG.uniform(0.05, 0.95, (6, 4))
POSITIVE = RNG.uniform(0.5, 2.5, (6, 4))
BITS = RNG.integers(0, 2, (6, 4)).astype(float)
SIGNS = 2 * BITS - 1
LABELS = np.array([0, 3, 1, 1, 2, 0])
IGNORING = np.array([0, -100, 1, -100, 2, 0])
SHARES = RNG.dirichlet(np.ones(4), 6)
WEIGHT = np.array([1.0, 0.5, 2.0, 0.25])
COUNTS = np.array([[0, 1, 2, 5]] * 6)
PAIRS = np.array([1.0, -1, 1, -1, -1, 1])
REDUCTIONS = ["mean", "sum", "none"]


# -- dtypes -----------------------------------------------------------------------------------

IN_ONE_DTYPE = {
    "cross_entropy": lambda a: losses.cross_entropy(a(Z), LABELS, weight=WEIGHT, label_smoothing=0.1),
    "cross_entropy, ignoring": lambda a: losses.cross_entropy(a(Z), IGNORING, ignore_index=-100),
    "cross_entropy, shares": lambda a: losses.cross_entropy(a(Z), SHARES, reduction="none"),
    "nll_loss": lambda a: losses.nll_loss(a(Z), LABELS, weight=WEIGHT),
    "focal": lambda a: losses.focal(a(Z), LABELS, alpha=WEIGHT),
    "multi_margin": lambda a: losses.multi_margin(a(Z), LABELS, weight=WEIGHT),
    "binary_cross_entropy": lambda a: losses.binary_cross_entropy(a(P), a(BITS), weight=WEIGHT),
    "with_logits": lambda a: losses.binary_cross_entropy_with_logits(a(Z), a(BITS), weight=WEIGHT, pos_weight=WEIGHT),
    "bits": lambda a: losses.binary_cross_entropy_with_logits(a(Z), BITS > 0, reduction="none"),
    "binary_focal": lambda a: losses.binary_focal(a(Z), BITS.astype(int)),
    "hinge": lambda a: losses.hinge(a(Z), SIGNS.astype(int)),
    "hinge_embedding": lambda a: losses.hinge_embedding(a(Z), SIGNS.astype(int)),
    "soft_margin": lambda a: losses.soft_margin(a(Z), SIGNS.astype(int)),
    "mse": lambda a: losses.mse(a(Z), a(Z2), reduction="sum"),
    "l1": lambda a: losses.l1(a(Z), a(Z2)),
    "huber": lambda a: losses.huber(a(Z), a(Z2), delta=np.float64(0.3)),
    "smooth_l1": lambda a: losses.smooth_l1(a(Z), a(Z2), beta=np.float64(0.3)),
    "kl_div": lambda a: losses.kl_div(a(Z), a(SHARES), reduction="batchmean"),
    "poisson_nll": lambda a: losses.poisson_nll(a(Z), COUNTS, full=True),
    "gaussian_nll": lambda a: losses.gaussian_nll(a(Z), a(Z2), 0.5, full=True),
    "cosine_embedding": lambda a: losses.cosine_embedding(a(Z), a(Z2), PAIRS),
    "triplet_margin": lambda a: losses.triplet_margin(a(Z), a(Z2), a(Z3)),
    "margin_ranking": lambda a: losses.margin_ranking(a(Z), a(Z2), SIGNS.astype(int)),
}


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float16, 0.03)])
@pytest.mark.parametrize("name", IN_ONE_DTYPE)
def test_losses_have_the_dtype_of_the_prediction(name, dtype, rtol):
    f = IN_ONE_DTYPE[name]
    expected = f(lambda a: a)
    assert f(lambda a: a.astype(dtype)).dtype == dtype
    np.testing.assert_allclose(f(lambda a: a.astype(dtype)), expected, rtol=rtol, atol=rtol)
    recorded = f(lambda a: tg.Tensor(a.astype(dtype), requires_grad=True))
    assert recorded.dtype == dtype


# -- extremes ---------------------------------------------------------------------------------

HUGE = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]])
AT_EXTREMES = {
    "cross_entropy": (lambda z: losses.cross_entropy(z, np.array([1, 1]), reduction="none"), [2e4, np.log(2)]),
    "with options": (lambda z: losses.cross_entropy(z, np.array([1, 1]), weight=[1, 2, 1], reduction="sum"),
                     4e4 + 2 * np.log(2)),
    "smoothing": (lambda z: losses.cross_entropy(z, np.array([0, 1]), label_smoothing=0.3, reduction="none"),
                  [3000, 2000.693147]),
    "nll_loss": (lambda z: losses.nll_loss(tg.log_softmax(z), np.array([0, 0])), 1e4 + np.log(2) / 2),
    "focal": (lambda z: losses.focal(z, np.array([0, 0]), reduction="none"), [0, 20000.693147]),
    "multi_margin": (lambda z: losses.multi_margin(z, np.array([0, 1]), reduction="none"), [0, 1 / 3]),
    "with_logits": (lambda z: losses.binary_cross_entropy_with_logits(z, np.array([[1, 0, 1], [1, 1, 0]])),
                    (np.log(2) + 2e4) / 6),
    "pos_weight": (lambda z: losses.binary_cross_entropy_with_logits(z, np.ones((2, 3)), pos_weight=[3, 3, 3]),
                   (3 * np.log(2) + 6e4) / 6),
    "binary_focal": (lambda z: losses.binary_focal(z, np.array([[1, 0, 1], [0, 1, 1]])), 0.25 * np.log(2) / 4 / 6),
    "soft_margin": (lambda z: losses.soft_margin(z, np.array([[1, -1, 1], [-1, 1, -1]])), (np.log(2) + 1e4) / 6),
    "mse": (lambda z: losses.huber(z, np.zeros((2, 3)), reduction="sum"), 5 * (1e4 - 0.5)),
    "cosine": (lambda z: losses.cosine_similarity(z, -z), [-1, -1]),
    "triplet_margin": (lambda z: losses.triplet_margin(z, z, -z, eps=0, reduction="none"), [0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", AT_EXTREMES)
def test_losses_are_right_at_extreme_scores(name, dtype):
    f, expected = AT_EXTREMES[name]
    z = tg.Tensor(HUGE.astype(dtype), requires_grad=True)
    out = f(z)
    np.testing.assert_allclose(out.data, expected, rtol=1e-6 if dtype is np.float32 else 1e-9, atol=1e-6)
    np.sum(out).backward()
    assert np.isfinite(z.grad.data).all()


@pytest.mark.parametrize(("dtype", "large"), [(np.float64, 1e300), (np.float32, 1e38), (np.float16, 6e4)])
def test_the_angle_of_vectors_does_not_depend_on_their_length(dtype, large):
    a, b = np.array([[3, 4]], dtype), np.array([[4, 3]], dtype)
    scale = np.asarray(large / 4, dtype)
    for factor in (scale, 1 / scale):
        x = tg.Tensor(a * factor, requires_grad=True)
        out = losses.cosine_similarity(x, b * scale, eps=0)
        np.testing.assert_allclose(out.data, [0.96], rtol=2e-3)
        out.backward(np.ones(1) if dtype is np.float64 else np.full(1, 1e-2))
        assert np.isfinite(x.grad.data).all()


def test_small_losses_keep_their_digits():
    z = tg.Tensor([-40.0, 40.0], requires_grad=True)
    out = losses.binary_cross_entropy_with_logits(z, np.array([0.0, 1.0]), pos_weight=2.0, reduction="none")
    np.testing.assert_allclose(out.data, [np.exp(-40), 2 * np.exp(-40)], rtol=1e-12)
    np.sum(out).backward()
    np.testing.assert_allclose(z.grad.data, [np.exp(-40), -2 * np.exp(-40)], rtol=1e-12)


def test_what_does_not_count_may_be_impossible():
    z = tg.Tensor([[0.0, -np.inf], [1.0, 2.0]], requires_grad=True)
    for options in ({"ignore_index": 1}, {"weight": np.array([1.0, 0.0])}):
        z.zero_grad()
        out = losses.cross_entropy(z, np.array([1, 0]), **options)
        out.backward()
        np.testing.assert_allclose(out.data, np.log1p(np.e))
        np.testing.assert_allclose(z.grad.data, [[0, 0], tg.softmax(np.array([1.0, 2.0])) - [1, 0]])


def test_if_no_label_counts_the_mean_is_0():
    z = tg.Tensor(Z, requires_grad=True)
    out = losses.cross_entropy(z, np.full(6, -1), ignore_index=-1)
    out.backward()
    assert out.item() == 0
    assert not z.grad.data.any()


EMPTY = np.zeros((0, 4))
NONE = np.zeros(0, int)


@pytest.mark.parametrize(
    "f",
    [
        lambda z: losses.cross_entropy(z, NONE),
        lambda z: losses.cross_entropy(z, NONE, weight=WEIGHT, ignore_index=0, label_smoothing=0.1),
        lambda z: losses.cross_entropy(z, EMPTY, weight=WEIGHT),
        lambda z: losses.nll_loss(z, NONE),
        lambda z: losses.focal(z, NONE),
        lambda z: losses.multi_margin(z, NONE),
        lambda z: losses.binary_cross_entropy(z, EMPTY, weight=WEIGHT),
        lambda z: losses.binary_cross_entropy_with_logits(z, EMPTY, pos_weight=WEIGHT),
        lambda z: losses.hinge(z, EMPTY),
        lambda z: losses.mse(z, EMPTY),
        lambda z: losses.huber(z, EMPTY),
        lambda z: losses.kl_div(z, EMPTY, reduction="batchmean"),
        lambda z: losses.gaussian_nll(z, EMPTY, EMPTY),
        lambda z: losses.cosine_embedding(z, EMPTY, NONE),
        lambda z: losses.triplet_margin(z, EMPTY, EMPTY),
        lambda z: losses.ctc(np.reshape(z, (5, 0, 4)), np.zeros((0, 3), int), NONE, NONE),
    ],
)
def test_the_mean_of_no_samples_is_0_without_a_warning(f):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z = tg.Tensor(EMPTY, requires_grad=True)
        out = f(z)
        out.backward()
    assert out.item() == 0
    assert z.grad is None or z.grad.shape == (0, 4)


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth_l1", "kl_div", "poisson_nll", "hinge", "soft_margin",
                                  "hinge_embedding", "binary_cross_entropy", "binary_cross_entropy_with_logits",
                                  "binary_focal"])  # fmt: skip
def test_nothing_is_broadcast(name):
    for reduction in REDUCTIONS:
        with pytest.raises(ShapeError, match=r"\(6, 1\) and \(6,\) differ"):
            getattr(losses, name)(P[:, :1], np.ones(6), reduction=reduction)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: losses.cross_entropy(Z, LABELS[:5], weight=WEIGHT), ShapeError, r"\(6, 4\).*\(5,\)"),
        (lambda: losses.cross_entropy(Z, LABELS * 1.0, weight=WEIGHT), ShapeError, "whole-number"),
        (lambda: losses.cross_entropy(Z, LABELS + 1, weight=WEIGHT), IndexError, "from 1 to 4 do not fit 4"),
        (lambda: losses.cross_entropy(Z, IGNORING, reduction="sum"), IndexError, "from -100"),
        (lambda: losses.cross_entropy(Z, LABELS, weight=WEIGHT[:3]), ShapeError, "vector of 4"),
        (lambda: losses.cross_entropy(Z, LABELS, label_smoothing=1.5), RangeError, "from 0 to 1"),
        (lambda: losses.cross_entropy(Z, LABELS, reduction="average"), ValueError, '"mean" or "sum".*average'),
        (lambda: losses.cross_entropy(Z, SHARES, ignore_index=0), ValueError, "weights 0"),
        (lambda: losses.cross_entropy(Z, LABELS[:, None]), ShapeError, r"Write labels\.reshape\(6,\)"),
        (lambda: losses.cross_entropy(Z, LABELS * 1.0), ShapeError, r"Write labels\.astype\(int\)"),
        (lambda: losses.cross_entropy(np.ones((2, 5, 3)), np.ones((2, 3), int)), ShapeError, "say so: axis=1"),
        (lambda: losses.cross_entropy(Z, IGNORING), IndexError, "ignore_index=-100"),
        (lambda: losses.nll_loss(Z, SHARES), ShapeError, "nll_loss takes whole-number labels without"),
        (lambda: losses.focal(Z, LABELS, gamma=-1), RangeError, "gamma=-1"),
        (lambda: losses.multi_margin(Z, LABELS, p=3), ValueError, "p=3"),
        (lambda: losses.binary_cross_entropy(Z, BITS, reduction="sum"), RangeError, "sigmoid"),
        (lambda: losses.binary_cross_entropy(P, BITS, weight=np.ones((6, 1, 4))), ShapeError, "broadcast"),
        (lambda: losses.binary_cross_entropy_with_logits(P, BITS, weight=np.ones(6)), ShapeError, "broadcast"),
        (lambda: losses.binary_cross_entropy(P, 2 * BITS - 1), RangeError, r"go from -1 to 1.*Write \(y \+ 1\) / 2"),
        (lambda: losses.binary_cross_entropy(P, 3 * BITS, reduction="sum"), RangeError, "go from 0 to 3"),
        (lambda: losses.binary_cross_entropy_with_logits(Z, 2 * BITS), RangeError, "go from 0 to 2"),
        (lambda: losses.binary_cross_entropy_with_logits(Z, -BITS, weight=WEIGHT), RangeError, "go from -1 to "),
        (lambda: losses.binary_focal(Z, 2 * BITS), RangeError, "go from 0 to 2"),
        (lambda: losses.hinge(Z, BITS), RangeError, r"2 \* y - 1"),
        (lambda: losses.soft_margin(Z, BITS), RangeError, "is 0"),
        (lambda: losses.huber(Z, Z2, delta=0), RangeError, "delta=0"),
        (lambda: losses.smooth_l1(Z, Z2, beta=-1), RangeError, "beta=-1"),
        (lambda: losses.mse(Z, Z2, reduction="batchmean"), ValueError, "mse.*'batchmean'"),
        (lambda: losses.kl_div(Z, -SHARES), RangeError, "log_target"),
        (lambda: losses.kl_div(Z, SHARES, reduction="average"), ValueError, "batchmean"),
        (lambda: losses.gaussian_nll(Z, Z2, -POSITIVE), RangeError, "softplus"),
        (lambda: losses.gaussian_nll(Z, Z2, POSITIVE[:, :2]), ShapeError, "variance for each"),
        (lambda: losses.cosine_embedding(Z, Z2, SIGNS), ShapeError, "one label for each pair"),
        (lambda: losses.triplet_margin(Z, Z2, Z3[:1]), ShapeError, r"\(6, 4\) and \(1, 4\)"),
        (lambda: losses.margin_ranking(Z, Z2, PAIRS), ShapeError, "differ"),
    ],
)
def test_what_does_not_fit_is_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_lists_are_arrays():
    assert losses.cross_entropy([[0.0, 0.0]], [1], reduction="sum") == np.log(2)
    assert losses.l1([1, 2], [1, 4]) == 1
    np.testing.assert_allclose(losses.gaussian_nll([1.0], [1.0], [1.0]), 0)


def test_labels_may_be_tensors():
    labels = tg.Tensor(LABELS)
    z = tg.Tensor(Z, requires_grad=True)
    np.testing.assert_array_equal(
        losses.cross_entropy(z, labels, weight=WEIGHT).data, losses.cross_entropy(Z, LABELS, weight=WEIGHT)
    )
    shares = tg.Tensor(SHARES, requires_grad=True)
    losses.cross_entropy(z, shares, reduction="sum").backward()
    np.testing.assert_allclose(shares.grad.data, -tg.log_softmax(Z))


def test_the_plain_call_is_one_entry_on_the_tape():
    z = tg.Tensor(Z, requires_grad=True)
    for f, y in [(tg.cross_entropy, LABELS), (tg.binary_cross_entropy_with_logits, BITS), (tg.mse, Z2)]:
        assert [node.op_name for node in tg.tape(f(z, y)) if not node.is_leaf] == [f.__name__]
