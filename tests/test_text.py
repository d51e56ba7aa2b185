"""The graph as text for a terminal: the tree and the table, compared with what a reader is to see."""

import time
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.graph.export.text import to_table, to_text
from tinygrad_np.graph.fold import folded
from tinygrad_np.graph.parts import Arrow, Box, Group, Summary, View
from tinygrad_np.graph.view import view

F = "float64"
HOSTILE = [
    '<<b>x</b>> ]; evil [URL="javascript:1"',
    "{a|<b> c}",
    "back\\slash \\n",
    "%1",
    "← %2",
    "│  └─",
    "שלום",
    "naïve 🙂",
]


def layer(first, group, name, value, above):
    """A matmul and an add, with the parameters W and b: the boxes and arrows of `x @ W + b`."""
    W, product, b, total = range(first, first + 4)
    grads = Summary("0.02 ± 0.07"), Summary("0.05 ± 0.12")
    rules = ("dx = g @ Wᵀ", "dW = xᵀ @ g") if above else ("dW = xᵀ @ g",)
    whole = {"shape": (2, 4), "dtype": F, "group": group}
    boxes = [
        Box(W, "parameter", "W", f"{name}.W", (4, 4), F, value=Summary(value), grad=grads[0], size=16, group=group),
        Box(product, "op", text="matmul @", formula="x @ W", rules=rules, **whole),
        Box(b, "parameter", "b", f"{name}.b", (4,), F, value=Summary("all 0"), grad=grads[1], size=4, group=group),
        Box(total, "op", text="add +", formula="h + b", rules=("dh = g", "db = sum(g, axis=0)"),
            details=("broadcast (4,) → (2, 4)",), **whole),
    ]  # fmt: skip
    arrows = [
        Arrow(above, product, (2, 4), F, rms=0.064 if above else None, needs_grad=above > 0),
        Arrow(W, product, (4, 4), F, rms=0.0731),
        Arrow(product, total, (2, 4), F, rms=0.0553),
        Arrow(b, total, (4,), F, rms=0.13),
    ]
    return boxes, arrows


def mlp():
    boxes1, arrows1 = layer(1, 1, "fc1", "0.001 ± 0.050", above=0)
    boxes2, arrows2 = layer(6, 2, "fc2", "-0.01 ± 0.27", above=5)
    boxes = [
        Box(0, "data", "x", "x", (2, 4), F, value=Summary("0.50 ± 0.29")),
        *boxes1,
        Box(5, "op", shape=(2, 4), dtype=F, text="relu", formula="relu(x)", rules=("dx = g * (x > 0)",)),
        *boxes2,
        Box(10, "data", "t", "t", (2,), "int64", value=Summary("[3 1]")),
        Box(11, "op", text="cross_entropy", dtype=F, formula="cross_entropy(z, t)", details=("axis=-1",),
            rules=("dz = g * (softmax(z) - onehot(t)) / 2",), value=Summary("2.9257"), grad=Summary("1")),
        Box(12, "result", "loss", "loss", (), F, value=Summary("2.9257"), grad=Summary("1")),
    ]  # fmt: skip
    arrows = [*arrows1, Arrow(4, 5, (2, 4), F, rms=0.0553), *arrows2, Arrow(9, 11, (2, 4), F, rms=0.079),
              Arrow(10, 11, (2,), "int64", needs_grad=False), Arrow(11, 12, (), F, rms=1.0)]  # fmt: skip
    groups = [
        Group(0, 0, "scope", ops=6, parameters=40),
        Group(1, 0, "scope", "fc1", "Linear(4 → 4)"),
        Group(2, 0, "scope", "fc2", "Linear(4 → 4)"),
    ]
    return View("loss", "2.9257", (), boxes, arrows, groups)


