"""Strategies for users: what they promise about entries and shapes, reach, and shrink to."""

import subprocess
import sys
from functools import lru_cache
from itertools import product, zip_longest
from random import Random

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_np as tg
from tinygrad_np.errors import DtypeError, RangeError
from tinygrad_np.testing import strategies

steady = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def find(strategy, condition=lambda x: True):
    """The simplest example for which the condition holds."""
    return hypothesis.find(strategy, condition, settings=settings(steady, max_examples=3000), random=Random(0))


def drawn(strategy, count=1000):
    """Examples as a test would be given them."""
    examples = []

    @settings(steady, max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(example):
        examples.append(example)

    collect()
    return examples


# -- entries ----------------------------------------------------------------------------------

INTERVALS = [
    (-2.0, 2.0, (0.0,)),
    (0.0, 1.0, ()),
    (-1.0, 1.0, ()),
    (0.1, 0.3, (0.2, 0.25)),
    (5.0, 1000.0, (6.0,)),
    (-1e-3, 1e-6, (0.0,)),
    (-7.5, -0.3, (-1.0, -2.0)),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("low", "high", "kinks"), INTERVALS)
def test_entries_stay_away_from_kinks_ends_and_ties(low, high, kinks, dtype):
    @steady
    @given(strategies.arrays(dtype=dtype, low=low, high=high, away_from=kinks))
    def check(x):
        assert x.dtype == dtype
        for part in [x.real, x.imag] if x.dtype.kind == "c" else [x]:
            for kink in (low, high, *kinks):
                assert np.all(np.abs(part.astype(float) - kink) >= 0.999 * (high - low) / 64)
            assert np.all((part > low) & (part < high))
            assert len(set(np.abs(part).ravel().tolist())) == x.size

    check()


@pytest.mark.parametrize("size", [64, 65, 500])
def test_large_arrays_are_distinct_too(size):
    @settings(steady, max_examples=10)
    @given(strategies.arrays(shape=size))
    def check(x):
        assert x.shape == (size,)
        assert len(set(np.abs(x).tolist())) == size

    check()


@pytest.mark.parametrize("drawn", [strategies.tensors(shape=(2, 3)), strategies.arrays(3, low=0.1, high=0.3)])
def test_no_example_is_thrown_away(drawn):
    begun, ended = [], []

    @st.composite
    def counted(draw):
        begun.append(1)
        draw(drawn)
        ended.append(1)

    @settings(steady, phases=[Phase.generate])
    @given(counted())
    def check(nothing):
        pass

    check()
    assert len(begun) == len(ended) >= 100


def test_arrays_shrink_to_few_and_simple_numbers():
    assert find(strategies.arrays()).tolist() == 1.0
    assert find(strategies.arrays(shape=(2, 2))).tolist() == [[1.0, 0.5], [1.5, 0.25]]
    assert find(strategies.arrays(shape=3, distinct=False)).tolist() == [1.0, 1.0, 1.0]
    assert find(strategies.arrays(shape=2), lambda x: np.all(x < 0)).tolist() == [-1.0, -0.5]
    assert find(strategies.arrays(), lambda x: x.size > 1 and np.any(x > 1.2)).tolist() in ([1.5, 1.0], [1.0, 1.5])
    assert find(strategies.arrays(shape=1, low=0, high=1e6, away_from=())).tolist()[0].is_integer()


def test_ties_come_where_they_are_allowed():
    assert find(strategies.arrays(shape=2, distinct=False), lambda x: x[0] == x[1]).tolist() == [1.0, 1.0]


def test_kinks_are_reached_where_they_are_allowed():
    assert find(strategies.arrays(shape=(), away_from=()), lambda x: x == 0) == 0


def test_shape_and_dtype_may_be_strategies():
    drawn = strategies.arrays(st.sampled_from([(2,), (1, 4)]), st.sampled_from(["float32", "complex64"]))
    assert find(drawn, lambda x: x.ndim == 2 and x.dtype == "complex64").shape == (1, 4)
    assert find(strategies.tensors(strategies.shapes(min_side=0)), lambda x: x.size == 0).size == 0


@pytest.mark.parametrize("shape", [(), (3,), (0, 2)])
def test_tensors_carry_what_was_asked_for(shape):
    t = find(strategies.tensors(shape, "float32", name="W"))
    assert (t.shape, t.dtype, t.name, t.requires_grad) == (shape, np.float32, "W", True)
    assert not find(strategies.tensors(shape, requires_grad=False)).requires_grad


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"shape": (50, 50), "dtype": "float16"}, RangeError, "2500 distinct entries of float16"),
        ({"low": 1.0, "high": 1.0}, RangeError, "low < high"),
        ({"low": 0.0, "high": np.inf}, RangeError, "finite"),
        ({"low": np.nan}, RangeError, "finite"),
        ({"high": 1e6, "dtype": "float16"}, RangeError, "finite in that dtype"),
        ({"low": 0, "high": 1, "away_from": np.linspace(0, 1, 40)}, RangeError, "there is room for 0"),
        ({"dtype": int}, DtypeError, "hypothesis.extra.numpy"),
        ({"dtype": bool}, DtypeError, "not bool"),
    ],
)
def test_what_cannot_be_drawn_is_said(options, error, words):
    with pytest.raises(error, match=words):
        find(strategies.tensors(**options))


