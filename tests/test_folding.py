"""What is folded, so that a graph of any size can be read: rows of equal blocks, scopes, and the middle of the rest."""

from collections import Counter

import numpy as np
import pytest
from drawing import named

import tinygrad_np as tg
from tinygrad_np.graph.reading import branch, reader, rows
from tinygrad_np.graph.view import view


def blocks(n, nested=False, scoped=True):
    """`n` layers in a row, each in a scope of its own, with a weight of its own."""
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 4)), name="x")

    def layer(h, i):
        w = tg.Tensor(rng.normal(size=(4, 4)), requires_grad=True, name=f"W{i}")
        if not nested:
            return np.tanh(h @ w) + 1
        with tg.scope("attention"):
            h = h + np.tanh(h @ w)
        with tg.scope("mlp"):
            return h + np.maximum(h @ w, 0)

    for i in range(n):
        if scoped:
            with tg.scope(f"block{i}", "4 → 4"):
                h = layer(h, i)
        else:
            h = layer(h, i)
    return np.sum(h)


def recurrent(steps):
    rng = np.random.default_rng(0)
    sizes = {"W": (4, 4), "U": (3, 4), "b": (4,)}
    w, u, b = (tg.Tensor(rng.normal(size=size), requires_grad=True, name=name) for name, size in sizes.items())
    h = np.zeros((2, 4))
    for x in rng.normal(size=(steps, 2, 3)):
        h = np.tanh(h @ w + x @ u + b)
    return np.sum(h)