TREE = """\
loss = 2.9257
6 operations · 40 parameters · float64, int64
mean ± standard deviation · ↑ size (RMS) of the gradient coming back · g is the gradient of the op's result

                        shape       value          gradient     backward
fc1  Linear(4 → 4)
│  %1 matmul @  x @ W   (2, 4)                     ↑ 0.055
│     ├─ x data         (2, 4)      0.50 ± 0.29
│     └─ W parameter    (4, 4)      0.001 ± 0.050  0.02 ± 0.07  dW = xᵀ @ g
│  %2 add +  h + b      (2, 4)                     ↑ 0.055      dh = g
│     │  broadcast (4,) → (2, 4)
│     └─ b parameter    (4,)        all 0          0.05 ± 0.12  db = sum(g, axis=0)
%3 relu(x)              (2, 4)                     ↑ 0.064      dx = g * (x > 0)
fc2  Linear(4 → 4)
│  %4 matmul @  x @ W   (2, 4)                     ↑ 0.055      dx = g @ Wᵀ
│     └─ W parameter    (4, 4)      -0.01 ± 0.27   0.02 ± 0.07  dW = xᵀ @ g
│  %5 add +  h + b      (2, 4)                     ↑ 0.079      dh = g
│     │  broadcast (4,) → (2, 4)
│     └─ b parameter    (4,)        all 0          0.05 ± 0.12  db = sum(g, axis=0)
%6 cross_entropy(z, t)  ()          2.9257         1            dz = g * (softmax(z) - onehot(t)) / 2
   │  axis=-1
   └─ t data            (2,) int64  [3 1]
→ loss                  ()          2.9257         1
"""

TABLE = """\
loss = 2.9257
6 operations · 40 parameters · float64, int64

    op             name   inputs     shape   dtype    value          gradient
    data           x                 (2, 4)  float64  0.50 ± 0.29
    parameter      fc1.W             (4, 4)  float64  0.001 ± 0.050  0.02 ± 0.07
%1  matmul @              x, fc1.W   (2, 4)  float64                 ↑ 0.055
    parameter      fc1.b             (4,)    float64  all 0          0.05 ± 0.12
%2  add +                 %1, fc1.b  (2, 4)  float64                 ↑ 0.055
%3  relu                  %2         (2, 4)  float64                 ↑ 0.064
    parameter      fc2.W             (4, 4)  float64  -0.01 ± 0.27   0.02 ± 0.07
%4  matmul @              %3, fc2.W  (2, 4)  float64                 ↑ 0.055
    parameter      fc2.b             (4,)    float64  all 0          0.05 ± 0.12
%5  add +                 %4, fc2.b  (2, 4)  float64                 ↑ 0.079
    data           t                 (2,)    int64    [3 1]
%6  cross_entropy         %5, t      ()      float64  2.9257         1
    result         loss   %6         ()      float64  2.9257         1
"""


def body(text):
    """The lines below the heading and the names of the columns."""
    return text.split("\n\n", 1)[1].splitlines()[1:]


def line_with(text, words):
    found = [line for line in text.splitlines() if words in line]
    assert len(found) == 1, (words, text)
    return found[0]


# -- what a reader sees -----------------------------------------------------------------------


def test_the_tree_of_a_network():
    assert to_text(mlp()) == TREE
    assert max(map(len, TREE.splitlines())) <= 110


def test_the_table_of_a_network():
    table = to_table(mlp())
    cut = table.splitlines()[3].index("formula")
    assert "\n".join(line[:cut].rstrip() for line in table.splitlines()) + "\n" == TABLE
    assert line_with(table, "%2  add")[cut:].split("  ")[-1] == "dh = g; db = sum(g, axis=0)"


@pytest.mark.parametrize("write", [to_text, to_table])
def test_a_title_stands_above_and_the_answer_below(write):
    assert write(mlp(), "My MLP").splitlines()[:2] == [
        "My MLP",
        "loss = 2.9257 · 6 operations · 40 parameters · float64, int64",
    ]
    noted = replace(mlp(), notes=("2 blocks folded",))
    assert write(noted).splitlines()[2] == "2 blocks folded"


def test_before_backward_no_word_on_gradients():
    seen = mlp()
    bare = replace(
        seen,
        boxes=[replace(box, grad=None) for box in seen.boxes],
        arrows=[replace(arrow, rms=None) for arrow in seen.arrows],
    )
    assert "↑" not in to_text(bare)
    assert to_text(bare).splitlines()[4].split() == ["shape", "value", "backward"]
    assert "gradient" not in to_table(bare)