# -- shapes that go together ------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4])
def test_broadcastable_tensors_broadcast(n):
    @steady
    @given(strategies.broadcastable(n, dtype="float32"))
    def check(several):
        assert len(several) == n
        assert np.broadcast(*[t.data for t in several]).ndim <= 3
        assert all(t.requires_grad and t.dtype == np.float32 for t in several)

    check()


def alignments(pairs):
    """How axes of two shapes meet, counted from the last: "missing", 1 or "n" on either side."""
    return {
        tuple("missing" if side is None else "n" if side > 1 else 1 for side in sides)
        for a, b in pairs
        for sides in zip_longest(reversed(a), reversed(b))
    }


ALL_ALIGNMENTS = set(product(["missing", 1, "n"], repeat=2)) - {("missing", "missing")}


def test_every_kind_of_broadcasting_is_reached():
    pairs = {tuple(t.shape for t in pair) for pair in drawn(strategies.broadcastable(), 300)}
    assert alignments(pairs) == ALL_ALIGNMENTS
    assert {len(shape) for pair in pairs for shape in pair} == {0, 1, 2, 3}


@steady
@given(strategies.matmul_pairs())
def test_matmul_pairs_multiply(pair):
    a, b = pair
    assert np.matmul(a.data, b.data).ndim <= 4


def test_every_kind_of_product_is_reached():
    pairs = {tuple(t.shape for t in pair) for pair in drawn(strategies.matmul_pairs(), 1000)}
    assert {(len(a), len(b)) for a, b in pairs} >= set(product([1, 2, 3], repeat=2))
    assert alignments((a[:-2], b[:-2]) for a, b in pairs if len(a) > 1 and len(b) > 1) == ALL_ALIGNMENTS
    assert any(len({*a[-2:], *b[-2:]}) == 3 for a, b in pairs)


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [0, 1, 2, 4])
def test_axes_are_what_numpy_takes(ndim):
    @steady
    @given(strategies.axes(ndim))
    def check(axis):
        np.sum(np.ones((2,) * ndim), axis=axis)
        assert axis != ()

    check()


@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2, (0,), (-1,), (0, 1), (1, 0), (-1, 0)])
def test_every_kind_of_axis_is_reached(axis):
    assert any(type(found) is type(axis) and found == axis for found in drawn(strategies.axes(2), 300))


def test_axes_for_functions_of_one_axis():
    @steady
    @given(strategies.axes(3, none=False, tuples=False))
    def check(axis):
        assert axis in range(-3, 3)

    check()
    with pytest.raises(RangeError, match="0 axes"):
        strategies.axes(0, none=False)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 4), (2, 0, 3), (0,)])
def test_indices_pick_and_their_gradients_count_how_often(shape):
    @settings(steady, max_examples=400)
    @given(strategies.indices(shape))
    def check(index):
        times = np.zeros(shape)
        np.add.at(times, index, 1)
        x = tg.Tensor(np.ones(shape), requires_grad=True)
        np.sum(x[index]).backward()
        assert np.array_equal(x.grad.data, times)

    check()


@lru_cache
def many_indices():
    return drawn(strategies.indices((3, 2, 3)), 1000)


def arrays_in(index):
    return [part for part in index if isinstance(part, np.ndarray)] if isinstance(index, tuple) else []


def holds(*kinds):
    """Whether an index is a tuple with these kinds of things in this order, maybe with others between."""
    kind_of = {"int": int, "slice": slice, "...": type(...), "None": type(None), "array": np.ndarray}

    def condition(index):
        parts = iter(index if isinstance(index, tuple) else ())
        return all(any(type(part) is kind_of[kind] for part in parts) for kind in kinds)

    return condition


@pytest.mark.parametrize(
    "condition",
    [
        lambda index: index is None,
        lambda index: index is Ellipsis,
        lambda index: index == (),
        lambda index: isinstance(index, int) and index < -1,
        lambda index: isinstance(index, slice) and (index.step or 1) < 0,
        lambda index: isinstance(index, np.ndarray) and index.dtype != bool and len(set(index.flat)) < index.size,
        lambda index: isinstance(index, np.ndarray) and index.dtype == bool and index.shape == (3, 2),
        lambda index: {part.dtype.kind for part in arrays_in(index)} == {"b", "i"},
        lambda index: {part.shape for part in arrays_in(index) if part.dtype != bool} >= {(1,), (2, 1)},
        holds("int", "slice"),
        holds("slice", "...", "int"),
        holds("None", "...", "None"),
        holds("slice", "None", "array"),
        holds("array", "slice", "array"),
        holds("...", "array"),
    ],
)
def test_every_kind_of_index_is_reached(condition):
    assert any(condition(index) for index in many_indices())


@steady
@given(strategies.indices((2, 3), advanced=False))
def test_basic_indices_hold_no_arrays(index):
    assert not any(isinstance(part, np.ndarray) for part in (index if isinstance(index, tuple) else (index,)))


# -- import -----------------------------------------------------------------------------------


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_without_hypothesis_the_error_names_the_extra():
    done = run("import sys; sys.modules['hypothesis'] = None; import tinygrad_np.testing.strategies")
    assert "ImportError: tinygrad_np.testing.strategies needs Hypothesis" in done.stderr
    assert "pip install 'tinygrad_np[testing]'" in done.stderr


def test_every_strategy_has_an_example():
    assert len(strategies.__all__) > 6
    for name in strategies.__all__:
        assert ">>>" in getattr(strategies, name).__doc__
