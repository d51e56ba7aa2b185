"""Saving and loading: what comes back, that files are replaced whole, and that bad files are refused."""

import io
import math
import os
import pickle
import signal
import sys
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_states import ENDINGS, needs_safetensors, same, st_numpy
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError
from tinygrad_np.serialize import SaveFileError, UnsavableError, load, save
from tinygrad_np.serialize.files import MissingFileError


def state_with_everything():
    r = np.random.default_rng(0)
    return {
        "model": {"0.weight": r.normal(size=(3, 4)).astype(np.float32), "0.bias": r.normal(size=4)},
        "model.0": {"weight": r.integers(0, 9, size=5)},
        "a/b": [np.arange(3), (1, 2.5, (), [])],
        "..": {"..": np.ones(2), "/etc/x": np.zeros(1), "": np.ones(1), "%2E": np.full(1, 7.0)},
        "": {"": np.arange(2.0), 0: np.arange(1.0), "0": np.arange(3.0), True: "yes", -1: None},
        "state.json": np.ones(1, np.uint8),
        "__metadata__": np.array(3.5),
        "numbers": [0, -1, 2**127 + 1, -(2**90), 0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan, 1 + 2j, True, None],
        "texts": ["", "é\u4e16\x00\n", "\ud800", "{'array': 'x'}", "nan"],
        "scalars": [np.float32(0.1), np.float64(0.1), np.int64(3), np.bool_(True)],
        "empty": {"dict": {}, "array": np.zeros((0, 3), np.float32)},
        "array": {"dict": 1},
    }


# -- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_comes_back_as_it_was(tmp_path, ending):
    path = tmp_path / f"state.{ending}"
    save(path, state_with_everything())
    assert same(load(path), state_with_everything())
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("state", [np.arange(3.0), {"": np.ones(1)}, 5, None, [], {}, np.float32(2), "text"], ids=repr)
def test_a_state_need_not_be_a_dict(tmp_path, ending, state):
    save(tmp_path / f"x.{ending}", state)
    assert same(load(tmp_path / f"x.{ending}"), state)


keys = st.one_of(st.text(max_size=6), st.sampled_from(["a", "a.b", "b", ".", "..", "a~2", "a/b"]), st.integers(-2, 2))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32)),
)
states = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


