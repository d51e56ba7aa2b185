"""Six networks whose graphs `graphs.py` draws: the three tutorials', a CNN, an RNN and a transformer.

Each is a function from data and parameters to a loss, in NumPy on Tensors, to be read from top to bottom.  Its
parts stand in scopes, which become the frames of the picture.  `start` beside it makes its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import lesson
import letters
import mnist_binary
import mnist_softmax
import numpy as np

import tinygrad_np as tg

# Data are made once and kept (`@cache`): a graph does not hold on to them, and the picture shows their values.

# -- the three tutorials, with their own names, starts and losses ------------------------------------


def softmax_network(X, Y, p):
    """Digits in the columns of X (784, m): ReLU, then softmax over ten classes."""
    with tg.scope("layer 1", "784 → 10"):
        Z1 = p["W1"].dot(X) + p["b1"]
        A1 = tg.relu(Z1)
    with tg.scope("layer 2", "10 → 10"):
        Z2 = p["W2"].dot(A1) + p["b2"]
        A2 = tg.softmax(Z2, axis=0)
    named(Z1=Z1, A1=A1, Z2=Z2, A2=A2)
    with tg.scope("cross-entropy", "mean over the images"):
        return mnist_softmax.cross_entropy(A2, Y)


def letters_network(X, Y, p):
    """The letters A, B, C in the rows of X (3, 30): sigmoid twice."""
    with tg.scope("layer 1", "30 → 5"):
        Z1 = np.dot(X, p["W1"]) + p["b1"]
        A1 = tg.sigmoid(Z1)
    with tg.scope("layer 2", "5 → 3"):
        Z2 = np.dot(A1, p["W2"]) + p["b2"]
        A2 = tg.sigmoid(Z2)
    named(Z1=Z1, A1=A1, Z2=Z2, A2=A2)
    with tg.scope("binary cross-entropy", "sum over the outputs, mean over the letters"):
        return letters.cross_entropy(A2, Y)


def binary_network(X, y, p):
    """The digits 1 and 2 in the rows of X (m, 784), transposed inside: sigmoid twice."""
    XT = X.T
    XT.name = "Xᵀ"
    with tg.scope("layer 1", "784 → 196"):
        Z1 = np.dot(p["W1"], XT) + p["b1"]
        A1 = tg.sigmoid(Z1)
    with tg.scope("layer 2", "196 → 1"):
        Z2 = np.dot(p["W2"], A1) + p["b2"]
        A2 = tg.sigmoid(Z2)
    named(Z1=Z1, A1=A1, Z2=Z2, A2=A2)
    with tg.scope("binary cross-entropy", "mean over the images"):
        return mnist_binary.cost(A2, y)


@cache
def softmax_data(m=100):
    mnist = digits()
    X, Y = mnist_softmax.columns(mnist.x_train[:m]), mnist_softmax.one_hot(mnist.y_train[:m])
    return data(X=X.astype(float), Y=Y.astype(float))


@cache
def letters_data():
    return data(X=letters.X, Y=letters.Y)


@cache
def binary_data(m=100):
    mnist = digits()
    X, y = mnist_binary.ones_and_twos(mnist.x_train, mnist.y_train, float)
    return data(X=X[:m], y=y[:, :m])


# -- a convolutional network -----------------------------------------------------------------------


def cnn(images, labels, p):
    """Two convolutions, each with ReLU and max pooling, then a linear layer; images (N, 28, 28, 1)."""
    with tg.scope("conv1", "8 channels of 3 × 3"):
        x = tg.relu(convolution(images, p["K1"]) + p["b1"])
    with tg.scope("pool1", "2 × 2"):
        x = max_pool(x)
    with tg.scope("conv2", "16 channels of 3 × 3"):
        x = tg.relu(convolution(x, p["K2"]) + p["b2"])
    with tg.scope("pool2", "2 × 2"):
        x = max_pool(x)
    with tg.scope("linear", "784 → 10"):
        logits = x.reshape(len(labels), -1) @ p["W"] + p["b"]
    named(logits=logits)
    return tg.cross_entropy(logits, labels)


def convolution(x, kernel):
    """Images (N, H, W, C) with a kernel (C, 3, 3, D): images (N, H, W, D); beyond their edge is 0."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    named(patches=patches)
    return np.tensordot(patches, kernel, axes=3)


