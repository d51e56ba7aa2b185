"""Files and downloads that pass for MNIST and mean harm: refused, without running or filling anything."""

import gzip
import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_digits import TINY, assert_tiny, npz, pass_for_mnist

from tinygrad_np.data import DataFileError, digits, mnist, read_mnist


@pytest.fixture
def tiny(monkeypatch):
    pass_for_mnist(monkeypatch)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def header(shape, descr="|u1"):
    """The start of an npy file."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(members, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def hostile(how, tmp_path):
    members = {f"{name}.npy": header(array.shape) + array.tobytes() for name, array in TINY.items()}
    if how == "pickle":
        members["x_train.npy"] = header((1,), "|O") + pickle.dumps(Bomb(tmp_path / "exploded"))
    elif how == "huge shape":
        members["x_train.npy"] = header((1 << 40,)) + b"\0" * 9
    elif how == "long header":
        members["x_train.npy"] = header((1,) * 10_000)
    elif how == "zip bomb":
        members["x_train.npy"] = bytes(200 << 20)
    elif how == "many entries":
        members = {str(i): b"" for i in range(20_000)}
    elif how == "directory":
        members["x_train.npy/"] = members.pop("x_train.npy")
    return archive(members, zipfile.ZIP_LZMA if how == "other packing" else zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    "how", ["pickle", "huge shape", "long header", "zip bomb", "many entries", "directory", "other packing"]
)
def test_hostile_files_are_refused_without_harm(how, tiny, tmp_path):
    path = tmp_path / "hostile.npz"
    path.write_bytes(hostile(how, tmp_path))
    # Imported and compiled beforehand, not counted below.
    with pytest.raises(DataFileError):
        read_mnist(tmp_path / "missing")
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError, match="is damaged"):
            read_mnist(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size + (4 << 20)
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_is_far_too_long_is_not_read_whole(tiny, tmp_path):
    path = tmp_path / "long.npz"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(DataFileError, match="too much for this data"):
        read_mnist(path)


def test_a_gzip_bomb_is_not_unpacked(tiny, monkeypatch):
    bomb = gzip.compress(bytes(40 << 20))
    monkeypatch.setattr(digits, "download", lambda url, limit: bomb)
    monkeypatch.setattr(digits, "REPOSITORY_FILE", Path("missing"))
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError, match=r"idx3-ubyte\.gz: what came is not MNIST"):
            mnist(cache="missing")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_no_damage_gets_through(tiny, tmp_path):
    good, path, rng = npz(TINY, np.savez), tmp_path / "copy.npz", np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(good)
        for at in rng.integers(len(content), size=rng.integers(1, 6)):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            found = read_mnist(path)
        except DataFileError:
            continue
        # Damage where nothing is read from: dates, headers.
        assert_tiny(found)
