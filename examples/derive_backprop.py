"""The backpropagation of three published tutorials, derived, beside the formulas that they print.

Each tutorial writes its gradients out by hand.  Here they are derived from the forward pass alone, as lines of
NumPy, and every line of the tutorial is run on the same arrays and compared with the derived one.

    python examples/derive_backprop.py            1,000 images: a few seconds
    python examples/derive_backprop.py --quick    fewer images

It also writes the derivations as LaTeX, and as a page whose lines link to the ops in the compute graph.
"""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import lesson
import letters
import matplotlib
import mnist_binary
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np.derive.shown import latex_block, to_html


@dataclass
class Document:
    """A tutorial: its recorded loss, what is derived from it, its own formulas, and the arrays both run on."""

    key: str
    title: str
    loss: tg.Tensor
    derivation: Any
    parameters: dict[str, tg.Tensor]
    formulas: dict[str, str]
    arrays: dict[str, np.ndarray]
    m: int


def document(key, title, loss, parameters, steps, data, formulas, m):
    """A tutorial; `steps` are the tensors of its forward pass, and `data` its arrays, by name."""
    loss.name = "loss"
    tensors = parameters | steps
    arrays = data | {name: tensor.data for name, tensor in tensors.items()}
    return Document(key, title, loss, tg.derive(loss, {**data, **tensors}), parameters, formulas, arrays, m)


# -- the three networks, recorded, and their formulas as they are printed --------------------------


def parameters_of(arrays):
    return {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in arrays.items()}


def digits(mnist, images):
    """D1: 784-10-10 with ReLU and softmax, samples in columns."""
    random = np.random.default_rng(0)
    X = mnist.x_train[:images].reshape(images, -1).T / 255
    Y = (mnist.y_train[:images] == np.arange(10)[:, None]).astype(float)
    shapes = {"W1": (10, 784), "b1": (10, 1), "W2": (10, 10), "b2": (10, 1)}
    parameters = parameters_of({name: random.random(shape) - 0.5 for name, shape in shapes.items()})
    W1, b1, W2, b2 = parameters.values()
    Z1 = W1 @ X + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2 @ A1 + b2
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=0, keepdims=True)
    loss = -np.sum(Y * np.log(A2)) / images
    formulas = {
        "dZ2": "A2 - Y",
        "dW2": "dZ2 @ A1.T / m",
        "db2": "np.sum(dZ2) / m",
        "dZ1": "W2.T @ dZ2 * (Z1 > 0)",
        "dW1": "dZ1 @ X.T / m",
        "db1": "np.sum(dZ1) / m",
    }
    steps = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
    title = "D1: ten digits, 784-10-10, ReLU and softmax"
    return document("d1", title, loss, parameters, steps, {"X": X, "Y": Y}, formulas, images)


def three_letters(loss_of, key, title):
    """D2: 30-5-3 with two sigmoids, samples in rows, with one of two losses."""
    parameters = parameters_of(letters.start())
    X, Y = letters.X, letters.Y
    Z1, A1, Z2, A2 = letters.forward(X, **parameters)
    formulas = {
        "dZ2": "A2 - Y",
        "dW2": "A1.T @ dZ2 / m",
        "db2": "dZ2.sum(axis=0, keepdims=True) / m",
        "dA1": "dZ2 @ W2.T",
        "dZ1": "dA1 * A1 * (1 - A1)",
        "dW1": "X.T @ dZ1 / m",
        "db1": "dZ1.sum(axis=0, keepdims=True) / m",
    }
    steps = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
    return document(key, title, loss_of(A2, Y), parameters, steps, {"X": X, "Y": Y}, formulas, len(X))


