"""Mistakes in hand-written backpropagation, planted one by one, and what compare_grads says of each.

The patients are the networks of the three lessons: digits (784-10-10), the letters A, B, C (30-5-3), and the
digits 1 against 2 (784-196-1).  Their backward passes stand here as lines of NumPy.  Each case changes a line
as people do, runs it, and shows the report; the loss and the right gradients are autograd's.

    python examples/gradient_doctor.py            ten seconds
    python examples/gradient_doctor.py --quick    on fewer digits
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lesson
import letters
import mnist_binary
import mnist_softmax
import numpy as np

import tinygrad_np as tg
from tinygrad_np.testing import compare_grads

# -- the patients: forward and loss from the lessons, and the backward pass line by line -----------


class Patient(NamedTuple):
    """A network: its arrays, its loss from Tensors, and its right backward pass."""

    title: str
    arrays: dict[str, np.ndarray]
    loss: Callable[..., Any]
    values: Callable[..., dict[str, Any]]
    """What the backward pass starts from: the arrays, Z1, A1, Z2, A2 and m."""
    lines: dict[str, str]


DIGITS = {
    "dZ2": "A2 - Y",
    "dW2": "dZ2 @ A1.T / m",
    "db2": "dZ2.sum(axis=1, keepdims=True) / m",
    "dA1": "W2.T @ dZ2",
    "dZ1": "dA1 * (Z1 > 0)",
    "dW1": "dZ1 @ X.T / m",
    "db1": "dZ1.sum(axis=1, keepdims=True) / m",
}
LETTERS = {
    "dZ2": "A2 - Y",
    "dW2": "A1.T @ dZ2 / m",
    "db2": "dZ2.sum(axis=0, keepdims=True) / m",
    "dA1": "dZ2 @ W2.T",
    "dZ1": "dA1 * A1 * (1 - A1)",
    "dW1": "X.T @ dZ1 / m",
    "db1": "dZ1.sum(axis=0, keepdims=True) / m",
}
BINARY = {
    "dA2": "-Y / A2 + (1 - Y) / (1 - A2)",
    "dZ2": "dA2 * A2 * (1 - A2)",
    "dW2": "dZ2 @ A1.T / m",
    "db2": "dZ2.sum(axis=1, keepdims=True) / m",
    "dA1": "W2.T @ dZ2",
    "dZ1": "dA1 * A1 * (1 - A1)",
    "dW1": "dZ1 @ X / m",
    "db1": "dZ1.sum(axis=1, keepdims=True) / m",
}
BINARY_AT_ONCE = {
    # The loss on the logits has no A2 on its tape, so that there is no dA2 to compare.
    "dZ2": "(-Y / A2 + (1 - Y) / (1 - A2)) * A2 * (1 - A2)",
    **{name: formula for name, formula in BINARY.items() if name not in ("dA2", "dZ2")},
}


def patient(title, lines, forward, cost, m, X, Y, parameters) -> Patient:
    """A network of the lessons: `forward` and `cost` are its own, and run on arrays and on Tensors."""

    def loss(X, Y, **tensors):
        found = dict(zip(("Z1", "A1", "Z2", "A2"), forward(X, **tensors), strict=True))
        return cost(found["A2"], Y), found

    def values(X, Y, **arrays):
        found = dict(zip(("Z1", "A1", "Z2", "A2"), forward(X, **arrays), strict=True))
        return {"np": np, "X": X, "Y": Y, "m": m(X), **arrays, **found}

    return Patient(title, {"X": X, "Y": Y, **parameters}, loss, values, lines)


def digits(data, images: int) -> Patient:
    """The first lesson, in float64, so that rounding plays no part."""
    X, Y = mnist_softmax.columns(data.x_train[:images]), mnist_softmax.one_hot(data.y_train[:images])
    parameters = {name: array.astype(float) for name, array in mnist_softmax.start(seed=0).items()}
    return patient(
        f"digits 784-10-10, {images:,} images in columns, ReLU and softmax", DIGITS, mnist_softmax.forward,
        mnist_softmax.cross_entropy, lambda X: X.shape[1], X.astype(float), Y.astype(float), parameters,
    )  # fmt: skip


def three_letters() -> Patient:
    """The second lesson, with weights a hundred times larger than at its start.

    Its own are so small that every output is 0.50 and every sigmoid has the slope 0.25: there a missing derivative
    is a factor 4, and nobody can say which of the two it is.
    """
    parameters = {name: array * 100 for name, array in letters.start().items()}
    title = "letters 30-5-3, three letters in rows, sigmoid twice"
    return patient(title, LETTERS, letters.forward, letters.cross_entropy, len, letters.X, letters.Y, parameters)


def letters_as_printed() -> Patient:
    """The same with the loss that the tutorial prints."""
    who = three_letters()
    title = "the same letters, with the squared error recorded that the tutorial prints"
    parameters = {name: array for name, array in who.arrays.items() if name not in "XY"}
    return patient(title, LETTERS, letters.forward, letters.squared_error, len, letters.X, letters.Y, parameters)


def ones_and_twos(data, images: int) -> Patient:
    """The third lesson."""
    X, Y = mnist_binary.ones_and_twos(data.x_train[: 6 * images], data.y_train[: 6 * images], float)
    title = f"digits 1 against 2, 784-196-1, {images:,} images in rows, sigmoid twice"
    parameters = mnist_binary.start(float)
    return patient(title, BINARY, mnist_binary.forward, mnist_binary.cost, len, X[:images], Y[:, :images], parameters)


def saturated(who: Patient) -> Patient:
    """The third lesson with such large weights that its outputs round to 0 and 1."""
    arrays = who.arrays | {"W2": who.arrays["W2"] * 1000}
    title = "the same digits, with weights that make outputs round to 0 and 1; the loss is taken from the logits"
    return Patient(title, arrays, _loss_on_logits, who.values, BINARY_AT_ONCE)


def _loss_on_logits(X, Y, **tensors):
    """The third lesson's loss in the form that stays finite."""
    Z1, A1, Z2 = mnist_binary.hidden_and_logits(X, **tensors)
    return tg.binary_cross_entropy_with_logits(Z2, Y), {"Z1": Z1, "A1": A1, "Z2": Z2}


