"""What fit() shows: lines in a log, a bar on a terminal, nothing if it should be silent."""

import io
import re
import sys

import pytest
from training_run import parts

from tinygrad_np.serialize import load
from tinygrad_np.training import EarlyStopping, fit
from tinygrad_np.training.reporting import Reporter


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_where_there_is_no_terminal(capsys):
    fit(**{**parts(), "progress": True}, epochs=10)
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert len([text for text in lines if text.startswith("epoch ")]) == 10
    assert lines[0].startswith("epoch  1/10  loss 0.")
    assert "val_accuracy 0." in lines[0]
    assert not any(ord(c) < 32 for text in lines for c in text)


@pytest.mark.parametrize(
    ("progress", "options", "shown"),
    [
        (3, {}, [3, 6, 8]),
        (8, {}, [8]),
        (100, {}, [8]),
        (3, {"callback": lambda history: len(history) == 4}, [3, 4]),
        (3, {"early_stopping": EarlyStopping(1, "same", mode="max")}, [2]),
        (False, {}, []),
        (0, {}, []),
    ],
)
def test_every_so_many_epochs_and_the_last(progress, options, shown, capsys):
    run = {**parts(), "metrics": {"same": lambda output, target: 0.0}, "early_stopping": None, "progress": progress}
    fit(**{**run, **options}, epochs=8)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [int(re.match(r"epoch +(\d+)/8 ", line)[1]) for line in lines] == shown


def test_the_line_comes_when_the_epoch_is_in_the_file(tmp_path, monkeypatch):
    path, found = tmp_path / "run.npz", []
    show = Reporter.epoch

    def look(self, numbers, is_last):
        found.append((numbers["epoch"], load(path)["epoch"]))
        show(self, numbers, is_last)

    monkeypatch.setattr(Reporter, "epoch", look)
    fit(**parts(), epochs=3, checkpoint=path)
    assert found == [(1, 1), (2, 2), (3, 3)]


def test_silence(capsys):
    fit(**parts(), epochs=2)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(**{**parts(), "progress": True}, epochs=2)
    assert "epoch 1/2" in terminal.getvalue()
    assert "5/5" in terminal.getvalue() or "0/5" in terminal.getvalue()
    assert capsys.readouterr().out.startswith("epoch 1/2  loss")


def test_without_tqdm(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(**{**parts(), "progress": True}, epochs=2)
    assert terminal.getvalue() == 'A bar for the batches needs tqdm: pip install "tinygrad_np[examples]".\n'
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_bar_is_closed_when_a_batch_raises(monkeypatch):
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def fail(output, target):
        raise RuntimeError("in the loss")

    with pytest.raises(RuntimeError, match="in the loss") as caught:
        fit(**{**parts(), "progress": True, "loss": fail}, epochs=2)
    # The traceback comes on an empty line, and keeps all frames alive until then.
    assert caught.tb is not None
    assert "0/5" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")
