"""The picture that graphviz draws: what is seen in it, and that drawing changes nothing."""

import re
import weakref

import numpy as np
import pytest
from drawing import SVG, drawn, lines_of, named, needs_renderer, network, scalar_graph, svg, text_of

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph import words
from tinygrad_np.graph.export import colors
from tinygrad_np.graph.parts import SHOW


def box_of(tree, start):
    """The text of the box that starts with some words, line by line."""
    return next(lines for lines in map(lines_of, drawn(tree, "node")) if lines[0].startswith(start))


# -- boxes and arrows -------------------------------------------------------------------------


@needs_renderer
def test_each_op_is_drawn_once_and_a_leaf_once_for_each_use():
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True, name="W")
    y = np.sum(np.tanh(np.ones((3, 2)) @ w) @ w)
    tree = svg(tg.draw(y))
    texts = [text_of(group) for group in drawn(tree, "node")]
    # Two products, tanh, sum; W twice, the data once; the result.
    assert len(texts) == 8
    assert sum(text.startswith("matmul") for text in texts) == 2
    assert [text.splitlines()[0].endswith("used by 2 ops") for text in texts if text.startswith("W ")] == [True, True]
    assert len(drawn(tree, "edge")) == 7


@needs_renderer
def test_data_flows_down_and_leaves_stand_beside():
    picture = tg.draw(network())
    height = {}
    for group in drawn(svg(picture), "node"):
        ys = [float(t.get("y")) for t in group.iter(f"{SVG}text")]
        height[int(group.find(f"{SVG}title").text)] = sum(ys) / len(ys)
    boxes = {box.id: box for box in picture.view.boxes}
    down = [arrow for arrow in picture.view.arrows if boxes[arrow.source].kind == "op"]
    assert len(down) == 9
    assert all(height[arrow.source] + 20 < height[arrow.target] for arrow in down)
    for name in ("W1", "b1"):
        source = named(picture.view, name).id
        target = next(arrow.target for arrow in picture.view.arrows if arrow.source == source)
        assert abs(height[source] - height[target]) < 20


@needs_renderer
def test_shapes_and_the_sizes_of_gradients_are_on_the_arrows():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    y = np.sum(x * x * 2)

    def arrows():
        return sorted(text_of(group).strip().replace("\n ", "\n") for group in drawn(svg(tg.draw(y)), "edge"))

    assert arrows() == ["()", "(2, 3)", "(2, 3)", "(2, 3)", "(2, 3)"]
    y.backward()
    assert {text.splitlines()[-1] for text in arrows()} >= {"↑ 1", "↑ 2"}


@needs_renderer
def test_the_usual_dtype_stands_above_and_others_where_they_occur():
    x = tg.Tensor(np.ones((2, 3), np.float32), requires_grad=True, name="x")
    text = text_of(svg(tg.draw(x * x)))
    assert "· float32" in text
    assert "(2, 3) float32" not in text
    text = text_of(svg(tg.draw(x.astype(np.float64) ** 2 * np.ones((2, 3)))))
    assert "· float64" in text
    assert "(2, 3) float32" in text
    assert "(2, 3) float64" not in text


@needs_renderer
def test_values_and_gradients_of_scalars():
    loss, _ = scalar_graph()
    assert not any(line.startswith(("grad ", "←", "→", "↑")) for line in lines_of(svg(tg.draw(loss)))[3:])
    loss.backward()
    tree = svg(tg.draw(loss))
    # loss = (a b + c)^2 at a = 2, b = -3, c = 10: d = 4 and dloss/dd = 8.
    assert box_of(tree, "a ")[1:] == ["value2", "grad-24"]
    assert box_of(tree, "b ")[1:] == ["value-3", "grad16"]
    assert box_of(tree, "c ")[1:] == ["value10", "no gradient (constant)"]
    assert {"value 4", "grad 8"} <= set(box_of(tree, "d ="))
    assert box_of(tree, "loss = 16") == ["loss = 16", "grad = 1"]


