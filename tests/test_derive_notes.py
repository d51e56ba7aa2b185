"""The words beside the lines of a derivation, the tables they stand in, and the links into the graph."""

import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.derive.notes import note, operation
from tinygrad_np.derive.shown import WIDTH, box_numbers, table, to_html


def parameter(*shape, seed=0):
    return tg.Tensor(np.random.default_rng([seed, *shape]).normal(size=shape), requires_grad=True)


def notes(derivation):
    return {line.name: note(line) for line in derivation.backward_lines}


def network(softmax=tg.softmax, relu=tg.relu):
    random = np.random.default_rng(1)
    X, Y = random.random((11, 7)), np.eye(5)[random.integers(0, 5, 7)].T
    W1, b1, W2, b2 = parameter(6, 11), parameter(6, 1), parameter(5, 6), parameter(5, 1)
    Z1 = W1 @ X + b1
    A1 = relu(Z1)
    Z2 = W2 @ A1 + b2
    A2 = softmax(Z2, axis=0)
    loss = -(Y * np.log(A2)).sum() / 7
    return loss, tg.derive(loss)


def softmax_in_numpy(Z, axis):
    E = np.exp(Z)
    return E / E.sum(axis=axis, keepdims=True)


# -- rules ------------------------------------------------------------------------------------


def softmax_with_two_exponentials(Z, axis):
    return np.exp(Z) / np.sum(np.exp(Z), axis=axis, keepdims=True)


@pytest.mark.parametrize("softmax", [tg.softmax, softmax_in_numpy, softmax_with_two_exponentials])
def test_rules_of_a_softmax_network(softmax):
    _, derivation = network(softmax)
    assert notes(derivation) == {
        "dZ2": "softmax and cross-entropy together: they cancel to A2 - Y",
        "dW2": "matmul, with respect to a: g @ bᵀ",
        "db2": "add, with respect to y: g, summed over axis 1, along which b2 was broadcast",
        "dZ1": "matmul, with respect to b: aᵀ @ g; then relu: g * (x > 0)",
        "dW1": "matmul, with respect to a: g @ bᵀ",
        "db1": "add, with respect to y: g, summed over axis 1, along which b1 was broadcast",
    }


def test_sigmoid_and_binary_cross_entropy_cancel():
    X, y, w = np.random.default_rng(0).random((6, 3)), np.array([[0.0], [1], [1], [0], [1], [0]]), parameter(3, 1)
    z = X @ w
    p = tg.sigmoid(z)
    loss = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert notes(tg.derive(loss))["dz"] == "sigmoid and binary cross-entropy together: they cancel to p - y"


def test_what_does_not_cancel_is_not_said_to():
    X, y, w = np.random.default_rng(0).random((6, 3)), np.ones((6, 1)) / 3, parameter(3, 1)
    z = X @ w
    p = tg.sigmoid(z)
    loss = (y * np.log(p) ** 2).sum()
    assert "cancel" not in "".join(notes(tg.derive(loss)).values())
    squared = ((tg.sigmoid(X @ w) - y) ** 2).mean()
    assert "cancel" not in "".join(notes(tg.derive(squared)).values())


def test_a_long_chain_gives_the_names_of_its_ops():
    x = parameter(4)
    loss = np.tanh(np.exp(np.sin(x))).sum()
    (text,) = notes(tg.derive(loss)).values()
    assert text == "chain of sum, tanh, exp and sin"


def test_a_plain_number_stands_in_the_rule_itself():
    x = parameter(4, 3)
    loss = (np.maximum(x, 0) * np.arange(12.0).reshape(4, 3)).sum()
    (text,) = notes(tg.derive(loss)).values()
    assert text == "chain of sum, multiply and maximum"
    h = x @ parameter(3, 2)
    A = np.maximum(h, 0)
    lines = notes(tg.derive((A @ parameter(2, 2) @ parameter(2, 1)).sum()))
    assert lines["dh"].endswith("maximum: g * ((x > 0) + (x == 0) / 2)")


def test_each_use_of_a_parameter_is_said():
    w, spread = parameter(4), "sum: g, repeated for every entry; then"
    text = notes(tg.derive((w * np.arange(1.0, 5)).sum() + np.sin(w).sum()))["dw"]
    assert sorted(text.split("; plus ")) == [
        f"{spread} multiply, with respect to x: g * y",
        f"{spread} sin: g * cos(x)",
    ]
    x = parameter(4)
    twice = (np.sin(x) * np.arange(4.0)).sum() + (np.sin(x) * np.ones(4)).sum()
    assert notes(tg.derive(twice))["dx"] == "chain of sum, multiply and sin (2 uses)"


