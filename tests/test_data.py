"""DataLoader: every sample once per epoch, in an order that the seed fixes, ahead of time, and gone on with exactly."""

import copy
import gc
import json
import pickle
import threading
import time
import traceback

import numpy as np
import pytest

from tinygrad_np.data import DataLoader
from tinygrad_np.errors import RangeError, ShapeError, StateError

N = 23
X = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
Y = np.arange(N)


def noisy(x, y, rng):
    return x + rng.standard_normal(x.shape, np.float32), y


def loader(**options):
    return DataLoader(X, Y, **{"batch_size": 4, "shuffle": True, "rng": 7, **options})


def same(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert len(a) == len(b)
        for part, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(part, other, strict=True)
    return True


def order(batches):
    return np.concatenate([batch[-1] for batch in batches]).tolist()


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) == before


# -- what an epoch is -------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("size", [1, 4, 22, 23, 100])
def test_every_sample_comes_once_with_its_label(size, shuffle, prefetch):
    batches = list(loader(batch_size=size, shuffle=shuffle, prefetch=prefetch))
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert sorted(y) == list(range(N))
    np.testing.assert_array_equal(x, X[y], strict=True)
    assert (y.tolist() == Y.tolist()) == (not shuffle)
    assert [len(y) for _, y in batches] == [size] * (N // size) + [N % size] * (N % size > 0)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_smaller_last_batch_can_be_dropped(prefetch):
    made = loader(drop_last=True, prefetch=prefetch)
    assert [len(y) for _, y in made] == [4] * 5
    assert (len(made), len(loader()), len(made.dataset)) == (5, 6, N)


def test_the_seed_fixes_the_orders_and_each_epoch_has_its_own():
    first, second, other = loader(), loader(), loader(rng=8)
    orders = [order(first) for _ in range(3)]
    assert [order(second) for _ in range(3)] == orders
    assert len({tuple(o) for o in orders} | {tuple(order(other))}) == 4


def test_all_orders_are_equally_likely():
    made = DataLoader(np.arange(3), shuffle=True, batch_size=3, rng=0)
    counts = np.unique([order(made) for _ in range(600)], axis=0, return_counts=True)[1]
    assert len(counts) == 6
    # Six orders of 100 each on average, with a standard deviation of 9.
    assert counts.min() > 60
    assert counts.max() < 140


def test_nothing_global_is_drawn_from():
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    list(loader(transform=noisy))
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_a_generator_is_shared_not_copied():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    list(DataLoader(X, rng=rng))
    assert rng.bit_generator.state == before
    list(DataLoader(X, rng=rng, shuffle=True))
    assert rng.bit_generator.state != before


def test_batches_in_order_are_views_that_cannot_be_written():
    for x, y in loader(shuffle=False):
        assert np.shares_memory(x, X)
        assert np.shares_memory(y, Y)
        with pytest.raises(ValueError, match="read-only"):
            x += 1
    assert X.flags.writeable
    for x, y in loader():
        assert not np.shares_memory(x, X)
        x += 1
        y += 1


def test_loops_inside_of_each_other():
    made, twin = loader(), loader()
    outer, inner = [], []
    for batch in made:
        outer.append(batch)
        inner.append(list(made))
    epochs = [list(twin) for _ in range(7)]
    assert same(outer, epochs[0])
    assert all(same(a, b) for a, b in zip(inner, epochs[1:], strict=True))


# -- what samples come from ---------------------------------------------------------------------------


def test_one_array_gives_tuples_of_one():
    assert same(DataLoader(X, batch_size=20), [(X[:20],), (X[20:],)])


def test_a_dict_of_arrays_gives_dicts():
    batches = list(DataLoader({"x": X, "y": Y.tolist()}, batch_size=20, shuffle=True, rng=0))
    assert [list(batch) for batch in batches] == [["x", "y"]] * 2
    assert all(np.array_equal(batch["x"], X[batch["y"]]) for batch in batches)


@pytest.mark.parametrize("view", [X[:, ::2], np.asfortranarray(X), X[::-1], X[:, None].repeat(2, 1).transpose(0, 2, 1)])
def test_arrays_of_any_layout(view):
    for x, y in DataLoader(view, Y, batch_size=5, shuffle=True, rng=0):
        np.testing.assert_array_equal(x, view[y], strict=True)


class Pairs:
    """A dataset as PyTorch has them: whole numbers only, and an error in place of slices."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return (X[i], int(i)) if isinstance(i, int) else 1 / 0


class Many(Pairs):
    asked = 0

    def __getitems__(self, indices):
        self.asked += 1
        return self.answer(indices)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_sequence_of_samples(shuffle):
    pairs = list(zip(X, Y.tolist(), strict=True))
    expected = list(loader(shuffle=shuffle))
    for samples in (pairs, Pairs()):
        assert same(DataLoader(samples, batch_size=4, shuffle=shuffle, rng=7), expected)
    for answer in (lambda ids: [pairs[i] for i in ids], lambda ids: (X[ids], Y[ids])):
        many = Many()
        many.answer = answer
        assert same(DataLoader(many, batch_size=4, shuffle=shuffle, rng=7), expected)
        assert many.asked == 6


def test_samples_of_other_kinds():
    assert same(DataLoader([1.5, 2.5, 3.5], batch_size=2), [(np.array([1.5, 2.5]),), (np.array([3.5]),)])
    (batch,) = DataLoader([{"a": [1, 2], "b": 0.5}, {"a": [3, 4], "b": 1.5}], batch_size=2)
    assert {name: array.tolist() for name, array in batch.items()} == {"a": [[1, 2], [3, 4]], "b": [0.5, 1.5]}


@pytest.mark.parametrize(
    ("arrays", "options", "error", "said"),
    [
        ((X, Y[:-1]), {}, ShapeError, r"\(22,\)"),
        (({"x": X, "y": Y[:-1]},), {}, ShapeError, "'y'"),
        ((X, 32), {}, ShapeError, "single number 32.*batch_size=32"),
        ((zip(X, Y, strict=True),), {}, ShapeError, "is a zip"),
        (((X, Y),), {}, TypeError, r"one tuple of 2 arrays.*DataLoader\(x, y"),
        ((), {}, TypeError, "nothing to load"),
        ((X,), {"batch_size": 0}, RangeError, "batch_size=0"),
        ((X,), {"batch_size": 2.0}, TypeError, "whole number"),
        ((X,), {"prefetch": -1}, RangeError, "prefetch=-1"),
        ((X,), {"drop_last": True, "batch_size": 24}, RangeError, "at most 23"),
    ],
)
def test_what_cannot_be_loaded_is_refused_at_once(arrays, options, error, said):
    with pytest.raises(error, match=said):
        DataLoader(*arrays, **options)


@pytest.mark.parametrize("samples", [[np.zeros(2), np.zeros(3)], [(1, 2), (1, 2, 3)]])
def test_samples_that_do_not_make_a_batch(samples):
    with pytest.raises(ShapeError):
        list(DataLoader(samples, batch_size=2))


# -- transforms -----------------------------------------------------------------------------------------


def test_a_transform_gets_a_batch_and_gives_one():
    assert same(DataLoader(X, Y, batch_size=N, transform=lambda x, y: (2 * x, y)), [(2 * X, Y)])
    assert same(DataLoader(X, batch_size=N, transform=lambda x: 2 * x), [(2 * X,)])
    assert same(DataLoader(X, Y, batch_size=N, transform=lambda x, y: [y, x]), [(Y, X)])
    assert same(DataLoader(X, batch_size=N, transform=np.negative), [(-X,)])
    (batch,) = DataLoader({"x": X}, batch_size=N, transform=lambda batch: {**batch, "twice": 2 * batch["x"]})
    np.testing.assert_array_equal(batch["twice"], 2 * X)


def test_random_numbers_of_a_transform_differ_by_batch_and_epoch_and_repeat_with_the_seed():
    numbers = lambda x, rng: (x, rng.random())
    made, twin = (DataLoader(X, batch_size=4, transform=numbers, rng=5) for _ in range(2))
    drawn = [number for _ in range(2) for _, number in made]
    assert len(set(drawn)) == 12
    assert [number for _ in range(2) for _, number in twin] == drawn


# -- ahead of time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [1, 2, 5, 100])
def test_prefetched_batches_are_the_same(prefetch):
    plain, ahead = loader(transform=noisy), loader(transform=noisy, prefetch=prefetch)
    assert all(same(plain, ahead) for _ in range(3))


def test_as_many_batches_are_prepared_ahead_as_asked_for():
    started = []
    batches = iter(loader(shuffle=False, prefetch=2, transform=lambda x, y: (x, started.append(y[0]))))
    next(batches)
    deadline = time.monotonic() + 10
    while len(started) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    # The one at hand, and two to come.
    assert started == [0, 4, 8]
    batches.close()


def test_a_batch_is_prepared_while_another_is_used():
    started = threading.Event()

    def transform(x, y):
        if y[0] == 4:
            started.set()
        return x, y

    batches = iter(loader(shuffle=False, prefetch=1, transform=transform))
    next(batches)
    assert started.wait(10)
    batches.close()


def breaks_at_eight(x, y):
    if y[0] == 8:
        raise ZeroDivisionError("in the middle")
    return x, y


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_an_error_arrives_where_the_batch_was_due_with_its_traceback(prefetch):
    batches = iter(loader(shuffle=False, transform=breaks_at_eight, prefetch=prefetch))
    assert [next(batches)[1][0] for _ in range(2)] == [0, 4]
    with pytest.raises(ZeroDivisionError, match="in the middle") as caught:
        next(batches)
    assert "breaks_at_eight" in "".join(traceback.format_tb(caught.tb))


def test_leaving_the_loop_stops_the_thread_and_frees_the_batches():
    made = []

    class Watched:
        pass

    def transform(x, y):
        made.append(Watched())
        return (x, made.pop())

    for _ in loader(transform=transform, prefetch=3):
        assert [t for t in threading.enumerate() if t.name.startswith("DataLoader")]
        break
    assert not [t for t in threading.enumerate() if t.name.startswith("DataLoader")]
    del _
    assert not [o for o in gc.get_objects() if isinstance(o, Watched)]


# -- exact resume -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_batches_that_were_left_come_again(prefetch, bits):
    def made(seed):
        return loader(rng=np.random.Generator(bits(seed)), transform=noisy, prefetch=prefetch)

    for stop in range(1, 7):
        one, other = made(1), made(2)
        list(one)
        batches = iter(one)
        for _ in range(stop):
            next(batches)
        state = json.loads(json.dumps(one.state_dict()))
        assert state["batches"] == stop
        other.load_state_dict(state)
        assert same(other, batches)
        assert same(other, one)
        assert same(other, one)


def test_between_epochs_the_next_epochs_are_the_same():
    one, other = loader(), loader(rng=1)
    list(one)
    state = one.state_dict()
    assert (state["epoch_seed"], state["batches"]) == (None, 0)
    other.load_state_dict(state)
    assert all(same(one, other) for _ in range(2))


def test_a_state_can_be_loaded_saved_again_and_loaded_twice():
    one, other, third = loader(), loader(rng=1), loader(rng=2)
    batches = iter(one)
    next(batches)
    state = one.state_dict()
    left = list(batches)
    other.load_state_dict(state)
    third.load_state_dict(other.state_dict())
    assert same(third, left)
    third.load_state_dict(state)
    assert same(third, left)


def test_a_shared_generator_goes_on_where_it_was():
    """The loader's orders and somebody else's numbers (dropout, say) come from one generator."""

    def run(made, batches, count):
        return [(y.tolist(), made.rng.random()) for _, (_, y) in zip(range(count), batches, strict=False)]

    one, other = loader(), loader(rng=1)
    batches = iter(one)
    run(one, batches, 3)
    state = one.state_dict()
    expected = run(one, batches, 3) + run(one, iter(one), 6)
    other.load_state_dict(state)
    assert run(other, iter(other), 3) + run(other, iter(other), 6) == expected


def test_the_state_is_that_of_the_epoch_begun_last():
    made = loader()
    older, newer = iter(made), iter(made)
    next(newer)
    list(older)
    assert made.state_dict()["batches"] == 1


def test_leaving_an_epoch_begins_a_new_one():
    one, other = loader(), loader()
    next(iter(one))
    list(other)
    assert same(one, other)


def test_a_copy_goes_on_alike():
    one = loader()
    list(one)
    assert same(copy.deepcopy(one), one)


def test_states_that_do_not_fit_are_refused():
    one = loader()
    next(iter(one))
    within = one.state_dict()
    for fits_not in (loader(batch_size=5), DataLoader(X[:-1], batch_size=4)):
        with pytest.raises(StateError, match="do not exist here"):
            fits_not.load_state_dict(within)
    list(one)
    loader(batch_size=5).load_state_dict(one.state_dict())
    with pytest.raises(StateError, match="rng"):
        one.load_state_dict({"batches": 3})
    with pytest.raises(StateError, match="MT19937"):
        loader(rng=np.random.Generator(np.random.MT19937(0))).load_state_dict(within)
