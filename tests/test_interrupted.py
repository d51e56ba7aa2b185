"""fit() killed, or stopped by Ctrl-C, at any moment: it goes on bit for bit, and says what is left."""

import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
import training_run
from saved_states import posix, same
from training_run import EPOCHS, parts, result, uninterrupted

from tinygrad_np import nn
from tinygrad_np.serialize import load
from tinygrad_np.training import fit


def start(path, *, epochs=EPOCHS, seconds=0.0):
    arguments = [sys.executable, training_run.__file__, str(path), str(epochs), str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(path, epoch, child):
    deadline = time.monotonic() + 60
    while not path.exists() or load(path)["epoch"] < epoch:
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.npz"
    assert start(path).communicate()[1] == ""
    return load(f"{path}.result.npz")


@posix
@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
def test_killed_in_the_middle_of_an_epoch(tmp_path, whole, kind):
    path = tmp_path / "run.npz"
    child = start(path, seconds=0.06)
    wait_for_epoch(path, 1, child)
    time.sleep(0.15)
    child.send_signal(getattr(signal, kind))
    error = child.communicate()[1]
    assert child.returncode != 0
    assert not Path(f"{path}.result.npz").exists()
    if kind == "SIGINT":
        assert "KeyboardInterrupt" in error
        assert f"{path} has everything as it was after epoch" in error
        assert "call fit() again to go on from there" in error
    assert start(path).communicate()[1] == ""
    assert same(load(f"{path}.result.npz"), whole)


def test_ctrl_c_has_the_history_and_leaves_the_modes(tmp_path):
    run = parts()
    run["model"][3].eval()

    def press(output, target):
        if presses := next(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return float(presses)

    calls = count()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(**{**run, "metrics": {"press": press}}, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    assert len(caught.value.history) == 1
    assert "Training stopped in epoch 2 of 4." in caught.value.__notes__[0]
    assert "after epoch 1" in caught.value.__notes__[0]
    assert [module.training for module in run["model"] if isinstance(module, nn.Module)] == [True, True, False, True]
    assert load(tmp_path / "run.npz")["epoch"] == 1


@posix
@pytest.mark.parametrize("place", ["os.replace", "os.open"])  # before the new file is there, and after
def test_ctrl_c_while_the_checkpoint_is_written(tmp_path, monkeypatch, place):
    name, whole = place.split(".")[1], getattr(os, place.split(".")[1])
    calls = count(1)

    def press(*arguments, **options):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(os, name, press)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(**parts(), epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    assert "after epoch 2, or after the one before" in caught.value.__notes__[0]
    assert load(tmp_path / "run.npz")["epoch"] == (1 if name == "replace" else 2)
    run = parts()
    assert same(result(run, fit(**run, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")), uninterrupted())