@needs_renderer
def test_the_title_carries_the_answer_and_how_much_there_is():
    loss, _ = scalar_graph()
    lines = lines_of(drawn(svg(tg.draw(loss)), "graph")[0])
    assert lines[:2] == ["loss = 16", "3 operations · 2 parameters · float64"]
    lines = lines_of(drawn(svg(tg.draw(loss, title="My model")), "graph")[0])
    assert lines[:2] == ["My model", "loss = 16 · 3 operations · 2 parameters · float64"]
    assert lines_of(svg(tg.draw(network() * np.ones(3))))[0] == "result, shape (3,)"


@needs_renderer
def test_the_legend_explains_what_occurs_and_no_more():
    def legend(tensor):
        return lines_of(drawn(svg(tg.draw(tensor)), "graph")[0])[2]

    loss, _ = scalar_graph()
    assert "dx = …" in legend(loss)
    assert "↑" not in legend(loss)
    loss.backward()
    assert "gradient coming back (RMS" in legend(loss)
    assert "data" not in legend(tg.Tensor(2.0, requires_grad=True) * 2)
    assert "±" not in legend(loss)
    assert "mean ± standard deviation" in legend(network())


@needs_renderer
def test_scopes_are_frames():
    x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    with tg.scope("model"), tg.scope("encoder", "3 → 3"):
        h = np.tanh(x)
    frames = [" ".join(lines_of(group)) for group in drawn(svg(tg.draw(np.sum(h))), "cluster")]
    assert [frame.split() for frame in frames] == [["model"], ["encoder", "3", "→", "3"]]


@needs_renderer
def test_folded_blocks_say_what_they_are_and_have_a_double_border():
    x = tg.Tensor(1.0, requires_grad=True)
    for _ in range(100):
        x = x * 1.01 + 1
    tree = svg(tg.draw(x))
    (folded,) = [group for group in drawn(tree, "node") if "more" in text_of(group)]
    assert lines_of(folded) == ["× 99 more", "of the same structure", "198 operations"]
    # One outline more than the box of an op has.
    op = next(group for group in drawn(tree, "node") if text_of(group).startswith("multiply"))
    outlines = [len(list(group.iter(f"{SVG}path"))) for group in (op, folded)]
    assert outlines[1] == outlines[0] + 1
    assert "folded: 198 of 200 operations" in text_of(drawn(tree, "graph")[0])


@needs_renderer
def test_the_first_nan_is_told_in_words_and_in_red():
    x = tg.Tensor([-1.0, 0.5], requires_grad=True, name="x")
    with np.errstate(invalid="ignore"):
        y = np.sum(np.log(x) * 2)
    tree = svg(tg.draw(y))
    bad = next(group for group in drawn(tree, "node") if text_of(group).startswith("log"))
    assert "first nan or inf: 1 of 2 entries" in text_of(bad)
    strokes = {kind: set() for kind in ("log", "multiply", "sum")}
    for group in drawn(tree, "node"):
        for path in group.iter(f"{SVG}path"):
            line = (path.get("stroke").lower(), path.get("stroke-dasharray"))
            strokes.setdefault(text_of(group).split()[0], set()).add(line)
    assert strokes["log"] == {(colors.BAD.lower(), None)}
    for spoiled in ("multiply", "sum"):
        ((stroke, dashes),) = strokes[spoiled]
        assert stroke == colors.SPOILED.lower()
        assert dashes


# -- show= ------------------------------------------------------------------------------------


def inspected():
    x = tg.Tensor(np.linspace(0, 1, 12).reshape(3, 4), requires_grad=True, name="x")
    with tg.inspect():
        y = np.sum(np.exp(x) * 2)
        y.backward()
    return y


