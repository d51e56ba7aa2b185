"""MNIST with a small convolutional network: above 99 % on the test images in minutes, and a look at what it learned.

Two blocks of a convolution, batch normalization, max pooling and ReLU, then two linear layers: 105,914
parameters.  The one-cycle schedule makes few epochs enough, random shifts make the images go further.  The trained
network is saved, loaded into a new one, and asked again; its filters, its feature maps and its mistakes are drawn.

    python examples/mnist_cnn.py            6 epochs: two to four minutes
    python examples/mnist_cnn.py --quick    2 epochs on a part of the images: a few seconds
"""

from __future__ import annotations

from functools import partial
from time import perf_counter

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import data, nn, optim
from tinygrad_np.training import accuracy, predict

CHANNELS = 16, 32
BATCH = 64
RATE = 5e-3
VALIDATION = 1 / 12

# -- the data -------------------------------------------------------------------------------------

# Mean and standard deviation of all pixels of the training images.
MEAN, SPREAD = 0.1307, 0.3081


def pixels(images):
    """Images (n, 28, 28) of bytes as (n, 1, 28, 28) of float32, with mean 0 and spread 1: one channel."""
    return ((images[:, None] / 255 - MEAN) / SPREAD).astype(np.float32)


def loaders(x, y, seed):
    """Batches to train on, shifted by up to two pixels and shuffled, and batches to validate on."""
    parts = data.random_split(x, y, lengths=[1 - VALIDATION, VALIDATION], rng=seed, stratify=y)
    (x_train, y_train), (x_val, y_val) = parts
    augment = data.compose(partial(data.random_shift, pixels=2), pixels)
    # The last batch of an epoch may be of a few images only: too few for the means of batch normalization.
    train = data.DataLoader(
        x_train, y_train, batch_size=BATCH, shuffle=True, drop_last=True, rng=seed, transform=augment
    )
    return train, data.DataLoader(x_val, y_val, batch_size=500, transform=data.compose(pixels))


# -- the network ----------------------------------------------------------------------------------


