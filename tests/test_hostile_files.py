"""Files that are damaged, cut off, of another kind or made to harm: an error that names them, at once."""

import json
import os
import struct
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from saved_states import ENDINGS, needs_safetensors, posix, same

from tinygrad_np.errors import AutogradError
from tinygrad_np.serialize import SaveFileError, load, save


def npy(shape="(3,)", descr="'<f8'", content=bytes(24), version=1, order="False"):
    """A member of an archive, with a header that may lie."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode("latin1")
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + content


def archive(path, members, method=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as file:
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for name, content in members:
            file.writestr(name, content)


def outline(state, version=1):
    return ("state.json", json.dumps({"version": version, "state": state}))


A = ("a.npy", npy())

HOSTILE = {
    "shape of a terabyte": ([("a.npy", npy("(1000000000000,)"))], "'a'.*shape"),
    "shape beyond 64 bits": ([("a.npy", npy("(4294967296, 4294967296, 4)"))], "'a'"),
    "negative shape": ([("a.npy", npy("(-3,)"))], "'a'"),
    "two negative lengths": ([("a.npy", npy("(-3, -1)"))], "'a'"),
    "fewer bytes than the shape": ([("a.npy", npy(content=bytes(23)))], "'a'"),
    "more bytes than the shape": ([("a.npy", npy(content=bytes(25)))], "'a'"),
    "objects": ([("a.npy", npy(descr="'|O'"))], "'a'.*pickle"),
    "a structure with objects": ([("a.npy", npy(descr="[('x', '|O')]"))], "'a'"),
    "no dtype": ([("a.npy", npy(descr="'nonsense'"))], "'a'"),
    "code in the header": ([("a.npy", npy(descr="__import__('os').getcwd()"))], "'a'"),
    "a header of brackets": ([("a.npy", npy(descr="(" * 5000))], "'a'"),
    "a long header": ([("a.npy", npy(descr="'<f8'" + " " * 60000))], "'a'"),
    "another version": ([("a.npy", npy(version=9))], "'a'"),
    "no array": ([("a.npy", b"hello")], "'a'"),
    "an empty member": ([("a.npy", b"")], "'a'"),
    "the same name twice": ([A, A], "'a.npy' twice"),
    "a boolean of 7": ([("a.npy", npy(descr="'|b1'", content=b"\1\0\7"))], "'a'.*0 or 1"),
    "entries without a byte": ([("a.npy", npy("(1000000000000000,)", "'<U0'", b""))], "without a byte"),
    "out of the folder": ([("../a.npy", npy())], r"'\.\./a\.npy'"),
    "out of the folder on the way": ([("b/../../a.npy", npy())], r"leads out"),
    "an absolute path": ([("/a.npy", npy())], "leads out"),
    "a drive": ([("C:a.npy", npy())], "leads out"),
    "a member that is no array": ([A, ("readme.txt", b"hello")], "'readme.txt'"),
    "a pickle of PyTorch": ([("x/data.pkl", b"\x80\x02."), ("x/data/0", bytes(8))], r"PyTorch.*torch\.load"),
    "outline of no JSON": ([A, ("state.json", b"{")], None),
    "outline without a state": ([A, ("state.json", b'{"version": 1}')], "state"),
    "outline of another version": ([A, outline({"array": "a"}, version=2)], "version 2"),
    "outline with an unknown word": ([A, outline({"eval": "1+1"})], "'eval'"),
    "outline with two words": ([A, outline({"array": "a", "b": 1})], None),
    "outline without the array": ([A, outline(5)], "'a'"),
    "outline with a missing array": ([A, outline([{"array": "a"}, {"array": "b"}])], "'b'"),
    "outline with an array twice": ([A, outline([{"array": "a"}, {"array": "a"}])], "'a'.*twice"),
    "outline with a list as key": ([A, outline({"dict": [[[1], {"array": "a"}]]})], None),
    "outline with 100000 brackets": ([A, ("state.json", b"[" * 100_000)], None),
    "outline with an endless number": ([A, ("state.json", b'{"version": 1, "state": ' + b"9" * 100_000 + b"}")], None),
    "outline in no text": ([A, ("state.json", b"\xff\xfe")], None),
}  # fmt: skip


def refused(path, match=None):
    """The error of loading, which names the file, took no long time and no more memory than ten megabytes."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(SaveFileError, match=match) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, AutogradError)
    assert isinstance(caught.value, ValueError)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_hostile_archives(tmp_path, name, method):
    members, match = HOSTILE[name]
    archive(tmp_path / "x.npz", members, method)
    refused(tmp_path / "x.npz", match if method == zipfile.ZIP_STORED or "state.json" not in str(members) else None)


