"""The networks of `examples/networks.py` against plain NumPy, and their pictures by `graphs.py`."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tensors import equal

import tinygrad_np as tg

pytest.importorskip("graphviz")
EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("mnist_softmax", "letters", "mnist_binary", "cnn", "rnn", "transformer")
LAYERS = {"W1", "b1", "W2", "b2"}
PARAMETERS = {
    "mnist_softmax": LAYERS,
    "letters": LAYERS,
    "mnist_binary": LAYERS,
    "cnn": {"K1", "b1", "K2", "b2", "W", "b"},
    "rnn": {"Wx", "Wh", "bh", "Wy", "by"},
    "transformer": LAYERS
    | {"token_embedding", "position_embedding", "gain1", "bias1", "Wq", "Wk", "Wv", "Wo", "gain2", "bias2"}
    | {"gain", "bias", "W"},
}
RESULTS = {
    "mnist_softmax": {"Z1", "A1", "Z2", "A2", "loss"},
    "letters": {"Z1", "A1", "Z2", "A2", "loss"},
    "mnist_binary": {"Z1", "A1", "Z2", "A2", "loss"},
    "cnn": {"patches", "logits", "loss"},
    "rnn": {*(f"h{t}" for t in range(1, 51)), "logits", "loss"},
    "transformer": {"q", "k", "v", "scores", "weights", "logits", "loss"},
}
PARTS_OF_A_BLOCK = {"layer norm", "attention", "mlp", "mlp/gelu"}
SCOPES = {
    "mnist_softmax": {"layer 1", "layer 2", "cross-entropy"},
    "letters": {"layer 1", "layer 2", "binary cross-entropy"},
    "mnist_binary": {"layer 1", "layer 2", "binary cross-entropy"},
    "cnn": {"conv1", "pool1", "conv2", "pool2", "linear"},
    "rnn": {*(f"step {t}" for t in range(1, 51)), "readout"},
    "transformer": {"embedding", "unembedding", "unembedding/layer norm"}
    | {f"block{i}{part and '/' + part}" for i in range(12) for part in ("", *PARTS_OF_A_BLOCK)},
}


@pytest.fixture
def example(monkeypatch):
    """A function that imports an example by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module


@pytest.fixture
def network(example):
    """A function that gives a network by its name."""
    return example("networks").NETWORKS.__getitem__


def changed(f, tree, *trees):
    """`f` of the arrays of nested dicts and lists, in the same nesting."""
    if isinstance(tree, dict):
        return {key: changed(f, tree[key], *(other[key] for other in trees)) for key in tree}
    if isinstance(tree, list):
        return [changed(f, *parts) for parts in zip(tree, *trees, strict=True)]
    return f(tree, *trees)


def arrays_in(tree):
    """The arrays of nested dicts and lists, one after the other."""
    found = []
    changed(found.append, tree)
    return found


# -- the networks compute what they should, and so do their gradients ------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist_softmax", np.log(10)),
        ("letters", 3 * np.log(2)),
        ("mnist_binary", np.log(2)),
        ("cnn", np.log(10)),
        ("rnn", np.log(4)),
        ("transformer", np.log(len(set("tensors remember gradients flow up")))),
    ],
)
def test_without_weights_every_class_is_as_likely(name, expected, network):
    loss, _ = network(name).recorded(changed(np.zeros_like, network(name).start()))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_differences_in_a_random_direction(name, network):
    rng, step = np.random.default_rng(0), 1e-6
    # Not at the start itself: with zero biases ReLU sits on its kink wherever an image is black.
    start = changed(lambda a: a + 0.1 * rng.normal(size=a.shape), network(name).start())
    direction = changed(lambda a: rng.normal(size=a.shape), start)
    loss, parameters = network(name).recorded(start)
    loss.backward()
    slope = sum(np.vdot(t.grad.data, d) for t, d in zip(arrays_in(parameters), arrays_in(direction), strict=True))
    at = lambda h: network(name).recorded(changed(lambda a, d: a + h * d, start, direction))[0].item()
    assert slope == pytest.approx((at(step) - at(-step)) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name, network):
    loss, parameters = network(name).recorded()
    loss.backward()
    assert all(np.any(tensor.grad.data) for tensor in arrays_in(parameters))


