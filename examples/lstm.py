"""Why an LSTM remembers: the adding problem, gradients through time, and the gates at work.

Of a sequence of random numbers two are marked, and the answer is their sum.  Whoever always answers 1 has a mean
squared error of 1/6; better needs a memory from the first mark to the end.  Elman's recurrent network has none,
because its gradient dies on the way back through time; an LSTM learns it.  (Hochreiter and Schmidhuber, 1997.)

    python examples/lstm.py            sequences of 100 numbers: a quarter of a minute
    python examples/lstm.py --quick    sequences of 24 numbers: a few seconds
"""

from __future__ import annotations

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import nn, optim

ALWAYS_ONE = 1 / 6
"""The error of the answer 1: the variance of the sum of two numbers that are uniform in [0, 1)."""


def sequences(steps: int, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (steps, count, 2), a number and a mark at each step, and the sums of the two marked numbers, (count,)."""
    numbers = random.random((steps, count), np.float32)
    marks, column = np.zeros((steps, count), np.float32), np.arange(count)
    # One mark in each half, so that the first must be remembered for a while.
    marks[random.integers(0, steps // 2, count), column] = 1
    marks[random.integers(steps // 2, steps, count), column] = 1
    return np.stack([numbers, marks], axis=-1), np.sum(numbers * marks, axis=0)


# -- the models -------------------------------------------------------------------------------------


class Adder(nn.Module):
    """A recurrent layer, and the answer from its last state."""

    def __init__(self, memory: nn.Module, rng: np.random.Generator):
        self.memory = memory
        self.answer = nn.Linear(memory.hidden_size, 1, rng=rng)

    def forward(self, x):
        """Inputs (steps, count, 2) to answers (count,)."""
        states, _ = self.memory(x)
        return self.answer(states[-1])[:, 0]


def elman(hidden: int, seed: int = 0) -> Adder:
    rng = np.random.default_rng(seed)
    return Adder(nn.RNN(2, hidden, rng=rng), rng)


def lstm(hidden: int, seed: int = 0, remember: int = 0) -> Adder:
    """With `remember`, cells start by forgetting slowly: within 1 to so many steps, each at a rate of its own.

    (Tallec and Ollivier, Can recurrent neural networks warp time?, 2018.)
    """
    rng = np.random.default_rng(seed)
    layer = nn.LSTM(2, hidden, rng=rng)
    if remember:
        # A forget gate of sigmoid(log k) = k / (k + 1) keeps a cell for about k steps.
        keep = np.log(rng.uniform(1, remember - 1, hidden)).astype(np.float32)
        i, f = slice(0, hidden), slice(hidden, 2 * hidden)
        layer.bias_ih_l0.data[i] = -keep
        layer.bias_ih_l0.data[f] = keep
        layer.bias_hh_l0.data[: 2 * hidden] = 0
    return Adder(layer, rng)


# -- the gradient through time ------------------------------------------------------------------------


def gradient_of_inputs(model: Adder, x: np.ndarray) -> np.ndarray:
    """How each answer changes with each of its inputs, (steps, count, 2)."""
    # The gradient depends on the weights in turn: without no_grad, it could be differentiated by them once more.
    with tg.no_grad():
        return tg.grad(lambda x: np.sum(model(x)))(x)


def felt(model: Adder, x: np.ndarray) -> np.ndarray:
    """How strongly the answers still feel the input of each step: the mean norm of that gradient."""
    # In float64: so much of it can be lost on the way that float32 has no numbers for the rest.
    return np.linalg.norm(gradient_of_inputs(model, x.astype(np.float64)), axis=-1).mean(axis=1)


def elman_by_hand(model: Adder, x: np.ndarray) -> np.ndarray:
    """Backpropagation through time as textbooks write it: each step back is one more factor (1 - h²) and W_hh."""
    layer = model.memory
    states, gradient = layer(x)[0].data, np.empty_like(x)
    back = np.broadcast_to(model.answer.weight.data, states[-1].shape)
    for t in reversed(range(len(x))):
        before_tanh = back * (1 - states[t] ** 2)
        gradient[t] = before_tanh @ layer.weight_ih_l0.data
        back = before_tanh @ layer.weight_hh_l0.data
    return gradient


def check_gradients(steps: int, hidden: int) -> None:
    x = sequences(steps, 3, np.random.default_rng(1))[0].astype(np.float64)
    model = elman(hidden).astype(np.float64)
    error = lesson.relative_error(elman_by_hand(model, x), gradient_of_inputs(model, x))
    print(f"    RNN    backpropagation through time by hand agrees {lesson.digits(error)}")
    for name, model in (("RNN", elman(hidden)), ("LSTM", lstm(hidden))):
        model = model.astype(np.float64)
        entries = np.random.default_rng(2).choice(x[-8:].size, 12, replace=False) + x[:-8].size
        numeric = tg.testing.numeric_grad(lambda x, model=model: np.sum(model(x).data), x, entries=entries)
        error = lesson.relative_error(numeric, gradient_of_inputs(model, x).ravel()[entries])
        print(f"    {name:<7}numeric differences agree {lesson.digits(error)}")


def show_vanishing(models: dict[str, Adder], x: np.ndarray) -> dict[str, np.ndarray]:
    """Print how strongly the answers feel the first, a middle and the last step; give it for all steps."""
    norms = {name: felt(model, x) for name, model in models.items()}
    steps, middle = len(x), len(x) // 2
    print(f"    {'':<26}{'step 1':>10}{f'step {middle}':>10}{f'step {steps}':>10}   a step back keeps")
    for name, norm in norms.items():
        kept = (norm[0] / norm[-1]) ** (1 / (steps - 1))
        print(f"    {name:<26}{norm[0]:>10.1e}{norm[middle - 1]:>10.1e}{norm[-1]:>10.1e}   {kept:>8.0%}")
    return norms


# -- training -----------------------------------------------------------------------------------------


def train(model: Adder, length: int, steps: int, title: str) -> list[float]:
    """Adam on new sequences at every step; the error on 500 others as it goes."""
    random, test = np.random.default_rng(3), sequences(length, 500, np.random.default_rng(4))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    errors = []
    for step in lesson.progress(steps, title):
        if step % (steps // 20) == 0:
            errors.append(error_on(model, *test))
        x, y = sequences(length, 32, random)
        loss = tg.mse(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        # Gradients through time can also explode: one huge step would undo everything.
        optim.clip_grad_norm(model.parameters(), max_norm=1.0)
        optimizer.step()
    return [*errors, error_on(model, *test)]


def error_on(model: Adder, x: np.ndarray, y: np.ndarray) -> float:
    with tg.no_grad():
        return tg.mse(model(x), y).item()


# -- the gates ------------------------------------------------------------------------------------------


def gates(layer: nn.LSTM, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the layer does inside, by the formulas in its documentation: each (steps, count, cells)."""
    states = layer(x)[0].data
    before = np.concatenate([np.zeros_like(states[:1]), states[:-1]])
    sums = x @ layer.weight_ih_l0.data.T + before @ layer.weight_hh_l0.data.T
    i, f, n, o = np.split(sums + layer.bias_ih_l0.data + layer.bias_hh_l0.data, 4, axis=-1)
    i, f, n, o = tg.sigmoid(i), tg.sigmoid(f), np.tanh(n), tg.sigmoid(o)
    cells = np.zeros_like(states)
    for t in range(len(x)):
        cells[t] = f[t] * (cells[t - 1] if t else 0) + i[t] * n[t]
    return {"written": i * n, "forget": f, "cells": cells, "states": o * np.tanh(cells), "of the layer": states}


def show_gates(model: Adder, steps: int) -> None:
    """Print what is written into the cells at marked numbers and at others, and how well the formulas describe it."""
    x, _ = sequences(steps, 200, np.random.default_rng(5))
    found, marked = gates(model.memory, x), x[..., 1] == 1
    written = np.linalg.norm(found["written"], axis=-1)
    # The first step starts from nothing: it fills the cells with what they need at any time.
    later = np.arange(steps)[:, None] > 0
    print(f"    written into the cells at a marked number    {written[marked & later].mean():.2f} (norm, mean)")
    print(f"    at any other                                 {written[~marked & later].mean():.2f}")
    error = lesson.relative_error(found["states"], found["of the layer"])
    print(f"    The layer's states are those of the formulas: they agree {lesson.digits(error)} (float32).")


# -- pictures ---------------------------------------------------------------------------------------------


def draw_gradients(before: dict[str, np.ndarray], after: dict[str, np.ndarray], path) -> None:
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle("How strongly the answer feels the input of each step: |d answer / d input|")
    colors = dict(zip(before, ("#1d4ed8", "#6b7280", "#c2410c"), strict=True))
    panels = zip(
        figure.subplots(1, 2, sharey=True), ("before training", "after training"), (before, after), strict=True
    )
    for axes, title, norms in panels:
        for name, norm in norms.items():
            axes.plot(range(1, len(norm) + 1), norm, color=colors[name], linewidth=1.4, label=name)
        axes.set(title=title, xlabel="step of the input", yscale="log")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
    lesson.save(figure, path)


def draw_gates(model: Adder, steps: int, path) -> None:
    """One sequence, and below it what the cells do: a row for each, those that keep longest at the top."""
    x, y = sequences(steps, 1, np.random.default_rng(6))
    found = {name: array[:, 0].T for name, array in gates(model.memory, x).items()}
    order = np.argsort(-found["forget"].mean(axis=1))
    figure = Figure(figsize=(10, 9), layout="constrained")
    with tg.no_grad():
        said = f"the marked two make {y[0]:.2f}, the LSTM says {model(x).data[0]:.2f}"
    top, *panels = figure.subplots(4, 1, height_ratios=(1.2, 2, 2, 2), sharex=True)
    numbers, marked = x[:, 0, 0], x[:, 0, 1] == 1
    top.bar(range(steps), numbers, color=np.where(marked, "#c2410c", "#d1d5db"))
    top.set(title=f"A sequence: {said}", ylabel="number")
    top.spines[["top", "right"]].set_visible(False)
    rows = (("written", "written into the cells: i · n", "RdBu_r"), ("forget", "forget gates f: 1 keeps", "viridis"),
            ("cells", "the cells c", "RdBu_r"))  # fmt: skip
    for axes, (name, title, colors) in zip(panels, rows, strict=True):
        largest = np.abs(found[name][:, 1:]).max()
        low, high = (0, 1) if name == "forget" else (-largest, largest)
        image = axes.imshow(
            found[name][order], cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
        )
        axes.set(title=title, ylabel="cell", yticks=[])
        figure.colorbar(image, ax=axes, pad=0.01)
    panels[-1].set_xlabel("step")
    lesson.save(figure, path)


def main() -> None:
    parser = lesson.arguments("An LSTM on the adding problem, and why a plain recurrent network fails.", mnist=False)
    parser.add_argument("--length", type=lesson.number(int, 7), metavar="N", help="of the sequences, default 100")
    parser.add_argument("--steps", type=lesson.number(int, 19), metavar="N", help="of training, default 1000")
    args = parser.parse_args()
    length, steps, hidden = args.length or (24 if args.quick else 100), args.steps or (400 if args.quick else 1000), 32

    x, y = sequences(length, 200, np.random.default_rng(2))
    lesson.section(f"The task: of {length} numbers add the two that are marked")
    print(f"Always answering 1 has a mean squared error of 1/6 = {ALWAYS_ONE:.3f}; here {np.mean((y - 1) ** 2):.3f}.")

    lesson.section("Autograd through time, by hand and by differences (float64)")
    check_gradients(length, hidden)

    models = {"RNN": elman(hidden), "LSTM": lstm(hidden), "LSTM, forgets slowly": lstm(hidden, remember=length)}
    lesson.section("Before training: how strongly the answer feels an input")
    before = show_vanishing(models, x)

    lesson.section(f"Training, {steps:,} steps: the mean squared error on 500 other sequences")
    trained = {name: models[name] for name in ("RNN", "LSTM, forgets slowly")}
    errors = {name: train(model, length, steps, name) for name, model in trained.items()}
    lesson.row("step", list(errors), 24)
    for at in range(0, 21, 2):
        lesson.row(f"{at * (steps // 20):,}", [f"{values[at]:.4f}" for values in errors.values()], 24)
    for name, values in errors.items():
        print(f"{name}: at best {min(values) / ALWAYS_ONE:.1%} of the error of always answering 1.")

    lesson.section("After training: how strongly the answer feels an input")
    after = show_vanishing(trained, x)
    lesson.section("The gates of the LSTM")
    show_gates(models["LSTM, forgets slowly"], length)

    lesson.section("Pictures")
    draw_gradients(before, after, args.out / "lstm_gradients.png")
    lines = [(name, np.arange(21) * (steps // 20), values) for name, values in errors.items()]
    title = f"The adding problem, {length} numbers (always answering 1: {ALWAYS_ONE:.3f})"
    lesson.curves(
        args.out / "lstm_training.png", lines, title=title, ylabel="mean squared error", xlabel="step", log=True
    )
    draw_gates(models["LSTM, forgets slowly"], length, args.out / "lstm_gates.png")


if __name__ == "__main__":
    lesson.run(main)
