"""The data of a picture against NumPy: values, gradients and their sizes, names, paths, what is saved."""

import numpy as np
import pytest
from drawing import boxes, into, named, network, op, rms, scalar_graph

import tinygrad_np as tg
from tinygrad_np.engine.tape import SMALL
from tinygrad_np.graph.view import view


def sizes(tensor):
    """For each op, the sizes of the gradients on the arrows into it."""
    seen = view(tensor)
    return {box.text: [arrow.rms for arrow in into(seen, box)] for box in seen.boxes if box.kind == "op"}


# -- boxes and arrows -------------------------------------------------------------------------


def test_boxes_are_in_the_order_of_the_tape_with_leaves_before_their_op():
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True, name="W")
    y = np.sum(np.tanh(w @ np.ones((2, 3))) * (w @ np.ones((2, 1))))
    seen = view(y)
    kinds = [box.kind for box in seen.boxes]
    assert [box.id for box in seen.boxes] == list(range(len(seen.boxes)))
    assert kinds == ["parameter", "data", "op", "op", "parameter", "data", "op", "op", "op", "result"]
    assert [box.text for box in seen.boxes if box.kind == "op"] == [
        "matmul @", "tanh", "matmul @", "multiply *", "sum",
    ]  # fmt: skip
    assert all(arrow.source < arrow.target for arrow in seen.arrows)
    # Each op has one arrow for each input that is an array, and the result one.
    computed = [node for node in tg.tape(y) if not node.is_leaf]
    assert len(seen.arrows) == sum(isinstance(x, tg.Node) for node in computed for x in node.inputs) + 1


def test_a_leaf_has_a_box_for_each_op_that_uses_it():
    w = tg.Tensor(2.0, requires_grad=True, name="w")
    y = np.sin(w) + w * w
    found = boxes(y, "parameter")
    assert [(box.name, box.uses, box.same) for box in found] == [("w", 2, None), ("w", 2, found[0].id)]
    seen = view(y)
    assert [arrow.source for arrow in into(seen, op(seen, "multiply"))] == [found[1].id] * 2
    assert seen.groups[0].parameters == 1
    assert seen.groups[0].ops == 3


def test_shapes_dtypes_and_bytes():
    x = tg.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    seen = view(np.sum(x.astype(np.float64), axis=0))
    about = [(box.shape, box.dtype, box.nbytes) for box in seen.boxes]
    assert about == [((2, 3), "float32", 24), ((2, 3), "float64", 48), ((3,), "float64", 24), ((3,), "float64", 24)]
    assert [(arrow.shape, arrow.dtype) for arrow in seen.arrows] == [
        ((2, 3), "float32"), ((2, 3), "float64"), ((3,), "float64"),
    ]  # fmt: skip


def test_the_answer():
    loss, _ = scalar_graph()
    assert (view(loss).name, view(loss).answer) == ("loss", "16")
    assert view(network() * np.ones((2, 3))).answer == "shape (2, 3)"
    assert view(tg.Tensor([[7.0]])).answer == "[[7]]"


def test_results_of_one_op_are_told_apart_on_its_arrows():
    x = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    first, second = np.unstack(x)
    second.name = "second"
    y = np.sum((first - second) * second)
    y.backward()
    seen = view(y)
    assert len(boxes(y, "op")) == 4
    minus, times = op(seen, "subtract"), op(seen, "multiply")
    assert [arrow.part for arrow in into(seen, minus)] == ["[0]", "second"]
    assert [arrow.part for arrow in into(seen, times)] == ["", "second"]
    assert [arrow.shape for arrow in into(seen, minus)] == [(3,), (3,)]
    # y = sum(ab - b²): dy/da = b, dy/db = a - 2b.
    a, b = x.data
    assert [arrow.rms for arrow in into(seen, minus)] == pytest.approx([rms(b), rms(a - 2 * b)])
    (arrow,) = into(seen, op(seen, "unstack"))
    assert arrow.rms == pytest.approx(rms([b, a - 2 * b]))


def test_one_result_of_several_as_the_root():
    q, r = np.linalg.qr(tg.Tensor(np.eye(2) + 1, requires_grad=True))
    r.name = "R"
    seen = view(r)
    assert [box.text for box in seen.boxes if box.kind == "op"] == ["qr"]
    assert seen.boxes[-1].name == "R"
    np.testing.assert_allclose(np.abs(q.data @ r.data), np.eye(2) + 1)
    assert seen.arrows[-1].shape == (2, 2)