@needs_renderer
@pytest.mark.parametrize(
    ("show", "pattern"),
    [
        ("dtype", r"^\(3, 4\) float64$"),
        ("bytes", r"^96 B$"),
        ("time", r"^[\d.]+ (µs|ms), [\d.]+ (µs|ms) back$"),
        ("source", r"^test_draw\.py:\d+  y = np\.sum\(np\.exp\(x\) \* 2\)$"),
        ("saved", r"^saved: out 96 B$"),
        ("histogram", r"^1 [ ▁▂▃▄▅▆▇█]{16} 2\.7$"),
    ],
)
def test_show_adds_lines(show, pattern):
    y = inspected()
    everything = [line.replace("\xa0", " ") for line in box_of(svg(tg.draw(y, show=SHOW)), "exp")]
    lines = [line.replace("\xa0", " ") for line in box_of(svg(tg.draw(y, show=show)), "exp")]
    plain = box_of(svg(tg.draw(y)), "exp")
    assert [bool(re.search(pattern, line)) for line in lines].count(True) == 1
    assert any(re.search(pattern, line) for line in everything)
    assert not any(re.search(pattern, line) for line in plain)


def test_what_was_not_recorded_cannot_be_shown_and_a_note_says_so():
    loss, _ = scalar_graph()
    (note,) = tg.draw(loss, show=["time", "source"]).view.notes
    assert note == "time and source: not recorded.  Record the graph inside `with tg.inspect():`"
    assert tg.draw(inspected(), show=["time", "source"]).view.notes == ()
    assert tg.draw(loss, show=["dtype", "bytes", "saved", "histogram"]).view.notes == ()


# -- arguments --------------------------------------------------------------------------------


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
    message = rf"draw\(\) shows how a Tensor was computed, and got {type(wrong).__name__}\..*draw\(loss\)"
    with pytest.raises(AutogradError, match=message):
        tg.draw(wrong)


@pytest.mark.parametrize("show", ["dtpye", ["bytes", "dtpye"], ("dtpye",)])
def test_another_show_is_refused(show):
    with pytest.raises(ValueError, match=r"knows dtype, bytes, time, source, saved, histogram, and got 'dtpye'"):
        tg.draw(tg.Tensor(1.0), show=show)


@pytest.mark.parametrize(("limit", "depth"), [(9, None), (0, 1), (-1, None), (150, -1)])
def test_limits_that_leave_nothing_are_refused(limit, depth):
    with pytest.raises(ValueError, match=rf"limit=10 or more boxes and depth=0 or more; got limit={limit}"):
        tg.draw(tg.Tensor(1.0), limit=limit, depth=depth)


@pytest.mark.parametrize(
    ("option", "value"),
    [("limit", "a"), ("limit", 20.5), ("limit", None), ("depth", "1"), ("depth", 1.0), ("depth", True), ("show", 3),
     ("show", ["dtype", 3]), ("title", 5), ("title", ["a"])],
)  # fmt: skip
def test_options_of_another_type_are_refused(option, value):
    with pytest.raises(TypeError, match=re.escape(repr(value)) + r".*  \w.*\.  Write "):
        tg.draw(tg.Tensor(1.0), **{option: value})
    assert tg.draw(tg.Tensor(1.0), limit=np.int64(20), depth=np.int8(1)).view.boxes


def test_inside_vmap_what_was_not_recorded_is_refused():
    with pytest.raises(AutogradError, match=r"inside vmap.*nothing that requires grad.*vmap\(grad\(f\)\)"):
        tg.vmap(lambda v: tg.draw(v))(np.ones((2, 3)))


def test_every_arrow_is_drawn_also_of_a_leaf_used_twice_by_one_op():
    x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    b = tg.Tensor(np.ones(3), name="b")
    for y in (np.concatenate([np.tanh(x), b, b]), np.concatenate([b, np.tanh(x), x, b]), np.tanh(x) * x + b):
        picture = tg.draw(y)
        assert picture.source.count(" -> ") == len(picture.view.arrows)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (words.memory(999), "999 B"), (words.memory(999_499), "999 kB"), (words.memory(999_600), "1 MB"),
        (words.memory(1000), "1 kB"), (words.memory(5e12), "5,000 GB"), (words.duration(0.0009996), "1 ms"),
        (words.duration(0.000999), "999 µs"), (words.duration(0.9999), "1 s"), (words.duration(7200), "7,200 s"),
    ],
)  # fmt: skip
def test_units_are_chosen_for_the_digits_that_are_shown(said, text):
    assert said == text


