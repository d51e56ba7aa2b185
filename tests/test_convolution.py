"""Convolution and pooling by their definitions, entry by entry; and what they refuse."""

import itertools

import numpy as np
import pytest
from sampler import Sampler
from tensors import equal, parameter
from torch_values import torch_values

from tinygrad_np import nn
from tinygrad_np.errors import RangeError, ShapeError
from tinygrad_np.nn import functional as F
from tinygrad_np.testing import check_grad


def windows(x, kernel, stride, dilation=None):
    """For each place of the output, the entries of x (N, C, *space) that the kernel meets there."""
    dilation = dilation or (1,) * len(kernel)
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    for place in itertools.product(*map(range, counts)):
        index = [
            slice(i * s, i * s + d * (k - 1) + 1, d) for i, k, s, d in zip(place, kernel, stride, dilation, strict=True)
        ]
        yield place, x[(slice(None), slice(None), *index)]


def convolution(x, w, stride, padding, dilation, groups):
    """The sum over channels and kernel, for each sample, output and place."""
    x = np.pad(x, [(0, 0)] * 2 + [(p, p) for p in padding])
    each = w.shape[0] // groups
    found = {}
    for place, seen in windows(x, w.shape[2:], stride, dilation):
        parts = np.split(seen, groups, axis=1)
        found[place] = [[np.sum(parts[o // each][n] * w[o]) for o in range(w.shape[0])] for n in range(len(x))]
    shape = [1 + max(place[axis] for place in found) for axis in range(x.ndim - 2)]
    out = np.empty((len(x), w.shape[0], *shape))
    for place, value in found.items():
        out[(slice(None), slice(None), *place)] = value
    return out


# samples, weights, stride, padding, dilation, groups
SETTINGS = [
    ((2, 2, 5), (3, 2, 2), (1,), (0,), (1,), 1),
    ((3, 4, 7), (6, 2, 3), (2,), (1,), (2,), 2),
    ((2, 3, 4, 5), (2, 3, 2, 3), (1, 2), (1, 0), (2, 1), 1),
    ((1, 4, 5, 4), (4, 1, 2, 2), (2, 1), (1, 1), (1, 1), 4),
    ((2, 1, 6, 6), (1, 1, 2, 1), (3, 4), (0, 0), (1, 1), 1),  # entries that no window sees
    ((1, 2, 3, 2, 4), (2, 1, 2, 1, 2), (1, 1, 2), (0, 1, 1), (1, 1, 1), 2),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_convolution_is_the_sum_over_what_the_kernel_meets(settings):
    (x_shape, w_shape, *options), r = settings, Sampler()
    x, w, b = r.real(*x_shape), r.real(*w_shape), r.real(w_shape[0])
    function = getattr(F, f"conv{len(x_shape) - 2}d")
    expected = convolution(x, w, *options)
    equal(function(x, w, None, *options), expected)
    equal(function(x, w, b, *options), expected + b.reshape(-1, *[1] * (x.ndim - 2)))
    # One sample without its axis, and samples that lie in memory in another order.
    equal(function(x[0], w, None, *options), expected[0])
    equal(function(np.asfortranarray(x), w, None, *options), expected)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_transposed_convolution_is_the_transpose(settings):
    (x_shape, w_shape, stride, padding, dilation, groups), r = settings, Sampler()
    x, w = r.real(*x_shape), r.real(*w_shape)
    out = convolution(x, w, stride, padding, dilation, groups)
    y = r.real(*out.shape)
    transposed = getattr(F, f"conv_transpose{x.ndim - 2}d")
    reach = [
        (n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(out.shape[2:], stride, dilation, w_shape[2:], strict=True)
    ]
    more = [n + 2 * p - e for n, p, e in zip(x_shape[2:], padding, reach, strict=True)]
    back = transposed(y, w, None, stride, padding, more, groups, dilation)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(out * y), np.sum(x * back), rtol=1e-12)


# Kernel, stride, padding, output_padding, dilation, where dilation leaves room for more than the stride does.
@pytest.mark.parametrize(
    "settings", [(2, 1, 0, 1, 2), (3, 1, 1, 1, 2), (2, 2, 1, 2, 3), (2, 1, 3, 2, 3), (1, 1, 0, 1, 2)], ids=str
)
def test_output_padding_beyond_the_stride(settings):
    kernel, stride, padding, more, dilation = settings
    x, w = Sampler(1).real(2, 2, 4), Sampler(2).real(2, 3, kernel)

    def of_torch(torch):
        x_, w_ = (torch.from_numpy(a).requires_grad_() for a in (x, w))
        out = torch.nn.functional.conv_transpose1d(x_, w_, None, stride, padding, more, 1, dilation)
        (out * torch.from_numpy(np.cos(np.arange(out.numel())).reshape(out.shape))).sum().backward()
        return [out, x_.grad, w_.grad]

    x_, w_ = parameter(x), parameter(w)
    out = F.conv_transpose1d(x_, w_, None, stride, padding, more, 1, dilation)
    (out * np.cos(np.arange(out.size)).reshape(out.shape)).sum().backward()
    for found, expected in zip(
        [out, x_.grad, w_.grad], torch_values("convolution", str(settings), of_torch), strict=True
    ):
        np.testing.assert_allclose(found.data, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 2, rng=0), nn.ConvTranspose2d(2, 3, 2, stride=2, rng=0)])
def test_no_samples_have_gradients_of_zero(layer):
    x = parameter(np.ones((0, 2, 3, 4), np.float32))
    out = layer(x)
    assert out.shape == (0, *layer(np.ones((1, 2, 3, 4), np.float32)).shape[1:])
    out.sum().backward()
    assert x.grad.shape == x.shape
    equal(layer.weight.grad, np.zeros(layer.weight.shape))


@pytest.mark.parametrize(("mode", "of_numpy"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_what_stands_around_samples(mode, of_numpy):
    layer = nn.Conv2d(1, 2, 3, padding=(1, 2), padding_mode=mode, rng=0, dtype=np.float64)
    x = Sampler().real(2, 1, 4, 5)
    around = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)], mode=of_numpy)
    equal(layer(x), F.conv2d(around, layer.weight.data, layer.bias.data))


# -- pooling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel_stride", [((2, 2), None), ((3, 2), (1, 3)), ((1, 3), (2, 1))], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_pools_are_the_largest_and_the_mean_of_windows(kernel_stride, order):
    kernel, stride = kernel_stride
    x = np.asarray(Sampler().real(2, 3, 5, 6), order=order)
    largest, mean = F.max_pool2d(x, kernel, stride), F.avg_pool2d(x, kernel, stride)
    for place, seen in windows(x, kernel, stride or kernel):
        equal(largest[(..., *place)], seen.max(axis=(2, 3)))
        equal(mean[(..., *place)], seen.mean(axis=(2, 3)))


def test_windows_over_the_end_see_what_is_there():
    x = np.arange(1.0, 6.0).reshape(1, 1, 5)
    equal(F.max_pool1d(-x, 2, ceil_mode=True), [[[-1, -3, -5]]])
    equal(F.avg_pool1d(x, 2, ceil_mode=True), [[[1.5, 3.5, 5]]])
    equal(F.avg_pool1d(x, 2, padding=1), [[[0.5, 2.5, 4.5]]])
    equal(F.avg_pool1d(x, 2, padding=1, count_include_pad=False), [[[1, 2.5, 4.5]]])
    equal(F.adaptive_avg_pool1d(x, 2), [[[2, 4]]])
    equal(F.adaptive_max_pool1d(x, 3), [[[2, 4, 5]]])


def test_entries_that_tie_share_the_gradient():
    x = parameter(np.array([[[2.0, 2.0, 1.0, 3.0, 3.0, 3.0]]]))
    F.max_pool1d(x, 3).backward(np.array([[[6.0, 9.0]]]))
    equal(x.grad, [[[3, 3, 0, 3, 3, 3]]])
    check_grad(lambda x: F.max_pool2d(x, 2, 1), Sampler().real(1, 2, 3, 3), order=2)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_pools_of_whole_numbers(dtype):
    x = np.array([[[0, 1, 1, 0, 1]]]).astype(dtype)
    largest = F.max_pool1d(x, 3, 2, padding=1)
    assert largest.dtype == dtype
    np.testing.assert_array_equal(largest, [[[1, 1, 1]]])
    np.testing.assert_array_equal(F.adaptive_max_pool1d(x, 2), [[[1, 1]]])
    np.testing.assert_allclose(F.avg_pool1d(x, 2), [[[0.5, 0.5]]])
    np.testing.assert_allclose(F.adaptive_avg_pool1d(x, 2), [[[2 / 3, 2 / 3]]])


# -- mistakes ---------------------------------------------------------------------------------

IMAGES = np.ones((2, 8, 8, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.Conv2d(3, 4, 3)(IMAGES), ShapeError, r"\(2, 8, 8, 3\) have 8, on axis 1.*np\.moveaxis\(x, -1, 1\)"),
        (lambda: nn.Conv2d(1, 4, 3)(IMAGES[..., 0]), ShapeError, r"1 with shape \(4, 1, 3, 3\).*x\[:, None\]"),
        (lambda: nn.Conv2d(1, 4, 3)(IMAGES[0, ..., 0]), ShapeError, r"not shapes \(8, 8\) and \(4, 1, 3, 3\)"),
        (lambda: F.conv1d(np.ones((1, 3, 5)), np.ones((2, 1, 2)), groups=3), ShapeError, "3 groups do not divide"),
        (lambda: F.conv1d(np.ones((1, 3, 5)), np.ones((2, 3, 2)), np.ones(3)), ShapeError, r"bias of shape \(2,\)"),
        (lambda: nn.Conv1d(3, 4, 9)(np.ones((2, 3, 5))), ShapeError, r"kernel of shape \(9,\) does not fit.*\(5,\)"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), RangeError, "2 groups do not divide 3 and 4 channels"),
        (lambda: nn.Conv2d(3, 4, 3.0), RangeError, r"kernel_size as a whole number from 1 on.*not 3\.0"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), RangeError, r"or as 2 of them, not \(3, 3, 3\)"),
        (lambda: nn.Conv2d(3, 4, 3, padding="sane"), RangeError, "'same' or 'valid', not 'sane'"),
        (lambda: nn.Conv2d(3, 4, 3, 2, "same"), RangeError, r"only for stride 1, not \(2, 2\)"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="constant"), RangeError, "zeros, reflect, replicate, circular"),
        (lambda: nn.ConvTranspose1d(1, 1, 1, padding=1)(np.ones((1, 1, 2))), ShapeError, "cuts everything off"),
        (lambda: nn.ConvTranspose1d(1, 1, 2, output_padding=1)(np.ones((1, 1, 2))), RangeError, "output_padding below"),
        (lambda: nn.MaxPool2d("3"), RangeError, "MaxPool2d takes kernel_size as a whole number.*'3'"),
        (lambda: nn.AvgPool2d(2, stride=0), RangeError, "AvgPool2d takes stride as a whole number from 1 on"),
        (lambda: nn.MaxPool1d(2, padding=2), RangeError, r"padding up to half of the kernel \(2,\), not \(2,\)"),
        (lambda: nn.MaxPool2d(9)(IMAGES), ShapeError, r"windows of shape \(9, 9\), and none fits.*\(2, 8, 8, 3\)"),
        (lambda: nn.MaxPool2d(2)(IMAGES[0, 0]), ShapeError, r"not shape \(8, 3\)"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3))(IMAGES), RangeError, r"output_size .* 2 of them, not \(1, 2, 3\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