def test_the_archives_are_refused_for_what_they_are_named_after(tmp_path):
    archive(tmp_path / "x.npz", [A, outline({"array": "a"})])
    assert same(load(tmp_path / "x.npz"), np.zeros(3))
    archive(tmp_path / "x.npz", [A])
    assert same(load(tmp_path / "x.npz"), {"a": np.zeros(3)})


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_numpy_does_not_write(tmp_path, method):
    archive(tmp_path / "x.npz", [A], method)
    refused(tmp_path / "x.npz", "compressed")


def test_a_bomb_is_not_unpacked(tmp_path):
    # 200 megabytes of zeros behind a header that speaks of three numbers.
    archive(tmp_path / "x.npz", [("a.npy", npy(content=bytes(200_000_000)))], zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.npz").stat().st_size < 1_000_000
    refused(tmp_path / "x.npz", "'a'.*24 bytes")


def changed_size(content, size):
    """An archive of one member, whose list of contents says another size."""
    entry = content.index(b"PK\x01\x02")
    return content[: entry + 24] + struct.pack("<I", size) + content[entry + 28 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_that_cannot_be(tmp_path, method):
    path = tmp_path / "x.npz"
    archive(path, [("a.npy", npy("(400000000,)"))], method)
    path.write_bytes(changed_size(path.read_bytes(), 128 + 3_200_000_000))
    refused(path, "'a.npy' declares 3200000128 bytes")


def test_a_name_twice_is_found_at_once_among_many(tmp_path):
    path = tmp_path / "a.npz"
    archive(path, [(f"{i}.npy", b"") for i in range(20_000)] + [("19999.npy", b"")])
    started = time.process_time()
    with zipfile.ZipFile(path):
        opened = time.process_time()
    with pytest.raises(SaveFileError, match=r"'19999\.npy' twice"):
        load(path)
    # Comparing all pairs takes twenty times as long.
    assert time.process_time() - opened < 6 * (opened - started)


@pytest.mark.parametrize("shortened", ["at its start", "at its end"])
def test_a_list_of_contents_that_lacks_members(tmp_path, shortened):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3.0), b=np.arange(4), c=np.ones(2))
    content = path.read_bytes()
    end, last = content.rindex(b"PK\5\6"), content.rindex(b"PK\1\2")
    if shortened == "at its start":
        content = content[: end + 12] + struct.pack("<II", end - last, last) + content[end + 20 :]
    else:
        # The comment of the second member takes in the third.
        second = content.rindex(b"PK\1\2", 0, last)
        content = content[: second + 32] + struct.pack("<H", end - last) + content[second + 34 :]
    path.write_bytes(content)
    refused(path, "members, where 3 were written")


def test_members_that_share_their_bytes(tmp_path):
    path = tmp_path / "x.npz"
    archive(path, [("a.npy", npy("(100000,)", content=bytes(800_000)))])
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, last = content[start:end], bytearray(content[end:])
    entries = b"".join(entry.replace(b"a.npy", b"%c.npy" % (97 + i)) for i in range(20))
    last[8:20] = struct.pack("<HHII", 20, 20, len(entries), start)
    path.write_bytes(content[:start] + entries + last)
    assert len(zipfile.ZipFile(path).infolist()) == 20
    refused(path, "declare more bytes")


# -- safetensors ----------------------------------------------------------------------------------