def test_a_leaf_alone_has_a_box_and_no_arrow():
    for tensor, kind in [(tg.Tensor([1.0, 2.0], requires_grad=True), "parameter"), (tg.Tensor([1.0, 2.0]), "data")]:
        seen = view(tensor)
        assert [(box.kind, box.value.text) for box in seen.boxes] == [(kind, "[1 2]")]
        assert seen.arrows == []


# -- gradients and their sizes ------------------------------------------------------------------


def test_no_gradients_before_backward():
    seen = view(network())
    assert all(box.grad is None for box in seen.boxes)
    assert all(arrow.rms is None and not arrow.total for arrow in seen.arrows)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (32, 32), (1025,), (50, 60), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sizes_of_gradients(shape, dtype):
    rng = np.random.default_rng(0)
    x, c = (rng.uniform(0.5, 2, shape).astype(dtype) for _ in range(2))
    t = tg.Tensor(x, requires_grad=True, name="x")
    y = np.sum(np.sin(t) * c)
    y.backward()
    close = {"rel": 1e-2 if dtype == np.float16 else 1e-5}
    wanted = {"sin": c * np.cos(x), "multiply *": c, "sum": np.ones(shape)}
    found = sizes(y)
    for text, gradient in wanted.items():
        assert found[text][0] == pytest.approx(rms(gradient) if gradient.size else 0.0, **close), text


@pytest.mark.parametrize("n", [10, 3000])
@pytest.mark.parametrize("scale", [1e-200, 1e-300, 1e200, 1e300])
def test_sizes_whose_squares_leave_the_range(n, scale):
    c = np.random.default_rng(1).uniform(1, 2, n)
    x = tg.Tensor(np.ones(n), requires_grad=True)
    y = np.sum(np.negative(x) * (c * scale))
    y.backward()
    assert sizes(y)["negative"] == pytest.approx([rms(c) * scale])
    assert sizes(y)["multiply *"][0] == pytest.approx(rms(c) * scale)


@pytest.mark.parametrize("n", [30, 3000])
@pytest.mark.parametrize("value", [3e4, 2e-4, 3e-6])
def test_sizes_of_float16_whose_squares_leave_the_range(n, value):
    c = np.full(n, value, np.float16)
    x = tg.Tensor(np.ones(n, np.float16), requires_grad=True)
    (y,) = (np.negative(x) * c,)
    y.backward(np.ones(n, np.float16))
    assert sizes(y)["multiply *"][0] == pytest.approx(float(c[0]), rel=1e-3)


def test_sizes_of_broadcast_cotangents():
    x = tg.Tensor(np.ones((40, 50)), requires_grad=True)
    v = tg.Tensor(np.linspace(-1, 1, 50), requires_grad=True, name="v")
    h = x + v
    y = np.sum(np.mean(h, axis=0) * np.arange(50.0))
    y.backward()
    # The cotangent of h repeats arange / 40 along the first axis, as a view.
    gradient = np.broadcast_to(np.arange(50) / 40, (40, 50))
    seen = view(y)
    assert into(seen, op(seen, "mean"))[0].rms == pytest.approx(rms(gradient))
    assert [arrow.rms for arrow in into(seen, op(seen, "add"))] == pytest.approx([rms(gradient), rms(np.arange(50))])


@pytest.mark.parametrize("n", [5, 2000])
def test_complex_gradients_are_conjugated_as_grad_is(n):
    rng = np.random.default_rng(2)
    z = rng.normal(size=n) + 1j * rng.normal(size=n)
    x = tg.Tensor(z, requires_grad=True, name="x")
    h = (x * (1 + 2j)).retain_grad()
    y = np.sum(np.abs(h) ** 2)
    y.backward()
    # The gradient of |h|² that descent follows is 2h, and that of x is 2 conj(c) h.
    wanted = 2 * (1 + 2j) * z
    seen = view(y)
    (arrow,) = into(seen, op(seen, "absolute"))
    assert arrow.rms == pytest.approx(rms(wanted))
    if n == 5:
        grad = op(seen, "multiply").grad
        assert complex(grad.text[1:-1].split()[0]) == pytest.approx(wanted[0], abs=0.02 * rms(wanted))


def test_a_complex_gradient_of_an_inner_node_is_conjugated():
    x = tg.Tensor(1 + 2j, requires_grad=True)
    y = np.abs(x * 1.0) ** 2
    y.backward()
    assert op(view(y), "multiply").grad.text == str(x.grad.data)[1:-1] == "2+4j"