def test_gradients_of_the_documents_are_their_formulas(network, example):
    by_hand = {}
    module, (X, Y) = example("mnist_softmax"), network("mnist_softmax").data()
    start = changed(lambda a: a.astype(float), module.start(0))
    by_hand["mnist_softmax"] = module.with_biases_mended(module.backward_by_hand(X.data, Y.data, 100, **start)[1])
    module = example("letters")
    by_hand["letters"] = module.backward_by_hand(**module.start())[1]
    module, (X, y) = example("mnist_binary"), network("mnist_binary").data()
    by_hand["mnist_binary"] = module.backward_by_hand(X.data, y.data, **module.start(float))[1]
    for name, formulas in by_hand.items():
        loss, parameters = network(name).recorded()
        loss.backward()
        for key in LAYERS:
            equal(parameters[key].grad.data, formulas[key])


def mean_cross_entropy(logits, labels):
    """In one line of plain NumPy, of logits (N, classes) that are small."""
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])


def test_cnn_is_nine_shifted_products_per_convolution(network):
    images, labels = (tensor.data for tensor in network("cnn").data())
    p = network("cnn").start()
    x = images
    for kernel, bias in (("K1", "b1"), ("K2", "b2")):
        n, size = x.shape[:2]
        total = np.zeros((n, size, size, p[bias].size)) + p[bias]
        for row in range(3):
            for column in range(3):
                around = np.zeros((n, size + 2, size + 2, x.shape[-1]))
                around[:, 1:-1, 1:-1] = x
                total += around[:, row : row + size, column : column + size] @ p[kernel][:, row, column]
        corners = [total[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        x = np.maximum(np.max(corners, axis=0), 0)
    expected = mean_cross_entropy(x.reshape(8, -1) @ p["W"] + p["b"], labels)
    assert network("cnn").recorded()[0].item() == pytest.approx(expected, rel=1e-12)


def test_rnn_sends_its_gradient_back_through_all_steps(network):
    xs, labels = network("rnn").data()
    p, (loss, tensors) = network("rnn").start(), network("rnn").recorded()
    states = [np.zeros((8, 16))]
    for x in xs:
        states.append(np.tanh(x.data @ p["Wx"] + states[-1] @ p["Wh"] + p["bh"]))
    logits = states[-1] @ p["Wy"] + p["by"]
    assert loss.item() == pytest.approx(mean_cross_entropy(logits, labels.data), rel=1e-12)

    # Backpropagation through time, by hand.
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    back = (probability - np.eye(4)[labels.data]) / 8 @ p["Wy"].T
    expected = np.zeros((16, 16))
    for before, after in zip(states[-2::-1], states[:0:-1], strict=True):
        back = back * (1 - after**2)
        expected += before.T @ back
        back = back @ p["Wh"].T
    loss.backward()
    equal(tensors["Wh"].grad.data, expected)


def transformer_by_loops(tokens, targets, p):
    """One text, one head and one token at a time."""

    def norm(row, gain, bias):
        return (row - row.mean()) / np.sqrt(row.var() + 1e-5) * gain + bias

    def gelu(u):
        return u / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (u + 0.044715 * u * u * u)))

    losses = []
    for text, after in zip(tokens, targets, strict=True):
        x = [p["token_embedding"][token] + place for token, place in zip(text, p["position_embedding"], strict=True)]
        for b in p["blocks"]:
            rows = np.array([norm(row, b["gain1"], b["bias1"]) for row in x])
            mixed = np.zeros_like(rows)
            for t in range(len(x)):
                for head in range(4):
                    of = slice(8 * head, 8 * head + 8)
                    keys, values = (rows[: t + 1] @ b[name][:, of] for name in ("Wk", "Wv"))
                    weight = np.exp(keys @ (rows[t] @ b["Wq"][:, of]) / np.sqrt(8))
                    mixed[t, of] = weight @ values / weight.sum()
            x = [row + gathered @ b["Wo"] for row, gathered in zip(x, mixed, strict=True)]
            hidden = [gelu(norm(row, b["gain2"], b["bias2"]) @ b["W1"] + b["b1"]) for row in x]
            x = [row + h @ b["W2"] + b["b2"] for row, h in zip(x, hidden, strict=True)]
        logits = np.array([norm(row, p["gain"], p["bias"]) @ p["W"] for row in x])
        losses.append(mean_cross_entropy(logits, after))
    return np.mean(losses)


def test_transformer_is_what_loops_over_tokens_and_heads_compute(network):
    rng = np.random.default_rng(0)
    # Away from the start, where many parameters are 0 or 1 and mistakes would not show.
    p = changed(lambda a: a + 0.1 * rng.normal(size=a.shape), network("transformer").start())
    expected = transformer_by_loops(*(tensor.data for tensor in network("transformer").data()), p)
    assert network("transformer").recorded(p)[0].item() == pytest.approx(expected, rel=1e-10)


