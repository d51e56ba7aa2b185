"""Formulas of a derivation: computed by a reader of LaTeX that shares no code with the writer, and as they stand."""

import matplotlib.mathtext
import numpy as np
import pytest
from formula_reader import UnclearError, value_of

import tinygrad_np as tg
from tinygrad_np.derive.expressions import Variable, expression
from tinygrad_np.derive.latex import latex
from tinygrad_np.derive.notation import code, named, symbols
from tinygrad_np.derive.shown import formulas, latex_block
from tinygrad_np.derive.sizes import samples, sized
from tinygrad_np.derive.symbol import Symbol


def symbol(name, shape, random, low=0.5):
    value = random.uniform(low, 2.0, shape)
    return Symbol(expression(Variable(name, value)), value)


@pytest.fixture
def a():
    """Symbols of several shapes, positive so that roots and logarithms are defined."""
    random = np.random.default_rng(5)
    shapes = {"W1": (3, 3), "X": (3, 3), "Y": (3, 3), "b": (3, 1), "s": (), "t": ()}
    return {name: symbol(name, shape, random) for name, shape in shapes.items()}


def values(symbols_by_name):
    return {named(name): x.example for name, x in symbols_by_name.items()}


# -- as they stand ----------------------------------------------------------------------------

WRITTEN = {
    "product of matrices": (lambda W1, X, **_: W1 @ X, "W_{1} X"),
    "of entries": (lambda W1, X, **_: W1 * X, r"W_{1} \odot X"),
    "both": (lambda W1, X, Y, **_: (W1 @ X) * Y, r"\left(W_{1} X\right) \odot Y"),
    "a matrix product of products": (lambda W1, X, Y, **_: (W1 * X) @ Y, r"\left(W_{1} \odot X\right) Y"),
    "transposed": (lambda W1, X, **_: W1.T @ X, r"W_{1}^\top X"),
    "a sum transposed": (lambda W1, X, **_: (W1 + X).T, r"\left(W_{1} + X\right)^\top"),
    "a multiple": (lambda W1, X, **_: 2 * (W1 @ X), "2 W_{1} X"),
    "a multiple of a sum": (lambda X, Y, **_: 2 * (X - Y), r"2 \left(X - Y\right)"),
    "a part of a sum": (lambda X, Y, **_: (X - Y) / 7, r"\frac{X - Y}{7}"),
    "divided entries": (lambda X, Y, b, **_: X / (Y * b), r"\frac{X}{Y \odot b}"),
    "a square": (lambda X, Y, **_: (X - Y) ** 2, r"\left(X - Y\right)^{2}"),
    "a square of a product": (lambda W1, X, **_: (W1 @ X) ** 2, r"\left(W_{1} X\right)^{2}"),
    "a root": (lambda X, b, **_: X / np.sqrt(b + 1e-5), r"\frac{X}{\sqrt{b + 10^{-5}}}"),
    "a mask": (lambda X, Y, **_: X * (Y > 0), r"X \odot \left[Y > 0\right]"),
    "a sum over an axis": (lambda X, **_: X.sum(axis=1, keepdims=True), r"\sum_{\mathrm{axis}\,1} X"),
    "a sum of a sum": (lambda X, Y, **_: np.exp(X * Y + 1).sum(), r"\sum \exp\left(X \odot Y + 1\right)"),
    "a mean": (lambda X, **_: X.mean(axis=0), r"\operatorname{mean}_{\mathrm{axis}\,0}\left(X\right)"),
    "1 minus": (lambda X, **_: 1 - X, "1 - X"),
    "a scalar and a matrix": (lambda s, X, **_: s * X, "s X"),
    "a scalar and a sum": (lambda s, X, Y, **_: s * (X + Y), r"s \cdot \left(X + Y\right)"),
    "a power of one and a half": (lambda X, **_: np.power(X, 1.5), "X^{3/2}"),
    "the root of three": (lambda X, **_: X / np.sqrt(3), r"\frac{X}{\sqrt{3}}"),
    "the larger": (lambda X, **_: np.maximum(X, 0), r"\max\left(X, 0\right)"),
    "a part": (lambda X, **_: X[:, 1:], r"X\left[\mathrm{:,\ 1:}\right]"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN)
def test_formulas_as_they_stand(case, a):
    build, expected = WRITTEN[case]
    assert latex(build(**a).expr) == expected
    if case != "a part":
        np.testing.assert_allclose(value_of(expected, values(a)).squeeze(), build(**a).example.squeeze())


def test_a_number_of_samples_has_a_word():
    x = symbol("X", (7, 2), np.random.default_rng(0))
    m = Variable("m", np.asarray(7))
    with samples(m):
        assert latex((x / sized((7,))[0]).expr) == r"\frac{X}{m}"
        assert latex((x / 7).expr) == r"\frac{X}{7}"


def test_ones_where_nothing_else_has_the_shape():
    x = symbol("s", (), np.random.default_rng(0))
    assert latex(np.broadcast_to(x, (3, 4)).expr) == r"\mathbf{1}_{3 \times 4} \odot s"
    assert latex(np.broadcast_to(x * 0 + 2, (3, 4)).expr) == r"2 \mathbf{1}_{3 \times 4}"


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [("W2", "W_{2}"), ("gamma", r"\gamma"), ("Wq", "W_{q}"), ("xhat", r"\hat{x}"), ("mu_1", r"\mu_{1}"), ("x", "x"),
     ("h_prev", r"h_{\mathrm{prev}}"), ("loss", r"\mathrm{loss}"), ("_2x", r"\mathrm{\_2x}"),
     ("layer1_W", r"\mathrm{layer}_{1, W}")],
)  # fmt: skip
def test_names(name, expected):
    assert named(name) == expected


