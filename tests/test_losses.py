"""Losses: values and gradients are PyTorch's for every option, and derivatives agree with differences."""

import warnings

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np.ops import losses
from tinygrad_np.testing import check_grad

RNG = np.random.default_rng(0)
Z, Z2, Z3 = (RNG.normal(scale=2, size=(6, 4)) for _ in range(3))
IMAGE = RNG.normal(scale=2, size=(2, 3, 4))
P = RNG.uniform(0.05, 0.95, (6, 4))
POSITIVE = RNG.uniform(0.5, 2.5, (6, 4))
BITS = RNG.integers(0, 2, (6, 4)).astype(float)
SIGNS = 2 * BITS - 1
LABELS = np.array([0, 3, 1, 1, 2, 0])
IGNORING = np.array([0, -100, 1, -100, 2, 0])
IMAGE_LABELS = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
SHARES = RNG.dirichlet(np.ones(4), 6)
WEIGHT = np.array([1.0, 0.5, 2.0, 0.25])
COUNTS = np.array([[0, 1, 2, 5]] * 6).astype(float)
PAIRS = np.array([1.0, -1, 1, -1, -1, 1])
REDUCTIONS = ["mean", "sum", "none"]


def case(name, ours, theirs, *arrays, reductions=REDUCTIONS):
    """A loss of arrays, ours and PyTorch's; each is told the reduction."""
    return [pytest.param(f"{name}, {r}", ours, theirs, arrays, r, id=f"{name}, {r}") for r in reductions]


def of_labels(labels, **options):
    """Both cross-entropies with the same options; PyTorch's arrays for those."""

    def theirs(F, torch, z, reduction):
        given = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        return F.cross_entropy(z, torch.tensor(labels), reduction=reduction, **given)

    return lambda z, reduction: losses.cross_entropy(
        z, labels, z.ndim - 1 and 1, reduction=reduction, **options
    ), theirs


def triplet(**options):
    return (
        lambda a, p, n, reduction: losses.triplet_margin(a, p, n, reduction=reduction, **options),
        lambda F, torch, a, p, n, reduction: F.triplet_margin_loss(a, p, n, reduction=reduction, **options),
    )


def torch_focal(F, torch, z, reduction, gamma=2.0):
    """Focal loss as its paper writes it, of probabilities."""
    p = torch.softmax(z, 1)[torch.arange(len(z)), torch.tensor(LABELS)]
    out = -torch.tensor(WEIGHT)[torch.tensor(LABELS)] * (1 - p) ** gamma * torch.log(p)
    return {"mean": out.mean, "sum": out.sum, "none": lambda: out}[reduction]()


def torch_binary_focal(F, torch, z, reduction, alpha=0.25, gamma=2.0):
    y, p = torch.tensor(BITS), torch.sigmoid(z)
    out = -alpha * y * (1 - p) ** gamma * torch.log(p) - (1 - alpha) * (1 - y) * p**gamma * torch.log(1 - p)
    return {"mean": out.mean, "sum": out.sum, "none": lambda: out}[reduction]()


def torch_hinge(F, torch, z, reduction):
    out = torch.clamp(1 - torch.tensor(SIGNS) * z, min=0)
    return {"mean": out.mean, "sum": out.sum, "none": lambda: out}[reduction]()