def ones_and_twos(mnist, images):
    """D3: 784-196-1 with two sigmoids, samples in rows and transposed inside."""
    X, y = mnist_binary.ones_and_twos(mnist.x_train, mnist.y_train, float)
    X, y = X[:images], y[:, :images]
    parameters = parameters_of(mnist_binary.start(float))
    Z1, A1, Z2, A2 = mnist_binary.forward(X, **parameters)
    formulas = {
        "dA2": "-y / A2 + (1 - y) / (1 - A2)",
        "dZ2": "dA2 * slope(Z2)",
        "dW2": "dZ2 @ A1.T / m",
        "db2": "dZ2.sum(axis=1, keepdims=True) / m",
        "dA1": "W2.T @ dZ2",
        "dZ1": "dA1 * slope(Z1)",
        "dW1": "dZ1 @ X / m",
        "db1": "dZ1.sum(axis=1, keepdims=True) / m",
    }
    steps = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
    title = "D3: digits 1 and 2, 784-196-1, sigmoid twice"
    loss = mnist_binary.cost(A2, y)
    return document("d3", title, loss, parameters, steps, {"X": X, "y": y}, formulas, images)


# -- both run on the same arrays -------------------------------------------------------------------


def run_derived(document, arrays):
    """Every line of the derivation, forward and backward, on these arrays."""
    scope = {}
    exec(document.derivation.source, scope)
    found = dict(arrays, m=document.m)
    for line in [*document.derivation.forward_lines, *document.derivation.backward_lines]:
        found[line.name] = np.asarray(eval(line.text, scope, found))
    return found


def run_tutorial(document, arrays):
    """Every formula of the tutorial, on the arrays of its forward pass."""
    scope = {"np": np, "slope": mnist_binary.sigmoid_slope}
    found = dict(arrays, m=document.m)
    for name, formula in document.formulas.items():
        found[name] = np.asarray(eval(formula, scope, found))
    return found


def verdict(hand, derived, m):
    """How an array of the tutorial compares with the derived one."""
    agrees = lambda a: a.shape == derived.shape and lesson.relative_error(a, derived) < 1e-9
    if not agrees(hand) and agrees(hand / m):
        return "ok     m times the derived one: the tutorial divides by m where dW and db are"
    return lesson.verdict(hand, derived).replace("autograd's", "the derived one")


def compare(document):
    """Print each line of the tutorial beside the derived one, and what running both shows."""
    derived, hand = run_derived(document, document.arrays), run_tutorial(document, document.arrays)
    texts = {line.name: line.text for line in document.derivation.backward_lines}
    for name, formula in document.formulas.items():
        print(f"    {name:<6}{texts.get(name, '(stands inside the line that uses it)'):<42}tutorial: {formula}")
        if name in texts:
            print(f"    {'':<6}{verdict(hand[name], derived[name], document.m)}")
    document.loss.backward()
    _, gradients = document.derivation.run()
    worst = max(
        lesson.relative_error(gradients[name], tensor.grad.data) for name, tensor in document.parameters.items()
    )
    print(f"\nThe derived function, run as a whole, against autograd: agrees {lesson.digits(worst)} at least.")


def show_digits(document):
    lesson.section(document.title)
    print("Left the derived line, right the tutorial's; below, what running both on the same images shows:\n")
    compare(document)
    print(
        "np.sum(dZ2) without axis= adds up everything to one number, so db1 and db2 are wrong.  Broadcasting\n"
        "repeated b along axis 1 alone, and that is the axis that its gradient is summed over."
    )


def show_letters(printed, meant):
    lesson.section(printed.title)
    compare(printed)
    lesson.section(meant.title)
    compare(meant)
    A2 = printed.arrays["A2"]
    sloped = run_tutorial(printed, printed.arrays)["dZ2"] / printed.m * 2 / 3 * A2 * (1 - A2)
    error = lesson.relative_error(sloped, run_derived(printed, printed.arrays)["dZ2"])
    print(
        "The tutorial prints the squared error, and its formulas are the gradient of the cross-entropy.\n"
        "Derived from the squared error, dZ2 keeps the slope A2 * (1 - A2) of the last sigmoid; only the\n"
        "logarithm of the cross-entropy cancels it.  With the factor 2/3 * A2 * (1 - A2) the tutorial's dZ2\n"
        f"agrees with the derived one of the squared error {lesson.digits(error)}.  All lines after dZ2 are the\n"
        "same for both losses, and inherit the difference."
    )


