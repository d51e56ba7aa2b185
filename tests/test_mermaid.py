"""The graph as a Mermaid flowchart: its exact text, and that names in it are nothing but text."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.graph.export.mermaid import to_mermaid
from tinygrad_np.graph.fold import folded
from tinygrad_np.graph.parts import Arrow, Box, Group, Summary, View
from tinygrad_np.graph.view import view

F = "float64"
HOSTILE = [
    '<<b>x</b>> ]; evil [URL="javascript:1"',
    "<script>alert(1)</script>",
    '"]; evil --> worse; "',
    '"]:::bad click box0 href "https://e.de"',
    "\\N \\x \\",
    "{a|<b> c}",
    "&lt;b&gt; &amp; &#60;",
    "#lt; #quot; #35;",
    "`code` **bold** _italic_ ~~gone~~",
    "1. list",
    "- list",
    "***",
    "===",
    "---",
    "end",
    "subgraph x",
    '%%{init: {"theme": "dark"}}%%',
    "%% comment",
    "style x:a#b; classDef y:c#d;",
    "![image](u) [link](u)",
    "| a | b |",
    "'single' it's",
    "שלום 🙂",
]
PLAIN = re.compile(r"[A-Za-z0-9 ,()=@*+/.\u0080-\U0010FFFF-]|#\d+;|</?b>|<br/>")


def network():
    boxes = [
        Box(0, "data", "x", "x", (2, 4), F, value=Summary("0.50 ± 0.29")),
        Box(1, "parameter", "W", "fc.W", (4, 3), "float32", value=Summary("all 1"), grad=Summary("0.3 ± 0.1"),
            size=12, group=1),
        Box(2, "op", None, "", (2, 3), F, "matmul @", "x @ W", ("dW = xᵀ @ g",), ("cast to float64",), group=1),
        Box(9, "folded", text="× 3 more", details=("block1 … block3", "6 operations")),
        Box(4, "op", "s", "s", (), F, "sum", "sum(a)", ("da = g, repeated",)),
        Box(5, "result", "loss", "loss", (), F, value=Summary("2.9257"), grad=Summary("1")),
    ]  # fmt: skip
    arrows = [
        Arrow(0, 2, (2, 4), F, role="1st", needs_grad=False),
        Arrow(1, 2, (4, 3), "float32", role="2nd", rms=0.0731, total=True),
        Arrow(2, 9, (2, 3), F, rms=0.055),
        Arrow(9, 4, None, count=2),
        Arrow(4, 5, (), F, rms=1.0),
    ]
    groups = [Group(0, 0, "scope", ops=8, parameters=12), Group(1, 0, "scope", "fc", "Linear(4 → 3)")]
    return View("loss", "2.9257", ("2 blocks folded",), boxes, arrows, groups)


CHART = """\
---
title: "loss = 2.9257 · 8 operations · 12 parameters · float64, float32"
config:
  flowchart:
    wrappingWidth: 600
---
flowchart TD
  classDef parameter fill:#D6EAF8,stroke:#0072B2,color:#1A1A1A
  classDef data fill:#F2F2F2,stroke:#595959,color:#1A1A1A
  classDef op fill:#FFF3D6,stroke:#B07C00,color:#1A1A1A
  classDef folded fill:#DDF3EC,stroke:#009E73,stroke-width:4px,color:#1A1A1A
  classDef result fill:#FBE9DF,stroke:#D55E00,stroke-width:2px,color:#1A1A1A
  notes["2 blocks folded"]
  style notes fill:none,stroke:none
  box0["<b>x</b> data · (2, 4)<br/>value 0.50 ± 0.29"]:::data
  subgraph group1["fc  Linear(4 → 3)"]
    box1(["<b>W</b> fc#46;W · (4, 3) float32<br/>value all 1<br/>grad 0.3 ± 0.1"]):::parameter
    box2("<b>matmul #64;</b><br/>x @ W<br/>cast to float64<br/>dW = xᵀ @ g"):::op
  end
  box9("<b>× 3 more</b><br/>block1 … block3<br/>6 operations"):::folded
  box4("<b>s = sum(a)</b><br/>da = g, repeated"):::op
  box5[["<b>loss = 2.9257</b><br/>grad 1"]]:::result
  style group1 fill:#8C96A514,stroke:#8C96A5
  box0 -.->|"1st (2, 4)"| box2
  box1 -->|"2nd (4, 3) float32<br/>↑ Σ 0.073"| box2
  box2 -->|"(2, 3)<br/>↑ 0.055"| box9
  box9 -->|"× 2"| box4
  box4 -->|"()<br/>↑ 1"| box5