CASES = [
    *case("cross_entropy", *of_labels(LABELS), Z),
    *case("cross_entropy of an image", *of_labels(IMAGE_LABELS), IMAGE),
    *case("cross_entropy of one", *of_labels(np.array(2)), Z[0]),
    *case("cross_entropy, weight", *of_labels(LABELS, weight=WEIGHT), Z),
    *case("cross_entropy, smoothing", *of_labels(LABELS, label_smoothing=0.1), Z),
    *case("cross_entropy, ignoring", *of_labels(IGNORING, ignore_index=-100), Z),
    *case("cross_entropy, all", *of_labels(IGNORING, weight=WEIGHT, ignore_index=-100, label_smoothing=0.2), Z),
    *case("cross_entropy, a class ignored", *of_labels(LABELS, weight=WEIGHT, ignore_index=1), Z),
    *case("cross_entropy, shares", *of_labels(SHARES), Z),
    *case("cross_entropy, shares, all", *of_labels(SHARES, weight=WEIGHT, label_smoothing=0.2), Z),
    *case("cross_entropy, image, all", *of_labels(IMAGE_LABELS, weight=WEIGHT[:3], label_smoothing=0.3), IMAGE),
    *case(
        "nll_loss",
        lambda z, reduction: losses.nll_loss(
            tg.log_softmax(z, 1), IGNORING, weight=WEIGHT, ignore_index=-100, reduction=reduction
        ),
        lambda F, torch, z, reduction: F.nll_loss(
            F.log_softmax(z, 1), torch.tensor(IGNORING), torch.tensor(WEIGHT), reduction=reduction
        ),
        Z,
    ),
    *case(
        "nll_loss of an image",
        lambda z, reduction: losses.nll_loss(z, IMAGE_LABELS, axis=1, reduction=reduction),
        lambda F, torch, z, reduction: F.nll_loss(z, torch.tensor(IMAGE_LABELS), reduction=reduction),
        IMAGE,
    ),
    *case(
        "focal",
        lambda z, reduction: losses.focal(z, LABELS, alpha=WEIGHT, reduction=reduction),
        torch_focal,
        Z,
    ),
    *case(
        "focal 0.5",
        lambda z, reduction: losses.focal(z, LABELS, alpha=WEIGHT, gamma=0.5, reduction=reduction),
        lambda F, torch, z, reduction: torch_focal(F, torch, z, reduction, gamma=0.5),
        Z,
    ),
    *case(
        "multi_margin",
        lambda z, reduction: losses.multi_margin(z, LABELS, reduction=reduction),
        lambda F, torch, z, reduction: F.multi_margin_loss(z, torch.tensor(LABELS), reduction=reduction),
        Z,
    ),
    *case(
        "multi_margin, squares",
        lambda z, reduction: losses.multi_margin(z, LABELS, p=2, margin=0.5, weight=WEIGHT, reduction=reduction),
        lambda F, torch, z, reduction: F.multi_margin_loss(
            z, torch.tensor(LABELS), p=2, margin=0.5, weight=torch.tensor(WEIGHT), reduction=reduction
        ),
        Z,
    ),
    *case(
        "binary_cross_entropy",
        lambda p, y, reduction: losses.binary_cross_entropy(p, y, reduction=reduction),
        lambda F, torch, p, y, reduction: F.binary_cross_entropy(p, y, reduction=reduction),
        P,
        SHARES,
    ),
    *case(
        "binary_cross_entropy, weight",
        lambda p, reduction: losses.binary_cross_entropy(p, BITS, weight=WEIGHT, reduction=reduction),
        lambda F, torch, p, reduction: F.binary_cross_entropy(
            p, torch.tensor(BITS), torch.tensor(WEIGHT), reduction=reduction
        ),
        P,
    ),
    *case(
        "binary_cross_entropy_with_logits",
        lambda z, y, reduction: losses.binary_cross_entropy_with_logits(z, y, reduction=reduction),
        lambda F, torch, z, y, reduction: F.binary_cross_entropy_with_logits(z, y, reduction=reduction),
        Z,
        SHARES,
    ),
    *case(
        "binary_cross_entropy_with_logits, weights",
        lambda z, y, reduction: losses.binary_cross_entropy_with_logits(
            z, y, weight=POSITIVE, pos_weight=WEIGHT, reduction=reduction
        ),
        lambda F, torch, z, y, reduction: F.binary_cross_entropy_with_logits(
            z, y, torch.tensor(POSITIVE), pos_weight=torch.tensor(WEIGHT), reduction=reduction
        ),
        Z,
        SHARES,
    ),
    *case(
        "binary_focal", lambda z, reduction: losses.binary_focal(z, BITS, reduction=reduction), torch_binary_focal, Z
    ),
    *case("hinge", lambda z, reduction: losses.hinge(z, SIGNS, reduction=reduction), torch_hinge, Z),
    *case(
        "hinge_embedding",
        lambda x, reduction: losses.hinge_embedding(x, SIGNS, margin=1.5, reduction=reduction),
        lambda F, torch, x, reduction: F.hinge_embedding_loss(x, torch.tensor(SIGNS), margin=1.5, reduction=reduction),
        POSITIVE,
    ),
    *case(
        "soft_margin",
        lambda z, reduction: losses.soft_margin(z, SIGNS, reduction=reduction),
        lambda F, torch, z, reduction: F.soft_margin_loss(z, torch.tensor(SIGNS), reduction=reduction),
        Z,
    ),
    *case(
        "mse",
        lambda p, y, reduction: losses.mse(p, y, reduction=reduction),
        lambda F, torch, p, y, reduction: F.mse_loss(p, y, reduction=reduction),
        Z,
        Z2,
    ),
    *case(
        "l1",
        lambda p, y, reduction: losses.l1(p, y, reduction=reduction),
        lambda F, torch, p, y, reduction: F.l1_loss(p, y, reduction=reduction),
        Z,
        Z2,
    ),
    *case(
        "huber",
        lambda p, y, reduction: losses.huber(p, y, delta=1.5, reduction=reduction),
        lambda F, torch, p, y, reduction: F.huber_loss(p, y, delta=1.5, reduction=reduction),
        Z,
        Z2,
    ),
    *case(
        "smooth_l1",
        lambda p, y, reduction: losses.smooth_l1(p, y, beta=0.5, reduction=reduction),
        lambda F, torch, p, y, reduction: F.smooth_l1_loss(p, y, beta=0.5, reduction=reduction),
        Z,
        Z2,
    ),
    *case(
        "smooth_l1, beta 0",
        lambda p, y, reduction: losses.smooth_l1(p, y, beta=0, reduction=reduction),
        lambda F, torch, p, y, reduction: F.smooth_l1_loss(p, y, beta=0, reduction=reduction),
        Z,
        Z2,
    ),
    *case(
        "kl_div",
        lambda x, y, reduction: losses.kl_div(x, y, reduction=reduction),
        lambda F, torch, x, y, reduction: F.kl_div(x, y, reduction=reduction),
        Z,
        SHARES,
        reductions=[*REDUCTIONS, "batchmean"],
    ),
    *case(
        "kl_div of logarithms",
        lambda x, y, reduction: losses.kl_div(x, y, log_target=True, reduction=reduction),
        lambda F, torch, x, y, reduction: F.kl_div(x, y, log_target=True, reduction=reduction),
        Z,
        Z2,
        reductions=[*REDUCTIONS, "batchmean"],
    ),
    *case(
        "poisson_nll",
        lambda x, reduction: losses.poisson_nll(x, COUNTS, full=True, reduction=reduction),
        lambda F, torch, x, reduction: F.poisson_nll_loss(x, torch.tensor(COUNTS), full=True, reduction=reduction),
        Z,
    ),
    *case(
        "poisson_nll of counts",
        lambda x, reduction: losses.poisson_nll(x, COUNTS, log_input=False, eps=0.1, reduction=reduction),
        lambda F, torch, x, reduction: F.poisson_nll_loss(
            x, torch.tensor(COUNTS), log_input=False, eps=0.1, reduction=reduction
        ),
        POSITIVE,
    ),
    *case(
        "gaussian_nll",
        lambda m, y, v, reduction: losses.gaussian_nll(m, y, v, full=True, reduction=reduction),
        lambda F, torch, m, y, v, reduction: F.gaussian_nll_loss(m, y, v, full=True, reduction=reduction),
        Z,
        Z2,
        POSITIVE,
    ),
    *case(
        "gaussian_nll, small variances",
        lambda m, y, v, reduction: losses.gaussian_nll(m, y, v, eps=1.5, reduction=reduction),
        lambda F, torch, m, y, v, reduction: F.gaussian_nll_loss(m, y, v, eps=1.5, reduction=reduction),
        Z,
        Z2,
        POSITIVE[:, 0].copy(),
    ),
    *case(
        "cosine_embedding",
        lambda a, b, reduction: losses.cosine_embedding(a, b, PAIRS, margin=0.1, reduction=reduction),
        lambda F, torch, a, b, reduction: F.cosine_embedding_loss(
            a, b, torch.tensor(PAIRS), margin=0.1, reduction=reduction
        ),
        Z,
        Z2,
    ),
    *case(
        "cosine_similarity",
        lambda a, b, reduction: losses.cosine_similarity(a, b, axis=0),
        lambda F, torch, a, b, reduction: F.cosine_similarity(a, b, dim=0),
        Z,
        Z2[:, :1],
        reductions=["none"],
    ),
    *case("triplet_margin", *triplet(), Z, Z2, Z3),
    *case("triplet_margin, options", *triplet(margin=2.0, p=3.0, swap=True), Z, Z2, Z3),
    *case(
        "margin_ranking",
        lambda a, b, reduction: losses.margin_ranking(a, b, SIGNS, margin=0.5, reduction=reduction),
        lambda F, torch, a, b, reduction: F.margin_ranking_loss(
            a, b, torch.tensor(SIGNS), margin=0.5, reduction=reduction
        ),
        Z,
        Z2,
    ),
]


