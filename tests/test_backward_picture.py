"""The backward pass drawn beside the forward pass: right gradients, from a tape of its own, and nothing touched."""

import numpy as np
import pytest
from drawing import boxes, into, network, rms, scalar_graph

import tinygrad_np as tg
from tinygrad_np.errors import BackwardError
from tinygrad_np.graph.view import view


def results(seen):
    """The gradients that the backward pass ends in, by name, in words."""
    return {box.name: box.value for box in seen.boxes if box.kind == "result" and box.backward}


def parameter(values, name):
    return tg.Tensor(np.asarray(values, float), requires_grad=True, name=name)


def differences(f, x, step=1e-6):
    """The gradient of f at x by central differences."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * step
            ends.append(f(moved))
        out[i] = (ends[0] - ends[1]) / (2 * step)
    return out


# -- what it ends in --------------------------------------------------------------------------


def test_the_gradients_of_scalars():
    loss, _ = scalar_graph()
    # loss = (a b + c)² at a = 2, b = -3, c = 10.
    assert {name: value.text for name, value in results(view(loss, backward=True)).items()} == {"da": "-24", "db": "16"}


def test_the_gradients_against_backward_and_finite_differences():
    rng = np.random.default_rng(0)
    arrays = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=3), "V": rng.normal(size=(2, 3))}
    data = rng.normal(size=(5, 4))

    def loss(W, b, V):
        return np.sum(np.tanh(np.tanh(data @ W.T + b) @ V.T) ** 2 / (1 + b[0] ** 2))

    tensors = {name: parameter(array, name) for name, array in arrays.items()}
    y = loss(**tensors)
    found = results(view(y, backward=True))
    assert set(found) == {"dW", "db", "dV"}
    y.backward()
    for name, array in arrays.items():
        numeric = differences(lambda moved, name=name: loss(**{**arrays, name: moved}), array)
        assert found[f"d{name}"].rms == pytest.approx(rms(numeric), rel=1e-5)
        assert found[f"d{name}"].rms == pytest.approx(rms(tensors[name].grad.data), rel=1e-12)
        low, high = tensors[name].grad.data.min(), tensors[name].grad.data.max()
        assert (found[f"d{name}"].low, found[f"d{name}"].high) == pytest.approx((low, high))


def test_shapes_of_gradients_are_those_of_the_parameters():
    x, b = parameter(np.ones((4, 3)), "x"), parameter(np.ones((3,)), "b")
    seen = view(np.sum(np.exp(x + b)), backward=True)
    shapes = {box.name: box.shape for box in seen.boxes if box.kind == "result" and box.backward}
    assert shapes == {"dx": (4, 3), "db": (3,)}


def test_a_result_that_is_no_single_number_starts_from_ones():
    x = parameter([[1.0, 2.0], [3.0, 4.0]], "x")
    seen = view(x**3, backward=True)
    assert results(seen)["dx"].text == "[[3 12] [27 48]]"
    (seed,) = {(box.name, box.shape, box.value.text) for box in seen.boxes if box.kind == "data" and box.backward}
    assert seed == ("dout", (2, 2), "[[1 1] [1 1]]")


def test_what_the_gradient_starts_from_is_called_after_the_tensor_and_is_no_parameter():
    loss, _ = scalar_graph()
    seen = view(loss, backward=True)
    seeds = [box for box in seen.boxes if box.backward and box.kind == "data"]
    assert {(box.name, box.value.text, box.path) for box in seeds} == {("dloss", "1", "")}
    assert not any(box.kind == "parameter" and box.name == "dloss" for box in seen.boxes)
    assert seen.groups[0].parameters == 2


def test_the_seed_has_no_path_in_the_scopes():
    x = parameter(2.0, "x")
    with tg.scope("encoder"):
        y = np.tanh(x)
    seeds = [box for box in view(y, backward=True).boxes if box.name == "dout"]
    assert [box.path for box in seeds] == [""]


def test_an_op_with_several_results():
    x = parameter([[1.0, 2.0], [3.0, 5.0]], "x")
    first, second = np.unstack(x)
    seen = view(np.sum(first * second * second), backward=True)
    # d(a b²) is b² da + 2 a b db.
    assert results(seen)["dx"].text == "[[9 25] [6 20]]"


def test_only_one_result_of_several_is_used():
    x = parameter([[1.0, 2.0], [3.0, 5.0]], "x")
    _, second = np.unstack(x)
    assert results(view(np.sum(second**2), backward=True))["dx"].text == "[[0 0] [6 10]]"


@pytest.mark.parametrize(
    "wrapped",
    [
        tg.checkpoint(lambda x: np.sin(x) * x),
        tg.custom_gradient(lambda x: (np.sin(x) * x, lambda g: g * (np.cos(x) * x + np.sin(x)))),
    ],
)
def test_calls_with_a_gradient_of_their_own(wrapped):
    x = parameter([0.5, 2.0], "x")
    seen = view(np.sum(wrapped(x) * 3), backward=True)
    wanted = 3 * (np.cos(x.data) * x.data + np.sin(x.data))
    assert results(seen)["dx"].rms == pytest.approx(rms(wanted))


def test_complex_gradients_are_shown_as_grad_is():
    z = tg.Tensor(1 + 2j, requires_grad=True, name="z")
    y = np.abs(z * (2 - 1j)) ** 2
    found = results(view(y, backward=True))["dz"]
    y.backward()
    # |c z|² has the gradient 2 |c|² z.
    assert z.grad.item() == pytest.approx(2 * 5 * (1 + 2j))
    assert complex(found.text) == pytest.approx(z.grad.item())


def test_second_order():
    x = parameter(2.0, "x")
    y = x**4
    y.backward(create_graph=True)
    seen = view(x.grad, backward=True)
    # d(4 x³) = 12 x².
    assert "48" in [value.text for value in results(seen).values()]


# -- how the two passes go together -------------------------------------------------------------


def test_the_forward_pass_is_the_same_with_and_without():
    loss = network()
    alone, both = view(loss), view(loss, backward=True)
    forward = [box for box in both.boxes if not box.backward]
    assert [(box.kind, box.text, box.shape, box.formula) for box in forward] == [
        (box.kind, box.text, box.shape, box.formula) for box in alone.boxes
    ]
    ids = {box.id for box in forward}
    assert [arrow for arrow in both.arrows if arrow.target in ids] == alone.arrows


def test_the_passes_are_two_groups():
    seen = view(network(), backward=True)
    assert [group.label for group in seen.groups if group.parent == 0 and group.id] == ["forward pass", "backward pass"]
    group_of = {group.label: group.id for group in seen.groups}
    for box in seen.boxes:
        if box.kind == "op":
            assert box.group == group_of["backward pass" if box.backward else "forward pass"]


def test_ops_say_whose_rule_they_are_part_of():
    x = parameter([0.5, 1.0], "x")
    seen = view(np.sum(np.sin(x)), backward=True)
    origins = {box.text: box.details[0] for box in seen.boxes if box.kind == "op" and box.backward}
    assert origins["cos"] == "backward of sin"
    assert origins["multiply *"] == "backward of sin"
    assert not any(box.rules for box in seen.boxes if box.backward)


def test_what_a_rule_took_from_the_forward_pass_comes_from_there():
    x = parameter([0.5, 1.0], "x")
    y = np.sum(np.exp(np.tanh(x)))
    seen = view(y, backward=True)
    text_of = {box.id: (box.text, box.backward) for box in seen.boxes}
    across = [
        (text_of[arrow.source][0], text_of[arrow.target][0])
        for arrow in seen.arrows
        if text_of[arrow.target][1] and not text_of[arrow.source][1]
    ]
    # exp keeps its result, tanh as well.
    assert ("exp", "multiply *") in across
    assert {source for source, _ in across} == {"exp", "tanh"}
    # Nothing goes from the backward pass into the forward pass.
    assert not any(text_of[arrow.source][1] and not text_of[arrow.target][1] for arrow in seen.arrows)


@pytest.mark.parametrize("array", [np.ones((2, 3)), np.arange(6.0).reshape(2, 3), np.ones((4, 3))[::2]])
def test_data_in_the_backward_pass_is_known_for_that_of_the_forward_pass(array):
    c, X = tg.Tensor([2.0, 3.0], name="c"), tg.Tensor(array, name="X")
    W = parameter(np.ones((4, 2)), "W")
    seen = view(np.sum(np.exp((W * c) @ X)), backward=True)
    first = {box.name: box.id for box in seen.boxes if box.kind == "data" and not box.backward}
    leaves = {box.name: box for box in seen.boxes if box.kind == "data" and box.backward}
    assert leaves["c"].same == first["c"]
    # The gradient of a product takes the other factor transposed.
    assert leaves["Xᵀ"].shape == (3, 2)


def test_scopes_are_mirrored():
    x = parameter([0.5, 1.0], "x")
    with tg.scope("model"):
        with tg.scope("encoder"):
            h = np.sin(x)
        with tg.scope("decoder"):
            y = np.exp(h)
    seen = view(np.sum(y), backward=True)

    def path(box):
        group, found = seen.groups[box.group], []
        while group.id:
            found.insert(0, group.label)
            group = seen.groups[group.parent]
        return found

    paths = {box.text: path(box) for box in boxes_of(seen, backward=True)}
    assert paths["cos"] == ["backward pass", "model", "encoder"]
    decoder = [path(box) for box in boxes_of(seen, backward=True) if box.details[0] == "backward of exp"]
    assert decoder == [["backward pass", "model", "decoder"]]
    assert [path(box) for box in boxes_of(seen, backward=False)][:2] == [
        ["forward pass", "model", "encoder"], ["forward pass", "model", "decoder"],
    ]  # fmt: skip


def boxes_of(seen, backward):
    return [box for box in seen.boxes if box.kind == "op" and box.backward is backward]


def test_each_gradient_has_an_arrow_into_its_result():
    seen = view(network(), backward=True)
    for box in seen.boxes:
        if box.kind == "result":
            (arrow,) = into(seen, box)
            assert arrow.shape == box.shape


def test_long_backward_passes_are_folded_too():
    x = parameter(0.5, "x")
    y = x
    for _ in range(200):
        y = np.sin(y) * 2
    picture = tg.draw(y, backward=True)
    assert len(picture.shown.boxes) <= 150
    assert any(box.kind == "folded" and box.backward for box in picture.shown.boxes)


def layers(n):
    """Equal layers, each with a parameter of its own, from a parameter x0."""
    x = parameter(np.ones(3), "x0")
    for i in range(n):
        with tg.scope(f"layer{i}"):
            x = np.tanh(x * parameter(np.ones(3), f"W{i}"))
    return x


def regularized():
    """A parameter that a scope uses, and after it what stands in none: its gradient is complete inside of the scope."""
    W = parameter(np.eye(2) / 2, "W")
    with tg.scope("net"):
        h = np.tanh(np.tanh(np.ones(2) @ W) @ W)
    return np.sum(h) + np.sum(W**2)


@pytest.mark.parametrize(
    ("tensor", "options", "gradients"),
    [(regularized(), {"depth": 0}, {"dW"}), (np.sum(layers(20)), {}, {"dx0", "dW0", "dW19"})],
)
def test_gradients_of_drawn_parameters_are_drawn_where_their_block_is_folded(tensor, options, gradients):
    shown = tg.draw(tensor, backward=True, **options).shown
    assert any(box.kind == "folded" and box.backward for box in shown.boxes)
    drawn = {f"d{box.name}" for box in shown.boxes if box.kind == "parameter"}
    results = {box.name: box for box in shown.boxes if box.kind == "result" and box.backward}
    assert drawn <= results.keys() == gradients
    assert [len(into(shown, box)) for box in results.values()] == [1] * len(results)


# -- what it must not do ----------------------------------------------------------------------


def test_nothing_is_changed():
    loss, (a, b, *_) = scalar_graph()
    before = [
        (node.name, node.cotangent, node.trace, node.value, None if node.kept is None else tuple(map(id, node.kept)))
        for node in tg.tape(loss)
    ]
    view(loss, backward=True)
    tg.draw(loss, backward=True).to("dot")
    assert [
        (node.name, node.cotangent, node.trace, node.value, None if node.kept is None else tuple(map(id, node.kept)))
        for node in tg.tape(loss)
    ] == before
    assert a.grad is None
    assert b.grad is None
    assert all(box.grad is None for box in boxes(loss, "parameter"))
    # The tape can still be walked, once.
    loss.backward()
    assert (a.grad.item(), b.grad.item()) == (-24, 16)


def test_gradients_from_before_stay():
    loss, (a, *_) = scalar_graph()
    loss.backward(retain_graph=True)
    gradient = a.grad
    view(loss, backward=True)
    assert a.grad is gradient
    assert a.grad.item() == -24


def test_hooks_are_not_called():
    called = []
    x = parameter([1.0, 2.0], "x")
    h = x * 3
    for tensor in (x, h):
        tensor.register_hook(lambda g: called.append(g))
    y = np.sum(h * h)
    view(y, backward=True)
    assert called == []
    y.backward()
    assert len(called) == 2


def test_recording_goes_on_as_before():
    x = parameter(2.0, "x")
    with tg.no_grad():
        y = tg.Tensor(1.0)
    y = x * x
    with tg.no_grad():
        view(y, backward=True)
        assert not (x * x).requires_grad
    assert (x * x).requires_grad
    with tg.scope("after"):
        z = np.sin(y)
    assert [group.label for group in view(z).groups] == ["", "after"]


def test_a_names_stay_when_a_result_of_the_backward_pass_has_none():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(x * 2)
    assert results(view(y, backward=True))[None].text == "[2 2]"
    assert x.name is None


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", [tg.Tensor([1.0, 2.0], name="c"), tg.Tensor(3.0) * 2])
def test_without_anything_that_requires_grad(tensor):
    message = r"does not depend on anything that requires grad\.  Make the parameters with Tensor"
    with pytest.raises(BackwardError, match=message):
        tg.draw(tensor, backward=True)


def test_a_tape_that_was_used_up():
    loss, _ = scalar_graph()
    loss.backward()
    with pytest.raises(BackwardError, match=r"backward\(\) has dropped it.*retain_graph=True"):
        tg.draw(loss, backward=True)


def test_a_parameter_alone():
    x = parameter([1.0, 2.0], "x")
    seen = view(x, backward=True)
    assert [box.kind for box in seen.boxes if not box.backward] == ["parameter"]