def random_graph(seed, n=400):
    """Random ops on random earlier results, in scopes that open and close at random; all of it reaches the sum."""
    rng = np.random.default_rng(seed)
    alive = [tg.Tensor(rng.normal(size=3), requires_grad=True, name=f"p{i}") for i in range(4)]

    def grow(count, depth):
        while count > 0:
            if depth < 4 and rng.random() < 0.2:
                inner = int(rng.integers(1, max(2, count // 2)))
                with tg.scope(f"scope{rng.integers(3)}"):
                    grow(inner, depth + 1)
                count -= inner
                continue
            a = alive[-1] if rng.random() < 0.7 else alive[rng.integers(len(alive))]
            kind = rng.integers(4)
            if kind == 0:
                alive.append(np.tanh(a))
            elif kind == 1:
                alive.append(a * float(rng.integers(1, 4)) + rng.normal(size=3))
            elif kind == 2:
                alive.append(a + alive[rng.integers(len(alive))])
            else:
                alive.append(np.sin(a) * alive[rng.integers(len(alive))])
            count -= 1

    grow(n, 0)
    return np.sum(np.stack(alive[-4:]))


def adds_up(tensor, picture):
    """Whether all that is drawn, and said to be folded, is what is on the tape."""
    seen, shown = picture.view, picture.shown
    ids = [box.id for box in shown.boxes]
    assert len(ids) == len(set(ids))
    for arrow in shown.arrows:
        assert arrow.source in ids
        assert arrow.target in ids
        assert arrow.source != arrow.target
    # Results of one op with several have nodes of their own.
    total = sum(not node.is_leaf and node.op_name != "result" for node in tg.tape(tensor))
    learned = sum(int(np.prod(node.shape)) for node in tg.tape(tensor) if node.is_leaf and node.requires_grad)
    assert seen.groups[0].ops == total
    assert seen.groups[0].parameters == learned
    closed = [group for group in seen.groups if group.closed and not any_closed_above(seen, group)]
    drawn = Counter(box.kind for box in shown.boxes)
    assert drawn["folded"] == len(closed)
    assert drawn["op"] + sum(group.ops for group in closed) == total
    # Folded boxes and open groups have a parent that is drawn.
    drawn_groups = {group.id for group in shown.groups}
    assert all(box.group in drawn_groups for box in shown.boxes)
    if closed:
        folded = sum(group.ops for group in closed)
        assert shown.notes[-1].startswith(f"folded: {folded:,} of {total:,} operations")
    else:
        assert shown.notes == seen.notes
    return closed


def any_closed_above(seen, group):
    above = seen.groups[group.parent]
    return group.id != 0 and (above.closed or any_closed_above(seen, above))


# -- rows of equal blocks ---------------------------------------------------------------------


def test_sixteen_scopes_in_a_row_are_one_open_and_fifteen_folded():
    loss = blocks(16)
    picture = tg.draw(loss)
    (more,) = adds_up(loss, picture)
    repeat, first = picture.shown.groups[1:]
    assert (repeat.kind, repeat.label, repeat.count, repeat.ops) == ("repeat", "× 16", 16, 48)
    assert (first.label, first.detail, first.ops, first.parameters) == ("block0", "4 → 4", 3, 16)
    assert (more.label, more.detail, more.ops, more.parameters) == ("× 15 more", "block1 … block15", 45, 240)
    assert [box.text for box in picture.shown.boxes if box.kind in ("op", "folded")] == [
        "matmul @", "tanh", "add +", "× 15 more", "sum",
    ]  # fmt: skip
    assert picture.shown.notes == ("folded: 45 of 49 operations (block1 … block15)",)


def test_nested_scopes_keep_their_frames_in_the_block_that_is_open():
    picture = tg.draw(blocks(12, nested=True))
    frames = [(group.kind, group.label) for group in picture.shown.groups]
    assert frames == [("root", ""), ("repeat", "× 12"), ("scope", "block0"), ("scope", "attention"), ("scope", "mlp")]
    # All copies can be opened in a page.
    copies = [group for group in picture.view.groups if group.label.startswith("block")]
    assert [group.label for group in copies] == [f"block{i}" for i in range(12)]
    assert [group.closed for group in copies] == [False] + [True] * 11


def test_a_loop_without_scopes():
    loss = blocks(20, scoped=False)
    picture = tg.draw(loss)
    (more,) = adds_up(loss, picture)
    assert (more.kind, more.count, more.ops, more.detail) == ("more", 19, 57, "of the same structure")
    copies = [group for group in picture.view.groups if group.kind == "copy"]
    assert [(group.label, group.ops) for group in copies] == [(str(k), 3) for k in range(2, 21)]


def test_fifty_steps_of_a_recurrent_network():
    loss = recurrent(50)
    picture = tg.draw(loss)
    (more,) = adds_up(loss, picture)
    assert (more.count, more.ops) == (49, 245)
    # The weights are counted where they are first used.
    assert more.parameters == 0
    assert picture.view.groups[0].parameters == 4 * 4 + 3 * 4 + 4
    assert len(picture.shown.boxes) == 13
    assert named(picture.shown, "W").uses == 50


def test_blocks_that_differ_are_not_folded_together():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    for i in range(12):
        with tg.scope(f"block{i}"):
            x = np.sin(x) * 2 if i % 2 else np.tanh(x * 2)
    # Of so small a graph, only rows of single scopes are folded.
    assert [group.kind for group in tg.draw(np.sum(x)).view.groups] == ["root"] + ["scope"] * 12
    x = tg.Tensor(np.ones(3), requires_grad=True)
    for n in range(1, 9):
        with tg.scope(f"block{n}"):
            for _ in range(n):
                x = np.sin(x) * 2
    found = tg.draw(np.sum(x)).view.groups[1:]
    labels = [group.label for group in found if group.parent == 0]
    assert labels == [f"block{n}" for n in range(1, 9)]


@pytest.mark.parametrize("metadata", [lambda i: {"axis": i % 2}, lambda i: {"axis": 0, "keepdims": i % 2 == 0}])
def test_metadata_makes_ops_different(metadata):
    x = tg.Tensor(np.ones((3, 3)), requires_grad=True)
    for i in range(40):
        x = x * np.mean(x, **metadata(0 if i < 20 else 1))
    counts = [group.count for group in tg.draw(np.sum(x)).view.groups if group.kind == "repeat"]
    # Where one row ends and the next begins, one op belongs to either.
    assert len(counts) == 2
    assert all(19 <= count <= 20 for count in counts)


def test_query_key_and_value_are_not_folded():
    rng = np.random.default_rng(0)
    x = tg.Tensor(rng.normal(size=(5, 4)), name="x")
    with tg.scope("attention"):
        parts = []
        for name in ("query", "key", "value"):
            with tg.scope(name):
                parts.append(x @ tg.Tensor(rng.normal(size=(4, 4)), requires_grad=True, name=f"W_{name}"))
        q, k, v = parts
        y = tg.softmax(q @ k.T / 2.0, axis=-1) @ v
    picture = tg.draw(np.sum(y))
    assert [group.label for group in picture.shown.groups] == ["", "attention", "query", "key", "value"]
    assert picture.shown == picture.view


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_blocks_are_all_shown(n):
    picture = tg.draw(blocks(n))
    assert picture.shown.boxes == picture.view.boxes
    assert picture.shown.arrows == picture.view.arrows
    assert picture.shown.notes == ()


def test_rows_stay_open_where_that_is_asked_for():
    picture = tg.draw(blocks(16), fold=False)
    assert {group.kind for group in picture.view.groups} == {"root", "scope"}
    assert picture.shown.boxes == picture.view.boxes


# -- depth and limit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "texts"),
    [
        (0, {"model", "sum"}),
        (1, {"encoder", "decoder", "sum"}),
        (2, {"inner", "exp", "cos", "sum"}),
        (3, {"sin", "exp", "cos", "sum"}),
        (None, {"sin", "exp", "cos", "sum"}),
    ],
)
@pytest.mark.parametrize("backward", [False, True])
def test_scopes_deeper_than_depth_are_closed(depth, texts, backward):
    x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    with tg.scope("model"):
        with tg.scope("encoder"):
            with tg.scope("inner"):
                h = np.sin(x)
            h = np.exp(h)
        with tg.scope("decoder"):
            h = np.cos(h)
    picture = tg.draw(np.sum(h), depth=depth, backward=backward)
    assert {box.text for box in picture.shown.boxes if box.kind in ("op", "folded") and not box.backward} == texts


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("limit", [30, 60, 150])
def test_the_limit_is_kept_and_everything_adds_up(seed, limit):
    loss = random_graph(seed)
    picture = tg.draw(loss, limit=limit)
    closed = adds_up(loss, picture)
    assert len(picture.shown.boxes) <= limit
    if len(picture.view.boxes) > limit:
        assert closed
        assert len(picture.shown.boxes) > limit / 4
    adds_up(loss, tg.draw(loss, limit=100_000))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limit", [40, 150])
def test_the_limit_is_kept_with_the_backward_pass(seed, limit):
    picture = tg.draw(random_graph(seed), limit=limit, backward=True)
    assert len(picture.view.boxes) > limit
    assert len(picture.shown.boxes) <= limit


def test_the_limit_is_kept_inside_a_long_block():
    x = tg.Tensor(0.5, requires_grad=True)
    steps = np.random.default_rng(0).choice([np.sin, np.cos, np.tanh, np.arctan, np.negative], 300)
    for step in [*steps] * 4:
        x = step(x)
    picture = tg.draw(np.exp(x))
    adds_up(np.exp(x), picture)
    assert len(picture.shown.boxes) <= 150


def test_data_of_closed_scopes_is_folded_with_them():
    rng = np.random.default_rng(0)
    w = tg.Tensor(np.eye(3), requires_grad=True, name="W")
    total = 0.0
    for i in range(100):
        with tg.scope(f"part{i}"):
            h = rng.normal(size=(2, 3)) @ w
            for step in rng.choice([np.sin, np.cos, np.tanh, np.arctan], 5):
                h = step(h)
        total = total + np.sum(h)
    for limit in (40, 150):
        picture = tg.draw(total, limit=limit)
        adds_up(total, picture)
        assert len(picture.shown.boxes) <= limit


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_depth_adds_up(seed, depth):
    loss = random_graph(seed)
    adds_up(loss, tg.draw(loss, depth=depth))


@pytest.mark.parametrize("seed", range(3))
def test_folding_loses_no_connection(seed):
    picture = tg.draw(random_graph(seed), limit=40)
    seen, shown = picture.view, picture.shown
    kept = {box.id for box in shown.boxes} & {box.id for box in seen.boxes}

    def between_kept(arrows):
        return [arrow for arrow in arrows if {arrow.source, arrow.target} <= kept]

    # Arrows between boxes that are both drawn stay what they are.
    assert between_kept(shown.arrows) == between_kept(seen.arrows)
    # Those into a folded box, or out of it, are as many as go into what it stands for.
    assert sum(a.count for a in shown.arrows) <= len(seen.arrows)
    reached = {a.target for a in shown.arrows}
    assert all(box.id in reached for box in shown.boxes if box.kind in ("folded", "op", "result"))


@pytest.mark.parametrize("alike", [True, False])
def test_a_merged_arrow_says_what_its_values_have_in_common(alike):
    x = tg.Tensor(np.ones(3), requires_grad=True, name="x")
    with tg.scope("one"):
        a, b, c = np.sin(x), np.cos(x), np.sum(x)
    with tg.scope("two"):
        same, other = np.hypot(a, b), a * c
    y = np.sum(same) if alike else np.sum(other)
    picture = tg.draw(y, depth=0)
    folded = {box.text: box.id for box in picture.shown.boxes if box.kind == "folded"}
    (arrow,) = [arrow for arrow in picture.shown.arrows if arrow.target == folded["two"]]
    assert (arrow.source, arrow.count) == (folded["one"], 2)
    assert (arrow.shape, arrow.dtype) == (((3,), "float64") if alike else (None, ""))


# -- large graphs -----------------------------------------------------------------------------


def test_ten_thousand_ops_are_drawn_folded():
    x = tg.Tensor(1.0, requires_grad=True)
    for _ in range(5000):
        x = x * 1.0001 + 0.0001
    picture = tg.draw(x)
    (more,) = adds_up(x, picture)
    assert more.ops == 9998
    assert len(picture.shown.boxes) == 5
    assert "9,998 of 10,000 operations" in picture.source


def test_ten_thousand_different_ops_are_drawn_up_to_the_limit():
    x = tg.Tensor(0.5, requires_grad=True)
    for function in np.random.default_rng(0).choice([np.sin, np.cos, np.tanh, np.negative], 10_000):
        x = function(x)
    picture = tg.draw(x)
    adds_up(x, picture)
    assert len(picture.shown.boxes) <= 150


def test_a_node_that_is_used_twice_at_each_step_is_read_once(monkeypatch):
    read = Counter()
    original = reader.op_box

    def counted(node, *args, **options):
        read[node] += 1
        return original(node, *args, **options)

    monkeypatch.setattr(reader, "op_box", counted)
    x = tg.Tensor(1.0, requires_grad=True)
    for _ in range(60):
        x = x + x
    seen = view(x)
    # 2^60 paths, 60 boxes.
    assert sorted(read.values()) == [1] * 60
    assert len(seen.boxes) == 62
    assert len(seen.arrows) == 121


def searched(monkeypatch, tokens):
    """How many entries are looked at to find rows of equal ops."""
    work = []
    original = np.flatnonzero

    def counted(a):
        work.append(len(a))
        return original(a)

    monkeypatch.setattr(rows.np, "flatnonzero", counted)
    n = len(tokens)
    rows.fold_rows(branch.grown(range(n), [None] * n), dict(enumerate(tokens)), n)
    monkeypatch.undo()
    return sum(work)


@pytest.mark.parametrize(
    "tokens",
    [
        lambda n: np.random.default_rng(0).permutation(n).tolist(),
        # Rows of eight equal ops, each row of others.
        lambda n: [(i // 9, i % 9 == 0) for i in range(n)],
    ],
)
def test_the_work_of_finding_rows_grows_with_the_graph_and_not_with_its_square(monkeypatch, tokens):
    # A longest block is looked for, so that a small graph has less work for each op.
    small, large = (searched(monkeypatch, tokens(n)) for n in (3000, 9000))
    assert small > 0
    assert large < 5 * small
