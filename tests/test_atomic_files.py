"""Files are replaced whole: killed, interrupted or without space, the old one or the new one is there."""

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from saved_states import ENDINGS, posix, same

from tinygrad_np.serialize import load, save

WRITER = """
import sys, numpy as np
from tinygrad_np.serialize import save
for i in range(10**6):
    save(sys.argv[1], {"i": i, "parts": [np.full(300_000, i) for _ in range(4)]})
    if i == 0:
        print("ready", flush=True)
"""


@posix
@pytest.mark.parametrize("ending", ENDINGS)
def test_killed_at_any_moment_a_whole_file_is_there(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    save(path, {"i": -1, "parts": []})
    for delay in (0.05, 0.083, 0.11):
        child = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        state = load(path)
        assert all((part == state["i"]).all() and part.shape == (300_000,) for part in state["parts"])
    assert state["i"] >= 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=type)
@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "os.chmod"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch, ending, place, error):
    path = tmp_path / f"x.{ending}"
    save(path, {"old": np.ones(3)})

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(place, fail)
        with pytest.raises(type(error)):
            save(path, {"new": np.ones(3)})
    assert same(load(path), {"old": np.ones(3)})
    assert os.listdir(tmp_path) == [path.name]


def test_a_failure_in_the_middle_of_an_archive(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    save(path, [1])
    write, written = np.lib.format.write_array, []

    def fail_later(*arguments, **options):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(1)
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(np.lib.format, "write_array", fail_later)
        with pytest.raises(OSError, match="No space left") as caught:
            save(path, [np.ones(10)] * 3)
    assert caught.value.__notes__ == [f"{path} was not written, and is as it was before."]
    assert load(path) == [1]
    assert os.listdir(tmp_path) == ["x.npz"]


@posix
def test_synced_before_it_is_renamed(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(stat.S_ISDIR(os.fstat(handle).st_mode)), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    save(tmp_path / "x.npz", np.ones(3))
    assert done == [False, "replace", True]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_new_file_has_the_usual_rights(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save(tmp_path / "x.npz", {})
    finally:
        os.umask(before)
    assert (tmp_path / "x.npz").stat().st_mode & 0o777 == mode


@posix
def test_an_older_file_keeps_its_rights_and_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "real.npz", tmp_path / "link.npz"
    save(real, 1)
    real.chmod(0o604)
    link.symlink_to(real)
    save(link, 2)
    assert link.is_symlink()
    assert load(real) == load(link) == 2
    assert real.stat().st_mode & 0o777 == 0o604
    assert os.listdir(tmp_path / "far") == ["real.npz"]


def test_folders_on_the_way_are_made(tmp_path, monkeypatch):
    save(tmp_path / "a" / "b" / "x.npz", 1)
    assert load(str(tmp_path / "a" / "b" / "x.npz")) == 1
    monkeypatch.chdir(tmp_path)
    save("here.NPZ", 2)
    assert load("here.NPZ") == 2


@posix
@pytest.mark.parametrize("name", ["a" * 251, "\N{SNOWMAN}" * 83 + "aa", "\N{GRINNING FACE}" * 62 + "aaa"], ids=len)
def test_a_name_as_long_as_may_be(tmp_path, name):
    save(tmp_path / f"{name}.npz", 1)
    assert os.listdir(tmp_path) == [f"{name}.npz"]


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "x.npz").mkdir()
    with pytest.raises(IsADirectoryError, match=r"x\.npz cannot be written: it is a folder"):
        save(tmp_path / "x.npz", 1)
    assert os.listdir(tmp_path) == ["x.npz"]