def test_transformer_is_asked_for_the_next_character(network):
    tokens, targets = (tensor.data for tensor in network("transformer").data())
    equal(tokens[:, 1:], targets[:, :-1])
    assert tokens.shape == (2, 16)


def test_rnn_is_asked_for_the_first_symbol(network):
    xs, labels = network("rnn").data()
    equal(np.argmax(xs[0].data, axis=1), labels.data)
    assert [x.name for x in xs] == [f"x{t}" for t in range(1, 51)]


# -- what the pictures are made of -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_results_have_names(name, network):
    tape = tg.tape(network(name).recorded()[0])
    parameters = [node.name for node in tape.filter(leaves=True, requires_grad=True)]
    assert set(parameters) == PARAMETERS[name]
    assert {node.name for node in tape.filter(leaves=False)} - {None} == RESULTS[name]
    if name == "transformer":
        assert parameters.count("Wq") == 12


@pytest.mark.parametrize("name", NAMES)
def test_parts_stand_in_scopes(name, network):
    def path(scope):
        return scope.name if scope.parent is None else f"{path(scope.parent)}/{scope.name}"

    ops = tg.tape(network(name).recorded()[0]).filter(leaves=False)
    scopes = {node.trace.scope for node in ops if node.trace is not None and node.trace.scope is not None}
    assert {path(scope) for scope in scopes} == SCOPES[name]


def test_details_beside_the_scopes(network):
    details = {}
    for name in ("mnist_softmax", "cnn"):
        for node in tg.tape(network(name).recorded()[0]).filter(leaves=False):
            if node.trace is not None and node.trace.scope is not None:
                details[name, node.trace.scope.name] = node.trace.scope.detail
    assert details["mnist_softmax", "layer 1"] == "784 → 10"
    assert details["cnn", "conv1"] == "8 channels of 3 × 3"
    assert details["cnn", "pool2"] == "2 × 2"


# -- the script ------------------------------------------------------------------------------------


def run(*options, cwd):
    # A warning in an example would be the first thing that a reader sees: here it is an error.
    command = [sys.executable, "-W", "error", str(EXAMPLES / "graphs.py"), *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What `--quick` printed, and where it put its pictures."""
    out = tmp_path_factory.mktemp("graphs")
    result = run("--quick", "--out", out, cwd=out)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, out


def test_quick_writes_all_six(quick):
    text, out = quick
    files = {f"{name}_network.{ending}" for name in NAMES for ending in ("svg", "html")}
    assert {path.name for path in out.iterdir()} == files
    printed = re.findall(r"^    wrote \S+?(\w+\.\w+)   (\d+) boxes, [\d.]+ s$", text, re.MULTILINE)
    assert {file for file, _ in printed} == files
    assert all(4 < int(boxes) <= 150 for _, boxes in printed)


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_valid_and_shows_names_and_answer(name, quick, network):
    root = ET.parse(quick[1] / f"{name}_network.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    shown = "".join(root.itertext()).replace("\xa0", " ")
    # Of blocks that repeat one is shown; parameters of a closed block are in none.
    visible = {"token_embedding", "position_embedding"} if name == "transformer" else PARAMETERS[name]
    assert all(parameter in shown for parameter in visible)
    first_and_last = {
        "cnn": ("conv1", "linear"),
        "rnn": ("step 1", "readout"),
        "transformer": ("block0", "unembedding"),
    }
    assert all(scope in shown for scope in first_and_last.get(name, ("layer 1", "layer 2")))
    assert f"loss = {network(name).recorded()[0].item():.5g}" in shown


@pytest.mark.parametrize("name", NAMES)
def test_html_is_a_page_of_its_own(name, quick):
    page = (quick[1] / f"{name}_network.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert all(parameter in page for parameter in PARAMETERS[name])
    # The line of the network that computed something: recorded inside inspect().
    assert "networks.py:" in page


def test_names_pick_networks(tmp_path):
    result = run("letters", "--out", tmp_path / "new" / "folder", cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    files = {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()}
    assert set(files) == {f"letters_network.{ending}" for ending in ("svg", "png", "html")}
    assert files["letters_network.png"].startswith(b"\x89PNG\r\n")


def test_unknown_network_is_refused_with_the_known_ones(tmp_path):
    result = run("lstm", "--out", tmp_path, cwd=tmp_path)
    assert result.returncode == 2
    assert "there is no network 'lstm'" in result.stderr
    assert all(name in result.stderr for name in NAMES)
    assert not any(tmp_path.iterdir())
