"""Pictures whose names are hostile, and the programs that draw them."""

import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from drawing import drawn, lines_of, needs_renderer, scalar_graph, svg, text_of, use

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph import dot

graphviz = pytest.importorskip("graphviz")

HOSTILE = [
    '<<b>x</b>> ]; evil [URL="javascript:1"',
    "<script>alert(1)</script>",
    '"]; evil -> worse; "',
    "<b>",
    "\\",
    'ends in "\\',
    "\\N \\G \\E \\l \\n",
    "a\\\\b",
    "{a|<b> c}",
    "&lt;b&gt; &amp; &#60;",
    "]]> <!-- -->",
    "שלום עולם",
    "مرحبا",
    "naïve 🙂",
    "1:2:n",
    "node",
]


# -- names are text ---------------------------------------------------------------------------


def draw_names(name):
    """A picture with `name` wherever a user can put one: leaf, op, part, root and title."""
    leaf = tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name)
    op = leaf * 2
    op.name = name
    part = np.unstack(op)[0]
    part.name = name
    root = np.sum(part * 3)
    root.name = name
    return tg.draw(root, title=name)


@needs_renderer
@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_text(monkeypatch, program, name):
    use(monkeypatch, program)
    plain, tree = svg(draw_names("w")), svg(draw_names(name))
    for kind in ("node", "edge", "graph"):
        assert len(drawn(tree, kind)) == len(drawn(plain, kind))
    links = [value for element in tree.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert not [link for link in links if link]
    assert {element.tag for element in tree.iter()} == {element.tag for element in plain.iter()}
    shown = [line.replace("\xa0", " ") for line in lines_of(tree)]
    # In the leaf, in the op, on the arrow, in the root and in the title.
    assert sum(name in line for line in shown) >= 5, shown


@needs_renderer
def test_names_that_are_no_text():
    assert dot.cleaned("a\x00b\x1b[31m\nc\td\u202ee\ud800") == "a�b�[31m c d�e�"
    picture = draw_names("a\x00b\x1b[31m\nc\td\u202ee\ud800\ufffe")
    assert "a�b�[31m c d�e��" in text_of(svg(picture))
    for blank in ("", " ", "\n"):
        assert len(drawn(svg(draw_names(blank)), "node")) == len(drawn(svg(draw_names("w")), "node"))


def test_long_names_are_cut():
    picture = draw_names("é" * 30_000)
    assert len(picture.source) < 20_000
    assert "é" * (dot.NAME - 1) + "…" in picture.source
    assert "é" * dot.NAME not in picture.source


def test_boxes_are_called_by_number():
    names = re.findall(r"^\t(\S+) \[label", draw_names('"]; evil').source, flags=re.MULTILINE)
    assert names
    assert all(name.isdigit() for name in names)


@needs_renderer
def test_the_place_of_an_op_is_its_tooltip():
    code = compile("y = x * x", 'evil/<b>&lt;"; .py', "exec")
    scope = {"x": tg.Tensor(2.0, requires_grad=True)}
    with tg.debug():
        exec(code, scope)
    tooltips = [value for e in svg(tg.draw(scope["y"])).iter() for key, value in e.attrib.items() if "title" in key]
    assert '<b>&lt;"; .py:1' in tooltips


# -- who draws --------------------------------------------------------------------------------


START = {"svg": b"<?xml", "png": b"\x89PNG"}


@pytest.mark.parametrize("format", ["svg", "png"])
@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_files_and_bytes(monkeypatch, tmp_path, program, format):
    use(monkeypatch, program)
    picture = tg.draw(scalar_graph()[0])
    path = tmp_path / "new" / f"graph.{format}"
    assert picture.render(outfile=path) == str(path)
    assert path.read_bytes().startswith(START[format])
    assert (tmp_path / "new" / "graph.gv").read_text("utf-8") == picture.source
    assert picture.pipe(format=format).startswith(START[format])
    other = picture.render("other", tmp_path, format=format, cleanup=True)
    assert other == str(tmp_path / f"other.{format}")
    assert sorted(os.listdir(tmp_path)) == ["new", f"other.{format}"]


@pytest.mark.parametrize("program", ["dot", "graphviz-pure", None])
def test_dot_files_need_no_program(monkeypatch, tmp_path, program):
    use(monkeypatch, program)
    picture = tg.draw(scalar_graph()[0])
    assert picture.render(outfile=tmp_path / "graph.dot") == str(tmp_path / "graph.dot")
    assert os.listdir(tmp_path) == ["graph.dot"]
    assert (tmp_path / "graph.dot").read_text("utf-8") == picture.source


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_a_notebook_shows_it(monkeypatch, program):
    use(monkeypatch, program)
    shown = tg.draw(scalar_graph()[0])._repr_mimebundle_()
    assert "loss = 16" in text_of(ET.fromstring(shown["image/svg+xml"].encode()))


def test_without_a_program_the_text_is_written(monkeypatch, tmp_path):
    use(monkeypatch, None)
    picture = tg.draw(scalar_graph()[0])
    with pytest.warns(UserWarning, match="pip install graphviz-pure"):
        path = picture.render(outfile=tmp_path / "graph.svg")
    assert path == str(tmp_path / "graph.gv")
    assert os.listdir(tmp_path) == ["graph.gv"]
    with pytest.raises(graphviz.ExecutableNotFound, match="pip install graphviz-pure") as caught:
        picture.pipe()
    assert isinstance(caught.value, AutogradError)
    shown = picture._repr_mimebundle_()["text/plain"]
    assert "pip install graphviz-pure" in shown
    assert picture.source in shown


def test_graphviz_pure_says_what_it_cannot_draw(monkeypatch):
    use(monkeypatch, "graphviz-pure")
    with pytest.raises(AutogradError, match=r"as pdf.*svg and png"):
        tg.draw(scalar_graph()[0]).pipe(format="pdf")


def test_dot_comes_before_graphviz_pure(monkeypatch, tmp_path):
    for name in ("dot", "graphviz-pure"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {name}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    picture = tg.draw(scalar_graph()[0])
    assert picture.pipe(encoding="utf-8").strip() == "dot"
    (tmp_path / "dot").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert picture.pipe(encoding="utf-8").strip() == "graphviz-pure"


def test_importing_the_package_does_not_import_graphviz():
    code = "import sys, tinygrad_np; sys.exit('graphviz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_package_graphviz(monkeypatch):
    monkeypatch.delitem(sys.modules, "tinygrad_np.graph.dot")
    monkeypatch.delitem(sys.modules, "tinygrad_np.graph.render")
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match="pip install graphviz graphviz-pure"):
        tg.draw(tg.Tensor(1.0))
