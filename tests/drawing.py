"""Graphs to draw, and what reads the pictures: shared by the tests of the drawing."""

import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_np as tg

pytest.importorskip("graphviz")

from tinygrad_np.graph import render
from tinygrad_np.graph.view import view

PURE = render.graphviz_pure()
SVG = "{http://www.w3.org/2000/svg}"
needs_renderer = pytest.mark.skipif(not (shutil.which("dot") or PURE), reason="needs a program that draws")


def scalar_graph():
    a = tg.Tensor(2.0, requires_grad=True, name="a")
    b = tg.Tensor(-3.0, requires_grad=True, name="b")
    c = tg.Tensor(10.0, name="c")
    d = a * b + c
    d.name = "d"
    loss = d * d
    loss.name = "loss"
    return loss, (a, b, c, d)


def network():
    rng = np.random.default_rng(0)
    W1 = tg.Tensor(rng.normal(size=(5, 7)), requires_grad=True, name="W1")
    b1 = tg.Tensor(np.zeros((5, 1)), requires_grad=True, name="b1")
    x = tg.Tensor(rng.normal(size=(7, 3)), name="x")
    hidden = np.maximum(W1 @ x + b1, 0)
    loss = np.sum(np.exp(hidden) / np.sum(np.exp(hidden), axis=0, keepdims=True))
    loss.name = "loss"
    return loss


def boxes(tensor, kind):
    """The boxes of one kind in the data of a picture."""
    return [box for box in view(tensor).boxes if box.kind == kind]


def named(seen, name):
    """The first box with a name."""
    return next(box for box in seen.boxes if box.name == name)


def op(seen, text, nth=0):
    """The nth op whose text starts so."""
    return [box for box in seen.boxes if box.kind == "op" and box.text.startswith(text)][nth]


def into(seen, box):
    """The arrows into a box, in the order of its inputs."""
    return [arrow for arrow in seen.arrows if arrow.target == box.id]


def rms(array):
    """The root mean square, with numbers that neither overflow nor vanish in it."""
    return float(np.sqrt(np.mean(np.abs(np.asarray(array)).astype(np.longdouble) ** 2)))


def svg(picture):
    return ET.fromstring(picture.to("svg"))


def lines_of(element):
    """The text of an SVG element by line: graphviz writes a run of one font as an element of its own."""
    lines = {}
    for text in element.iter(f"{SVG}text"):
        lines.setdefault(text.get("y"), []).append(text)
    return ["".join(t.text for t in sorted(line, key=lambda t: float(t.get("x")))) for line in lines.values()]


def text_of(element):
    return "\n".join(lines_of(element)).replace("\xa0", " ")


def drawn(tree, kind):
    return [group for group in tree.iter(f"{SVG}g") if group.get("class") == kind]


def use(monkeypatch, program):
    """Make `program` the only renderer, or none."""
    found = {"dot": shutil.which("dot"), "graphviz-pure": PURE, None: ""}[program]
    if found is None:
        pytest.skip(f"needs {program}")
    if program != "dot":
        monkeypatch.setenv("PATH", "")
    if program is None:
        monkeypatch.setattr(render, "graphviz_pure", lambda: None)
    if program == "dot":
        monkeypatch.setattr(render, "graphviz_pure", lambda: pytest.fail("dot is there"))
