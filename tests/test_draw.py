"""The picture of a graph: what it shows, and that drawing changes nothing."""

import re
import time
import weakref

import numpy as np
import pytest
from drawing import SVG, drawn, lines_of, needs_renderer, network, scalar_graph, svg, text_of

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph import dot, words
from tinygrad_np.graph.view import view


def boxes(tensor, kind):
    return [box for box in view(tensor).boxes if box.kind == kind]


# -- what it shows ----------------------------------------------------------------------------


@needs_renderer
def test_every_node_is_drawn_once():
    loss = network()
    tree = svg(tg.draw(loss))
    entries = list(tg.tape(loss))
    # One box more: the result.
    assert len(drawn(tree, "node")) == len(entries) + 1
    inputs = sum(isinstance(x, tg.Node) for node in entries for x in node.inputs)
    assert len(drawn(tree, "edge")) == inputs + 1
    texts = [text_of(group) for group in drawn(tree, "node")]
    assert sum("exp" in text for text in texts) == 2
    assert sum(text.startswith("W1 ") for text in texts) == 1


def test_arrows_follow_the_tape():
    loss = network()
    entries = list(tg.tape(loss))
    place = {id(node): i for i, node in enumerate(entries)}
    expected = [(place[id(x)], i) for i, node in enumerate(entries) for x in node.inputs if isinstance(x, tg.Node)]
    assert [(arrow.source, arrow.target) for arrow in view(loss).arrows] == [
        *expected,
        (len(entries) - 1, len(entries)),
    ]


@needs_renderer
def test_data_flows_down_and_leaves_stand_beside():
    loss = network()
    tree = svg(tg.draw(loss))
    height = {}
    for group in drawn(tree, "node"):
        ys = [float(t.get("y")) for t in group.iter(f"{SVG}text")]
        height[int(group.find(f"{SVG}title").text)] = sum(ys) / len(ys)
    kinds = {box.id: box.kind for box in view(loss).boxes}
    ops = [(arrow.source, arrow.target) for arrow in view(loss).arrows if kinds[arrow.source] == "op"]
    assert ops
    assert all(height[source] < height[target] for source, target in ops)


@needs_renderer
def test_shapes_are_on_the_arrows():
    texts = [text_of(group).strip() for group in drawn(svg(tg.draw(network())), "edge")]
    assert "1st (5, 7)" in texts
    assert "2nd (7, 3)" in texts
    assert "(5, 1)" in texts
    assert "()" in texts


@needs_renderer
def test_dtype_is_shown_where_it_is_not_float64():
    x = tg.Tensor(np.ones((2, 3), np.float32), requires_grad=True, name="x")
    assert "(2, 3) float32" in text_of(svg(tg.draw(x * x)))
    assert "(7, 3) float64" not in text_of(svg(tg.draw(network())))


def test_parameters_differ_from_data_in_word_colour_and_form():
    loss, _ = scalar_graph()
    source = tg.draw(loss).source
    parameter = next(line for line in source.splitlines() if "<B>a</B>" in line)
    data = next(line for line in source.splitlines() if "<B>c</B>" in line)
    assert "parameter" in parameter
    assert "data" not in parameter
    assert "data" in data
    assert dot.FILLS["parameter"] in parameter
    assert dot.FILLS["data"] in data
    assert 'STYLE="ROUNDED"' in parameter
    assert "ROUNDED" not in data


@needs_renderer
def test_values_and_gradients_of_scalars():
    loss, _ = scalar_graph()
    assert not any(line.startswith("grad") for line in lines_of(svg(tg.draw(loss))))
    loss.backward()
    texts = {}
    for group in drawn(svg(tg.draw(loss)), "node"):
        first, *rest = lines_of(group)
        texts[first.split()[0]] = rest
    # loss = (a b + c)^2 at a = 2, b = -3, c = 10: d = 4 and dloss/dd = 8.
    assert texts["a"] == ["value2", "grad-24"]
    assert texts["b"] == ["value-3", "grad16"]
    assert texts["c"] == ["value10"]
    assert texts["d"] == ["value4", "grad8"]
    assert texts["loss"] == ["grad1"]


@needs_renderer
def test_the_result_and_the_title_carry_the_answer():
    loss, _ = scalar_graph()
    tree = svg(tg.draw(loss))
    assert "loss = 16" in lines_of(drawn(tree, "node")[-1])
    assert "loss = 16" in text_of(drawn(tree, "graph")[0])
    assert "My model" in lines_of(svg(tg.draw(loss, title="My model")))


def test_an_optimizer_step_shows_in_the_leaf():
    loss, (a, *_) = scalar_graph()
    with tg.no_grad():
        a -= 0.5
    assert next(box for box in view(loss).boxes if box.name == "a").value == "1.5"


def test_arrays_are_summed_up():
    x = tg.Tensor(np.arange(100.0), requires_grad=True, name="x")
    y = np.sum(x * x)
    y.backward()
    (box,) = boxes(y, "parameter")
    # Mean and deviation of 0 .. 99: 49.5 and sqrt((100^2 - 1) / 12) = 28.87.
    assert box.value == "50 ± 29"
    assert box.grad == "99 ± 58"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([]), "no entries"),
        (np.full((4, 5), 7.0), "all 7"),
        (np.r_[np.nan, np.inf, np.arange(8.0)], "2 of 10 not finite"),
        (np.arange(20), "0 to 19"),
        (np.arange(10) < 3, "30% True"),
        (np.array([[1.5, 2], [3, 4]]), "[[1.5 2] [3 4]]"),
        (np.float32(0.1), "0.1"),
        (np.tile(np.float16([40000, 60000]), 10), "50000 ± 10000"),
    ],
)
def test_summaries(array, text):
    assert words.summary(array) == text


