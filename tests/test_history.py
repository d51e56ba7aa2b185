"""The history of a run: columns, tables, files, pictures."""

import math
import os
import re
import sys

import numpy as np
import pytest

from tinygrad_np.training import History


@pytest.fixture
def history():
    history = History()
    for epoch in (1, 2, 3):
        history.append(epoch=epoch, loss=1 / epoch, accuracy=0.1 * epoch, val_loss=2 / epoch, lr=0.1, seconds=0.5)
    return history


def test_columns(history):
    assert history["loss"] == [1.0, 0.5, 1 / 3]
    assert history["epoch"] == [1, 2, 3]
    assert len(history) == 3
    assert "val_loss" in history
    assert "x" not in history
    with pytest.raises(KeyError, match=r"'x'.*epoch, loss, accuracy"):
        history["x"]


def test_what_a_line_lacks_is_nan():
    history = History()
    history.append(a=1.0)
    history.append(b=2.0)
    assert history["a"][0] == 1
    assert math.isnan(history["a"][1])
    assert math.isnan(history["b"][0])
    assert str(history) == "a  b\n1   \n   2"


def test_columns_of_different_lengths():
    with pytest.raises(ValueError, match="'a' 2, 'b' 1"):
        History({"a": [1, 2], "b": [1]})


def test_a_table(history):
    lines = str(history).splitlines()
    assert lines[0].split() == ["epoch", "loss", "accuracy", "val_loss", "lr", "seconds"]
    assert lines[3].split() == ["3", "0.3333", "0.3", "0.6667", "0.1", "0.5"]
    assert len({len(line) for line in lines}) == 1
    assert str(History()) == "(no epochs yet)"
    assert repr(history).startswith("<History of 3 epochs: epoch, loss")


def test_a_table_in_html():
    history = History({"a<b": [1.5, math.nan]})
    assert re.sub(r"</?t(able|head|body|r)>", "", history._repr_html_()) == "<th>a&lt;b</th><td>1.5</td><td></td>"


def test_csv_keeps_every_digit(history, tmp_path):
    history.append(epoch=4, loss=math.nan, accuracy=math.inf, val_loss=-1e-300, lr=0.1 + 0.2)
    history.to_csv(tmp_path / "runs" / "h.csv")
    loaded = History.from_csv(tmp_path / "runs" / "h.csv")
    assert repr(loaded.columns) == repr(history.columns)
    assert os.listdir(tmp_path / "runs") == ["h.csv"]
    table = np.genfromtxt(tmp_path / "runs" / "h.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(table["loss"], history["loss"])


def test_csv_is_replaced_whole(history, tmp_path, monkeypatch):
    path = tmp_path / "h.csv"
    path.write_text("old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        history.to_csv(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["h.csv"]


@pytest.mark.parametrize(("text", "message"), [("a,b\n1,2\n3\n", "line 3"), ("a\n1\nhello\n", "line 3.*hello")])
def test_another_file(tmp_path, text, message):
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        History.from_csv(tmp_path / "h.csv")


def test_an_empty_history(tmp_path):
    History().to_csv(tmp_path / "h.csv")
    assert len(History.from_csv(tmp_path / "h.csv")) == 0


def test_a_plot(history, tmp_path):
    pytest.importorskip("matplotlib")
    figure = history.plot("A run")
    drawn = {line.get_label(): list(line.get_ydata()) for axes in figure.axes for line in axes.get_lines()}
    assert drawn == {name: history[name] for name in ("loss", "accuracy", "val_loss")}
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert figure.get_suptitle() == "A run"
    figure.savefig(tmp_path / "h.png")
    assert (tmp_path / "h.png").stat().st_size > 1000
    history.append(epoch=4, loss=0.2, lr=0.05)
    assert [axes.get_ylabel() for axes in history.plot().axes] == ["loss", "accuracy", "lr"]
    assert len(History().plot().axes) == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 12, 200])
def test_ticks_are_epochs(epochs):
    pytest.importorskip("matplotlib")
    (axes,) = History({"epoch": [*range(1, epochs + 1)], "loss": [0.5] * epochs}).plot().axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == int(tick) for tick in ticks)


def test_a_plot_without_matplotlib(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'History\.plot\(\) needs matplotlib.*pip install "tinygrad_np\[examples\]"'):
        history.plot()