# -- inputs -----------------------------------------------------------------------------------


def test_inputs_that_are_not_just_above_are_numbered():
    boxes = [
        Box(0, "data", "x", shape=(), dtype=F),
        *(Box(i, "op", shape=(), dtype=F, text=text) for i, text in enumerate(["exp", "sin", "add +", "square"], 1)),
    ]
    arrows = [Arrow(0, 1), Arrow(1, 2), Arrow(1, 3), Arrow(2, 3), Arrow(3, 4), Arrow(3, 4)]
    assert [line.split("  ()")[0].rstrip() for line in body(to_text(View("y", "1", boxes=boxes, arrows=arrows)))] == [
        "%1 exp",
        "   └─ x data",
        "%2 sin",
        "%3 add +  ← %1, %2",
        "%4 square",
    ]


def test_one_of_several_results_is_told_apart():
    boxes = [Box(0, "op", text="slogdet"), Box(1, "op", text="exp", shape=(), dtype=F)]
    for part, called in (("[1]", "%1[1]"), ("Q", "%1.Q")):
        seen = View("y", "1", boxes=boxes, arrows=[Arrow(0, 1, (), F, part=part)])
        assert line_with(to_text(seen), "exp").startswith(f"%2 exp  ← {called}  ")
        assert called in line_with(to_table(seen), "exp").split()
        # It has no shape of its own.
        assert line_with(to_text(seen), "slogdet") == "%1 slogdet"


def test_a_long_row_does_not_push_its_columns_away():
    boxes = [
        Box(0, "parameter", "n" * 300, shape=(2,), dtype=F, value=Summary("[1 2]")),
        Box(1, "op", shape=(2,), dtype=F, text="exp", formula=f"exp({'m' * 70})", value=Summary("[3 7]")),
        Box(2, "data", "t", shape=(2,), dtype=F, value=Summary("[1 nan]", bad=1), bad=True),
        Box(3, "op", shape=(2,), dtype=F, text="sin", value=Summary("[5 6]")),
    ]
    text = to_text(View("y", "1", boxes=boxes, arrows=[Arrow(0, 1), Arrow(2, 3), Arrow(1, 3)]))
    rows = [line for line in text.splitlines() if "(2,)" in line]
    assert [row.split("(2,)")[1].strip() for row in rows] == ["[3 7]", "[1 2]", "[5 6]", "[1 nan]"]
    assert len({row.index("(2,)") for row in rows}) == 1
    assert max(map(len, text.splitlines())) < 100


@pytest.mark.parametrize("grouped", [True, False])
def test_the_backward_pass_has_one_heading(grouped):
    groups = [Group(1, 0, "pass", "forward pass"), Group(2, 0, "pass", "backward pass")] if grouped else []
    boxes = [Box(0, "op", text="exp", group=1), Box(1, "op", text="cos", group=2, backward=True)]
    lines = to_text(View("y", "1", boxes=boxes, groups=groups)).splitlines()
    assert lines.count("backward pass") == 1
    assert lines.index("backward pass") < next(i for i, line in enumerate(lines) if "cos" in line)


def test_what_is_asked_for_besides_stands_below_each_box():
    W = Box(0, "parameter", "W", shape=(3,), dtype=F, nbytes=24, value=Summary("x", low=1, high=3, counts=(2, 0, 1)))
    exp = Box(1, "op", text="exp", seconds=2e-3, back_seconds=4e-6, nbytes=24, saved=(("out", 24),),
              place="a.py:3", code="np.exp(W)")  # fmt: skip
    seen = View("y", "1", boxes=[W, exp], arrows=[Arrow(0, 1)])
    assert not any(word in to_text(seen) for word in ("24 B", "ms", "a.py", "█"))
    text = to_text(seen, show=("bytes", "time", "source", "saved", "histogram"))
    below = [line.strip(" │") for line in text.splitlines()]
    op, leaf = (next(i for i, line in enumerate(below) if word in line) for word in ("%1", "W parameter"))
    assert set(below[op + 1 : leaf]) == {"24 B", "2 ms, 4 µs back", "saved: out 24 B", "a.py:3  np.exp(W)"}
    assert set(below[leaf + 1 :]) >= {"24 B", "1 █ ▄ 3"}
    assert "24 B" in line_with(to_table(seen, show=("bytes",)), "parameter")
    assert "█ ▄" in line_with(to_table(seen, show=("histogram",)), "parameter")