def block(channels_in, channels_out, rng):
    """A convolution that keeps the size, and pooling that halves it.

    Batch normalization has a bias of its own, so that the convolution needs none.  ReLU comes after pooling, where it
    has a quarter of the work: the largest of four, cut off at 0, is the largest of four that were cut off.
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding="same", bias=False, rng=rng),
        nn.BatchNorm2d(channels_out),
        nn.MaxPool2d(2),
        nn.ReLU(),
    )


def cnn(channels, seed):
    rng = np.random.default_rng(seed)
    first, second = channels
    return nn.Sequential({
        "block1": block(1, first, rng),
        "block2": block(first, second, rng),
        "head": nn.Sequential(
            nn.Flatten(), nn.Linear(second * 7 * 7, 64, rng=rng), nn.ReLU(), nn.Dropout(0.2, rng=rng),
            nn.Linear(64, 10, rng=rng),
        ),
    })  # fmt: skip


def train(x, y, epochs, seed):
    """A trained network, and what happened in each epoch."""
    model = cnn(CHANNELS, seed)
    batches, validation = loaders(x, y, seed)
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    # The rate rises to its highest for a third of the training, and falls to nearly nothing by its end.
    schedule = optim.OneCycleLR(optimizer, max_lr=RATE, total_steps=epochs * len(batches))
    history = tg.fit(
        model, batches, tg.cross_entropy, optimizer, epochs=epochs, validation=validation,
        metrics={"accuracy": accuracy}, scheduler=schedule, scheduler_every="batch",
    )  # fmt: skip
    return model, history


def probabilities(model, x):
    """The probability of each class, (n, 10): in eval mode, nothing recorded, so many images at a time."""
    return tg.softmax(predict(model, x), axis=1)


# -- saved and loaded -------------------------------------------------------------------------------


def save(model, path):
    """Everything that is needed to build the same network again: its sizes, parameters and running means."""
    tg.save(path, {"channels": CHANNELS, "state": model.state_dict()})


def load(path):
    """The network from the file.  The seed does not matter: all that it draws is written over."""
    saved = tg.load(path)
    model = cnn(saved["channels"], seed=None)
    model.load_state_dict(saved["state"])
    return model


# -- pictures ---------------------------------------------------------------------------------------


def draw_tiles(cells, images, **options):
    """One image in each cell, without axes."""
    for cell, image in zip(np.ravel(cells), images, strict=True):
        cell.imshow(image, **options)
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set(color="#bbbbbb")


def draw_filters(path, model):
    """The kernels of the first convolution: red adds, blue subtracts."""
    kernels = model["block1"][0].weight.data[:, 0]
    limit = np.max(np.abs(kernels))
    figure = Figure(figsize=(8.4, 2.6), layout="constrained")
    figure.suptitle(f"The {len(kernels)} filters of the first convolution: red adds, blue subtracts")
    draw_tiles(figure.subplots(2, len(kernels) // 2), kernels, cmap="RdBu_r", vmin=-limit, vmax=limit)
    lesson.save(figure, path)


def draw_maps(path, model, image):
    """A digit, and what the two blocks make of it."""
    # A Sequential can be called in parts.
    first = predict(model["block1"], image[None])
    second = predict(model["block2"], first)
    figure = Figure(figsize=(10.4, 6.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 3.4])
    left.suptitle("the image")
    draw_tiles(left.subplots(), image, cmap="gray_r")
    above, below = right.subfigures(2, 1, height_ratios=[1, 2])
    for part, maps, rows in ((above, first[0], 2), (below, second[0], 4)):
        part.suptitle(f"{len(maps)} maps of {maps.shape[1]} x {maps.shape[2]}")
        draw_tiles(part.subplots(rows, len(maps) // rows), maps, cmap="viridis")
    lesson.save(figure, path)


def draw_mistakes(path, images, p, labels):
    """The mistakes that it is surest of."""
    predicted = np.argmax(p, axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-p[wrong, predicted[wrong]])][:15]
    title = f"{len(surest)} of {len(wrong)} mistakes: those that the network is surest of"
    lesson.gallery(images[surest], predicted[surest], labels[surest], path, title)


# -- the lesson -------------------------------------------------------------------------------------


def main() -> None:
    parser = lesson.arguments("MNIST with a small convolutional network: above 99 % on the test images.")
    parser.add_argument("--epochs", type=lesson.number(int), metavar="N", help="default 6; with --quick 2")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and shifts (default 0)")
    args = parser.parse_args()
    images, tested, epochs = (4_800, 2_000, 2) if args.quick else (60_000, 10_000, 6)
    epochs = args.epochs or epochs
    digits = lesson.mnist(args.data)
    x_test, y_test = pixels(digits.x_test[:tested]), digits.y_test[:tested]

    lesson.section("The network")
    print(cnn(CHANNELS, args.seed).summary(x_test[:BATCH]))

    lesson.section(f"Training: {epochs} epochs on {images:,} images, a twelfth of them to validate")
    start = perf_counter()
    model, history = train(digits.x_train[:images], digits.y_train[:images], epochs, args.seed)
    seconds = perf_counter() - start

    lesson.section("Test")
    p = probabilities(model, x_test)
    print(f"    {100 * accuracy(p, y_test):.2f} % of the {tested:,} test images right, ", end="")
    print(f"after {seconds:.1f} s of training (seed {args.seed})")

    lesson.section("Saved and loaded")
    path = args.out / "mnist_cnn.npz"
    save(model, path)
    print(f"    wrote {path}, {path.stat().st_size:,} bytes")
    same = np.array_equal(probabilities(load(path), x_test), p)
    print(f"    loaded into a new network, it gives the same probabilities, bit for bit: {'yes' if same else 'NO'}")

    lesson.section("Pictures")
    draw_filters(args.out / "mnist_cnn_filters.png", model)
    draw_maps(args.out / "mnist_cnn_maps.png", model, x_test[0])
    draw_mistakes(args.out / "mnist_cnn_mistakes.png", digits.x_test, p, y_test)
    lesson.training_curves(history, args.out / "mnist_cnn_history", f"CNN with {CHANNELS} channels, {epochs} epochs")


if __name__ == "__main__":
    lesson.run(main)
