"""Where a picture is written: through links, with the rights that a file has, and errors that name it."""

import os
import threading

import pytest
from drawing import scalar_graph

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError

pytest.importorskip("graphviz")

from tinygrad_np.graph.picture import check_ending

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rights and links as POSIX has them")


@pytest.fixture
def picture():
    return tg.draw(scalar_graph()[0])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_an_older_file_keeps_its_rights(picture, tmp_path, mode):
    path = tmp_path / "graph.txt"
    path.write_text("old")
    path.chmod(mode)
    picture.save(path)
    assert path.read_text("utf-8").startswith("loss = 16")
    assert path.stat().st_mode & 0o777 == mode
    assert os.listdir(tmp_path) == ["graph.txt"]


@pytest.mark.parametrize("older", [True, False])
def test_a_link_stays_one(picture, tmp_path, older):
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "real.txt", tmp_path / "link.txt"
    if older:
        real.write_text("old")
        real.chmod(0o600)
    link.symlink_to(real)
    assert picture.save(link) == str(link)
    assert link.is_symlink()
    assert real.read_text("utf-8").startswith("loss = 16")
    assert not older or real.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "far") == ["real.txt"]


def test_a_folder_of_that_name(picture, tmp_path):
    (tmp_path / "graph.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"graph\.txt'$") as caught:
        picture.save(tmp_path / "graph.txt")
    assert caught.value.filename == str(tmp_path / "graph.txt")
    assert os.listdir(tmp_path) == ["graph.txt"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_nobody_may_write_in(picture, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"graph\.txt'$"):
            picture.save(tmp_path / "graph.txt")
    finally:
        tmp_path.chmod(0o700)


def test_what_is_no_file_is_written_into(picture, tmp_path):
    pipe, read = tmp_path / "pipe.txt", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    picture.save(pipe)
    reader.join(timeout=10)
    assert read[0].startswith("loss = 16")


@pytest.mark.parametrize("name", ["graph.bogus", "graph.no-thing", "graph"])
def test_an_ending_can_be_checked_before_there_is_a_picture(name):
    with pytest.raises(AutogradError, match="format"):
        check_ending(name)
    for ending in ("html", "svg", "PNG", "pdf", "mmd", "txt", "table", "jpg"):
        check_ending(f"graph.{ending}")