def test_a_leaf_used_several_times_tells_its_value_once():
    W = Box(0, "parameter", "W", shape=(3,), dtype=F, value=Summary("all 7"), grad=Summary("all 5"), size=3, uses=2)
    boxes = [W, Box(1, "op", text="sin"), replace(W, id=2, same=0), Box(3, "op", text="multiply *")]
    arrows = [Arrow(0, 1, (3,), F, rms=2.5, total=True), Arrow(1, 3), Arrow(2, 3, (3,), F, rms=2.5, total=True)]
    seen = View("y", "1", boxes=boxes, arrows=arrows)
    text = to_text(seen)
    assert line_with(text, "W parameter, used by 2 ops").split()[-4:] == ["all", "7", "all", "5"]
    assert "all" not in line_with(text, "W parameter, again")
    assert line_with(text, "W parameter, again").endswith("↑ Σ 2.5")
    assert "3 parameters" in text
    assert len([line for line in body(to_table(seen)) if "parameter" in line]) == 1
    assert "%1, W" in line_with(to_table(seen), "multiply")


def test_an_op_that_uses_a_leaf_twice_has_it_once():
    boxes = [Box(0, "parameter", "a", shape=(), dtype=F), Box(1, "op", text="multiply *", formula="a * a")]
    text = to_text(View("y", "1", boxes=boxes, arrows=[Arrow(0, 1), Arrow(0, 1)]))
    assert len([line for line in body(text) if "parameter" in line]) == 1


def test_a_leaf_alone():
    text = to_text(View("a", "2", boxes=[Box(0, "parameter", "a", shape=(), dtype=F, value=Summary("2"), size=1)]))
    assert text.splitlines()[:2] == ["a = 2", "1 parameter · float64"]
    assert body(text) == ["a parameter  ()     2"]


def test_the_order_is_told_where_no_formula_does():
    boxes = [Box(0, "data", "x", shape=(), dtype=F), Box(1, "op", text="f")]
    assert "x data, 2nd" in to_text(View("y", "1", boxes=boxes, arrows=[Arrow(0, 1, role="2nd")]))
    boxes[1] = replace(boxes[1], formula="f(2, x)")
    assert "2nd" not in to_text(View("y", "1", boxes=boxes, arrows=[Arrow(0, 1, role="2nd")]))


# -- groups -----------------------------------------------------------------------------------


def test_a_folded_group_is_one_line():
    boxes = [
        Box(0, "op", text="exp"),
        Box(9, "folded", text="× 15 more", details=("block1 … block15", "930 operations"), group=1),
        Box(2, "op", text="sum", group=0),
    ]
    seen = View("y", "1", boxes=boxes, arrows=[Arrow(0, 9), Arrow(9, 2, None)], groups=[Group(1, 0, "repeat", "× 16")])
    assert body(to_text(seen)) == ["%1 exp", "× 16", "│  %2 ▸ × 15 more · block1 … block15 · 930 operations", "%3 sum"]
    assert "× 15 more · block1 … block15 · 930 operations" in to_table(seen)


def test_only_scopes_and_leaves_are_indented():
    n = 300
    boxes = [Box(i, "op", text="exp") for i in range(n)]
    arrows = [Arrow(i, i + 1) for i in range(n - 1)]
    assert body(to_text(View("y", "1", boxes=boxes, arrows=arrows))) == [f"%{i} exp" for i in range(1, n + 1)]


def test_nested_scopes_and_one_that_is_entered_twice():
    groups = [Group(1, 0, "scope", "net"), Group(2, 1, "scope", "attention", "heads=4")]
    boxes = [Box(i, "op", text="exp", group=group) for i, group in enumerate([2, 1, 2, 0])]
    assert body(to_text(View("y", "1", boxes=boxes, groups=groups))) == [
        "net",
        "│  attention  heads=4",
        "│  │  %1 exp",
        "│  %2 exp",
        "│  attention  heads=4 (continued)",
        "│  │  %3 exp",
        "%4 exp",
    ]


