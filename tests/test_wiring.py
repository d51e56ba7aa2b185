"""Blocks are folded only if they are wired alike, learn alike, and hide no first nan; and deep scopes can be drawn."""

from contextlib import ExitStack

import numpy as np
import pytest

import tinygrad_np as tg


def vector(name="x", learns=True):
    return tg.Tensor(np.linspace(0.1, 0.5, 3), requires_grad=learns, name=name)


def rows(tensor, **options):
    """How many blocks each row has, in the order they are drawn."""
    return [group.count for group in tg.draw(tensor, **options).view.groups if group.kind == "repeat"]


def scoped(n, step, h=None):
    h = vector() if h is None else h
    for i in range(n):
        with tg.scope(f"block{i}"):
            h = step(h, i)
    return np.sum(h)


def looped(n, step):
    h = vector()
    for i in range(n):
        h = step(h, i)
    return np.sum(h)


# -- wiring -----------------------------------------------------------------------------------


def test_a_block_that_is_wired_otherwise_stands_by_itself():
    def step(h, i):
        t = np.tanh(h)
        return np.sin(t if i == 6 else h) + t

    picture = tg.draw(scoped(12, step))
    labels = [group.label for group in picture.shown.groups if group.kind == "scope"]
    assert labels == ["block0", "block6", "block7"]
    assert [box.text for box in picture.shown.boxes if box.kind == "folded"] == ["× 5 more", "× 4 more"]


def test_the_order_of_inputs_is_part_of_the_wiring():
    assert rows(scoped(12, lambda h, i: np.sin(h) - np.exp(h) if i != 6 else -np.exp(h) + np.sin(h))) == [6, 5]

    def step(h, i):
        s, e = np.sin(h), np.exp(h)
        return e - s if i == 6 else s - e

    assert rows(scoped(12, step)) == [6, 5]


def test_two_kinds_of_steps_in_turn_are_one_block():
    x = vector()

    def step(h, i):
        t = np.tanh(h)
        return np.sin(x if i % 2 else t) * t

    assert rows(looped(20, step)) == [10]


def test_blocks_that_use_different_results_of_one_op():
    def step(h, i):
        low, high = np.split(np.concatenate([h, h]), 2)
        return np.sin(low if i == 6 else high) + low

    assert rows(scoped(12, step)) == [6, 5]


def test_a_frozen_weight_makes_a_block_another():
    weights = [tg.Tensor(np.eye(3), requires_grad=i != 6, name=f"W{i}") for i in range(12)]
    picture = tg.draw(scoped(12, lambda h, i: np.tanh(h @ weights[i])))
    assert [box.text for box in picture.shown.boxes if box.kind == "folded"] == ["× 5 more", "× 4 more"]
    assert not any(box.kind == "parameter" and box.name == "W6" for box in picture.view.boxes)
    assert any(box.kind == "data" and box.name == "W6" for box in picture.shown.boxes)


def test_one_weight_used_twice_is_not_two_weights():
    def step(h, i):
        a, b = (tg.Tensor(np.eye(3), requires_grad=True, name=name) for name in "ab")
        return np.tanh(h @ a) @ (a if i == 6 else b)

    assert rows(scoped(12, step)) == [6, 5]


@pytest.mark.parametrize(
    "step",
    [
        lambda h, i, mask, w: np.tanh(h @ w) * mask,
        lambda h, i, mask, w: np.tanh(h @ tg.Tensor(np.eye(3), requires_grad=True)) * mask + h,
        lambda h, i, mask, w: np.tanh(h * mask + np.ones(3) * i),
    ],
    ids=["shared weight", "own weights and a residual", "data of each step"],
)
@pytest.mark.parametrize("start", ["data", "parameter", "computed"])
def test_what_comes_from_outside_may_differ_in_the_first_block(step, start):
    mask, w = np.exp(vector("mask")), tg.Tensor(np.eye(3), requires_grad=True, name="w")
    h = {"data": np.ones(3), "parameter": vector(), "computed": np.cos(vector())}[start]
    assert rows(scoped(12, lambda h, i: step(h, i, mask, w), h)) == [12]


