"""Augmentation: images changed at random, each in its own way, so that a network sees more than there is.

All take images of shape (N, H, W) or (N, C, H, W), or with more axes between the first and the last two, and give a
new array of the same dtype.  What moves in from outside of an image is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..counts import count
from ..errors import RangeError, ShapeError
from ..randomness import Randomness
from .loader import takes_rng


def _images(images: Any) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim < 3:
        raise ShapeError(
            f"images of shape {images.shape} have {images.ndim} axes: augmentation needs samples first, rows and "
            "columns last.  Give an array of shape (N, H, W) or (N, C, H, W); of a single image, images[None]."
        )
    return images


def _padded(images: np.ndarray, before: int, after: int) -> np.ndarray:
    return np.pad(images, [(0, 0)] * (images.ndim - 2) + [(before, after)] * 2)


def random_crop(
    images: Any, size: int | tuple[int, int] | None = None, padding: int = 0, rng: Randomness = None
) -> np.ndarray:
    """A part of each image, cut out at a random place.

    Parameters
    ----------
    images : (N, ..., H, W) array
    size : int or (int, int), optional
        Rows and columns of the result.  Default: those of the images.
    padding : int
        So many pixels of 0 are put around each image first.
    rng : numpy.random.Generator, int or None

    Raises
    ------
    RangeError
        The size is larger than the padded images.

    Examples
    --------
    >>> image = np.arange(16).reshape(1, 4, 4)
    >>> random_crop(image, size=2, rng=0)
    array([[[ 9, 10],
            [13, 14]]])
    """
    padding = count("padding", padding, 0)
    padded = _padded(_images(images), padding, padding)
    height, width = padded.shape[-2] - 2 * padding, padded.shape[-1] - 2 * padding
    if size is not None:
        height, width = size if isinstance(size, tuple | list) else (size, size)
    rows, columns = padded.shape[-2] - height + 1, padded.shape[-1] - width + 1
    if min(height, width) < 0 or min(rows, columns) < 1:
        raise RangeError(
            f"a part of {height} x {width} pixels cannot be cut out of {padded.shape[-2]} x {padded.shape[-1]} pixels "
            "(padding included).  Choose a smaller size, or a larger padding."
        )
    generator = np.random.default_rng(rng)
    top, left = generator.integers(rows, size=len(padded)), generator.integers(columns, size=len(padded))
    windows = sliding_window_view(padded, (height, width), axis=(-2, -1))
    return windows[np.arange(len(padded)), ..., top, left, :, :]


def random_shift(images: Any, pixels: int, rng: Randomness = None) -> np.ndarray:
    """Each image moved by up to this many pixels: up or down, and left or right.

    Examples
    --------
    >>> images = np.eye(3, dtype=np.uint8)[None]
    >>> random_shift(images, 1, rng=0)
    array([[[0, 1, 0],
            [0, 0, 1],
            [0, 0, 0]]], dtype=uint8)
    """
    return random_crop(images, padding=count("pixels", pixels, 0), rng=rng)


def random_flip(images: Any, p: float = 0.5, axis: int = -1, rng: Randomness = None) -> np.ndarray:
    """Each image mirrored with probability `p`: left to right, or upside down with `axis=-2`.

    Examples
    --------
    >>> random_flip(np.array([[[1, 2, 3]]]), p=1)
    array([[[3, 2, 1]]])
    """
    result = _images(images).copy()
    chosen = np.random.default_rng(rng).random(len(result)) < p
    result[chosen] = np.flip(result[chosen], axis)
    return result


def random_affine(
    images: Any,
    degrees: float | tuple[float, float] = 0,
    shift: float = 0,
    scale: tuple[float, float] = (1, 1),
    rng: Randomness = None,
) -> np.ndarray:
    """Each image turned, moved and enlarged at random, its pixels interpolated (bilinearly).

    Parameters
    ----------
    images : (N, ..., H, W) array
    degrees : float or (float, float)
        The largest angle, in both directions; or the smallest and the largest, counted anticlockwise.
    shift : float
        The largest move in pixels: up or down, and left or right.
    scale : (float, float)
        The smallest and the largest magnification.
    rng : numpy.random.Generator, int or None

    Examples
    --------
    >>> image = np.array([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]])
    >>> random_affine(image, degrees=(90, 90)).round(6) + 0
    array([[[0., 0., 0.],
            [1., 0., 0.],
            [0., 0., 0.]]])
    """
    images = _images(images)
    if not 0 < scale[0] <= scale[1]:
        raise RangeError(f"scale={scale} are no magnifications: give the smallest and the largest, above 0.")
    generator = np.random.default_rng(rng)
    low, high = degrees if isinstance(degrees, tuple) else (-degrees, degrees)
    angle = np.deg2rad(generator.uniform(low, high, len(images)))
    factor = generator.uniform(*scale, len(images))
    down, right = generator.uniform(-shift, shift, (2, len(images)))
    height, width = images.shape[-2:]
    y = np.arange(height)[:, None] - (height - 1) / 2 - down[:, None, None]
    x = np.arange(width) - (width - 1) / 2 - right[:, None, None]
    # From a pixel of the result back to where in the image it came from.
    cosine, sine = (f[:, None, None] for f in (np.cos(angle) / factor, np.sin(angle) / factor))
    return _interpolated(images, cosine * y + sine * x + (height - 1) / 2, cosine * x - sine * y + (width - 1) / 2)


def random_rotation(images: Any, degrees: float | tuple[float, float], rng: Randomness = None) -> np.ndarray:
    """Each image turned around its middle by up to this many degrees, in either direction.

    Examples
    --------
    >>> images = np.ones((2, 5, 5), np.float32)
    >>> random_rotation(images, 10, rng=0).dtype
    dtype('float32')
    """
    return random_affine(images, degrees, rng=rng)


def _interpolated(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The values between pixels: images (N, ..., H, W) at places y, x (N, H, W)."""
    height, width = images.shape[-2:]
    floating = np.result_type(images.dtype, np.float32)
    # Outside there are zeros: one row before, two after, so that all four neighbours of a clipped place are there.
    y, x = np.clip(y, -1, height) + 1, np.clip(x, -1, width) + 1
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    channels, pixels = math.prod(images.shape[1:-2]), (height + 3) * (width + 3)
    flat = _padded(images, 1, 2).astype(floating, copy=False).reshape(len(images), channels, pixels)
    corner = (top * (width + 3) + left).reshape(len(images), 1, height * width)
    pixel = lambda offset: np.take_along_axis(flat, corner + offset, axis=2)
    down = (y - top).astype(floating).reshape(corner.shape)
    right = (x - left).astype(floating).reshape(corner.shape)
    upper = pixel(0) * (1 - right) + pixel(1) * right
    lower = pixel(width + 3) * (1 - right) + pixel(width + 4) * right
    return _cast((upper * (1 - down) + lower * down).reshape(images.shape), images.dtype)


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype, copy=False)