# -- the cases -------------------------------------------------------------------------------------


class Case(NamedTuple):
    """Lines of a backward pass as somebody wrote them, what the mistake is called, and why it is worth a look."""

    title: str
    lines: dict[str, str]
    mistake: str
    moral: str


ON_DIGITS = [
    Case("nothing planted", {}, "",
         "The formulas are right, and the report says so: to how many digits, and nothing else."),
    Case("a sum without axis", {"db2": "np.sum(dZ2) / m", "db1": "np.sum(dZ1) / m"}, "summed_over_everything",
         "These are the two lines of the published tutorial.  The number broadcasts, and nothing crashes."),
    Case("m counted before the split",
         {name: DIGITS[name].replace("/ m", "/ (m + m // 41)") for name in ("dW2", "db2", "dW1", "db1")},
         "full_data_factor",
         "The tutorial's third mistake: a learning rate a little smaller than the one that is written down."),
    Case("1/m forgotten", {"dW2": "dZ2 @ A1.T"}, "batch_factor",
         "Only the rate of one layer changes: the network learns, and nobody looks."),
    Case("the labels one class too high", {"dZ2": "A2 - np.roll(Y, 1, axis=0)"}, "label_off_by_one",
         "Everything after dZ2 is wrong as well, and the report says that this is a consequence."),
    Case("relu's derivative forgotten", {"dZ1": "dA1"}, "activation_missing",
         "dW2 and db2 are computed before it and stay right: the first wrong one says where to look."),
    Case("a transpose that raises nothing", {"dW2": "A1 @ dZ2.T / m"}, "transposed",
         "Ten units and ten classes: the matrix is square, so that the shape is right."),
    Case("weights that have taken their step", {"dA1": "(W2 - 0.1 * dW2).T @ dZ2"}, "updated_weights",
         "W2 was updated before the layer below was computed.  The report finds the rate."),
]  # fmt: skip
ON_LETTERS = [
    Case("the derivative at the activation", {"dZ1": "dA1 * (1 / (1 + np.exp(-A1))) * (1 - 1 / (1 + np.exp(-A1)))"},
         "derivative_at_activation", "A function that computes the sigmoid's derivative from z, called with a."),
    Case("a (1 - a) fed with z", {"dZ1": "dA1 * Z1 * (1 - Z1)"}, "activation_formula_at_z",
         "The other way round: the short formula, called with the pre-activation."),
    Case("the derivative twice at the output", {"dZ2": "(A2 - Y) * A2 * (1 - A2)"}, "activation_twice",
         "A - Y has the derivative of the sigmoid in it already."),
    Case("summed over the units", {"db2": "dZ2.sum(axis=1, keepdims=True) / m"}, "wrong_axis",
         "Copied from a network with its samples in columns."),
]  # fmt: skip
ON_SQUARED_ERROR = [
    Case("the gradient of another loss", {}, "other_loss",
         "The published letters: the formulas are right for the cross-entropy, and the squared error is printed."),
]  # fmt: skip
ON_BINARY = [
    Case("Y - A", {"dA2": "Y / A2 - (1 - Y) / (1 - A2)"}, "sign", "The network climbs."),
    Case("something of one's own", {"dZ1": "dA1 * np.cos(3 * Z1)"}, "unknown",
         "Not every mistake has a name.  Then the report says what can be measured."),
]  # fmt: skip
ON_SATURATED = [
    Case("outputs that round to 0 and 1", {}, "not_finite",
         "No formula is wrong here.  The right one, in floating-point numbers, divides 0 by 0."),
]  # fmt: skip


