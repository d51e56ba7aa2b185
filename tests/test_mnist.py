"""The MNIST digits: the true ones, found wherever they are whole, and nothing else.

Most tests run on digits of 2x2 pixels, from a server in this process: the code is the same, the files are small.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_digits import GOOD, SHAPES, TINY, Server, assert_tiny, idx, npz, pass_for_mnist

from tinygrad_np.data import DataFileError, cache_directory, digits, files, mnist, read_mnist
from tinygrad_np.errors import AutogradError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(server, tmp_path, monkeypatch):
    """Small digits, a server for the mirrors, and none of them on this machine; gives the cache's file."""
    pass_for_mnist(monkeypatch)
    monkeypatch.setattr(digits, "REPOSITORY_FILE", tmp_path / "clone" / "mnist.npz")
    monkeypatch.setattr(digits, "NPZ_MIRROR", (server.url("mnist.npz"), len(GOOD)))
    monkeypatch.setattr(digits, "IDX_MIRROR", {name: (server.url(name), 100) for name in SHAPES})
    monkeypatch.setenv("TINYGRAD_NP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist.npz"


# -- the true digits ------------------------------------------------------------------------------


def test_the_digits_are_those_that_were_published():
    found = mnist(download=False)
    # How often each digit occurs.
    assert np.bincount(found.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(found.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # SHA-256 of the four published files, unpacked.
    assert {name: hashlib.sha256(idx(array)).hexdigest() for name, array in found._asdict().items()} == {
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    # Arrays of their own, to be written.
    found.x_test[0] = 0


def test_a_changed_byte_of_the_true_file_is_found(tmp_path):
    content = bytearray(digits.REPOSITORY_FILE.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "copy.npz"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match="is damaged") as caught:
        read_mnist(path)
    assert str(path) in str(caught.value)


# -- where they are looked for ----------------------------------------------------------------------


def test_each_place_is_looked_at_in_turn(tiny, server, tmp_path):
    named = tmp_path / "named.npz"
    for place in (named, digits.REPOSITORY_FILE, tiny):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(GOOD)
    for place in (named, digits.REPOSITORY_FILE, tiny):
        assert_tiny(mnist(named))
        place.unlink()
    assert server.asked == []
    server.content["mnist.npz"] = GOOD
    assert_tiny(mnist(named))
    assert server.asked == ["/mnist.npz"]
    # Kept: the server is not asked again.
    assert_tiny(mnist(named))
    assert server.asked == ["/mnist.npz"]
    assert not named.exists()


def test_the_second_mirror_has_the_original_files(tiny, server):
    server.content |= {name: gzip.compress(idx(array)) for name, array in TINY.items()}
    assert_tiny(mnist())
    assert server.asked == ["/mnist.npz", *(f"/{name}" for name in SHAPES)]
    assert_tiny(read_mnist(tiny))


def test_another_cache_directory(tiny, server, tmp_path):
    server.content["mnist.npz"] = GOOD
    assert_tiny(mnist(cache=tmp_path / "elsewhere" / "deep"))
    assert_tiny(read_mnist(tmp_path / "elsewhere" / "deep" / "mnist.npz"))
    assert not tiny.exists()


def damaged(how):
    content = bytearray(npz(TINY, np.savez))
    if how == "changed":
        content[content.index(TINY["x_test"].tobytes())] ^= 1
    return {"truncated": content[:-1], "half": content[: len(content) // 2], "empty": b""}.get(how, bytes(content))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("how", ["truncated", "half", "changed", "empty"])
def test_a_damaged_cache_is_fetched_again_and_replaced(how, tiny, server, capfd):
    tiny.parent.mkdir()
    tiny.write_bytes(damaged(how))
    with pytest.raises(DataFileError):
        read_mnist(tiny)
    server.content["mnist.npz"] = GOOD
    assert_tiny(mnist())
    assert_tiny(read_mnist(tiny))
    assert os.listdir(tiny.parent) == ["mnist.npz"]
    assert capfd.readouterr() == ("", "")


def test_a_named_file_that_is_something_else_stays(tiny, server, tmp_path):
    mine = tmp_path / "weights.npz"
    mine.write_bytes(npz({"W": np.zeros(3)}))
    before = mine.read_bytes()
    server.content["mnist.npz"] = GOOD
    assert_tiny(mnist(mine))
    assert mine.read_bytes() == before


# -- downloads that fail ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["truncated", "half", "changed", "empty", "page"])
def test_a_damaged_download_is_not_kept_and_the_next_mirror_asked(how, tiny, server):
    server.content["mnist.npz"] = b"<html>Log in to this network</html>" if how == "page" else damaged(how)
    server.content |= {name: gzip.compress(idx(array)) for name, array in TINY.items()}
    assert_tiny(mnist())
    assert len(server.asked) == 5
    server.content["x_test"] = server.content["x_train"]
    tiny.unlink()
    with pytest.raises(DataFileError, match="what came is not MNIST"):
        mnist()
    assert os.listdir(tiny.parent) == []


def test_an_interrupted_download_leaves_no_file(tiny, server):
    server.content["mnist.npz"], server.cut = GOOD, 10
    with pytest.raises(DataFileError, match=f"cut off after {len(GOOD) - 10:,} of"):
        mnist()
    assert not tiny.parent.exists()


def test_an_interrupted_write_leaves_the_old_file(tiny, server, monkeypatch):
    tiny.parent.mkdir()
    tiny.write_bytes(b"old")
    server.content["mnist.npz"] = GOOD

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mnist()
    assert os.listdir(tiny.parent) == ["mnist.npz"]
    assert tiny.read_bytes() == b"old"


def test_an_endless_download_is_stopped(tiny, server):
    server.content["mnist.npz"] = "endless"
    with pytest.raises(DataFileError, match="which is too much"):
        mnist()


def test_a_silent_or_too_slow_server_is_given_up(tiny, server, monkeypatch):
    server.content["mnist.npz"] = "silent"
    monkeypatch.setattr(files, "SILENCE", 0.1)
    with pytest.raises(DataFileError, match="timed out"):
        mnist()
    server.content["mnist.npz"] = GOOD
    monkeypatch.setattr(files, "PATIENCE", -1)
    with pytest.raises(DataFileError, match="bytes came in"):
        mnist()


def test_the_error_names_every_place_and_what_to_do(tiny, server, tmp_path):
    tiny.parent.mkdir()
    tiny.write_bytes(b"no archive")
    named = tmp_path / "named.npz"
    with pytest.raises(DataFileError) as caught:
        mnist(named)
    said = str(caught.value)
    places = [named, digits.REPOSITORY_FILE, tiny, server.url("mnist.npz"), server.url("x_train")]
    assert all(str(place) in said for place in places)
    assert f"{tiny} is damaged: it has 10 bytes" in said
    assert said.count("404") == 2
    assert "mnist(path=...)" in said
    assert "git checkout" not in said
    digits.REPOSITORY_FILE.parent.mkdir()
    with pytest.raises(DataFileError, match="git checkout -- examples/data"):
        mnist()
    assert isinstance(caught.value, AutogradError)
    assert isinstance(caught.value, OSError)


def test_downloads_can_be_switched_off(tiny, server):
    server.content["mnist.npz"] = GOOD
    with pytest.raises(DataFileError, match="download=False"):
        mnist(download=False)
    assert server.asked == []


# -- machines of all kinds ----------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_done_without(tiny, server, tmp_path, monkeypatch):
    server.content["mnist.npz"] = GOOD
    (tmp_path / "file").touch()
    assert_tiny(mnist(cache=tmp_path / "file"))

    def refuse(*paths):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert_tiny(mnist())
    assert os.listdir(tiny.parent) == []


def test_a_machine_without_home_needs_no_cache(tiny, server, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("TINYGRAD_NP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_directory() is None
    server.content["mnist.npz"] = GOOD
    assert_tiny(mnist())
    server.content.clear()
    with pytest.raises(DataFileError):
        mnist()


@pytest.mark.parametrize(
    ("platform", "variable", "default"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", None, "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_the_cache_directory_of_each_platform(platform, variable, default, monkeypatch, tmp_path):
    for name in ("TINYGRAD_NP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_directory() == tmp_path / default / "tinygrad_np"
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "own"))
        assert cache_directory() == tmp_path / "own" / "tinygrad_np"
    monkeypatch.setenv("TINYGRAD_NP_CACHE", str(tmp_path / "chosen"))
    assert cache_directory() == tmp_path / "chosen"


TWO = """
import sys
from pathlib import Path
from tinygrad_np.data import digits
digits.SHAPES, digits.DIGESTS, digits.NPZ_MIRROR = eval(sys.argv[1])
digits.REPOSITORY_FILE = Path("nowhere")
sys.stdin.readline()
for _ in range(20):
    print(digits.mnist().x_test.sum())
    (digits.cache_directory() / "mnist.npz").unlink(missing_ok=True)
digits.mnist()
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be removed, as this test does")
def test_two_processes_at_once(tiny, server):
    server.content["mnist.npz"] = GOOD
    settings = repr((SHAPES, digits.DIGESTS, digits.NPZ_MIRROR))
    command = [sys.executable, "-W", "error", "-c", TWO, settings]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, text=True, env=environment, **pipes) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        out, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert out.split() == [str(TINY["x_test"].sum())] * 20
    assert_tiny(read_mnist(tiny))
    assert os.listdir(tiny.parent) == ["mnist.npz"]