def test_retained_gradients_are_shown():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    h = (x * 3).retain_grad()
    np.sum(h * h).backward()
    assert [(box.value, box.grad) for box in boxes(h, "op")] == [("[3 6]", "[6 12]")]


@pytest.mark.parametrize(
    ("function", "details"),
    [
        (lambda x: x * 2.0, "x * 2"),
        (lambda x: 2 - x, "2 - x"),
        (lambda x: x**2, "x ** 2"),
        (lambda x: np.maximum(x, 0), "(x, 0)"),
        (lambda x: np.sum(x, axis=-1, keepdims=True), "axis=-1, keepdims=True"),
        (lambda x: np.sum(x, None), None),
        (lambda x: np.sum(x, axis=None, keepdims=False), None),
        (lambda x: np.reshape(x, (3, 2)), "shape=(3, 2)"),
        (lambda x: x[0, 1:], "[0, 1:]"),
        (lambda x: x[..., None], "[..., None]"),
        (lambda x: x[np.array([0, 1, 1])], "[int64 (3,)]"),
        (lambda x: x + np.ones(3), "broadcast (3,) → (2, 3)"),
    ],
)
def test_metadata_and_plain_numbers_are_in_the_box(function, details):
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    (box,) = boxes(function(x), "op")
    assert box.details == (() if details is None else (details,))
    assert all(other.kind == "op" or other.shape for other in view(function(x)).boxes if other.kind == "data")


def test_the_order_of_inputs_is_told_where_it_matters():
    a, b = (tg.Tensor(np.eye(2), requires_grad=True, name=name) for name in "ab")
    assert [arrow.order for arrow in view(a @ b).arrows] == ["1st", "2nd", ""]
    assert [arrow.order for arrow in view(a + b).arrows] == ["", "", ""]


@needs_renderer
def test_results_of_one_op_are_told_apart_on_its_arrows():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    first, second = np.unstack(x)
    second.name = "second"
    y = first - second
    assert [box.text for box in boxes(y, "op")] == ["unstack", "subtract -"]
    assert [arrow.part for arrow in view(y).arrows] == ["", "[0]", "second", ""]
    assert len(drawn(svg(tg.draw(second)), "node")) == 3


def test_debug_mode_gives_the_line():
    x = tg.Tensor(2.0, requires_grad=True)
    with tg.debug():
        y = x * x
    assert re.fullmatch(r"test_draw\.py:\d+", boxes(y, "op")[0].place)


@needs_renderer
@pytest.mark.parametrize(
    "tensor",
    [
        tg.Tensor([1.0, 2.0], requires_grad=True, name="leaf"),
        tg.Tensor([1.0, 2.0], name="leaf"),
        tg.Tensor(3.0).detach(),
        tg.Tensor(np.zeros((0, 3))),
    ],
)
def test_a_leaf_alone(tensor):
    (group,) = drawn(svg(tg.draw(tensor)), "node")
    assert str(tensor.shape) in text_of(group)
    assert (tensor.name or "") in text_of(group)


@pytest.mark.parametrize("wrong", [3.0, np.ones(3), None, [tg.Tensor(1.0)]])
def test_anything_else_is_refused(wrong):
    with pytest.raises(AutogradError, match=r"draw\(\) shows how a Tensor was computed, and got"):
        tg.draw(wrong)


def test_all_text_has_contrast():
    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    for ink in (dot.INK, dot.PALE, dot.GRADIENT):
        for ground in ("#FFFFFF", *dot.FILLS.values()):
            # WCAG 2 asks for 4.5:1.
            assert (luminance(ground) + 0.05) / (luminance(ink) + 0.05) >= 4.5, (ink, ground)


def test_colours_are_written_in_full():
    colours = re.findall(r'(?:color|bgcolor)="([^"]*)"', tg.draw(network()).source, flags=re.IGNORECASE)
    assert colours
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours)


# -- what it must not do ----------------------------------------------------------------------


def snapshot(tensor):
    return [
        [getattr(node, slot) for slot in ("born", "inputs", "meta", "name", "value", "cotangent", "owner")]
        + [None if node.kept is None else [id(array) for array in node.kept]]
        for node in tg.tape(tensor)
    ]


def test_drawing_changes_nothing():
    loss, (a, *_) = scalar_graph()
    before = snapshot(loss)
    tg.draw(loss)
    assert snapshot(loss) == before
    loss.backward()
    before, gradient = snapshot(loss), a.grad
    tg.draw(loss)
    assert snapshot(loss) == before
    assert a.grad is gradient
    assert gradient.data == -24


def test_drawing_keeps_nothing_alive():
    loss, _ = scalar_graph()
    node = loss.node
    gone = weakref.ref(node)
    picture = tg.draw(loss)
    del loss, node, _
    assert gone() is None
    assert "loss" in picture.source


def chain(n):
    x = tg.Tensor(1.0, requires_grad=True)
    for _ in range(n // 2):
        x = x * 1.0001 + 0.0001
    return x


def test_ten_thousand_ops_take_linear_time():
    def seconds(tensor):
        start = time.perf_counter()
        picture = tg.draw(tensor)
        return time.perf_counter() - start, len(picture.source)

    small, large = chain(1000), chain(10_000)
    took_small, length_small = min(seconds(small) for _ in range(3))
    took_large, length_large = seconds(large)
    assert length_large < 12 * length_small
    # Quadratic work would take 100 times as long.
    assert took_large < 40 * took_small
