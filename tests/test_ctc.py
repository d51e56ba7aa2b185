"""The loss of connectionist temporal classification: PyTorch's numbers, and those of counting all paths."""

import itertools

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np.errors import RangeError, ShapeError
from tinygrad_np.ops.losses import ctc
from tinygrad_np.testing import check_grad


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


Z = draw(12, 4, 5)
TARGETS = np.array([[1, 2, 2, 4], [3, 3, 3, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
FRAMES, LENGTHS = [12, 10, 7, 3], [4, 3, 1, 0]
IN_A_ROW = np.concatenate([row[:n] for row, n in zip(TARGETS, LENGTHS, strict=True)])


def ours(z, reduction="mean", targets=TARGETS, frames=FRAMES, lengths=LENGTHS, **options):
    return ctc(tg.log_softmax(z), targets, frames, lengths, reduction=reduction, **options)


def by_all_paths(log_probs, target, blank):
    """Minus the log-probability of all paths that give the target, one by one."""
    frames, classes = log_probs.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=frames):
        merged = [k for k, _ in itertools.groupby(path) if k != blank]
        if merged == list(target):
            total += np.exp(log_probs[range(frames), path].sum())
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("targets", [TARGETS, IN_A_ROW], ids=["padded", "in a row"])
def test_values_and_gradients_are_pytorchs(reduction, targets):
    def theirs(torch):
        z = torch.tensor(Z, requires_grad=True)
        out = torch.nn.functional.ctc_loss(
            torch.log_softmax(z, 2), torch.tensor(targets), FRAMES, LENGTHS, reduction=reduction
        )
        out.sum().backward()
        return [out, z.grad]

    value, gradient = torch_values("losses", f"ctc, {reduction}, {targets.ndim}", theirs)
    z = tg.Tensor(Z, requires_grad=True)
    out = ours(z, reduction, targets)
    np.sum(out).backward()
    np.testing.assert_allclose(out.data, value, rtol=1e-12)
    np.testing.assert_allclose(z.grad.data, gradient, rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(ours(Z, reduction, targets), out.data)


@pytest.mark.parametrize("target", [[], [1], [1, 1], [2, 1], [1, 2, 1], [1, 1, 2], [2, 2, 2]])
@pytest.mark.parametrize("blank", [0, 3])
def test_it_is_the_probability_of_all_paths(target, blank):
    log_probs = tg.log_softmax(draw(4, 4))
    found = ctc(log_probs, np.array(target, int), 4, len(target), blank, reduction="sum")
    np.testing.assert_allclose(found, by_all_paths(log_probs, target, blank), rtol=1e-12)


def test_derivatives_of_second_order_agree_with_differences():
    targets = np.array([[1, 2, 2], [3, 0, 0]])
    check_grad(lambda x: ctc(x, targets, [6, 4], [3, 1], reduction="sum"), draw(6, 2, 4), order=2)


def test_third_derivatives():
    x, d = draw(4, 1, 3), draw(4, 1, 3, seed=1)

    def curve(x):
        return np.sum(tg.hvp(lambda x: ctc(x, np.array([[1, 1]]), [4], [2]))(x, d) * d)

    h = 1e-4
    numeric = (curve(x + h * d) - curve(x - h * d)) / (2 * h)
    np.testing.assert_allclose(np.sum(tg.grad(curve)(x) * d), numeric, rtol=1e-6)


def test_where_the_frames_do_not_suffice():
    # Two equal labels need a blank between them: three frames.
    x = tg.Tensor(draw(2, 2, 3), requires_grad=True)
    targets, frames, lengths = np.array([[1, 1], [1, 2]]), [2, 2], [2, 2]
    out = ctc(x, targets, frames, lengths, reduction="none")
    assert out.data[0] == np.inf
    assert np.isfinite(out.data[1])
    hidden = ctc(x, targets, frames, lengths, reduction="sum", zero_infinity=True)
    np.testing.assert_allclose(hidden.data, out.data[1])
    hidden.backward()
    assert not x.grad.data[:, 0].any()
    assert x.grad.data[:, 1].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_and_impossible_scores(dtype):
    z = np.where(Z.max(2, keepdims=True) == Z, 1e4, -1e4).astype(dtype)
    x = tg.Tensor(z, requires_grad=True)
    out = ours(x, "none")
    out.backward(np.ones(4))
    assert out.dtype == dtype
    assert np.isfinite(out.data).all()
    assert np.isfinite(x.grad.data).all()
    # A class without probability, which no target has.
    certain = Z.copy()
    certain[:, :, 3] = -np.inf
    x = tg.Tensor(certain[:, :1], requires_grad=True)
    ours(x, targets=TARGETS[:1], frames=[12], lengths=[4]).backward()
    assert np.isfinite(x.grad.data).all()
    assert not x.grad.data[:, :, 3].any()


def test_padding_does_not_count():
    padded = TARGETS.copy()
    padded[2, 1:], padded[3] = 99, -5
    np.testing.assert_array_equal(ours(Z, "none", padded), ours(Z, "none"))
    longer = np.concatenate([Z, draw(3, 4, 5, seed=1)])
    np.testing.assert_allclose(ours(longer, "none"), ours(Z, "none"), rtol=1e-14)


def test_one_sample_without_an_axis():
    np.testing.assert_allclose(
        [ours(Z[:, i], "none", row, n, m) for i, (row, n, m) in enumerate(zip(TARGETS, FRAMES, LENGTHS, strict=True))],
        ours(Z, "none"),
    )


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"targets": TARGETS[:3]}, ShapeError, "row of targets for each of 4"),
        ({"targets": IN_A_ROW[:-1]}, ShapeError, "8 by their lengths"),
        ({"targets": TARGETS + 1}, RangeError, "from 0 to 4.*to 5"),
        ({"targets": TARGETS * 1.0}, RangeError, "float64"),
        ({"blank": 5}, RangeError, "blank=5"),
        ({"blank": 2}, RangeError, "blank=2 between the targets"),
        ({"frames": [12, 10, 7]}, ShapeError, r"each of 4 samples as input_lengths.*\(3,\)"),
        ({"frames": [13, 10, 7, 3]}, RangeError, "input_lengths from 1 to 12"),
        ({"frames": [12, 10, 7, 0]}, RangeError, "0 to 12"),
        ({"lengths": [5, 3, 1, 0]}, RangeError, "target_lengths from 0 to 4"),
        ({"lengths": [4.0, 3, 1, 0]}, ShapeError, "float64"),
        ({"reduction": "average"}, ValueError, "average"),
    ],
)
def test_what_does_not_fit_is_refused(options, kind, words):
    with pytest.raises(kind, match=words):
        ours(Z, **options)
    with pytest.raises(ShapeError, match="frames first"):
        ctc(Z[0, 0], TARGETS, FRAMES, LENGTHS)
