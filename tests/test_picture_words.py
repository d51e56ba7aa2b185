"""Headings, notes and numbers of pictures: the same in every format, and true."""

import json
import re

import numpy as np
import pytest
from drawing import named, op

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.graph.view import view

FORMATS = ("text", "table", "mermaid", "dot", "html")


def parameter(values, name="x"):
    return tg.Tensor(np.asarray(values), requires_grad=True, name=name)


def heading(picture, format):
    """The first two lines of a picture, in which formats escape nothing that is looked for here."""
    content = picture.to(format)
    if format in ("text", "table"):
        return content.splitlines()[:2]
    if format == "mermaid":
        return re.search(r'title: "(.*)"', content)[1].split(" · ", 1)
    if format == "dot":
        return re.findall(r"<TD ALIGN=.LEFT.><FONT [^>]*>(?:<B>)?(.*?)(?:</B>)?</FONT></TD>", content)[:2]
    data = json.loads(re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', content, re.DOTALL)[1])
    return [data["title"], data["subtitle"]]


# -- headings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_all_dtypes_are_named_the_usual_first(format):
    a, b = parameter(np.ones(3, np.float32), "a"), parameter(np.ones(3), "b")
    y = np.sum((a * b)[np.array([0, 1])] * np.array([1, 2]))
    assert heading(tg.draw(y), format)[1].startswith("4 operations · 6 parameters · float64, float32, int64")


@pytest.mark.parametrize("format", FORMATS)
def test_dtypes_of_what_is_folded_are_named_too(format):
    x = parameter(np.ones(3))
    with tg.scope("inner"):
        h = np.exp(x).astype(np.float32) * np.float32(2)
    y = h.astype(np.float64) * 2
    assert "float64, float32" in heading(tg.draw(y, depth=0), format)[1]


@pytest.mark.parametrize("format", FORMATS)
def test_the_result_is_called_so_where_the_last_box_is_a_folded_one(format):
    with tg.scope("net"):
        y = np.sum(np.tanh(parameter(np.ones(3))))
    picture = tg.draw(y, backward=True, depth=0)
    assert picture.shown.boxes[-1].kind == "folded"
    assert heading(picture, format)[0] == f"result = {y.item():.5g}"


def test_what_is_folded_is_told_once():
    x = parameter(np.ones(3))
    h = x
    for _ in range(50):
        h = np.tanh(h * x)
    (note,) = tg.draw(np.sum(h), backward=True).shown.notes
    assert note.count("of the same structure") == 1


# -- complex numbers --------------------------------------------------------------------------


def complex_loss():
    z = parameter([1 + 2j, 3 - 4j], "z")
    return np.sum(np.abs(z * (2 - 1j)) ** 2)


@pytest.mark.parametrize("format", FORMATS)
def test_rules_and_gradients_of_complex_numbers_are_told_apart(format):
    y = complex_loss()
    y.backward()
    # What the rule of absolute says, g * conj(x) / out, is the conjugate of what is shown.
    product = op(view(y), "multiply")
    assert op(view(y), "absolute").rules == ("dx = g * conj(x) / out",)
    x = np.array([1 + 2j, 3 - 4j]) * (2 - 1j)
    ruled = 2 * np.abs(x) * x.conj() / np.abs(x)
    assert product.grad.text == tg.draw(tg.Tensor(ruled.conj())).view.boxes[0].value.text
    note = "gradients are shown as dL/dx + i dL/dy, and rules compute with their conjugates"
    shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), tg.draw(y).to(format))
    assert note in shown
    real = np.sum(np.sin(parameter([1.0])))
    assert "conjugate" not in tg.draw(real).view.notes


def test_the_drawn_backward_pass_is_said_to_be_conjugated():
    (note,) = view(complex_loss(), backward=True).notes
    assert "rules and the backward pass compute with their conjugates" in note


# -- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words", "size"),
    [(100.0, "100", "100"), (12345.6, "12346", "12346"), (0.00123456, "0.00123", "0.0012"), (1e6, "1e+06", "1e+06"),
     (-4321.0, "-4321", "4321"), (1e-7, "1e-07", "1e-07")],
)  # fmt: skip
def test_numbers_of_everyday_size_are_written_out(value, words, size):
    x = parameter([1.0, 2.0])
    y = np.sum(x * value)
    y.backward()
    assert named(view(y), "x").grad.text == f"[{words} {words}]"
    assert f"{size}" in tg.draw(y).source
    line = next(line for line in str(tg.draw(y)).splitlines() if "x parameter" in line)
    assert words in line


@pytest.mark.parametrize("format", ["text", "mermaid", "dot", "html"])
def test_every_format_shows_the_values_of_ops(format):
    x = parameter(np.arange(1.0, 4.0))
    assert "1 8 27" in tg.draw(np.sum(x**3)).to(format).replace("0.", "")


def test_how_many_ops_use_a_leaf():
    x = parameter([1.0, 2.0])
    picture = tg.draw(np.sum(x * x) + np.sum(3 * x))
    assert "x parameter, used by 2 ops" in str(picture)
    assert "used by 2 ops" in picture.source


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("several", [list, tuple])
def test_of_several_losses_the_sum_is_advised(several):
    losses = several([np.sum(parameter([1.0])), np.sum(parameter([2.0]))])
    with pytest.raises(AutogradError, match=rf"got {several.__name__}\..*their sum: draw\(a \+ b\)"):
        tg.draw(losses)


@pytest.mark.parametrize("format", [3, None, b"svg"])
def test_what_is_no_name_of_a_format(format):
    with pytest.raises(AutogradError, match=f"{format!r} is no format of a picture: write one of dot, html"):
        tg.draw(np.sum(parameter([1.0]))).to(format)


@pytest.mark.parametrize("seconds", ["x", None, True])
def test_what_is_no_number_of_seconds(seconds):
    with pytest.raises(TypeError, match=f"seconds={seconds!r} is no number.*Write seconds=60"):
        tg.draw(np.sum(parameter([1.0]))).to("svg", seconds=seconds)


@pytest.mark.parametrize("name", ["x.bogus", "x.md"])
def test_an_ending_that_is_no_format_is_answered_with_those_that_are(name, tmp_path):
    with pytest.raises(AutogradError, match=r"no format of a picture: write one of dot, html, mermaid, text"):
        tg.draw(np.sum(parameter([1.0]))).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
