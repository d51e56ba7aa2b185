"""What the boxes of ops say: metadata, formulas in which names mean one thing, and what is saved."""

import re

import numpy as np
import pytest
from drawing import boxes, into, named, op

import tinygrad_np as tg
from tinygrad_np.graph.view import view


@pytest.mark.parametrize(
    ("function", "details"),
    [
        (lambda x: x * 2.0, "x * 2"),
        (lambda x: 2 - x, "2 − x"),
        (lambda x: x**2, "x²"),
        (lambda x: np.maximum(x, 0), "maximum(x, 0)"),
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
    assert all(other.shape for other in boxes(function(x), "data"))


def test_a_single_number_without_a_name_stands_in_the_formula():
    x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    seen = view(x * tg.Tensor(2.5))
    assert [box.kind for box in seen.boxes] == ["parameter", "op", "result"]
    assert op(seen, "multiply").formula == "x * 2.5"
    seen = view(x * tg.Tensor(2.5, name="rate"))
    assert op(seen, "multiply").formula == "x * rate"
    assert named(seen, "rate").kind == "data"


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize(
    ("number", "text"),
    [(2, "2"), (2.5, "2.5"), (-2, "-2"), (1e-7, "1e-07"), (2 - 1j, "2-1j"), (np.float32(0.1), "0.1"), (np.inf, "inf")],
)
def test_numbers_in_formulas(shape, number, text):
    x = tg.Tensor(np.ones(shape, complex if isinstance(number, complex) else float), requires_grad=True, name="x")
    y = x + number
    z = x * number
    for _ in range(2):
        (box,) = boxes(y, "op")
        assert text in box.formula
        (box,) = boxes(z, "op")
        assert text in box.formula
        assert all(text in rule for rule in box.rules)
        y, z = number + x, number * x


@pytest.mark.parametrize("name", ["x", "y", "h", "a", "v", "w", "z", "x1"])
def test_names_in_formulas_mean_one_thing(name):
    mine = tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name)
    other = np.ones((2, 2))
    for y in (np.tanh(mine) * np.cos(mine + 1), np.sin(mine * 2) @ other - mine, np.hypot(other, mine)):
        seen = view(y)
        box_of = {box.id: box for box in seen.boxes}
        for box in [box for box in seen.boxes if box.kind == "op"]:
            users = any(box_of[arrow.source].name == name for arrow in into(seen, box))
            words = re.findall(r"[^\W\d]\w*", " ".join([box.formula, *box.rules]))
            assert (name in words) == users, box


def test_the_arrows_say_which_input_is_which():
    a, b = (tg.Tensor(np.eye(2), requires_grad=True) for _ in range(2))
    seen = view(np.exp(a) - np.exp(b))
    box = op(seen, "subtract")
    words = [arrow.role for arrow in into(seen, box)]
    assert len(set(words)) == 2
    assert box.formula == "{} − {}".format(*words)
    a.name, b.name = "a", "b"
    seen = view(a @ b)
    assert [arrow.role for arrow in into(seen, op(seen, "matmul"))] == ["", ""]


def test_relu_says_how_many_units_are_off():
    x = tg.Tensor(np.array([-1.0, 2.0, -3.0, -4.0]), requires_grad=True)
    assert "75% of units are off" in op(view(tg.relu(x)), "relu").details


def test_what_is_saved_and_how_large():
    x = tg.Tensor(np.ones((10, 20)), requires_grad=True, name="x")
    w = tg.Tensor(np.ones((20, 30), np.float32), requires_grad=True, name="W")
    y = np.sum(np.tanh(x @ w))
    before = view(y)
    y.backward()
    for seen in (before, view(y)):
        assert set(op(seen, "matmul").saved) == {("x", 10 * 20 * 8), ("W", 20 * 30 * 4)}
        assert op(seen, "tanh").saved == (("out", 10 * 30 * 8),)
        assert op(seen, "sum").saved == ()


def test_debug_mode_gives_the_line():
    x = tg.Tensor(2.0, requires_grad=True)
    with tg.debug():
        y = x * x
    (box,) = boxes(y, "op")
    assert re.fullmatch(r"test_boxes\.py:\d+", box.place)
    assert box.code == "y = x * x"


@pytest.mark.parametrize(
    ("function", "formula", "rule"),
    [
        (lambda x: x * (1 + 2j), "x * (1+2j)", "dx = g * (1+2j)"),
        (lambda x: (2 - 1j) - x, "(2-1j) − x", "dx = −g"),
        (lambda x: x ** (1 + 2j), "x ** (1+2j)", "dx = g * (1+2j) * x ** ((1+2j) − 1)"),
        (lambda x: x * np.complex64(-1 - 2j), "x * (-1-2j)", "dx = g * (-1-2j)"),
    ],
)
def test_complex_numbers_stand_in_brackets(function, formula, rule):
    x = tg.Tensor(np.ones(3, complex), requires_grad=True, name="x")
    (box,) = boxes(function(x), "op")
    assert (box.formula, box.rules) == (formula, (rule,))


def test_two_inputs_of_one_name_are_told_apart():
    x, other = (tg.Tensor(np.ones((2, 2)), requires_grad=True, name="x") for _ in range(2))
    for y in (x * other, x @ other, np.linalg.solve(x + np.eye(2), other)):
        box = [box for box in view(y).boxes if box.kind == "op"][-1]
        found = [arrow.role or "x" for arrow in into(view(y), box)]
        assert len(set(found)) == 2
        assert all(re.search(rf"\b{name}\b", box.formula) for name in found), box.formula
        assert len({rule.split(" = ")[0] for rule in box.rules}) == 2
    assert op(view(x * other), "multiply").formula == "x * y"
    assert op(view(x * x), "multiply").formula == "x * x"


def test_long_names_stay_different_where_they_are_cut():
    a, b = (tg.Tensor(np.ones((3, 3)), requires_grad=True, name=f"decoder.W_{i}x") for i in (1, 2))
    (box,) = boxes(a**b, "op")
    # The names in full would make a line too long.
    assert box.rules[0] == "d(decod….W_1x) = g * decod….W_2x * decod….W_1x ** (decod….W_2x − 1)"
    assert box.rules[1] == "d(decoder.W_2x) = g * out * log(decoder.W_1x)"
