"""Pictures whose names are hostile, and the programs that draw them."""

import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from drawing import drawn, lines_of, needs_renderer, scalar_graph, svg, text_of, use

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph.parts import SHOW, Arrow, Box, Group, Summary, View
from tinygrad_np.graph.picture import Picture
from tinygrad_np.graph.render import RenderError
from tinygrad_np.graph.words import NAME, cleaned

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


def draw_names(name, **options):
    """A picture with `name` wherever a user can put one."""
    with tg.scope(name, f"in {name}"):
        leaf = tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name)
        op = leaf * 2
        op.name = name
    part = np.unstack(op)[0]
    part.name = name
    root = np.sum(part * 3)
    root.name = name
    return tg.draw(root, title=name, **options)


@needs_renderer
@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_text(monkeypatch, program, name):
    use(monkeypatch, program)
    plain, tree = svg(draw_names("w")), svg(draw_names(name))
    for kind in ("node", "edge", "graph", "cluster"):
        assert len(drawn(tree, kind)) == len(drawn(plain, kind))
    links = [value for element in tree.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert not [link for link in links if link]
    assert {element.tag for element in tree.iter()} == {element.tag for element in plain.iter()}
    shown = [line.replace("\xa0", " ") for line in lines_of(tree)]
    # In the leaf, in the op, on the arrow, in the root and in the title.
    assert sum(name in line for line in shown) >= 5, shown
    (frame,) = drawn(tree, "cluster")
    assert lines_of(frame)[0].replace("\xa0", " ").split() == f"{name} in {name}".split()


@needs_renderer
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_folded_groups_and_in_the_backward_pass(name):
    def seen(name, **options):
        tree = svg(draw_names(name, **options))
        counts = [len(drawn(tree, kind)) for kind in ("node", "edge", "cluster")]
        return counts, text_of(tree).replace("\n", " ")

    for options in ({"depth": 0}, {"backward": True}):
        counts, text = seen(name, **options)
        assert counts == seen("w", **options)[0]
        assert name in text
    assert f"operations ({name})" in seen(name, depth=0)[1]


@needs_renderer
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_ops(name):
    def own(x):
        return x * 2, lambda g: g * 2

    own.__name__ = name
    y = tg.custom_gradient(own)(tg.Tensor(2.0, requires_grad=True))
    op = drawn(svg(tg.draw(y)), "node")[1]
    # The brackets of <lambda> are taken off.
    assert lines_of(op)[0].replace("\xa0", " ") == name.strip("<>")


@needs_renderer
@pytest.mark.parametrize("name", HOSTILE)
def test_every_string_of_a_box_an_arrow_and_a_frame_is_text(name):
    def tree_of(text):
        value = Summary(text, 1.0, bad=1, low=0.0, high=1.0, counts=(1, 2))
        strings = {"path": f"{text}.", "text": text, "details": (text,), "rules": (text,)}
        strings |= {"place": text, "code": text, "saved": ((text, 8),), "value": value, "grad": value}
        kinds = ["parameter", "data", "op", "folded", "result"]
        boxes = [Box(i, kind, text, **strings) for i, kind in enumerate(kinds)]
        arrows = [Arrow(i, i + 1, (2,), role=text, part=text, rms=1.0) for i in range(4)]
        view = View(text, text, (text,), boxes, arrows, [Group(0, 0, "root")])
        return svg(Picture(view, text, SHOW))

    plain, tree = tree_of("§"), tree_of(name)
    assert Counter(element.tag for element in tree.iter()) == Counter(element.tag for element in plain.iter())
    shown = "\n".join(lines_of(tree)).replace("\xa0", " ")
    assert shown.count(name) == "\n".join(lines_of(plain)).count("§") > 40


@needs_renderer
def test_names_that_are_no_text():
    assert cleaned("a\x00b\x1b[31m\nc\td\u202ee\ud800") == "a�b�[31m c d�e�"
    picture = draw_names("a\x00b\x1b[31m\nc\td\u202ee\ud800\ufffe")
    assert "a�b�[31m c d�e��" in text_of(svg(picture))
    for blank in ("", " ", "\n"):
        assert len(drawn(svg(draw_names(blank)), "node")) == len(drawn(svg(draw_names("w")), "node"))


def test_long_names_are_cut():
    picture = draw_names("é" * 30_000)
    assert len(picture.source) < 20_000
    assert "é" * (NAME - 1) + "…" in picture.source
    # What stands beside the name of a scope may be longer.
    assert set(map(len, re.findall("é+", picture.source))) == {NAME - 1, 76}


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
    tree = svg(tg.draw(scope["y"], show="source"))
    tooltips = [value.strip() for e in tree.iter() for key, value in e.attrib.items() if "title" in key]
    assert '<b>&lt;"; .py:1' in tooltips
    assert '<b>&lt;"; .py:1' in [line.replace("\xa0", " ").strip() for line in lines_of(tree)]


# -- files ------------------------------------------------------------------------------------


START = {"svg": b"<?xml", "png": b"\x89PNG"}


@pytest.mark.parametrize("format", ["svg", "png"])
@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_files_and_bytes(monkeypatch, tmp_path, program, format):
    use(monkeypatch, program)
    picture = tg.draw(scalar_graph()[0])
    path = tmp_path / "new" / f"graph.{format}"
    assert picture.save(path) == str(path)
    assert path.read_bytes().startswith(START[format])
    assert os.listdir(tmp_path / "new") == [f"graph.{format}"]
    assert picture.to(format).startswith(START[format])
    # As the package graphviz calls them.
    assert picture.pipe(format=format).startswith(START[format])
    assert picture.render(tmp_path / f"other.{format}") == str(tmp_path / f"other.{format}")
    assert (tmp_path / f"other.{format}").read_bytes().startswith(START[format])


def test_svg_as_text(monkeypatch):
    use(monkeypatch, "dot")
    assert tg.draw(scalar_graph()[0]).pipe(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("ending", ["dot", "gv"])
@pytest.mark.parametrize("program", ["dot", "graphviz-pure", None])
def test_dot_files_need_no_program(monkeypatch, tmp_path, program, ending):
    use(monkeypatch, program)
    picture = tg.draw(scalar_graph()[0])
    path = tmp_path / f"graph.{ending}"
    assert picture.save(path) == str(path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_text("utf-8") == picture.source


def test_the_digraph_of_the_package_graphviz():
    picture = tg.draw(scalar_graph()[0])
    assert isinstance(picture.digraph, graphviz.Digraph)
    assert picture.digraph.source == picture.source


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_a_notebook_shows_it(monkeypatch, program):
    use(monkeypatch, program)
    shown = tg.draw(scalar_graph()[0])._repr_mimebundle_()
    assert "loss = 16" in text_of(ET.fromstring(shown["image/svg+xml"].encode()))


def test_without_a_program_a_page_is_written(monkeypatch, tmp_path):
    use(monkeypatch, None)
    picture = tg.draw(scalar_graph()[0])
    with pytest.warns(UserWarning, match=r"pip install graphviz-pure.*Wrote .*graph\.html instead"):
        path = picture.save(tmp_path / "graph.svg")
    assert path == str(tmp_path / "graph.html")
    assert os.listdir(tmp_path) == ["graph.html"]
    assert "<html" in (tmp_path / "graph.html").read_text("utf-8")
    with pytest.raises(graphviz.ExecutableNotFound, match="pip install graphviz-pure") as caught:
        picture.to("svg")
    assert isinstance(caught.value, AutogradError)
    shown = picture._repr_mimebundle_()
    assert "pip install graphviz-pure" in shown["text/plain"]
    assert "loss = 16" in shown["text/plain"]
    assert shown["text/html"].startswith("<iframe srcdoc=")


def test_graphviz_pure_says_what_it_cannot_draw(monkeypatch):
    use(monkeypatch, "graphviz-pure")
    with pytest.raises(AutogradError, match=r"as pdf.*svg and png"):
        tg.draw(scalar_graph()[0]).to("pdf")


def programs(monkeypatch, folder, **scripts):
    """Make these shell scripts the only programs there are."""
    for name, script in scripts.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_dot_comes_before_graphviz_pure(monkeypatch, tmp_path):
    programs(monkeypatch, tmp_path, dot="echo dot", graphviz_pure="echo graphviz-pure")
    picture = tg.draw(scalar_graph()[0])
    assert picture.pipe(encoding="utf-8").strip() == "dot"
    (tmp_path / "dot").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert picture.pipe(encoding="utf-8").strip() == "graphviz-pure"


def test_a_program_that_fails_says_why(monkeypatch, tmp_path):
    programs(monkeypatch, tmp_path, dot="echo 'out of ink' >&2; exit 3")
    with pytest.raises(RenderError, match="dot could not draw this as svg: out of ink"):
        tg.draw(scalar_graph()[0]).to("svg")


def test_a_program_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    programs(monkeypatch, tmp_path, dot="exec sleep 60")
    with pytest.raises(RenderError, match=r"did not lay this graph out within 0\.2 seconds.*depth=1"):
        tg.draw(scalar_graph()[0]).to("svg", seconds=0.2)


@pytest.mark.parametrize("format", ["", "../svg", "svg -o/tmp/x", "-O"])
def test_what_is_no_format_is_refused(format):
    with pytest.raises(AutogradError, match=r"is no format of a picture: write one of dot, html"):
        tg.draw(scalar_graph()[0]).to(format)


def test_a_file_without_an_ending_is_refused(tmp_path):
    with pytest.raises(AutogradError, match="needs an ending that says the format"):
        tg.draw(scalar_graph()[0]).save(tmp_path / "graph")
    assert os.listdir(tmp_path) == []


def test_importing_the_package_does_not_import_graphviz():
    code = "import sys, tinygrad_np; sys.exit('graphviz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_package_graphviz(monkeypatch):
    for name in ("labels", "dot", "render", "picture"):
        monkeypatch.delitem(sys.modules, f"tinygrad_np.graph.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match="pip install graphviz graphviz-pure"):
        tg.draw(tg.Tensor(1.0))