def gaussian_noise(images: Any, std: float, rng: Randomness = None) -> np.ndarray:
    """The images plus normal noise of this standard deviation; whole numbers are rounded, and clipped to their dtype.

    Examples
    --------
    >>> gaussian_noise(np.full((1, 2, 2), 100, np.uint8), std=10, rng=0)
    array([[[111,  86],
            [ 96,  92]]], dtype=uint8)
    """
    images = _images(images)
    drawn = np.float32 if np.result_type(images.dtype, np.float32) == np.float32 else np.float64
    noise = np.random.default_rng(rng).standard_normal(images.shape, drawn)
    return _cast(images + drawn(std) * noise, images.dtype)


class Compose:
    """What `compose` gives."""

    def __init__(self, steps: Sequence[Callable[..., Any]]):
        self.steps = [(step, takes_rng(step)) for step in steps]

    def __call__(self, first: Any, *others: Any, rng: Randomness = None) -> tuple[Any, ...]:
        """The batch, with every step done to its first array."""
        generator = np.random.default_rng(rng)
        for step, random in self.steps:
            first = step(first, rng=generator) if random else step(first)
        return (first, *others)


def compose(*steps: Callable[..., Any]) -> Compose:
    """A transform for DataLoader that does one step after the other to the images, and leaves labels as they are.

    Parameters
    ----------
    *steps : callable
        Each takes the first array of a batch and gives what takes its place.  A step with a parameter `rng` is given
        the batch's generator.

    Examples
    --------
    >>> from functools import partial
    >>> from tinygrad_np.data import DataLoader
    >>> augment = compose(partial(random_shift, pixels=2), lambda x: x / np.float32(255))
    >>> images, labels = np.zeros((6, 28, 28), np.uint8), np.arange(6)
    >>> loader = DataLoader(images, labels, batch_size=3, shuffle=True, rng=0, transform=augment, prefetch=2)
    >>> x, y = next(iter(loader))
    >>> x.shape, x.dtype, y.shape
    ((3, 28, 28), dtype('float32'), (3,))
    """
    return Compose(steps)
