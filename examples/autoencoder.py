"""Autoencoders of the MNIST digits: an image squeezed into two numbers, and noise taken away.

An encoder of convolutions turns 784 pixels into a few numbers, a decoder of transposed convolutions turns those back
into pixels; what is learned is to lose as little as possible.  No label is used.  With two numbers, all digits lie on a
map.  With 32 numbers, and noise on what goes in but not on what should come out, noise is lost on the way.  Both are
measured by the best that is *linear*, which is known in closed form: principal components, and least squares.

    python examples/autoencoder.py            6 and 3 epochs: about two minutes
    python examples/autoencoder.py --quick    3 and 2 epochs on a part of the images: a few seconds
"""

from __future__ import annotations

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import data, nn, optim
from tinygrad_np.training import predict

BATCH = 50
RATE = 5e-3
NOISE = 0.5

# -- the data -------------------------------------------------------------------------------------


def pixels(images):
    """Images (n, 28, 28) of bytes as (n, 1, 28, 28) of float32, from 0 to 1: one channel."""
    return np.divide(images[:, None], 255, dtype=np.float32)


def noisy(x, rng):
    """Grey noise on every pixel, new in each epoch."""
    return data.gaussian_noise(x, NOISE, rng).clip(0, 1)


# -- the model ------------------------------------------------------------------------------------


class Autoencoder(nn.Module):
    """Images (n, 1, 28, 28) to codes (n, size), and codes to the logits of the pixels."""

    def __init__(self, size, rng):
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1, rng=rng), nn.ELU(),  # (8, 14, 14)
            nn.Conv2d(8, 16, 4, stride=2, padding=1, rng=rng), nn.ELU(),  # (16, 7, 7)
            nn.Flatten(), nn.Linear(16 * 7 * 7, 128, rng=rng), nn.ELU(),
            nn.Linear(128, size, rng=rng),
            nn.BatchNorm1d(size, affine=False),  # keeps the map of codes around 0, with spread 1
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(size, 128, rng=rng), nn.ELU(),
            nn.Linear(128, 16 * 7 * 7, rng=rng), nn.ELU(), nn.Unflatten(1, (16, 7, 7)),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, rng=rng), nn.ELU(),  # (8, 14, 14)
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1, rng=rng),  # (1, 28, 28)
        )  # fmt: skip

    def forward(self, x):
        """Images to logits, both (n, 1, 28, 28)."""
        return self.decoder(self.encoder(x))


def train(size, x, epochs, seed, change=None):
    """An autoencoder with codes of this size.  `change` is done to what goes in, not to what should come out."""
    rng = np.random.default_rng(seed)
    model = Autoencoder(size, rng)
    # The target is the input: the loader has it twice.
    transform = data.compose(change) if change else None
    loader = data.DataLoader(x, x, batch_size=BATCH, shuffle=True, rng=rng, transform=transform)
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    schedule = optim.OneCycleLR(optimizer, max_lr=RATE, total_steps=epochs * len(loader))
    # Pixels are numbers from 0 to 1, so each output is a logit, and the loss that of a probability.
    loss = nn.BCEWithLogitsLoss()
    tg.fit(model, loader, loss, optimizer, epochs=epochs, scheduler=schedule, scheduler_every="batch")
    return model


def restored(model, x):
    """What becomes of images on the way through the model: pixels again."""
    return tg.sigmoid(predict(model, x))


# -- what it is measured by -------------------------------------------------------------------------


class PrincipalComponents:
    """The linear autoencoder with the smallest squared error: projection on the first singular vectors."""

    def __init__(self, size, x):
        flat = x.reshape(len(x), -1)
        self.mean = flat.mean(axis=0)
        # The singular vectors of the data, from their covariances: 784 by 784, however many images there are.
        _, vectors = np.linalg.eigh((flat - self.mean).T @ (flat - self.mean))
        self.vectors = vectors[:, ::-1][:, :size]

    def encode(self, x):
        """Images to codes (n, size)."""
        return (x.reshape(len(x), -1) - self.mean) @ self.vectors

    def restored(self, x):
        """What is left of images: pixels again."""
        return (self.encode(x) @ self.vectors.T + self.mean).reshape(x.shape)


class LeastSquares:
    """The linear map with the smallest squared error from noisy images to true ones: all pixels of one from all."""

    def __init__(self, x, true):
        flat, wanted = (images.reshape(len(images), -1) for images in (x, true))
        self.mean, self.wanted = flat.mean(axis=0), wanted.mean(axis=0)
        flat = flat - self.mean
        self.weight = np.linalg.solve(flat.T @ flat, flat.T @ (wanted - self.wanted))

    def restored(self, x):
        """What the true images may be: pixels again."""
        return ((x.reshape(len(x), -1) - self.mean) @ self.weight + self.wanted).reshape(x.shape)


def error(x, true):
    """The mean squared error of a pixel."""
    return np.mean((x - true) ** 2)


def label_of_the_nearest(codes, labels, known, known_labels):
    """The share of codes whose nearest known code has the same label."""
    distances = np.sum(codes**2, axis=1)[:, None] + np.sum(known**2, axis=1) - 2 * codes @ known.T
    return np.mean(known_labels[np.argmin(distances, axis=1)] == labels)


# -- pictures ---------------------------------------------------------------------------------------


