"""Splits, labels, augmentation, toy sets, text, states of generators: against plain loops, SciPy and geometry."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from tinygrad_np.data import (
    DataLoader,
    Vocabulary,
    blobs,
    characters,
    circles,
    compose,
    gaussian_noise,
    generator_state,
    letters,
    moons,
    one_hot,
    random_affine,
    random_crop,
    random_flip,
    random_rotation,
    random_shift,
    random_split,
    restore_generator,
    spirals,
    windows,
)
from tinygrad_np.errors import RangeError, ShapeError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(1, 256, (40, 3, 7, 9), dtype=np.uint8)

# -- splits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "samples", "sizes"),
    [
        # As PyTorch's random_split deals them out.
        ([0.8, 0.2], 10, [8, 2]),
        ([0.7, 0.3], 10, [7, 3]),
        ([1 / 3, 1 / 3, 1 / 3], 10, [4, 3, 3]),
        ([0.25, 0.75], 5, [2, 3]),
        ([0.1, 0.2, 0.7], 60_000, [6_000, 12_000, 42_000]),
        ([1.0], 4, [4]),
        ([6, 4], 10, [6, 4]),
        ([10, 0], 10, [10, 0]),
    ],
)
@pytest.mark.parametrize("stratified", [False, True])
def test_parts_have_their_sizes_and_share_no_sample(lengths, samples, sizes, stratified):
    x, y = np.arange(samples), np.arange(samples) % 3
    parts = random_split(x, y, lengths=lengths, rng=0, stratify=y if stratified else None)
    assert [len(part) for part, _ in parts] == sizes
    assert sorted(np.concatenate([part for part, _ in parts])) == list(range(samples))
    assert all(np.array_equal(labels, part % 3) for part, labels in parts)


def test_splits_are_shuffled_by_the_seed():
    split = lambda rng: random_split(np.arange(100), lengths=[0.5, 0.5], rng=rng)[0][0].tolist()
    assert split(1) == split(1)
    assert split(1) != split(2)
    assert split(1) != sorted(split(1))


@pytest.mark.parametrize("lengths", [[0.8, 0.2], [0.5, 0.3, 0.2], [0.1] * 10])
def test_stratified_parts_have_every_label_in_proportion(lengths):
    labels = np.repeat(["a", "b", "c", "d"], [500, 90, 33, 4])
    labels = np.random.default_rng(1).permutation(labels)
    for (part,), share in zip(random_split(labels, lengths=lengths, rng=2, stratify=labels), lengths, strict=True):
        for label in "abcd":
            assert abs(np.sum(part == label) - share * np.sum(labels == label)) <= 2
        # In no order that a mini-batch would show.
        assert part.tolist() != random_split(labels, lengths=lengths, rng=3, stratify=labels)[0][0].tolist()


@pytest.mark.parametrize("lengths", [[], [5, 4], [0.5, 0.4], [11, -1], [1.5, -0.5]])
def test_lengths_that_do_not_add_up(lengths):
    with pytest.raises(RangeError, match="lengths="):
        random_split(np.arange(10), lengths=lengths)


def test_splits_of_unequal_arrays():
    with pytest.raises(ShapeError):
        random_split(np.arange(10), np.arange(9), lengths=[0.5, 0.5])
    with pytest.raises(ShapeError, match="one label per sample"):
        random_split(np.arange(10), lengths=[0.5, 0.5], stratify=np.arange(9))


def test_one_hot():
    labels = np.array([[3, 0], [1, 1]], np.uint8)
    np.testing.assert_array_equal(one_hot(labels, 5), np.eye(5, dtype=np.float32)[labels], strict=True)
    assert one_hot(labels, dtype=bool).dtype == bool
    assert one_hot(2).tolist() == [0, 0, 1]
    assert one_hot([], 3).shape == (0, 3)
    for wrong in ([3], [-1]):
        with pytest.raises(RangeError, match="3 classes"):
            one_hot(wrong, 3)
    with pytest.raises(TypeError, match="float64"):
        one_hot([1.0])


# -- augmentation -----------------------------------------------------------------------------------


def moved(image, down, right):
    """By a loop: the image moved, zeros where nothing came from."""
    result = np.zeros_like(image)
    height, width = image.shape[-2:]
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                result[..., y, x] = image[..., y - down, x - right]
    return result


def test_a_transform_that_forgets_to_return_the_batch():
    loader = DataLoader(IMAGES, transform=lambda images: None, batch_size=4)
    with pytest.raises(TypeError, match="returned None"):
        next(iter(loader))


def test_shifts_move_each_image_by_itself_and_all_moves_occur():
    many = np.repeat(IMAGES[:1], 300, axis=0)
    moves = {moved(IMAGES[0], d, r).tobytes() for d in (-1, 0, 1) for r in (-1, 0, 1)}
    assert len(moves) == 9
    assert {image.tobytes() for image in random_shift(many, 1, rng=0)} == moves


def test_crops_are_parts_and_all_places_occur():
    many = np.repeat(IMAGES[:1], 300, axis=0)
    padded = np.pad(IMAGES[0], [(0, 0), (1, 1), (1, 1)])
    parts = {padded[:, y : y + 7, x : x + 8].tobytes() for y in range(3) for x in range(4)}
    assert {image.tobytes() for image in random_crop(many, (7, 8), padding=1, rng=0)} == parts
    assert random_crop(IMAGES, 5).shape == (40, 3, 5, 5)
    with pytest.raises(RangeError, match="8 x 8"):
        random_crop(IMAGES, 8)
    with pytest.raises(RangeError, match="pixels=-1"):
        random_shift(IMAGES, -1)


def test_flips():
    flipped = random_flip(IMAGES, rng=0)
    mirrored = [np.array_equal(a, b[..., ::-1]) for a, b in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert np.logical_xor(mirrored, kept).all()
    assert 10 <= sum(mirrored) <= 30
    np.testing.assert_array_equal(random_flip(IMAGES, p=1, axis=-2), IMAGES[:, :, ::-1])
    np.testing.assert_array_equal(random_flip(IMAGES, p=0), IMAGES)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(turns):
    square = IMAGES[..., :7]
    turned = random_rotation(square, (90 * turns, 90 * turns))
    np.testing.assert_array_equal(turned, np.rot90(square, turns, axes=(-2, -1)), strict=True)


@pytest.mark.parametrize("angle", [20, -35])
@pytest.mark.parametrize("scale", [1.0, 1.3, 0.6])
def test_turned_and_enlarged_as_scipy_does_it(angle, scale):
    images = RNG.standard_normal((2, 3, 12, 15))
    result = random_affine(images, (angle, angle), scale=(scale, scale))
    c, s = np.cos(np.deg2rad(angle)) / scale, np.sin(np.deg2rad(angle)) / scale
    back = np.array([[c, s], [-s, c]])
    middle = np.array([11 / 2, 14 / 2])
    for image, other in zip(images.reshape(-1, 12, 15), result.reshape(-1, 12, 15), strict=True):
        # Zeros around, since SciPy does not interpolate across the edge.
        wide = np.pad(image, 20)
        expected = ndimage.affine_transform(wide, back, middle + 20 - back @ (middle + 20), order=1)[20:-20, 20:-20]
        np.testing.assert_allclose(other, expected, atol=1e-12)


def test_moved_by_parts_of_a_pixel():
    images = np.repeat(RNG.standard_normal((1, 12, 15)), 50, axis=0)
    for image in random_affine(images, shift=2, rng=0):
        # Bilinear interpolation at a shift (a, b): found again from two pixels, it explains the others.
        found = min(
            np.abs(ndimage.shift(np.pad(images[0], 3), move, order=1)[3:-3, 3:-3] - image).max()
            for move in [_shift_of(images[0], image)]
        )
        assert found < 1e-9


def _shift_of(image, other):
    """The shift between two images, by least squares over the moves of each whole pixel pair."""
    best = None
    for down in range(-2, 2):
        for right in range(-2, 2):
            corners = [moved(image, down + i, right + j)[3:-3, 3:-3].ravel() for i in (0, 1) for j in (0, 1)]
            weights, *_ = np.linalg.lstsq(np.array(corners).T, other[3:-3, 3:-3].ravel())
            error = np.abs(np.array(corners).T @ weights - other[3:-3, 3:-3].ravel()).max()
            if best is None or error < best[0]:
                best = error, (down + weights[2] + weights[3], right + weights[1] + weights[3])
    return best[1]


STEPS = {
    "shift": partial(random_shift, pixels=2),
    "crop": partial(random_crop, size=5),
    "flip": random_flip,
    "rotation": partial(random_rotation, degrees=15),
    "affine": partial(random_affine, degrees=5, shift=1, scale=(0.9, 1.1)),
    "noise": partial(gaussian_noise, std=3),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 8, 7), (6, 2, 8, 7), (0, 1, 8, 7)])
def test_dtypes_and_axes_stay_and_the_seed_repeats(step, dtype, shape):
    images = RNG.integers(0, 256, shape).astype(dtype)
    before = images.copy()
    result = step(images, rng=3)
    assert result.dtype == dtype
    assert result.shape[:-2] == shape[:-2]
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(step(images, rng=3), result)
    assert not len(images) or not np.array_equal(step(images, rng=4), result)
    # Samples are changed each in its own way, their channels alike.
    same = step(np.ones((6, 2, 8, 7)) * np.arange(1, 57).reshape(8, 7), rng=3)
    assert len({sample.tobytes() for sample in same}) > 1
    assert step is STEPS["noise"] or np.array_equal(same[:, 0], same[:, 1])


def test_whole_numbers_do_not_wrap_around():
    white = np.full((50, 8, 8), 255, np.uint8)
    noisy = gaussian_noise(white, std=20, rng=0)
    assert noisy.min() > 100
    assert (noisy == 255).mean() == pytest.approx(0.5, abs=0.05)
    assert gaussian_noise(np.zeros((50, 20, 20)), std=20, rng=0).std() == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_single_image_is_refused(step):
    with pytest.raises(ShapeError, match="images\\[None\\]"):
        step(np.zeros((8, 8)))


def test_composed_steps_change_the_images_and_leave_the_labels():
    augment = compose(partial(random_shift, pixels=1), lambda x: x / 255, random_flip)
    images, labels = augment(IMAGES, np.arange(40), rng=1)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(images, random_flip(random_shift(IMAGES, 1, rng) / 255, rng=rng))
    np.testing.assert_array_equal(labels, np.arange(40))
    one, other = (DataLoader(IMAGES, transform=augment, rng=2, batch_size=8) for _ in range(2))
    assert all(np.array_equal(a, b) for (a,), (b,) in zip(one, other, strict=True))


# -- toy sets ---------------------------------------------------------------------------------------


def test_letters_with_noise():
    X, y = letters(copies=1000, noise=0.1, rng=0)
    clean, labels = letters()
    assert (X.shape, X.dtype) == ((3000, 30), np.float64)
    assert np.unique(X).tolist() == [0, 1]
    assert (clean[y] != X).mean() == pytest.approx(0.1, abs=0.005)
    assert labels.tolist() == [0, 1, 2]
    # B and C are symmetric top to bottom, A and B left to right.
    drawn = clean.reshape(3, 5, 6)
    assert [np.array_equal(d, d[::-1]) for d in drawn] == [False, True, True]
    assert [np.array_equal(d, d[:, ::-1]) for d in drawn] == [True, True, False]


SETS = {
    "spirals": partial(spirals, classes=3),
    "moons": moons,
    "circles": circles,
    "blobs": partial(blobs, classes=4),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("samples", [0, 1, 7, 200])
def test_toy_sets_have_all_classes_in_turns(name, samples):
    X, y = SETS[name](samples, rng=0)
    classes = {"spirals": 3, "blobs": 4}.get(name, 2)
    assert (X.shape, X.dtype, y.shape, y.dtype.kind) == ((samples, 2), np.float64, (samples,), "i")
    assert y.tolist() == [i % classes for i in range(samples)]
    np.testing.assert_array_equal(SETS[name](samples, rng=0)[0], X)
    assert samples == 0 or not np.array_equal(SETS[name](samples, rng=1)[0], X)


@pytest.mark.parametrize("name", ["spirals", "moons", "circles"])
def test_no_straight_line_parts_the_curves_but_the_nearest_neighbour_does(name):
    X, y = (spirals if name == "spirals" else SETS[name])(400, noise=0)
    distance = np.linalg.norm(X[:, None] - X, axis=2) + np.diag(np.full(400, np.inf))
    assert (y[distance.argmin(axis=1)] == y).all()
    plane = np.column_stack([X, np.ones(400)])
    weights, *_ = np.linalg.lstsq(plane, 2 * y - 1)
    assert ((plane @ weights > 0) == y).mean() < 0.95


def test_where_the_curves_lie():
    X, y = moons(100, noise=0)
    for label, (middle, side) in enumerate([((0, 0), 1), ((1, 0.5), -1)]):
        own = X[y == label] - middle
        np.testing.assert_allclose(np.hypot(*own.T), 1)
        assert (side * own[:, 1] > -1e-9).all()
    X, y = circles(100, noise=0, factor=0.3)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y == 0, 1, 0.3))
    np.testing.assert_allclose(X[y == 0].mean(axis=0), 0, atol=1e-12)
    X, y = spirals(300, turns=1.5, noise=0)
    angle = np.unwrap(np.arctan2(*X[y == 1].T[::-1]))
    assert angle[-1] - angle[0] == pytest.approx(3 * np.pi)
    X, y = blobs(30_000, spread=0.7, rng=0)
    for label in range(3):
        np.testing.assert_allclose(np.hypot(*X[y == label].mean(axis=0)), 2, atol=0.05)
        np.testing.assert_allclose(X[y == label].std(axis=0), 0.7, atol=0.02)


# -- text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello world", "Größe → ∞ 🙂\n\t\0", "a", "", "\ud800"])
def test_text_comes_back(text):
    vocabulary = characters(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [vocabulary.symbols.index(symbol) for symbol in text]
    assert vocabulary.decode(numbers) == text
    assert vocabulary.symbols == "".join(sorted(set(text)))
    assert Vocabulary(vocabulary.symbols).decode(numbers) == text


def test_a_vocabulary_keeps_its_order():
    assert Vocabulary("cab").encode("abc").tolist() == [1, 2, 0]
    assert Vocabulary("cab").decode(np.array([0, 1, 2], np.uint8)) == "cab"


def test_text_that_does_not_fit_its_vocabulary():
    for text in ("abzc", "ab\0", "ab🙂"):
        with pytest.raises(ValueError, match=r"\(at 2\)"):
            Vocabulary("abc").encode(text)
    for numbers in ([3], [-1]):
        with pytest.raises(RangeError, match="3 characters"):
            Vocabulary("abc").decode(numbers)
    with pytest.raises(ValueError, match="'b' is there twice"):
        Vocabulary("abcb")


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("shape", [(11,), (11, 2)])
def test_windows_are_all_stretches_and_copy_nothing(shape, step):
    sequence = RNG.standard_normal(shape)
    found = windows(sequence, 4, step)
    expected = np.stack([sequence[i : i + 4] for i in range(0, 8, step)])
    np.testing.assert_array_equal(found, expected, strict=True)
    assert np.shares_memory(found, sequence)
    batches = list(DataLoader(found[:, :-1], found[:, 1:], batch_size=2, shuffle=True, rng=0))
    assert sum(len(x) for x, _ in batches) == len(expected)
    assert all(np.array_equal(x[:, 1:], y[:, :-1]) for x, y in batches)


def test_windows_that_do_not_fit():
    with pytest.raises(RangeError, match="sequence of 3"):
        windows(np.arange(3), 4)
    with pytest.raises(RangeError, match="step=0"):
        windows(np.arange(3), 2, 0)


# -- states of generators -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_generators_are_restored_from_json(bits):
    rng, other = np.random.Generator(bits(0)), np.random.Generator(bits(1))
    rng.random(5, np.float32)
    restored = json.loads(json.dumps(generator_state(rng)))
    restore_generator(other, restored)
    # An odd number of single-precision numbers leaves half of a draw behind.
    np.testing.assert_array_equal(other.random(5, np.float32), rng.random(5, np.float32))
    np.testing.assert_array_equal(other.standard_normal(100), rng.standard_normal(100))