def test_scopes_inside_each_other_come_to_an_end():
    groups = [Group(1, 2, "scope", "a"), Group(2, 1, "scope", "b")]
    text = to_text(View("y", "1", boxes=[Box(0, "op", text="exp", group=1)], groups=groups))
    assert body(text) == ["b", "│  a", "│  │  %1 exp"]


# -- nan and inf, wide signs, hostile names ---------------------------------------------------


@pytest.mark.parametrize("write", [to_text, to_table])
def test_nan_is_told_in_words(write):
    boxes = [
        Box(0, "op", text="log", value=Summary("3 of 9 not finite", bad=3), bad=True),
        Box(1, "op", text="sin", tainted=True),
        Box(2, "op", text="cos"),
    ]
    text = write(View("y", "nan", boxes=boxes))
    assert "✗ first nan or inf: 3 of its entries" in text
    assert "✗ from nan or inf" in line_with(text, "sin")
    assert text.count("✗") == 2


def test_columns_line_up_below_wide_signs():
    boxes = [Box(i, "op", name, shape=(7,), dtype=F, text="exp") for i, name in enumerate(["a", "漢字", "🙂", "é"])]
    for line in body(to_text(View("y", "1", boxes=boxes))):
        before = line[: line.index("(7,)")]
        columns = sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in before)
        assert columns == len("%1 漢字 = exp") + 2 + 2


@pytest.mark.parametrize("write", [to_text, to_table])
@pytest.mark.parametrize("name", [*HOSTILE, "two\nlines\r\x1b[31m\x00\u202e", "x" * 30_000, " ", ""])
def test_hostile_names_stay_on_their_line(write, name):
    def drawn(name):
        boxes = [
            Box(0, "parameter", name, name, (1,), F, value=Summary(name), group=1),
            Box(1, "op", name, name, (1,), F, name, name, (name,), (name,), saved=((name, 8),), place=name, group=1),
            Box(2, "result", name, name, (1,), F),
        ]
        arrows = [Arrow(0, 1, (1,), F, part=name, role=name), Arrow(1, 2, (1,), F, part=name)]
        return write(View(name, name, (name,), boxes, arrows, [Group(1, 0, "scope", name, name)]), name)

    text = drawn(name)
    plain = drawn("w" * min(len(name), 300))
    assert len(text.splitlines()) - len(plain.splitlines()) in ((0,) if name.strip() else (-1, 0))
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]
    assert max(map(len, text.splitlines())) < 1000
    if name in HOSTILE:
        assert text.count(name) >= 8


# -- real graphs ------------------------------------------------------------------------------


def test_a_recorded_network():
    rng = np.random.default_rng(0)
    x = tg.Tensor(rng.normal(size=(4, 8)), name="x")
    W = tg.Tensor(rng.normal(size=(8, 5)), requires_grad=True, name="W")
    with tg.inspect(), tg.scope("fc1", "Linear(8 → 5)"):
        loss = np.sum(np.tanh(x @ W))
    loss.backward()
    text = to_text(folded(view(loss)))
    assert text.startswith(f"result = {float(loss.data):.5g}\n3 operations · 40 parameters · float64\n")
    assert body(text)[0] == "fc1  Linear(8 → 5)"
    assert "dW = xᵀ @ g" in line_with(text, "W parameter")
    assert line_with(text, "W parameter").index("(8, 5)") == line_with(text, "x data").index("(4, 8)")


def test_ten_thousand_boxes_take_a_second():
    n = 10_000
    boxes = [Box(i, "op", shape=(3,), dtype=F, text="exp", formula="exp(x)", rules=("dx = g * out",)) for i in range(n)]
    seen = View("y", "1", boxes=boxes, arrows=[Arrow(i, i + 1, (3,), F, rms=0.5) for i in range(n - 1)])
    start = time.perf_counter()
    text = to_text(seen) + to_table(seen)
    assert time.perf_counter() - start < 5
    assert "%10000 exp(x)" in text
