"""What tg.draw() gives: files in every format, the programs that draw them, and what a notebook shows."""

import html
import os
import re
import shutil
import stat
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from drawing import needs_renderer, network, scalar_graph, text_of, use

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph import picture as pictures
from tinygrad_np.graph.render import RendererNotFound, RenderError

graphviz = pytest.importorskip("graphviz")

HTML = b"<!doctype html"
START = {
    "html": HTML, "htm": HTML, "svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF-", "dot": b"digraph", "gv": b"digraph",
    "mmd": b"---", "mermaid": b"---", "txt": b"loss = 16", "text": b"loss = 16", "table": b"loss = 16",
}  # fmt: skip
TEXT = {"html": "html", "htm": "html", "dot": "dot", "gv": "dot", "mmd": "mermaid", "txt": "text", "table": "table"}
"""Formats that need no program, by the endings of their files."""


@pytest.fixture
def picture():
    return tg.draw(scalar_graph()[0])


def program(folder, script, name="dot"):
    """A program of the name `dot` that does something else."""
    file = folder / name
    file.write_text(script)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Makes a shell script the `dot` that is found first."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda commands: program(folder, f"#!/bin/sh\n{commands}\n")


class Tags(HTMLParser):
    """The tags of a page and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


# -- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", START)
def test_a_file_has_the_format_of_its_ending(picture, tmp_path, ending):
    if ending in ("svg", "png", "pdf") and not shutil.which("dot"):
        pytest.skip("needs dot")
    path = tmp_path / f"graph.{ending}"
    assert picture.save(path) == str(path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes().lower().startswith(START[ending].lower())


@pytest.mark.parametrize("ending", TEXT)
def test_texts_need_no_program(monkeypatch, picture, tmp_path, ending):
    use(monkeypatch, None)
    path = tmp_path / f"graph.{ending}"
    picture.save(str(path))
    assert path.read_text("utf-8") == picture.to(TEXT[ending]) == picture.to(ending)
    assert isinstance(picture.to(ending), str)


@needs_renderer
@pytest.mark.parametrize("name", ["GRAPH.SVG", "graph.Svg", "a.png.svg", "two words.svg", "größe 🙂.svg", "-o.svg"])
def test_unusual_names_of_files(picture, tmp_path, name):
    picture.save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert ET.parse(tmp_path / name).getroot().tag.endswith("svg")


@needs_renderer
def test_pipe_gives_bytes_or_text(picture):
    assert picture.pipe() == picture.pipe("svg") == picture.to("svg")
    assert picture.pipe(format="png").startswith(START["png"])
    assert picture.pipe("svg", encoding="utf-8") == picture.to("svg").decode()
    assert picture.pipe("dot") == picture.source.encode()
    assert picture.pipe("text", "utf-8") == picture.to("text")


def test_render_is_save(picture, tmp_path):
    assert picture.render(outfile=tmp_path / "a.txt") == picture.render(tmp_path / "a.txt") == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text("utf-8") == picture.to("text")


def test_what_is_printed(picture):
    assert f"{picture}\n" == picture.to("text")
    assert repr(picture) == f"<picture of loss: {len(picture.view.boxes)} boxes>"
    x = tg.Tensor(1.0, requires_grad=True)
    assert repr(tg.draw(x * x)) == "<picture of a tensor: 3 boxes>"


def test_the_digraph_of_the_package_graphviz(picture):
    assert isinstance(picture.digraph, graphviz.Digraph)
    assert picture.digraph is picture.digraph
    assert picture.digraph.source == picture.source


def test_a_title_stands_in_every_text(tmp_path):
    picture = tg.draw(scalar_graph()[0], "A title <of> mine")
    for format in ("dot", "html", "mermaid", "text"):
        shown = html.unescape(picture.to(format).replace("#60;", "<").replace("#62;", ">").replace("\\u003c", "<"))
        assert "A title <of> mine" in shown.replace("\\u003e", ">").replace("#lt;", "<").replace("#gt;", ">"), format


@pytest.mark.parametrize("format", ["", ".", "s-vg", "svg:cairo", "../x", "a b", "-v"])
def test_what_is_no_format(picture, format):
    with pytest.raises(AutogradError, match=r"no format of a picture: write one of dot, html, .*svg, png, pdf"):
        picture.to(format)


@pytest.mark.skipif(not shutil.which("dot"), reason="needs dot")
def test_a_format_that_dot_does_not_know(picture, tmp_path):
    with pytest.raises(AutogradError, match=r"^'nonsense' is no format of a picture: write one of dot, html, mermaid"):
        picture.save(tmp_path / "graph.nonsense")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["graph", "graph.", ".svg", "folder.svg/graph"])
def test_a_file_without_an_ending(picture, tmp_path, name):
    with pytest.raises(AutogradError, match=r"ending that says the format|no format of a picture"):
        picture.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


# -- files ------------------------------------------------------------------------------------


def test_folders_are_made(picture, tmp_path):
    path = tmp_path / "new" / "newer" / "graph.txt"
    picture.save(path)
    assert path.read_text("utf-8") == picture.to("text")


def test_a_path_relative_to_the_working_directory(monkeypatch, picture, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert picture.save("graph.txt") == "graph.txt"
    assert os.listdir(tmp_path) == ["graph.txt"]


def test_an_older_file_is_replaced(picture, tmp_path):
    path = tmp_path / "graph.txt"
    path.write_text("x" * 100_000)
    picture.save(path)
    assert path.read_text("utf-8") == picture.to("text")
    assert os.listdir(tmp_path) == ["graph.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_has_the_usual_rights(picture, tmp_path, umask):
    before = os.umask(umask)
    try:
        picture.save(tmp_path / "graph.txt")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "graph.txt").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_an_older_file_stays_where_writing_fails(monkeypatch, picture, tmp_path, step, error):
    path = tmp_path / "graph.txt"
    path.write_text("old")

    def fail(*args, **options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(error)):
            picture.save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["graph.txt"]


def test_an_older_file_stays_where_drawing_fails(picture, tmp_path, fake):
    fake("echo no luck >&2; exit 3")
    path = tmp_path / "graph.svg"
    path.write_text("old")
    with pytest.raises(RenderError):
        picture.save(path)
    assert path.read_text() == "old"


def test_a_path_that_cannot_be_written(picture, tmp_path):
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "file").write_text("old")
    for path in ("folder.txt", "file/graph.txt"):
        with pytest.raises(OSError, match=re.escape(path.split("/")[0])):
            picture.save(tmp_path / path)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.txt"]
    assert os.listdir(tmp_path / "folder.txt") == []


def test_a_name_as_long_as_the_file_system_allows(picture, tmp_path):
    name = "x" * 251 + ".txt"
    (tmp_path / name).touch()
    picture.save(tmp_path / name)
    assert (tmp_path / name).read_text("utf-8") == picture.to("text")


# -- programs ---------------------------------------------------------------------------------


def test_dot_is_given_the_source(picture, fake):
    fake('echo "$@"; cat')
    arguments, source = picture.to("svg").decode().split("\n", 1)
    assert arguments == "-Kdot -Tsvg"
    assert source == picture.source


def test_what_dot_warns_of_is_no_error(picture, fake):
    fake("echo careful >&2; echo drawn")
    assert picture.to("svg") == b"drawn\n"


def test_dot_fails(picture, fake):
    fake("echo drawn in part; echo 'syntax error in line 7' >&2; exit 1")
    with pytest.raises(RenderError, match="dot could not draw this as svg: syntax error in line 7") as caught:
        picture.to("svg")
    assert isinstance(caught.value, AutogradError)
    fake("kill -SEGV $$")
    with pytest.raises(RenderError, match="dot could not draw this as png"):
        picture.to("png")
    fake("head -c 100000 /dev/zero | tr '\\0' e >&2; printf '\\377' >&2; exit 1")
    with pytest.raises(RenderError) as caught:
        picture.to("svg")
    assert len(str(caught.value)) < 1000


def test_dot_that_does_not_start(picture, tmp_path, fake):
    fake("").write_text("#!/no/such/shell\n")
    with pytest.raises(AutogradError, match="dot"):
        picture.to("svg")


def test_dot_is_too_slow(picture, tmp_path, fake):
    fake("exec sleep 20")
    started = time.perf_counter()
    with pytest.raises(RenderError, match=r"dot did not lay this graph out within 0.2 seconds\..*limit=50.*html"):
        picture.to("svg", seconds=0.2)
    with pytest.raises(RenderError, match=r"within 0.2 seconds"):
        picture.save(tmp_path / "graph.png", seconds=0.2)
    assert time.perf_counter() - started < 10
    assert not (tmp_path / "graph.png").exists()
    # Text is not drawn by it.
    assert picture.to("html", seconds=0.001)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_without_a_program_a_page_is_written(monkeypatch, picture, tmp_path, ending):
    use(monkeypatch, None)
    with pytest.raises(RendererNotFound, match=r"pip install graphviz-pure.* html, mermaid and text need none"):
        picture.to(ending)
    with pytest.warns(UserWarning, match=r"pip install graphviz-pure.*Wrote .*graph\.html instead") as caught:
        assert picture.save(tmp_path / f"graph.{ending}") == str(tmp_path / "graph.html")
    assert caught[0].filename == __file__
    assert (tmp_path / "graph.html").read_text("utf-8") == picture.to("html")
    assert os.listdir(tmp_path) == ["graph.html"]


def test_graphviz_pure_draws_no_pdf(monkeypatch, picture, tmp_path):
    use(monkeypatch, "graphviz-pure")
    with pytest.raises(RendererNotFound, match=r"graphviz-pure could not draw this as pdf.*svg and png"):
        picture.to("pdf")
    with pytest.warns(UserWarning, match=r"install Graphviz.*Wrote .*graph\.html instead"):
        picture.save(tmp_path / "graph.pdf")
    assert os.listdir(tmp_path) == ["graph.html"]


# -- notebooks --------------------------------------------------------------------------------


@needs_renderer
def test_a_notebook_shows_an_svg_no_wider_than_the_page(picture):
    shown = picture._repr_mimebundle_()
    assert sorted(shown) == ["image/svg+xml", "text/plain"]
    root = ET.fromstring(shown["image/svg+xml"].encode())
    assert "max-width: 100%" in root.get("style")
    assert "loss = 16" in text_of(root)
    assert shown["text/plain"] == str(picture)
    picture._repr_mimebundle_(include=["text/plain"], exclude=None)


@needs_renderer
def test_a_picture_too_large_for_a_notebook_is_text(monkeypatch, picture):
    size = len(picture.to("svg").decode())
    monkeypatch.setattr(pictures, "NOTEBOOK_BYTES", size - 1)
    shown = picture._repr_mimebundle_()
    assert list(shown) == ["text/plain"]
    assert "too large for a notebook: write picture.save('graph.html')" in shown["text/plain"]
    assert str(picture) in shown["text/plain"]
    monkeypatch.setattr(pictures, "NOTEBOOK_BYTES", size)
    assert "image/svg+xml" in picture._repr_mimebundle_()


@pytest.mark.parametrize("reason", ["no program", "an error", "too slow"])
def test_a_notebook_without_an_svg_shows_the_page(monkeypatch, fake, reason):
    picture = tg.draw(network(), title='"></iframe><script>alert(1)</script>')
    if reason == "no program":
        use(monkeypatch, None)
    else:
        monkeypatch.setattr(pictures, "NOTEBOOK_SECONDS", 0.2)
        fake("exec sleep 20" if reason == "too slow" else "exit 1")
    shown = picture._repr_mimebundle_()
    assert sorted(shown) == ["text/html", "text/plain"]
    (frame,) = Tags(shown["text/html"]).found
    assert frame[0] == "iframe"
    assert frame[1]["srcdoc"] == picture.to("html")
    words = {"no program": "pip install graphviz-pure", "an error": "could not draw", "too slow": "within 0.2 seconds"}
    assert words[reason] in shown["text/plain"]
    assert str(picture) in shown["text/plain"]


def test_a_page_too_large_for_a_notebook_is_text(monkeypatch, picture):
    use(monkeypatch, None)
    monkeypatch.setattr(pictures, "NOTEBOOK_BYTES", 1000)
    shown = picture._repr_mimebundle_()
    assert list(shown) == ["text/plain"]
    assert "too large for a notebook" in shown["text/plain"]


# -- what a picture is of ---------------------------------------------------------------------


def test_a_picture_stays_as_it_was_drawn():
    x = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True, name="x")
    y = np.sum(x * x)
    picture = tg.draw(y)
    y.backward()
    x.data[:] = 7
    later = tg.draw(y).to("text")
    # Made only now, from what was seen then.
    for format in ("text", "dot", "html", "mermaid", "table"):
        assert "[7 7]" not in picture.to(format)
    assert "[1 2]" in picture.to("text")
    assert "[7 7]" in later
    assert "↑" not in re.sub("↑ size.*", "", picture.to("text"))
    assert "[2 4]" in later