def test_a_recurrence_of_second_order():
    before, h = vector("before"), vector()
    for _ in range(30):
        before, h = h, 2 * h - before * 0.9
    assert rows(np.sum(h)) == [30]


def test_blocks_of_the_backward_pass_are_folded_as_those_of_the_forward_pass():
    weights = [tg.Tensor(np.eye(3), requires_grad=True, name=f"W{i}") for i in range(12)]
    loss = scoped(12, lambda h, i: np.tanh(h @ weights[i]), np.ones((2, 3)))
    # No gradient goes to the data in front of the first block.
    assert rows(loss, backward=True) == [12, 11]


def test_sums_of_any_two_earlier_results_are_no_row():
    rng = np.random.default_rng(0)
    alive = [vector(), vector()]
    for _ in range(3000):
        a, b = rng.integers(max(0, len(alive) - 50), len(alive), 2)
        alive.append(alive[a] + alive[b])
    assert rows(np.sum(alive[-1])) == []


# -- the first nan ----------------------------------------------------------------------------


def with_nan(n=12, bad=7, scoped_blocks=True):
    def step(h, i):
        # The weight of the bad block is negative, and its root no number.
        w = tg.Tensor(np.full(3, -1.0 if i == bad else 1.0), requires_grad=True, name=f"w{i}")
        return np.tanh(h + np.sqrt(w))

    with np.errstate(invalid="ignore"):
        return (scoped if scoped_blocks else looped)(n, step)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scoped_blocks", [True, False])
@pytest.mark.parametrize("bad", [0, 1, 7, 19])
def test_the_block_with_the_first_nan_is_open(bad, scoped_blocks):
    picture = tg.draw(with_nan(20, bad, scoped_blocks))
    (box,) = [box for box in picture.shown.boxes if box.bad]
    assert box.text == "sqrt"
    folded = [box for box in picture.shown.boxes if box.kind == "folded"]
    assert sum(int(box.text.split()[1]) for box in folded) == 20 - (1 if bad == 0 else 2)
    # Those after it are made from nan.
    assert [box.tainted for box in folded] == [[True], [True], [False, True], [False]][[0, 1, 7, 19].index(bad)]
    for format in ("dot", "mermaid", "text", "table"):
        assert "first nan or inf" in picture.to(format)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("format", ["dot", "mermaid", "text", "table"])
def test_a_folded_box_says_that_the_first_nan_is_in_it(format):
    picture = tg.draw(with_nan(), depth=0)
    folded = [box for box in picture.shown.boxes if box.kind == "folded" and (box.bad or box.tainted)]
    assert [(box.bad, box.tainted) for box in folded if "block7" in (box.text, *box.details)][:1] == [(True, False)]
    assert sum(box.bad for box in folded) == 1
    assert "first nan or inf is in here" in picture.to(format)


# -- deep scopes ------------------------------------------------------------------------------


def nested(depth):
    x = vector()
    with ExitStack() as stack:
        for i in range(depth):
            stack.enter_context(tg.scope(f"s{i}"))
            x = x * tg.Tensor(np.full(3, 1.5), requires_grad=True, name=f"w{i}")
    return np.sum(x)


def test_four_hundred_scopes_inside_each_other():
    loss = nested(400)
    picture = tg.draw(loss, limit=2000)
    assert [group.ops for group in picture.view.groups] == [401, *range(400, 0, -1)]
    # x is used in the outermost.
    assert [group.parameters for group in picture.view.groups] == [1203, 1203, *range(3 * 399, 0, -3)]
    for format in ("dot", "mermaid", "text", "html"):
        assert "s399" in picture.to(format)
    assert len(tg.draw(loss).shown.boxes) <= 150