def max_pool(x):
    """The largest of each 2 × 2 entries."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def cnn_start(seed=0):
    """Normal with variance 2 / inputs for what ReLU follows, 1 / inputs for the last layer; zero biases."""
    rng = np.random.default_rng(seed)
    return {
        "K1": rng.normal(size=(1, 3, 3, 8)) * np.sqrt(2 / 9),
        "b1": np.zeros(8),
        "K2": rng.normal(size=(8, 3, 3, 16)) * np.sqrt(2 / 72),
        "b2": np.zeros(16),
        "W": rng.normal(size=(784, 10)) / np.sqrt(784),
        "b": np.zeros(10),
    }


@cache
def cnn_data(n=8):
    mnist = digits()
    return data(images=mnist.x_train[:n, :, :, None] / 255, labels=mnist.y_train[:n])


# -- a recurrent network ------------------------------------------------------------------------------

STEPS, SYMBOLS, HIDDEN = 50, 4, 16


def rnn(xs, labels, p):
    """A tanh cell that reads a sequence, symbol by symbol, and then says which symbol came first."""
    h = tg.Tensor(np.zeros((len(labels), HIDDEN)), name="h0")
    for t, x in enumerate(xs, start=1):
        with tg.scope(f"step {t}", "tanh cell"):
            h = np.tanh(x @ p["Wx"] + h @ p["Wh"] + p["bh"])
        h.name = f"h{t}"
    with tg.scope("readout", f"{HIDDEN} → {SYMBOLS}"):
        logits = h @ p["Wy"] + p["by"]
    named(logits=logits)
    return tg.cross_entropy(logits, labels)


def rnn_start(seed=0):
    """An orthogonal matrix from state to state: gradients neither explode nor vanish at once on their way back."""
    rng = np.random.default_rng(seed)
    return {
        "Wx": rng.normal(size=(SYMBOLS, HIDDEN)) / np.sqrt(SYMBOLS),
        "Wh": np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN))).Q,
        "bh": np.zeros(HIDDEN),
        "Wy": rng.normal(size=(HIDDEN, SYMBOLS)) / np.sqrt(HIDDEN),
        "by": np.zeros(SYMBOLS),
    }


@cache
def rnn_data(sequences=8, seed=1):
    symbols = np.random.default_rng(seed).integers(SYMBOLS, size=(STEPS, sequences))
    one_hot = np.eye(SYMBOLS)[symbols]
    xs = [tg.Tensor(x, name=f"x{t}") for t, x in enumerate(one_hot, start=1)]
    return xs, tg.Tensor(symbols[0], name="labels")


# -- a transformer ------------------------------------------------------------------------------------

TEXT = ("tensors remember ", "gradients flow up")
VOCABULARY = sorted(set("".join(TEXT)))
TOKENS, WIDTH, HEADS, BLOCKS = 16, 32, 4, 12


def transformer(tokens, targets, p):
    """Predicts the character that follows each; tokens (N, T) are numbers of characters."""
    with tg.scope("embedding", f"{len(VOCABULARY)} characters, {TOKENS} positions"):
        x = p["token_embedding"][tokens] + p["position_embedding"]
    for i, block in enumerate(p["blocks"]):
        with tg.scope(f"block{i}", "pre-norm transformer block"):
            x = x + attention(layer_norm(x, block["gain1"], block["bias1"]), block)
            x = x + mlp(layer_norm(x, block["gain2"], block["bias2"]), block)
    with tg.scope("unembedding", f"{WIDTH} → {len(VOCABULARY)}"):
        logits = layer_norm(x, p["gain"], p["bias"]) @ p["W"]
    named(logits=logits)
    return tg.cross_entropy(logits, targets)


@tg.scope("attention", f"{HEADS} heads of width {WIDTH // HEADS}")
def attention(x, p):
    """Each token gathers from itself and those before it, by several heads; x (N, T, WIDTH)."""
    q, k, v = (split_heads(x @ p[name]) for name in ("Wq", "Wk", "Wv"))
    scores = q @ k.mT / math.sqrt(WIDTH // HEADS)
    causal = tg.Tensor(np.tri(x.shape[1], dtype=bool), name="causal mask")
    weights = tg.softmax(np.where(causal, scores, -np.inf))
    named(q=q, k=k, v=v, scores=scores, weights=weights)
    return np.swapaxes(weights @ v, 1, 2).reshape(x.shape) @ p["Wo"]


def split_heads(x):
    """From (N, T, WIDTH) to (N, HEADS, T, WIDTH // HEADS)."""
    n, tokens, width = x.shape
    return np.swapaxes(x.reshape(n, tokens, HEADS, width // HEADS), 1, 2)


@tg.scope("mlp", f"{WIDTH} → {4 * WIDTH} → {WIDTH}")
def mlp(x, p):
    return gelu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]


@tg.scope("gelu")
def gelu(x):
    """x times the normal distribution function of x, by its usual approximation (Hendrycks and Gimpel, 2016)."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@tg.scope("layer norm")
def layer_norm(x, gain, bias):
    """Each token with mean 0 and variance 1, then a gain and a bias that are learned (Ba, Kiros and Hinton, 2016)."""
    centered = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(np.square(centered), axis=-1, keepdims=True)
    return centered / np.sqrt(variance + 1e-5) * gain + bias


def transformer_start(seed=0):
    """Normal with variance 1 / inputs; smaller where a block adds to its input, so that the sum stays of one size."""
    rng = np.random.default_rng(seed)
    normal = lambda inputs, outputs: rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
    added = 1 / np.sqrt(2 * BLOCKS)

    def block():
        return {
            "gain1": np.ones(WIDTH),
            "bias1": np.zeros(WIDTH),
            "Wq": normal(WIDTH, WIDTH),
            "Wk": normal(WIDTH, WIDTH),
            "Wv": normal(WIDTH, WIDTH),
            "Wo": normal(WIDTH, WIDTH) * added,
            "gain2": np.ones(WIDTH),
            "bias2": np.zeros(WIDTH),
            "W1": normal(WIDTH, 4 * WIDTH),
            "b1": np.zeros(4 * WIDTH),
            "W2": normal(4 * WIDTH, WIDTH) * added,
            "b2": np.zeros(WIDTH),
        }

    return {
        "token_embedding": rng.normal(size=(len(VOCABULARY), WIDTH)),
        "position_embedding": rng.normal(size=(TOKENS, WIDTH)),
        "blocks": [block() for _ in range(BLOCKS)],
        "gain": np.ones(WIDTH),
        "bias": np.zeros(WIDTH),
        "W": normal(WIDTH, len(VOCABULARY)),
    }


@cache
def transformer_data():
    numbers = np.array([[VOCABULARY.index(character) for character in line] for line in TEXT])
    return data(tokens=numbers[:, :-1], targets=numbers[:, 1:])


# -- all six ------------------------------------------------------------------------------------------


class Network(NamedTuple):
    """What is drawn: a title, the loss of data and parameters, the data, and the parameters as arrays."""

    title: str
    loss: Callable[..., tg.Tensor]
    data: Callable[[], tuple]
    start: Callable[[], dict]

    def recorded(self, arrays: dict | None = None) -> tuple[tg.Tensor, dict]:
        """The loss, and the parameters that it was computed from: those of the start, or `arrays`."""
        p = parameters(self.start() if arrays is None else arrays)
        loss = self.loss(*self.data(), p)
        named(loss=loss)
        return loss, p


def parameters(tree: Any, name: str | None = None) -> Any:
    """Arrays in dicts and lists as float64 Tensors that require grad, named by their keys."""
    if isinstance(tree, dict):
        return {key: parameters(value, key) for key, value in tree.items()}
    if isinstance(tree, list):
        return [parameters(value) for value in tree]
    return tg.Tensor(tree, requires_grad=True, name=name, dtype=float)


def data(**arrays: np.ndarray) -> tuple[tg.Tensor, ...]:
    """Arrays as Tensors with these names."""
    return tuple(tg.Tensor(array, name=name) for name, array in arrays.items())


def named(**tensors: tg.Tensor) -> None:
    """Give intermediate results the names that the picture shows."""
    for name, tensor in tensors.items():
        tensor.name = name


digits = cache(lesson.mnist)

NETWORKS = {
    "mnist_softmax": Network("MNIST digits, 784-10-10", softmax_network, softmax_data, lambda: mnist_softmax.start(0)),
    "letters": Network("letters A, B, C, 30-5-3", letters_network, letters_data, letters.start),
    "mnist_binary": Network(
        "MNIST 1 against 2, 784-196-1", binary_network, binary_data, lambda: mnist_binary.start(float)
    ),
    "cnn": Network("CNN, 8 digits", cnn, cnn_data, cnn_start),
    "rnn": Network("RNN, 50 steps", rnn, rnn_data, rnn_start),
    "transformer": Network("transformer, 12 blocks", transformer, transformer_data, transformer_start),
}