"""


def labels(chart):
    """The quoted strings of a chart, below its front matter."""
    return re.findall(r'"([^"]*)"', chart.split("---\n", 2)[2])


def read(label):
    """What a label shows: its tags taken away, and its entities decoded."""
    plain = re.sub(r"</?b>", "", label).replace("<br/>", "\n")
    return html.unescape(re.sub(r"#(\d+);", r"&#\1;", plain)).replace("\u2060", "")


# -- what is written --------------------------------------------------------------------------


def test_the_chart_of_a_network():
    assert to_mermaid(network()) == CHART


def test_a_title_comes_before_the_answer():
    assert json.loads(to_mermaid(network(), "My MLP").splitlines()[1].removeprefix("title: ")).startswith(
        "My MLP · loss = 2.9257 · 8 operations"
    )


def test_a_result_that_is_no_single_number_tells_its_shape():
    boxes = [Box(0, "op", text="exp"), Box(1, "result", "y", "y", (2, 3), F, value=Summary("0.5 ± 0.1"))]
    chart = to_mermaid(View("y", "shape (2, 3)", boxes=boxes, arrows=[Arrow(0, 1, (2, 3), F)]))
    assert '[["<b>y</b> (2, 3)<br/>value 0.5 ± 0.1"]]:::result' in chart
    assert 'title: "y, shape (2, 3)' in chart


def test_nan_has_words_and_a_border():
    boxes = [
        Box(0, "op", text="log", value=Summary("3 of 9 not finite", bad=3), bad=True),
        Box(1, "op", text="sin", tainted=True),
        Box(2, "op", text="cos"),
    ]
    chart = to_mermaid(View("y", "nan", boxes=boxes))
    assert 'box0("<b>log</b><br/>✗ first nan or inf#58; 3 of its entries<br/>value 3 of 9 not finite"):::bad' in chart
    assert 'box1("<b>sin</b><br/>✗ from nan or inf"):::tainted' in chart
    assert 'box2("<b>cos</b>"):::op' in chart
    assert re.search(r"classDef bad .*stroke:#B3003C,stroke-width:5px", chart)
    assert re.search(r"classDef tainted .*stroke-dasharray", chart)


def test_one_of_several_results_is_on_the_arrow():
    seen = View("y", "1", boxes=[Box(0, "op", text="qr"), Box(1, "op", text="exp")])
    seen.arrows.append(Arrow(0, 1, (2, 2), F, part="[1]"))
    assert 'box0 -->|"#91;1#93; (2, 2)"| box1' in to_mermaid(seen)


# -- groups -----------------------------------------------------------------------------------


def test_scopes_are_nested_and_closed():
    groups = [Group(1, 0, "scope", "net"), Group(2, 1, "scope", "inner"), Group(3, 1, "scope", "other")]
    boxes = [Box(i, "op", text="exp", group=group) for i, group in enumerate([2, 1, 2, 0, 3])]
    chart = to_mermaid(View("y", "1", boxes=boxes, groups=groups))
    assert [line for line in chart.splitlines() if re.match(r" +(subgraph|end|box)", line)] == [
        '  subgraph group1["net"]',
        '    subgraph group2["inner"]',
        '      box0("<b>exp</b>"):::op',
        '      box2("<b>exp</b>"):::op',
        "    end",
        '    box1("<b>exp</b>"):::op',
        '    subgraph group3["other"]',
        '      box4("<b>exp</b>"):::op',
        "    end",
        "  end",
        '  box3("<b>exp</b>"):::op',
    ]


def test_scopes_inside_each_other_come_to_an_end():
    groups = [Group(1, 2, "scope", "a"), Group(2, 1, "scope", "b")]
    boxes = [Box(0, "op", text="exp", group=1), Box(1, "op", text="exp", group=2)]
    chart = to_mermaid(View("y", "1", boxes=boxes, groups=groups))
    assert chart.count("subgraph ") == chart.count("  end\n")
    assert len(set(re.findall(r"subgraph (\w+)", chart))) == chart.count("subgraph ")
    assert chart.count("box0(") == chart.count("box1(") == 1


def test_scopes_as_deep_as_one_likes():
    n = 2000
    groups = [Group(i, i - 1, "scope", "s") for i in range(1, n)]
    chart = to_mermaid(View("y", "1", boxes=[Box(0, "op", text="exp", group=n - 1)], groups=groups))
    assert chart.count("subgraph ") == n - 1


# -- hostile names ----------------------------------------------------------------------------


def named(name):
    """A view with `name` wherever a user, or what the user wrote, can put one."""
    boxes = [
        Box(0, "parameter", name, name + "/path", (1,), F, value=Summary(name), grad=Summary(name), group=1),
        Box(1, "op", name, name, (1,), F, name, name, (name,), (name,), group=1),
        Box(2, "folded", text=name, details=(name,)),
        Box(3, "result", name, name, (1,), F, value=Summary(name)),
    ]
    arrows = [Arrow(0, 1, (1,), name, part=name, role=name), Arrow(1, 2, (1,), F, part=name), Arrow(2, 3)]
    return View(name, name, (name,), boxes, arrows, [Group(1, 0, "scope", name, name)])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name):
    chart = to_mermaid(named(name), name)
    plain = to_mermaid(named("w"), "w")
    # Without its strings, the chart is that of a harmless name.
    empty = [re.sub(r'"[^"]*"', '""', text.split("---\n", 2)[2]) for text in (chart, plain)]
    assert empty[0] == empty[1]
    for label, expected in zip(labels(chart), labels(plain), strict=True):
        assert not PLAIN.sub("", label), label
        assert re.findall(r"<[^>]*>", label) == re.findall(r"<[^>]*>", expected)
        assert read(label).count(name) >= read(expected).replace("value", "").count("w")
    assert json.loads(chart.splitlines()[1].removeprefix("title: ")).startswith(name)


@pytest.mark.parametrize(
    "text", ["\\n", "fa:fa-car", "$$x$$", "ﬂ°lt¶ß", "[a](b)", "www.evil.com", "a@evil.com", "http://e"]
)
def test_what_is_read_in_spite_of_entities_is_parted(text):
    label = next(label for label in labels(to_mermaid(named(text))) if label.startswith("<b>"))
    assert "\u2060" in label
    assert text in read(label)


@pytest.mark.parametrize(
    "text", ["* * *", "1. list", "- list", "+ list", "===", "> quote", "# h", "[a][b]", "_x_", "a_b"]
)
def test_no_sign_of_markdown_starts_a_line(text):
    chart = to_mermaid(View("y", "1", boxes=[Box(0, "op", text="f", formula=text)]))
    line = labels(chart)[-1].split("<br/>")[1]
    assert not re.match(r"[*+=>#_[-](?!\d+;)|\d+\.", line)
    assert read(line).replace("\u2060", "") == text


@pytest.mark.parametrize("name", ["two\nlines\r\x1b[31m\x00\u202e\ud800", "x" * 30_000, " ", "", "<" * 30_000])
def test_names_that_are_no_text(name):
    chart = to_mermaid(named(name), name)
    assert len(chart) < 10_000
    assert len(chart.splitlines()) - len(to_mermaid(named("w")).splitlines()) in (0, -2)
    chart.encode()
    assert not [c for c in chart if c < " " and c != "\n"]


# -- limits -----------------------------------------------------------------------------------


def long_chain(n, words):
    """A View of n ops whose lines are each `words` long."""
    about = "word " * words
    boxes = [
        Box(i, "op", shape=(3,), dtype=F, text="exp", formula=f"formula {about}", rules=(f"rule {about}",),
            details=(f"detail {about}",), value=Summary(f"text {about}"))
        for i in range(n)
    ]  # fmt: skip
    return View("y", "1", boxes=boxes, arrows=[Arrow(i, i + 1, (3,), F, rms=0.5) for i in range(n - 1)])


def test_long_charts_leave_out_the_least():
    kept = []
    for n in (50, 150, 220, 300, 450):
        chart = to_mermaid(long_chain(n, 12))
        assert len(chart) <= 50_000
        assert chart.count("<b>") == n
        kept.append([word in chart for word in ("formula", "text word", "detail", "rule")])
    assert kept[0] == [True] * 4
    assert kept[-1] == [False] * 4
    assert all(words == sorted(words, reverse=True) for words in kept)
    assert len(set(map(tuple, kept))) >= 4


def test_astral_signs_count_twice():
    seen = long_chain(100, 0)
    seen = replace(seen, boxes=[replace(box, rules=("🙂" * 80,) * 3) for box in seen.boxes])
    assert "🙂" not in to_mermaid(seen)


def test_a_recorded_graph_of_150_boxes_is_within_the_limits():
    rng = np.random.default_rng(0)
    h, W = (tg.Tensor(rng.normal(size=s), requires_grad=True, name="W") for s in ((3,), (3, 3)))
    with tg.inspect():
        for i in range(60):
            h = np.tanh(W @ h) + np.sin(h) * i if i % 7 else h * h
        loss = np.sum(h)
        loss.backward()
    seen = folded(view(loss))
    chart = to_mermaid(seen)
    assert len(seen.boxes) > 100
    assert len(chart.encode("utf-16-le")) // 2 <= 50_000
    assert len(re.findall(r"--?>\|", chart)) <= 500
    assert "dx = g" in chart
