"""Memory: long chains, nothing left behind, few arrays alive at once, and a light import."""

import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.engine.tape import SMALL


def chain(x, length):
    for _ in range(length):
        x = x * 0.99999
    return x


# -- long chains ------------------------------------------------------------------------------


def test_a_chain_of_a_hundred_thousand_ops(no_collector):
    length = 100_000
    x = tg.Tensor(np.ones(2), requires_grad=True)
    out = chain(x, length)
    node = weakref.ref(out.node.inputs[0])
    out.sum().backward()
    np.testing.assert_allclose(x.grad.data, 0.99999**length, rtol=1e-9)
    # Freeing runs link by link too, and must neither recurse nor need the collector.
    del out
    assert node() is None


def test_a_long_chain_in_the_other_directions():
    length = 20_000
    slope = 0.99999**length
    np.testing.assert_allclose(tg.grad(lambda x: chain(x, length))(1.0), slope, rtol=1e-9)
    np.testing.assert_allclose(tg.jvp(lambda x: chain(x, length), (1.0,), (1.0,))[1], slope, rtol=1e-9)
    x = tg.Tensor(1.0, requires_grad=True)
    (chain(x, length) ** 2).backward(create_graph=True)
    gradient = x.grad
    x.zero_grad()
    gradient.backward()
    np.testing.assert_allclose(x.grad.data, 2 * slope**2, rtol=1e-9)
    assert len(tg.tape(gradient)) > length


def test_a_chain_that_is_never_walked_is_freed(no_collector):
    x = tg.Tensor(1.0, requires_grad=True)
    out = chain(x, 50_000)
    node = weakref.ref(out.node.inputs[0])
    del out
    assert node() is None


# -- nothing is left --------------------------------------------------------------------------


def network(rng):
    W1, W2 = (tg.Tensor(rng.normal(size=(50, 50)), requires_grad=True) for _ in range(2))
    x = rng.normal(size=(50, 40))
    hidden = np.maximum(W1 @ x, 0)
    rows = np.stack(list(np.concatenate([hidden, np.tanh(hidden)])[:50]))
    return W1, W2, hidden, tg.cross_entropy((W2 @ rows).T, rng.integers(0, 50, 40))


@pytest.mark.parametrize("how", ["forward", "backward", "retain_graph", "create_graph", "grad", "debug", "error"])
def test_nothing_is_left_without_the_collector(no_collector, how):
    rng = np.random.default_rng(0)
    W1, W2, hidden, loss = network(rng)
    nodes = [weakref.ref(node) for node in tg.tape(loss) if not node.is_leaf]
    tensors = [weakref.ref(t) for t in (W1, W2, hidden, loss)]
    if how in ("backward", "retain_graph", "create_graph"):
        loss.backward(**({} if how == "backward" else {how: True}))
        gradient = weakref.ref(W1.grad.node or W1.grad)
    elif how == "grad":
        gradient = weakref.ref(tg.grad(lambda w, m=W1: np.sum(w @ m))(W2))
    elif how == "debug":
        with tg.debug():
            (loss * 2).backward()
    elif how == "error":
        with pytest.raises(tg.errors.ShapeError):
            loss.backward(np.ones(3))
    assert nodes
    del W1, W2, hidden, loss
    assert [ref() for ref in nodes + tensors if ref() is not None] == []
    if how in ("retain_graph", "create_graph", "backward", "grad"):
        assert gradient() is None


def test_steps_do_not_pile_up(no_collector):
    rng = np.random.default_rng(1)
    network(rng)[-1].backward()

    def allocated():
        tracemalloc.start()
        for _ in range(20):
            network(rng)[-1].backward()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    allocated()
    # One step makes arrays of more than 200 kB.
    assert allocated() < 50_000


LARGE = np.ones(SMALL + 1)
"""Smaller arrays stay on the tape for pictures."""


def test_backward_frees_what_was_kept_as_it_goes(no_collector):
    x = tg.Tensor(LARGE, requires_grad=True)
    hidden = np.exp(x)
    kept = weakref.ref(hidden.data)
    loss = hidden.sum()
    del hidden
    assert kept() is not None
    loss.backward()
    assert kept() is None


def test_what_no_rule_names_is_freed_at_once(no_collector):
    x = tg.Tensor(LARGE, requires_grad=True)
    total = x + 1
    freed, kept = weakref.ref(total.data), None
    square = total - 1
    loss = np.sin(square)
    kept = weakref.ref(square.data)
    del total, square
    assert freed() is None
    assert kept() is not None
    assert loss.requires_grad


def test_small_results_stay_for_pictures(no_collector):
    x = tg.Tensor(np.ones(SMALL), requires_grad=True)
    total = x + 1
    seen = weakref.ref(total.data)
    loss = np.sin(total - 1).sum()
    del total
    loss.backward()
    assert seen() is not None
    del loss
    assert seen() is None


def peak_of(function, size):
    """The largest memory that `function` had at once, in arrays of `size` bytes."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        function()
        return (tracemalloc.get_traced_memory()[1] - before) / size
    finally:
        tracemalloc.stop()


def test_a_hundred_ops_on_a_large_array_stay_small(no_collector):
    x = tg.Tensor(np.linspace(-1, 1, 131_072), requires_grad=True)

    def step():
        y = x
        for _ in range(50):
            y = np.tanh(y) * 1.01
        y.sum().backward()

    # tanh keeps its result, scaling keeps nothing: 50 arrays, and a few while one is computed.
    assert peak_of(step, x.nbytes) <= 55


def test_the_gradient_of_data_is_never_made(no_collector):
    data = np.ones((400, 400))
    w = tg.Tensor(np.ones((400, 1)), requires_grad=True)

    def step():
        np.sum(data @ w).backward()

    # All of it is columns; the gradient of the data would be a whole array.
    assert peak_of(step, data.nbytes) < 0.2


def test_no_grad_keeps_nothing(no_collector):
    x = tg.Tensor(np.ones(131_072), requires_grad=True)

    def step():
        with tg.no_grad():
            y = x
            for _ in range(20):
                y = np.tanh(y)

    assert peak_of(step, x.nbytes) < 3


# -- importing --------------------------------------------------------------------------------


def test_importing_loads_nothing_heavy():
    code = "import sys, tinygrad_np; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "tinygrad_np" in loaded
    assert loaded & {"graphviz", "matplotlib", "scipy", "tqdm", "hypothesis", "pytest", "torch", "jax"} == set()