@pytest.mark.parametrize(
    ("shape", "words"),
    [((5,), "axis 0"), ((1, 5), "axis 0"), ((4, 1), "axis 1"), ((), "all axes"), ((1, 1), "all axes")],
)
def test_the_axes_of_a_broadcast_are_those_that_numpy_repeats(shape, words):
    b, W, X = parameter(*shape), parameter(3, 5), np.random.default_rng(0).random((4, 3))
    Z = X @ W + b
    loss = (Z**2).sum()
    assert f"summed over {words}, along which b was broadcast" in notes(tg.derive(loss))["db"]


def test_nothing_is_summed_where_nothing_was_broadcast():
    a, b = parameter(4, 3, seed=1), parameter(4, 3, seed=2)
    assert "summed" not in "".join(notes(tg.derive((a * b).sum())).values())


def test_the_op_of_a_line_is_the_last_whose_rule_it_took():
    _, derivation = network()
    ops = {line.name: operation(line).op_name for line in derivation.backward_lines}
    assert ops == {"dZ2": "softmax", "dW2": "matmul", "db2": "add", "dZ1": "relu", "dW1": "matmul", "db1": "add"}


# -- tables -----------------------------------------------------------------------------------


def wide():
    """Lines that are longer than a terminal is wide, and rules too."""
    random = np.random.default_rng(3)
    X, G = random.random((7, 5)), random.random((7, 5))
    W, gamma = parameter(5, 5), parameter(5)
    activations = X @ W
    normalized = (activations - activations.mean(axis=-1, keepdims=True)) / np.sqrt(
        activations.var(axis=-1, keepdims=True) + 1e-5
    )
    loss = (gamma * normalized * G).sum()
    return loss, tg.derive(loss)


@pytest.mark.parametrize("make", [network, wide])
def test_the_table_fits_the_terminal_and_loses_no_word(make):
    _, derivation = make()
    lines = table(derivation.lines).splitlines()
    assert max(map(len, lines)) <= WIDTH
    shape_at, rule_at = lines[0].index("shape"), lines[0].index("rule")
    columns = [" ".join(line[a:b].strip() for line in lines) for a, b in ((0, shape_at), (rule_at, None))]
    code, rules = (re.sub(r"\s+", "", column) for column in columns)
    for line in derivation.backward_lines:
        assert re.sub(r"\s+", "", f"{line.name}={line.text}") in code
        assert re.sub(r"\s+", "", note(line)) in rules
        assert str(line.shape) in "".join(lines)


def test_the_table_says_what_it_relied_on():
    assert "Y sums to 1 along axis 0: the derivation relies on it" in table(network()[1].lines)
    assert "relies" not in table(wide()[1].lines)


class Cells(HTMLParser):
    """The text of each cell of a table, and the links."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.links, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_the_notebook_has_line_shape_rule_and_formula():
    _, derivation = network()
    page = to_html(derivation.lines)
    cells = Cells(page.partition("<p>")[0]).cells
    assert cells[:4] == ["backward", "shape", "rule", "formula"]
    assert cells[16:20] == [
        "dZ1 = (W2.T @ dZ2) * (A1 > 0)", "(6,\u00a07)", "matmul, with respect to b: aᵀ @ g; then relu: g * (x > 0)",
        r"$\mathrm{d}Z_{1} = \left(W_{2}^\top \mathrm{d}Z_{2}\right) \odot \left[A_{1} > 0\right]$",
    ]  # fmt: skip
    assert len(cells) == 4 * (1 + len(derivation.backward_lines))
    assert Cells(page).links == []


def test_texts_are_no_markup():
    _, derivation = network()
    page = to_html(derivation.lines, graph='"><script>alert(1)</script>', typeset=lambda formula: html.escape(formula))
    assert "<script" not in page
    assert set(Cells(page).tags) == {"table", "thead", "tbody", "tr", "th", "td", "code", "a", "p"}


def test_links_go_to_the_op_in_the_picture_of_the_loss():
    for make in (network, wide):
        loss, derivation = make()
        boxes = {box.id: box for box in tg.draw(loss).view.boxes}
        links = Cells(to_html(derivation.lines, graph="graph.html")).links
        assert len(links) == len(derivation.backward_lines)
        for link, line in zip(links, derivation.backward_lines, strict=True):
            box = boxes[int(link.removeprefix("graph.html#op-"))]
            assert (box.kind, box.text.split()[0]) == ("op", operation(line).op_name)
            assert box.shape == operation(line).shape


def test_box_numbers_of_an_op_with_several_results():
    a = tg.Tensor(np.array([[2.0, 0.5], [0.5, 1.0]]), requires_grad=True)
    loss = np.linalg.eigh(a)[0].sum()
    derivation = tg.derive(loss)
    boxes = {box.id: box for box in tg.draw(loss).view.boxes}
    named = {node.op_name: boxes[i].text for node, i in box_numbers(derivation.lines).items()}
    assert named == {"eigh": "eigh", "sum": "sum"}
    assert operation(derivation.backward_lines[-1]).op_name == "eigh"