def test_a_sum_over_uses_is_marked_until_each_is_known():
    def loss():
        x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        h = np.exp(x)
        return x, np.sum(np.sin(h)) + np.sum(h * 3)

    x, y = loss()
    y.backward()
    h = np.exp(x.data)
    seen = view(y)
    for text in ("sin", "multiply"):
        (arrow,) = into(seen, op(seen, text))
        assert arrow.total
        assert arrow.rms == pytest.approx(rms(np.cos(h) + 3))
    with tg.inspect():
        x, y = loss()
        y.backward()
    seen = view(y)
    for text, part in [("sin", np.cos(h)), ("multiply", np.full(2, 3.0))]:
        (arrow,) = into(seen, op(seen, text))
        assert not arrow.total
        assert arrow.rms == pytest.approx(rms(part))


def test_a_sum_over_both_places_in_one_op_is_marked():
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    y = x * x
    y.backward()
    # Each place gives 3, both together 6.
    assert [(arrow.rms, arrow.total) for arrow in into(view(y), op(view(y), "multiply"))] == [(6.0, True)] * 2


def test_a_use_in_the_backward_pass_is_none_in_the_forward_pass():
    loss, (a, *_) = scalar_graph()
    loss.backward(retain_graph=True)
    seen = view(loss, backward=True)
    boxes_of = {box.id: box for box in seen.boxes}
    forward = [arrow for arrow in seen.arrows if not boxes_of[arrow.target].backward and arrow.needs_grad]
    (arrow,) = [arrow for arrow in forward if boxes_of[arrow.source].name == "a"]
    assert (arrow.rms, arrow.total) == (abs(a.grad.item()), False)
    # No gradient was computed of what the backward pass computes.
    assert all(arrow.rms is None for arrow in seen.arrows if boxes_of[arrow.target].backward)


def test_uses_are_counted_in_each_pass_by_itself():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    y = np.sum(np.sin(w) * w)
    (forward,) = {box.uses for box in view(y).boxes if box.name == "w"}
    boxes_of = [box for box in view(y, backward=True).boxes if box.name == "w"]
    passes = {back: [box.uses for box in boxes_of if box.backward is back] for back in (False, True)}
    assert forward == 2
    assert passes[False] == [2, 2]
    # Cosine of w, and the product with w.
    assert passes[True] == [len(passes[True])] * len(passes[True])
    assert len(passes[True]) == 2


@pytest.mark.parametrize("name", ["dout", "dloss", None])
def test_what_the_backward_pass_starts_from_is_told_from_a_parameter_of_its_name(name):
    a = tg.Tensor(2.0, requires_grad=True, name=name)
    loss = a * a
    if name == "dloss":
        loss.name = "loss"
    seen = view(loss, backward=True)
    seeds = [box for box in seen.boxes if box.backward and box.kind == "data"]
    assert {box.value.text for box in seeds} == {"1"}
    used = [box for box in seen.boxes if box.backward and box.kind == "parameter"]
    assert {(box.name, box.value.text) for box in used} == {(name, "2")}


def test_leaves_without_gradient_need_none():
    loss, _ = scalar_graph()
    loss.backward()
    seen = view(loss)
    x, c = into(seen, op(seen, "add"))
    assert (x.needs_grad, c.needs_grad, c.rms) == (True, False, None)


def test_gradients_of_parameters_are_those_of_grad():
    rng = np.random.default_rng(3)
    w = tg.Tensor(rng.normal(size=(3, 4)), requires_grad=True, name="w")
    c = rng.normal(size=(3, 4))
    np.sum(w * c).backward()
    y = np.sum(w * c)
    y.backward()
    # Two passes add up in .grad, and that is what the parameter shows.
    assert named(view(y), "w").grad.rms == pytest.approx(rms(2 * c))


def test_retained_gradients_are_shown():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    h = (x * 3).retain_grad()
    y = np.sum(h * h)
    y.backward()
    box = op(view(y), "multiply")
    assert (box.value.text, box.grad.text) == ("[3 6]", "[6 12]")


# -- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, SMALL, SMALL + 1, 4000])
def test_values_before_and_after_backward(n):
    values = np.linspace(0.1, 2, n)
    x = tg.Tensor(values, requires_grad=True, name="x")
    y = np.sum(np.exp(x + 1.0) * 2.0)
    exp = op(view(y), "exp").value
    assert exp.rms == pytest.approx(rms(np.exp(values + 1)))
    assert sum(exp.counts) == n
    assert (exp.low, exp.high) == pytest.approx((np.exp(1.1), np.exp(3)))
    assert list(exp.counts) == np.histogram(np.exp(values + 1), 16)[0].tolist()
    y.backward()
    # What backward() has dropped is only known of small arrays.
    seen = op(view(y), "exp").value
    assert (seen is None) == (n > SMALL)