def test_a_gradient_is_an_upright_d_and_no_product_of_two_names():
    dW = Variable("dW2", np.ones((2, 2)), is_gradient=True)
    other = Variable("dW2", np.ones((2, 2)))
    assert latex(dW) == r"\mathrm{d}W_{2}"
    assert latex(other) != latex(dW)
    x = Symbol(expression(dW), dW.value)
    assert latex((x**2).expr) == r"\left(\mathrm{d}W_{2}\right)^{2}"


def test_no_two_variables_look_alike():
    given = [Variable(name, np.ones(2)) for name in ("W1", "W_1", "Wq", "W_q", "lambda", "λ")]
    assert len(set(symbols(given).values())) == len(given)


def test_code_obeys_no_command():
    text = code(r"\input{x}_$%#&^~")
    assert text == r"\mathrm{\backslash input\{x\}\_\$\%\#\&\wedge \sim }"


# -- computed ---------------------------------------------------------------------------------

STEPS = (
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x @ y,
    lambda x, y: x.T, lambda x, y: -x, lambda x, y: x**2, lambda x, y: np.sqrt(np.abs(x) + 1), lambda x, y: 1 - x,
    lambda x, y: np.tanh(x), lambda x, y: x.sum(axis=0, keepdims=True) * y,
    lambda x, y: y - x.mean(axis=1, keepdims=True), lambda x, y: x * (y > 1),
    lambda x, y: 3 * x / 7, lambda x, y: x.sum() * y, lambda x, y: np.exp(-np.abs(x)),
    lambda x, y: 1 / (1 + np.abs(x)), lambda x, y: np.maximum(x, y),
    lambda x, y: (x * y).sum(axis=1, keepdims=True) / y,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_random_formulas_are_read_as_they_were_meant(seed, a):
    """Five random steps from random starts: what the formula says is what the arrays gave."""
    random = np.random.default_rng(seed)
    pool = [a[name] for name in ("W1", "X", "Y", "b", "s")]
    for _ in range(5):
        x, y = (pool[i] for i in random.choice(len(pool), 2))
        if not x.ndim:
            continue  # has no axis to sum over
        step = STEPS[random.integers(len(STEPS))]
        try:
            made = step(x, y)
        except (ValueError, np.exceptions.AxisError):
            continue  # shapes that do not fit
        if made.size and np.isfinite(made.example).all() and np.abs(made.example).max() < 1e12:
            pool.append(made)
    for made in pool[5:]:
        text = latex(made.expr)
        found = value_of(text, values(a))
        np.testing.assert_allclose(np.broadcast_to(found, made.shape), made.example, rtol=1e-9, atol=1e-9, err_msg=text)


def test_the_reader_refuses_what_is_unclear():
    names = {"A": np.ones((2, 2)), "B": np.ones((2, 2))}
    for text in (r"A B \odot A", "A +", r"\left(A", "A C"):
        with pytest.raises(UnclearError):
            value_of(text, names)
    np.testing.assert_array_equal(value_of(r"\sum A + A", names), np.full((2, 2), 5.0))


# -- whole derivations ------------------------------------------------------------------------


def parameter(random, *shape):
    return tg.Tensor(random.normal(size=shape), requires_grad=True)


def softmax_network():
    random = np.random.default_rng(1)
    X, Y = random.random((11, 7)), np.eye(5)[random.integers(0, 5, 7)].T
    W1, b1, W2, b2 = (parameter(random, *shape) for shape in ((6, 11), (6, 1), (5, 6), (5, 1)))
    Z1 = W1 @ X + b1
    A1 = tg.relu(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.softmax(Z2, axis=0)
    loss = -(Y * np.log(A2)).sum() / 7
    return tg.derive(loss)


def sigmoid_network():
    random = np.random.default_rng(2)
    X, Y = random.random((4, 9)), random.random((4, 3))
    W1, b1, W2, b2 = (parameter(random, *shape) for shape in ((9, 5), (1, 5), (5, 3), (1, 3)))
    A1 = tg.sigmoid(X @ W1 + b1)
    A2 = 1 / (1 + np.exp(-(A1 @ W2 + b2)))
    loss = ((A2 - Y) ** 2).mean()
    return tg.derive(loss)


def layer_norm():
    random = np.random.default_rng(3)
    X, G = random.random((7, 5)), random.random((7, 5))
    W, gamma, beta = parameter(random, 5, 5), parameter(random, 5), parameter(random, 5)
    x = X @ W
    xhat = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-2)
    loss = ((gamma * xhat + beta) * G).sum()
    return tg.derive(loss)


def attention():
    random = np.random.default_rng(4)
    X, T = random.random((2, 7, 5)), random.random((2, 7, 3))
    Wq, Wk, Wv = (parameter(random, 5, 3) for _ in range(3))
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    A = tg.softmax(Q @ K.swapaxes(-1, -2) / np.sqrt(3))
    loss = ((A @ V - T) ** 2).mean()
    return tg.derive(loss)


NETWORKS = (softmax_network, sigmoid_network, layer_norm, attention)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_formula_of_a_derivation_says_what_its_line_computes(network):
    derivation = network()
    lines = [*derivation.forward_lines, *derivation.backward_lines]
    pairs = formulas(derivation.lines, lines)
    scope = {}
    exec(derivation.source, scope)
    m = None if derivation.lines.reading.m is None else int(derivation.lines.reading.m.value)
    by_name = {v.name: v.value for v in derivation.lines.inputs} | {"m": m}
    by_formula = symbols_of(derivation) | {"m": m}
    for line, (left, right) in zip(lines, pairs, strict=True):
        expected = by_name[line.name] = by_formula[left] = np.asarray(eval(line.text, scope, by_name))
        found = value_of(right, by_formula)
        np.testing.assert_allclose(np.reshape(found, expected.shape), expected, rtol=1e-7, atol=1e-12, err_msg=right)


def symbols_of(derivation):
    """What the inputs are called in formulas."""
    inputs = derivation.lines.inputs
    return {name: variable.value for variable, name in symbols(inputs).items()}


@pytest.mark.parametrize("network", NETWORKS)
def test_matplotlib_reads_every_formula(network):
    parser = matplotlib.mathtext.MathTextParser("path")
    derivation = network()
    for left, right in formulas(derivation.lines, [*derivation.forward_lines, *derivation.backward_lines]):
        parser.parse(f"${left} = {right}$")


def test_a_block_has_a_row_for_each_line():
    derivation = softmax_network()
    rows = latex_block(derivation.lines).splitlines()
    assert (rows[0], rows[-1]) == (r"\begin{align*}", r"\end{align*}")
    assert rows[1] == r"\mathrm{d}Z_{2} &= \frac{A_{2} - Y}{m} \\"
    assert rows[4] == r"\mathrm{d}Z_{1} &= \left(W_{2}^\top \mathrm{d}Z_{2}\right) \odot \left[A_{1} > 0\right] \\"
    assert not rows[-2].endswith("\\")
    assert len(rows) == 2 + len(derivation.backward_lines)
    whole = latex_block(derivation.lines, forward=True).splitlines()
    assert len(whole) == len(rows) + len(derivation.forward_lines)
    assert whole[1] == r"Z_{1} &= W_{1} X + b_{1} \\"