def draw_rows(path, rows, title):
    """One row of images per name."""
    columns = len(next(iter(rows.values())))
    figure = Figure(figsize=(1.0 * columns + 1.6, 1.05 * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title)
    for cells, (name, images) in zip(figure.subplots(len(rows), columns), rows.items(), strict=True):
        for cell, image in zip(cells, images, strict=True):
            cell.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set(color="#bbbbbb")
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    lesson.save(figure, path)


def draw_map(path, codes, labels):
    """Each image as a point at its two numbers, in the colour of its label."""
    figure = Figure(figsize=(7.6, 6.4), layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(*codes.T, c=labels, cmap="tab10", s=5, alpha=0.6, vmin=-0.5, vmax=9.5)
    figure.colorbar(points, ticks=range(10), label="label (the network never saw it)")
    for digit in range(10):
        at = np.median(codes[labels == digit], axis=0)
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        axes.text(*at, str(digit), ha="center", va="center", fontsize=13, weight="bold", bbox=box)
    axes.set(title=f"{len(codes):,} test images as two numbers each", xlabel="first number", ylabel="second number")
    lesson.save(figure, path)


def draw_grid(path, model, codes, cells=16):
    """What the decoder makes of the whole plane: each place drawn where it lies on the map."""
    (left, bottom), (right, top) = np.quantile(codes, [0.02, 0.98], axis=0)
    # Rows of a picture go down, so the largest second number comes first.
    across, up = np.linspace(left, right, cells), np.linspace(top, bottom, cells)
    code = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)
    images = tg.sigmoid(predict(model.decoder, code))
    whole = images.reshape(cells, cells, 28, 28).swapaxes(1, 2).reshape(cells * 28, cells * 28)
    figure = Figure(figsize=(7.2, 7.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(whole, cmap="gray_r", extent=(left, right, bottom, top), aspect="auto")
    axes.set(title="What the decoder draws at each place of the map", xlabel="first number", ylabel="second number")
    lesson.save(figure, path)


# -- the lesson -------------------------------------------------------------------------------------


def two_numbers(args, x, labels, x_test, labels_test, epochs):
    """A code of two numbers: how much of an image is in them."""
    lesson.section(f"784 pixels in two numbers: {epochs} epochs on {len(x):,} images")
    model = train(2, x, epochs, args.seed)
    pca = PrincipalComponents(2, x)
    codes, known = predict(model.encoder, x_test), predict(model.encoder, x[:2_000])
    nearest = label_of_the_nearest(codes, labels_test, known, labels[:2_000])
    linear = label_of_the_nearest(pca.encode(x_test), labels_test, pca.encode(x[:2_000]), labels[:2_000])
    lesson.row("", ["autoencoder", "principal components"], 22)
    through = restored(model, x_test), pca.restored(x_test)
    lesson.row("error", [f"{error(images, x_test):.4f}" for images in through], 22)
    lesson.row("neighbour", [f"{nearest:.1%}", f"{linear:.1%}"], 22)
    print("\n    error: mean squared error of a pixel of the test images; neighbour: test images whose nearest")
    print("    neighbour, by the two numbers alone, among 2,000 training images shows the same digit")
    first = [np.flatnonzero(labels_test == digit)[0] for digit in range(10)]
    rows = {"image": x_test[first], "from 2 numbers": restored(model, x_test[first]),
            "2 principal\ncomponents": pca.restored(x_test[first])}  # fmt: skip
    draw_rows(args.out / "autoencoder_reconstructions.png", rows, "Ten test images, through two numbers and back")
    draw_map(args.out / "autoencoder_map.png", codes[:5_000], labels_test[:5_000])
    draw_grid(args.out / "autoencoder_grid.png", model, codes)


def noise_taken_away(args, x, x_test, epochs):
    """A code of 32 numbers, in which there is no room for noise."""
    lesson.section(f"Noise taken away: {epochs} epochs on {len(x):,} images, 32 numbers")
    model = train(32, x, epochs, args.seed, noisy)
    rng = np.random.default_rng(args.seed)
    seen = noisy(x_test, rng)
    clean, linear = restored(model, seen), LeastSquares(noisy(x, rng), x).restored(seen)
    lesson.row("", ["noisy", "autoencoder", "least squares"], 22)
    lesson.row("error", [f"{error(images, x_test):.4f}" for images in (seen, clean, linear)], 22)
    rows = {"with noise": seen, "autoencoder": clean, "least squares": linear, "true image": x_test}
    rows = {name: images[:10] for name, images in rows.items()}
    draw_rows(args.out / "autoencoder_denoising.png", rows, "The first ten test images, noise taken away")


def main() -> None:
    parser = lesson.arguments("Autoencoders of the MNIST digits: two numbers per image, and noise taken away.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and noise (default 0)")
    args = parser.parse_args()
    images, tested, long, short = (5_000, 2_000, 3, 2) if args.quick else (60_000, 10_000, 6, 3)
    digits = lesson.mnist(args.data)
    x, x_test = pixels(digits.x_train[:images]), pixels(digits.x_test[:tested])

    lesson.section("The model")
    print(Autoencoder(2, np.random.default_rng(args.seed)).summary(x[:BATCH]))
    two_numbers(args, x, digits.y_train[:images], x_test, digits.y_test[:tested], long)
    noise_taken_away(args, x, x_test, short)


if __name__ == "__main__":
    lesson.run(main)