def tensors(header, content=bytes(24), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def entry(dtype="F64", shape=(3,), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE_TENSORS = {
    "a header longer than the file": tensors({"a": entry()}, length=10**6),
    "a header of exabytes": tensors({"a": entry()}, length=2**63),
    "a header of nothing": tensors({"a": entry()}, length=0),
    "offsets beyond the file": tensors({"a": entry(offsets=(0, 2400), shape=(300,))}),
    "offsets backwards": tensors({"a": entry(offsets=(24, 0))}),
    "negative offsets": tensors({"a": entry(offsets=(-24, 0))}),
    "a hole": tensors({"a": entry(), "b": entry(offsets=(32, 56))}, bytes(56)),
    "arrays that overlap": tensors({"a": entry(), "b": entry(offsets=(8, 32))}, bytes(32)),
    "bytes after the last array": tensors({"a": entry()}, bytes(48)),
    "a shape of a terabyte": tensors({"a": entry(shape=(10**12,))}),
    "a shape beyond 64 bits": tensors({"a": entry(shape=(2**32, 2**32, 2**32))}),
    "an unknown dtype": tensors({"a": entry("O")}),
    "a dtype that NumPy lacks": tensors({"a": entry("F8_E4M3", (24,))}),
    "no JSON": tensors(b"{{{{{{{{"),
    "a list": tensors(b"[1, 2, 3]"),
    "a boolean of 7": tensors({"a": entry("BOOL", (3,), (0, 3))}, b"\1\0\7"),
    "the same name twice": tensors(b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2), bytes(48)),
    "half of our texts": tensors({"a": entry(), "__metadata__": {"tinygrad_np.state": "5"}}),
    "an outline without its checksum": tensors(
        {"a": entry(), "__metadata__": {"tinygrad_np.state": "5", "tinygrad_np.crc32": '{"outline": 1, "arrays": {}}'}}
    ),
}


@needs_safetensors
@pytest.mark.parametrize("name", HOSTILE_TENSORS)
def test_hostile_tensors(tmp_path, name):
    (tmp_path / "x.safetensors").write_bytes(HOSTILE_TENSORS[name])
    refused(tmp_path / "x.safetensors", None)


@needs_safetensors
def test_tensors_of_another_program_need_no_checksums(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(tensors({"a": entry()}))
    assert same(load(tmp_path / "x.safetensors"), {"a": np.zeros(3)})


# -- damage ---------------------------------------------------------------------------------------


def small_file(tmp_path, ending):
    state = {"w": np.arange(4, dtype=np.float32), "rate": 0.25, "steps": [1, (2, np.int64(3))], "b.c": np.eye(2)}
    path = tmp_path / f"x.{ending}"
    save(path, state)
    return path, path.read_bytes(), state


def check_damaged(path, content, state):
    path.write_bytes(content)
    try:
        loaded = load(path)
    except SaveFileError as error:
        return str(path) in str(error) or pytest.fail(f"the error does not name the file: {error}")
    assert same(loaded, state)
    return False


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_found_or_does_not_matter(tmp_path, ending, flip):
    path, content, state = small_file(tmp_path, ending)
    found = 0
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= flip
        found += check_damaged(path, bytes(damaged), state)
    assert found > 0.7 * len(content)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_cut_is_found(tmp_path, ending):
    path, content, state = small_file(tmp_path, ending)
    assert all(check_damaged(path, content[:n], state) for n in range(len(content)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_random_damage(tmp_path, ending):
    path, content, state = small_file(tmp_path, ending)
    r = np.random.default_rng(0)
    for _ in range(300):
        start, length = r.integers(len(content)), r.integers(1, 60)
        kind = r.integers(3)
        middle = r.bytes(length) if kind == 0 else bytes(length) if kind == 1 else b""
        check_damaged(path, content[:start] + middle + content[start + length :], state)


OTHER_KINDS = {
    "an empty file": (b"", "empty"),
    "a text": (b"Dear diary,\n" * 50, None),
    "an npy file": (npy(), "np.load"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(200), None),
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5"),
    "a gzip file": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
    "a pickle": (b"\x80\x04K\x01.", "pickle.*torch"),
    "zeros": (bytes(1000), None),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_files_of_another_kind(tmp_path, ending, name):
    content, match = OTHER_KINDS[name]
    (tmp_path / f"x.{ending}").write_bytes(content)
    refused(tmp_path / f"x.{ending}", match)


@needs_safetensors
def test_one_format_under_the_ending_of_the_other(tmp_path):
    save(tmp_path / "x.npz", {"a": np.ones(3)})
    save(tmp_path / "y.safetensors", {"a": np.ones(3)})
    os.rename(tmp_path / "x.npz", tmp_path / "x.safetensors")
    os.rename(tmp_path / "y.safetensors", tmp_path / "y.npz")
    refused(tmp_path / "x.safetensors", r"\.npz")
    refused(tmp_path / "y.npz", r"\.safetensors")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder(tmp_path, ending):
    (tmp_path / f"x.{ending}").mkdir()
    refused(tmp_path / f"x.{ending}", "it is a folder")


@posix
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    refused(tmp_path / "x.npz", "no ordinary file")