# -- what is done with one -------------------------------------------------------------------------


def backward(lines: dict[str, str], values: dict[str, Any]) -> dict[str, Any]:
    """Run a backward pass, line by line, and return what each line gives."""
    known = dict(values)
    with np.errstate(all="ignore"):
        for name, formula in lines.items():
            known[name] = eval(formula, {}, known)
    return {name: known[name] for name in lines}


def examined(who: Patient, lines: dict[str, str]):
    """The report on a backward pass, from arrays: as one would call it at the end of a program."""
    tensors = {name: tg.Tensor(a, requires_grad=name[0] in "Wb", name=name) for name, a in who.arrays.items()}
    with np.errstate(all="ignore"):
        loss, found = who.loss(**tensors)
        values = who.values(**who.arrays)
    return compare_grads(backward(lines, values), {**tensors, **found}, loss)


def examined_again(who: Patient, lines: dict[str, str]):
    """The report on the same from functions, which can be called again with other sizes."""
    hand = lambda **arrays: backward(lines, who.values(**arrays))
    return compare_grads(hand, who.arrays, who.loss)


def show(who: Patient, cases: list[Case], page: list[str]) -> list[tuple[Case, set[str]]]:
    """Print the cases of a patient with their reports; returns each with the mistakes that were named."""
    lesson.section(who.title[0].upper() + who.title[1:])
    for name, formula in who.lines.items():
        print(f"    {name} = {formula}")
    named = []
    page.append(f"<h2>{html.escape(who.title)}</h2>")
    for case in cases:
        report = examined(who, who.lines | case.lines)
        print(f"\n* {case.title}")
        for name, formula in case.lines.items():
            print(f"    {name} = {formula}")
        print(f"\n{report}\n\n  {case.moral}")
        planted = "".join(f"<pre>{html.escape(f'{n} = {f}')}</pre>" for n, f in case.lines.items())
        page.append(
            f"<h3>{html.escape(case.title)}</h3>{planted}{report._repr_html_()}<p>{html.escape(case.moral)}</p>"
        )
        named.append((case, mistakes(report)))
    return named


def mistakes(report) -> set[str]:
    """What the report says the first wrong gradient has."""
    return {finding.mistake for finding in report.findings.get(report.first_wrong, [])}


# -- sizes that coincide ---------------------------------------------------------------------------


def show_coincidence(page: list[str]) -> None:
    """Three letters and three outputs: two causes for one number, until the sizes differ."""
    who, lines = three_letters(), LETTERS | {"dW2": "A1.T @ dZ2"}
    lesson.section("When two causes give the same number")
    print("dW2 = A1.T @ dZ2 is three times the right one.  Three letters: 1/m is missing.  Three outputs: a mean over")
    print("all entries would explain it as well.  From the numbers alone:\n")
    print(examined(who, lines))
    print("\nGiven the functions, compare_grads calls them again, with sizes that all differ:\n")
    again = examined_again(who, lines)
    print(again)
    page.append(f"<h2>When two causes give the same number</h2>{again._repr_html_()}")


# -- all of it -------------------------------------------------------------------------------------


def main() -> None:
    parser = lesson.arguments("Mistakes in hand-written backpropagation, and what compare_grads says of each.")
    args = parser.parse_args()
    data = lesson.mnist(args.data)
    images = 205 if args.quick else 1_025
    binary = ones_and_twos(data, images)
    page: list[str] = []
    named = [
        *show(digits(data, images), ON_DIGITS, page),
        *show(three_letters(), ON_LETTERS, page),
        *show(letters_as_printed(), ON_SQUARED_ERROR, page),
        *show(binary, ON_BINARY, page),
        *show(saturated(binary), ON_SATURATED, page),
    ]
    show_coincidence(page)
    summary(named)
    write(args.out / "gradient_doctor.html", page)


def summary(named: list[tuple[Case, set[str]]]) -> None:
    """What was planted, and what it was called."""
    lesson.section("Planted and named")
    right = 0
    for case, found in named:
        as_planted = case.mistake in found if case.mistake else not found
        right += as_planted
        words = " or ".join(sorted(found)) or "nothing"
        print(f"    {'ok' if as_planted else 'NO':<4}{case.title:<38}{words.replace('_', ' ')}")
    print(f"\n{right} of {len(named)} named as planted.")


def write(path: Path, parts: list[str]) -> None:
    """All reports as one page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    style = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}td,th{padding:0 1em 0 0}"
    head = f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>Gradient doctor</title><style>{style}</style>"
    path.write_text("\n".join([head, "<h1>Gradient doctor</h1>", *parts, "</html>\n"]), "utf-8")
    print(f"    wrote {path}")


if __name__ == "__main__":
    lesson.run(main)