def show_ones_and_twos(document):
    lesson.section(document.title)
    compare(document)
    lesson.section("D3 again, with outputs that saturate: W2 a thousand times as large")
    arrays = document.arrays | {"W2": 1000 * document.arrays["W2"]}
    names = ("Z1", "A1", "Z2", "A2")
    with np.errstate(all="ignore"):
        steps = mnist_binary.forward(arrays["X"], *(arrays[name] for name in document.parameters))
        hand = run_tutorial(document, arrays | dict(zip(names, steps, strict=True)))
        derived = run_derived(document, arrays)
    for name in ("dZ2", "dW2", "dW1"):
        print(f"    {name:<6}derived {_finite(derived[name]):<28}tutorial {_finite(hand[name])}")
    print(
        "\nThe tutorial divides by A2 and by 1 - A2, and so has 0 / 0 where an output rounds to 0 or 1.\n"
        "In the derived line the divisions are gone: (A2 - y) / m is finite for every output."
    )


def _finite(array):
    bad = array.size - np.count_nonzero(np.isfinite(array))
    return f"{bad:,} of {array.size:,} nan or inf" if bad else f"finite in all {array.size:,}"


# -- written down ----------------------------------------------------------------------------------


def write_latex(documents, path):
    """All derivations as one LaTeX document."""
    parts = [f"\\section*{{{document.title}}}\n{latex_block(document.derivation.lines)}" for document in documents]
    head = ["\\documentclass{article}", "\\usepackage{amsmath}", "\\begin{document}"]
    text = "\n".join([*head, *parts, "\\end{document}"])
    path.write_text(text + "\n", encoding="utf-8")
    print(f"    wrote {path}")


def write_page(documents, path):
    """All derivations as one page; each rule links to its op in the compute graph, a page of its own."""
    parts = []
    for document in documents:
        graph = path.with_name(f"{path.stem}_{document.key}.html")
        print(f"    wrote {tg.draw(document.loss, title=document.title).save(graph)}")
        parts.append(f"<h2>{html.escape(document.title)}</h2>{to_html(document.derivation.lines, graph.name, picture)}")
    head = '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Backpropagation, derived</title>'
    path.write_text(f'{head}<body style="font-family:sans-serif">{"".join(parts)}</body></html>\n', encoding="utf-8")
    print(f"    wrote {path}")


def picture(formula):
    """A formula in LaTeX as a picture inside the page, so that the page needs nothing else."""
    figure, buffer = Figure(figsize=(1, 1)), io.BytesIO()
    figure.text(0, 0, f"${formula}$", fontsize=12)
    # The same file every time: no date in it, and names that do not depend on chance.
    with matplotlib.rc_context({"svg.hashsalt": "derivation"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.03, metadata={"Date": None})
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(formula)}" src="data:image/svg+xml;base64,{content}">'


def main() -> None:
    parser = lesson.arguments("The backpropagation of three tutorials, derived, beside their formulas")
    parser.add_argument("--images", type=lesson.number(int), default=1_000, metavar="N", help="default 1000")
    args = parser.parse_args()
    images = min(args.images, 100) if args.quick else args.images
    mnist = lesson.mnist(args.data)

    d1 = digits(mnist, images)
    printed = three_letters(letters.squared_error, "d2", "D2: letters, 30-5-3, the squared error that is printed")
    meant = three_letters(letters.cross_entropy, "d2_entropy", "D2: the same network with the cross-entropy")
    d3 = ones_and_twos(mnist, images)
    show_digits(d1)
    show_letters(printed, meant)
    show_ones_and_twos(d3)

    lesson.section("Written down")
    args.out.mkdir(parents=True, exist_ok=True)
    documents = (d1, printed, meant, d3)
    write_latex(documents, args.out / "derive_backprop.tex")
    write_page(documents, args.out / "derive_backprop.html")


if __name__ == "__main__":
    lesson.run(main)
