"""Two spirals, and how a small network learns to part them: the decision boundary as it forms.

A straight line gets hardly more than half of the points right.  Two hidden layers of 24 tanh units get nearly all:
the pictures show the boundary bend, epoch by epoch, and the graph of operations that made it possible.

    python examples/spirals.py            200 epochs: a few seconds
    python examples/spirals.py --quick    120 epochs
"""

from __future__ import annotations

import lesson
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import data, nn, optim
from tinygrad_np.training import accuracy, predict

SAMPLES, NOISE, TURNS = 400, 0.03, 1.25
EDGE = 1.15
# Light, so that points stand out even where the model is sure.
BLUE_TO_RED = LinearSegmentedColormap.from_list("blue to red", ["#a9c7fa", "#ffffff", "#f9b4b4"])

# -- the data -------------------------------------------------------------------------------------


def points(seed):
    """Points (400, 2) on two spirals, a bit off them, in float32; labels 0 and 1."""
    x, y = data.spirals(SAMPLES, classes=2, noise=NOISE, turns=TURNS, rng=seed)
    return x.astype(np.float32), y


# -- two models -------------------------------------------------------------------------------------


def line(seed):
    """The best that a straight boundary can do: logistic regression."""
    return nn.Linear(2, 2, rng=seed)


def mlp(seed):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(2, 24, rng=rng), nn.Tanh(),
        nn.Linear(24, 24, rng=rng), nn.Tanh(),
        nn.Linear(24, 2, rng=rng),
    )  # fmt: skip


def train(model, x, y, epochs, seed, watch=None):
    """Adam on mini-batches of 50; `watch(history)` is called after each epoch."""
    loader = data.DataLoader(x, y, batch_size=50, shuffle=True, rng=seed)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return tg.fit(
        model, loader, tg.cross_entropy, optimizer,
        epochs=epochs, metrics={"accuracy": accuracy}, progress=False, callback=watch,
    )  # fmt: skip


def right(model, x, y):
    """The share of the points that the model gets right."""
    return accuracy(predict(model, x), y)


# -- the decision boundary --------------------------------------------------------------------------


def plane(model, pixels=160):
    """The probability of class 1 at each pixel of the plane, (pixels, pixels)."""
    along = np.linspace(-EDGE, EDGE, pixels, dtype=np.float32)
    grid = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    return tg.softmax(predict(model, grid), axis=1)[:, 1].reshape(pixels, pixels)


def moments(epochs):
    """Epochs to look at, closer together at the start, where most changes."""
    return sorted({round(epochs * part) for part in (0.1, 0.2, 0.3, 0.4, 1.0)})


def watch_boundary(model, epochs):
    """What `fit` calls after each epoch, and the dict from epoch to plane that it fills."""
    frames = {0: plane(model)}
    wanted = moments(epochs)

    def watch(history):
        if len(history) in wanted:
            frames[len(history)] = plane(model)
            last = history.last
            lesson.row(str(last["epoch"]), [f"{last['loss']:.4f}", f"{last['accuracy']:.1%}"], 12)

    return watch, frames


def draw_plane(axes, probability, x, y, size):
    """Where the model sees which class, the line on which it is undecided, and the points."""
    extent = (-EDGE, EDGE, -EDGE, EDGE)
    axes.imshow(probability, extent=extent, origin="lower", cmap=BLUE_TO_RED, vmin=0, vmax=1)
    # A model that has seen nothing may decide for one class everywhere: then there is no line.
    if probability.min() < 0.5 < probability.max():
        axes.contour(probability, levels=[0.5], extent=extent, colors="black", linewidths=1)
    for label, color in enumerate(("#1d4ed8", "#b91c1c")):
        axes.scatter(*x[y == label].T, s=size, color=color, edgecolor="white", linewidth=0.3)
    axes.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])


def draw_frames(path, frames, x, y):
    """The boundary at several epochs."""
    figure = Figure(figsize=(9.6, 6.8), layout="constrained")
    figure.suptitle("How the boundary forms")
    for axes, (epoch, probability) in zip(figure.subplots(2, 3).flat, frames.items(), strict=True):
        draw_plane(axes, probability, x, y, size=7)
        axes.set_title(f"epoch {epoch}" if epoch else "before training", fontsize=11)
    lesson.save(figure, path)


def draw_both(path, models, x, y):
    """The straight boundary beside the bent one, with points that neither has seen."""
    figure = Figure(figsize=(10.4, 5.8), layout="constrained")
    for axes, (name, model) in zip(figure.subplots(1, 2), models.items(), strict=True):
        draw_plane(axes, plane(model, 300), x, y, size=16)
        axes.set_title(f"{name}: {right(model, x, y):.1%} of new points right")
    lesson.save(figure, path)


# -- the lesson -------------------------------------------------------------------------------------


def main() -> None:
    parser = lesson.arguments("Two spirals, parted by a small network: its decision boundary.", mnist=False)
    parser.add_argument("--epochs", type=lesson.number(int), metavar="N", help="default 200; with --quick 120")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of points, weights and order (default 0)")
    args = parser.parse_args()
    epochs = args.epochs or (120 if args.quick else 200)
    (x, y), (x_new, y_new) = points(args.seed), points(args.seed + 1)

    lesson.section("A straight line")
    straight = line(args.seed)
    train(straight, x, y, 30, args.seed)
    print(f"    {right(straight, x, y):.1%} of the {SAMPLES} points it was trained on")

    lesson.section("Two hidden layers")
    model = mlp(args.seed)
    print(model.summary(x))
    print()
    lesson.row("epoch", ["loss", "accuracy"], 12)
    watch, frames = watch_boundary(model, epochs)
    history = train(model, x, y, epochs, args.seed, watch)
    print(f"\n    {right(model, x, y):.1%} of the points it was trained on, ", end="")
    print(f"{right(model, x_new, y_new):.1%} of {SAMPLES} new ones (seed {args.seed})")

    lesson.section("Pictures")
    draw_frames(args.out / "spirals_frames.png", frames, x, y)
    both = {"a straight line": straight, "two hidden layers": model}
    draw_both(args.out / "spirals_boundary.png", both, x_new, y_new)
    lesson.training_curves(history, args.out / "spirals_history", f"Two spirals, {epochs} epochs")
    # The frames of this picture are the parts of the model, by the names that its parameters have.
    loss = tg.cross_entropy(model(tg.Tensor(x, name="x")), tg.Tensor(y, name="y"))
    lesson.graph(loss, args.out / "spirals_graph", "Two spirals: 2-24-24-2")


if __name__ == "__main__":
    lesson.run(main)