# -- how it looks -----------------------------------------------------------------------------


def test_parameters_differ_from_data_in_word_colour_and_form():
    loss, _ = scalar_graph()
    source = tg.draw(loss).source
    parameter = next(line for line in source.splitlines() if "<B>a</B>" in line)
    data = next(line for line in source.splitlines() if "<B>c</B>" in line)
    assert "parameter" in parameter
    assert "data" not in parameter
    assert "data" in data
    assert colors.FILLS["parameter"] in parameter
    assert colors.FILLS["data"] in data
    assert 'STYLE="ROUNDED"' in parameter
    assert "ROUNDED" not in data


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
        # Mean and deviation of 0 .. 99: 49.5 and sqrt((100^2 - 1) / 12) = 28.87.
        (np.arange(100.0), "50 ± 29"),
        (np.tile(np.float16([40000, 60000]), 10), "50000 ± 10000"),
    ],
)
def test_summaries(array, text):
    assert words.summary(array) == text


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


@pytest.mark.parametrize("ink", ["INK", "PALE", "GRADIENT", "BAD"])
def test_all_text_has_contrast(ink):
    text = getattr(colors, ink)
    for ground in (colors.PAPER, colors.FRAME_FILL, colors.SPOILED_FILL, *colors.FILLS.values()):
        # WCAG 2 asks for 4.5:1.
        assert (luminance(ground) + 0.05) / (luminance(text) + 0.05) >= 4.5, (ink, ground)


def test_colours_are_written_in_full():
    with tg.scope("model"):
        loss = network()
    for tensor, options in [(loss, {}), (loss, {"backward": True, "show": SHOW})]:
        source = tg.draw(tensor, **options).source
        colours = re.findall(r'(?:color|bgcolor)="?([^" \]]*)', source, flags=re.IGNORECASE)
        assert len(colours) > 20
        assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours), set(colours)


# -- what it must not do ----------------------------------------------------------------------


def snapshot(tensor):
    slots = ("born", "inputs", "meta", "name", "value", "cotangent", "owner", "trace", "requires_grad", "shape")
    return [
        [getattr(node, slot) for slot in slots] + [None if node.kept is None else [id(array) for array in node.kept]]
        for node in tg.tape(tensor)
    ]


def test_drawing_changes_nothing():
    loss, (a, *_) = scalar_graph()
    before = snapshot(loss)
    tg.draw(loss).to("dot")
    tg.draw(loss, backward=True).to("dot")
    assert snapshot(loss) == before
    assert a.grad is None
    loss.backward()
    before, gradient = snapshot(loss), a.grad
    tg.draw(loss).to("dot")
    assert snapshot(loss) == before
    assert a.grad is gradient
    assert gradient.data == -24


@pytest.mark.parametrize("backward", [False, True])
def test_drawing_keeps_nothing_alive(no_collector, backward):
    loss, _ = scalar_graph()
    node = loss.node
    gone = weakref.ref(node)
    picture = tg.draw(loss, backward=backward)
    del loss, node, _
    assert gone() is None
    assert "loss" in picture.source


def test_an_optimizer_step_shows_in_the_leaf():
    loss, (a, *_) = scalar_graph()
    with tg.no_grad():
        a -= 0.5
    assert named(tg.draw(loss).view, "a").value.text == "1.5"


def test_the_text_grows_with_the_boxes_shown_and_not_with_the_graph():
    def length(n):
        x = tg.Tensor(1.0, requires_grad=True)
        for i in range(n):
            x = x * 1.0001 if i % 2 else np.sin(x)
        return len(tg.draw(x).source)

    # Only the numbers in it get longer.
    assert length(10_000) < length(1000) + 100
