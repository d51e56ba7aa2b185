"""MNIST with a multilayer perceptron, 784-256-128-10: above 98 % on the test images, and training that can be stopped.

Layers, an optimizer with a schedule, batches with random shifts, and `tg.fit` around them: what a small project needs
and nothing else.  Training is saved after each epoch; a second, tiny run shows that stopping and going on gives
the same weights, bit for bit, as not stopping.

    python examples/mnist_mlp.py             15 epochs: half a minute to a minute
    python examples/mnist_mlp.py --resume    go on after Ctrl-C, from the last whole epoch
    python examples/mnist_mlp.py --quick     3 epochs on a part of the images: a few seconds
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

VALIDATION = 5_000
BATCH = 100
RATE = 2e-3

# -- the data -------------------------------------------------------------------------------------


def vectors(images):
    """Images (n, 28, 28) of bytes as rows (n, 784) of float32, from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


# What the network never sees twice: each image moved by a pixel or two, anew in each epoch.
augment = data.compose(partial(data.random_shift, pixels=2), vectors)


def loaders(digits, images, seed):
    """Batches to train on, shifted and shuffled, and batches to validate on, as they are."""
    validation = VALIDATION * images // len(digits.x_train)
    parts = [images - validation, validation, len(digits.x_train) - images]
    (x, y), (x_val, y_val), _ = data.random_split(
        digits.x_train, digits.y_train, lengths=parts, rng=seed, stratify=digits.y_train
    )
    train = data.DataLoader(x, y, batch_size=BATCH, shuffle=True, rng=seed, transform=augment)
    return train, data.DataLoader(vectors(x_val), y_val, batch_size=1_000)


# -- the model and its training ---------------------------------------------------------------------


def mlp(seed):
    """Two hidden layers.  Dropout is active in training only; `fit` switches it on and off."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(784, 256, rng=rng), nn.ReLU(), nn.Dropout(0.1, rng=rng),
        nn.Linear(256, 128, rng=rng), nn.ReLU(), nn.Dropout(0.1, rng=rng),
        nn.Linear(128, 10, rng=rng),
    )  # fmt: skip


def train(digits, images, epochs, seed, **options):
    """A model trained from this seed, and what happened in each epoch.  Options go to `tg.fit`."""
    model = mlp(seed)
    batches, validation = loaders(digits, images, seed)
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    # The rate falls to zero along a cosine: large steps first, small ones at the end.
    schedule = optim.CosineAnnealingLR(optimizer, T_max=epochs * len(batches))
    history = tg.fit(
        model, batches, nn.CrossEntropyLoss(), optimizer,
        epochs=epochs, validation=validation, metrics={"accuracy": accuracy},
        scheduler=schedule, scheduler_every="batch", **options,
    )  # fmt: skip
    return model, history


def probabilities(model, x):
    """The probability of each class, (n, 10): no dropout, and nothing recorded."""
    return tg.softmax(predict(model, x), axis=1)


def stopped_and_resumed(digits, seed, path):
    """Whether a run that was stopped in the middle ends with the very weights of one that was not."""
    run = partial(train, digits, images=3_000, epochs=4, seed=seed, progress=False)
    whole, _ = run()
    # A callback that returns True ends the training; everything needed to go on is in the file by then.
    _, first = run(checkpoint=path, resume=False, callback=lambda history: len(history) == 2)
    print(f"    stopped after epoch {len(first)} of 4, and {path.name} written")
    resumed, history = run(checkpoint=path)
    # Epochs that were not run again have the seconds that they took the first time.
    again = sum(now != before for now, before in zip(history["seconds"], first["seconds"], strict=False))
    print(f"    the same call again went on to epoch {len(history)}; epochs run twice: {again}")
    same = all(np.array_equal(a.data, b.data) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    print(f"    every weight is bit for bit that of a run without a stop: {'yes' if same else 'NO'}")


# -- what it gets wrong -----------------------------------------------------------------------------


def confusion(predicted, labels):
    """Counts (10, 10): row the label, column what the network says."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def worst_pairs(counts, how_many):
    """The pairs (label, predicted, count) that are confused most."""
    wrong = counts * (1 - np.eye(10, dtype=int))
    places = np.argsort(wrong, axis=None)[::-1][:how_many]
    return [(*divmod(int(place), 10), wrong.flat[place]) for place in places]


def draw_confusion(path, counts):
    """The mistakes as a table of ten digits by ten."""
    wrong = np.where(np.eye(10, dtype=bool), 0, counts)
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Reds")
    for label, predicted in np.argwhere(wrong):
        count = wrong[label, predicted]
        color = "white" if count > wrong.max() / 2 else "black"
        axes.text(predicted, label, count, ha="center", va="center", fontsize=9, color=color)
    axes.set(xlabel="predicted", ylabel="label", xticks=range(10), yticks=range(10))
    axes.set_title(f"The {wrong.sum():,} mistakes on {counts.sum():,} test images")
    lesson.save(figure, path)


def show_mistakes(out, digits, p):
    """The digits confused most, and the images on which the network is most sure of a wrong answer."""
    predicted, labels = np.argmax(p, axis=1), digits.y_test
    counts = confusion(predicted, labels)
    for label, said, count in worst_pairs(counts, 4):
        print(f"    a {label} taken for a {said}   {count} times")
    recall = np.diag(counts) / counts.sum(axis=1)
    print(f"    hardest digit: {np.argmin(recall)}, {np.min(recall):.1%} of them right; ", end="")
    print(f"easiest: {np.argmax(recall)}, {np.max(recall):.1%}\n")
    draw_confusion(out / "mnist_mlp_confusion.png", counts)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-p[wrong, predicted[wrong]])][:15]
    title = "The mistakes that the network is surest of"
    path = out / "mnist_mlp_mistakes.png"
    lesson.gallery(digits.x_test[surest], predicted[surest], labels[surest], path, title)


# -- the lesson -------------------------------------------------------------------------------------


def main() -> None:
    parser = lesson.arguments("MNIST with a multilayer perceptron: above 98 % on the test images.")
    parser.add_argument("--epochs", type=lesson.number(int), metavar="N", help="default 15; with --quick 3")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and shifts (default 0)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of the last run")
    args = parser.parse_args()
    images, epochs = (12_000, 3) if args.quick else (60_000, 15)
    epochs = args.epochs or epochs
    digits = lesson.mnist(args.data)
    x_test = vectors(digits.x_test)

    lesson.section("The model")
    print(mlp(args.seed).summary(x_test[:BATCH]))

    lesson.section(f"Training: {epochs} epochs on {images:,} images, some of them to validate")
    start = perf_counter()
    checkpoint = args.out / "mnist_mlp_checkpoint.npz"
    model, history = train(digits, images, epochs, args.seed, checkpoint=checkpoint, resume=args.resume)
    seconds = perf_counter() - start

    lesson.section("Test")
    p = probabilities(model, x_test)
    print(f"    {100 * accuracy(p, digits.y_test):.2f} % of the {len(p):,} test images right, ", end="")
    print(f"after {seconds:.1f} s of training (seed {args.seed})")

    lesson.section("Stopped and resumed: a small run, once in one go and once in two")
    stopped_and_resumed(digits, args.seed, args.out / "mnist_mlp_stopped.npz")

    lesson.section("Mistakes and pictures")
    show_mistakes(args.out, digits, p)
    lesson.training_curves(history, args.out / "mnist_mlp_history", f"784-256-128-10, {epochs} epochs")


if __name__ == "__main__":
    lesson.run(main)