@given(state=states)
@settings(max_examples=100, deadline=None, database=None)
def test_any_state_comes_back(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("any")
    for ending in ["npz"] + ["safetensors"] * (st_numpy is not None):
        save(folder / f"x.{ending}", state)
        assert same(load(folder / f"x.{ending}"), state)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_generator_goes_on_where_it_was(tmp_path, ending, kind):
    rng = np.random.Generator(kind(5))
    rng.normal(size=7)
    save(tmp_path / f"rng.{ending}", rng.bit_generator.state)
    other = np.random.Generator(kind(6))
    other.bit_generator.state = load(tmp_path / f"rng.{ending}")
    np.testing.assert_array_equal(other.normal(size=20), rng.normal(size=20))


ALL_DTYPES = ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8"]


@pytest.mark.parametrize("code", [*ALL_DTYPES, "<c16", ">f8", ">i4", "g", "<U3", "|S4", "<M8[s]", "<m8[ns]"])
def test_dtypes_in_npz(tmp_path, code):
    array = np.arange(6).reshape(2, 3).astype(code)
    save(tmp_path / "x.npz", {"x": array})
    assert same(load(tmp_path / "x.npz"), {"x": array})


def layouts(dtype):
    base = np.arange(24).reshape(4, 6).astype(dtype)
    return {
        "C": base, "F": np.asfortranarray(base), "transposed": base.T, "strided": base[::2, 1::2],
        "reversed": base[::-1], "broadcast": np.broadcast_to(base[0], (3, 6)), "single": base[1, 1:2],
        "zero-dimensional": base[2, 3].reshape(()), "empty": base[:0].T,
        "big-endian": base.astype(base.dtype.newbyteorder(">"))[:, ::2],
    }  # fmt: skip


@pytest.mark.parametrize("code", ALL_DTYPES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_layouts_of_memory(tmp_path, ending, code):
    arrays = layouts(code)
    save(tmp_path / f"x.{ending}", arrays)
    loaded = load(tmp_path / f"x.{ending}")
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == (array.dtype.newbyteorder("<") if ending == "safetensors" else array.dtype)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_loaded_can_be_written_into(tmp_path, ending):
    save(tmp_path / f"x.{ending}", [np.zeros(3), np.zeros((2, 2)).T])
    for array in load(tmp_path / f"x.{ending}"):
        array += 1
        assert (array == 1).all()


@pytest.mark.parametrize("ending", ENDINGS)
def test_tensors_are_saved_as_their_data(tmp_path, ending):
    w = tg.Tensor(np.arange(3.0), requires_grad=True)
    save(tmp_path / f"x.{ending}", {"leaf": w, "computed": w * 2, "constant": tg.Tensor([1, 2])})
    loaded = load(tmp_path / f"x.{ending}")
    assert same(loaded, {"leaf": np.arange(3.0), "computed": np.arange(3.0) * 2, "constant": np.array([1, 2])})


def test_subclasses_become_the_plain_kind(tmp_path):
    point = OrderedDict(b=signal.SIGINT, a=np.str_("text"))
    save(tmp_path / "x.npz", point)
    assert same(load(tmp_path / "x.npz"), {"b": 2, "a": "text"})


# -- with NumPy and PyTorch -----------------------------------------------------------------------


def test_numpy_reads_what_we_wrote(tmp_path):
    save(tmp_path / "x.npz", {"a": {"0.weight": np.eye(2)}, "b": [np.arange(3)], "n": 4})
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        assert set(stored.files) == {"a.0.weight", "b.0", "state.json"}
        np.testing.assert_array_equal(stored["a.0.weight"], np.eye(2))
        np.testing.assert_array_equal(stored["b.0"], np.arange(3))
        assert b'"n", 4' in stored["state.json"]


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_wrote(tmp_path, write):
    arrays = {"a": np.zeros((50, 50)), "b/c": np.arange(3), "d.e": np.asfortranarray(np.eye(3)), "f": np.array(2.0)}
    write(tmp_path / "x.npz", **arrays)
    assert same(load(tmp_path / "x.npz"), arrays)


def test_the_same_state_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save(tmp_path / name, state_with_everything())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@needs_safetensors
def test_safetensors_has_the_names_of_a_state_dict(tmp_path):
    weight = np.arange(6.0).reshape(2, 3)
    save(tmp_path / "x.safetensors", {"0.weight": weight.T, "0.bias": np.ones(2), "": np.ones(1)})
    stored = st_numpy.load_file(tmp_path / "x.safetensors")
    assert set(stored) == {"0.weight", "0.bias", ""}
    np.testing.assert_array_equal(stored["0.weight"], weight.T)


@needs_safetensors
def test_a_file_of_pytorch(tmp_path):
    # The bytes that safetensors.torch wrote, and the values that PyTorch says they have.
    def compute(torch):
        import safetensors.torch

        r = np.random.default_rng(3)
        tensors = {
            "layer.weight": torch.tensor(r.normal(size=(3, 4)).astype(np.float32)),
            "half": torch.tensor(r.normal(size=5)).half(),
            "brain": torch.tensor([0.1, -3.3, float("inf"), 1e-40, 3e38, 0.0]).bfloat16(),
            "steps": torch.tensor(7),
            "flags": torch.tensor([True, False]),
            "none": torch.zeros(0, 3, dtype=torch.int16),
        }
        file = np.frombuffer(safetensors.torch.save(tensors), np.uint8)
        return [file, *[t.float() if t.dtype == torch.bfloat16 else t for t in tensors.values()]]

    file, *values = torch_values("serialize", "file", compute)
    (tmp_path / "x.safetensors").write_bytes(file.tobytes())
    names = ["layer.weight", "half", "brain", "steps", "flags", "none"]
    loaded = load(tmp_path / "x.safetensors")
    assert set(loaded) == set(names)
    for name, value in zip(names, values, strict=True):
        assert same(loaded[name], value)


@needs_safetensors
def test_pytorch_reads_ours(tmp_path):
    pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    for code in ALL_DTYPES:
        arrays = layouts(code)
        save(tmp_path / "x.safetensors", arrays)
        stored = load_file(tmp_path / "x.safetensors")
        for name, array in arrays.items():
            assert stored[name].shape == array.shape
            np.testing.assert_array_equal(stored[name].numpy(), array)


# -- what cannot be saved -------------------------------------------------------------------------


class Part:
    def state_dict(self):
        return {}


cycle: list = [1]
cycle.append(cycle)
deep: list = []
for _ in range(5000):
    deep = [deep]

UNSAVABLE = [
    ({"a": {"b": print}}, r"state\['a'\]\['b'\] is builtin_function_or_method print"),
    ({"hook": [0, lambda: 0]}, r"state\['hook'\]\[1\] is function .*lambda"),
    ([np.array([None])], r"state\[0\] has dtype object"),
    ({"a": np.zeros(2, [("x", "f4")])}, r"state\['a'\] has dtype"),
    ({"a": np.ma.masked_array([1.0, 2.0], [True, False])}, r"state\['a'\] is a masked array"),
    (Part(), r"state is an object of type Part.*\.state_dict\(\)"),
    ({"rng": np.random.default_rng(0)}, r"state\['rng'\].*bit_generator\.state"),
    ({"a": {1, 2}}, r"state\['a'\].*list\("),
    ({"a": b"bytes"}, r"state\['a'\]"),
    ({("x", 1): 2}, r"state has the key \('x', 1\) of type tuple"),
    ({"f": {1.5: 2}}, r"state\['f'\] has the key 1\.5"),
    ({"big": 1 << 20_000}, r"state\['big'\] is an integer of 20001 bits"),
    (cycle, r"state\[1\]\[1\].*itself"),
    (deep, r"100 levels"),
]


@pytest.mark.parametrize(("state", "message"), UNSAVABLE, ids=[message for _, message in UNSAVABLE])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_cannot_be_saved_is_named_before_anything_is_written(tmp_path, ending, state, message):
    path = tmp_path / f"x.{ending}"
    path.write_text("old")
    with pytest.raises(UnsavableError, match=message) as caught:
        save(path, state)
    assert "nothing was written" in str(caught.value)
    assert isinstance(caught.value, AutogradError)
    assert isinstance(caught.value, TypeError)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


@needs_safetensors
@pytest.mark.parametrize("code", ["<c16", "g", "<U3", "<M8[s]"])
def test_dtypes_that_safetensors_lacks(tmp_path, code):
    with pytest.raises(UnsavableError, match=r"state\['a'\]\[0\] has dtype .*\.npz"):
        save(tmp_path / "x.safetensors", {"a": [np.zeros(2, code)]})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["x", "x.pt", "x.npy", "x.npz.bak", ".npz"])
def test_another_ending(tmp_path, name):
    with pytest.raises(SaveFileError, match=r"\.npz, or in \.safetensors"):
        save(tmp_path / name, {})
    assert os.listdir(tmp_path) == []


def test_arguments_in_the_other_order(tmp_path):
    with pytest.raises(TypeError, match=r'save\("file\.npz", state\)'):
        save({"a": 1}, tmp_path / "x.npz")


def test_safetensors_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_np\[safetensors\]"'):
        save(tmp_path / "x.safetensors", {})
    (tmp_path / "x.safetensors").write_bytes(b"12345678")
    with pytest.raises(ImportError, match=r'pip install "tinygrad_np\[safetensors\]"'):
        load(tmp_path / "x.safetensors")


# -- files that cannot be loaded; more in test_hostile_files.py -----------------------------------


def test_a_missing_file_is_also_a_file_not_found(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.npz cannot be loaded: there is no such file") as caught:
        load(tmp_path / "gone.npz")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, SaveFileError)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "model.ckpt"])
def test_a_file_of_torch_save_comes_with_the_way_out(tmp_path, name):
    with pytest.raises(
        SaveFileError, match=r"pickles, which can run any code.*safetensors\.torch\.save_file.*torch\.load"
    ):
        load(tmp_path / name)


def test_a_pickle_is_never_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "made"),))

    (tmp_path / "x.npz").write_bytes(pickle.dumps(Evil()))
    array = io.BytesIO()
    np.save(array, np.array([Evil()], object), allow_pickle=True)
    np.savez(tmp_path / "y.npz", a=np.array([Evil()], object))
    for name in ("x.npz", "y.npz"):
        with pytest.raises(SaveFileError, match="pickle"):
            load(tmp_path / name)
    assert not (tmp_path / "made").exists()
