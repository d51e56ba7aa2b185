"""What inspect() notes of each op: values, gradients, lines and times; and that looking changes nothing."""

import linecache
import os
import re
import time

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np.engine.tape import SMALL

RNG = np.random.default_rng(0)
BIG = SMALL + 1


def trace(tensor):
    return tensor.node.trace


def box(tensor):
    """The box of an op in a picture."""
    return next(b for b in reversed(tg.draw(np.sum(tensor)).view.boxes[:-2]) if b.kind == "op")


# -- values and gradients ---------------------------------------------------------------------


def test_values_and_gradients_of_a_graph_with_broadcasting():
    x, b, s = parameter(RNG.normal(size=(2, 3)), name="x"), parameter(RNG.normal(size=3)), parameter(0.5)
    with tg.inspect():
        h = x * b
        k = h + s
        r = np.exp(k)
        p = r * h
        y = np.sum(p)
        y.backward()
    values = {h: x.data * b.data, k: x.data * b.data + 0.5, r: np.exp(k.data), p: r.data * h.data, y: p.data.sum()}
    dk = r.data * h.data
    dh = dk + r.data
    gradients = {h: dh, k: dk, r: h.data, p: np.ones((2, 3)), y: 1.0}
    went = {
        h: {0: dh * b.data, 1: np.sum(dh * x.data, axis=0)},
        k: {0: dk, 1: np.sum(dk)},
        r: {0: dk},
        p: {0: h.data, 1: r.data},
        y: {0: np.ones((2, 3))},
    }
    for t in values:
        equal(trace(t).value, values[t])
        equal(trace(t).gradient, gradients[t])
        equal(t.node.cotangent, gradients[t])
        assert sorted(trace(t).gradients) == sorted(went[t])
        for i, expected in went[t].items():
            assert trace(t).gradients[i].shape == t.node.inputs[i].shape
            equal(trace(t).gradients[i], expected)
    for leaf in (x, b, s):
        equal(trace(leaf).value, leaf.data)
        equal(trace(leaf).gradient, leaf.grad.data)


@pytest.mark.parametrize("size", [3, SMALL, SMALL + 1])
@pytest.mark.parametrize("of", ["leaf", "intermediate"])
def test_what_went_to_an_input_is_the_part_of_each_op(size, of):
    x = parameter(np.linspace(0.1, 0.9, size))
    with tg.inspect():
        h = x if of == "leaf" else x * 2
        uses = [np.sin(h), np.exp(h), np.tanh(h), np.log(h), np.sqrt(h)]
        np.sum(np.stack(uses)).backward()
    v = h.data
    parts = [np.cos(v), np.exp(v), 1 - np.tanh(v) ** 2, 1 / v, 0.5 / np.sqrt(v)]
    for use, part in zip(uses, parts, strict=True):
        equal(trace(use).gradients[0], part)
    equal(trace(h).gradient, sum(parts))


def test_complex_gradients_are_shown_as_users_get_them():
    z = parameter(np.array([1.0 + 2.0j, 3.0 - 1.0j]), name="z")
    with tg.inspect():
        h = (z * 1j).retain_grad()
        np.sum(np.abs(h) ** 2).backward()
    expected = 2 * h.data
    equal(h.grad, expected)
    h.grad = None
    picture = tg.draw(h)
    shown = next(b for b in picture.view.boxes if b.kind == "result").grad
    assert shown.text == tg.draw(tg.Tensor(expected)).view.boxes[0].value.text


def test_the_last_of_several_backward_passes():
    x = parameter([1.0, 2.0])
    with tg.inspect():
        h = np.sin(x)
        y = np.sum(h * h)
        y.backward(retain_graph=True)
        y.backward(5.0)
    equal(trace(h).gradient, 10 * np.sin(x.data))
    equal(trace(h).gradients[0], 10 * np.sin(x.data) * np.cos(x.data))
    equal(h.node.cotangent, 10 * np.sin(x.data))
    equal(x.grad, 12 * np.sin(x.data) * np.cos(x.data))


