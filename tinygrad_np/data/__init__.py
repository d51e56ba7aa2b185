"""Data for training: mini-batches, splits, augmentation, the MNIST digits, toy sets, text.

Everything gives and takes NumPy arrays, and draws its random numbers from a seeded generator.
"""

from ..randomness import generator_state, restore_generator
from .augment import (
    compose,
    gaussian_noise,
    random_affine,
    random_crop,
    random_flip,
    random_rotation,
    random_shift,
)
from .digits import MNIST, mnist, read_mnist
from .files import DataFileError, cache_directory
from .loader import DataLoader
from .splits import one_hot, random_split
from .text import Vocabulary, characters, windows
from .toys import blobs, circles, letters, moons, spirals

__all__ = [
    # mini-batches
    "DataLoader", "random_split", "one_hot",
    # images changed at random
    "compose", "random_shift", "random_crop", "random_flip", "random_rotation", "random_affine", "gaussian_noise",
    # data
    "mnist", "read_mnist", "MNIST", "letters", "spirals", "moons", "circles", "blobs",
    # text
    "Vocabulary", "characters", "windows",
    # files, states of generators
    "cache_directory", "DataFileError", "generator_state", "restore_generator",
]  # fmt: skip