def test_inspection_keeps_large_values():
    x = tg.Tensor(np.linspace(0, 1, 5000), requires_grad=True)
    with tg.inspect():
        y = np.sum(np.sin(x + 1.0) ** 2)
        y.backward()
    wanted = np.sin(np.linspace(1, 2, 5000))
    box = op(view(y), "sin")
    assert box.value.rms == pytest.approx(rms(wanted))
    assert box.grad.rms == pytest.approx(rms(2 * wanted))
    assert box.seconds > 0
    assert box.back_seconds > 0


def test_images_go_from_the_smallest_to_the_largest_entry():
    x = tg.Tensor(np.array([[0.0, 5.0], [10.0, 2.0]]), requires_grad=True, name="x")
    assert named(view(x * 2), "x").value.image == ((0, 128), (255, 51))
    wide = tg.Tensor(np.zeros((3, 100, 200)), requires_grad=True, name="x")
    image = named(view(wide * 2), "x").value.image
    assert max(len(image), *map(len, image)) <= 28


@pytest.mark.parametrize("shape", [(10_000, 10), (200_000, 10), (16, 16, 5000), (1_048_576,)])
def test_histograms_count_all_entries_of_large_arrays(shape):
    # Each column has a number of its own: who looks at every tenth entry sees one of them.
    values = np.broadcast_to(np.arange(shape[-1]) % 10.0, shape).copy()
    values.flat[-1] = 30
    x = tg.Tensor(values, requires_grad=True, name="x")
    value = named(view(x * 2), "x").value
    assert (value.low, value.high) == (0, 30)
    assert sum(value.counts) == values.size
    np.testing.assert_allclose(value.counts, np.histogram(values, 16)[0], rtol=0.05, atol=2)


def test_histograms_leave_out_what_is_not_finite():
    x = tg.Tensor(np.r_[np.nan, np.inf, np.arange(8.0)], requires_grad=True, name="x")
    value = named(view(x * 2), "x").value
    assert (value.low, value.high, sum(value.counts)) == (0, 7, 8)


def test_an_image_has_the_scale_of_what_it_shows():
    values = np.arange(8.0).reshape(2, 2, 2) * 100
    x = tg.Tensor(values, requires_grad=True, name="x")
    value = named(view(x * 2), "x").value
    assert value.image == ((0, 85), (170, 255))
    assert (value.image_low, value.image_high) == (0, 300)
    assert (value.low, value.high) == (0, 700)


# -- paths ------------------------------------------------------------------------------------


def paths(tensor, **options):
    return {box.name: box.path for box in view(tensor, **options).boxes if box.kind == "parameter"}


@pytest.mark.parametrize("backward", [False, True])
def test_the_path_of_a_parameter_is_what_the_scopes_of_all_its_uses_have_in_common(backward):
    own, shared, tied, everywhere, outside = (
        tg.Tensor(np.ones(3), requires_grad=True, name=name) for name in ("own", "shared", "tied", "all", "out")
    )
    with tg.scope("model"):
        with tg.scope("encoder"):
            with tg.scope("layer0"):
                h = np.sin(own * shared) * tied * everywhere
            with tg.scope("layer1"):
                h = np.exp(h * shared)
        with tg.scope("decoder"):
            h = np.cos(h * tied)
    y = np.sum(h * everywhere * outside)
    assert paths(y, backward=backward) == {
        "own": "model.encoder.layer0.own",
        "shared": "model.encoder.shared",
        "tied": "model.tied",
        "all": "",
        "out": "",
    }


def test_two_scopes_of_one_name_are_two():
    w = tg.Tensor(np.ones(3), requires_grad=True, name="w")
    with tg.scope("model"):
        with tg.scope("block"):
            h = np.sin(w)
        with tg.scope("block"):
            h = h * w
    assert paths(np.sum(h)) == {"w": "model.w"}


def test_names_that_hold_their_path_are_not_given_it_again():
    w = tg.Tensor(np.ones(3), requires_grad=True, name="model.w")
    nameless = tg.Tensor(np.ones(3), requires_grad=True)
    with tg.scope("model"):
        y = np.sum(w * np.ones(3)) + np.sum(np.sin(nameless))
    assert paths(y) == {"model.w": "model.w", None: ""}