def test_ops_with_several_results():
    x = parameter([[2.0, 1.0], [1.0, 3.0]])
    with tg.inspect():
        values, vectors = np.linalg.eigh(x)
        first, second = np.unstack(values)
        (3 * first * second + 0 * np.sum(vectors**2)).backward()
    parent = values.node.inputs[0]
    w, v = np.linalg.eigh(x.data)
    equal(parent.trace.value[0], w)
    equal(parent.trace.value[1], v)
    equal(trace(values).value, w)
    equal(values.node.cotangent, 3 * w[::-1])
    np.testing.assert_allclose(first.node.cotangent, 3 * w[1], rtol=1e-13)
    # The determinant's gradient: 3 det(x) inv(x).
    # The gradient of the determinant is det(x) inv(x); which triangle gets it is a matter of taste.
    went = parent.trace.gradients[0]
    np.testing.assert_allclose((went + went.T) / 2, 3 * np.linalg.det(x.data) * np.linalg.inv(x.data), rtol=1e-12)
    equal(x.grad, went)


SEVERAL = {
    "one of them unused": lambda x: np.unstack(x)[0] * 2,
    "of two shapes": lambda x: [parts := np.split(x, [1]), np.sum(parts[0]) + np.sum(parts[1] ** 2)][1],
    "one of them unused, of two shapes": lambda x: np.sum(np.linalg.eigh(x[:, None] * x)[0]),
    "a checkpoint": lambda x: np.sum(tg.checkpoint(lambda v: (np.sin(v), v[0]))(x)[0]),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_pictures_of_ops_with_several_results(case):
    x = parameter([1.0, 2.0, 3.0], name="x")
    with tg.inspect():
        y = SEVERAL[case](x)
        y.backward()
    seen = tg.draw(y).view
    assert "x" in {b.name for b in seen.boxes}
    assert all(b.grad is not None for b in seen.boxes if b.name == "x")


def test_gradients_that_are_returned():
    seen = {}

    def f(v):
        seen["v"], seen["h"] = v, np.sin(v)
        return np.sum(seen["h"] * 3)

    point = np.array([1.0, 2.0])
    for way in (lambda: tg.grad(f)(point), lambda: tg.value_and_grad(f)(point)[1], lambda: tg.vjp(f, point)[1](1.0)[0]):
        with tg.inspect():
            gradient = way()
        equal(gradient, 3 * np.cos(point))
        equal(trace(seen["h"]).value, np.sin(point))
        equal(trace(seen["h"]).gradient, [3.0, 3.0])
        equal(trace(seen["h"]).gradients[0], 3 * np.cos(point))
        equal(trace(seen["v"]).gradient, 3 * np.cos(point))


def test_a_checkpoint_and_a_gradient_by_hand():
    x, c = parameter([1.0, 2.0]), tg.Tensor([5.0, 6.0])

    @tg.custom_gradient
    def tripled(v):
        np.exp(v)
        return 3 * v, lambda g: 3 * g

    with tg.inspect():
        h = tg.checkpoint(lambda a, b: np.tanh(a * b) + np.sum(np.zeros(2) * b))(x, c)
        t = tripled(h)
        np.sum(t).backward()
    equal(trace(h).value, np.tanh(x.data * c.data))
    equal(trace(t).value, 3 * np.tanh(x.data * c.data))
    equal(t.node.cotangent, [1.0, 1.0])
    equal(h.node.cotangent, [3.0, 3.0])
    equal(trace(x).value, x.data)
    equal(x.grad, 3 * c.data * (1 - np.tanh(x.data * c.data) ** 2))


@pytest.mark.parametrize("number", [1j, True, 2, 2.5, np.float32(3), [4.0, 5.0], np.int64(6)])
def test_numbers_and_lists_are_data(number):
    x = parameter([1.0, 2.0])
    with tg.inspect():
        y = x * number
        np.sum(np.abs(y)).backward()
    data = next((b for b in tg.draw(y).view.boxes if b.kind == "data"), None)
    if data is not None:
        assert data.value.text == tg.draw(tg.Tensor(number)).view.boxes[0].value.text
    for format in ("text", "dot", "html"):
        assert tg.draw(y).to(format)
    noted = y.node.inputs[1]
    if isinstance(noted, tg.Node):
        equal(noted.trace.value, number)


def test_data_that_nobody_holds():
    large = np.arange(float(BIG))
    x = parameter(2.0)
    with tg.inspect():
        y = np.sum(np.where(large > 3, x, large.copy()) * large.copy())
        z = np.concatenate([x * np.ones(1), large.copy()])
        e = np.einsum("i,i->", large.copy(), z[1:])
        y.item(), repr(y), y > 3
    for t, count in ((y, 3), (z, 1), (e, 2)):
        found = [node.trace.value for node in tg.tape(t) if node.is_leaf and node.shape == large.shape]
        found = [value for value in found if value.dtype.kind == "f"]
        assert len(found) == count - (t is y)
        for value in found:
            equal(value, large)


# -- lines and times --------------------------------------------------------------------------


def line_of(text):
    """Where something is written in this file."""
    lines = linecache.getlines(__file__)
    return f"{os.path.basename(__file__)}:{next(i for i, line in enumerate(lines, 1) if text in line)}"


def called(x):
    return np.tanh(x)  # in a function


def test_lines_of_the_program():
    x = parameter([1.0, 2.0])
    with tg.inspect():
        looped = [np.sin(x) for _ in range(3)]  # in a loop
        function = lambda x: np.cos(x)  # in a lambda
        ops = {
            "# in a loop": looped[2],
            "# in a lambda": function(x),
            "# in a function": called(x),
            "# by map": next(map(np.exp, [x])),  # by map
            "# of many ops": tg.softmax(np.var(x) + x),  # of many ops
            "# by a method": x.cumsum(),  # by a method
            "# in a checkpoint": tg.checkpoint(np.sin)(x),  # in a checkpoint
        }
    for text, y in ops.items():
        shown = box(y)
        assert shown.place == line_of(f"{text}"), text
        assert shown.code == linecache.getline(__file__, int(shown.place.split(":")[1])).strip()


def test_lines_of_code_that_is_executed(tmp_path):
    x = parameter([1.0, 2.0])
    path = tmp_path / ("a b.py" if os.name == "nt" else "a b:c.py")
    path.write_text("\ny = np.sin(x)  # on the disk\n")
    names = {"np": np, "x": x}
    with tg.inspect():
        exec(compile(path.read_text(), str(path), "exec"), names)
        exec("z = np.sin(x)", names)
    shown = box(names["y"])
    assert (shown.place, shown.code) == (f"{path.name}:2", "y = np.sin(x)  # on the disk")
    assert (box(names["z"]).place, box(names["z"]).code) == ("<string>:1", "")


def test_lines_inside_vmap():
    x = parameter([1.0, 2.0])
    with tg.inspect():
        y = tg.vmap(lambda v: v * x)(np.ones((3, 2)))  # an operator in vmap
    assert box(y).place == line_of("# an operator in vmap")


def test_lines_of_a_folder_whose_name_begins_like_the_package():
    package = os.path.dirname(tg.__file__)
    names = {"np": np, "x": parameter([1.0, 2.0])}
    with tg.inspect():
        exec(compile("\n\ny = np.sin(x)", f"{package}_examples{os.sep}mine.py", "exec"), names)
    assert box(names["y"]).place == "mine.py:3"


def test_times():
    x = parameter(np.ones((200, 200)))

    @tg.custom_gradient
    def slow(v):
        time.sleep(0.02)
        return v * 1, lambda g: [time.sleep(0.03), g][1]

    started = time.perf_counter()
    with tg.inspect():
        h = slow(x)
        y = np.sum(np.tanh(h @ x))
        y.backward()
    wall = time.perf_counter() - started
    nodes = [node for node in tg.tape(y) if not node.is_leaf and node.rule.op.name != "result"]
    assert len(nodes) == 4
    assert all(node.trace.seconds > 0 for node in nodes[1:])
    assert all(node.trace.back_seconds > 0 for node in nodes)
    assert sum((node.trace.seconds or 0) + node.trace.back_seconds for node in nodes) <= wall
    assert nodes[0].trace.back_seconds >= 0.03
    # No op: its time is its own, or nobody's, but not that of the op before.
    assert nodes[0].trace.seconds is None or nodes[0].trace.seconds >= 0.02
    # A matrix product takes longer than a sum.
    assert nodes[1].trace.seconds > nodes[3].trace.seconds


# -- nothing is changed by looking ------------------------------------------------------------


def network(W):
    h = np.tanh(np.ones((4, 3)) @ W + W[0])
    return np.sum(tg.log_softmax(h)[np.arange(4), [0, 1, 2, 0]]) + np.linalg.norm(W) + np.sum(W * W * W)


POINT = RNG.normal(size=(3, 3))
RUNS = {
    "grad": lambda: tg.grad(network)(POINT),
    "backward": lambda: [W := parameter(POINT), network(W).backward(), W.grad.data][2],
    "second order": lambda: tg.grad(lambda W: np.sum(tg.grad(network)(W) ** 2))(POINT),
    "hessian": lambda: tg.hessian(network)(POINT),
    "jacobian": lambda: tg.jacobian(lambda W: np.linalg.inv(W) * W)(POINT),
    "nested jacobian": lambda: tg.jacobian(lambda W: tg.jacobian(np.sin)(W[0]) @ W)(POINT),
    "jvp": lambda: tg.jvp(network, (POINT,), (POINT,))[1],
    "checkpoint": lambda: tg.grad(lambda W: network(tg.checkpoint(np.sin)(W)))(POINT),
    "vmap": lambda: tg.vmap(lambda w: np.outer(w, w) @ w)(POINT),
    "vmap of grad": lambda: tg.vmap(tg.grad(lambda w: np.sum(np.sin(w) ** 3)))(POINT),
    "vmap of hessian": lambda: tg.vmap(tg.hessian(lambda w: np.sum(w**3)))(POINT),
    "grad of vmap": lambda: tg.grad(lambda W: np.sum(tg.vmap(lambda w: np.cumsum(w) * W[0])(W)))(POINT),
}


@pytest.mark.parametrize("block", ["inspect", "debug", "profile"])
@pytest.mark.parametrize("run", RUNS)
def test_results_are_the_same_bit_for_bit(run, block):
    expected = np.asarray(RUNS[run]())
    with getattr(tg, block)():
        result = np.asarray(RUNS[run]())
    assert result.dtype == expected.dtype
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("block", ["inspect", "scope"])
def test_drawing_inside_vmap_asks_for_no_numbers(block):
    pictures = []

    def loss(w):
        y = np.sum(np.sin(w) ** 3)
        pictures.append(tg.draw(y))
        return y

    inside = tg.inspect if block == "inspect" else lambda: tg.scope("plain")
    with inside():
        gradient = tg.vmap(tg.grad(loss))(POINT)
    equal(gradient, 3 * np.sin(POINT) ** 2 * np.cos(POINT))
    assert len(pictures) == 1
    for format in ("text", "dot", "html", "mermaid", "table"):
        assert "sin" in pictures[0].to(format)


def test_a_picture_shows_what_was_noted():
    x = parameter([1.0, 4.0], name="x")
    with tg.inspect():
        h = np.sqrt(x)
        h.name = "h"
        y = np.sum(h * 3)
        y.backward()
    picture = tg.draw(y, show=["time", "source"])
    assert picture.view.notes == ()
    root = next(b for b in picture.view.boxes if b.name == "h")
    assert (root.value.text, root.grad.text) == ("[1 2]", "[3 3]")
    assert root.code == "h = np.sqrt(x)"
    assert 0 < root.seconds < 1
    assert 0 < root.back_seconds < 1
    without = tg.draw(np.sum(np.sqrt(x)), show=["time", "source"])
    assert re.search("time and source: not recorded.*inspect", " ".join(without.view.notes))