def torch_run(torch, f, arrays, reduction):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    with warnings.catch_warnings():
        # That the mean of kl_div is not the divergence.
        warnings.simplefilter("ignore")
        out = f(torch.nn.functional, torch, *tensors, reduction)
    out.sum().backward()
    return [out, *[t.grad for t in tensors]]


def run(f, arrays, reduction):
    tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors, reduction)
    np.sum(out).backward()
    return [out.data, *[t.grad.data for t in tensors]]


@pytest.mark.parametrize(("name", "ours", "theirs", "arrays", "reduction"), CASES)
def test_values_and_gradients_are_pytorchs(name, ours, theirs, arrays, reduction):
    expected = torch_values("losses", name, lambda torch: torch_run(torch, theirs, arrays, reduction))
    got = run(ours, arrays, reduction)
    # Plain arrays give plain arrays, with the same numbers.
    np.testing.assert_array_equal(ours(*arrays, reduction), got[0])
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-12)


FIRST = {p.id.rpartition(",")[0]: p for p in reversed(CASES)}


# A variance below eps has the gradient of eps, which differences do not see.
@pytest.mark.parametrize("name", sorted(FIRST.keys() - {"gaussian_nll, small variances"}))
def test_derivatives_of_second_order_agree_with_differences(name):
    _, ours, _, arrays, reduction = FIRST[name].values
    check_grad(lambda *xs: np.sum(ours(*xs, reduction)), *arrays, order=2)
